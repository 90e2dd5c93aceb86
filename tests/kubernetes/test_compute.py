"""The Compute API double answers as the real API does, as far as a disk and an address go."""
import threading
import time
import uuid

import pytest

import bed as bed_module
import processes
from conftest import HERE, Compute, wait_until

ZONE, REGION = "us-east1-b", "us-east1"


@pytest.fixture(scope="module")
def compute_url(tmp_path_factory):
    """A double of its own: these tests need no control plane."""
    folder = tmp_path_factory.mktemp("compute")
    process = processes.start([bed_module.PYTHON, HERE / "compute_double.py", "--dir", folder], folder / "log")
    file = folder / "compute-url"
    try:
        yield wait_until(lambda: file.exists() and file.read_text().strip(), "the double writes its URL")
    finally:
        processes.stop(process)


@pytest.fixture
def regions(compute):
    compute.control("PUT", f"regions/{REGION}", {"subnet": "127.0.250"})
    return compute


@pytest.fixture
def name():
    return f"d{uuid.uuid4().hex[:10]}"


def reason_of(answer):
    status, body = answer
    return status, body["error"]["errors"][0]["reason"]


def test_a_disk_is_made_by_an_operation(compute, name):
    compute.control("PUT", "operation-ms", 300)
    status, operation = compute.api("POST", f"zones/{ZONE}/disks", {"name": name, "sizeGb": "200", "type": f"zones/{ZONE}/diskTypes/pd-ssd",
                                                                  "labels": {"atoll-set": "mongo"}})
    assert (status, operation["status"], operation["kind"]) == (200, "RUNNING", "compute#operation")
    assert compute.api("GET", f"zones/{ZONE}/disks/{name}")[0] == 404
    assert compute.done(operation)["status"] == "DONE"
    disk = compute.api("GET", f"zones/{ZONE}/disks/{name}")[1]
    assert (disk["sizeGb"], disk["status"], disk["labels"]) == ("200", "READY", {"atoll-set": "mongo"})
    assert disk["type"].endswith("/diskTypes/pd-ssd") and disk["id"].isdigit()
    polled = compute.api("GET", f"zones/{ZONE}/operations/{operation['name']}")[1]
    assert polled["status"] == "DONE" and polled["targetLink"].endswith(f"/disks/{name}")


def test_one_request_id_is_one_request(compute, name):
    request, body = str(uuid.uuid4()), {"name": name, "sizeGb": "10"}
    first = compute.api("POST", f"zones/{ZONE}/disks?requestId={request}", body)[1]
    compute.done(first)
    again = compute.api("POST", f"zones/{ZONE}/disks?requestId={request}", body)
    assert (again[0], again[1]["name"]) == (200, first["name"])
    other = compute.api("POST", f"zones/{ZONE}/disks?requestId={uuid.uuid4()}", body)
    assert reason_of(other) == (409, "alreadyExists")
    assert other[1]["error"]["message"] == f"The resource 'projects/atoll-test/zones/{ZONE}/disks/{name}' already exists"


@pytest.mark.parametrize("request_id", ["00000000-0000-0000-0000-000000000000", "once"])
def test_a_request_id_is_a_uuid_that_is_not_zero(compute, name, request_id):
    assert reason_of(compute.api("POST", f"zones/{ZONE}/disks?requestId={request_id}", {"name": name, "sizeGb": "10"})) == (400, "invalid")


def test_an_answer_that_is_lost_is_found_again_by_its_request_id(compute, name):
    request = str(uuid.uuid4())
    compute.control("POST", "faults", {"method": "POST", "path": "/disks$", "drop": True})
    with pytest.raises(OSError):
        compute.api("POST", f"zones/{ZONE}/disks?requestId={request}", {"name": name, "sizeGb": "10"})
    wait_until(lambda: compute.api("GET", f"zones/{ZONE}/disks/{name}")[0] == 200, "the disk is made although nobody has its operation")
    status, operation = compute.api("POST", f"zones/{ZONE}/disks?requestId={request}", {"name": name, "sizeGb": "10"})
    assert status == 200 and "error" not in compute.done(operation)


@pytest.mark.parametrize("bad", ["Upper", "-a", "a-", "a" * 64, ""])
def test_names_are_checked(compute, bad):
    assert reason_of(compute.api("POST", f"zones/{ZONE}/disks", {"name": bad, "sizeGb": "10"})) == (400, "invalid")


def test_a_disk_grows_and_never_shrinks(compute, name):
    compute.make_disk(ZONE, name, 10)
    compute.done(compute.api("POST", f"zones/{ZONE}/disks/{name}/resize", {"sizeGb": "20"})[1])
    assert compute.api("GET", f"zones/{ZONE}/disks/{name}")[1]["sizeGb"] == "20"
    assert compute.api("POST", f"zones/{ZONE}/disks/{name}/resize", {"sizeGb": "15"})[0] == 400


def test_labels_are_set_only_with_the_fingerprint_that_was_read(compute, name):
    compute.make_disk(ZONE, name)
    held = compute.api("GET", f"zones/{ZONE}/disks/{name}")[1]
    path = f"zones/{ZONE}/disks/{name}/setLabels"
    compute.done(compute.api("POST", path, {"labels": {"a": "1"}, "labelFingerprint": held["labelFingerprint"]})[1])
    stale = compute.api("POST", path, {"labels": {"a": "2"}, "labelFingerprint": held["labelFingerprint"]})
    assert reason_of(stale) == (412, "conditionNotMet")
    found = compute.api("GET", f"zones/{ZONE}/disks?filter=labels.a%3D1%20AND%20name%3D{name}")[1]
    assert [disk["name"] for disk in found["items"]] == [name]


def test_a_quota_that_is_used_up_is_403(compute, name):
    compute.control("PUT", f"quotas/{REGION}/SSD_TOTAL_GB", 500)
    answer = compute.api("POST", f"zones/{ZONE}/disks", {"name": name, "sizeGb": "501", "type": "pd-ssd"})
    assert reason_of(answer) == (403, "quotaExceeded")
    assert answer[1]["error"]["message"] == f"Quota 'SSD_TOTAL_GB' exceeded.  Limit: 500.0 in region {REGION}."


def test_a_stockout_is_an_operation_that_is_done_with_an_error(compute, name):
    compute.control("POST", "operation-errors", {"kind": "insert", "code": "ZONE_RESOURCE_POOL_EXHAUSTED", "times": 2})
    for _ in range(2):
        operation = compute.done(compute.api("POST", f"zones/{ZONE}/disks", {"name": name, "sizeGb": "10"})[1])
        assert operation["status"] == "DONE" and operation["error"]["errors"][0]["code"] == "ZONE_RESOURCE_POOL_EXHAUSTED"
        assert operation["httpErrorStatusCode"] == 503
    compute.make_disk(ZONE, name)


def test_a_rate_limit_says_when_to_come_again(compute):
    compute.control("POST", "faults", {"code": 429, "retryAfter": 7})
    status, body, headers = compute.send("GET", f"/compute/v1/projects/atoll-test/zones/{ZONE}/disks", headers={"Authorization": f"Bearer {compute.token}"})
    assert (status, body["error"]["errors"][0]["reason"], headers["Retry-After"]) == (429, "rateLimitExceeded", "7")
    assert compute.api("GET", f"zones/{ZONE}/disks")[0] == 200


def test_wait_answers_when_the_operation_ends(compute, name):
    compute.control("PUT", "operation-ms", 400)
    operation = compute.api("POST", f"zones/{ZONE}/disks", {"name": name, "sizeGb": "10"})[1]
    began = time.monotonic()
    assert compute.done(operation)["status"] == "DONE"
    assert 0.2 < time.monotonic() - began < 60


def test_others_are_served_while_one_waits(compute, name):
    compute.control("PUT", "operation-ms", 8000)
    operation = compute.api("POST", f"zones/{ZONE}/disks", {"name": name, "sizeGb": "10"})[1]
    waiting = threading.Thread(target=compute.done, args=(operation,))
    waiting.start()
    began = time.monotonic()
    assert compute.api("GET", f"zones/{ZONE}/disks")[0] == 200
    assert time.monotonic() - began < 8
    waiting.join()


def test_an_address_is_reserved_from_its_regions_subnet(regions, name):
    compute = regions
    operation = compute.api("POST", f"regions/{REGION}/addresses", {"name": name})[1]
    assert operation["selfLink"].find(f"/regions/{REGION}/operations/") > 0
    compute.done(operation)
    entry = compute.api("GET", f"regions/{REGION}/addresses/{name}")[1]
    assert entry["address"].startswith("127.0.250.") and entry["status"] == "RESERVED"
    assert reason_of(compute.api("POST", f"regions/{REGION}/addresses", {"name": name})) == (409, "alreadyExists")
    compute.done(compute.api("DELETE", f"regions/{REGION}/addresses/{name}")[1])
    assert compute.api("GET", f"regions/{REGION}/addresses/{name}")[0] == 404


def test_tokens_are_wanted_and_expire(compute):
    path = f"/compute/v1/projects/atoll-test/zones/{ZONE}/disks"
    assert compute.send("GET", path)[0] == 401
    compute.control("POST", "revoke")
    assert compute.api("GET", f"zones/{ZONE}/disks")[0] == 401
    compute.token = compute.new_token()
    assert compute.api("GET", f"zones/{ZONE}/disks")[0] == 200


def test_the_metadata_server_wants_its_header_and_may_not_be_there_yet(compute):
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    assert compute.send("GET", path)[0] == 403
    status, token, headers = compute.send("GET", path, headers={"Metadata-Flavor": "Google"})
    assert (status, token["token_type"], headers["Metadata-Flavor"]) == (200, "Bearer", "Google")
    compute.control("PUT", "metadata", {"ready": False})
    assert compute.send("GET", path, headers={"Metadata-Flavor": "Google"})[0] == 503


def test_a_disk_that_somebody_deleted_is_another_when_made_again(compute, name):
    compute.make_disk(ZONE, name)
    first = compute.api("GET", f"zones/{ZONE}/disks/{name}")[1]["id"]
    compute.control("DELETE", f"disks/atoll-test/{ZONE}/{name}")
    compute.make_disk(ZONE, name)
    assert compute.api("GET", f"zones/{ZONE}/disks/{name}")[1]["id"] != first
