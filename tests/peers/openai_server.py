#!/usr/bin/env python3
"""Chat completions as OpenAI and the servers that follow it serve them.

Prints {"event": "listening", "port": N}, ends with its standard input. Only
the standard library.

    --port N        0: any free one
    --key KEY       asked for as bearer token; anything else gets 401
    --replies FILE  JSON object: a part of the user's last message (lower case)
                    to an answer: a text, or {"text": …, "tool": NAME,
                    "arguments": {…}, "mode": MODE}
    --token-ms N    between two pieces of the stream (20)
    --log FILE      one JSON line for each request, and {"closed": true} when a
                    client left before the end

An answer's mode, or the model's name, says what goes wrong:

    odd       comments, no blank after data:, CRLF, empty choices, no [DONE],
              bytes cut anywhere
    think     thinks aloud first, in a field and in a block
    whole     one JSON object, no stream
    error     an error as an event, in the middle
    cut       the connection breaks in the middle
    hang      nothing more comes after the first words
    silent    nothing comes at all
    garbage   an event that is no JSON
    busy      503, once; then an answer
    limit     429 with a Retry-After of a minute
    quota     429, for good
    page      502 and a page
    no-tools  400 if tools are offered
"""

import argparse
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler

from http_peer import serve

GREETING = "Hello, this is the model. How can I help you?"


class State:
    def __init__(self, args):
        self.args = args
        self.lock = threading.Lock()
        self.busy = set()
        self.replies = {}
        if args.replies:
            with open(args.replies, encoding="utf-8") as f:
                self.replies = json.load(f)
        self.log = open(args.log, "a", encoding="utf-8") if args.log else None

    def record(self, **entry):
        if self.log:
            with self.lock:
                print(json.dumps(entry, ensure_ascii=False), file=self.log,
                      flush=True)

    def reply_to(self, said):
        """Notes in [brackets] are no words of the caller's"""
        said = "\n".join(line for line in said.split("\n")
                         if not line.startswith("["))
        if not said:
            return {"text": GREETING}
        for key, reply in self.replies.items():
            if key in said.lower():
                return {"text": reply} if isinstance(reply, str) else reply
        return {"text": f"You said {said}."}

    def first_time(self, name):
        with self.lock:
            known = name in self.busy
            self.busy.add(name)
            return not known


def tokens(text):
    """As a model writes: a few characters at a time"""
    return re.findall(r".{1,4}", text, re.S)


def chunk(delta, finish=None):
    return {"id": "chatcmpl-x1", "object": "chat.completion.chunk",
            "created": 1755000000, "model": "m",
            "choices": [{"index": 0, "delta": delta,
                         "finish_reason": finish}]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state = None

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json", headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message, code=None, headers=()):
        self.answer(status, {"error": {"message": message, "type": "error",
                                       "param": None, "code": code}},
                    headers=headers)

    def do_OPTIONS(self):
        """Somebody who connects before there is a question"""
        self.state.record(warm=self.client_address[1])
        self.answer(405, {"error": "method not allowed"})

    def do_POST(self):
        body = json.loads(self.rfile.read(
            int(self.headers.get("Content-Length") or 0)))
        self.state.record(path=self.path, body=body,
                          port=self.client_address[1],
                          authorization=self.headers.get("Authorization"))
        key = self.state.args.key
        if self.path != "/v1/chat/completions":
            self.refuse(404, "no such path")
        elif key and self.headers.get("Authorization") != f"Bearer {key}":
            self.refuse(401, "Incorrect API key provided.", "invalid_api_key")
        else:
            said = str(body["messages"][-1]["content"])
            reply = self.state.reply_to(said)
            self.complete(body, reply, reply.get("mode") or
                          body.get("model", ""), said)

    def complete(self, body, reply, mode, said):
        if mode == "busy" and self.state.first_time(said):
            self.answer(503, {"error": "model is loading"})
        elif mode == "limit":
            self.refuse(429, "slow down", "rate_limit_exceeded",
                        [("Retry-After", "60")])
        elif mode == "quota":
            self.refuse(429, "pay", "insufficient_quota")
        elif mode == "page":
            self.answer(502, b"<html>Bad gateway</html>", "text/html")
        elif mode == "no-tools" and "tools" in body:
            self.refuse(400, "unknown field: tools")
        elif mode == "whole":
            self.answer(200, {"choices": [{"message": {
                "role": "assistant", "content": reply["text"]},
                "finish_reason": "stop"}]})
        elif mode == "silent":
            time.sleep(3600)
        else:
            self.stream(reply, mode)

    def stream(self, reply, mode):
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if mode == "cut":
            self.send_header("Content-Length", "1000000")
        self.end_headers()
        try:
            self.write_events(reply, mode)
        except OSError:
            self.state.record(closed=True)

    def event(self, value, mode=""):
        text = value if isinstance(value, str) else json.dumps(
            value, ensure_ascii=mode != "odd")
        if mode != "odd":
            self.wfile.write(f"data: {text}\n\n".encode())
            return
        data = f": ping\r\nevent: x\r\ndata:{text}\r\n\r\n".encode()
        half = len(data) // 2
        self.wfile.write(data[:half])
        time.sleep(0.001)
        self.wfile.write(data[half:])

    def think(self):
        for word in ("The ", "caller. ", "Hm."):
            self.event(chunk({"reasoning_content": word}))
        for word in ("<thi", "nk>I sh", "ould not. ", "</th", "ink>\n\n"):
            self.event(chunk({"content": word}))

    def write_events(self, reply, mode):
        pieces = tokens(reply.get("text", ""))
        if mode == "odd":
            self.event({"choices": [], "prompt_filter_results": []}, mode)
        self.event(chunk({"role": "assistant", "content": None}), mode)
        if mode == "think":
            self.think()
        for n, piece in enumerate(pieces):
            if n == len(pieces) // 2 and self.goes_wrong(mode):
                return
            self.event(chunk({"content": piece}), mode)
            time.sleep(self.state.args.token_ms / 1000)
        if "tool" in reply:
            self.call(reply["tool"], json.dumps(reply.get("arguments", {})))
        self.event(chunk({}, "tool_calls" if "tool" in reply else "stop"))
        if mode != "odd":
            self.event("[DONE]")

    def call(self, name, arguments):
        self.event(chunk({"tool_calls": [{
            "index": 0, "id": "call_1", "type": "function",
            "function": {"name": name, "arguments": ""}}]}))
        for piece in tokens(arguments):
            self.event(chunk({"tool_calls": [{
                "index": 0, "function": {"arguments": piece}}]}))

    def goes_wrong(self, mode):
        """In the middle of an answer; true: nothing comes after it"""
        if mode == "hang":
            self.connection.recv(1)
            raise ConnectionError
        if mode == "error":
            self.event({"error": {"message": "upstream overloaded",
                                  "code": "503"}})
        elif mode == "garbage":
            self.event("{\"choices\":[{")
        return mode in ("error", "garbage", "cut")


def main():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--key")
    p.add_argument("--replies")
    p.add_argument("--token-ms", type=float, default=20)
    p.add_argument("--log")
    Handler.state = State(p.parse_args())
    serve(Handler, Handler.state.args.port)


if __name__ == "__main__":
    main()
