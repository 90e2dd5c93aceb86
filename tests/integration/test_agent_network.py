"""A zone's network: addresses, faults, the forwarder, and what the agent says to the controller and costs."""
import os
import signal
import socket
import threading
import time

import pytest

from agent_zone import (  # noqa: F401 (fixtures are used by name)
    DEADLINE, SANITIZED, answers, controller, cpu_seconds, eventually, initiate, opcode_query, ready, running, smaps, zone)


def can_listen(address):
    host, port = address.rsplit(":", 1)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            thief.bind((host, int(port)))
            thief.listen()
        except OSError:
            return False
    return True


def test_a_moved_address_is_reported_and_the_old_one_leads_nowhere(running, controller):
    """The old one accepted connections and reset them later, sometimes too late for a client to notice at its connect."""
    before = controller.member()["holding"]["address"]
    answer = running.fault("move-address", member="mongo-node1")
    assert answer["ok"] and answer["address"] != before
    eventually("the report says so", lambda: controller.member()["holding"]["address"] == answer["address"])
    assert answers(answer["address"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(before.rsplit(":", 1), timeout=DEADLINE).close()
    assert not can_listen(before)  # the configuration may name it still: it is nobody else's
    running.kill()
    count = len(controller.reports)
    running.start()
    eventually("it stays after a restart", lambda: len(controller.reports) > count and controller.reports[-1].get("members") and
               answers(answer["address"]))
    assert not can_listen(before)
    assert running.fault("move-address", member="mongo-node1")["address"] == before  # given back, also by the next agent


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


def test_refuse_resets_and_heal_ends_it(running, controller):
    address = controller.member()["holding"]["address"]
    assert running.fault("refuse", member="mongo-node1")["ok"]
    with pytest.raises(OSError):
        with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
            client.settimeout(DEADLINE)
            if client.recv(1) == b"":
                raise ConnectionResetError
    assert running.fault("heal", member="mongo-node1")["ok"]
    assert answers(address)


def test_cut_carries_nothing_and_heal_lets_the_same_connection_go_on(running, controller):
    address = controller.member()["holding"]["address"]
    echo = opcode_query()
    with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as old:
        old.sendall(echo)
        assert old.recv(4096)
        running.fault("cut", member="mongo-node1")
        old.settimeout(0.5)
        old.sendall(echo)
        with pytest.raises(socket.timeout):
            old.recv(1)
        with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as new:
            new.settimeout(0.5)
            new.sendall(echo)
            with pytest.raises(socket.timeout):
                new.recv(1)
            running.fault("heal", member="mongo-node1")
            for client in (old, new):
                client.settimeout(DEADLINE)
                assert client.recv(4096)


def test_slow_delays_each_way(running, controller):
    address = controller.member()["holding"]["address"]
    running.fault("slow", ms=150)
    with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
        begin = time.monotonic()
        client.settimeout(DEADLINE)
        client.sendall(opcode_query())
        assert client.recv(4096)
        assert time.monotonic() - begin >= 0.295  # timers count whole milliseconds
    running.fault("heal")

    def round_trip():
        with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
            client.settimeout(DEADLINE)
            begin = time.monotonic()
            client.sendall(opcode_query())
            assert client.recv(4096)
            return time.monotonic() - begin

    eventually("an answer without the delay", lambda: round_trip() < 0.295)


def test_a_cut_zone_is_cut_from_its_controller_too(running, controller):
    running.fault("cut")
    controller.intend(running.spec(run="held"))

    def silent():
        count = len(controller.heartbeats)  # one that was on its way may still come
        time.sleep(2.5)  # longer than a heartbeat's interval
        return len(controller.heartbeats) == count

    eventually("silence", silent)
    assert running.member_processes()
    count = len(controller.heartbeats)
    running.fault("heal")
    eventually("it hears again", lambda: len(controller.heartbeats) > count and not running.member_processes())


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
    with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
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
        with socket.create_connection(address.rsplit(":", 1), timeout=DEADLINE) as client:
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
