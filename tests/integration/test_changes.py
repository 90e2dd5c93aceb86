"""The spec changes while the set runs: one safe step after the other, and a client writes all the time."""
import pytest

import whole

SPEC = whole.SPEC
ROD, JANE, FREDDY = "{zone: us-east1-b, labels: {instance: rod}}", "{zone: us-central1-f, labels: {instance: jane}}", \
    "{zone: europe-west1-d, labels: {instance: freddy}}"
BAD_FILE = 2


@pytest.fixture
def well(shared_sandbox):
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def spec_with(*members, settings=""):
    head = whole.SPEC[:whole.SPEC.index("        - {zone")]
    if settings:
        head = head.replace("settings: {", f"settings: {{{settings}, ")
    return head + "".join(f"        - {member}\n" for member in members)


def apply(sandbox, text, check=True):
    sandbox.spec_file.write_text(text)
    return sandbox.atoll("apply", "-f", sandbox.spec_file, check=check)


def one_vote_at_a_time(sandbox, last):
    """By the controller's own word: no reconfiguration was sent before the last one had ended."""
    running = 0
    for event in whole.events(sandbox):
        if event["id"] > last and event["reason"].startswith("Action"):
            running += 1 if event["reason"] == "ActionStarted" else -1
            assert running in (0, 1)


def entries(sandbox):
    return {each["_id"]: each for each in whole.config_of(sandbox)["members"]}


@pytest.mark.timeout(600)
def test_members_come_and_go_and_no_id_is_ever_used_again(well):
    before = whole.healthy(well)
    last = whole.events(well)[-1]["id"]
    janet = "{zone: us-central1-f, labels: {instance: janet}}"
    first_ids = {name: member["id"] for name, member in whole.members_of(before).items()}
    with whole.Writer(well) as writer:
        apply(well, spec_with(ROD, JANE, FREDDY, janet))
        well.wait_for(lambda status: len(whole.members_of(status)) == 4, what="the fourth member to be seen")
        status = whole.healthy(well)
        fourth = whole.members_of(status)["mongo-node4"]
        assert fourth["id"] not in first_ids.values()
        assert entries(well)[fourth["id"]]["votes"] == 1
        assert {name: member["id"] for name, member in whole.members_of(status).items() if name != "mongo-node4"} == first_ids

        refused = apply(well, spec_with(ROD, JANE, FREDDY), check=False)
        assert refused.returncode == BAD_FILE and "state: absent" in refused.stderr, "nothing leaves by being forgotten"

        writer.wait_for_more()
        apply(well, spec_with(ROD, JANE, FREDDY, janet[:-1] + ", state: absent}"))
        well.wait_for(lambda status: whole.members_of(status)["mongo-node4"]["phase"] == "Removed", what="the fourth to have left")
        whole.healthy(well)
        assert fourth["id"] not in entries(well)
        assert not whole.mongods(well, fourth["disk"]["name"])
        assert (well.dir / "zones" / fourth["zone"] / "disks" / fourth["disk"]["name"]).is_dir(), "its disk is kept"

        apply(well, spec_with(ROD, JANE, FREDDY, janet))
        well.wait_for(lambda status: whole.members_of(status)["mongo-node4"]["phase"] == "Voting", what="the fourth to be back")
        status = whole.healthy(well)
        again = whole.members_of(status)["mongo-node4"]
        assert again["id"] not in (*first_ids.values(), fourth["id"]), "a fresh _id"
        assert again["disk"]["name"] == fourth["disk"]["name"]
        apply(well, spec_with(ROD, JANE, FREDDY, janet[:-1] + ", state: absent}"))
        well.wait_for(lambda status: whole.members_of(status)["mongo-node4"]["phase"] == "Removed", what="the fourth to have left again")
        writer.wait_for_more()
    whole.healthy(well)
    assert whole.missing(well, writer.acknowledged) == []
    one_vote_at_a_time(well, last)


def test_the_primary_leaves_by_stepping_down_first(well):
    gone = "{zone: us-central1-f, state: absent}"
    with whole.Writer(well) as writer:
        leader = whole.primary_of(whole.healthy(well))
        members = {"us-east1-b": ROD, "us-central1-f": JANE, "europe-west1-d": FREDDY}
        wanted = dict(members)
        wanted[leader["zone"]] = members[leader["zone"]][:-1] + ", state: absent}"
        apply(well, spec_with(*wanted.values(), gone))
        status = well.wait_for(lambda now: whole.members_of(now)[leader["name"]]["phase"] == "Removed", what="the primary to have left")
        assert whole.primary_of(status)["name"] != leader["name"]
        writer.wait_for_more()
        apply(well, spec_with(*members.values(), gone))
        well.wait_for(lambda now: whole.members_of(now)[leader["name"]]["phase"] == "Voting", what="it to be back")
        writer.wait_for_more()
    status = whole.healthy(well)
    assert whole.members_of(status)[leader["name"]]["id"] != leader["id"]
    assert whole.missing(well, writer.acknowledged) == []


def test_priorities_tags_and_settings_are_set(well):
    gone = "{zone: us-central1-f, state: absent}"
    members = {"us-east1-b": ROD, "us-central1-f": JANE, "europe-west1-d": FREDDY}
    with whole.Writer(well) as writer:
        heir = whole.secondaries_of(whole.healthy(well))[0]
        wanted = dict(members)
        wanted[heir["zone"]] = members[heir["zone"]][:-1] + ", priority: 3, tags: {disk: fast}}"
        apply(well, spec_with(*wanted.values(), gone, settings="chainingAllowed: false"))
        well.wait_for(lambda status: whole.the_set(status)["primary"] == heir["name"] and whole.the_set(status)["phase"] == "Healthy",
                      what="the member of the highest priority to be primary")
        config = whole.config_of(well)
        entry = next(each for each in config["members"] if each["_id"] == heir["id"])
        assert entry["priority"] == 3 and entry["tags"] == {"disk": "fast"}
        assert config["settings"]["chainingAllowed"] is False
        apply(well, spec_with(ROD, JANE, FREDDY, gone, settings="chainingAllowed: true"))
        whole.healthy(well)
        well.wait_for(lambda status: whole.member_in(status, heir["name"])["priority"] == 1, what="the priority to be as before")
        writer.wait_for_more()
    whole.healthy(well)
    assert whole.missing(well, writer.acknowledged) == []


def test_a_second_set_comes_and_is_taken_away(well):
    gone = "{zone: us-central1-f, state: absent}"
    base = spec_with(ROD, JANE, FREDDY, gone)
    second = "    - name: shop\n      image: mongo:7.0\n{state}      settings: {{electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200}}\n" \
        "      members:\n" + "".join(f"        - {{{{zone: {zone}}}}}\n" for zone in whole.ZONES)
    apply(well, base + second.format(state=""))
    well.wait_for(lambda status: whole.the_set(status, "shop")["phase"] == "Healthy", what="the second set to be Healthy")
    hosts = [member["host"] for name in ("mongo", "shop") for member in whole.the_set(well.status(), name)["members"] if member["host"]]
    assert len(set(hosts)) == 6
    whole.insert(well, ["of the second"], "shop")
    assert whole.missing(well, ["of the second"], "shop") == []
    refused = apply(well, base, check=False)
    assert refused.returncode == BAD_FILE and "shop" in refused.stderr
    disks = [well.dir / "zones" / member["zone"] / "disks" / member["disk"]["name"] for member in whole.the_set(well.status(), "shop")["members"]]
    apply(well, base + second.format(state="      state: absent\n"))
    well.wait_for(lambda status: whole.the_set(status, "shop")["members"] and
                  all(member["phase"] == "Removed" for member in whole.the_set(status, "shop")["members"]), what="the second set to be gone")
    assert not any(whole.mongods(well, disk.name) for disk in disks)
    assert all((disk / "data").is_dir() for disk in disks), "its disks are kept"
    assert whole.the_set(well.status())["phase"] == "Healthy"
