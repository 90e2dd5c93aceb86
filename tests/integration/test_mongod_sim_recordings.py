"""The stand-in answers what a real mongod 4.0.3 answered.

The recordings are replayed in their order on three stand-ins that play 4.0: same commands, and the replies must have the
same fields, types, codes, names of codes and sentences. What depends on the clock, on chance or on the machine (times,
optimes, ids, addresses) is compared by its type. Every recorded case is in one of the two scripts below or in NOT_COMPARED.
"""
import json
import pathlib
import time

import bson
import pytest
from bson import json_util
from pymongo.errors import AutoReconnect, OperationFailure

from sim_cluster import Cluster, wait_until

RECORDINGS = pathlib.Path(__file__).resolve().parents[1] / "doubles" / "recordings" / "mongod-4.0.3"
ELECTION_MS = 1500  # instead of the recorded default of 10 s

NOT_COMPARED = {
    "time from step-down to the next primary, ms": "a measured time under the default timeouts, which are shortened here",
    "time from kill -9 of the primary to the next primary, ms": "a measured time under the default timeouts",
}
KEYFILE = "keyfile: "  # cases that begin so are recorded with a keyfile: the third script
KEY = "a2V5IG9mIHRoZSByZWNvcmRpbmdz"

# Compared by type alone, wherever they are.
BY_TYPE = {
    "uptime", "uptimeMillis", "uptimeEstimate", "pingMs", "pid", "host", "you", "process", "t", "syncingTo",
    "syncSourceHost", "syncSourceId", "infoMessage", "lastStableCheckpointTimestamp", "electionId", "replicaSetId",
}
# Facts of the build, not of the protocol.
BUILD_INFO = {"gitVersion", "allocator", "openssl", "buildEnvironment", "storageEngines", "javascriptEngine"}


def load(name):
    return json.loads((RECORDINGS / name).read_text())


def cases(name):
    return {entry["case"]: entry for entry in load(name)}


def differences(expected, actual, path="", optional=()):
    """Sentences about what differs. `optional` fields may be in one alone."""
    name = path.rsplit(".", 1)[-1]
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = []
        for key in sorted(set(expected) | set(actual)):
            if (key in expected) != (key in actual):
                if key not in optional:
                    found.append(f"{path}.{key}: only {'recorded' if key in expected else 'in the reply'}")
            elif key != "$clusterTime":
                found += differences(expected[key], actual[key], f"{path}.{key}", optional)
        return found
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{path}: {len(expected)} recorded, {len(actual)} in the reply"]
        return [d for i, (e, a) in enumerate(zip(expected, actual)) for d in differences(e, a, f"{path}.{i}", optional)]
    if type(plain(expected)) is not type(plain(actual)):
        return [f"{path}: recorded {expected!r}, in the reply {actual!r}"]
    varies = isinstance(expected, (bson.Timestamp, bson.ObjectId)) or hasattr(expected, "isoformat")
    if varies or name in BY_TYPE or expected == actual:
        return []
    return [f"{path}: recorded {expected!r}, in the reply {actual!r}"]


def plain(value):
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Replay:
    """Recorded cases on a cluster whose addresses are others than the recorded ones."""

    def __init__(self, cluster, name):
        self.cluster, self.cases, self.done = cluster, cases(name), set()
        self.nodes = {"127.0.1.1:27017": 0, "127.0.2.1:27017": 1, "127.0.3.1:27017": 2}
        self.set_id = None
        self.election_ms = 10000

    def translate(self, value):
        """Recorded JSON -> values, with this cluster's addresses, set id and timeouts."""
        text = json.dumps(value).replace(":27017", f":{self.cluster.port}").replace("127.0.", f"{self.cluster.prefix}.")
        text = text.replace('"electionTimeoutMillis": 10000', f'"electionTimeoutMillis": {self.election_ms}')
        value = json_util.loads(text)
        settings = isinstance(value, dict) and isinstance(value.get("replSetReconfig"), dict) and value["replSetReconfig"].get("settings")
        if settings and self.set_id:
            settings["replicaSetId"] = self.set_id
        return value

    def member(self, entry):
        return self.cluster.members[self.nodes[entry["node"]]]

    def ask(self, case):
        """Sends the recorded command; the reply, the error's details, or the exception of a broken connection."""
        entry = self.cases[case]
        self.done.add(case)
        command = self.translate({k: v for k, v in entry["command"].items()
                                  if k not in ("$clusterTime", "$db", "lsid")})
        try:
            return self.member(entry).run(command, db=entry["db"])
        except OperationFailure as error:
            return error.details
        except AutoReconnect as error:
            return error

    def check(self, case, optional=(), ignore=()):
        """Asks, and compares with what was recorded."""
        actual, recorded = self.ask(case), self.cases[case]["reply"]
        if recorded.get("exception") == "NotMasterError":  # the recorder kept the text alone
            assert recorded["message"].startswith(actual["errmsg"] + ", full error: ")
            assert f"'code': {actual['code']}, 'codeName': '{actual['codeName']}'" in recorded["message"]
            return actual
        assert isinstance(actual, dict), f"{case}: {actual!r}"
        expected = {k: v for k, v in self.translate(recorded).items() if k not in ignore}
        actual = {k: v for k, v in actual.items() if k not in ignore}
        found = differences(expected, actual, optional=optional)
        assert not found, f"{case}:\n" + "\n".join(found)
        return actual

    def check_closed(self, case):
        assert isinstance(self.ask(case), AutoReconnect), case

    def left(self, keyfile=False):
        return {c for c in self.cases if c not in self.done and c not in NOT_COMPARED and c.startswith(KEYFILE) == keyfile}


@pytest.fixture
def cluster():
    addresses = [["1.1"], ["2.1", "2.77"], ["3.1"]]
    with Cluster(addresses=addresses, arguments=["--server-version", "4.0", "--initial-sync-ms", "0"]) as made:
        yield made


def wait_state(cluster, index, state):
    cluster.members[index].wait_for_state(state)


def birth(replay):
    cluster = replay.cluster
    replay.check("hello before initiation (command unknown to this version)")
    replay.check("isMaster before initiation")
    replay.check("buildInfo", ignore=BUILD_INFO)
    replay.check("replSetGetStatus before initiation")
    replay.check("replSetGetConfig before initiation")
    for case in ("a host that does not answer", "node not in the list", "wrong set name", "duplicate host", "duplicate id"):
        replay.check("replSetInitiate: " + case)
    # asked before the reconfiguration that adds it: the stand-in's member takes it faster than the real one did
    replay.check("isMaster of a member just added")
    replay.check("replSetGetStatus of a member just added")
    replay.check("replSetInitiate: one member")
    replay.check("isMaster right after initiation")
    replay.check("replSetGetStatus right after initiation", ignore={"term"})  # recorded in the middle of the election
    replay.check("replSetInitiate again")
    wait_until(cluster.members[0].is_primary, what="the primary of one")
    wait_until(lambda: "majorityOpTime" in cluster.members[0].run("isMaster")["lastWrite"], what="a majority point")
    replay.check("isMaster as primary of one")
    replay.check("replSetGetConfig of one")
    replay.set_id = cluster.members[0].config()["settings"]["replicaSetId"]
    replay.check("replSetGetConfig with commitmentStatus (unknown to this version)")


def growth(replay):
    cluster = replay.cluster
    replay.election_ms = ELECTION_MS
    replay.check("replSetReconfig: version not raised")
    replay.check("replSetReconfig: add a member that is down")
    replay.check("replSetReconfig: votes 0 with priority 1")
    replay.check("replSetReconfig: add second as votes 0 priority 0")
    wait_state(cluster, 1, 2)
    replay.check("replSetGetStatus of a secondary without vote", optional={"readConcernMajorityOpTime"})
    replay.check("replSetReconfig: vote and priority for the second")
    replay.check("replSetReconfig: add third as votes 0 priority 0")
    wait_state(cluster, 2, 2)
    replay.check("replSetReconfig: vote and priority for the third")
    wait_until(lambda: {m.run("isMaster").get("setVersion") for m in cluster.members} == {5}, what="version 5 everywhere")
    status = cluster.members[0].run
    wait_until(lambda: {m["configVersion"] for m in status("replSetGetStatus")["members"]} == {5}, what="version 5 seen")
    wait_until(lambda: {m["configVersion"] for m in cluster.members[2].run("replSetGetStatus")["members"]} == {5},
               what="version 5 seen by the third")
    wait_until(lambda: "majorityOpTime" in cluster.members[1].run("isMaster")["lastWrite"], what="a majority point")
    replay.check("isMaster of the primary, three members")
    replay.check("isMaster of a secondary, three members")
    replay.check("replSetGetStatus of the primary, three members")
    replay.check("replSetGetStatus of a secondary, three members")
    replay.check("replSetGetConfig, three members")


def refusals(replay):
    replay.check("replSetReconfig on a secondary")
    for case in ("two members with one host", "the set name changed", "unknown field", "arbiterOnly of a member changed",
                 "the same host under a new id", "priorities and tags", "the primary removes itself"):
        replay.check("replSetReconfig: " + case)


def hand_over(replay):
    cluster = replay.cluster
    cluster.members[2].run("replSetFreeze", 5)  # so that the recorded one is elected here, too
    replay.check("replSetFreeze on a secondary")
    replay.check("replSetFreeze on the primary")
    replay.check("replSetStepDown on a secondary")
    replay.check("replSetStepDown: catch-up longer than the step-down")
    wait_until(lambda: len({str(m["optime"]) for m in cluster.members[0].run("replSetGetStatus")["members"]}) == 1,
               what="all caught up")
    replay.check_closed("replSetStepDown of the primary")
    wait_until(cluster.members[1].is_primary, what="the next primary")
    wait_until(lambda: cluster.members[0].run("isMaster").get("primary") == cluster.members[1].host, what="the first knowing it")
    replay.check("isMaster of the primary after a step-down")
    wait_until(lambda: [m["state"] for m in cluster.members[1].run("replSetGetStatus")["members"]] == [2, 1, 2],
               what="the primary's view of both others")
    replay.check("replSetGetStatus of the primary after a step-down")
    for case in ("ping", "whatsmyuri", "serverStatus.repl", "unknown command"):
        replay.check(case)
    replay.check("replSetHeartbeat as a client", optional={"syncingTo"})
    replay.check("replSetRequestVotes as a client, dry run with an old term")


def test_answers_from_an_empty_node_to_three_voters_are_the_recorded_ones(cluster):
    replay = Replay(cluster, "commands.json")
    birth(replay)
    growth(replay)
    refusals(replay)
    hand_over(replay)
    assert not replay.left()


def changed_host(replay):
    cluster = replay.cluster
    replay.check("replSetReconfig on a secondary")
    replay.check("replSetStepDown on a secondary")
    replay.check("insert on a secondary")
    replay.check("replSetReconfig: a secondary keeps its _id and gets another host")
    began = time.monotonic()
    wait_until(lambda: [m["state"] for m in cluster.members[0].run("replSetGetStatus")["members"]] == [1, 2, 2],
               what="the member with the new host being SECONDARY", interval=0.005)
    took = (time.monotonic() - began) * 1000
    replay.done.add("time until a member with a new host is SECONDARY again, ms")
    assert took < 1000, f"{took} ms; a real one took {replay.cases['time until a member with a new host is SECONDARY again, ms']['value']}"
    wait_until(lambda: cluster.members[1].run("isMaster")["me"].startswith(cluster.prefix + ".2.77"), what="the member knowing its host")


def lost_primary(replay):
    cluster = replay.cluster
    status = lambda i: cluster.members[i].run("replSetGetStatus")["members"]
    wait_until(lambda: all({m["configVersion"] for m in status(i)} == {2} for i in range(3)), what="version 2 seen everywhere")
    wait_until(lambda: all([m["state"] for m in status(i)] == [1, 2, 2] for i in (1, 2)), what="everyone healthy")
    # recorded while the reconfiguration was still spreading: versions 1 and 2, and no majority point yet
    recorded = replay.cases["replSetGetStatus after a host change"]["reply"]
    for member in recorded["members"]:
        member["configVersion"] = 2
    replay.check("replSetGetStatus after a host change", optional={"readConcernMajorityOpTime"})
    cluster.members[1].run("replSetFreeze", 60)  # the recorded election went to the third
    cluster.members[0].kill()
    replay.check("replSetGetStatus of a secondary 0.3 s after the primary was killed")
    wait_until(lambda: status(1)[0]["health"] == 0, what="the killed one seen as down")
    replay.check("replSetGetStatus of a secondary 3 s after the primary was killed")
    wait_until(cluster.members[2].is_primary, what="the next primary")
    wait_until(lambda: "readConcernMajorityOpTime" in cluster.members[2].run("replSetGetStatus")["optimes"], what="a majority point")
    replay.check("replSetGetStatus of the new primary with a member DOWN")
    replay.check("isMaster of the new primary with a member down")


def lost_majority(replay):
    cluster = replay.cluster
    cluster.members[1].run("replSetFreeze", 0)
    replay.check_closed("replSetStepDown with no electable caught-up secondary? (one of two left is)")
    wait_until(cluster.members[1].is_primary, what="the handoff")
    wait_until(lambda: cluster.members[2].state() == 2 and cluster.members[1].run("isMaster")["lastWrite"]["majorityOpTime"]["t"] == 3,
               what="the third following")
    cluster.members[2].kill()
    cluster.members[1].wait_for_state(2)
    wait_until(lambda: cluster.members[1].run("replSetGetStatus")["members"][2]["health"] == 0, what="the third seen as down")
    replay.check("replSetGetStatus of the last of three")
    replay.check("isMaster of the last of three")
    replay.check("replSetStepDown of the last of three")
    replay.check("replSetGetConfig of the last of three")
    replay.check("replSetReconfig without a majority")
    replay.check("replSetReconfig with force, the survivor alone")
    version = cluster.members[1].config()["version"]
    assert 10000 < version < 200000
    for case in ("replSetGetConfig after force", "replSetGetStatus after force"):  # a random number
        text = json.dumps(replay.cases[case]).replace("53537", str(version))
        replay.cases[case] = json.loads(text)
    replay.check("replSetGetConfig after force")
    wait_until(cluster.members[1].is_primary, what="the survivor elected")
    wait_until(lambda: "readConcernMajorityOpTime" in cluster.members[1].run("replSetGetStatus")["optimes"], what="a majority point")
    replay.check("replSetGetStatus after force")


def removed_while_away(replay):
    member = replay.cluster.members[0].start()
    wait_until(lambda: "info" in member.run("isMaster") and "hosts" in member.run("isMaster"), what="the member knowing that it is removed")
    replay.check("isMaster of a member that was removed while it was away")
    replay.check("replSetGetStatus of a member that was removed while it was away")
    replay.done.add("document written with w: majority is there after all of this")
    assert replay.cluster.members[1].open().t.c.find_one() == {"_id": "kept"}


def test_answers_around_failures_are_the_recorded_ones(cluster):
    replay = Replay(cluster, "failures-and-auth.json")
    replay.election_ms = 4000  # long enough for the looks between a kill and the election after it
    cluster.initiate(election_ms=4000)
    assert cluster.primary() is cluster.members[0]
    cluster.members[0].open(w="majority").t.c.insert_one({"_id": "kept"})
    replay.set_id = cluster.members[0].config()["settings"]["replicaSetId"]
    changed_host(replay)
    lost_primary(replay)
    lost_majority(replay)
    removed_while_away(replay)
    assert not replay.left()


def as_system(cluster, yes):
    """Members' run() logs in as __system from now on, or doesn't."""
    cluster.key = KEY if yes else None
    for member in cluster.members:
        member.disconnect()


def refused_login(replay, case, **options):
    client = replay.cluster.members[0].open(username="__system", authSource="local", **options)
    recorded = replay.cases[KEYFILE + case]["reply"]
    replay.done.add(KEYFILE + case)
    with pytest.raises(OperationFailure) as raised:
        client.admin.command("ping")
    assert (raised.value.code, raised.value.details["errmsg"]) == (recorded["code"], recorded["errmsg"])


def test_answers_with_a_keyfile_are_the_recorded_ones(tmp_path):
    keyfile = tmp_path / "keyfile"
    keyfile.write_text(KEY)
    keyfile.chmod(0o600)
    arguments = ["--server-version", "4.0", "--initial-sync-ms", "0", "--keyFile", str(keyfile)]
    with Cluster(2, arguments) as cluster:
        replay = Replay(cluster, "failures-and-auth.json")
        replay.check(KEYFILE + "isMaster without authentication")
        replay.check(KEYFILE + "replSetGetStatus without authentication, from 127.0.0.1 (localhost exception)")
        refused_login(replay, "ping as __system with SCRAM-SHA-256", password=KEY, authMechanism="SCRAM-SHA-256")
        refused_login(replay, "wrong key", password=KEY + "x")
        replay.check(KEYFILE + "isMaster asking for the mechanisms of __system", ignore=set())
        as_system(cluster, True)
        replay.check(KEYFILE + "ping as __system with SCRAM-SHA-1")
        replay.check(KEYFILE + "replSetInitiate of two as __system")
        cluster.wait_healthy(timeout=30)
        wait_until(lambda: [m["state"] for m in cluster.members[0].run("replSetGetStatus")["members"]] == [1, 2], what="both known")
        replay.check(KEYFILE + "replSetGetStatus as __system", optional={"readConcernMajorityOpTime"})
        replay.check(KEYFILE + "connectionStatus as __system")
        replay.check(KEYFILE + "createUser as __system")
        as_system(cluster, False)
        replay.check(KEYFILE + "replSetGetStatus without authentication once a user exists")
        assert not replay.left(keyfile=True)
