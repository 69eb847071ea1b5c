"""No disk, no descriptors, and no manners on the ports: calls go on, and nobody
notices what happens to others."""
import os
import random
import resource
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import wsraw
from harness import BOUND, SIGTERM, die_with_parent, wait_for
from test_call import words
from test_faults import CLIP
from trouble import Masdif

TICKS = os.sysconf("SC_CLK_TCK")
TCP_LISTEN = "0A"  # in /proc/net/tcp
LATE_S = 30        # a call starves; other tests work here, too


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def talk(t, daemon, axy, masdif, turns=1):
    """A whole call; seconds from the end of the words to the answers"""
    caller = t.caller(daemon).start()
    seconds = []
    for number in range(turns):
        asked = len(masdif.seen("turn"))
        marks = len(caller.marks)
        caller.say(words(number % 8 + 1, end_ms=0))
        wait_for(lambda: not caller.speech, "all is said")
        begun = time.monotonic()
        wait_for(lambda: len(masdif.seen("turn")) > asked, "a turn")
        wait_for(lambda: len(caller.marks) > marks, "an answer")
        # how long it takes to listen to it is not our matter
        seconds.append(time.monotonic() - begun - len(CLIP) / 8000)
    assert caller.closed is None
    return caller, seconds


# -------------------------------------------------- where the log cannot go


def listening(pid):
    """The ports that a process listens on, by what the kernel says"""
    inodes = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(fd))
        except OSError:  # closed meanwhile
            pass
    rows = (line.split() for line in
            Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:])
    return [int(row[1].split(":")[1], 16) for row in rows
            if row[3] == TCP_LISTEN and f"socket:[{row[9]}]" in inodes]


class Blind:
    """A daemon whose output is somewhere else, or nowhere"""

    def __init__(self, t, before_exec=None, stderr=None, **settings):
        self.port = None

        def prepare():
            die_with_parent()
            if before_exec:
                before_exec()

        self.proc = subprocess.Popen(
            [t.programs["convod"]], cwd=t.cwd, preexec_fn=prepare,
            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
            env=t.env(PORT=0, ADMIN_PORT=0, LOG_LEVEL="debug",
                      **settings))
        t.processes.append(self)
        wait_for(self.is_ready, "ready")

    def is_ready(self):
        """Of two ports the administrative one knows whether it is"""
        assert self.proc.poll() is None, "it has ended"
        ports = set(listening(self.proc.pid))
        for port in ports if len(ports) == 2 else ():
            try:
                with urllib.request.urlopen(
                        f"http://127.0.0.1:{port}/readyz",
                        timeout=BOUND) as answer:
                    assert answer.read() == b"ready\n"
                self.port, = ports - {port}
            except OSError:
                pass
        return self.port

    def end(self, timeout=BOUND):
        if self.proc.poll() is None:
            self.proc.send_signal(SIGTERM)
        status = self.proc.wait(timeout)
        assert status == 0, f"ended with {status}"


def blind_call(t, before_exec=None, stderr=None):
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    daemon = Blind(t, before_exec, stderr, MASDIF_SERVER_URL=masdif.url,
                   ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}", REPEAT_MAX=0)
    caller, _ = talk(t, daemon, axy, masdif)
    return daemon, caller


def test_standard_descriptors_are_closed(t):
    def close():
        for fd in (0, 1, 2):
            os.close(fd)

    daemon, caller = blind_call(t, close)
    # a socket there would get the log
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{daemon.proc.pid}/fd/{fd}") == \
            "/dev/null", fd
    caller.hang_up()
    daemon.end()


def test_the_disk_is_full(t):
    with open("/dev/full", "w", encoding="ascii") as full:
        daemon, caller = blind_call(t, stderr=full)
    caller.hang_up()
    daemon.end()


def test_nobody_reads_the_log(t):
    """A pipe, full: lines are dropped and counted, the end does not wait"""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 4096):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    daemon, caller = blind_call(t, stderr=writer)
    caller.hang_up()
    daemon.end()
    os.close(reader)
    os.close(writer)


def test_the_reader_of_the_log_is_gone(t):
    reader, writer = os.pipe()
    os.close(reader)
    daemon, caller = blind_call(t, stderr=writer)
    os.close(writer)
    caller.hang_up()
    daemon.end()


# ----------------------------------------------------------- no descriptors


def test_few_descriptors(t):
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url, REPEAT_MAX=0, WORKERS=2)
    used = len(os.listdir(f"/proc/{daemon.proc.pid}/fd"))
    resource.prlimit(daemon.proc.pid, resource.RLIMIT_NOFILE,
                     (used + 12, used + 12))
    caller, _ = talk(t, daemon, axy, masdif)

    visitors = [wsraw.connect_tcp(daemon.port) for _ in range(60)]
    wait_for(lambda: len(os.listdir(f"/proc/{daemon.proc.pid}/fd"))
             >= used + 11, "none left")
    cpu, begun = cpu_seconds(daemon.proc.pid), time.monotonic()
    time.sleep(1)
    share = (cpu_seconds(daemon.proc.pid) - cpu) / (time.monotonic() - begun)
    assert share < 0.5, f"it spins: {share:.0%} of a core"
    assert caller.closed is None
    for sock in visitors:
        sock.close()

    # and all is well again
    daemon.wait_metric("accepts_refused_total")
    caller.hang_up()
    caller, _ = talk(t, daemon, axy, masdif)
    caller.hang_up()
    daemon.wait_idle()


def test_a_limit_that_leaves_room_for_one_call(t):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    daemon = Blind(t, limit, subprocess.DEVNULL, WORKERS=2,
                   MASDIF_SERVER_URL=masdif.url,
                   ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}", REPEAT_MAX=0)
    caller, _ = talk(t, daemon, axy, masdif)
    for _ in range(20):
        try:
            wsraw.WebSocket(daemon.port).drop()
            raise AssertionError("one more was taken")
        except wsraw.Refused as refused:
            assert refused.status == 503, refused.status
    assert caller.closed is None
    caller.hang_up()
    daemon.end()


# ------------------------------------------------------------------- floods


GARBAGE = (
    b"\0" * 100, b"\xff" * 20000, b"\r\n" * 5000, b"GET",
    b"GET / HTTP/1.1\r\n", b"GET /convo HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"A" * 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    b"POST /healthz HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"z" * 9000,
    b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"GET /convo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
    b"Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + b"\x81\xff" + b"\xff" * 300,
)


def flood(port, dice, stop):
    """Sockets that are rude, each in its own way"""
    held = []
    while not stop.is_set():
        try:
            sock = socket.create_connection(("127.0.0.1", port), 5)
            sock.setblocking(False)
            sock.send(dice.choice(GARBAGE))
        except OSError:
            pass
        held.append(sock)
        if len(held) > 300:
            held.pop(dice.randrange(len(held))).close()
        time.sleep(0.01)  # a flood for a slow machine, too
    for sock in held:
        sock.close()


def rude(t, tls):
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    settings, options = {}, {}
    if tls:
        cert, key = t.certificate()
        settings = {"TLS_CERT": cert, "TLS_KEY": key}
        options = {"ca_file": str(cert)}
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url, REPEAT_MAX=0, WORKERS=2,
                      **settings)
    plain_caller = t.caller
    t.caller = lambda d: plain_caller(d, **options)
    stop = threading.Event()
    seed = os.environ.get("CONVOD_SEED") or str(random.randrange(1 << 30))
    print(f"CONVOD_SEED={seed}", flush=True)
    floods = [threading.Thread(target=flood, daemon=True, args=(
        port, random.Random(seed + str(n)), stop))
        for n, port in enumerate((daemon.port, daemon.port,
                                  daemon.admin_port))]
    for thread in floods:
        thread.start()
    caller, seconds = talk(t, daemon, axy, masdif, turns=4)
    stop.set()
    for thread in floods:
        thread.join()
    assert max(seconds) < LATE_S, seconds
    sent = caller.chunk
    wait_for(lambda: daemon.metric("frames_in_total") >= sent, "all frames")
    assert daemon.metric("samples_dropped_total") == 0
    assert daemon.metric("http_refused_total") > 50
    assert daemon.metric("apologies_total") == 0
    caller.hang_up()
    daemon.wait_idle()


def test_rude_visitors(t):
    rude(t, tls=False)


def test_rude_visitors_over_tls(t):
    rude(t, tls=True)


def test_a_thousand_slow_heads(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP)
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url, REPEAT_MAX=0)
    caller, _ = talk(t, daemon, axy, masdif)
    slow = []
    for _ in range(1000):
        sock = wsraw.connect_tcp(daemon.port)
        sock.send(b"GET /convo HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        slow.append(sock)
    # another call gets through, and this one goes on
    other, seconds = talk(t, daemon, axy, masdif, turns=2)
    assert max(seconds) < LATE_S, seconds
    assert caller.closed is None
    assert daemon.get("/healthz", admin=False)[0] == 200
    for sock in slow:
        sock.close()
    caller.hang_up()
    other.hang_up()
    daemon.wait_idle()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
