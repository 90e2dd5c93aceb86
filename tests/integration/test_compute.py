"""The Compute API client against the double of the API (tests/kubernetes/compute_double.py), through the small program
atoll-compute-task: disks and addresses are made once whatever goes wrong, and what goes wrong is said in words."""
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
DISK = ("disk-ensure", "p", "us-east1-b", "mongodb-disk1")
ADDRESS = ("address-ensure", "p", "us-east1-b", "mongo-svc-a")
TOKEN = "ya29."
pytestmark = pytest.mark.asan


class Double:
    def __init__(self, program, directory):
        self.program, self.started = program, []
        self.process = subprocess.Popen([sys.executable, TESTS / "kubernetes" / "compute_double.py", "--dir", directory])
        deadline = time.monotonic() + 60
        while not (directory / "compute-url").exists():
            assert self.process.poll() is None and time.monotonic() < deadline, "the double of the Compute API does not start"
            time.sleep(0.02)
        self.url = (directory / "compute-url").read_text().strip()
        self.control("PUT", "regions/us-east1", {"subnet": "127.0.101"})

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/control/{path}", data=data, method=method), timeout=60) as answer:
            return json.load(answer)

    def requests(self, method=None, ending=""):
        return [r for r in self.control("GET", "requests")["requests"] if r["method"] == method and re.search(ending, r["path"])]

    def disk(self, name="mongodb-disk1"):
        return self.control("GET", f"disks/p/us-east1-b/{name}")

    def start(self, *arguments, url=None, metadata=None):
        process = subprocess.Popen([self.program, "--compute-url", url or self.url, "--metadata-host", metadata or self.url.removeprefix("http://"),
                                 *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.started.append(process)
        return process

    def run(self, *arguments, fails=False, **where):
        """All events of the program; the last `done` of it is `run(…)[-1]`."""
        process = self.start(*arguments, **where)
        out, errors = process.communicate(timeout=60)
        assert "Sanitizer" not in errors, errors
        assert (process.returncode != 0) == fails, (process.returncode, out, errors)
        assert TOKEN not in out + errors
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def double(bin_dir, work_dir):
    made = Double(bin_dir / "atoll-compute-task", work_dir)
    yield made
    for process in made.started:  # those of a failed test
        process.kill()
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()
    made.process.send_signal(signal.SIGTERM)
    made.process.wait(timeout=60)


def test_a_disk_is_made_once_and_then_taken_as_it_is(double):
    made = double.run("--label", "team=db", *DISK)[-1]
    assert (made["created"], made["adopted"]) == (True, False)
    assert made["disk"]["handle"] == "projects/p/zones/us-east1-b/disks/mongodb-disk1"
    disk = double.disk()
    assert disk["sizeGb"] == "10" and disk["type"].endswith("/pd-ssd")
    assert disk["labels"] == {"team": "db", "atoll-federation": "prod", "atoll-set": "mongo", "atoll-ordinal": "1"}
    again = double.run(*DISK)[-1]
    assert (again["created"], again["adopted"]) == (False, False) and again["disk"]["id"] == made["disk"]["id"]
    assert len(double.requests("POST")) == 1


def test_an_operation_that_fails_twice_is_begun_anew_with_fresh_request_ids(double):
    double.control("POST", "operation-errors", {"kind": "insert", "code": "ZONE_RESOURCE_POOL_EXHAUSTED", "times": 1})
    double.control("POST", "operation-errors", {"kind": "insert", "code": "INTERNAL_ERROR", "times": 1})
    events = double.run(*DISK)
    assert [e.get("code") for e in events] == ["disk_stockout", "disk_api_busy", None]
    assert "does not have enough resources" in events[0]["message"] and not events[0]["lasting"]
    assert events[-1]["created"]
    ids = [r["query"]["requestId"] for r in double.requests("POST", "/disks$")]
    assert len(ids) == len(set(ids)) == 3


def test_a_request_that_is_sent_again_keeps_its_id(double):
    for fault in ({"code": 503}, {"code": 429}, {"drop": True}):
        double.control("POST", "faults", {"method": "POST", "path": "/disks$"} | fault)
    events = double.run(*DISK)
    codes = [e.get("code") for e in events]  # a connection that breaks when it is used again is dialled again by libcurl itself
    assert codes in (["disk_api_busy", "disk_api_busy", None], ["disk_api_busy", "disk_api_busy", "disk_api_unreachable", None])
    assert events[-1]["created"], "the answer was lost, but the same id gives the same operation"
    ids = {r["query"]["requestId"] for r in double.requests("POST", "/disks$")}
    assert len(ids) == 1 and len(double.requests("POST", "/disks$")) == 4
    assert "00000000-0000" not in ids.pop()


def test_retry_after_is_obeyed(double):
    double.control("POST", "faults", {"method": "POST", "code": 429, "retryAfter": 2})
    begin = time.monotonic()
    double.run(*DISK)
    assert time.monotonic() - begin >= 2


def test_a_quota_is_said_at_once_and_in_words(double):
    double.control("PUT", "quotas/us-east1/SSD_TOTAL_GB", 5)
    events = double.run(*DISK, fails=True)
    assert len(events) == 1 and events[0]["code"] == "disk_quota" and events[0]["lasting"]
    assert events[0]["message"].startswith("creating disk mongodb-disk1 (10 GiB pd-ssd) in zone us-east1-b of project p: Google says: \"Quota 'SSD_TOTAL_GB' exceeded")
    assert "; to do: ask Google for more" in events[0]["message"]


def test_a_quota_that_the_operation_finds_is_the_same(double):
    double.control("POST", "operation-errors", {"code": "QUOTA_EXCEEDED", "times": 9})
    assert [e["code"] for e in double.run(*DISK, fails=True)] == ["disk_quota"]


@pytest.mark.parametrize("status, code", [(403, "disk_denied"), (400, "disk_invalid")])
def test_what_trying_again_cannot_heal_is_not_tried_again(double, status, code):
    double.control("POST", "faults", {"method": "POST", "code": status, "reason": "x", "message": "No,\n this isn't allowed.", "times": 9})
    events = double.run(*DISK, fails=True)
    assert [(e["code"], e["lasting"]) for e in events] == [(code, True)]
    assert "No,  this isn't allowed." in events[0]["message"]
    assert len(double.requests("POST")) == 1


def test_the_deadline_ends_with_what_was_in_the_way(double):
    double.control("POST", "operation-errors", {"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "times": 99})
    begin = time.monotonic()
    events = double.run("--deadline-ms", 2500, *DISK, fails=True)
    assert {e["code"] for e in events} == {"disk_stockout"} and events[-1]["event"] == "done"
    assert time.monotonic() - begin < 60


def test_an_operation_that_never_ends_is_named_at_the_deadline(double):
    double.control("PUT", "operation-ms", 600000)
    event = double.run("--deadline-ms", 3000, *DISK, fails=True)[-1]
    assert event["code"] == "disk_api_busy" and "operation operation-" in event["message"]


def test_a_disk_of_the_same_name_that_is_not_ours_stays_untouched(double):
    double.run(*DISK)
    before = double.disk()
    event = double.run("--ordinal", 2, "--adopt", *DISK, fails=True)[-1]
    assert event["code"] == "disk_foreign" and "it belongs to member 1 of set mongo in federation prod" in event["message"]
    assert double.run("--type", "pd-standard", *DISK, fails=True)[-1]["code"] == "disk_mismatch"
    assert double.disk() == before


def insert_by_hand(double, name, **more):
    """As a user would: without our labels."""
    token = json.load(urllib.request.urlopen(urllib.request.Request(
        f"{double.url}/computeMetadata/v1/instance/service-accounts/default/token", headers={"Metadata-Flavor": "Google"})))["access_token"]
    body = json.dumps({"name": name, "sizeGb": "10", "type": "zones/us-east1-b/diskTypes/pd-ssd"} | more).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{double.url}/compute/v1/projects/p/zones/us-east1-b/disks", data=body,
                                                       headers={"Authorization": f"Bearer {token}"}, method="POST")) as answer:
        link = json.load(answer)["name"]
    urllib.request.urlopen(urllib.request.Request(f"{double.url}/compute/v1/projects/p/zones/us-east1-b/operations/{link}/wait", data=b"",
                                                  headers={"Authorization": f"Bearer {token}"}, method="POST")).read()


def test_a_disk_that_the_user_names_is_adopted_and_labelled(double):
    insert_by_hand(double, "data", labels={"team": "db"})
    event = double.run("disk-ensure", "p", "us-east1-b", "data", fails=True)[-1]
    assert event["code"] == "disk_foreign" and "none of our labels" in event["message"]
    assert double.disk("data")["labels"] == {"team": "db"}
    event = double.run("--adopt", "disk-ensure", "p", "us-east1-b", "data")[-1]
    assert (event["created"], event["adopted"]) == (False, True)
    assert double.disk("data")["labels"] == {"team": "db", "atoll-federation": "prod", "atoll-set": "mongo", "atoll-ordinal": "1"}


def test_labels_that_change_under_our_hands_are_read_again(double):
    double.run(*DISK)
    double.control("POST", "faults", {"method": "POST", "path": "setLabels", "code": 412, "reason": "conditionNotMet"})
    assert double.run("--label", "atoll-replica-set=5f00", "disk-update", *DISK[1:])[-1]["disk"]["labels"]["atoll-replica-set"] == "5f00"
    assert len(double.requests("POST", "setLabels")) == 2


def test_a_disk_grows_and_never_shrinks(double):
    double.run(*DISK)
    assert double.run("--size-gb", 20, "disk-update", *DISK[1:])[-1]["disk"]["sizeBytes"] == 20 << 30
    assert double.run("--size-gb", 5, "disk-update", *DISK[1:])[-1]["disk"]["sizeBytes"] == 20 << 30
    assert len(double.requests("POST", "resize")) == 1


def test_a_disk_that_is_gone_is_not_made_again_by_an_update(double):
    event = double.run("disk-update", *DISK[1:], fails=True)[-1]
    assert event["code"] == "disk_missing" and not double.requests("POST")
    assert "disk" not in double.run("disk-read", *DISK[1:])[-1]


def test_an_insert_that_loses_a_race_takes_what_won(double):
    double.run(*DISK)
    double.control("POST", "faults", {"method": "GET", "path": "/disks/", "code": 404, "reason": "notFound"})
    event = double.run(*DISK)[-1]
    assert event["created"] is False and len(double.requests("POST", "/disks$")) == 2


def test_an_address_is_reserved_once(double):
    made = double.run(*ADDRESS)[-1]
    assert made["created"] and made["address"].startswith("127.0.101.")
    again = double.run(*ADDRESS)[-1]
    assert not again["created"] and again["address"] == made["address"]
    event = double.run("--ordinal", 2, *ADDRESS, fails=True)[-1]
    assert event["code"] == "address_foreign" and "member 1" in event["message"]
    double.control("PUT", "quotas/us-east1/STATIC_ADDRESSES", 1)
    assert double.run("address-ensure", "p", "us-east1-b", "mongo-svc-b", fails=True)[-1]["code"] == "address_quota"


# ---- tokens ----

def test_a_token_that_is_not_there_at_first_is_waited_for(double):
    double.control("PUT", "metadata", {"ready": False})
    process = double.start(*DISK)
    first = json.loads(process.stdout.readline())
    assert first["code"] == "disk_no_token" and "the metadata server answered 503" in first["message"]
    assert not double.control("GET", "requests")["requests"]
    double.control("PUT", "metadata", {"ready": True})
    out, _ = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["created"] and process.returncode == 0


def test_a_token_that_never_comes_is_said(double):
    double.control("PUT", "metadata", {"ready": False})
    event = double.run("--deadline-ms", 3000, *DISK, fails=True)[-1]
    assert event["code"] == "disk_no_token" and "Workload Identity" in event["message"]


def test_who_does_not_answer_as_googles_server_gets_no_trust(double):
    """A server that gives a token, but not the header."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    body = b'{"access_token":"ya29.false","expires_in":3600}'
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        event = double.run("--deadline-ms", 1000, *DISK, fails=True, metadata="127.0.0.1:%d" % server.getsockname()[1])[-1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=60)
    assert event["code"] == "disk_no_token" and "Metadata-Flavor" in event["message"]
    assert not double.control("GET", "requests")["requests"]


def test_one_token_serves_many_requests_until_shortly_before_its_end(double):
    double.run("--times", 3, "disk-ensure", "p", "us-east1-b", *[f"d{i}" for i in range(6)])
    assert tokens_given(double) == 1
    double.control("PUT", "metadata", {"tokenSeconds": 2})
    double.control("PUT", "operation-ms", 4000)
    events = double.run("disk-ensure", "p", "us-east1-b", "late")
    assert len(events) == 1, "no request went out with a token that had ended"
    assert tokens_given(double) >= 3


def tokens_given(double):
    return double.control("GET", "state")["tokensGiven"]


def test_a_token_that_is_revoked_is_replaced(double):
    double.control("PUT", "operation-ms", 1500)
    process = double.start(*DISK)
    deadline = time.monotonic() + 60
    while not double.requests("GET", "/operations/"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    double.control("POST", "revoke")
    events = [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()]
    assert [e.get("code") for e in events] == ["disk_no_token", None] and events[-1]["created"]


# ---- the rest ----

def test_nobody_answers(double):
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = "http://127.0.0.1:%d" % server.getsockname()[1]
    events = double.run("--deadline-ms", 3000, *DISK, fails=True, url=nobody)
    assert {e["code"] for e in events} == {"disk_api_unreachable"}


def test_an_answer_that_is_none_is_not_believed(double):
    """A 200 that holds something else must not pass for a disk."""
    double.run(*DISK)
    event = double.run("--deadline-ms", 3000, "disk-read", "p", "us-east1-b", "mongodb-disk1", fails=True, url=double.url + "/control/ready?")[-1]
    assert event["code"] == "disk_api_answer" and "can't be understood" in event["message"]


def test_cancelling_ends_at_once_and_once(double):
    double.control("PUT", "operation-ms", 60000)
    begin = time.monotonic()
    events = double.run("--cancel-ms", 300, *DISK, fails=True)
    assert [e["code"] for e in events] == ["disk_canceled"] and time.monotonic() - begin < 50


def test_many_at_once_all_end(double):
    names = [f"disk{i}" for i in range(60)]
    done = double.run("disk-ensure", "p", "us-east1-b", *names)
    assert len(done) == 60 and all(e["created"] for e in done)
    assert len(double.requests("POST", "/disks$")) == 60


def test_bad_names_are_refused_before_anything_is_sent(double):
    assert double.run("disk-ensure", "p", "us-east1-b", "../x", fails=True) == []
    assert not double.control("GET", "requests")["requests"]
