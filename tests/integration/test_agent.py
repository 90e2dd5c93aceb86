"""A real zone agent with the local driver, its members (atoll-mongod-sim, or ATOLL_MONGOD), and a small controller of the test's own."""
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
ZONE, DEADLINE = "zone-a", 20

SANITIZED = (BIN / "atoll-zone-agent").exists() and b"__asan_init" in (BIN / "atoll-zone-agent").read_bytes()

pytestmark = pytest.mark.skipif(not (BIN / "atoll-zone-agent").exists(), reason=f"{BIN}/atoll-zone-agent is not built")


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
                control.settimeout(5)
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
    return pymongo.MongoClient(f"mongodb://{host}/?directConnection=true", serverSelectionTimeoutMS=3000, connectTimeoutMS=1000,
                               socketTimeoutMS=2000, **more)


def answers(address):
    """Does a mongod answer at this address within a moment?"""
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


def test_an_intent_becomes_a_member_that_answers_by_its_address(running, controller):
    member = ready(controller)
    holding = member["holding"]
    assert member["mongod"]["answer"] == "not-initialized"
    assert holding["disk"]["state"] == "Attached" and holding["disk"]["used"] and holding["replicas"] == 1
    assert holding["pod"]["name"].startswith("mongo-rc1-") and holding["address"] == f"{running.subnet}.1:{running.port}"
    assert answers(holding["address"])
    eventually("the intent is reached", lambda: controller.reports[-1].get("reached") and controller.reports[-1]["revision"] == 1)
    assert not controller.member()["waiting"].get("code")
    eventually("heartbeats name the last report", lambda: controller.heartbeats and controller.heartbeats[-1]["sequence"] ==
               controller.reports[-1]["sequence"])


def test_a_primary_is_reported_with_its_configuration(running, controller):
    address = initiate(running, controller)
    mongod = controller.member()["mongod"]
    assert mongod["config"]["members"][0]["host"] == address and mongod["config"]["replicaSetId"]
    eventually("the configuration is known to be committed", lambda: controller.member()["mongod"].get("configCommitted") or
               controller.member()["mongod"]["version"].startswith(("4.0", "4.2")))
    controller.intend(running.spec(diskId=controller.member()["holding"]["disk"]["id"], replicaSetId=mongod["config"]["replicaSetId"]))
    eventually("the disk is marked", lambda: controller.member()["holding"]["disk"].get("replicaSetId") ==
               mongod["config"]["replicaSetId"])


def test_a_killed_member_is_started_again_with_its_disk(running, controller):
    disk, address, pid = controller.member()["holding"]["disk"]["id"], controller.member()["holding"]["address"], running.pid()
    os.kill(pid, signal.SIGKILL)
    member = eventually("it was started again", lambda: ready(controller) and controller.member()["holding"]["pod"].get("restarts") == 1
                        and controller.member())
    assert running.pid() not in (0, pid)
    assert member["holding"]["disk"]["id"] == disk and member["holding"]["address"] == address
    assert "signal 9" in member["holding"]["pod"]["lastExit"]
    eventually("its address leads to it", lambda: answers(address))


def test_a_killed_agent_takes_its_member_over(running, controller):
    pid, before = running.pid(), controller.member()["holding"]
    first_run = controller.reports[-1]["runId"]
    running.kill()
    assert psutil.pid_exists(pid)
    running.start()
    eventually("a new run reports", lambda: controller.reports[-1]["runId"] != first_run and ready(controller))
    after = controller.member()["holding"]
    assert running.member_processes() == [pid] and after["address"] == before["address"] and after["disk"]["id"] == before["disk"]["id"]
    assert after["pod"]["name"] == before["pod"]["name"] and not after["pod"].get("restarts")
    eventually("its address leads to it", lambda: answers(after["address"]))
    os.kill(pid, signal.SIGKILL)  # the end of one that was taken over is seen too
    eventually("it was started again", lambda: running.pid() not in (0, pid) and ready(controller))


def test_a_member_that_ended_while_no_agent_ran_is_started(running, controller):
    pid = running.pid()
    running.kill()
    os.kill(pid, signal.SIGKILL)
    running.start()
    eventually("it was started again", lambda: running.pid() not in (0, pid) and ready(controller))


def test_a_pod_whose_birth_the_agent_did_not_survive_is_found(running, controller):
    """The agent dies between the start of the process and writing its pid down."""
    pid, first_run = running.pid(), controller.reports[-1]["runId"]
    running.kill()
    path = running.dir / "pods" / "mongo-node1.json"
    path.write_text(json.dumps({**running.pod_file(), "pid": 0, "startTime": "0", "starting": True}))
    running.start()
    eventually("a new run reports", lambda: controller.reports[-1]["runId"] != first_run and ready(controller))
    assert running.member_processes() == [pid] == [running.pid()]


def test_a_stranger_with_the_pods_old_pid_is_left_alone(running, controller):
    pid = running.pid()
    running.kill()
    os.kill(pid, signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        path = running.dir / "pods" / "mongo-node1.json"
        path.write_text(json.dumps({**running.pod_file(), "pid": stranger.pid}))
        running.start()
        eventually("a pod of its own", lambda: running.pid() not in (0, stranger.pid) and ready(controller))
        controller.intend(running.spec(run="held"))
        eventually("it is held", lambda: not running.member_processes())
        assert stranger.poll() is None
        stranger.kill()


def test_three_members_in_one_zone_have_addresses_of_their_own(zone, controller):
    zone.start()
    controller.intend(*[zone.spec(ordinal) for ordinal in (1, 2, 3)])
    members = eventually("all answer", lambda: all(ready(controller, n) for n in (1, 2, 3)) and
                         [controller.member(n)["holding"] for n in (1, 2, 3)])
    addresses = [member["address"] for member in members]
    assert len(set(addresses)) == 3 and len({member["disk"]["id"] for member in members}) == 3
    assert len(zone.member_processes()) == 3
    with connect(addresses[0]) as client:
        client.admin.command("replSetInitiate", {"_id": "mongo", "members": [{"_id": n, "host": a} for n, a in enumerate(addresses)]})
    eventually("one primary, two secondaries", lambda: sorted(controller.member(n)["mongod"].get("state", "") for n in (1, 2, 3)) ==
               ["PRIMARY", "SECONDARY", "SECONDARY"], seconds=40)
    running_elsewhere = [zone.pid(n) for n in (1, 3)]
    os.kill(zone.pid(2), signal.SIGKILL)
    eventually("the second is back", lambda: controller.member(2)["holding"]["pod"].get("restarts") == 1 and
               controller.member(2)["mongod"].get("state") in ("PRIMARY", "SECONDARY"), seconds=40)
    assert [zone.pid(n) for n in (1, 3)] == running_elsewhere


def test_sigterm_leaves_the_members_running(running, controller):
    pid = running.pid()
    assert running.kill(signal.SIGTERM) == 0
    assert running.member_processes() == [pid]


def test_an_agent_alone_heals_from_its_saved_intent(running, controller):
    running.kill()
    pid = running.pid()
    os.kill(pid, signal.SIGKILL)
    controller.close()
    running.start()
    eventually("it was started without a controller", lambda: running.pid() not in (0, pid))
    address = json.loads((running.dir / "services" / "mongo-svc-a.json").read_text())["host"]
    eventually("it answers", lambda: answers(f"{address}:{running.port}"))
    controller.__init__(port=controller.port)
    controller.epoch, controller.revision, controller.members = 2, 1, [running.spec()]
    eventually("the controller that came back is found", lambda: ready(controller), seconds=8)


@pytest.mark.parametrize("words, sentence", [
    (["--zone", "z"], "missing option --dir"), (["--what"], "unknown option --what"), (["--dir"], "a value is missing after --dir"),
    (["--dir", "/x", "--zone", "Z!", "--controller", "http://a", "--driver", "local", "--subnet", "127.0.1"], "a zone's name"),
    (["--dir", "/x", "--zone", "z", "--controller", "http://a", "--driver", "cloud", "--subnet", "127.0.1"], "the only driver")])
def test_bad_usage_is_told(words, sentence):
    done = subprocess.run([BIN / "atoll-zone-agent", *words], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 2 and sentence in done.stderr


def test_two_agents_never_run_on_one_directory(running):
    second = subprocess.run([BIN / "atoll-zone-agent", "--dir", running.dir, "--zone", ZONE, "--controller", "http://127.0.0.1:1",
                             "--driver", "local", "--subnet", running.subnet], capture_output=True, text=True, timeout=DEADLINE)
    assert second.returncode == 1 and "another agent runs" in second.stderr


def test_a_lower_epoch_is_refused_also_after_a_restart(running, controller):
    controller.intend(running.spec(), epoch=5)
    eventually("epoch 5 is taken", lambda: controller.reports[-1].get("epoch") == 5)
    running.kill()
    with controller.lock:
        controller.epoch = 4
    controller.intend(running.spec(run="held"))
    running.start()
    eventually("it says what it has accepted", lambda: controller.heartbeats and controller.heartbeats[-1]["runId"] ==
               controller.reports[-1]["runId"] and controller.reports[-1]["epoch"] == 5 and ready(controller))
    eventually("it refused", lambda: "epoch 4 is older than 5" in running.log.read_text())
    assert running.member_processes()
    controller.intend(running.spec(run="held"), epoch=6)
    eventually("a higher one is obeyed", lambda: not running.member_processes())


def test_a_moved_address_is_reported_and_the_old_one_is_gone(running, controller):
    before = controller.member()["holding"]["address"]
    answer = running.fault("move-address", member="mongo-node1")
    assert answer["ok"] and answer["address"] != before
    eventually("the report says so", lambda: controller.member()["holding"]["address"] == answer["address"], seconds=2)
    assert answers(answer["address"])
    with pytest.raises(OSError):
        socket.create_connection(before.rsplit(":", 1), timeout=2).close()
    running.kill()
    running.start()
    eventually("it stays after a restart", lambda: controller.reports[-1].get("members") and answers(answer["address"]))


def test_an_address_that_somebody_took_meanwhile_changes(running, controller):
    before = controller.member()["holding"]["address"]
    running.kill()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((f"{running.subnet}.1", running.port))
        thief.listen()
        count = len(controller.reports)
        running.start()
        eventually("another address", lambda: len(controller.reports) > count and ready(controller) and
                   controller.member()["holding"]["address"] not in ("", before))


def test_a_member_without_its_data_is_held_until_its_new_disk_is_named(running, controller):
    old = controller.member()["holding"]["disk"]["id"]
    controller.intend(running.spec(diskId=old))
    eventually("the id is known", lambda: controller.reports[-1]["revision"] == 2 and controller.reports[-1].get("reached"))
    running.kill()  # so that nobody starts it between the two
    os.kill(running.pid(), signal.SIGKILL)
    shutil.rmtree(running.data())
    running.data().mkdir()
    running.start()
    member = eventually("the loss is told", lambda: controller.member().get("waiting", {}).get("code") == "disk_lost" and
                        controller.member())
    new = member["holding"]["disk"]["id"]
    assert new != old and not running.member_processes() and member["waiting"]["rule"] == 161
    assert old in member["waiting"]["message"] and new in member["waiting"]["message"]
    controller.intend(running.spec(diskId=new))
    eventually("it runs on the disk that is named", lambda: ready(controller))


@pytest.mark.parametrize("leave_mark", [False, True], ids=["everything", "all_but_the_mark"])
def test_a_running_member_whose_data_is_emptied_does_not_come_back_by_itself(running, controller, leave_mark):
    old = controller.member()["holding"]["disk"]["id"]
    controller.intend(running.spec(diskId=old))
    eventually("the id is known", lambda: controller.reports[-1]["revision"] == 2 and controller.reports[-1].get("reached"))
    os.kill(running.pid(), signal.SIGSTOP)
    for path in running.data().iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not leave_mark or path.name != "atoll-disk.id":
            path.unlink()
    os.kill(running.pid(), signal.SIGKILL)
    eventually("the loss is told", lambda: controller.member().get("waiting", {}).get("code") == "disk_lost")
    assert not running.member_processes() and controller.member()["holding"]["disk"]["id"] != old
    running.kill()
    running.start()
    count = len(controller.reports)
    eventually("and is remembered", lambda: len(controller.reports) > count and
               controller.member().get("waiting", {}).get("code") == "disk_lost")
    assert not running.member_processes()


def test_a_used_disk_that_the_intent_does_not_name_is_not_started(zone, controller):
    data = zone.data()
    data.mkdir(parents=True)
    (data / "WiredTiger").write_text("somebody's data")
    zone.start()
    controller.intend(zone.spec())
    member = eventually("it waits", lambda: controller.member().get("waiting", {}).get("code") == "disk_adopted" and controller.member())
    assert member["holding"]["disk"]["adopted"] and not zone.member_processes()
    assert (data / "WiredTiger").read_text() == "somebody's data"


def test_a_disk_of_another_set_is_never_started(running, controller):
    disk = controller.member()["holding"]["disk"]["id"]
    controller.intend(running.spec(run="held", diskId=disk, replicaSetId="a" * 24))
    eventually("it is marked and held", lambda: controller.member()["holding"]["disk"].get("replicaSetId") == "a" * 24 and
               not running.member_processes())
    controller.intend(running.spec(diskId=disk, replicaSetId="b" * 24))
    member = eventually("the conflict is told", lambda: controller.member().get("waiting", {}).get("code") == "disk_of_another_set" and
                        controller.member())
    assert member["waiting"]["rule"] == 151 and not running.member_processes()


def test_held_and_up_again(running, controller):
    disk, address, name = (controller.member()["holding"]["disk"]["id"], controller.member()["holding"]["address"],
                           controller.member()["holding"]["pod"]["name"])
    controller.intend(running.spec(run="held", diskId=disk))
    eventually("it is held", lambda: controller.reports[-1].get("reached") and controller.reports[-1]["revision"] == 2 and
               not running.member_processes())
    assert controller.member()["holding"]["address"] == address
    with pytest.raises(OSError):  # reset at once: nobody is there
        with socket.create_connection(address.rsplit(":", 1), timeout=2) as client:
            client.sendall(b"x" * 100)
            time.sleep(0.05)
            assert client.recv(1) == b"never"
    controller.intend(running.spec(diskId=disk))
    member = eventually("it is back", lambda: ready(controller))
    assert member["holding"]["pod"]["name"] != name and member["holding"]["disk"]["id"] == disk


def test_an_absent_member_leaves_and_its_disk_stays(running, controller):
    disk = controller.member()["holding"]["disk"]["id"]
    controller.intend(running.spec(run="absent"))
    eventually("it left", lambda: controller.reports[-1].get("reached") and controller.reports[-1]["revision"] == 2)
    holding = controller.member()["holding"]
    assert not holding.get("controllerExists") and not holding.get("serviceExists") and not running.member_processes()
    assert holding["disk"]["id"] == disk and holding["disk"]["state"] == "Ready" and running.data().exists()


def test_a_member_that_is_no_longer_named_is_left_alone(running, controller):
    pid = running.pid()
    controller.intend()
    eventually("the intent is taken", lambda: controller.reports[-1]["revision"] == 2 and controller.reports[-1].get("reached"))
    assert running.member_processes() == [pid] and answers(controller.member()["holding"]["address"])


def test_refuse_resets_and_heal_ends_it(running, controller):
    address = controller.member()["holding"]["address"]
    assert running.fault("refuse", member="mongo-node1")["ok"]
    with pytest.raises(OSError):
        with socket.create_connection(address.rsplit(":", 1), timeout=2) as client:
            client.settimeout(2)
            if client.recv(1) == b"":
                raise ConnectionResetError
    assert running.fault("heal", member="mongo-node1")["ok"]
    assert answers(address)


def test_cut_carries_nothing_and_heal_lets_the_same_connection_go_on(running, controller):
    address = controller.member()["holding"]["address"]
    echo = opcode_query()
    with socket.create_connection(address.rsplit(":", 1), timeout=2) as old:
        old.sendall(echo)
        assert old.recv(4096)
        running.fault("cut", member="mongo-node1")
        old.settimeout(0.5)
        old.sendall(echo)
        with pytest.raises(socket.timeout):
            old.recv(1)
        with socket.create_connection(address.rsplit(":", 1), timeout=2) as new:
            new.settimeout(0.5)
            new.sendall(echo)
            with pytest.raises(socket.timeout):
                new.recv(1)
            running.fault("heal", member="mongo-node1")
            for client in (old, new):
                client.settimeout(5)
                assert client.recv(4096)


def test_slow_delays_each_way(running, controller):
    address = controller.member()["holding"]["address"]
    running.fault("slow", ms=150)
    with socket.create_connection(address.rsplit(":", 1), timeout=2) as client:
        begin = time.monotonic()
        client.settimeout(5)
        client.sendall(opcode_query())
        assert client.recv(4096)
        assert 0.3 <= time.monotonic() - begin < 2
    running.fault("heal")
    begin = time.monotonic()
    assert answers(address) and time.monotonic() - begin < 1


def test_a_cut_zone_is_cut_from_its_controller_too(running, controller):
    running.fault("cut")
    count = len(controller.heartbeats)
    controller.intend(running.spec(run="held"))
    time.sleep(2.5)  # longer than a heartbeat's interval: silence can't be awaited
    assert len(controller.heartbeats) == count and running.member_processes()
    running.fault("heal")
    eventually("it hears again", lambda: len(controller.heartbeats) > count and not running.member_processes(), seconds=8)


def test_wrong_faults_are_answered_with_a_sentence(running):
    assert "unknown fault" in running.fault("explode")["error"]
    assert "no member" in running.fault("cut", member="mongo-node9")["error"]
    assert "slow needs ms" in running.fault("slow")["error"]
    assert (running.dir / "control.sock").stat().st_mode & 0o777 == 0o600


ECHO = """#!/usr/bin/python3
import socket, sys, threading
words = sys.argv
host, port = words[words.index("--bind_ip") + 1], int(words[words.index("--port") + 1])
def serve(peer):
    try:
        while data := peer.recv(65536):
            peer.sendall(data)
        peer.sendall(b"THE END")
        peer.close()
    except OSError:
        pass
listener = socket.create_server((host, port))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def test_much_data_goes_through_whole_with_half_close(zone, controller, tmp_path):
    """The pod is an echo that says a last word once the client has closed its half."""
    zone.mongod = tmp_path / "echo-mongod-sim"
    zone.mongod.write_text(ECHO)
    zone.mongod.chmod(0o755)
    zone.start()
    controller.intend(zone.spec())
    address = eventually("the echo listens", lambda: controller.member().get("holding", {}).get("pod", {}).get("ready") and
                         controller.member()["holding"]["address"])
    sent, received = os.urandom(8 << 20), bytearray()
    with socket.create_connection(address.rsplit(":", 1), timeout=10) as client:
        def send():
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        while data := client.recv(65536):
            received += data
        sender.join()
    assert bytes(received) == sent + b"THE END"


def test_a_client_that_floods_a_stuck_member_costs_the_agent_nothing(running, controller):
    address = controller.member()["holding"]["address"]
    before = smaps(running.process.pid)
    os.kill(running.pid(), signal.SIGSTOP)
    try:
        with socket.create_connection(address.rsplit(":", 1), timeout=2) as client:
            client.settimeout(0.5)
            sent = 0
            with pytest.raises(socket.timeout):
                while True:
                    sent += client.send(b"x" * 65536)
            assert sent < 64 << 20
            assert smaps(running.process.pid) - before < 1024
    finally:
        os.kill(running.pid(), signal.SIGCONT)


def test_reports_are_sent_again_until_they_are_taken(zone, controller):
    controller.lose_answers = 3
    zone.start()
    controller.intend(zone.spec())
    eventually("the member answers", lambda: ready(controller))
    count = len(controller.reports)
    controller.want_report = True
    eventually("a report on demand", lambda: len(controller.reports) > count)


def test_a_settled_zone_reports_nothing(running, controller):
    initiate(running, controller)
    controller.intend(running.spec(diskId=controller.member()["holding"]["disk"]["id"]))
    eventually("settled", lambda: controller.reports[-1].get("reached") and controller.reports[-1]["revision"] == 2)
    heartbeats = len(controller.heartbeats)
    eventually("a heartbeat", lambda: len(controller.heartbeats) > heartbeats)
    count, heartbeats = len(controller.reports), len(controller.heartbeats)
    eventually("two heartbeats", lambda: len(controller.heartbeats) >= heartbeats + 2)
    assert len(controller.reports) == count


@pytest.mark.skipif(SANITIZED, reason="sanitizers take memory of their own")
def test_the_agent_is_small(running, controller):
    initiate(running, controller)
    eventually("some heartbeats", lambda: len(controller.heartbeats) >= 4)
    begin, used = time.monotonic(), cpu_seconds(running.process.pid)
    eventually("some heartbeats", lambda: len(controller.heartbeats) >= 7)
    share = (cpu_seconds(running.process.pid) - used) / (time.monotonic() - begin)
    anonymous = smaps(running.process.pid)
    print(f"\nagent with one member: Anonymous {anonymous} KiB, {100 * share:.2f} % of one core")
    assert anonymous < 4096


def cpu_seconds(pid):
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def smaps(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous:"))


def opcode_query():
    """An OP_QUERY isMaster, understood by every server version."""
    body = b"\x04\x00\x00\x00admin.$cmd\x00" + (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\x13\x00\x00\x00\x10isMaster\x00\x01\x00\x00\x00\x00"
    return (16 + len(body)).to_bytes(4, "little") + (7).to_bytes(4, "little") + bytes(4) + (2004).to_bytes(4, "little") + body
