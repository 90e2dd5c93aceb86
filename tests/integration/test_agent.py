"""What a zone's agent does with its members: start, heal, take over, hold, let go."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import psutil
import pytest

from agent_zone import (  # noqa: F401 (fixtures are used by name)
    BIN, DEADLINE, ZONE, answers, connect, controller, eventually, initiate, ready, running, zone)


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
               ["PRIMARY", "SECONDARY", "SECONDARY"])
    running_elsewhere = [zone.pid(n) for n in (1, 3)]
    os.kill(zone.pid(2), signal.SIGKILL)
    eventually("the second is back", lambda: controller.member(2)["holding"]["pod"].get("restarts") == 1 and
               controller.member(2)["mongod"].get("state") in ("PRIMARY", "SECONDARY"))
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
    eventually("the controller that came back is found", lambda: ready(controller))


@pytest.mark.parametrize("words, sentence", [
    (["--zone", "z"], "missing option --dir"), (["--what"], "unknown option --what"), (["--dir"], "a value is missing after --dir"),
    (["--dir", "/x", "--zone", "z", "--controller", "http://a", "--driver", "local", "--subnet", "127.0.1"], "begins with https://"),
    (["--dir", "/x", "--zone", "Z!", "--controller", "https://a", "--driver", "local", "--subnet", "127.0.1"], "a zone's name"),
    (["--dir", "/x", "--zone", "z", "--controller", "https://a", "--driver", "cloud", "--subnet", "127.0.1"], "the driver is `kubernetes` or `local`, not cloud")])
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


def test_what_a_crash_left_of_a_mark_is_no_data(zone, controller):
    """An agent that was killed while it made the disk: the birth of its set waited for ever."""
    data = zone.data()
    data.mkdir(parents=True)
    (data / "atoll-disk.id.a1b2c3").write_text("half a m")
    zone.start()
    controller.intend(zone.spec())
    member = eventually("it is made anew", lambda: controller.member().get("holding", {}).get("disk", {}).get("id") and controller.member())
    assert not member["holding"]["disk"].get("adopted")


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
        with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
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
