"""Stands in for the CSI driver: a volume's handle decides a folder below disks/, so data outlives pods; provisions claims
of the default class; knows which node a disk is attached to."""
import json
import re
import shutil
import urllib.error
import urllib.request

from emulated_scheduler import fits_any
from kube_client import ApiError, field, is_terminating, uid

CLASS = "standard-rwo"
DRIVER = "pd.csi.storage.gke.io"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
COMPUTE_TIMEOUT_SECS = 2


class NotReady(Exception):
    """What a volume still lacks, with the reason of the event that kubelet or the attacher would give."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


class Storage:
    def __init__(self, zone):
        self.zone = zone
        self.disks = zone.facts.folder / "disks"
        self.disks.mkdir(parents=True, exist_ok=True)

    # ---- classes and provisioning ----

    def ensure_class(self):
        """As GKE's default class: a claim that says nothing else gets it, and is bound when its first pod comes."""
        if self.zone.client.find(f"/apis/storage.k8s.io/v1/storageclasses/{CLASS}") is None:
            self.zone.client.post("/apis/storage.k8s.io/v1/storageclasses", {
                "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": DRIVER,
                "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "volumeBindingMode": "WaitForFirstConsumer", "reclaimPolicy": "Delete", "allowVolumeExpansion": True,
            })

    def provision_for(self, pod):
        for claim in self.claims_of(pod):
            if claim and not field(claim, "spec", "volumeName") and field(claim, "spec", "storageClassName") == CLASS:
                self.provision(claim)

    def provision(self, claim):
        name = f"pvc-{uid(claim)}"
        metadata = claim["metadata"]
        try:
            self.zone.client.post("/api/v1/persistentvolumes", {
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "annotations": {PROVISIONED_BY: DRIVER}},
                "spec": {
                    "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]}, "accessModes": claim["spec"]["accessModes"],
                    "persistentVolumeReclaimPolicy": "Delete", "storageClassName": CLASS,
                    "csi": {"driver": DRIVER, "volumeHandle": self.zone.facts.disk_handle(name), "fsType": "ext4"},
                    "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"],
                                 "name": metadata["name"], "uid": uid(claim)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                        {"key": "topology.gke.io/zone", "operator": "In", "values": [self.zone.facts.name]}]}]}},
                },
            })
        except ApiError as error:
            if error.status != 409:
                raise

    def expand(self):
        """As CSI's resizer and the kubelet do with a bound claim that asks for more; the API server has checked the class."""
        for claim in self.zone.claims.all():
            wanted, has = field(claim, "spec", "resources", "requests", "storage"), field(claim, "status", "capacity", "storage")
            if field(claim, "spec", "storageClassName") != CLASS or field(claim, "status", "phase") != "Bound" or wanted == has:
                continue
            size = {"storage": wanted}
            self.zone.client.patch(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}", {"spec": {"capacity": size}})
            metadata = claim["metadata"]
            self.zone.client.patch(f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}/status",
                                   {"status": {"capacity": size}})

    def reclaim(self):
        """Volumes that were provisioned and whose claim is gone are deleted with their data; all others are kept."""
        for volume in self.zone.volumes.all():
            spec, provisioned = volume["spec"], field(volume, "metadata", "annotations", PROVISIONED_BY)
            if field(volume, "status", "phase") == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete" and provisioned == DRIVER:
                if not is_terminating(volume):
                    shutil.rmtree(self.folder(spec["csi"]["volumeHandle"]), ignore_errors=True)
                    self.zone.client.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")

    # ---- what the scheduler asks ----

    def claims_of(self, pod):
        """Its claims; None for one that isn't there."""
        return [self.zone.claims.get(pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
                for volume in field(pod, "spec", "volumes", default=[]) if "persistentVolumeClaim" in volume]

    def unschedulable(self, pod, labels):
        for claim in self.claims_of(pod):
            if claim is None:
                return "persistentvolumeclaim not found"
            if is_terminating(claim):
                return f'persistentvolumeclaim "{claim["metadata"]["name"]}" is being deleted'
            bound = field(claim, "status", "phase") == "Bound"
            if not bound and field(claim, "spec", "storageClassName") != CLASS:
                return "pod has unbound immediate PersistentVolumeClaims"
            volume = self.zone.volumes.get("", field(claim, "spec", "volumeName", default=""))
            if bound and volume and not fits_any(field(volume, "spec", "nodeAffinity", "required", "nodeSelectorTerms"), labels):
                return "node(s) had volume node affinity conflict"
            if "ReadWriteOncePod" in claim["spec"]["accessModes"] and self.used_by_another(claim, pod):
                return "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
        return None

    def used_by_another(self, claim, pod):
        return any(uid(other) != uid(pod) and field(other, "spec", "nodeName") and claim in self.claims_of(other) for other in self.zone.pods.all())

    # ---- what the kubelet asks ----

    def attach_claim(self, pod, claim_name):
        """The folder of the claim's disk, or NotReady."""
        claim = self.zone.claims.get(pod["metadata"]["namespace"], claim_name)
        if claim is None or field(claim, "status", "phase") != "Bound":
            raise NotReady("FailedMount", f'persistentvolumeclaim "{claim_name}" is not bound')
        if is_terminating(claim):  # until then the kubelet mounts nothing; the claim goes when no pod that has a node names it
            raise NotReady("FailedMount", f'persistentvolumeclaim "{claim_name}" is being deleted')
        volume = self.zone.volumes.get("", claim["spec"]["volumeName"])
        handle = field(volume, "spec", "csi", "volumeHandle") if volume else None
        if not handle and volume and field(volume, "spec", "gcePersistentDisk"):
            handle = self.zone.facts.disk_handle(volume["spec"]["gcePersistentDisk"]["pdName"])
        if not handle:
            raise NotReady("FailedAttachVolume", f"volume {claim['spec']['volumeName']} is gone, or is neither csi nor gcePersistentDisk")
        return self.attach(pod, handle)

    def attach(self, pod, handle):
        folder = self.folder(handle)
        node = field(pod, "spec", "nodeName")
        elsewhere = [run for run in self.zone.kubelet.runs.values() if folder in run.disks and run.node != node]
        if elsewhere:
            raise NotReady("FailedAttachVolume", f'Multi-Attach error for volume "{handle}": it is attached to node {elsewhere[0].node}')
        if not self.zone.due("volume", uid(pod)):
            raise NotReady("FailedAttachVolume", f'AttachVolume.Attach for volume "{handle}" takes long')
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def folder(self, handle):
        """One folder per disk: with a Compute API double also per id, so that a disk made again under its old name is empty."""
        parts = re.match(r"projects/([^/]+)/zones/([^/]+)/disks/([^/]+)$", handle)
        if not parts:
            return self.disks / re.sub(r"[^\w.-]", "_", handle)
        project, zone, name = parts.groups()
        if zone != self.zone.facts.name:
            raise NotReady("FailedAttachVolume", f"disk {handle} is in another zone")
        if not self.zone.facts.compute or name.startswith("pvc-"):
            return self.disks / name
        return self.disks / f"{name}-{self.disk_id(project, zone, name)}"

    def disk_id(self, project, zone, name):
        url = f"{self.zone.facts.compute}/control/disks/{project}/{zone}/{name}"
        try:
            with urllib.request.urlopen(url, timeout=COMPUTE_TIMEOUT_SECS) as answer:
                return json.load(answer)["id"]
        except urllib.error.HTTPError as error:
            error.close()
            raise NotReady("FailedAttachVolume", f"googleapi: Error 404: The resource 'projects/{project}/zones/{zone}/disks/{name}' was not found, notFound") from error
