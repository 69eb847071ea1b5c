"""What the voice said before, and the voice that speaks when it fails.

The demo bot greets every caller with the same two sentences, so the requests
that a voice gets for them can be counted.
"""
import json
import os
import resource
import time

from harness import json_lines, wait_for

SENTENCES = 2


class Line:
    """A voice that counts, a recogniser that hears nothing, the demo bot"""

    def __init__(self, t, *faults):
        self.t = t
        self.log = t.cwd / "voice.jsonl"
        self.voice = t.peer("voice_server.py", "--log", str(self.log), *faults)
        self.axy = t.peer("axy_server.py")

    def daemon(self, **more):
        return self.t.daemon(**({
            "TTS_URL": f"openai+http://127.0.0.1:{self.voice.port}",
            "TTS_FALLBACK_URL": "none:", "DIALOG_URL": "demo:",
            "TTS_TIMEOUT_MS": 30000,
            "ASR_SERVER_URL": f"grpc://127.0.0.1:{self.axy.port}"} | more))

    def texts(self):
        """What the voice was asked for, in order"""
        return [json.loads(entry["body"])["input"]
                for entry in json_lines(self.log)]

    def asked(self):
        return len(self.texts())


def greeted(t, daemon):
    """What a caller hears first, and how long it took to come"""
    begun = time.monotonic()
    caller = t.caller(daemon).start()
    wait_for(lambda: caller.received, "the first of the greeting")
    waited = time.monotonic() - begun
    wait_for(lambda: len(caller.marks) >= SENTENCES, "the greeting")
    caller.hang_up()
    daemon.wait_idle()
    return caller.heard, waited


def alike(first, second):
    """The same, but for gaps: playout fades out before one, and in again"""
    return len(first) == len(second) > 8000 and \
        sum(a != b for a, b in zip(first, second)) < len(first) / 20


def files(t):
    return sorted((t.cwd / "data" / "voice").glob("*"))


def test_second_call_costs_the_voice_nothing(t):
    line = Line(t)
    daemon = line.daemon()
    first, _ = greeted(t, daemon)
    second, _ = greeted(t, daemon)
    assert alike(first, second), (len(first), len(second))
    assert line.asked() == SENTENCES, line.asked()
    metrics = daemon.metrics()
    assert metrics["convod_tts_cache_hits_total"] >= 1, metrics
    assert metrics["convod_tts_cache_bytes"] >= len(first) - 8000, metrics
    assert metrics["convod_tts_cached_seconds_count"] >= 1, metrics
    assert not daemon.find("fallback voice"), daemon.output()


def test_a_hundred_callers_at_once_are_one_request(t):
    """On two threads, while the voice takes its time"""
    line = Line(t, "--delay", "4000")
    daemon = line.daemon(WORKERS=2)
    status, output = t.run(
        "convo-load", "--json", "--calls", "100", "--rate", "200",
        "--seconds", "6", f"ws://127.0.0.1:{daemon.port}/convo")
    assert status in (0, 3) and json.loads(output)["held"] == 100, output
    texts = line.texts()  # maybe more than the greeting
    assert sorted(texts) == sorted(set(texts)) and texts, texts
    metrics = daemon.metrics()
    assert metrics["convod_tts_cache_shared_total"] >= 50, metrics
    daemon.wait_idle()


def test_files_survive_a_restart(t):
    line = Line(t)
    daemon = line.daemon(DATA_DIR=t.cwd / "data")
    first, _ = greeted(t, daemon)
    wait_for(lambda: len(files(t)) == SENTENCES, "files")
    daemon.end()

    daemon = line.daemon(DATA_DIR=t.cwd / "data")
    second, _ = greeted(t, daemon)
    assert alike(first, second), (len(first), len(second))
    assert line.asked() == SENTENCES, line.asked()
    assert daemon.metric("tts_cache_disk_hits_total") == SENTENCES
    assert daemon.metric("tts_cache_disk_bytes") >= len(first) - 8000


def test_a_crash_and_a_damaged_file(t):
    line = Line(t)
    daemon = line.daemon(DATA_DIR=t.cwd / "data")
    greeted(t, daemon)
    wait_for(lambda: len(files(t)) == SENTENCES, "files")
    daemon.kill()

    # what a kill -9 in mid write leaves, and what a loss of power does
    names = files(t)
    name = names[0]
    half = name.with_name("new-4711-0")
    half.write_bytes(name.read_bytes()[:1000])
    os.utime(half, (0, 0))
    whole = name.read_bytes()
    name.write_bytes(whole[:2000] + bytes(len(whole) - 2000))

    daemon = line.daemon(DATA_DIR=t.cwd / "data")
    assert files(t) == names, files(t)
    heard, _ = greeted(t, daemon)
    assert len(heard) > 8000
    assert line.asked() == SENTENCES + 1, line.asked()
    assert daemon.metric("tts_cache_corrupt_total") == 1
    wait_for(lambda: name.exists() and name.read_bytes() == whole,
             "the file as it was")


def test_a_disk_that_takes_no_more(t):
    """The kernel's signal for that would end the daemon, and all calls"""
    line = Line(t)
    daemon = line.daemon(DATA_DIR=t.cwd / "data")
    resource.prlimit(daemon.proc.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    greeted(t, daemon)
    daemon.wait_metric("tts_cache_unwritten_total", SENTENCES)
    assert daemon.find("voice cache cannot be written.*File too large")
    assert not files(t)
    greeted(t, daemon)
    assert line.asked() == SENTENCES, line.asked()


def test_a_folder_that_cannot_be_used(t):
    line = Line(t)
    daemon = line.daemon(DATA_DIR="/dev/null", listening=False)
    daemon.status_expected = 1
    assert daemon.wait() == 1
    assert daemon.find("DATA_DIR: /dev/null: Not a directory")
    daemon.killed = True


def test_prewarm(t):
    line = Line(t)
    (t.cwd / "texts").write_text(
        "# what every caller hears\n"
        "Hello, this is the Riverside Practice.\nHow can I help you?\n"
        "\nIs there anything else?\n", encoding="utf-8")
    daemon = line.daemon(TTS_PREWARM="texts")
    daemon.wait_line(r'event="voice is warm" texts=3 failed=0')
    assert line.asked() == SENTENCES + 1, line.asked()
    greeted(t, daemon)
    assert line.asked() == SENTENCES + 1, line.asked()


# -------------------------------------------------------------- fallback

def test_fallback_when_the_voice_fails(t):
    line = Line(t, "--fault", "unavailable")
    daemon = line.daemon(TTS_FALLBACK_URL="flite:")
    heard, _ = greeted(t, daemon)
    assert len(heard) > 8000, len(heard)
    assert daemon.metric("tts_fallbacks_total") >= 1
    assert daemon.metric("apologies_total") == 0
    daemon.wait_line("fallback voice speaks")


def test_fallback_in_time(t):
    """The voice hangs, and the caller waits no longer than TTS_TIMEOUT_MS"""
    line = Line(t, "--fault", "hang")
    daemon = line.daemon(TTS_FALLBACK_URL="flite:", TTS_TIMEOUT_MS=3000)
    waits = [greeted(t, daemon)[1] for _ in range(4)]
    assert waits[0] > 3, waits
    # the same text each time, and the fallback's words are cached; after
    # three failures nobody waits for the voice any more
    assert waits[3] < 3, waits
    metrics = daemon.metrics()
    assert metrics["convod_tts_circuits_open"] == 1, metrics
    assert metrics["convod_apologies_total"] == 0, metrics
    assert line.asked() <= 5, line.asked()  # two at once, and a probe


def test_the_voice_comes_back(t):
    """Found by a probe that no caller waits for"""
    line = Line(t, "--fault", "unavailable", "--times", "4")
    daemon = line.daemon(TTS_FALLBACK_URL="flite:")
    for _ in range(2):  # two sentences each
        greeted(t, daemon)
    assert daemon.metric("tts_circuits_open") == 1

    def closed():
        greeted(t, daemon)
        return daemon.metric("tts_circuits_open") == 0
    wait_for(closed, "the circuit closed", 60)
    fallbacks = daemon.metric("tts_fallbacks_total")
    heard, _ = greeted(t, daemon)
    assert len(heard) > 8000
    assert daemon.metric("tts_fallbacks_total") == fallbacks
    assert daemon.metric("tts_probes_total") >= 1
