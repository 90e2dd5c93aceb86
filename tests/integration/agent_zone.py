"""Fixtures: a real zone agent with the local driver, its members (atoll-mongod-sim, or ATOLL_MONGOD), and a small controller of the
test's own."""
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import psutil
import pymongo
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ATOLL_BIN", ROOT / "build" / "bin"))
MONGOD = os.environ.get("ATOLL_MONGOD") or str(BIN / "atoll-mongod-sim")
ZONE, DEADLINE = "zone-a", 90  # of every wait: for machines ten times slower than the ones it was written on

SANITIZED = (BIN / "atoll-zone-agent").exists() and b"__asan_init" in (BIN / "atoll-zone-agent").read_bytes()


def eventually(what, check, seconds=DEADLINE):
    """Polls until check() gives something true, and gives that."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Controller:
    """What an agent needs of a controller: the stream of intents, and ears for report and heartbeat."""

    def __init__(self, port=0):
        self.lock = threading.Condition()
        self.epoch, self.revision, self.members = 1, 0, []
        self.reports, self.heartbeats, self.want_report, self.lose_answers = [], [], False, 0
        self.stopping = False
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    outer.stream(self.wfile)
                self.close_connection = True

            def answer(self, keep):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    if outer.lose_answers:
                        outer.lose_answers -= 1
                        self.close_connection = True
                        return
                    keep.append(json.loads(body))
                    text = json.dumps({"epoch": outer.epoch, "reportWanted": outer.want_report}).encode()
                    if keep is outer.heartbeats:
                        outer.want_report = False
                    outer.lock.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_PUT(self):
                assert self.path == f"/v1/zones/{ZONE}/report"
                self.answer(outer.reports)

            def do_POST(self):
                assert self.path == f"/v1/zones/{ZONE}/heartbeat"
                self.answer(outer.heartbeats)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stream(self, out):
        sent = None
        while True:
            with self.lock:
                if self.stopping:
                    return
                now = (self.epoch, self.revision)
                intent = {"type": "INTENT", "epoch": self.epoch, "revision": self.revision, "federation": "test", "zone": ZONE,
                          "members": self.members}
                line = intent if now != sent and self.revision else {"type": "BOOKMARK", "epoch": self.epoch, "revision": self.revision}
                sent = now
            out.write((json.dumps(line) + "\n").encode())
            out.flush()
            with self.lock:
                self.lock.wait_for(lambda: self.stopping or (self.epoch, self.revision) != sent, timeout=1)

    def intend(self, *members, epoch=None):
        with self.lock:
            self.epoch = epoch or self.epoch
            self.revision += 1
            self.members = list(members)
            self.lock.notify_all()

    def member(self, ordinal=1):
        """What the last report says of a member, or {}."""
        with self.lock:
            for member in self.reports[-1]["members"] if self.reports else []:
                if member["holding"]["ordinal"] == ordinal:  # what has its default is not in the document
                    return {"mongod": {}, "waiting": {}, **member}
        return {}

    def close(self):
        with self.lock:
            self.stopping = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Zone:
    def __init__(self, folder, controller):
        self.dir, self.controller, self.process = folder / "zone", controller, None
        self.subnet = f"127.{100 + os.getpid() % 100}.{1 + time.monotonic_ns() // 1000 % 250}"
        self.port = free_port()
        self.log, self.mongod = folder / "agent.log", MONGOD

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "atoll-zone-agent", "--dir", self.dir, "--zone", ZONE, "--controller", self.controller.url, "--driver",
                 "local", "--subnet", self.subnet, "--mongod", self.mongod], stderr=log, stdout=log)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def spec(self, ordinal=1, run="up", **more):
        letter = "abcdef"[ordinal - 1]
        return {"set": "mongo", "ordinal": ordinal, "run": run, "node": f"mongo-node{ordinal}", "controller": f"mongo-rc{ordinal}",
                "service": f"mongo-svc-{letter}", "volume": f"mongo-persistent-storage{ordinal}", "disk": f"mongodb-disk{ordinal}",
                "image": "mongo:7.0", "port": self.port, "storageBytes": 1 << 30, **more}

    def pod_file(self, ordinal=1):
        return json.loads((self.dir / "pods" / f"mongo-node{ordinal}.json").read_text())

    def pid(self, ordinal=1):
        return self.pod_file(ordinal)["pid"]

    def member_processes(self):
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            line = process.info["cmdline"] or []
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(self.dir) in word for word in line) and "--dbpath" in line:
                found.append(process.info["pid"])
        return found

    def fault(self, fault, **more):
        folder = os.open(self.dir, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(DEADLINE)
                control.connect(f"/proc/self/fd/{folder}/control.sock")
                control.sendall(json.dumps({"fault": fault, **more}).encode() + b"\n")
                return json.loads(control.makefile().readline())
        finally:
            os.close(folder)

    def data(self, ordinal=1):
        return self.dir / "disks" / f"mongodb-disk{ordinal}" / "data"

    def close(self):
        with contextlib.suppress(OSError):
            assert "Sanitizer" not in self.log.read_text() and "runtime error" not in self.log.read_text()
        if self.process and self.process.poll() is None:
            self.kill()
        for pid in self.member_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually("members are gone", lambda: not self.member_processes())


@pytest.fixture
def controller():
    if not (BIN / "atoll-zone-agent").exists():
        pytest.skip(f"{BIN}/atoll-zone-agent is not built")
    made = Controller()
    yield made
    made.close()


@pytest.fixture
def zone(tmp_path, controller):
    made = Zone(tmp_path, controller)
    yield made
    made.close()


def ready(controller, ordinal=1):
    member = controller.member(ordinal)
    return member if member.get("holding", {}).get("pod", {}).get("ready") and member["mongod"].get("answer", "not-asked") not in (
        "not-asked", "silent") else None


@pytest.fixture
def running(zone, controller):
    """A zone with one member that answers."""
    zone.start()
    controller.intend(zone.spec())
    eventually("the member answers", lambda: ready(controller))
    return zone


def connect(host, **more):
    return pymongo.MongoClient(f"mongodb://{host}/?directConnection=true", serverSelectionTimeoutMS=30000, connectTimeoutMS=20000,
                               socketTimeoutMS=20000, **more)


def answers(address):
    """Does a mongod answer at this address?"""
    with contextlib.suppress(pymongo.errors.PyMongoError):
        with connect(address) as client:
            return client.admin.command("ping")["ok"] == 1
    return False


def initiate(running, controller):
    address = controller.member()["holding"]["address"]
    with connect(address) as client:
        client.admin.command("replSetInitiate", {"_id": "mongo", "members": [{"_id": 0, "host": address}]})
    eventually("it is primary", lambda: controller.member()["mongod"].get("state") == "PRIMARY")
    return address


def cpu_seconds(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def smaps(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))


def opcode_query():
    """An OP_QUERY isMaster, understood by every server version."""
    body = b"\x04\x00\x00\x00admin.$cmd\x00" + (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\x13\x00\x00\x00\x10isMaster\x00\x01\x00\x00\x00\x00"
    return (16 + len(body)).to_bytes(4, "little") + (7).to_bytes(4, "little") + bytes(4) + (2004).to_bytes(4, "little") + body
