"""Stands in for the cloud's load balancer and kube-proxy: gives Services of type LoadBalancer an address, and forwards what
comes there to the pods that the Service's Endpoints name, if the Service's ranges admit where it comes from."""
import ipaddress
import urllib.error
import urllib.request

from kube_client import field, is_terminating, uid
from zone_facts import SERVICES, can_listen

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"  # as the cloud's service controller sets it
COMPUTE_TIMEOUT_SECS = 2


class Balanced:
    """One Service with an address."""

    def __init__(self, service, address):
        self.service, self.address, self.listeners = service, address, {}


class Balancer:
    def __init__(self, zone, forwarding, sources):
        self.zone, self.forwarding, self.sources = zone, forwarding, sources
        self.held = {}        # by the Service's uid
        self.withheld = set() # "namespace/name" of those that get no address for now
        self.move_to = {}     # "namespace/name": the address that it shall have instead
        self.modes = {}       # "namespace/name": (mode, delay)

    # ---- one pass over one Service ----

    def sync(self, service):
        wanted = field(service, "spec", "type") == "LoadBalancer" and not is_terminating(service)
        if not wanted:
            self.release(service)
            return
        self.ensure_finalizer(service, present=True)
        if self.name_of(service) in self.withheld or not self.zone.due("address", uid(service)):
            self.close(uid(service))
            self.publish(service, None)
            return
        address = self.choose(service)
        if address is None:
            return
        balanced = self.held.get(uid(service))
        if balanced is None or balanced.address != address:
            self.close(uid(service))
            balanced = self.held[uid(service)] = Balanced(service, address)
        balanced.service = service
        if self.listen(balanced):
            self.publish(service, address)

    def release(self, service):
        if uid(service) in self.held or FINALIZER in service["metadata"].get("finalizers", []):
            self.close(uid(service))
            if not is_terminating(service):
                self.publish(service, None)
            self.ensure_finalizer(service, present=False)

    def forget_gone(self, known):
        for gone in set(self.held) - known:
            self.close(gone)

    def close(self, service_uid):
        balanced = self.held.pop(service_uid, None)
        if balanced is not None:
            for listener in balanced.listeners.values():
                listener.close()

    # ---- the address ----

    def choose(self, service):
        """Whatever the user or a test asks for, else what it has, else a free one; None (and an event) when it can't be had."""
        name, asked = self.name_of(service), field(service, "spec", "loadBalancerIP")
        if name in self.move_to:
            return self.move_to[name]
        if asked:
            return asked if self.may_use(service, asked) else None
        if uid(service) in self.held:  # the watch may not have shown yet what was published
            return self.held[uid(service)].address
        current = published(service)
        if current and self.zone.facts.owns(current):
            return current
        return self.free_address(service)

    def may_use(self, service, address):
        """An address that is named must be this zone's and, where there is a Compute API, reserved there."""
        facts = self.zone.facts
        if not facts.compute and not facts.owns(address):
            self.refuse(service, f"requested ip {address!r} is neither static nor assigned to the LB")
            return False
        if facts.compute and not self.reserved(address):
            self.refuse(service, f"requested ip {address!r} is neither static nor assigned to the LB (no address of project "
                                 f"{facts.project}, region {facts.region} is reserved with it)")
            return False
        return True

    def refuse(self, service, why):
        self.zone.event(service, "SyncLoadBalancerFailed", f"Error syncing load balancer: failed to ensure load balancer: {why}")

    def reserved(self, address):
        facts = self.zone.facts
        try:
            with urllib.request.urlopen(f"{facts.compute}/control/addresses/{facts.project}/{facts.region}/{address}", timeout=COMPUTE_TIMEOUT_SECS):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def free_address(self, service):
        used = {balanced.address for balanced in self.held.values()} | set(self.move_to.values())
        for other in self.zone.services.all():
            used |= {field(other, "spec", "loadBalancerIP"), published(other)}
        ports = [port["port"] for port in service["spec"]["ports"]]
        for last in SERVICES:
            address = self.zone.facts.loopback(last)
            if address not in used and all(can_listen(address, port) for port in ports):
                return address
        self.refuse(service, "no address is left")
        return None

    def publish(self, service, address):
        ingress = [{"ip": address}] if address else None
        if address and self.zone.version >= (1, 29):
            ingress[0]["ipMode"] = "VIP"
        current = field(service, "status", "loadBalancer", "ingress", default=[])
        if [entry.get("ip") for entry in current] != ([address] if address else []):
            self.zone.patch_status("services", service, {"loadBalancer": {"ingress": ingress}}, merge=True)

    def ensure_finalizer(self, service, present):
        finalizers = service["metadata"].get("finalizers", [])
        if (FINALIZER in finalizers) == present:
            return
        changed = [*finalizers, FINALIZER] if present else [name for name in finalizers if name != FINALIZER]
        metadata = service["metadata"]
        self.zone.patch(f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}",
                        {"metadata": {"finalizers": changed, "resourceVersion": metadata["resourceVersion"]}})

    # ---- the traffic ----

    def listen(self, balanced):
        """One listener per port of the Service; False (and an event) when a port can't be had."""
        ports = {port["port"]: port for port in balanced.service["spec"]["ports"] if port.get("protocol", "TCP") == "TCP"}
        for gone in set(balanced.listeners) - set(ports):
            balanced.listeners.pop(gone).close()
        for port in set(ports) - set(balanced.listeners):
            try:
                listener = self.forwarding.open(
                    balanced.address, port, lambda wanted=port: self.targets(balanced, wanted),
                    lambda peer, own: self.admits(balanced, peer, own))
            except OSError as error:
                self.refuse(balanced.service, f"{balanced.address}:{port}: {error}")
                return False
            listener.set_mode(*self.modes.get(self.name_of(balanced.service), ("open", 0)))
            balanced.listeners[port] = listener
        return True

    def targets(self, balanced, port):
        """Where the Service's ready Endpoints really listen. Called by the forwarding thread."""
        metadata, spec = balanced.service["metadata"], balanced.service["spec"]
        name = next((entry.get("name", "") for entry in spec["ports"] if entry["port"] == port), "")
        endpoints = self.zone.endpoints.get(metadata["namespace"], metadata["name"])
        found = []
        for subset in (endpoints or {}).get("subsets") or []:
            for target_port in subset.get("ports") or []:
                if target_port.get("name", "") == name:
                    found += [(self.zone.pod_address(entry["ip"]), target_port["port"]) for entry in subset.get("addresses") or []]
        return [target for target in found if target[0]]

    def admits(self, balanced, peer, own):
        ranges = balanced.service["spec"].get("loadBalancerSourceRanges") or []
        if not ranges:
            return True
        source = ipaddress.ip_address(self.sources.of(peer, own))
        return any(source in ipaddress.ip_network(text.strip(), strict=False) for text in ranges)

    # ---- knobs ----

    def name_of(self, service):
        return f"{service['metadata']['namespace']}/{service['metadata']['name']}"

    def move(self, service, address=None):
        """Another address for the Service, as when the cloud takes one away. One that is reserved and named in the spec stays."""
        if field(service, "spec", "loadBalancerIP"):
            raise ValueError(f"{self.name_of(service)} names a reserved address in spec.loadBalancerIP; the cloud would not take it away")
        address = address or self.free_address(service)
        if not address or not self.zone.facts.owns(address):
            raise ValueError(f"there is no address to move to in {self.zone.facts.loopback(0)}/24")
        self.move_to[self.name_of(service)] = address
        return address

    def set_mode(self, service, mode, delay_ms=0):
        self.modes[self.name_of(service)] = (mode, delay_ms)
        balanced = self.held.get(uid(service))
        for listener in balanced.listeners.values() if balanced else ():
            listener.set_mode(mode, delay_ms)

    def status(self):
        return {self.name_of(balanced.service): {
            "address": balanced.address, "ports": sorted(balanced.listeners), "refused": sum(l.refused for l in balanced.listeners.values()),
            "mode": self.modes.get(self.name_of(balanced.service), ("open", 0))[0],
        } for balanced in self.held.values()}

    def stop(self):
        for service_uid in list(self.held):
            self.close(service_uid)


def published(service):
    """The address in the Service's status, or None."""
    return field(service, "status", "loadBalancer", "ingress", default=[{}])[0].get("ip")
