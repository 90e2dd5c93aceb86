"""Members speak TLS, with each other and with clients: who gets in, and how certificates are exchanged while people write."""
import contextlib
import hashlib
import socket
import ssl
import subprocess

import pymongo
import pymongo.errors
import pytest

import certificates
import sandboxes
import whole

REFUSED_NOT_READY = 4
OLD_SERVER = 'image: "mongo:4.0"\n      mongod: ["--server-version=4.0"]'


@pytest.fixture
def well(shared_sandbox):
    whole.be_healthy(shared_sandbox)
    return shared_sandbox


def ca_file(sandbox):
    return sandbox.dir / "controller" / "ca.pem"


def host_and_port(member):
    host, port = member["host"].rsplit(":", 1)
    return host, int(port)


def shown(sandbox, member):
    """The certificate that a client meets at the member's address, which it must bear: (SHA-256, its alternative names)."""
    context = ssl.create_default_context(cafile=ca_file(sandbox))
    with socket.create_connection(host_and_port(member), 20) as plain, context.wrap_socket(plain, server_hostname=host_and_port(member)[0]) as tls:
        der = tls.getpeercert(binary_form=True)
        return hashlib.sha256(der).hexdigest(), {value for _, value in tls.getpeercert()["subjectAltName"]}


def members(sandbox):
    return whole.the_set(sandbox.status())["members"]


def pids(sandbox):
    return {member["name"]: whole.mongod(sandbox, member).pid for member in members(sandbox)}


def reaches(sandbox, **options):
    """Whether a client with these options can ask the primary anything at all."""
    host = whole.primary_of(sandbox.status())["host"]
    with pymongo.MongoClient(f"mongodb://{host}/?directConnection=true", serverSelectionTimeoutMS=whole.SELECTION_MS, **options) as client:
        with contextlib.suppress(pymongo.errors.ServerSelectionTimeoutError, pymongo.errors.AutoReconnect):
            return client.admin.command("ping")["ok"] == 1
    return False


# ---- who gets in ----

def test_a_client_with_the_ca_gets_in_and_nobody_else(well, tmp_path):
    other = certificates.Authority(tmp_path, "another CA")
    trusted = {"tls": True, "tlsCAFile": str(ca_file(well))}
    assert reaches(well, **trusted)
    assert not reaches(well), "plain"
    assert not reaches(well, tls=True, tlsCAFile=str(other.ca)), "who trusts another CA doesn't believe the member"
    assert not reaches(well, **trusted, tlsCertificateKeyFile=str(other.issue("client"))), "a certificate of another CA"
    assert reaches(well, **trusted, tlsCertificateKeyFile=str(well.dir / "controller" / "admin.pem")), "one of the federation is none the worse"
    with pymongo.MongoClient(f"mongodb://{whole.primary_of(well.status())['host']}/", serverSelectionTimeoutMS=20000, **trusted) as client:
        with pytest.raises(pymongo.errors.OperationFailure) as raised:
            client.whole.writes.insert_one({})
        assert raised.value.code == 13, "TLS alone is no user"


def test_the_connection_string_is_complete(well):
    uri = well.atoll("connection-string", "mongo", "--with-password").stdout.strip()
    assert "tls=true" in uri and "tlsCAFile=" in uri
    with pymongo.MongoClient(uri, serverSelectionTimeoutMS=20000, w="majority") as client:
        client.whole.writes.insert_one({"_id": "by the string alone"})


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_protocols_are_not_spoken(well, version):
    host = whole.primary_of(well.status())["host"]
    done = subprocess.run(["openssl", "s_client", "-connect", host, version, "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert "Cipher is (NONE)" in done.stdout or done.returncode != 0


def test_each_member_bears_its_own_names_alone(well):
    seen = {member["name"]: shown(well, member) for member in members(well)}
    assert len({fingerprint for fingerprint, _ in seen.values()}) == 3
    for member in members(well):
        names = seen[member["name"]][1]
        assert names >= {host_and_port(member)[0], member["name"], member["service"], "localhost", "127.0.0.1"}
        others = {host_and_port(other)[0] for other in members(well) if other != member}
        assert not names & others


# ---- exchange ----

@pytest.mark.asan
def test_a_moved_address_has_its_certificate_before_the_configuration_follows_and_nobody_is_restarted(well):
    with whole.nothing_is_lost(well):
        before, running = well.status(), pids(well)
        member = whole.secondaries_of(before)[0]
        old = shown(well, member)[0]
        well.fault(member["name"], "move-address")
        after = well.wait_for(lambda status: whole.members_of(status)[member["name"]]["host"] != member["host"], what="the move to be followed")
        new, names = shown(well, whole.members_of(after)[member["name"]])  # whoever reads the new address can believe it at once
        assert new != old and host_and_port(whole.members_of(after)[member["name"]])[0] in names
        whole.healthy(well)
        assert pids(well) == running and whole.primary_of(well.status())["name"] == whole.primary_of(before)["name"]


@pytest.mark.timeout(300)
def test_all_certificates_and_the_ca_are_exchanged_while_a_client_writes(new_sandbox, tmp_path):
    sandbox = new_sandbox()
    sandbox.up()
    before, running = whole.healthy(sandbox), pids(sandbox)
    fingerprints = {member["name"]: shown(sandbox, member)[0] for member in members(sandbox)}
    former = tmp_path / "former-ca.pem"
    former.write_bytes(ca_file(sandbox).read_bytes())
    # who has written the bundle of the overlap down believes members before, while and afterwards
    with whole.nothing_is_lost(sandbox, same_version=True) as writer:
        for step in range(3):
            sandboxes.wait_until(lambda: sandbox.atoll("ca", "rotate", check=False).returncode == 0, 120 * sandbox.slowness, f"step {step + 1}")
            writer.wait_for_more(20)

            def exchanged():
                now = {member["name"]: shown(sandbox, member)[0] for member in members(sandbox)}
                return not set(now.values()) & set(fingerprints.values()) and now
            fingerprints = sandboxes.wait_until(exchanged, 60 * sandbox.slowness, "each member to show another certificate")
        whole.healthy(sandbox)
    assert pids(sandbox) == running, "nobody was restarted"
    assert whole.the_set(sandbox.status())["term"] == whole.the_set(before)["term"], "nor stepped down"
    sandboxes.wait_until(lambda: not reaches(sandbox, tls=True, tlsCAFile=str(former)), 60 * sandbox.slowness, "the former CA to count no more")
    for member in members(sandbox):
        shown(sandbox, member)


def test_a_step_of_the_exchange_waits_for_members_that_have_not_followed(new_sandbox):
    sandbox = new_sandbox()
    sandbox.up()
    whole.healthy(sandbox)
    with whole.stopped(whole.agent(sandbox, whole.ZONES[2])):
        assert sandbox.atoll("ca", "rotate").returncode == 0
        late = sandbox.atoll("ca", "rotate", check=False)
        assert late.returncode == REFUSED_NOT_READY and "mongo-node3" in late.stderr, late.stderr
    sandboxes.wait_until(lambda: sandbox.atoll("ca", "rotate", check=False).returncode == 0, 120 * sandbox.slowness, "the next step")


@pytest.mark.timeout(300)
def test_servers_that_load_certificates_only_at_their_start_are_restarted_one_by_one(new_sandbox):
    if sandboxes.os.environ.get("ATOLL_MONGOD"):
        pytest.skip("only the stand-in plays an old server on demand")
    sandbox = new_sandbox(spec=whole.SPEC.replace("image: mongo:7.0", OLD_SERVER))
    sandbox.up()
    before, running = whole.healthy(sandbox), pids(sandbox)
    assert {member["version"] for member in members(sandbox)} == {"4.0.3"}
    with whole.nothing_is_lost(sandbox):
        assert sandbox.atoll("ca", "rotate").returncode == 0
        sandbox.wait_for(lambda status: all(pid != running[name] for name, pid in pids(sandbox).items()), what="each to have been restarted")
        whole.healthy(sandbox)
    assert whole.the_set(sandbox.status())["term"] <= whole.the_set(before)["term"] + 1, "one step-down at most"


# ---- off ----

@pytest.mark.parametrize("how", ["in the spec"])
def test_tls_off_says_so(new_sandbox, how):
    sandbox = new_sandbox(spec=whole.SPEC.replace("spec:\n", "spec:\n  tls: false\n", 1))
    sandbox.up()
    status = whole.healthy(sandbox)
    assert whole.the_set(status)["tls"] is False and whole.the_set(status)["auth"] is True
    assert "tls: off: whoever is on the way" in " ".join(sandbox.atoll("status").stdout.split())
    assert "tls" not in sandbox.atoll("connection-string", "mongo").stdout
    assert reaches(sandbox) and not list((sandbox.dir / "zones").glob("*/secrets/*.pem"))
    sandbox.spec_file.write_text(whole.SPEC)
    refused = sandbox.atoll("apply", "-f", sandbox.spec_file, check=False)
    assert refused.returncode == 2 and "tls can't change from false to true" in refused.stderr
