#!/usr/bin/python3
"""Rules of the tree that a compiler does not check; see CONTRIBUTING.md.

Prints one line a rule, as cmocka does, after the places that break it.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])

FUNCTION_LINES_MAX = 100
FILE_LINES_MAX = 1000
LINE_MAX = 79
PROSE_MAX = 88
TAB = 8

# A folder of src/ may use what its own line names, and nothing above it.
# Headers of include/convod/ belong to the folder that their module is in.
LAYERS = ["base", "audio net bot", "carrier asr dialog tts control store",
          "call", "server"]

# Public headers whose name no .c has
NO_C_FILE = {"defs": "base", "audio": "audio", "net": "net"}

# Where the types of a library may appear
HOME = {
    r"\b(struct )?lws(_|\b)": ["src/net/"],
    r"\buv_\w+|<uv\.h>": ["src/net/"],
    r"\bCURLM?\b|\bcurl_\w+\(|<curl/": ["src/net/"],
    r"\bnghttp2_\w+": ["src/net/", "tests/"],
    r"\bSRC_STATE\b|<samplerate\.h>": ["src/audio/resample.c"],
    r"\bSNDFILE\b|<sndfile\.h>": ["src/audio/decode", "src/audio/record",
                                  "tools/", "tests/"],
    r"\bmpg123_\w+": ["src/audio/decode", "tests/"],
}


def files(*folders):
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others",
         "--exclude-standard", "--", *folders],
        capture_output=True, text=True, check=False).stdout.split()
    return [f for f in sorted(set(listed)) if (ROOT / f).is_file()]


def sources(*folders):
    return [f for f in files(*folders) if f.endswith((".c", ".h"))]


def documents():
    return [f for f in files(".") if f.endswith(".md")]


def lines(name):
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def code(name):
    """Lines without comments and strings, so that words in them are free"""
    text = (ROOT / name).read_text(encoding="utf-8")

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text,
                  flags=re.S).splitlines()


def width(line):
    column = 0
    for char in line:
        column += TAB - column % TAB if char == "\t" else 1
    return column


def rule_lines_fit():
    for name in sources("src", "include", "tools", "tests"):
        table = False  # between clang-format off and on
        for number, line in enumerate(lines(name), 1):
            if "clang-format off" in line or "clang-format on" in line:
                table = "off" in line
            elif width(line) > LINE_MAX and not table \
                    and not re.search(r'https?://|"', line):
                yield f"{name}:{number}: {width(line)} columns"


def rule_files_are_short():
    for name in sources("src", "include", "tools", "tests"):
        count = len(lines(name))
        if count > FILE_LINES_MAX:
            yield f"{name}: {count} lines"


def prose(name):
    """Lines of a document, numbered, without those of code and tables"""
    fenced = False
    for number, line in enumerate(lines(name), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not re.match(r"    |\s*\|", line):
            yield number, line


def rule_prose_fits():
    for name in documents():
        for number, line in prose(name):
            if len(line) > PROSE_MAX:
                yield f"{name}:{number}: {len(line)} columns"


def anchors(name):
    """What GitHub calls the headings of a document"""
    return {re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for _, line in prose(name) if line.startswith("#")}


def rule_links_lead_somewhere():
    for name in documents():
        text = "\n".join(lines(name))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if re.match(r"\w+:", path):
                continue
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.exists():
                yield f"{name}: {target}"
            elif anchor and anchor not in anchors(file):
                yield f"{name}: {target}: no such heading"


def rule_headers_are_guarded():
    for name in sources("src", "include", "tools", "tests"):
        if name.endswith(".h") and not re.search(
                r"^#ifndef (\w+_H)\n#define \1$", "\n".join(lines(name)),
                re.M):
            yield name


def rule_functions_are_short():
    for name in sources("src", "include", "tools", "tests"):
        start = None
        for number, line in enumerate(lines(name), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start - 1 > FUNCTION_LINES_MAX:
                    yield (f"{name}:{start}: a function of "
                           f"{number - start - 1} lines")
                start = None


def header_owners():
    """Folder of each public header: where the .c of the same name is"""
    owner = dict(NO_C_FILE)
    for name in sources("src"):
        parts = Path(name).parts
        if len(parts) == 3 and name.endswith(".c"):
            owner[Path(name).stem] = parts[1]
    return owner


def rule_dependencies_point_down():
    level = {folder: n for n, row in enumerate(LAYERS)
             for folder in row.split()}
    owner = header_owners()
    for name in sources("src", "include"):
        parts = Path(name).parts
        if parts[0] == "include":
            own = owner.get(Path(name).stem)
        elif len(parts) == 3:
            own = parts[1]
        else:
            continue  # main.c may use all
        if own not in level:
            yield f"{name}: {own} has no place in LAYERS"
            continue
        for number, line in enumerate(lines(name), 1):
            if re.match(r'#include "\.\./', line):
                yield f"{name}:{number}: a private header of another folder"
            match = re.match(r"#include <convod/(\w+)\.h>", line)
            if not match:
                continue
            other = owner.get(match.group(1))
            if other not in level:
                yield f"{name}:{number}: whose header is that?"
            elif other != own and level[other] >= level[own]:
                yield f"{name}:{number}: {own} includes {other}'s header"


def rule_libraries_stay_at_home():
    for name in sources("src", "include", "tools"):
        for number, line in enumerate(code(name), 1):
            for pattern, homes in HOME.items():
                if re.search(pattern, line) and \
                        not any(name.startswith(home) for home in homes):
                    yield f"{name}:{number}: {line.strip()}"


def rule_no_unbounded_string_functions():
    for name in sources("src", "include", "tools", "tests"):
        for number, line in enumerate(code(name), 1):
            if re.search(r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|"
                         r"atoi|atol|strtok)\(", line):
                yield f"{name}:{number}: {line.strip()}"


def rule_files_say_what_they_are():
    for name in sources("src", "include"):
        head = "\n".join(lines(name)[:3])
        if f"@file {Path(name).name}" not in head:
            yield f"{name}: no @file line at its top"


def rule_no_loose_ends():
    for name in sources("src", "include", "tools", "tests"):
        for number, line in enumerate(lines(name), 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield f"{name}:{number}: {line.strip()}"


def main():
    failed = False
    for name, rule in sorted(globals().items()):
        if not name.startswith("rule_"):
            continue
        broken = list(rule())
        for place in broken:
            print(place)
        verdict = "[  FAILED  ]" if broken else "[       OK ]"
        print(verdict, name[len("rule_"):])
        failed = failed or bool(broken)
    return failed


if __name__ == "__main__":
    sys.exit(main())
