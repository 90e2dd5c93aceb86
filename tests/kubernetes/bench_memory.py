#!/usr/bin/python3
"""The memory of an agent that keeps ten members in a cluster with 2,000 foreign pods, beside that of `kubectl get --watch` on the
same kinds of objects: a familiar yardstick.

usage: bench_memory.py [--pods N] [--members N]     ATOLL_BIN names the programs' folder (build/bin)"""
import argparse
import pathlib
import shutil
import sys
import tempfile
import time

import bed as bed_module
import binaries
import processes
from conftest import Compute, Place, wait_until
from federation import Federation

ZONE = bed_module.ZONES[0]
SETTLE_SECS = 15


def memory(pid):
    """(resident, private) in KiB."""
    values = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        values[key.rstrip(":")] = int(value)
    return values["Rss"], values["Anonymous"]


def foreign_pod(number):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"foreign-{number}", "labels": {"app": "foreign"}},
            "spec": {"containers": [{"name": "web", "image": "nginx", "env": [{"name": f"V{n}", "value": "x" * 40} for n in range(20)]}]}}


def make_foreign_pods(place, count):
    for number in range(count):
        place.client.post(place.path("pods"), foreign_pod(number))


def run(folder, options):
    bed = bed_module.Bed(folder / "bed", {ZONE: "current"}, bed_module.find_mongod()).up()
    zone = bed.zones[ZONE]
    compute = Compute(bed.compute_url)
    zone.client.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}})
    make_foreign_pods(Place(zone, compute, "bench"), options.pods)  # in the members' own namespace: the hardest case
    federation = Federation(folder / "federation", "bench", {ZONE: Place(zone, compute, "bench")}, compute, project=False)
    # One member per node is the rule: ten members are ten sets of one.
    spec = federation.spec([(ZONE, {})])
    spec["spec"]["sets"] = [dict(spec["spec"]["sets"][0], name=f"bench{number}") for number in range(options.members)]
    kubectl = None
    try:
        federation.start()
        federation.apply(spec, wait=False)
        wait_until(lambda: federation.status()["summary"]["healthyMembers"] == options.members, "all members are healthy", 600)
        kubectl = processes.start([zone.program, "--kubeconfig", zone.kubeconfig, "get", "pods", "-n", "bench", "--watch"], folder / "kubectl.log")
        time.sleep(SETTLE_SECS)  # what is measured is the steady state
        agent, yardstick = memory(federation.processes[ZONE].pid), memory(kubectl.pid)
        for what, (resident, private) in (("agent", agent), ("kubectl get pods --watch", yardstick)):
            print(f"{what:26} resident {resident:7} KiB   private {private:7} KiB")
        print(f"{'ratio':26} resident {agent[0] / yardstick[0]:7.2f}       private {agent[1] / yardstick[1]:7.2f}")
    finally:
        processes.stop(kubectl)
        federation.stop()
        bed.down()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--members", type=int, default=10)
    options = parser.parse_args()
    binaries.find_or_build("current")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-bench-", dir="/tmp"))
    try:
        print(f"{options.members} members, {options.pods} foreign pods in the same namespace")
        run(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
