"""A double of Google's Compute API, as far as disks and reserved addresses go, and of the metadata server that gives tokens for
it: there is no official emulator. Its knobs are under /control.

usage: compute_double.py --dir DIR [--port N]      writes its URL to DIR/compute-url once it listens

  API           URL/compute/v1/projects/P/…     wants `Authorization: Bearer TOKEN`
  metadata      URL/computeMetadata/v1/…        wants, and gives, `Metadata-Flavor: Google`  (GCE_METADATA_HOST=127.0.0.1:PORT)

  GET  /control/ready | state | requests        what there is; the last requests
  POST /control/reset                           no knobs; resources stay
  POST /control/faults    {"method"?, "path"? (regex), "times": N, "code", "reason"?, "message"?, "retryAfter"?, "delayMs"?, "drop"?: true}
                          the next N matching requests are refused so, are late, or get no answer at all (`drop`: done, but not answered)
  POST /control/operation-errors  {"kind"?: "insert", "name"?, "code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message"?, "status"?, "times": N}
  PUT  /control/operation-ms      N             how long operations run (50)
  PUT  /control/quotas/REGION/METRIC  N
  PUT  /control/regions/REGION    {"subnet": "127.0.101"}    where its reserved addresses come from
  PUT  /control/metadata          {"ready": bool, "tokenSeconds": N}    not ready: connections are refused with 503, as in a pod's first seconds
  POST /control/revoke                          all tokens given so far are worth nothing: 401
  DELETE /control/disks/P/ZONE/NAME             the disk is gone, as if somebody had deleted it"""
import argparse
import collections
import http.server
import json
import pathlib
import re
import secrets
import signal
import sys
import threading
import time
import urllib.parse

from compute_resources import Refusal, Resources

REQUESTS_KEPT = 1000
BODY_MAX = 1 << 20
WAIT_MOST_SECS = 120
SERVICE_ACCOUNT = "atoll@example.iam.gserviceaccount.com"


class Double:
    def __init__(self):
        self.lock = threading.RLock()
        self.resources = Resources()
        self.requests = collections.deque(maxlen=REQUESTS_KEPT)
        self.tokens, self.token_seconds, self.metadata_ready = {}, 3600, True
        self.tokens_given = 0
        self.faults = []

    # ---- the API ----

    def call(self, method, path, query, body):
        """The answer's value; raises Refusal."""
        self.resources.advance()
        for pattern, methods in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method in methods:
                return methods[method](self, *found.groups(), query=query, body=body)
        raise Refusal(404, "notFound", f"The requested URL {path} was not found on this server.")

    def wait(self, project, kind, place, name, **_):
        """Answers when the operation is done, or after two minutes as it is then. Called without the lock."""
        deadline = time.monotonic() + WAIT_MOST_SECS
        while True:
            with self.lock:
                self.resources.advance()
                body = self.resources.operation((project, kind, place), name).body()
            if body["status"] == "DONE" or time.monotonic() > deadline:
                return body
            time.sleep(0.02)

    def check_token(self, header):
        token = (header or "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) < time.monotonic():
            raise Refusal(401, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                                            "other valid authentication credential.", locationType="header", location="Authorization")

    def next_fault(self, method, path):
        for fault in self.faults:
            if fault["times"] > 0 and fault.get("method") in (None, method) and re.search(fault.get("path", ""), path):
                fault["times"] -= 1
                return fault
        return None

    def new_token(self):
        token = "ya29.test-" + secrets.token_hex(12)
        self.tokens_given += 1
        self.tokens[token] = time.monotonic() + self.token_seconds
        return {"access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer"}

    # ---- knobs ----

    def control(self, method, parts, body):
        resources = self.resources
        resources.advance()
        match method, parts:
            case "GET", ["ready"]:
                return {}
            case "GET", ["requests"]:
                return {"requests": list(self.requests)}
            case "GET", ["state"]:
                return {"disks": ["/".join(key) for key in resources.disks], "faults": self.faults, "tokensGiven": self.tokens_given, "operationErrors": resources.operation_errors,
                        "addresses": {"/".join(key): entry["address"] for key, entry in resources.addresses.items()}}
            case "GET", ["disks", project, zone, name]:
                return resources.disk(project, zone, name)
            case "GET", ["addresses", project, region, address]:
                return self.find_address(project, region, address)
            case "POST", ["reset"]:
                self.faults, self.token_seconds, self.metadata_ready = [], 3600, True
                resources.operation_errors, resources.quotas, resources.operation_seconds = [], {}, 0.05
                self.requests.clear()
            case "POST", ["faults"]:
                self.faults.append({"times": 1} | body)
            case "POST", ["operation-errors"]:
                resources.operation_errors.append({"times": 1} | body)
            case "POST", ["revoke"]:
                self.tokens.clear()
            case "PUT", ["operation-ms"]:
                resources.operation_seconds = int(body) / 1000
            case "PUT", ["quotas", region, metric]:
                resources.quotas[(region, metric)] = float(body)
            case "PUT", ["regions", region]:
                resources.subnets[region] = body["subnet"]
            case "PUT", ["metadata"]:
                self.metadata_ready = body.get("ready", self.metadata_ready)
                self.token_seconds = body.get("tokenSeconds", self.token_seconds)
            case "DELETE", ["disks", project, zone, name]:
                resources.disk(project, zone, name)
                del resources.disks[(project, zone, name)]
            case _:
                raise Refusal(404, "notFound", f"there is no {method} /control/{'/'.join(parts)}")
        return {}

    def find_address(self, project, region, address):
        for (its_project, its_region, _), entry in self.resources.addresses.items():
            if (its_project, its_region, entry["address"]) == (project, region, address):
                return entry
        raise Refusal(404, "notFound", f"{address} is not reserved in region {region} of project {project}")


def listing(kind, items, query):
    del query
    return {"kind": kind, "id": "list", "items": items} if items else {"kind": kind, "id": "list"}


# Handlers take (double, parts of the path…, query, body); `query` is a dict of the last value of each parameter.
ZONAL, REGIONAL = r"/compute/v1/projects/([^/]+)/zones/([^/]+)", r"/compute/v1/projects/([^/]+)/regions/([^/]+)"
ROUTES = [
    (ZONAL, {"GET": lambda d, p, z, query, body: {"kind": "compute#zone", "name": z, "status": "UP"}}),
    (ZONAL + r"/disks", {
        "POST": lambda d, p, z, query, body: d.resources.insert_disk(p, z, body, query.get("requestId")).body(),
        "GET": lambda d, p, z, query, body: listing("compute#diskList", d.resources.select(d.resources.disks, p, z, query.get("filter")), query)}),
    (ZONAL + r"/disks/([^/]+)", {
        "GET": lambda d, p, z, n, query, body: d.resources.disk(p, z, n),
        "DELETE": lambda d, p, z, n, query, body: d.resources.delete_disk(p, z, n, query.get("requestId")).body()}),
    (ZONAL + r"/disks/([^/]+)/setLabels", {
        "POST": lambda d, p, z, n, query, body: d.resources.label_disk(p, z, n, body, query.get("requestId")).body()}),
    (ZONAL + r"/disks/([^/]+)/resize", {
        "POST": lambda d, p, z, n, query, body: d.resources.resize_disk(p, z, n, body, query.get("requestId")).body()}),
    (ZONAL + r"/operations/([^/]+)", {"GET": lambda d, p, z, n, query, body: d.resources.operation((p, "zone", z), n).body()}),
    (REGIONAL, {"GET": lambda d, p, r, query, body: {"kind": "compute#region", "name": r, "status": "UP", "quotas": [
        {"metric": m, "limit": d.resources.quota(r, m)} for m in ("DISKS_TOTAL_GB", "SSD_TOTAL_GB", "STATIC_ADDRESSES")]}}),
    (REGIONAL + r"/addresses", {
        "POST": lambda d, p, r, query, body: d.resources.insert_address(p, r, body, query.get("requestId")).body(),
        "GET": lambda d, p, r, query, body: listing("compute#addressList", d.resources.select(d.resources.addresses, p, r, query.get("filter")), query)}),
    (REGIONAL + r"/addresses/([^/]+)", {
        "GET": lambda d, p, r, n, query, body: d.resources.address(p, r, n),
        "DELETE": lambda d, p, r, n, query, body: d.resources.delete_address(p, r, n, query.get("requestId")).body()}),
    (REGIONAL + r"/addresses/([^/]+)/setLabels", {
        "POST": lambda d, p, r, n, query, body: d.resources.label_address(p, r, n, body, query.get("requestId")).body()}),
    (REGIONAL + r"/operations/([^/]+)", {"GET": lambda d, p, r, n, query, body: d.resources.operation((p, "region", r), n).body()}),
]
WAIT = re.compile(r"/compute/v1/projects/([^/]+)/(zone|region)s/([^/]+)/operations/([^/]+)/wait")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double = None

    def serve(self):
        address = urllib.parse.urlsplit(self.path)
        try:
            body = self.read_body()
            if address.path.startswith("/control/"):
                with self.double.lock:
                    self.answer(200, self.double.control(self.command, address.path.split("/")[2:], body))
            elif address.path.startswith("/computeMetadata/"):
                self.metadata(address.path)
            else:
                self.api(address, body)
        except Refusal as refusal:
            self.answer(refusal.code, refusal.body())

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def api(self, address, body):
        double, query = self.double, dict(urllib.parse.parse_qsl(address.query))
        with double.lock:
            double.requests.append({"method": self.command, "path": address.path, "query": query, "body": body})
            fault = double.next_fault(self.command, address.path) or {}
        time.sleep(fault.get("delayMs", 0) / 1000)
        if "code" in fault:
            headers = {"Retry-After": str(fault["retryAfter"])} if "retryAfter" in fault else {}
            reason = fault.get("reason") or {429: "rateLimitExceeded", 403: "forbidden", 503: "backendError"}.get(fault["code"], "backendError")
            refusal = Refusal(fault["code"], reason, fault.get("message") or {429: "Rate Limit Exceeded"}.get(fault["code"], "Backend Error"))
            self.answer(fault["code"], refusal.body(), headers)
            return
        with double.lock:
            double.check_token(self.headers.get("Authorization"))
        waited = WAIT.fullmatch(address.path)
        if waited and self.command == "POST":
            value = double.wait(*waited.groups())
        else:
            with double.lock:
                value = double.call(self.command, address.path, query, body)
        if fault.get("drop"):
            self.close_connection = True
            return
        self.answer(200, value)

    def metadata(self, path):
        flavor = {"Metadata-Flavor": "Google"}
        if not self.double.metadata_ready:
            self.answer_text(503, "not ready", {})
        elif self.headers.get("Metadata-Flavor") != "Google":
            self.answer_text(403, "Missing Metadata-Flavor:Google header.", {})
        elif path == "/computeMetadata/v1/instance/service-accounts/default/token":
            with self.double.lock:
                self.answer(200, self.double.new_token(), flavor)
        elif path == "/computeMetadata/v1/instance/service-accounts/default/email":
            self.answer_text(200, SERVICE_ACCOUNT, flavor)
        else:
            self.answer_text(404, "not found", flavor)

    def read_body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            raise Refusal(413, "uploadTooLarge", "Request is too large.")
        text = self.rfile.read(length)
        if not text:
            return {}
        try:
            return json.loads(text)
        except ValueError as error:
            raise Refusal(400, "parseError", "Parse Error") from error

    def answer(self, code, value, headers=None):
        self.send(code, json.dumps(value, indent=1).encode() + b"\n", "application/json; charset=UTF-8", headers or {})

    def answer_text(self, code, text, headers):
        self.send(code, text.encode(), "text/plain", headers)

    def send(self, code, data, content_type, headers):
        self.send_response(code)
        for name, value in ({"Content-Type": content_type, "Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass  # /control/requests tells more


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Handler.double = Double()
    server = Server(("127.0.0.1", options.port), Handler)
    making = options.dir / "compute-url.new"
    making.write_text(f"http://127.0.0.1:{server.server_address[1]}\n")
    making.rename(options.dir / "compute-url")
    server.serve_forever()


if __name__ == "__main__":
    main()
