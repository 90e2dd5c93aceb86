"""Finds a Go that is new enough for the Kubernetes to build. Debian 12 has Go 1.19, which is too old, but which can fetch a
newer toolchain as what it is: the module golang.org/toolchain, through the module proxy and its checksum database (Go 1.21 and
later do just that by themselves)."""
import os
import pathlib
import platform
import re
import shutil
import subprocess

from processes import BedError

# What Debian's Go fetches; any that is not older than the go.mod files ask for will do.
FETCHED = "1.26.8"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def version_of(go):
    said = subprocess.run([go, "version"], capture_output=True, text=True, env=os.environ | {"GOTOOLCHAIN": "local"}, timeout=60)
    found = re.search(r"go version go(\d+\.\d+(?:\.\d+)?)", said.stdout)
    return found.group(1) if found else None


def find(root, wanted, say):
    """The path of a go command that is at least `wanted` ("1.26.0"), if need be fetched into the folder `root`."""
    fetched = root / f"go{FETCHED}" / "bin" / "go"
    there = shutil.which("go")
    if there and version_of(there) and numbers(version_of(there)) >= numbers(wanted):
        return there
    if fetched.exists():
        return str(fetched)
    if not there:
        raise BedError(f"building Kubernetes needs Go: install Debian's golang-go (any version: {FETCHED} is fetched with it), or Go {wanted}")
    say(f"Go {version_of(there)} is too old to build Kubernetes; fetching the toolchain {FETCHED} through the module proxy")
    fetch(there, root)
    return str(fetched)


def fetch(go, root):
    machine = MACHINES.get(platform.machine())
    if not machine:
        raise BedError(f"no Go toolchain can be fetched for {platform.machine()}: install Go {FETCHED} by hand")
    version = f"v0.0.1-go{FETCHED}.linux-{machine}"
    work = root / "toolchain.fetching"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "go.mod").write_text("module atoll.dev/fetch\n\ngo 1.19\n")
    env = os.environ | {"GOMODCACHE": str(work / "modules"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    done = subprocess.run([go, "mod", "download", f"golang.org/toolchain@{version}"], cwd=work, env=env, capture_output=True, text=True)
    unpacked = work / "modules" / "golang.org" / f"toolchain@{version}"
    if done.returncode != 0 or not unpacked.is_dir():
        raise BedError(f"fetching Go {FETCHED} failed: {done.stderr.strip() or done.stdout.strip()}")
    for folder in ("bin", "pkg/tool"):  # files of a module are never executable
        for file in (unpacked / folder).rglob("*"):
            if file.is_file():
                file.chmod(0o755)
    unpacked.rename(root / f"go{FETCHED}")
    shutil.rmtree(work, ignore_errors=True)
