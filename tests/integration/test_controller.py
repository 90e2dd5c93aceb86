"""The real controller, spoken to over HTTP as agents and people do; the agents are played here, no member runs."""
import gzip
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import jsonschema
import pytest

from controller_daemon import PROGRAM_TIMEOUT_SECS, SPEC, Agent, Controller, Stream
from sandboxes import wait_until

SOURCE = pathlib.Path(__file__).resolve().parents[2]
READING = ["/status", "/status/sets/mongo", "/status/zones/z1", "/metrics", "/livez", "/readyz", "/healthz", "/openapi.json"]
CHANGING = ["/v1/federation", "/v1/sets/mongo/explain", "/v1/sets/mongo/journal", "/v1/events"]


@pytest.fixture
def controller(bin_dir, work_dir):
    made = Controller(bin_dir / "atoll-controller", work_dir / "controller")
    made.dir.mkdir()
    made.start()
    yield made
    code = made.stop()
    assert code in (0, -signal.SIGKILL), made.log()
    assert "Sanitizer" not in made.log()


@pytest.fixture
def applied(controller):
    assert controller.apply().status == 200
    return controller


@pytest.fixture
def streams():
    opened = []

    def keep(stream):
        opened.append(stream)
        return stream

    yield keep
    for stream in opened:
        stream.close()


def all_report(controller):
    for zone in ("z1", "z2", "z3"):
        assert Agent(controller, zone).report().status == 200


# ---- the spec ----

def test_before_a_spec_there_is_a_status_and_it_is_ready(controller):
    assert controller.get("/readyz").body == b"ok\n"
    assert "[+]store ok" in controller.get("/readyz?verbose").body.decode()
    status = controller.status()
    assert (status["federation"], status["revision"], status["sets"]) == ("", 0, [])
    assert controller.get("/v1/federation").status == 404


def test_a_spec_is_applied_compared_and_given_back(controller):
    first = controller.apply()
    assert first.status == 200 and first.json()["changed"] and first.json()["revision"] == 1
    assert controller.apply().json() == {"revision": 1, "changed": False, "warnings": [], "diff": []}
    changed = SPEC.replace("mongo:7.0", "mongo:8.0")
    diff = controller.ask("POST", "/v1/federation:diff", changed).json()
    assert diff["revision"] == 1 and any("8.0" in line for line in diff["diff"])
    assert controller.apply(changed, "/v1/federation?dryRun=true").json()["changed"]
    assert controller.get("/v1/federation").headers["ETag"] == '"1"'
    assert controller.apply(changed, If_Match='"1"').json()["revision"] == 2
    assert controller.apply(SPEC, If_Match='"1"').status == 412
    given = controller.get("/v1/federation")
    assert given.headers["ETag"] == '"2"' and given.json()["spec"]["sets"][0]["image"] == "mongo:8.0"
    as_yaml = controller.get("/v1/federation", Accept="application/yaml")
    assert as_yaml.headers["Content-Type"].startswith("application/yaml")
    assert controller.apply(as_yaml.body.decode()).json()["changed"] is False


def test_a_bad_spec_is_refused_with_every_place_and_nothing_of_it_is_applied(controller):
    bad = SPEC.replace("image: mongo:7.0", "imagge: mongo:7.0").replace("zone: z3", "zone: nowhere")
    answer = controller.apply(bad)
    assert answer.status == 422 and answer.error["code"] == "invalid"
    errors = [line for line in answer.error["details"] if ": error: " in line]
    assert len(errors) >= 2 and all(re.match(r"[^:]+:\d+:\d+: error: ", line) for line in errors)
    assert controller.get("/v1/federation").status == 404


def test_a_forgotten_set_is_refused(applied):
    answer = applied.apply(SPEC[:SPEC.index("  sets:")] + "  sets: []\n")
    assert answer.status == 422 and "mongo" in " ".join(answer.error["details"])


# ---- agents ----

def test_a_zone_gets_its_intent_once_it_has_reported_and_bookmarks_after(applied, streams):
    agent = Agent(applied, "z2")
    stream = streams(agent.watch())
    assert stream.response.status == 200
    wait_until(lambda: stream.of_type("BOOKMARK"), 60, "a bookmark")
    assert stream.of_type("INTENT") == []
    assert agent.report().json() == {"epoch": 1, "reportWanted": False}
    intent = wait_until(lambda: stream.of_type("INTENT"), 60, "the intent")[0]
    assert (intent["zone"], intent["federation"], intent["epoch"]) == ("z2", "test", 1)
    assert [member["node"] for member in intent["members"]] == ["mongo-node2"]
    marks = len(stream.of_type("BOOKMARK"))
    wait_until(lambda: len(stream.of_type("BOOKMARK")) >= marks + 2, 60, "two more bookmarks")
    assert stream.of_type("BOOKMARK")[-1]["revision"] == intent["revision"]
    assert len(stream.of_type("INTENT")) == 1


def test_who_knows_the_intent_hears_only_what_is_newer(applied, streams):
    all_report(applied)
    wait_until(lambda: applied.get("/v1/zones/z1/intent").status == 200, 60, "an intent")
    intent = applied.get("/v1/zones/z1/intent").json()
    stream = streams(Agent(applied, "z1").watch(intent["revision"]))
    wait_until(lambda: stream.of_type("BOOKMARK"), 60, "a bookmark")
    assert stream.of_type("INTENT") == []
    applied.apply(SPEC.replace("mongo:7.0", "mongo:8.0"))
    newer = wait_until(lambda: stream.of_type("INTENT"), 60, "the new intent")[0]
    assert newer["revision"] > intent["revision"] and newer["members"][0]["image"] == "mongo:8.0"


def test_a_report_shows_in_the_status(applied):
    assert [zone["state"] for zone in applied.status()["zones"]] == ["Pending"] * 3
    member = {"holding": {"set": "mongo", "ordinal": 1, "address": "127.0.1.1:27017",
                          "disk": {"name": "mongodb-disk1", "id": "d1", "state": "Attached", "sizeBytes": 10, "usedBytes": 4},
                          "pod": {"name": "mongo-rc1-abcde", "node": "here", "running": True, "ready": True, "restarts": 3}}}
    answer = Agent(applied, "z1").report([member])
    assert answer.status == 200, answer.body
    wait_until(lambda: applied.status()["zones"][0]["state"] == "Connected", 60, "z1 is connected")
    shown = wait_until(lambda: [m for m in applied.status()["sets"][0]["members"] if m["host"]], 60, "its address")[0]
    assert shown["host"] == "127.0.1.1:27017" and shown["restarts"] == 3
    assert shown["disk"] == {"name": "mongodb-disk1", "state": "Attached", "sizeBytes": 10, "usedBytes": 4}
    assert shown["pod"] == {"name": "mongo-rc1-abcde", "node": "here", "ready": True}
    assert applied.get("/status/zones/z1").json()["agentVersion"] == "0.1.0"


def test_a_heartbeat_without_a_report_asks_for_one(applied):
    agent = Agent(applied, "z1")
    assert agent.heartbeat().json() == {"epoch": 1, "reportWanted": True}
    agent.report()
    assert agent.heartbeat().json() == {"epoch": 1, "reportWanted": False}
    assert agent.heartbeat(sequence=77).json()["reportWanted"]


def test_a_silent_zone_is_unknown(applied):
    Agent(applied, "z1").report()
    wait_until(lambda: applied.status()["zones"][0]["state"] == "Connected", 60, "connected")
    wait_until(lambda: applied.status()["zones"][0]["state"] == "Unknown", 60, "unknown")


def test_an_agent_of_a_higher_epoch_raises_it_for_all(applied, streams):
    all_report(applied)
    stream = streams(Agent(applied, "z2").watch())
    wait_until(lambda: stream.of_type("INTENT"), 60, "an intent")
    assert Agent(applied, "z1").report(sequence=2, epoch=30).json()["epoch"] == 31
    wait_until(lambda: stream.of_type("INTENT")[-1]["epoch"] == 31, 60, "the intent of the new epoch")


@pytest.mark.parametrize("body", ["", "{", "[]", '{"zone":"z1"}', '{"zone":"z2","runId":"r","sequence":1}', "\x00", "{" * 5000])
def test_a_broken_report_is_refused_and_harms_nothing(applied, body):
    answer = applied.ask("PUT", "/v1/zones/z1/report", body)
    assert answer.status == 422 and answer.error["message"]
    assert applied.get("/livez").status == 200


def test_a_zone_that_is_not_in_the_spec_is_not_known(applied):
    assert Agent(applied, "elsewhere").report().status == 404
    assert Agent(applied, "elsewhere").heartbeat().status == 404
    assert applied.get("/v1/zones/elsewhere/intent?watch=true").status == 404


# ---- the status ----

def test_who_has_the_status_gets_304(applied):
    first = applied.get("/status")
    etag = first.headers["ETag"]
    again = applied.get("/status", If_None_Match=etag)
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert applied.get("/status", If_None_Match='"other"').status == 200
    Agent(applied, "z1").report()
    wait_until(lambda: applied.get("/status", If_None_Match=etag).status == 200, 60, "another status")
    part = applied.get("/status/zones/z2")
    assert applied.get("/status/zones/z2", If_None_Match=part.headers["ETag"]).status == 304


def test_the_status_is_zipped_when_asked_for(applied):
    zipped = applied.get("/status", Accept_Encoding="gzip")
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(zipped.body))["federation"] == "test"


def test_parts_that_do_not_exist_are_404_as_json(applied):
    for path in ("/status/sets/none", "/status/zones/none", "/v1/sets/none/explain", "/v1/sets/none/journal", "/nowhere", "/status/"):
        answer = applied.get(path)
        assert answer.status == 404 and answer.error["code"] == "not_found", path


def test_explain_says_what_is_waited_for_and_why_no_rule_fires(applied):
    explained = applied.get("/v1/sets/mongo/explain").json()
    assert explained["set"] == "mongo" and explained["waits"]
    assert set(explained["waits"][0]) == {"for", "reason", "message", "since", "until", "endedBy", "rule"}
    fired = [rule["rule"] for rule in explained["rules"] if rule["fires"]]
    assert explained["waits"][0]["rule"] in fired
    assert all(rule["unmet"] for rule in explained["rules"] if not rule["fires"])


# ---- the journal ----

def journal_of(controller):
    return controller.get("/v1/sets/mongo/journal").json()


def rows_of(journal):
    return [entry["plan"]["rule"] for entry in journal["entries"]]


def test_the_journal_holds_each_other_decision_and_replays_it(applied, bin_dir, work_dir):
    wait_until(lambda: rows_of(journal_of(applied)), 60, "the first plan to be noted")
    before = journal_of(applied)["recorded"]
    all_report(applied)
    seen = wait_until(lambda: next((j for j in [journal_of(applied)] if 31 in rows_of(j) or 34 in rows_of(j)), None), 60,
                      "the reports to be decided on")
    assert (seen["apiVersion"], seen["kind"], seen["set"], seen["dropped"]) == ("atoll/v1", "Journal", "mongo", 0)
    assert seen["recorded"] > before and [entry["sequence"] for entry in seen["entries"]] == list(range(1, len(seen["entries"]) + 1))
    assert [spec["revision"] for spec in seen["specs"]] == [1] and seen["specs"][0]["spec"]["spec"]["sets"][0]["name"] == "mongo"
    (work_dir / "journal.json").write_bytes(applied.get("/v1/sets/mongo/journal").body)
    done = subprocess.run([str(bin_dir / "atoll"), "replay", str(work_dir / "journal.json")], capture_output=True, text=True,
                          timeout=PROGRAM_TIMEOUT_SECS)
    assert done.returncode == 0 and "all decided as was recorded" in done.stdout, done.stdout + done.stderr


def test_what_decides_nothing_else_is_not_noted(applied):
    agents = [Agent(applied, zone) for zone in ("z1", "z2", "z3")]
    for agent in agents:
        agent.report()
    wait_until(lambda: 30 not in rows_of(journal_of(applied))[-1:], 60, "the reports to be decided on")

    def planned():
        for agent in agents:
            agent.heartbeat()
        return int(re.search(r"^atoll_plans_total (\d+)", applied.get("/metrics").body.decode(), re.M)[1])

    noted, before = journal_of(applied)["recorded"], planned()
    wait_until(lambda: planned() > before + 1, 30, "two more plans")
    assert journal_of(applied)["recorded"] == noted


# ---- events ----

def sse_events(stream):
    return [json.loads(line[6:]) for line in stream.lines if line.startswith("data: ") and '"reason"' in line]


def test_events_come_as_they_happen_and_resume_after_the_last_one_seen(applied, streams):
    stream = streams(Stream(applied, "/events"))
    wait_until(lambda: "event: status" in stream.lines, 60, "the status' etag")
    Agent(applied, "z1").report()
    wait_until(lambda: [e for e in sse_events(stream) if e["reason"] == "ZoneConnected" and e["zone"] == "z1"], 60, "the event")
    wait_until(lambda: stream.lines.count("event: status") >= 2, 60, "news of the status")
    seen = sse_events(stream)[-1]["id"]
    stream.close()
    Agent(applied, "z2").report()
    resumed = streams(Stream(applied, "/events", {"Last-Event-ID": str(seen)}))
    missed = wait_until(lambda: sse_events(resumed), 60, "what was missed")
    assert missed[0]["id"] == seen + 1
    wait_until(lambda: [e for e in sse_events(resumed) if e["zone"] == "z2"], 60, "the zone that came meanwhile")
    listed = applied.get("/v1/events?limit=1000").json()["events"]
    assert [event["id"] for event in listed] == sorted(event["id"] for event in listed)
    assert len(applied.get("/v1/events?limit=2").json()["events"]) == 2
    assert {event["set"] for event in applied.get("/v1/events?set=mongo").json()["events"]} == {"mongo"}


# ---- the rules of HTTP ----

def test_what_a_path_does_not_take_is_405_and_says_what_it_takes(applied):
    answer = applied.ask("DELETE", "/status")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"
    assert applied.ask("POST", "/v1/federation").headers["Allow"] == "GET, HEAD, PUT"
    assert applied.ask("GET", "/v1/zones/z1/report").status == 405
    with socket.create_connection((applied.url.hostname, applied.url.port), PROGRAM_TIMEOUT_SECS) as raw:
        raw.sendall(b"POST /status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")  # no body and no length, as curl sends it
        assert b" 405 " in raw.recv(4096)


@pytest.mark.parametrize("word, status", [("true", 200), ("false", 200), ("maybe", 422), ("", 422), ("1", 422)])
def test_a_dry_run_is_true_or_false(applied, word, status):
    assert applied.apply(SPEC.replace("mongo:7.0", "mongo:7.1"), f"/v1/federation?dryRun={word}").status == status
    assert ("mongo:7.1" in applied.get("/v1/federation").body.decode()) == (word == "false")


def test_a_body_needs_a_length_and_a_bound(applied):
    with socket.create_connection((applied.url.hostname, applied.url.port), PROGRAM_TIMEOUT_SECS) as raw:
        raw.sendall(b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert b" 411 " in raw.recv(4096)
    with socket.create_connection((applied.url.hostname, applied.url.port), PROGRAM_TIMEOUT_SECS) as raw:
        raw.sendall(b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 413 " in raw.recv(4096)
    assert applied.ask("POST", "/v1/zones/z1/heartbeat", " " * 100000).status == 413


def test_the_reading_listener_only_reads(applied):
    for path in READING:
        assert applied.ask("GET", path, url=applied.read_url).status == 200, path
    for method, path in [("PUT", "/v1/federation"), ("POST", "/v1/zones/z1/heartbeat"), ("DELETE", "/status"), *(("GET", p) for p in CHANGING)]:
        answer = applied.ask(method, path, url=applied.read_url)
        if (method, path) == ("DELETE", "/status"):
            assert answer.status == 405
            continue
        assert answer.status == 403 and applied.url.netloc in answer.error["message"], (method, path)


def test_metrics_are_prometheus_text(applied):
    all_report(applied)
    text = applied.get("/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = text.body.decode().splitlines()
    names = {re.match(r"[a-z_]+", line).group() for line in lines if not line.startswith("#")}
    assert all(name.startswith("atoll_") for name in names) and "atoll_controller_epoch" in names
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE")} & names
    assert 'atoll_zone_connected{zone="z1"} 1' in lines


def test_the_page_of_metrics_lists_what_is_served(applied):
    """All of them, and nothing else; `ATOLL_REWRITE_GOLDEN=1` brings the page up to date."""
    all_report(applied)
    wait_until(lambda: "atoll_set_phase{" in applied.get("/metrics").body.decode(), 60, "the set was planned for")
    helps, types, labels = {}, {}, {}
    for line in applied.get("/metrics").body.decode().splitlines():
        if line.startswith("#"):
            _, kind, name, rest = line.split(" ", 3)
            (helps if kind == "HELP" else types)[name] = rest
        else:
            name = re.match(r"\w+", line).group()
            name = re.sub(r"_(bucket|sum|count)$", "", name) if name not in types else name
            labels.setdefault(name, set()).update(re.findall(r"(\w+)=\"", line))
    page = SOURCE / "docs/metrics.md"
    before, _, after = page.read_text().partition("|---|---|---|---|\n")
    for name in types.keys() - labels.keys():  # nothing is known yet that it could tell: the page's word is taken
        labels[name] = set(re.findall(r"`(\w+)`", (re.search(rf"^\| `{name}` \| \w+ \|([^|]*)\|", after, re.M) or ["", ""])[1]))
    rows = [f"| `{name}` | {types[name]} | {', '.join(f'`{each}`' for each in sorted(labels[name]))} | {helps[name]} |" for name in types]
    wanted = before + "|---|---|---|---|\n" + "\n".join(sorted(rows)) + "\n" + after[after.index("\n\n") + 1 if after.startswith("|") else 0:]
    if os.environ.get("ATOLL_REWRITE_GOLDEN"):
        page.write_text(wanted)
    assert page.read_text() == wanted, "run this test with ATOLL_REWRITE_GOLDEN=1"


def test_the_description_knows_every_path(applied):
    described = applied.get("/openapi.json").json()
    routes = re.findall(r'^X\(\w+, "([A-Z]+)", "([^"]+)"', (SOURCE / "controller/serve/routes.def").read_text(), re.M)
    assert len(routes) >= 17
    named = {re.sub(r"\{\w+\}", "{}", path): set(methods) for path, methods in described["paths"].items()}
    for method, path in routes:
        assert method.lower() in named[path.replace("{name}", "{}")], (method, path)
    assert sum(len([m for m in methods if m != "parameters"]) for methods in named.values()) == len(routes)


def test_what_is_answered_is_as_described(applied):
    all_report(applied)
    wait_until(lambda: applied.status()["summary"]["connectedZones"] == 3, 60, "all zones are connected")
    described = applied.get("/openapi.json").json()

    def check(answer, name):
        jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **described}).validate(answer)

    check(applied.status(), "Status")
    check(applied.get("/status/sets/mongo").json(), "Set")
    check(applied.get("/status/zones/z1").json(), "Zone")
    check(applied.get("/v1/sets/mongo/explain").json(), "Explained")
    check(applied.get("/v1/sets/mongo/journal").json(), "Journal")
    check(applied.apply().json(), "Applied")
    check(applied.ask("POST", "/v1/federation:diff", SPEC).json(), "Diff")
    check(applied.get("/nowhere").json(), "Error")
    check(Agent(applied, "z1").heartbeat().json(), "ZoneAnswer")
    for event in applied.get("/v1/events").json()["events"]:
        check(event, "Event")
    with pytest.raises(jsonschema.ValidationError):
        check({"name": "z1"}, "Zone")


# ---- life ----

def test_a_restart_keeps_the_spec_and_raises_the_epoch(applied, streams):
    all_report(applied)
    stream = streams(Agent(applied, "z1").watch())
    before = wait_until(lambda: stream.of_type("INTENT"), 60, "an intent")[0]
    assert applied.stop() == 0
    assert stream.ended.wait(5)
    applied.start()
    assert applied.status()["revision"] == 1
    agent = Agent(applied, "z1")
    assert agent.heartbeat(epoch=before["epoch"]).json() == {"epoch": 2, "reportWanted": True}
    agent.report()
    wait_until(lambda: applied.get("/v1/zones/z1/intent").status == 200, 60, "an intent")
    after = applied.get("/v1/zones/z1/intent").json()
    assert after["epoch"] == 2 and after["revision"] > before["revision"]


def test_killed_at_any_moment_it_keeps_what_it_acknowledged(controller):
    revision = 0
    for round_number in range(4):
        answer = controller.apply(SPEC.replace("mongo:7.0", f"mongo:7.{round_number}"))
        revision = answer.json()["revision"]
        controller.stop(signal.SIGKILL)
        controller.start()
        assert controller.status()["revision"] == revision
    assert revision == 4
    assert controller.get("/v1/federation").json()["spec"]["sets"][0]["image"] == "mongo:7.3"


def test_it_stops_in_time_although_a_mongod_never_answers(applied):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        for ordinal, zone in enumerate(("z1", "z2", "z3"), 1):
            address = f"127.0.0.{ordinal}:{deaf.getsockname()[1]}" if ordinal > 1 else "127.0.0.1:%d" % deaf.getsockname()[1]
            member = {"holding": {"set": "mongo", "ordinal": ordinal, "address": address, "controllerExists": True, "replicas": 1, "serviceExists": True,
                                  "disk": {"name": f"mongodb-disk{ordinal}", "id": f"d{ordinal}", "state": "Attached", "used": True},
                                  "pod": {"name": "p", "node": "n", "running": True, "ready": True}},
                      "mongod": {"answer": "not-initialized", "ageMs": 0, "version": "7.0.0"}}
            answer = Agent(applied, zone).report([member])
            assert answer.status == 200, answer.body
        wait_until(lambda: [e for e in applied.get("/v1/events").json()["events"] if e["reason"] == "ActionStarted"], 60, "an action")
        applied.process.send_signal(signal.SIGTERM)
        assert applied.process.wait(PROGRAM_TIMEOUT_SECS) == 0


def test_a_second_controller_on_the_same_folder_is_refused(applied):
    second = subprocess.run([applied.program, "--dir", applied.dir, "--listen", "127.0.0.1:0"], capture_output=True, text=True,
                            timeout=PROGRAM_TIMEOUT_SECS)
    assert second.returncode == 1 and "another controller runs on" in second.stderr
    assert applied.get("/livez").status == 200


@pytest.mark.parametrize("options,says", [
    (["--nonsense"], "nonsense"),
    ([], "--dir DIR is needed"),
    (["--dir", "x", "--tls", "off", "--listen", "0.0.0.0:7411"], "loopback"),
    (["--dir", "x", "--tls", "off", "--name", "a"], "--tls off"),
    (["--dir", "x", "--read-listen", "0.0.0.0:7410"], "loopback"),
    (["--dir", "x", "--listen", "7411"], "ADDRESS:PORT"),
    (["--dir", "x", "--listen", "127.0.0.1:99999"], "65535"),
    (["--dir", "x", "--log-level", "loud"], "debug, info, warning or error"),
    (["--dir", "x", "more"], "more"),
])
def test_bad_usage_is_exit_2_with_a_clear_sentence(bin_dir, work_dir, options, says):
    run = subprocess.run([bin_dir / "atoll-controller", *options], capture_output=True, text=True, cwd=work_dir,
                         timeout=PROGRAM_TIMEOUT_SECS)
    assert run.returncode == 2 and says in run.stderr, run.stderr
    assert os.listdir(work_dir) == []


def test_help_and_version(bin_dir):
    for option, text in (("--help", "Usage: atoll-controller"), ("--version", "atoll-controller ")):
        run = subprocess.run([bin_dir / "atoll-controller", option], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS)
        assert run.returncode == 0 and run.stdout.startswith(text) and not run.stderr
