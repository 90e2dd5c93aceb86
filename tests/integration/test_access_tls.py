"""Who may do what over TLS: every route and agent message against every kind of caller, sessions, anonymous reading."""
import http.client
import json
import re
import sqlite3
import ssl
import subprocess
import time

import pytest

from test_access import ROUTES
from test_trust import DEADLINE, SPEC, Federation, federation  # noqa: F401  (a fixture among them)

CALLERS = ("nobody", "viewer", "operator", "admin", "token-viewer", "token-operator", "token-admin", "token-unknown", "agent", "agent-of-another-zone",
           "agent-revoked", "expired")
# Who passes each rule of access.def. Whoever shows something that doesn't count passes only where nothing is needed.
EVERYBODY = set(CALLERS)
VIEWERS = {"viewer", "operator", "admin", "token-viewer", "token-operator", "token-admin"}
OPERATORS, ADMINS = VIEWERS - {"viewer", "token-viewer"}, {"admin", "token-admin"}
ALLOWED = {"PUBLIC": EVERYBODY, "STATUS": VIEWERS, "VIEW": VIEWERS, "OPERATE": OPERATORS, "ADMIN": ADMINS, "SECRET": ADMINS, "JOIN": EVERYBODY, "AGENT": {"agent"}}
UNKNOWN = {"nobody", "token-unknown", "agent-revoked", "expired"}  # these get 401, the others 403


def openssl(*words, **more):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, text=True, **more)


def expired_certificate(made, zone):
    """One that the federation's own CA signed for the zone, and that ended yesterday: with the CA's key out of the store, by its passphrase."""
    folder = made.folder / "forger"
    folder.mkdir()
    with sqlite3.connect(made.dir / "controller.db") as store:
        sealed = store.execute("SELECT data FROM record WHERE key = 'trust/ca'").fetchone()[0]
    text = sealed.decode() if isinstance(sealed, bytes) else sealed
    (folder / "ca.crt").write_text(re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.S).group())
    (folder / "ca.key").write_text(re.search(r"-----BEGIN ENCRYPTED PRIVATE KEY-----.*?-----END ENCRYPTED PRIVATE KEY-----\n", text, re.S).group())
    (folder / "index").touch()
    (folder / "serial").write_text("1234567890ABCDEF\n")
    (folder / "ca.conf").write_text(
        f"[ca]\ndefault_ca = own\n[own]\ndatabase = {folder}/index\nserial = {folder}/serial\nnew_certs_dir = {folder}\ndefault_md = sha384\n"
        "policy = any\nunique_subject = no\nemail_in_dn = no\nx509_extensions = client\n[any]\norganizationName = supplied\ncommonName = supplied\n"
        "[client]\nextendedKeyUsage = clientAuth\nkeyUsage = critical, digitalSignature\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr",
            "-subj", f"/O=atoll:agents/CN={zone}")
    openssl("ca", "-batch", "-config", folder / "ca.conf", "-cert", folder / "ca.crt", "-keyfile", folder / "ca.key", "-passin", f"file:{made.passphrase}",
            "-startdate", "20250101000000Z", "-enddate", "20250201000000Z", "-in", folder / "leaf.csr", "-out", folder / "leaf.crt", "-notext")
    (folder / "leaf.pem").write_text((folder / "leaf.key").read_text() + (folder / "leaf.crt").read_text())
    return folder / "leaf.pem"


class Voices:
    """What each kind of caller shows: a certificate's file, headers."""

    def __init__(self, made):
        self.made = made
        self.certificates, self.headers = {"admin": made.dir / "admin.pem"}, {}
        for role in ("viewer", "operator"):
            self.certificates[role] = made.folder / f"{role}.pem"
            made.atoll("certificate", "create", f"a-{role}", "--role", role, "--out", self.certificates[role])
        for role in ("viewer", "operator", "admin"):
            self.headers[f"token-{role}"] = bearer(made.atoll("token", "create", f"the-{role}", "--role", role).stdout.strip())
        self.headers["token-unknown"] = bearer(f"atoll_{'0' * 12}_{'0' * 64}")
        # z2's agent loses its certificate, and comes back with another one
        made.join("removed", "z2", "127.0.252")
        made.stop("removed")
        made.atoll("zone", "remove", "z2")
        for name, zone, subnet in (("mine", "z1", "127.0.251"), ("other", "z2", "127.0.253")):
            made.join(name, zone, subnet)
            made.stop(name)
        for caller, name in (("agent", "mine"), ("agent-of-another-zone", "other"), ("agent-revoked", "removed")):
            self.certificates[caller] = made.folder / name / "identity.pem"
        self.certificates["expired"] = expired_certificate(made, "z1")

    def ask(self, caller, method, path, body=None, headers=None):
        """(status, headers, text)"""
        context = ssl.create_default_context(cafile=self.made.dir / "ca.pem")
        if caller in self.certificates:
            context.load_cert_chain(self.certificates[caller])
        own = ("127.0.9.1" + str(CALLERS.index(caller)), 0)  # rates are by address
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
          "/v1/certificates/{name}": "00"}


@pytest.mark.timeout(400)
def test_exactly_the_allowed_callers_pass_each_route(voices):
    """Paths with a zone are asked for z1: the zone of `agent`, of the revoked agent's and the expired certificate's claims, not of the other."""
    assert {rule for _, _, _, rule in ROUTES} <= set(ALLOWED) and len(ROUTES) > 30
    wrong, asked = [], 0
    for function, method, pattern, rule in ROUTES:
        path = pattern.replace("{name}", PLACES.get(pattern, "z1"))
        # what changes something for good is asked without what it would need
        body = {"PUT /v1/federation": "nonsense", "POST /v1/federation:diff": SPEC}.get(f"{method} {path}", "{}" if method in ("PUT", "POST") else None)
        for caller in CALLERS:
            if function in ("serve_ca_exchange", "serve_zone_remove") and caller in ALLOWED[rule]:
                continue  # it would be done
            how = "HEAD" if path in ("/events",) else method
            status, headers, text = voices.ask(caller, how, path, body)
            while status == 429:  # many of one kind at once
                time.sleep(int(headers["Retry-After"]))
                status, headers, text = voices.ask(caller, how, path, body)
            asked += 1
            login, forbidden = status == 401, status == 403 and "may not do this" in text or how == "HEAD" and status == 403
            if (not login and not forbidden) != (caller in ALLOWED[rule]) and not (rule == "JOIN" and status in (401, 403)):
                wrong.append((method, path, rule, caller, status, text[:100]))
            elif caller not in ALLOWED[rule] and login != (caller in UNKNOWN):
                wrong.append((method, path, rule, caller, status, text[:100]))
    assert not wrong
    assert asked > 300


def test_what_does_not_count_says_why(voices):
    for caller, word in (("agent-revoked", "revoked"), ("expired", "expired"), ("token-unknown", "not known"), ("nobody", "Authorization: Bearer")):
        status, _, text = voices.ask(caller, "GET", "/status")
        assert status == 401 and word in text, (caller, text)


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
    serial = next(each["serial"] for each in json.loads(voices.made.atoll("certificate", "list", "-o", "json").stdout)["certificates"]
                  if each["name"] == "a-viewer")
    voices.made.atoll("certificate", "revoke", serial)
    assert voices.ask("nobody", "GET", "/status", headers=third)[0] == 401, "what it was opened with counts no more"
