#!/usr/bin/python3
"""From a streaming voice's first byte to the caller's socket.

Callers come one after another to the demo bot, whose greeting is spoken by
a voice behind HTTP, played by tests/peers/voice_server.py; nothing is cached.
The voice sends the head of its answer, thinks for 20 ms, and sends the first
part of the body as vendors do: 100 ms of audio, then the rest. Taken is the
time from that send to the first message of audio at the caller, both by the
machine's clock. More callers may be on the line meanwhile (--calls); their
recogniser is grpc_sink.
"""
import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import load

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "peers"), str(HERE.parent / "e2e")]
import http_peer  # noqa: E402
import voice_server  # noqa: E402
import wsraw  # noqa: E402

THINK_S = 0.02
BUDGET_MS = 5
# voice, more settings; what it sends
VOICES = (
    ("deepgram", {}, "μ-law"),
    ("tiro", {"TTS_VOICE": "Alfur"}, "PCM 8 kHz"),
    ("openai", {}, "PCM 24 kHz"),
    ("convert", {}, "WAV 22.05 kHz"),
)


class Handler(voice_server.Handler):
    stamps = None

    def pieces(self, fault, data, per_ms):
        time.sleep(THINK_S)
        if b"Hello" in self.body:  # the first sentence: that of no other
            self.stamps.send(time.monotonic())
        yield data[:100 * per_ms]
        yield data[100 * per_ms:]


def take_place(cpu):
    """Voice and caller are on the other core, and wait for nobody else"""
    os.sched_setaffinity(0, {cpu})
    if load.realtime:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def serve(cpu, ports, stamps):
    take_place(cpu)
    sys.argv = sys.argv[:1]
    Handler.state = voice_server.State(voice_server.parse_arguments())
    Handler.stamps = stamps
    server = http_peer.Server(("127.0.0.1", 0), Handler)
    ports.send(server.server_address[1])
    server.serve_forever()


def call(port, number):
    """When the first audio of the greeting came"""
    ws = wsraw.WebSocket(port)
    stream = f"MZ{number:032x}"
    ws.send_text(json.dumps({
        "event": "start", "sequenceNumber": "1", "streamSid": stream,
        "start": {"streamSid": stream, "callSid": f"CA{number:032x}",
                  "accountSid": "AC" + "0" * 32, "tracks": ["inbound"],
                  "mediaFormat": {"encoding": "audio/x-mulaw",
                                  "sampleRate": 8000, "channels": 1},
                  "customParameters": {}}}))
    while True:
        _, payload = ws.recv(10)
        at = time.monotonic()
        if json.loads(payload)["event"] == "media":
            ws.drop()
            return at


@contextmanager
def crowd(options, port, pid):
    """Others on the line, for as long as the block lasts"""
    if not options.calls:
        yield
        return
    thread = threading.Thread(target=load.generate, daemon=True,
                              args=(options, options.calls, port, pid))
    thread.start()
    time.sleep(3)
    yield
    if not thread.is_alive():
        raise SystemExit("voice.py: the others were gone before the end; "
                         "--seconds")


@contextmanager
def recogniser(options):
    argv = [options.build / "tests/bench/grpc_sink", "--report", 100,
            "--interim-every", 2000]
    with load.child(argv, options.load_cpu, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE) as process:
        port = json.loads(process.stdout.readline())["port"]
        load.discard(process.stdout)
        yield f"grpc://127.0.0.1:{port}"


@contextmanager
def vendor(options):
    """Its port, and when it began to send"""
    pipes = [multiprocessing.Pipe(False) for _ in range(2)]
    server = multiprocessing.Process(
        target=serve, daemon=True,
        args=(options.load_cpu, pipes[0][1], pipes[1][1]))
    server.start()
    if not pipes[0][0].poll(10):
        raise SystemExit("voice.py: the voice does not listen")
    yield pipes[0][0].recv(), pipes[1][0]
    server.kill()


def measure(options, port, stamps):
    waits = []
    for number in range(options.rounds):
        while stamps.poll():
            stamps.recv()
        at = call(port, number)
        waits.append((at - stamps.recv()) * 1000)
    return sorted(waits)


def run(options, name, more, what):
    with vendor(options) as (voice, stamps), recogniser(options) as asr, \
            tempfile.TemporaryDirectory(prefix="convod-bench-") as cwd:
        settings = {
            "PATH": os.environ["PATH"], "PORT": "0", "ADMIN_PORT": "0",
            "TTS_URL": f"{name}+http://127.0.0.1:{voice}",
            "TTS_FALLBACK_URL": "none:", "TTS_CACHE_MB": "0",
            "TTS_CACHE_DISK_MB": "0", "LANGUAGE": "is-IS",
            "ASR_SERVER_URL": asr, "DIALOG_URL": "demo:", "WORKERS": "1",
            "DRAIN_SECONDS": "1"} | more
        with load.daemon(options, settings, cwd) as (process, port, _), \
                crowd(options, port, process.pid):
            waits = measure(options, port, stamps)
    p99 = waits[len(waits) * 99 // 100]
    print(f"{name:10} {what:14} p50 {waits[len(waits) // 2]:.2f} ms, p99 "
          f"{p99:.2f} ms, max {waits[-1]:.2f} ms", flush=True)
    return p99


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60)
    load.add_machine_options(parser)
    options = load.parse(parser)
    take_place(options.load_cpu)
    print(f"{options.calls} others on the line; load average "
          f"{os.getloadavg()[0]:.1f}")
    worst = max(run(options, *voice) for voice in VOICES)
    sys.exit(worst > BUDGET_MS)


if __name__ == "__main__":
    main()
