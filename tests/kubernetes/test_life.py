"""The bed comes up, stays, and goes without a trace: also when it is killed. One zone, of its own."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

import bed as bed_module
import binaries
import processes
import toolchain
from conftest import HERE, wait_until
from kube_client import field

ZONE = "us-east1-b"


@pytest.fixture
def folder():
    """For a detached bed, which ends with the test whatever the test did."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="atoll-life-", dir="/tmp"))
    yield made
    bed_module.end(processes.of_directory(made))
    shutil.rmtree(made, ignore_errors=True)


def run_bed(*arguments, check=True):
    done = subprocess.run([sys.executable, HERE / "bed.py", *map(str, arguments)], capture_output=True, text=True, timeout=400)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def pid_of(folder):
    return json.loads((folder / ZONE / "zone.json").read_text())["pid"]


@pytest.fixture(autouse=True)
def built():
    binaries.find_or_build("current")


def test_up_twice_is_up_once_and_down_leaves_nothing(folder):
    run_bed("up", "--dir", folder, ZONE)
    first, processes_then = pid_of(folder), sorted(processes.of_directory(folder))
    run_bed("up", "--dir", folder, ZONE)
    assert pid_of(folder) == first and sorted(processes.of_directory(folder)) == processes_then
    run_bed("down", "--dir", folder)
    assert not folder.exists() and not processes.of_directory(folder)
    run_bed("down", "--dir", folder)


def test_a_killed_zone_takes_its_processes_along_and_comes_back_with_its_data(folder):
    run_bed("up", "--dir", folder, ZONE)
    before = pathlib.Path(folder / ZONE / "kubeconfig").read_text()
    zone = bed_module.BedZone(folder / ZONE, binaries.find("current")["kubectl"])
    zone.kubectl("create", "configmap", "kept")
    os.kill(pid_of(folder), signal.SIGKILL)
    left = processes.wait_until_gone(processes.of_directory(folder / ZONE), 60)
    assert not left, "etcd, API server and controller manager end with their zone"
    run_bed("up", "--dir", folder, ZONE)
    assert field(zone.client.get("/api/v1/namespaces/default/configmaps/kept"), "metadata", "name") == "kept"
    assert (folder / ZONE / "kubeconfig").read_text() == before


def test_a_tied_bed_ends_with_the_program_that_started_it(folder):
    script = "\n".join([
        "import sys, time", f"sys.path.insert(0, {str(HERE)!r})", "import bed",
        f"bed.Bed({str(folder)!r}, {{{ZONE!r}: 'current'}}, bed.find_mongod()).up()", "print('up', flush=True)", "time.sleep(100)"])
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout.readline() == "up\n"
        finally:
            program.kill()
    wait_until(lambda: not processes.of_directory(folder), "everything ends with a program that was killed")


def test_a_control_plane_that_cannot_start_says_why_and_leaves_nothing(folder):
    broken = folder / "assets"
    broken.mkdir()
    for program in binaries.NEEDED:
        (broken / program).write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo Kubernetes v1.37.2 && exit\necho no luck today\nexit 3\n")
        (broken / program).chmod(0o755)
    done = subprocess.run([sys.executable, HERE / "bed.py", "up", "--dir", folder / "bed", ZONE], capture_output=True, text=True, timeout=400,
                          env=os.environ | {"KUBEBUILDER_ASSETS": str(broken)})
    assert done.returncode == 1 and "ended with 3" in done.stderr and "no luck today" in done.stderr
    assert not processes.of_directory(folder / "bed")


def test_assets_without_a_controller_manager_are_refused_in_words(folder, monkeypatch):
    for program in ("kube-apiserver", "etcd", "kubectl"):
        (folder / program).touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))
    with pytest.raises(processes.BedError, match="has no kube-controller-manager"):
        binaries.find("current")


def test_down_removes_only_test_beds(folder):
    (folder / "precious").touch()
    assert "is no test bed" in run_bed("down", "--dir", folder, check=False).stderr
    assert (folder / "precious").exists()


def test_versions_of_go_are_compared_as_numbers():
    assert toolchain.numbers("1.19.8") < toolchain.numbers("1.26.0") < toolchain.numbers("1.26.8") and toolchain.numbers("1.9") < toolchain.numbers("1.10")


def test_down_leaves_who_only_looks_at_the_bed_alone(folder):
    (folder / bed_module.MARK).touch()
    (folder / "log").touch()
    with subprocess.Popen(["tail", "-f", folder / "log"]) as onlooker:
        try:
            run_bed("down", "--dir", folder)
            assert onlooker.poll() is None
        finally:
            onlooker.kill()
