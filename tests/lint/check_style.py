#!/usr/bin/python3
"""Checks what a reader meets first: files and functions of a length that a mind holds, a first comment that says what the
file is for, no trailing white space, no tabs in C.

usage: check_style.py [--junit FILE] [--root DIR] [--list-c]"""
import argparse
import pathlib
import re
import sys

import lint

FILE_WARN, FILE_MOST = 400, 600
FUNCTION_WARN, FUNCTION_MOST = 50, 80
LINE_MOST = 160
C_ENDINGS = (".c", ".h", ".def")
SCRIPT_ENDINGS = (".py", ".sh", ".cmake", ".story", ".yaml", ".yml", "CMakeLists.txt", "layers.txt")


def begins_with_comment(path, lines):
    if path.endswith(C_ENDINGS):
        return bool(lines) and lines[0].startswith("/*")
    rest = lines[1:] if lines and lines[0].startswith("#!") else lines
    return bool(rest) and rest[0].lstrip().startswith(("#", '"""', "'''"))


def function_lengths(lines):
    """(name, first line, length): functions have their braces in the first column, as .clang-format puts them."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            yield name_before(lines, begin), begin, number - begin + 1
            begin = None


def name_before(lines, brace):
    head = ""
    for line in reversed(lines[max(0, brace - 12) : brace - 1]):
        head = line + " " + head
        if line and not line[0].isspace():
            break
    found = re.search(r"(\w+)\s*\(", head)
    return found.group(1) if found else "?"


def check_text(path, lines, findings):
    is_c = path.endswith(C_ENDINGS)
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            findings.error(path, number, "trailing white space")
        if is_c and "\t" in line:
            findings.error(path, number, "a tab; C is indented by four spaces")
        if path.endswith((".c", ".h")) and len(line) > LINE_MOST:
            findings.warn(path, number, f"{len(line)} columns, more than {LINE_MOST}")


def check_lengths(path, lines, findings):
    if len(lines) > FILE_MOST:
        findings.error(path, 0, f"{len(lines)} lines, at most {FILE_MOST}: split it by what its parts are about")
    elif len(lines) > FILE_WARN:
        findings.warn(path, 0, f"{len(lines)} lines, more than {FILE_WARN}")
    if not path.endswith(".c"):
        return
    for name, number, length in function_lengths(lines):
        if length > FUNCTION_MOST:
            findings.error(path, number, f"{name}() has {length} lines, at most {FUNCTION_MOST}")
        elif length > FUNCTION_WARN:
            findings.warn(path, number, f"{name}() has {length} lines, more than {FUNCTION_WARN}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--junit")
    parser.add_argument("--list-c", action="store_true", help="only print the names of all C files")
    options = parser.parse_args()
    if options.list_c:
        print("\n".join(lint.files(options.root, (".c", ".h"))))
        return 0
    text, length, comment = (lint.Findings(name) for name in ("white space", "lengths", "each file says what it is for"))
    for path in lint.files(options.root, C_ENDINGS + SCRIPT_ENDINGS):
        lines = (options.root / path).read_text(errors="replace").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        else:
            text.error(path, len(lines), "no newline at the end")
        check_text(path, lines, text)
        if path.endswith(C_ENDINGS + (".py", ".sh")):
            check_lengths(path, lines, length)
        if not begins_with_comment(path, lines) and not path.endswith((".yaml", ".yml")):
            comment.error(path, 1, "must begin with a comment that says what the file is for")
    return lint.finish([text, length, comment], options.junit)


if __name__ == "__main__":
    sys.exit(main())
