"""What deploy/ holds, before real API servers: each object is accepted, the pods fit the strictest Pod Security Standard, and the overlays
give the agent's service account exactly what deploy/kubernetes/rbac.yaml says."""
import json
import pathlib
import subprocess

import pytest
import yaml

import binaries

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = sorted(p.parent.name for p in (DEPLOY / "kustomize" / "overlays").glob("*/kustomization.yaml"))


def built(zone, overlay, namespace):
    """The overlay's objects, put into the test's namespace."""
    done = subprocess.run([zone.program, "kustomize", DEPLOY / "kustomize" / "overlays" / overlay], capture_output=True, text=True, timeout=60, check=True)
    return moved(done.stdout, namespace)


def moved(text, namespace):
    found = [o for o in yaml.safe_load_all(text.replace("namespace: atoll\n", f"namespace: {namespace}\n").replace("namespace: atoll}", f"namespace: {namespace}}}")) if o]
    assert found and '"namespace": "atoll"' not in json.dumps(found)
    return found


def enforce_restricted(place):
    place.zone.kubectl("label", "namespace", place.name, "pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")


def dry_run(place, found):
    return place.zone.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin="\n---\n".join(json.dumps(o) for o in found))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_real_api_server_accepts_an_overlay(place, overlay):
    enforce_restricted(place)
    found = built(place.zone, overlay, place.name)
    done = dry_run(place, found)
    assert len(done.stdout.splitlines()) == len(found)
    assert "would violate" not in done.stderr, done.stderr


def test_a_real_api_server_accepts_the_chart(place):
    enforce_restricted(place)
    helm = binaries.find_or_build("helm")["helm"]
    done = subprocess.run([helm, "template", "agent", DEPLOY / "chart" / "atoll-zone-agent", "--namespace", "atoll",
                           "--set", "zone=us-east1-b", "--set", "controller=https://atoll.example.com:7411"], capture_output=True, text=True, timeout=60, check=True)
    accepted = dry_run(place, moved(done.stdout, place.name))
    assert "would violate" not in accepted.stderr, accepted.stderr


def test_a_pod_that_is_less_locked_up_is_noticed(current_place):
    """The check above can fail."""
    enforce_restricted(current_place)
    found = built(current_place.zone, OVERLAYS[-1], current_place.name)
    for thing in found:
        if thing["kind"] == "Deployment":
            del thing["spec"]["template"]["spec"]["securityContext"]
    assert "would violate" in dry_run(current_place, found).stderr
