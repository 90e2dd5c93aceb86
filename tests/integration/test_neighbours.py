"""Several sandboxes of one machine: all want 127.0.Z.N on the same port for a set of the same name, and none may ever get an
address that another one's members still dial. A newborn mongod at such an address was drawn into the other's set, and neither
sandbox became healthy again."""
import whole


def hosts(sandbox):
    return {each["name"]: each["host"] for each in whole.the_set(sandbox.status())["members"]}


def test_members_whose_daemons_died_keep_their_addresses(sandbox, new_sandbox):
    """Nobody listens at them any more, and the members, which live on, dial them all the time."""
    theirs, set_id = hosts(sandbox), whole.replica_set_id(sandbox)
    whole.kill(whole.supervisor(sandbox))
    whole.kill(*sandbox.processes("atoll-controller "), *sandbox.processes("atoll-zone-agent "))
    other = new_sandbox()
    other.up()
    assert not set(hosts(other).values()) & set(theirs.values())
    assert whole.replica_set_id(other) != set_id
    whole.resume(sandbox)
    whole.healthy(sandbox)
    assert hosts(sandbox) == theirs and whole.replica_set_id(sandbox) == set_id
    assert whole.healthy(other)["sets"][0]["configVersion"] == 1


def test_an_address_that_was_moved_away_from_is_nobody_elses(sandbox, new_sandbox):
    before = hosts(sandbox)
    victim = whole.secondaries_of(sandbox.status())[0]["name"]
    sandbox.fault(victim, "move-address")
    sandbox.wait_for(lambda status: whole.members_of(status)[victim]["host"] != before[victim], what="another address")
    whole.healthy(sandbox)
    other = new_sandbox()
    other.up()
    assert not set(hosts(other).values()) & (set(before.values()) | set(hosts(sandbox).values()))
    sandbox.down()  # with the sandbox its addresses go too
    third = new_sandbox()
    third.up()
    assert set(hosts(third).values()) == set(before.values())
    assert whole.healthy(other)["sets"][0]["configVersion"] == 1
