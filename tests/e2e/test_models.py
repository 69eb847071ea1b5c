"""Language models, Rasa and a webhook of one's own, end to end."""
import json

from harness import json_lines, wait_for
from test_call import words

KEY = "sk-e2e-0123456789"


class Bot:
    """A peer, a recogniser and the daemon between them, and a caller"""

    def __init__(self, t, script, scheme, *args, query="", replies=None,
                 **settings):
        self.t = t
        self.heard = 0     # marks, before what is awaited
        self.answered = 0  # sentences, likewise
        self.log = t.cwd / "peer.jsonl"
        if replies is not None:
            (t.cwd / "replies.json").write_text(json.dumps(replies))
            args = ("--replies", "replies.json", *args)
        self.peer = t.peer(script, *args)
        self.axy = t.peer("axy_server.py")
        self.daemon = t.daemon(
            ASR_SERVER_URL=f"grpc://127.0.0.1:{self.axy.port}",
            DIALOG_URL=f"{scheme}+http://127.0.0.1:{self.peer.port}{query}",
            # no "one moment, please": marks are counted
            LOG_TRANSCRIPTS="true", SILENCE_LIMIT_MS=60000, **settings)
        self.caller = t.caller(self.daemon, params={
            "caller": "+15550100", "called": "+15550199"}).start()

    def requests(self):
        return json_lines(self.log)

    def bodies(self):
        return [r["body"] for r in self.requests() if "body" in r]

    def says(self, text):
        self.daemon.wait_line(r'event="answer".*text=".*' + text)

    def hears(self, text):
        """Wait until the bot says this, and has said all: a mark each"""
        self.says(text)
        answers = [x for x in self.daemon.lines if 'event="answer"' in x]
        more = len(answers) - self.answered
        wait_for(lambda: len(self.caller.marks) >= self.heard + more,
                 "an answer heard")
        self.answered += more
        self.heard = len(self.caller.marks)

    def ended_by_bot(self, how):
        wait_for(lambda: self.caller.closed is not None, "hung up by the bot")
        self.daemon.wait_line(f'event="call ended".*{how}')

    def end(self):
        self.caller.hang_up()
        self.daemon.wait_idle()


def model(t, *args, **settings):
    return Bot(t, "openai_server.py", "openai", "--key", KEY,
               "--log", "peer.jsonl", *args, OPENAI_API_KEY=KEY,
               DIALOG_MODEL=settings.pop("model", "m"), **settings)


def messages(body):
    return [(m["role"][0], m["content"]) for m in body["messages"][1:]]


def test_a_conversation_with_a_model(t):
    bot = model(t, replies={
        "one": "First of all, yes. And then no.",
        "two": {"text": "Goodbye.", "tool": "hang_up"}})
    bot.hears("How can I help you")
    bot.caller.say(words(1))
    bot.hears("And then no")
    bot.caller.say(words(2))
    bot.says("Goodbye")
    bot.ended_by_bot("bot")
    assert bot.daemon.metric("turns_failed_total") == 0
    assert KEY not in bot.daemon.output(), "the key is in the log"
    last = messages(bot.bodies()[-1])
    assert last[1:] == [
        ("a", "Hello, this is the model. How can I help you?"),
        ("u", "one"), ("a", "First of all, yes. And then no."),
        ("u", "two")], last
    bot.daemon.wait_idle()


def test_first_sentence_is_heard_while_the_rest_is_written(t):
    """whose writing takes longer than the test"""
    bot = model(t, "--token-ms", "30", GREETING="none", replies={
        "one": "Yes. " + "and so it goes on " * 200 + "to the end."})
    bot.caller.say(words(1))
    bot.says("Yes")
    wait_for(lambda: bot.caller.received, "the first sentence")
    assert not bot.daemon.find("to the end")
    assert not any("closed" in r for r in bot.requests())
    bot.end()
    wait_for(lambda: any("closed" in r for r in bot.requests()),
             "the model was told to stop")


def test_barge_in_closes_the_connection(t):
    """and the model learns what was heard, no more"""
    long = "This is a sentence that nobody wants to hear to its very end. "
    bot = model(t, "--token-ms", "60", GREETING="none", BARGE_IN_MODE="words",
                BARGE_IN_WORDS=1, DIALOG_TIMEOUT_MS=60000,
                replies={"one": long * 40, "two": "All right."})
    bot.caller.say(words(1))
    wait_for(lambda: len(bot.caller.heard) > 16000, "two seconds of it")
    bot.caller.say(words(2))
    bot.says("All right")
    wait_for(lambda: any("closed" in r for r in bot.requests()),
             "the stream was closed")
    said = messages(bot.bodies()[-1])
    assert said[0] == ("u", "one"), said
    assert said[1][0] == "a" and (long * 40).startswith(said[1][1]), said
    assert 5 < len(said[1][1]) < len(long) * 8, said
    assert said[2][0] == "u" and said[2][1].endswith("\ntwo"), said
    bot.end()


def test_model_transfers(t):
    bot = model(t, GREETING="none", replies={"one": {
        "text": "I connect you.", "tool": "transfer_call",
        "arguments": {"to": "+15550123"}}})
    bot.caller.say(words(1))
    bot.says("I connect you")
    bot.daemon.wait_line(r'event="transfer asked for".*\+15550123')
    bot.ended_by_bot("transfer")


def test_odd_models_are_understood(t):
    bot = model(t, GREETING="none", replies={
        "one": {"mode": "odd", "text": "Einn \u00fe\u00e6\u00f6."},
        "two": {"mode": "think", "text": "Tveir."},
        "three": {"mode": "whole", "text": "Three."},
        "four": {"mode": "busy", "text": "Four."},
        "five": {"mode": "no-tools", "text": "Five."},
        "six": {"mode": "no-tools", "text": "Six."}})
    for n, said in enumerate(("Einn \u00fe\u00e6\u00f6", "Tveir", "Three",
                              "Four", "Five", "Six"), 1):
        bot.caller.say(words(n))
        bot.hears(said)
    assert not bot.daemon.find("should not")
    assert bot.daemon.metric("turns_failed_total") == 0
    assert bot.daemon.metric("dialog_again_total") == 2
    # said once: from then on it is not offered any
    assert len([line for line in bot.daemon.lines
                if "model takes no tools" in line]) == 1
    bot.end()


def test_faults_of_a_model_are_heard_and_counted(t):
    modes = ("error", "cut", "garbage", "limit", "quota", "page")
    bot = model(t, GREETING="none", REPEAT_MAX=0, replies={
        word: {"mode": mode, "text": "Half of a sentence that is no more."}
        for word, mode in zip(("one", "two", "three", "four", "five", "six"),
                              modes)})
    for n in range(1, len(modes) + 1):
        bot.caller.say(words(n))
        bot.daemon.wait_metric("turns_failed_total", n)
        bot.daemon.wait_metric("apologies_total", n)
    bot.end()


def test_wrong_key_is_an_apology(t):
    bot = Bot(t, "openai_server.py", "openai", "--key", KEY,
              OPENAI_API_KEY="sk-wrong")
    bot.daemon.wait_line(r"status=401.*Incorrect API key")
    bot.daemon.wait_metric("apologies_total")
    bot.end()


def test_prompt_file(t):
    (t.cwd / "prompt.txt").write_text("You are Vigdis. {{caller}} calls.",
                                      encoding="utf-8")
    bot = model(t, DIALOG_PROMPT="prompt.txt")
    bot.hears("How can I help")
    assert bot.bodies()[0]["messages"][0] == {
        "role": "system", "content": "You are Vigdis. +15550100 calls."}
    bot.end()

    for name, text in (("none.txt", "No such file"),
                       ("prompt.bin", "DIALOG_PROMPT")):
        (t.cwd / "prompt.bin").write_bytes(b"\xff\xfe")
        status, output = t.run("convod", "--check-config", DIALOG_PROMPT=name,
                               DIALOG_URL="openai+http://127.0.0.1:1")
        assert status != 0 and text in output, output


def test_greeted_by_convod(t):
    """The model knows of it, and is connected to meanwhile"""
    bot = model(t, GREETING="Hello from us.")
    wait_for(lambda: any("warm" in r for r in bot.requests()), "connected")
    wait_for(lambda: bot.caller.marks, "the greeting heard")
    bot.caller.say(words(1))
    bot.says("You said one")
    warm, asked = bot.requests()
    assert warm["warm"] == asked["port"], "another connection"
    assert asked["body"]["messages"][1]["content"] == \
        '[The caller has been greeted: "Hello from us."]\none'
    bot.end()


def test_rasa(t):
    bot = Bot(t, "rasa_server.py", "rasa", "--token", "t0p",
              "--log", "peer.jsonl", query="?token=t0p&stream=true", replies={
                  "/session_start": "Welcome to Rasa.",
                  "one": [{"text": "Sales or service?", "buttons": [
                      {"title": "Sales", "payload": "/sales"},
                      {"title": "Service", "payload": "/service"}]}],
                  "/service": [
                      {"text": "Goodbye."},
                      {"custom": {"action": "hangup"}}]})
    bot.hears("Welcome to Rasa")
    bot.caller.say(words(1))
    bot.hears("Sales or service")
    bot.caller.dtmf("2")
    bot.caller.dtmf("#")
    bot.says("Goodbye")
    bot.ended_by_bot("bot")
    first, second, third = bot.bodies()
    assert first["sender"] == bot.caller.call_sid
    assert first["metadata"]["caller"] == "+15550100"
    assert second["message"] == "one" and third["message"] == "/service"
    assert second["metadata"]["asr_generated"] is True
    assert "t0p" not in bot.daemon.output(), "the token is in the log"


def test_faults_of_rasa_are_heard_and_counted(t):
    bot = Bot(t, "rasa_server.py", "rasa", DIALOG_OPENING="no model")
    bot.daemon.wait_metric("turns_failed_total", 1)
    bot.daemon.wait_metric("apologies_total", 1)
    bot.caller.say(words(2))
    bot.hears("You said two")
    bot.end()


def test_webhook_example(t):
    """The ten lines of the manual, over the telephone"""
    bot = Bot(t, "../../examples/webhook.py", "webhook", "0")
    bot.hears("What is your name")
    bot.caller.say(words(3))
    bot.says("Goodbye, three")
    bot.ended_by_bot("bot")
