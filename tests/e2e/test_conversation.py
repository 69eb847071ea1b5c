"""Conversations as scripts of convo-call, against the embedded engines.

Each file of conversation/ is one: its steps, and in its comments
`#: NAME=VALUE` settings of the daemon, `#@ option` what Axy is started with
if it is to be the recogniser, `#+ option` one more of convo-call's,
`#= metric value` counters (`>= value` where more may come) and `#~ pattern`
lines of its log that must be there.
"""
import re

from harness import DATA, HERE, in_parallel

SCRIPTS = HERE / "conversation"
AUDIO = DATA.parent / "audio"


# How soon is measured elsewhere (tests/bench, and in the simulator, where time
# is not the machine's): here it is waited for, so long that only what never
# comes fails
SOON = (("wait-bot", 60000), ("expect-audio", 60000), ("expect-close", 60000),
        ("expect-clear", 3000))


def patient(text):
    for step, ms in SOON:
        text = re.sub(rf"(?m)^{step}\b( \d+)?", f"{step} {ms}", text)
    return text


def marked(text, mark):
    return re.findall(rf"^#{mark} (.*)$", text, re.M)


def converse(t, path):
    """Run one script; what went wrong, or None"""
    text = path.read_text()
    settings = dict(line.split("=", 1) for line in marked(text, ":"))
    axy = marked(text, "@")
    if axy:
        peer = t.peer("axy_server.py", *axy)
        settings["ASR_SERVER_URL"] = f"grpc://127.0.0.1:{peer.port}"
    daemon = t.daemon(**settings)
    script = t.cwd / path.name
    script.write_text(re.sub(r"(?m)^(say|interrupt) (\S+)",
                             rf"\1 {AUDIO}/\2", patient(text)))
    status, output = t.run(
        "convo-call", "--json", "--allow-unanswered", "--greeting", "60000",
        "--answer", "60000", *marked(text, "\\+"), "--script", str(script),
        f"ws://127.0.0.1:{daemon.port}/convo", timeout=200)
    assert status == 0, f"{path.name}: {status}\n{output}"
    daemon.wait_idle()
    for line in marked(text, "="):
        name, least, value = re.match(r"(\S+) (>=)? ?(\d+)$", line).groups()
        seen = daemon.metric(name)
        assert seen == int(value) or least and seen > int(value), \
            f"{path.name}: {name} is {seen}"
    for pattern in marked(text, "~"):
        daemon.wait_line(pattern)
    daemon.end()
    if axy:
        peer.end()


def test_scripts(t):
    """They take their time, but little of the machine's: all at once"""
    scripts = sorted(SCRIPTS.glob("*.call"))
    assert len(scripts) > 10
    in_parallel([(path.name, converse, t, path) for path in scripts],
                len(scripts))
