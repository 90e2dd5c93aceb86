"""Child processes that never outlive whoever started them, and a way to find those of a folder again."""
import concurrent.futures
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

STOP_TIMEOUT_SECS = 10

# The kernel sends PR_SET_PDEATHSIG when the *thread* that forked ends, so all children are started by one thread that
# lives as long as the program.
_starter = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class BedError(Exception):
    """What went wrong with the test bed, in a sentence for people."""


def start(command, log, tied=True, env=None, cwd=None, death_signal="KILL"):
    """Starts `command` in a process group of its own, its output appended to the file `log`; the subprocess.Popen. With
    `tied`, it gets `death_signal` when this program ends, however that happens. `env` is added to ours."""
    command = [str(word) for word in command]
    if tied:
        command = ["setpriv", f"--pdeathsig={death_signal}", "--", *command]

    def run():
        with open(log, "ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env=os.environ | (env or {}), cwd=cwd,
            )

    return _starter.submit(run).result()


def stop(process, signal_number=signal.SIGTERM, timeout=STOP_TIMEOUT_SECS):
    """Ends a child of ours and what is left of its group; a stopped (SIGSTOP) one as well."""
    if process is None:
        return
    if process.poll() is None:
        signal_group(process.pid, signal.SIGCONT)
        signal_group(process.pid, signal_number)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
    signal_group(process.pid, signal.SIGKILL)
    process.wait()


def signal_group(pid, number):
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass


def tail(log, lines=15):
    try:
        return "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


# Who is a process of the bed: a developer's editor or `tail -f` in its folder is none.
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager")
SCRIPTS = (b"zone.py", b"compute_double.py")


def is_beds(command):
    words = command.split(b"\0")
    program = os.path.basename(words[0]).decode(errors="replace")
    return program in SERVERS or "mongod" in program or any(os.path.basename(word) in SCRIPTS for word in words[:3])


def of_directory(directory):
    """Pids of the bed's processes that name the folder, or something in it, on their command line."""
    named = re.compile(re.escape(str(directory)).encode() + rb"(?![\w.-])")
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if named.search(command) and is_beds(command):
                found.append(int(entry.name))
        except OSError:
            continue  # it has just ended, or isn't ours to see
    return found


def state_of(pid):
    """The kernel's letter (R, S, T, Z …), or None when there is no such process."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def wait_until_gone(pids, timeout):
    """Those that are still there when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        pids = [pid for pid in pids if state_of(pid) not in (None, "Z")]
        if not pids or time.monotonic() > deadline:
            return pids
        time.sleep(0.05)


def free_port(address="127.0.0.1"):
    """A port that was free a moment ago: whoever uses it must be ready to lose the race, and take another."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]
