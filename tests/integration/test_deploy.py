"""What deploy/ holds, as far as it can be checked without a cloud: that it parses, builds, is as locked up as it says, and that the scripts
do what they print."""
import copy
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = sorted(p.parent.name for p in (DEPLOY / "kustomize" / "overlays").glob("*/kustomization.yaml"))
ZONES = "us-east1-b,us-east1-c,europe-west1-d"
BINARIES = ROOT / "tests" / "kubernetes" / "binaries.py"  # what the Kubernetes tests have built
CHART_VALUES = ("zone=us-east1-b", "controller=https://atoll.example.com:7411")


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60, check=False, **options)


def find(program, name):
    """On the PATH, or where the Kubernetes tests have theirs; None where it is in neither."""
    folder = run(sys.executable, BINARIES, "--only-found", name).stdout.strip()
    return str(pathlib.Path(folder) / program) if folder else shutil.which(program)


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


HELM, KUBECTL = find("helm", "helm"), find("kubectl", "current")


def kubectl_minor():
    """Before 1.22 kubectl held a kustomize of 2019 (so does Debian 12's), which knows no inline patches."""
    if not KUBECTL:
        return 0
    version = json.loads(run(KUBECTL, "version", "--client", "--output=json").stdout)["clientVersion"]
    return int(re.match(r"\d+", version["minor"]).group())


needs_kustomize = pytest.mark.skipif(kubectl_minor() < 22, reason="there is no kubectl 1.22 or later; `make test-kubernetes` builds one")


@functools.lru_cache
def built(folder):
    done = run(KUBECTL, "kustomize", DEPLOY / "kustomize" / folder)
    assert done.returncode == 0, done.stderr
    return [o for o in yaml.safe_load_all(done.stdout) if o]


@functools.lru_cache
def plain(folder):
    """The objects of a folder as they are written."""
    found = []
    place = DEPLOY / "kubernetes" if folder == "rbac" else DEPLOY / "kustomize" / folder
    for file in sorted(place.glob("*.yaml")):
        if file.name != "kustomization.yaml":
            found += [o for o in yaml.safe_load_all(file.read_text()) if o]
    return found


def rendered(*values):
    arguments = [a for value in CHART_VALUES + values for a in ("--set", value)]
    done = run(HELM, "template", "agent", DEPLOY / "chart" / "atoll-zone-agent", "--namespace", "atoll", *arguments)
    assert done.returncode == 0, done.stderr
    return [o for o in yaml.safe_load_all(done.stdout) if o]


def of_kind(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def pods(objects):
    return [o["spec"]["template"]["spec"] for o in objects if o["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job")]


def check_pod(pod):
    """The Pod Security Standard `restricted`, a read-only root, and bounds."""
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] >= 10000
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "automountServiceAccountToken" in pod and pod["enableServiceLinks"] is False
    assert not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC"))
    assert all(set(volume) <= {"name", "persistentVolumeClaim", "emptyDir", "configMap", "projected", "secret"} for volume in pod.get("volumes", []))
    assert all(volume["secret"]["defaultMode"] == 0o440 for volume in pod.get("volumes", []) if "secret" in volume)
    assert not any("secretKeyRef" in json.dumps(container.get("env", [])) for container in pod["containers"]), "a secret in the environment"
    assert pod["containers"]
    for container in pod["containers"] + pod.get("initContainers", []):
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False and inner["privileged"] is False
        assert inner["readOnlyRootFilesystem"] is True and inner["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"} and "memory" in container["resources"]["limits"]
        assert not re.search(r":latest$|^[^:@]*$", container["image"].rpartition("/")[2]), "an image without a version"


# ---- manifests ----

@pytest.mark.parametrize("file", [p.relative_to(ROOT) for p in sorted(DEPLOY.rglob("*.yaml")) if "templates" not in p.parts], ids=str)
def test_every_file_parses_and_says_what_it_is_for(file):
    text = (ROOT / file).read_text()
    assert list(yaml.safe_load_all(text)) and text.startswith("# ") or file.name == "values.yaml" and text.startswith("# ")


@pytest.mark.parametrize("folder", ["agent", "controller"])
def test_pods_as_written_are_locked_up(folder):
    assert pods(plain(folder))
    for pod in pods(plain(folder)):
        check_pod(pod)


@needs_kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_builds_into_one_namespace_and_stays_locked_up(overlay):
    objects = built(f"overlays/{overlay}")
    assert pods(objects)
    for pod in pods(objects):
        check_pod(pod)
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "PersistentVolume", "Namespace"}
    assert {o["metadata"].get("namespace") for o in objects if o["kind"] not in cluster_wide} == {"atoll"}
    for binding in (o for o in objects if o["kind"].endswith("RoleBinding")):
        assert [s["namespace"] for s in binding["subjects"]] == ["atoll"]
        assert binding["roleRef"]["name"] in {o["metadata"]["name"] for o in objects if o["kind"] == binding["roleRef"]["kind"]}
    for policy in (o for o in objects if o["kind"] == "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"] and policy["spec"]["egress"]
        let_in = [{"ports": [{"protocol": "TCP", "port": 7411}]}] if policy["metadata"]["name"] == "atoll-controller" else []
        assert policy["spec"].get("ingress", []) == let_in
        selected = policy["spec"]["podSelector"]["matchLabels"]
        templates = [o["spec"]["template"]["metadata"]["labels"] for o in objects if o["kind"] in ("Deployment", "StatefulSet")]
        assert any(selected.items() <= labels.items() for labels in templates), "a policy that selects nothing"
    assert "CHANGE-ME" not in json.dumps(objects)


@needs_kustomize
@pytest.mark.parametrize("overlay", [o for o in OVERLAYS if o != "one-cluster"])
def test_a_zones_overlay_names_its_own_zone_everywhere(overlay):
    objects = built(f"overlays/{overlay}")
    assert of_kind(objects, "ConfigMap")["data"]["zone"] == overlay
    image = pods(objects)[0]["containers"][0]["image"]
    assert image.startswith(overlay.rpartition("-")[0] + "-docker.pkg.dev/PROJECT_ID/")
    assert of_kind(objects, "ServiceAccount")["metadata"]["annotations"]["iam.gke.io/gcp-service-account"]


def verbs(role):
    return {(group, resource): set(rule["verbs"]) for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"]}


def test_the_agent_may_do_what_its_driver_does_and_nothing_that_hurts_data():
    namespaced, cluster = (verbs(of_kind(plain("rbac"), kind)) for kind in ("Role", "ClusterRole"))
    sources = (ROOT / "zone-agent" / "kubernetes" / "objects.h").read_text()
    kinds = re.findall(r'X\(OBJECT_\w+, "\w+", "/(?:api|apis/(\w+))/v1", "(\w+)", (true|false)\)', sources)
    assert len(kinds) >= 7
    assert set(namespaced) == {(group, plural) for group, plural, inside in kinds if inside == "true"}
    assert set(cluster) == {(group, plural) for group, plural, inside in kinds if inside == "false"}
    assert namespaced.pop(("", "secrets")) == {"get", "create", "patch", "delete"}, "others' Secrets are none of its business"
    for allowed in (namespaced, cluster):
        assert all(v >= {"list", "watch"} and not v & {"*", "update", "deletecollection", "escalate", "bind", "impersonate"} for v in allowed.values())
    for kept in (namespaced[("", "persistentvolumeclaims")], cluster[("", "persistentvolumes")], cluster[("", "nodes")], namespaced[("", "pods")]):
        assert "delete" not in kept


def test_agents_never_run_twice():
    assert of_kind(plain("agent"), "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert of_kind(plain("agent"), "Deployment")["spec"]["replicas"] == 1
    assert of_kind(plain("controller"), "StatefulSet")["spec"]["replicas"] == 1


def test_programs_know_the_options_that_they_are_started_with(bin_dir):
    for folder, program in (("agent", "atoll-zone-agent"), ("controller", "atoll-controller"), ("overlays/one-cluster", "atoll-zone-agent")):
        help_text = run(bin_dir / program, "--help").stdout
        objects = plain(folder)
        for pod in pods(objects):
            for container in pod["containers"]:
                options = [a for a in container.get("args", []) if a.startswith("--")]
                assert options and all(re.search(rf"{option}\b", help_text) for option in options), (program, options)
    for unit, program in (("atoll-controller.service", "atoll-controller"), ("atoll-zone-agent@.service", "atoll-zone-agent")):
        help_text = run(bin_dir / program, "--help").stdout
        start = re.search(r"^ExecStart=(.*)$", (DEPLOY / "systemd" / unit).read_text(), re.M).group(1)
        assert start.startswith(f"/usr/bin/{program} ")
        assert all(re.search(rf"{option}\b", help_text) for option in re.findall(r"--[a-z-]+", start))


# ---- the chart ----

needs_helm = pytest.mark.skipif(not HELM, reason="there is no helm; `make test-kubernetes` builds it")


def without_helms_labels(value):
    """Helm says who manages an object; that is all that may differ."""
    if isinstance(value, dict):
        return {k: without_helms_labels(v) for k, v in value.items() if k not in ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance")}
    return [without_helms_labels(v) for v in value] if isinstance(value, list) else value


@needs_helm
def test_the_chart_passes_its_lint():
    done = run(HELM, "lint", "--strict", DEPLOY / "chart" / "atoll-zone-agent", *[a for v in CHART_VALUES for a in ("--set", v)])
    assert done.returncode == 0, done.stdout + done.stderr


@needs_helm
def test_the_chart_is_the_same_as_the_manifests():
    chart, manifests = without_helms_labels(rendered()), plain("agent") + plain("rbac")
    for pod in pods(chart):
        check_pod(pod)
    for kind in ("Role", "ClusterRole"):
        assert of_kind(chart, kind)["rules"] == of_kind(manifests, kind)["rules"]
    assert of_kind(chart, "NetworkPolicy")["spec"] == of_kind(manifests, "NetworkPolicy")["spec"]
    ours, theirs = (copy.deepcopy(of_kind(o, "Deployment")["spec"]) for o in (chart, manifests))
    for spec in (ours, theirs):  # the one names the zone itself, the other by a ConfigMap
        container = spec["template"]["spec"]["containers"][0]
        container.pop("env", None)
        container.pop("args")
    assert ours == theirs


@needs_helm
def test_the_chart_without_project_asks_for_no_persistent_volumes():
    assert set(verbs(of_kind(rendered("persistentVolumes=false"), "ClusterRole"))) == {("", "nodes")}
    assert not [o for o in rendered("networkPolicy.enabled=false") if o["kind"] == "NetworkPolicy"]


@needs_helm
@pytest.mark.parametrize("values", [[], ["zone=us-east1-b"], ["zone=US", "controller=https://atoll.example.com:7411"],
                                    [*CHART_VALUES, "zoen=x"], [*CHART_VALUES, "image.digest=sha256:1"]])
def test_the_chart_refuses_what_is_missing_wrong_or_unknown(values):
    done = run(HELM, "template", "agent", DEPLOY / "chart" / "atoll-zone-agent", *[a for v in values for a in ("--set", v)])
    assert done.returncode != 0


def test_the_charts_schema_knows_every_value():
    chart = DEPLOY / "chart" / "atoll-zone-agent"
    schema, values = json.loads((chart / "values.schema.json").read_text()), yaml.safe_load((chart / "values.yaml").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    used = set(re.findall(r"\.Values\.([A-Za-z]+)", "".join(p.read_text() for p in (chart / "templates").iterdir())))
    assert used == set(values)


# ---- systemd ----

@needs("systemd-analyze")
@pytest.mark.parametrize("unit", ["atoll-controller.service", "atoll-zone-agent@.service"])
def test_a_unit_is_valid_and_hardened(unit, tmp_path):
    """Its program stands where the unit says only once it is installed: here /bin/true is there instead."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", (DEPLOY / "systemd" / unit).read_text(), flags=re.M)
    (tmp_path / unit).write_text(text)
    verified = run("systemd-analyze", "verify", tmp_path / unit)
    assert unit.partition("@")[0] not in verified.stderr, verified.stderr
    done = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", tmp_path / unit)
    assert done.returncode == 0, done.stdout[-300:]
    said = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    assert said["LimitCORE"] == "0" and said["NoNewPrivileges"] == "yes" and said["CapabilityBoundingSet"] == "" and said["UMask"] == "0077"
    assert "LoadCredential" in said and not re.search(r"(?i)^Environment=.*(token|passphrase|password)=", text, re.M)


# ---- gke ----

@needs("shellcheck")
def test_the_scripts_are_clean():
    done = run("shellcheck", "-x", *sorted((DEPLOY / "gke").glob("*.sh")))
    assert done.returncode == 0, done.stdout


def gke(script, *arguments, path=None, **options):
    environment = {**os.environ, "PATH": path or "/usr/bin:/bin"}
    return run(DEPLOY / "gke" / script, "--project", "my-project", "--zones", ZONES, *arguments, env=environment, **options)


@pytest.fixture
def gcloud(tmp_path):
    """A gcloud that writes down what it is asked, and says that everything is there already (or nothing, until `there` exists)."""
    program = tmp_path / "gcloud"
    program.write_text(f"""#!/bin/bash
printf '%q ' "$@" >>{tmp_path}/calls
echo >>{tmp_path}/calls
case " $* " in *" describe "*) [ -e {tmp_path}/there ] ;; esac
""")
    program.chmod(0o755)
    return tmp_path


def calls(folder):
    file = folder / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_a_dry_run_prints_all_and_calls_nothing(gcloud):
    done = gke("create.sh", "--dry-run", path=f"{gcloud}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert not calls(gcloud)
    commands = [line for line in done.stdout.splitlines() if line.startswith("gcloud ")]
    assert [re.search(r"clusters create (\S+)", c).group(1) for c in commands if "clusters create" in c] == [f"atoll-{z}" for z in ZONES.split(",")]
    assert sum("networks subnets create" in c for c in commands) == 2, "one for each region"
    ranges = re.findall(r"--(?:range|master-ipv4-cidr) (\S+)", done.stdout)
    assert len(ranges) == len(set(ranges)) == 5


def test_what_is_printed_is_what_is_run(gcloud):
    done = gke("create.sh", path=f"{gcloud}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    printed = [line.removeprefix("gcloud ") for line in done.stdout.splitlines() if line.startswith("gcloud ")]
    assert [c.strip() for c in calls(gcloud) if " describe " not in c] == printed
    assert printed == [line.removeprefix("gcloud ") for line in gke("create.sh", "--dry-run").stdout.splitlines() if line.startswith("gcloud ")]


def test_what_exists_is_not_made_again(gcloud):
    (gcloud / "there").touch()
    assert gke("create.sh", path=f"{gcloud}:/usr/bin:/bin").returncode == 0
    assert not [c for c in calls(gcloud) if re.search(r" create | delete ", c)]


def test_the_agents_role_cannot_delete_or_attach():
    permissions = re.search(r"--permissions (\S+)", gke("create.sh", "--dry-run").stdout).group(1).replace("\\", "").split(",")
    assert "compute.disks.create" in permissions
    assert not [p for p in permissions if re.search(r"delete|attach|use|\*|setIamPolicy", p, re.I)]


@pytest.mark.parametrize("arguments", [["--zones", "us-east1"], ["--zones", "us-east1-b,us-east1-b"], ["--project", "P"], ["--nodes", "0"],
                                       ["--what"], ["--zones"], ["--namespace", "a b"]])
def test_bad_arguments_are_refused(arguments, gcloud):
    done = gke("create.sh", *arguments, path=f"{gcloud}:/usr/bin:/bin")
    assert done.returncode == 2 and done.stderr and not calls(gcloud)


def test_a_cluster_is_deleted_only_after_its_name_was_typed_and_disks_never(gcloud):
    (gcloud / "there").touch()
    done = gke("delete.sh", path=f"{gcloud}:/usr/bin:/bin", input="yes\n")
    assert done.returncode == 2 and not [c for c in calls(gcloud) if " delete " in c]
    done = gke("delete.sh", path=f"{gcloud}:/usr/bin:/bin", input="".join(f"atoll-{z}\n" for z in ZONES.split(",")))
    assert done.returncode == 0, done.stderr
    deleted = [c for c in calls(gcloud) if " delete " in c]
    assert len(deleted) == 3 and all(c.startswith("container clusters delete ") for c in deleted)


# ---- images ----

def test_images_run_as_nobody_and_hold_what_their_programs_need(bin_dir, sanitized):
    stages = re.split(r"^FROM ", (DEPLOY / "images" / "Dockerfile").read_text(), flags=re.M)[1:]
    by_name = {re.match(r"\S+ AS (\w+)", s).group(1): s for s in stages}
    for target, programs in (("agent", ["atoll-zone-agent"]), ("controller", ["atoll", "atoll-controller"])):
        stage = by_name[target]
        assert re.search(r"^USER 10001:10001$", stage, re.M) and "ENTRYPOINT" in stage
        packages = re.search(r"--no-install-recommends (.*?)\s+&& rm", stage, re.S).group(1).replace("\\", " ").split()
        for program in programs:
            assert f"/programs/{program}" in stage
            if not sanitized and shutil.which("dpkg-query"):
                assert libraries_of(bin_dir / program) - {"libc6"} <= set(packages)


def libraries_of(program):
    """The Debian packages of the libraries that a program names."""
    packages = set()
    names = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program).stdout)
    places = dict(re.findall(r"(\S+) => (\S+)", run("ldd", program).stdout))
    for name in names:
        folder = pathlib.Path(places[name]).parent.name  # of this architecture; /lib and /usr/lib are one
        found = run("dpkg-query", "--search", f"*/{folder}/{name}").stdout.splitlines()
        if found:
            packages.add(found[0].split(":")[0])
    assert names and packages
    return packages
