"""Replica sets of stand-ins (or real mongods) on free loopback addresses, for tests that speak to members themselves.

ATOLL_BIN=DIR says where the programs are; without it build/bin. A Cluster is a context manager: whatever happens, its
processes, which it knows by their handles, are ended and its files removed.
"""
import base64
import hashlib
import hmac
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import bson
import pymongo
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

ROOT = pathlib.Path(__file__).resolve().parents[2]
STOP_TIMEOUT_SECS = 60
COMMAND_TIMEOUT_SECS = 60
OP_MSG = 2013


def find_binary(name="atoll-mongod-sim"):
    """The program's path; a clear error when it was not built."""
    path = pathlib.Path(os.environ.get("ATOLL_BIN", ROOT / "build" / "bin")) / name
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: run `make` first, or set ATOLL_BIN")
    return path.resolve()


def wait_until(condition, timeout=60, what="the condition", interval=0.02):
    """Polls until condition() gives something true, and gives that. Errors of members that are not there yet count as no."""
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except PyMongoError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout} s (last: {last!r})")
        time.sleep(interval)


def free_network(hosts, port=None):
    """A prefix "127.A" and a port on which all of the given last parts ("1.1") can be listened on."""
    for _ in range(200):
        prefix = f"127.{random.randint(20, 250)}"
        chosen = port or random.randint(20000, 32000)
        sockets = []
        try:
            for host in hosts:
                s = socket.socket()
                sockets.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind((f"{prefix}.{host}", chosen))
            return prefix, chosen
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise AssertionError("no free loopback addresses were found")


class Connection:
    """One connection that sends commands exactly as they are written: no session, no read preference, no monitoring thread,
    and no pause of half a second after an error, as a driver makes it."""

    def __init__(self, host, key=None, tls=None, source=""):
        address, port = host.rsplit(":", 1)
        try:
            self.socket = socket.create_connection((address, int(port)), timeout=20, source_address=(source, 0))
            self.socket.settimeout(COMMAND_TIMEOUT_SECS)
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname=address)
        except OSError as error:
            raise AutoReconnect(f"{host}: {error}") from error
        if key:
            self.log_in("__system", "local", hashlib.md5(f"__system:mongo:{key}".encode()).hexdigest())

    def log_in(self, user, db, password):
        """SCRAM-SHA-1 (RFC 5802), which every version knows for __system; `password` is digested already."""
        def start(payload, **fields):
            reply = self.command({**fields, "payload": payload.encode()}, db)
            return reply, dict(part.split("=", 1) for part in reply["payload"].decode().split(",") if part)

        nonce = base64.b64encode(os.urandom(18)).decode()
        bare = f"n={user},r={nonce}"
        reply, server = start("n,," + bare, saslStart=1, mechanism="SCRAM-SHA-1")
        without_proof = f"c=biws,r={server['r']}"
        salted = hashlib.pbkdf2_hmac("sha1", password.encode(), base64.b64decode(server["s"]), int(server["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha1")
        message = f"{bare},{reply['payload'].decode()},{without_proof}".encode()
        signature = hmac.digest(hashlib.sha1(client_key).digest(), message, "sha1")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        fields = {"saslContinue": 1, "conversationId": reply["conversationId"]}
        reply, server = start(f"{without_proof},p={proof}", **fields)
        assert base64.b64decode(server["v"]) == hmac.digest(hmac.digest(salted, b"Server Key", "sha1"), message, "sha1")
        while not reply["done"]:
            reply, _ = start("", **fields)

    def command(self, command, db):
        body = b"\0\0\0\0\0" + bson.encode({**command, "$db": db})
        try:
            self.socket.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, OP_MSG) + body)
            size, _, _, opcode = struct.unpack("<iiii", self._receive(16))
            answer = self._receive(size - 16)
        except OSError as error:
            raise AutoReconnect(str(error) or "connection closed") from error
        assert opcode == OP_MSG and answer[4] == 0
        reply = bson.decode(answer[5:])
        if not reply.get("ok"):
            raise OperationFailure(reply.get("errmsg", ""), reply.get("code"), reply)
        return reply

    def _receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise AutoReconnect("connection closed")
            data += part
        return data

    def close(self):
        self.socket.close()


class Member:
    """One process: its addresses, its data directory, and clients to it."""

    def __init__(self, cluster, addresses, port, directory, arguments):
        self.cluster, self.addresses, self.port = cluster, addresses, port
        self.host = f"{addresses[0]}:{port}"
        self.directory, self.arguments = directory, list(arguments)
        self.process, self.connection = None, None

    def start(self, *extra):
        self.directory.mkdir(exist_ok=True)
        command = [str(self.cluster.binary), "--port", str(self.port), "--bind_ip", ",".join(self.addresses),
                   "--dbpath", str(self.directory), "--replSet", self.cluster.set_name, "--nounixsocket",
                   "--logpath", str(self.log), "--logappend", *self.arguments, *extra]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.run("ping"), what=f"{self.host} answering")
        return self

    @property
    def log(self):
        return self.directory.with_suffix(".log")

    def open(self, **options):
        """A client of this member alone."""
        options = {"directConnection": True, "serverSelectionTimeoutMS": 20000, "retryWrites": False,
                   "retryReads": False, **options}
        client = pymongo.MongoClient(self.host, **options)
        self.cluster.clients.append(client)
        return client

    def run(self, command, value=1, db="admin", **fields):
        """Runs a command (its name and value, or a whole document), in any state; gives its reply, or raises OperationFailure
        with the details, or AutoReconnect when the connection broke; the next run makes a new one."""
        document = dict(command) if isinstance(command, dict) else {command: value, **fields}
        connection = self.connection or Connection(self.host, self.cluster.key, self.cluster.tls)
        self.connection = None
        try:
            reply = connection.command(document, db)
            self.connection = connection
            return reply
        except OperationFailure:
            self.connection = connection
            raise
        finally:
            if self.connection is None:
                connection.close()

    def error(self, *command, db="admin", **fields):
        """Runs a command that must fail; gives the details of the error."""
        try:
            reply = self.run(*command, db=db, **fields)
        except OperationFailure as error:
            return error.details
        raise AssertionError(f"{command} should have failed, but gave {reply}")

    def state(self):
        return self.run("replSetGetStatus")["myState"]

    def is_primary(self):
        try:
            return bool(self.run("isMaster").get("ismaster"))
        except PyMongoError:
            return False

    def config(self):
        return self.run("replSetGetConfig")["config"]

    def wait_for_state(self, state, timeout=60):
        wait_until(lambda: self.state() == state, timeout, f"{self.host} in state {state}")

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.disconnect()

    def stop(self):
        """A clean stop; gives the exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=STOP_TIMEOUT_SECS)
        self.disconnect()
        return status

    def wipe(self):
        shutil.rmtree(self.directory)

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Cluster:
    """`with Cluster(3) as cluster`: three processes, not initiated. members[i].host are their addresses."""

    def __init__(self, count=3, arguments=(), set_name="mongo", binary=None, addresses=None, key=None, tls=None):
        """With `key` members' run() logs in as __system, with `tls` (an SSLContext) it is encrypted."""
        self.binary = binary or find_binary()
        self.key, self.tls = key, tls
        self.set_name, self.arguments, self.clients = set_name, arguments, []
        self.wanted = addresses or [[f"{i + 1}.1"] for i in range(count)]

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sim-"))
        self.prefix, self.port = free_network([a for one in self.wanted for a in one])
        self.members = []
        try:
            for one in self.wanted:
                self.add(one).start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def add(self, lasts):
        """One more process, not started."""
        member = Member(self, [f"{self.prefix}.{a}" for a in lasts], self.port,
                        self.directory / f"node{len(self.members) + 1}", self.arguments)
        self.members.append(member)
        return member

    def __exit__(self, kind, _value, _trace):
        for client in self.clients:
            client.close()
        for member in self.members:
            member.disconnect()
            if member.alive():
                member.process.terminate()
        for member in self.members:
            if member.process:
                try:
                    member.process.wait(timeout=STOP_TIMEOUT_SECS)
                except subprocess.TimeoutExpired:
                    member.kill()
        if kind:
            self.print_logs()
        shutil.rmtree(self.directory, ignore_errors=True)

    def print_logs(self, lines=40):
        for member in self.members:
            if member.log.exists():
                print(f"--- {member.host}\n" + "\n".join(member.log.read_text().splitlines()[-lines:]))

    def initiate(self, count=None, election_ms=600, timeout=60, **members):
        """One replSetInitiate of the first `count` members, and waits until all hold data. Extra fields per index: m1={...}."""
        hosts = self.members[:count]
        config = {"_id": self.set_name, "settings": {"electionTimeoutMillis": election_ms},
                  "members": [{"_id": i, "host": m.host, **members.get(f"m{i}", {})} for i, m in enumerate(hosts)]}
        self.members[0].run("replSetInitiate", config)
        self.wait_healthy(hosts, timeout)
        return self.primary()

    def wait_healthy(self, members=None, timeout=60):
        members = members or self.members
        wait_until(lambda: sorted(m.state() for m in members) and any(m.is_primary() for m in members) and
                   all(m.state() in (1, 2, 7) for m in members), timeout, "all members healthy")

    def primary(self, timeout=60):
        return wait_until(lambda: next((m for m in self.members if m.alive() and m.is_primary()), None), timeout, "a primary")

    def secondaries(self):
        return [m for m in self.members if m.alive() and m.state() == 2]

    def wait_committed(self, timeout=60):
        primary = self.primary()
        wait_until(lambda: primary.run("replSetGetConfig", commitmentStatus=True)["commitmentStatus"], timeout,
                   "the configuration committed")

    def reconfig(self, change, **options):
        """Reads the configuration from the primary, lets change(config) edit it, raises the version, sends it."""
        primary = self.primary()
        config = primary.config()
        change(config)
        config["version"] += 1
        return primary.run("replSetReconfig", config, **options)


class Forwarder:
    """A load balancer in front of one member: passes bytes from an address to a target, and can be cut and healed."""

    def __init__(self, address, port, target):
        self.address, self.port, self.target = address, port, target
        self.listener, self.sockets, self.lock = None, [], threading.Lock()

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target, timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.sockets += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    @staticmethod
    def _pass(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        """Refuses from now on, and breaks what is open."""
        if self.listener:
            try:
                self.listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.listener.close()
            self.listener = None
        with self.lock:
            for s in self.sockets:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                s.close()
            self.sockets = []

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()
