"""A websocket client that can also do what it must not (RFC 6455)."""
import base64
import os
import socket
import ssl
import struct

BOUND = 60  # seconds, as in harness.py
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The upgrade was answered with another status than 101"""

    def __init__(self, status, head, body):
        super().__init__(f"upgrade answered {status}")
        self.status, self.head, self.body = status, head, body


class Closed(Exception):
    """The peer closed; code is None when it did so without a close frame"""

    def __init__(self, code, reason=""):
        super().__init__(f"closed {code} {reason}")
        self.code, self.reason = code, reason


def connect_tcp(port, ca_file=None, timeout=BOUND):
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if ca_file:
        context = ssl.create_default_context(cafile=ca_file)
        sock = context.wrap_socket(sock, server_hostname="localhost")
    return sock


def read_head(sock):
    """Status line and headers; returns (status, head, rest)"""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise Closed(None, f"in the head: {data[:200]!r}")
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), head.decode("latin-1"), rest


class WebSocket:
    def __init__(self, port, path="/convo", headers=(), ca_file=None,
                 timeout=BOUND):
        self.sock = connect_tcp(port, ca_file, timeout)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Connection: Upgrade",
                 "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if not any(name.lower() == "host" for name, _ in headers):
            lines.append(f"Host: localhost:{port}")
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status, self.head, self.data = read_head(self.sock)
        if status != 101:
            body = self.data
            self.sock.close()
            raise Refused(status, self.head, body)
        self.parts = []

    # ------------------------------------------------------------- sending

    def send_frame(self, opcode, payload=b"", fin=True, masked=True):
        head = bytes([(0x80 if fin else 0) | opcode])
        bit = 0x80 if masked else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
        if masked:
            mask = os.urandom(4)
            pad = (mask * (len(payload) // 4 + 1))[:len(payload)]
            number = int.from_bytes(payload, "big") ^ \
                int.from_bytes(pad, "big")
            payload = mask + number.to_bytes(len(payload), "big")
        self.sock.sendall(head + payload)

    def send_text(self, text):
        if isinstance(text, str):
            text = text.encode()
        self.send_frame(TEXT, text)

    def close(self, code=1000):
        try:
            self.send_frame(CLOSE, struct.pack(">H", code))
        except OSError:
            pass

    def drop(self):
        self.sock.close()

    # ----------------------------------------------------------- receiving

    def _need(self, count):
        while len(self.data) < count:
            piece = self.sock.recv(65536)
            if not piece:
                raise Closed(None)
            self.data += piece

    def recv_frame(self, timeout=None):
        """One frame (fin, opcode, payload); TimeoutError keeps the rest"""
        self.sock.settimeout(timeout)
        try:
            self._need(2)
            length, at = self.data[1] & 0x7f, 2
            assert not self.data[1] & 0x80, "a server must not mask"
            assert not self.data[0] & 0x70, "no extension was offered"
            if length == 126:
                self._need(4)
                length, at = struct.unpack(">H", self.data[2:4])[0], 4
            elif length == 127:
                self._need(10)
                length, at = struct.unpack(">Q", self.data[2:10])[0], 10
            self._need(at + length)
        except (ConnectionError, ssl.SSLError) as error:
            raise Closed(None, str(error)) from error
        fin, opcode = bool(self.data[0] & 0x80), self.data[0] & 0x0f
        payload = self.data[at:at + length]
        self.data = self.data[at + length:]
        return fin, opcode, payload

    def recv(self, timeout=BOUND):
        """One message (opcode, payload); answers pings; raises Closed"""
        while True:
            fin, opcode, payload = self.recv_frame(timeout)
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] \
                    if len(payload) >= 2 else 1005
                self.close(code)
                raise Closed(code, payload[2:].decode())
            elif opcode != PONG:
                self.parts.append(payload)
                if fin:
                    whole, self.parts = b"".join(self.parts), []
                    return opcode, whole

    def wait_closed(self, timeout=BOUND):
        """Read on until the peer closes; returns the code"""
        try:
            while True:
                self.recv(timeout)
        except Closed as closed:
            return closed.code
