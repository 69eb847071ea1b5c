"""Whole calls, against the peers and the embedded engines."""
import json
import math
import subprocess

from caller import SILENCE
from harness import HERE, wait_for


def ulaw(sample):
    """ITU-T G.711, one 16-bit sample"""
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 132
    exponent = sample.bit_length() - 8
    mantissa = sample >> (exponent + 3) & 0x0f
    return ~(sign | exponent << 4 | mantissa) & 0xff


def words(*numbers, gap_ms=100, end_ms=700):
    """Tones that tests/peers/axy_server.py hears as ONE, TWO, …"""
    audio = b""
    for number in numbers:
        hz = 400 + 100 * (number - 1)
        audio += bytes(ulaw(int(8000 * math.sin(math.tau * hz * i / 8000)))
                       for i in range(8 * 200))
        audio += b"\xff" * (8 * gap_ms)
    return audio + b"\xff" * (8 * end_ms)


def quiet(caller):
    """Wait until the bot has begun and finished speaking"""
    wait_for(lambda: caller.marks and not caller.buffer, "an answer heard")


def test_embedded_bot_answers(t):
    """No server of anybody's: it greets, and hears nothing in silence"""
    daemon = t.daemon()
    caller = t.caller(daemon).start()
    quiet(caller)
    assert len(caller.heard) > 8000, len(caller.heard)
    assert caller.hang_up() in (None, 1000)
    assert daemon.metric("turns_failed_total") == 0
    daemon.wait_idle()


def test_axy_hears_and_echo_answers(t):
    axy = t.peer("axy_server.py")
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      DIALOG_URL="echo:", LOG_TRANSCRIPTS="true")
    caller = t.caller(daemon).start()
    caller.say(SILENCE * 10 + words(1, 2, 3))
    axy.wait_line(r'"final".*"one two three"')
    quiet(caller)
    daemon.wait_metric("asr_finals_total")
    heard, marks = len(caller.heard), len(caller.marks)
    assert heard > 4000

    caller.say(words(4, 5))
    axy.wait_line(r'"final".*"four five"')
    wait_for(lambda: len(caller.marks) > marks, "a second answer")
    assert caller.hang_up() in (None, 1000)
    # half-closed, so that the recogniser could finish
    axy.wait_line(r'"event": "end"')
    daemon.wait_idle()


def test_recogniser_is_killed_and_comes_back(t):
    axy = t.peer("axy_server.py")
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      DIALOG_URL="echo:")
    caller = t.caller(daemon).start()
    caller.say(words(1, 2))
    axy.wait_line(r'"final".*"one two"')
    quiet(caller)

    axy.kill()
    daemon.wait_metric("asr_streams_broken_total")
    caller.say(words(3, 4))  # while nobody listens
    axy = t.peer("axy_server.py", "--port", str(axy.port))
    axy.wait_line(r'"final".*"three four"')
    assert daemon.metric("asr_samples_replayed_total") > 0
    caller.hang_up()
    daemon.wait_idle()


def test_no_recogniser_at_all(t):
    """The call stays up, and an apology is spoken"""
    daemon = t.daemon(ASR_SERVER_URL="grpc://127.0.0.1:1",
                      DIALOG_URL="echo:")
    caller = t.caller(daemon).start()
    daemon.wait_metric("apologies_total", timeout=60)
    wait_for(lambda: caller.received > 4000, "the apology")
    assert caller.closed is None
    caller.hang_up()
    daemon.wait_idle()


def test_second_websocket_client(t):
    """npm's ws, which offers compression and gets none"""
    daemon = t.daemon(DIALOG_URL="demo:")
    done = subprocess.run(
        ["node", str(HERE / "caller_ws.js"),
         f"ws://127.0.0.1:{daemon.port}/convo", "150"],
        env=t.env(NODE_PATH="/usr/share/nodejs"), capture_output=True,
        timeout=60, check=True)
    seen = json.loads(done.stdout)
    assert "error" not in seen, seen
    assert seen["code"] == 1000 and seen["extensions"] == "", seen
    assert seen["binary"] == 0 and seen["media"] > 0, seen
    assert seen["bytes"] % 160 == 0, seen
    daemon.wait_metric("frames_in_total", 150)
    daemon.wait_idle()


def test_calls_are_held_apart(t):
    """What one says, the others do not hear; each gets its own answers"""
    axy = t.peer("axy_server.py")
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      DIALOG_URL="echo:", WORKERS=2)
    callers = [t.caller(daemon).start() for _ in range(6)]
    for number, caller in enumerate(callers):
        if number % 2:
            caller.say(words(number + 1, number + 2))
    names = "one two three four five six seven".split()
    for number, caller in enumerate(callers):
        if number % 2:
            text = f"{names[number]} {names[number + 1]}"
            axy.wait_line(f'"final".*{caller.call_sid}.*"{text}"')
    assert len([x for x in axy.lines if '"final"' in x]) == 3, axy.output()
    for caller in callers:
        caller.hang_up()
    daemon.wait_idle()
    assert daemon.metric("calls_total") == 6
