#!/usr/bin/python3
"""Runs test programs again with their nth allocation, or their nth effect on files and sockets, failing.

    torture.py BUILD_DIR [--seconds N] [--each N] [--jobs N] [--kind memory|effect]... [--junit FILE] [NAME]...

BUILD_DIR is a build with AddressSanitizer. Of each program n = 1, 2, 3 … are tried until nothing was failed any more, beginning with
one for each way through production code; --each tries at most so many of each kind (always the same), and --seconds ends it. NAME may have wildcards. An error is what is
wanted: a test that fails for it, or a fuzz target's or a test's own assertion, is fine. Bad are: a signal or an abort() whose first
frame in our tree is production code, what a sanitizer says of it, a leak in a run that otherwise went well, a run that doesn't end,
and in a simulated history a broken invariant.

Each find is printed once, with the command that repeats it."""
import argparse
import collections
import concurrent.futures
import fnmatch
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from xml.sax.saxutils import quoteattr

import daemon

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASAN_EXIT, LEAK_EXIT = 99, 98
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": f"exitcode={ASAN_EXIT}:verify_asan_link_order=0:detect_leaks=1:handle_segv=2:handle_abort=2:handle_sigbus=2"
                    ":handle_sigfpe=2:handle_sigill=2:allocator_may_return_null=1:malloc_context_size=12",
    "LSAN_OPTIONS": f"exitcode={LEAK_EXIT}:print_suppressions=0",
    "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={ASAN_EXIT}",
}
TIMEOUT_S = 180
WEIGHTS = {"memory": 1, "effect": 3}  # effects are few, and their tests slow
BATCH, BATCH_SECONDS = 24, 6  # copies that one run of a program makes, and about how long they may take
Program = collections.namedtuple("Program", "name command strict map counts")
DAEMON = "daemon-controller"
EXAMPLE = str(ROOT / "config" / "examples" / "three-zones.yaml")
# Programs that say by exit code 1 that an invariant broke: none of their own failures is fine. A seed is one history.
SIMULATED = [3, 14, 15]


def ranges(binary):
    """[(start, end, kind)] of the program's functions, by the file that each is defined in."""
    text = subprocess.run(["nm", "-n", "-S", "-l", "--defined-only", str(binary)], capture_output=True, text=True, check=True).stdout
    out = []
    for line in text.splitlines():
        found = re.match(r"([0-9a-f]+) ([0-9a-f]+) [tTwW] (\S+)\t(.*):\d+$", line)
        if not found:
            continue
        path = os.path.realpath(found[4])
        if not path.startswith(f"{ROOT}/"):
            continue
        start, entry = int(found[1], 16), found[3].startswith(("controller_", "agent_"))
        out.append((start, start + int(found[2], 16), "T" if path.startswith(f"{ROOT}/tests/") else "E" if entry else "P"))
    return out


def order(count, sites):
    """1..count: first one for each way through production code, then the others."""
    known = set(sites)
    yield from (sites[i - 1] for i in spread(len(sites)))
    yield from (n for n in spread(count) if n not in known)


def spread(count):
    """1..count, such that any beginning of it is spread evenly."""
    bits = max(1, count.bit_length())
    for i in range(1 << bits):
        n = int(format(i, f"0{bits}b")[::-1], 2) + 1
        if n <= count:
            yield n


class Torture:
    def __init__(self, build, kinds, work):
        self.build, self.kinds, self.work = build, kinds, pathlib.Path(work)
        self.library = build / "tests" / "libtorture.so"
        # the dynamic linker's own, which LeakSanitizer doesn't recognise when they come by way of the interposer
        (self.work / "suppressions").write_text("leak:dl_open_worker\nleak:_dl\nleak:dlsym\n")

    def environment(self, program, kind, n, report):
        """`n`: a number, or a list of them for a program that is copied."""
        at = {"ATOLL_TORTURE_AT": "0", "ATOLL_TORTURE_FORK": ",".join(map(str, n))} if isinstance(n, list) else {"ATOLL_TORTURE_AT": str(n)}
        if program.strict:
            at["ATOLL_TORTURE_ENTERED"] = "1"
        return {**at, "LD_PRELOAD": str(self.library), "ATOLL_TORTURE_MAP": str(program.map), "ATOLL_TORTURE_KIND": kind,
                "ATOLL_TORTURE_REPORT": str(report), **SANITIZER_OPTIONS,
                "LSAN_OPTIONS": f"{SANITIZER_OPTIONS['LSAN_OPTIONS']}:suppressions={self.work}/suppressions"}

    def run_copies(self, program, kind, numbers):
        """[(n, exit code, output, the report's lines)] of a program that touches nothing outside of itself."""
        code, output, lines = self.run(program, kind, sorted(numbers))
        out, report = [], self.report()
        for line in lines:
            word, *rest = line.split()
            if word == "ended":
                path = pathlib.Path(f"{report}.{rest[0]}")
                said = path.read_text(errors="replace") if path.exists() else ""
                status = os.waitstatus_to_exitcode(int(rest[1]))
                out.append((int(rest[0]), None if status == -signal.SIGALRM else status, said, failed))
                path.unlink(missing_ok=True)
            failed = [line]
        if code != 0:  # the program itself, in which nothing failed
            out.append((0, code, output, lines[-1:]))
        return out

    def report(self):
        return self.work / f"report-{threading.get_ident()}"

    def run(self, program, kind, n):
        """(exit code or None when it didn't end, output, the report's lines)"""
        report = self.report()
        report.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            if program.name == DAEMON:
                environment = {**os.environ, **self.environment(program, kind, n, report)}
                code, output = daemon.run(program.command, folder, environment)
                return code, output, report.read_text(errors="replace").splitlines() if report.exists() else []
            process = subprocess.Popen(program.command, env={**os.environ, "TMPDIR": folder, **self.environment(program, kind, n, report)},
                                       cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       start_new_session=True)
            try:
                output, _ = process.communicate(timeout=TIMEOUT_S * (2 if isinstance(n, list) else 1))
                code = process.returncode
            except subprocess.TimeoutExpired:
                code = None
            finally:
                try:
                    os.killpg(process.pid, 9)  # what it started and did not end
                except ProcessLookupError:
                    pass
            if code is None:
                output, _ = process.communicate()
        lines = report.read_text(errors="replace").splitlines() if report.exists() else []
        return code, output.decode(errors="replace"), lines

    def prepare(self, name, command):
        strict = name.startswith("sim-")
        found = ranges(command[0])
        path = self.work / f"map-{name}"
        path.write_text("".join(f"{start:x} {end:x} {kind}\n" for start, end, kind in found))
        program = Program(name, command, strict, path, {})
        for kind in ["memory", "effect"]:
            began = time.monotonic()
            code, output, lines = self.run(program, kind, 0)
            program.counts[f"{kind} seconds"] = time.monotonic() - began
            counted = [int(line.split()[1]) for line in lines if line.startswith("counted ")]
            if code != 0 or not counted:
                raise RuntimeError(f"{name} does not pass by itself (exit code {code}):\n{output[-3000:]}")
            program.counts[kind] = counted[0]
            program.counts[f"{kind} sites"] = [int(line.split()[1]) for line in lines if line.startswith("site ")]
        return program

    def repeat(self, program, kind, n):
        return f"tests/torture/torture.py {os.path.relpath(self.build)} --kind {kind} --only {n} {program.name}"


def of_tree(path):
    """The path from the root of our tree, or None when it is elsewhere. Some are told from the build's folder: "../../x.c"."""
    path = os.path.join(ROOT, re.sub(r"^(\.\./)+", "", path)) if path.startswith("../") else path
    path = os.path.realpath(path)
    return os.path.relpath(path, ROOT) if path.startswith(f"{ROOT}/") and os.path.exists(path) else None


def stacks_of(output):
    """The functions of our tree in each stack of the output, innermost first, without the interposer: [[(name, file, line)]]."""
    out = []
    for line in output.splitlines():
        found = re.match(r"\s+#(\d+) 0x[0-9a-f]+ in (\S+) (\S+?):(\d+)", line)
        if re.match(r"\s+#0 ", line):
            out.append([])
        if found and out:
            path = of_tree(found[3])
            if path and not path.startswith("tests/torture/"):
                out[-1].append((found[2], path, found[4]))
    return out


def first_of_ours(stacks):
    """The innermost functions of the first stack that ends in production code; None when all end in a test. A stack that doesn't get
    as far as our tree (libraries without frame pointers) may be anybody's, and counts."""
    for stack in sorted(stacks, key=len, reverse=True):
        if not stack or not stack[0][1].startswith("tests/"):
            return " < ".join(frame[0] for frame in stack[:4]) or "(a library)"
    return None


def judge(program, code, output):
    """None when the run was fine, else (kind of find, signature)."""
    if code is None:
        return "does not end", "no end"
    if "detected memory leaks" in output and code == LEAK_EXIT:
        if re.search(r"\[  (FAILED|ERROR) ", output):
            return None  # cmocka leaves a failed test by longjmp(): what the test held is not ours
        leaked = first_of_ours(stacks_of(output))
        return ("leak", leaked) if leaked else None
    assertion = re.search(r"(\S+?):(\d+): [^\n]*: Assertion `", output)
    if assertion:
        path = of_tree(assertion[1]) or assertion[1]
        if path.startswith("tests/"):
            return None
        return "assertion", f"{path}:{assertion[2]}"
    if "ERROR: AddressSanitizer" in output or "runtime error:" in output or code == ASAN_EXIT:
        stacks = stacks_of(output)
        if stacks and stacks[0] and stacks[0][0][1].startswith("tests/"):
            return None
        return "sanitizer", first_of_ours(stacks[:1]) or output[-300:]
    if code < 0 and not (program.name == DAEMON and code == -signal.SIGTERM):  # it was ending anyway, when it was told to
        return f"signal {-code}", ""
    if program.name == DAEMON and daemon.LOST in output:
        return "lost", next(line for line in output.splitlines() if daemon.LOST in line)
    if program.strict and code == 1 and "can't start" in output and "no memory" in output:
        return None  # an error at the start: the simulator has nobody who tries again, as real agents have
    if program.strict and code == 1:
        return "violation", (re.findall(r"[^\n]*(?:violat|invariant)[^\n]*", output) or [output[-200:]])[0]
    return None


def programs_of(build, wanted):
    folder = build / "tests"
    out = {}
    for path in sorted(folder.glob("test_*")):
        if os.access(path, os.X_OK) and path.is_file():
            out[path.name] = [str(path)]
    for path in sorted(folder.glob("replay_*")):
        out[path.name] = [str(path), str(ROOT / "tests" / "fuzz" / "corpus" / path.name.replace("replay_", "", 1))]
    out["atoll-validate"] = [str(build / "bin" / "atoll"), "validate", "-f", EXAMPLE]
    out["atoll-render"] = [str(build / "bin" / "atoll"), "render", "-f", EXAMPLE]
    out[DAEMON] = [str(build / "bin" / "atoll-controller")]
    for seed in SIMULATED:
        out[f"sim-{seed}"] = [str(build / "bin" / "atoll-sim"), "--histories", "1", "--jobs", "1", "--seed", str(seed)]
    return {name: command for name, command in out.items() if not wanted or any(fnmatch.fnmatch(name, each) for each in wanted)}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--each", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--kind", action="append", choices=["memory", "effect"])
    parser.add_argument("--only", type=int, help="this n alone, with all that the program said")
    parser.add_argument("--junit", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    return parser.parse_intermixed_args()


def say_find(torture, program, kind, n, find, output, lines):
    print(f"\n{program.name}: {find[0]} when the {n}th {kind} fails: {find[1]}")
    print("  failed: " + "; ".join(line for line in lines if line.startswith("failed")))
    for stack in stacks_of(output)[:3]:
        if stack:
            print("  at " + " < ".join(f"{name} {path}:{number}" for name, path, number in stack[:6]))
    print(f"  again: {torture.repeat(program, kind, n)}", flush=True)


def write_junit(path, programs, kinds, found):
    with open(path, "w", encoding="utf-8") as out:
        out.write('<testsuite name="torture">\n')
        for program in programs:
            for kind in kinds:
                finds = [signature for name, of, signature in found if (name, of) == (program.name, kind)]
                failure = f"<failure message={quoteattr('; '.join(finds))}/>" if finds else ""
                out.write(f'<testcase classname="torture" name="{program.name} {kind}">{failure}</testcase>\n')
        out.write("</testsuite>\n")


def prepared(torture, name, command):
    """The program; None, with a word, when it doesn't pass by itself: that is for its own test to tell."""
    try:
        return torture.prepare(name, command)
    except RuntimeError as problem:
        print(f"left out: {problem}", flush=True)
        return None


def main():
    args = parse()
    args.build = args.build.resolve()
    kinds = args.kind or ["memory", "effect"]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="atoll-torture-") as work, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        torture = Torture(args.build, kinds, work)
        commands = programs_of(args.build, args.names)
        if not commands:
            sys.exit(f"torture.py: there are no such programs in {args.build}/tests")
        programs = [program for program in pool.map(lambda item: prepared(torture, *item), commands.items()) if program]
        if args.only:
            code, output, lines = torture.run(programs[0], kinds[0], args.only)
            print(output, *lines, f"exit code {code}", f"judged: {judge(programs[0], code, output)}", sep="\n")
            return 1 if judge(programs[0], code, output) else 0
        return all_of_them(torture, programs, kinds, args, start, pool)


class Queue:
    """What is still to be tried of one kind in one program."""

    def __init__(self, program, kind, each):
        self.program, self.kind, self.used_s, self.busy = program, kind, 0.0, False
        self.rest = itertools.islice(order(program.counts[kind], program.counts[f"{kind} sites"]), each)
        # who has no effects outside can go on in copies of itself
        copied = kind == "memory" and program.counts["effect"] == 0 and program.name != DAEMON
        self.batch = max(1, min(BATCH, int(BATCH_SECONDS / program.counts[f"{kind} seconds"]))) if copied else 1

    def take(self):
        return list(itertools.islice(self.rest, self.batch))

    def run(self, torture, numbers):
        if self.batch > 1:
            return torture.run_copies(self.program, self.kind, numbers)
        return [(numbers[0], *torture.run(self.program, self.kind, numbers[0]))]


def all_of_them(torture, programs, kinds, args, start, pool):
    queues = [Queue(program, kind, args.each) for program in programs for kind in kinds]
    lock, found, tried = threading.Lock(), {}, collections.Counter()

    def take():
        """The queue that had the least time so far, and its next numbers."""
        with lock:
            for queue in sorted((queue for queue in queues if not queue.busy), key=lambda queue: queue.used_s / WEIGHTS[queue.kind]):
                numbers = queue.take()
                if numbers:
                    queue.busy = True
                    return queue, numbers
                queues.remove(queue)
        return None

    def note(queue, outcome):
        n, code, output, lines = outcome
        find = judge(queue.program, code, output)
        tried[queue.kind] += 1
        if find and (queue.program.name, queue.kind, f"{find[0]}: {find[1]}") not in found:
            found[queue.program.name, queue.kind, f"{find[0]}: {find[1]}"] = n
            say_find(torture, queue.program, queue.kind, n, find, output, lines)

    def work():
        while time.monotonic() - start < args.seconds:
            job = take()
            if not job:
                return
            queue, numbers = job
            began = time.monotonic()
            outcomes = queue.run(torture, numbers)
            with lock:
                queue.busy = False
                queue.used_s += time.monotonic() - began
                for outcome in outcomes:
                    note(queue, outcome)

    for future in [pool.submit(work) for _ in range(args.jobs)]:
        future.result()
    total = {kind: sum(program.counts[kind] for program in programs) for kind in kinds}
    sites = {kind: sum(len(program.counts[f"{kind} sites"]) for program in programs) for kind in kinds}
    print(", ".join(f"{tried[kind]} of {total[kind]} failures of {kind} (from {sites[kind]} places)" for kind in kinds) +
          f" in {len(programs)} programs, {time.monotonic() - start:.0f} s: {len(found)} finds")
    if args.junit:
        write_junit(args.junit, programs, kinds, found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
