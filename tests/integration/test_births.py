"""A set is born once, whatever dies meanwhile; it waits for zones that say nothing; a sandbox comes up once and leaves nothing."""
import json
import os
import pathlib
import subprocess

import psutil
import pytest

import sandboxes
import whole

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "config" / "examples"
DONE, REFUSED = 0, 4


def add_set(text, name, members):
    lines = [f"    - name: {name}", "      image: mongo:7.0", "      settings: {electionTimeoutMillis: 1000, heartbeatIntervalMillis: 200}",
             "      members:", *[f"        - {member}" for member in members]]
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def listening(hosts):
    """Which of these addresses somebody listens at."""
    wanted = {(host.split(":")[0], int(host.split(":")[1])) for host in hosts}
    return sorted(each.laddr for each in psutil.net_connections("tcp4") if each.status == psutil.CONN_LISTEN and tuple(each.laddr) in wanted)


def port_of(url):
    return url.split("//")[1].rstrip("/")


# ---- up and down ----

@pytest.mark.asan
def test_up_shows_a_healthy_set_on_three_zones_and_down_leaves_nothing(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.up()
    status = json.loads(sandbox.atoll("status", "-o", "json").stdout)
    one = whole.the_set(status)
    assert status["summary"] == {"zones": 3, "connectedZones": 3, "sets": 1, "healthySets": 1, "members": 3, "healthyMembers": 3}
    assert [zone["state"] for zone in status["zones"]] == ["Connected"] * 3
    assert sorted(member["state"] for member in one["members"]) == ["PRIMARY", "SECONDARY", "SECONDARY"]
    assert {member["zone"] for member in one["members"]} == set(whole.ZONES)
    assert {member["host"].rsplit(".", 1)[0] for member in one["members"]} == {"127.0.1", "127.0.2", "127.0.3"}
    assert all(member["version"] and member["healthy"] for member in one["members"])
    assert one["phase"] == "Healthy" and one["configVersion"] == 1 and one["term"] >= 1 and one["waits"] == []
    assert "Nothing is waited for." in whole.explain(sandbox)

    before = {process.pid for process in sandbox.processes()}
    again = sandbox.up()
    assert "nothing was changed" in again.stderr
    assert {process.pid for process in sandbox.processes()} == before

    hosts = [member["host"] for member in one["members"]] + [port_of(sandbox.url), port_of(sandbox.control_url)]
    assert len(listening(hosts)) == 5
    sandbox.down()
    assert not sandbox.processes() and not sandbox.dir.exists() and not listening(hosts)
    assert sandbox.down().returncode == DONE, "a second time is no error"


def test_down_after_a_crash_of_all_leaves_nothing_either(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.up()
    hosts = [member["host"] for member in whole.the_set(sandbox.status())["members"]]
    whole.kill(whole.supervisor(sandbox))
    whole.kill(*sandbox.processes("atoll-"))
    sandbox.down()
    assert not sandbox.processes() and not sandbox.dir.exists() and not listening(hosts)


def test_a_folder_that_is_somebody_elses_is_refused_and_kept(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.dir.mkdir()
    (sandbox.dir / "thesis.txt").write_text("years of work")
    assert sandbox.up(check=False).returncode == REFUSED
    sandbox.down(check=False)
    assert [path.name for path in sandbox.dir.iterdir()] == ["thesis.txt"]
    sandbox.was_up = False


def test_a_start_that_fails_is_cleaned_up(new_sandbox, work_dir):
    sandbox = new_sandbox(spec=whole.SPEC)
    failed = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, "--spec", sandbox.spec_file, "--mongod", sandboxes.broken_mongod(work_dir),
                           "--timeout", 3, check=False)
    assert failed.returncode == 1
    assert "mongo-node1" in failed.stderr, "it says what was waited for"
    assert not sandbox.processes() and not sandbox.dir.exists()


# ---- the examples, beside each other ----

@pytest.mark.timeout(600)
def test_one_zone_and_five_members_come_up_beside_each_other(new_sandbox):
    made = {}
    for name, members in (("one-zone", 3), ("five-members", 5)):
        sandbox = new_sandbox(spec=(EXAMPLES / f"{name}.yaml").read_text(), name=name)
        sandbox.was_up = True
        command = [str(sandbox.bin / "atoll"), "sandbox", "up", "--dir", str(sandbox.dir), "--spec", str(EXAMPLES / f"{name}.yaml")]
        if os.environ.get("ATOLL_MONGOD"):
            command += ["--mongod", os.environ["ATOLL_MONGOD"]]
        made[name] = (sandbox, members, subprocess.Popen(command, env=sandbox.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    hosts = []
    for name, (sandbox, members, up) in made.items():
        _, said = up.communicate(timeout=300 * sandbox.slowness)
        assert up.returncode == DONE, f"{name}: {said}"
        status = whole.healthy(sandbox)
        assert status["summary"]["healthyMembers"] == members
        assert len([member for member in whole.the_set(status)["members"] if member["state"] == "PRIMARY"]) == 1
        hosts += [member["host"] for member in whole.the_set(status)["members"]]
        whole.insert(sandbox, [name])
    assert len(set(hosts)) == 8, "no address is taken twice"
    first, second = made["one-zone"][0], made["five-members"][0]
    first.down()
    assert whole.healthy(second) and whole.missing(second, ["five-members"]) == []


# ---- births ----

def test_a_birth_survives_the_death_of_all_daemons_at_any_moment(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.was_up = True
    command = [str(sandbox.bin / "atoll"), "sandbox", "up", "--dir", str(sandbox.dir), "--spec", str(sandbox.spec_file)]
    if os.environ.get("ATOLL_MONGOD"):
        command += ["--mongod", os.environ["ATOLL_MONGOD"]]
    up = subprocess.Popen(command, env=sandbox.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log = sandbox.dir / "logs" / "controller.log"
    moments = {
        "the spec is known": lambda: log.exists() and "reason=SpecApplied" in log.read_text(),
        "a disk exists": lambda: any(sandbox.dir.glob("zones/*/disks/*/atoll-disk.json")),
        "a member runs": lambda: sandbox.processes("/data "),
        "one is told to initiate": lambda: whole.initiations(sandbox),
        "a disk is marked": lambda: any(json.loads(path.read_text())["replicaSetId"] for path in sandbox.dir.glob("zones/*/disks/*/atoll-disk.json")),
    }
    for what, moment in moments.items():
        sandboxes.wait_until(moment, 120 * sandbox.slowness, what)
        whole.kill(*sandbox.processes("atoll-controller "), *sandbox.processes("atoll-zone-agent "))
    _, said = up.communicate(timeout=300 * sandbox.slowness)
    assert up.returncode == DONE, said
    status = whole.healthy(sandbox)
    marks = {whole.replica_set_id(sandbox)}
    for member in whole.the_set(status)["members"]:
        with whole.direct(sandbox, member["host"]) as client:
            marks.add(client.admin.command("replSetGetConfig")["config"]["settings"]["replicaSetId"])
    assert len(marks) == 1, "one set alone was born"
    assert sorted(member["id"] for member in whole.the_set(status)["members"]) == [0, 1, 2]
    # Who was told and died before the command was out is told again as soon as a majority is ready: the others are then added, so
    # that the version may be higher than 1.


def test_a_birth_waits_for_a_zone_that_stands_still(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.up()
    zone = whole.ZONES[2]
    members = [f"{{zone: {each}}}" for each in whole.ZONES]
    with whole.stopped(whole.agent(sandbox, zone)):
        sandbox.wait_for(lambda status: whole.zone_state(status, zone) != "Connected", what=f"{zone} to be silent")
        sandbox.spec_file.write_text(add_set(whole.SPEC, "late", members))
        sandbox.atoll("apply", "-f", sandbox.spec_file)

        def the_others_are_ready(status):
            return [member["phase"] for member in whole.the_set(status, "late")["members"]].count("Reachable") == 2
        status = sandbox.wait_for(the_others_are_ready, what="the members of the other zones to be ready")
        assert whole.the_set(status, "late")["phase"] == "Provisioning"
        assert "late-node3" in whole.explain(sandbox, "late")
        assert whole.initiations(sandbox, "late") == 0
    whole.healthy(sandbox)
    assert whole.initiations(sandbox, "late") == 1


def test_a_birth_waits_for_a_zone_that_never_came_until_the_spec_lets_it_go(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC)
    sandbox.up()
    with_zone = whole.SPEC.replace("  sets:\n", "    - {name: asia-east1-a}\n  sets:\n", 1)
    members = [f"{{zone: {each}}}" for each in (*whole.ZONES, "asia-east1-a")]
    sandbox.spec_file.write_text(add_set(with_zone, "late", members))
    sandbox.atoll("apply", "-f", sandbox.spec_file)
    sandbox.wait_for(lambda status: any(wait["reason"] == "zone_silent" for wait in whole.waits_of(status, "late")), what="the zone to be waited for")
    told = whole.explain(sandbox, "late")
    assert "asia-east1-a" in told and "take its members out of the spec" in told
    members[3] = "{zone: asia-east1-a, state: absent}"
    sandbox.spec_file.write_text(add_set(with_zone, "late", members))
    sandbox.atoll("apply", "-f", sandbox.spec_file)
    sandbox.wait_for(lambda status: whole.the_set(status, "late")["phase"] == "Healthy", what="the set to be born without that zone")
    assert whole.initiations(sandbox, "late") == 1
