"""Voices behind HTTP, through the daemon to the caller's ear.

The peer speaks tones of 1 kHz whose length is the text's, so a wrong rate, a
wrong format or a lost piece can be heard.
"""
import itertools
import json

from caller import SILENCE
from harness import in_parallel, json_lines, wait_for
from test_call import words

MS_PER_BYTE = 40  # as tests/peers/voice_server.py has it
TONE_HZ = 1000
TEXT = "one two three"

serial = itertools.count()

# scheme, what follows the address, settings, path of the request
VENDORS = {
    "tiro": ("", {"TTS_VOICE": "Alfur"}, "/v0/speech"),
    "grammatek": ("/tts/v1", {"TTS_VOICE": "Alfur", "TTS_KEY": "me:secret"},
                  "/tts/v1/speech"),
    "openai": ("", {"TTS_KEY": "sk-1", "TTS_MODEL": "tts-1"},
               "/v1/audio/speech"),
    "elevenlabs": ("", {"TTS_KEY": "xi", "TTS_VOICE": "v1"},
                   "/v1/text-to-speech/v1/stream?output_format=ulaw_8000"),
    "deepgram": ("", {"TTS_API_KEY": "dg"},
                 "/v1/speak?model=aura-2-thalia-en&encoding=mulaw"
                 "&sample_rate=8000&container=none"),
    "azure": ("", {"TTS_KEY": "az", "TTS_VOICE": "is-IS-GunnarNeural"},
              "/cognitiveservices/v1"),
    "convert": ("", {}, "/convert"),
}


def decode(code):
    """ITU-T G.711, one byte"""
    code = ~code & 0xff
    value = ((code & 0x0f) << 3 | 0x84) << (code >> 4 & 7)
    return 0x84 - value if code & 0x80 else value - 0x84


def loud(ulaw):
    """Without the silence before and after"""
    pcm = [decode(c) for c in ulaw]
    where = [i for i, x in enumerate(pcm) if abs(x) > 1000]
    return pcm[where[0]:where[-1] + 1] if where else []


def assert_tone(ulaw, ms, name):
    pcm = loud(ulaw)
    assert abs(len(pcm) / 8 - ms) <= 25, \
        f"{name}: {len(pcm) / 8} ms instead of {ms}"
    rises = sum(a < 0 <= b for a, b in zip(pcm, pcm[1:]))
    hz = rises * 8000 / len(pcm)
    assert abs(hz - TONE_HZ) < 20, f"{name}: {hz:.0f} Hz"


class Line:
    """Peers, daemon, and a caller who says TEXT to an echo"""

    def __init__(self, t, name, *faults, **more):
        rest, settings, self.path = VENDORS[name]
        key = settings.get("TTS_KEY") or settings.get("TTS_API_KEY")
        self.log = t.cwd / f"voice-{next(serial)}.jsonl"
        self.voice = t.peer("voice_server.py", "--log", str(self.log),
                            *(["--key", key] if key else []), *faults)
        self.axy = t.peer("axy_server.py")
        scheme = "tiro" if name == "grammatek" else name
        settings = {
            "TTS_URL": f"{scheme}+http://127.0.0.1:{self.voice.port}{rest}",
            "TTS_FALLBACK_URL": "none:", "LANGUAGE": "is-IS",
            "TTS_TIMEOUT_MS": 30000,
            "TTS_CACHE_MB": 0, "TTS_CACHE_DISK_MB": 0,
            "ASR_SERVER_URL": f"grpc://127.0.0.1:{self.axy.port}",
            "DIALOG_URL": "echo:"} | settings | more
        self.daemon = t.daemon(**settings)
        self.caller = t.caller(self.daemon).start()
        self.caller.say(SILENCE * 5 + words(1, 2, 3))

    def requests(self):
        return json_lines(self.log)

    def hear(self):
        """All that the bot says to it"""
        wait_for(lambda: self.caller.marks and not self.caller.buffer,
                 "an answer heard")
        return self.caller.heard

    def hang_up(self):
        self.caller.hang_up()
        self.daemon.wait_idle()

    def end(self):
        self.hang_up()
        self.daemon.end()


def spoken(t, name, *faults, **more):
    """The caller hears the text, whole and at the right pitch"""
    line = Line(t, name, *faults, **more)
    assert_tone(line.hear(), MS_PER_BYTE * len(TEXT), name)
    assert line.daemon.metric("tts_failed_total") == 0
    asked = [r for r in line.requests() if r["path"] != "/auth/v1"]
    assert [r["path"] for r in asked] == [line.path], asked
    assert TEXT in asked[0]["body"], asked
    line.end()
    return line


def test_tiro(t):
    spoken(t, "tiro")


def test_grammatek(t):
    line = spoken(t, "grammatek")
    assert [r["path"] for r in line.requests()][0] == "/auth/v1"
    assert "secret" not in line.daemon.output()


def test_openai(t):
    line = spoken(t, "openai")
    assert "sk-1" not in line.daemon.output()


def test_elevenlabs(t):
    spoken(t, "elevenlabs")


def test_deepgram(t):
    spoken(t, "deepgram")


def test_azure(t):
    spoken(t, "azure")


def test_convert(t):
    spoken(t, "convert")


def test_pieces_of_odd_size(t):
    in_parallel((name, spoken, t, name, "--fault", "split")
                for name in ("tiro", "openai", "deepgram", "convert"))


def test_half_a_sample(t):
    for name in ("tiro", "openai"):
        spoken(t, name, "--fault", "odd")


def test_other_formats_than_asked(t):
    """A WAV of any rate, where raw μ-law or PCM was asked for"""
    in_parallel((name, spoken, t, name, "--fault", fault)
                for name, fault in (("tiro", "wav24"), ("openai", "wav24"),
                                    ("elevenlabs", "wav24"),
                                    ("deepgram", "wav")))


def test_slow_rest_is_no_failure(t):
    """A vendor may think while the caller listens"""
    spoken(t, "deepgram", "--first-ms", "400", "--pause", "300")


def failed(t, name, *faults, failures=1, **more):
    """It is counted, and the caller hears an apology instead"""
    line = Line(t, name, *faults, **more)
    line.daemon.wait_metric("apologies_total")
    assert line.daemon.metric("tts_failed_total") == failures
    wait_for(lambda: len(loud(line.caller.heard)) > 4000, "the apology")
    line.end()
    return line


def test_wrong_key(t):
    def refused(name, setting, key, event):
        line = failed(t, name, **{setting: key})
        line.daemon.wait_line(f'event="{event}".* status=401')

    in_parallel((row[0], refused, *row) for row in (
        ("openai", "TTS_KEY", "wrong", "voice failed"),
        ("elevenlabs", "TTS_KEY", "wrong", "voice failed"),
        ("deepgram", "TTS_API_KEY", "wrong", "voice failed"),
        ("azure", "TTS_KEY", "wrong", "voice failed"),
        ("grammatek", "TTS_KEY", "me:wrong", "no token for the voice")))


def test_token_has_run_out(t):
    """One new one, and the caller notices nothing"""
    line = Line(t, "grammatek", "--token-uses", "1")
    line.hear()
    marks = len(line.caller.marks)
    line.caller.say(words(1, 2, 3))
    wait_for(lambda: len(line.caller.marks) > marks, "a second answer")
    assert line.daemon.metric("tts_failed_total") == 0
    paths = [r["path"] for r in line.requests()]
    assert paths == ["/auth/v1", "/tts/v1/speech", "/tts/v1/speech",
                     "/auth/v1", "/tts/v1/speech"], paths
    line.hang_up()


def test_what_the_vendor_says_is_logged(t):
    line = failed(t, "deepgram", "--fault", "error")
    line.daemon.wait_line(r'status=429 says="it is not in the mood"')


def test_no_audio(t):
    """Pages, errors with 200, noise, silence and nothing are not played"""
    in_parallel((f"{name} {fault}", failed, t, name, "--fault", fault)
                for fault in ("html", "json", "empty", "unavailable", "aac",
                              "silence")
                for name in ("deepgram", "tiro"))


def test_no_answer(t):
    for fault in ("hang", "loris"):
        failed(t, "azure", "--fault", fault, TTS_TIMEOUT_MS=500)


def second_voice(t, *args):
    """Another vendor's server, and what it was asked"""
    log = t.cwd / "second.jsonl"
    voice = t.peer("voice_server.py", "--log", str(log), *args)
    return voice.port, lambda: json_lines(log)


def test_no_answer_of_the_fallback_either(t):
    """One after the other, each has its time, and then there is an apology"""
    port, asked = second_voice(t, "--fault", "hang")
    failed(t, "deepgram", "--fault", "hang", TTS_TIMEOUT_MS=500,
           TTS_FALLBACK_URL=f"deepgram+http://127.0.0.1:{port}", failures=2)
    assert len(asked()) == 1, asked()


def test_proxies_only_if_asked_for(t):
    nobody = {name: "http://127.0.0.1:1" for name in
              ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY")}
    spoken(t, "deepgram", **nobody)
    failed(t, "tiro", HTTP_PROXY_FROM_ENV="true", **nobody)


def test_answer_after_the_call(t):
    """Nobody is there to hear it, and the next caller notices nothing"""
    line = Line(t, "deepgram", "--delay", "700")
    wait_for(line.requests, "the request")
    line.hang_up()
    line.caller = t.caller(line.daemon).start()
    line.caller.say(SILENCE * 5 + words(1, 2, 3))
    assert_tone(line.hear(), MS_PER_BYTE * len(TEXT), "the next one")
    assert line.daemon.metric("tts_failed_total") == 0
    line.hang_up()


def test_what_came_is_played(t):
    """A body that breaks off: the caller hears what there is"""
    def played(name, fault):
        line = Line(t, name, "--fault", fault)
        assert_tone(line.hear(), MS_PER_BYTE * len(TEXT) / 2, name)
        line.daemon.wait_metric("tts_failed_total")
        line.end()

    in_parallel((" ".join(row), played, *row) for row in (
        ("deepgram", "cut"), ("tiro", "cut"), ("deepgram", "reset"),
        ("openai", "reset")))


def test_cut_is_not_cached(t):
    """Nor a WAV that is shorter than it says, though all seemed well"""
    line = Line(t, "convert", "--fault", "short", TTS_CACHE_MB=1)
    assert_tone(line.hear(), MS_PER_BYTE * len(TEXT), "a short WAV")
    assert line.daemon.metric("tts_failed_total") == 1
    assert line.daemon.metric("tts_cache_bytes") == 0
    line.hang_up()


def test_drip(t):
    """It never pauses, and yet it does not keep the caller waiting"""
    line = Line(t, "elevenlabs", "--fault", "drip", TTS_TIMEOUT_MS=500)
    line.daemon.wait_metric("tts_failed_total")
    line.daemon.wait_line(r'event="voice failed".*timed out')
    line.hang_up()


def test_too_much(t):
    """AUDIO_MAX_SECONDS of it, and then the line is free"""
    for fault in ("big", "endless"):
        line = Line(t, "deepgram", "--fault", fault, AUDIO_MAX_SECONDS=2)
        assert_tone(line.hear(), 2000, fault)
        line.hang_up()


def test_fallback_of_another_vendor(t):
    """It has a voice and a key of its own"""
    port, asked = second_voice(t, "--key", "az")
    line = Line(t, "elevenlabs", "--fault", "unavailable",
                TTS_FALLBACK_URL=f"azure+http://127.0.0.1:{port}",
                TTS_FALLBACK_VOICE="is-IS-GunnarNeural",
                TTS_FALLBACK_KEY="az")
    assert_tone(line.hear(), MS_PER_BYTE * len(TEXT), "azure")
    assert "name='is-IS-GunnarNeural'" in asked()[0]["body"], asked()
    assert line.daemon.metric("apologies_total") == 0
    line.hang_up()


def test_keys_are_shown_to_nobody_else(t):
    """Not to another server that speaks like the vendor's either"""
    port, asked = second_voice(t)
    line = Line(t, "openai", "--fault", "unavailable",
                TTS_FALLBACK_URL=f"openai+http://127.0.0.1:{port}")
    assert_tone(line.hear(), MS_PER_BYTE * len(TEXT), "openai")
    assert "sk-1" not in json.dumps(asked()), asked()
    line.hang_up()


def test_wrong_options_refuse_to_start(t):
    for url, settings, why in (
            ("openai+http://127.0.0.1:1?volume=11", {}, "no such option"),
            ("openai+http://127.0.0.1:1?rate=1", {}, "8000 to 48000"),
            ("elevenlabs:", {"TTS_VOICE": "v"}, "TTS_KEY is not set"),
            ("elevenlabs:", {"TTS_KEY": "k"}, "TTS_VOICE is not set"),
            ("azure:", {"TTS_KEY": "k", "TTS_VOICE": "v"}, "region")):
        status, output = t.run("convod", PORT=0, ADMIN_PORT=0, TTS_URL=url,
                               DIALOG_URL="echo:", **settings)
        assert status != 0, url
        assert why in output and "TTS_URL" in output, output
    for settings, why in (
            ({}, "TTS_FALLBACK_VOICE is not set"),
            ({"TTS_FALLBACK_VOICE": "v"}, "TTS_FALLBACK_KEY is not set")):
        status, output = t.run("convod", PORT=0, ADMIN_PORT=0, TTS_URL="flite:",
                               TTS_FALLBACK_URL="elevenlabs:", TTS_KEY="k",
                               DIALOG_URL="echo:", **settings)
        assert status != 0, settings
        assert why in output and "TTS_FALLBACK_URL" in output, output
