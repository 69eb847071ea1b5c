#!/usr/bin/python3
"""convo-call against tests/peers/ws_bot.py: a call, each broken rule, exits.

usage: call.py CONVO_CALL WS_BOT
"""
import concurrent.futures
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import wave

CALL, BOT = sys.argv[1:3]
WORK = tempfile.TemporaryDirectory()
SAY = os.path.join(WORK.name, "say.wav")
WAV = os.path.join(WORK.name, "call.wav")


def make_speech():
    with wave.open(SAY, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(8000)
        f.writeframes(b"".join(
            struct.pack("<h", int(9000 * math.sin(i / 4)))
            for i in range(4000)))
    with open(os.path.join(WORK.name, "transcripts.tsv"), "w",
              encoding="utf-8") as f:
        f.write("file\tkind\tvoice\ttext\nsay.wav\tspeech\tx\tgóðan dag\n")


def call(*options, fault="", url="ws://127.0.0.1:%d/convo"):
    """Exit status, events, summary"""
    with subprocess.Popen([BOT, "--break", fault], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as bot:
        port = int(bot.stdout.readline())
        target = url % port if "%d" in url else url
        done = subprocess.run([CALL, "--json", *options, target],
                              capture_output=True, text=True, timeout=60,
                              check=False)
        bot.stdin.close()
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, events, events[-1] if events else {}


def test_conversation():
    status, events, end = call(
        "--param", "lang=is", "--wav", WAV, "--say", SAY, "--dtmf", "1",
        "--dtmf", "*")
    assert status == 0, (status, end)
    assert end["said"] == 1 and end["unanswered"] == 0, end
    assert end["answers"] == 2 and end["clears"] == 1, end
    assert end["close_code"] == 1000 and end["ended_by"] == "bot", end
    assert end["close_reason"] == "goodbye", end
    assert end["fault_count"] == 0 and end["wait_max_ms"] < 1500, end
    says = [e for e in events if e["event"] == "say"]
    assert says[0]["text"] == "góðan dag", says
    marks = [e["name"] for e in events if e["event"] == "mark"]
    assert marks[:2] == ["greeting", "answer"], marks
    with wave.open(WAV) as f:
        assert f.getnchannels() == 2 and f.getframerate() == 8000
        assert abs(f.getnframes() / 8 - end["ms"]) < 21, f.getnframes()


def test_plain_output():
    with subprocess.Popen([BOT], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as bot:
        port = int(bot.stdout.readline())
        done = subprocess.run(
            [CALL, "--hangup-after", "1000", f"ws://127.0.0.1:{port}/"],
            capture_output=True, text=True, timeout=60, check=False)
        bot.stdin.close()
    assert done.returncode == 0, done
    assert "Twilio's rules: kept" in done.stdout, done.stdout
    assert "\r" not in done.stdout


def test_unanswered():
    args = ("--greeting", "200", "--answer", "500", "--say", SAY)
    assert call(*args, fault="mute")[0] == 4
    assert call(*args, "--allow-unanswered", fault="mute")[0] == 0


def test_script():
    path = os.path.join(WORK.name, "script")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"expect-audio 2000\ninterrupt {SAY} after 100\n"
                "expect-silence 100\nwait-bot\npress *\n"
                "expect-close 2000 1000\n")
    status, events, end = call("--script", path)
    assert status == 0 and end["expected"] == 3, (status, end)
    with open(path, "w", encoding="utf-8") as f:
        f.write("# the bot greets\nexpect-silence 2000\nhangup\n")
    status, events, end = call("--script", path)
    assert status == 4 and end["failed"] == 1, (status, end)
    bad = [e["line"] for e in events if e["event"] == "expect"]
    assert bad == [2], bad


def test_microphone():
    with open(SAY, "rb") as f:
        raw = os.path.join(WORK.name, "raw")
        with open(raw, "wb") as out:
            out.write(f.read()[44:] + bytes(16000))
    status, _, end = call("--mic", raw)
    assert status == 0 and end["ended_by"] == "caller", end
    assert 1400 <= end["ms"] <= 1600, end


def test_no_call():
    assert call(fault="refuse")[0] == 2
    assert call(url="ws://127.0.0.1:1/")[0] == 2
    assert call(url="http://127.0.0.1:1/")[0] == 1
    assert call("--say", "/nonexistent")[0] == 1
    assert call("--nonsense")[0] == 1


def test_rules():
    rules = {"early": "early", "binary": "binary", "json": "json",
             "extra": "extra", "missing": "missing", "type": "type",
             "event": "event", "stream": "stream", "base64": "base64",
             "full": "full", "bare-close": "close", "vanish": "close"}

    def one(fault):
        # ten minutes of audio take a slow machine their time
        after = "6000" if fault == "full" else "800"
        return call("--hangup-after", after, fault=fault)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for (fault, rule), (status, _, end) in zip(
                rules.items(), pool.map(one, rules)):
            assert status == 3, (fault, status, end)
            assert rule in end["faults"], (fault, end)


def main():
    make_speech()
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            print(f"[       OK ] {name}")
        except AssertionError as error:
            print(f"[  FAILED  ] {name}: {error}")
            failed += 1
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
