"""Starts the daemon, peers and tools for a test, and stops them by pid.

Every process that a test starts is ended with it, and one that did not end
well (a crash, a sanitizer's report) fails the test.
"""
import ctypes
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "data" / "twilio"
PEERS = HERE.parent / "peers"
PYTHON = sys.executable

# What a sanitizer or valgrind may need; nothing else of ours gets in
PASSED_ON = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
             "LSAN_OPTIONS")

BOUND = 60  # seconds that a condition may take: only what hangs takes longer


def wait_for(condition, what, timeout=BOUND):
    """Wait until a condition is true; its value"""
    until = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


class Skip(Exception):
    """Raised by a test that cannot run here, with the reason"""


def in_parallel(rows, at_once=8):
    """Run (name, function, arguments…); all the failures at once.

    What a thread has started dies with it, so each ends its own."""
    failures = []

    def run(name, function, *args):
        try:
            function(*args)
        except BaseException as error:
            failures.append(f"{name}: {error!r}")

    with ThreadPoolExecutor(at_once) as pool:
        for row in rows:
            pool.submit(run, *row)
    assert not failures, "\n".join(failures)


STARTING = threading.Lock()  # fork() by two threads at once may hang
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Nothing that a test started outlives it, whatever happens to it"""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program with its output, line by line"""

    def __init__(self, command, env, cwd, stdin=subprocess.DEVNULL):
        self.name = Path(command[0]).name
        self.lines = []
        self.killed = False
        with STARTING:
            self.proc = subprocess.Popen(
                command, env=env, cwd=cwd, stdin=stdin,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.proc.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def output(self):
        return "\n".join(self.lines)

    def find(self, pattern):
        """Match of the newest line that has it"""
        for line in reversed(list(self.lines)):
            match = re.search(pattern, line)
            if match:
                return match
        return None

    def wait_line(self, pattern, timeout=BOUND):
        def seen():
            match = self.find(pattern)
            if not match and self.proc.poll() is not None:
                self.reader.join(BOUND)
                match = self.find(pattern)
                assert match, (f"{self.name} ended with "
                               f"{self.proc.returncode} before {pattern}")
            return match
        return wait_for(seen, f"{self.name}: {pattern}", timeout)

    def signal(self, number):
        self.proc.send_signal(number)

    def wait(self, timeout=BOUND):
        """Exit status"""
        status = self.proc.wait(timeout)
        self.reader.join(BOUND)
        return status

    def kill(self):
        """As a crash: no goodbye"""
        self.killed = True
        if self.proc.poll() is None:
            self.proc.kill()
        self.wait()

    def end(self, timeout=BOUND):
        """Ask it to end; an error if it did not end well"""
        if self.killed:
            return
        if self.proc.poll() is None:
            self.proc.terminate()
        try:
            status = self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end") from None
        assert status == 0, f"{self.name} ended with {status}"


def hold(port=0):
    """Keep a port from others while nobody listens on it: a bound socket.

    Whoever is to listen there says SO_REUSEPORT, too."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class Peer(Process):
    """One of tests/peers/, on a free port, which it prints"""

    def __init__(self, script, args, env, cwd):
        # ends with its standard input, which we hold
        super().__init__([PYTHON, str(PEERS / script), *args], env, cwd,
                         subprocess.PIPE)
        self.name = script
        if "--later" in args:
            self.wait_line('"ready"')
        else:
            self.listens()

    def listens(self):
        self.port = int(self.wait_line(r'port"?[=: ]+(\d{2,5})')[1])

    def listen(self):
        """One that was to do so later"""
        self.proc.stdin.write(b"\n")
        self.proc.stdin.flush()
        self.listens()

    def kill(self):
        """Its port stays free, for the one that takes its place"""
        self.held = hold(self.port)
        super().kill()

    def end(self, timeout=BOUND):
        # its exit status is no subject of ours
        if not self.killed:
            super().kill()


class Daemon(Process):
    def __init__(self, binary, env, cwd, listening=True):
        super().__init__([binary], env, cwd)
        self.tls = "TLS_CERT" in env
        self.status_expected = 0
        if listening:
            line = self.wait_line(r'event="listening"')
            self.port = int(re.search(r" port=(\d+)", line.string)[1])
            self.admin_port = int(
                re.search(r" admin_port=(\d+)", line.string)[1])

    def request(self, method, path, body=None, headers=None, admin=True):
        """(status, body)"""
        if self.tls and not admin:
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=BOUND, context=context)
        else:
            port = self.admin_port if admin else self.port
            connection = http.client.HTTPConnection("127.0.0.1", port,
                                                    timeout=BOUND)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def get(self, path, admin=True):
        return self.request("GET", path, admin=admin)

    def metrics(self):
        """Values by name, labels included"""
        status, text = self.get("/metrics")
        assert status == 200, status
        rows = (line.rsplit(" ", 1) for line in text.splitlines()
                if line and not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def metric(self, name):
        return self.metrics().get("convod_" + name, 0)

    def wait_metric(self, name, least=1, timeout=BOUND):
        return wait_for(lambda: self.metric(name) >= least,
                        f"{name} >= {least}", timeout)

    def wait_idle(self):
        """All calls gone, sockets too"""
        wait_for(lambda: self.metric("calls") == 0
                 and self.metric("sockets") == 0, "no call left")


class Test:
    """What one test gets"""

    def __init__(self, programs):
        self.programs = programs  # name to path
        self.dir = tempfile.TemporaryDirectory(prefix="convod-e2e-")
        self.cwd = Path(self.dir.name)
        self.processes = []
        self.callers = []

    def env(self, **settings):
        env = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
        env.update({k: str(v) for k, v in settings.items()})
        return env

    def _keep(self, process):
        self.processes.append(process)
        return process

    def daemon(self, listening=True, **settings):
        """The daemon on free ports with the given settings only"""
        settings.setdefault("PORT", 0)
        settings.setdefault("ADMIN_PORT", 0)
        env = self.env(**settings)
        process = Daemon.__new__(Daemon)
        self.processes.append(process)
        try:
            process.__init__(self.programs["convod"], env, self.cwd,
                             listening)
        except BaseException:
            if not hasattr(process, "proc"):
                self.processes.remove(process)
            raise
        return process

    def peer(self, script, *args):
        process = Peer.__new__(Peer)
        self.processes.append(process)
        process.__init__(script, args, self.env(), self.cwd)
        return process

    def run(self, program, *args, timeout=2 * BOUND, **settings):
        """Run a program to its end: (status, output)"""
        done = subprocess.run(
            [self.programs[program], *args], env=self.env(**settings),
            cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout, check=False)
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def caller(self, daemon, **options):
        from caller import Caller
        caller = Caller(daemon.port, **options)
        self.callers.append(caller)
        return caller

    def certificate(self):
        """A self-signed one for localhost: (certificate, key)"""
        cert, key = self.cwd / "cert.pem", self.cwd / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-keyout", key, "-out", cert, "-days", "2", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True)
        return cert, key

    def close(self):
        """End what is left; the errors of that"""
        errors = []
        for caller in self.callers:
            caller.running = False
            caller.ws.drop()
        for process in reversed(self.processes):
            try:
                process.end()
            except (AssertionError, AttributeError) as error:
                errors.append(str(error))
        self.dir.cleanup()
        return errors


def json_lines(path):
    """Of a log that somebody writes: the last line may not be whole"""
    if not path.exists():
        return []
    *lines, _ = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines]


def fixture(name):
    """Lines of a fixture, without their line ends"""
    return (DATA / name).read_text(encoding="utf-8").splitlines()


def fixture_json(name):
    return [json.loads(line) for line in fixture(name) if line]


SIGHUP, SIGTERM, SIGINT = signal.SIGHUP, signal.SIGTERM, signal.SIGINT
