"""The kubernetes driver against real control planes: a set comes up, and whatever is done to it, it is healthy again with the same
ids and no lost data."""
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import re
import ssl
import subprocess
import time

import pymongo
import pytest
import yaml

import bed as bed_module
from conftest import FAILED, wait_until
from federation import BIN, RBAC, Federation, letter, steady
from kube_client import field

FIRST, SECOND, THIRD = bed_module.ZONES
DOCUMENTS = 20
pytestmark = pytest.mark.timeout(900)  # for the worst: the fixture and the test each wait for a controller manager's backoff


@pytest.fixture
def new_federation(request, new_place, compute, tmp_path):
    """Makes one: new_federation(zones, project=True)."""
    made = []

    def make(zones=bed_module.ZONES, project=True, start=True):
        places = {zone: new_place(zone) for zone in zones}
        name = next(iter(places.values())).name
        federation = Federation(tmp_path / "federation", name, places, compute, project)
        made.append(federation)
        return federation.start() if start else federation

    yield make
    for federation in made:
        if request.node.stash.get(FAILED, False):
            print(federation.logs())
            with contextlib.suppress(Exception):
                print(federation.atoll("status").stdout, federation.explain(), federation.events())
        federation.stop()


@pytest.fixture
def healthy(new_federation):
    """Three zones, one member each, with data; checks at the end that ids and data are the same."""
    federation = new_federation()
    federation.apply()
    federation.write(DOCUMENTS)
    before = federation.identity()
    yield federation
    federation.wait_healthy()
    assert federation.identity() == before
    assert federation.count() == DOCUMENTS


def kubectl_names(place, kinds):
    return set(place.zone.kubectl("get", kinds, "-n", place.name, "-o", "name").stdout.split())


# ---- a set comes up ----

def test_three_control_planes_make_one_healthy_set_of_the_services_addresses(healthy):
    hosts = {member["host"] for member in healthy.set_status()["members"]}
    for ordinal, place in enumerate(healthy.places.values(), start=1):
        assert f"{place.address(ordinal)}:27017" in hosts
        name = healthy.name
        names = kubectl_names(place, "rc,svc,pvc,pods,pdb")
        pod = next(each for each in names if each.startswith("pod/"))
        assert pod.startswith(f"pod/{name}-rc{ordinal}-")
        assert names == {f"replicationcontroller/{name}-rc{ordinal}", f"service/{name}-svc-{letter(ordinal)}", f"service/{name}-svc", pod,
                         f"persistentvolumeclaim/{name}-persistent-storage{ordinal}", f"poddisruptionbudget.policy/{name}-svc"}
        volume = place.client.get(f"/api/v1/persistentvolumes/{name}db-disk{ordinal}")
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        assert volume["spec"]["csi"]["volumeHandle"] == f"projects/atoll-test/zones/{place.zone.name}/disks/{name}db-disk{ordinal}"
        assert field(place.ready_pod(ordinal), "metadata", "labels", "name") == f"{name}-node{ordinal}"


def test_a_cluster_of_any_make_takes_claims_of_the_default_class(new_federation):
    federation = new_federation(project=False)
    federation.apply()
    claim = federation.places[FIRST].client.get(federation.places[FIRST].path("persistentvolumeclaims", f"{federation.name}-persistent-storage1"))
    assert claim["spec"]["storageClassName"] == "standard-rwo"
    assert "loadBalancerIP" not in federation.places[FIRST].client.get(federation.places[FIRST].path("services", f"{federation.name}-svc-a"))["spec"]


def test_three_members_of_one_cluster_are_on_three_nodes(new_federation):
    federation = new_federation((FIRST,))
    federation.apply(federation.spec([(FIRST, {})] * 3))
    place = federation.places[FIRST]
    assert len({field(place.ready_pod(ordinal), "spec", "nodeName") for ordinal in (1, 2, 3)}) == 3
    endpoints = place.client.get(place.path("endpoints", f"{federation.name}-svc"))
    assert len(endpoints["subsets"][0]["addresses"]) == 3


def test_services_admit_the_other_zones_the_controller_the_users_and_their_own_cluster(new_federation):
    federation = new_federation((FIRST, SECOND))
    spec = federation.spec(sourceRanges=["198.51.100.0/24"])
    federation.apply(spec)
    place = federation.places[FIRST]
    ranges = lambda: set(place.client.get(place.path("services", f"{federation.name}-svc-a"))["spec"]["loadBalancerSourceRanges"])  # noqa: E731
    nodes = {f"{address['address']}/32" for node in place.client.get("/api/v1/nodes")["items"]
             for address in node["status"]["addresses"] if address["type"] == "InternalIP"}
    assert ranges() >= nodes | {"127.0.0.1/32", "198.51.100.0/24", federation.places[SECOND].facts["egress"]}
    spec["spec"]["zones"][1]["egress"].append("192.0.2.9/32")
    federation.apply(spec)
    wait_until(lambda: "192.0.2.9/32" in ranges(), "the Service follows the other zone's addresses")


# ---- members speak TLS ----

def shown_by(address):
    """The certificate that a member shows, DER, whoever signed it."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((address, 27017), timeout=5))


def shown_id(address):
    try:
        return hashlib.sha256(shown_by(address)).hexdigest()
    except OSError:
        return None


def refused(address, **options):
    """Whether a client gets no answer: one that speaks no TLS, or believes somebody else."""
    with pymongo.MongoClient(address, 27017, serverSelectionTimeoutMS=2000, directConnection=True, **options) as client:
        try:
            return not client.admin.command("isMaster")
        except pymongo.errors.PyMongoError:
            return True


def with_base64_read(text):
    """The text, and after it what its words of base64 say: so Secrets hide what they hold."""
    return text + "".join(base64.b64decode(word + "=" * (-len(word) % 4)).decode(errors="replace") for word in re.findall(r"[A-Za-z0-9+/]{40,}", text)
                          if len(word) % 4 != 1)


def holders(place, lines):
    """Kind and name of all objects in the namespace, whatever kinds there are, that hold one of the lines; and of all that were searched."""
    kinds = place.zone.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout.split()
    listed = json.loads(place.zone.kubectl("get", ",".join(kinds), "-n", place.name, "-o", "json", "--show-managed-fields").stdout)
    texts = {f"{item['kind']} {item['metadata']['name']}": with_base64_read(json.dumps(item)) for item in listed["items"]}
    return {name for name, text in texts.items() if any(line in text for line in lines)}, set(texts)


def tls_secret(place, ordinal):
    secret = place.client.get(place.path("secrets", f"{place.name}-node{ordinal}-tls"))
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_members_speak_tls_alone_and_their_keys_are_in_their_secrets_alone(healthy):
    trust = healthy.connection_options()["tlsCAFile"]
    for ordinal, place in enumerate(healthy.places.values(), start=1):
        address, secret = place.address(ordinal), tls_secret(place, ordinal)
        assert refused(address), "a plain connection"
        assert refused(address, tls=True), "a client that believes the system's CAs"
        assert not refused(address, tls=True, tlsCAFile=trust)
        certificate, _, key = secret["member.pem"].partition("-----BEGIN PRIVATE KEY-----")
        assert ssl.PEM_cert_to_DER_cert(certificate) == shown_by(address)
        assert secret["ca.pem"] == pathlib.Path(trust).read_text()
        lines = [line for line in key.splitlines() if len(line) > 20 and "-----" not in line]
        holding, searched = holders(place, lines)
        assert f"ReplicationController {place.name}-rc{ordinal}" in searched and any(name.startswith("Pod ") for name in searched)
        assert holding == {f"Secret {place.name}-node{ordinal}-tls"}
        assert not any(line in log.read_text(errors="replace") for log in healthy.folder.glob("*.log") for line in lines)


def test_a_moved_address_has_its_certificate_without_a_restart(new_federation):
    federation = new_federation(project=False)
    federation.apply()
    place, name = federation.places[FIRST], f"{federation.name}-node1"
    pod, before = place.ready_pod(1), shown_id(place.address(1))
    process = place.status(pod)["pid"]
    template = place.client.get(place.path("replicationcontrollers", f"{place.name}-rc1"))["spec"]["template"]
    moved = place.fault("move-address", member=name)["address"]
    wait_until(lambda: shown_id(moved) not in (None, before), "the member shows another certificate")
    wait_until(lambda: federation.member(1)["host"] == f"{moved}:27017", "and is known by its new address")
    federation.wait_healthy()
    assert not refused(moved, tls=True, tlsCAFile=federation.connection_options()["tlsCAFile"]), "the certificate bears the new address"
    assert place.ready_pod(1)["metadata"]["uid"] == pod["metadata"]["uid"] and place.status(pod)["pid"] == process, "nothing was restarted"
    controller = place.client.get(place.path("replicationcontrollers", f"{place.name}-rc1"))
    assert controller["spec"]["template"] == template
    assert controller["metadata"]["annotations"]["atoll.dev/certificate-id"] == shown_id(moved)
    assert "changed by somebody else" not in federation.events()


def test_a_member_that_leaves_takes_its_secrets_along(new_federation):
    federation = new_federation((FIRST,))
    federation.apply()
    place = federation.places[FIRST]
    assert {f"secret/{place.name}-node1-{what}" for what in ("keyfile", "tls")} <= kubectl_names(place, "secrets")
    federation.apply(federation.spec([(FIRST, {"state": "absent"})], state="absent"), wait=False)
    wait_until(lambda: not any(f"{place.name}-node1" in name for name in kubectl_names(place, "secrets,rc")), "no Secret is left")


def test_members_of_a_federation_without_tls_have_no_certificates(new_federation):
    federation = new_federation((FIRST,))
    spec = federation.spec()
    spec["spec"]["tls"] = False
    federation.apply(spec)
    place = federation.places[FIRST]
    assert not refused(place.address(1))
    assert f"secret/{place.name}-node1-tls" not in kubectl_names(place, "secrets")


# ---- what happens to people ----

def test_a_deleted_pod_comes_back(healthy):
    place = healthy.places[FIRST]
    former = place.ready_pod(1)
    place.fault("delete-pod", member=f"{healthy.name}-node1", grace=2)
    place.wait_ready(1, other_than=former["metadata"]["uid"])


def test_a_deleted_replication_controller_is_made_again(healthy):
    place = healthy.places[SECOND]
    place.zone.kubectl("delete", "rc", f"{healthy.name}-rc2", "-n", place.name)
    wait_until(lambda: f"replicationcontroller/{healthy.name}-rc2" in kubectl_names(place, "rc"), "the controller is there again")
    place.wait_ready(2)
    wait_until(lambda: "deleted by somebody else" in healthy.events(), "an event says it")


def test_a_service_edited_by_hand_is_repaired_and_foreign_fields_stay(healthy):
    place = healthy.places[THIRD]
    path = place.path("services", f"{healthy.name}-svc-c")
    place.client.patch(path, {"metadata": {"annotations": {"example.com/mine": "kept"}},
                              "spec": {"externalTrafficPolicy": "Cluster", "loadBalancerSourceRanges": ["0.0.0.0/0"]}})
    wait_until(lambda: place.client.get(path)["spec"]["externalTrafficPolicy"] == "Local", "the Service is repaired")
    service = place.client.get(path)
    assert "0.0.0.0/0" not in service["spec"]["loadBalancerSourceRanges"]
    assert service["metadata"]["annotations"]["example.com/mine"] == "kept"
    wait_until(lambda: "changed by somebody else" in healthy.events(), "an event says it")


def test_a_volume_that_would_be_deleted_with_its_claim_is_kept_again(healthy):
    path = f"/api/v1/persistentvolumes/{healthy.name}db-disk2"
    place = healthy.places[SECOND]
    before = place.client.patch(path, {"metadata": {"annotations": {"example.com/mine": "kept"}}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    wait_until(lambda: place.client.get(path)["spec"]["persistentVolumeReclaimPolicy"] == "Retain", "the policy is repaired")
    after = place.client.get(path)
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"], "what is known of the disk, and others' own"
    assert after["spec"] == dict(before["spec"], persistentVolumeReclaimPolicy="Retain")
    wait_until(lambda: 'spec.persistentVolumeReclaimPolicy is "Delete"' in healthy.events(), "an event says it")


@pytest.mark.parametrize("kind", ["pv", "pvc"])
def test_a_disk_that_lost_our_labels_is_seen_again(new_federation, kind):
    federation = new_federation((FIRST,))
    federation.apply()
    federation.write(DOCUMENTS)
    place, before = federation.places[FIRST], federation.identity()
    pod, name = place.ready_pod(1)["metadata"]["uid"], f"{federation.name}db-disk1" if kind == "pv" else f"{federation.name}-persistent-storage1"
    labels = lambda: json.loads(place.zone.kubectl("get", kind, name, "-n", place.name, "-o", "json").stdout)["metadata"].get("labels", {})  # noqa: E731
    whole = labels()
    place.zone.kubectl("label", kind, name, "-n", place.name, "atoll.dev/federation-", "atoll.dev/zone-")
    wait_until(lambda: labels() == whole, "the labels are back")
    wait_until(lambda: "our labels were taken off" in federation.events(), "an event says it")
    federation.wait_healthy()
    assert federation.identity() == before and federation.count() == DOCUMENTS
    assert place.ready_pod(1)["metadata"]["uid"] == pod, "nothing was restarted"


def test_a_moved_service_address_keeps_the_members_id(new_federation):
    """Without reserved addresses, as a cloud's load balancer may."""
    federation = new_federation(project=False)
    federation.apply()
    federation.write(DOCUMENTS)
    before = federation.identity()
    moved = federation.places[FIRST].fault("move-address", member=f"{federation.name}-node1")["address"]
    wait_until(lambda: federation.member(1)["host"] == f"{moved}:27017", "the member is known by its new address")
    federation.wait_healthy()
    assert federation.identity() == before and federation.count() == DOCUMENTS


def test_a_stopped_api_server_is_no_dead_zone(healthy):
    place = healthy.places[FIRST]
    place.fault("api-stop")
    try:
        time.sleep(float(os.environ.get("ATOLL_API_AWAY_SECS", "15")) - 5)  # the time itself is the test: a minute in the nightly run
        steady(lambda: healthy.zone_state(FIRST) == "Connected" and healthy.set_status()["phase"] == "Healthy", 5, "its members serve on")
        assert healthy.count() == DOCUMENTS
    finally:
        place.fault("api-start")


def test_a_reset_watch_goes_on(healthy):
    place = healthy.places[FIRST]
    place.fault("agent-drop")
    place.zone.kubectl("scale", "rc", f"{healthy.name}-rc1", "-n", place.name, "--replicas=0")
    wait_until(lambda: place.client.get(place.path("replicationcontrollers", f"{healthy.name}-rc1"))["spec"]["replicas"] == 1, "it is scaled again")
    place.wait_ready(1)


def test_a_compacted_history_is_listed_anew(healthy):
    place = healthy.places[FIRST]
    place.fault("api-compact")
    place.fault("api-stop")
    place.fault("api-start")
    place.zone.kubectl("delete", "pdb", f"{healthy.name}-svc", "-n", place.name)
    wait_until(lambda: "poddisruptionbudget.policy/" + healthy.name + "-svc" in kubectl_names(place, "pdb"), "the budget is there again")


def test_an_agent_killed_while_it_creates_things_goes_on(new_federation):
    federation = new_federation()
    federation.places[FIRST].fault("delay", step="address", ms=1500)
    try:
        federation.apply(wait=False)
        place = federation.places[FIRST]
        for kind in ("pvc", "svc", "rc"):
            wait_until(lambda wanted=kind: kubectl_names(place, wanted), f"there is a {kind}")
            federation.kill(FIRST)
            federation.start_agent(FIRST)
        federation.wait_healthy()
        assert len(kubectl_names(place, "pods")) == 1
    finally:
        federation.places[FIRST].fault("delay", step="address", ms=0)


def test_a_deleted_claim_binds_its_disk_again(healthy):
    place, claim = healthy.places[FIRST], f"{healthy.name}-persistent-storage1"
    disk = place.client.get(f"/api/v1/persistentvolumes/{healthy.name}db-disk1")["metadata"]["annotations"]["atoll.dev/disk-id"]
    former = place.client.get(place.path("persistentvolumeclaims", claim))["metadata"]["uid"]
    place.zone.kubectl("delete", "pvc", claim, "-n", place.name, "--wait=false")
    place.fault("delete-pod", member=f"{healthy.name}-node1", grace=1)
    wait_until(lambda: (place.client.find(place.path("persistentvolumeclaims", claim)) or {"metadata": {"uid": former}})["metadata"]["uid"] != former,
               "there is another claim")
    place.wait_ready(1)
    assert place.client.get(f"/api/v1/persistentvolumes/{healthy.name}db-disk1")["metadata"]["annotations"]["atoll.dev/disk-id"] == disk


# ---- the Compute API ----

def test_a_disk_operation_that_fails_twice_is_tried_again(new_federation, compute):
    federation = new_federation()
    compute.control("POST", "operation-errors", {"kind": "insert", "name": f"{federation.name}db-disk1", "code": "INTERNAL_ERROR", "times": 2})
    federation.apply()


def test_a_quota_is_explained_and_the_other_zones_go_on(new_federation, compute):
    federation = new_federation()
    compute.control("POST", "operation-errors", {"kind": "insert", "name": f"{federation.name}db-disk1", "code": "QUOTA_EXCEEDED", "times": 1000,
                                                  "message": "Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0 in region us-east1."})
    federation.apply(wait=False)
    wait_until(lambda: "quota" in federation.explain().lower() and "SSD_TOTAL_GB" in federation.atoll("status").stdout, "explain names the quota")
    for ordinal, zone in ((2, SECOND), (3, THIRD)):
        federation.places[zone].wait_ready(ordinal)
    compute.control("POST", "reset")
    federation.wait_healthy()


# ---- somebody else's ----

def test_a_foreign_replication_controller_stays_untouched_and_explain_says_what_to_do(new_federation):
    federation = new_federation()
    place, name = federation.places[FIRST], f"{federation.name}-rc1"
    theirs = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name, "namespace": place.name},
              "spec": {"replicas": 0, "selector": {"app": "theirs"}, "template": {
                  "metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}}}
    before = place.client.post(place.path("replicationcontrollers"), theirs)
    federation.apply(wait=False)
    wait_until(lambda: "isn't ours" in federation.explain(), "explain names the conflict")
    assert "delete or rename it" in federation.explain()
    after = place.client.get(place.path("replicationcontrollers", name))
    assert after["spec"] == before["spec"] and after["metadata"]["labels"] == before["metadata"]["labels"]
    assert not any(entry["manager"] == "atoll" for entry in after["metadata"]["managedFields"])
    place.client.delete(place.path("replicationcontrollers", name), {"apiVersion": "v1", "kind": "DeleteOptions"})
    federation.wait_healthy()


# ---- disks grow ----

LARGER = {"size": "2Gi", "type": "pd-ssd"}


def pod_ids(federation):
    return {ordinal: place.ready_pod(ordinal)["metadata"]["uid"] for ordinal, place in enumerate(federation.places.values(), start=1)}


def claim_of(place, ordinal):
    return place.client.get(place.path("persistentvolumeclaims", f"{place.name}-persistent-storage{ordinal}"))


def test_a_larger_size_grows_the_disk_and_then_its_volume(healthy):
    pods = pod_ids(healthy)
    healthy.apply(healthy.spec(storage=LARGER))
    for ordinal, place in enumerate(healthy.places.values(), start=1):
        name = f"{healthy.name}db-disk{ordinal}"
        wait_until(lambda of=place, disk=name: of.client.get(f"/api/v1/persistentvolumes/{disk}")["spec"]["capacity"]["storage"] == "2Gi",
                   "the PersistentVolume says it")
        assert healthy.compute.api("GET", f"zones/{place.zone.name}/disks/{name}")[1]["sizeGb"] == "2"
        assert field(claim_of(place, ordinal), "spec", "resources", "requests", "storage") == "1Gi", "the server grows no claim without a class"
        wait_until(lambda of=ordinal: healthy.member(of)["disk"]["sizeBytes"] == 2 << 30, "and so does the status")
    assert pod_ids(healthy) == pods, "nothing was restarted"
    assert "changed by somebody else" not in healthy.events()


def test_a_quota_that_is_used_up_keeps_a_disk_small_and_nobody_from_starting(new_federation):
    federation = new_federation((FIRST,))
    federation.apply()
    place, quota = federation.places[FIRST], f"quotas/{FIRST.rpartition('-')[0]}/SSD_TOTAL_GB"
    volume = lambda: place.client.get(f"/api/v1/persistentvolumes/{federation.name}db-disk1")["spec"]["capacity"]["storage"]  # noqa: E731
    former = place.ready_pod(1)["metadata"]["uid"]
    federation.compute.control("PUT", quota, 0)
    try:
        federation.apply(federation.spec(storage=LARGER), wait=False)
        wait_until(lambda: "Quota 'SSD_TOTAL_GB' exceeded" in federation.explain(), "explain names the quota")
        assert federation.set_status()["phase"] == "Healthy" and volume() == "1Gi", "no PersistentVolume says more than there is"
        place.fault("delete-pod", member=f"{federation.name}-node1", grace=1)
        place.wait_ready(1, other_than=former)
    finally:
        federation.compute.control("PUT", quota, 100000)
    wait_until(lambda: volume() == "2Gi", "it grows by itself once there is room")
    wait_until(lambda: "Quota" not in federation.explain(), "and nothing is left to say")


def test_a_larger_size_grows_the_claims_of_a_class(new_federation):
    federation = new_federation(project=False)
    federation.apply()
    pods = pod_ids(federation)
    federation.apply(federation.spec(storage=LARGER))
    for ordinal, place in enumerate(federation.places.values(), start=1):
        wait_until(lambda of=place, n=ordinal: field(claim_of(of, n), "status", "capacity", "storage") == "2Gi", "the claim has grown")
        assert claim_of(place, ordinal)["metadata"]["annotations"]["atoll.dev/used"] == "true"
        wait_until(lambda of=ordinal: federation.member(of)["disk"]["sizeBytes"] == 2 << 30, "and the status says it")
    federation.wait_healthy()
    assert pod_ids(federation) == pods, "nothing was restarted"


def test_a_class_that_lets_nothing_grow_is_explained_and_no_reason_to_hurry(new_federation):
    federation = new_federation((FIRST,), project=False)
    federation.apply()
    place, rule = federation.places[FIRST], "(rule 187)"
    log = federation.folder / f"{FIRST}.log"
    cluster_class = f"/apis/storage.k8s.io/v1/storageclasses/{claim_of(place, 1)['spec']['storageClassName']}"
    place.client.patch(cluster_class, {"allowVolumeExpansion": False})
    try:
        time.sleep(1)  # the API server knows classes by a watch of its own
        federation.apply(federation.spec(storage=LARGER), wait=False)
        wait_until(lambda: "is not grown" in federation.explain(), "explain names the refusal")
        assert "allowVolumeExpansion" in federation.explain()
        steady(lambda: log.read_text().count(rule) == 1, 10, "and it is not asked for again and again")
        assert federation.set_status()["phase"] == "Healthy"
        former = place.ready_pod(1)["metadata"]["uid"]
        place.fault("delete-pod", member=f"{federation.name}-node1", grace=1)
        place.wait_ready(1, other_than=former)
    finally:
        place.client.patch(cluster_class, {"allowVolumeExpansion": True})
    federation.kill(FIRST)  # else it is asked again in five minutes
    federation.start_agent(FIRST)
    wait_until(lambda: field(claim_of(place, 1), "status", "capacity", "storage") == "2Gi", "the claim grows once its class lets it")
    wait_until(lambda: "is not grown" not in federation.explain(), "and nothing is left to say")


# ---- Secrets ----

def secret_version(place, what):
    secret = place.client.find(place.path("secrets", f"{place.name}-node1-{what}"))
    return secret and secret["metadata"]["resourceVersion"]


def test_a_deleted_secret_is_made_again_for_the_pod_that_waits_for_it(new_federation):
    federation = new_federation((FIRST,))
    federation.apply()
    place, names = federation.places[FIRST], ("keyfile", "tls")
    former = place.ready_pod(1)["metadata"]["uid"]
    content = tls_secret(place, 1)
    for what in names:
        place.zone.kubectl("delete", "secret", f"{place.name}-node1-{what}", "-n", place.name)
    place.fault("delete-pod", member=f"{federation.name}-node1", grace=1)
    place.wait_ready(1, other_than=former)
    assert all(secret_version(place, what) for what in names) and tls_secret(place, 1) == content
    federation.wait_healthy()
    wait_until(lambda: "was deleted by somebody else" in federation.events() and "Secret" in federation.events(), "an event says it")


def test_an_edited_secret_is_as_it_was_again_and_an_agents_start_changes_none(new_federation):
    federation = new_federation((FIRST,))
    federation.apply()
    place = federation.places[FIRST]
    log, pod = federation.folder / f"{FIRST}.log", place.ready_pod(1)["metadata"]["uid"]
    before = {what: secret_version(place, what) for what in ("keyfile", "tls")}
    federation.kill(FIRST)
    federation.start_agent(FIRST)
    wait_until(lambda: "(rule 186)" in log.read_text(), "the new agent makes sure of them")
    steady(lambda: {what: secret_version(place, what) for what in before} == before, 3, "and the server finds nothing to change")
    assert "by somebody else" not in federation.events()
    path = place.path("secrets", f"{place.name}-node1-tls")
    content = tls_secret(place, 1)
    place.client.patch(path, {"metadata": {"annotations": {"example.com/mine": "kept"}}, "stringData": {"ca.pem": "theirs"}})
    wait_until(lambda: tls_secret(place, 1) == content, "it is as it was", timeout=90)
    assert place.client.get(path)["metadata"]["annotations"]["example.com/mine"] == "kept"
    wait_until(lambda: f"Secret {place.name}-node1-tls was changed by somebody else" in federation.events(), "an event says it")
    assert place.ready_pod(1)["metadata"]["uid"] == pod, "nothing was restarted"


# ---- rights ----

VERBS = sorted({(resource, verb) for document in yaml.safe_load_all(RBAC.read_text()) for rule in document.get("rules", [])
                for resource in rule["resources"] for verb in rule["verbs"]})


@pytest.mark.parametrize("resource, verb", VERBS)
def test_each_verb_of_the_role_is_needed(new_federation, resource, verb):
    federation = new_federation((FIRST,), start=False)
    federation.start_controller()
    federation.allow(FIRST, without=None if verb == "delete" else (resource, verb))
    federation.start_agent(FIRST)
    federation.apply(federation.spec(), wait=verb == "delete")
    if verb == "delete":
        federation.allow(FIRST, without=(resource, verb))
        federation.apply(federation.spec([(FIRST, {"state": "absent"})], state="absent"), wait=False)
    denied = f"{resource}" if resource != "poddisruptionbudgets" else "poddisruptionbudgets.policy"
    log = federation.folder / f"{FIRST}.log"
    wait_until(lambda: any("forbidden" in line and denied in line for line in log.read_text().splitlines()), "the agent says what it may not do")


# ---- render ----

@pytest.mark.parametrize("project", [True, False])
def test_the_api_server_accepts_what_render_prints(place, compute, tmp_path, project):
    federation = Federation(tmp_path / "federation", place.name, {place.zone.name: place}, compute, project)
    (federation.folder / "spec.yaml").write_text(yaml.safe_dump(federation.spec()))
    version = ".".join(place.facts["version"].split(".")[:2])
    text = subprocess.run([BIN / "atoll", "render", "-f", federation.folder / "spec.yaml", "--zone", place.zone.name, "--kubernetes-version", version],
                          capture_output=True, text=True, check=True).stdout
    accepted = place.zone.kubectl("apply", "--server-side", "--field-manager=atoll", "--dry-run=server", "-f", "-", stdin=text).stdout
    assert len(accepted.splitlines()) == (6 if project else 5)
    assert "Secrets (keyfile, and certificate with key)" in text.partition("---")[0]
    pod = next(each for each in yaml.safe_load_all(text) if each and each["kind"] == "ReplicationController")["spec"]["template"]["spec"]
    volume = next(each for each in pod["volumes"] if each["name"] == "tls")
    assert volume["secret"] == {"secretName": f"{federation.name}-node1-tls", "defaultMode": 0o440}
    assert {"name": "tls", "mountPath": "/run/atoll/tls", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert "--tlsCertificateKeyFile /run/atoll/tls/member.pem" in " ".join(pod["containers"][0]["command"])


# ---- a laptop ----

def test_a_sandbox_on_clusters_comes_up_and_leaves_nothing(bed, compute, tmp_path):
    folder = tmp_path / "s"
    atoll = lambda *words: subprocess.run([BIN / "atoll", "sandbox", *words, "--dir", folder], capture_output=True, text=True, timeout=300)  # noqa: E731
    clusters = [f"--kubeconfig={name}={zone.kubeconfig}" for name, zone in bed.zones.items()]
    try:
        up = atoll("up", *clusters, "--timeout", "200")
        assert up.returncode == 0, up.stdout + up.stderr
        assert "Healthy" in up.stdout
    finally:
        down = atoll("down", "--yes")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not folder.exists()
    for zone in bed.zones.values():
        wait_until(lambda of=zone: not of.kubectl("get", "rc,svc,pvc,pods,pdb", "-n", "default", "-l", "atoll.dev/federation", "-o", "name").stdout,
                   f"nothing is left in {zone.name}")


# ---- leaving and coming back ----

def test_a_member_that_leaves_keeps_its_disk_and_gets_it_again(new_federation):
    federation = new_federation((FIRST, SECOND))
    members = [(FIRST, {}), (SECOND, {}), (FIRST, {}), (SECOND, {}), (FIRST, {})][:3]
    federation.apply(federation.spec(members))
    place = federation.places[FIRST]
    former_id, disk = federation.member(3)["id"], f"{federation.name}db-disk3"
    volume = place.client.get(f"/api/v1/persistentvolumes/{disk}")
    federation.apply(federation.spec(members[:2] + [(FIRST, {"state": "absent"})]), wait=False)
    wait_until(lambda: f"replicationcontroller/{federation.name}-rc3" not in kubectl_names(place, "rc")
               and f"service/{federation.name}-svc-c" not in kubectl_names(place, "svc"), "controller and Service are gone")
    assert place.client.get(f"/api/v1/persistentvolumes/{disk}")["metadata"]["uid"] == volume["metadata"]["uid"]
    wait_until(lambda: disk in federation.atoll("status").stdout, "status lists the retained disk")
    federation.apply(federation.spec(members))
    assert place.client.get(f"/api/v1/persistentvolumes/{disk}")["metadata"]["uid"] == volume["metadata"]["uid"]
    assert federation.member(3)["id"] not in (None, former_id)
