"""What the tests of whole sandboxes share: killing and stopping its processes, a client that never stops writing, what may never change."""
import contextlib
import os
import re
import signal
import subprocess
import threading
import time

import psutil
import pymongo
import pymongo.errors
from pymongo.read_concern import ReadConcern

import sandboxes

# A member that doesn't answer is taken for dead after two seconds instead of ten.
SPEC = sandboxes.SPEC.replace("heartbeatIntervalMillis: 200", "heartbeatIntervalMillis: 200, heartbeatTimeoutSecs: 2")
ZONES = ("us-east1-b", "us-central1-f", "europe-west1-d")
SELECTION_MS = 3000
WRITE_PAUSE_SECS = 0.005
INITIATING_RULES = (22, 32, 33)


# ---- processes ----

def supervisor(sandbox):
    [found] = sandbox.processes("sandbox supervise")
    return found


def controller(sandbox):
    return sandboxes.wait_until(lambda: next(iter(sandbox.processes("atoll-controller ")), None), 60, "the controller to run")


def agent(sandbox, zone):
    return sandboxes.wait_until(lambda: next(iter(sandbox.processes(f"--zone {zone} ")), None), 60, f"the agent of {zone} to run")


def mongods(sandbox, disk):
    """The processes on this disk: one, or none."""
    return sandbox.processes(f"/disks/{disk}/data ")


def mongod(sandbox, member):
    disk = member["disk"]["name"]
    return sandboxes.wait_until(lambda: next(iter(mongods(sandbox, disk)), None), 60, f"{member['name']} to run")


def kill(*processes):
    """As a crash: at once, with no word to anybody; returns when they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    sandboxes.wait_until(lambda: not any(is_living(process) for process in processes), 60, f"{processes} to be gone")


def kill_all(sandbox):
    """As when the machine dies; whoever would start others again goes first."""
    for pattern in ("sandbox supervise", "atoll-controller ", "atoll-zone-agent ", ""):
        while found := sandbox.processes(pattern):
            kill(*found)


def lose_store(sandbox):
    """Of a controller that doesn't run."""
    for path in (sandbox.dir / "controller").glob("controller.db*"):
        path.unlink()


def is_living(process):
    """One whose parent has not looked yet is dead all the same; but its locks are held until the last of its threads has ended, and a
    zombie may still have some."""
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or len(os.listdir(f"/proc/{process.pid}/task")) > 1)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False


@contextlib.contextmanager
def stopped(*processes):
    """They stand still meanwhile, as a process does whose machine has no time for it."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def resume(sandbox):
    """What people type after a crash or a reboot."""
    return sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, "--timeout", sandboxes.UP_TIMEOUT_SECS * sandbox.slowness,
                         timeout=sandboxes.UP_TIMEOUT_SECS + 20)


def start_without_waiting(sandbox):
    """Resumes a sandbox whose controller will know no spec, so that `up` would wait in vain: until the supervisor runs."""
    up = subprocess.Popen([str(sandbox.bin / "atoll"), "sandbox", "up", "--dir", str(sandbox.dir)], env=sandbox.environment(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sandboxes.wait_until(lambda: sandbox.processes("atoll-controller "), 60 * sandbox.slowness, "the controller to be started")
    finally:
        kill(psutil.Process(up.pid))
        up.wait(timeout=60)


# ---- status ----

def the_set(status, name="mongo"):
    """That set, or one without anything: a status may be a moment older than the spec that was just applied."""
    nothing = {"name": name, "phase": "", "primary": None, "waits": [], "members": []}
    return next((each for each in status["sets"] if each["name"] == name), nothing)


def members_of(status, name="mongo"):
    return {each["name"]: each for each in the_set(status, name)["members"]}


def member_in(status, name):
    return next((each for one in status["sets"] for each in one["members"] if each["name"] == name), None)


def primary_of(status, name="mongo"):
    return next((each for each in the_set(status, name)["members"] if each["state"] == "PRIMARY"), None)


def secondaries_of(status, name="mongo"):
    return [each for each in the_set(status, name)["members"] if each["state"] == "SECONDARY"]


def identities(status, name="mongo"):
    """What a member is and stays, whatever happens to it."""
    return {each["name"]: (each["ordinal"], each["id"], each["zone"], each["disk"]["name"]) for each in the_set(status, name)["members"]}


def version_of(status, name="mongo"):
    return the_set(status, name)["configVersion"]


def zone_state(status, zone):
    return next(each["state"] for each in status["zones"] if each["name"] == zone)


def waits_of(status, name="mongo"):
    """All that a set and its members wait for."""
    one = the_set(status, name)
    return one["waits"] + [wait for member in one["members"] for wait in member["waits"]]


def explain(sandbox, name="mongo"):
    return sandbox.atoll("explain", name).stdout


def events(sandbox, name="mongo"):
    return sandbox.get(f"/v1/events?set={name}&limit=1000", url=sandbox.control_url)["events"]


def initiations(sandbox, name="mongo"):
    """How often a controller of this sandbox told a node to initiate the set, over all its lives."""
    log = (sandbox.dir / "logs" / "controller.log").read_text()
    found = re.findall(rf"reason=ActionStarted set={name} rule=(\d+)", log)
    return sum(int(rule) in INITIATING_RULES for rule in found)


def be_healthy(sandbox):
    """Ends all faults, and gives the status once all is well."""
    for zone in ZONES:
        sandbox.fault(zone, "heal")
    return healthy(sandbox)


def healthy(sandbox, timeout=120):
    """All that can be said of a set that is well: no wait, no silent zone, one primary."""
    def is_well(status):
        return status["sets"] and all(each["phase"] == "Healthy" for each in status["sets"]) and \
            status["summary"]["connectedZones"] == status["summary"]["zones"]
    return sandbox.wait_for(is_well, timeout, "all sets Healthy and all zones Connected")


# ---- MongoDB ----

def client_of(sandbox, name="mongo", **options):
    """A client by the connection string that users are told, as the first administrator."""
    uri = sandbox.atoll("connection-string", name, "--with-password").stdout.strip()
    return pymongo.MongoClient(uri, **{"serverSelectionTimeoutMS": 20000, "w": "majority", "retryWrites": True, **options})


def trusting(sandbox, tls=True):
    """What a client of the members needs, so that it believes them."""
    return {"tls": True, "tlsCAFile": str(sandbox.dir / "controller" / "ca.pem")} if tls else {}


def any_host(sandbox):
    """For who asks a member at an address for which it can't have a certificate yet."""
    return {"tlsAllowInvalidHostnames": True} if sandbox.encrypted else {}


def direct(sandbox, host, **options):
    """A client of this one member, as the set's first administrator."""
    if not hasattr(sandbox, "admin"):  # also of use while the controller stands still
        uri = sandbox.atoll("connection-string", "mongo", "--with-password").stdout.strip()
        sandbox.admin, sandbox.encrypted = pymongo.uri_parser.parse_uri(uri), "tls=true" in uri
    admin = sandbox.admin
    login = {"username": admin["username"], "password": admin["password"]} if admin["username"] else {}
    return pymongo.MongoClient(f"mongodb://{host}/", **{"serverSelectionTimeoutMS": SELECTION_MS, "socketTimeoutMS": SELECTION_MS,
                                                        **trusting(sandbox, sandbox.encrypted), **login, **options})


def config_of(sandbox, name="mongo"):
    with client_of(sandbox, name) as client:
        return client.admin.command("replSetGetConfig")["config"]


def replica_set_id(sandbox, name="mongo"):
    return config_of(sandbox, name)["settings"]["replicaSetId"]


def insert(sandbox, ids, name="mongo"):
    with client_of(sandbox, name) as client:
        client.whole.writes.insert_many([{"_id": each} for each in ids])


def missing(sandbox, ids, name="mongo"):
    """Those of the acknowledged writes that a majority does not have."""
    with client_of(sandbox, name) as client:
        found = {each["_id"] for each in client.whole.get_collection("writes", read_concern=ReadConcern("majority")).find()}
    return sorted(set(ids) - found, key=str)


class Writer:
    """A client that writes all the time, with w: majority and retryable writes, and remembers what was acknowledged."""

    def __init__(self, sandbox, name="mongo"):
        self.sandbox, self.set, self.acknowledged = sandbox, name, []
        self.ended, self.problem = threading.Event(), None
        self.tag = f"{time.monotonic_ns():x}"
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.wait_for_more(5)
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive(), "the writer hangs"

    def run(self):
        number, client = 0, None
        while not self.ended.is_set():
            number += 1
            key = f"{self.tag}-{number}"
            try:
                client = client or client_of(self.sandbox, self.set, serverSelectionTimeoutMS=SELECTION_MS, socketTimeoutMS=SELECTION_MS)
                client.whole.writes.insert_one({"_id": key})
                self.acknowledged.append(key)
            except (pymongo.errors.PyMongoError, AssertionError, OSError) as problem:
                self.problem = problem  # nobody said that it is written: it may be there or not
                if client and isinstance(problem, pymongo.errors.ServerSelectionTimeoutError):
                    client.close()  # all seeds may have moved: ask for the addresses again, as a user would
                    client = None
            self.ended.wait(WRITE_PAUSE_SECS)
        if client:
            client.close()

    def wait_for_more(self, count=5, timeout=120):
        """Until so many further writes were acknowledged."""
        aim = len(self.acknowledged) + count
        try:
            sandboxes.wait_until(lambda: len(self.acknowledged) >= aim, timeout * self.sandbox.slowness, "further writes to be acknowledged")
        except AssertionError as late:
            raise AssertionError(f"{late}; the client's last problem: {self.problem!r}") from None


@contextlib.contextmanager
def nothing_is_lost(sandbox, same_version=False):
    """Whatever happens within: the same members on the same disks, the same replica set, never a second initiation, and every
    write that a majority acknowledged is there. Gives the client that writes meanwhile."""
    before = healthy(sandbox)
    set_id, births = replica_set_id(sandbox), initiations(sandbox)
    with Writer(sandbox) as writer:
        yield writer
        writer.wait_for_more()
    after = healthy(sandbox)
    assert identities(after) == identities(before)
    assert replica_set_id(sandbox) == set_id
    assert initiations(sandbox) == births
    assert missing(sandbox, writer.acknowledged) == []
    if same_version:
        assert version_of(after) == version_of(before)
