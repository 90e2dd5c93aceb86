"""The controller is killed at one certain moment of a set's life (`--die-at`): just before or after a write, a command to MongoDB, or an intent.
Whichever it is, the end is the same as without: one birth, the same ids, the same keys, Healthy, nothing lost.

A moment is named by what is written or sent (`store:ledger:2`: the second write of a ledger in this life), so its name stays true when something
else is written before it. `make test` takes the most telling ones, and of every kind at least one, which a test sees to; `make test-crash` takes all
of them: of a birth one after the other until there are no more, of a change those that were passed by a controller that was watched.

What requests to the API write (tokens, certificates, zones) is killed at in test_crash_trust.py."""
import contextlib
import itertools
import json
import os
import shutil
import signal
import sqlite3

import pymongo
import pytest

import crash
import sandboxes
import test_crash_trust
import whole
from conftest import sandbox_maker
from test_authentication import keyfiles
from test_data_loss import disk_folder, empty

NO_CONTROLLER = 3
KILLED = 128 + signal.SIGKILL

# Of a birth. Of writes: the spec; the keyfile and first administrator, and that he was made; ids and who initiates, and that the set exists.
BIRTH = ["store:spec", "store:keys:after", "store:keys:2", "store:ledger", "store:ledger:after", "store:ledger:2", "effect:initiate",
         "effect:initiate:after", "effect:make-admin:after", "intent:2"]
# Of a life that begins with a set that is well, by what happens in it. Each reconfiguration's version is in the ledger before it is sent.
CHANGES = [("moves", "store:ledger"), ("moves", "effect:reconfigure:after"),
           ("joins", "store:ledger:after"), ("joins", "effect:reconfigure:2"), ("leaves", "store:ledger:2:after"),
           ("emptied", "effect:reconfigure:after"),
           ("keyfile", "store:keys"), ("keyfile", "store:keys:2"), ("keyfile", "effect:step-down:after"),
           ("ca", "store:ca:2")]
INTENTS = 12  # of how many `make test-crash` takes the moments: how many there are depends on who reports first


# ---- a controller that can be told when to die ----

WRAPPER = """#!/bin/bash
# Starts the controller again when it was killed, at once, as its supervisor would later and later.
here={programs} listen=" $* " && listen=${{listen##* --listen }} && listen=${{listen%% *}}
trap 'kill -TERM "$child" && wait "$child"; exit' TERM INT
while :; do
    moment=()
    # One whose port another has ends at once and is started again with another port: that is not the life that is meant.
    if [ -f "$here/die-at" ] && ! (exec 3<>"/dev/tcp/${{listen/://}}") 2>/dev/null; then
        moment=(--die-at "$(cat "$here/die-at")")
        mv "$here/die-at" "$here/was-told"
    fi
    (exec -a atoll-controller "$here/real/atoll-controller" "$@" "${{moment[@]}}") &
    child=$!
    echo $child >"$here/pid"
    wait $child
    status=$?
    echo "${{moment[1]:--}} $status" >>"$here/lives"
    [ $status = 1 ] && [ "${{moment[1]}}" ] && mv "$here/was-told" "$here/die-at"
    [ $status = {killed} ] || rm "$here/again" 2>/dev/null || exit $status
done
"""


def be_mortal(sandbox, bin_dir, programs):
    (programs / "real").mkdir(parents=True)
    (programs / "real" / "atoll-controller").symlink_to(bin_dir / "atoll-controller")
    for name in ("atoll-zone-agent", "atoll-mongod-sim"):
        (programs / name).symlink_to(bin_dir / name)
    shutil.copy(bin_dir / "atoll", programs / "atoll")  # it looks for the others beside itself
    wrapper = programs / "atoll-controller"
    wrapper.write_text(WRAPPER.format(programs=programs, killed=KILLED))
    wrapper.chmod(0o755)
    sandbox.bin = programs
    once = sandbox.atoll

    def atoll(*arguments, check=True, **more):
        """A question is asked again while there is no controller."""
        def answered():
            done = once(*arguments, check=False, **more)
            return (done.returncode != NO_CONTROLLER or not check) and done
        done = sandboxes.wait_until(answered, 60 * sandbox.slowness, f"an answer to {arguments}")
        assert not check or done.returncode == 0, done.stderr
        return done
    sandbox.atoll = atoll
    return sandbox


def has_died(sandbox, moment):
    """At that moment, by its own hand. No life may have ended otherwise, like one that wrote what no list has."""
    lives = [line.split() for line in (sandbox.bin / "lives").read_text().splitlines()] if (sandbox.bin / "lives").exists() else []
    assert all(status in ("0", "1", str(KILLED)) for _, status in lives), lives
    return [moment, str(KILLED)] == next((life for life in reversed(lives) if life[0] == moment), None)


def arm(sandbox, moment):
    """The next life of the controller, which begins now, has a moment to die at. Gives how much it has logged when the set is well."""
    log = sandbox.dir / "logs" / "controller.log"
    (sandbox.bin / "was-told").unlink(missing_ok=True)
    (sandbox.bin / "lives").unlink(missing_ok=True)
    before = log.stat().st_size
    (sandbox.bin / "again").touch()
    (sandbox.bin / "die-at").write_text(moment)
    os.kill(int((sandbox.bin / "pid").read_text()), signal.SIGTERM)

    def serves():
        return (sandbox.bin / "was-told").exists() and b"serving on" in log.read_bytes()[before:]
    sandboxes.wait_until(serves, 60 * sandbox.slowness, "another life of the controller")
    whole.healthy(sandbox)
    return before, log.stat().st_size


def again_until(sandbox, ask, what):
    """As a pipeline would: again for as long as there is no controller, or it died before it answered."""
    def taken():
        done = ask()
        assert done.returncode in (0, NO_CONTROLLER), done.stderr
        return done.returncode == 0
    sandboxes.wait_until(taken, 60 * sandbox.slowness, what)


def apply(sandbox, text):
    sandbox.spec_file.write_text(text)
    again_until(sandbox, lambda: sandbox.atoll("apply", "-f", sandbox.spec_file, check=False), "the spec to be applied")


# ---- a birth ----

def births(sandbox):
    """The moments at which a member was born as the first of its set, by all members' own logs: one, if all is well."""
    found = set()
    for member in whole.members_of(sandbox.status()).values():
        with whole.direct(sandbox, member["host"], directConnection=True) as client:
            found |= {each["ts"] for each in client.local["oplog.rs"].find({"o.msg": "initiating set"})}
    return found


def marks(sandbox):
    return {json.loads(path.read_text())["replicaSetId"] for path in sandbox.dir.glob("zones/*/disks/*/atoll-disk.json")}


def in_store(sandbox, query):
    with contextlib.closing(sqlite3.connect(f"file:{sandbox.dir}/controller/controller.db?mode=ro", uri=True)) as store:
        return {each: json.loads(data) for each, data in store.execute(query)}


def audit(sandbox):
    """By id, all that there is."""
    return in_store(sandbox, "SELECT id, data FROM log")


def store_is_true(sandbox):
    """What is remembered is what is. Much of it would be found again if it were forgotten, so that the set alone doesn't show it."""
    config = whole.config_of(sandbox)
    records = in_store(sandbox, "SELECT key, data FROM record WHERE key IN ('ledger/mongo', 'keys/mongo')")
    ledger, keys = records["ledger/mongo"], records["keys/mongo"]
    assert (ledger["birth"], ledger["replicaSetId"]) == ("done", str(config["settings"]["replicaSetId"]))
    assert {each["id"] for each in ledger["members"] if not each["removed"]} == {entry["_id"] for entry in config["members"]}
    assert ledger["nextId"] > max(each["id"] for each in ledger["members"])
    assert keys["adminMade"] and len(keys["keys"]) == 2 and all(key in keyfiles(sandbox)[0].read_text() for key in keys["keys"])


def birth(sandbox):
    """Gives what must be the same at each telling."""
    sandbox.up()
    status = whole.healthy(sandbox)
    config = whole.config_of(sandbox)
    [mark] = marks(sandbox)
    assert mark == str(config["settings"]["replicaSetId"]), "every disk carries the mark of this set"
    assert len({path.read_text() for path in keyfiles(sandbox)}) == 1
    store_is_true(sandbox)
    zones = json.loads(sandbox.atoll("zone", "list", "-o", "json").stdout)["zones"]
    applied = [each["outcome"] for _, each in sorted(audit(sandbox).items()) if each["path"].startswith("/v1/federation")]
    assert applied[-1] == "done" and set(applied[:-1]) <= {"begun", "done"}, "the last one was answered"
    return {
        "births": len(births(sandbox)),
        "ids": {name: member["id"] for name, member in whole.members_of(status).items()},
        "entries": sorted((entry["_id"], entry["votes"], entry["priority"]) for entry in config["members"]),
        "revision": status["revision"],
        "authorities": len({path.read_text() for path in (sandbox.dir / "controller/ca.pem", *sandbox.dir.glob("zones/*/ca.pem"))}),
        "joined": sorted(each["name"] for each in zones if each["state"] == "joined"),
        "administrators": direct_users(sandbox),
    }


def direct_users(sandbox):
    with whole.client_of(sandbox) as client:
        return len(client.admin.command("usersInfo")["users"])


EXPECTED = {"births": 1, "ids": {f"mongo-node{ordinal}": ordinal - 1 for ordinal in (1, 2, 3)}, "entries": [(each, 1, 1) for each in range(3)],
            "revision": 1, "authorities": 1, "joined": sorted(whole.ZONES), "administrators": 1}


def birth_killed_at(make, bin_dir, folder, moment):
    """Gives whether it died."""
    sandbox = be_mortal(make(), bin_dir, folder)
    (sandbox.bin / "die-at").write_text(moment)
    end = birth(sandbox)
    assert (sandbox.bin / "was-told").exists()
    assert end == EXPECTED, moment
    return has_died(sandbox, moment), sandbox


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", BIRTH)
def test_a_birth_that_was_killed_there_ends_the_same(new_sandbox, bin_dir, work_dir, moment):
    assert birth_killed_at(new_sandbox, bin_dir, work_dir / "bin", moment)[0], f"{moment} was not reached"


# ---- changes ----

@pytest.fixture(scope="module")
def mortal(request, bin_dir, sanitized):
    """A healthy set whose controller can be armed, for all changes."""
    directory = sandboxes.make_work_dir()
    try:
        with sandbox_maker(request, bin_dir, sanitized, directory) as make:
            made = be_mortal(make(whole.SPEC), bin_dir, directory / "bin")
            made.up()
            whole.healthy(made)
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


FOURTH = "mongo-node4"


def with_fourth(state):
    return whole.SPEC + f"        - {{zone: us-central1-f, labels: {{instance: janet}}, state: {state}}}\n"


def fourth_is(sandbox, phase, state):
    """Brings it about; nothing is to be done where it is so."""
    if whole.members_of(sandbox.status()).get(FOURTH, {"phase": "Removed"})["phase"] != phase:
        apply(sandbox, with_fourth(state))
        sandbox.wait_for(lambda status: whole.members_of(status).get(FOURTH, {}).get("phase") == phase, what=f"{FOURTH} to be {phase}")
        whole.healthy(sandbox)


def version(sandbox):
    """0 while the controller has yet to find the set again."""
    try:
        return whole.config_of(sandbox)["version"]
    except (AssertionError, pymongo.errors.PyMongoError):
        return 0


@contextlib.contextmanager
def moves(sandbox):
    with whole.nothing_is_lost(sandbox):
        yield
        host = sandbox.fault("mongo-node2", "move-address").stdout.split("moved to ")[1].strip()
        sandbox.wait_for(lambda status: whole.members_of(status)["mongo-node2"]["host"] == host and whole.the_set(status)["phase"] == "Healthy",
                         what=f"the configuration to follow to {host}")
        assert host in [entry["host"] for entry in whole.config_of(sandbox)["members"]]


@contextlib.contextmanager
def fourth_becomes(sandbox, phase, state):
    ids = {entry["_id"] for entry in whole.config_of(sandbox)["members"]}
    sandbox.highest = max(ids | {getattr(sandbox, "highest", 0)})
    former = whole.members_of(sandbox.status()).get(FOURTH, {"id": None})["id"]
    others = {name: what for name, what in whole.identities(whole.healthy(sandbox)).items() if name != FOURTH}
    with whole.Writer(sandbox) as writer:
        yield
        fourth_is(sandbox, phase, state)
        writer.wait_for_more()
    status = whole.healthy(sandbox)
    assert {name: what for name, what in whole.identities(status).items() if name != FOURTH} == others
    entries = {entry["_id"]: (entry["votes"], entry["priority"]) for entry in whole.config_of(sandbox)["members"]}
    if phase == "Voting":
        [new] = entries.keys() - ids
        assert new > sandbox.highest, "no _id is ever used again"
        assert ids < entries.keys()
    else:
        assert entries.keys() == ids - {former}
    assert set(entries.values()) == {(1, 1)}
    assert whole.missing(sandbox, writer.acknowledged) == []


def joins(sandbox):
    fourth_is(sandbox, "Removed", "absent")
    return fourth_becomes(sandbox, "Voting", "present")


def leaves(sandbox):
    fourth_is(sandbox, "Voting", "present")
    return fourth_becomes(sandbox, "Removed", "absent")


@contextlib.contextmanager
def emptied(sandbox):
    """It loses its vote before it starts, and has it back with the data."""
    with whole.nothing_is_lost(sandbox):
        yield
        victim, before = whole.secondaries_of(whole.healthy(sandbox))[0], version(sandbox)
        with whole.stopped(whole.agent(sandbox, victim["zone"])):
            whole.kill(whole.mongod(sandbox, victim))
            empty(disk_folder(sandbox, victim) / "data")
        sandboxes.wait_until(lambda: version(sandbox) >= before + 2, 120 * sandbox.slowness, "its vote to be taken and given back")
        whole.healthy(sandbox)
        assert {(entry["votes"], entry["priority"]) for entry in whole.config_of(sandbox)["members"]} == {(1, 1)}


def keyfile(sandbox):
    """Of a set of which a member has left, too: for that reason it was refused once, for ever."""
    if FOURTH not in whole.members_of(sandbox.status()):
        fourth_is(sandbox, "Voting", "present")
    fourth_is(sandbox, "Removed", "absent")
    return keyfile_exchanged(sandbox)


@contextlib.contextmanager
def keyfile_exchanged(sandbox):
    with whole.nothing_is_lost(sandbox):
        first = keyfiles(sandbox)[0].read_text().split()[1]  # "- KEY\n- KEY\n"
        yield

        def ask():
            done = sandbox.atoll("keyfile", "rotate", "mongo", check=False)
            if "already" in done.stderr:
                done.returncode = 0  # it was begun, and the answer was lost
            elif "is not healthy" in done.stderr:
                done.returncode = NO_CONTROLLER  # the next one has heard too little yet
            return done
        again_until(sandbox, ask, "the keyfile's exchange to begin")

        def is_over():
            now = {path.read_text() for path in keyfiles(sandbox)}
            return len(now) == 1 and first not in now.pop()
        sandboxes.wait_until(is_over, 120 * sandbox.slowness, "the first key to be gone everywhere")


def ca_stage(sandbox):
    done = sandbox.atoll("ca", "show", "-o", "json", check=False)
    return json.loads(done.stdout)["stage"] if done.returncode == 0 else None


@contextlib.contextmanager
def ca(sandbox):
    files = [sandbox.dir / "controller/ca.pem", *sandbox.dir.glob("zones/*/ca.pem")]
    with whole.nothing_is_lost(sandbox, same_version=True):
        old = files[0].read_text()
        yield
        for stage in ("announced", "switched", "steady"):
            def is_there():
                """It is refused until all have followed; an answer may have been lost."""
                return ca_stage(sandbox) == stage or (sandbox.atoll("ca", "rotate", check=False), False)[1]
            sandboxes.wait_until(is_there, 120 * sandbox.slowness, f"the CA to be {stage}")
        sandboxes.wait_until(lambda: len({path.read_text() for path in files}) == 1, 60 * sandbox.slowness, "all to trust the new CA alone")
        new = files[0].read_text()
        assert new != old and new.count("BEGIN CERTIFICATE") == 1


def change_killed_at(sandbox, change, moment):
    """Gives what was passed, where it is only watched; else it has to die."""
    whole.be_healthy(sandbox)
    authority, before = (sandbox.dir / "controller/ca.pem").read_text(), audit(sandbox)
    with change(sandbox):
        life, begun = arm(sandbox, moment)
    assert change is ca or (sandbox.dir / "controller/ca.pem").read_text() == authority, "there is no second CA"
    store_is_true(sandbox)
    after = audit(sandbox)
    assert {each: after.get(each) for each in before} == before, "what the audit log had it has"
    log = (sandbox.dir / "logs" / "controller.log").read_bytes()
    return has_died(sandbox, moment), crash.passed(log[life:].decode(), begun - life)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("change, moment", [pytest.param(globals()[change], moment, id=f"{change}-{moment}") for change, moment in CHANGES])
def test_a_change_that_was_killed_there_ends_the_same(mortal, change, moment):
    assert change_killed_at(mortal, change, moment)[0], f"{moment} was not reached"


# ---- none is left out ----

def test_every_kind_of_write_and_command_is_killed_at(bin_dir):
    """The program says which there are; a write of another kind is refused by its own tests' hook, and by the next start."""
    tried = {crash.kind_of(moment) for moment in [*BIRTH, *(moment for _, moment in CHANGES)]} | test_crash_trust.kinds_killed_at()
    assert set(crash.kinds(bin_dir)) == tried


if crash.ALL:
    @pytest.mark.timeout(3600)
    @pytest.mark.parametrize("when", crash.EITHER, ids=lambda when: when.strip(":") or "before")
    @pytest.mark.parametrize("kind", ["store:epoch", "store:ca", "store:person", "store:join", "store:zone", "store:spec", "store:keys", "store:ledger",
                                      "store:audit", "store:audit-end", "effect:initiate", "effect:make-admin", "effect:reconfigure", "intent"])
    def test_a_birth_ends_the_same_wherever_it_was_killed(new_sandbox, bin_dir, work_dir, kind, when):
        """One after the other, until there is none any more."""
        for number in itertools.count(1):
            moment = f"{kind}:{number}{when}"
            died, sandbox = birth_killed_at(new_sandbox, bin_dir, work_dir / f"bin{number}", moment)
            assert sandbox.clean_up() == []
            if not died or (kind == "intent" and number == INTENTS):
                break
        assert number > 1 or kind == "effect:reconfigure", f"{kind} was not reached"

    @pytest.mark.timeout(7200)
    @pytest.mark.parametrize("change", [moves, joins, leaves, emptied, keyfile, ca], ids=lambda change: change.__name__)
    def test_a_change_ends_the_same_wherever_it_was_killed(mortal, change):
        """How many reconfigurations it takes differs: one may have to be sent again. So a later one of its kind need not come."""
        died, moments = change_killed_at(mortal, change, "watch")
        assert moments and not died
        for [moment, *_] in moments:
            if crash.kind_of(moment) in test_crash_trust.AUDIT:  # who read a password is in there as well, and the tests do so all the time
                continue
            died, _ = change_killed_at(mortal, change, moment)
            assert died or crash.number_of(moment) > 1, f"{moment} was not reached"
