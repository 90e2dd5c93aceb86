#!/usr/bin/python3
"""A sandbox of three zones under random real faults for a stated time, with a client that writes all the while.

    soak.py BIN_DIR [--seconds N] [--seed N]

Episodes follow each other: one or two faults at once (kill -9, SIGSTOP, a full disk, a moved address, a zone that is cut off,
refuses or is slow), then their end, then the set must be whole again. In the first half the controller and the agents die too; in
the second they live on, and at its end each has the memory, file descriptors and threads that it had at its beginning, within the
tolerances below. Nothing that was acknowledged may be lost. The seed decides about all of it; the same seed gives the same faults."""
import argparse
import contextlib
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import time
from xml.sax.saxutils import quoteattr

import psutil

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import sandboxes  # noqa: E402  (found through the line above)
import whole  # noqa: E402

HEALTHY_TIMEOUT_SECS = 240
# A controller's ring of events (0.8 MiB) and journal (1 MiB for a set) fill up, caches and free lists too; a leak grows on.
MEMORY_TOLERANCE_KIB = {"controller": 3072, "agent": 768}
# Connections that are kept for the next request; and an agent keeps up to eight former addresses of its member from others.
FD_TOLERANCE = {"controller": 4, "agent": 4 + 8}
THREAD_TOLERANCE = 2  # of drivers, on their way
SETTLE_SECS = 5       # so that connections of the last episode are closed


# ---- faults: each begins when called, and gives what ends it ----

def nothing():
    pass


def resume(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()


class Faults:
    def __init__(self, sandbox, chance):
        self.sandbox, self.chance = sandbox, chance

    def members(self):
        return whole.members_of(self.sandbox.status())

    def member_in(self, zone):
        return next(member for member in self.members().values() if member["zone"] == zone)

    def kill_member(self, zone):
        whole.kill(*whole.mongods(self.sandbox, self.member_in(zone)["disk"]["name"]))
        return nothing

    def stop_member(self, zone):
        process = whole.mongod(self.sandbox, self.member_in(zone))
        process.suspend()
        return lambda: resume(process)

    def fill_disk(self, zone):
        """No file of this member's process may become longer than its longest is now. A mongod ends itself when it can't write."""
        process = whole.mongod(self.sandbox, self.member_in(zone))
        folder = pathlib.Path(process.cmdline()[process.cmdline().index("--dbpath") + 1])
        longest = max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_FSIZE, (longest, resource.RLIM_INFINITY))

        def free():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return free

    def move_address(self, zone):
        self.tell(self.member_in(zone)["name"], "move-address")
        return nothing

    def move_and_follow(self, zone):
        """Until the configuration has followed: a majority that moves at one stroke would be beyond what is promised."""
        name = self.member_in(zone)["name"]
        host = self.tell(name, "move-address").split("moved to ")[1].strip()
        self.sandbox.wait_for(lambda status: whole.members_of(status)[name]["host"] == host, HEALTHY_TIMEOUT_SECS, f"{name} to be followed to {host}")

    def tell(self, whom, what):
        """Its agent may have been killed a moment ago: until it listens again. Gives what was answered."""
        def told():
            done = self.sandbox.atoll("sandbox", "fault", whom, what, "--dir", self.sandbox.dir, check=False)
            return done.returncode == 0 and done.stdout
        return sandboxes.wait_until(told, HEALTHY_TIMEOUT_SECS, f"the agent to be told {what} for {whom}")

    def network(self, zone, what):
        self.tell(zone, what)
        return lambda: self.tell(zone, "heal")

    def cut_zone(self, zone):
        return self.network(zone, "cut")

    def refuse_zone(self, zone):
        return self.network(zone, "refuse")

    def slow_zone(self, zone):
        return self.network(zone, f"slow={self.chance.choice([20, 100, 300])}")

    def stop_agent(self, zone):
        process = whole.agent(self.sandbox, zone)
        process.suspend()
        return lambda: resume(process)

    def stop_controller(self, _zone):
        process = whole.controller(self.sandbox)
        process.suspend()
        return lambda: resume(process)

    def kill_agent(self, zone):
        whole.kill(whole.agent(self.sandbox, zone))
        return nothing

    def kill_controller(self, _zone):
        whole.kill(whole.controller(self.sandbox))
        return nothing


DATA_FAULTS = ["kill_member", "stop_member", "fill_disk", "move_address", "cut_zone", "refuse_zone", "slow_zone", "stop_agent",
               "stop_controller"]
DAEMON_FAULTS = ["kill_agent", "kill_controller"]
# Of two at once these begin last and end first: the others are told to agents, and ask the controller where the members are.
LAST = ["stop_agent", "kill_agent", "stop_controller", "kill_controller"]


# ---- what a daemon holds ----

def anonymous_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Anonymous")


def holdings(sandbox):
    """{name: (pid, Anonymous in KiB, file descriptors, threads)}"""
    processes = {"controller": whole.controller(sandbox)} | {f"agent {zone}": whole.agent(sandbox, zone) for zone in whole.ZONES}
    return {name: (each.pid, anonymous_kib(each.pid), each.num_fds(), each.num_threads()) for name, each in processes.items()}


def compare(before, after):
    """Prints the table, and gives what is wrong."""
    problems = []
    print(f"\n{'DAEMON':<24}{'MEMORY KIB':>18}{'FILES':>12}{'THREADS':>12}   (before, after)")
    for name in before:
        (pid, *old), (new_pid, *new) = before[name], after[name]
        columns = [f"{a} {b}" for a, b in zip(old, new)]
        print(f"{name:<24}{columns[0]:>18}{columns[1]:>12}{columns[2]:>12}")
        tolerances = (MEMORY_TOLERANCE_KIB[name.split()[0]], FD_TOLERANCE[name.split()[0]], THREAD_TOLERANCE)
        if pid != new_pid:
            problems.append(f"{name} died in the second half, in which nobody killed it")
        for what, tolerance, was, now in zip(("KiB of memory", "file descriptors", "threads"), tolerances, old, new):
            if now > was + tolerance:
                problems.append(f"{name} has {now} {what}, {now - was} more than at half-time (at most {tolerance} more are allowed)")
    return problems


# ---- episodes ----

def episode(faults, chance, names, number, began):
    """One or two faults, mostly in one zone, for some time; then their end. Then all must be well."""
    start = time.monotonic()
    zone = chance.choice(whole.ZONES)
    told, ends = [], []
    try:
        for name in sorted(chance.sample(names, min(len(names), chance.choice([1, 1, 2]))), key=lambda each: (each in LAST, each)):
            where = zone if chance.random() < 0.8 else chance.choice(whole.ZONES)
            told.append(f"{name} {where}" if "controller" not in name else name)
            ends.append(getattr(faults, name)(where))
        time.sleep(chance.uniform(0.2, 6))  # how long it lasts is part of the fault
    finally:
        for end in reversed(ends):
            end()
    lasted = time.monotonic() - start
    whole.healthy(faults.sandbox, HEALTHY_TIMEOUT_SECS)
    print(f"{time.monotonic() - began:7.1f} s  {number:>4}  {', '.join(told):<60} {lasted:5.1f} s, whole after "
          f"{time.monotonic() - start - lasted:5.1f} s", flush=True)


def episodes(faults, chance, names, until, count, began):
    """One of each in a chance order, then any, until it is time. Gives how many there were before and now."""
    once = chance.sample(names, len(names))
    while time.monotonic() < until:
        count += 1
        episode(faults, chance, [once.pop()] if once else names, count, began)
    return count


def soak(sandbox, seconds, seed):
    chance, began = random.Random(seed), time.monotonic()
    faults = Faults(sandbox, chance)
    with whole.nothing_is_lost(sandbox) as writer:
        count = episodes(faults, chance, DATA_FAULTS + DAEMON_FAULTS, began + seconds / 2, 0, began)
        for zone in whole.ZONES:  # a controller that was killed just now has its workers only once it has acted
            faults.move_and_follow(zone)
            whole.healthy(sandbox, HEALTHY_TIMEOUT_SECS)
        sandboxes.wait_until(lambda: whole.controller(sandbox).num_threads() > 1, HEALTHY_TIMEOUT_SECS, "the controller to have acted")
        time.sleep(SETTLE_SECS)
        before = holdings(sandbox)
        print(f"{time.monotonic() - began:7.1f} s  half-time: from now on controller and agents live on")
        count = episodes(faults, chance, DATA_FAULTS, began + seconds, count, began)
        time.sleep(SETTLE_SECS)
        after = holdings(sandbox)
        writer.wait_for_more()
    problems = compare(before, after)
    print(f"\n{count} episodes in {time.monotonic() - began:.0f} s; {len(writer.acknowledged)} writes acknowledged, none lost; "
          f"the set is whole, under the same replica set id; seed {seed}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--junit", type=pathlib.Path)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"soak: {args.seconds:g} s, seed {seed} (again: tests/soak/soak.py {os.path.relpath(args.bin)} --seconds {args.seconds:g} "
          f"--seed {seed})", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the cleaning up below
    folder = sandboxes.make_work_dir()
    sandbox = sandboxes.Sandbox(args.bin.resolve(), folder / "s", whole.SPEC)
    problems = []
    try:
        sandbox.up()
        problems = soak(sandbox, args.seconds, seed)
    except AssertionError as problem:
        problems = [str(problem)]
        sandbox.print_logs()
    finally:
        problems += sandbox.clean_up()
        shutil.rmtree(folder, ignore_errors=True)
    for problem in problems:
        print(f"soak: {problem} (seed {seed})", file=sys.stderr)
    if args.junit:
        failure = f"<failure message={quoteattr('; '.join(problems)[:2000])}/>" if problems else ""
        args.junit.write_text(f'<testsuite name="soak"><testcase classname="soak" name="seed {seed}">{failure}</testcase></testsuite>\n')
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
