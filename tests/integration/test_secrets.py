"""No secret shows: not on the wire, not to who looks at processes, not in logs, and in no file but those that docs/security.md names.

A sandbox lives its whole life while everything on the loopback is recorded; meanwhile its files and processes are looked at. Afterwards all
of that is searched for every secret that was found in it or made by the test: private keys, the numbers in them, keyfiles, tokens,
passphrases, passwords; in clear, in base64 and in hexadecimal."""
import base64
import pathlib
import re
import secrets as random_secrets
import socket
import urllib.parse

import pytest

import loopback_capture
import secrets_search
from sandboxes import processes_of

MEMBER_PORT, TLS_HANDSHAKE = 27017, b"\x16\x03"

needs_capture = pytest.mark.skipif(loopback_capture.why_not() is not None, reason=str(loopback_capture.why_not()))


# ---- the search itself can find ----

@pytest.mark.parametrize("form", [bytes, base64.b64encode, lambda secret: base64.b64encode(b"12" + secret + b"3"), lambda secret: secret.hex().encode()])
def test_each_form_of_a_secret_is_found(form):
    secret = random_secrets.token_bytes(32)
    assert secrets_search.leaks({"it": secret}, [("here", b"before" + form(secret) + b"after")]) == ["it in here"]
    assert secrets_search.leaks({"it": secret}, [("here", b"before" + form(random_secrets.token_bytes(32)))]) == []


def test_what_base64_stands_for_is_found_too():
    meant = random_secrets.token_bytes(48)
    keyfile = base64.encodebytes(meant)
    for shown in (meant, base64.b64encode(meant), keyfile):
        assert secrets_search.leaks({"keyfile": keyfile.strip()}, [("here", b"x" + shown)])


def test_secrets_are_recognized_in_files(tmp_path):
    import subprocess
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, capture_output=True)
    found = secrets_search.secrets_in(key, key.read_bytes())
    assert len(found) == 2 and sorted(len(secret) for secret in found.values())[0] == 32
    plain = subprocess.run(["openssl", "ec", "-in", key, "-outform", "DER"], check=True, capture_output=True).stdout
    assert secrets_search.leaks(found, [("DER of another form", plain)])
    for shown in (key.read_bytes(), repr(key.read_text()).encode(), key.read_text().replace("\n", "\r\n").encode()):
        assert len(secrets_search.leaks(found, [("the file", b"before " + shown)])) == 2
    token = f"atoll_{'a' * 12}_{'b' * 64}"
    assert list(secrets_search.secrets_in(pathlib.Path("x.log"), f"see {token}, there".encode()).values()) == [token.encode()]


@needs_capture
def test_what_goes_over_the_loopback_is_captured_whole():
    secret = random_secrets.token_bytes(32)
    with loopback_capture.Capture() as capture, socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in (b"a" * 1000 + secret[:10], secret[10:20], secret[20:]):
                client.sendall(part)
                peer.recv(2000)
    assert secrets_search.leaks({"it": secret}, capture.streams.items()) and not capture.dropped


# ---- a sandbox's life ----

def watch_life(sandbox):
    """Brings it up, uses it, and gives (secrets, places that were seen while it ran)."""
    made, places = {}, {}

    def look():
        for where, data in secrets_search.processes_text(processes_of(sandbox.dir)):
            places[where] = places.get(where, b"") + data
        for path, data in secrets_search.files_below(sandbox.dir):
            made.update(secrets_search.secrets_in(path, data))
            if not secrets_search.is_named(path, sandbox.dir):
                places[str(path)] = data
        journal = sandbox.atoll("journal", "mongo").stdout  # what people send each other after an incident
        assert '"plan"' in journal
        places["the journal"] = places.get("the journal", b"") + journal.encode()

    sandbox.up()
    look()
    for _ in range(2):
        asked = sandbox.atoll("connection-string", "mongo", "--with-password").stdout.strip()
        made["the administrator's password"] = urllib.parse.unquote(urllib.parse.urlsplit(asked.split(",")[0]).password or "").encode()
        sandbox.atoll("keyfile", "rotate", "mongo")
        sandbox.wait_healthy()
        look()
    for role in ("viewer", "admin"):
        token = sandbox.atoll("token", "create", f"the-{role}", "--role", role).stdout.strip().encode()
        made[f"token of {role}"] = token
        made[f"secret of the token of {role}"] = token.rsplit(b"_", 1)[1]
        file = sandbox.dir.parent / f"{role}.token"
        file.touch(mode=0o600)
        file.write_bytes(token)
        sandbox.atoll("status", "--token-file", file)
    token = sandbox.atoll("zone", "join-token", "us-east1-b").stdout.strip().encode()
    made["join token"], made["secret of the join token"] = token, token.split(b".")[2]
    made.update({f"key of {name}": key for name, key in person(sandbox, "jane").items()})
    sandbox.atoll("ca", "rotate")
    sandbox.atoll("sandbox", "fault", "mongo-node1", "move-address", "--dir", sandbox.dir)
    sandbox.wait_healthy()
    look()
    sandbox.atoll("token", "revoke", "the-admin")
    for process in sandbox.processes("atoll-zone-agent")[:1]:
        process.kill()  # and it comes back as who it was
    sandbox.wait_healthy()
    look()
    return made, places


def person(sandbox, name):
    """The secrets of a certificate that is made and used once."""
    file = sandbox.dir.parent / f"{name}.pem"
    sandbox.atoll("certificate", "create", name, "--role", "viewer", "--out", file)
    sandbox.atoll("status", "--certificate-file", file)
    return secrets_search.secrets_in(file, file.read_bytes())


def own_files_are_private(sandbox):
    """Those that hold secrets are their owner's alone."""
    open_ones = []
    for path, data in secrets_search.files_below(sandbox.dir):
        if secrets_search.secrets_in(path, data) and path.stat().st_mode & 0o077:
            open_ones.append(f"{path} {path.stat().st_mode & 0o777:o}")
    return open_ones


@needs_capture
@pytest.mark.timeout(400)
def test_no_secret_shows_in_a_sandboxs_whole_life(new_sandbox):
    sandbox = new_sandbox()
    with loopback_capture.Capture() as capture:
        made, places = watch_life(sandbox)
        assert own_files_are_private(sandbox) == []
        sandbox.down()
    assert secrets_search.leaks(made, places.items()) == []
    assert len(capture.streams) > 20 and sum(map(len, capture.streams.values())) > 100_000 and not capture.dropped
    assert any(re.search(r"key \d+$", what) for what in made), "a sandbox has private keys, and none was found"
    plain = {flow for flow, data in capture.streams.items() if MEMBER_PORT in (flow[0][1], flow[1][1]) and not data.startswith(TLS_HANDSHAKE)}
    assert not plain, "members speak TLS alone"
    assert secrets_search.leaks(made, [(f"the traffic {flow}", data) for flow, data in capture.streams.items()]) == []
