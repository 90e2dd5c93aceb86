"""The simulator as a test: many histories without a bug, whatever they must reach, each planted bug caught, its options, and
the same seed giving the same trace in every build. ATOLL_BIN names the folder of the programs, SIM_HISTORIES how many
histories (20000), SIM_BUILDS more folders with an atoll-sim whose traces must be the same."""
import json
import os
import pathlib
import pty
import re
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).parents[2]
SIM = pathlib.Path(os.environ.get("ATOLL_BIN", REPOSITORY / "build/bin")) / "atoll-sim"
HISTORIES = int(os.environ.get("SIM_HISTORIES", "20000"))
PLANT_HISTORIES = 2000
DEADLINE_S = 1800  # of one run: a slow machine is no bug


def run(*arguments, sim=SIM, env=None):
    return subprocess.run(
        [sim, *map(str, arguments)], capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=env
    )


def plants():
    """Asked while the tests are collected: without a build there is nothing to ask."""
    return run("--plant", "list").stdout.split() if SIM.exists() else ["no-build"]


@pytest.fixture(scope="module")
def long_run():
    """One long run serves several questions. What stories reach counts as well: the gate is on rows that neither they nor any
    history ever takes."""
    return run("--story", REPOSITORY / "tests/stories", "--histories", HISTORIES, "--seed", 1, "--json", "--coverage")


def test_no_history_breaks_an_invariant(long_run):
    assert "VIOLATION" not in long_run.stdout, long_run.stdout[long_run.stdout.index("VIOLATION") :]
    summary = json.loads(long_run.stdout.splitlines()[0])
    print(f"\n{long_run.stdout.splitlines()[0]}")
    assert summary["histories"] == HISTORIES
    assert summary["violations"] == 0


def test_every_fault_and_every_decision_is_reached(long_run):
    never = [line for line in long_run.stdout.splitlines() if "NEVER" in line or "STALE EXCUSE" in line]
    assert not never, "\n".join(never)
    assert long_run.returncode == 0, long_run.stderr


def test_no_history_is_idle(long_run):
    """An idle history proves nothing: hardly any may be without a client's acknowledged writes."""
    summary = json.loads(long_run.stdout.splitlines()[0])
    assert summary["idleHistories"] <= HISTORIES / 100
    assert summary["simulatedDays"] > 0
    assert summary["faults"] > HISTORIES
    assert summary["reconfigurations"] > HISTORIES / 2
    assert summary["historiesPerSecondAndCore"] > 0


@pytest.mark.parametrize("plant", plants())
def test_a_planted_bug_is_caught(plant):
    result = run("--plant", plant, "--histories", PLANT_HISTORIES)
    assert result.returncode == 1, f"{plant} was not caught in {PLANT_HISTORIES} histories"
    told = re.search(r"^VIOLATION of invariant (\d+): .*\nseed (\d+) with planted (\S+);", result.stdout, re.MULTILINE)
    assert told, result.stdout
    assert told[3] == plant
    assert f"VIOLATED   invariant {told[1]}:" in result.stdout, "the story does not name the invariant"


def test_there_are_at_least_twelve_bugs_to_plant():
    assert len(plants()) >= 12


def test_a_shrunk_story_has_fewer_faults_and_still_fails():
    result = run("--plant", "ignore-move", "--histories", PLANT_HISTORIES)
    seed = re.search(r"^seed (\d+) ", result.stdout, re.MULTILINE)[1]
    whole = run("--plant", "ignore-move", "--seed", seed, "--trace")
    small = run("--plant", "ignore-move", "--seed", seed, "--trace", "--shrink")
    assert whole.returncode == small.returncode == 1
    assert "VIOLATED" in small.stdout
    assert small.stdout.count(" FAULT ") <= whole.stdout.count(" FAULT ")


def test_the_same_seed_is_the_same_history_again():
    assert run("--seed", 77, "--trace").stdout == run("--seed", 77, "--trace").stdout
    assert run("--seed", 77, "--trace").stdout != run("--seed", 78, "--trace").stdout


@pytest.mark.parametrize("seed", [1, 7, 283, 4303, 17023])
def test_the_same_seed_is_the_same_history_in_every_build(seed):
    others = [pathlib.Path(folder) / "atoll-sim" for folder in os.environ.get("SIM_BUILDS", "").split()]
    if not others:
        pytest.skip("SIM_BUILDS names no other build; `PHASES=sim tests/run.sh` makes them")
    here = run("--seed", seed, "--trace").stdout
    assert here.count("\n") > 20
    for other in others:
        assert run("--seed", seed, "--trace", sim=other).stdout == here, f"{other} tells another story"


def test_as_many_jobs_find_the_same():
    one, two = (json.loads(run("--histories", 60, "--jobs", jobs, "--json").stdout) for jobs in (1, 2))
    for changing in ("seconds", "historiesPerSecondAndCore"):
        del one[changing], two[changing]
    assert one == two


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonsense"],
        ["--histories", "many"],
        ["--histories", "0"],
        ["--seed", "-1"],
        ["--jobs", "0"],
        ["--jobs", "65"],
        ["--plant", "no-such-bug"],
        ["something"],
    ],
)
def test_bad_usage_is_said_and_exits_2(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "usage: atoll-sim" in result.stderr
    assert not result.stdout


def test_help_is_no_error():
    result = run("--help")
    assert result.returncode == 0
    for option in ("--histories", "--seed", "--jobs", "--trace", "--shrink", "--coverage", "--plant", "--json"):
        assert option in result.stdout


def test_progress_is_shown_on_a_terminal_and_nowhere_else():
    arguments = [str(SIM), "--histories", "300", "--jobs", "1", "--json"]
    plain = run(*arguments[1:])
    assert "\r" not in plain.stderr
    ours, theirs = pty.openpty()
    try:
        told = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=theirs, timeout=DEADLINE_S, check=True)
        assert told.returncode == 0
        assert b"of 300 histories" in os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
