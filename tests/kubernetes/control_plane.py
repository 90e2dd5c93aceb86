"""A real Kubernetes control plane for one zone: etcd, kube-apiserver and kube-controller-manager on the loopback interface.

All of it is below one folder, which every process names on its command line:
  pki/          the zone's authority, the server's certificate, client certificates, the service accounts' key, tokens.csv
  etcd/ *.log   data and logs
  kubeconfig            administrator (system:masters), by token
  agent.kubeconfig      the agent: user AGENT_USER, by token, with no rights until a test or a manifest binds a Role
  agent-certificate.kubeconfig   the same user by client certificate

Both of the agent's lead through `agent_port` where one is given, so that a proxy there can cut its connections."""
import base64
import json
import os
import pathlib
import secrets
import signal
import ssl
import time
import urllib.error
import urllib.request

import certificates
import processes
from processes import BedError

READY_TIMEOUT_SECS = 120  # 6 s on a quiet machine
START_ATTEMPTS = 3        # each with new ports, as another program may have taken one meanwhile
# In the token file the agent is what its service account would be in a cluster: tests bind their Role to that account.
AGENT_USER = "system:serviceaccount:default:atoll-zone-agent"
AGENT_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
# What the objects of a member need, and no more: each controller costs memory.
CONTROLLERS = ("replicationcontroller", "endpoint", "endpointslice", "persistentvolume-binder", "pvc-protection", "pv-protection",
               "disruption", "namespace", "garbagecollector", "serviceaccount")


class ControlPlane:
    """`folder` is made when it isn't there; one that was used before goes on with its data, tokens and ports. `tied`
    processes end with this program."""

    def __init__(self, binaries, folder, cidr="10.96.0.0/16", tied=True, agent_port=None):
        self.binaries, self.folder, self.cidr, self.tied, self.agent_port = binaries, pathlib.Path(folder), cidr, tied, agent_port
        self.pki = self.folder / "pki"
        self.etcd = self.apiserver = self.controller_manager = None
        self.ports = {}

    # ---- life ----

    def start(self):
        """Up and ready, or BedError with the last lines of whoever failed, and nothing left running."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.pki.exists():
            self.make_credentials()
        try:
            self.start_servers()
        except BaseException:
            self.stop()
            raise

    def start_servers(self):
        for attempt in range(START_ATTEMPTS):
            self.choose_ports(anew=attempt > 0)
            self.start_etcd()
            self.start_apiserver()
            try:
                self.wait_until_ready()
                break
            except BedError:
                self.stop()
                if attempt + 1 == START_ATTEMPTS or not self.lost_its_port():
                    raise
        self.write_kubeconfigs()
        self.start_controller_manager()

    def stop(self):
        """All three, the API server first so that nobody waits for etcd. SIGKILL where asking nicely costs seconds: the
        API server drains for long, and etcd's data needs no farewell."""
        for name, number in (("controller_manager", signal.SIGKILL), ("apiserver", signal.SIGKILL), ("etcd", signal.SIGTERM)):
            processes.stop(getattr(self, name), number)
            setattr(self, name, None)

    def stop_apiserver(self):
        """As in the upgrade of a zonal cluster: connections are refused until start_apiserver()."""
        processes.stop(self.apiserver, signal.SIGKILL)
        self.apiserver = None

    def pause_apiserver(self):
        """It still accepts connections, and answers nothing."""
        processes.signal_group(self.apiserver.pid, signal.SIGSTOP)

    def continue_apiserver(self):
        processes.signal_group(self.apiserver.pid, signal.SIGCONT)

    # ---- its parts ----

    def choose_ports(self, anew):
        file = self.folder / "ports.json"
        if file.exists() and not anew:
            self.ports = json.loads(file.read_text())
            return
        self.ports = {name: processes.free_port() for name in ("etcd", "apiserver")}
        file.write_text(json.dumps(self.ports))

    def lost_its_port(self):
        logs = processes.tail(self.folder / "etcd.log") + processes.tail(self.folder / "kube-apiserver.log")
        return "address already in use" in logs

    def start_etcd(self):
        url = f"http://127.0.0.1:{self.ports['etcd']}"
        self.etcd = self.spawn("etcd", [
            f"--data-dir={self.folder}/etcd", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
            "--listen-peer-urls=http://127.0.0.1:0", "--unsafe-no-fsync", "--log-level=warn",
        ], {"GOGC": "40"})

    def start_apiserver(self):
        pki = self.pki
        self.apiserver = self.spawn("kube-apiserver", [
            f"--etcd-servers=http://127.0.0.1:{self.ports['etcd']}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            f"--secure-port={self.ports['apiserver']}", f"--cert-dir={pki}",
            f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key", f"--client-ca-file={pki}/ca.crt",
            f"--token-auth-file={pki}/tokens.csv", "--authorization-mode=RBAC",
            f"--service-account-key-file={pki}/service-accounts.key", f"--service-account-signing-key-file={pki}/service-accounts.key",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-cluster-ip-range={self.cidr}",
            # There is no kubelet that would mount tokens, and pods come before their namespace's default account.
            "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none", "--profiling=false",
            "--enable-priority-and-fairness=false",
        ], {"GOGC": "40"})

    def start_controller_manager(self):
        listen = ["--secure-port=0"] + (["--port=0"] if self.binaries.minor < 23 else [])
        self.controller_manager = self.spawn("kube-controller-manager", [
            f"--kubeconfig={self.folder}/kubeconfig", f"--controllers={','.join(CONTROLLERS)}", "--leader-elect=false",
            f"--root-ca-file={self.pki}/ca.crt", f"--service-account-private-key-file={self.pki}/service-accounts.key",
            "--kube-api-qps=200", "--kube-api-burst=400", "--pvclaimbinder-sync-period=1s", "--profiling=false", *listen,
        ], {"GOGC": "40"})

    def spawn(self, program, arguments, env):
        return processes.start([self.binaries[program], *arguments], self.folder / f"{program}.log", tied=self.tied, env=env)

    def wait_until_ready(self, timeout=READY_TIMEOUT_SECS):
        """Polls /readyz; a server that has ended is not waited for."""
        deadline = time.monotonic() + timeout
        context = ssl.create_default_context(cafile=self.pki / "ca.crt")
        headers = {"Authorization": f"Bearer {self.token('admin')}"}
        request = urllib.request.Request(f"{self.url}/readyz", headers=headers)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5, context=context):
                    return
            except (OSError, urllib.error.URLError) as error:
                last = error
            for name, process in (("etcd", self.etcd), ("kube-apiserver", self.apiserver)):
                if process.poll() is not None:
                    raise BedError(f"{name} of {self.folder} ended with {process.returncode}:\n{processes.tail(self.folder / (name + '.log'))}")
            if time.monotonic() > deadline:
                log = processes.tail(self.folder / "kube-apiserver.log")
                raise BedError(f"the API server of {self.folder} is not ready after {timeout} s ({last}):\n{log}")
            time.sleep(0.1)

    # ---- credentials ----

    @property
    def url(self):
        return f"https://127.0.0.1:{self.ports['apiserver']}"

    def token(self, user):
        for line in (self.pki / "tokens.csv").read_text().splitlines():
            if line.split(",")[2] == user:
                return line.split(",")[0]
        raise KeyError(user)

    def make_credentials(self):
        making = self.folder / "pki.making"
        making.mkdir(mode=0o700, exist_ok=True)
        certificates.make_authority(making, "atoll-test-zone")
        certificates.make_server(making, "apiserver")
        certificates.make_client(making, "admin", "admin", ["system:masters"])
        certificates.make_client(making, "agent", AGENT_USER, AGENT_GROUPS[:2])
        certificates.new_key(making, "service-accounts")
        tokens = making / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(
            f'{secrets.token_hex(16)},admin,admin,"system:masters"\n{secrets.token_hex(16)},{AGENT_USER},agent,"{",".join(AGENT_GROUPS)}"\n'
        )
        making.rename(self.pki)

    def write_kubeconfigs(self):
        agent_url = f"https://127.0.0.1:{self.agent_port}" if self.agent_port else self.url
        self.write_kubeconfig("kubeconfig", self.url, {"token": self.token("admin")})
        self.write_kubeconfig("agent.kubeconfig", agent_url, {"token": self.token("agent")})
        self.write_kubeconfig("agent-certificate.kubeconfig", agent_url, {
            "client-certificate-data": self.embedded("agent.crt"), "client-key-data": self.embedded("agent.key"),
        })

    def embedded(self, name):
        return base64.b64encode((self.pki / name).read_bytes()).decode()

    def write_kubeconfig(self, name, url, user):
        """JSON, which is YAML as well."""
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "zone",
            "clusters": [{"name": "zone", "cluster": {"server": url, "certificate-authority-data": self.embedded("ca.crt")}}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": "zone", "context": {"cluster": "zone", "user": "user"}}],
        }
        file = self.folder / f"{name}.new"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=1) + "\n")
        os.replace(file, self.folder / name)

    # ---- etcd ----

    def compact(self):
        """Forgets all history, so that a watch that resumes from an older version gets 410 Gone (after the API server lost
        its cache as well: stop and start it). Gives the revision."""
        revision = int(self.etcd_call("kv/range", {"key": base64.b64encode(b"\0").decode(), "count_only": True})["header"]["revision"])
        self.etcd_call("kv/compaction", {"revision": revision, "physical": True})
        return revision

    def etcd_call(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['etcd']}/v3/{path}", data=json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
