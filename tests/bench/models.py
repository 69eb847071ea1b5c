#!/usr/bin/python3
"""Many calls on one language model that writes token by token.

Every call is greeted with the same long answer, of which the model sends four
characters each 50 ms; the embedded voice speaks it, from its cache after the
first. Prints how long after its last token the first sentence was given to the
voice, and whether any answer ran dry. Fails if one did, or a turn failed.
"""
import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import load

PEERS = Path(__file__).resolve().parent.parent / "peers"
TOKEN_MS, TOKEN_CHARS = 50, 4
SENTENCES = ["Well, here it is.",
             "Once upon a time there was a telephone that nobody answered.",
             "It rang in the morning, it rang at noon, and it rang at night.",
             "Then somebody wrote a program that picked it up and listened.",
             "And if it has not been hung up, it is talking to this day."]


def first_ms(log):
    """Milliseconds from the turn to the first sentence, call by call"""
    first = {}
    for call, ms in re.findall(r'call=(\S+) event="answer" ms=(\d+)', log):
        first.setdefault(call, int(ms))
    return sorted(first.values())


def sentences(log):
    return len(re.findall(r'event="answer"', log))


def run(options):
    with tempfile.TemporaryDirectory(prefix="convod-bench-") as cwd:
        replies = Path(cwd) / "replies.json"
        replies.write_text(json.dumps({"story": " ".join(SENTENCES)}))
        model_argv = [PEERS / "openai_server.py", "--replies", replies,
                      "--token-ms", TOKEN_MS]
        sink_argv = [options.build / "tests/bench/grpc_sink",
                     "--interim-every", 2000]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with load.child(["/usr/bin/python3", *model_argv], options.load_cpu,
                        **pipes) as model, \
                load.child(sink_argv, options.load_cpu, **pipes) as sink:
            ports = [json.loads(p.stdout.readline())["port"]
                     for p in (model, sink)]
            for p in (model, sink):
                load.discard(p.stdout)
            return measure(options, cwd, *ports)


def measure(options, cwd, model, sink):
    settings = {
        "PATH": os.environ["PATH"], "PORT": "0", "ADMIN_PORT": "0",
        "ASR_SERVER_URL": f"grpc://127.0.0.1:{sink}",
        "DIALOG_URL": f"openai+http://127.0.0.1:{model}",
        "DIALOG_OPENING": "a story", "LANGUAGE": "en-US", "WORKERS": "1",
        "BARGE_IN_MODE": "off", "SILENCE_MS": "0", "DRAIN_SECONDS": "1",
        "LOG_TRANSCRIPTS": "true"}
    with load.daemon(options, settings, cwd) as (process, port, admin):
        result = load.generate(options, options.calls, port, process.pid)
        text = load.metrics(admin)
    log = (Path(cwd) / "log").read_text(encoding="utf-8")
    return result, text, log


def report(options, result, text, log):
    firsts = first_ms(log)
    tokens = math.ceil((len(SENTENCES[0]) + 1) / TOKEN_CHARS)
    written = (tokens - 1) * TOKEN_MS
    dry = load.counter(text, "playout_underruns_total")
    failed = load.counter(text, "turns_failed_total")
    print(f"{options.calls} calls, held {result['held']}, "
          f"{len(firsts)} answered, {sentences(log)} pieces spoken; load "
          f"average {os.getloadavg()[0]:.1f}")
    if not firsts:
        return False
    p50, p99 = statistics.median(firsts), firsts[len(firsts) * 99 // 100]
    print(f"first sentence {written} ms after the first token at best; after "
          f"the turn p50 {p50:.0f} ms, p99 {p99} ms, max {firsts[-1]} ms")
    print(f"answers that ran dry {dry}, turns failed {failed}, lost "
          f"{result['lost']}, daemon {load.cost(result):.1f} us a frame")
    return not dry and not failed and len(firsts) == options.calls


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=25)
    load.add_machine_options(parser)
    options = load.parse(parser)
    sys.exit(0 if report(options, *run(options)) else 1)


if __name__ == "__main__":
    main()
