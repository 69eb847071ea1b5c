#!/usr/bin/python3
"""convo-load against tests/peers/ws_bot.py: calls held, marks, answers.

usage: load.py CONVO_LOAD WS_BOT
"""
import json
import subprocess
import sys

LOAD, BOT = sys.argv[1:3]


def load(fault):
    with subprocess.Popen([BOT, "--break", fault], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as bot:
        port = int(bot.stdout.readline())
        done = subprocess.run(
            [LOAD, "--json", "--calls", "5", "--speech", "500", "--silence",
             "1500", "--seconds", "3", "--pid", str(bot.pid),
             f"ws://127.0.0.1:{port}/convo"],
            capture_output=True, text=True, timeout=30, check=False)
        bot.stdin.close()
    return done.returncode, json.loads(done.stdout)


def main():
    status, end = load("")
    print(end)
    assert status == 0 and end["held"] == 5 and end["lost"] == 0
    assert 700 <= end["frames"] <= 800
    assert end["answers"] >= 5 and end["marks"] >= 5
    assert end["answer_p50_us"] >= 250000  # the peer waits for 300 ms silence
    assert end["daemon_rss"] > 0
    status, end = load("refuse")
    print(end)
    assert status == 2 and end["refused"] == 5 and end["held"] == 0


if __name__ == "__main__":
    main()
