"""Makes what old releases of Kubernetes leave out of their source: the OpenAPI definitions, without which the API server does
not know how to merge under server-side apply. Run by binaries.py in a copy of this folder: prepare.py GO"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

go = sys.argv[1]
# The types that kube-apiserver serves; component configurations have definitions as well, which nobody asks a server for.
MODULES = ("k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator")
TAG = re.compile(rb"^// \+k8s:openapi-gen=true$", re.M)
# Packages without a tag of their own that others' definitions refer to.
UNTAGGED = ("k8s.io/apimachinery/pkg/api/resource", "k8s.io/apimachinery/pkg/runtime", "k8s.io/apimachinery/pkg/version",
            "k8s.io/apimachinery/pkg/util/intstr", "k8s.io/apimachinery/pkg/apis/meta/v1")


def run(*command):
    return subprocess.run([go, *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def folder_of(module):
    run("mod", "download", module)
    return pathlib.Path(run("list", "-m", "-f", "{{.Dir}}", module).strip())


def tagged_packages():
    found = set(UNTAGGED)
    for module in MODULES:
        root = folder_of(module)
        for file in root.rglob("doc.go"):
            if TAG.search(file.read_bytes()):
                found.add(f"{module}/{file.parent.relative_to(root)}")
    return sorted(found)


def main():
    source = pathlib.Path("kubernetes").absolute()
    module = folder_of("k8s.io/kubernetes")
    for part in ("cmd", "pkg", "plugin", "third_party", "test"):  # a module in the cache is read-only, so add to a copy
        shutil.copytree(module / part, source / part, copy_function=shutil.copyfile)
    shutil.copyfile(module / "go.mod", source / "go.mod")
    for folder in [source, *source.rglob("*/")]:
        folder.chmod(0o755)
    header = pathlib.Path("header.txt")
    header.write_text("// generated\n")
    os.environ["GODEBUG"] = "gotypesalias=0"  # the generator is older than the type that stands for an alias
    run("run", "k8s.io/kube-openapi/cmd/openapi-gen", "--input-dirs", ",".join(tagged_packages()),
        "--output-package", "k8s.io/kubernetes/pkg/generated/openapi", "--output-file-base", "zz_generated.openapi",
        "--output-base", str(pathlib.Path("generated").absolute()), "--go-header-file", str(header), "--report-filename", "violations.txt")
    shutil.copy("generated/k8s.io/kubernetes/pkg/generated/openapi/zz_generated.openapi.go", source / "pkg/generated/openapi")
    run("mod", "edit", "-replace", f"k8s.io/kubernetes={source}")


main()
