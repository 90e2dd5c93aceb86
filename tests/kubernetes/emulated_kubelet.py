"""Stands in for the kubelets of a zone: runs a real process for each pod's mongod, restarts it when it ends, reports the pod's
status, and finishes terminations."""
import os
import shutil
import signal
import socket
import subprocess
import time

import pod_files
import processes
from emulated_storage import NotReady
from kube_client import ApiError, field, is_terminating, uid
from zone_facts import PODS

BACKOFF_FIRST_SECS, BACKOFF_MOST_SECS = 0.25, 4.0   # kubelet's are 10 s and 5 minutes
BACKOFF_RESET_SECS = 10.0
INIT_TIMEOUT_SECS = 30
PROBE_TIMEOUT_SECS = 0.2


class Run:
    """One pod's life on its node. Its disks are attached, its address is taken, until it is forgotten."""

    def __init__(self, pod, folder, last, facts):
        self.pod, self.folder, self.last = pod, folder, last
        self.name = pod["metadata"]["name"]
        self.node = pod["spec"]["nodeName"]
        self.idle = last is None  # a pod without mongod: only reported as running
        self.address, self.ip = (None, None) if self.idle else (facts.loopback(last), facts.pod_ip(last))
        self.disks, self.command, self.env = [], None, {}
        self.brought = {}  # which version of its Secrets it has
        self.process, self.started_at, self.began = None, 0.0, None
        self.ready, self.restarts, self.last_exit = False, 0, None
        self.backoff, self.next_start = BACKOFF_FIRST_SECS, 0.0
        self.kill_at, self.waiting = None, "ContainerCreating"
        self.reported = None  # the resourceVersion that was last looked at

    @property
    def running(self):
        return self.idle or self.process is not None and self.process.poll() is None

    @property
    def port(self):
        return pod_files.port_of(self.command) if self.command else 0


class Kubelet:
    def __init__(self, zone):
        self.zone = zone
        self.runs = {}  # by the pod's uid
        self.folder = zone.facts.folder / "pods"
        self.bin = zone.facts.folder / "bin"
        self.double_mounts, self.idle_count = 0, 0
        self.prepare()

    def prepare(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bin.mkdir(parents=True, exist_ok=True)
        link = self.bin / "mongod"
        link.unlink(missing_ok=True)
        link.symlink_to(self.zone.facts.mongod)

    # ---- without the API: what goes on while it is away ----

    def tend(self):
        """Restarts what ended, asks whether it is ready, ends what was given its time."""
        now = time.monotonic()
        for run in list(self.runs.values()):
            if run.idle:
                continue
            if run.kill_at is not None:
                if run.running and now >= run.kill_at:
                    processes.signal_group(run.process.pid, signal.SIGKILL)
            elif run.node in self.zone.scheduler.lost:
                continue
            elif run.command and not run.running and now >= run.next_start:
                self.start(run, now)
            elif run.command:
                self.probe(run, now)

    def start(self, run, now):
        if run.process is not None and run.next_start == 0.0:
            self.note_exit(run, now)
            return
        if not self.zone.due("start", uid(run.pod)):
            return
        if any(other is not run and other.running and set(other.disks) & set(run.disks) for other in self.runs.values()):
            self.double_mounts += 1
        run.process = processes.start([self.bin / "mongod", *run.command[1:]], run.folder / "mongod.log", env=run.env)
        run.started_at, run.next_start, run.began = now, 0.0, self.zone.now()
        run.waiting = None

    def note_exit(self, run, now):
        """The container is started again, after a while that doubles."""
        run.last_exit = {"exitCode": exit_code(run.process), "finishedAt": self.zone.now(), "startedAt": run.began, "reason": "Error"}
        if now - run.started_at > BACKOFF_RESET_SECS:
            run.backoff = BACKOFF_FIRST_SECS
        run.next_start = now + run.backoff
        run.backoff = min(run.backoff * 2, BACKOFF_MOST_SECS)
        run.restarts += 1
        run.ready, run.waiting = False, "CrashLoopBackOff"

    def probe(self, run, now):
        """Readiness as a probe on the TCP port would say."""
        del now
        if not run.running or run.ready:
            return
        if self.zone.due("ready", uid(run.pod)) and accepts(run.address, run.port):
            run.ready = True

    # ---- with it ----

    def sync(self, pod):
        """One pass over one pod that is bound to a node."""
        run = self.runs.get(uid(pod))
        if field(pod, "spec", "nodeName") in self.zone.scheduler.lost:
            return
        if is_terminating(pod):
            self.terminate(pod, run)
            return
        if run is None:
            run = self.admit(pod)
        if run.idle and run.reported == pod["metadata"]["resourceVersion"]:
            return  # thousands of foreign pods cost next to nothing
        run.pod = pod
        if run.command is None and not run.idle:
            self.create(run)
        elif not run.idle:
            self.refresh(run)
        self.report(run)
        run.reported = pod["metadata"]["resourceVersion"]

    def admit(self, pod):
        if main_container(pod) is None:
            run = self.runs[uid(pod)] = Run(pod, self.folder / uid(pod), None, self.zone.facts)
            run.ip, run.ready, run.waiting = self.zone.facts.idle_pod_ip(self.idle_count), True, None
            self.idle_count += 1
            return run
        used = {run.last for run in self.runs.values()}
        port = 27017
        for last in PODS:
            if last not in used and not accepts(self.zone.facts.loopback(last), port):
                run = Run(pod, self.folder / uid(pod), last, self.zone.facts)
                statuses = field(pod, "status", "containerStatuses", default=[])
                # A pod that ran before this emulator was started: its container is a new one.
                run.restarts = statuses[0].get("restartCount", 0) + 1 if statuses and "running" in statuses[0].get("state", {}) else 0
                run.folder.mkdir(parents=True, exist_ok=True)
                self.runs[uid(pod)] = run
                return run
        raise OSError(f"no address is left for pods in {self.zone.facts.name}")

    def create(self, run):
        """Volumes, init containers, and the command that tend() then starts."""
        pod = run.pod
        try:
            folders, run.disks = pod_files.make_volumes(self.zone, pod, run.folder)
            for container in field(pod, "spec", "initContainers", default=[]):
                self.run_init(run, container, folders)
            container = main_container(pod)
            values = pod_files.environment(self.zone, pod, container, run.ip)
            words = pod_files.command_line(container, values)
            paths = pod_files.Paths(container, folders)
            run.env = {name: paths.rewrite(value) for name, value in values.items()}
            run.command = pod_files.mongod_line(words, paths, run.address)
        except NotReady as lacking:
            run.waiting = lacking.reason if lacking.reason.startswith(("Create", "Init")) else "ContainerCreating"
            self.zone.event(pod, lacking.reason, str(lacking))

    def refresh(self, run):
        try:
            pod_files.refresh_secrets(self.zone, run.pod, run.folder, run.brought)
        except NotReady as lacking:  # it keeps what it has
            self.zone.event(run.pod, lacking.reason, str(lacking))

    def run_init(self, run, container, folders):
        """With this machine's programs, on the pod's folders: enough for copying a key file."""
        paths = pod_files.Paths(container, folders)
        values = pod_files.environment(self.zone, run.pod, container, run.ip)
        words = [paths.rewrite(word) for word in pod_files.command_line(container, values)]
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}"} | {name: paths.rewrite(value) for name, value in values.items()}
        try:
            done = subprocess.run(words, cwd=run.folder, env=env, capture_output=True, text=True, timeout=INIT_TIMEOUT_SECS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotReady("Init:Error", f"init container {container['name']}: {error}") from error
        if done.returncode != 0:
            raise NotReady("Init:Error", f"init container {container['name']} ended with {done.returncode}: {done.stderr.strip()[-300:]}")

    def terminate(self, pod, run):
        """SIGTERM, the grace period, SIGKILL; then the deletion that makes the object go."""
        if run is not None and run.kill_at is None:
            grace = field(pod, "metadata", "deletionGracePeriodSeconds", default=30)
            run.kill_at, run.ready = time.monotonic() + grace, False
            if run.process is not None and run.running:
                processes.signal_group(run.process.pid, signal.SIGTERM)
                self.report(run)
        if run is not None and run.process is not None and run.running:
            return
        if not self.zone.due("terminate", uid(pod)):
            return
        self.forget(uid(pod))
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        try:
            self.zone.client.delete(f"/api/v1/namespaces/{namespace}/pods/{name}", {
                "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid(pod)}})
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def forget_gone(self, known):
        """Pods whose object is gone (forced deletion) lose their process at once. Those of a lost node keep their disks attached
        to it until the Node's object is gone too: Kubernetes detaches by force only then (or after 6 minutes)."""
        for gone in set(self.runs) - known:
            node = self.runs[gone].node
            if node not in self.zone.scheduler.lost or self.zone.nodes.get("", node) is None:
                self.forget(gone)

    def forget(self, pod_uid):
        run = self.runs.pop(pod_uid, None)
        if run is not None:
            processes.stop(run.process, signal.SIGKILL)
            shutil.rmtree(run.folder, ignore_errors=True)

    def stop(self):
        for run in self.runs.values():
            if run.process is not None and run.running:
                processes.signal_group(run.process.pid, signal.SIGCONT)
                processes.signal_group(run.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 3
        for run in self.runs.values():
            processes.stop(run.process, signal.SIGTERM, max(0.0, deadline - time.monotonic()))

    # ---- status ----

    def report(self, run):
        wanted = self.status_of(run)
        if signature(wanted) != signature(run.pod.get("status", {})):
            self.zone.patch_status("pods", run.pod, wanted)

    def status_of(self, run):
        started = run.idle or run.process is not None
        now = self.zone.now()
        container = main_container(run.pod)
        ready = run.ready and run.running
        state = {"running": {"startedAt": run.began or now}} if run.running else {"waiting": {"reason": run.waiting or "ContainerCreating"}}
        if run.kill_at is not None and not run.running:
            state = {"terminated": {"exitCode": exit_code(run.process), "reason": "Completed", "finishedAt": now}}
        statuses = [{
            "name": each["name"], "image": each["image"], "imageID": self.zone.image_id(each["image"]) if started else "",
            "ready": ready, "started": run.running, "restartCount": run.restarts if each is container else 0, "state": state,
            "containerID": f"emulator://{run.name}" if started else "",
            "lastState": {"terminated": run.last_exit} if run.last_exit and each is container else {},
        } for each in run.pod["spec"]["containers"]]
        conditions = {"PodScheduled": True, "Initialized": run.idle or run.command is not None, "ContainersReady": ready, "Ready": ready}
        status = {
            "phase": "Running" if started else "Pending", "containerStatuses": statuses,
            "conditions": [{"type": name, "status": str(value), "lastTransitionTime": self.transition(run.pod, name, value, now),
                            "reason": None if value else "ContainersNotReady"} for name, value in conditions.items()],
            "startTime": field(run.pod, "status", "startTime", default=now), "hostIP": self.node_ip(run.node),
        }
        if run.idle or run.command is not None:
            status |= {"podIP": run.ip, "podIPs": [{"ip": run.ip}]}
        return status

    def transition(self, pod, name, value, now):
        for condition in field(pod, "status", "conditions", default=[]):
            if condition["type"] == name and condition["status"] == str(value):
                return condition.get("lastTransitionTime") or now
        return now

    def node_ip(self, name):
        for address in field(self.zone.nodes.get("", name), "status", "addresses", default=[]):
            if address["type"] == "InternalIP":
                return address["address"]
        return ""


def signature(status):
    """What is worth a write when it changes."""
    containers = [(s["name"], s.get("ready"), s.get("restartCount"), s.get("imageID"), [(kind, body.get("reason")) for kind, body in s.get("state", {}).items()])
                  for s in status.get("containerStatuses") or []]
    conditions = sorted((c["type"], c["status"]) for c in status.get("conditions") or [])
    return status.get("phase"), status.get("podIP"), containers, conditions


def main_container(pod):
    """The one that is mongod, by its command or, without one, by its image; others are only reported as running with it."""
    for container in pod["spec"]["containers"]:
        words = [*container.get("command", []), *container.get("args", [])]
        by_command = bool(words) and pod_files.is_mongod(words)
        image = container["image"].rpartition("/")[2].partition(":")[0].partition("@")[0]
        if by_command or (not container.get("command") and image.startswith("mongo")):
            return container
    return None


def exit_code(process):
    code = process.poll() if process is not None else None
    return 0 if code is None else code if code >= 0 else 128 - code


def accepts(address, port):
    try:
        with socket.create_connection((address, port), PROBE_TIMEOUT_SECS):
            return True
    except OSError:
        return False


