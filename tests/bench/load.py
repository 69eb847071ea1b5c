#!/usr/bin/python3
"""CPU of convod a frame against the floor's, at equal load, alternately.

usage: load.py BUILD [--calls N] [--seconds N] [--rounds N]

Starts bench_floor, then convod with the gRPC sink as its recogniser, each under
convo-load, N rounds; prints microseconds of CPU a frame with the user/system
split, the ratio of the medians, memory a call, and the 99th percentile of
frame received to recogniser written from /metrics. Needs a quiet machine and a
release build.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path


def load(build, port, pid, options):
    out = subprocess.run(
        [build / "tools/convo-load", "--json", "--calls",
         str(options.calls), "--rate", "200", "--seconds",
         str(options.seconds), "--pid", str(pid),
         f"ws://127.0.0.1:{port}/convo"],
        capture_output=True, text=True, check=False).stdout
    return json.loads(out)


def cost(result):
    return (result["daemon_user_us_per_frame"] +
            result["daemon_system_us_per_frame"])


def show(name, result):
    print(f"{name:8} {cost(result):6.2f} us a frame (user "
          f"{result['daemon_user_us_per_frame']:.2f}, system "
          f"{result['daemon_system_us_per_frame']:.2f}), held "
          f"{result['held']}, lost {result['lost']:.0f}, late "
          f"{result['late']:.0f}, {result['daemon_rss_per_call'] / 1000:.1f}"
          f" kB a call; convo-load "
          f"{result['own_user_us_per_frame'] + result['own_system_us_per_frame']:.2f}",
          flush=True)


def floor(build, options):
    with subprocess.Popen([build / "tests/bench/bench_floor"], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as server:
        result = load(build, int(server.stdout.readline()), server.pid,
                      options)
        server.stdin.close()
    return result


def p99_ms(admin):
    """From the histogram: the bound of the bucket where 99 % lie"""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics",
                                timeout=5) as answer:
        text = answer.read().decode()
    bucketv = re.findall(
        r'convod_frame_to_asr_seconds_bucket\{le="([^"]+)"\} (\d+)', text)
    total = int(bucketv[-1][1]) if bucketv else 0
    for bound, count in bucketv:
        if total and int(count) >= 0.99 * total:
            return float(bound) * 1000
    return float("nan")


def wait_ready(admin):
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz",
                                        timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("convod did not get ready")


def convod(build, options):
    port, admin = options.port, options.port + 1
    with subprocess.Popen([build / "tests/bench/grpc_sink"], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as sink:
        sink_port = int(re.search(r"\d+", sink.stdout.readline()).group())
        env = dict(os.environ, PORT=str(port), ADMIN_PORT=str(admin),
                   ASR_SERVER_URL=f"grpc://127.0.0.1:{sink_port}",
                   DIALOG_URL="echo:", WORKERS="1", LOG_LEVEL="error",
                   DRAIN_SECONDS="1")
        with subprocess.Popen([build / "src/convod"], env=env) as daemon:
            try:
                wait_ready(admin)
                result = load(build, port, daemon.pid, options)
                result["p99_ms"] = p99_ms(admin)
            finally:
                daemon.terminate()
        sink.terminate()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=19001)
    parser.add_argument("--floor-only", action="store_true")
    options = parser.parse_args()
    floorv, convodv = [], []
    for _ in range(options.rounds):
        floorv.append(floor(options.build, options))
        show("floor", floorv[-1])
        if options.floor_only:
            continue
        convodv.append(convod(options.build, options))
        show("convod", convodv[-1])
        print(f"         frame in to recogniser out, p99 <= "
              f"{convodv[-1]['p99_ms']:.0f} ms")
    if convodv:
        ratio = (statistics.median(map(cost, convodv)) /
                 statistics.median(map(cost, floorv)))
        print(f"ratio    {ratio:.2f} (medians of {options.rounds} rounds)")


if __name__ == "__main__":
    main()
