"""One zone as one program: a real control plane and the zone emulator, with a control socket for a test's knobs.

usage: zone.py --dir DIR --mongod PATH [--kubernetes current|older] [--compute URL] [--nodes N] [--subnet S]

The zone's name is DIR's last part; its neighbours are the folders beside it. DIR/zone.json appears when it is ready. It ends,
with all of its processes, on SIGTERM and on SIGINT; whatever way it ends, its children end with it.

DIR/control.sock takes one line of JSON per connection and answers with one, {"ok": true, …} or {"error": "sentence"}:
see FAULTS below, or send {"fault": "help"}."""
import argparse
import json
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time

import binaries
import processes
from control_plane import ControlPlane
from forwarder import Forwarding
from kube_client import field
from zone_emulator import STEPS, ZoneEmulator
from zone_facts import ZoneFacts

LINE_MAX = 65536


class Knobs:
    """Each method `do_NAME` is the fault NAME ("-" for "_"); its docstring is its help."""

    def __init__(self, zone):
        self.zone, self.emulator, self.plane = zone, zone.emulator, zone.plane

    # ---- what is looked up ----

    def pod(self, request):
        """By the pod's generated name, or by the label `name` (mongo-node1): the youngest that isn't going."""
        wanted = request.get("pod") or request.get("member")
        runs = [run for run in self.emulator.kubelet.runs.values()
                if wanted in (run.name, field(run.pod, "metadata", "labels", "name"))]
        if not runs:
            raise ValueError(f"no pod here is called {wanted!r} or has it as its label `name`")
        return max(runs, key=lambda run: (run.kill_at is None, run.pod["metadata"]["creationTimestamp"]))

    def service(self, request):
        """By namespace/name, by name, or by the member whose pod it selects; without any of them all Services."""
        services = [each for each in self.emulator.services.all() if field(each, "spec", "type") == "LoadBalancer"]
        if "service" in request:
            found = [each for each in services if request["service"] in (each["metadata"]["name"], self.emulator.balancer.name_of(each))]
        elif "member" in request:
            found = [each for each in services if field(each, "spec", "selector", "name") == request["member"]]
        else:
            return services
        if not found:
            raise ValueError(f"no Service of type LoadBalancer here is that of {request.get('service') or request['member']!r}")
        return found

    # ---- pods ----

    def do_kill_mongod(self, request):
        """{"pod"|"member", "signal": "KILL"}: signals the process; when it ends, the container is started again"""
        run = self.pod(request)
        processes.signal_group(run.process.pid, getattr(signal, "SIG" + request.get("signal", "KILL")))
        return {"pid": run.process.pid}

    def do_delete_pod(self, request):
        """{"pod"|"member", "grace": 30}: as kubectl delete pod"""
        run = self.pod(request)
        path = f"/api/v1/namespaces/{run.pod['metadata']['namespace']}/pods/{run.name}"
        self.emulator.client.delete(path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": int(request.get("grace", 30))})
        return {"pod": run.name}

    def do_delay(self, request):
        """{"step": schedule|volume|start|ready|address|terminate|refresh, "ms": N}: each object waits there for N ms; -1 for ever, 0 no longer"""
        if request.get("step") not in STEPS:
            raise ValueError(f"step is one of {', '.join(STEPS)}")
        self.emulator.set_delay(request["step"], int(request["ms"]))

    def do_image_id(self, request):
        """{"image": "mongo:7.0", "digest": "64 hex digits"}: what the tag means in this zone, for containers that start from now on"""
        self.emulator.image_ids[request["image"]] = request["digest"]

    # ---- nodes ----

    def do_cordon(self, request):
        """{"node": NAME|N}: no new pods there"""
        return self.set_unschedulable(request, True)

    def do_uncordon(self, request):
        """{"node": NAME|N}"""
        return self.set_unschedulable(request, False)

    def set_unschedulable(self, request, value):
        name = self.node(request)
        self.emulator.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": value}})
        return {"node": name}

    def node(self, request):
        name = str(request["node"])
        return self.emulator.facts.node_name(int(name)) if name.isdigit() else name

    def do_lose_node(self, request):
        """{"node": NAME|N}: its processes die, it is NotReady; its pods and attached disks stay as they were until somebody deletes the Node and the pods"""
        name = self.node(request)
        self.emulator.scheduler.lost.add(name)
        for run in self.emulator.kubelet.runs.values():
            if run.node == name and run.process is not None:
                processes.signal_group(run.process.pid, signal.SIGKILL)
        self.set_ready(name, "Unknown")
        return {"node": name}

    def do_return_node(self, request):
        """{"node": NAME|N}: it comes back, and starts what the API still says it runs"""
        name = self.node(request)
        self.emulator.scheduler.lost.discard(name)
        self.emulator.scheduler.register_nodes()
        self.set_ready(name, "True")
        return {"node": name}

    def set_ready(self, name, status):
        condition = {"type": "Ready", "status": status, "lastTransitionTime": self.emulator.now()}
        self.emulator.client.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [condition]}})

    # ---- addresses and traffic ----

    def do_move_address(self, request):
        """{"service"|"member", "address": IP or absent}: the load balancer hands out another IP, the old one is dead"""
        service, = self.service(request)[:1]
        return {"address": self.emulator.balancer.move(service, request.get("address"))}

    def do_no_address(self, request):
        """{"service"|"member"}: its address is taken away, none is given"""
        self.emulator.balancer.withheld |= {self.emulator.balancer.name_of(each) for each in self.service(request)}

    def do_give_address(self, request):
        """{"service"|"member"}: ends no-address"""
        self.emulator.balancer.withheld -= {self.emulator.balancer.name_of(each) for each in self.service(request)}

    def do_cut(self, request):
        """{"service"|"member" or neither}: silence on old and new connections"""
        self.set_mode(request, "cut")

    def do_refuse(self, request):
        """{"service"|"member" or neither}: connections are reset"""
        self.set_mode(request, "refuse")

    def do_slow(self, request):
        """{"service"|"member" or neither, "ms": N}: each direction is that late"""
        self.set_mode(request, "open", int(request["ms"]))

    def do_heal(self, request):
        """{"service"|"member" or neither}: traffic as it should be"""
        self.set_mode(request, "open")

    def set_mode(self, request, mode, delay_ms=0):
        for service in self.service(request):
            self.emulator.balancer.set_mode(service, mode, delay_ms)

    # ---- the API server ----

    def do_api_stop(self, _request):
        """the API server ends; members and traffic go on"""
        self.plane.stop_apiserver()

    def do_api_start(self, _request):
        """and comes back on its port; answers when it is ready"""
        if self.plane.apiserver is None:
            self.plane.start_apiserver()
        self.plane.wait_until_ready()

    def do_api_pause(self, _request):
        """it accepts connections and answers nothing"""
        self.plane.pause_apiserver()

    def do_api_continue(self, _request):
        """ends api-pause"""
        self.plane.continue_apiserver()

    def do_api_compact(self, _request):
        """etcd forgets all history; after api-stop and api-start a watch that resumes from before gets 410 Gone"""
        return {"revision": self.plane.compact()}

    def do_agent_drop(self, _request):
        """connections of the agent (those through agent.kubeconfig) to the API server are reset, once"""
        self.zone.proxy.drop_connections()

    def do_agent_cut(self, _request):
        """silence between agent and API server, until agent-heal"""
        self.zone.proxy.set_mode("cut")

    def do_agent_refuse(self, _request):
        """the agent's connections to the API server are reset, until agent-heal"""
        self.zone.proxy.set_mode("refuse")

    def do_agent_heal(self, _request):
        """ends agent-cut and agent-refuse"""
        self.zone.proxy.set_mode("open")

    # ---- to look ----

    def do_status(self, _request):
        """pods, Services, delays and what else the emulator knows"""
        runs = list(self.emulator.kubelet.runs.values())
        return {
            "pods": {run.name: {"node": run.node, "ip": run.ip, "address": run.address, "port": run.port, "ready": run.ready and run.running,
                                "pid": run.process.pid if run.process and run.running else None, "restarts": run.restarts,
                                "disks": [disk.name for disk in run.disks]} for run in runs if not run.idle},
            "services": self.emulator.balancer.status(), "delays": self.emulator.delays, "doubleMounts": self.emulator.kubelet.double_mounts,
            "lostNodes": sorted(self.emulator.scheduler.lost),
        }

    def do_help(self, _request):
        """this"""
        return {"faults": {name[3:].replace("_", "-"): getattr(type(self), name).__doc__ for name in dir(self) if name.startswith("do_")}}


# These wait for the API server, or stop it, so they can't be asked of the loop that needs it.
OUTSIDE = ("api_", "agent_", "help")


class ControlSocket:
    """Serves one request after another, in one thread."""

    def __init__(self, path, knobs):
        self.knobs = knobs
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            self.socket.bind(str(path))
        finally:
            os.umask(before)
        self.socket.listen(16)
        threading.Thread(target=self.run, name="control", daemon=True).start()

    def run(self):
        while True:
            connection, _ = self.socket.accept()
            with connection:
                connection.settimeout(30)
                try:
                    line = connection.makefile("rb").readline(LINE_MAX)
                    connection.sendall(json.dumps(self.answer(line)).encode() + b"\n")
                except OSError:
                    continue  # whoever asked is gone

    def answer(self, line):
        try:
            request = json.loads(line)
            name = re.sub("-", "_", request["fault"])
            method = getattr(self.knobs, f"do_{name}", None)
            if method is None:
                raise ValueError(f"there is no fault {request['fault']!r}; 'help' lists them")
            outside = name.startswith(OUTSIDE)
            value = method(request) if outside else self.knobs.emulator.call(lambda: method(request))
            return {"ok": True} | (value or {})
        except Exception as error:  # a test's mistake must not end the zone
            return {"error": f"{type(error).__name__}: {error}" if isinstance(error, (KeyError, AttributeError, TypeError)) else str(error)}


class Zone:
    def __init__(self, options):
        self.options = options
        self.folder = options.dir.resolve()
        self.facts = ZoneFacts(self.folder.name, self.folder, str(options.mongod), options.project, options.compute, options.nodes)
        self.plane = self.emulator = self.proxy = None
        self.ended = threading.Event()

    def run(self):
        began = time.monotonic()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "zone.json").unlink(missing_ok=True)
        self.facts.take_subnet(self.options.subnet or self.last_subnet())
        forwarding = Forwarding()
        # The agent's way to the API server: the same port again after a restart of the zone, so that its kubeconfig stays right.
        self.proxy = forwarding.open("127.0.0.1", self.last_proxy_port(), lambda: [("127.0.0.1", self.plane.ports["apiserver"])])
        self.plane = ControlPlane(binaries.find_or_build(self.options.kubernetes), self.folder, agent_port=self.proxy.port)
        try:
            self.plane.start()
            self.emulator = ZoneEmulator(self.facts, self.folder / "kubeconfig", forwarding)
            self.emulator.prepare()
            ControlSocket(self.folder / "control.sock", Knobs(self))
            self.publish(time.monotonic() - began)
            if not self.ended.is_set():
                self.emulator.run()
        finally:
            self.plane.stop()
            (self.folder / "zone.json").unlink(missing_ok=True)

    def end(self):
        self.ended.set()
        if self.emulator is not None:
            self.emulator.stop()
        else:
            raise SystemExit(1)  # in the main thread, while the control plane starts: run() stops what has started

    def remembered(self, name):
        try:
            return json.loads((self.folder / "last.json").read_text())[name]
        except (OSError, ValueError, KeyError):
            return 0

    def last_subnet(self):
        return self.remembered("subnet")

    def last_proxy_port(self):
        return self.remembered("proxyPort")

    def publish(self, took):
        facts = self.facts
        (self.folder / "last.json").write_text(json.dumps({"subnet": facts.subnet, "proxyPort": self.proxy.port}))
        making = self.folder / "zone.json.new"
        making.write_text(json.dumps({
            "name": facts.name, "region": facts.region, "project": facts.project, "pid": os.getpid(), "url": self.plane.url,
            "version": self.plane.binaries.version, "subnet": f"127.0.{facts.subnet}", "podRange": facts.pod_range,
            "nodeRange": facts.node_range, "egress": facts.egress, "compute": facts.compute, "readyAfterSeconds": round(took, 1),
            "nodes": [facts.node_name(number) for number in range(1, facts.node_count + 1)],
        }, indent=1) + "\n")
        making.rename(self.folder / "zone.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--mongod", type=pathlib.Path, required=True)
    parser.add_argument("--kubernetes", choices=sorted(binaries.ASSETS), default="current")
    parser.add_argument("--project", default="atoll-test")
    parser.add_argument("--compute", default="")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--subnet", type=int, default=0, help="the S of 127.0.S.0/24; default: the first free one from 101 on")
    options = parser.parse_args()
    try:
        Zone(options).run()
    except (processes.BedError, OSError) as error:
        print(f"zone.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
