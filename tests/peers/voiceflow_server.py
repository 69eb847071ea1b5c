#!/usr/bin/env python3
"""A dialog manager that answers as Voiceflow's runtime does: the Dialog Manager
API and the interact stream, with a state for each user.

Prints {"event": "listening", "port": N}, ends with its standard input or on
SIGTERM. Standard library only.

    --port N            0: any free one
    --key KEY           the project's key (default VF.DM.test); raw, not Bearer
    --project ID        of the stream (default P1)
    --replies FILE      JSON object: what the caller said (lower case, a part
                        of it is enough) to a text or a list of traces
    --log FILE          one JSON line for each request
    --delay MS          before each turn's answer
    --piece-delay MS    before each piece of a stream's answer
    --fault N=KIND      the N-th interact (over all users) goes wrong; may be
                        repeated: 400 401 404 408 429 500 504, html, error
                        (status 200), empty, garbage, deep, big (50 MB), hang,
                        drop (no answer), cut (in the middle)

The dialog, where --replies has nothing: launch greets, offers two buttons and
waits 10 s (no-reply); a button and its text lead on; "no-reply" asks once
more; any other text is said back.

Two interacts at once for a user are what the real one can't do, for it reads
and writes a state without a lock: here they are answered as well, but printed
as {"event": "overlap"} and counted in GET /overlaps.
"""

import argparse
import base64
import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from http_peer import serve

JSON = "application/json; charset=utf-8"
PAGE = b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>\n"

BOOKING = {"type": "path-9z8y7x", "payload": {"label": "Booking"}}
HOURS = {"type": "intent", "payload": {
    "query": "Opening hours", "intent": {"name": "hours"}, "entities": []}}
BUTTONS = [{"name": "Booking", "request": BOOKING},
           {"name": "Opening hours", "request": HOURS}]


def speak(text):
    return {"type": "speak", "payload": {"type": "message", "message": text}}


def choice():
    return {"type": "choice", "payload": {"buttons": BUTTONS}}


def silence(seconds):
    return {"type": "no-reply", "payload": {"timeout": seconds}}


class User:
    def __init__(self):
        self.variables = {}
        self.launched = False
        self.busy = 0


class State:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.users = {}
        self.interacts = 0
        self.overlaps = 0
        self.faults = dict(f.split("=", 1) for f in args.fault)
        self.replies = {}
        if args.replies:
            with open(args.replies, encoding="utf-8") as f:
                self.replies = json.load(f)
        self.log = open(args.log, "a", encoding="utf-8") if args.log else None

    def record(self, **entry):
        if not self.log:
            return
        with self.lock:
            print(json.dumps(entry, ensure_ascii=False), file=self.log,
                  flush=True)

    def enter(self, name):
        """The user, and the fault that this request shall have"""
        with self.lock:
            user = self.users.setdefault(name, User())
            user.busy += 1
            if user.busy > 1:
                self.overlaps += 1
                print(json.dumps({"event": "overlap", "user": name}),
                      flush=True)
            return user

    def leave(self, user):
        with self.lock:
            user.busy -= 1

    def next_fault(self):
        with self.lock:
            self.interacts += 1
            return self.faults.get(str(self.interacts))

    # ------------------------------------------------------------ the dialog

    def scripted(self, said):
        for key, traces in self.replies.items():
            if key in said.lower():
                return [speak(traces)] if isinstance(traces, str) else traces
        return None

    def answer(self, user, action, draft):
        kind = action.get("type")
        payload = action.get("payload")
        if kind == "launch":
            user.launched = True
            return self.scripted("launch") or [
                speak(("Draft. " if draft else "")
                      + "Welcome to Harbour Grill."), choice(), silence(10)]
        if kind == "text":
            said = str(payload)
            return self.scripted(said) or [speak("You said %s." % said)]
        if kind == "no-reply" or kind is None:
            return self.scripted("no-reply") or [
                speak("Are you still there?"), choice(), silence(10)]
        if action == BOOKING:
            return self.scripted("booking") or [speak("For which day?")]
        if action == HOURS:
            return [speak("We open at nine.")]
        return self.scripted(kind) or [
            {"type": "debug", "payload": {"message": "no path " + str(kind)}}]


def tone(ms):
    """μ-law of 440 Hz"""
    def encode(s):
        sign = 0x80 if s < 0 else 0
        s = min(abs(s), 32635) + 132
        exponent = max(s.bit_length() - 8, 0)
        return ~(sign | exponent << 4 | s >> (exponent + 3) & 15) & 0xff
    return bytes(encode(int(8000 * math.sin(2 * math.pi * 440 * i / 8000)))
                 for i in range(8 * ms))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None
    user = None  # whose request is under way

    def log_message(self, *args):
        pass

    # --------------------------------------------------------------- answers

    def enter(self, name):
        self.user = self.state.enter(name)
        return self.user

    def leave(self):
        """Before the last of an answer: the next may follow at once"""
        if self.user:
            self.state.leave(self.user)
        self.user = None

    def answer(self, status, body, content_type=JSON, headers=()):
        self.leave()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status, value, headers=()):
        self.answer(status, json.dumps(value, ensure_ascii=False).encode(),
                    JSON, headers)

    def refuse(self, status, why):
        self.answer_json(status, {
            "code": status, "status": "Error", "timestamp": 1722506400000,
            "dateTime": "2024-08-01T10:00:00.000Z", "data": why})

    def read_json(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n)
        self.state.record(method=self.command, path=self.path,
                          authorization=self.headers.get("Authorization"),
                          version=self.headers.get("versionID"),
                          accept=self.headers.get("Accept"),
                          body=body.decode("utf-8", "replace"))
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def is_allowed(self):
        key = self.headers.get("Authorization")
        if key == self.state.args.key:
            return True
        self.refuse(401, "Unauthorized" if key else "Auth Key Required")
        return False

    # ---------------------------------------------------------------- routes

    def do_GET(self):
        if self.path == "/overlaps":
            self.answer_json(200, self.state.overlaps)
        else:
            self.refuse(404, "Not Found")

    def do_PATCH(self):
        body = self.read_json()
        parts = urlsplit(self.path).path.split("/")
        if len(parts) != 5 or parts[1:3] != ["state", "user"] or \
                parts[4] != "variables":
            self.refuse(404, "Not Found")
        elif body is None:
            self.answer_json(400, {"name": "BadRequest", "message": "body"})
        elif self.is_allowed():
            user = self.enter(unquote(parts[3]))
            user.variables.update(body)
            self.answer_json(200, {"variables": user.variables})

    def do_POST(self):
        body = self.read_json()
        url = urlsplit(self.path)
        parts = url.path.split("/")
        stream = len(parts) == 8 and parts[1:3] == ["v2", "project"] and \
            parts[4] == "user" and parts[6:] == ["interact", "stream"]
        if stream and parts[3] != self.state.args.project:
            self.refuse(404, "Model not found.")
        elif not stream and (len(parts) != 5 or parts[4] != "interact"
                             or parts[1:3] != ["state", "user"]):
            self.refuse(404, "Not Found")
        elif body is None:
            self.answer_json(400, {"name": "BadRequest", "message": "body"})
        elif self.is_allowed():
            name = unquote(parts[5] if stream else parts[3])
            try:
                self.interact(self.enter(name), body, parse_qs(url.query),
                              stream)
            finally:
                self.leave()

    def interact(self, user, body, query, stream):
        fault = self.state.next_fault()
        if fault and self.misbehave(fault):
            return
        action = body.get("action", body.get("request")) or {}
        if action.get("type") == "text" and not action.get("payload"):
            self.answer_json(400, {"name": "BadRequest", "message": "payload"})
            return
        user.variables.update(body.get("variables") or {})
        version = query.get("environment", [None])[0] if stream \
            else self.headers.get("versionID")
        traces = self.state.answer(user, action,
                                   version in (None, "development"))
        time.sleep(self.state.args.delay / 1000)
        if stream:
            self.answer_events(traces, query, fault == "cut")
        elif fault == "cut":
            text = json.dumps(traces).encode()
            self.leave()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[:len(text) // 2])
            self.close_connection = True
        else:
            exclude = (body.get("config") or {}).get("excludeTypes", [])
            self.answer_json(200, [t for t in traces
                                   if t["type"] not in exclude])

    # --------------------------------------------------------------- streams

    def send_event(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def pieces(self, traces, query):
        """The events of an answer: what a model would write comes in bits"""
        for trace in traces:
            message = trace.get("payload", {}) and \
                trace["payload"].get("message") \
                if isinstance(trace.get("payload"), dict) else None
            spoken = trace["type"] in ("speak", "text") and message
            if spoken and query.get("completion_events") == ["true"] and \
                    message != "transfer-now":
                yield {"type": "completion", "payload": {"state": "start"}}
                for at in range(0, len(message), 5):
                    yield {"type": "completion", "payload": {
                        "state": "content", "content": message[at:at + 5]}}
                yield {"type": "completion", "payload": {"state": "end"}}
                continue
            yield trace
            if spoken and query.get("audio_events") == ["true"]:
                yield {"type": "audio", "payload": {"state": "start"}}
                ulaw = tone(40 * len(message))
                for at in range(0, len(ulaw), 800):
                    yield {"type": "audio", "payload": {
                        "state": "content",
                        "encoding": query["audio_encoding"][0],
                        "content": base64.b64encode(
                            ulaw[at:at + 800]).decode()}}
                yield {"type": "audio", "payload": {"state": "end"}}

    def answer_events(self, traces, query, cut):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.send_event(": keep-alive\n\n")
        number = 0
        for number, piece in enumerate(self.pieces(traces, query), 1):
            time.sleep(self.state.args.piece_delay / 1000)
            if cut:
                self.leave()
            self.send_event("event: trace\nid: %d\ndata: %s\n\n"
                            % (number, json.dumps(piece)))
            if cut:
                self.close_connection = True
                return
        self.leave()
        self.send_event("event: end\nid: %d\ndata: {}\n\n" % (number + 1))
        self.wfile.write(b"0\r\n\r\n")

    # ---------------------------------------------------------------- faults

    def misbehave(self, fault):
        """True if that was the answer"""
        if fault == "408":
            self.answer(408, b"response timeout", "text/plain; charset=utf-8")
        elif fault == "429":
            self.answer_json(429, {"code": 429, "data": "rate limit exceeded"},
                             [("Retry-After", "1")])
        elif fault == "400":
            self.answer_json(400, {
                "name": "BadRequest", "requestID": "3c0f7a", "message":
                "Voiceflow project was not published to production"})
        elif fault.isdigit():
            self.refuse(int(fault), "because")
        elif fault == "html":
            self.answer(200, PAGE, "text/html")
        elif fault == "error":
            self.refuse(200, "because")
        elif fault == "empty":
            self.answer(200, b"")
        elif fault == "garbage":
            self.answer(200, b'[{"type": "text", "payload": {"mess')
        elif fault == "deep":
            self.answer(200, b"[" * 100000)
        elif fault == "big":
            self.answer(200, b" " * (50 << 20))
        elif fault == "hang":
            time.sleep(3600)
        elif fault == "drop":
            self.close_connection = True
        else:
            return False
        return True


def parse_arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--key", default="VF.DM.test")
    p.add_argument("--project", default="P1")
    p.add_argument("--replies")
    p.add_argument("--log")
    p.add_argument("--delay", type=int, default=0)
    p.add_argument("--piece-delay", type=int, default=0)
    p.add_argument("--fault", action="append", default=[])
    return p.parse_args()


def main():
    Handler.state = State(parse_arguments())
    serve(Handler, Handler.state.args.port)


if __name__ == "__main__":
    main()
