"""The agent's Kubernetes client (the program of tests/doubles/kube-probe) before real API servers, current and older. What only
a server that misbehaves can show is in tests/integration/test_kube_client.py."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import psutil
import pytest

import binaries
import processes
from conftest import wait_until
from control_plane import ControlPlane

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from kube_probe import Probe  # noqa: E402  (found through the line above)

PROGRAM = pathlib.Path(os.environ.get("ATOLL_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/bin")).resolve() / "atoll-kube-probe"
MAPS = "/api/v1/namespaces/default/configmaps"
OURS = {"atoll.dev/federation": "test"}
SELECTOR = "atoll.dev/federation=test"


@pytest.fixture(scope="module", params=["current", "older"])
def plane(request):
    """A control plane without any zone around it."""
    if request.param == "older" and os.environ.get("KUBERNETES_OLDER") == "no":
        pytest.skip("KUBERNETES_OLDER=no")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-plane-", dir="/tmp"))
    made = ControlPlane(binaries.find_or_build(request.param), folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        left = processes.of_directory(folder)
        shutil.rmtree(folder, ignore_errors=True)
        assert not left, f"left running: {left}"


@pytest.fixture
def start(plane):
    probes = []

    def make(config="kubeconfig"):
        probes.append(Probe(PROGRAM, "kubeconfig", plane.folder / config))
        return probes[-1]

    yield make
    cleaner = make()  # kubectl allows itself five deletions a second
    for path in (f"{MAPS}?labelSelector={SELECTOR}", f"{MAPS}?labelSelector=foreign=true", SERVICE):
        assert cleaner.ask("DELETE", path)["status"] in (200, 404)
    for probe in probes:
        probe.end()


def kubectl(plane, *words):
    """An answer of the cluster's own client."""
    done = subprocess.run([plane.binaries["kubectl"], f"--kubeconfig={plane.folder}/kubeconfig", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config_map(name, data=None, labels=None):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": OURS if labels is None else labels}, "data": data or {"a": "1"}}


def service(**more):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mongo-svc-a", "labels": OURS},
            "spec": {"selector": {"name": "mongo-node1"}, "ports": [{"port": 27017, "protocol": "TCP", **more}]}}


SERVICE = "/api/v1/namespaces/default/services/mongo-svc-a"


def test_discovery(plane, start):
    probe = start()
    probe.do(do="discover")
    found = probe.next("server")
    assert found["version"] == f"v{plane.binaries.version}" and found["minor"] == plane.binaries.minor
    assert found["policyV1"] == found["discoveryV1"] == found["atLeast121"] == (plane.binaries.minor >= 21)


def test_apply_creates_repairs_and_leaves_foreign_fields_alone(plane, start):
    probe = start()
    assert probe.apply(SERVICE, service(), dryRun=True)["status"] == 201
    assert probe.ask("GET", SERVICE)["reason"] == "NotFound"
    assert probe.apply(SERVICE, service())["status"] == 201
    kubectl(plane, "annotate", "service", "mongo-svc-a", "mine=yes")
    kubectl(plane, "patch", "service", "mongo-svc-a", "-p", '{"spec":{"selector":{"name":"elsewhere"}}}')
    answer = probe.apply(SERVICE, service())
    assert (answer["status"], answer["reason"], answer["error"]) == (409, "Conflict", "conflict")
    assert "kubectl" in answer["message"] and "spec.selector" in answer["message"], "it names the owner and the field"
    answer = probe.apply(SERVICE, service(), force=True)
    assert answer["status"] == 200 and answer["body"]["spec"]["selector"] == {"name": "mongo-node1"}
    assert answer["body"]["metadata"]["annotations"]["mine"] == "yes"


def test_what_is_wrong_is_said_in_words(start):
    probe = start()
    answer = probe.apply(SERVICE, service(port=70000))
    assert (answer["status"], answer["error"]) == (422, "invalid") and "spec.ports[0].port" in answer["message"]
    answer = probe.ask("GET", MAPS + "/none")
    assert (answer["status"], answer["error"], answer["message"]) == (404, "not_found", 'configmaps "none" not found')
    assert probe.ask("POST", MAPS, body=config_map("twice"))["status"] == 201
    assert probe.ask("POST", MAPS, body=config_map("twice"))["reason"] == "AlreadyExists"
    assert probe.ask("DELETE", MAPS + "/twice")["status"] == 200


@pytest.mark.parametrize("config", ["agent.kubeconfig", "agent-certificate.kubeconfig"])
def test_the_agent_is_known_by_token_and_by_certificate(start, config):
    answer = start(config).ask("GET", MAPS)
    assert (answer["status"], answer["reason"], answer["error"]) == (403, "Forbidden", "refused")
    assert "system:serviceaccount:default:atoll-zone-agent" in answer["message"]


def test_a_wrong_token_is_refused(plane, start):
    config = json.loads((plane.folder / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    (plane.folder / "wrong.kubeconfig").write_text(json.dumps(config))
    assert start("wrong.kubeconfig").ask("GET", MAPS)["reason"] == "Unauthorized"


def test_a_watch_sees_what_carries_our_label(plane, start):
    probe = start()
    probe.ask("POST", MAPS, body=config_map("before"))
    probe.do(do="watch", path=MAPS, labels=SELECTOR)
    probe.next("listed")
    assert [line["name"] for line in probe.seen if line["event"] == "added"] == ["before"]
    probe.ask("POST", MAPS, body=config_map("foreign", labels={"foreign": "true"}))
    probe.ask("POST", MAPS, body=config_map("after"))
    probe.next("added", name="after")
    kubectl(plane, "label", "configmap", "foreign", "atoll.dev/federation=test")
    probe.next("added", name="foreign")
    kubectl(plane, "label", "configmap", "foreign", "atoll.dev/federation-")
    probe.next("deleted", name="foreign")
    kubectl(plane, "annotate", "configmap", "after", "a=b")
    probe.next("modified", name="after")
    kubectl(plane, "delete", "configmap", "after")
    probe.next("deleted", name="after")


def test_a_long_list_comes_in_pages(start):
    probe = start()
    for i in range(120):
        probe.do(do="request", method="POST", path=MAPS, body=config_map(f"page-{i}"))
    assert {probe.next("answer")["status"] for _ in range(120)} == {201}
    probe.do(do="watch", path=MAPS, labels=SELECTOR, page=50)
    assert probe.next("listed")["objects"] == 120


def test_one_connection_is_enough_for_all(plane, start):
    """HTTP/2: eight watches and hundreds of requests, bodies of some size both ways, over one TCP connection."""
    probe = start()
    probe.ask("GET", MAPS)
    for kind in ("pods", "services", "configmaps", "secrets", "endpoints", "replicationcontrollers", "persistentvolumeclaims", "serviceaccounts"):
        probe.do(do="watch", path=f"/api/v1/namespaces/default/{kind}", labels=SELECTOR, objectBytes=2 << 20)
    for _ in range(8):
        probe.next("listed")
    big = "x" * 300000
    for i in range(30):
        probe.do(do="apply", path=f"{MAPS}/big-{i % 3}", object=config_map(f"big-{i % 3}", {"a": f"{i}{big}"}))
    for i in range(200):
        probe.do(do="request", method="GET", path=f"{MAPS}?limit=1")
    statuses = [probe.next("answer")["status"] for _ in range(230)]
    assert set(statuses) <= {200, 201}
    connections = [one for one in psutil.Process(probe.process.pid).connections() if one.status == "ESTABLISHED"]
    print(f"{probe.memory()['anonymousKb']} KiB of anonymous memory")
    assert len(connections) == 1


def test_history_that_is_gone_means_a_new_list(plane, start):
    """The API server goes away, and what the watch knows last is compacted meanwhile."""
    probe = start()
    probe.ask("POST", MAPS, body=config_map("stays"))
    probe.ask("POST", MAPS, body=config_map("goes"))
    probe.do(do="watch", path=MAPS, labels=SELECTOR)
    probe.next("listed")
    for i in range(5):  # so that the watch's version is behind what is compacted
        kubectl(plane, "annotate", "configmap", "stays", f"a={i}", "--overwrite")
    probe.next("modified")
    plane.stop_apiserver()
    plane.compact()
    probe.next("problem")
    plane.start_apiserver()
    plane.wait_until_ready()
    probe.next("good", timeout=120)
    kubectl(plane, "delete", "configmap", "goes")
    probe.next("deleted", name="goes")


def test_a_server_that_hangs_is_waited_for(plane, start):
    probe = start()
    assert probe.ask("GET", MAPS)["status"] == 200
    plane.pause_apiserver()
    try:
        assert probe.ask("GET", MAPS, deadlineMs=1500)["error"] in ("timeout", "unreachable")
        probe.do(do="request", method="GET", path=MAPS, deadlineMs=30000)
        time.sleep(0.5)  # it is under way
    finally:
        plane.continue_apiserver()
    assert probe.next("answer", timeout=120)["status"] == 200
