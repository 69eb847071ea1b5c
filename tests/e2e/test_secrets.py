"""What is for nobody's eyes: secret numbers, keyed in and said."""
import array
import contextlib
import http.server
import io
import json
import re
import struct
import threading
import wave

from harness import wait_for
from test_call import recording, ulaw, words

BEEP = 6000  # of a bot's answer: its samples


class Clerk(http.server.BaseHTTPRequestHandler):
    """A bot that records the call and asks for a secret number"""

    def reply(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        turn = json.loads(self.rfile.read(
            int(self.headers["Content-Length"])))["turn"]
        self.server.turns.append((turn["kind"], turn["text"]))
        self.server.may_answer.wait(60)
        acts = {"say": "Thank you."} if turn["text"] else self.server.opening
        if turn["text"].endswith("eleven"):
            acts = {"type": "play", "url": f"http://{self.headers['Host']}/"}
        self.reply("application/json", json.dumps(acts).encode())

    def do_GET(self):
        beep = io.BytesIO()
        with wave.open(beep, "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(struct.pack("<1600h", *[BEEP, -BEEP] * 800))
        self.reply("audio/wav", beep.getvalue())

    def log_message(self, *args):
        pass


def sounds(path):
    """How many the caller makes in a recording, 200 ms or more apart"""
    with wave.open(str(path)) as file:
        samples = array.array("h", file.readframes(file.getnframes()))[::2]
    loud = [at for at, sample in enumerate(samples) if abs(sample) > 100]
    return sum(at - before > 1600
               for before, at in zip([-8000, *loud], loud))


@contextlib.contextmanager
def recorded_call(t, opening, **settings):
    """A caller whom a bot records, and the server it is asked at; then there
    are `server.log`, and `server.sounds` in the recording"""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Clerk) as server:
        server.turns, server.opening = [], opening
        server.may_answer = threading.Event()
        server.may_answer.set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        daemon = t.daemon(
            DIALOG_URL=f"webhook+http://127.0.0.1:{server.server_port}",
            DATA_DIR=t.cwd, LOG_TRANSCRIPTS="true", LOG_LEVEL="debug",
            **settings)
        caller = t.caller(daemon).start()
        daemon.wait_line('event="call recorded"')
        yield server, daemon, caller
        caller.hang_up()
        daemon.wait_idle()
        server.shutdown()
    daemon.end()
    server.log = daemon.output()
    path, = (t.cwd / "recordings").glob("*.wav")
    server.sounds = sounds(path)
    path.unlink()


def pass_time(daemon, seconds):
    daemon.wait_metric("frames_in_total",
                       daemon.metric("frames_in_total") + 50 * seconds)


def record_keys(t, opening, **settings):
    """A word, a number of four keys as tones, a word; sounds recorded"""
    pause = b"\xff" * 12000
    with recorded_call(t, opening, DTMF_INBAND="true", **settings) as (
            server, daemon, caller):
        caller.say(words(1) + pause + recording("dtmf_pin.wav"))
        wait_for(lambda: ("keys", "4729") in server.turns, "the number")
        wait_for(lambda: not caller.speech, "all of it said")
        pass_time(daemon, 4)
        caller.say(words(2))
        wait_for(lambda: not caller.speech, "all of it said")
    return server.sounds, re.search('4729|text="[0-9]', server.log)


def test_secret_keys_are_nowhere(t):
    """Not in the log, and their tones not in the recording: whether all keys
    are secret, or those that the bot asks for, and all that is heard then"""
    record = {"type": "record", "on": True}
    pin = {"type": "collect", "digits": 4, "sensitive": True}
    heard, _ = record_keys(t, {"record": True})
    assert heard > 2, heard
    heard, logged = record_keys(t, {"record": True}, DTMF_SENSITIVE="true")
    assert (heard, logged) == (2, None)
    heard, logged = record_keys(t, {"acts": [record, pin]})
    assert (heard, logged) == (1, None)


def test_number_in_pieces_is_nowhere(t):
    """Said in three breaths: the second while the first is being answered,
    and the third when the answer comes. What follows an answer that was heard
    is no secret."""
    axy = t.peer("axy_server.py")
    record = {"type": "record", "on": True}
    card = {"type": "collect", "digits": 16, "sensitive": True}
    with recorded_call(t, {"acts": [record, card]},
                       ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}") as (
            server, daemon, caller):
        server.may_answer.clear()
        caller.say(words(4))
        wait_for(lambda: ("speech", "four") in server.turns, "one")
        caller.say(words(7))
        axy.wait_line('"final".*"seven"')
        caller.say(words(11))
        wait_for(lambda: len(caller.speech) < 8 * 800, "the third begins")
        server.may_answer.set()
        wait_for(lambda: server.turns[-1][1].endswith("eleven"), "three")
        wait_for(lambda: caller.heard.count(bytes([ulaw(BEEP)])) > 600,
                 "the answer")
        pass_time(daemon, 4)
        caller.say(words(9))
        wait_for(lambda: ("speech", "nine") in server.turns, "a word")
        wait_for(lambda: not caller.speech, "all of it said")
    assert any("seven" in text for _, text in server.turns), server.turns
    assert 'text="nine"' in server.log
    logged = re.search(".*(four|seven|eleven).*", server.log)
    assert (server.sounds, logged) == (1, None), (server.sounds, logged)


def test_words_of_the_embedded_recogniser(t):
    """It knows nothing of secrets: it tells nobody but the conversation"""
    ask = {"type": "collect", "sensitive": True}
    record = {"type": "record", "on": True}
    with recorded_call(t, {"acts": [record, ask]}) as (server, _, caller):
        caller.say(recording("opening_hours.wav"))
        wait_for(lambda: server.turns[-1][0] == "speech", "a turn")
    said = server.turns[-1][1]
    assert said and said not in server.log, said


KEY = "VF.DM.0123456789abcdef.s3cret"
NUMBER = "4 ?7 ?2 ?9"


class Parrot(http.server.BaseHTTPRequestHandler):
    """A server that understands nothing, and says what it was told"""

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        number = re.search(NUMBER, said)
        self.server.told += number is not None
        why = f"{number and number[0]}, {self.headers['Authorization']}?"
        body = json.dumps({"error": {"message": why}, "message": why}).encode()
        if '"launch"' in said:  # Voiceflow would be told nothing else
            body = b"[]"
        refused = body != b"[]"
        self.server.refused += refused
        self.send_response(422 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PATCH = do_PUT = do_POST

    def log_message(self, *args):
        pass


def test_errors_quote_no_secret(t):
    """A server may repeat in an error what it was sent: the number, the key"""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for scheme in "webhook", "rasa", "openai", "voiceflow":
            server.told = server.refused = 0
            daemon = t.daemon(
                DIALOG_URL=f"{scheme}+http://127.0.0.1:{server.server_port}",
                DIALOG_KEY=KEY, VOICEFLOW_API_KEY=KEY, DIALOG_MODEL="m",
                LOG_TRANSCRIPTS="true", LOG_LEVEL="debug",
                DTMF_SENSITIVE="true")
            caller = t.caller(daemon).start()
            daemon.wait_line('event="dialog open"')
            for key in "4729#":
                caller.dtmf(key)
            wait_for(lambda: server.told, "the number")
            wait_for(lambda: daemon.output().count('refused"')
                     == server.refused, "all refusals logged")
            caller.hang_up()
            daemon.wait_idle()
            daemon.end()
            told = re.search(f"event=.*({NUMBER}|{KEY}).*", daemon.output())
            assert not told, (scheme, told)
        server.shutdown()
