#!/usr/bin/python3
"""Compile every header of include/convod alone: ROOT COMPILER LANGUAGE."""
import subprocess
import sys
from pathlib import Path

# C++23 is the first to have <stdatomic.h>
STANDARD = {"c": "gnu11", "c++": "gnu++23"}


def main():
    root, compiler, language = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    failed = False
    for header in sorted((root / "include" / "convod").glob("*.h")):
        done = subprocess.run(
            [compiler, "-x", language, f"-std={STANDARD[language]}",
             "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
             "-D_GNU_SOURCE", "-fsyntax-only", "-I", str(root / "include"),
             "-include", str(header), "/dev/null"], check=False)
        verdict = "[       OK ]" if done.returncode == 0 else "[  FAILED  ]"
        print(verdict, header.stem)
        failed = failed or done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
