"""Voiceflow by its key: VOICEFLOW_API_KEY and the recogniser's URL are all that
is needed (VOICEFLOW_URL only because the peer is here)."""
import json

from harness import json_lines, wait_for
from test_call import words

KEY = "VF.DM.0123456789abcdef.e2e"


def log_of(t):
    return json_lines(t.cwd / "voiceflow.jsonl")


def actions(t):
    return [json.loads(e["body"])["action"] for e in log_of(t)
            if e["method"] == "POST"]


class Bot:
    """A peer, a recogniser and the daemon between them, and a caller"""

    def __init__(self, t, *args, query="", replies=None, **settings):
        self.t = t
        if replies:
            (t.cwd / "replies.json").write_text(json.dumps(replies))
            args = ("--replies", "replies.json", *args)
        self.peer = t.peer("voiceflow_server.py", "--key", KEY,
                           "--log", "voiceflow.jsonl", *args)
        self.axy = t.peer("axy_server.py")
        settings.setdefault("VOICEFLOW_URL",
                            f"http://127.0.0.1:{self.peer.port}{query}")
        self.daemon = t.daemon(
            ASR_SERVER_URL=f"grpc://127.0.0.1:{self.axy.port}",
            VOICEFLOW_API_KEY=KEY, LOG_TRANSCRIPTS="true", **settings)
        self.caller = t.caller(self.daemon, params={
            "caller": "+15550100", "called": "+15550199"}).start()

    def hears(self, text):
        """Wait until the bot says this, and has said it"""
        self.daemon.wait_line(r'event="answer".*text=".*' + text)
        wait_for(lambda: self.caller.marks and not self.caller.buffer,
                 "an answer heard")

    def does(self, action):
        wait_for(lambda: action in actions(self.t), f"action {action}")

    def end(self):
        self.caller.hang_up()
        self.daemon.wait_idle()
        self.check()

    def check(self):
        assert not self.peer.find("overlap"), "two interacts at once"
        assert KEY not in self.daemon.output(), "the key is in the log"


def text(said):
    return {"type": "text", "payload": said}


def test_a_conversation(t):
    bot = Bot(t, replies={
        "one": [{"type": "text", "payload": {"message": "First."}},
                {"type": "debug", "payload": {"message": "secret"}}],
        "two": [{"type": "speak", "payload": {"message": "Bye."}},
                {"type": "end", "payload": None}]})
    bot.hears("Welcome to Harbour Grill")
    bot.caller.dtmf("1")
    bot.caller.dtmf("#")
    bot.hears("For which day")
    bot.caller.say(words(1))
    bot.hears("First")
    bot.caller.say(words(2))
    bot.hears("Bye")
    wait_for(lambda: bot.caller.closed is not None, "hung up by the bot")
    assert bot.caller.closed == 1000, bot.caller.closed
    bot.daemon.wait_idle()

    first, *rest = log_of(t)
    sid = bot.caller.call_sid
    assert first["method"] == "PATCH", first
    assert first["path"] == f"/state/user/{sid}/variables", first
    assert json.loads(first["body"]) == {
        "caller": "+15550100", "called": "+15550199", "call_id": sid}
    for entry in [first, *rest]:
        assert entry["authorization"] == KEY, entry
        assert entry["version"] == "production", entry
    assert {e["path"] for e in rest} == {f"/state/user/{sid}/interact"}
    assert actions(t) == [
        {"type": "launch"},
        {"type": "path-9z8y7x", "payload": {"label": "Booking"}},
        text("one"), text("two")], actions(t)
    assert "secret" not in bot.daemon.output()
    assert bot.daemon.metric("turns_failed_total") == 0
    bot.check()


def test_as_the_bot_before(t):
    """text:Hello, and transfer-now, which is never spoken and beats end"""
    bot = Bot(t, VOICEFLOW_OPENING="text:Hello",
              VOICEFLOW_VERSION="development", replies={
                  "hello": "Hello, caller.",
                  "one": [
                      {"type": "speak",
                       "payload": {"message": "I connect you."}},
                      {"type": "speak",
                       "payload": {"message": "transfer-now"}},
                      {"type": "end", "payload": None}]})
    bot.hears("Hello, caller")
    bot.caller.say(words(1))
    bot.hears("I connect you")
    wait_for(lambda: bot.caller.closed is not None, "given away")
    bot.daemon.wait_line('event="call ended".*transfer')
    assert actions(t) == [text("Hello"), text("one")]
    assert log_of(t)[0]["version"] == "development"
    assert not bot.daemon.find('text="transfer-now"')
    bot.check()


def test_silence_is_asked_for(t):
    bot = Bot(t, replies={"launch": [
        {"type": "speak", "payload": {"message": "Hello."}},
        {"type": "no-reply", "payload": {"timeout": 1}}]})
    bot.hears("Hello")
    bot.does({"type": "no-reply"})
    bot.hears("Are you still there")
    bot.end()


def test_a_stream_is_spoken_while_it_is_written(t):
    story = "Once upon a time. There was a king. " * 3
    bot = Bot(t, "--piece-delay", "300", query="/?stream=P1",
              replies={"one": story})
    bot.hears("Welcome to Harbour Grill")
    bot.caller.say(words(1))
    bot.daemon.wait_line('event="answer".*Once upon a time')
    begun = len(bot.caller.heard)
    wait_for(lambda: bot.caller.buffer or len(bot.caller.heard) > begun,
             "its first sentence")
    # the answer takes 108 / 5 pieces, more than six seconds
    assert bot.daemon.metric("dialog_seconds_count") == 1, \
        "only the greeting's turn is over"
    wait_for(lambda: bot.daemon.metric("dialog_seconds_count") == 2,
             "the end of the answer")
    launch = json.loads(log_of(t)[0]["body"])
    assert launch["variables"]["caller"] == "+15550100", launch
    assert log_of(t)[0]["path"].endswith(
        "/interact/stream?completion_events=true&environment=production")
    bot.end()


def test_their_voice(t):
    bot = Bot(t, query="/?stream=P1&audio=true", LANGUAGE="is-IS")
    wait_for(lambda: len(bot.caller.marks) >= 1 and not bot.caller.buffer,
             "the greeting's tone")
    heard = bot.caller.heard.strip(b"\xff")
    assert len(heard) >= 7000, len(heard)  # 25 letters, 40 ms each
    bot.caller.say(words(1))
    bot.does(text("one"))
    wait_for(lambda: len(bot.caller.marks) >= 2, "the answer's tone")
    assert bot.daemon.metric("apologies_total") == 0
    assert bot.daemon.metric("playout_underruns_total") == 0
    bot.end()


def test_faults_are_heard_and_the_call_goes_on(t):
    faults = ["400", "html", "error", "garbage", "deep", "big", "cut"]
    args = [a for n, kind in enumerate(faults, 2)
            for a in ("--fault", f"{n}={kind}")]
    bot = Bot(t, *args)
    bot.hears("Welcome to Harbour Grill")
    for n, kind in enumerate(faults, 1):
        bot.caller.dtmf("5")
        bot.caller.dtmf("#")
        bot.daemon.wait_metric("turns_failed_total", n)
        begun = len(bot.caller.heard)
        wait_for(lambda: len(bot.caller.heard) > begun + 4000,
                 "some of the apology of " + kind)
        bot.daemon.wait_metric("apologies_total", n)
    bot.caller.dtmf("7")
    bot.caller.dtmf("#")
    bot.hears("You said 7")
    bot.daemon.wait_line("not published to production")
    assert len(actions(t)) == 1 + len(faults) + 1, "nothing sent twice"
    bot.end()


def test_once_more(t):
    bot = Bot(t, "--fault", "1=408", "--fault", "3=429", "--fault", "5=500",
              "--fault", "7=drop")
    bot.hears("Welcome to Harbour Grill")
    for digit in "789":
        bot.caller.dtmf(digit)
        bot.caller.dtmf("#")
        bot.hears("You said " + digit)
    # after "drop" libcurl itself did, on a new connection
    assert bot.daemon.metric("dialog_again_total") == 3
    assert bot.daemon.metric("apologies_total") == 0
    bot.end()


def test_a_wrong_key(t):
    peer = t.peer("voiceflow_server.py", "--key", "VF.DM.another")
    axy = t.peer("axy_server.py")
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      VOICEFLOW_API_KEY=KEY,
                      VOICEFLOW_URL=f"http://127.0.0.1:{peer.port}")
    caller = t.caller(daemon).start()
    daemon.wait_metric("apologies_total")
    daemon.wait_line("status=401.*Unauthorized")
    caller.hang_up()
    daemon.wait_idle()
    assert KEY not in daemon.output()


def test_settings_that_are_wrong(t):
    for name, value in (("VOICEFLOW_OPENING", "hello"),
                        ("VOICEFLOW_URL", "http://h?stream=a/b"),
                        ("VOICEFLOW_URL", "ftp://h")):
        status, output = t.run("convod", "--check-config",
                               **{"VOICEFLOW_API_KEY": KEY, name: value})
        assert status != 0 and "VOICEFLOW_" in output, (name, output)
        assert KEY not in output
    status, output = t.run("convod", "--check-config",
                           DIALOG_URL="voiceflow+https://h")
    assert status != 0 and "VOICEFLOW_API_KEY" in output, output


def test_a_slow_answer_is_waited_for(t):
    """What is said meanwhile waits: a user has one interact at a time"""
    bot = Bot(t, "--delay", "2500")
    bot.hears("Welcome to Harbour Grill")
    bot.caller.say(words(1))
    bot.does(text("one"))
    bot.caller.say(words(2))
    bot.axy.wait_line('"final".*"two"')
    wait_for(lambda: len(actions(t)) == 3, "what was said meanwhile")
    assert actions(t)[1:] == [text("one"), text("two")], actions(t)
    bot.hears("You said two")
    bot.end()
