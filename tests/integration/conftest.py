"""Fixtures of the integration tests: the programs, sandboxes of their own that leave nothing behind, a deadline for each test.

ATOLL_BIN=DIR     the programs to test (default build/bin)
ATOLL_MONGOD=PATH a real mongod for all members (default: the stand-in, atoll-mongod-sim)
"""
import contextlib
import faulthandler
import os
import pathlib
import shutil
import signal
import sys

import pytest

os.environ["MONGOC_DISABLE_SHM"] = "1"  # the driver's counters: a process that is killed leaves them in /dev/shm, for the next one of its pid to stumble over

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import sandboxes  # noqa: E402  (found through the line above)

TEST_TIMEOUT_SECS = 420  # a test that hangs; waits have deadlines of their own below it
SANITIZER_SLOWNESS = 2


def is_sanitized(directory):
    return b"__asan_init" in (directory / "atoll-controller").read_bytes()


def pytest_collection_modifyitems(items):
    if not os.environ.get("ATOLL_MONGOD"):
        for item in items:
            if item.get_closest_marker("real_mongod"):
                item.add_marker(pytest.mark.skip(reason="ATOLL_MONGOD names no mongod"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Ends a test at its deadline as a failure, so that fixtures still clean up. Only the main thread runs tests."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else TEST_TIMEOUT_SECS
    if item.config.stash.get(SANITIZED, False):
        seconds *= SANITIZER_SLOWNESS

    def too_late(_signal, _frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        pytest.fail(f"took longer than {seconds} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Lets fixtures know at their end whether the test failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[FAILED] = item.getparent(pytest.Module).stash[FAILED] = True


FAILED = pytest.StashKey()
SANITIZED = pytest.StashKey()


@pytest.fixture(scope="session")
def bin_dir(pytestconfig):
    """The folder of the programs under test."""
    root = pathlib.Path(__file__).resolve().parents[2]
    directory = pathlib.Path(os.environ.get("ATOLL_BIN", root / "build" / "bin")).resolve()
    if not (directory / "atoll").exists():
        pytest.exit(f"there is no {directory}/atoll: run `make` first, or set ATOLL_BIN", returncode=4)
    pytestconfig.stash[SANITIZED] = is_sanitized(directory)
    return directory


@pytest.fixture(scope="session")
def sanitized(bin_dir, pytestconfig):
    """Whether the programs are the slow ones with AddressSanitizer."""
    return pytestconfig.stash[SANITIZED]


@pytest.fixture
def work_dir():
    """An empty folder with a short path (Unix sockets allow 107 bytes), removed afterwards."""
    directory = sandboxes.make_work_dir()
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def sandbox_maker(request, bin_dir, sanitized, work_dir):
    made = []

    def make(spec=None, name=None):
        directory = work_dir / (name or f"s{len(made) + 1}")
        made.append(sandboxes.Sandbox(bin_dir, directory, spec or sandboxes.SPEC, slowness=SANITIZER_SLOWNESS if sanitized else 1))
        return made[-1]

    try:
        yield make
    finally:
        problems = []
        if request.node.stash.get(FAILED, False):
            for sandbox in made:
                sandbox.print_logs()
        for sandbox in made:
            problems += sandbox.clean_up()
    assert not problems, "\n".join(problems)


@pytest.fixture
def new_sandbox(request, bin_dir, sanitized, work_dir):
    """Makes sandboxes: new_sandbox(spec=TEXT, name="a"). Not up yet. All are taken down afterwards, and nothing may be left."""
    with sandbox_maker(request, bin_dir, sanitized, work_dir) as make:
        yield make


@pytest.fixture(scope="module")
def shared_sandbox(request, bin_dir, sanitized):
    """One healthy sandbox (of the file's SPEC, if it has one) for all tests of a file that leave it as healthy as they found it."""
    directory = sandboxes.make_work_dir()
    try:
        with sandbox_maker(request, bin_dir, sanitized, directory) as make:
            made = make(getattr(request.module, "SPEC", None))
            made.up()
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def sandbox(new_sandbox):
    """A healthy sandbox of three zones with one member each, and short elections."""
    made = new_sandbox()
    made.up()
    return made
