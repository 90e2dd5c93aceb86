"""What load balancers, networks and API servers do to people: source ranges, moved addresses, cuts, a control plane that goes away."""
import pymongo
import pytest

import bed as bed_module
import objects
from conftest import wait_until
from kube_client import ApiError, KubeClient, Mirror, field
from processes import BedError
from test_members import answers, events

ME = "127.0.0.1/32"  # where a test dials from, as a controller or an agent would


def initiate(address, set_name, hosts):
    """replSetInitiate by a client at `address`; raises OperationFailure as the server does."""
    client = pymongo.MongoClient(address, 27017, serverSelectionTimeoutMS=3000, socketTimeoutMS=30000, directConnection=True)
    try:
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        return client.admin.command("replSetInitiate", {"_id": set_name, "members": members})
    finally:
        client.close()


def pods_and_nodes(place):
    return [place.facts["podRange"], place.facts["nodeRange"]]


def test_a_service_admits_only_its_ranges(place):
    place.apply_member(ranges=["198.51.100.0/24"])
    place.wait_ready()
    address = place.wait_address()
    assert not answers(address)
    wait_until(lambda: place.fault("status")["services"][f"{place.name}/{place.set}-svc-a"]["refused"], "the refusal is counted")
    place.apply(objects.service(place.set, 1, ["198.51.100.0/24", ME], namespace=place.name))
    wait_until(lambda: answers(address), "the range that was added is admitted")


def test_a_mongod_that_its_ranges_keep_from_itself_cannot_be_initiated(current_place):
    place = current_place
    place.apply_member(ranges=[ME])
    place.wait_ready()
    address = place.wait_address()
    wait_until(lambda: answers(address), "the test itself is admitted")
    with pytest.raises(pymongo.errors.OperationFailure) as refused:
        initiate(address, place.set, [f"{address}:27017"])
    assert refused.value.code in (74, 93), "it does not find itself among the members"
    place.apply(objects.service(place.set, 1, [ME, *pods_and_nodes(place)], namespace=place.name))

    def initiated():
        try:
            return initiate(address, place.set, [f"{address}:27017"])["ok"]
        except pymongo.errors.OperationFailure:
            return False

    wait_until(initiated, "it finds itself when its own pods are admitted")


def test_members_of_other_zones_come_from_their_zones_egress_address(new_place):
    here, there = new_place(bed_module.ZONES[0]), new_place(bed_module.ZONES[1])
    here.apply_member(1, ranges=[ME, *pods_and_nodes(here), there.facts["egress"]])
    there.apply_member(2, ranges=[ME, *pods_and_nodes(there)])
    here.wait_ready(1), there.wait_ready(2)
    addresses = [here.wait_address(1), there.wait_address(2)]
    for address in addresses:
        wait_until(lambda: answers(address), "the test itself is admitted")  # pylint: disable=cell-var-from-loop
    hosts = [f"{address}:27017" for address in addresses]
    with pytest.raises(pymongo.errors.OperationFailure):
        initiate(addresses[0], here.set, hosts)
    there.apply(objects.service(there.set, 2, [ME, *pods_and_nodes(there), here.facts["egress"]], namespace=there.name))

    def initiated():
        try:
            return initiate(addresses[0], here.set, hosts)["ok"]
        except pymongo.errors.OperationFailure:
            return False

    wait_until(initiated, "a quorum is reached when the other zone's egress is admitted")


def test_an_address_moves_and_the_old_one_is_dead(place):
    place.apply_member()
    place.wait_ready()
    before = place.wait_address()
    moved = place.fault("move-address", member=f"{place.set}-node1")["address"]
    assert moved != before
    wait_until(lambda: place.address() == moved, "the Service's status has the new address")
    wait_until(lambda: answers(moved), "mongod answers there")
    assert not answers(before)


def test_an_address_that_was_published_once_is_not_changed(current_place):
    """A second one was handed out when a pass came before the watch had shown the first, and clients kept the one that was dead."""
    place, seen, mirrors = current_place, {}, []

    def look():
        """After each event, so that no address in between is missed."""
        for service in mirrors[0].all() if mirrors else ():
            ip = field(service, "status", "loadBalancer", "ingress", default=[{}])[0].get("ip")
            seen.setdefault(service["metadata"]["name"], set()).update({ip} - {None})

    mirrors.append(Mirror(place.client, place.path("services"), look))
    try:
        for number in range(1, 16):
            place.client.post(place.path("services"), objects.service(place.set, number, namespace=place.name))
        wait_until(lambda: len(seen) == 15 and all(seen.values()), "all have an address")
        held = place.fault("status")["services"]
        assert seen == {name.partition("/")[2]: {entry["address"]} for name, entry in held.items() if name.startswith(f"{place.name}/")}
    finally:
        mirrors[0].stop()


def test_a_service_can_lose_its_address_and_get_it_back(current_place):
    place = current_place
    place.apply_member()
    place.wait_ready()
    place.wait_address()
    place.fault("no-address", member=f"{place.set}-node1")
    wait_until(lambda: place.address() is None, "the Service has no address")
    place.fault("give-address", member=f"{place.set}-node1")
    place.wait_address()


def test_a_reserved_address_is_used_and_stays(place):
    region = place.facts["region"]
    operation = place.compute.api("POST", f"regions/{region}/addresses", {"name": f"{place.set}-svc-a"})[1]
    place.compute.done(operation)
    reserved = place.compute.api("GET", f"regions/{region}/addresses/{place.set}-svc-a")[1]["address"]
    place.apply_member(address=reserved)
    place.wait_ready()
    assert place.wait_address() == reserved
    wait_until(lambda: answers(reserved), "mongod answers there")
    with pytest.raises(BedError, match="reserved address"):
        place.fault("move-address", member=f"{place.set}-node1")


def test_an_address_that_nobody_reserved_is_not_given(current_place):
    place = current_place
    place.apply_member(address=f"{place.facts['subnet']}.149")
    wait_until(lambda: "neither static nor assigned" in events(place, "SyncLoadBalancerFailed"), "an event says so")
    assert place.address() is None


def test_traffic_is_cut_refused_and_healed(current_place):
    place = current_place
    place.apply_member()
    place.wait_ready()
    address = place.wait_address()
    wait_until(lambda: answers(address), "mongod answers")
    for fault in ("cut", "refuse"):
        place.fault(fault, member=f"{place.set}-node1")
        assert not answers(address), fault
        place.fault("heal", member=f"{place.set}-node1")
        wait_until(lambda: answers(address), f"mongod answers after {fault}")


def test_members_go_on_while_the_api_server_is_away(place):
    place.apply_member()
    pod = place.wait_ready()
    address = place.wait_address()
    wait_until(lambda: answers(address), "mongod answers")
    for stop, start in (("api-stop", "api-start"), ("api-pause", "api-continue")):
        place.fault(stop)
        try:
            with pytest.raises(OSError):
                place.client.get("/version")
            assert answers(address), stop
        finally:
            place.fault(start)
        wait_until(lambda: reachable(place.client), "the API server answers again")
    assert place.ready_pod()["metadata"]["uid"] == pod["metadata"]["uid"]
    place.fault("delete-pod", member=f"{place.set}-node1")
    place.wait_ready(other_than=pod["metadata"]["uid"])


def reachable(client):
    try:
        return client.get("/version")
    except (OSError, ApiError):
        return None


def test_a_watch_from_before_a_compaction_gets_410(place):
    old = place.client.get(place.path("services"))["metadata"]["resourceVersion"]
    for number in range(3):
        place.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"more{number}", "namespace": place.name}})
    place.fault("api-compact")
    place.fault("api-stop")
    place.fault("api-start")
    # The first line of the stream, as the server answers 200 and tells it in an event; or an HTTP error.
    try:
        event = place.client.get(place.path("services"), watch="true", resourceVersion=old, timeoutSeconds=2)
    except ApiError as error:
        assert error.status == 410
        return
    assert event["type"] == "ERROR" and event["object"]["code"] == 410


def test_the_agents_credentials_have_only_what_a_role_gives_them(place):
    agents = [KubeClient(place.zone.agent_kubeconfig), KubeClient(place.zone.folder / "agent-certificate.kubeconfig")]
    for agent in agents:
        with pytest.raises(ApiError) as refused:
            agent.get(place.path("services"))
        assert refused.value.status == 403
    rbac = {"apiGroup": "rbac.authorization.k8s.io"}
    place.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "agent", "namespace": place.name},
         "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "agent", "namespace": place.name},
         "roleRef": rbac | {"kind": "Role", "name": "agent"},
         "subjects": [{"kind": "ServiceAccount", "name": "atoll-zone-agent", "namespace": "default"}]})
    for agent in agents:
        wait_until(lambda: may_list(agent, place), "the Role is enough")  # pylint: disable=cell-var-from-loop
        with pytest.raises(ApiError):
            agent.get(place.path("pods"))


def may_list(agent, place):
    try:
        return agent.get(place.path("services"))
    except ApiError:
        return None


def test_the_agents_way_to_the_api_server_can_be_cut(current_place):
    agent = KubeClient(current_place.zone.agent_kubeconfig)
    assert agent.get("/version")
    for fault in ("agent-cut", "agent-refuse"):
        current_place.fault(fault)
        try:
            with pytest.raises(OSError):
                agent.get("/version")
            assert current_place.client.get("/version"), "others are not cut"
        finally:
            current_place.fault("agent-heal")
        assert agent.get("/version")


def test_server_side_apply_owns_fields(place):
    service = objects.service(place.set, 1, [ME], namespace=place.name)
    path = place.path("services", f"{place.set}-svc-a")
    retried(lambda: place.client.apply(path, service, manager="atoll"))
    retried(lambda: place.client.patch(path, {"metadata": {"annotations": {"theirs": "1"}}}, "application/merge-patch+json"))
    service["spec"]["loadBalancerSourceRanges"] = [ME, "198.51.100.0/24"]
    after = retried(lambda: place.client.apply(path, service, manager="atoll"))
    assert after["metadata"]["annotations"]["theirs"] == "1"
    assert len(field(after, "spec", "loadBalancerSourceRanges")) == 2


def retried(write):
    """1.20 answers 409 ("the object has been modified") to a patch of a Service, forced apply included, that meets another
    writer, here the load balancer with its finalizer and status; later versions try again by themselves."""

    def once():
        try:
            return write()
        except ApiError as error:
            assert error.status == 409, error
            return None

    return wait_until(once, "a patch goes through")
