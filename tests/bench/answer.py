#!/usr/bin/python3
"""How long callers wait for an answer: the three-variable call, many at once.

convod between the peers of the tests: Axy played by grpcio, which ends an
utterance after 400 ms of silence, and Masdif played by an HTTP server, which
answers at once with an MP3 to fetch. convo-load's callers speak for 2 s and
wait 4 s. Prints the wait as they saw it, from the last frame of speech to the
first of the answer, and as convod saw it.
"""
import argparse
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import load

PEERS = Path(__file__).resolve().parent.parent / "peers"


def quantile_ms(text, name, q):
    """Upper bound of the bucket where a quantile of convod's lies"""
    bucketv = re.findall(
        rf'convod_{name}_bucket\{{le="([^"]+)"\}} (\d+)', text)
    for bound, count in bucketv:
        if int(count) >= q * int(bucketv[-1][1]):
            return float(bound) * 1000
    return float("nan")


def run(options):
    def peer(name):
        return load.child(["/usr/bin/python3", PEERS / name], options.load_cpu,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    with peer("axy_server.py") as axy, peer("masdif_server.py") as masdif, \
            tempfile.TemporaryDirectory(prefix="convod-bench-") as cwd:
        ports = [json.loads(p.stdout.readline())["port"]
                 for p in (axy, masdif)]
        settings = {
            "PATH": os.environ["PATH"], "PORT": "0", "ADMIN_PORT": "0",
            "ASR_SERVER_URL": f"grpc://127.0.0.1:{ports[0]}",
            "MASDIF_SERVER_URL": f"http://127.0.0.1:{ports[1]}",
            # they ask the same again and again
            "REPEAT_MAX": "0", "DRAIN_SECONDS": "1"}
        # nobody reads what the peers tell; they must not wait for that
        for p in (axy, masdif):
            load.discard(p.stdout)
        with load.daemon(options, settings, cwd) as (process, port, admin):
            result = load.generate(options, options.calls, port, process.pid)
            text = load.metrics(admin)

    print(f"{options.calls} calls, {result['answers']} answers: p50 "
          f"{result['answer_p50_us'] / 1000:.0f} ms, p99 "
          f"{result['answer_p99_us'] / 1000:.0f} ms, max "
          f"{result['answer_max_us'] / 1000:.0f} ms; convod's own: p50 <= "
          f"{quantile_ms(text, 'answer_seconds', 0.5):.0f} ms, p99 <= "
          f"{quantile_ms(text, 'answer_seconds', 0.99):.0f} ms")
    print(f"held {result['held']}, lost {result['lost']}, marks "
          f"{result['marks']} (not answered {result['marks_lost']}), daemon "
          f"{load.cost(result):.1f} us a frame")
    print("dialog p50 <= "
          f"{quantile_ms(text, 'dialog_seconds', 0.5):g} ms, audio_first "
          f"p50 <= {quantile_ms(text, 'audio_first_seconds', 0.5):g} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=20)
    load.add_machine_options(parser)
    run(load.parse(parser))


if __name__ == "__main__":
    main()
