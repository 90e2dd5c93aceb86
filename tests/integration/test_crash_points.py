"""The controller is killed at one certain moment (`--die-at`): just before or after its nth write, command, or intent. Whichever it is, the
end is the same as without: one birth, the same ids, the same configuration, Healthy.

`make test` takes the most telling moments; `make test-crash` takes all of them, one after the other, until there are no more."""
import json
import os
import shutil

import pytest

import sandboxes
import whole

# What a run of the story below does, in one life of the controller:
#   writes     1 epoch · 2 spec · 3 ids and who initiates · 4 the set exists · 5 spec with a fourth member · 6 its _id
#   commands   1 replSetInitiate · 2 follow the moved address · 3 add the fourth member · 4 give it its vote
ALWAYS = {"store": 6, "effect": 4}
SOMETIMES = {"effect": 6, "intent": 12}  # a command may have to be given again; how many intents there are depends on who reports first
TELLING = ["store:2", "store:3", "store:3:after", "store:4", "store:6:after", "effect:1", "effect:1:after", "effect:3", "effect:4:after", "intent:2"]
EVERY = [f"{kind}:{number}{when}" for kind, most in (ALWAYS | SOMETIMES).items() for number in range(1, most + 1) for when in ("", ":after")]
ALL = bool(os.environ.get("ATOLL_CRASH_POINTS"))
FOURTH = "        - {zone: us-central1-f, labels: {instance: janet}}\n"
NO_CONTROLLER = 3


@pytest.fixture
def mortal(new_sandbox, bin_dir, work_dir):
    """A sandbox whose next controller can be told when to die; those after it live."""
    programs = work_dir / "bin"
    (programs / "real").mkdir(parents=True)
    (programs / "real" / "atoll-controller").symlink_to(bin_dir / "atoll-controller")
    for name in ("atoll-zone-agent", "atoll-mongod-sim"):
        (programs / name).symlink_to(bin_dir / name)
    shutil.copy(bin_dir / "atoll", programs / "atoll")  # it looks for the others beside itself
    wrapper = programs / "atoll-controller"
    wrapper.write_text(f"""#!/bin/bash
moment=() here={programs} listen=" $* " && listen=${{listen##* --listen }} && listen=${{listen%% *}}
# One whose port another has ends at once and is started again with another port: that is not the life that is meant.
if [ -f "$here/die-at" ] && ! (exec 3<>"/dev/tcp/${{listen/://}}") 2>/dev/null; then
    moment=(--die-at "$(cat "$here/die-at")")
    mv "$here/die-at" "$here/was-told"
fi
exec -a atoll-controller "$here/real/atoll-controller" "$@" "${{moment[@]}}"
""")
    wrapper.chmod(0o755)
    sandbox = new_sandbox()
    sandbox.bin = programs
    return sandbox


def births(sandbox):
    """The moments at which a member was born as the first of its set, by all members' own logs: one, if all is well."""
    found = set()
    for member in whole.members_of(sandbox.status()).values():
        with whole.direct(sandbox, member["host"], directConnection=True) as client:
            found |= {each["ts"] for each in client.local["oplog.rs"].find({"o.msg": "initiating set"})}
    return found


def marks(sandbox):
    return {json.loads(path.read_text())["replicaSetId"] for path in sandbox.dir.glob("zones/*/disks/*/atoll-disk.json")}


def apply(sandbox, text):
    """As a pipeline would: again for as long as there is no controller."""
    sandbox.spec_file.write_text(text)

    def taken():
        done = sandbox.atoll("apply", "-f", sandbox.spec_file, check=False)
        assert done.returncode in (0, NO_CONTROLLER), done.stderr
        return done.returncode == 0
    sandboxes.wait_until(taken, 30 * sandbox.slowness, "the spec to be applied")


def story(sandbox):
    """A set is formed, an address moves, a member is added. Gives what must be the same at each telling."""
    sandbox.up()
    host = sandbox.fault("mongo-node2", "move-address").stdout.split("moved to ")[1].strip()
    sandbox.wait_for(lambda status: whole.members_of(status)["mongo-node2"]["host"] == host and whole.the_set(status)["phase"] == "Healthy",
                     timeout=60, what=f"the configuration to follow to {host}")
    apply(sandbox, sandboxes.SPEC + FOURTH)
    sandbox.wait_for(lambda status: len(whole.members_of(status)) == 4, timeout=60, what="the fourth member to be seen")
    status = whole.healthy(sandbox)
    config = whole.config_of(sandbox)
    [mark] = marks(sandbox)
    assert mark == str(config["settings"]["replicaSetId"]), "every disk carries the mark of this set"
    return {
        "births": len(births(sandbox)),
        "ids": {name: member["id"] for name, member in whole.members_of(status).items()},
        "entries": sorted((entry["_id"], entry["votes"], entry["priority"]) for entry in config["members"]),
        "revision": status["revision"],
        "moved": next(entry["host"] for entry in config["members"] if entry["_id"] == 1) == host,
    }


EXPECTED = {"births": 1, "ids": {f"mongo-node{ordinal}": ordinal - 1 for ordinal in (1, 2, 3, 4)},
            "entries": [(each, 1, 1) for each in range(4)], "revision": 2, "moved": True}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", EVERY if ALL else TELLING)
def test_killed_there_the_end_is_the_same(mortal, moment):
    programs = mortal.bin
    (programs / "die-at").write_text(moment)
    end = story(mortal)
    died = "ended by signal 9" in (mortal.dir / "supervisor.log").read_text()
    assert (programs / "was-told").exists()
    kind, number = moment.split(":")[:2]
    assert died or int(number) > ALWAYS.get(kind, 0), f"{moment} was not reached: has the story become shorter?"
    assert end == EXPECTED


if ALL:
    def test_no_write_is_left_out(mortal):
        """One more than those that are tried is never reached, so all have been tried."""
        (mortal.bin / "die-at").write_text(f"store:{ALWAYS['store'] + 1}")
        assert story(mortal) == EXPECTED
        assert "ended by signal 9" not in (mortal.dir / "supervisor.log").read_text()
