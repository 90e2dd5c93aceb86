"""What a real cluster adds to its control plane — nodes, scheduler, kubelets, CSI driver, cloud load balancer — through the same
API, for as much of it as members of replica sets need. README.md says what is emulated and what is not.

It is level-triggered: each pass looks at everything and does what is missing; watches only wake it."""
import hashlib
import queue
import re
import sys
import threading
import time
import traceback

from emulated_balancer import Balancer
from emulated_kubelet import Kubelet
from emulated_scheduler import Scheduler
from emulated_storage import Storage
from kube_client import MERGE, STRATEGIC, ApiError, KubeClient, Mirror, field, uid
from sources import Sources

TICK_SECS = 0.1            # while something is under way
IDLE_TICK_SECS = 0.5       # else; also how late the end of a mongod is noticed
COMMAND_TIMEOUT_SECS = 20
EVENTS_KEPT = 1000         # of those that aren't told twice
STEPS = ("schedule", "volume", "start", "ready", "address", "terminate", "refresh")
REFRESH_MS = 1500          # until a Secret's new content is in a pod; kubelet takes up to a minute and its cache's time


class ZoneEmulator:
    def __init__(self, facts, kubeconfig, forwarding):
        self.facts = facts
        self.client = KubeClient(kubeconfig)
        self.woken, self.ended, self.commands = threading.Event(), threading.Event(), queue.Queue()
        self.delays, self.since, self.told, self.image_ids = {"refresh": REFRESH_MS}, {}, {}, {}
        self.busy = False
        self.version = (0, 0)
        mirror = lambda path: Mirror(self.client, path, self.woken.set)  # noqa: E731
        self.nodes, self.pods, self.services = mirror("/api/v1/nodes"), mirror("/api/v1/pods"), mirror("/api/v1/services")
        self.claims, self.volumes = mirror("/api/v1/persistentvolumeclaims"), mirror("/api/v1/persistentvolumes")
        self.endpoints, self.secrets = mirror("/api/v1/endpoints"), mirror("/api/v1/secrets")
        self.scheduler, self.storage, self.kubelet = Scheduler(self), Storage(self), Kubelet(self)
        self.balancer = Balancer(self, forwarding, Sources(facts.folder.parent, facts.name, self.pod_ip_of))

    # ---- life ----

    def prepare(self):
        """Nodes and the default class exist when this returns."""
        said = self.client.get("/version")
        self.version = (int(said["major"]), int(re.match(r"\d+", said["minor"]).group()))
        for mirror in (self.nodes, self.pods, self.services, self.claims, self.volumes, self.endpoints, self.secrets):
            if not mirror.synced.wait(30):
                raise TimeoutError(f"no answer to GET {mirror.path}")
        self.storage.ensure_class()
        self.scheduler.register_nodes()

    def run(self):
        """Until stop(); in the main thread."""
        while not self.ended.is_set():
            self.woken.wait(TICK_SECS if self.busy else IDLE_TICK_SECS)
            self.woken.clear()
            self.busy = False
            self.obey()
            self.kubelet.tend()
            try:
                self.sync()
            except OSError:
                self.busy = True  # the API is away: members go on, and the rest is for the next pass
        self.finish()

    def stop(self):
        self.ended.set()
        self.woken.set()

    def finish(self):
        self.kubelet.stop()
        self.balancer.stop()

    def sync(self):
        pods, services = self.pods.all(), self.services.all()
        for pod in pods:
            if field(pod, "spec", "nodeName"):
                self.attempt(self.kubelet.sync, pod)
            elif not pod["metadata"].get("deletionTimestamp"):
                self.attempt(self.scheduler.schedule, pod)
        if self.pods.synced.is_set():
            self.kubelet.forget_gone({uid(pod) for pod in pods})
        for service in services:
            self.attempt(self.balancer.sync, service)
        self.balancer.forget_gone({uid(service) for service in services})
        self.attempt(self.storage.expand)
        self.attempt(self.storage.reclaim)
        self.busy = self.busy or any(not run.ready or run.kill_at is not None for run in self.kubelet.runs.values())

    def attempt(self, function, *things):
        """One thing's trouble is not another's: a conflict is for the next pass, everything else is said on standard error."""
        try:
            function(*things)
        except ApiError as error:
            self.busy = True
            if error.status not in (404, 409) and "being terminated" not in error.message:  # nothing is new in a namespace that goes
                print(f"{function.__qualname__}: {error}", file=sys.stderr, flush=True)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.busy = True
            traceback.print_exc()

    # ---- commands from other threads ----

    def call(self, function):
        """Runs it between two passes; gives what it gives, or raises what it raises."""
        done = queue.Queue(1)
        self.commands.put((function, done))
        self.woken.set()
        try:
            value, error = done.get(timeout=COMMAND_TIMEOUT_SECS)
        except queue.Empty:
            raise TimeoutError("the emulator is busy: is the API server paused?") from None
        if error is not None:
            raise error
        return value

    def obey(self):
        while True:
            try:
                function, done = self.commands.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((function(), None))
            except Exception as error:  # it belongs to whoever asked
                done.put((None, error))
            self.busy = True

    # ---- for the parts ----

    def now(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def due(self, step, what):
        """Whether the step's delay (a knob, milliseconds; negative: for ever) is over for this object."""
        delay = self.delays.get(step, 0)
        if delay == 0:
            return True
        first = self.since.setdefault((step, what), time.monotonic())
        self.busy = True
        return delay > 0 and time.monotonic() - first >= delay / 1000

    def set_delay(self, step, milliseconds):
        self.delays[step] = milliseconds
        self.since = {key: value for key, value in self.since.items() if key[0] != step}

    def patch(self, path, body):
        return self.client.patch(path, body, MERGE)

    def patch_status(self, kind, thing, status, merge=False):
        metadata = thing["metadata"]
        self.client.patch(f"/api/v1/namespaces/{metadata['namespace']}/{kind}/{metadata['name']}/status",
                          {"metadata": {"uid": uid(thing)}, "status": status}, MERGE if merge else STRATEGIC)

    def event(self, thing, reason, message):
        """A warning about an object, once per sentence."""
        self.busy = True
        key = (uid(thing), reason, message)
        if key in self.told:
            return
        if len(self.told) >= EVENTS_KEPT:
            self.told.pop(next(iter(self.told)))
        self.told[key] = True
        metadata, now = thing["metadata"], self.now()
        kind = thing.get("kind") or ("Pod" if "containers" in thing["spec"] else "Service")
        self.client.post(f"/api/v1/namespaces/{metadata['namespace']}/events", {
            "apiVersion": "v1", "kind": "Event", "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": kind, "namespace": metadata["namespace"], "name": metadata["name"], "uid": uid(thing)},
            "reason": reason, "message": message[:1000], "type": "Warning", "count": 1, "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": "zone-emulator"}})

    def image_id(self, image):
        """As a registry would resolve the tag, the same in all zones until a test says otherwise."""
        digest = self.image_ids.get(image) or hashlib.sha256(image.encode()).hexdigest()
        return f"docker.io/library/{image.split('@')[0]}@sha256:{digest}"

    def pod_address(self, ip):
        """Where the pod with this IP really listens. Called by the forwarding thread too."""
        return next((run.address for run in list(self.kubelet.runs.values()) if run.ip == ip), None)

    def pod_ip_of(self, pid):
        return next((run.ip for run in list(self.kubelet.runs.values()) if run.process is not None and run.process.pid == pid), None)
