#!/usr/bin/python3
"""A bot behind a media-stream websocket, with the standard library alone.

Greets with a tone, answers with a tone when the caller falls silent, sends a
mark after each, and says goodbye (close 1000) when `*` is pressed. With
--break NAME it breaks one of Twilio's rules instead. Prints its port.
"""
import argparse
import base64
import hashlib
import json
import math
import socketserver
import struct
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LOUD = 100  # a frame with so many bytes that are no silence is speech


def ulaw(sample):
    sign, magnitude = (0x80, sample) if sample >= 0 else (0, -sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return sign ^ (0x7f ^ (exponent << 4 | magnitude >> exponent + 3 & 15))


TONE = bytes(ulaw(int(8000 * math.sin(2 * math.pi * 440 * i / 8000)))
             for i in range(8000))


class Closed(Exception):
    pass


class Bot(socketserver.BaseRequestHandler):
    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.request.recv(n - len(data))
            if not more:
                raise Closed
            data += more
        return data

    def frame(self, opcode, payload):
        n = len(payload)
        head = bytes([0x80 | opcode])
        if n < 126:
            head += bytes([n])
        elif n < 65536:
            head += b"\x7e" + struct.pack(">H", n)
        else:
            head += b"\x7f" + struct.pack(">Q", n)
        with self.lock:
            self.request.sendall(head + payload)

    def say(self, obj):
        self.frame(1, json.dumps(obj).encode())

    def speak(self, ms, name):
        for at in range(0, ms * 8, 960):
            part = TONE[at:min(at + 960, ms * 8)]
            self.say({"event": "media", "streamSid": self.sid, "media":
                      {"payload": base64.b64encode(part).decode()}})
        self.say({"event": "mark", "streamSid": self.sid,
                  "mark": {"name": name}})

    def upgrade(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.exactly(1)
        fields = dict(line.split(": ", 1)
                      for line in head.decode().split("\r\n")[1:] if line)
        if self.server.fault == "refuse":
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\n"
                                 b"Content-Length: 0\r\n\r\n")
            raise Closed
        key = fields["Sec-WebSocket-Key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self.request.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
            b"\r\n\r\n")

    def receive(self):
        head = self.exactly(2)
        n = head[1] & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.exactly(2))[0]
        mask = self.exactly(4)
        data = self.exactly(n)
        return head[0] & 15, bytes(b ^ mask[i & 3] for i, b in
                                   enumerate(data))

    def misbehave(self):
        fault, sid = self.server.fault, self.sid
        media = {"event": "media", "streamSid": sid,
                 "media": {"payload": "/////w=="}}
        bad = {
            "extra": dict(media, sequenceNumber="1"),
            "missing": {"event": "media", "streamSid": sid, "media": {}},
            "type": {"event": "mark", "streamSid": sid, "mark": {"name": 1}},
            "event": {"event": "dtmf", "streamSid": sid},
            "stream": dict(media, streamSid="MZ0"),
            "base64": dict(media, media={"payload": "!!!!"}),
        }
        if fault in bad:
            self.say(bad[fault])
        elif fault == "binary":
            self.frame(2, b"\xff" * 160)
        elif fault == "json":
            self.frame(1, b"{")
        elif fault == "full":
            for _ in range(62):
                self.say(dict(media, media={"payload": base64.b64encode(
                    TONE * 10).decode()}))
        elif fault == "bare-close":
            self.frame(8, b"")
        elif fault == "vanish":
            raise Closed

    def started(self, message):
        self.sid = message["streamSid"]
        self.misbehave()
        if self.server.fault == "mute":
            return
        self.speak(400, "greeting")

    def heard(self, message):
        audio = base64.b64decode(message["media"]["payload"])
        if sum(b not in (0xff, 0x7f) for b in audio) >= LOUD:
            self.speech, self.silence = self.speech + 1, 0
        else:
            self.silence += 1
        if self.speech >= 5 and self.silence >= 15:
            self.speech = 0
            if self.server.fault != "mute":
                self.speak(600, "answer")

    def handle(self):
        self.lock = threading.Lock()
        self.speech = self.silence = 0
        try:
            self.upgrade()
            if self.server.fault == "early":
                self.say({"event": "clear", "streamSid": "MZ0"})
            while True:
                opcode, data = self.receive()
                if opcode == 8:
                    self.frame(8, data)
                    time.sleep(0.05)
                    return
                if opcode != 1:
                    continue
                message = json.loads(data)
                if message["event"] == "start":
                    self.started(message)
                elif message["event"] == "media":
                    self.heard(message)
                elif message["event"] == "dtmf" and \
                        message["dtmf"]["digit"] == "*":
                    self.frame(8, struct.pack(">H", 1000) + b"goodbye")
                elif message["event"] == "dtmf":
                    self.say({"event": "clear", "streamSid": self.sid})
                    self.speak(300, "key")
        except (Closed, OSError):
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--break", dest="fault", default="")
    options = parser.parse_args()
    with Server(("127.0.0.1", 0), Bot) as server:
        server.fault = options.fault
        print(server.server_address[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
