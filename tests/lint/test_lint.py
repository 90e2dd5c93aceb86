"""The lint scripts and the total themselves: each must be able to fail. `python3 -m pytest tests/lint`; needs nothing built."""
import pathlib
import subprocess
import sys

import pytest

LINT = pathlib.Path(__file__).resolve().parent


def run(script, *arguments):
    return subprocess.run([sys.executable, str(script), *map(str, arguments)], capture_output=True, text=True)


def tree(root, path, text, more=()):
    for name, content in [(path, text), *more]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


HEADERS = [(name, "/* A header. */\n") for name in ("proto/base/arena.h", "proto/model.h", "config/spec.h", "controller/decide/plan.h",
                                                   "controller/act/mongo.h", "zone-agent/agent.h", "zone-agent/driver.h")]


@pytest.mark.parametrize("path, include, refused", [
    ("proto/x.c", '"proto/base/arena.h"', None),
    ("proto/base/x.c", '"proto/model.h"', "base may not see proto"),
    ("proto/x.c", '"config/spec.h"', "proto may not see config"),
    ("controller/decide/x.c", '"config/spec.h"', None),
    ("controller/decide/x.c", '"controller/act/mongo.h"', "decide may not see act"),
    ("controller/serve/x.c", '"controller/decide/plan.h"', None),
    ("controller/cli/x.c", '"controller/act/mongo.h"', "cli may not see act"),
    ("controller/x.c", '"zone-agent/agent.h"', "controller may not see agent"),
    ("zone-agent/local/x.c", '"zone-agent/driver.h"', None),
    ("zone-agent/local/x.c", '"zone-agent/agent.h"', "local may not see agent"),
    ("tests/unit/x.c", '"controller/act/mongo.h"', None),
    ("proto/x.c", '"nowhere.h"', "does not exist"),
    ("proto/x.c", '"model.h"', "write the path from the root"),
    ("controller/decide/x.c", "<time.h>", "may be included only in"),
    ("controller/decide/x.c", "<uv.h>", "may be included only in"),
    ("controller/decide/x.c", "<string.h>", None),
    ("controller/serve/x.c", "<sqlite3.h>", "may be included only in"),
    ("controller/act/store_sqlite.c", "<sqlite3.h>", None),
    ("proto/base/json.c", "<cjson/cJSON.h>", None),
    ("proto/report.c", "<cjson/cJSON.h>", "may be included only in"),
    ("zone-agent/probe.c", "<mongoc/mongoc.h>", None),
    ("zone-agent/agent.c", "<mongoc/mongoc.h>", "may be included only in"),
    ("tests/unit/x.c", "<mongoc/mongoc.h>", None),
])
def test_an_include_against_the_arrow_is_told(tmp_path, path, include, refused):
    tree(tmp_path, path, f"/* A file. */\n#include {include}\n", HEADERS)
    done = run(LINT / "check_layers.py", "--root", tmp_path)
    assert done.returncode == (1 if refused else 0), done.stdout
    if refused:
        assert f"{path}:2: error: " in done.stdout and refused in done.stdout


def function(lines):
    return "static int long_one(void)\n{\n" + "    call();\n" * (lines - 2) + "}\n"


@pytest.mark.parametrize("path, text, told, fails", [
    ("proto/x.c", "/* Fine. */\n" + function(20), "", False),
    ("proto/x.c", "/* Fine. */\n" + function(60), "warning: long_one() has 60 lines", False),
    ("proto/x.c", "/* Too long. */\n" + function(81), "error: long_one() has 81 lines", True),
    ("proto/x.c", "/* Long. */\n" + "int a;\n" * 420, "warning: 421 lines", False),
    ("proto/x.c", "/* Too long. */\n" + "int a;\n" * 620, "error: 621 lines", True),
    ("proto/x.c", "int a;\n", "must begin with a comment", True),
    ("tests/x.py", "import os\n", "must begin with a comment", True),
    ("tests/x.sh", "#!/bin/bash\n# What for.\n", "", False),
    ("proto/x.c", "/* White. */\nint a; \n", "x.c:2: error: trailing white space", True),
    ("proto/x.c", "/* Tab. */\n\tint a;\n", "x.c:2: error: a tab", True),
    ("proto/x.c", "/* End. */\nint a;", "no newline at the end", True),
])
def test_what_a_reader_would_stumble_over_is_told(tmp_path, path, text, told, fails):
    tree(tmp_path, path, text)
    done = run(LINT / "check_style.py", "--root", tmp_path)
    assert done.returncode == int(fails), done.stdout
    assert told in done.stdout


COMPILED = {
    "pure": "int decide(const char *a);\nint decide(const char *a)\n{\n    return __builtin_strlen(a) > 3;\n}\n",
    "time": "#include <stdlib.h>\nvoid *decide(void);\nvoid *decide(void)\n{\n    return malloc(3);\n}\n",
    "variable": "int counter;\nint decide(void);\nint decide(void)\n{\n    return counter++;\n}\n",
}


@pytest.mark.parametrize("source, told", [("pure", None), ("time", "x.o calls malloc"), ("variable", "has a variable, counter")])
def test_a_pure_room_that_touches_the_world_is_told(tmp_path, source, told):
    tree(tmp_path, "x.c", COMPILED[source])
    for archive in ("controller/libatoll_decide.a", "zone-agent/libatoll_agent_decide.a"):
        (tmp_path / archive).parent.mkdir()
        subprocess.run(["gcc", "-O1", "-c", "x.c", "-o", "x.o"], cwd=tmp_path, check=True)
        subprocess.run(["ar", "rc", archive, "x.o"], cwd=tmp_path, check=True)
    done = run(LINT / "check_layers.py", "--root", tmp_path, "--symbols", tmp_path)
    assert done.returncode == (1 if told else 0), done.stdout
    assert (told or "") in done.stdout


PASSED, FAILED = '<testcase name="good"/>', '<testcase name="bad"><failure message="x"/></testcase>'
SKIPPED, NOT_RUN = '<testcase name="later"><skipped/></testcase>', '<testcase name="gone" status="notrun"/>'


@pytest.mark.parametrize("files, last, code", [
    ({"a.xml": [PASSED, SKIPPED], "b.xml": [PASSED, NOT_RUN]}, "2 passed, 0 failed, 2 skipped", 0),
    ({"a.xml": [PASSED, FAILED]}, "1 passed, 1 failed, 0 skipped", 1),
    ({"a.xml": [PASSED], "b.xml": None}, "1 passed, 1 failed, 0 skipped", 1),
    ({"a.xml": [PASSED], "b.broken": None}, "1 passed, 1 failed, 0 skipped", 1),
    ({"a.xml": [PASSED], "b.not-run": None}, "1 passed, 0 failed, 1 skipped", 0),
    ({}, "0 passed, 0 failed, 0 skipped", 1),
])
def test_the_total_counts_all_and_fails_for_any(tmp_path, files, last, code):
    for name, cases in files.items():
        (tmp_path / name).write_text("cut off" if cases is None else f"<testsuite>{''.join(cases)}</testsuite>")
    done = run(LINT.parent / "total.py", tmp_path)
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == code
