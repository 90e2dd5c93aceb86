"""The figures of the whole system, each beside its yardstick, measured in one run on one sandbox. See yardsticks.py.

A figure is {name, value, unit, yardstick, yardstickValue, ratio, aim, met}; `met` is null where there is no aim.
"""
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import pymongo

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import sandboxes  # noqa: E402
import yardsticks  # noqa: E402

FORM_RUNS = 3
MOVES = 100
FAILOVERS = 3
IDLE_SECS = 60
ZONES = ["us-east1-b", "us-central1-f", "europe-west1-d"]

# MongoDB's own settings, as a user would have them.
SPEC_HEAD = "apiVersion: atoll/v1\nkind: Federation\nmetadata: {name: bench}\nspec:\n  zones:\n" + "".join(
    f"    - {{name: {zone}, driver: local}}\n" for zone in ZONES
)


def spec(*sets):
    text = SPEC_HEAD + "  sets:\n"
    for name in sets:
        text += f"    - name: {name}\n      image: mongo:7.0\n      members:\n" + "".join(f"        - {{zone: {zone}}}\n" for zone in ZONES)
    return text


def figure(name, value, unit, yardstick, yardstick_value, aim=None, met=None):
    return {
        "name": name, "value": round(value, 2), "unit": unit, "yardstick": yardstick, "yardstickValue": round(yardstick_value, 2),
        "ratio": round(value / yardstick_value, 2) if yardstick_value else None, "aim": aim, "met": met,
    }


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def mongod_of(sandbox):
    """The program that this sandbox's members run."""
    return sandbox.processes("--dbpath")[0].cmdline()[0]


def measure_form(sandbox):
    """`atoll apply` of one set more until it is healthy, and a plain script's three members, in turn."""
    ours, plain, names = [], [], ["mongo"]
    for run in range(FORM_RUNS):
        names.append(f"form{run}")
        sandbox.spec_file.write_text(spec(*names))
        began = time.monotonic()
        sandbox.atoll("apply", "-f", sandbox.spec_file, "--wait", "--timeout", "300", timeout=330)
        ours.append(time.monotonic() - began)
        by_hand = yardsticks.PlainSet(mongod_of(sandbox))
        try:
            plain.append(by_hand.form())
        finally:
            by_hand.close()
    value, other = statistics.median(ours), statistics.median(plain)
    return figure("form", value, "s", "a plain script: start three members, initiate", other, "ratio at most 1.5", value <= 1.5 * other)


def primary_and_secondary(sandbox):
    members = sandbox.set_status()["members"]
    primary = next(member for member in members if member["state"] == "PRIMARY")
    return primary, next(member for member in members if member["state"] == "SECONDARY")


def uri_of(sandbox):
    return sandbox.atoll("connection-string", "mongo", "--with-password").stdout.strip()


def measure_moves(sandbox):
    """From the moment that a secondary's address moved until the primary has it in a committed configuration."""
    primary, secondary = primary_and_secondary(sandbox)
    client = yardsticks.direct(primary["host"], uri_of(sandbox))
    took, by_hand = [], []
    for _ in range(MOVES):
        before = client.admin.command("replSetGetConfig")["config"]["version"]
        sandbox.fault(secondary["name"], "move-address")
        moved_at = time.monotonic()  # the command has returned: what this leaves out is less than its own start-up
        yardsticks.wait(lambda: client.admin.command("replSetGetConfig")["config"]["version"] > before)  # noqa: B023
        yardsticks.wait(lambda: yardsticks.committed(client))
        took.append((time.monotonic() - moved_at) * 1000)
        sandbox.wait_healthy()
        by_hand.append(yardsticks.reconfigure_by_hand(client))
    value = percentile(took, 0.99)
    return figure("move-address", value, "ms (p99)", "the members' own round trip: replSetReconfig by hand until committed (p99)",
                  percentile(by_hand, 0.99), "below 1000 ms", value < 1000)


def measure_failover(sandbox):
    """From kill -9 of the primary until /status no longer shows it as primary; MongoDB's own client beside it."""
    ours, theirs = [], []
    for _ in range(FAILOVERS):
        primary, _secondary = primary_and_secondary(sandbox)
        watcher = pymongo.MongoClient(uri_of(sandbox), heartbeatFrequencyMS=500)
        yardsticks.wait(lambda: watcher.primary)  # noqa: B023
        process = next(each for each in sandbox.processes("--dbpath") if f"/disks/{primary['disk']['name']}/" in " ".join(each.cmdline()))
        process.kill()
        began = time.monotonic()
        client_saw = None
        while True:
            now = sandbox.member(primary["name"])
            if client_saw is None and watcher.primary is None:
                client_saw = time.monotonic() - began
            if now["state"] != "PRIMARY" and client_saw is not None:
                break
            if now["state"] == "PRIMARY":
                status_saw = time.monotonic() - began
        ours.append(status_saw * 1000)
        theirs.append(client_saw * 1000)
        watcher.close()
        sandbox.wait_healthy(timeout=90)
    return figure("see-failover", statistics.median(ours), "ms", "pymongo with heartbeatFrequencyMS=500 notices the same",
                  statistics.median(theirs))


def measure_memory(sandbox):
    agents = [yardsticks.anonymous_kib(each.pid) for each in sandbox.processes("atoll-zone-agent")]
    controller = yardsticks.anonymous_kib(sandbox.processes("atoll-controller")[0].pid)
    curl = subprocess.Popen(["curl", "--silent", "--no-buffer", sandbox.url + "/events"], stdout=subprocess.DEVNULL)
    server = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "0"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        time.sleep(2)
        curl_kib, server_kib = yardsticks.anonymous_kib(curl.pid), yardsticks.anonymous_kib(server.pid)
    finally:
        for process in (curl, server):
            process.kill()
            process.wait()
    return [
        figure("agent-memory", max(agents), "KiB (the largest of three)", "curl that follows /events", curl_kib, "at most 4096 KiB",
               max(agents) <= 4096),
        figure("controller-memory", controller, "KiB", "python3 -m http.server, idle", server_kib),
    ]


def measure_idle(sandbox):
    daemons = [each.pid for each in sandbox.processes() if "--dbpath" not in each.cmdline()]
    members = [each.pid for each in sandbox.processes("--dbpath")]
    before = yardsticks.cpu_ms(daemons), yardsticks.cpu_ms(members)
    time.sleep(IDLE_SECS)
    ours, theirs = yardsticks.cpu_ms(daemons) - before[0], yardsticks.cpu_ms(members) - before[1]
    return figure("idle-cpu", ours, f"ms of processor time in {IDLE_SECS} s, all daemons", "the three members themselves", theirs)


def measure(bin_dir):
    """All figures, in the order in which they disturb the least. Yields them as they are known."""
    work = sandboxes.make_work_dir()
    sandbox = sandboxes.Sandbox(pathlib.Path(bin_dir).resolve(), work / "bench", spec("mongo"))
    try:
        sandbox.up()
        yield measure_idle(sandbox)
        yield from measure_memory(sandbox)
        yield measure_moves(sandbox)
        yield measure_failover(sandbox)
        yield measure_form(sandbox)
    finally:
        problems = sandbox.clean_up()
        shutil.rmtree(work, ignore_errors=True)
        if problems:
            print("\n".join(problems), file=sys.stderr)
