#!/usr/bin/python3
"""Hold the README's table of settings against the program's.

usage: settings.py README CONVOD [--write]

With --write the README is brought up to date instead.
"""
import subprocess
import sys
from pathlib import Path

BEGIN = "<!-- settings: begin (convod --print-markdown) -->\n"
END = "<!-- settings: end -->\n"


def main():
    readme = Path(sys.argv[1])
    table = subprocess.run([sys.argv[2], "--print-markdown"], check=True,
                           capture_output=True, text=True).stdout
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)

    if "--write" in sys.argv:
        readme.write_text(head + BEGIN + table + END + tail)
    elif old != table:
        print(f"{readme} is not what {sys.argv[2]} --print-markdown says; "
              f"run {sys.argv[0]} {readme} {sys.argv[2]} --write")
        print("[  FAILED  ] settings_of_the_readme")
        sys.exit(1)
    print("[       OK ] settings_of_the_readme")


main()
