"""Floods and slow clients: whatever strangers do, /status answers and agents stay connected."""
import contextlib
import http.client
import json
import resource
import socket
import threading
import time

import pytest

from controller_daemon import Agent
from floods import FLOOD_SECS, HALF_A_HELLO, HALF_A_REQUEST, SlowClients, files_for_many, is_open, nobody_notices
from sandboxes import wait_until
from test_access import bearer, controller, make_token  # noqa: F401  (a fixture among them)


@pytest.fixture
def many_files():
    """How many slow clients there can be."""
    with files_for_many() as count:
        yield count


def connect(url):
    raw = socket.create_connection((url.hostname, url.port), 10)
    return raw


def metric(controller, name):
    text = controller.ask("GET", "/metrics").body.decode()
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " "))


def answers(controller, url):
    try:
        return controller.ask("GET", "/status", url=url).status == 200
    except (OSError, http.client.HTTPException):
        return False


def heartbeat(agent):
    """Each over a connection of its own, which may be hung up on once, as long as it is a stranger's."""
    try:
        return agent.heartbeat()
    except OSError:
        return agent.heartbeat()


HEARTBEAT_SECS = 2  # as real agents do; a zone that isn't heard for seven is Unknown


class Beating:
    """An agent that is heard until this is over: it watches its intent, and sends heartbeats."""

    def __init__(self, controller, zone):  # noqa: F811
        self.agent, self.over = Agent(controller, zone), threading.Event()
        self.stream, self.failures, self.slowest = self.agent.watch(), [], 0.0
        assert self.agent.report().status == 200
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.wait(HEARTBEAT_SECS):
            begun = time.monotonic()
            try:
                answer = heartbeat(self.agent)
                if answer.status != 200:
                    self.failures.append(answer.status)
            except OSError as problem:
                self.failures.append(problem)
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def stop(self):
        self.over.set()
        self.thread.join()
        ended = self.stream.ended.is_set()
        self.stream.close()
        assert not self.failures and not ended, self.failures


@pytest.fixture
def busy(controller):  # noqa: F811
    """A controller with three zones whose agents are heard, and stay connected whatever a test does."""
    assert controller.apply().status == 200
    controller.agents = [Beating(controller, zone) for zone in ("z1", "z2", "z3")]
    try:
        with nobody_notices(lambda path: controller.get(path).json(), ("z1", "z2", "z3")):
            yield controller
    finally:
        for agent in controller.agents:
            agent.stop()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("listener", ["main", "reading"])
def test_five_thousand_slow_clients_leave_status_and_agents_alone(busy, many_files, listener):
    url = busy.url if listener == "main" else busy.read_url
    with contextlib.closing(SlowClients(url, many_files)) as slow:
        until = time.monotonic() + FLOOD_SECS
        while time.monotonic() < until:
            for _ in slow.open_missing():
                assert busy.ask("GET", "/status", url=url).status == 200
                assert busy.status()["summary"]["connectedZones"] == 3
            slow.drip()
        assert slow.opened >= many_files
        # the newest of them live on, as many as strangers of one address may be, and those that have just come
        wait_until(lambda: sum(map(is_open, slow.sockets)) <= 256 + 400, 30, "all but 256 of them are hung up on")
        assert metric(busy, 'atoll_http_connections{of="stranger"}') <= 256 + 402
        assert metric(busy, 'atoll_http_connections{of="agent"}') >= 3


@pytest.mark.timeout(300)
def test_a_sandbox_under_slow_clients_stays_healthy(sandbox, many_files):
    """Real agents, whose words come every two seconds."""
    import urllib.parse
    before = {zone["name"]: zone["state"] for zone in sandbox.status()["zones"]}
    url = urllib.parse.urlsplit(sandbox.control_url)
    with contextlib.closing(SlowClients(url, many_files, HALF_A_HELLO if url.scheme == "https" else HALF_A_REQUEST)) as slow:
        until = time.monotonic() + 3 * FLOOD_SECS
        while time.monotonic() < until:
            for _ in slow.open_missing():
                status = sandbox.status()
                assert {zone["name"]: zone["state"] for zone in status["zones"]} == before
                assert status["sets"][0]["phase"] == "Healthy"
            slow.drip()


def test_a_slow_client_is_hung_up_on_in_the_end(busy):
    with connect(busy.url) as silent, connect(busy.url) as dripping:
        dripping.sendall(b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000\r\n\r\n")
        begun = time.monotonic()

        def drip():
            with contextlib.suppress(OSError):
                dripping.sendall(b"x")
            return not is_open(dripping)

        wait_until(lambda: not is_open(silent), 60, "who says nothing is hung up on")
        assert time.monotonic() - begun > 5
        wait_until(drip, 60, "who sends a byte now and then is hung up on")


@pytest.mark.asan
def test_a_flood_of_one_address_is_told_to_wait(busy):
    stranger = bearer("atoll_000000000000_" + "0" * 64)
    statuses = {}
    for _ in range(200):
        answer = busy.ask("GET", "/v1/federation", headers=stranger)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    assert statuses.keys() == {401, 429} and statuses[429] > 50
    assert int(answer.headers["Retry-After"]) >= 1 and answer.error["code"] == "too_many_requests"
    token = make_token(busy, "noisy", "viewer")["token"]
    seen = set()
    for _ in range(2000):
        answer = busy.ask("GET", "/v1/federation", headers=bearer(token))
        seen.add(answer.status)
        if answer.status == 429:
            break
    assert seen == {200, 429} and answer.headers["Retry-After"]
    assert busy.ask("GET", "/v1/federation", headers=bearer(make_token(busy, "quiet", "viewer")["token"])).status == 200
    assert metric(busy, "atoll_http_limited_total") > 50


def test_a_flood_on_the_reading_listener_is_told_to_wait(busy):
    with connect(busy.read_url) as raw:
        request = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        sender = threading.Thread(target=lambda: [raw.sendall(request * 100) for _ in range(60)])
        sender.start()
        raw.settimeout(20)
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 6000:
            answers += raw.recv(65536)
        sender.join()
    assert answers.count(b"HTTP/1.1 200") >= 3000 and b"HTTP/1.1 429 Too Many Requests" in answers and b"Retry-After: " in answers


@pytest.mark.asan
def test_oversized_endless_and_unwanted_bodies(busy):
    stranger = bearer("atoll_000000000000_" + "0" * 64)["Authorization"].encode()
    cases = [
        (b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        (b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + stranger + b"\r\nContent-Length: 20000\r\n\r\n", b" 413 "),
        (b"PUT /v1/federation HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n", b" 411 "),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20000, b" 431 "),
        (b"GET /" + b"x" * 10000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b" 414 "),
    ]
    for request, status in cases:
        with connect(busy.url) as raw:
            raw.sendall(request)
            with contextlib.suppress(OSError):
                while is_open(raw) and raw.setblocking(True) is None:  # an endless body
                    raw.sendall(b"x" * 65536)
                    raw.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        if raw.recv(16, socket.MSG_PEEK):
                            break
            raw.settimeout(10)
            assert status in raw.recv(4096), request[:60]


def test_streams_of_one_caller_are_bounded(busy):
    token = make_token(busy, "many-streams", "viewer")["token"]
    request = f"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        statuses = []
        for _ in range(251):
            raw = stack.enter_context(connect(busy.url))
            raw.sendall(request)
            statuses.append(raw.recv(12))
        assert statuses.count(b"HTTP/1.1 200") == 250 and statuses[-1] == b"HTTP/1.1 429"
        assert busy.ask("GET", "/status").status == 200


def test_persons_push_out_persons_and_no_agents(busy, many_files):
    """Six hundred connections that have a token: the oldest idle ones go."""
    token = make_token(busy, "hoarder", "viewer")["token"]
    request = f"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(600):
            raw = stack.enter_context(connect(busy.url))
            while True:
                raw.sendall(request)
                if b"429" not in raw.recv(4096).split(b"\r\n")[0]:
                    break
                time.sleep(0.1)
            held.append(raw)
        wait_until(lambda: metric(busy, 'atoll_http_connections{of="person"}') <= 512, 60, "no more than 512 of persons are left")
        assert not is_open(held[0]) and is_open(held[-1])


def test_few_files_lower_the_limits_in_proportion(bin_dir, work_dir):
    from controller_daemon import Controller
    made = Controller(bin_dir / "atoll-controller", work_dir / "controller")
    made.dir.mkdir()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        import os
        import subprocess
        wrapper = work_dir / "few-files"
        wrapper.write_text(f"#!/bin/sh\nulimit -Hn 1024\nexec {bin_dir / 'atoll-controller'} \"$@\"\n")
        os.chmod(wrapper, 0o755)
        made.program = wrapper
        made.start()
        assert "only 1024 files" in made.log()
        with contextlib.ExitStack() as stack:
            for _ in range(900):
                stack.enter_context(connect(made.read_url)).sendall(b"GET")
            for url in (made.url, made.read_url):
                wait_until(lambda: answers(made, url), 60, "a client that tries again gets its answer")  # noqa: B023
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert made.stop() == 0


def test_the_largest_report_of_an_agent_is_taken_and_a_larger_one_is_not(busy):
    assert busy.ask("PUT", "/v1/zones/z1/report", json.dumps({"pad": "x" * 100000})).status == 422
    with connect(busy.url) as raw:
        raw.sendall(b"PUT /v1/zones/z1/report HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 68000000\r\n\r\n")
        assert b" 413 " in raw.recv(4096)
