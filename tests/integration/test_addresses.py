"""A member's external address changes: the configuration follows under the same _id, and clients go on writing."""
import pytest

import sandboxes
import whole

SPEC = whole.SPEC


@pytest.fixture
def well(shared_sandbox):
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def move(sandbox, *names):
    """Moves these members' addresses one right after the other; gives their new ones."""
    hosts = {}
    for name in names:
        told = sandbox.fault(name, "move-address").stdout
        assert f"member {name}: moved to " in told
        hosts[name] = told.split("moved to ")[1].strip()
    return hosts


def followed(sandbox, hosts):
    """Until the configuration names these, and all is well."""
    def seen(status):
        members = whole.members_of(status)
        return whole.the_set(status)["phase"] == "Healthy" and all(members[name]["host"] == host for name, host in hosts.items())
    return sandbox.wait_for(seen, what=f"the configuration to follow to {hosts}")


@pytest.mark.asan
def test_a_moved_secondary_is_followed_and_the_primary_stays(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well):
        name = whole.secondaries_of(before)[0]["name"]
        hosts = move(well, name)
        assert hosts[name] != whole.members_of(before)[name]["host"]
        after = followed(well, hosts)
        assert whole.the_set(after)["primary"] == whole.the_set(before)["primary"]
        assert whole.the_set(after)["term"] == whole.the_set(before)["term"]
        assert whole.version_of(after) == whole.version_of(before) + 1, "one reconfiguration is enough"
    assert hosts[name] in well.atoll("connection-string", "mongo").stdout


@pytest.mark.asan
def test_a_moved_primary_is_followed(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well) as writer:
        hosts = move(well, whole.primary_of(before)["name"])
        after = followed(well, hosts)
        writer.wait_for_more()
    assert whole.version_of(after) == whole.version_of(before) + 1


def test_two_that_move_at_once_are_followed(well):
    before = whole.healthy(well)
    with whole.nothing_is_lost(well) as writer:
        followed(well, move(well, *[member["name"] for member in whole.secondaries_of(before)]))
        writer.wait_for_more()
        now = whole.healthy(well)
        followed(well, move(well, whole.primary_of(now)["name"], whole.secondaries_of(now)[0]["name"]))


def test_an_address_that_moves_again_and_again_is_followed_to_the_last(well):
    with whole.nothing_is_lost(well):
        name = whole.secondaries_of(whole.healthy(well))[0]["name"]
        for _ in range(6):
            hosts = move(well, name)
        followed(well, hosts)


def test_a_move_while_the_controller_is_dead_is_followed_when_it_is_back(well):
    with whole.nothing_is_lost(well):
        name = whole.secondaries_of(whole.healthy(well))[0]["name"]
        with whole.stopped(whole.supervisor(well)):
            whole.kill(whole.controller(well))
            hosts = move(well, name)
        followed(well, hosts)


def test_a_moved_address_stays_when_its_agent_is_started_again(well):
    with whole.nothing_is_lost(well):
        member = whole.secondaries_of(whole.healthy(well))[0]
        hosts = move(well, member["name"])
        whole.kill(whole.agent(well, member["zone"]))
        followed(well, hosts)


def no_primary_anywhere(well, hosts):
    """Asks the members themselves, by what their addresses are now."""
    def is_so():
        for host in hosts.values():
            with whole.direct(well, host, **whole.any_host(well)) as client:
                if client.admin.command("isMaster").get("ismaster"):
                    return False
        return True
    return is_so


def test_all_that_move_before_anybody_looks_are_lost_addresses_with_a_way_out(well):
    before = whole.members_of(whole.healthy(well))
    old = {name: member["host"] for name, member in before.items()}
    with whole.nothing_is_lost(well):
        whole.direct(well, next(iter(old.values()))).close()
        with whole.stopped(whole.controller(well)):
            hosts = move(well, *before)
            sandboxes.wait_until(no_primary_anywhere(well, hosts), 90 * well.slowness, "the primary to step down")
        def is_named(now):
            return whole.the_set(now)["phase"] == "AddressesLost" and any(wait["reason"] == "addresses_lost" for wait in whole.waits_of(now))
        status = well.wait_for(is_named, what="the set to be AddressesLost, and why")
        assert {name: member["host"] for name, member in whole.members_of(status).items()} == old, "nothing is forced"
        told = whole.explain(well)
        assert "give the old addresses back" in told and all(name in told for name in before)
        assert move(well, *before) == old
        followed(well, old)


def test_all_that_move_before_the_controllers_eyes_end_followed_or_named(well):
    before = whole.members_of(whole.healthy(well))
    old = {name: member["host"] for name, member in before.items()}
    with whole.nothing_is_lost(well):
        hosts = move(well, *before)
        status = well.wait_for(
            lambda now: whole.the_set(now)["phase"] == "AddressesLost" or
            {name: member["host"] for name, member in whole.members_of(now).items()} == hosts,
            what="all addresses to be followed, or the set to be AddressesLost")
        if whole.the_set(status)["phase"] == "AddressesLost":
            assert move(well, *before) == old
        whole.healthy(well)
