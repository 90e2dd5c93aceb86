"""Members whose data is gone, and a controller whose store is gone: nobody votes without memory, nothing is born twice."""
import contextlib
import shutil
import socket

import pytest

import sandboxes
import whole

SPEC = whole.SPEC


@pytest.fixture
def well(shared_sandbox):
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def disk_folder(sandbox, member):
    return sandbox.dir / "zones" / member["zone"] / "disks" / member["disk"]["name"]


def empty(folder):
    """As if the filesystem had been made anew."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def agent_said(sandbox, member, rule):
    log = sandbox.dir / "logs" / f"zone-{member['zone']}.log"
    return sum(f"(rule {rule})" in line and (member["name"] in line or member["disk"]["name"] in line)
               for line in log.read_text().splitlines())


def order_of(told, *wanted):
    """Where in the list of events the first one is that fits each of `wanted`, after the one before it."""
    places, at = [], 0
    for what in wanted:
        at = next((i for i in range(at, len(told)) if what(told[i])), None)
        assert at is not None, f"no event fits number {len(places) + 1} after {places}"
        places.append(at)
    return places


def acted(rule):
    return lambda event: event["reason"] == "ActionStarted" and event["rule"] == rule


def became(name, state):
    return lambda event: event["reason"] == "MemberStateChanged" and event["member"] == name and f" is {state};" in event["message"]


def since(sandbox, last):
    return [event for event in whole.events(sandbox) if event["id"] > last]


def last_event(sandbox):
    return whole.events(sandbox)[-1]["id"]


def vote_taken(sandbox, member, last):
    """Told since the event `last`: whoever looks now and then may not see it, so soon it has its vote back."""
    return sandboxes.wait_until(lambda: any(map(acted(60), since(sandbox, last))), 120 * sandbox.slowness, f"the vote of {member['name']} to be taken")


def is_whole_again(sandbox, member):
    """Until it has its vote and priority back, by the configuration itself too."""
    whole.healthy(sandbox)
    entry = next(each for each in whole.config_of(sandbox)["members"] if each["_id"] == member["id"])
    assert (entry["votes"], entry["priority"], entry["host"]) == (1, 1, member["host"])


@pytest.mark.asan
def test_an_emptied_member_loses_its_vote_before_it_starts_and_gets_it_back_with_the_data(well):
    with whole.nothing_is_lost(well) as writer:
        victim = whole.secondaries_of(whole.healthy(well))[0]
        last, held = last_event(well), agent_said(well, victim, 161)
        with whole.stopped(whole.controller(well)):
            with whole.stopped(whole.agent(well, victim["zone"])):
                whole.kill(whole.mongod(well, victim))
                empty(disk_folder(well, victim) / "data")
            sandboxes.wait_until(lambda: agent_said(well, victim, 161) > held, 60 * well.slowness, "its agent to hold it")
            assert not whole.mongods(well, victim["disk"]["name"]), "it is not started before its vote is taken"
            writer.wait_for_more()
        # A controller that went on only now still says what it knew before.
        sandboxes.wait_until(lambda: any(map(acted(60), since(well, last))), 60 * well.slowness, "its vote to be taken")
        is_whole_again(well, victim)
    order_of(since(well, last), acted(60), became(victim["name"], "SECONDARY"), acted(81))
    with whole.direct(well, victim["host"]) as member:
        assert member.whole.get_collection("writes", read_preference=whole.pymongo.ReadPreference.SECONDARY).count_documents({}) > 0


def test_a_member_whose_disk_vanished_while_nobody_looked_is_filled_again(well):
    with whole.nothing_is_lost(well):
        victim = whole.secondaries_of(whole.healthy(well))[0]
        last = last_event(well)
        with whole.stopped(whole.supervisor(well)):
            whole.kill(whole.agent(well, victim["zone"]), whole.mongod(well, victim))
            shutil.rmtree(disk_folder(well, victim))
        vote_taken(well, victim, last)
        is_whole_again(well, victim)
    order_of(since(well, last), acted(60), became(victim["name"], "SECONDARY"), acted(81))


def test_an_emptied_primary_is_filled_by_the_next_one(well):
    with whole.nothing_is_lost(well) as writer:
        victim = whole.primary_of(whole.healthy(well))
        last = last_event(well)
        with whole.stopped(whole.agent(well, victim["zone"])):
            whole.kill(whole.mongod(well, victim))
            empty(disk_folder(well, victim) / "data")
            writer.wait_for_more()
        vote_taken(well, victim, last)
        is_whole_again(well, victim)


def test_a_member_without_memory_elects_nobody(well):
    """The write is on two of three. One of these loses its data, the other one is down, the third never had it: if the emptied
    one voted, the third would be primary and the write gone."""
    status = whole.healthy(well)
    has_it, (loses_it, never_has_it) = whole.primary_of(status), whole.secondaries_of(status)
    set_id, names, last = whole.replica_set_id(well), whole.identities(status), last_event(well)
    with contextlib.ExitStack() as until_held:
        with whole.stopped(whole.mongod(well, never_has_it)):
            with whole.client_of(well) as client:
                client.whole.writes.insert_one({"_id": "on two of three"})
            until_held.enter_context(whole.stopped(whole.agent(well, has_it["zone"])))
            with whole.stopped(whole.agent(well, loses_it["zone"])):
                whole.kill(whole.mongod(well, has_it), whole.mongod(well, loses_it))
                empty(disk_folder(well, loses_it) / "data")
        def is_held(now):
            return any(wait["reason"] == "data_lost" for wait in whole.member_in(now, loses_it["name"])["waits"]) and \
                whole.the_set(now)["phase"] == "QuorumLost"
        well.wait_for(is_held, what="the emptied member to be held, and the quorum to be lost")
        assert not whole.mongods(well, loses_it["disk"]["name"])
        with whole.direct(well, never_has_it["host"]) as member:
            assert not member.admin.command("isMaster")["ismaster"]
            assert member.admin.command("replSetGetStatus")["term"] == whole.the_set(status)["term"], "nobody was elected"
    vote_taken(well, loses_it, last)
    after = whole.healthy(well)
    assert whole.missing(well, ["on two of three"]) == []
    assert (whole.identities(after), whole.replica_set_id(well)) == (names, set_id)


def test_two_emptied_at_once_are_named_and_nothing_is_made_up(well):
    """A majority without data can't be healed by machines alone: it is said, nothing is started, the one that has the data is safe."""
    before = whole.healthy(well)
    keeps, victims = whole.primary_of(before), whole.secondaries_of(before)
    kept = well.dir.parent / "kept"
    kept.mkdir()
    with whole.nothing_is_lost(well) as writer:
        for victim in victims:
            with whole.stopped(whole.agent(well, victim["zone"])):
                whole.kill(whole.mongod(well, victim))
                (disk_folder(well, victim)).rename(kept / victim["disk"]["name"])
        well.wait_for(lambda now: whole.the_set(now)["phase"] == "QuorumLost", what="the set to be QuorumLost")
        told = whole.explain(well)
        assert all(victim["name"] in told for victim in victims)
        assert not any(whole.mongods(well, victim["disk"]["name"]) for victim in victims)
        assert whole.mongods(well, keeps["disk"]["name"])
        for victim in victims:  # somebody finds the disks again
            with whole.stopped(whole.agent(well, victim["zone"])):
                shutil.rmtree(disk_folder(well, victim), ignore_errors=True)
                (kept / victim["disk"]["name"]).rename(disk_folder(well, victim))
        writer.wait_for_more()


# ---- the controller's store ----

def lose_store(sandbox):
    with whole.stopped(whole.supervisor(sandbox)):
        whole.kill(whole.controller(sandbox))
        whole.lose_store(sandbox)
    sandbox.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")


@pytest.mark.asan
def test_a_controller_without_its_store_adopts_what_it_finds(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well, same_version=True):
        lose_store(well)
        well.atoll("apply", "-f", well.spec_file, "--wait")
    after = whole.healthy(well)
    assert whole.the_set(after)["primary"] == whole.the_set(before)["primary"]
    assert whole.the_set(after)["term"] == whole.the_set(before)["term"]


def test_without_its_store_and_with_all_members_down_it_waits_for_the_set_that_exists(well):
    """All are down, so nobody shows a configuration: the disks' marks alone say that there is a set."""
    before = whole.healthy(well)
    set_id = whole.replica_set_id(well)
    ids = ["before the store was lost"]
    whole.insert(well, ids)
    whole.kill_all(well)
    whole.lose_store(well)
    whole.start_without_waiting(well)
    well.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")
    well.atoll("apply", "-f", well.spec_file, "--wait")
    after = whole.healthy(well)
    assert whole.identities(after) == whole.identities(before)
    assert whole.version_of(after) == whole.version_of(before)
    assert whole.replica_set_id(well) == set_id
    assert whole.initiations(well) == 1
    assert whole.missing(well, ids) == []


def test_without_its_store_agents_that_still_have_a_token_of_before_enrol_all_the_same(well):
    """All died between an enrolment and the removal of its token: it names a CA that is no more."""
    before = whole.healthy(well)
    tokens = {zone["name"]: well.atoll("zone", "join-token", zone["name"], "--pre-approved").stdout for zone in before["zones"]}
    whole.kill_all(well)
    whole.lose_store(well)
    for zone, token in tokens.items():
        (well.dir / "zones" / zone / "join-token").write_text(token)
    whole.start_without_waiting(well)
    well.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")
    well.atoll("apply", "-f", well.spec_file, "--wait")
    assert whole.identities(whole.healthy(well)) == whole.identities(before)


def test_without_its_store_an_emptied_member_still_loses_its_vote_first(well):
    """The new store knows no disk: what the configuration names and nobody ever used has lost its data."""
    before = whole.healthy(well)
    with whole.nothing_is_lost(well):
        victim = whole.secondaries_of(before)[0]
        with whole.stopped(whole.supervisor(well)):
            whole.kill(whole.controller(well), whole.agent(well, victim["zone"]), whole.mongod(well, victim))
            shutil.rmtree(disk_folder(well, victim))
            whole.lose_store(well)
        well.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")
        well.atoll("apply", "-f", well.spec_file)
        vote_taken(well, victim, 0)  # the new controller's own first events
        is_whole_again(well, victim)


def remove_entry(sandbox, member_id):
    """What rs.remove() does."""
    with whole.client_of(sandbox) as client:
        config = client.admin.command("replSetGetConfig")["config"]
        config["version"] += 1
        config["members"] = [entry for entry in config["members"] if entry["_id"] != member_id]
        client.admin.command("replSetReconfig", config)


def test_without_its_store_a_member_whose_address_changed_meanwhile_is_not_added_beside_its_own_entry(new_sandbox):
    """Its mongod doesn't find itself in the configuration, and no entry names its address: a person says which entry is dead."""
    sandbox = new_sandbox(spec=SPEC)
    sandbox.up()
    before = whole.healthy(sandbox)
    victim = whole.secondaries_of(before)[0]
    host, port = victim["host"].split(":")
    whole.kill_all(sandbox)
    whole.lose_store(sandbox)
    with socket.create_server((host, int(port))):  # somebody else has its address now
        whole.start_without_waiting(sandbox)
        sandbox.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")
        sandbox.atoll("apply", "-f", sandbox.spec_file)
        sandbox.wait_for(lambda status: any(wait["reason"] == "entry_untold" for wait in whole.the_set(status)["waits"]),
                         timeout=120, what="a wait that says that an entry can't be told")
    assert not any(map(acted(80), whole.events(sandbox))), "it is in the configuration already"
    # not at once: the first administrator, whose password went with the store, is made anew meanwhile
    sandboxes.wait_until(lambda: "rs.remove" in sandbox.atoll("explain", "mongo").stdout, 60 * sandbox.slowness, "explain to say what to do")
    sandbox.wait_for(lambda status: not any(wait["rule"] in (40, 83) for wait in whole.the_set(status)["waits"]), what="the administrator to be made")
    remove_entry(sandbox, victim["id"])
    after = whole.healthy(sandbox)
    assert whole.member_in(after, victim["name"])["id"] not in [member["id"] for member in whole.members_of(before).values()]


def test_an_old_image_of_the_store_is_overtaken_by_what_is_true(well):
    """Somebody brings a backup of the store back: epochs and revisions go above what agents have accepted, the spec is the old one."""
    kept = well.dir.parent / "store"
    with whole.nothing_is_lost(well):
        with whole.stopped(whole.supervisor(well)):
            whole.kill(whole.controller(well))
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(well.dir / "controller", kept)
        whole.healthy(well)
        for _ in range(3):  # the epoch of the living one goes on
            before = well.status()["controller"]["startedAt"]
            whole.kill(whole.controller(well))
            well.wait_for(lambda status: status["controller"]["startedAt"] != before, what="another controller")
        whole.healthy(well)
        with whole.stopped(whole.supervisor(well)):
            whole.kill(whole.controller(well))
            whole.lose_store(well)
            for path in kept.glob("controller.db*"):
                shutil.copy(path, well.dir / "controller")
        whole.healthy(well)
        victim = whole.secondaries_of(well.status())[0]
        told = well.fault(victim["name"], "move-address").stdout
        host = told.split("moved to ")[1].strip()
        well.wait_for(lambda status: whole.member_in(status, victim["name"])["host"] == host, what="a move to be followed all the same")
