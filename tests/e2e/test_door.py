"""Who gets in, and how the rest is refused."""
import base64
import hashlib
import hmac
import time

import wsraw
from harness import wait_for
from wsraw import Closed, Refused, WebSocket

ECHO = {"DIALOG_URL": "echo:"}
TOKEN = "0123456789abcdef0123456789abcdef"


def sign(url, token=TOKEN):
    return base64.b64encode(hmac.new(token.encode(), url.encode(),
                                     hashlib.sha1).digest()).decode()


def refused(port, path="/convo", headers=()):
    try:
        WebSocket(port, path, headers).drop()
    except Refused as error:
        return error.status
    return 101


def raw(port, request):
    """Status of the answer to raw bytes, None if it just closes"""
    sock = wsraw.connect_tcp(port)
    try:
        sock.sendall(request)
        return wsraw.read_head(sock)[0]
    except (Closed, ConnectionError):
        return None
    finally:
        sock.close()


def test_signature(t):
    daemon = t.daemon(TWILIO_AUTH_TOKEN=TOKEN, **ECHO,
                      PUBLIC_URL="https://convod.example.com")
    good = "wss://convod.example.com/convo"
    # as in Twilio's own documents and library: see tests/data
    assert sign(good) == "kA5qlL2yE+luUovQAayX46qMTvM="

    def ask(signature):
        return refused(daemon.port,
                       headers=[("X-Twilio-Signature", signature)])

    assert ask(sign(good)) == 101
    assert ask(sign(good + "/")) == 101
    assert ask(sign("wss://convod.example.com:443/convo")) == 101
    assert refused(daemon.port) == 403
    assert ask("") == 403
    assert ask("x" * 3000) == 403
    assert ask(sign(good, "another token")) == 403
    assert ask(sign("https://convod.example.com/convo")) == 403
    assert ask(sign("wss://other.example.com/convo")) == 403
    assert daemon.metric("signatures_refused_total") == 6
    # the log helps whoever has set a wrong PUBLIC_URL
    daemon.wait_line("signature refused.*//convod.example.com/convo")
    assert TOKEN not in daemon.output()


def test_signature_without_public_url_uses_host(t):
    daemon = t.daemon(TWILIO_AUTH_TOKEN=TOKEN, **ECHO)
    headers = [("Host", "bot.example.org"),
               ("X-Twilio-Signature", sign("wss://bot.example.org/convo"))]
    assert refused(daemon.port, headers=headers) == 101


def test_no_token_warns_once(t):
    daemon = t.daemon(**ECHO)
    daemon.wait_line(' warn event="anybody can connect"')
    daemon.end()
    assert daemon.output().count("anybody can connect") == 1


def post(port, path, body):
    return raw(port, b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d"
               b"\r\n\r\n%s" % (path.encode(), len(body), body.encode()))


def test_what_newcomers_try_is_explained(t):
    daemon = t.daemon(**ECHO)
    assert refused(daemon.port, "/") == 404
    daemon.wait_line(' warn event="call refused" .*path="/" .*on /convo"')
    # the number's webhook is our address, and not TwiML
    assert post(daemon.port, "/", "AccountSid=AC1&CallSid=CA1") == 404
    daemon.wait_line(' warn event="a webhook is no call"')
    assert raw(daemon.port, b"GET /convo?CallSid=CA1 HTTP/1.1\r\n"
               b"Host: x\r\n\r\n") == 404
    # anything else is nobody's business
    assert post(daemon.port, "/", "a=b") == 405
    assert post(daemon.port, "/convo", "") == 426
    daemon.end()
    assert daemon.output().count("a webhook is no call") == 2


def test_one_call_too_many_gets_503(t):
    daemon = t.daemon(CALLS_MAX=2, **ECHO)
    callers = [t.caller(daemon).start() for _ in range(2)]
    daemon.wait_metric("calls", 2)
    assert refused(daemon.port) == 503
    assert daemon.metric("calls_refused_total") == 1
    for caller in callers:
        assert caller.closed is None

    callers[0].hang_up()
    wait_for(lambda: daemon.metric("calls") == 1, "the end of one call")
    wait_for(lambda: refused(daemon.port) == 101, "room for another")
    callers[1].hang_up()


def test_other_paths_are_no_calls(t):
    daemon = t.daemon(**ECHO)
    for path in ("/", "/conv", "/metrics", "/convo/../x", "//convo"):
        assert refused(daemon.port, path) == 404, path


def test_upgrade_offers_nothing(t):
    daemon = t.daemon(**ECHO)
    ws = WebSocket(daemon.port, headers=[
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Origin", "https://evil.example.com")])
    assert "sec-websocket-extensions" not in ws.head.lower(), ws.head
    assert "sec-websocket-protocol" not in ws.head.lower(), ws.head
    ws.drop()


def test_bad_requests_are_refused(t):
    daemon = t.daemon(**ECHO)
    head = b"POST /convo HTTP/1.1\r\nHost: x\r\n"
    long_head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 17000
    for request, expected in (
            (long_head + b"\r\n\r\n", 431),
            (head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            (head + b"Content-Length: 70000\r\n\r\n" + b"x" * 70000, 413),
            (b"GET /convo HTTP/1.1\r\nHost: x\r\n\r\n", 400)):
        status = raw(daemon.port, request)
        assert status == expected or \
            (expected == 400 and status in (400, 404, 405, 426)), \
            (request[:60], status, expected)
    for nonsense in (b"\0" * 100, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
                     b"GET\r\n\r\n", b"\r\n\r\n\r\n\r\n"):
        sock = wsraw.connect_tcp(daemon.port)
        sock.sendall(nonsense)
        sock.close()
    assert daemon.get("/healthz", admin=False)[0] == 200


def test_slow_heads_are_closed(t):
    daemon = t.daemon(**ECHO)
    begun = time.monotonic()
    sock = wsraw.connect_tcp(daemon.port)
    sock.sendall(b"GET /convo HTT")
    try:
        data = sock.recv(1000)
    except ConnectionError:
        data = b""
    assert data == b"" or data.startswith(b"HTTP/1.1 408"), data
    assert time.monotonic() - begun > 4, "it had 5 s"
    sock.close()


def test_tls_ends_in_the_daemon(t):
    cert, key = t.certificate()
    daemon = t.daemon(TLS_CERT=cert, TLS_KEY=key, **ECHO)
    caller = t.caller(daemon, ca_file=cert).start()
    daemon.wait_metric("calls_total")
    wait_for(lambda: caller.sequence > 50, "a second of call")
    assert daemon.metric("frames_in_total") > 20
    assert caller.hang_up() in (None, 1000)
    assert daemon.get("/healthz", admin=False)[0] == 200
    daemon.wait_idle()


def test_tls_signature(t):
    cert, key = t.certificate()
    daemon = t.daemon(TLS_CERT=cert, TLS_KEY=key, TWILIO_AUTH_TOKEN=TOKEN,
                      PUBLIC_URL="https://convod.example.com", **ECHO)
    try:
        WebSocket(daemon.port, ca_file=cert)
        raise AssertionError("no signature, and let in")
    except Refused as error:
        assert error.status == 403, error.status
    WebSocket(daemon.port, ca_file=cert, headers=[
        ("X-Twilio-Signature",
         sign("wss://convod.example.com/convo"))]).drop()


def test_wrong_certificate_refuses_to_start(t):
    cert, key = t.certificate()
    key.write_text("no key")
    status, output = t.run("convod", TLS_CERT=cert, TLS_KEY=key, PORT=0,
                           ADMIN_PORT=0)
    assert status == 1, (status, output)
    status, output = t.run("convod", TLS_CERT=cert, PORT=0, ADMIN_PORT=0)
    assert status == 1 and "TLS_KEY" in output, (status, output)
