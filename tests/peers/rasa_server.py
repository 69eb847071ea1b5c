#!/usr/bin/env python3
"""Rasa's REST channel, as rasa/core/channels/rest.py answers.

Prints {"event": "listening", "port": N}, ends with its standard input. Only
the standard library.

    --port N        0: any free one
    --replies FILE  JSON object: a part of the message (lower case) to a text
                    or a list of messages (objects without recipient_id)
    --token TOKEN   asked for in the query; anything else gets 401
    --log FILE      one JSON line for each request

A message says what goes wrong: "no model" gets 409, "a page" gets 500 and a
page, "no answer" none.
"""

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from http_peer import serve


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    args = None
    replies = {}
    log = None

    def log_message(self, *args):
        pass

    def answer(self, status, value):
        page = isinstance(value, bytes)
        data = value if page else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type",
                         "text/html" if page else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def fail(self, status, reason):
        self.answer(status, {"version": "2.8.0", "status": "failure",
                             "message": reason, "reason": reason,
                             "details": {}, "help": None, "code": status})

    def messages_for(self, said):
        for key, reply in self.replies.items():
            if key in said.lower():
                return [{"text": reply}] if isinstance(reply, str) else reply
        return [] if said.startswith("/") else [{"text": f"You said {said}."}]

    def do_POST(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        body = json.loads(self.rfile.read(
            int(self.headers.get("Content-Length") or 0)))
        if self.log:
            print(json.dumps({"path": self.path, "body": body}),
                  file=self.log, flush=True)
        said = body.get("message", "")
        if url.path != "/webhooks/rest/webhook":
            self.fail(404, "NotFound")
        elif self.args.token and query.get("token") != [self.args.token]:
            self.fail(401, "NotAuthenticated")
        elif "no model" in said:
            self.fail(409, "Conflict")
        elif "a page" in said:
            self.answer(500, b"<html>Internal Server Error</html>")
        elif "no answer" in said:
            time.sleep(3600)
        else:
            sender = body.get("sender", "default")
            messages = [{"recipient_id": sender, **m}
                        for m in self.messages_for(said)]
            if query.get("stream") == ["true"]:
                self.stream(messages)
            else:
                self.answer(200, messages)

    def stream(self, messages):
        """Labelled as an event stream, and is JSON lines"""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for m in messages:
            line = json.dumps(m).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            time.sleep(0.3)
        self.wfile.write(b"0\r\n\r\n")


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--replies")
    p.add_argument("--token")
    p.add_argument("--log")
    args = Handler.args = p.parse_args()
    if args.replies:
        with open(args.replies, encoding="utf-8") as f:
            Handler.replies = json.load(f)
    if args.log:
        Handler.log = open(args.log, "a", encoding="utf-8")
    serve(Handler, args.port)


if __name__ == "__main__":
    main()
