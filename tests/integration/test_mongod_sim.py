"""The stand-in for mongod behaves like a replica set member: elections, durability, reconfigurations, initial sync.

Everything here plays 7.0 unless it says otherwise; test_mongod_sim_recordings.py compares 4.0 with recordings of a real one.
"""
import signal
import subprocess
import time

import bson
import psutil
import pymongo
import pytest
from pymongo import WriteConcern
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure, WriteConcernError, WTimeoutError

from sim_cluster import Cluster, Forwarder, find_binary, wait_until

PRIMARY, SECONDARY, STARTUP2, ARBITER, DOWN, REMOVED = 1, 2, 5, 7, 8, 10


@pytest.fixture
def three():
    """Three members, healthy, with short elections."""
    with Cluster(3) as cluster:
        cluster.initiate()
        yield cluster


def collection(member, w="majority", wtimeout=60000, **options):
    return member.open(**options).t.get_collection("c", write_concern=WriteConcern(w, wtimeout=wtimeout))


def ids(member):
    options = {"read_preference": pymongo.ReadPreference.SECONDARY_PREFERRED}
    return sorted(d["_id"] for d in member.open().t.get_collection("c", **options).find())


def others(cluster, member):
    return [m for m in cluster.members if m is not member]


def member_config(config, member):
    return next(m for m in config["members"] if m["host"] == member.host)


# ---- birth, failover, durability ----

def test_a_killed_primary_is_followed_by_one_of_a_higher_term_that_has_the_data(three):
    old = three.primary()
    term = old.run("replSetGetStatus")["term"]
    collection(old).insert_many([{"_id": i} for i in range(50)])
    old.kill()
    new = three.primary()
    assert new is not old and new.run("replSetGetStatus")["term"] > term
    assert ids(new) == list(range(50))
    collection(new).insert_one({"_id": 50})
    old.start()
    old.wait_for_state(SECONDARY)
    wait_until(lambda: ids(old) == list(range(51)), what="the old primary having everything")


def test_all_killed_at_once_come_back_with_what_was_acknowledged(three):
    collection(three.primary()).insert_one({"_id": "kept"})
    terms = [m.run("replSetGetStatus")["term"] for m in three.members]
    version = three.primary().config()["version"]
    for m in three.members:
        m.kill()
    for m in three.members:
        m.start()
    three.wait_healthy()
    assert three.primary().run("replSetGetStatus")["term"] > max(terms)
    assert three.primary().config()["version"] == version
    assert all(ids(m) == ["kept"] for m in three.members)


def test_a_torn_end_of_the_journal_is_cut_off(three):
    victim = three.secondaries()[0]
    collection(three.primary(), w=3).insert_one({"_id": 1})
    victim.kill()
    with open(victim.directory / "sim-journal", "ab") as journal:
        journal.write(b"\x40\x00\x00\x00torn")
    victim.start()
    victim.wait_for_state(SECONDARY)
    collection(three.primary(), w=3).insert_one({"_id": 2})
    victim.kill()
    victim.start()
    victim.wait_for_state(SECONDARY)
    assert ids(victim) == [1, 2]


def test_writes_that_no_majority_had_are_rolled_back():
    with Cluster(3) as cluster:
        cluster.initiate(election_ms=3000)
        old = cluster.primary()
        collection(old).insert_one({"_id": "kept"})
        rest = others(cluster, old)
        for m in rest:
            m.kill()
        alone = collection(old, w=1)
        alone.insert_one({"_id": "lost"})
        alone.delete_one({"_id": "kept"})
        assert ids(old) == ["lost"]
        old.kill()
        for m in rest:
            m.start()
        new = cluster.primary()
        collection(new).insert_one({"_id": "new"})
        old.start()
        old.wait_for_state(SECONDARY)
        wait_until(lambda: ids(old) == ["kept", "new"], what="the rollback")
        assert old.run("serverStatus")["repl"]["rbid"] == 2


def test_a_primary_without_a_majority_steps_down_and_majority_writes_end(three):
    old = three.primary()
    for m in others(three, old):
        m.kill()
    with pytest.raises((OperationFailure, AutoReconnect)) as raised:
        collection(old, wtimeout=0).insert_one({"_id": 1})
    assert getattr(raised.value, "code", 11602) in (11602, 10107)
    old.wait_for_state(SECONDARY)
    assert old.error("insert", "c", db="t", documents=[{"_id": 2}])["codeName"] == "NotWritablePrimary"


def test_a_single_node_elects_itself_at_once():
    with Cluster(1) as cluster:
        began = time.monotonic()
        cluster.initiate(election_ms=30000)
        assert time.monotonic() - began < 30
        collection(cluster.members[0]).insert_one({"_id": 1})
        cluster.members[0].kill()
        cluster.members[0].start()
        assert ids(cluster.primary()) == [1]


def test_a_stopped_member_stalls_nobody(three):
    victim = three.secondaries()[0]
    victim.process.send_signal(signal.SIGSTOP)  # its connections hang, as behind a black hole
    try:
        target = collection(three.primary())
        began = time.monotonic()
        for i in range(20):
            target.insert_one({"_id": i})
        assert time.monotonic() - began < 10
    finally:
        victim.process.send_signal(signal.SIGCONT)


def test_a_clean_stop_of_the_primary_hands_over_without_an_election_timeout():
    with Cluster(3) as cluster:
        cluster.initiate(election_ms=8000)
        old = cluster.primary()
        wait_until(lambda: [m["state"] for m in old.run("replSetGetStatus")["members"]].count(SECONDARY) == 2, what="both seen")
        began = time.monotonic()
        assert old.stop() == 0
        cluster.primary()
        assert time.monotonic() - began < 8


def test_members_use_next_to_no_processor_time_when_idle(three):
    processes = [psutil.Process(m.process.pid) for m in three.members]
    before = [sum(p.cpu_times()[:2]) for p in processes]
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 3, timeout=10)
    used = [sum(p.cpu_times()[:2]) - b for p, b in zip(processes, before)]
    assert max(used) < 0.6, used  # one that never rests uses 3


# ---- reading and writing ----

def test_write_concerns_are_really_awaited(three):
    primary = three.primary()
    collection(primary, w=3).insert_one({"_id": 1})
    assert all(ids(m) == [1] for m in three.members)
    three.secondaries()[0].kill()
    with pytest.raises(WTimeoutError):
        collection(primary, w=3, wtimeout=300).insert_one({"_id": 2})
    collection(primary).insert_one({"_id": 3})
    with pytest.raises(WriteConcernError) as raised:
        collection(primary, w=4).insert_one({"_id": 4})
    assert raised.value.code == 100


def test_secondaries_answer_reads_only_when_that_is_allowed(three):
    follower = three.secondaries()[0]
    error = follower.error("find", "c", db="t")
    assert (error["code"], error["codeName"]) == (13435, "NotPrimaryNoSecondaryOk")
    assert ids(follower) == []


def test_basic_changes_of_documents(three):
    c = collection(three.primary())
    c.insert_many([{"_id": i, "n": i, "tag": "a"} for i in range(5)])
    with pytest.raises(DuplicateKeyError):
        c.insert_one({"_id": 3})
    assert c.update_one({"_id": 1}, {"$set": {"tag": "b"}, "$inc": {"n": 10}}).modified_count == 1
    assert c.find_one({"tag": "b"}) == {"_id": 1, "n": 11, "tag": "b"}
    assert c.update_one({"_id": 9}, {"$set": {"n": 9}}, upsert=True).upserted_id == 9
    assert c.delete_many({"tag": "a"}).deleted_count == 4
    assert c.count_documents({}) == 2 and c.estimated_document_count() == 2
    assert [d["_id"] for d in c.find().sort("_id", -1).limit(1)] == [9]
    assert three.primary().open().list_database_names() == ["t"]
    c.drop()
    assert c.count_documents({}) == 0
    error = three.primary().error("find", "c", db="t", projection={"_id": 1})
    assert "no projection" in error["errmsg"]


def test_a_retried_write_is_executed_once(three):
    session = {"id": bson.Binary(b"0123456789abcdef", 4)}
    write = {"documents": [{"_id": 1}], "lsid": session, "txnNumber": bson.Int64(1), "writeConcern": {"w": "majority"}}
    assert three.primary().run("insert", "c", db="t", **write)["n"] == 1
    three.primary().kill()
    reply = three.primary().run("insert", "c", db="t", **write)  # the next primary knows it from the oplog
    assert reply["n"] == 1 and "writeErrors" not in reply


def test_awaitable_hello_tells_of_a_change_at_once(three):
    member = three.secondaries()[0]
    hello = member.run("hello")
    assert {"isWritablePrimary", "topologyVersion", "me", "hosts", "setName", "setVersion", "primary", "lastWrite"} <= set(hello)
    assert hello["maxWireVersion"] == 21
    began = time.monotonic()
    same = member.run("hello", topologyVersion=hello["topologyVersion"], maxAwaitTimeMS=300)
    assert same["topologyVersion"] == hello["topologyVersion"] and time.monotonic() - began >= 0.29
    three.primary().kill()
    changed = member.run("hello", topologyVersion=hello["topologyVersion"], maxAwaitTimeMS=20000)
    assert changed["topologyVersion"]["counter"] > hello["topologyVersion"]["counter"]


# ---- reconfiguration ----

def test_two_voters_at_once_are_refused(three):
    primary, config = three.primary(), three.primary().config()
    for m in others(three, primary):
        member_config(config, m).update(votes=0, priority=0)
    config["version"] += 1
    error = primary.error("replSetReconfig", config)
    assert error["errmsg"] == "Non force replica set reconfig can only add or remove at most 1 voting member."
    assert error["code"] == 103  # the server wraps whatever its checks say into this code


def test_reconfigurations_that_the_server_refuses(three):
    primary = three.primary()

    def refuse(change, code, text, **options):
        config = primary.config()
        config["version"] += 1
        change(config)
        error = primary.error("replSetReconfig", config, **options)
        assert error["code"] == code and text in error["errmsg"], error

    refuse(lambda c: c.update(version=1), 103, "must be greater than old")
    refuse(lambda c: c["settings"].update(replicaSetId=bson.ObjectId()), 103, "differ in replica set ID")
    refuse(lambda c: c["members"][1].update(slaveDelay=1), 93, "slaveDelay")
    refuse(lambda c: c["members"].append({"_id": 3, "host": primary.host}), 103, "same host field")
    refuse(lambda c: member_config(c, primary).update(priority=0), 104, "not electable")
    refuse(lambda c: c["members"].remove(member_config(c, primary)), 74, "maps to this node")
    follower = three.secondaries()[0]
    assert follower.error("replSetReconfig", primary.config())["code"] == 10107
    assert follower.error("replSetInitiate", {})["code"] == 23


def test_a_quorum_of_the_new_configuration_must_answer(three):
    primary = three.primary()
    for m in others(three, primary):
        m.kill()
    config = primary.config()
    config["version"] += 1
    error = primary.error("replSetReconfig", config)
    assert error["code"] in (74, 10107), error  # the step-down may come first


def test_a_member_of_another_set_vetoes():
    with Cluster(2) as cluster:
        cluster.initiate(count=1)
        cluster.members[1].run("replSetInitiate", {"_id": "mongo", "members": [{"_id": 0, "host": cluster.members[1].host}]})
        wait_until(cluster.members[1].is_primary)
        config = cluster.members[0].config()
        config["version"] += 1
        config["members"].append({"_id": 1, "host": cluster.members[1].host, "votes": 0, "priority": 0})
        error = cluster.members[0].error("replSetReconfig", config)
        assert error["code"] == 103 and "replica set ID" in error["errmsg"]


def test_an_uncommitted_configuration_blocks_the_next_one_until_it_is_committed():
    """The second member answers the primary, but can't reach it, so it never learns the configuration that gives it a vote."""
    with Cluster(2) as cluster:
        first, second = cluster.members
        front = Forwarder(f"{cluster.prefix}.9.1", cluster.port, (first.addresses[0], cluster.port))
        host = f"{front.address}:{front.port}"
        with front:
            first.run("replSetInitiate", {"_id": "mongo", "members": [{"_id": 0, "host": host}],
                                          "settings": {"electionTimeoutMillis": 600}})
            wait_until(first.is_primary)
            front.close()
            cluster.reconfig(lambda c: c["members"].append({"_id": 1, "host": second.host, "votes": 0, "priority": 0}))
            config = first.config()
            config["version"] += 1
            config["members"][1].update(votes=1)
            error = first.error("replSetReconfig", config, maxTimeMS=300)
            assert error["code"] == 50 and "failed to propagate to a majority" in error["errmsg"]
            assert first.config()["version"] == config["version"]  # it stays
            assert first.run("replSetGetConfig", commitmentStatus=True)["commitmentStatus"] is False
            config["version"] += 1
            assert first.error("replSetReconfig", config, maxTimeMS=300)["code"] == 308
            front.open()
            second.wait_for_state(SECONDARY)
            cluster.wait_committed()
            assert first.run("replSetReconfig", config, maxTimeMS=60000)["ok"] == 1


def test_a_host_that_changes_under_its_id_works():
    with Cluster(addresses=[["1.1"], ["2.1", "2.77"], ["3.1"]]) as cluster:
        primary = cluster.initiate()
        moved = cluster.members[1]
        if primary is moved:
            primary.run("replSetStepDown", 10)
            primary = wait_until(lambda: cluster.primary() is not moved and cluster.primary())
        wait_until(lambda: len(cluster.secondaries()) == 2)
        new_host = f"{moved.addresses[1]}:{cluster.port}"
        cluster.reconfig(lambda c: c["members"][1].update(host=new_host))
        wait_until(lambda: cluster.primary().run("replSetGetStatus")["members"][1]["state"] == SECONDARY, interval=0.005)
        wait_until(lambda: moved.run("hello")["me"] == new_host)
        collection(cluster.primary(), w=3).insert_one({"_id": 1})


def test_force_installs_on_a_survivor_with_a_much_higher_version(three):
    survivor = three.secondaries()[0]
    collection(three.primary(), w=3).insert_one({"_id": 1})
    for m in others(three, survivor):
        m.kill()
    config = survivor.config()
    assert survivor.error("replSetReconfig", config)["code"] == 10107
    version = config["version"]
    config["members"] = [member_config(config, survivor)]
    survivor.run("replSetReconfig", config, force=True)
    assert survivor.config()["version"] >= version + 10000 and "term" not in survivor.config() or survivor.is_primary()
    wait_until(survivor.is_primary)
    assert ids(survivor) == [1]


def test_a_removed_member_says_so_and_can_be_added_again(three):
    victim = three.secondaries()[0]
    three.reconfig(lambda c: c["members"].remove(member_config(c, victim)))
    wait_until(lambda: victim.run("hello").get("info") == "Does not have a valid replica set config", what="REMOVED")
    assert victim.error("replSetGetStatus")["code"] == 93
    three.reconfig(lambda c: c["members"].append({"_id": 7, "host": victim.host, "votes": 0, "priority": 0}))
    victim.wait_for_state(SECONDARY)


def test_a_new_voter_gets_its_vote_when_it_has_synced():
    with Cluster(2) as cluster:
        primary = cluster.initiate(count=1)
        collection(primary).insert_one({"_id": 1})
        version = primary.config()["version"]
        cluster.reconfig(lambda c: c["members"].append({"_id": 1, "host": cluster.members[1].host}))
        assert primary.run("replSetGetStatus")["votingMembersCount"] == 1  # newlyAdded
        wait_until(lambda: primary.run("replSetGetStatus")["votingMembersCount"] == 2, what="the automatic reconfiguration")
        assert primary.config()["version"] == version + 2
        assert ids(cluster.members[1]) == [1]


def test_arbiters_vote_and_hold_no_data():
    with Cluster(3) as cluster:
        cluster.initiate(m2={"arbiterOnly": True})
        assert cluster.members[2].state() == ARBITER
        status = cluster.primary().run("replSetGetStatus")
        assert (status["votingMembersCount"], status["writableVotingMembersCount"], status["writeMajorityCount"]) == (3, 2, 2)
        assert cluster.primary().run("hello")["arbiters"] == [cluster.members[2].host]
        collection(cluster.primary()).insert_one({"_id": 1})
        cluster.primary().kill()
        assert ids(cluster.primary()) == [1]


# ---- elections on purpose ----

def test_a_step_down_hands_over_at_once_and_bars_the_old_primary():
    with Cluster(3) as cluster:
        old = cluster.initiate(election_ms=8000)
        wait_until(lambda: [m["state"] for m in old.run("replSetGetStatus")["members"]].count(SECONDARY) == 2, what="both seen")
        collection(old, w=3).insert_one({"_id": 1})
        began = time.monotonic()
        assert old.run("replSetStepDown", 60)["ok"] == 1
        new = cluster.primary()
        assert new is not old and time.monotonic() - began < 8
        new.kill()
        assert cluster.primary() not in (old, new)


def test_a_step_down_without_a_successor_is_refused(three):
    primary = three.primary()
    three.reconfig(lambda c: [m.update(priority=0) for m in c["members"] if m["host"] != primary.host])
    error = primary.error("replSetStepDown", 5, secondaryCatchUpPeriodSecs=1)
    assert error["code"] == 262 and error["errmsg"].startswith("No electable secondaries caught up as of")
    assert primary.is_primary()
    assert primary.run("replSetStepDown", 1, force=True)["ok"] == 1
    assert not primary.is_primary()
    wait_until(primary.is_primary, what="it being elected again")


def test_frozen_members_do_not_stand_until_they_are_unfrozen(three):
    old = three.primary()
    left, right = others(three, old)
    for m in (left, right):
        assert m.run("replSetFreeze", 60)["ok"] == 1
    old.kill()
    deadline = time.monotonic() + 2.5  # several election timeouts; nothing may happen in them
    while time.monotonic() < deadline:
        assert not left.is_primary() and not right.is_primary()
        time.sleep(0.1)
    assert right.run("replSetFreeze", 0)["info"] == "unfreezing"
    assert three.primary() is right
    assert right.error("replSetFreeze", 5)["code"] == 95


def test_a_higher_priority_takes_over(three):
    primary = three.primary()
    favourite = three.secondaries()[0]
    three.reconfig(lambda c: member_config(c, favourite).update(priority=5))
    wait_until(favourite.is_primary, what="the takeover")
    wait_until(lambda: not primary.is_primary())


# ---- initial sync ----

def test_an_added_member_syncs_first_and_no_sooner_than_it_was_told():
    with Cluster(3, arguments=["--initial-sync-ms", "1200"]) as cluster:
        primary = cluster.initiate(count=1)
        payload = "x" * 100000
        collection(primary).insert_many([{"_id": i, "p": payload} for i in range(200)])  # several pages of a clone
        began = time.monotonic()
        cluster.reconfig(lambda c: c["members"].append({"_id": 1, "host": cluster.members[1].host, "votes": 0, "priority": 0}))
        cluster.members[1].wait_for_state(STARTUP2)
        for i in range(200, 210):
            collection(primary, w=1).insert_one({"_id": i})
        cluster.members[1].wait_for_state(SECONDARY)
        assert time.monotonic() - began >= 1.2
        wait_until(lambda: ids(cluster.members[1]) == list(range(210)), what="everything being there")


def test_a_member_of_another_set_of_the_same_name_is_not_believed(three):
    """As in a server (ReplicationCoordinatorImpl::_handleHeartbeatResponse): its state and term are those of another set."""
    primary, (left, victim) = three.primary(), three.secondaries()
    victim.kill()
    victim.wipe()
    for m in (primary, left):  # that they don't draw it in again before it is another set
        m.process.send_signal(signal.SIGSTOP)
    try:
        victim.start()
        victim.run("replSetInitiate", {"_id": "mongo", "members": [{"_id": 0, "host": victim.host}]})
        for _ in range(3):
            wait_until(victim.is_primary)
            victim.run("replSetStepDown", 1, force=True)
        wait_until(victim.is_primary)
    finally:
        for m in (primary, left):
            m.process.send_signal(signal.SIGCONT)
    def leader():
        return next((m for m in (primary, left) if m.is_primary()), None)

    def seen():
        status = wait_until(leader, what="a primary of the two").run("replSetGetStatus")
        return next(m for m in status["members"] if m["name"] == victim.host)

    wait_until(lambda: "replica set IDs do not match" in seen()["lastHeartbeatMessage"], what="it being told apart")
    assert seen()["state"] == 8
    wait_until(lambda: collection(leader()).insert_one({"_id": 1}).acknowledged, what="a write by the two")
    wait_until(victim.is_primary, what="the other set keeping its own primary")
    assert len(victim.config()["members"]) == 1


def test_a_member_with_a_wiped_directory_is_configured_by_heartbeat_and_syncs(three):
    collection(three.primary(), w=3).insert_one({"_id": 1})
    victim = three.secondaries()[0]
    victim.kill()
    victim.wipe()
    victim.start()
    victim.wait_for_state(SECONDARY)
    wait_until(lambda: ids(victim) == [1])


# ---- the program ----

def run_program(*arguments):
    return subprocess.run([str(find_binary()), *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_two_processes_can_not_use_one_directory(three):
    member = three.members[0]
    result = run_program("--port", str(three.port), "--bind_ip", f"{three.prefix}.8.8", "--dbpath", str(member.directory), "--replSet", "mongo")
    assert result.returncode == 100 and "unable to lock" in result.stderr


@pytest.mark.parametrize("arguments, said", [
    (["--replSet", "x", "--nosuch"], "unknown option --nosuch"),
    (["--replSet", "x", "--port", "70000"], "not a number from 1 to 65535"),
    (["--replSet", "x", "--server-version", "5.0"], "4.0 and 7.0"),
    (["--replSet"], "needs a value"),
    ([], "--replSet NAME is needed"),
])
def test_a_wrong_command_line_is_a_clear_error(arguments, said):
    result = run_program(*arguments)
    assert result.returncode == 2 and said in result.stderr


def test_help_and_version():
    assert "--initial-sync-ms" in run_program("--help").stdout
    assert "v4.0.3" in run_program("--version", "--server-version=4.0").stdout
