"""What the peers behind HTTP share: a port, and an end with standard input."""
import json
import os
import sys
import threading
from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # of whoever measures many callers
    allow_reuse_port = True   # a test holds the port while nobody listens

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is nothing special


def serve(handler, port):
    """Print where, then answer until standard input ends"""
    server = Server(("127.0.0.1", port), handler)
    print(json.dumps({"event": "listening",
                      "port": server.server_address[1]}), flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        while sys.stdin.buffer.read(1):
            pass
    except KeyboardInterrupt:
        pass
    os._exit(0)
