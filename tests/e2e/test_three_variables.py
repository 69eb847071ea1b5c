"""The drop-in replacement of the Python client: PORT, ASR_SERVER_URL and
MASDIF_SERVER_URL, and nothing else (ADMIN_PORT only for our measuring)."""
import json
import math
import subprocess

from harness import HERE, json_lines, wait_for
from test_call import words
from test_faults import CLIP
from trouble import MP3, Masdif

FRAME_MS = 20


def level(ulaw):
    """Loudness of each 20 ms, from the codes alone: G.711 is logarithmic"""
    return [sum((~code & 0x7f) for code in ulaw[at:at + 160]) / 160
            for at in range(0, len(ulaw) - 159, 160)]


def likeness(a, b):
    """Correlation of two rows of levels"""
    n = min(len(a), len(b))
    a, b = a[:n], b[:n]
    mean_a, mean_b = sum(a) / n, sum(b) / n
    ab = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    aa = sum((x - mean_a) ** 2 for x in a)
    bb = sum((y - mean_b) ** 2 for y in b)
    return ab / math.sqrt(aa * bb) if aa and bb else 0


def decoded(t):
    """The peer's clip as another decoder gives it"""
    path = t.cwd / "answer.mp3"
    path.write_bytes(MP3)
    return subprocess.run(
        ["sox", path, "-t", "ul", "-r", "8000", "-c", "1", "-"],
        capture_output=True, check=True).stdout


def trim(ulaw):
    """Without the silence around it, which each decoder makes longer"""
    levels = level(ulaw)
    loud = [n for n, value in enumerate(levels) if value > 20]
    assert loud, "nothing but silence"
    return ulaw[loud[0] * 160:(loud[-1] + 1) * 160]


def converse(t, daemon, axy, turns):
    caller = t.caller(daemon).start()
    heard = []
    for text, number in turns:
        since = len(caller.heard)
        caller.say(words(number, number + 1))
        axy.wait_line(f'"final".*"{text}"')
        wait_for(lambda n=len(heard): len(caller.marks) > n, "a mark")
        heard.append(caller.heard[since:])
        assert len(caller.marks) == len(heard), "one mark a reply"
    assert caller.hang_up() in (None, 1000)
    daemon.wait_idle()
    return heard


TURNS = (("one two", 1), ("three four", 3))


def check_conversation(t, axy, heard):
    create, *rest = json_lines(t.cwd / "masdif.jsonl")
    assert create["method"] == "POST", create
    turns = [entry for entry in rest if entry["method"] == "PUT"]
    assert [json.loads(e["body"])["text"] for e in turns] == \
        [text for text, _ in TURNS]

    stream = json.loads(axy.find('"event": "stream"').string)
    for entry in turns:
        metadata = json.loads(entry["body"])["metadata"]
        assert metadata["asr_generated"] is True, metadata
        assert metadata["language"] == "is-IS", metadata
        assert entry["path"] == "/conversations/" + stream["conversation"]
    for entry in [create, *turns]:
        assert entry["accept"] == "application/json", entry
        assert entry["type"].startswith("application/json"), entry

    want = trim(decoded(t))
    for audio in heard:
        got = trim(audio)
        assert abs(len(got) - len(want)) <= 3 * 160, (len(got), len(want))
        alike = max(likeness(level(got[shift:]), level(want))
                    for shift in (0, 80, 160, 240))
        assert alike > 0.9, alike


def test_three_variables(t):
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py", "--log", "masdif.jsonl")
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=f"http://127.0.0.1:{masdif.port}")
    check_conversation(t, axy, converse(t, daemon, axy, TURNS))
    values = daemon.metrics()
    assert values["convod_turns_total"] == 2
    assert values["convod_dialog_seconds_count"] == 2
    assert values["convod_audio_fetched_total"] == 2
    for name in ("turns_failed", "audio_failed", "apologies", "bad_messages",
                 "ignored_messages", "asr_streams_broken", "playout_underruns"):
        assert values[f"convod_{name}_total"] == 0, name


def test_the_same_from_env_files(t):
    axy = t.peer("axy_server.py")
    masdif = t.peer("masdif_server.py", "--log", "masdif.jsonl")
    (t.cwd / ".env").write_text(
        f'export ASR_SERVER_URL="grpc://127.0.0.1:{axy.port}"\n'
        "MASDIF_SERVER_URL=http://127.0.0.1:1 # not this one\n")
    (t.cwd / ".env.local").write_text(
        f"MASDIF_SERVER_URL='http://127.0.0.1:{masdif.port}'\n")
    daemon = t.daemon()
    check_conversation(t, axy, converse(t, daemon, axy, TURNS))


def test_finals_while_a_turn_is_in_flight_go_together(t):
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP, delay=lambda stage: 3 * (stage == "turn"))
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url)
    caller = t.caller(daemon).start()
    caller.say(words(1) + words(2) + words(3))
    for text in ("one", "two", "three"):
        axy.wait_line(f'"final".*"{text}"')
    wait_for(lambda: len(caller.marks) == 2, "two answers")
    said = [json.loads(body)["text"] for _, body, _ in masdif.seen("turn")]
    assert said == ["one", "two three"], said
    assert masdif.overlaps == 0
    caller.hang_up()
    daemon.wait_idle()


def test_one_socket_is_counted_once(t):
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url)
    callers = [t.caller(daemon).start() for _ in range(3)]
    daemon.wait_metric("calls", 3)
    assert daemon.metric("sockets") == 3
    for caller in callers:
        caller.hang_up()
    daemon.wait_idle()
