#!/usr/bin/env python3
"""A bot in ten lines: DIALOG_URL=webhook+http://127.0.0.1:8000 convod"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bot(BaseHTTPRequestHandler):
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = call["turn"]["text"]
        acts = {"say": f"Goodbye, {said}.", "hangup": True} if said else {
            "say": "Hello! What is your name?"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(acts).encode())


port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
server = ThreadingHTTPServer(("127.0.0.1", port), Bot)
print(json.dumps({"event": "listening", "port": server.server_port}),
      flush=True)
server.serve_forever()
