#!/usr/bin/env python3
"""A dialog manager that answers as Masdif 0.4.3 (Rails 7.0) does.

Prints {"event": "listening", "port": N}, ends with its standard input or on
SIGTERM. Standard library only.

    --port N            0: any free one
    --replies FILE      JSON object: what the caller said (lower case, a part
                        of it is enough) to a text or a list of texts
    --audio FILE        MP3 of every answer's audio (default: a tone, from
                        tests/data/masdif)
    --no-audio          answers without "data", as when Masdif's voice fails
    --log FILE          one JSON line for each request
    --delay MS          before each turn's answer
    --audio-delay MS    before the audio's first byte
    --forget-after N    the N-th turn and later ones of a conversation that
                        was created before it get 404
    --hang-at N         the N-th turn is never answered
    --die-at N          the whole server dies at the N-th turn
    --drop-at N         the connection is cut at the N-th turn
    --error-at N        the N-th turn is answered 500
    --garbage-at N      the N-th turn is answered with something else
    --create-errors N   the first N POST /conversations are answered 500
    --audio-error KIND  404, html (200 and a page), cut, hang
    --redirect-to URL   the audio's 302 goes to this origin instead

Turns count from 1, over all conversations.
"""

import argparse
import json
import os
import secrets
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler

from http_peer import serve

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER = os.path.join(HERE, "..", "data", "masdif", "answer.mp3")
PAGE = b"<!DOCTYPE html>\n<html><body><h1>Something is wrong</h1></body></html>\n"
JSON = "application/json; charset=utf-8"


class State:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.conversations = set()
        self.creations = 0
        self.turns = 0
        self.forgotten = False
        self.replies = {}
        if args.replies:
            with open(args.replies, encoding="utf-8") as f:
                self.replies = json.load(f)
        with open(args.audio, "rb") as f:
            self.audio = f.read()
        self.log = open(args.log, "a", encoding="utf-8") if args.log else None

    def record(self, **entry):
        if not self.log:
            return
        with self.lock:
            print(json.dumps(entry, ensure_ascii=False), file=self.log,
                  flush=True)

    def texts_for(self, said):
        for key, texts in self.replies.items():
            if key in said.lower():
                return [texts] if isinstance(texts, str) else texts
        return ["You said %s." % said] if said else []

    def begin_turn(self, conversation):
        """The number of this turn, 0 if the conversation is not known"""
        with self.lock:
            after = self.args.forget_after
            if after and not self.forgotten and self.turns + 1 >= after:
                self.conversations.clear()
                self.forgotten = True
            if conversation not in self.conversations:
                return 0
            self.turns += 1
            return self.turns


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None

    def log_message(self, *args):
        pass

    def answer(self, status, body, content_type=JSON, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status, value):
        # as Rails: no < > & or line separators inside JSON
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for c in "<>&\u2028\u2029":
            text = text.replace(c, "\\u%04x" % ord(c))
        self.answer(status, text.encode())

    def framework_error(self, status, name):
        """What is not caught comes from Rails itself: a page, unless asked"""
        if self.headers.get("Accept") == "application/json":
            self.answer_json(status, {"status": status, "error": name})
        else:
            self.answer(status, PAGE, "text/html; charset=utf-8")

    def read_json(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n)
        self.state.record(method=self.command, path=self.path,
                          accept=self.headers.get("Accept"),
                          type=self.headers.get("Content-Type"),
                          authorization=self.headers.get("Authorization"),
                          body=body.decode("utf-8", "replace"))
        try:
            value = json.loads(body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    def do_POST(self):
        body = self.read_json()
        if self.path not in ("/conversations", "/conversations.json"):
            self.framework_error(404, "Not Found")
        elif body is None:
            self.framework_error(400, "Bad Request")
        else:
            self.create()

    def create(self):
        with self.state.lock:
            self.state.creations += 1
            fails = self.state.creations <= self.state.args.create_errors
            name = str(uuid.uuid4())
            if not fails:
                self.state.conversations.add(name)
        if fails:
            self.answer_json(500, {"error": "Rasa server error"})
        else:
            self.answer_json(200, {"conversation_id": name})

    def do_PUT(self):
        body = self.read_json()
        parts = self.path.split("/")
        if len(parts) != 3 or parts[1] != "conversations":
            self.framework_error(404, "Not Found")
        elif body is None:
            self.framework_error(400, "Bad Request")
        else:
            self.turn(parts[2], body)

    do_PATCH = do_PUT

    def turn(self, conversation, body):
        args = self.state.args
        n = self.state.begin_turn(conversation)
        if not n:
            self.answer_json(404, {"error": "Conversation not found"})
            return
        if n == args.die_at:
            os._exit(1)
        if n == args.hang_at:
            time.sleep(3600)
        if n == args.drop_at:
            self.close_connection = True
            return
        if n == args.error_at:
            self.framework_error(500, "Internal Server Error")
            return
        if n == args.garbage_at:
            self.answer(200, b"[{\"text\": \"half an ans")
            return
        time.sleep(args.delay / 1000)
        self.answer_json(200, self.elements(conversation, body))

    def elements(self, conversation, body):
        metadata = body.get("metadata")
        metadata = dict(metadata) if isinstance(metadata, dict) else {}
        metadata.setdefault("asr_generated", False)
        metadata.setdefault("language", "is-IS")
        tts = metadata.get("tts")
        speak = tts is None or str(tts).lower() == "true"
        metadata["tts"] = speak
        texts = self.state.texts_for(str(body.get("text", "")))
        if not texts:
            metadata.update(asr_generated=False, tts=False)
        elements = [{"recipient_id": conversation, "text": t} for t in texts]
        elements = elements or [{"recipient_id": conversation}]
        for e in elements:
            e["metadata"] = metadata
            e["message_id"] = str(uuid.uuid4())
        if texts and speak and not self.state.args.no_audio:
            elements[0]["data"] = {"attachment": [
                {"type": "audio", "payload": {"src": self.audio_path()}}]}
        return elements

    @staticmethod
    def audio_path():
        return "/rails/active_storage/blobs/redirect/%s==--%s/%s.mp3" % (
            secrets.token_urlsafe(30), secrets.token_hex(20),
            secrets.token_hex(20))

    def do_GET(self):
        self.state.record(method="GET", path=self.path,
                          accept=self.headers.get("Accept"),
                          authorization=self.headers.get("Authorization"))
        blobs = "/rails/active_storage/blobs/redirect/"
        if self.path == "/health":
            self.answer_json(200, dict.fromkeys(
                ("database", "dialog_system", "tts", "sidekiq", "masdif"),
                "OK"))
        elif self.path.startswith(blobs):
            # absolute, from the Host that the server saw; for five minutes
            base = self.state.args.redirect_to or (
                "http://" + self.headers.get("Host", ""))
            where = base + "/rails/active_storage/disk/" + \
                self.path[len(blobs):]
            self.answer(302, b"<html><body>You are being redirected.</body>"
                        b"</html>", "text/html; charset=utf-8",
                        [("Location", where)])
        elif self.path.startswith("/rails/active_storage/disk/"):
            self.send_audio()
        else:
            self.framework_error(404, "Not Found")

    def send_audio(self):
        kind = self.state.args.audio_error
        audio = self.state.audio
        time.sleep(self.state.args.audio_delay / 1000)
        if kind == "404":
            self.answer(404, b"", "text/html")
        elif kind == "html":
            self.answer(200, PAGE, "audio/mpeg")
        elif kind == "hang":
            time.sleep(3600)
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(audio)))
            self.end_headers()
            self.wfile.write(audio[:len(audio) // 2])
            self.close_connection = True
        else:
            self.answer(200, audio, "audio/mpeg",
                        [("Content-Disposition", "attachment")])


def parse_arguments():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--replies")
    p.add_argument("--audio", default=ANSWER)
    p.add_argument("--no-audio", action="store_true")
    p.add_argument("--log")
    for name in ("delay", "audio-delay", "forget-after", "hang-at", "die-at",
                 "drop-at", "error-at", "garbage-at", "create-errors"):
        p.add_argument("--" + name, type=int, default=0)
    p.add_argument("--audio-error", choices=("404", "html", "cut", "hang"))
    p.add_argument("--redirect-to")
    return p.parse_args()


def main():
    Handler.state = State(parse_arguments())
    serve(Handler, Handler.state.args.port)


if __name__ == "__main__":
    main()
