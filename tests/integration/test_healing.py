"""Whatever dies or is cut off comes back by itself: the same members, the same data, and no acknowledged write is lost."""
import pytest

import sandboxes
import whole

SPEC = whole.SPEC


@pytest.fixture
def well(shared_sandbox):
    """The sandbox of this file, without faults and healthy."""
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def restarted(sandbox, member):
    """Until its mongod was started again and serves."""
    def seen(status):
        now = whole.member_in(status, member["name"])
        return now and now["restarts"] > member["restarts"] and now["healthy"]
    return sandbox.wait_for(seen, what=f"{member['name']} to be started again")


# ---- crashes ----

@pytest.mark.asan
def test_a_killed_secondary_comes_back_and_the_primary_stays(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well, same_version=True):
        victim = whole.secondaries_of(before)[0]
        whole.kill(whole.mongod(well, victim))
        restarted(well, victim)
    after = whole.healthy(well)
    assert whole.the_set(after)["primary"] == whole.the_set(before)["primary"]
    assert whole.the_set(after)["term"] == whole.the_set(before)["term"]


@pytest.mark.asan
def test_a_killed_primary_costs_one_election_and_no_write(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well, same_version=True) as writer:
        victim = whole.primary_of(before)
        whole.kill(whole.mongod(well, victim))
        writer.wait_for_more()
        restarted(well, victim)
    assert whole.the_set(whole.healthy(well))["term"] > whole.the_set(before)["term"]


def test_killed_agents_are_started_again_and_members_run_on(well):
    before = whole.healthy(well)
    running = {member["name"]: whole.mongod(well, member).pid for member in whole.the_set(before)["members"]}
    with whole.nothing_is_lost(well, same_version=True) as writer:
        for zone in whole.ZONES:
            victim = whole.agent(well, zone)
            whole.kill(victim)
            sandboxes.wait_until(lambda: whole.agent(well, zone).pid != victim.pid, 60, f"another agent of {zone}")
            writer.wait_for_more()
            whole.healthy(well)
    after = whole.healthy(well)
    assert {member["name"]: whole.mongod(well, member).pid for member in whole.the_set(after)["members"]} == running
    hosts = {name: member["host"] for name, member in whole.members_of(before).items()}
    assert {name: member["host"] for name, member in whole.members_of(after).items()} == hosts


@pytest.mark.asan
def test_a_killed_controller_is_started_again_and_changes_nothing(well):
    before = well.status()
    with whole.nothing_is_lost(well, same_version=True):
        whole.kill(whole.controller(well))
        well.wait_for(lambda status: status["controller"]["startedAt"] != before["controller"]["startedAt"], what="another controller")
    after = whole.healthy(well)
    assert whole.the_set(after)["term"] == whole.the_set(before)["term"]
    assert after["revision"] == before["revision"]


def test_without_a_controller_an_agent_heals_its_zone(well):
    victim = whole.secondaries_of(whole.healthy(well))[0]
    with whole.nothing_is_lost(well, same_version=True), whole.stopped(whole.controller(well)):
        process = whole.mongod(well, victim)
        whole.kill(process)
        assert whole.mongod(well, victim).pid != process.pid


def test_a_killed_supervisor_leaves_the_set_alone_and_up_resumes(well):
    with whole.nothing_is_lost(well, same_version=True) as writer:
        whole.kill(whole.supervisor(well))
        writer.wait_for_more()
        whole.resume(well)
        assert whole.supervisor(well)


def test_killed_one_after_another_faster_than_they_heal(well):
    with whole.nothing_is_lost(well, same_version=True):
        status = well.status()
        for zone in whole.ZONES:
            whole.kill(whole.controller(well))
            whole.kill(whole.agent(well, zone))
            for member in whole.the_set(status)["members"]:
                if member["zone"] == zone:
                    whole.kill(whole.mongod(well, member))


@pytest.mark.asan
def test_all_killed_at_once_resume_with_their_data(well):
    before = whole.healthy(well)
    set_id = whole.replica_set_id(well)
    ids = [f"before-{number}" for number in range(100)]
    whole.insert(well, ids)
    whole.kill_all(well)
    assert not well.processes()
    assert "Resuming" in whole.resume(well).stderr
    after = whole.healthy(well)
    assert whole.identities(after) == whole.identities(before)
    assert whole.version_of(after) == whole.version_of(before)
    assert whole.replica_set_id(well) == set_id
    assert whole.initiations(well) == 1
    assert whole.missing(well, ids) == []


# ---- the network ----

@pytest.mark.parametrize("fault", ["cut", "refuse"])
def test_a_member_that_is_cut_off_degrades_the_set_with_a_reason(well, fault):
    with whole.nothing_is_lost(well, same_version=True) as writer:
        victim = whole.secondaries_of(well.status())[0]
        well.fault(victim["name"], fault)
        status = well.wait_for(lambda now: whole.the_set(now)["phase"] == "Degraded", what="the set to be Degraded")
        assert victim["name"] in " ".join(wait["message"] for wait in whole.waits_of(status))
        assert victim["name"] in whole.explain(well)
        assert whole.primary_of(status), "a secondary that is cut off takes no primary away"
        writer.wait_for_more()
        well.fault(victim["name"], "heal")


def test_a_slow_member_and_a_slow_zone_lose_nothing(well):
    with whole.nothing_is_lost(well, same_version=True) as writer:
        victim = whole.primary_of(well.status())
        well.fault(victim["name"], "slow=200")
        writer.wait_for_more()
        well.fault(victim["name"], "heal")
        well.fault(whole.ZONES[1], "slow=200")
        writer.wait_for_more()
        well.fault(whole.ZONES[1], "heal")


def test_a_cut_zone_is_unknown_or_failed_and_nothing_is_decided_from_it(well):
    before = whole.healthy(well)
    zone = whole.primary_of(before)["zone"]
    with whole.nothing_is_lost(well, same_version=True) as writer:
        running = whole.mongod(well, whole.primary_of(before)).pid
        well.fault(zone, "cut")
        status = well.wait_for(lambda now: whole.zone_state(now, zone) != "Connected", what=f"zone {zone} to be silent")
        assert whole.zone_state(status, zone) in ("Unknown", "Failed")
        status = well.wait_for(lambda now: (whole.primary_of(now) or {}).get("zone") not in (None, zone), what="a primary elsewhere")
        assert whole.the_set(status)["phase"] == "Degraded"
        assert whole.version_of(status) == whole.version_of(before), "nobody is taken out because of silence"
        assert zone in whole.explain(well)
        writer.wait_for_more()
        well.fault(zone, "heal")
        whole.healthy(well)
        assert whole.mongod(well, whole.primary_of(before)).pid == running, "its mongod ran on"


def test_two_cut_zones_are_a_lost_quorum_that_heals(well):
    before = whole.healthy(well)
    # The primary's last: no election is won in between. What the cut zones' members say to others still arrives (a cut is of what comes
    # in), so that a primary in the third zone would be left as it is.
    zones = [whole.secondaries_of(before)[0]["zone"], whole.primary_of(before)["zone"]]
    with whole.nothing_is_lost(well, same_version=True):
        for zone in zones:
            well.fault(zone, "cut")
        status = well.wait_for(lambda now: whole.the_set(now)["phase"] == "QuorumLost", what="the set to be QuorumLost")
        assert whole.version_of(status) == whole.version_of(before), "nothing is forced"
        told = whole.explain(well)
        assert "Nothing is forced" in told and all(zone in told for zone in zones)
        for zone in zones:
            well.fault(zone, "heal")
