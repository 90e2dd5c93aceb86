"""Members by hand, with kubectl: what an agent will find when it does the same."""
import socket
import time

import pymongo
import pytest

import objects
from conftest import wait_until
from kube_client import ApiError, field


def hello(address, port=27017, timeout_ms=3000):
    """What the mongod there says of itself."""
    client = pymongo.MongoClient(address, port, serverSelectionTimeoutMS=timeout_ms, connectTimeoutMS=timeout_ms, socketTimeoutMS=timeout_ms,
                                 directConnection=True)
    try:
        return client.admin.command("isMaster")
    finally:
        client.close()


def answers(address, port=27017):
    try:
        hello(address, port, 3000)
        return True
    except pymongo.errors.PyMongoError:
        return False


def test_a_member_comes_up_behind_its_services_address(place):
    place.apply_member()
    pod = place.wait_ready()
    address = place.wait_address()
    assert address.startswith(place.facts["subnet"])
    assert wait_until(lambda: answers(address), "mongod answers at the Service's address")
    assert pod["status"]["podIP"].startswith("10."), "endpoints refuse loopback addresses of pods"
    assert pod["metadata"]["name"].startswith(f"{place.set}-rc1-")
    assert "@sha256:" in pod["status"]["containerStatuses"][0]["imageID"]


def test_a_claim_is_bound_to_the_volume_it_names_and_the_disk_is_the_volumes(place):
    place.apply_member()
    pod = place.wait_ready()
    claim = place.client.get(place.path("persistentvolumeclaims", f"{place.set}-persistent-storage1"))
    assert claim["status"]["phase"] == "Bound"
    assert claim["spec"]["volumeName"] == f"{place.name}-{place.set}-persistent-storage1"
    disk = place.compute.api("GET", f"zones/{place.zone.name}/disks/{place.set}db-disk1")[1]
    assert place.status(pod)["disks"] == [f"{place.set}db-disk1-{disk['id']}"]


def test_a_claim_of_the_default_class_is_provisioned_when_its_pod_comes(place):
    storage = f"{place.set}-persistent-storage1"
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": storage, "namespace": place.name},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    place.apply(claim)
    held = place.client.get(place.path("persistentvolumeclaims", storage))
    assert held["spec"]["storageClassName"] == "standard-rwo", "the cluster's default is filled in"
    assert field(held, "status", "phase") == "Pending"
    place.apply(objects.controller(place.set, 1, place.name))
    place.wait_ready()
    assert place.client.get(place.path("persistentvolumeclaims", storage))["status"]["phase"] == "Bound"


def test_a_pod_waits_for_a_disk_that_is_not_there(place):
    place.apply(*objects.member(place.facts, place.set, 1, namespace=place.name))
    wait_until(lambda: "was not found" in events(place, "FailedAttachVolume"), "an event names the disk")
    assert place.ready_pod() is None
    place.make_disk()
    place.wait_ready()


def events(place, reason):
    items = place.client.get(place.path("events"))["items"]
    return " ".join(event["message"] for event in items if event["reason"] == reason)


def test_a_deleted_pod_has_a_successor_with_its_disk_and_address(place):
    place.apply_member()
    pod, address = place.wait_ready(), place.wait_address()
    disks = place.status(pod)["disks"]
    place.fault("delete-pod", member=f"{place.set}-node1")
    successor = place.wait_ready(other_than=pod["metadata"]["uid"])
    assert successor["metadata"]["name"] != pod["metadata"]["name"]
    assert place.status(successor)["disks"] == disks
    assert place.address() == address
    wait_until(lambda: answers(address), "the successor answers at the same address")
    wait_until(lambda: len(place.pods()) == 1, "the old pod's object goes")


def test_the_successor_starts_while_the_old_pod_is_still_terminating(place):
    place.apply_member()
    pod = place.wait_ready()
    place.fault("delay", step="terminate", ms=-1)
    try:
        place.fault("delete-pod", member=f"{place.set}-node1")
        wait_until(lambda: len(place.pods()) == 2, "the ReplicationController doesn't wait for the old pod's end")
    finally:
        place.fault("delay", step="terminate", ms=0)
    place.wait_ready(other_than=pod["metadata"]["uid"])


def test_read_write_once_pod_keeps_the_successor_waiting(current_place):
    place = current_place
    place.apply_member(access="ReadWriteOncePod")
    pod = place.wait_ready()
    place.fault("delay", step="terminate", ms=-1)
    try:
        place.fault("delete-pod", member=f"{place.set}-node1")
        wait_until(lambda: "ReadWriteOncePod" in events(place, "FailedScheduling"), "the scheduler says why the successor waits")
    finally:
        place.fault("delay", step="terminate", ms=0)
    place.wait_ready(other_than=pod["metadata"]["uid"])


def test_a_killed_mongod_is_started_again_in_its_pod(place):
    place.apply_member()
    pod = place.wait_ready()
    place.fault("kill-mongod", member=f"{place.set}-node1")

    def restarted():
        now = place.ready_pod()
        return now and now["status"]["containerStatuses"][0]["restartCount"] == 1 and now

    assert wait_until(restarted, "the container is restarted")["metadata"]["uid"] == pod["metadata"]["uid"]


def test_a_disruption_budget_of_none_refuses_eviction(place):
    place.apply_member()
    pod = place.wait_ready()
    budget = objects.budget(place.facts["version"], place.set, 0, place.name)
    place.apply(budget)
    path = f"/apis/{budget['apiVersion']}/namespaces/{place.name}/poddisruptionbudgets/{place.set}-pdb"
    wait_until(lambda: field(place.client.get(path), "status", "currentHealthy") == 1, "the budget counts the pod as healthy")
    eviction = {"apiVersion": budget["apiVersion"], "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"], "namespace": place.name}}
    with pytest.raises(ApiError) as refused:
        place.client.post(place.path("pods", pod["metadata"]["name"]) + "/eviction", eviction)
    assert refused.value.status == 429
    place.apply(objects.budget(place.facts["version"], place.set, 1, place.name))
    wait_until(lambda: field(place.client.get(path), "status", "disruptionsAllowed") == 1, "the budget opens")
    place.client.post(place.path("pods", pod["metadata"]["name"]) + "/eviction", eviction)
    place.wait_ready(other_than=pod["metadata"]["uid"])


def test_members_of_one_set_are_kept_on_different_nodes(place):
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"set": place.set}}, "topologyKey": "kubernetes.io/hostname"}]}}
    for ordinal in (1, 2, 3, 4):
        place.apply_member(ordinal, affinity=apart)

    def three_ready():
        pods = [pod for pod in map(place.ready_pod, (1, 2, 3, 4)) if pod]
        return pods if len(pods) == 3 else None

    pods = wait_until(three_ready, "three members are ready")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    wait_until(lambda: "anti-affinity" in events(place, "FailedScheduling"), "the scheduler says why the fourth has no node")
    assert three_ready(), "and it stays so"


def test_a_cordoned_node_gets_no_successor(place):
    place.apply_member()
    pod = place.wait_ready()
    node = pod["spec"]["nodeName"]
    place.fault("cordon", node=node)
    try:
        place.fault("delete-pod", member=f"{place.set}-node1")
        assert place.wait_ready(other_than=pod["metadata"]["uid"])["spec"]["nodeName"] != node
    finally:
        place.fault("uncordon", node=node)


def test_an_init_container_copies_a_secret_that_mongod_would_refuse(place):
    key = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": place.name}, "stringData": {"keyfile": "c2VjcmV0"}}
    place.make_disk()
    more = dict(
        securityContext={"fsGroup": 999},
        initContainers=[{"name": "keyfile", "image": "mongo:7.0", "command": ["sh", "-c", "umask 0377 && cp /secret/keyfile /key/keyfile"],
                         "volumeMounts": [{"name": "secret", "mountPath": "/secret"}, {"name": "key", "mountPath": "/key"}]}])
    things = objects.member(place.facts, place.set, 1, namespace=place.name, **more)
    things[2]["spec"]["template"]["spec"]["volumes"] += [{"name": "secret", "secret": {"secretName": "key", "defaultMode": 0o400}},
                                                       {"name": "key", "emptyDir": {"medium": "Memory"}}]
    place.apply(*things)
    wait_until(lambda: 'secret "key" not found' in events(place, "FailedMount"), "the pod waits for its Secret")
    place.apply(key)
    pod = place.wait_ready()
    volumes = place.zone.folder / "pods" / pod["metadata"]["uid"] / "volumes"
    assert (volumes / "secret" / "keyfile").stat().st_mode & 0o777 == 0o440, "under fsGroup the group may read it"
    assert (volumes / "key" / "keyfile").stat().st_mode & 0o777 == 0o400
    assert (volumes / "key" / "keyfile").read_text() == "c2VjcmV0"


def test_a_secrets_new_content_comes_into_a_running_pod_a_while_later(current_place):
    place = current_place
    secret = lambda text: {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "two", "namespace": place.name},  # noqa: E731
                           "stringData": {"a": f"{text}-a", "b": f"{text}-b"}}
    place.make_disk()
    things = objects.member(place.facts, place.set, 1, namespace=place.name, securityContext={"fsGroup": 999})
    things[2]["spec"]["template"]["spec"]["volumes"].append({"name": "two", "secret": {"secretName": "two", "defaultMode": 0o400}})
    place.apply(secret("old"), *things)
    pod = place.wait_ready()
    files = place.zone.folder / "pods" / pod["metadata"]["uid"] / "volumes" / "two"
    place.fault("delay", step="refresh", ms=-1)
    try:
        place.apply(secret("new"))
        time.sleep(1)  # nothing may happen in it
        assert [(files / name).read_text() for name in "ab"] == ["old-a", "old-b"]
    finally:
        place.fault("delay", step="refresh", ms=1500)
    wait_until(lambda: (files / "b").read_text() == "new-b", "the new content comes")
    assert (files / "a").read_text() == "new-a", "all at once"
    assert (files / "a").stat().st_mode & 0o777 == 0o440
    assert place.ready_pod()["metadata"]["uid"] == pod["metadata"]["uid"]


def test_foreign_pods_are_reported_as_running(place):
    place.apply({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "foreign", "namespace": place.name},
                 "spec": {"replicas": 20, "selector": {"app": "foreign"}, "template": {"metadata": {"labels": {"app": "foreign"}}, "spec": {
                     "containers": [{"name": "web", "image": "nginx"}]}}}})
    wait_until(lambda: field(place.client.get(place.path("replicationcontrollers", "foreign")), "status", "readyReplicas") == 20, "all are ready")


def test_a_pod_on_a_lost_node_moves_when_the_node_is_deleted(current_place):
    place = current_place
    place.apply_member()
    pod = place.wait_ready()
    node = pod["spec"]["nodeName"]
    place.fault("lose-node", node=node)
    try:
        place.zone.kubectl("delete", "node", node)
        place.zone.kubectl("delete", "pod", pod["metadata"]["name"], "-n", place.name, "--force", "--grace-period=0")
        assert place.wait_ready(other_than=pod["metadata"]["uid"])["spec"]["nodeName"] != node
    finally:
        place.fault("return-node", node=node)


def test_delays_hold_a_step_back(current_place):
    place = current_place
    place.fault("delay", step="ready", ms=-1)
    try:
        place.apply_member()
        address = place.wait_address()
        wait_until(lambda: answers(address), "an address that is published before readiness leads to mongod")
        assert place.ready_pod() is None
    finally:
        place.fault("delay", step="ready", ms=0)
    place.wait_ready()


def test_nothing_listens_on_the_clients_side_of_a_closed_service(current_place):
    place = current_place
    place.apply_member()
    place.wait_ready()
    address = place.wait_address()
    place.client.delete(place.path("services", f"{place.set}-svc-a"))

    def closed():
        with socket.socket() as probe:
            return probe.connect_ex((address, 27017)) != 0

    wait_until(closed, "the address ends with its Service")
    wait_until(lambda: place.client.find(place.path("services", f"{place.set}-svc-a")) is None, "its finalizer is gone")
