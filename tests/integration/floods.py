"""What the tests of floods share: thousands of slow clients, people who ask for much, and what must hold meanwhile as users see it."""
import contextlib
import http.client
import resource
import socket
import threading

SLOW_CLIENTS = 5000
FILES_OF_OTHERS = 200
FLOOD_SECS = 5
# A TLS ClientHello that goes on and on: 508 bytes are promised.
HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
HALF_A_REQUEST = b"GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
# What nobody may see of a federation that is only asked too much.
HARM = ("ZoneSilent", "PhaseWorsened", "PrimaryLost", "ConditionLost")


@contextlib.contextmanager
def files_for_many():
    """How many slow clients there can be: as many as are wanted, or as the system allows files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SLOW_CLIENTS + FILES_OF_OTHERS
    soft = wanted if before[1] == resource.RLIM_INFINITY else min(wanted, before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], soft), before[1]))
    count = min(SLOW_CLIENTS, soft - FILES_OF_OTHERS)
    print(f"{count} slow clients")
    try:
        yield count
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def is_open(raw):
    """Whether the server hasn't hung up."""
    raw.setblocking(False)
    try:
        return socket.socket.recv(raw, 1, socket.MSG_PEEK) != b""  # of a TLS socket too, below it
    except BlockingIOError:
        return True
    except OSError:
        return False


class SlowClients:
    """So many connections that begin something and never end it; those that are hung up on are opened again. `connect` makes one, with what it says
    first; else it is a plain one that says the greeting."""

    def __init__(self, url, count, greeting=HALF_A_REQUEST, connect=None):
        self.url, self.count, self.sockets, self.opened, self.greeting = url, count, [], 0, greeting
        self.connect = connect or self.plain

    def plain(self):
        raw = socket.create_connection((self.url.hostname, self.url.port), 10)
        if self.greeting:
            raw.sendall(self.greeting + b"a" * (self.opened % 50))
        return raw

    def open_missing(self):
        self.sockets = [raw for raw in self.sockets if is_open(raw) or raw.close()]
        while len(self.sockets) < self.count:
            self.sockets.append(self.connect())
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


@contextlib.contextmanager
def nobody_notices(ask, zones):
    """That these zones stay connected, by the status all the time and by the events at the end. ask(path) gives a document, as somebody who isn't
    limited; it yields a function that looks once."""
    def states():
        return {zone["name"]: zone["state"] for zone in ask("/status")["zones"]}

    def look():
        seen = states()
        assert all(seen[zone] == "Connected" for zone in zones), seen

    look()
    newest = max((int(event["id"]) for event in ask("/v1/events?limit=1000")["events"]), default=0)
    yield look
    look()
    harm = [event for event in ask("/v1/events?limit=1000")["events"] if int(event["id"]) > newest and event["reason"] in HARM]
    assert not harm, harm


class Crowd:
    """Threads that each ask again and again over a connection of their own, and count what they get."""

    def __init__(self, count, connect, ask):
        self.connect, self.ask, self.over = connect, ask, threading.Event()
        self.statuses, self.lock = {}, threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(each,), daemon=True) for each in range(count)]

    def run(self, number):
        connection = None
        while not self.over.is_set():
            try:
                connection = connection or self.connect(number)
                status = self.ask(connection, number)
            except (OSError, http.client.HTTPException):
                status = None
            if status not in (200, 304):  # a refusal may have ended the connection, and the next is asked for at once
                if connection:
                    connection.close()
                connection = None
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
