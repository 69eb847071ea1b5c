"""A Masdif that can be told to fail at any of its three jobs, and to recover.

In this process, so that a test changes its mind at any moment; what a healthy
one answers is tests/peers/masdif_server.py's business. It answers with a clip
that is known byte by byte, which shows in what the caller heard.
"""
import json
import socket
import struct
import threading
import time
import uuid

from harness import HERE, hold

MP3 = (HERE.parent / "data" / "masdif" / "answer.mp3").read_bytes()
PAGE = b"<!DOCTYPE html><html><body><h1>Oh dear</h1></body></html>"
JSON, HTML = "application/json; charset=utf-8", "text/html; charset=utf-8"
RESET = struct.pack("ii", 1, 0)


def wav(ulaw):
    """8 kHz, mono, G.711"""
    fmt = struct.pack("<HHIIHHH", 7, 1, 8000, 8000, 1, 8, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + \
        b"data" + struct.pack("<I", len(ulaw)) + ulaw
    return b"RIFF" + struct.pack("<I", len(body)) + body


class Masdif:
    """`faults` says which stage ("create", "turn", "audio") fails, and how"""

    def __init__(self, clip, faults=None, delay=None):
        self.audio = wav(clip)
        self.faults = dict(faults or {})
        self.delay = delay or (lambda stage: 0)
        self.lock = threading.Lock()
        self.log = []          # (stage, body, conversation)
        self.asking = {}       # conversation to turns in flight
        self.overlaps = 0
        self.connections = set()
        self.foreign_hits = 0
        self.recovered = threading.Event()
        self.held = hold()
        self.port = self.held.getsockname()[1]
        self.listener = self._listen()
        self.foreign = socket.create_server(("127.0.0.1", 0))
        port = self.foreign.getsockname()[1]
        self.foreign_url = f"http://127.0.0.1:{port}/x.wav"
        self.inward_url = f"http://localhost:{port}/x.wav"
        self._run(self._count_foreign)
        self._run(self._accept, self.listener)
        if self.faults.get("create") == "refuse":
            self.refuse()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _listen(self):
        return socket.create_server(("127.0.0.1", self.port), reuse_port=True)

    @staticmethod
    def _run(function, *args):
        threading.Thread(target=function, args=args, daemon=True).start()

    def seen(self, stage):
        with self.lock:
            return [entry for entry in self.log if entry[0] == stage]

    # -------------------------------------------------------------- ending

    def refuse(self, keep=None):
        """Nobody listens any more, and no connection but one is left"""
        with self.lock:
            listener, self.listener = self.listener, None
        if listener:
            # accept() in the other thread would keep it open
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop(keep)

    def drop(self, keep=None):
        with self.lock:
            connections = self.connections - {keep}
        for conn in connections:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def recover(self):
        self.faults = {}
        self.recovered.set()
        if not self.listener:
            self.listener = self._listen()
            self._run(self._accept, self.listener)

    def close(self):
        self.refuse()
        self.recovered.set()
        self.foreign.close()
        self.held.close()

    # ------------------------------------------------------------- serving

    def _count_foreign(self):
        try:
            while True:
                self.foreign.accept()[0].close()
                self.foreign_hits += 1
        except OSError:
            pass

    def _accept(self, listener):
        try:
            while True:
                conn, _ = listener.accept()
                with self.lock:
                    if listener is not self.listener:
                        conn.close()
                        break
                    self.connections.add(conn)
                self._run(self._serve, conn)
        except OSError:
            pass

    def _serve(self, conn):
        try:
            data = b""
            while True:
                data = self._request(conn, data)
                if data is None:
                    break
        except (OSError, ValueError):
            pass
        with self.lock:
            self.connections.discard(conn)
        conn.close()

    def _request(self, conn, data):
        """One of them; returns what came behind it, None at the end"""
        while b"\r\n\r\n" not in data:
            piece = conn.recv(65536)
            if not piece:
                return None
            data += piece
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in
                   (line.split(":", 1) for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(data) < length:
            data += conn.recv(65536)
        method, path, _ = lines[0].split()
        self._answer(conn, method, path, data[:length])
        return data[length:]

    def _answer(self, conn, method, path, body):
        stage = {"POST": "create", "PUT": "turn"}.get(method, "audio")
        conversation = path.split("/")[2] if stage == "turn" else ""
        with self.lock:
            self.log.append((stage, body, conversation))
            if stage == "turn":
                now = self.asking[conversation] = \
                    self.asking.get(conversation, 0) + 1
                self.overlaps += now > 1
        time.sleep(self.delay(stage))
        if stage == "turn":
            # before it is answered: the next may follow at once
            with self.lock:
                self.asking[conversation] -= 1
        fault = self.faults.get(stage, "")
        last = stage == "turn" and self.faults.get("audio") == "refuse"
        if last:
            self.refuse(keep=conn)  # what is answered may be asked for at once
        act = getattr(self, "_" + fault, None)
        if act:
            act(conn)
        else:
            getattr(self, "_good_" + stage)(conn)
        if last:
            raise OSError("refused")

    @staticmethod
    def _send(conn, status, content_type, body, headers=""):
        conn.sendall((f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}"
                      f"\r\nContent-Length: {len(body)}\r\n{headers}\r\n")
                     .encode() + body)

    def _good_create(self, conn):
        name = str(uuid.uuid4())
        self._send(conn, 200, JSON,
                   json.dumps({"conversation_id": name}).encode())

    def _good_turn(self, conn):
        src = "/rails/x.wav"
        if self.faults.get("audio") == "foreign":
            src = self.foreign_url
        elif self.faults.get("audio") == "inward":
            src = self.inward_url
        self._send(conn, 200, JSON, json.dumps([{
            "recipient_id": "x", "text": "answer", "metadata": {},
            "message_id": "1", "data": {"attachment": [
                {"type": "audio", "payload": {"src": src}}]}}]).encode())

    def _good_audio(self, conn):
        self._send(conn, 200, "audio/x-wav", self.audio)

    # -------------------------------------------------------------- faults

    def _hang(self, _conn):
        self.recovered.wait(60)
        raise OSError("hung up")

    def _die(self, conn):
        """In the middle of the answer"""
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                     b"Content-Length: 4000\r\n\r\n[{")
        time.sleep(0.05)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raise OSError("dead")

    def _html(self, conn):
        self._send(conn, 200, HTML, PAGE)

    def _json(self, conn):
        self._send(conn, 200, JSON, b'{"conversation_id": [42], "x": "\xff')

    def _shape(self, conn):
        """JSON that is well-formed, and means nothing"""
        self._send(conn, 200, JSON, b'"conversation_id"')

    def _500(self, conn):
        self._send(conn, 500, JSON, b'{"status":500,"error":"Internal"}')

    def _404(self, conn):
        self._send(conn, 404, JSON, b'{"error":"Conversation not found"}')

    def _endless(self, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json"
                     b"\r\n\r\n")
        while not self.recovered.is_set():
            conn.sendall(b'[{"text": "and on and on"}, ' * 100)
        raise OSError("enough")

    def _drip(self, conn):
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n"
                     b"Content-Length: 4000\r\n\r\n")
        for i in range(4000):
            if self.recovered.wait(0.5):  # no sample in any time limit
                break
            conn.sendall(self.audio[i:i + 1])
        raise OSError("enough")

    def _cut(self, conn):
        """Half of an MP3, though its length was announced"""
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n"
                     b"Content-Length: %d\r\n\r\n" % len(MP3) +
                     MP3[:len(MP3) // 2])
        raise OSError("cut")

    def _redirect(self, conn):
        self._send(conn, 302, HTML, PAGE, f"Location: {self.foreign_url}\r\n")

    def _turn_inward(self, conn):
        self._send(conn, 302, HTML, PAGE, f"Location: {self.inward_url}\r\n")
