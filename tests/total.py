#!/usr/bin/python3
"""Adds up JUnit files: `total.py DIR` prints what failed and, as its last line, "N passed, M failed, K skipped".
What was left out as a whole (a *.not-run file says why) is named, and counts as one skipped.
Exits 1 when something failed, when a runner broke off (a *.broken file, an unreadable file), or when nothing ran."""
import pathlib
import sys
import xml.etree.ElementTree as xml


def outcome_of(case):
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def main(directory):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    broken = []
    for path in sorted(pathlib.Path(directory).glob("*.xml")):
        try:
            cases = list(xml.parse(path).iter("testcase"))
        except xml.ParseError as error:
            broken.append(f"{path.name}: {error}")
            continue
        of_file = dict.fromkeys(counts, 0)
        for case in cases:
            outcome = outcome_of(case)
            of_file[outcome] += 1
            if outcome == "failed":
                print(f"FAILED {path.stem}: {case.get('name')}")
        for outcome, count in of_file.items():
            counts[outcome] += count
        print(f"{path.stem:<22} {of_file['passed']:>5} passed {of_file['failed']:>4} failed {of_file['skipped']:>4} skipped")
    for path in sorted(pathlib.Path(directory).glob("*.not-run")):
        print(f"NOT RUN {path.stem}: {path.read_text().strip()}")
        counts["skipped"] += 1
    for path in sorted(pathlib.Path(directory).glob("*.broken")):
        broken.append(f"{path.stem}: {path.read_text().strip()}")
    for sentence in broken:
        print(f"BROKEN {sentence}")
    counts["failed"] += len(broken)
    if not any(counts.values()):
        print("no test ran")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: total.py DIR")
    sys.exit(main(sys.argv[1]))
