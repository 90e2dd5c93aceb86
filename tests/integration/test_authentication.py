"""Members know one another by a keyfile, and nobody gets in without a user: from the controller to mongod and back."""
import contextlib
import json
import pathlib
import re
import sqlite3
import stat

import pymongo
import pymongo.errors
import pytest

import sandboxes
import whole

REFUSED = 4


@pytest.fixture
def well(shared_sandbox):
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def keyfiles(sandbox):
    return sorted((sandbox.dir / "zones").glob("*/secrets/*.key"))


def keys_in(text):
    """The two keys of a keyfile, the current one first; or the one of an old server's."""
    return re.findall(r"^(?:- )?(\S+)$", text, re.MULTILINE)


def password_of(sandbox):
    uri = sandbox.atoll("connection-string", "mongo", "--with-password").stdout
    return re.search(r"atoll-admin:(\w+)@", uri).group(1)


def seeds(sandbox, user=""):
    uri = sandbox.atoll("connection-string", "mongo").stdout.strip()
    return uri.replace("mongodb://", f"mongodb://{user}")


def error_code(uri, **options):
    with pymongo.MongoClient(uri, serverSelectionTimeoutMS=20000, **options) as client:
        with pytest.raises(pymongo.errors.OperationFailure) as raised:
            client.whole.writes.insert_one({})
    return raised.value.code


def term_of(sandbox):
    return whole.the_set(sandbox.status())["term"]


def test_nobody_gets_in_without_a_user_and_the_first_administrator_does(well):
    assert error_code(seeds(well)) == 13
    assert error_code(seeds(well, "atoll-admin:wrong@"), authSource="admin") == 18
    with whole.client_of(well) as client:
        assert client.admin.command("connectionStatus")["authInfo"]["authenticatedUserRoles"] == [{"role": "root", "db": "admin"}]
        client.whole.writes.insert_one({"_id": "by the administrator"})
        client.admin.command("createUser", "shop", pwd="shop's own", roles=[{"role": "readWrite", "db": "shop"}])
    with pymongo.MongoClient(seeds(well), username="shop", password="shop's own", serverSelectionTimeoutMS=20000) as client:
        client.shop.orders.insert_one({"_id": 1})
        with pytest.raises(pymongo.errors.OperationFailure):
            client.whole.writes.find_one()


def test_secrets_are_where_they_must_be_and_nowhere_else(well):
    secrets = {key for path in keyfiles(well) for key in keys_in(path.read_text())} | {password_of(well)}
    assert len(keyfiles(well)) == 3 and len(secrets) == 3, "two keys, the same for all members, and one password"
    for path in keyfiles(well):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    may_hold = re.compile(r"/secrets/[^/]+\.key$|/intent\.json$|/controller/controller\.db(-wal|-shm)?$")
    found = []
    for path in well.dir.rglob("*"):
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets):
            found.append(str(path))
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"others may read {path}"
    assert [path for path in found if not may_hold.search(path)] == []
    shown = [well.atoll(*words).stdout for words in (["status", "-o", "json"], ["explain", "mongo"], ["events"], ["connection-string", "mongo"])]
    shown += [str(well.get(path, url=well.control_url)) for path in ("/v1/federation", "/v1/sets/mongo/journal", "/v1/events")]
    for process in well.processes():
        shown += [" ".join(process.cmdline()), str(process.environ())]
    assert [text for text in shown if any(secret in text for secret in secrets)] == []


def lets_in(sandbox, member, key):
    """Whether the member takes this key for __system's."""
    with pymongo.MongoClient(f"mongodb://{member['host']}/?directConnection=true", username="__system", password=key, authSource="local",
                             serverSelectionTimeoutMS=20000, **whole.trusting(sandbox)) as client:
        try:
            return client.admin.command("replSetGetStatus")["ok"] == 1
        except pymongo.errors.OperationFailure as error:
            assert error.code == 18
            return False


def pids(sandbox):
    return {member["name"]: whole.mongod(sandbox, member).pid for member in whole.the_set(sandbox.status())["members"]}


def events_of(sandbox, reason):
    return [event for event in json.loads(sandbox.atoll("events", "-o", "json").stdout)["events"] if event["reason"] == reason]


@pytest.mark.timeout(300)
def test_a_keyfile_is_exchanged_with_one_step_down_while_a_client_writes(well):
    """It took two rounds, each with a step-down: the file had no spare key."""
    old, spare = keys_in(keyfiles(well)[0].read_text())
    before, term, ended = pids(well), term_of(well), len(events_of(well, "KeyfileRotated"))
    assert all(lets_in(well, member, key) for member in whole.the_set(well.status())["members"] for key in (old, spare))
    with whole.nothing_is_lost(well, same_version=True):
        said = well.atoll("keyfile", "rotate", "mongo").stderr
        assert "member by member" in said and "run it once more when this has ended" in said
        again = well.atoll("keyfile", "rotate", "mongo", check=False)
        assert again.returncode == REFUSED and "already" in again.stderr
        sandboxes.wait_until(lambda: len(events_of(well, "KeyfileRotated")) > ended, 120 * well.slowness, "the exchange being over")
        whole.healthy(well, 120)
        assert term_of(well) == term + 1, "one step-down, and no other election"
    assert len({path.read_text() for path in keyfiles(well)}) == 1
    first, new = keys_in(keyfiles(well)[0].read_text())
    assert first == spare and new not in (old, spare)
    for member in whole.the_set(whole.healthy(well))["members"]:
        assert [lets_in(well, member, key) for key in (old, spare, new)] == [False, True, True], member["name"]
    assert not set(before.values()) & set(pids(well).values()), "each was restarted"


@pytest.mark.timeout(300)
def test_an_old_server_has_one_key_and_keeps_it(new_sandbox):
    """Before 4.2 a file with two keys is refused at the start, and an exchange would be an outage."""
    old_server = 'image: "mongo:4.0"\n      mongod: ["--server-version=4.0"]'
    sandbox = new_sandbox(spec=whole.SPEC.replace("image: mongo:7.0", old_server))
    sandbox.up()
    status = whole.healthy(sandbox)
    key, term = keys_in(keyfiles(sandbox)[0].read_text())[0], term_of(sandbox)
    for member in whole.the_set(status)["members"]:
        words = whole.mongod(sandbox, member).cmdline()
        file = pathlib.Path(words[words.index("--keyFile") + 1])
        assert file.read_text() == f"{key}\n" and stat.S_IMODE(file.stat().st_mode) == 0o600
    refused = sandbox.atoll("keyfile", "rotate", "mongo", check=False)
    assert refused.returncode == REFUSED and "before 4.2" in refused.stderr and "nothing was changed" in refused.stderr
    whole.insert(sandbox, ["as before"])
    assert keys_in(keyfiles(sandbox)[0].read_text())[0] == key and term_of(sandbox) == term


def test_auth_off_says_so(new_sandbox):
    sandbox = new_sandbox(spec=whole.SPEC.replace("image: mongo:7.0", "image: mongo:7.0\n      auth: false"))
    sandbox.up()
    status = whole.healthy(sandbox)
    assert whole.the_set(status)["auth"] is False
    assert "auth: off: whoever can reach a member" in " ".join(sandbox.atoll("status").stdout.split())
    assert keyfiles(sandbox) == []
    with pymongo.MongoClient(seeds(sandbox), serverSelectionTimeoutMS=20000, w="majority") as client:
        client.whole.writes.insert_one({"_id": 1})
    refused = sandbox.atoll("keyfile", "rotate", "mongo", check=False)
    assert refused.returncode == REFUSED and "auth: false" in refused.stderr
    assert sandbox.atoll("connection-string", "mongo", "--with-password").stdout.strip() == seeds(sandbox), "there is none to add"


def test_without_its_store_the_controller_takes_the_zones_keyfile_over(well):
    key, password = keyfiles(well)[0].read_text(), password_of(well)
    pids = {member["name"]: whole.mongod(well, member).pid for member in whole.the_set(well.status())["members"]}
    with whole.stopped(whole.supervisor(well)):
        whole.kill(whole.controller(well))
        with contextlib.closing(sqlite3.connect(well.dir / "controller" / "controller.db")) as store, store:
            store.execute("DELETE FROM record WHERE key NOT LIKE 'trust/%'")  # with the CA lost, too, zones must be enrolled anew
    well.wait_for(lambda status: status["sets"] == [], what="a controller that knows nothing")
    well.atoll("apply", "-f", well.spec_file, "--wait")
    status = whole.healthy(well, 120)
    assert {path.read_text() for path in keyfiles(well)} == {key}
    assert {member["name"]: whole.mongod(well, member).pid for member in whole.the_set(status)["members"]} == pids, "nobody was restarted"
    assert password_of(well) != password
    whole.insert(well, ["with the new password"])
