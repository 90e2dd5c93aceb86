"""The controller as its tests use it: the daemon as a process, what it streams, and an agent that is only played."""
import http.client
import json
import signal
import socket
import subprocess
import threading
import urllib.parse

from sandboxes import wait_until

PROGRAM_TIMEOUT_SECS = 60
SPEC = """\
apiVersion: atoll/v1
kind: Federation
metadata: {name: test}
spec:
  zones: [{name: z1, driver: local}, {name: z2, driver: local}, {name: z3, driver: local}]
  sets:
    - name: mongo
      image: mongo:7.0
      members: [{zone: z1}, {zone: z2}, {zone: z3}]
"""


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


class Controller:
    """One daemon on free ports, in a folder that it keeps over restarts."""

    def __init__(self, program, directory):
        self.program, self.dir, self.process = program, directory, None

    def start(self, *options):
        for name in ("url", "control-url"):
            (self.dir / name).unlink(missing_ok=True)
        log = open(self.dir.with_suffix(".log"), "ab")
        self.process = subprocess.Popen([self.program, "--dir", self.dir, "--listen", "127.0.0.1:0", "--read-listen", "127.0.0.1:0", "--tls", "off",
                                         *options], stderr=log)
        log.close()
        wait_until(lambda: (self.dir / "url").exists() or self.process.poll() is not None, PROGRAM_TIMEOUT_SECS, "it listens")
        assert self.process.poll() is None, self.log()
        self.url = urllib.parse.urlsplit((self.dir / "control-url").read_text().strip())
        self.read_url = urllib.parse.urlsplit((self.dir / "url").read_text().strip())
        return self

    def log(self):
        return self.dir.with_suffix(".log").read_text()

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PROGRAM_TIMEOUT_SECS) if self.process else None

    def ask(self, method, path, body=None, headers=None, url=None):
        connection = http.client.HTTPConnection(*(url or self.url).netloc.split(":"), timeout=PROGRAM_TIMEOUT_SECS)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def apply(self, spec=SPEC, path="/v1/federation", **headers):
        return self.ask("PUT", path, spec, {name.replace("_", "-"): value for name, value in headers.items()})

    def status(self):
        return self.get("/status").json()


class Stream:
    """Lines of an endless answer, read by a thread."""

    def __init__(self, controller, path, headers=None):
        self.connection = http.client.HTTPConnection(*controller.url.netloc.split(":"), timeout=PROGRAM_TIMEOUT_SECS)
        self.connection.request("GET", path, headers=headers or {})
        self.response = self.connection.getresponse()
        self.lines = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for line in self.response:
                self.lines.append(line.decode().rstrip("\n"))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.ended.set()

    def of_type(self, kind):
        return [line for line in map(json.loads, self.lines) if line["type"] == kind]

    def close(self):
        if self.connection.sock:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self.ended.wait(5)


class Agent:
    """What a zone's agent says."""

    def __init__(self, controller, zone, run="run-1"):
        self.controller, self.zone, self.run, self.sequence = controller, zone, run, 0

    def report(self, members=(), sequence=None, **more):
        self.sequence = sequence or self.sequence + 1
        body = {"zone": self.zone, "runId": self.run, "version": "0.1.0", "sequence": self.sequence, "epoch": 0, "revision": 0,
                "reached": False, "driver": "local", "members": list(members), **more}
        return self.controller.ask("PUT", f"/v1/zones/{self.zone}/report", json.dumps(body))

    def heartbeat(self, **more):
        body = {"runId": self.run, "sequence": self.sequence, "epoch": 0, "revision": 0, "members": [], **more}
        return self.controller.ask("POST", f"/v1/zones/{self.zone}/heartbeat", json.dumps(body))

    def watch(self, revision=0):
        return Stream(self.controller, f"/v1/zones/{self.zone}/intent?watch=true&revision={revision}")
