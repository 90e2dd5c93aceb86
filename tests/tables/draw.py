#!/usr/bin/python3
"""Draws the decision tables into docs/rules.md, out of the golden dumps in this folder, which unit tests compare with the code.

usage: draw.py          writes docs/rules.md
       draw.py --check  says whether it is as it should be; exit 1 when it isn't (with ATOLL_REWRITE_GOLDEN=1 it is written)"""
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "rules.md"
MEMBERS_FROM = 200  # rows of the planner's second table

HEAD = """\
# Every decision, as a row

<!-- Made by tests/tables/draw.py from the dumps in tests/tables; a test compares them with the code. Don't edit. -->

The controller's planner and the zones' reconcilers decide by tables: the first row whose conditions all hold is taken. Numbers are
stable; logs, events, `atoll explain` and `atoll replay` cite them. `atoll explain SET --why-not ACTION` prints the first condition
that a row lacks. Words in braces are filled in.

A row that no story (`tests/stories`) and no simulated history (`tests/sim`) ever takes fails the tests, unless it is excused with a
reason.
"""
SETS = """
## What the controller does with a set

Tried in this order. `wait` rows change nothing and say who ends the wait. *Steady* and *busy* stand for what many rows share:

- *steady*: {steady}.
- *busy*: {busy}.
"""
STEADY = ("the ledger says that the set exists", "a primary is seen", "the configuration was read again after the last command",
          "the configuration is committed", "a majority of votes is seen to be healthy")
BUSY = ("a command to MongoDB is under way", "the last command to MongoDB failed a moment ago",
        "a member or a disk belongs to another replica set", "the spec takes the set away")
MEMBERS = """
## What a member waits for

One row for each member, beside the set's.
"""
AGENTS = """
## What a zone's agent does with a member

From what the intent says and what the zone holds, one step at a time. The agent goes on doing this while the controller is away.
"""
ASKED = """
## What can be asked of an agent, and the way there

Each thing that an intent can say of a member, from an empty zone, from a running member and from a held one, with the rows that are
taken on the way. A disk is never deleted by any of them. The waits of rows 161 and 162 are ended by the controller, which names the
disk that may be used.
"""
EXCUSED = """
## Rows that no test reaches

Each has its reason in `tests/sim/excused.def`.
"""


def cell(text):
    return text.replace("|", "\\|")


def conditions(holds, holds_not):
    if set(STEADY) <= set(holds):
        holds = ["*steady*"] + [text for text in holds if text not in STEADY]
    if set(BUSY) <= set(holds_not):
        holds_not = ["*busy*"] + [text for text in holds_not if text not in BUSY]
    told = [cell(text) for text in holds] + ["**not** " + cell(text) for text in holds_not]
    return ";<br>".join(told) or "always"


def planner_rows(text):
    for block in text.strip().split("\n\n"):
        first, *rest = block.split("\n")
        number, name, outcome = re.fullmatch(r"(\d+) ([^:]+): (.*)", first).groups()
        holds = [line[7:] for line in rest if line.startswith("  when ")]
        holds_not = [line[11:] for line in rest if line.startswith("  not when ")]
        waits = [line.split(", ended by ")[1] for line in rest if line.startswith("  waits as ")]
        yield int(number), name, outcome, conditions(holds, holds_not), waits[0] if waits else "", rest[-1].strip()


def agent_rows(text):
    for block in re.split(r"\n(?=\d)", text.strip()):
        first, *rest = block.split("\n")
        number, name = first.split(" ", 1)
        holds = [line.strip()[3:] for line in rest if line.strip().startswith("if ")]
        outcome = next(line.strip()[3:] for line in rest if line.strip().startswith("-> "))
        yield int(number), name, outcome.split(":")[0], conditions(holds, []), rest[-1].strip().strip('"')


def table(titles, rows):
    lines = ["", "| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return "\n".join(lines + ["| " + " | ".join(cell(str(one)) if i != 3 else str(one) for i, one in enumerate(row)) + " |" for row in rows]) + "\n"


def asked(text):
    rows = []
    for block in re.split(r"\n(?=asked)", text.strip()):
        first, *ways = block.split("\n")
        what, _, start = first.removeprefix("asked: ").partition("; from ")
        rows.append((what, start or "a running member", "; ".join(way.strip() for way in ways)))
    return table(("asked for", "from", "way"), rows)


def excused():
    text = (HERE.parent / "sim" / "excused.def").read_text()
    return table(("row", "why"), re.findall(r'^X\((\d+), \w+, "(.*)"\)$', text, re.M))


def draw():
    planner = list(planner_rows((HERE / "planner-rules.txt").read_text()))
    titles = ("row", "name", "does", "when", "ended by", "says")
    page = HEAD + SETS.format(steady="; ".join(STEADY), busy=", or ".join(BUSY)) + table(titles, [row for row in planner if row[0] < MEMBERS_FROM])
    page += MEMBERS + table(titles, [row for row in planner if row[0] >= MEMBERS_FROM])
    page += AGENTS + table(("row", "name", "does", "when", "says"), agent_rows((HERE / "agent-rules.txt").read_text()))
    return page + ASKED + asked((HERE / "asked-and-done.txt").read_text()) + EXCUSED + excused()


def main():
    page = draw()
    same = PAGE.exists() and PAGE.read_text() == page
    if sys.argv[1:] == ["--check"] and not os.environ.get("ATOLL_REWRITE_GOLDEN"):
        if not same:
            print("docs/rules.md is not as the tables are: tests/tables/draw.py writes it")
        sys.exit(0 if same else 1)
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
