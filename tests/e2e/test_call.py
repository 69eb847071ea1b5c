"""Whole calls, against the peers and the embedded engines."""
import json
import math
import struct
import subprocess
import wave

from caller import SILENCE
from harness import HERE, Skip, json_lines, wait_for


def ulaw(sample):
    """ITU-T G.711, one 16-bit sample"""
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 132
    exponent = sample.bit_length() - 8
    mantissa = sample >> (exponent + 3) & 0x0f
    return ~(sign | exponent << 4 | mantissa) & 0xff


def voice(hz, i):
    """A tone's crossings of zero, but no steady tone, which is no speech:
    each half wave has a strength of its own"""
    half = 2 * hz * i // 8000
    strength = 0.1 + 0.9 * (half ** 3 % 101 / 100) ** 2
    return int(16000 * strength * math.sin(math.tau * hz * i / 8000))


def words(*numbers, gap_ms=100, end_ms=700):
    """What tests/peers/axy_server.py hears as ONE, TWO, …"""
    audio = b""
    for number in numbers:
        hz = 400 + 100 * (number - 1)
        audio += bytes(ulaw(voice(hz, i)) for i in range(8 * 200))
        audio += b"\xff" * (8 * gap_ms)
    return audio + b"\xff" * (8 * end_ms)


def recording(name):
    """One of tests/data/audio, as a carrier sends it"""
    with wave.open(str(HERE.parent / "data" / "audio" / name)) as file:
        n = file.getnframes()
        return bytes(map(ulaw, struct.unpack(f"<{n}h", file.readframes(n))))


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

    another = t.peer("axy_server.py", "--port", str(axy.port), "--later")
    axy.kill()
    daemon.wait_metric("asr_streams_broken_total")
    rest = words(4)
    caller.say(words(3, end_ms=0) + rest)
    wait_for(lambda: len(caller.speech) <= len(rest), "while nobody listens")
    another.listen()
    another.wait_line(r'"final".*"three four"')
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


def test_keys_are_heard_as_tones(t):
    daemon = t.daemon(DIALOG_URL="echo:", DTMF_INBAND="true",
                      LOG_TRANSCRIPTS="true")
    caller = t.caller(daemon).start()
    caller.say(recording("dtmf_pin.wav"))
    daemon.wait_line(r'event="answer".* text="4729"')
    assert daemon.metric("keys_by_tone_total") == 5
    assert daemon.metric("keys_total") == 5
    caller.hang_up()


def test_keys_do_not_count_twice(t):
    """Tones are for carriers without events: one event, and they are not
    listened to; that event may be for the key heard last"""
    daemon = t.daemon(DIALOG_URL="echo:", DTMF_INBAND="true",
                      DTMF_TIMEOUT_MS=30000, LOG_TRANSCRIPTS="true")
    caller = t.caller(daemon).start()
    tones = recording("dtmf_pin.wav")
    first = next(i for i, code in enumerate(tones) if code & 0x7f < 0x60)
    caller.say(tones[:first + 8 * 150])
    daemon.wait_metric("keys_by_tone_total")
    caller.dtmf("4")
    caller.dtmf("7")
    caller.say(tones)
    wait_for(lambda: not caller.speech, "all of it said")
    heard = daemon.metric("frames_in_total")
    daemon.wait_metric("frames_in_total", heard + 2)
    for digit in "29#":
        caller.dtmf(digit)
    daemon.wait_line(r'event="answer".* text="4729"')
    assert daemon.metric("keys_by_tone_total") == 1
    assert daemon.metric("keys_total") == 5
    caller.hang_up()


def test_files_of_the_operator(t):
    """A greeting, what is heard while the bot thinks, and an apology"""
    levels = {"greeting": 3000, "filler": 1500, "apology": 6000}
    for name, level in levels.items():
        with wave.open(str(t.cwd / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(struct.pack("<1600h", *[level, -level] * 800))
    masdif = t.peer("masdif_server.py", "--hang-at", "1")
    daemon = t.daemon(
        MASDIF_SERVER_URL=f"http://127.0.0.1:{masdif.port}",
        DIALOG_TIMEOUT_MS=2000, FILLER_AFTER_MS=300,
        GREETING="file:greeting.wav", FILLER_FILE="filler.wav",
        APOLOGY_FILE="apology.wav")
    caller = t.caller(daemon).start()
    for name, level in levels.items():
        code = bytes([ulaw(level)])
        wait_for(lambda: caller.heard.count(code) > 600, name)
        if name == "greeting":
            caller.dtmf("5")
            caller.dtmf("#")
    caller.hang_up()


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


# ------------------------------------------------- the three-variable call


def requests_of(t):
    """What Masdif was asked, in order"""
    return json_lines(t.cwd / "masdif.jsonl")


def three_variables(t, axy, masdif):
    """PORT, ASR_SERVER_URL, MASDIF_SERVER_URL, as the Python client had"""
    return t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                    MASDIF_SERVER_URL=f"http://127.0.0.1:{masdif.port}")


def test_three_variable_call(t):
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py", "--log", "masdif.jsonl")
    daemon = three_variables(t, axy, masdif)
    caller = t.caller(daemon).start()
    wait_for(lambda: caller.sequence > 50, "a second")
    assert caller.received == 0, "nothing is said before the caller speaks"

    for number, text in ((1, "one two"), (3, "three four")):
        marks = len(caller.marks)
        caller.say(words(number, number + 1))
        axy.wait_line(f'"final".*"{text}"')
        wait_for(lambda m=marks: len(caller.marks) > m, "answer and mark")
    assert len(caller.heard) > 4000
    assert caller.hang_up() in (None, 1000)
    daemon.wait_idle()

    stream = json.loads(axy.find(r'"event": "stream"').string)
    assert stream["language"] == "is-IS" and stream["rate"] == 16000, stream
    assert stream["interim"] and stream["words"], stream
    end = json.loads(axy.wait_line(r'"event": "end"').string)
    assert end["empty"] == 0 and end["min"] > 0, end
    asked = json.dumps(requests_of(t))
    assert stream["conversation"] in asked, "not the conversation's id"
    assert "asr_generated" in asked and "is-IS" in asked, asked
    for name in ("turns_failed", "audio_failed", "apologies",
                 "asr_streams_broken"):
        assert daemon.metric(name + "_total") == 0, name
    assert daemon.metric("turns_total") == 2


def test_masdif_dies_in_mid_call(t):
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py")
    daemon = three_variables(t, axy, masdif)
    caller = t.caller(daemon).start()
    caller.say(words(1))
    wait_for(lambda: caller.marks, "an answer")
    masdif.kill()
    heard = caller.received
    caller.say(words(2))
    daemon.wait_metric("turns_failed_total", timeout=60)
    daemon.wait_metric("apologies_total", timeout=60)
    wait_for(lambda: caller.received > heard + 2000, "the apology")
    assert caller.closed is None

    # back again: it knows nothing of the conversation
    t.peer("masdif_server.py", "--port", str(masdif.port))
    failed = daemon.metric("turns_failed_total")
    marks = len(caller.marks)
    caller.say(words(3))
    wait_for(lambda: len(caller.marks) > marks, "an answer again", 60)
    assert daemon.metric("turns_failed_total") == failed
    caller.hang_up()
    daemon.wait_idle()


def test_masdif_misbehaves(t):
    """Every failure has a voice, and the call goes on"""
    for fault in (["--error-at", "1"], ["--garbage-at", "1"],
                  ["--audio-error", "404"], ["--audio-error", "html"]):
        axy = t.peer("axy_server.py")
        masdif = t.peer("masdif_server.py", *fault)
        daemon = three_variables(t, axy, masdif)
        caller = t.caller(daemon).start()
        caller.say(words(1))
        wait_for(lambda c=caller: c.received > 2000, f"{fault}: a voice", 60)
        failed = daemon.metric("turns_failed_total") + \
            daemon.metric("audio_failed_total")
        assert failed >= 1, fault
        assert caller.closed is None, fault
        caller.hang_up()
        daemon.wait_idle()
        daemon.end()


def test_masdif_forgets_the_conversation(t):
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py", "--forget-after", "2")
    daemon = three_variables(t, axy, masdif)
    caller = t.caller(daemon).start()
    for number in (1, 2, 3):
        marks = len(caller.marks)
        caller.say(words(number))
        wait_for(lambda m=marks: len(caller.marks) > m, "an answer")
    assert daemon.metric("apologies_total") == 0
    caller.hang_up()
    daemon.wait_idle()


def test_softphone_judges_the_daemon(t):
    """convo-call, with its own idea of Twilio's rules"""
    if "convo-call" not in t.programs:
        raise Skip("convo-call was not given")
    daemon = t.daemon()
    status, output = t.run(
        "convo-call", "--json", "--hangup-after", "6000",
        f"ws://127.0.0.1:{daemon.port}/convo")
    assert status == 0, (status, output)
    daemon.wait_idle()


def test_a_cut_connection_to_masdif_is_tried_again(t):
    """It may have been idle for long: the caller notices nothing"""
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py", "--drop-at", "1")
    daemon = three_variables(t, axy, masdif)
    caller = t.caller(daemon).start()
    caller.say(words(1))
    quiet(caller)
    assert daemon.metric("apologies_total") == 0
    caller.hang_up()
    daemon.wait_idle()
