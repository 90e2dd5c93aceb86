#!/usr/bin/python3
"""Replays the journals of this folder: the planner must decide on each entry as was recorded.

usage: replay.py ATOLL                      every *.json here; with ATOLL_REWRITE_GOLDEN=1 what is decided now becomes what was recorded
       replay.py --cut FILE NOTE [RULE]...  prints a small journal out of a large one: the first entry of each choice of rows (where the
                                            set's is one of these) for the set and its members, with a note that says what happened

A journal comes from `atoll journal SET` (docs/journal.md). To make an incident a test: cut it, and drop the file here."""
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM_TIMEOUT_SECS = 60


def text_of(journal):
    """One line an entry, so that a change shows in a diff."""
    head = {key: value for key, value in journal.items() if key != "entries"}
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in journal["entries"]]
    return json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "entries": [\n' + ",\n".join(lines) + "\n]}\n"


def run(atoll, path):
    done = subprocess.run([atoll, "replay", str(path), "-o", "json"], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS)
    if done.returncode not in (0, 1):
        sys.exit(f"{path.name}: exit {done.returncode}: {done.stderr}")
    return done.returncode, json.loads(done.stdout)


def check(atoll, path):
    journal = json.loads(path.read_text())
    if not journal.get("note") or not journal["entries"]:
        print(f"{path.name}: has no note that says what happened, or no entry")
        return False
    status, replayed = run(atoll, path)
    if status == 0:
        print(f"{path.name}: {len(journal['entries'])} entries as recorded")
        return True
    if os.environ.get("ATOLL_REWRITE_GOLDEN"):
        for entry, now in zip(journal["entries"], replayed["entries"]):
            entry["plan"] = now["decided"]
        path.write_text(text_of(journal))
        print(f"{path.name}: rewritten, {replayed['different']} entries are decided otherwise now")
        return True
    for entry in replayed["entries"]:
        for place in entry["differences"]:
            print(f"{path.name}: entry {entry['sequence']}: {place['path']}: recorded {place['recorded'] or 'nothing'}, "
                  f"decided now {place['decided'] or 'nothing'}")
    return False


def without_paths(value):
    """Where programs lie is nobody's business."""
    if isinstance(value, dict):
        return {key: pathlib.Path(item).name if key == "imageId" and item.startswith("/") else without_paths(item)
                for key, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, list) else value


def cut(path, note, rules):
    journal = without_paths(json.loads(pathlib.Path(path).read_text()))
    kept, seen = [], set()
    for entry in journal["entries"]:
        rule = entry["plan"]["rule"]
        rows = (rule, *(member["rule"] for member in entry["plan"]["members"]))
        if rows not in seen and (not rules or rule in rules):
            kept.append(entry)
            seen.add(rows)
    revisions = {entry["revision"] for entry in kept}
    small = {"apiVersion": journal["apiVersion"], "kind": journal["kind"], "note": note,
             **{key: value for key, value in journal.items() if key not in ("apiVersion", "kind")}}
    small["specs"] = [spec for spec in journal["specs"] if spec["revision"] in revisions]
    small["entries"] = kept
    sys.stdout.write(text_of(small))


def main():
    if len(sys.argv) >= 4 and sys.argv[1] == "--cut":
        return cut(sys.argv[2], sys.argv[3], {int(rule) for rule in sys.argv[4:]})
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    journals = sorted(HERE.glob("*.json"))
    good = [check(sys.argv[1], path) for path in journals]
    sys.exit(0 if good and all(good) else 1)


if __name__ == "__main__":
    main()
