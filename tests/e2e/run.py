#!/usr/bin/python3
"""Run the tests of one module: run.py MODULE PROGRAM... [-k NAME]

A test is a function test_NAME(t) that gets a harness.Test. One line a test, as
cmocka prints them; the output of its processes follows a failure.
"""
import argparse
import faulthandler
import importlib
import inspect
import sys
import time
import traceback
from pathlib import Path

from harness import Skip, Test

TEST_SECONDS = 480
LINES = 80  # of an output that are shown


def telling(lines):
    """The end of an output, and a sanitizer's report wherever it stands"""
    report = next((at for at, line in enumerate(lines)
                   if "Sanitizer: " in line), len(lines))
    end = max(0, len(lines) - LINES)
    return lines[report:min(report + LINES, end)] + lines[end:]


def run(name, function, programs):
    begun = time.monotonic()
    test = Test(programs)
    # a hang shows where, and ends this process and with it its children
    faulthandler.dump_traceback_later(TEST_SECONDS, exit=True)
    try:
        function(test)
        problem = None
    except Skip as skip:
        print(f"[  SKIPPED ] {name}: {skip}", flush=True)
        test.close()
        return True
    except BaseException:
        problem = traceback.format_exc()
    finally:
        faulthandler.cancel_dump_traceback_later()
    problems = test.close()

    if problem or problems:
        for process in test.processes:
            print(f"--- {getattr(process, 'name', 'not started')}")
            print("\n".join(telling(getattr(process, "lines", []))))
        # last: of a long log only the end may be shown
        print(problem or "", *problems, sep="\n")
    verdict = "[  FAILED  ]" if problem or problems else "[       OK ]"
    print(f"{verdict} {name} {time.monotonic() - begun:.1f} s", flush=True)
    return not problem and not problems


def main():
    options = argparse.ArgumentParser()
    options.add_argument("module")
    options.add_argument("programs", nargs="+")
    options.add_argument("-k", default="", help="only tests with this in")
    options.add_argument("--part", default="1/1", help="every n-th, as 1/2")
    options = options.parse_args()
    part, parts = map(int, options.part.split("/"))
    programs = {Path(p).name: str(Path(p).resolve())
                for p in options.programs}

    module = importlib.import_module("test_" + options.module)
    tests = [(name, function) for name, function
             in inspect.getmembers(module, inspect.isfunction)
             if name.startswith("test_") and options.k in name]
    # all of them run, whichever fails
    return not all([run(*test, programs) for test in tests[part - 1::parts]])


if __name__ == "__main__":
    sys.exit(main())
