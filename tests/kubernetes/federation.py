"""A controller and agents of the driver `kubernetes`, run on this machine against zones of the bed, for tests of the whole."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse

import pymongo
import yaml

import processes
from conftest import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ATOLL_BIN", ROOT / "build" / "bin"))
RBAC = ROOT / "deploy" / "kubernetes" / "rbac.yaml"
HEALTHY_SECS = 200  # a controller manager whose API server was away looks again after up to half a minute
AGENT = "atoll-zone-agent"


def letter(ordinal):
    return "abcdefghijklmnopqrstuvwxyz"[ordinal - 1]


def roles(namespace, without=None):
    """The agent's Role and ClusterRole as they are shipped, in this namespace and under a name of its own; `without`
    (resource, verb): that one taken away."""
    made = []
    for document in yaml.safe_load_all(RBAC.read_text()):
        document["metadata"]["name"] = name = f"{AGENT}-{namespace}"
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = namespace
        if "roleRef" in document:
            document["roleRef"]["name"] = name
        for rule in list(document.get("rules", [])):
            if without and without[0] in rule["resources"]:
                rest = dict(rule, verbs=[verb for verb in rule["verbs"] if verb != without[1]], resources=[without[0]])
                rule["resources"] = [each for each in rule["resources"] if each != without[0]]
                document["rules"] += [rest] if rest["verbs"] else []
                document["rules"] = [each for each in document["rules"] if each["resources"]]
        made.append(document)
    return made


class Federation:
    """One namespace (and so one set's name) in each of some zones."""

    def __init__(self, folder, name, places, compute, project=True):
        self.folder, self.name, self.places, self.compute, self.project = folder, name, places, compute, project
        self.processes, self.url = {}, None
        self.dir = folder / "controller"
        folder.mkdir(parents=True, exist_ok=True)

    # ---- programs ----

    def start(self):
        self.start_controller()
        for zone in self.places:
            self.allow(zone)
            self.start_agent(zone)
        return self

    def allow(self, zone, without=None):
        items = {"apiVersion": "v1", "kind": "List", "items": roles(self.name, without)}
        self.places[zone].zone.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def start_controller(self):
        url, passphrase = self.dir / "control-url", self.folder / "passphrase"
        url.unlink(missing_ok=True)
        self.write_secret(passphrase, "the passphrase of these tests\n")
        port = re.search(r":(\d+)$", self.url).group(1) if self.url else 0
        self.processes["controller"] = processes.start(
            [BIN / "atoll-controller", "--dir", self.dir, "--listen", f"127.0.0.1:{port}", "--ca-passphrase-file", passphrase,
             "--admin-file", self.dir / "admin.pem", "--egress", "127.0.0.1/32"],
            self.folder / "controller.log")
        self.url = wait_until(lambda: url.exists() and url.read_text().strip(), "the controller listens")

    @staticmethod
    def write_secret(file, text):
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    def start_agent(self, zone):
        folder = self.folder / "zones" / zone
        more = ["--compute-url", self.compute.url] if self.project else []
        if not (folder / "identity.pem").exists():
            token = self.atoll("zone", "join-token", zone, "--pre-approved").stdout
            more += ["--join-token-file", self.write_secret(self.folder / f"{zone}.token", token)]
        self.processes[zone] = processes.start(
            [BIN / AGENT, "--dir", folder, "--zone", zone, "--controller", self.url, "--driver", "kubernetes",
             "--kubeconfig", self.places[zone].zone.agent_kubeconfig, "--namespace", self.name, *more],
            self.folder / f"{zone}.log", env={"GCE_METADATA_HOST": self.compute.url.partition("//")[2]})

    def kill(self, name):
        processes.stop(self.processes.pop(name), signal.SIGKILL)

    def stop(self):
        for process in self.processes.values():
            processes.stop(process)
        for place in self.places.values():
            place.zone.kubectl("delete", "clusterrole,clusterrolebinding", f"{AGENT}-{self.name}", "--ignore-not-found", check=False)

    def logs(self):
        return "\n".join(f"--- {file.name}\n{processes.tail(file)}" for file in sorted(self.folder.glob("*.log")))

    # ---- what people do ----

    def atoll(self, *words, check=True, timeout=300):
        admin = {"HOME": str(self.folder), "ATOLL_CONTROLLER": self.url, "ATOLL_CA_FILE": str(self.dir / "ca.pem"),
                 "ATOLL_CERTIFICATE_FILE": str(self.dir / "admin.pem")}
        done = subprocess.run([BIN / "atoll", *map(str, words)], env=os.environ | admin, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"atoll {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done

    def spec(self, members=None, **of_set):
        """`members` [(zone, more)] by ordinal; one in each zone unless told otherwise."""
        members = members or [(zone, {}) for zone in self.places]
        zones = [{"name": zone, "namespace": self.name, "egress": [place.facts["egress"], place.facts["podRange"]]}
                 | ({"project": place.facts["project"]} if self.project else {}) for zone, place in self.places.items()]
        the_set = {"name": self.name, "image": "mongo:7.0", "storage": {"size": "1Gi", "type": "pd-ssd"},
                   "settings": {"electionTimeoutMillis": 2000, "heartbeatIntervalMillis": 500},
                   "members": [{"zone": zone, **more} for zone, more in members], **of_set}
        return {"apiVersion": "atoll/v1", "kind": "Federation", "metadata": {"name": self.name}, "spec": {"zones": zones, "sets": [the_set]}}

    def apply(self, spec=None, wait=True, check=True):
        file = self.folder / "spec.yaml"
        file.write_text(yaml.safe_dump(spec or self.spec()))
        return self.atoll("apply", "-f", file, *(["--wait", "--timeout", HEALTHY_SECS] if wait else []), check=check)

    # ---- what is seen ----

    def status(self):
        return json.loads(self.atoll("status", "-o", "json").stdout)

    def set_status(self):
        return self.status()["sets"][0]

    def zone_state(self, zone):
        return next(each["state"] for each in self.status()["zones"] if each["name"] == zone)

    def member(self, ordinal):
        return next(each for each in self.set_status()["members"] if each["ordinal"] == ordinal)

    def explain(self):
        return self.atoll("explain", self.name).stdout

    def events(self):
        return self.atoll("events").stdout

    def wait_healthy(self, timeout=HEALTHY_SECS):
        try:
            wait_until(lambda: self.set_status()["phase"] == "Healthy", f"set {self.name} is healthy", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.atoll('status').stdout}\n{self.explain()}\n{self.logs()}") from error

    def identity(self):
        """What must outlive every repair: members' _id, disks, and whose primary's set it is."""
        return {member["name"]: (member["id"], member["disk"]["name"]) for member in self.set_status()["members"]}

    # ---- data ----

    def client(self):
        """The primary alone, as the first administrator; it believes the federation's CA, as the connection string says."""
        primary = wait_until(lambda: next((member["host"] for member in self.set_status()["members"] if member["state"] == "PRIMARY"), None),
                             "there is a primary")
        options = self.connection_options()
        return pymongo.MongoClient(primary, directConnection=True, serverSelectionTimeoutMS=5000, socketTimeoutMS=5000, **options)

    def connection_options(self):
        said = urllib.parse.urlsplit(self.atoll("connection-string", self.name, "--with-password").stdout.strip())
        options = dict(urllib.parse.parse_qsl(said.query))
        assert options["tls"] == "true"
        return {"username": said.username, "password": urllib.parse.unquote(said.password), "tls": True, "tlsCAFile": options["tlsCAFile"]}

    def write(self, count=20):
        with self.client() as client:
            collection = client["proof"].get_collection("kept", write_concern=pymongo.WriteConcern(w="majority", wtimeout=10000))
            collection.insert_many([{"_id": number} for number in range(count)])

    def count(self):
        with self.client() as client:
            return client["proof"]["kept"].count_documents({})


def steady(condition, seconds, what):
    """Holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(0.2)
