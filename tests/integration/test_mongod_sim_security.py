"""The stand-in for mongod asks who one is, as the real one does: SCRAM, users, __system by keyfile, TLS.

Each test runs as 7.0 and as 4.0 where both have what it is about. The clients are pymongo's; the agents' and the controller's
driver (mongo-c-driver) is tried by whatever runs with authentication on.
"""
import ssl
import subprocess

import pymongo
import pytest
from pymongo import WriteConcern
from pymongo.errors import OperationFailure, PyMongoError

from certificates import Authority
from sim_cluster import Cluster, Connection, find_binary, wait_until

KEY = "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
VERSIONS = ["7.0", "4.0"]
SECONDARY = 2


def write_keyfile(path, *keys):
    path.write_text(keys[0] + "\n" if len(keys) == 1 else "".join(f"- {k}\n" for k in keys))
    path.chmod(0o600)
    return path


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def keyfile(tmp_path):
    return write_keyfile(tmp_path / "keyfile", KEY)


def arguments(version, keyfile=None, *more):
    return ["--server-version", version, *(["--keyFile", str(keyfile)] if keyfile else []), *map(str, more)]


@pytest.fixture
def three(version, keyfile):
    """Three members that log in at each other, initiated by __system."""
    with Cluster(3, arguments(version, keyfile), key=KEY) as cluster:
        cluster.initiate()
        yield cluster


def system(member, **options):
    return member.open(username="__system", password=KEY, authSource="local", **options)


def code_of(action):
    with pytest.raises(OperationFailure) as raised:
        action()
    return raised.value.code


def exit_of(tmp_path, *arguments):
    """Starts one that must refuse to; gives its exit status and what it said."""
    (tmp_path / "data").mkdir(exist_ok=True)
    done = subprocess.run([find_binary(), "--replSet", "mongo", "--port", "27999", "--bind_ip", "127.99.99.1", "--dbpath",
                           str(tmp_path / "data"), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


# ---- the keyfile ----

def test_a_keyfile_that_others_may_read_is_refused(tmp_path, keyfile):
    keyfile.chmod(0o640)
    assert exit_of(tmp_path, "--keyFile", keyfile) == (1, f"atoll-mongod-sim: permissions on {keyfile} are too open\n")


@pytest.mark.parametrize("text, said", [("short", "has length 5, must be between 6 and 1024"), ("with-dash-inside", "invalid char"),
                                        ("a" * 1025, "has length 1025")])
def test_a_keyfile_that_is_none_is_refused(tmp_path, keyfile, text, said):
    keyfile.write_text(text)
    status, message = exit_of(tmp_path, "--keyFile", keyfile)
    assert status == 1 and said in message


def test_two_keys_are_for_newer_servers_alone(tmp_path, keyfile):
    write_keyfile(keyfile, KEY, KEY[::-1])
    assert exit_of(tmp_path, "--keyFile", keyfile, "--server-version", "4.0")[0] == 1


def test_auth_needs_a_keyfile(tmp_path):
    assert "keyFile is required" in exit_of(tmp_path, "--auth")[1]


# ---- who may do what ----

def test_without_a_login_next_to_nothing_goes(three):
    member, words = three.primary(), "requires authentication"
    # a user, so that the localhost exception is over
    system(member).admin.command("createUser", "root", pwd="pw", roles=["root"])
    anyone = member.open().admin
    assert anyone.command("isMaster")["setName"] == "mongo"
    assert anyone.command("ping") and anyone.command("buildInfo")
    for command in ("replSetGetStatus", "replSetGetConfig", "listDatabases", "serverStatus", "shutdown", "usersInfo"):
        with pytest.raises(OperationFailure, match=words) as raised:
            anyone.command(command)
        assert raised.value.code == 13 and raised.value.details["codeName"] == "Unauthorized"
        assert "$clusterTime" not in raised.value.details
    assert code_of(lambda: member.open().t.c.insert_one({})) == 13
    assert code_of(lambda: member.open().t.c.find_one()) == 13


def test_the_keyfile_makes_one_system_and_a_wrong_one_nobody(three):
    member = three.primary()
    status = system(member).admin.command("connectionStatus")
    assert status["authInfo"]["authenticatedUsers"] == [{"user": "__system", "db": "local"}]
    wrong = member.open(username="__system", password=KEY + "x", authSource="local").admin
    assert code_of(lambda: wrong.command("ping")) == 18


def test_system_by_sha_256_is_for_newer_servers(three, version):
    client = system(three.primary(), authMechanism="SCRAM-SHA-256").admin
    if version == "4.0":
        assert code_of(lambda: client.command("ping")) == 18
    else:
        assert client.command("replSetGetStatus")["myState"] == 1
    mechanisms = three.primary().open().admin.command("isMaster", saslSupportedMechs="local.__system")["saslSupportedMechs"]
    assert mechanisms == (["SCRAM-SHA-1"] if version == "4.0" else ["SCRAM-SHA-1", "SCRAM-SHA-256"])


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", None])
def test_a_user_logs_in_by_each_mechanism_on_every_member(three, mechanism):
    system(three.primary()).admin.command("createUser", "ann", pwd="se=cret,", roles=["readWriteAnyDatabase"],
                                          writeConcern={"w": 3, "wtimeout": 10000})
    options = {"authMechanism": mechanism} if mechanism else {}
    for member in three.members:
        client = member.open(username="ann", password="se=cret,", **options)
        assert client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"] == [{"user": "ann", "db": "admin"}]
    wrong = three.primary().open(username="ann", password="other", **options)
    assert code_of(lambda: wrong.admin.command("ping")) == 18


def test_a_mechanism_that_a_user_was_not_made_for_does_not_work(three):
    member = three.primary()
    system(member).admin.command("createUser", "old", pwd="pw", roles=["root"], mechanisms=["SCRAM-SHA-1"])
    assert member.open().admin.command("isMaster", saslSupportedMechs="admin.old")["saslSupportedMechs"] == ["SCRAM-SHA-1"]
    assert member.open(username="old", password="pw").admin.command("ping")
    assert code_of(lambda: member.open(username="old", password="pw", authMechanism="SCRAM-SHA-256").admin.command("ping")) == 18
    assert "saslSupportedMechs" not in member.open().admin.command("isMaster", saslSupportedMechs="admin.nobody")


def test_roles_say_what_a_user_may(three):
    member = three.primary()
    admin = system(member).admin
    admin.command("createUser", "watcher", pwd="pw", roles=["clusterMonitor"])
    admin.command("createUser", "writer", pwd="pw", roles=[{"role": "readWrite", "db": "shop"}])
    admin.command("createUser", "root", pwd="pw", roles=["root"])
    watcher, writer, root = (member.open(username=name, password="pw") for name in ("watcher", "writer", "root"))
    assert watcher.admin.command("replSetGetStatus")["myState"] == 1
    assert code_of(lambda: watcher.admin.command("replSetStepDown", 1)) == 13
    assert code_of(lambda: watcher.shop.c.find_one()) == 13
    writer.shop.c.insert_one({"_id": 1})
    assert writer.shop.c.find_one() == {"_id": 1}
    for refused in (lambda: writer.other.c.find_one(), lambda: writer.admin.command("replSetGetStatus"),
                    lambda: writer.admin.command("createUser", "x", pwd="pw", roles=[]),
                    lambda: root.admin.system.users.insert_one({"_id": "admin.x"}),
                    lambda: root.admin.command("replSetHeartbeat", "mongo")):
        assert code_of(refused) == 13
    assert {u["user"] for u in root.admin.command("usersInfo")["users"]} == {"watcher", "writer", "root"}
    assert "credentials" not in str(root.admin.command("usersInfo", "writer"))


def test_users_are_changed_and_dropped(three):
    member = three.primary()
    admin = system(member).admin
    admin.command("createUser", "ann", pwd="one", roles=["root"])
    assert code_of(lambda: admin.command("createUser", "ann", pwd="one", roles=["root"])) == 51003
    assert code_of(lambda: admin.command("createUser", "bob", pwd="one", roles=["king"])) == 31
    ann = member.open(username="ann", password="one")
    assert ann.t.c.find_one() is None
    admin.command("updateUser", "ann", pwd="two")
    assert member.open(username="ann", password="two").t.c.find_one() is None
    assert code_of(lambda: member.open(username="ann", password="one").t.c.find_one()) == 18
    admin.command("updateUser", "ann", roles=[])
    assert code_of(lambda: ann.t.c.find_one()) == 13  # whoever is logged in already loses it, too
    admin.command("dropUser", "ann")
    assert code_of(lambda: member.open(username="ann", password="two").admin.command("ping")) == 18
    assert code_of(lambda: admin.command("dropUser", "ann")) == 11


def test_users_survive_restarts_and_failovers_and_no_password_is_on_a_disk(three):
    old = three.primary()
    system(old).admin.command("createUser", "ann", pwd="findme-password", roles=["root"], writeConcern={"w": 3, "wtimeout": 10000})
    old.kill()
    new = three.primary()
    assert new is not old and new.open(username="ann", password="findme-password").t.c.find_one() is None
    old.start()
    old.wait_for_state(SECONDARY)
    assert old.open(username="ann", password="findme-password").admin.command("replSetGetStatus")["myState"] == SECONDARY
    for file in three.directory.rglob("*"):
        assert not file.is_file() or (b"findme-password" not in file.read_bytes() and KEY.encode() not in file.read_bytes()), file


def test_the_localhost_exception_is_for_the_first_user_alone(version, keyfile):
    """Whoever dials a loopback address comes from 127.0.0.1, unless it binds another one first."""
    with Cluster(1, arguments(version, keyfile), key=KEY) as cluster:
        member = cluster.members[0]
        anyone = member.open().admin
        assert code_of(lambda: anyone.command("replSetGetStatus")) == 94
        anyone.command("replSetInitiate", {"_id": "mongo", "members": [{"_id": 0, "host": member.host}]})
        wait_until(member.is_primary, what="a primary")
        assert code_of(lambda: anyone.command("serverStatus")) == 13
        assert code_of(lambda: member.open().t.c.find_one()) == 13
        anyone.command("createUser", "root", pwd="pw", roles=["root"])
        assert code_of(lambda: anyone.command("createUser", "second", pwd="pw", roles=["root"])) == 13
        assert member.open(username="root", password="pw").t.c.find_one() is None


def test_there_is_no_exception_from_other_addresses(version, keyfile):
    with Cluster(1, arguments(version, keyfile), key=KEY) as cluster:
        member = cluster.members[0]
        client = Connection(member.host, source=member.addresses[0])
        try:
            assert code_of(lambda: client.command({"replSetGetStatus": 1}, "admin")) == 13
        finally:
            client.close()


# ---- members among themselves ----

def test_a_member_with_another_key_does_not_get_in(three, version, tmp_path):
    stranger = three.secondaries()[0]
    stranger.kill()
    stranger.arguments = arguments(version, write_keyfile(tmp_path / "other", "b3RoZXIga2V5"))
    key, three.key = three.key, None
    stranger.start()
    three.key = key
    primary = three.primary()
    host = stranger.host
    state = lambda: next(m for m in primary.run("replSetGetStatus")["members"] if m["name"] == host)
    wait_until(lambda: "Authentication failed" in state().get("lastHeartbeatMessage", ""), what="the stranger being refused")
    assert state()["health"] == 0


def test_a_keyfile_is_rotated_with_two_keys_while_majority_writes_go_on(keyfile, tmp_path):
    """Current and spare one, then the spare and a new one: members understand each other at every moment of one round, and whoever
    logs in with the key that both files have is let in everywhere."""
    spare, new_key = "c3BhcmUga2V5IG9mIHRoZSB0ZXN0cw==", "bmV3IGtleSBvZiB0aGUgdGVzdHM="
    login = {"username": "__system", "authSource": "local"}
    write_keyfile(keyfile, KEY, spare)
    with Cluster(3, arguments("7.0", keyfile), key=KEY) as cluster:
        cluster.initiate()
        file, cluster.key = write_keyfile(tmp_path / "next", spare, new_key), spare
        for count, member in enumerate(list(cluster.members)):
            member.stop()
            member.arguments = arguments("7.0", file)
            member.start()
            member.disconnect()
            wait_until(lambda: member.open(password=spare, **login).admin.command("replSetGetStatus")["myState"] in (1, 2), what="the member being back")
            primary = wait_until(lambda: next((m for m in cluster.members if m.open().admin.command("isMaster")["ismaster"]), None), what="a primary")
            status = lambda: primary.open(password=spare, **login).admin.command("replSetGetStatus")["members"]
            wait_until(lambda: all(m["health"] == 1 for m in status()), what="all being heard")
            collection = primary.open(password=spare, **login).t.get_collection("c", write_concern=WriteConcern(3, wtimeout=20000))
            collection.insert_one({"_id": count})
        assert cluster.primary().open(password=new_key, **login).t.c.count_documents({}) == 3
        for member in cluster.members:
            assert code_of(lambda: member.open(password=KEY, **login).admin.command("ping")) == 18


def test_members_that_share_no_key_do_not_believe_each_other(keyfile, tmp_path):
    """What an exchange of both keys at once would be."""
    write_keyfile(keyfile, KEY, "c3BhcmUga2V5IG9mIHRoZSB0ZXN0cw==")
    with Cluster(3, arguments("7.0", keyfile), key=KEY) as cluster:
        cluster.initiate()
        primary = cluster.primary()
        stranger = next(m for m in cluster.members if m is not primary)
        stranger.stop()
        stranger.arguments = arguments("7.0", write_keyfile(tmp_path / "other", "b3RoZXIga2V5", "eWV0IGFub3RoZXIga2V5"))
        key, cluster.key = cluster.key, None
        stranger.start()
        cluster.key = key
        state = lambda: next(m for m in primary.run("replSetGetStatus")["members"] if m["name"] == stranger.host)
        wait_until(lambda: "Authentication failed" in state().get("lastHeartbeatMessage", ""), what="the stranger being refused")


def test_a_file_with_three_keys_is_refused(tmp_path, keyfile):
    write_keyfile(keyfile, KEY, KEY[::-1], "b3RoZXIga2V5")
    status, said = exit_of(tmp_path, "--keyFile", keyfile)
    assert status == 1 and "more than 2 keys" in said


# ---- TLS ----

def tls_arguments(version, pem, ca, *more, mode="require"):
    if version == "4.0":
        names = {"mode": "--sslMode", "key": "--sslPEMKeyFile", "ca": "--sslCAFile"}
        mode += "SSL"
    else:
        names = {"mode": "--tlsMode", "key": "--tlsCertificateKeyFile", "ca": "--tlsCAFile"}
        mode += "TLS"
    return [names["mode"], mode, names["key"], str(pem), names["ca"], str(ca), *more]


def names_of(version, address):
    return [address, f"dns:{address}"] if version == "4.0" else [address]


class TlsCluster(Cluster):
    """Members with certificates of their own from `authority`, a keyfile, and TLS needed from everybody."""

    def __init__(self, version, authority, keyfile, *more):
        self.version, self.authority, self.keyfile, self.more = version, authority, keyfile, more
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.load_cert_chain(str(authority.issue("tests")))
        super().__init__(3, key=KEY, tls=context)

    def add(self, lasts):
        member = super().add(lasts)
        member.pem = self.authority.issue(member.addresses[0], names_of(self.version, member.addresses[0]),
                                          self.directory / f"{member.directory.name}.pem")
        member.arguments = arguments(self.version, self.keyfile, *tls_arguments(self.version, member.pem, self.authority.ca), *self.more)
        return member


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def encrypted(version, authority, keyfile):
    with TlsCluster(version, authority, keyfile) as cluster:
        cluster.initiate()
        yield cluster


def test_members_and_clients_speak_tls(encrypted, authority):
    client = authority.issue("client")
    seeds = ",".join(m.host for m in encrypted.members)
    with pymongo.MongoClient(f"mongodb://{seeds}/?replicaSet=mongo&tls=true&tlsCAFile={authority.ca}&tlsCertificateKeyFile={client}",
                             username="__system", password=KEY, authSource="local", serverSelectionTimeoutMS=15000) as connected:
        connected.t.get_collection("c", write_concern=WriteConcern(3, wtimeout=10000)).insert_one({"_id": 1, "big": "x" * 3_000_000})
        assert len(connected.t.c.find_one()["big"]) == 3_000_000


def test_a_client_without_tls_without_certificate_or_from_another_ca_is_refused(encrypted, authority, tmp_path):
    member = encrypted.primary()
    other = Authority(tmp_path / "other", "another CA")
    good, ca = str(authority.issue("client")), str(authority.ca)
    for options in ({}, {"tls": True, "tlsCAFile": ca}, {"tls": True, "tlsCAFile": ca, "tlsCertificateKeyFile": str(other.issue("client"))},
                    {"tls": True, "tlsCAFile": str(other.ca), "tlsCertificateKeyFile": good}):
        with pytest.raises(PyMongoError):
            member.open(serverSelectionTimeoutMS=1000, **options).admin.command("ping")
    assert member.open(tls=True, tlsCAFile=ca, tlsCertificateKeyFile=good).admin.command("ping")


def test_clients_may_come_without_a_certificate_when_that_is_said(version, authority, keyfile):
    option = "--sslAllowConnectionsWithoutCertificates" if version == "4.0" else "--tlsAllowConnectionsWithoutCertificates"
    with TlsCluster(version, authority, keyfile, option) as cluster:
        cluster.initiate()
        client = cluster.primary().open(tls=True, tlsCAFile=str(authority.ca), username="__system", password=KEY, authSource="local")
        assert client.admin.command("replSetGetStatus")["myState"] == 1


def test_a_member_whose_certificate_bears_another_address_is_not_believed(version, authority, keyfile):
    with TlsCluster(version, authority, keyfile) as cluster:
        cluster.initiate()
        liar = cluster.secondaries()[0]
        liar.stop()
        authority.issue("liar", ["127.0.0.9"], liar.pem)
        context, cluster.tls = cluster.tls, ssl.create_default_context(cafile=str(authority.ca))
        cluster.tls.check_hostname = False
        cluster.tls.load_cert_chain(str(authority.issue("tests")))
        liar.start()
        cluster.tls = context
        primary = cluster.primary()
        state = lambda: next(m for m in primary.run("replSetGetStatus")["members"] if m["name"] == liar.host)
        wait_until(lambda: "does not match" in state().get("lastHeartbeatMessage", ""), what="the name being refused")
        liar.disconnect()


def test_an_address_is_an_ip_name_since_4_1_4_and_a_dns_name_before(authority, keyfile):
    """https://www.mongodb.com/docs/manual/release-notes/4.2/: so a member's certificate for 4.0 carries both."""
    with TlsCluster("4.0", authority, keyfile) as cluster:
        cluster.initiate()
        victim = cluster.secondaries()[0]
        victim.stop()
        authority.issue("ip alone", [victim.addresses[0]], victim.pem)
        victim.start()
        primary = cluster.primary()
        state = lambda: next(m for m in primary.run("replSetGetStatus")["members"] if m["name"] == victim.host)
        wait_until(lambda: "does not match" in state().get("lastHeartbeatMessage", ""), what="the IP name not counting")


def test_certificates_are_rotated_without_a_restart(authority, keyfile):
    with TlsCluster("7.0", authority, keyfile) as cluster:
        cluster.initiate()
        member = cluster.secondaries()[0]
        before = peer_certificate(cluster, member)
        authority.issue(member.addresses[0], [member.addresses[0]], member.pem)
        assert peer_certificate(cluster, member) == before
        member.run("rotateCertificates", message="tests")
        assert peer_certificate(cluster, member) != before
        assert member.state() == SECONDARY
        member.pem.write_text("this is none")
        assert member.error("rotateCertificates")["codeName"] == "InvalidSSLConfiguration"
        assert peer_certificate(cluster, member) != before  # the last good one stays


def peer_certificate(cluster, member):
    connection = Connection(member.host, None, cluster.tls)
    try:
        return connection.socket.getpeercert()["serialNumber"]
    finally:
        connection.close()


def test_older_servers_have_other_names_for_the_options(tmp_path, authority):
    pem = authority.issue("x")
    assert "unrecognised option" in exit_of(tmp_path, *tls_arguments("4.0", pem, authority.ca), "--server-version", "7.0")[1]
    assert "unrecognised option" in exit_of(tmp_path, *tls_arguments("7.0", pem, authority.ca), "--server-version", "4.0")[1]


@pytest.mark.parametrize("mode, plain, secure", [("disabled", True, False), ("allow", True, True), ("prefer", True, True), ("require", False, True)])
def test_modes_say_who_may_come_how(version, authority, mode, plain, secure):
    pem = authority.issue("x", names_of(version, "127.0.0.1"))
    options = tls_arguments(version, pem, authority.ca, mode=mode)
    if mode == "disabled":
        options[1] = "disabled"
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.check_hostname = False
    context.load_cert_chain(str(authority.issue("client")))
    with Cluster(1, arguments(version, None, *options), tls=None if plain else context) as cluster:
        for tls, works in ((None, plain), (context, secure)):
            try:
                Connection(cluster.members[0].host, None, tls).command({"ping": 1}, "admin")
                assert works, f"{mode}: {'TLS' if tls else 'plain'} should have been refused"
            except PyMongoError as error:
                assert not works, f"{mode}: {'TLS' if tls else 'plain'}: {error}"
