"""A carrier with one caller, as Twilio behaves on the wire.

Frames of 20 ms, a buffer for what the bot says, marks that come back when the
audio before them has been played, everything at real time. What Twilio would
refuse is an error here too.
"""
import base64
import json
import threading
import time

import wsraw

FRAME = 160  # bytes of 20 ms
SILENCE = b"\xff" * FRAME
FIELDS = {"media": {"event", "streamSid", "media"},
          "mark": {"event", "streamSid", "mark"},
          "clear": {"event", "streamSid"}}

_serial = iter(range(1, 1 << 30))


class Caller:
    def __init__(self, port, path="/convo", headers=(), ca_file=None,
                 params=None):
        number = next(_serial)
        self.call_sid = f"CA{number:032x}"
        self.stream_sid = f"MZ{number:032x}"
        self.params = params or {}
        self.ws = wsraw.WebSocket(port, path, headers, ca_file)
        self.lock = threading.Lock()
        self.send_lock = threading.Lock()
        self.speech = b""      # still to be said
        self.buffer = []       # (payload or mark name), not yet played
        self.heard = b""       # what the caller has heard, without gaps
        self.received = 0      # bytes of audio that arrived
        self.marks = []        # names that were played
        self.clears = 0
        self.errors = []
        self.closed = None     # code, when the daemon has closed
        self.sequence = self.chunk = 0
        self.running = False
        self.threads = []

    # ---------------------------------------------------------- to the bot

    def send(self, **message):
        with self.send_lock:
            if message["event"] != "connected":
                self.sequence += 1
                message["sequenceNumber"] = str(self.sequence)
                message["streamSid"] = self.stream_sid
            self.ws.send_text(json.dumps(message))

    def start(self):
        self.send(event="connected", protocol="Call", version="1.0.0")
        self.send(event="start", start={
            "streamSid": self.stream_sid, "callSid": self.call_sid,
            "accountSid": "AC" + "0" * 32, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw",
                            "sampleRate": 8000, "channels": 1},
            "customParameters": self.params})
        self.running = True
        for body in (self._talk, self._listen):
            thread = threading.Thread(target=body, daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def say(self, ulaw):
        with self.lock:
            self.speech += ulaw

    def dtmf(self, digit):
        self.send(event="dtmf", dtmf={"track": "inbound_track",
                                      "digit": digit})

    def hang_up(self, stop=True):
        """Returns the close code, None if the socket just ended"""
        self.running = False
        for thread in self.threads[:1]:
            thread.join(5)
        try:
            if stop:
                self.send(event="stop",
                          stop={"accountSid": "AC" + "0" * 32,
                                "callSid": self.call_sid})
            self.ws.close()
        except OSError:
            pass
        for thread in self.threads[1:]:
            thread.join(10)
        self.ws.drop()
        assert not self.errors, self.errors
        return self.closed

    def _talk(self):
        due = begun = time.monotonic()
        while self.running and self.closed is None:
            with self.lock:
                frame, self.speech = self.speech[:FRAME], self.speech[FRAME:]
            frame += SILENCE[len(frame):]
            self.chunk += 1
            try:
                self.send(event="media", media={
                    "track": "inbound", "chunk": str(self.chunk),
                    "timestamp": str(int((due - begun) * 1000) + 155),
                    "payload": base64.b64encode(frame).decode()})
                self._play()
            except OSError:
                return
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))

    def _play(self):
        """20 ms of the buffer reach the caller's ear"""
        played, left = [], FRAME
        with self.lock:
            while self.buffer:
                kind, value = self.buffer[0]
                if kind == "mark":
                    played.append(value)
                    self.buffer.pop(0)
                elif left == 0:
                    break
                else:
                    self.heard += value[:left]
                    rest = value[left:]
                    left = max(0, left - len(value))
                    if rest:
                        self.buffer[0] = (kind, rest)
                    else:
                        self.buffer.pop(0)
            self.marks += played
        self._echo(played)

    def _echo(self, names):
        for name in names:
            self.send(event="mark", mark={"name": name})

    # -------------------------------------------------------- from the bot

    def _listen(self):
        try:
            while True:
                opcode, payload = self.ws.recv(None)
                if opcode != wsraw.TEXT:
                    self.errors.append("a binary message")
                else:
                    self._message(json.loads(payload))
        except wsraw.Closed as closed:
            self.closed = closed.code or 1006
        except OSError:
            self.closed = 1006
        except (AssertionError, ValueError, KeyError) as error:
            self.errors.append(repr(error))

    def _message(self, message):
        event = message["event"]
        assert set(message) == FIELDS[event], f"fields {sorted(message)}"
        assert message["streamSid"] == self.stream_sid, "streamSid"
        if event == "media":
            assert set(message["media"]) == {"payload"}, "fields of media"
            audio = base64.b64decode(message["media"]["payload"],
                                     validate=True)
            assert audio and len(audio) % FRAME == 0, "not whole frames"
            with self.lock:
                self.received += len(audio)
                self.buffer.append(("media", audio))
        elif event == "mark":
            assert set(message["mark"]) == {"name"}, "fields of mark"
            with self.lock:
                self.buffer.append(("mark", message["mark"]["name"]))
        else:
            with self.lock:
                flushed = [v for k, v in self.buffer if k == "mark"]
                self.buffer.clear()
                self.clears += 1
            self._echo(flushed)
