"""Starting, asking, stopping."""
import re
import resource
import socket
import wave

from harness import SIGHUP, SIGINT, SIGTERM, hold, wait_for

ECHO = {"DIALOG_URL": "echo:"}


def test_wrong_settings_refuse_to_start(t):
    for name, value in (("PORT", "70000"), ("PORT", "x"),
                        ("DRAIN_SECONDS", "-1"), ("LOG_LEVEL", "loud"),
                        ("ASR_SERVER_URL", "carrier-pigeon://x"),
                        ("MASDIF_SERVER_URL", "not a url"),
                        ("MASDIF_SERVER_URL", "https://"),
                        ("PUBLIC_URL", "ftp://x"), ("LANGUAGE", "en US"),
                        ("TTS_VOICE", "nobody"),
                        ("DIALOG_URL", "gopher://x"),
                        ("TTS_URL", "shout:")):
        status, output = t.run("convod", **{name: value})
        assert status == 1, (name, value, status, output)
        assert name in output, (name, value, output)


def test_wrong_env_file_names_file_and_line(t):
    (t.cwd / ".env").write_text("# fine\nDRAIN_SECONDS=5\nCALLS_MAX=many\n")
    status, output = t.run("convod")
    assert status == 1, (status, output)
    assert re.search(r"\.env:3\b", output), output
    assert "CALLS_MAX" in output, output


def test_check_config_does_not_start(t):
    status, output = t.run("convod", "--check-config", PORT=0)
    assert status == 0, output
    (t.cwd / "nonsense").write_text("<html></html>")
    # all that would keep it from starting, not only what can't be parsed
    for name, value in (("PORT", "x"), ("ASR_SERVER_URL", "pigeon://x"),
                        ("DIALOG_URL", "gopher:"), ("TTS_URL", "shout:"),
                        ("APOLOGY_FILE", "nowhere"),
                        ("APOLOGY_FILE", "nonsense"),
                        ("ASR_CA_FILE", "nowhere")):
        settings = {"ASR_SERVER_URL": "grpcs://127.0.0.1:1", name: value}
        status, output = t.run("convod", "--check-config", **settings)
        assert status == 1 and name in output, (name, value, output)
    # a recording that ends before the length in its head can be played
    with wave.open(str(t.cwd / "cut.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))
    with open(t.cwd / "cut.wav", "r+b") as file:
        file.truncate(8000)
    status, output = t.run("convod", "--check-config", APOLOGY_FILE="cut.wav")
    assert status == 0, output
    # what is to be written instead is said, too
    for name, value, hint in (
            ("ASR_SERVER_URL", "http://h:50051", "grpc grpcs"),
            ("ASR_SERVER_URL", "grpc://h?rate=1", "[?rate=8000]"),
            ("DIALOG_URL", "http://h", "whose it is.* webhook\\+http"),
            ("DIALOG_URL", "openai+https://h?x=1", "its form is openai"),
            ("TTS_URL", "https://h", "whose it is.* tiro")):
        status, output = t.run("convod", "--check-config", **{name: value})
        assert status == 1 and name in output, output
        assert hint in output or re.search(hint, output), (hint, output)
    status, output = t.run("convod", "--check-config", LANGUAGE="is-IS")
    assert status == 0 and "nobody speaks the bot's texts" in output, output
    status, output = t.run("convod", "--check-config", TLS_CERT="nonsense",
                           TLS_KEY="nonsense")
    assert status == 1 and "TLS_CERT" in output, output


def test_help_and_version(t):
    status, output = t.run("convod", "--help")
    assert status == 0 and "ASR_SERVER_URL" in output, output
    status, output = t.run("convod", "--version")
    assert status == 0 and re.search(r"\d+\.\d+\.\d+", output), output
    status, output = t.run("convod", "--no-such-option")
    assert status not in (0, -11, -6), (status, output)


def test_env_files_are_read_environment_wins(t):
    (t.cwd / ".env").write_text("PORT=1\nDIALOG_URL=echo:\n"
                                "export DRAIN_SECONDS='7'\n")
    (t.cwd / ".env.local").write_text("DRAIN_SECONDS=8\n")
    daemon = t.daemon(PORT=0)
    assert daemon.port != 1
    daemon.signal(SIGTERM)
    assert daemon.wait() == 0
    assert daemon.find(r'"draining".* seconds=8\b'), daemon.output()


def test_secrets_are_masked(t):
    daemon = t.daemon(TWILIO_AUTH_TOKEN="geheim123", **ECHO,
                      ASR_SERVER_URL="grpc://me:geheim456@127.0.0.1:1")
    daemon.get("/metrics")
    assert "geheim" not in daemon.output(), daemon.output()


def test_a_taken_port_is_an_error(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name in ("PORT", "ADMIN_PORT"):
            other = "ADMIN_PORT" if name == "PORT" else "PORT"
            status, output = t.run("convod", **{name: port, other: 0},
                                   **ECHO)
            assert status == 1, (name, status, output)
            assert re.search(rf"on {name} \S+:{port}\b", output), output


def test_health_ready_metrics(t):
    daemon = t.daemon(**ECHO)
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/healthz", admin=False)[0] == 200
    assert daemon.get("/readyz")[0] == 200
    for private in ("/readyz", "/metrics"):
        assert daemon.get(private, admin=False)[0] == 404, private
    assert daemon.get("/nothing")[0] == 404
    assert daemon.get("/nothing", admin=False)[0] == 404

    status, text = daemon.get("/metrics")
    assert status == 200
    for line in text.splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) convod_\w+ .+'
            r'|convod_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+|',
            line), line
    names = re.findall(r"^# TYPE (\w+)", text, re.M)
    assert len(names) == len(set(names)) > 20, names


def test_healthcheck_asks_the_running_daemon(t):
    daemon = t.daemon(**ECHO)
    settings = {"PORT": daemon.port, "ADMIN_PORT": daemon.admin_port}
    status, output = t.run("convod", "--healthcheck", **settings)
    assert status == 0, output
    with hold() as nobody:
        port = nobody.getsockname()[1]
        status, output = t.run("convod", "--healthcheck", PORT=port,
                               ADMIN_PORT=port)
        assert status == 1, output


def test_descriptor_limit_is_raised(t):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    daemon = t.daemon(**ECHO)
    with open(f"/proc/{daemon.proc.pid}/limits", encoding="ascii") as limits:
        soft = re.search(r"Max open files +(\d+)", limits.read())[1]
    assert int(soft) == hard, (soft, hard)


def test_signals_end_an_idle_daemon_at_once(t):
    for number in (SIGTERM, SIGINT):
        daemon = t.daemon(DRAIN_SECONDS=3600, **ECHO)
        daemon.signal(number)
        assert daemon.wait() == 0


def test_sighup_ends_no_call(t):
    daemon = t.daemon(**ECHO)
    caller = t.caller(daemon).start()
    daemon.wait_metric("calls_total")
    daemon.signal(SIGHUP)
    daemon.wait_line("nothing is reloaded")
    assert daemon.metric("calls") == 1
    assert caller.hang_up() in (None, 1000)
    daemon.wait_idle()


def test_gauges_count_once(t):
    daemon = t.daemon()
    callers = [t.caller(daemon).start() for _ in range(3)]
    daemon.wait_metric("calls", 3)
    assert daemon.metric("sockets") == 3
    for caller in callers:
        wait_for(lambda: caller.marks, "a greeting")
    # each has had one turn; the greeting's two sentences were spoken once
    assert daemon.metric("dialog_seconds_count") == 3
    assert daemon.metric("tts_requests_total") == 2
    for caller in callers:
        caller.hang_up()
    daemon.wait_idle()


def test_sigterm_drains(t):
    daemon = t.daemon(DRAIN_SECONDS=60, **ECHO)
    caller = t.caller(daemon).start()
    daemon.wait_metric("calls_total")

    daemon.signal(SIGTERM)
    wait_for(lambda: daemon.get("/readyz")[0] == 503, "not ready")
    assert daemon.get("/healthz")[0] == 200
    try:
        t.caller(daemon)
        raise AssertionError("a new call was taken while draining")
    except OSError:
        pass
    assert daemon.proc.poll() is None and caller.closed is None

    caller.hang_up()
    assert daemon.wait() == 0


def test_drain_ends_with_a_sentence_and_1001(t):
    daemon = t.daemon(DRAIN_SECONDS=1, **ECHO)
    caller = t.caller(daemon).start()
    daemon.wait_metric("calls_total")
    before = caller.received
    daemon.signal(SIGTERM)
    wait_for(lambda: caller.closed is not None, "the close")
    assert caller.closed == 1001, caller.closed
    assert caller.received > before + 4000, "nothing was said"
    assert daemon.wait() == 0


def test_a_second_signal_ends_at_once(t):
    daemon = t.daemon(DRAIN_SECONDS=3600, **ECHO)
    caller = t.caller(daemon).start()
    daemon.wait_metric("calls_total")
    daemon.signal(SIGTERM)
    wait_for(lambda: daemon.get("/readyz")[0] == 503, "not ready")
    daemon.signal(SIGTERM)
    assert daemon.wait() == 0
    wait_for(lambda: caller.closed is not None, "the end of the call")
