"""What a carrier, or whoever calls itself one, may send without harm."""
import base64
import json
import time

import wsraw
from harness import fixture, wait_for
from wsraw import WebSocket

ECHO = {"DIALOG_URL": "echo:"}
STREAM = "MZ" + "0" * 31 + "9"
CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
START = json.dumps({
    "event": "start", "sequenceNumber": "1", "streamSid": STREAM,
    "start": {"streamSid": STREAM, "accountSid": "AC" + "0" * 32,
              "callSid": "CA" + "0" * 31 + "9", "tracks": ["inbound"],
              "mediaFormat": {"encoding": "audio/x-mulaw",
                              "sampleRate": 8000, "channels": 1},
              "customParameters": {}}})
MEDIA = json.dumps({
    "event": "media", "sequenceNumber": "2", "streamSid": STREAM,
    "media": {"track": "inbound", "chunk": "1", "timestamp": "155",
              "payload": base64.b64encode(b"\xff" * 160).decode()}})


def begun(daemon, *texts):
    ws = WebSocket(daemon.port)
    for text in (CONNECTED, START, *texts):
        ws.send_text(text)
    return ws


def unharmed(t, daemon):
    """The daemon is well and takes calls"""
    caller = t.caller(daemon).start()
    wait_for(lambda: caller.sequence > 10, "a call")
    assert caller.closed is None
    caller.hang_up()
    daemon.wait_idle()


def test_malformed_one_by_one(t):
    daemon = t.daemon(**ECHO)
    for line in fixture("twilio-malformed.jsonl"):
        ws = begun(daemon, line, MEDIA)
        ws.close()
        code = ws.wait_closed()
        assert code in (None, 1000, 1008, 1009), (line[:80], code)
        ws.drop()
    assert daemon.metric("bad_messages_total") > 10
    unharmed(t, daemon)


def test_malformed_all_at_once(t):
    daemon = t.daemon(**ECHO)
    ws = begun(daemon, *fixture("twilio-malformed.jsonl"))
    assert ws.wait_closed() in (None, 1000, 1008, 1009)
    unharmed(t, daemon)


def test_malformed_before_start(t):
    daemon = t.daemon(**ECHO)
    ws = WebSocket(daemon.port)
    for line in fixture("twilio-malformed.jsonl"):
        try:
            ws.send_text(line)
        except OSError:
            break
    assert ws.wait_closed() in (None, 1000, 1008, 1009)
    unharmed(t, daemon)


def test_fixtures_whole_calls(t):
    daemon = t.daemon(**ECHO)
    for name in ("twilio-call-basic", "twilio-legacy-0.2.0",
                 "twilio-both-tracks", "twilio-bargein-from-carrier",
                 "twilio-marks", "twilio-odd"):
        ws = WebSocket(daemon.port)
        for line in fixture(name + ".jsonl"):
            ws.send_text(line)
            if '"media"' in line:
                time.sleep(0.011)  # not twice real time
        ws.close()
        assert ws.wait_closed() in (None, 1000, 1008), name
    assert daemon.metric("calls_total") == 6
    unharmed(t, daemon)


def test_binary_is_ignored_then_closed(t):
    daemon = t.daemon(**ECHO)
    ws = begun(daemon, MEDIA)
    for _ in range(9):
        ws.send_frame(wsraw.BINARY, b"\0" * 100)
    ws.send_text(MEDIA)
    daemon.wait_metric("frames_in_total", 2)
    assert daemon.metric("calls") == 1
    ws.send_frame(wsraw.BINARY, b"")
    assert ws.wait_closed() == 1008
    assert daemon.metric("closed_protocol_total") == 1
    unharmed(t, daemon)


def test_bad_messages_are_ignored_then_closed(t):
    daemon = t.daemon(**ECHO)
    for bad in ('{"event":', "hello", "[" * 60000, '{"event": 1}',
                MEDIA.replace('"payload": "', '"payload": "*')):
        before = {name: daemon.metric(name + "_total") for name in
                  ("bad_messages", "frames_in", "closed_protocol")}
        ws = begun(daemon, MEDIA, *[bad] * 9)
        ws.send_text(MEDIA)
        daemon.wait_metric("frames_in_total", before["frames_in"] + 2)
        assert daemon.metric("calls") == 1, bad[:40]
        ws.send_text(bad)
        assert ws.wait_closed() == 1008, bad[:40]
        for name, more in (("bad_messages", 10), ("closed_protocol", 1)):
            assert daemon.metric(name + "_total") == before[name] + more, name
        daemon.wait_idle()
    unharmed(t, daemon)


def test_messages_out_of_place(t):
    daemon = t.daemon(**ECHO)
    foreign = MEDIA.replace(STREAM, "MZ" + "f" * 32)
    for bad in (START, foreign):
        ws = begun(daemon, *[bad] * 9)
        ws.send_text(MEDIA)
        ws.send_text(bad)
        assert ws.wait_closed() == 1008, bad[:40]
    ws = WebSocket(daemon.port)
    ws.send_text(CONNECTED)
    for _ in range(10):
        ws.send_text(MEDIA)
    assert ws.wait_closed() == 1008
    assert daemon.metric("closed_protocol_total") == 3
    assert daemon.metric("ignored_messages_total") >= 30
    unharmed(t, daemon)


def test_not_utf8(t):
    daemon = t.daemon(**ECHO)
    for payload in (b'{"event":"\xff"}', b"\xed\xa0\x80", b"\xc0\xaf"):
        ws = begun(daemon)
        ws.send_text(payload)
        assert ws.wait_closed() == 1007, payload
    unharmed(t, daemon)


def test_too_long(t):
    daemon = t.daemon(**ECHO)
    ws = begun(daemon)
    try:
        ws.send_text("x" * 70000)
    except OSError:
        pass
    assert ws.wait_closed() == 1009
    unharmed(t, daemon)


def test_too_many_fragments(t):
    daemon = t.daemon(**ECHO)
    for piece in (b"x", b""):
        ws = begun(daemon)
        try:
            ws.send_frame(wsraw.TEXT, b"{", fin=False)
            for _ in range(70):
                ws.send_frame(0, piece, fin=False)
        except OSError:
            pass
        # the next call has the same id, which is free by now
        assert ws.wait_closed() == 1009, piece
    ended = 'calls_ended_total{reason="protocol"}'
    assert daemon.metric(ended) == 2, daemon.metrics()
    unharmed(t, daemon)


def test_fragments_make_one_message(t):
    daemon = t.daemon(**ECHO)
    ws = begun(daemon)
    data = MEDIA.encode()
    for at in range(0, len(data), 20):
        ws.send_frame(wsraw.TEXT if at == 0 else 0, data[at:at + 20],
                      fin=at + 20 >= len(data))
        ws.send_frame(wsraw.PING, b"in between")
    daemon.wait_metric("frames_in_total")
    assert daemon.metric("bad_messages_total") == 0
    ws.close()
    ws.wait_closed()


def test_no_start_in_time(t):
    daemon = t.daemon(**ECHO)
    begun = time.monotonic()
    ws = WebSocket(daemon.port)
    ws.send_text(CONNECTED)
    assert ws.wait_closed() == 1008
    assert time.monotonic() - begun > 4, "it had 5 s"
    unharmed(t, daemon)


def test_faster_than_real_time(t):
    daemon = t.daemon(**ECHO)
    ws = begun(daemon)
    try:
        for _ in range(2000):
            ws.send_text(MEDIA)
    except OSError:
        pass
    assert ws.wait_closed() == 1008
    assert daemon.metric("closed_flood_total") == 1
    unharmed(t, daemon)


def test_bad_opcodes(t):
    daemon = t.daemon(**ECHO)
    for opcode in (3, 7, 11, 15):
        ws = begun(daemon)
        ws.send_frame(opcode, MEDIA.encode())
        assert ws.wait_closed() in (None, 1002), opcode
    unharmed(t, daemon)


def test_unmasked_frames_harm_nobody(t):
    """RFC 6455 wants them refused, libwebsockets takes them"""
    daemon = t.daemon(**ECHO)
    ws = begun(daemon)
    ws.send_frame(wsraw.TEXT, MEDIA.encode(), masked=False)
    ws.close()
    assert ws.wait_closed() in (None, 1000, 1002)
    unharmed(t, daemon)


def test_sockets_that_vanish(t):
    daemon = t.daemon(**ECHO)
    for number in range(20):
        ws = WebSocket(daemon.port)
        for text in (CONNECTED, START, MEDIA)[:number % 4]:
            ws.send_text(text)
        ws.drop()
    daemon.wait_idle()
    unharmed(t, daemon)
