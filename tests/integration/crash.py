"""Moments at which a controller kills itself (`--die-at`): which kinds there are, and which of them a life passes."""
import os
import re
import subprocess

ALL = bool(os.environ.get("ATOLL_CRASH_POINTS"))  # `make test-crash`
EITHER = ("", ":after")


def kinds(bin_dir):
    """All that the program knows: "store:epoch", "effect:initiate"."""
    return subprocess.run([bin_dir / "atoll-controller", "--die-at", "list"], capture_output=True, text=True, check=True, timeout=60).stdout.split()


def kind_of(moment):
    """store:ledger:2:after -> store:ledger"""
    return re.fullmatch(r"(.*?)(:\d+)?(:after)?", moment).group(1)


def number_of(moment):
    return int(re.fullmatch(r".*?(?::(\d+))?(?::after)?", moment).group(1) or 1)


def passed(text, since=0):
    """What a life with `--die-at watch` passed by its log, each moment by all its names (a write may be of several kinds), with their numbers in
    this life; of that only what came after the first `since` bytes. Intents are left out: how many there are, and when, depends on who reports
    first."""
    counts, found = {}, []
    for match in re.finditer(r"passed ((?:store|effect):[a-z-]+)(:after)?( too)?$", text, re.MULTILINE):
        kind, after, same = match.group(1), match.group(2) or "", match.group(3)
        counts[kind, after] = counts.get((kind, after), 0) + 1
        if match.start() >= since:
            name = f"{kind}:{counts[kind, after]}{after}"
            if same:
                found[-1].append(name)
            else:
                found.append([name])
    return found


def kinds_of(moments):
    return {kind_of(name) for names in moments for name in names}
