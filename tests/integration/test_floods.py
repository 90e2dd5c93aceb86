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
from sandboxes import wait_until
from test_access import bearer, controller, make_token  # noqa: F401  (a fixture among them)

SLOW_CLIENTS = 5000
# A TLS ClientHello that goes on and on: 508 bytes are promised.
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
HALF_A_REQUEST = b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
FLOOD_SECS = 5


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < SLOW_CLIENTS + 200:
        pytest.skip(f"only {before[1]} files may be open here, and {SLOW_CLIENTS} connections are wanted")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], SLOW_CLIENTS + 200), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


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


def is_open(raw):
    """Whether the server hasn't hung up."""
    raw.setblocking(False)
    try:
        return raw.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def heartbeat(agent):
    """Each over a connection of its own, which may be hung up on once, as long as it is a stranger's."""
    try:
        return agent.heartbeat()
    except OSError:
        return agent.heartbeat()


@pytest.fixture
def busy(controller):  # noqa: F811
    """A controller with three zones whose agents watch and send heartbeats until the test is over."""
    assert controller.apply().status == 200
    agents = [Agent(controller, zone) for zone in ("z1", "z2", "z3")]
    streams = [agent.watch() for agent in agents]
    for agent in agents:
        assert agent.report().status == 200
    over, failures, slowest = threading.Event(), [], [0.0]

    def beat():
        while not over.wait(0.25):
            for agent in agents:
                begun = time.monotonic()
                try:
                    answer = heartbeat(agent)
                    if answer.status != 200:
                        failures.append(answer.status)
                except OSError as problem:
                    failures.append(problem)
                slowest[0] = max(slowest[0], time.monotonic() - begun)

    thread = threading.Thread(target=beat)
    thread.start()
    controller.failures, controller.slowest = failures, slowest
    yield controller
    over.set()
    thread.join()
    ended = [stream.ended.is_set() for stream in streams]
    for stream in streams:
        stream.close()
    assert not failures and not any(ended)
    assert slowest[0] < 20, slowest


class SlowClients:
    """So many connections that begin a request and never end it; those that are hung up on are opened again."""

    def __init__(self, url, count, greeting=HALF_A_REQUEST):
        self.url, self.count, self.sockets, self.opened, self.greeting = url, count, [], 0, greeting

    def open_missing(self):
        self.sockets = [raw for raw in self.sockets if is_open(raw) or raw.close()]
        while len(self.sockets) < self.count:
            raw = connect(self.url)
            if self.greeting:
                raw.sendall(self.greeting + b"a" * (self.opened % 50))
            self.sockets.append(raw)
            self.opened += 1
            if self.opened % 500 == 0:
                yield

    def drip(self):
        for raw in self.sockets[-300:]:
            with contextlib.suppress(OSError):
                raw.sendall(b"b" if self.greeting else b"")

    def close(self):
        for raw in self.sockets:
            raw.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("listener", ["main", "reading"])
def test_five_thousand_slow_clients_leave_status_and_agents_alone(busy, many_files, listener):
    url = busy.url if listener == "main" else busy.read_url
    with contextlib.closing(SlowClients(url, SLOW_CLIENTS)) as slow:
        until = time.monotonic() + FLOOD_SECS
        while time.monotonic() < until:
            for _ in slow.open_missing():
                assert busy.ask("GET", "/status", url=url).status == 200
                assert busy.status()["summary"]["connectedZones"] == 3
            slow.drip()
        assert slow.opened >= SLOW_CLIENTS
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
    with contextlib.closing(SlowClients(url, SLOW_CLIENTS, HALF_A_HELLO if url.scheme == "https" else HALF_A_REQUEST)) as slow:
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
