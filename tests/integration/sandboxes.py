"""A sandbox as tests use it: through the program `atoll` and HTTP, as a user would."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request

import psutil

UP_TIMEOUT_SECS = 240
LEAVE_TIMEOUT_SECS = 30
LOG_LINES = 60

# Elections after one second instead of ten: tests see the same things sooner.
SPEC = """\
apiVersion: atoll/v1
kind: Federation
metadata: {name: test}
spec:
  zones:
    - {name: us-east1-b, driver: local}
    - {name: us-central1-f, driver: local}
    - {name: europe-west1-d, driver: local}
  sets:
    - name: mongo
      image: mongo:7.0
      settings: {electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200}
      members:
        - {zone: us-east1-b, labels: {instance: rod}}
        - {zone: us-central1-f, labels: {instance: jane}}
        - {zone: europe-west1-d, labels: {instance: freddy}}
"""


# By its own word a mongod, and none that starts.
BROKEN_MONGOD = """#!/bin/sh
[ "$1" = --version ] && echo "db version v7.0.0" && exit
exit 1
"""


def broken_mongod(folder):
    path = folder / "mongod"
    path.write_text(BROKEN_MONGOD)
    path.chmod(0o755)
    return path


def make_work_dir():
    return pathlib.Path(tempfile.mkdtemp(prefix="atoll-", dir="/tmp"))


def processes_of(directory):
    """Those that have the folder in their command line, as every process of a sandbox has; this test itself is none. `words` and `line`
    are what that was: a process that has ended since can't be asked."""
    found = []
    named = re.compile(re.escape(str(directory)) + r"(?![\w.-])")  # and not another folder whose name begins the same
    for process in psutil.process_iter(["cmdline", "pid", "status"]):
        process.words = process.info["cmdline"] or []
        process.line = " ".join(process.words)
        if process.info["status"] == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            continue
        if named.search(process.line):
            found.append(process)
    return found


def wait_until(condition, timeout, what):
    """Polls until `condition()` is true, and gives what it gave; fails the test with what it gave last."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last: {value!r})")
        time.sleep(0.05)


def summary_of(status):
    """What a failure shows of a status document: phases and states, and what is waited for."""
    lines = []
    for one in status["sets"]:
        members = ", ".join(f"{each['name']} {each['state']}/{each['phase']}" for each in one["members"])
        lines.append(f"set {one['name']} {one['phase']}: {members}")
        lines += [f"  waits: {each['message']}" for each in one["waits"]]
    return "\n".join(lines) or "no sets"


class Sandbox:
    """One sandbox in a folder of its own. `slowness` stretches every deadline."""

    def __init__(self, bin_dir, directory, spec, slowness=1):
        self.bin, self.dir, self.slowness = bin_dir, directory, slowness
        self.spec_file = directory.with_suffix(".yaml")
        self.spec_file.write_text(spec)
        self.sanitizer_prefix = directory.with_suffix(".sanitizer")
        self.was_up = False

    # ---- commands ----

    def environment(self):
        suppressions = pathlib.Path(__file__).parent / "lsan.supp"
        common = f"log_path={self.sanitizer_prefix}:abort_on_error=0"
        more = {
            "ATOLL_SANDBOX_DIR": str(self.dir),
            "HOME": str(self.dir.parent),
            "NO_COLOR": "1",
            "ASAN_OPTIONS": common + ":detect_leaks=1",
            "UBSAN_OPTIONS": common + ":print_stacktrace=1",
        }
        if suppressions.exists():
            more["LSAN_OPTIONS"] = f"suppressions={suppressions}:print_suppressions=0"
        return {name: value for name, value in os.environ.items() if not name.startswith(("ATOLL_", "XDG_"))} | more

    def atoll(self, *arguments, check=True, timeout=120, stdin=None):
        """Runs `atoll ARGUMENTS…` with this sandbox as its context; the completed process, with text in stdout and stderr."""
        done = subprocess.run(
            [str(self.bin / "atoll"), *map(str, arguments)],
            env=self.environment(), input=stdin, capture_output=True, text=True, timeout=timeout * self.slowness,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"atoll {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments, check=True):
        timeout = UP_TIMEOUT_SECS * self.slowness
        mongod = os.environ.get("ATOLL_MONGOD")
        command = ["sandbox", "up", "--dir", self.dir, "--timeout", timeout, "--spec", self.spec_file, *arguments]
        if mongod and "--mongod" not in arguments:
            command += ["--mongod", mongod]
        self.was_up = True
        return self.atoll(*command, check=check, timeout=UP_TIMEOUT_SECS + 20)

    def down(self, check=True):
        done = self.atoll("sandbox", "down", "--dir", self.dir, check=check)
        if done.returncode == 0:
            self.was_up = False
        return done

    def fault(self, whom, what):
        return self.atoll("sandbox", "fault", whom, what, "--dir", self.dir)

    # ---- HTTP ----

    @property
    def url(self):
        return (self.dir / "url").read_text().strip()

    @property
    def control_url(self):
        return (self.dir / "control-url").read_text().strip()

    def get(self, path, url=None):
        with urllib.request.urlopen((url or self.url) + path, timeout=60 * self.slowness,
                                    context=self.tls() if (url or "").startswith("https:") else None) as answer:
            return json.load(answer)

    def tls(self):
        """What the sandbox's admin shows and trusts."""
        context = ssl.create_default_context(cafile=self.dir / "controller" / "ca.pem")
        context.load_cert_chain(self.dir / "controller" / "admin.pem")
        return context

    def status(self):
        return self.get("/status")

    def set_status(self, name="mongo"):
        return next((each for each in self.status()["sets"] if each["name"] == name), None)

    def member(self, name):
        """The status of the member of this name, in whatever set; None when there is none."""
        return next((each for one in self.status()["sets"] for each in one["members"] if each["name"] == name), None)

    def wait_for(self, condition, timeout=120, what="the status to be so"):
        """Until condition(status document) is true; gives that document. A controller that is away is waited for."""
        deadline = time.monotonic() + timeout * self.slowness
        seen = "no status"
        while True:
            try:
                status = self.status()
                if condition(status):
                    return status
                seen = summary_of(status)
            except (OSError, ValueError) as error:
                seen = f"no status: {error}"
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout * self.slowness:g} s: {what}; seen last: {seen}")
            time.sleep(0.05)

    def wait_healthy(self, timeout=120):
        return self.wait_for(
            lambda status: status["sets"] and all(each["phase"] == "Healthy" for each in status["sets"]), timeout, "all sets Healthy"
        )

    # ---- processes and the end ----

    def processes(self, pattern=""):
        """Living processes of this sandbox whose command line contains `pattern`."""
        return [each for each in processes_of(self.dir) if pattern in each.line]

    def print_logs(self):
        for log in sorted(self.dir.rglob("*.log")):
            lines = log.read_text(errors="replace").splitlines()
            print(f"---- {log.relative_to(self.dir.parent)} (the last {min(LOG_LINES, len(lines))} of {len(lines)} lines)")
            print("\n".join(lines[-LOG_LINES:]))

    def clean_up(self):
        """Down, and the problems that were left: processes, files, what sanitizers said. Leaves nothing in any case."""
        problems = []
        if self.was_up:
            try:
                done = self.down(check=False)
                if done.returncode != 0:
                    problems.append(f"sandbox down: exit {done.returncode}: {done.stderr.strip()}")
            except (OSError, subprocess.TimeoutExpired) as error:
                problems.append(f"sandbox down: {error}")
            if self.dir.exists():
                left = sorted(str(path.relative_to(self.dir)) for path in self.dir.rglob("*"))
                problems.append(f"files left after `sandbox down` in {self.dir}: {left[:20]}")
        problems += self.end_processes()
        for report in sorted(self.sanitizer_prefix.parent.glob(self.sanitizer_prefix.name + ".*")):
            problems.append(f"{report.name}:\n{report.read_text(errors='replace')[:6000]}")
        shutil.rmtree(self.dir, ignore_errors=True)
        return problems

    def end_processes(self):
        """None may be left; those that are get named and killed. They are ours: the folder in their command line is."""
        deadline = time.monotonic() + LEAVE_TIMEOUT_SECS
        while processes_of(self.dir) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = processes_of(self.dir)
        problems = []
        for process in left:
            try:
                problems.append(f"process left: {process.pid} {process.line}")
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(left, timeout=5)
        return problems
