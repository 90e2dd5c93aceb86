"""What the Compute API double knows: disks, addresses, operations, quotas. No HTTP here; errors have the real API's shape."""
import base64
import hashlib
import ipaddress
import itertools
import re
import time

NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DISK_TYPES = ("pd-standard", "pd-balanced", "pd-ssd", "pd-extreme", "hyperdisk-balanced")
QUOTA_OF_TYPE = {"pd-ssd": "SSD_TOTAL_GB", "pd-balanced": "SSD_TOTAL_GB"}
QUOTAS = {"DISKS_TOTAL_GB": 10240.0, "SSD_TOTAL_GB": 10240.0, "STATIC_ADDRESSES": 64.0}
RESERVED = range(100, 150)  # last bytes of the addresses that a region reserves, in its zones' subnet
OPERATIONS_MAX = 10000
BASE = "https://www.googleapis.com/compute/v1"


class Refusal(Exception):
    """An error as the API answers it."""

    def __init__(self, code, reason, message, **more):
        super().__init__(message)
        self.code, self.reason, self.more = code, reason, more

    def body(self):
        item = {"message": str(self), "domain": "usageLimits" if self.code in (403, 429) and "xceeded" in self.reason else "global",
                "reason": self.reason} | self.more
        status = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS",
                  429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(self.code)
        body = {"error": {"code": self.code, "message": str(self), "errors": [item]}}
        if status and self.code in (401, 429):
            body["error"]["status"] = status
        return body


def check_name(name, what="resource.name"):
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refusal(400, "invalid", f"Invalid value for field '{what}': '{name}'. Must be a match of regex "
                                      "'(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'")


def check_labels(labels):
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            raise Refusal(400, "invalid", f"Invalid value for field 'labels': '{key}={value}'. Label keys and values may contain lowercase "
                                          "letters, digits, dashes and underscores.")


def now():
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}+00:00"


def fingerprint(labels):
    return base64.urlsafe_b64encode(hashlib.sha256(repr(sorted(labels.items())).encode()).digest()[:8]).decode()


class Operation:
    """One that ends at `due` (monotonic): then `effect()` happens, unless it has an error. `error` is (code, message, HTTP status)."""

    def __init__(self, number, kind, scope, target, seconds, effect, error):
        self.id, self.kind, self.scope, self.target = number, kind, scope, target
        self.name = f"operation-{int(time.time() * 1000)}-{number:013x}"
        self.begun, self.due = now(), time.monotonic() + seconds
        self.effect, self.error, self.ended = effect, error, None

    def advance(self):
        if self.ended is None and time.monotonic() >= self.due:
            if self.error is None and self.effect is not None:
                try:
                    self.effect()
                except Refusal as refusal:
                    self.error = (refusal.reason, str(refusal), refusal.code)
            self.ended = now()

    def body(self):
        self.advance()
        project, place_kind, place = self.scope
        scope = f"{BASE}/projects/{project}/{place_kind}s/{place}"
        body = {
            "kind": "compute#operation", "id": str(self.id), "name": self.name, place_kind: scope, "operationType": self.kind,
            "targetLink": f"{BASE}/{self.target}", "status": "DONE" if self.ended else "RUNNING", "progress": 100 if self.ended else 0,
            "user": "atoll@example.iam.gserviceaccount.com", "insertTime": self.begun, "startTime": self.begun,
            "selfLink": f"{scope}/operations/{self.name}",
        }
        if self.ended:
            body["endTime"] = self.ended
            if self.error:
                code, message, status = self.error
                body["error"] = {"errors": [{"code": code, "message": message}]}
                body["httpErrorStatusCode"] = status
                body["httpErrorMessage"] = {400: "BAD REQUEST", 403: "FORBIDDEN", 404: "NOT FOUND", 409: "CONFLICT", 503: "SERVICE UNAVAILABLE"}.get(status, "ERROR")
        return body


class Resources:
    """All calls are made under one lock, by the server."""

    def __init__(self):
        self.numbers = itertools.count(int(time.time()) * 1000)
        self.disks, self.addresses, self.operations, self.requests = {}, {}, {}, {}
        self.quotas, self.subnets = {}, {}
        self.pending = []  # operations that run, whether or not anybody asks for them
        self.operation_seconds = 0.05
        self.operation_errors = []  # [{"kind", "name", "code", "message", "status", "times"}…]: the knob

    # ---- operations ----

    def advance(self):
        """What is due happens, in its order. Called before anything is looked at."""
        for operation in sorted(self.pending, key=lambda operation: operation.due):
            operation.advance()
        self.pending = [operation for operation in self.pending if operation.ended is None]

    def begin(self, kind, scope, target, effect, request_id, body=None, seconds=None):
        """A new operation, or the one that this request id began: the API does a request once, however often it is sent."""
        if request_id is not None:
            if not UUID.fullmatch(request_id) or not request_id.replace("-", "").strip("0"):
                raise Refusal(400, "invalid", f"Invalid value for field 'requestId': '{request_id}'. Must be a valid, non-zero UUID.")
            known = self.requests.get(request_id.lower())
            if known:
                if known[1:] != (kind, target, repr(body)):
                    raise Refusal(400, "invalid", f"Invalid value for field 'requestId': '{request_id}'. It was used for another request.")
                return known[0]
        error = self.planned_error(kind, target)
        operation = Operation(next(self.numbers), kind, scope, target, self.operation_seconds if seconds is None else seconds, effect, error)
        if len(self.operations) >= OPERATIONS_MAX:
            self.operations.pop(next(iter(self.operations)))
        self.operations[(scope, operation.name)] = operation
        self.pending.append(operation)
        if request_id is not None:
            self.requests[request_id.lower()] = (operation, kind, target, repr(body))
        return operation

    def known_request(self, request_id):
        return request_id is not None and request_id.lower() in self.requests

    def planned_error(self, kind, target):
        for plan in self.operation_errors:
            if plan["times"] != 0 and plan.get("kind") in (None, kind) and plan.get("name") in (None, target.rpartition("/")[2]):
                plan["times"] -= 1
                zone = target.rpartition("/disks/")[0] or target.rpartition("/addresses/")[0]
                message = plan.get("message") or {
                    "ZONE_RESOURCE_POOL_EXHAUSTED": f"The zone '{zone}' does not have enough resources available to fulfill the request.  "
                                                    "Try a different zone, or try again later.",
                    "INTERNAL_ERROR": "Internal error. Please try again or contact Google Support. (Code: '-12345')",
                    "QUOTA_EXCEEDED": "Quota 'SSD_TOTAL_GB' exceeded.  Limit: 500.0 in region.",
                }.get(plan["code"], plan["code"])
                status = plan.get("status") or {"ZONE_RESOURCE_POOL_EXHAUSTED": 503, "QUOTA_EXCEEDED": 403}.get(plan["code"], 500)
                return plan["code"], message, status
        return None

    def operation(self, scope, name):
        operation = self.operations.get((scope, name))
        if operation is None:
            raise not_found(f"projects/{scope[0]}/{scope[1]}s/{scope[2]}/operations/{name}")
        return operation

    # ---- quotas ----

    def quota(self, region, metric):
        return self.quotas.get((region, metric), QUOTAS[metric])

    def check_quota(self, region, metric, used, more):
        limit = self.quota(region, metric)
        if used + more > limit:
            raise Refusal(403, "quotaExceeded", f"Quota '{metric}' exceeded.  Limit: {limit} in region {region}.")

    def used_gb(self, region, metric):
        return sum(int(disk["sizeGb"]) for (_, zone, _), disk in self.disks.items()
                   if zone.rpartition("-")[0] == region and QUOTA_OF_TYPE.get(disk["type"].rpartition("/")[2], "DISKS_TOTAL_GB") == metric)

    # ---- disks ----

    def insert_disk(self, project, zone, body, request_id):
        name, labels = body.get("name"), body.get("labels", {})
        target = f"projects/{project}/zones/{zone}/disks/{name}"
        scope = (project, "zone", zone)
        if self.known_request(request_id):
            return self.begin("insert", scope, target, None, request_id, body)
        check_name(name)
        check_labels(labels)
        kind = body.get("type", "pd-standard").rpartition("/")[2]
        size = self.size_of(body)
        if kind not in DISK_TYPES:
            raise Refusal(400, "invalid", f"Invalid value for field 'resource.type': '{body['type']}'. The referenced disk type cannot be found.")
        if (project, zone, name) in self.disks:
            raise Refusal(409, "alreadyExists", f"The resource '{target}' already exists")
        region, metric = zone.rpartition("-")[0], QUOTA_OF_TYPE.get(kind, "DISKS_TOTAL_GB")
        self.check_quota(region, metric, self.used_gb(region, metric), size)
        number = next(self.numbers)

        def appear():
            if (project, zone, name) in self.disks:
                raise Refusal(409, "RESOURCE_ALREADY_EXISTS", f"The resource '{target}' already exists")
            self.disks[(project, zone, name)] = {
                "kind": "compute#disk", "id": str(number), "creationTimestamp": now(), "name": name, "sizeGb": str(size),
                "zone": f"{BASE}/projects/{project}/zones/{zone}", "status": "READY", "selfLink": f"{BASE}/{target}",
                "type": f"{BASE}/projects/{project}/zones/{zone}/diskTypes/{kind}", "labels": dict(labels),
                "labelFingerprint": fingerprint(labels), "physicalBlockSizeBytes": "4096", "enableConfidentialCompute": False,
            } | ({"description": body["description"]} if "description" in body else {})

        return self.begin("insert", scope, target, appear, request_id, body)

    def size_of(self, body):
        try:
            size = int(body["sizeGb"])
        except (KeyError, TypeError, ValueError):
            size = 0
        if not 1 <= size <= 65536:
            raise Refusal(400, "invalid", f"Invalid value for field 'resource.sizeGb': '{body.get('sizeGb')}'. Disk size must be between 1 GB and 65536 GB.")
        return size

    def disk(self, project, zone, name):
        found = self.disks.get((project, zone, name))
        if found is None:
            raise not_found(f"projects/{project}/zones/{zone}/disks/{name}")
        return found

    def resize_disk(self, project, zone, name, body, request_id):
        disk, size = self.disk(project, zone, name), self.size_of(body)
        if not self.known_request(request_id) and size < int(disk["sizeGb"]):
            raise Refusal(400, "invalid", f"Invalid value for field 'sizeGb': '{size}'. New disk size '{size}' GB must be larger than "
                                          f"existing size '{disk['sizeGb']}' GB.")
        region, metric = zone.rpartition("-")[0], QUOTA_OF_TYPE.get(disk["type"].rpartition("/")[2], "DISKS_TOTAL_GB")
        self.check_quota(region, metric, self.used_gb(region, metric), size - int(disk["sizeGb"]))
        return self.begin("resizeDisk", (project, "zone", zone), f"projects/{project}/zones/{zone}/disks/{name}",
                          lambda: disk.update(sizeGb=str(size)), request_id, body)

    def label_disk(self, project, zone, name, body, request_id):
        disk, labels = self.disk(project, zone, name), body.get("labels", {})
        check_labels(labels)
        if not self.known_request(request_id) and body.get("labelFingerprint") != disk["labelFingerprint"]:
            raise Refusal(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed", locationType="header", location="If-Match")
        return self.begin("setLabels", (project, "zone", zone), f"projects/{project}/zones/{zone}/disks/{name}",
                          lambda: disk.update(labels=dict(labels), labelFingerprint=fingerprint(labels)), request_id, body)

    def delete_disk(self, project, zone, name, request_id):
        target = f"projects/{project}/zones/{zone}/disks/{name}"
        if not self.known_request(request_id):
            self.disk(project, zone, name)
        return self.begin("delete", (project, "zone", zone), target, lambda: self.disks.pop((project, zone, name), None), request_id)

    # ---- addresses ----

    def insert_address(self, project, region, body, request_id):
        name = body.get("name")
        target, scope = f"projects/{project}/regions/{region}/addresses/{name}", (project, "region", region)
        if self.known_request(request_id):
            return self.begin("insert", scope, target, None, request_id, body)
        check_name(name)
        if (project, region, name) in self.addresses:
            raise Refusal(409, "alreadyExists", f"The resource '{target}' already exists")
        self.check_quota(region, "STATIC_ADDRESSES", sum(key[1] == region for key in self.addresses), 1)
        address = self.free_address(region, body.get("address"))
        number = next(self.numbers)
        entry = {
            "kind": "compute#address", "id": str(number), "creationTimestamp": now(), "name": name, "address": address, "status": "RESERVED",
            "region": f"{BASE}/projects/{project}/regions/{region}", "selfLink": f"{BASE}/{target}", "networkTier": body.get("networkTier", "PREMIUM"),
            "addressType": body.get("addressType", "EXTERNAL"), "description": body.get("description", ""),
            "labels": body.get("labels", {}), "labelFingerprint": fingerprint(body.get("labels", {})),
        }

        def reserve():  # two at a time must not get the same one
            if entry["address"] in {other["address"] for other in self.addresses.values()}:
                entry["address"] = self.free_address(region, None)
            self.addresses[(project, region, name)] = entry

        return self.begin("insert", scope, target, reserve, request_id, body)

    def free_address(self, region, wanted):
        subnet = self.subnets.get(region)
        if subnet is None:
            raise Refusal(400, "invalid", f"Invalid value for field 'region': '{region}'. Unknown region (PUT /control/regions/{region} first).")
        used = {entry["address"] for entry in self.addresses.values()}
        if wanted:
            if ipaddress.ip_address(wanted) not in ipaddress.ip_network(f"{subnet}.0/24") or wanted in used:
                raise Refusal(400, "invalid", f"Invalid value for field 'resource.address': '{wanted}'. Specified IP address is in use or not available.")
            return wanted
        free = [f"{subnet}.{last}" for last in RESERVED if f"{subnet}.{last}" not in used]
        if not free:
            raise Refusal(403, "quotaExceeded", f"Quota 'STATIC_ADDRESSES' exceeded.  Limit: {len(RESERVED)} in region {region}.")
        return free[0]

    def address(self, project, region, name):
        found = self.addresses.get((project, region, name))
        if found is None:
            raise not_found(f"projects/{project}/regions/{region}/addresses/{name}")
        return found

    def label_address(self, project, region, name, body, request_id):
        entry, labels = self.address(project, region, name), body.get("labels", {})
        check_labels(labels)
        if not self.known_request(request_id) and body.get("labelFingerprint") != entry["labelFingerprint"]:
            raise Refusal(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed", locationType="header", location="If-Match")
        return self.begin("setLabels", (project, "region", region), f"projects/{project}/regions/{region}/addresses/{name}",
                          lambda: entry.update(labels=dict(labels), labelFingerprint=fingerprint(labels)), request_id, body)

    def delete_address(self, project, region, name, request_id):
        target = f"projects/{project}/regions/{region}/addresses/{name}"
        if not self.known_request(request_id):
            self.address(project, region, name)
        return self.begin("delete", (project, "region", region), target, lambda: self.addresses.pop((project, region, name), None), request_id)

    # ---- lists ----

    def select(self, table, project, place, filter_text):
        """Only the filters that are used: `labels.KEY=VALUE` and `name=VALUE`, joined by AND, values quoted or not."""
        found = [entry for key, entry in table.items() if key[:2] == (project, place)]
        for term in re.split(r"\s+AND\s+", filter_text) if filter_text else []:
            match = re.fullmatch(r'\(?\s*(labels\.([\w-]+)|name)\s*(?:=|eq)\s*"?([^")]*)"?\s*\)?', term.strip())
            if not match:
                raise Refusal(400, "invalid", f"Invalid value for field 'filter': '{filter_text}'. Invalid list filter expression.")
            field, key, value = match.groups()
            found = [entry for entry in found if (entry["name"] if field == "name" else entry.get("labels", {}).get(key)) == value]
        return sorted(found, key=lambda entry: entry["name"])


def not_found(target):
    return Refusal(404, "notFound", f"The resource '{target}' was not found")
