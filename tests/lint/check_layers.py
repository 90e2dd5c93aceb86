#!/usr/bin/python3
"""Checks every #include of the tree, and what the pure rooms link, against layers.txt.

usage: check_layers.py [--symbols BUILD_DIR] [--junit FILE] [--root DIR]
Prints FILE:LINE: error: …; exits 1 when there is any."""
import argparse
import fnmatch
import os
import pathlib
import re
import subprocess
import sys

import lint

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


class Layers:
    """layers.txt, read."""

    def __init__(self, path):
        self.rooms, self.sees, self.libraries, self.pure = [], {}, [], {}
        self.may_call_objects, self.may_call = set(), set()
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split("#")[0].strip()
            if line:
                self.read_line(line, f"{path.name}:{number}")
        self.check_names(path.name)

    def read_line(self, line, place):
        words = line.split()
        head, _, tail = line.partition(":")
        if words[0] == "room":
            self.rooms.append((head.split()[1], tail.split()))
        elif words[0] == "library":
            self.libraries.append((head.split()[1:], tail.split()))
        elif words[0] == "pure":
            self.pure[head.split()[1]] = tail.strip()
        elif head == "may call":
            for word in tail.split():
                (self.may_call_objects if word.endswith(".o") else self.may_call).add(word)
        elif head == "may call libc":
            self.may_call.update(tail.split())
        elif len(words) > 1 and words[1] == "sees":
            self.sees.setdefault(words[0], set()).update(words[2:])
        else:
            sys.exit(f"{place}: cannot be understood: {line}")

    def check_names(self, name):
        known = {room for room, _ in self.rooms}
        for room, seen in self.sees.items():
            for word in {room} | seen:
                if word not in known:
                    sys.exit(f"{name}: there is no room '{word}'")
        for room, seen in self.sees.items():  # arrows have one direction
            for other in seen:
                if other != room and room in self.sees.get(other, ()):
                    sys.exit(f"{name}: {room} and {other} see each other")

    def room_of(self, path):
        for room, patterns in self.rooms:
            if any(matches(path, pattern) for pattern in patterns):
                return room
        return None


def matches(path, pattern):
    """Like a shell: * stays within a folder, ** does not."""
    regex = ""
    for part in re.split(r"(\*\*|\*|\?|\[[^]]*\])", pattern):
        regex += {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or (part if part.startswith("[") else re.escape(part))
    return re.fullmatch(regex, path) is not None


def check_own(layers, root, path, included):
    if not (root / included).is_file():
        if (root / path).parent.joinpath(included).is_file():
            if path.startswith("tests/"):
                return None  # a test's own helper beside it
            return f'"{included}" is relative to the file; write the path from the root'
        if included in lint.GENERATED:
            return None
        return f'"{included}" does not exist'
    room, other = layers.room_of(path), layers.room_of(included)
    if room is None:
        return "this file belongs to no room of layers.txt"
    if other is None:
        return f'"{included}" belongs to no room of layers.txt'
    if room != other and other not in layers.sees.get(room, ()):
        return f'{room} may not see {other} ("{included}"); it sees {", ".join(sorted(layers.sees.get(room, ()))) or "nothing"}'
    return None


def check_library(layers, path, included):
    if path.startswith("tests/"):
        return None
    for headers, allowed in layers.libraries:
        if any(fnmatch.fnmatch(included, header) for header in headers):
            if not any(matches(path, pattern) for pattern in allowed):
                return f"<{included}> may be included only in {' '.join(allowed)}"
    return None


def check_includes(layers, root, findings):
    for path in lint.files(root, (".c", ".h", ".def")):
        for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            own, library = found.groups()
            wrong = check_own(layers, root, path, own) if own else check_library(layers, path, library)
            if wrong:
                findings.error(path, number, wrong)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def defined_symbols(build, objects):
    """What these objects of our own archives define, as they are named in `objects`."""
    symbols = set()
    for archive in build.rglob("libatoll_*.a"):
        current = None
        for line in run("nm", "--defined-only", "--extern-only", str(archive)).splitlines():
            if line.endswith(":"):
                current = line[:-1]
            elif current in objects and line.split():
                symbols.add(line.split()[-1])
    return symbols


def check_pure(layers, build, findings):
    allowed = layers.may_call | defined_symbols(build, layers.may_call_objects)
    for room, archive_name in layers.pure.items():
        archive = build / archive_name
        if not archive.is_file():
            findings.error(archive_name, 0, f"{room}: is not built in {build}")
            continue
        own = {line.split()[-1] for line in run("nm", "--defined-only", str(archive)).splitlines() if len(line.split()) > 1}
        current = "?"
        for line in run("nm", "--undefined-only", str(archive)).splitlines():
            if line.endswith(":"):
                current = line[:-1]
            elif line.split() and line.split()[-1] not in allowed | own:
                findings.error(archive_name, 0, f"{room}: {current} calls {line.split()[-1]}, which is not on the list of layers.txt")
        for line in run("objdump", "--syms", str(archive)).splitlines():
            found = re.search(r" O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)\S*\s+[0-9a-f]+ +(\S+)$", line)
            if found and not found.group(0).startswith(" O .data.rel.ro"):
                findings.error(archive_name, 0, f"{room}: has a variable, {found.group(2)}; pure code has constants only")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--symbols", type=pathlib.Path, metavar="BUILD_DIR")
    parser.add_argument("--junit")
    options = parser.parse_args()
    layers = Layers(pathlib.Path(__file__).with_name("layers.txt"))
    includes, symbols = lint.Findings("includes follow the arrows"), lint.Findings("pure rooms are pure")
    check_includes(layers, options.root, includes)
    if options.symbols:
        check_pure(layers, options.symbols, symbols)
    return lint.finish([includes, symbols] if options.symbols else [includes], options.junit)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
