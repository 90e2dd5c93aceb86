"""Who may do what, over HTTP: every route against every kind of caller, tokens, the audit log, limits and floods."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess

import pytest

from controller_daemon import SPEC, Agent, Controller
from sandboxes import wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
ROUTES = re.findall(r'^X\((\w+), "([A-Z]+)", "([^"]+)", (\w+),', (SOURCE / "controller/serve/routes.def").read_text(), re.M)
ROLES = ("viewer", "operator", "admin")


@pytest.fixture
def controller(bin_dir, work_dir):
    made = Controller(bin_dir / "atoll-controller", work_dir / "controller")
    made.dir.mkdir()
    made.start()
    yield made
    code = made.stop()
    assert code in (0, -signal.SIGKILL), made.log()
    assert "Sanitizer" not in made.log()


def make_token(controller, name, role, **more):
    answer = controller.ask("POST", "/v1/tokens", json.dumps({"name": name, "role": role, **more}))
    assert answer.status == 201, answer.body
    return answer.json()


def record_sum(*values):
    """The checksum that the store keeps beside each record: FNV-1a, as in store_sqlite.c."""
    result = 0xcbf29ce484222325
    for value in values:
        data = value.encode() if isinstance(value, str) else value
        for byte in data:
            result = (result ^ byte) * 0x100000001b3 % 2**64
        result = (result ^ len(data)) * 0x100000001b3 % 2**64
    return result - 2**64 if result >= 2**63 else result


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def audit(controller, **query):
    return controller.get("/v1/audit?" + "&".join(f"{key}={value}" for key, value in query.items())).json()["entries"]


@pytest.fixture
def tokens(controller):
    assert controller.apply().status == 200
    return {role: make_token(controller, f"the-{role}", role)["token"] for role in ROLES}


# ---- every route against every caller ----

# What each rule of access.def lets pass on the listener that changes things. `local` is whoever comes over the loopback without TLS.
ALLOWED = {
    "PUBLIC": {"local", "unknown", "viewer", "operator", "admin"},
    "STATUS": {"local", "viewer", "operator", "admin"},
    "VIEW": {"local", "viewer", "operator", "admin"},
    "OPERATE": {"local", "operator", "admin"},
    "ADMIN": {"local", "admin"},
    "SECRET": {"local", "admin"},
    "JOIN": {"local", "unknown", "viewer", "operator", "admin"},
    "RENEW": {"local"},
    "AGENT": {"local"},
}
PLACES = {"/status/sets/{name}": "mongo", "/status/zones/{name}": "z1", "/v1/sets/{name}/explain": "mongo", "/v1/tokens/{name}": "nobody-has-it"}


@pytest.mark.asan
def test_exactly_the_allowed_callers_pass_each_route(controller, tokens):
    callers = {"local": {}, "unknown": bearer("atoll_000000000000_" + "0" * 64), **{role: bearer(tokens[role]) for role in ROLES}}
    assert len(ROUTES) >= 21 and {rule for _, _, _, rule in ROUTES} <= set(ALLOWED)
    wrong = []
    for _, method, pattern, rule in ROUTES:
        path = pattern.replace("{name}", PLACES.get(pattern, "z1"))
        for caller, headers in callers.items():
            body = SPEC if "federation" in path and method != "GET" else "{}" if method in ("PUT", "POST") else None
            if path == "/events":
                answer = controller.ask("HEAD", path, headers=headers)
            else:
                answer = controller.ask(method, path, body, headers)
            passed = answer.status not in (401, 403)
            if passed != (caller in ALLOWED[rule]):
                wrong.append((method, path, rule, caller, answer.status))
            if not passed:
                assert answer.status == (401 if caller == "unknown" else 403), (method, path, caller)
                assert caller != "unknown" or answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert not wrong


def test_each_routes_rule_is_the_one_that_was_meant():
    """Who may do what changes on purpose alone: `ATOLL_REWRITE_GOLDEN=1` writes the table anew."""
    table = SOURCE / "tests/tables/access.txt"
    rules = "".join(f"{rule:8} {method:6} {pattern}\n" for _, method, pattern, rule in sorted(ROUTES, key=lambda route: (route[3], route[2], route[1])))
    if os.environ.get("ATOLL_REWRITE_GOLDEN"):
        table.write_text(rules)
    assert table.read_text() == rules, "a path's rule changed: run this test with ATOLL_REWRITE_GOLDEN=1 if that was meant"


def test_the_reading_listener_knows_nobody(controller, tokens):
    for _, method, pattern, rule in ROUTES:
        path = pattern.replace("{name}", PLACES.get(pattern, "z1"))
        for headers in ({}, bearer(tokens["admin"])):
            answer = controller.ask("HEAD" if path == "/events" else method, path, "{}" if method in ("PUT", "POST") else None, headers,
                                    url=controller.read_url)
            assert (answer.status == 403) == (rule not in ("PUBLIC", "STATUS")), (method, path, answer.status)


def test_a_page_of_another_site_changes_nothing(controller, tokens):
    here = f"http://{controller.url.netloc}"
    assert controller.ask("PUT", "/v1/federation", SPEC, {"Origin": "http://evil.example"}).status == 403
    assert controller.ask("PUT", "/v1/federation", SPEC, {"Origin": "null"}).status == 403
    assert controller.ask("POST", "/v1/tokens", '{"name":"a","role":"admin"}', {"Origin": "http://127.0.0.1:1"}).status == 403
    assert controller.ask("PUT", "/v1/federation", SPEC, {"Origin": here}).status == 200


def test_opening_doors_needs_an_admin(controller, tokens):
    opened = SPEC.replace("spec:\n", "spec:\n  access: {anonymousStatus: true}\n")
    answer = controller.ask("PUT", "/v1/federation", opened, bearer(tokens["operator"]))
    assert answer.status == 403 and "admin" in answer.error["message"]
    assert "anonymousStatus: true" not in controller.get("/v1/federation", Accept="application/yaml").body.decode()
    assert controller.ask("PUT", "/v1/federation", opened, bearer(tokens["admin"])).status == 200
    longer = opened.replace("image: mongo:7.0", "image: mongo:7.0.1")
    assert controller.ask("PUT", "/v1/federation", longer, bearer(tokens["operator"])).status == 200


# ---- tokens ----

def test_a_token_lives_until_it_is_revoked_or_over(controller, tokens):
    assert controller.ask("GET", "/v1/federation", headers=bearer(tokens["viewer"])).status == 200
    listed = controller.get("/v1/tokens").json()["tokens"]
    assert sorted(token["name"] for token in listed) == ["the-admin", "the-operator", "the-viewer"]
    assert [token["lastUsedAt"] is not None for token in listed if token["name"] == "the-viewer"] == [True]
    controller.stop()
    controller.start()
    assert controller.ask("GET", "/v1/federation", headers=bearer(tokens["viewer"])).status == 200
    stream = controller.ask("HEAD", "/events", headers=bearer(tokens["viewer"]))
    assert stream.status == 200
    assert controller.ask("DELETE", "/v1/tokens/the-viewer").status == 200
    answer = controller.ask("GET", "/v1/federation", headers=bearer(tokens["viewer"]))
    assert answer.status == 401 and "not known" in answer.error["message"]
    assert controller.ask("DELETE", "/v1/tokens/the-viewer").status == 404
    over = make_token(controller, "short", "viewer", days=1)
    controller.stop()
    with sqlite3.connect(controller.dir / "controller.db") as store:
        store.create_function("record_sum", 2, record_sum)
        store.execute("UPDATE record SET data = replace(data, '\"expiresMs\":', '\"expiresMs\":1,\"was\":') WHERE key = ?", (f"token/{over['id']}",))
        store.execute("UPDATE record SET sum = record_sum(key, data)")
    controller.start()
    answer = controller.ask("GET", "/v1/federation", headers=bearer(over["token"]))
    assert answer.status == 401 and "expired" in answer.error["message"]


def test_a_stream_ends_with_its_token(controller, tokens):
    import http.client
    connection = http.client.HTTPConnection(*controller.url.netloc.split(":"), timeout=60)
    connection.request("GET", "/events", headers=bearer(tokens["viewer"]))
    response = connection.getresponse()
    assert response.readline()
    assert controller.ask("DELETE", "/v1/tokens/the-viewer").status == 200
    while response.readline():
        pass
    connection.close()


def test_neither_store_nor_log_holds_a_token(controller, tokens):
    controller.stop()
    found = []
    for path in [controller.dir.with_suffix(".log"), *(p for p in controller.dir.rglob("*") if p.is_file())]:
        text = path.read_bytes()
        found += [(path, name) for name, token in tokens.items() if token.encode() in text or token.rsplit("_", 1)[1].encode() in text]
    assert not found


def test_bad_wishes_for_tokens_are_refused(controller):
    for body in ("", "{}", '{"name":"a b","role":"admin"}', '{"name":"a","role":"root"}', '{"name":"a","role":"admin","days":0}',
                 '{"name":"a","role":"admin","days":1000}', '{"name":"a","role":"agent"}', "x" * 5000):
        answer = controller.ask("POST", "/v1/tokens", body)
        assert answer.status == (422 if len(body) < 5000 else 413), (body[:60], answer.status)
    assert controller.get("/v1/tokens").json()["tokens"] == []


# ---- the audit log ----

@pytest.mark.asan
def test_every_change_is_in_the_audit_log(controller, tokens):
    changed = SPEC.replace("mongo:7.0", "mongo:7.0.5")
    assert controller.ask("PUT", "/v1/federation", changed, {**bearer(tokens["operator"]), "Atoll-Why": "patch%20of%20%1b%5b2J%0atoday"}).status == 200
    assert controller.ask("PUT", "/v1/federation", changed, bearer(tokens["viewer"])).status == 403
    assert controller.ask("PUT", "/v1/federation", "nonsense", bearer(tokens["operator"])).status == 422
    assert controller.ask("PUT", "/v1/federation?dryRun=true", changed).status == 200
    failed, refused, done, *before = audit(controller)
    assert (done["outcome"], done["status"], done["method"], done["path"]) == ("done", 200, "PUT", "/v1/federation")
    assert done["who"]["kind"] == "operator" and done["who"]["name"] == "the-operator" and done["who"]["proof"] == "token"
    assert done["from"].startswith("127.0.0.1:") and done["why"] == "patch of \x1b[2J\ntoday" and "revision 2" in done["detail"]
    assert (refused["outcome"], refused["status"], refused["who"]["name"]) == ("refused", 403, "the-viewer")
    assert (failed["outcome"], failed["status"]) == ("failed", 422) and "error" in failed["detail"]
    assert [entry["path"] for entry in before] == ["/v1/tokens"] * 3 + ["/v1/federation"]
    assert before[-1]["who"] == {"kind": "admin", "name": "", "zone": "", "proof": "loopback", "mark": ""}
    assert [entry["id"] for entry in audit(controller, limit=2, before=done["id"])] == [before[0]["id"], before[1]["id"]]
    log = controller.log()
    line = [line for line in log.splitlines() if "/audit: done: PUT /v1/federation by operator the-operator" in line]
    assert len(line) == 1 and "\\x1b[2J\\ntoday" in line[0] and "\x1b" not in log


def test_the_audit_log_survives_and_shows_what_was_cut_off(controller, tokens):
    controller.stop(signal.SIGKILL)
    with sqlite3.connect(controller.dir / "controller.db") as store:
        store.execute("INSERT INTO log (ended, data) SELECT 0, replace(data, '\"done\"', '\"begun\"') FROM log WHERE id = 1")
    controller.start()
    newest, *_ = audit(controller)
    assert newest["outcome"] == "begun"
    assert len(audit(controller)) == 5


def test_nothing_is_changed_that_cannot_be_written_down(controller, tokens):
    os.chmod(controller.dir / "controller.db", 0o600)
    with sqlite3.connect(controller.dir / "controller.db") as store:
        store.execute("CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    answer = controller.ask("PUT", "/v1/federation", SPEC.replace("mongo:7.0", "mongo:7.0.9"))
    assert answer.status == 503 and "audit log" in answer.error["message"]
    assert controller.get("/v1/federation").json()["spec"]["sets"][0]["image"] == "mongo:7.0"


def test_who_read_a_secret_is_in_the_audit_log(controller, tokens):
    controller.ask("GET", "/v1/sets/mongo/admin", headers={**bearer(tokens["admin"]), "Atoll-Why": "a%20look"})
    assert controller.ask("GET", "/v1/sets/mongo/admin", headers=bearer(tokens["operator"])).status == 403
    refused, read = audit(controller, limit=2)
    assert (read["method"], read["path"], read["who"]["name"], read["why"]) == ("GET", "/v1/sets/mongo/admin", "the-admin", "a look")
    assert (refused["outcome"], refused["who"]["name"]) == ("refused", "the-operator")


# ---- the command line ----

def atoll(bin_dir, work_dir, controller, *arguments, **environment):
    return subprocess.run([bin_dir / "atoll", *arguments, "--controller", controller.url.geturl()], capture_output=True, text=True, timeout=60,
                          env={"HOME": str(work_dir), "PATH": os.environ["PATH"], "NO_COLOR": "1", **environment})


def test_the_command_line_makes_uses_and_revokes_tokens(bin_dir, work_dir, controller):
    assert controller.apply().status == 200
    made = atoll(bin_dir, work_dir, controller, "token", "create", "grafana", "--role", "viewer", "--days", "7", "--why", "dashboards, please")
    assert made.returncode == 0 and re.fullmatch(r"atoll_[0-9a-f]{12}_[0-9a-f]{64}\n", made.stdout) and "grafana" in made.stderr
    file = work_dir / "token"
    file.write_text(made.stdout)
    file.chmod(0o644)
    refused = atoll(bin_dir, work_dir, controller, "status", "--token-file", file)
    assert refused.returncode == 4 and "chmod 600" in refused.stderr
    file.chmod(0o600)
    assert atoll(bin_dir, work_dir, controller, "status", "--token-file", file).returncode == 0
    assert atoll(bin_dir, work_dir, controller, "status", ATOLL_TOKEN_FILE=str(file)).returncode == 0
    spec = work_dir / "spec.yaml"
    spec.write_text(SPEC)
    refused = atoll(bin_dir, work_dir, controller, "apply", "-f", spec, "--token-file", file)
    assert refused.returncode == 4 and "viewer grafana" in refused.stderr and "operator" in refused.stderr
    listed = atoll(bin_dir, work_dir, controller, "token", "list")
    assert "grafana" in listed.stdout and made.stdout.strip() not in listed.stdout
    itself = atoll(bin_dir, work_dir, controller, "token", "revoke", made.stdout.strip())
    assert itself.returncode == 2 and "id" in itself.stderr
    assert atoll(bin_dir, work_dir, controller, "token", "revoke", "grafana", "--why", "moved").returncode == 0
    assert atoll(bin_dir, work_dir, controller, "status", "--token-file", file).returncode == 4
    entries = atoll(bin_dir, work_dir, controller, "audit", "-o", "json")
    found = [(entry["outcome"], entry["method"], entry["why"]) for entry in json.loads(entries.stdout)["entries"]]
    assert ("done", "POST", "dashboards, please") in found and ("done", "DELETE", "moved") in found and ("refused", "PUT", "") in found
    shown = atoll(bin_dir, work_dir, controller, "audit", "--limit", "3")
    assert shown.returncode == 0 and "OUTCOME" in shown.stdout and "moved" in shown.stdout
