"""What a container sees, on a machine without containers: its volumes as folders below the pod's, and its command line with
mount paths, variables and the listening address rewritten to them."""
import base64
import os
import pathlib
import re
import shutil
import time

from emulated_storage import NotReady
from kube_client import field

DATA_PATH = "/data/db"  # mongod's default, and the image's volume


def make_volumes(zone, pod, folder):
    """{volume name: folder} and the list of folders that are disks; NotReady when something isn't there yet."""
    folders, disks = {}, []
    for volume in field(pod, "spec", "volumes", default=[]):
        name = volume["name"]
        place = folder / "volumes" / name
        if "persistentVolumeClaim" in volume:
            folders[name] = zone.storage.attach_claim(pod, volume["persistentVolumeClaim"]["claimName"])
            disks.append(folders[name])
        elif "gcePersistentDisk" in volume:
            folders[name] = zone.storage.attach(pod, zone.facts.disk_handle(volume["gcePersistentDisk"]["pdName"]))
            disks.append(folders[name])
        elif "emptyDir" in volume:
            place.mkdir(parents=True, exist_ok=True)
            folders[name] = place
        elif "secret" in volume or "configMap" in volume:
            folders[name] = write_files(zone, pod, volume, place)
        else:
            kinds = ", ".join(key for key in volume if key != "name")
            raise NotReady("FailedMount", f'volume "{name}": the zone emulator has no volumes of kind {kinds}')
    return folders, disks


def write_files(zone, pod, volume, place):
    """A Secret or ConfigMap as files."""
    kind, source = ("secrets", volume["secret"]) if "secret" in volume else ("configmaps", volume["configMap"])
    data = read_data(zone, pod, kind, source.get("secretName") or source.get("name"), source.get("optional", False))
    exchange(place, chosen_files(pod, kind, source, data))
    return place


def chosen_files(pod, kind, source, data):
    """{path: (content, mode)}. Under fsGroup they are readable for the group, as kubelet makes them."""
    mode = source.get("defaultMode", 0o644) | (0o440 if field(pod, "spec", "securityContext", "fsGroup") is not None else 0)
    chosen = source.get("items") or [{"key": key, "path": key} for key in data]
    for item in chosen:
        if item["key"] not in data:
            raise NotReady("FailedMount", f'{kind[:-1]} "{source.get("secretName") or source.get("name")}" has no key "{item["key"]}"')
    return {item["path"]: (data[item["key"]], item.get("mode", mode)) for item in chosen}


def exchange(place, files):
    """All at once, as kubelet does: each name leads through the link ..data to a folder, and another folder takes its place."""
    place.mkdir(parents=True, exist_ok=True)
    fresh, link, making = place / f"..{time.time_ns()}", place / "..data", place / "..data_tmp"
    for path, (content, mode) in files.items():
        file = fresh / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as output:
            output.write(content)
        file.chmod(mode)
    former = place / os.readlink(link) if link.is_symlink() else None
    making.unlink(missing_ok=True)
    making.symlink_to(fresh.name)
    making.rename(link)
    for first in {pathlib.PurePath(path).parts[0] for path in files}:
        if not (place / first).is_symlink():
            (place / first).symlink_to(f"..data/{first}")
    if former is not None:
        shutil.rmtree(former, ignore_errors=True)


def refresh_secrets(zone, pod, folder, brought):
    """Brings what has changed in Secrets into a pod that runs, a while after it changed; not by subPath, which is never refreshed, and no
    file that only an init container copied. `brought`: {volume: resourceVersion}."""
    for volume in field(pod, "spec", "volumes", default=[]):
        source = volume.get("secret")
        thing = source and zone.secrets.get(pod["metadata"]["namespace"], source["secretName"])
        version = thing and thing["metadata"]["resourceVersion"]
        if not thing or brought.get(volume["name"]) == version or not zone.due("refresh", (pod["metadata"]["uid"], volume["name"], version)):
            continue
        files = chosen_files(pod, "secrets", source, decoded(thing))
        place = folder / "volumes" / volume["name"]
        if any(not (place / path).is_file() or (place / path).read_bytes() != content for path, (content, _) in files.items()):
            exchange(place, files)
        brought[volume["name"]] = version


def decoded(secret):
    return {key: base64.b64decode(value) for key, value in field(secret, "data", default={}).items()}


def read_data(zone, pod, kind, name, optional=False):
    thing = zone.client.find(f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{name}")
    if thing is None and not optional:
        raise NotReady("FailedMount", f'{kind[:-1]} "{name}" not found')
    data = decoded(thing) if kind == "secrets" else {}
    if kind == "configmaps":
        data = {key: value.encode() for key, value in field(thing, "data", default={}).items()}
    return data


class Paths:
    """Rewrites a container's mount paths in texts, the longest first."""

    def __init__(self, container, folders):
        pairs = {}
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in folders:
                raise NotReady("FailedMount", f'the pod has no volume "{mount["name"]}"')
            target = folders[mount["name"]] / mount.get("subPath", "")
            if "subPath" in mount and not target.is_file():
                target.mkdir(parents=True, exist_ok=True)
            pairs[mount["mountPath"].rstrip("/")] = str(target)
        self.pairs = pairs
        choice = "|".join(re.escape(path) for path in sorted(pairs, key=len, reverse=True))
        self.pattern = re.compile(rf"(?<![\w./-])(?:{choice})(?![\w.-])") if pairs else None

    def rewrite(self, text):
        return self.pattern.sub(lambda found: self.pairs[found.group(0)], text) if self.pattern else text


def environment(zone, pod, container, pod_ip):
    """The container's variables; what can't be resolved is an error of the pod, not silence."""
    values = {}
    fields = {
        "metadata.name": pod["metadata"]["name"], "metadata.namespace": pod["metadata"]["namespace"], "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": field(pod, "spec", "nodeName"), "status.podIP": pod_ip, "status.hostIP": pod_ip,
    }
    for variable in container.get("env", []):
        source = variable.get("valueFrom")
        if source is None:
            values[variable["name"]] = expand(variable.get("value", ""), values)
        elif "fieldRef" in source and source["fieldRef"]["fieldPath"] in fields:
            values[variable["name"]] = fields[source["fieldRef"]["fieldPath"]]
        elif "secretKeyRef" in source:
            data = read_data(zone, pod, "secrets", source["secretKeyRef"]["name"])
            values[variable["name"]] = data.get(source["secretKeyRef"]["key"], b"").decode()
        else:
            raise NotReady("CreateContainerConfigError", f'variable {variable["name"]}: the zone emulator cannot resolve {source}')
    return values


def expand(text, values):
    """$(NAME) as Kubernetes expands it: unknown names stay, $$ is a dollar."""
    return re.sub(r"\$\$|\$\((\w+)\)", lambda found: "$" if found.group(0) == "$$" else values.get(found.group(1), found.group(0)), text)


def command_line(container, values):
    """command and args as the image of mongo runs them: its entry point puts `mongod` before options, and runs it without any."""
    words = [expand(word, values) for word in [*container.get("command", []), *container.get("args", [])]]
    if not words or words[0].startswith("-"):
        words = ["mongod", *words]
    return words


def is_mongod(words):
    return os.path.basename(words[0]) in ("mongod", "mongod-sim", "atoll-mongod-sim")


def mongod_line(words, paths, address):
    """mongod's options for the pod's own loopback address and its disk's folder."""
    line = bind_to([paths.rewrite(word) for word in words], address)
    if not any(word == "--dbpath" or word.startswith("--dbpath=") for word in line):
        if DATA_PATH not in paths.pairs:
            raise NotReady("CreateContainerConfigError", f"nothing is mounted at {DATA_PATH}, and the command line names no other --dbpath")
        line += ["--dbpath", paths.pairs[DATA_PATH]]
    return line


def bind_to(words, address):
    """Whatever it would listen on in its pod becomes the pod's address here."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == "--bind_ip":
            skip = True
        elif word != "--bind_ip_all" and not word.startswith("--bind_ip="):
            kept.append(word)
    return [*kept, "--bind_ip", address]


def port_of(words):
    for here, following in zip(words, [*words[1:], ""]):
        if here == "--port":
            return int(following)
        if here.startswith("--port="):
            return int(here.partition("=")[2])
    return 27017
