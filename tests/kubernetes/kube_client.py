"""The least that the test bed needs of a Kubernetes client: requests and watches by kubeconfig, standard library only."""
import base64
import http.client
import json
import socket
import ssl
import tempfile
import threading
import urllib.parse

REQUEST_TIMEOUT_SECS = 3
WATCH_TIMEOUT_SECS = 300
RETRY_SECS = 0.2
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    def __init__(self, status, reason, message):
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class KubeClient:
    """One zone's API by the kubeconfig that the control plane wrote (JSON). Safe in several threads: each request has a
    connection of its own."""

    def __init__(self, kubeconfig):
        with open(kubeconfig) as file:
            config = json.load(file)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.address = urllib.parse.urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=authority)
        self.headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if "client-certificate-data" in user:
            self.load_certificate(user)

    def load_certificate(self, user):
        with tempfile.NamedTemporaryFile() as both:  # mode 0600; the ssl module reads files only
            both.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            both.flush()
            self.tls.load_cert_chain(both.name)

    def connect(self, timeout):
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, timeout=timeout, context=self.tls)

    def request(self, method, path, body=None, content_type="application/json", timeout=REQUEST_TIMEOUT_SECS, **query):
        """The answer as a value; ApiError when the server refuses, OSError when it can't be reached."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        connection = self.connect(timeout)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, self.headers | ({"Content-Type": content_type} if data else {}))
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise error_of(answer.status, text)
        return json.loads(text)

    def get(self, path, **query):
        return self.request("GET", path, **query)

    def find(self, path):
        """None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def post(self, path, body):
        return self.request("POST", path, body)

    def patch(self, path, body, content_type=STRATEGIC):
        return self.request("PATCH", path, body, content_type)

    def apply(self, path, body, manager="test", force=True):
        return self.request("PATCH", path, body, APPLY, fieldManager=manager, force=str(force).lower())

    def delete(self, path, body=None):
        return self.request("DELETE", path, body)


def error_of(status, text):
    try:
        said = json.loads(text)
        return ApiError(status, said.get("reason", ""), said.get("message", ""))
    except (ValueError, AttributeError):
        return ApiError(status, "", text[:200].decode(errors="replace"))


class Mirror:
    """All objects of one kind, kept current by list and watch in a thread; `changed()` is called after each change."""

    def __init__(self, client, path, changed):
        self.client, self.path, self.changed = client, path, changed  # changed() must not block
        self.objects, self.lock, self.changes = {}, threading.Lock(), 0
        self.synced, self.ended = threading.Event(), threading.Event()
        self.connection = None
        self.thread = threading.Thread(target=self.run, name=f"watch {path}", daemon=True)
        self.thread.start()

    def all(self):
        with self.lock:
            return list(self.objects.values())

    def get(self, namespace, name):
        with self.lock:
            return self.objects.get((namespace, name))

    def stop(self):
        self.ended.set()
        connection = self.connection
        if connection is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the reader
            except OSError:
                pass
        self.thread.join(5)

    def run(self):
        version = None
        while not self.ended.is_set():
            try:
                version = self.watch(version or self.list())
            except (OSError, ApiError, http.client.HTTPException, ValueError):
                version = None  # whatever it was (down, cut, 410 Gone): list again
                self.ended.wait(RETRY_SECS)

    def list(self):
        answer = self.client.get(self.path)
        with self.lock:
            self.objects = {key_of(item): item for item in answer.get("items") or []}
            self.changes += 1
        self.synced.set()
        self.changed()
        return answer["metadata"]["resourceVersion"]

    def watch(self, version):
        """Until the server ends it; gives the last version seen."""
        query = urllib.parse.urlencode({"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true",
                                        "timeoutSeconds": WATCH_TIMEOUT_SECS})
        self.connection = connection = self.client.connect(WATCH_TIMEOUT_SECS + 30)
        try:
            connection.request("GET", f"{self.path}?{query}", headers=self.client.headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise error_of(answer.status, answer.read())
            for line in answer:
                version = self.take(json.loads(line))
        finally:
            connection.close()
        return version

    def take(self, event):
        thing = event["object"]
        if event["type"] == "ERROR":
            raise ApiError(thing.get("code", 0), thing.get("reason", ""), thing.get("message", ""))
        if event["type"] != "BOOKMARK":
            with self.lock:
                self.changes += 1
                if event["type"] == "DELETED":
                    self.objects.pop(key_of(thing), None)
                else:
                    self.objects[key_of(thing)] = thing
            self.changed()
        return thing["metadata"]["resourceVersion"]


def key_of(thing):
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def field(thing, *path, default=None):
    """thing[path[0]][path[1]]…, or `default` where something is missing."""
    for step in path:
        if not isinstance(thing, dict) or thing.get(step) is None:
            return default
        thing = thing[step]
    return thing


def uid(thing):
    return thing["metadata"]["uid"]


def is_terminating(thing):
    return bool(thing["metadata"].get("deletionTimestamp"))
