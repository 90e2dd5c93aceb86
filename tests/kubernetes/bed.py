#!/usr/bin/python3
"""The test bed: a Compute API double, and per zone a real control plane with the zone emulator.

usage: bed.py up   --dir DIR [--kubernetes current|older] [--mongod PATH] [ZONE[=current|older]]...
       bed.py down --dir DIR
       bed.py fault --dir DIR ZONE FAULT [KEY=VALUE]...     for example: us-east1-b move-address member=mongo-node1

`up` leaves the zones running and says what it made; on a bed that is up it changes nothing; zones that have died are started
again with their data. `down` stops the processes that name DIR on their command line, and removes DIR. Tests use the class Bed."""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import binaries
import processes
from kube_client import KubeClient
from processes import BedError

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
ZONES = ("us-east1-b", "us-central1-f", "europe-west1-d")
UP_TIMEOUT_SECS = 180
DOWN_TIMEOUT_SECS = 15
SOCKET_PATH_MAX = 107
MARK = "is-a-test-bed"  # what `down` looks for before it removes a folder


class BedZone:
    """One zone that is up, as tests see it."""

    def __init__(self, folder, kubectl):
        self.folder, self.name, self.program = folder, folder.name, kubectl
        self.facts = json.loads((folder / "zone.json").read_text())
        self.kubeconfig, self.agent_kubeconfig = folder / "kubeconfig", folder / "agent.kubeconfig"
        self.client = KubeClient(self.kubeconfig)

    def fault(self, name, **more):
        """Turns a knob; the answer. BedError with the zone's sentence when it can't."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.folder / "control.sock"))
            connection.sendall(json.dumps({"fault": name} | more).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline())
        if "error" in answer:
            raise BedError(f"{self.name}: {answer['error']}")
        return answer

    def kubectl(self, *arguments, stdin=None, check=True):
        """The completed process, with text in stdout and stderr."""
        done = subprocess.run([self.program, "--kubeconfig", self.kubeconfig, *map(str, arguments)], input=stdin, capture_output=True,
                              text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done


class Bed:
    """`versions` is {zone: "current" or "older"}. `tied` processes end with this program."""

    def __init__(self, folder, versions, mongod, tied=True):
        self.folder, self.versions, self.mongod, self.tied = pathlib.Path(folder).resolve(), dict(versions), mongod, tied
        self.zones, self.compute_url = {}, None

    def folder_of(self, zone):
        return self.folder / zone

    def up(self):
        """All zones up, at the same time; or BedError, and nothing of what this call started left."""
        longest = max(len(str(self.folder_of(zone) / "control.sock")) for zone in self.versions)
        if longest > SOCKET_PATH_MAX:
            raise BedError(f"{self.folder} is too long a path for a control socket: {longest} bytes, at most {SOCKET_PATH_MAX}")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / MARK).touch()
        before = set(processes.of_directory(self.folder))
        try:
            self.start_compute()
            started = {zone: self.start_zone(zone) for zone in self.versions if not self.is_up(zone)}
            for zone in self.versions:
                self.wait_for(zone, started.get(zone))
            self.tell_compute()
        except BaseException:
            end(set(processes.of_directory(self.folder)) - before)
            raise
        return self

    def is_up(self, zone):
        try:
            facts = json.loads((self.folder_of(zone) / "zone.json").read_text())
            pid_line = pathlib.Path(f"/proc/{facts['pid']}/cmdline").read_bytes()
            return str(self.folder_of(zone)).encode() in pid_line
        except (OSError, ValueError, KeyError):
            return False

    def start_compute(self):
        file = self.folder / "compute-url"
        if file.exists() and answers(file.read_text().strip() + "/control/ready"):
            self.compute_url = file.read_text().strip()
            return
        file.unlink(missing_ok=True)
        log = self.folder / "compute.log"
        process = processes.start([PYTHON, HERE / "compute_double.py", "--dir", self.folder], log, tied=self.tied, death_signal="TERM")
        self.compute_url = wait_until(lambda: file.exists() and file.read_text().strip(), process, log, "the Compute API double")

    def start_zone(self, zone):
        folder = self.folder_of(zone)
        end(processes.of_directory(folder))  # what a zone that was killed has left
        folder.mkdir(exist_ok=True)
        (folder / "zone.json").unlink(missing_ok=True)
        return processes.start([
            PYTHON, HERE / "zone.py", "--dir", folder, "--mongod", self.mongod, "--kubernetes", self.versions[zone], "--compute", self.compute_url,
        ], folder / "zone.log", tied=self.tied, death_signal="TERM")

    def wait_for(self, zone, process):
        folder = self.folder_of(zone)
        wait_until((folder / "zone.json").exists, process, folder / "zone.log", f"zone {zone}")
        program = binaries.find(self.versions[zone])["kubectl"]
        self.zones[zone] = BedZone(folder, program)

    def tell_compute(self):
        """Which addresses each region reserves, so that the zone can use them."""
        for zone in self.zones.values():
            body = json.dumps({"subnet": zone.facts["subnet"]}).encode()
            request = urllib.request.Request(f"{self.compute_url}/control/regions/{zone.facts['region']}", data=body, method="PUT")
            urllib.request.urlopen(request, timeout=10).close()

    def down(self):
        take_down(self.folder)


def take_down(folder):
    """Ends every process of the folder, then removes it; BedError when something won't end."""
    folder = pathlib.Path(folder).resolve()
    left = end(processes.of_directory(folder))
    if left:
        raise BedError(f"these processes of {folder} don't end: {left}")
    if folder.exists():
        if not (folder / MARK).exists():
            raise BedError(f"{folder} is no test bed (it has no {MARK}); nothing was removed")
        shutil.rmtree(folder)


def end(pids):
    """Asks zones to end (they end their own), then kills what is left; whoever is still there. Only processes of a bed's folder
    come here."""
    for pid in pids:
        if b"/zone.py\0" in command_of(pid) or b"/compute_double.py\0" in command_of(pid):
            kill(pid, signal.SIGTERM)
    left = wait_gone_or(pids, DOWN_TIMEOUT_SECS)
    for pid in left:
        kill(pid, signal.SIGKILL)
    return processes.wait_until_gone(left, 5)


def wait_gone_or(pids, timeout):
    """Waits for all only as long as a zone is among them that may still be ending the others."""
    leaders = [pid for pid in pids if b".py\0" in command_of(pid)]
    processes.wait_until_gone(leaders, timeout)
    return processes.wait_until_gone(list(pids), 0.5)


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=2).close()
        return True
    except OSError:
        return False


def wait_until(condition, process, log, what, timeout=UP_TIMEOUT_SECS):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            raise BedError(f"{what} ended while it started:\n{processes.tail(log)}")
        if time.monotonic() > deadline:
            raise BedError(f"{what} is not up after {timeout} s:\n{processes.tail(log)}")
        time.sleep(0.05)
    return value


def find_mongod():
    """ATOLL_MONGOD, else the stand-in that `make` builds."""
    root = HERE.parents[1]
    chosen = os.environ.get("ATOLL_MONGOD") or pathlib.Path(os.environ.get("ATOLL_BIN", root / "build" / "bin")) / "atoll-mongod-sim"
    if not os.access(chosen, os.X_OK):
        raise BedError(f"there is no {chosen}: run `make` first, or name a mongod with ATOLL_MONGOD")
    return pathlib.Path(chosen).resolve()


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--kubernetes", choices=sorted(binaries.ASSETS), default="current")
    up.add_argument("--mongod", type=pathlib.Path)
    up.add_argument("zones", nargs="*", default=list(ZONES), metavar="ZONE[=current|older]")
    fault = commands.add_parser("fault")
    for command in (up, fault, commands.add_parser("down")):
        command.add_argument("--dir", type=pathlib.Path, required=True)
    fault.add_argument("zone")
    fault.add_argument("fault")
    fault.add_argument("more", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    for zone in getattr(options, "zones", []):
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}(=(current|older))?", zone):
            parser.error(f"'{zone}' is no ZONE[=current|older]")
    return options


def bring_up(options):
    versions = {zone.partition("=")[0]: zone.partition("=")[2] or options.kubernetes for zone in options.zones}
    for version in sorted(set(versions.values())):
        binaries.find_or_build(version)
    bed = Bed(options.dir, versions, options.mongod or find_mongod(), tied=False).up()
    for zone in bed.zones.values():
        print(f"{zone.name}: Kubernetes {zone.facts['version']}, KUBECONFIG={zone.kubeconfig}")
    print(f"Compute API double: {bed.compute_url}")
    print(f"kubectl: {next(iter(bed.zones.values())).program}")


def main():
    options = parse(sys.argv[1:])
    try:
        if options.command == "up":
            bring_up(options)
        elif options.command == "down":
            take_down(options.dir)
        else:
            more = dict(pair.partition("=")[::2] for pair in options.more)
            zone = BedZone(options.dir.resolve() / options.zone, None)
            print(json.dumps(zone.fault(options.fault, **more), indent=1))
    except (BedError, OSError) as error:
        print(f"bed.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
