"""Finds kube-apiserver, kube-controller-manager, etcd and kubectl (names `current` and `older`) and helm, or builds them once.

In this order: the folder that KUBEBUILDER_ASSETS names (the convention of envtest; KUBEBUILDER_ASSETS_OLDER for the older
version; HELM_FOLDER for helm); the cache, ${XDG_CACHE_HOME:-~/.cache}/atoll/kubernetes/VERSION (helm-VERSION); else they are
built from build/NAME/go.mod into the cache, through the Go module proxy.

usage: binaries.py [--only-found] [current|older|helm]...    prints the folder of each; with --only-found exit 1 instead of a build"""
import argparse
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys

import toolchain
from processes import BedError

HERE = pathlib.Path(__file__).resolve().parent
NEEDED = ("kube-apiserver", "kube-controller-manager", "etcd", "kubectl")
PROGRAMS = {"current": NEEDED, "older": NEEDED, "helm": ("helm",)}
ASSETS = {"current": "KUBEBUILDER_ASSETS", "older": "KUBEBUILDER_ASSETS_OLDER", "helm": "HELM_FOLDER"}
# The older version is built without these: etcd's and kubectl's protocols are stable, so it borrows the current ones.
BORROWED = {"current": (), "older": ("etcd", "kubectl"), "helm": ()}
PACKAGES = {"etcd": "go.etcd.io/etcd/server/v3", "helm": "helm.sh/helm/v3/cmd/helm"}


class Binaries:
    """Paths by name: binaries["kubectl"]; `version` as the API server says it ("1.37.2")."""

    def __init__(self, name, folder, paths, version):
        self.name, self.folder, self.paths, self.version = name, folder, paths, version

    def __getitem__(self, program):
        return self.paths[program]

    @property
    def minor(self):
        return int(self.version.split(".")[1])


def wanted_version(name):
    """Which version build/NAME/go.mod asks for; the one place that says so."""
    text = (HERE / "build" / name / "go.mod").read_text()
    module = r"helm\.sh/helm/v3" if name == "helm" else r"k8s\.io/kubernetes"
    return re.search(rf"{module} (?:=> {module} )?v([\d.]+)", text).group(1)


def cached(name):
    """The folder's name in the cache."""
    return ("helm-" if name == "helm" else "") + wanted_version(name)


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "atoll" / "kubernetes"


def find(name="current"):
    """The Binaries that are there already, or None."""
    return from_assets(name) or from_cache(name)


def find_or_build(name="current", say=lambda text: print(text, file=sys.stderr, flush=True)):
    return find(name) or build(name, say)


def from_assets(name):
    variable = ASSETS[name]
    folder = os.environ.get(variable)
    if not folder:
        return None
    folder = pathlib.Path(folder)
    missing = [program for program in PROGRAMS[name] if not os.access(folder / program, os.X_OK)]
    if missing:
        raise BedError(
            f"{variable}={folder} has no {', '.join(missing)} (envtest's archives come without kube-controller-manager): "
            f"add it in the same version, or unset {variable} to have the tests build their own"
        )
    return Binaries(name, folder, {program: folder / program for program in PROGRAMS[name]}, version_of(folder / PROGRAMS[name][0]))


def from_cache(name):
    folder = cache_root() / cached(name)
    if not folder.is_dir():  # it is renamed into place when complete
        return None
    paths = {program: folder / program for program in PROGRAMS[name] if program not in BORROWED[name]}
    if BORROWED[name]:
        lender = find("current")
        if lender is None:
            return None
        paths |= {program: lender[program] for program in BORROWED[name]}
    return Binaries(name, folder, paths, wanted_version(name))


def version_of(program):
    said = subprocess.run([program, "version" if program.name == "helm" else "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    return re.search(r"v(\d+\.\d+\.\d+)", said).group(1)


def build(name, say):
    """Builds into the cache; a second builder waits for the first."""
    version = cached(name)
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    if BORROWED[name]:
        find_or_build("current", say)
    with open(root / f"{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = from_cache(name)
        if found:
            return found
        what, cost = ("helm", "2 minutes of CPU time") if name == "helm" else ("Kubernetes", "10 minutes of CPU time, 2 GiB of memory, 6 GiB of disk for Go's caches")
        say(f"Building {what} {wanted_version(name)} once, into {root / version}: about {cost}. ({ASSETS[name]}=FOLDER uses binaries that you have.)")
        build_into(name, version, root, say)
    return from_cache(name)


def build_into(name, version, root, say):
    work = root / f"{version}.building"
    shutil.rmtree(work, ignore_errors=True)
    (work / "module").mkdir(parents=True)
    (work / "bin").mkdir()
    for file in (HERE / "build" / name).iterdir():
        shutil.copy(file, work / "module" / file.name)
    go = toolchain.find(root, wanted_go(work / "module" / "go.mod"), say)
    run = Go(go, work, say)
    if (work / "module" / "prepare.py").exists():
        run.script(work / "module" / "prepare.py")
    for program in PROGRAMS[name]:
        if program not in BORROWED[name]:
            run.build(program, wanted_version(name))
    (work / "bin").rename(root / version)
    shutil.rmtree(work, ignore_errors=True)


def wanted_go(mod_file):
    return re.search(r"^go ([\d.]+)", mod_file.read_text(), re.M).group(1)


class Go:
    """Runs the go command in a module, two jobs at once at low priority, so that a laptop stays usable."""

    def __init__(self, go, work, say):
        self.go, self.work, self.say = go, work, say
        self.env = os.environ | {
            "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-trimpath -buildvcs=false", "GOMAXPROCS": "2", "GOTOOLCHAIN": "local",
            "PATH": f"{pathlib.Path(go).parent}:{os.environ['PATH']}",
        }

    def build(self, program, version):
        self.say(f"  {program} {version if program != 'etcd' else ''}".rstrip())
        major, minor, _ = version.split(".")
        variables = [
            f"-X {package}.{variable}={value}"
            for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
            for variable, value in (("gitVersion", f"v{version}"), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean"))
        ]
        package = PACKAGES.get(program, f"k8s.io/kubernetes/cmd/{program}")
        linker = " ".join(["-s", "-w", *self.extra_linker_flags(), *variables])
        self.run(["nice", "-n", "15", self.go, "build", "-p", "2", "-o", self.work / "bin" / program, "-ldflags", linker, package])

    def extra_linker_flags(self):
        flags = self.work / "module" / "linker-flags"
        return flags.read_text().split() if flags.exists() else []

    def script(self, file):
        self.run(["nice", "-n", "15", sys.executable, file, self.go])

    def run(self, command):
        done = subprocess.run([str(word) for word in command], cwd=self.work / "module", env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            last = "\n".join(done.stdout.splitlines()[-20:])
            raise BedError(f"a build failed: {' '.join(map(str, command[2:6]))} …\n{last}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-found", action="store_true")
    parser.add_argument("names", nargs="*", default=["current"], metavar="current|older|helm")
    options = parser.parse_args()
    for name in options.names:
        if name not in ASSETS:
            parser.error(f"there is no version '{name}'; there are {', '.join(ASSETS)}")
    try:
        for name in options.names:
            found = find(name) if options.only_found else find_or_build(name)
            if not found:
                return 1
            print(found.folder)
    except BedError as error:
        print(f"binaries.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
