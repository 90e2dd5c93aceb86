"""Stands in for kube-scheduler and for what brings nodes: registers Node objects and binds pods to them."""
import collections

from kube_client import ApiError, field, is_terminating, uid

OPERATORS = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, values: value is not None,
    "DoesNotExist": lambda value, values: value is None,
}


class Scheduler:
    """`zone` is the ZoneEmulator: its mirrors, client, knobs and events."""

    def __init__(self, zone):
        self.zone = zone
        self.lost = set()  # nodes that a test took away
        self.assumed = {}  # by the pod's uid: bound by us, though the watch hasn't said so yet
        self.counts, self.counted_at = collections.Counter(), -1

    # ---- nodes ----

    def register_nodes(self):
        for number in range(1, self.zone.facts.node_count + 1):
            name = self.zone.facts.node_name(number)
            if name not in self.lost and self.zone.nodes.get("", name) is None:
                self.register(number)

    def register(self, number):
        facts = self.zone.facts
        name = facts.node_name(number)
        labels = {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/region": facts.region, "topology.kubernetes.io/zone": facts.name, "topology.gke.io/zone": facts.name,
        }
        try:
            self.zone.client.post("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
                                                    "spec": {"providerID": f"gce://{facts.project}/{facts.name}/{name}"}})
        except ApiError as error:
            if error.status != 409:
                raise
        capacity = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        self.zone.client.patch(f"/api/v1/nodes/{name}/status", {"status": {
            "capacity": capacity, "allocatable": capacity,
            # Private nodes, as recommended: no ExternalIP; they leave by the zone's NAT address.
            "addresses": [{"type": "InternalIP", "address": facts.node_ip(number)}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "emulated",
                            "lastHeartbeatTime": self.zone.now(), "lastTransitionTime": self.zone.now()}],
            "nodeInfo": {name: "emulated" for name in ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "kubeProxyVersion",
                                                       "containerRuntimeVersion", "kubeletVersion")} | {"operatingSystem": "linux", "architecture": "amd64"},
        }})

    # ---- pods ----

    def schedule(self, pod):
        if field(pod, "spec", "schedulerName", default="default-scheduler") != "default-scheduler" or not self.zone.due("schedule", uid(pod)):
            return
        reasons, best = {}, None
        load = self.load()
        for node in sorted(self.zone.nodes.all(), key=lambda node: load[node["metadata"]["name"]]):
            reason = self.unfit(pod, node)
            if reason is None:
                best = node
                break
            reasons[reason] = reasons.get(reason, 0) + 1
        if best is None:
            self.report_unschedulable(pod, reasons)
            return
        self.zone.storage.provision_for(pod)
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self.zone.client.post(f"/api/v1/namespaces/{namespace}/pods/{name}/binding", {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": best["metadata"]["name"]},
        })
        self.assumed[uid(pod)] = best["metadata"]["name"]
        self.counts[best["metadata"]["name"]] += 1

    def node_of(self, pod):
        return field(pod, "spec", "nodeName") or self.assumed.get(uid(pod), "")

    def load(self):
        """Pods per node, counted anew when any of them changed."""
        pods = self.zone.pods
        if self.counted_at != pods.changes:
            self.counted_at, self.counts = pods.changes, collections.Counter(field(pod, "spec", "nodeName") for pod in pods.all())
        return self.counts

    def unfit(self, pod, node):
        """Why the pod can't run there, in kube-scheduler's words, or None."""
        labels = field(node, "metadata", "labels", default={})
        if node["metadata"]["name"] in self.lost:
            return "node(s) were not ready"
        if field(node, "spec", "unschedulable"):
            return "node(s) were unschedulable"
        selector = field(pod, "spec", "nodeSelector", default={})
        affinity = field(pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
        if any(labels.get(key) != value for key, value in selector.items()) or not fits_any(affinity, labels):
            return "node(s) didn't match Pod's node affinity/selector"
        return self.zone.storage.unschedulable(pod, labels) or self.crowded(pod, node, labels)

    def crowded(self, pod, node, labels):
        terms = field(pod, "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", default=[])
        for term in terms:
            key = term["topologyKey"]
            if any(self.domain(other, key) == labels.get(key) for other in self.matching(pod, term.get("labelSelector"), term.get("namespaces"))):
                return "node(s) didn't match pod anti-affinity rules"
        for spread in field(pod, "spec", "topologySpreadConstraints", default=[]):
            if spread["whenUnsatisfiable"] == "DoNotSchedule" and self.skew(pod, spread, labels) > spread["maxSkew"]:
                return "node(s) didn't match pod topology spread constraints"
        return None

    def matching(self, pod, selector, namespaces=None):
        """Pods that hold a node and that the selector selects; those that are going hold theirs until they are gone."""
        namespaces = namespaces or [pod["metadata"]["namespace"]]
        return [other for other in self.zone.pods.all()
                if uid(other) != uid(pod) and other["metadata"]["namespace"] in namespaces and self.node_of(other)
                and selects(selector, field(other, "metadata", "labels", default={}))]

    def domain(self, pod, key):
        node = self.zone.nodes.get("", self.node_of(pod))
        return field(node, "metadata", "labels", default={}).get(key) if node else None

    def skew(self, pod, spread, labels):
        key = spread["topologyKey"]
        counts = {field(node, "metadata", "labels", default={}).get(key): 0 for node in self.zone.nodes.all()}
        for other in self.matching(pod, spread.get("labelSelector")):
            domain = self.domain(other, key)
            if domain in counts and not is_terminating(other):
                counts[domain] += 1
        return counts.get(labels.get(key), 0) + 1 - min(counts.values(), default=0)

    def report_unschedulable(self, pod, reasons):
        nodes = len(self.zone.nodes.all())
        message = f"0/{nodes} nodes are available: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) + "."
        held = [c for c in field(pod, "status", "conditions", default=[]) if c["type"] == "PodScheduled"]
        if held and held[0].get("message") == message:
            return
        self.zone.patch_status("pods", pod, {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message, "lastTransitionTime": self.zone.now()}]})
        self.zone.event(pod, "FailedScheduling", message)


def fits_any(terms, labels):
    """Whether a node's labels fit one of the terms (nodeSelectorTerms); None fits all."""
    if terms is None:
        return True
    return any(all(fits(expression, labels) for expression in term.get("matchExpressions", [])) for term in terms)


def fits(expression, labels):
    return OPERATORS[expression["operator"]](labels.get(expression["key"]), expression.get("values", []))


def selects(selector, labels):
    if selector is None:
        return False
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(fits(expression, labels) for expression in selector.get("matchExpressions", []))
