"""The stories that are marked so, on real processes; and what `atoll-sim --story` says of those that are wrong."""
import subprocess

import pytest

import stories

ALL = [stories.Story(path) for path in sorted(stories.STORIES.glob("*.story"))]
ON_SANDBOX = [story for story in ALL if story.runs_on_sandbox]
PROGRAM_TIMEOUT_SECS = 120


@pytest.mark.timeout(400)
@pytest.mark.parametrize("story", ON_SANDBOX, ids=lambda story: story.path.stem)
def test_a_story_on_a_sandbox(story, new_sandbox):
    assert any(step.told for step in story.steps), "no line of it is marked with a star: what must a sandbox tell?"
    stories.Teller(story, new_sandbox).tell()


@pytest.fixture
def tell(bin_dir, work_dir):
    """Writes a story and runs atoll-sim on it."""
    def run(text, *options):
        path = work_dir / "mine.story"
        if text is not None:
            path.write_text(text)
        done = subprocess.run([str(bin_dir / "atoll-sim"), "--story", str(path), *options], capture_output=True, text=True,
                              timeout=PROGRAM_TIMEOUT_SECS)
        return done, path.read_text()
    return run


@pytest.mark.asan
def test_the_journal_of_a_sandbox_replays(sandbox):
    """What is decided on real processes, by the program that people are given."""
    journal = sandbox.atoll("journal", "mongo").stdout
    done = sandbox.atoll("replay", "-", stdin=journal)
    assert "all decided as was recorded" in done.stdout and " rule 32 birth: " in done.stdout
    missing = sandbox.atoll("journal", "nothing", check=False)
    assert missing.returncode == 1 and "there is no set nothing" in missing.stderr


KILLED = "# A mongod is killed.\nbegins: healthy\n\nkill node2\nwait healthy\n"


def test_a_narration_that_is_not_told_fails_and_is_rewritten_by_one_command(tell):
    done, _ = tell(KILLED + "    * Set mongo is Healthy; it was Degraded.\n    Nobody says this.\nexpect node2 id 1\n")
    assert done.returncode == 1 and "mine.story:6: wait healthy: line 1 of its narration" in done.stdout
    done, text = tell(None, "--rewrite")
    assert done.returncode == 0 and "    * Set mongo is Healthy; it was Degraded.\n" in text and "Nobody" not in text
    assert text.startswith(KILLED.splitlines()[0]) and text.endswith("expect node2 id 1\n")
    done, again = tell(None)
    assert done.returncode == 0 and again == text


@pytest.mark.parametrize("command, says", [
    ("fly", "there is no such command"),
    ("kill node9", "is no member"),
    ("wait row 61", "did not come true within 300 s"),
    ("expect node2 id 7", "it is 1"),
    ("expect never row 99", "is not so"),
    ("run", "only a story of a history"),
])
def test_a_command_that_is_wrong_or_does_not_come_true_is_told_with_its_line(tell, command, says):
    done, _ = tell(f"# A story.\nbegins: healthy\n\n{command}\n")
    assert done.returncode == 1 and f"mine.story:4: {command}: " in done.stdout and says in done.stdout


def test_a_failing_seed_becomes_a_story_that_fails_in_the_same_way(bin_dir, tell):
    sim = [str(bin_dir / "atoll-sim"), "--plant", "ignore-move"]
    found = subprocess.run([*sim, "--histories", "2000", "--json"], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS).stdout
    seed, invariant = (found.split(f'"{key}":')[1].split(",")[0] for key in ("seed", "invariant"))
    made = subprocess.run([*sim, "--seed", seed, "--shrink"], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS)
    assert made.returncode == 1 and f"breaks invariant {invariant}:" in made.stdout and "\nfault " in made.stdout
    done, _ = tell(made.stdout, "--plant", "ignore-move")
    assert done.returncode == 1 and f"run: breaks invariant {invariant}:" in done.stdout
    done, _ = tell(None, "--rewrite")  # without the bug
    assert done.returncode == 0
