"""The sandbox as a developer uses it: up, looked at, hurt, resumed, down, and no trace left."""
import json
import os
import re
import signal
import stat
import subprocess
import time

import pytest
import sandboxes
import whole

TABLE_LINES, TABLE_COLUMNS = 24, 100


def supervisor_of(sandbox):
    return sandbox.processes("sandbox supervise")[0]


def test_up_shows_three_healthy_zones_and_what_to_do_next(new_sandbox):
    sandbox = new_sandbox()
    done = sandbox.up()
    lines = done.stdout.splitlines()
    assert len(lines) <= TABLE_LINES and max(map(len, lines)) <= TABLE_COLUMNS
    assert "zones 3/3  sets 1/1  members 3/3" in lines[0]
    for next_step in ("atoll status", "atoll explain mongo", "atoll connection-string mongo", "atoll sandbox fault", "atoll sandbox down"):
        assert next_step in done.stderr
    assert stat.S_IMODE(sandbox.dir.stat().st_mode) == 0o700
    status = json.loads(sandbox.atoll("sandbox", "status", "--dir", sandbox.dir, "-o", "json").stdout)
    assert status["summary"]["healthyMembers"] == 3
    assert sandbox.status()["federation"] == status["federation"]  # DIR/url is where it is read


def test_every_process_names_the_folder_and_only_members_look_like_mongod(sandbox):
    lines = [each.line for each in sandbox.processes()]
    assert len(lines) == 1 + 1 + 3 + 3, lines  # supervisor, controller, agents, members
    members = [line for line in lines if re.search(f"mongod.*{re.escape(str(sandbox.dir))}", line)]
    assert len(members) == 3 and all("--dbpath" in line for line in members)


def test_up_on_a_living_sandbox_changes_nothing(sandbox):
    before = {each.pid for each in sandbox.processes()}
    done = sandbox.up()
    assert "runs in" in done.stderr and "nothing was changed" in done.stderr
    assert "mongo-node1" in done.stdout
    assert {each.pid for each in sandbox.processes()} == before


@pytest.mark.parametrize("moment", ["atoll sandbox supervise", "atoll-controller", "--dbpath"])
def test_a_start_whose_command_was_killed_is_finished_by_the_next(new_sandbox, moment):
    """Killed before it had applied a spec it left a sandbox that ran, without any set, for ever; and the next `up` was content with it."""
    sandbox = new_sandbox()
    command = [sandbox.bin / "atoll", "sandbox", "up", "--dir", sandbox.dir, "--mongod", os.environ.get("ATOLL_MONGOD", "sim")]
    sandbox.was_up = True
    process = subprocess.Popen(command, env=sandbox.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sandboxes.wait_until(lambda: sandbox.processes(moment), 60 * sandbox.slowness, f"{moment} runs")
    finally:
        process.kill()
        process.wait()
    again = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, timeout=sandboxes.UP_TIMEOUT_SECS)
    assert "its start goes on" in again.stderr and "3/3  sets 1/1" in again.stdout, again.stdout + again.stderr
    assert "nothing was changed" in sandbox.atoll("sandbox", "up", "--dir", sandbox.dir).stderr


def test_two_sandboxes_live_side_by_side(new_sandbox):
    first, second = new_sandbox(name="a"), new_sandbox(name="ab")  # one name begins as the other does
    first.up()
    second.up()
    assert first.url != second.url
    hosts = [member["host"] for each in (first, second) for member in each.set_status()["members"]]
    assert len(set(hosts)) == 6
    first.down()
    assert first.processes() == [] and not first.dir.exists()
    assert len(second.processes()) == 8
    second.wait_healthy()


def test_what_dies_is_started_again(sandbox):
    for program in ("atoll-controller", "atoll-zone-agent"):
        victim = sandbox.processes(program)[0]
        zone = victim.words[2]
        whole.kill(victim)
        sandboxes.wait_until(
            lambda: [each for each in sandbox.processes(program) if each.words[2] == zone and each.pid != victim.pid],
            60, f"{program} runs again")
    sandbox.wait_healthy()
    assert sandbox.atoll("wait", "mongo", "--for", "healthy").returncode == 0


@pytest.mark.parametrize("members_too", [False, True])
def test_up_resumes_a_dead_sandbox_with_its_data(sandbox, members_too):
    """Without its members it is as after a reboot of the machine."""
    disks = {member["name"]: (sandbox.dir / "zones" / member["zone"] / "disks" / member["disk"]["name"] / "atoll-disk.json").read_text()
             for member in sandbox.set_status()["members"]}
    whole.kill(supervisor_of(sandbox))
    if members_too:
        whole.kill_all(sandbox)
    else:
        whole.kill(*(process for process in sandbox.processes("atoll-") if "mongod" not in process.words[0]))
    sandboxes.wait_until(lambda: not sandbox.processes("supervise"), 60, "the supervisor is dead")
    gone = sandbox.atoll("status", check=False)
    assert gone.returncode == 3 and "atoll sandbox up` resumes it" in gone.stderr
    done = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, timeout=120)
    assert "with its data" in done.stderr
    sandbox.wait_healthy()
    for member in sandbox.set_status()["members"]:
        assert (sandbox.dir / "zones" / member["zone"] / "disks" / member["disk"]["name"] / "atoll-disk.json").read_text() == disks[member["name"]]


def test_daemons_that_a_dead_supervisor_left_behind_are_replaced(sandbox):
    before = {each.pid for each in sandbox.processes("atoll-")} - {each.pid for each in sandbox.processes("--dbpath")}
    members = {each.pid for each in sandbox.processes("--dbpath")}
    whole.kill(supervisor_of(sandbox))
    sandboxes.wait_until(lambda: not sandbox.processes("supervise"), 60, "the supervisor is dead")
    sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, timeout=120)
    assert not before & {each.pid for each in sandbox.processes()}
    assert {each.pid for each in sandbox.processes("--dbpath")} == members  # the data plane never noticed


def test_down_after_a_crash_leaves_no_trace_and_may_be_said_twice(sandbox):
    whole.kill(supervisor_of(sandbox))
    assert "removed" in sandbox.down().stdout
    assert not sandbox.dir.exists() and sandbox.processes() == []
    again = sandbox.down()
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_down_finds_processes_whose_folder_was_deleted(sandbox):
    subprocess.run(["rm", "-rf", str(sandbox.dir)], check=False)
    sandbox.down()
    assert sandbox.processes() == []


def test_a_folder_of_somebody_else_is_refused_and_left_alone(new_sandbox):
    sandbox = new_sandbox()
    sandbox.dir.mkdir()
    mine = sandbox.dir / "thesis.txt"
    mine.write_text("mine")
    refused = sandbox.up(check=False)
    assert refused.returncode == 4 and "no sandbox made" in refused.stderr
    assert sandbox.down().returncode == 0
    assert [path.name for path in sandbox.dir.iterdir()] == ["thesis.txt"]
    mine.unlink()
    sandbox.dir.rmdir()
    sandbox.was_up = False


def test_a_program_that_is_no_mongod_is_refused_at_once(new_sandbox):
    """It was started over and over until the patience was over."""
    sandbox = new_sandbox()
    for program, says in (("/bin/true", "/bin/true is no mongod"), ("/bin/echo", 'says "--version"'), ("/dev/null", "/dev/null")):
        done = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, "--mongod", program, check=False)
        assert done.returncode == 2 and ("no mongod" in done.stderr or says in done.stderr), done.stderr
        assert not sandbox.dir.exists() and sandbox.processes() == []


def test_a_start_that_never_worked_leaves_nothing(new_sandbox, work_dir):
    sandbox = new_sandbox()
    done = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, "--timeout", 3, "--mongod", sandboxes.broken_mongod(work_dir), check=False)
    assert done.returncode == 1
    assert "Set mongo is" in done.stderr and "removed again" in done.stderr  # what it still waited for
    assert not sandbox.dir.exists() and sandbox.processes() == []


def test_a_start_without_patience_leaves_nothing(new_sandbox):
    """It gave up before its supervisor could be found by its command line, and that one lived on in a folder that was gone."""
    sandbox = new_sandbox()
    for _ in range(3):
        done = sandbox.atoll("sandbox", "up", "--dir", sandbox.dir, "--mongod", "sim", "--timeout", 0, check=False)
        assert done.returncode == 1 and "removed again" in done.stderr and "not empty" not in done.stderr, done.stderr
        assert not sandbox.dir.exists() and sandbox.processes() == []


def test_an_interrupted_start_leaves_nothing(new_sandbox):
    sandbox = new_sandbox()
    process = subprocess.Popen([sandbox.bin / "atoll", "sandbox", "up", "--dir", sandbox.dir], env=sandbox.environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        sandboxes.wait_until(lambda: sandbox.processes("atoll-controller"), 20 * sandbox.slowness, "the controller runs")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=40 * sandbox.slowness)[1]
    finally:
        process.kill()
    assert process.returncode == 1 and "interrupted" in said
    assert not sandbox.dir.exists() and sandbox.processes() == []


def test_a_given_spec_runs_on_this_machine_and_it_is_said(new_sandbox):
    sandbox = new_sandbox(spec=sandboxes.SPEC.replace(", driver: local", ""))
    done = sandbox.up()
    assert "The driver of 3 zones becomes local" in done.stderr
    assert all(zone["driver"] == "local" for zone in sandbox.status()["zones"])


def test_what_is_applied_to_a_sandbox_becomes_local_as_at_its_start(sandbox, work_dir):
    """A spec for clusters was taken as it is: its zones had agents that the controller knew nothing of any more."""
    spec = work_dir / "clusters.yaml"
    spec.write_text(sandbox.spec_file.read_text().replace(", driver: local", ""))
    same = sandbox.atoll("diff", "-f", spec)
    assert same.stdout == "" and "The driver of 3 zones becomes local" in same.stderr
    revision = sandbox.status()["revision"]
    spec.write_text(spec.read_text().replace("labels: {instance: rod}", "priority: 2, labels: {instance: rod}"))
    done = sandbox.atoll("apply", "-f", spec, "--wait")
    assert "becomes local" in done.stderr and sandbox.status()["revision"] == revision + 1
    assert {zone["driver"] for zone in sandbox.status()["zones"]} == {"local"}
    assert sandbox.member("mongo-node1")["priority"] == 2
    told = [each["reason"] for each in sandbox.get("/v1/events?set=mongo&limit=1000", url=sandbox.control_url)["events"]]
    assert told.count("AddressAssigned") == 3  # once each: an applied spec is no reason to announce everything again


def test_a_zone_that_is_applied_later_gets_an_agent(sandbox):
    text = sandbox.spec_file.read_text()
    text = text.replace("  sets:\n", "    - {name: asia-east1-a, driver: local}\n  sets:\n") + "        - {zone: asia-east1-a, priority: 0, votes: 0}\n"
    sandbox.spec_file.write_text(text)
    changes = sandbox.atoll("diff", "-f", sandbox.spec_file, check=False)
    assert changes.returncode == 1 and "asia-east1-a" in changes.stdout
    sandbox.atoll("apply", "-f", sandbox.spec_file, "--wait", "--timeout", 60 * sandbox.slowness, timeout=90)
    assert sandbox.member("mongo-node4")["state"] == "SECONDARY"
    assert sandbox.atoll("diff", "-f", sandbox.spec_file).returncode == 0


def test_a_moved_address_is_followed_and_the_connection_string_with_it(sandbox):
    before = sandbox.atoll("connection-string", "mongo").stdout
    moved = sandbox.fault("mongo-node2", "move-address").stdout
    address = re.search(r"moved to (\S+)", moved).group(1)
    assert address not in before
    sandbox.wait_for(lambda status: sandbox.member("mongo-node2")["host"] == address, 30, "the new address is in the configuration")
    sandbox.wait_healthy()
    assert address in sandbox.atoll("connection-string", "mongo").stdout


def test_faults_name_their_target_or_say_what_is_wrong(sandbox):
    assert sandbox.fault("mongo-node3", "slow=20").stdout == "member mongo-node3: slowed down by 20 ms\n"
    assert sandbox.fault("mongo-node3", "heal").stdout == "member mongo-node3: healed\n"
    for target, what, expected in [("nobody", "cut", 1), ("mongo-node1", "slow=0", 2), ("../x", "cut", 1)]:
        assert sandbox.atoll("sandbox", "fault", target, what, check=False).returncode == expected


def test_the_default_place_leaves_nothing_above_it_either(bin_dir, work_dir):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATOLL_", "XDG_"))} | {"HOME": str(work_dir)}

    def run(*arguments):
        return subprocess.run([bin_dir / "atoll", *arguments], env=environment, capture_output=True, text=True, timeout=300)

    try:
        up = run("sandbox", "up", "--mongod", "sim")
        assert up.returncode == 0, up.stderr
        assert (work_dir / ".local/state/atoll/sandbox/url").exists()
        assert run("status").returncode == 0  # the running sandbox is the context when there is no other
    finally:
        down = run("sandbox", "down")
    assert down.returncode == 0
    deadline = time.monotonic() + 30
    while sandboxes.processes_of(work_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sandboxes.processes_of(work_dir) == []
    assert not (work_dir / ".local/state/atoll").exists()
