"""Who speaks for a zone, over TLS: enrolment, renewal, removal, an exchange of the CA, and where secrets must not be."""
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess

import psutil
import pytest

import test_access_tls
from sandboxes import wait_until

DEADLINE = 60
SPEC = """apiVersion: atoll/v1
kind: Federation
metadata: {name: trust}
spec:
  zones: [{name: z1, driver: local}, {name: z2, driver: local}]
  sets:
    - name: mongo
      image: mongo:7.0
      members: [{zone: z1}]
"""


class Federation:
    """A controller with TLS, its admin, and agents that are started by hand."""

    def __init__(self, bin_dir, folder, slowness):
        self.bin, self.folder, self.slowness = bin_dir, folder, slowness
        self.dir, self.passphrase = folder / "controller", folder / "passphrase"
        self.passphrase.write_text("the passphrase of these tests\n")
        self.passphrase.chmod(0o600)
        self.processes, self.port = {}, 0

    def start(self, *options):
        url = self.dir / "control-url"
        url.unlink(missing_ok=True)
        self.spawn("controller", "atoll-controller", "--dir", self.dir, "--ca-passphrase-file", self.passphrase, "--admin-file", self.dir / "admin.pem",
                   "--listen", f"127.0.0.1:{self.port}", "--read-listen", "127.0.0.1:0", *options)
        self.until(lambda: url.exists() or self.processes["controller"].poll() is not None, "the controller listens")
        assert self.processes["controller"].poll() is None, self.log("controller")
        self.url = url.read_text().strip()
        self.port = int(self.url.rsplit(":", 1)[1])
        assert self.url.startswith("https://")
        return self

    def spawn(self, name, program, *arguments):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([self.bin / program, *map(str, arguments)], stderr=log)

    def agent(self, name, zone, token=None, subnet="127.0.251"):
        more = []
        if token is not None:
            file = self.folder / f"{name}.token"
            file.write_text(token)
            file.chmod(0o600)
            more = ["--join-token-file", file]
        self.spawn(name, "atoll-zone-agent", "--dir", self.folder / name, "--zone", zone, "--controller", self.url, "--driver", "local",
                   "--subnet", subnet, "--mongod", os.environ.get("ATOLL_MONGOD", self.bin / "atoll-mongod-sim"), *more)

    def stop(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        return process.wait(DEADLINE)

    def lose_store(self):
        """And all that is in it, the CA too; another controller is told the spec."""
        self.stop("controller")
        for file in self.dir.glob("controller.db*"):
            file.unlink()
        self.start()
        self.atoll("apply", "-f", self.folder / "spec.yaml")

    def until(self, condition, what):
        return wait_until(condition, DEADLINE * self.slowness, what)

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def atoll(self, *words, check=True):
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "NO_COLOR": "1", "ATOLL_CONTROLLER": self.url,
                       "ATOLL_CA_FILE": str(self.dir / "ca.pem"), "ATOLL_CERTIFICATE_FILE": str(self.dir / "admin.pem")}
        done = subprocess.run([self.bin / "atoll", *map(str, words)], env=environment, capture_output=True, text=True, timeout=DEADLINE * self.slowness)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def zone(self, name):
        listed = json.loads(self.atoll("zone", "list", "-o", "json").stdout)["zones"]
        return next((each for each in listed if each["name"] == name), {"state": "unknown"})

    def token(self, zone, *more):
        return self.atoll("zone", "join-token", zone, *more).stdout.strip()

    def audit(self):
        return json.loads(self.atoll("audit", "-o", "json").stdout)["entries"]

    def text(self, path):
        """(status, body) as the admin."""
        return self.ask("GET", path, certificate=self.dir / "admin.pem", read=bytes.decode)

    def ask(self, method, path, body=None, certificate=None, trusted=None, read=json.loads):
        """(status, JSON) as whoever has the certificate; None: as nobody."""
        context = ssl.create_default_context(cafile=trusted or self.dir / "ca.pem")
        if certificate:
            context.load_cert_chain(certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=context)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, read(answer.read() or b"null")
        finally:
            connection.close()

    def join(self, name, zone, subnet="127.0.251"):
        self.agent(name, zone, self.token(zone, "--pre-approved"), subnet)
        self.until(lambda: self.zone(zone)["state"] == "joined", f"{zone} has joined")

    def clean_up(self):
        for name in list(self.processes):
            self.stop(name)
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in word for word in process.info["cmdline"] or []):
                process.kill()
                process.wait(DEADLINE)


@pytest.fixture
def federation(bin_dir, work_dir, sanitized):
    made = Federation(bin_dir, work_dir, 5 if sanitized else 1)
    try:
        made.start()
        spec = work_dir / "spec.yaml"
        spec.write_text(SPEC)
        made.atoll("apply", "-f", spec)
        yield made
    finally:
        made.clean_up()
    for log in work_dir.glob("*.log"):
        assert "Sanitizer" not in log.read_text(), log.read_text()


# ---- enrolment ----

@pytest.mark.asan
def test_a_zone_waits_until_somebody_approves_it(federation):
    federation.agent("a", "z1", federation.token("z1"))
    federation.until(lambda: federation.zone("z1")["state"] == "waiting", "the agent waits")
    key = federation.zone("z1")["waitingKey"]
    federation.until(lambda: f"atoll zone approve z1 --key {key[:16]}" in federation.log("a"), "the agent says so")
    assert "waiting" in federation.atoll("zone", "list").stdout
    for words in (("status",), ("explain", "mongo")):
        assert f"waits for approval: atoll zone approve z1 --key {key[:16]}" in federation.atoll(*words).stdout
    wrong = federation.atoll("zone", "approve", "z1", "--key", "0" * 16, check=False)
    assert wrong.returncode == 4 and federation.zone("z1")["state"] == "waiting", wrong.stderr
    federation.atoll("zone", "approve", "z1", "--key", key[:16], "--why", "the new zone")
    federation.until(lambda: federation.zone("z1")["state"] == "joined", "the agent has joined")
    identity = federation.folder / "a" / "identity.pem"
    assert identity.stat().st_mode & 0o777 == 0o600 and not (federation.folder / "a" / "enrol.pem").exists()
    shown = json.loads(federation.atoll("status", "-o", "json").stdout)
    zone = next(each for each in shown["zones"] if each["name"] == "z1")
    assert zone["enrolment"] == "joined" and zone["reason"] == "" and zone["certificateExpiresAt"] > shown["generatedAt"]
    assert shown["controller"]["tls"] is True and shown["controller"]["caExpiresAt"] > shown["controller"]["certificateExpiresAt"] > shown["generatedAt"]
    status, metrics = federation.text("/metrics")
    assert status == 200 and re.search(r'^atoll_certificate_expiry_timestamp_seconds\{of="agent",zone="z1"\} \d{10}$', metrics, re.M)
    approved = next(entry for entry in federation.audit() if entry["path"].endswith("/approve") and entry["outcome"] == "done")
    assert approved["who"]["name"] == "local-admin" and approved["why"] == "the new zone"
    federation.until(lambda: "connected to the controller" in federation.log("a"), "it is connected")
    federation.stop("a")
    federation.agent("a", "z1")  # its certificate is enough
    federation.until(lambda: federation.log("a").count("connected to the controller") == 2, "it is connected again")


def test_a_token_is_for_one_agent_of_one_zone(federation):
    token = federation.token("z1")
    federation.agent("a", "z1", token)
    federation.until(lambda: federation.zone("z1")["state"] == "waiting", "the agent waits")
    federation.agent("thief", "z1", token, "127.0.252")
    federation.until(lambda: "used already, by another key" in federation.log("thief"), "the second is refused")
    federation.agent("other", "z2", federation.token("z1"), "127.0.253")
    federation.until(lambda: "for another zone than z2" in federation.log("other"), "another zone is refused")
    refused = [entry for entry in federation.audit() if entry["path"].endswith("/enrol") and entry["outcome"] == "refused"]
    assert {entry["path"] for entry in refused} == {"/v1/zones/z1/enrol", "/v1/zones/z2/enrol"}
    assert federation.zone("z2")["state"] == "unknown"


def test_an_agent_sends_nothing_to_a_controller_that_its_token_does_not_name(federation):
    identifier, secret = federation.token("z1").split(".")[1:3]
    federation.agent("a", "z1", f"atj1.{identifier}.{secret}.{'0' * 64}")
    federation.until(lambda: "is not the one that the join token is for" in federation.log("a"), "the agent says so")
    assert federation.zone("z1")["state"] == "unknown" and not (federation.folder / "a" / "ca.pem").exists()
    assert not [entry for entry in federation.audit() if entry["path"].endswith("/enrol")]


def test_an_agent_without_certificate_or_token_ends_with_advice(federation):
    federation.agent("a", "z1")
    assert federation.processes.pop("a").wait(DEADLINE) == 1
    assert "atoll zone join-token z1" in federation.log("a")


# ---- who speaks for whom ----

def make_request(bin_dir, folder, name):
    """A key, and a request for its certificate."""
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "other.key",
                    "-out", folder / "other.csr", "-subj", f"/CN={name}"], check=True, capture_output=True)
    return (folder / "other.csr").read_text()


def test_an_agent_speaks_for_its_own_zone_alone(federation, bin_dir):
    assert federation.ask("GET", "/v1/zones")[0] == 401
    federation.join("a", "z1")
    federation.join("b", "z2", "127.0.252")
    mine, other = federation.folder / "a" / "identity.pem", federation.folder / "b" / "identity.pem"
    assert federation.ask("GET", "/v1/zones/z1/intent", certificate=mine)[0] in (200, 404)
    for method, path in (("GET", "/v1/zones/z2/intent"), ("PUT", "/v1/zones/z2/report"), ("POST", "/v1/zones/z2/heartbeat"),
                         ("POST", "/v1/zones/z2/renew"), ("GET", "/status"), ("GET", "/v1/zones"), ("POST", "/v1/zones/z1/approve"),
                         ("POST", "/v1/zones/z1/join-token"), ("POST", "/v1/ca:exchange"), ("PUT", "/v1/federation")):
        assert federation.ask(method, path, None if method == "GET" else {}, mine)[0] == 403, (method, path)
    # a renewal is for the zone whose certificate made the connection, and for its name alone
    request = make_request(bin_dir, federation.folder, "z1")
    status, answer = federation.ask("POST", "/v1/zones/z2/renew", {"request": request}, other)
    assert status == 403 and 'for "z1", not for "z2"' in answer["error"]["message"]
    assert federation.ask("POST", "/v1/zones/z1/renew", {"request": request}, other)[0] == 403
    assert federation.ask("POST", "/v1/zones/z1/renew", {"request": request}, federation.dir / "admin.pem")[0] == 403
    written = [(entry["path"], entry["who"].get("zone") or entry["who"]["name"], entry["status"]) for entry in federation.audit()
               if entry["path"].endswith("/renew") and entry["outcome"] == "refused"]
    for path, who in (("/v1/zones/z2/renew", "z2"), ("/v1/zones/z1/renew", "z2"), ("/v1/zones/z1/renew", "local-admin")):
        assert (path, who, 403) in written, written
    token = federation.token("z2", "--pre-approved")
    status, answer = federation.ask("POST", "/v1/zones/z2/enrol", {"request": request, "token": token})
    assert status == 403 and '"z1"' in answer["error"]["message"], answer
    assert ("/v1/zones/z2/enrol", "refused") in [(entry["path"], entry["outcome"]) for entry in federation.audit()]


def test_another_cas_certificate_is_shut_out(federation):
    folder = federation.folder
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "own.key", "-out",
                    folder / "own.crt", "-subj", "/O=atoll:admins/CN=local-admin", "-days", "1"], check=True, capture_output=True)
    (folder / "own.pem").write_text((folder / "own.key").read_text() + (folder / "own.crt").read_text())
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        federation.ask("GET", "/v1/zones", certificate=folder / "own.pem")
    with pytest.raises(ssl.SSLError):
        federation.ask("GET", "/v1/zones", trusted=folder / "own.crt")


def test_a_removed_agent_and_one_of_a_lost_ca_enrol_again_with_another_token(federation):
    federation.join("a", "z1")
    federation.until(lambda: "connected to the controller" in federation.log("a"), "it is connected")
    first = (federation.folder / "a" / "identity.pem").read_text()
    federation.atoll("zone", "remove", "z1")
    federation.until(lambda: "was used already" in federation.log("a") or "not known" in federation.log("a"), "its old token is of no use")
    (federation.folder / "a.token").write_text(federation.token("z1", "--pre-approved"))
    federation.until(lambda: federation.zone("z1")["state"] == "joined", "another token lets it in")
    second = (federation.folder / "a" / "identity.pem").read_text()
    assert second != first
    federation.lose_store()
    (federation.folder / "a.token").write_text(federation.token("z1", "--pre-approved"))
    federation.until(lambda: federation.zone("z1")["state"] == "joined", "it believes the CA that the token names")
    assert (federation.folder / "a" / "identity.pem").read_text() != second


def test_an_agent_that_waits_for_a_controller_whose_store_was_lost_takes_another_token(federation):
    """It trusts the old CA alone meanwhile, and the new controller's certificate is of another."""
    federation.agent("a", "z1", federation.token("z1"))
    federation.until(lambda: federation.zone("z1")["state"] == "waiting", "the agent waits")
    federation.lose_store()
    (federation.folder / "a.token").write_text(federation.token("z1", "--pre-approved"))
    federation.until(lambda: federation.zone("z1")["state"] == "joined", "it believes the CA that the token names")


def test_an_agent_whose_certificate_ended_while_it_was_off_takes_a_token(federation):
    """It begins by renewing, which needs one that counts."""
    federation.join("a", "z1")
    federation.until(lambda: "connected to the controller" in federation.log("a"), "it is connected")
    federation.stop("a")
    identity = federation.folder / "a" / "identity.pem"
    old = test_access_tls.Forger(federation).sign("ended", "/O=atoll:agents/CN=z1", federation.zone("z1")["certificateSerial"], *test_access_tls.PAST).read_text()
    identity.write_text(old)
    federation.agent("a", "z1", federation.token("z1", "--pre-approved"))
    federation.until(lambda: identity.read_text() != old, "it has another certificate")
    federation.until(lambda: federation.log("a").count("connected to the controller") == 2, "it is connected again")


def test_people_are_made_and_revoked(federation):
    out = federation.folder / "jane.pem"
    federation.atoll("certificate", "create", "jane", "--role", "viewer", "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600
    assert federation.atoll("certificate", "create", "jane", "--role", "admin", "--out", out, check=False).returncode == 1, "it is not overwritten"
    assert federation.ask("GET", "/v1/zones", certificate=out)[0] == 200
    assert federation.ask("POST", "/v1/zones/z1/remove", {}, out)[0] == 403
    serial = next(each["serial"] for each in json.loads(federation.atoll("certificate", "list", "-o", "json").stdout)["certificates"] if each["name"] == "jane")
    federation.atoll("certificate", "revoke", serial)
    status, answer = federation.ask("GET", "/v1/zones", certificate=out)
    assert status == 401 and "revoked" in answer["error"]["message"]


# ---- a stop of the controller, its passphrase ----

def test_a_killed_controller_comes_back_as_the_same(federation):
    federation.join("a", "z1")
    federation.until(lambda: "connected to the controller" in federation.log("a"), "it is connected")
    ca = (federation.dir / "ca.pem").read_text()
    federation.stop("controller", signal.SIGKILL)
    federation.start()
    assert (federation.dir / "ca.pem").read_text() == ca
    federation.until(lambda: federation.log("a").count("connected to the controller") >= 2, "the agent is connected again")
    assert "made a CA" in federation.log("controller") and "opened the CA" in federation.log("controller")


def test_without_its_passphrase_the_controller_does_not_start(federation):
    federation.stop("controller")
    run = [federation.bin / "atoll-controller", "--dir", federation.dir, "--listen", "127.0.0.1:0"]
    environment = {"PATH": os.environ["PATH"]}

    def fails(*options, **more):
        done = subprocess.run([*run, *map(str, options)], env=environment | more, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 1
        return done.stderr

    assert "--ca-passphrase-file FILE" in fails()
    other = federation.folder / "other"
    other.write_text("another passphrase …\n")
    other.chmod(0o644)
    assert "chmod 0600" in fails("--ca-passphrase-file", other)
    other.chmod(0o600)
    assert "doesn't open the CA's key" in fails("--ca-passphrase-file", other)
    other.write_text("\n")
    assert "is empty" in fails("--ca-passphrase-file", other)
    credentials = federation.folder / "credentials"  # as systemd gives them
    credentials.mkdir()
    (credentials / "ca-passphrase").write_text("wrong, but it was read\n")
    (credentials / "ca-passphrase").chmod(0o400)
    assert "doesn't open the CA's key" in fails(CREDENTIALS_DIRECTORY=str(credentials))


# ---- a sandbox ----

@pytest.mark.timeout(600)
def test_an_exchange_of_the_ca_leaves_the_set_healthy(sandbox):
    identities = {path: path.read_text() for path in (sandbox.dir / "zones").glob("*/identity.pem")}
    ca = (sandbox.dir / "controller/ca.pem").read_text()
    assert len(identities) == 3 and ca.count("BEGIN CERTIFICATE") == 1
    unhealthy = []

    def step():
        """Refused until every zone is ready for it."""
        done = sandbox.atoll("ca", "rotate", check=False)
        status = sandbox.status()
        if status["sets"][0]["phase"] not in ("Healthy", "Reconfiguring") or status["summary"]["connectedZones"] != 3:
            unhealthy.append(status["sets"][0]["phase"])
        return done.returncode == 0 or ("zones" not in done.stderr and "newest certificate" not in done.stderr and done)

    for stage in ("announced", "switched", "steady"):
        assert wait_until(step, 120 * sandbox.slowness, f"the CA is {stage}") is True
        assert json.loads(sandbox.atoll("ca", "show", "-o", "json").stdout)["stage"] == stage
    assert not unhealthy
    assert all(path.read_text() != text for path, text in identities.items()), "every agent has another certificate"
    now = (sandbox.dir / "controller/ca.pem").read_text()
    assert now != ca and now.count("BEGIN CERTIFICATE") == 1
    wait_until(lambda: all(path.with_name("ca.pem").read_text() == now for path in identities), 60 * sandbox.slowness, "the agents trust the new CA alone")
    old = sandbox.dir.parent / "old.pem"
    old.write_text(next(iter(identities.values())))
    context = ssl.create_default_context(cafile=sandbox.dir / "controller/ca.pem")
    context.load_cert_chain(old)
    connection = http.client.HTTPSConnection(sandbox.control_url.removeprefix("https://"), timeout=DEADLINE, context=context)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        connection.request("GET", "/v1/zones")
        connection.getresponse()
    connection.close()


@pytest.mark.timeout(600)
def test_a_removed_zone_is_out_at_once(sandbox):
    zone = json.loads(sandbox.atoll("zone", "list", "-o", "json").stdout)["zones"][0]["name"]
    log = sandbox.dir / "logs" / f"zone-{zone}.log"
    sandbox.atoll("zone", "remove", zone, "--why", "its laptop was stolen")
    wait_until(lambda: "revoked" in log.read_text(), DEADLINE * sandbox.slowness, "the agent is told")
    sandbox.wait_for(lambda status: next(each for each in status["zones"] if each["name"] == zone)["state"] == "Unknown", what="nobody is heard of that zone")
    assert sandbox.status()["sets"][0]["primary"], "its members go on"


def readable(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.timeout(600)
def test_secrets_are_nowhere_but_in_their_files(sandbox):
    secrets = {"passphrase": (sandbox.dir / "controller/ca-passphrase").read_text().strip().encode()}
    private = re.compile(rb"-----BEGIN PRIVATE KEY-----\n(\S+)\n")
    for path in (sandbox.dir / "controller/admin.pem", *(sandbox.dir / "zones").glob("*/identity.pem")):
        secrets[str(path)] = private.search(path.read_bytes()).group(1)
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(secrets) == 5
    zones = sandbox.dir / "zones"
    named = {sandbox.dir / "controller/ca-passphrase", sandbox.dir / "controller/admin.pem", *zones.glob("*/identity.pem"), *zones.glob("*/keys/*"),
             *zones.glob("*/secrets/*")}
    wait_until(lambda: not list((sandbox.dir / "zones").glob("*/join-token")), DEADLINE * sandbox.slowness, "used tokens are removed")
    for path in sandbox.dir.rglob("*"):
        if path.is_file() and path not in named:
            text = readable(path)
            assert b"BEGIN PRIVATE KEY" not in text and not re.search(rb"atj1\.[0-9a-f]{16}\.[0-9a-f]{64}", text), path
            assert not [name for name, secret in secrets.items() if secret in text], path
    for process in sandbox.processes():
        for what in ("cmdline", "environ"):
            text = readable(pathlib.Path(f"/proc/{process.pid}/{what}"))
            assert not [name for name, secret in secrets.items() if secret in text] and b"atj1." not in text, (process, what)
        if "atoll-controller" in process.name() or "atoll-zone" in process.name():
            assert re.search(rb"^Max core file size\s+1\s+1\s", readable(pathlib.Path(f"/proc/{process.pid}/limits")), re.M)


def test_an_agent_stays_small(sandbox, sanitized):
    if sanitized:
        pytest.skip("sanitizers take memory of their own")
    for process in sandbox.processes():
        if "atoll-zone" in process.name():
            text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            assert int(re.search(r"^Anonymous:\s+(\d+) kB", text, re.M).group(1)) < 4096
