"""The Kubernetes objects of members, as plain values: what the tests of the bed apply by kubectl. They are written here by hand
on purpose, so that the bed is not tested with what the agent renders."""
import json


def labels(set_name, ordinal):
    return {"name": f"{set_name}-node{ordinal}", "set": set_name, "atoll.dev/set": set_name, "atoll.dev/ordinal": str(ordinal)}


def letter(ordinal):
    return "abcdefghijklmnopqrstuvwxyz"[ordinal - 1]


def volume(facts, set_name, ordinal, access="ReadWriteOnce", namespace="default"):
    return {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"{namespace}-{set_name}-persistent-storage{ordinal}"},
        "spec": {
            "capacity": {"storage": "10Gi"}, "accessModes": [access], "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "csi": {"driver": "pd.csi.storage.gke.io", "fsType": "ext4",
                    "volumeHandle": f"projects/{facts['project']}/zones/{facts['name']}/disks/{disk_name(set_name, ordinal)}"},
            "claimRef": {"namespace": namespace, "name": f"{set_name}-persistent-storage{ordinal}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "topology.gke.io/zone", "operator": "In", "values": [facts["name"]]}]}]}},
        },
    }


def disk_name(set_name, ordinal):
    return f"{set_name}db-disk{ordinal}"


def claim(set_name, ordinal, access="ReadWriteOnce", namespace="default"):
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": f"{set_name}-persistent-storage{ordinal}", "namespace": namespace},
        "spec": {"accessModes": [access], "storageClassName": "", "volumeName": f"{namespace}-{set_name}-persistent-storage{ordinal}",
                 "resources": {"requests": {"storage": "10Gi"}}},
    }


def controller(set_name, ordinal, namespace="default", arguments=(), **pod_spec):
    its_labels = labels(set_name, ordinal)
    storage = f"{set_name}-persistent-storage{ordinal}"
    return {
        "apiVersion": "v1", "kind": "ReplicationController",
        "metadata": {"name": f"{set_name}-rc{ordinal}", "namespace": namespace, "labels": its_labels},
        "spec": {"replicas": 1, "selector": {"name": its_labels["name"]}, "template": {
            "metadata": {"labels": its_labels},
            "spec": {
                "terminationGracePeriodSeconds": 10,
                "containers": [{
                    "name": "mongod", "image": "mongo:7.0", "command": ["mongod", "--replSet", set_name, "--bind_ip_all", *arguments],
                    "ports": [{"containerPort": 27017, "protocol": "TCP"}], "volumeMounts": [{"name": storage, "mountPath": "/data/db"}],
                    "readinessProbe": {"tcpSocket": {"port": 27017}},
                }],
                "volumes": [{"name": storage, "persistentVolumeClaim": {"claimName": storage}}],
            } | pod_spec}},
    }


def service(set_name, ordinal, ranges=None, address=None, namespace="default"):
    spec = {
        "type": "LoadBalancer", "selector": {"name": f"{set_name}-node{ordinal}"}, "externalTrafficPolicy": "Local", "publishNotReadyAddresses": True,
        "ports": [{"name": "mongodb", "port": 27017, "targetPort": 27017, "protocol": "TCP"}],
    }
    if ranges is not None:
        spec["loadBalancerSourceRanges"] = ranges
    if address:
        spec["loadBalancerIP"] = address
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{set_name}-svc-{letter(ordinal)}", "namespace": namespace,
                                                               "labels": labels(set_name, ordinal)}, "spec": spec}


def budget(version, set_name, most_unavailable=1, namespace="default"):
    """policy/v1beta1 before 1.21."""
    minor = int(version.split(".")[1])
    return {"apiVersion": "policy/v1" if minor >= 21 else "policy/v1beta1", "kind": "PodDisruptionBudget",
            "metadata": {"name": f"{set_name}-pdb", "namespace": namespace},
            "spec": {"maxUnavailable": most_unavailable, "selector": {"matchLabels": {"set": set_name}}}}


def member(facts, set_name, ordinal, ranges=None, address=None, access="ReadWriteOnce", namespace="default", **pod_spec):
    """Everything that one member consists of (but its disk)."""
    return [volume(facts, set_name, ordinal, access, namespace), claim(set_name, ordinal, access, namespace),
            controller(set_name, ordinal, namespace, **pod_spec), service(set_name, ordinal, ranges, address, namespace)]


def manifest(things):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
