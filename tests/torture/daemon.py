"""A controller as torture.py's program: it is started, given a spec and all that agents and people say, and told to end. Then it is
started again, without anything failing: it must start, and what it acknowledged must be there."""
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request

LOST = "LOST:"
START_SECONDS, END_SECONDS, ANSWER_SECONDS = 60, 60, 20
ROOT = pathlib.Path(__file__).resolve().parents[2]
SPEC = (ROOT / "config" / "examples" / "three-zones.yaml").read_bytes()


def members(zone, ordinal):
    return [{"holding": {"set": "mongo", "ordinal": ordinal, "disk": {"name": f"d{ordinal}", "id": f"id{ordinal}", "state": "Attached"},
                         "serviceExists": True, "address": f"127.0.{ordinal}.1:27017", "pod": {"name": f"p-{zone}", "running": True}},
             "mongod": {"answer": "not-initialized", "state": "STARTUP", "version": "7.0.14", "ageMs": 10}}]


def ask(url, method="GET", body=None, headers=None):
    """(status, text); (0, why) when nobody answered."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, answer.read(200000).decode(errors="replace")
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.read().decode(errors="replace")
    except OSError as problem:
        return 0, str(problem)


def said(folder, name):
    path = pathlib.Path(folder) / "state" / name
    return path.read_text().strip() if path.exists() else ""


def start(command, folder, environment, log):
    """The process, and its URL once it listens; the URL is "" when it ended or never did."""
    for name in ("url", "control-url"):
        (pathlib.Path(folder) / "state" / name).unlink(missing_ok=True)
    process = subprocess.Popen([*command, "--dir", f"{folder}/state", "--listen", "127.0.0.1:0", "--tls", "off"], env=environment, cwd=folder,
                               stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline and not said(folder, "control-url"):
        time.sleep(0.02)
    return process, said(folder, "control-url")


def end(process):
    """Its exit code; None when it did not end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def live(url):
    """All that people and agents say; the revision that was acknowledged, 0 when none was."""
    status, text = ask(f"{url}/v1/federation", "PUT", SPEC)
    acknowledged = json.loads(text).get("revision", 0) if status == 200 else 0
    for turn in (1, 2):
        for ordinal, zone in enumerate(("us-east1-b", "us-central1-f", "europe-west1-d"), 1):
            common = {"runId": "r", "sequence": turn * 2, "epoch": 1, "revision": 1}
            ask(f"{url}/v1/zones/{zone}/report", "PUT", {**common, "zone": zone, "members": members(zone, ordinal)})
            ask(f"{url}/v1/zones/{zone}/heartbeat", "POST", {**common, "sequence": turn * 2 + 1, "members": []})
            ask(f"{url}/v1/zones/{zone}/intent")
    for path in ("/status", "/status/sets/mongo", "/v1/sets/mongo/explain", "/v1/events", "/metrics", "/v1/federation"):
        ask(url + path, headers={"Accept-Encoding": "gzip"})
    ask(f"{url}/v1/federation:diff", "POST", SPEC.replace(b"200Gi", b"300Gi"))
    return acknowledged


def again(command, folder, acknowledged, log):
    """What is wrong with what the store holds now; "" when nothing is."""
    clean = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    process, url = start(command, folder, clean, log)
    status, text = ask(f"{url}/status") if url else (0, "it does not start")
    end(process)
    if status != 200:
        return f"{LOST} the controller that comes after: {text}"
    revision = json.loads(text)["revision"]
    return f"{LOST} revision {acknowledged} was acknowledged, {revision} is there" if revision < acknowledged else ""


def run(command, folder, environment):
    """(exit code or None, output)"""
    path = pathlib.Path(folder) / "log"
    with path.open("wb") as log:
        process, url = start(command, folder, environment, log)
        try:
            acknowledged = live(url) if url else 0
        finally:
            code = end(process)
        problem = again(command, folder, acknowledged, log)
    return code, path.read_text(errors="replace") + problem
