"""Everything behind a call fails, in every way, and the caller hears of it.

Each row of the table: the call stays up, the caller hears the apology, the
right counter moves, and once the peer is well again the next turn is answered.
"""
import socket
import threading

from harness import HERE, hold, in_parallel, wait_for
from test_call import words
from trouble import Masdif

PROMPTS = HERE.parent.parent / "share" / "prompts"
APOLOGY = (PROMPTS / "is-apology.ul").read_bytes()
WAIT = (PROMPTS / "is-wait.ul").read_bytes()
CLIP = words(9, 11, end_ms=0)  # what the bot answers: known, byte by byte
FADE = 40                      # samples that playout fades in or out
PIECE = 3200                   # enough of a prompt to know it by

# stage, fault: counter that moves, what the caller hears of it
MASDIF = {
    **{("create", fault): "turns_failed_total" for fault in
       ("refuse", "hang", "die", "html", "json", "shape", "500", "404",
        "endless")},
    **{("turn", fault): "turns_failed_total" for fault in
       ("refuse", "hang", "die", "html", "json", "shape", "500", "endless")},
    **{("audio", fault): "audio_failed_total" for fault in
       ("refuse", "hang", "die", "html", "500", "404", "endless", "drip")},
    **{("audio", fault): "audio_refused_total" for fault in
       ("foreign", "redirect", "inward", "turn_inward")},
}
LIMITS = {"DIALOG_TIMEOUT_MS": 5000, "AUDIO_TIMEOUT_MS": 5000,
          "SILENCE_LIMIT_MS": 1000, "WORKERS": 1,
          "REPEAT_MAX": 0,  # the peer knows one answer
          # a name that is allowed, and leads to where nobody is let in
          "AUDIO_HOSTS": "localhost"}

def start(t, axy_port, masdif, **settings):
    return t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy_port}",
                    MASDIF_SERVER_URL=masdif.url, **LIMITS, **settings)


def hears(caller, sound, what, since=0):
    wait_for(lambda: sound in caller.heard[since:] or
             caller.closed is not None, f"the caller hears {what}")
    assert caller.closed is None, f"{what}: closed {caller.closed}"


def is_said(prompt, heard):
    """Some of it at least: the caller's own words may have cut it"""
    return any(prompt[at + FADE:at + PIECE - FADE] in heard
               for at in range(0, len(prompt) - PIECE, PIECE))


def hears_apology(caller):
    wait_for(lambda: is_said(APOLOGY, caller.heard) or
             caller.closed is not None, "the caller hears the apology")
    assert caller.closed is None, f"the apology: closed {caller.closed}"


def answered(caller, masdif, number=2):
    """The next turn works"""
    since = len(caller.heard)
    turns = len(masdif.seen("turn"))
    caller.say(words(number))
    wait_for(lambda: len(masdif.seen("turn")) > turns, "another turn")
    hears(caller, CLIP[FADE:-FADE], "an answer", since)


def finish(daemon, caller):
    assert caller.hang_up() in (None, 1000)
    daemon.wait_idle()
    daemon.end()


def masdif_row(t, axy, stage, fault):
    masdif = Masdif(CLIP, {stage: fault})
    daemon = start(t, axy.port, masdif)
    caller = t.caller(daemon).start()
    if stage != "create":
        # it has the answer, too: nothing but the turn is to fail
        daemon.wait_line('event="dialog open"')
        if (stage, fault) == ("turn", "refuse"):
            masdif.refuse()
        caller.say(words(1))
    counter = MASDIF[stage, fault]
    daemon.wait_metric(counter)
    hears_apology(caller)
    if fault == "hang":
        assert is_said(WAIT, caller.heard), "left in silence"
    assert daemon.metric("apologies_total") == 1, "apologies"
    assert masdif.foreign_hits == 0, "a foreign host was asked"

    masdif.recover()
    answered(caller, masdif)
    assert daemon.metric("apologies_total") == 1, "apologies later"
    assert daemon.metric(counter) == 1, f"{counter} later"
    assert masdif.overlaps == 0, "overlaps"
    finish(daemon, caller)
    masdif.close()


def test_masdif_fails_in_every_way(t):
    axy = t.peer("axy_server.py")
    in_parallel([(f"{stage} {fault}", masdif_row, t, axy, stage, fault)
                 for stage, fault in MASDIF])


def test_masdif_forgets_and_cuts(t):
    """Troubles that need no apology"""
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP, {"turn": "404"})
    daemon = start(t, axy.port, masdif)
    caller = t.caller(daemon).start()
    wait_for(lambda: masdif.seen("create"), "a conversation")
    # forgotten: it is made anew, and the turn sent again
    masdif.delay = lambda stage: masdif.recover() or 0 \
        if stage == "create" else 0
    caller.say(words(1))
    hears(caller, CLIP[FADE:-FADE], "the answer")
    first, second = masdif.seen("turn")
    assert first[1] == second[1] and first[2] != second[2]

    # half an answer is better than none: what came is played
    masdif.faults = {"audio": "cut"}
    marks = len(caller.marks)
    caller.say(words(2))
    daemon.wait_metric("audio_failed_total")
    wait_for(lambda: len(caller.marks) > marks, "the half")
    masdif.recover()
    answered(caller, masdif, 3)
    assert daemon.metric("apologies_total") == 0
    assert daemon.metric("turns_failed_total") == 0
    finish(daemon, caller)


# ---------------------------------------------------------- the recogniser


class Silent:
    """A port that refuses, or accepts and says nothing or nonsense"""

    def __init__(self, fault):
        self.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\nwhat?\r\n" * 100 \
            if fault == "nonsense" else b""
        self.held = hold()
        self.port = self.held.getsockname()[1]
        self.connections = []
        self.listener = None
        if fault != "refuse":
            self.listener = socket.create_server(("127.0.0.1", self.port),
                                                 reuse_port=True)
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                conn, _ = self.listener.accept()
                self.connections.append(conn)
                if self.greeting:
                    conn.sendall(self.greeting)
        except OSError:
            pass

    def kill(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for conn in self.connections:
            conn.close()


def recogniser(t, fault):
    if fault in ("refuse", "silent", "nonsense"):
        return Silent(fault)
    return t.peer("axy_server.py", "--fault", fault)


def recogniser_row(t, fault, counter):
    peer = recogniser(t, fault)
    masdif = Masdif(CLIP)
    daemon = start(t, peer.port, masdif)
    caller = t.caller(daemon).start()
    # more than three seconds, so that it shows that nobody hears
    caller.say(words(*[n % 8 + 1 for n in range(20)]))
    hears_apology(caller)
    if counter:
        assert daemon.metric(counter) >= 1
    assert daemon.metric("apologies_total") >= 1

    peer.kill()
    axy = t.peer("axy_server.py", "--port", str(peer.port))
    axy.wait_line('"event": "stream"')
    wait_for(lambda: not caller.speech, "all is said")
    answered(caller, masdif, 5)
    finish(daemon, caller)
    masdif.close()


def test_recogniser_fails_in_every_way(t):
    in_parallel([(f"recogniser {fault}", recogniser_row, t, fault, counter)
                 for fault, counter in (
                     ("refuse", "asr_streams_broken_total"),
                     ("silent", None), ("hang", None), ("deaf", None),
                     ("die:300", "asr_streams_broken_total"),
                     ("nonsense", "asr_streams_broken_total"),
                     ("garbage", "asr_streams_broken_total"),
                     ("error", "asr_streams_broken_total"),
                     ("exhausted", "asr_streams_broken_total"))])


def test_recogniser_for_good(t):
    """It refuses what no repetition will change: the call stays up"""
    axy = t.peer("axy_server.py", "--fault", "invalid")
    masdif = Masdif(CLIP)
    daemon = start(t, axy.port, masdif)
    caller = t.caller(daemon).start()
    hears_apology(caller)
    assert daemon.metric("asr_failed_total") == 1
    # keys still work
    for digit in "42#":
        caller.dtmf(digit)
    hears(caller, CLIP[FADE:-FADE], "an answer")
    finish(daemon, caller)


def test_words_said_while_masdif_opens_are_not_lost(t):
    """The recogniser waits for Masdif's id, but not until words get lost"""
    axy = t.peer("axy_server.py")
    masdif = Masdif(CLIP, delay=lambda stage: 7 if stage == "create" else 0)
    daemon = t.daemon(ASR_SERVER_URL=f"grpc://127.0.0.1:{axy.port}",
                      MASDIF_SERVER_URL=masdif.url,
                      SILENCE_LIMIT_MS=2000, WORKERS=1)
    caller = t.caller(daemon).start()
    caller.say(words(1, 2))
    hears(caller, WAIT[FADE:PIECE], "that it takes a moment")
    hears(caller, CLIP[FADE:-FADE], "an answer")
    assert b'"one two"' in masdif.seen("turn")[0][1]
    assert daemon.metric("asr_samples_lost_total") == 0
    finish(daemon, caller)
