"""What the command line says of changes, refusals and waits, against a controller of the test's own."""
import json

from test_cli import HEALTHY, SPEC, atoll, controller, spec_file  # noqa: F401 (fixtures are used by name)


def applied(**members):
    """SPEC as the controller gives it back, with these members in its set."""
    spec = {"zones": [{"name": each, "driver": "local"} for each in ("us-east1-b", "us-central1-f", "europe-west1-d")],
            "sets": [{"name": "mongo", "image": "mongo:7.0", "members": [{"ordinal": int(name[1:]), "zone": zone} for name, zone in members.items()]}]}
    return {"apiVersion": "atoll/v1", "kind": "Federation", "metadata": {"name": "prod"}, "spec": spec}


def test_a_refused_change_is_shown_where_the_overlay_says_it(atoll, controller, spec_file, work_dir):
    """Errors of the controller had no places at all when files were merged."""
    overlay = work_dir / "test.yaml"
    overlay.write_text("spec:\n  sets:\n    - name: mongo\n      members:\n        - {ordinal: 1, zone: us-central1-f}\n")
    controller.answers["GET /v1/federation"] = (200, applied(m1="us-east1-b"))
    controller.answers["PUT /v1/federation"] = (422, {"error": {"code": "invalid", "message": "it is not applied", "details": [
        "request body:1:99: error: mongo-node1 has another zone"]}})
    done = atoll("apply", "-f", spec_file, "-f", overlay, "--controller", controller.url)
    assert done.returncode == 2 and f"{overlay}:5:" in done.stderr and ": error: " in done.stderr, done.stderr
    assert "another zone" not in done.stderr  # said once, with its place


def test_apply_waits_until_every_agent_has_done_it(atoll, controller, spec_file):
    """What changes nothing in the set's configuration was said to be healthy before anything had happened."""
    controller.answers["PUT /v1/federation"] = (200, {"revision": 118, "changed": True, "diff": []})
    busy = json.loads(json.dumps(HEALTHY))
    for zone in busy["zones"]:
        zone["upToDate"] = zone["name"] != "us-central1-f"
    done = json.loads(json.dumps(HEALTHY))
    for zone in done["zones"]:
        zone["upToDate"] = True
    controller.answers["GET /status"] = [(200, busy), (200, busy), (200, done)]
    waited = atoll("apply", "-f", spec_file, "--wait", "--controller", controller.url)
    assert waited.returncode == 0 and "zone us-central1-f: its agent has not done yet" in waited.stderr
    assert sum(path == "/status" for _method, path, _headers, _body in controller.requests) == 3


def test_a_wait_that_is_over_names_the_set(atoll, controller):
    controller.answers["GET /status"] = (200, HEALTHY)
    late = atoll("wait", "mongo", "--for", "phase=Joining", "--timeout", 1, "--controller", controller.url)
    assert late.returncode == 1 and "`atoll explain mongo` says why" in late.stderr


    unknown = atoll("wait", "nosuch", "--for", "healthy", "--timeout", 1, "--controller", controller.url)
    assert unknown.returncode == 1 and 'there is no set "nosuch"' in unknown.stderr and "atoll explain" not in unknown.stderr


def test_events_of_a_set_that_nobody_knows(atoll, controller):
    controller.answers["GET /v1/events?limit=1000&set=nosuch"] = (200, {"events": []})
    for more in ([], ["--follow"]):
        none = atoll("events", "nosuch", *more, "--controller", controller.url)
        assert none.returncode == 1 and none.stdout == "" and 'there is no set "nosuch"' in none.stderr


def test_why_not_says_what_is_missing_and_what_is_in_the_way(atoll, controller):
    rules = [{"rule": 50, "name": "a", "outcome": "x", "fires": False, "unmet": "a primary is seen"},
             {"rule": 51, "name": "b", "outcome": "x", "fires": False, "unmet": "not: a command to MongoDB is under way"}]
    controller.answers["GET /v1/sets/mongo/explain"] = (200, {"set": "mongo", "phase": "Healthy", "waits": [], "rules": rules})
    done = atoll("explain", "mongo", "--why-not", "x", "--controller", controller.url)
    assert done.stdout == "rule 50 a: not met: a primary is seen\nrule 51 b: in the way: a command to MongoDB is under way\n"
