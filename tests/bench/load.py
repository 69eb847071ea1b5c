#!/usr/bin/python3
"""What a call costs convod, against the floor of receiving its frames at all.

Starts bench_floor, then convod with grpc_sink as its recogniser (blocks of
100 ms, one worker, echo: as dialog manager and a recogniser that only has
interim results, so that nothing speaks), each under convo-load, in turns, several
rounds for each number of calls. The server has one core to itself, generator
and sink share another. Prints every run and the medians, and fails if a call
or a frame was lost. Wants a release build and a quiet machine.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

RATIO_MAX = 1.5
CALL_KB_MAX = 64
BLOCK_MS = 100
FRAME_BYTES = 640  # 20 ms of PCM at 16 kHz
START_S = 20
END_S = 20


def wait_for(condition, what, seconds=START_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise SystemExit(f"load.py: no {what} within {seconds} s")


realtime = False


@contextmanager
def child(argv, cpu, **options):
    """A process of ours on one core; gone when the block ends"""
    def prepare():
        os.sched_setaffinity(0, {cpu})
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    process = subprocess.Popen([str(a) for a in argv], text=True,
                               preexec_fn=prepare, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def generate(options, calls, port, pid, extra=()):
    """convo-load's own result"""
    rate = max(200, calls // 4)
    argv = [options.build / "tools/convo-load", "--json", "--calls", calls,
            "--rate", rate, "--seconds", options.seconds, "--pid", pid,
            *extra, f"ws://127.0.0.1:{port}/convo"]
    out = tempfile.TemporaryFile("w+")
    with child(argv, options.load_cpu, stdout=out) as process:
        process.wait(calls / rate + options.seconds + 60)
    out.seek(0)
    return json.loads(out.read())


@contextmanager
def nothing(_options, _pid, _result):
    yield


@contextmanager
def system_calls(options, pid, result):
    """Counts a process's system calls while the block runs"""
    out = tempfile.TemporaryFile("w+")
    argv = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", pid]
    with child(argv, options.load_cpu, stdout=subprocess.DEVNULL,
               stderr=out) as process:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(END_S)
    out.seek(0)
    found = re.search(r"^(\d+),.*raw_syscalls", out.read(), re.M)
    result["system_calls"] = int(found[1]) if found else None


@contextmanager
def profile(options, pid, _result):
    """Prints where a process spends its time while the block runs"""
    with tempfile.NamedTemporaryFile(suffix=".perf") as data:
        argv = ["perf", "record", "-q", "-e", "cpu-clock", "-F", 1999, "-g",
                "-o", data.name, "-p", pid]
        with child(argv, options.load_cpu) as process:
            yield
            process.send_signal(signal.SIGINT)
            process.wait(END_S)
        for keys, lines in (("dso", 8), ("dso,symbol", options.profile)):
            report = subprocess.run(
                ["perf", "report", "-i", data.name, "--stdio", "-g", "none",
                 "--no-children", "-s", keys],
                capture_output=True, text=True, check=False).stdout
            linev = [line.rstrip(" -") for line in report.splitlines()
                     if line.strip() and not line.startswith("#")]
            print("\n".join(linev[:lines]))


# ------------------------------------------------------------- the servers

@contextmanager
def floor_server(options):
    with child([options.build / "tests/bench/bench_floor"], options.cpu,
               stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        def finish(result):
            process.stdin.close()
            # less connected, start and stop of each call
            result["frames_in"] = (int(process.stdout.read()) -
                                   3 * result["held"])
        yield process, int(process.stdout.readline()), finish


def discard(stream):
    """Read a pipe to its end, aside"""
    threading.Thread(target=stream.read, daemon=True).start()


def metrics(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics",
                                timeout=5) as answer:
        return answer.read().decode()


def counter(text, name):
    return int(re.search(rf"^convod_{name} (\d+)$", text, re.M)[1])


def share_in_time(text):
    """Of the blocks, how many were written one block after reception"""
    bucketv = dict(re.findall(
        r'convod_frame_to_asr_seconds_bucket\{le="([^"]+)"\} (\d+)', text))
    return int(bucketv["0.1"]) / max(int(bucketv["+Inf"]), 1)


@contextmanager
def daemon(options, settings, cwd):
    """convod with these settings only: its process and its two ports"""
    log = Path(cwd) / "log"
    with log.open("w") as err, \
            child([options.convod or options.build / "src/convod"],
                  options.cpu, env=settings, cwd=cwd, stderr=err) as process:
        line = wait_for(lambda: re.search(
            r" port=(\d+) admin_port=(\d+)", log.read_text()), "convod")
        yield process, int(line[1]), int(line[2])


class Sink:
    def __init__(self, process):
        self.process = process
        self.port = self.next()["port"]

    def next(self):
        return json.loads(self.process.stdout.readline())

    def end(self, streams):
        """Counts once so many streams have come and ended"""
        end = time.monotonic() + END_S
        counts = self.next()
        while (counts["streams"] or counts["streams_total"] < streams) \
                and time.monotonic() < end:
            counts = self.next()
        return counts


@contextmanager
def convod_server(options):
    # An interim result now and then: a recogniser that hears speech and says
    # nothing at all is given up as deaf
    argv = [options.build / "tests/bench/grpc_sink", "--report", 100,
            "--interim-every", 2000]
    with child(argv, options.load_cpu, stdin=subprocess.PIPE,
               stdout=subprocess.PIPE) as process, \
            tempfile.TemporaryDirectory(prefix="convod-bench-") as cwd:
        sink = Sink(process)
        settings = {"PATH": os.environ["PATH"], "PORT": "0", "ADMIN_PORT": "0",
                    "ASR_SERVER_URL":
                        f"grpc://127.0.0.1:{sink.port}?block={BLOCK_MS}",
                    "DIALOG_URL": "echo:", "LANGUAGE": "is-IS",
                    "WORKERS": "1", "CALLS_MAX": "10000",
                    # nobody asks these callers whether they are there
                    "SILENCE_MS": "0", "CALL_IDLE_SECONDS": "0",
                    "DRAIN_SECONDS": "1"}
        with daemon(options, settings, cwd) as (process, port, admin):
            def finish(result):
                counts = sink.end(result["held"])
                text = metrics(admin)
                result["frames_in"] = counter(text, "frames_in_total")
                result["frames_out"] = counts["audio_bytes"] / FRAME_BYTES
                result["in_time"] = share_in_time(text)
            yield process, port, finish


# -------------------------------------------------------------- the report

def cost(result, who="daemon"):
    return (result[f"{who}_user_us_per_frame"] +
            result[f"{who}_system_us_per_frame"])


def lost(result):
    """Frames sent that did not arrive, at the server or at the recogniser"""
    lack = result["frames_all"] - result["frames_in"]
    if "frames_out" in result:
        lack = max(lack, result["frames_all"] - result["frames_out"])
    return result["lost"] + lack


def show(name, result):
    text = (f"{name:7} {cost(result):6.2f} us a frame (user "
            f"{result['daemon_user_us_per_frame']:.2f}, system "
            f"{result['daemon_system_us_per_frame']:.2f}); held "
            f"{result['held']}, lost {lost(result):.0f} of "
            f"{result['frames_all']}")
    if "in_time" in result:
        text += (f"; {result['daemon_rss_per_call'] / 1000:.1f} kB a call"
                 f"; {100 * result['in_time']:.2f} % in {BLOCK_MS} ms")
    if result.get("system_calls"):
        text += (f"; {result['system_calls'] / result['frames_all']:.2f} "
                 "system calls a frame (under perf)")
    text += (f"; convo-load {cost(result, 'own'):.2f} us, lateness p99 "
             f"{result['late_p99_us'] / 1000:.1f} ms")
    print(text, flush=True)


def run(options, name, server, calls, watch=nothing):
    result = {}
    with server(options) as (process, port, finish):
        with watch(options, process.pid, result):
            result.update(generate(options, calls, port, process.pid))
        finish(result)
    show(name, result)
    return result


def median(resultv, value):
    return statistics.median(map(value, resultv))


def measure(options, calls):
    """All rounds at one number of calls; false if something was lost"""
    print(f"--- {calls} calls, {options.rounds} rounds of "
          f"{options.seconds} s; load average {os.getloadavg()[0]:.1f}")
    floorv, convodv = [], []
    for _ in range(options.rounds):
        floorv.append(run(options, "floor", floor_server, calls))
        if not options.floor_only:
            convodv.append(run(options, "convod", convod_server, calls))
    good = all(r["held"] == calls and not lost(r) for r in floorv + convodv)
    if not convodv:
        return good

    if options.system_calls:
        for name, server in (("floor", floor_server),
                             ("convod", convod_server)):
            run(options, name, server, calls, system_calls)
    if options.profile:
        run(options, "convod", convod_server, calls, profile)

    ratio = median(convodv, cost) / median(floorv, cost)
    memory = median(convodv, lambda r: r["daemon_rss_per_call"]) / 1000
    in_time = min(r["in_time"] for r in convodv)
    print(f"floor   {median(floorv, cost):.2f} us a frame\n"
          f"convod  {median(convodv, cost):.2f} us a frame, convo-load "
          f"{median(convodv, lambda r: cost(r, 'own')):.2f}\n"
          f"ratio   {ratio:.2f} (limit {RATIO_MAX})\n"
          f"memory  {memory:.1f} kB a call (limit {CALL_KB_MAX})\n"
          f"in time {100 * in_time:.2f} % of the blocks at worst "
          f"(limit 99 % in {BLOCK_MS + 5} ms)\n"
          f"{'nothing lost' if good else 'CALLS OR FRAMES LOST'}",
          flush=True)
    return good


def add_machine_options(parser):
    parser.add_argument("--cpu", type=int, default=0, help="of the server")
    parser.add_argument("--load-cpu", type=int, default=1,
                        help="of generator and sink")
    parser.add_argument("--realtime", action="store_true",
                        help="run all before whatever else the machine does "
                        "(as root); caches it still shares")
    parser.add_argument("--convod", type=Path,
                        help="another daemon than that of the build")


def parse(parser):
    global realtime
    options = parser.parse_args()
    options.build = options.build.absolute()
    realtime = options.realtime
    return options


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--calls", default="500,1000,2000",
                        help="numbers of calls (%(default)s)")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--floor-only", action="store_true")
    parser.add_argument("--system-calls", action="store_true",
                        help="one more run under perf stat")
    parser.add_argument("--profile", type=int, default=0, metavar="N",
                        help="one more run under perf record, its top N")
    add_machine_options(parser)
    options = parse(parser)
    resultv = [measure(options, int(calls))
               for calls in options.calls.split(",")]
    sys.exit(0 if all(resultv) else 1)


if __name__ == "__main__":
    main()
