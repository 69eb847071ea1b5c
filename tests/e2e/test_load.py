"""convo-load, against a server that does things no daemon of ours does."""
import base64
import hashlib
import json
import socket
import struct
import threading
import time

from harness import wait_for

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def text_frame(message):
    payload = json.dumps(message).encode()
    if len(payload) < 126:
        return bytes([0x81, len(payload)]) + payload
    return b"\x81\x7e" + struct.pack(">H", len(payload)) + payload


def upgrade(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n")
               if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
            b"\r\n\r\n")


class Server(threading.Thread):
    """Serves one call: the given bytes after the upgrade, cut as asked"""

    def __init__(self, after=b"", cuts=()):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.after, self.cuts = after, cuts
        self.got = b""
        self.start()

    def run(self):
        connection, _ = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer = upgrade(connection) + self.after
        start = 0
        for cut in (*self.cuts, len(answer)):
            connection.sendall(answer[start:cut])
            start = cut
            time.sleep(0.05)  # else the pieces may come as one
        while piece := connection.recv(65536):
            self.got += piece
        connection.close()


def load(t, server, *args):
    status, output = t.run("convo-load", "--json", "--calls", "1",
                           "--seconds", "1", *args,
                           f"ws://127.0.0.1:{server.port}/convo")
    return status, json.loads(output)


def test_upgrade_answer_in_pieces(t):
    status, result = load(t, Server(cuts=(1, 12, 60)))
    assert status == 0 and result["held"] == 1, result
    assert result["frames"] > 30, result


def test_refused_upgrade_ends_the_call(t):
    class Refusing(Server):
        def run(self):
            connection, _ = self.socket.accept()
            connection.sendall(b"HTTP/1.1 503 Busy\r\n\r\n")
            wait_for(lambda: not connection.recv(65536), "end")

    status, result = load(t, Refusing())
    assert status == 2 and result["refused"] == 1, result


def test_marks_that_cannot_be_kept_are_counted(t):
    def mark(name):
        return text_frame({"event": "mark", "streamSid": "MZ",
                           "mark": {"name": name}})

    audio = text_frame({"event": "media", "streamSid": "MZ", "media": {
        "payload": base64.b64encode(b"\xff" * 160).decode()}})
    status, result = load(t, Server(
        after=mark("at once") + mark("x" * 129) + audio +
        b"".join(mark(f"m{i}") for i in range(34))))
    assert status == 0, result
    assert result["marks"] == 33, result
    assert result["marks_lost"] == 3, result
    assert result["late_p99_us"] <= result["late_max_us"], result
