#!/usr/bin/python3
"""How soon a cached sentence is on its way to the caller, at 200 calls.

The demo bot greets each caller with two sentences of the embedded voice. The
first call makes them, all others find them in memory; the next call comes while
those before still send their 50 frames a second. What is measured is convod's
own histogram: text given to the voice to its first frame sent, for texts that
were in memory and had nothing before them.
"""
import argparse
import os
import subprocess
import tempfile

import load
from answer import quantile_ms

LIMIT_MS = 1


def run(options):
    sink = [options.build / "tests/bench/grpc_sink", "--report", 1000,
            "--interim-every", 2000]
    with load.child(sink, options.load_cpu, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE) as process, \
            tempfile.TemporaryDirectory(prefix="convod-bench-") as cwd:
        port = load.Sink(process).port
        load.discard(process.stdout)
        settings = {"PATH": os.environ["PATH"], "PORT": "0", "ADMIN_PORT": "0",
                    "ASR_SERVER_URL": f"grpc://127.0.0.1:{port}",
                    "DIALOG_URL": "demo:", "TTS_URL": "flite:",
                    "WORKERS": "1", "DRAIN_SECONDS": "1"}
        with load.daemon(options, settings, cwd) as (process, port, admin):
            for _ in range(options.rounds):
                result = load.generate(options, options.calls, port,
                                       process.pid)
                print(f"held {result['held']}, lost {result['lost']}, "
                      f"lateness p99 {result['late_p99_us'] / 1000:.1f} ms",
                      flush=True)
            text = load.metrics(admin)

    count = load.counter(text, "tts_cached_seconds_count")
    print(f"{count} cached sentences: p50 <= "
          f"{quantile_ms(text, 'tts_cached_seconds', 0.5):g} ms, p99 <= "
          f"{quantile_ms(text, 'tts_cached_seconds', 0.99):g} ms (limit "
          f"{LIMIT_MS}), all <= "
          f"{quantile_ms(text, 'tts_cached_seconds', 1):g} ms; spoken "
          f"{load.counter(text, 'tts_requests_total')}")
    return quantile_ms(text, "tts_cached_seconds", 0.99) <= LIMIT_MS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=load.Path)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    load.add_machine_options(parser)
    raise SystemExit(0 if run(load.parse(parser)) else 1)


if __name__ == "__main__":
    main()
