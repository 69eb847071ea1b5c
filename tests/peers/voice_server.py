#!/usr/bin/env python3
"""Voices behind HTTP, as their vendors answer: Tiro and Grammatek, OpenAI,
ElevenLabs, Deepgram, Azure, the plain /convert. The path says which.

Every text is a tone of 1 kHz, 40 ms for each of its bytes, in the format that
was asked for. What a vendor would refuse is refused as it does.

Prints {"event": "listening", "port": N}, ends with its standard input. Standard
library only.

    --port N         0: any free one
    --key KEY        that must be shown (Grammatek: ID:SECRET)
    --log FILE       one JSON line for each request
    --delay MS       before the first byte of the body
    --first-ms MS    of the audio is sent, then --pause MS, then the rest
    --token-uses N   a token of Grammatek's is good for N requests
    --times N        the first N requests only have the fault
    --fault KIND     what goes wrong:
        error        the vendor's own error for something it does not like
        unavailable  503 of a gateway: a page
        html, json   200 with a page or an error as its body
        empty        200 with nothing
        cut          half of the audio, then the connection breaks
        reset        the same, by a reset
        short        a WAV that says it is twice as long, with a clean end
        odd          with half a sample behind the last one
        silence      as long as the audio would be
        aac          as servers send it that know no other format
        loris        the head of the answer byte by byte, for ever
        split        pieces of 1, 3 and 701 bytes
        wav, wav24   a WAV of 8 or 24 kHz without a length, whatever was asked
        mp3          tests/data/audio-formats/mp3_16000.mp3 instead
        big          50 MB of it
        endless      audio as fast as it is read, for ever
        drip         100 ms of audio, then two bytes now and then
        hang         no answer
"""
import argparse
import json
import math
import re
import secrets
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from http_peer import serve

MP3 = (Path(__file__).resolve().parent.parent / "data" / "audio-formats" /
       "mp3_16000.mp3")
TONE_HZ = 1000
MS_PER_BYTE = 40
PAGE = b"<!DOCTYPE html>\n<html><body><h1>Something is wrong</h1></body></html>"
SSML = "{http://www.w3.org/2001/10/synthesis}"


def ulaw(sample):
    """ITU-T G.711, one 16-bit sample"""
    sign, sample = (0x80, -sample) if sample < 0 else (0, sample)
    sample = min(sample, 32635) + 132
    exponent = sample.bit_length() - 8
    mantissa = sample >> (exponent + 3) & 0x0f
    return ~(sign | exponent << 4 | mantissa) & 0xff


def tone(form, rate, ms):
    """A whole number of periods as "ulaw" or "s16"."""
    period = [int(8000 * math.sin(math.tau * i * TONE_HZ / rate))
              for i in range(rate // 1000 if rate % 1000 == 0 else rate)]
    if form == "ulaw":
        one = bytes(map(ulaw, period))
    else:
        one = struct.pack(f"<{len(period)}h", *period)
    n = rate * ms // 1000 * (1 if form == "ulaw" else 2)
    return (one * (n // len(one) + 1))[:n]


def wav(rate, data, length=0xffffffff):
    """Streamed: the lengths are not known yet"""
    return (b"RIFF\xff\xff\xff\xffWAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16) +
            b"data" + struct.pack("<I", length) + data)


def aac(ms):
    """Frames of 23 ms at 44.1 kHz whose content is noise"""
    head = b"\xff\xf1\x50\x80\x19\x1f\xfc"  # 200 bytes with it
    return b"".join(head + secrets.token_bytes(193) for _ in range(ms // 23))


class Refused(Exception):
    """The vendor's answer: status and JSON, None for an empty body"""

    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


class Tiro:
    """11.1, 11.2: PascalCase, the rate is a string, the language the voice's"""
    TYPE = "audio/x-wav"  # and yet it has no header

    @staticmethod
    def error(message, status=400):
        raise Refused(status, {"message": message})

    def check(self, request):
        key = request.key
        token = request.path.startswith("/tts/v1")
        if token and not request.state.use_token(
                request.header("Authorization")):
            self.error("Unauthorized", 401)
        if key and not token and request.header("Authorization") != key:
            self.error("An unknown conditon has caused a service failure.",
                       500)
        body = request.json()
        for name in ("OutputFormat", "Text", "VoiceId", "SampleRate"):
            if not isinstance(body.get(name), str):
                self.error("Validation failure for the following fields: "
                           f"{name}: ['Not a valid string.']")
        if not 1 <= len(body["Text"]) <= 3000:
            self.error("Validation failure for the following fields: Text")
        if body["OutputFormat"] != "pcm" or \
                body["SampleRate"] not in ("8000", "16000", "22050"):
            self.error("Unsupported OutputFormat and SampleRate")
        if body.get("LanguageCode", "is-IS") != "is-IS":
            self.error("Unsupported LanguageCode and VoiceId")
        if body["VoiceId"] not in ("Alfur", "Dilja"):
            self.error("An unknown conditon has caused a service failure.",
                       500)
        return body["Text"], "s16", int(body["SampleRate"])


class OpenAI:
    """11.4: pcm is 24 kHz"""
    TYPE = "audio/pcm"

    @staticmethod
    def error(message, status=400):
        raise Refused(status, {"error": {
            "message": message, "type": "invalid_request_error",
            "param": None, "code": None}})

    def check(self, request):
        key = request.key
        if key and request.header("Authorization") != f"Bearer {key}":
            self.error("Incorrect API key provided.", 401)
        body = request.json()
        for name in ("model", "input", "voice"):
            if not body.get(name):
                self.error(f"you must provide a {name} parameter")
        if len(body["input"]) > 4096:
            self.error("string too long")
        form = body.get("response_format", "mp3")
        if form not in ("pcm", "wav", "mp3"):
            self.error("unknown response_format")
        return body["input"], {"pcm": "s16"}.get(form, form), 24000


class ElevenLabs:
    """11.5: the format is a parameter of the query, and MP3 without it"""
    TYPE = "audio/basic"

    @staticmethod
    def error(message, status=400):
        raise Refused(status, {"detail": {"status": "invalid",
                                          "message": message}})

    def check(self, request):
        if request.key and request.header("xi-api-key") != request.key:
            self.error("Invalid API key", 401)
        body = request.json()
        if not body.get("text"):
            raise Refused(422, {"detail": [{
                "loc": ["body", "text"], "msg": "field required",
                "type": "value_error.missing"}]})
        form = request.query.get("output_format", "mp3_44100_128")
        if form != "ulaw_8000":
            return body["text"], "mp3", 44100
        return body["text"], "ulaw", 8000


class Deepgram:
    """11.6: only the text is in the body, and a header unless told so"""
    TYPE = "audio/mulaw"

    @staticmethod
    def error(message, status=400):
        raise Refused(status, {"err_code": "INVALID", "err_msg": message,
                               "request_id": "7"})

    def check(self, request):
        key = request.key
        if key and request.header("Authorization") != f"Token {key}":
            self.error("Invalid credentials.", 401)
        body = request.json()
        if set(body) != {"text"}:
            self.error("Unexpected fields")
        if len(body["text"]) > 2000:
            self.error("Text too long", 413)
        query = request.query
        if query.get("encoding") != "mulaw" or \
                query.get("sample_rate") != "8000" or not query.get("model"):
            self.error("Unsupported audio format")
        if query.get("container") != "none":
            return body["text"], "wav", 8000
        return body["text"], "ulaw", 8000


class Azure:
    """11.7: SSML, and mostly nothing with an error"""
    TYPE = "audio/basic"

    @staticmethod
    def error(_, status=400):
        raise Refused(status, None)

    def check(self, request):
        if request.key and \
                request.header("Ocp-Apim-Subscription-Key") != request.key:
            self.error("", 401)
        if request.header("X-Microsoft-OutputFormat") != \
                "raw-8khz-8bit-mono-mulaw" or \
                request.header("Content-Type") != "application/ssml+xml" or \
                not request.header("User-Agent"):
            self.error("")
        try:
            root = ElementTree.fromstring(request.body)
        except ElementTree.ParseError:
            self.error("")
        voice = root.find(SSML + "voice")
        if root.tag != SSML + "speak" or voice is None or \
                not voice.get("name"):
            self.error("")
        return "".join(voice.itertext()), "ulaw", 8000


class Convert:
    """11.3: a WAV of some rate"""
    TYPE = "text/html; charset=utf-8"  # as its framework has it by default

    @staticmethod
    def error(message, status=400):
        raise Refused(status, {"error": message})

    def check(self, request):
        body = request.json()
        if set(body) != {"region", "text"} or not body["text"]:
            self.error("region and text are needed")
        return body["text"], "wav", 22050


VENDORS = (
    (r"(/tts)?/v[01]/speech", Tiro()),
    (r"/v1/audio/speech", OpenAI()),
    (r"/v1/text-to-speech/[^/]+/stream", ElevenLabs()),
    (r"/v1/speak", Deepgram()),
    (r"/cognitiveservices/v1", Azure()),
    (r"/convert", Convert()),
)


class State:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.tokens = {}  # value to uses left
        self.faults = 0
        self.log = open(args.log, "a", encoding="utf-8") if args.log else None

    def record(self, **entry):
        if self.log:
            with self.lock:
                print(json.dumps(entry, ensure_ascii=False), file=self.log,
                      flush=True)

    def new_token(self):
        token = secrets.token_hex(16)
        with self.lock:
            self.tokens[token] = self.args.token_uses
        return token

    def use_token(self, header):
        token = (header or "").removeprefix("Bearer ")
        with self.lock:
            if not self.tokens.get(token):
                return False
            self.tokens[token] -= 1
            return True

    def fault(self):
        with self.lock:
            self.faults += 1
            if self.args.times and self.faults > self.args.times:
                return None
            return self.args.fault


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None

    def log_message(self, *args):
        pass

    # ------------------------------------------------------------- request

    @property
    def key(self):
        return self.state.args.key

    def header(self, name):
        return self.headers.get(name)

    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Refused(400, {"message": "Malformed body."}) from None
        return value if isinstance(value, dict) else {}

    def do_POST(self):
        parts = urlsplit(self.path)
        n = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(n)
        self.query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        self.state.record(path=self.path, headers=dict(self.headers),
                          body=self.body.decode("utf-8", "replace"))
        if parts.path == "/auth/v1":
            self.authenticate()
            return
        for pattern, vendor in VENDORS:
            if re.fullmatch(pattern, parts.path):
                self.speak(vendor)
                return
        self.answer(404, b'{"message":"Not Found"}')

    def authenticate(self):
        body = self.json()
        pair = f"{body.get('client_id')}:{body.get('client_secret')}"
        if self.key and pair != self.key:
            self.answer(401, b'{"message":"Unauthorized"}')
        else:
            self.answer(200, json.dumps(
                {"access_token": self.state.new_token(),
                 "expires_in": 3600}).encode())

    # -------------------------------------------------------------- answer

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def speak(self, vendor):
        fault = self.state.fault()
        try:
            text, form, rate = vendor.check(self)
            if fault == "error":
                vendor.error("it is not in the mood", 429)
        except Refused as refused:
            body = refused.body
            self.answer(refused.status,
                        b"" if body is None else json.dumps(body).encode())
            return

        ms = MS_PER_BYTE * len(text.encode())
        if fault == "hang":
            time.sleep(3600)
        elif fault == "loris":
            self.loris()
        elif fault == "unavailable":
            self.answer(503, PAGE, "text/html")
        elif fault == "html":
            self.answer(200, PAGE, vendor.TYPE)
        elif fault == "json":
            self.answer(200, b'{"error": {"message": "quota", "code": 7}}')
        elif fault == "empty":
            self.answer(200, b"", vendor.TYPE)
        else:
            self.send(vendor, fault, self.audio(fault, form, rate, ms))

    @staticmethod
    def audio(fault, form, rate, ms):
        """The body, and the bytes of a millisecond of it"""
        if fault == "mp3" or form == "mp3":
            return MP3.read_bytes(), 6
        if fault == "aac":
            return aac(ms), 9
        if fault == "short":
            data = tone("s16", rate, ms)
            return wav(rate, data, 2 * len(data)), 2 * rate // 1000
        if fault in ("wav", "wav24") or form == "wav":
            rate = {"wav": 8000, "wav24": 24000}.get(fault, rate)
            return wav(rate, tone("s16", rate, ms)), 2 * rate // 1000
        data = tone(form, rate, ms)
        if fault == "silence":
            data = (b"\xff" if form == "ulaw" else b"\0") * len(data)
        if fault == "odd":
            data += b"\0"
        if fault == "big":
            data = data * (50_000_000 // len(data) + 1)
        return data, rate * (1 if form == "ulaw" else 2) // 1000

    def loris(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            self.wfile.write(b"z")
            time.sleep(0.05)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def send(self, vendor, fault, audio):
        """Chunked, as all of them do"""
        args = self.state.args
        data, per_ms = audio
        time.sleep(args.delay / 1000)
        self.send_response(200)
        self.send_header("Content-Type", vendor.TYPE)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.pieces(fault, data, per_ms):
            self.chunk(piece)
            if args.pause and args.first_ms:
                time.sleep(args.pause / 1000)
        if fault == "reset":
            time.sleep(0.2)  # what is on its way would be thrown away
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        if fault in ("cut", "reset"):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def pieces(self, fault, data, per_ms):
        if fault in ("cut", "reset"):
            yield data[:len(data) // 4 * 2]
        elif fault == "split":
            at = 0
            while at < len(data):
                for n in (1, 3, 701):
                    if data[at:at + n]:
                        yield data[at:at + n]
                    at += n
        elif fault == "endless":
            while True:
                yield data
        elif fault == "drip":
            yield data[:100 * per_ms]
            while True:
                yield data[:2]
                time.sleep(0.05)
        elif self.state.args.first_ms:
            n = self.state.args.first_ms * per_ms
            yield data[:n]
            yield data[n:]
        else:
            for at in range(0, len(data), 1 << 16):
                yield data[at:at + (1 << 16)]


def parse_arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("port", "delay", "first-ms", "pause", "times"):
        p.add_argument("--" + name, type=int, default=0)
    p.add_argument("--token-uses", type=int, default=1000)
    p.add_argument("--key")
    p.add_argument("--log")
    p.add_argument("--fault", choices=(
        "error", "unavailable", "html", "json", "empty", "cut", "reset",
        "short", "odd", "silence", "aac", "loris", "split", "wav", "wav24",
        "mp3", "big", "endless", "drip", "hang"))
    return p.parse_args()


def main():
    Handler.state = State(parse_arguments())
    serve(Handler, Handler.state.args.port)


if __name__ == "__main__":
    main()
