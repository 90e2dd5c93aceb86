"""Who may do what over TLS: every route and agent message against every kind of caller, sessions, anonymous reading."""
import http.client
import json
import re
import sqlite3
import ssl
import subprocess
import time

import pytest

from test_access import ROUTES, record_sum
from test_trust import DEADLINE, SPEC, Federation, federation  # noqa: F401  (a fixture among them)

# What doesn't count, and the word that says why: each differs from one that counts by this alone.
FLAWED = {"token-unknown": "not known", "token-expired": "has expired", "token-revoked": "not known", "session-ended": "not known", "agent-revoked": "revoked",
          "agent-expired": "has expired", "admin-revoked": "revoked", "admin-expired": "has expired"}
CALLERS = ("nobody", "viewer", "operator", "admin", "token-viewer", "token-operator", "token-admin", "session", "agent", "agent-of-another-zone", *FLAWED)
# Who passes each rule of access.def. Whoever shows something that doesn't count passes only where nothing is needed.
EVERYBODY = set(CALLERS)
VIEWERS = {"viewer", "operator", "admin", "token-viewer", "token-operator", "token-admin", "session"}
OPERATORS, ADMINS = VIEWERS - {"viewer", "token-viewer", "session"}, {"admin", "token-admin"}
ALLOWED = {"PUBLIC": EVERYBODY, "STATUS": VIEWERS, "VIEW": VIEWERS, "OPERATE": OPERATORS, "ADMIN": ADMINS, "SECRET": ADMINS, "JOIN": EVERYBODY, "RENEW": {"agent"},
           "AGENT": {"agent"}}
UNKNOWN = {"nobody", *FLAWED}  # these get 401, the others 403


def openssl(*words, **more):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True, **more)


class Forger:
    """Signs with the federation's own CA, whose key is taken out of the store by its passphrase."""

    def __init__(self, made):
        self.passphrase, self.folder = made.passphrase, made.folder / "forger"
        self.folder.mkdir()
        with sqlite3.connect(made.dir / "controller.db") as store:
            sealed = store.execute("SELECT data FROM record WHERE key = 'trust/ca'").fetchone()[0]
        text = sealed.decode() if isinstance(sealed, bytes) else sealed
        (self.folder / "ca.crt").write_text(re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S).group())
        (self.folder / "ca.key").write_text(re.search(r"-----BEGIN ENCRYPTED PRIVATE KEY-----.*?-----END ENCRYPTED PRIVATE KEY-----\n", text, re.S).group())
        (self.folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca = own\n[own]\ndatabase = {self.folder}/index\nserial = {self.folder}/serial\nnew_certs_dir = {self.folder}\n"
            "default_md = sha384\npolicy = any\nunique_subject = no\nemail_in_dn = no\nx509_extensions = client\n"
            "[any]\norganizationName = supplied\ncommonName = supplied\n[client]\nextendedKeyUsage = clientAuth\nkeyUsage = critical, digitalSignature\n")

    def sign(self, name, subject, serial, begins, ends):
        """With a serial number of the caller's choice, so that it is on record as the one that counts."""
        (self.folder / "index").write_text("")
        (self.folder / "serial").write_text(serial + "\n")
        leaf = self.folder / name
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{leaf}.key", "-out", f"{leaf}.csr",
                "-subj", subject)
        openssl("ca", "-batch", "-config", self.folder / "ca.conf", "-cert", self.folder / "ca.crt", "-keyfile", self.folder / "ca.key",
                "-passin", f"file:{self.passphrase}", "-startdate", begins, "-enddate", ends, "-in", f"{leaf}.csr", "-out", f"{leaf}.crt", "-notext")
        pem = leaf.with_suffix(".pem")
        pem.write_text(leaf.with_suffix(".key").read_text() + leaf.with_suffix(".crt").read_text())
        return pem


PAST, NOW = ("20250101000000Z", "20250201000000Z"), ("20250101000000Z", "20990101000000Z")


def serial_of(made, name):
    return next(each["serial"] for each in json.loads(made.atoll("certificate", "list", "-o", "json").stdout)["certificates"] if each["name"] == name)


def let_expire(made, identifier):
    """A token's last day passes while the controller is away."""
    made.stop("controller")
    with sqlite3.connect(made.dir / "controller.db") as store:
        store.create_function("record_sum", 2, record_sum)
        store.execute("UPDATE record SET data = replace(data, '\"expiresMs\":', '\"expiresMs\":1,\"was\":') WHERE key = ?", (f"token/{identifier}",))
        assert store.execute("SELECT changes()").fetchone() == (1,)
        store.execute("UPDATE record SET sum = record_sum(key, data)")
    made.start()


class Voices:
    """What each kind of caller shows: a certificate's file, headers."""

    def __init__(self, made):
        self.made = made
        self.certificates, self.headers = {"admin": made.dir / "admin.pem"}, {}
        for role, name in (("viewer", "viewer"), ("operator", "operator"), ("admin", "admin-revoked"), ("admin", "admin-lasting")):
            self.certificates[name] = made.folder / f"{name}.pem"
            made.atoll("certificate", "create", f"a-{name}", "--role", role, "--out", self.certificates[name])
        made.atoll("certificate", "revoke", serial_of(made, "a-admin-revoked"))
        for role in ("viewer", "operator", "admin"):
            self.headers[f"token-{role}"] = self.token(f"the-{role}", role)
        for flaw in ("expired", "revoked"):
            self.headers[f"token-{flaw}"] = self.token(f"the-{flaw}", "admin")
        self.headers["token-unknown"] = bearer(f"atoll_{'0' * 12}_{'0' * 64}")
        made.atoll("token", "revoke", "the-revoked")
        let_expire(made, self.headers["token-expired"]["Authorization"].split("_")[1])
        # z2's agent loses its certificate, and comes back with another one
        made.join("removed", "z2", "127.0.252")
        made.stop("removed")
        made.atoll("zone", "remove", "z2")
        for name, zone, subnet in (("mine", "z1", "127.0.251"), ("other", "z2", "127.0.253")):
            made.join(name, zone, subnet)
            made.stop(name)
        for caller, name in (("agent", "mine"), ("agent-of-another-zone", "other"), ("agent-revoked", "removed")):
            self.certificates[caller] = made.folder / name / "identity.pem"
        self.forge()
        self.headers["session"], self.headers["session-ended"] = self.session(), self.session()
        assert self.ask("session-ended", "DELETE", "/v1/session")[0] == 200

    def token(self, name, role):
        return bearer(self.made.atoll("token", "create", name, "--role", role).stdout.strip())

    def session(self):
        return {"Cookie": self.ask("token-admin", "POST", "/v1/session")[1]["Set-Cookie"].split(";")[0]}

    def forge(self):
        """Certificates as those on record, with their serial numbers, which have expired, and others that haven't: by their dates alone these differ."""
        forger = Forger(self.made)
        for caller, subject, serial in (("agent", "/O=atoll:agents/CN=z1", self.made.zone("z1")["certificateSerial"]),
                                        ("admin", "/O=atoll:admins/CN=a-admin-lasting", serial_of(self.made, "a-admin-lasting"))):
            self.certificates[f"{caller}-expired"] = forger.sign(f"{caller}-expired", subject, serial, *PAST)
            self.certificates[f"{caller}-forged"] = forger.sign(f"{caller}-forged", subject, serial, *NOW)

    def ask(self, caller, method, path, body=None, headers=None):
        """(status, headers, text)"""
        context = ssl.create_default_context(cafile=self.made.dir / "ca.pem")
        if caller in self.certificates:
            context.load_cert_chain(self.certificates[caller])
        own = ("127.0.9.1" + str(CALLERS.index(caller) if caller in CALLERS else 99), 0)  # rates are by address
        connection = http.client.HTTPSConnection("127.0.0.1", self.made.port, timeout=DEADLINE, context=context, source_address=own)
        try:
            connection.request(method, path, body, {**self.headers.get(caller, {}), **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def voices(federation):  # noqa: F811
    return Voices(federation)


PLACES = {"/status/sets/{name}": "mongo", "/v1/sets/{name}/explain": "mongo", "/v1/sets/{name}/journal": "mongo", "/v1/tokens/{name}": "nobody-has-it",
          "/v1/certificates/{name}": "00", "/v1/zones/{name}/remove": "nobody-has-it"}
# What changes something for good is asked without what it would need.
BODIES = {"PUT /v1/federation": "nonsense", "POST /v1/federation:diff": SPEC, "POST /v1/ca:exchange": "[]"}
# A join token is shown in the body: whoever asks, with whatever certificate or token, gets what somebody without one gets.
JOINING = {"POST": (403, "this join token is not known"), "GET": (404, "no request of zone z1 with this key is known")}


def patient(voices, caller, *request):
    """Asked again when there are many of one kind at once."""
    answer = voices.ask(caller, *request)
    while answer[0] == 429:
        time.sleep(int(answer[1]["Retry-After"]))
        answer = voices.ask(caller, *request)
    return answer


@pytest.mark.timeout(600)
def test_exactly_the_allowed_callers_pass_each_route(voices):
    """Paths with a zone are asked for z1: the zone of `agent`, of the expired one's claims, not of the other nor of the revoked one."""
    assert {rule for _, _, _, rule in ROUTES} <= set(ALLOWED) and len(ROUTES) > 30
    wrong, asked = [], 0
    for function, method, pattern, rule in ROUTES:
        path = pattern.replace("{name}", PLACES.get(pattern, "z1"))
        body = BODIES.get(f"{method} {path}", "{}" if method in ("PUT", "POST") else None)
        for caller in CALLERS:
            how = "HEAD" if path == "/events" else method
            status, _, text = patient(voices, caller, how, path, body)
            asked += 1
            login, forbidden = status == 401, status == 403 and (how == "HEAD" or "may not do this" in text)
            if (not login and not forbidden) != (caller in ALLOWED[rule]) or (caller not in ALLOWED[rule] and login != (caller in UNKNOWN)):
                wrong.append((method, path, rule, caller, status, text[:100]))
            if rule == "JOIN" and (status != JOINING[method][0] or JOINING[method][1] not in text):
                wrong.append((method, path, rule, caller, status, text[:100]))
            if function == "serve_session_end" and caller == "session":
                voices.headers["session"] = voices.session()
    assert not wrong
    assert asked == len(ROUTES) * len(CALLERS)


def test_what_does_not_count_says_why(voices):
    for caller, word in {**FLAWED, "nobody": "Authorization: Bearer"}.items():
        status, _, text = voices.ask(caller, "GET", "/status")
        assert status == 401 and word in text, (caller, text)
    # and the same with other dates counts
    assert voices.ask("admin-forged", "GET", "/v1/tokens")[0] == 200
    assert voices.ask("agent-forged", "POST", "/v1/zones/z1/heartbeat", "{}")[0] == 422


def test_an_agent_reports_its_own_zone_alone(voices):
    """Nothing is wrong with these reports but whose they are."""
    def report(zone):
        return json.dumps({"zone": zone, "runId": "another-run", "version": "0.1.0", "sequence": 1, "epoch": 0, "revision": 0, "reached": False,
                           "driver": "local", "members": []})

    def heard(zone):
        return json.loads(voices.ask("admin", "GET", f"/status/zones/{zone}")[2])["lastReportAt"]

    before = {zone: heard(zone) for zone in ("z1", "z2")}
    status, _, text = voices.ask("agent", "PUT", "/v1/zones/z1/report", report("z2"))
    assert status == 422 and "is z2, but it was sent as zone z1" in text, text
    assert voices.ask("agent", "PUT", "/v1/zones/z2/report", report("z2"))[0] == 403
    assert voices.ask("agent", "PUT", "/v1/zones/z2/report", report("z1"))[0] == 403
    assert {zone: heard(zone) for zone in ("z1", "z2")} == before
    assert voices.ask("agent", "PUT", "/v1/zones/z1/report", report("z1"))[0] == 200
    assert heard("z1") != before["z1"] and heard("z2") == before["z2"]


def test_the_status_is_open_only_when_the_spec_says_so(voices):
    made = voices.made
    assert voices.ask("nobody", "GET", "/status")[0] == 401 and voices.ask("nobody", "GET", "/metrics")[0] == 401
    spec = made.folder / "opened.yaml"
    spec.write_text(SPEC.replace("spec:\n", "spec:\n  access: {anonymousStatus: true}\n", 1))
    made.atoll("apply", "-f", spec, "--why", "for the wall display")
    for path in ("/status", "/status/zones/z1", "/metrics"):
        assert voices.ask("nobody", "GET", path)[0] == 200, path
    for path in ("/v1/federation", "/v1/events", "/v1/zones", "/v1/audit", "/v1/zones/z1/intent"):
        assert voices.ask("nobody", "GET", path)[0] == 401, path
    assert voices.ask("token-unknown", "GET", "/status")[0] == 401, "who shows something wants to know that it doesn't count"
    spec.write_text(SPEC)
    made.atoll("apply", "-f", spec)
    assert voices.ask("nobody", "GET", "/status")[0] == 401


def test_a_session_reads_and_ends_with_its_token(voices):
    status, headers, text = voices.ask("token-admin", "POST", "/v1/session")
    assert status == 201 and json.loads(text)["role"] == "viewer"
    cookie = headers["Set-Cookie"]
    assert all(part in cookie for part in ("__Host-atoll=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"))
    shown = {"Cookie": f"theme=dark; {cookie.split(';')[0]}"}
    for path in ("/status", "/v1/federation", "/metrics"):
        assert voices.ask("nobody", "GET", path, headers=shown)[0] == 200
    for method, path in (("PUT", "/v1/federation"), ("POST", "/v1/tokens"), ("GET", "/v1/tokens"), ("GET", "/v1/audit")):
        assert voices.ask("nobody", method, path, "{}" if method != "GET" else None, shown)[0] == 403, path
    assert voices.ask("nobody", "POST", "/v1/session", headers=shown)[0] == 422, "a session opens no other"
    assert voices.ask("nobody", "DELETE", "/v1/session", headers={**shown, "Origin": "https://evil.example"})[0] == 403
    second = {"Cookie": voices.ask("token-viewer", "POST", "/v1/session")[1]["Set-Cookie"].split(";")[0]}
    assert voices.ask("nobody", "DELETE", "/v1/session", headers=shown)[0] == 200
    assert voices.ask("nobody", "GET", "/status", headers=shown)[0] == 401
    assert voices.ask("nobody", "GET", "/status", headers=second)[0] == 200
    voices.made.atoll("token", "revoke", "the-viewer")
    assert voices.ask("nobody", "GET", "/status", headers=second)[0] == 401
    third = {"Cookie": voices.ask("viewer", "POST", "/v1/session")[1]["Set-Cookie"].split(";")[0]}
    assert voices.ask("nobody", "GET", "/status", headers=third)[0] == 200
    voices.made.atoll("certificate", "revoke", serial_of(voices.made, "a-viewer"))
    assert voices.ask("nobody", "GET", "/status", headers=third)[0] == 401, "what it was opened with counts no more"
