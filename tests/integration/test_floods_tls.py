"""Floods over TLS: handshakes and requests that never end, and handshakes without end; real agents stay connected, and their set healthy."""
import contextlib
import socket
import ssl
import threading
import time

import pytest

from floods import FLOOD_SECS, HALF_A_HELLO, HALF_A_REQUEST, SlowClients, nobody_notices
from test_floods import many_files  # noqa: F401  (a fixture)
from test_trust import federation  # noqa: F401  (a fixture)

# Strangers come from many addresses, since each of them may have 256 connections.
ADDRESSES = 25


def address(number):
    return f"127.0.90.{1 + number % ADDRESSES}", 0


class Strangers:
    """How slow clients come: with nothing, half a hello, or a finished handshake and half a request."""

    def __init__(self, federation):  # noqa: F811
        self.place = ("127.0.0.1", federation.port)
        self.context = ssl.create_default_context(cafile=federation.dir / "ca.pem")
        self.count = 0

    def come(self):
        self.count += 1
        return socket.create_connection(self.place, 10, address(self.count))

    def silent(self):
        return self.come()

    def half_a_handshake(self):
        raw = self.come()
        with contextlib.suppress(OSError):
            raw.sendall(HALF_A_HELLO + b"a" * (self.count % 50))
        return raw

    def half_a_request(self):
        raw = self.come()
        with contextlib.suppress(OSError):  # who was pushed out before it could speak comes again
            raw = self.context.wrap_socket(raw, server_hostname="127.0.0.1")
            raw.sendall(HALF_A_REQUEST + b"a" * (self.count % 50))
        return raw


@pytest.fixture
def healthy(federation):  # noqa: F811
    """Two zones with real agents, and a healthy set."""
    federation.join("a", "z1")
    federation.join("b", "z2", "127.0.252")
    federation.until(lambda: "connected to the controller" in federation.log("a") and "connected to the controller" in federation.log("b"), "both are heard")

    def ask(path):
        status, document = federation.ask("GET", path, certificate=federation.dir / "admin.pem")
        assert status == 200, (path, document)
        return document

    federation.until(lambda: ask("/status")["sets"][0]["phase"] == "Healthy", "the set is healthy")
    federation.until(lambda: all(zone["state"] == "Connected" for zone in ask("/status")["zones"]), "the zones are connected")
    federation.look = ask
    return federation


def connections(healthy):
    """How often each agent has had to connect."""
    return {name: healthy.log(name).count("connected to the controller") for name in "ab"}


def metric(healthy, name):
    _, text = healthy.text("/metrics")
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " "))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", ["silent", "half_a_handshake", "half_a_request"])
def test_thousands_of_slow_strangers_leave_agents_and_people_alone(healthy, many_files, way):  # noqa: F811
    before, strangers = connections(healthy), Strangers(healthy)
    with nobody_notices(healthy.look, ("z1", "z2")) as look, contextlib.closing(SlowClients(None, many_files, b"x", getattr(strangers, way))) as slow:
        until = time.monotonic() + 2 * FLOOD_SECS
        while time.monotonic() < until:
            for _ in slow.open_missing():
                look()
                assert metric(healthy, 'atoll_http_connections{of="stranger"}') <= 1024 + 502
            slow.drip()
        assert slow.opened >= many_files
        assert metric(healthy, 'atoll_http_connections{of="stranger"}') > 256, "they are there"
        assert healthy.look("/status")["sets"][0]["phase"] == "Healthy"
    assert connections(healthy) == before, "no agent lost its stream"


def whole_hello(federation):  # noqa: F811
    """What a client says first: it costs nothing to say it again, and the other side a signature each time."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=federation.dir / "ca.pem").wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.timeout(240)
def test_a_flood_of_handshakes_leaves_agents_alone(healthy):
    """Of one address: it has its rate, and who comes from another is let in meanwhile."""
    hello, over, answered, turned_away = whole_hello(healthy), threading.Event(), [], []

    def shake():
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", healthy.port), 10, ("127.0.90.1", 0)) as raw:
                raw.sendall(hello)
                try:
                    (answered if raw.recv(100) else turned_away).append(1)
                except OSError:
                    turned_away.append(1)

    before = connections(healthy)
    threads = [threading.Thread(target=shake, daemon=True) for _ in range(8)]
    with nobody_notices(healthy.look, ("z1", "z2")) as look:
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        try:
            while time.monotonic() < begun + 12 or not turned_away and time.monotonic() < begun + 60:
                look()  # each over a connection, and a handshake, of its own
                time.sleep(0.1)
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
        took = time.monotonic() - begun
    print(f"{len(answered)} handshakes answered and {len(turned_away)} turned away in {took:.0f} s")
    assert len(answered) <= 500 + 100 * took + 50
    assert turned_away and metric(healthy, "atoll_http_handshakes_refused_total") >= len(turned_away) * 0.9
    assert connections(healthy) == before


def test_a_handshake_has_its_deadline(federation):  # noqa: F811
    with socket.create_connection(("127.0.0.1", federation.port), 10) as raw:
        raw.sendall(HALF_A_HELLO)
        raw.settimeout(60)
        begun = time.monotonic()
        while raw.recv(100):
            pass
        assert 5 < time.monotonic() - begun < 60
