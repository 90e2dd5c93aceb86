"""Fixtures of the Kubernetes tests: one bed of three zones for all of them, a namespace and disks of its own for each test.

KUBEBUILDER_ASSETS, KUBEBUILDER_ASSETS_OLDER    folders of binaries (else the cache, else they are built once)
ATOLL_MONGOD=PATH    a real mongod for all members (default: the stand-in, atoll-mongod-sim)
KUBERNETES_OLDER=no  all zones are of the current version"""
import faulthandler
import itertools
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bed as bed_module  # noqa: E402  (found through the line above)
import binaries  # noqa: E402
import objects  # noqa: E402
import processes  # noqa: E402
from kube_client import field  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
TEST_TIMEOUT_SECS = 400  # a busy machine is ten times slower; a test that is done does not wait
WAIT_SECS = 120
FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Ends a test at its deadline as a failure, so that fixtures still clean up."""
    marker = item.get_closest_marker("timeout")
    seconds = marker.args[0] if marker else TEST_TIMEOUT_SECS

    def too_late(_signal, _frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        pytest.fail(f"took longer than {seconds} s", pytrace=True)

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(int(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    if outcome.get_result().failed:
        item.stash[FAILED] = True


def wait_until(condition, what, timeout=WAIT_SECS):
    """Polls until `condition()` is true, and gives what it gave; fails the test with what it gave last."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last: {value!r})")
        time.sleep(0.05)


class Compute:
    """The Compute API double, as a client and with its knobs."""

    def __init__(self, url):
        self.url = url
        self.token = self.new_token()

    def new_token(self):
        return self.send("GET", "/computeMetadata/v1/instance/service-accounts/default/token", headers={"Metadata-Flavor": "Google"})[1]["access_token"]

    def send(self, method, path, body=None, headers=None):
        """(status, value, headers)"""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, value_of(answer), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, value_of(error), error.headers

    def api(self, method, path, body=None):
        status, value, _ = self.send(method, f"/compute/v1/projects/atoll-test/{path}", body, {"Authorization": f"Bearer {self.token}"})
        return status, value

    def control(self, method, path, body=None):
        status, value, _ = self.send(method, f"/control/{path}", body)
        assert status == 200, value
        return value

    def done(self, operation):
        """Waits for an operation as an agent would."""
        path = operation["selfLink"].partition("/projects/atoll-test/")[2]
        return self.api("POST", f"{path}/wait")[1]

    def make_disk(self, zone, name, size=10):
        status, operation = self.api("POST", f"zones/{zone}/disks", {"name": name, "sizeGb": str(size)})
        assert status == 200, operation
        operation = self.done(operation)
        assert "error" not in operation, operation


def value_of(answer):
    text = answer.read()
    try:
        return json.loads(text)
    except ValueError:
        return text.decode()


class Place:
    """A namespace of one zone, in which a test has its members."""

    def __init__(self, zone, compute, name):
        self.zone, self.compute, self.name, self.set = zone, compute, name, name
        self.client, self.facts, self.fault = zone.client, zone.facts, zone.fault

    def path(self, kind, name=None):
        group = "/apis/apps/v1" if kind == "deployments" else "/api/v1"
        return f"{group}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def apply(self, *things):
        return self.zone.kubectl("apply", "-f", "-", stdin=objects.manifest(things))

    def apply_member(self, ordinal=1, **more):
        """All objects of a member, its disk first."""
        self.make_disk(ordinal)
        self.apply(*objects.member(self.facts, self.set, ordinal, namespace=self.name, **more))

    def make_disk(self, ordinal=1):
        self.compute.make_disk(self.zone.name, objects.disk_name(self.set, ordinal))

    def pods(self, ordinal=1):
        items = self.client.get(self.path("pods"), labelSelector=f"name={self.set}-node{ordinal}")["items"]
        return sorted(items, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def ready_pod(self, ordinal=1, other_than=None):
        """The member's one pod when it is ready; None before."""
        for pod in self.pods(ordinal):
            conditions = {condition["type"]: condition["status"] for condition in field(pod, "status", "conditions", default=[])}
            if conditions.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp") and pod["metadata"]["uid"] != other_than:
                return pod
        return None

    def wait_ready(self, ordinal=1, other_than=None):
        return wait_until(lambda: self.ready_pod(ordinal, other_than), f"{self.set}-node{ordinal} is ready")

    def address(self, ordinal=1):
        service = self.client.get(self.path("services", f"{self.set}-svc-{objects.letter(ordinal)}"))
        return field(service, "status", "loadBalancer", "ingress", default=[{}])[0].get("ip")

    def wait_address(self, ordinal=1):
        return wait_until(lambda: self.address(ordinal), f"{self.set}-svc has an address")

    def status(self, pod):
        return self.fault("status")["pods"][pod["metadata"]["name"]]

    def remove(self):
        """Objects first, then what is outside of the namespace."""
        self.zone.kubectl("delete", "namespace", self.name, "--wait=false", check=False)
        self.zone.kubectl("delete", "pods", "-n", self.name, "--all", "--grace-period=0", "--force", check=False)
        for volume in self.client.get("/api/v1/persistentvolumes")["items"]:
            if field(volume, "spec", "claimRef", "namespace") == self.name:
                self.zone.kubectl("delete", "pv", volume["metadata"]["name"], "--wait=false", check=False)
        wait_until(lambda: not any(self.name in disk for pod in self.fault("status")["pods"].values() for disk in pod["disks"]),
                   f"the members of {self.name} end")


@pytest.fixture(scope="session")
def versions():
    older = "current" if os.environ.get("KUBERNETES_OLDER") == "no" else "older"
    return dict(zip(bed_module.ZONES, ("current", "current", older)))


@pytest.fixture(scope="session")
def bed(versions):
    """Three zones, the last of an older version. Nothing may be left of them."""
    try:
        for version in sorted(set(versions.values())):
            binaries.find_or_build(version)
        mongod = bed_module.find_mongod()
    except processes.BedError as error:
        pytest.exit(str(error), returncode=4)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bed-", dir="/tmp"))
    made = bed_module.Bed(folder, versions, mongod)
    try:
        yield made.up()
    finally:
        bed_module.end(processes.of_directory(folder))
        left = processes.of_directory(folder)
        shutil.rmtree(folder, ignore_errors=True)
        assert not left, f"left running: {left}"


@pytest.fixture(scope="session")
def compute_url(bed):
    return bed.compute_url


@pytest.fixture
def compute(compute_url):
    """The Compute API double without any knobs turned."""
    client = Compute(compute_url)
    client.control("POST", "reset")
    yield client
    client.control("POST", "reset")


NUMBERS = itertools.count(1)


@pytest.fixture
def new_place(request, bed, compute):
    """Makes namespaces: new_place("us-east1-b"). Members in them are named by the namespace. All is removed afterwards."""
    made, name = [], f"t{next(NUMBERS)}"

    def make(zone):
        place = Place(bed.zones[zone], compute, name)
        place.client.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        made.append(place)
        return place

    yield make
    if request.node.stash.get(FAILED, False):
        for place in made:
            print_state(place)
    for place in made:
        place.remove()


def print_state(place):
    print(f"--- {place.zone.name}, namespace {place.name}")
    print(place.zone.kubectl("get", "rc,svc,endpoints,endpointslices,pvc,pods,events", "-n", place.name, "-o", "wide", check=False).stdout)
    print(json.dumps(place.fault("status"), indent=1))
    for log in ("zone.log", "kube-apiserver.log", "kube-controller-manager.log"):
        print(f"--- {log}\n{processes.tail(place.zone.folder / log)}")


@pytest.fixture(params=["current", "older"])
def place(request, new_place, versions):
    """A namespace in a zone of each version."""
    zones = [zone for zone, version in versions.items() if version == request.param]
    if not zones:
        pytest.skip("KUBERNETES_OLDER=no")
    return new_place(zones[0])


@pytest.fixture
def current_place(new_place):
    return new_place(bed_module.ZONES[0])
