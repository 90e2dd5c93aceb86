"""What the figures are held against: members started by hand, and what MongoDB's own client sees."""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pymongo

ZONES = 3
POLL_SECS = 0.005


def direct(host, uri="mongodb://any/", timeout_ms=2000):
    """A client of this one member; `uri`: of its set, for how to log in."""
    return pymongo.MongoClient(
        re.sub(r"(mongodb://(?:[^@/]*@)?)[^/]*/", rf"\g<1>{host}/", uri), directConnection=True, serverSelectionTimeoutMS=timeout_ms, connectTimeoutMS=timeout_ms, socketTimeoutMS=10000
    )


def wait(condition, timeout=90):
    """Seconds until condition() is true."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(pymongo.errors.PyMongoError, OSError):
            if condition():
                return time.monotonic() - began
        if time.monotonic() - began > timeout:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(POLL_SECS)


def free_addresses(count):
    """Loopback addresses far from those that sandboxes take, on which MongoDB's port is free."""
    found = []
    for last in range(1, 250):
        address = f"127.77.{len(found) + 1}.{last}"
        with socket.socket() as trial:
            with contextlib.suppress(OSError):
                trial.bind((address, 27017))
                found.append(address)
        if len(found) == count:
            return found
    raise OSError("no free loopback address for port 27017")


class PlainSet:
    """Three members as a plain script would make them: started, asked until they answer, initiated at once."""

    def __init__(self, mongod):
        self.mongod, self.processes = mongod, []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bench-", dir="/tmp"))
        self.hosts = [f"{address}:27017" for address in free_addresses(ZONES)]

    def form(self):
        """Seconds from nothing until there are a primary and two secondaries."""
        began = time.monotonic()
        for number, host in enumerate(self.hosts):
            data = self.directory / str(number)
            data.mkdir()
            command = [self.mongod, "--dbpath", data, "--replSet", "plain", "--bind_ip", host.split(":")[0], "--port", "27017",
                       "--nounixsocket", "--logpath", self.directory / f"{number}.log"]
            self.processes.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        clients = [direct(host) for host in self.hosts]
        for client in clients:
            wait(lambda: client.admin.command("ping"))  # pylint: disable=cell-var-from-loop
        members = [{"_id": number, "host": host} for number, host in enumerate(self.hosts)]
        clients[0].admin.command("replSetInitiate", {"_id": "plain", "members": members})
        wait(lambda: sorted(client.admin.command("replSetGetStatus")["myState"] for client in clients) == [1, 2, 2])
        return time.monotonic() - began

    def close(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def reconfigure_by_hand(primary):
    """Milliseconds that the members themselves take to commit a configuration in which nothing but the version is new."""
    config = primary.admin.command("replSetGetConfig")["config"]
    config["version"] += 1
    began = time.monotonic()
    primary.admin.command("replSetReconfig", config)
    wait(lambda: committed(primary))
    return (time.monotonic() - began) * 1000


def committed(primary):
    """Whether the primary says so; servers before 4.4 can't, and then the version on it has to do."""
    try:
        return primary.admin.command("replSetGetConfig", commitmentStatus=True).get("commitmentStatus", True)
    except pymongo.errors.OperationFailure:
        return True


def anonymous_kib(pid):
    """Private memory that no other process shares."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1])
    raise OSError(f"process {pid} shows no memory")


def cpu_ms(pids):
    """Processor time of these processes since they began."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")
