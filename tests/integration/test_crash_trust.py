"""The controller of a federation is killed at each single write that a request leads to, before and after it: a start, tokens, certificates,
join tokens, enrolments, approvals, removals, a spec. The moments are found by a run that is only watched, so none can be left out. Whichever it is:
one CA, what was there is still there, what was asked for is done or plainly not, and asking once more does it; and the audit log has it.

The sets' own writes and commands to MongoDB are in test_crash_points.py, and so is the test that no kind is left out."""
import contextlib
import http.client
import json
import pathlib
import signal
import sqlite3
import ssl
import time

import pytest

import crash
from controller_daemon import SPEC as DAEMON_SPEC, Agent, Controller
from sandboxes import wait_until
from test_access import record_sum
from test_trust import Federation

# A set whose zone never comes, so that nothing of MongoDB happens beside what is looked at.
SPEC = """apiVersion: atoll/v1
kind: Federation
metadata: {name: crash}
spec:
  zones: [{name: z1, driver: local}, {name: z2, driver: local}]
  sets:
    - name: mongo
      image: mongo:7.0
      settings: {electionTimeoutMillis: 5000}
      members: [{zone: z2}]
"""


@pytest.fixture
def federation(bin_dir, work_dir, sanitized):
    made = Federation(bin_dir, work_dir, 5 if sanitized else 1)
    (work_dir / "spec.yaml").write_text(SPEC)
    try:
        yield made
    finally:
        made.clean_up()


def is_dead(federation):
    return federation.processes["controller"].poll() is not None


def names(federation, what):
    plural = {"token": "tokens", "certificate": "certificates"}[what]
    return [each["name"] for each in json.loads(federation.atoll(what, "list", "-o", "json").stdout)[plural]]


def until_dead_or(federation, condition, what):
    """What an agent does takes its time; a controller that is dead answers no question."""
    def over():
        try:
            return is_dead(federation) or condition()
        except (AssertionError, ValueError):
            return False
    federation.until(over, what)
    return not is_dead(federation)


def lets_in(federation, token):
    """Whether an agent gets in by this token: a request of a key that nobody has seen."""
    number = len(list(federation.folder.glob("probe*.token")))
    federation.agent(f"probe{number}", "z1", token)
    log = lambda: federation.log(f"probe{number}")  # noqa: E731
    federation.until(lambda: "connected to the controller" in log() or "not known" in log() or "was used already" in log(), "the probe's end")
    federation.stop(f"probe{number}")
    return "connected to the controller" in log()


# ---- what is asked for. Each has: the kinds of writes that it must lead to; what is there before; the asking, which says whether it was
# ---- answered; and, with a controller that lives again, what must hold, once more asked included

class TokenMade:
    kinds = ["store:audit", "store:token", "store:audit-end"]

    def __init__(self, federation, number):
        self.federation, self.name = federation, f"robot{number}"

    def make(self, check):
        return self.federation.atoll("token", "create", self.name, "--role", "viewer", check=check)

    def ask(self):
        self.said = self.make(check=False)
        return self.said.returncode == 0

    def holds(self, answered):
        is_there = self.name in names(self.federation, "token")
        assert is_there or not answered
        if is_there and not answered:  # nobody has it; it can be taken away
            self.federation.atoll("token", "revoke", self.name)
        token = (self.said if answered else self.make(check=True)).stdout.strip()
        assert self.works(token) and names(self.federation, "token").count(self.name) == 1
        return is_there

    def works(self, token):
        connection = http.client.HTTPSConnection("127.0.0.1", self.federation.port, timeout=60,
                                                 context=ssl.create_default_context(cafile=self.federation.dir / "ca.pem"))
        connection.request("GET", "/v1/federation", headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        assert status in (200, 401)
        return status == 200


class TokenRevoked(TokenMade):
    kinds = ["store:audit", "store:no-token", "store:audit-end"]

    def __init__(self, federation, number):
        super().__init__(federation, number)
        self.token = self.make(check=True).stdout.strip()

    def ask(self):
        return self.federation.atoll("token", "revoke", self.name, check=False).returncode == 0

    def holds(self, answered):
        is_there = self.name in names(self.federation, "token")
        assert not (is_there and answered) and self.works(self.token) == is_there
        if is_there:
            self.federation.atoll("token", "revoke", self.name)
        assert not self.works(self.token)
        return not is_there


class CertificateMade:
    kinds = ["store:audit", "store:person", "store:audit-end"]

    def __init__(self, federation, number):
        self.federation, self.name, self.out = federation, f"jane{number}", federation.folder / f"jane{number}.pem"

    def make(self, check):
        return self.federation.atoll("certificate", "create", self.name, "--role", "viewer", "--out", self.out, check=check)

    def ask(self):
        return self.make(check=False).returncode == 0

    def holds(self, answered):
        count = names(self.federation, "certificate").count(self.name)
        assert self.out.exists() == answered and count <= 1 and (count or not answered)
        if not answered:
            self.make(check=True)
        assert self.works()
        return count == 1

    def works(self):
        return self.federation.ask("GET", "/v1/zones", certificate=self.out)[0] == 200


class CertificateRevoked(CertificateMade):
    kinds = ["store:audit", "store:no-person", "store:audit-end"]

    def __init__(self, federation, number):
        super().__init__(federation, number)
        self.make(check=True)
        listed = json.loads(federation.atoll("certificate", "list", "-o", "json").stdout)["certificates"]
        self.serial = next(each["serial"] for each in listed if each["name"] == self.name)

    def ask(self):
        return self.federation.atoll("certificate", "revoke", self.serial, check=False).returncode == 0

    def holds(self, answered):
        is_there = self.name in names(self.federation, "certificate")
        assert not (is_there and answered) and self.works() == is_there
        if is_there:
            self.federation.atoll("certificate", "revoke", self.serial)
        assert not self.works()
        return not is_there


class JoinTokenMade:
    """Beside one that nobody used in time, and that is forgotten now."""
    kinds = ["store:audit", "store:no-join", "store:join", "store:audit-end"]

    def __init__(self, federation, number):
        self.federation = federation
        federation.token("z1")
        federation.stop("controller")
        with sqlite3.connect(federation.dir / "controller.db", isolation_level=None) as store:
            store.create_function("record_sum", 2, record_sum)
            assert store.execute("UPDATE record SET data = replace(data, '\"expiresAt\":', '\"expiresAt\":1,\"was\":') WHERE key LIKE 'trust/join/%'").rowcount >= 1
            store.execute("UPDATE record SET sum = record_sum(key, data)")
        federation.start()

    def ask(self):
        self.said = self.federation.atoll("zone", "join-token", "z1", "--pre-approved", check=False)
        return self.said.returncode == 0

    def holds(self, answered):
        count = len(joins(self.federation, time.time()))
        token = self.said.stdout.strip() if answered else self.federation.token("z1", "--pre-approved")
        assert lets_in(self.federation, token)
        self.federation.atoll("zone", "remove", "z1")
        assert not joins(self.federation)
        return count > 0


def joins(federation, at_s=0):
    """The join tokens in the store; those that live at that time."""
    with sqlite3.connect(f"file:{federation.dir}/controller.db?mode=ro", uri=True) as store:
        found = [json.loads(data) for [data] in store.execute("SELECT data FROM record WHERE key LIKE 'trust/join/%'")]
    return [each for each in found if each["expiresAt"] > at_s]


class Enrolled:
    """By the agent itself, which asks again and again."""
    kinds = ["store:zone", "store:join"]
    is_audited = False

    def __init__(self, federation, number):
        self.federation, self.agent = federation, f"agent{number}"
        self.token = federation.token("z1", "--pre-approved")

    def ask(self):
        self.federation.agent(self.agent, "z1", self.token)
        return until_dead_or(self.federation, lambda: self.federation.zone("z1")["state"] == "joined", "the agent to join")

    def holds(self, answered):
        self.is_connected(1)
        self.leave()
        return True

    def is_connected(self, times):
        self.federation.until(lambda: self.federation.zone("z1")["state"] == "joined" and
                              self.federation.log(self.agent).count("connected to the controller") >= times, "the agent to be connected")

    def leave(self):
        self.federation.stop(self.agent)
        self.federation.atoll("zone", "remove", "z1")


class Approved(Enrolled):
    kinds = ["store:audit", "store:zone", "store:audit-end"]
    is_audited = True

    def __init__(self, federation, number):
        self.federation, self.agent = federation, f"agent{number}"
        federation.agent(self.agent, "z1", federation.token("z1"))
        federation.until(lambda: federation.zone("z1")["state"] == "waiting", "the agent waits")

    def approve(self, check):
        return self.federation.atoll("zone", "approve", "z1", check=check).returncode == 0

    def ask(self):
        answered = self.approve(check=False)
        return answered and until_dead_or(self.federation, lambda: self.federation.zone("z1")["state"] == "joined", "the agent to join")

    def holds(self, answered):
        before = self.federation.zone("z1")["state"]
        assert before in ("waiting", "approved", "joined")
        if before == "waiting":
            assert not answered
            self.approve(check=True)
        self.is_connected(1)
        self.leave()
        return before != "waiting"


class Removed(Enrolled):
    """While another token is about, which would let somebody in."""
    kinds = ["store:audit", "store:zone", "store:no-join", "store:audit-end"]
    is_audited = True

    def __init__(self, federation, number):
        super().__init__(federation, number)
        federation.agent(self.agent, "z1", self.token)
        self.is_connected(1)
        federation.stop(self.agent)
        self.spare = [federation.token("z1", "--pre-approved") for _ in range(2)]

    def ask(self):
        return self.federation.atoll("zone", "remove", "z1", check=False).returncode == 0

    def holds(self, answered):
        state = self.federation.zone("z1")["state"]
        assert state == "removed" or not answered
        if state == "removed":
            assert not any(lets_in(self.federation, each) for each in self.spare), "what is removed stays out"
        else:
            assert state == "joined" and len(joins(self.federation)) == 3, "nothing was done"
            self.federation.atoll("zone", "remove", "z1")
        assert self.federation.zone("z1")["state"] == "removed" and not joins(self.federation)
        return state == "removed"


class Applied:
    kinds = ["store:audit", "store:spec", "store:spec-revision", "store:audit-end"]

    def __init__(self, federation, number):
        self.federation, self.file, self.wanted = federation, federation.folder / "changed.yaml", 5001 + number
        self.file.write_text(SPEC.replace("5000", str(self.wanted)))
        self.before = self.revision()

    def state(self):
        return json.loads(self.federation.atoll("status", "-o", "json").stdout)

    def revision(self):
        return self.state()["revision"]

    def ask(self):
        return self.federation.atoll("apply", "-f", self.file, check=False).returncode == 0

    def holds(self, answered):
        revision = self.revision()
        assert revision in (self.before, self.before + 1) and (revision > self.before or not answered)
        self.federation.atoll("apply", "-f", self.file)
        # The status may be a moment older than the answer; and applied once more it is no other revision.
        self.federation.until(lambda: self.revision() == self.before + 1, "the next revision, and no other")
        assert str(self.wanted) in self.federation.text("/v1/federation")[1]
        return revision > self.before


ASKED = [TokenMade, TokenRevoked, CertificateMade, CertificateRevoked, JoinTokenMade, Enrolled, Approved, Removed, Applied]
AUDIT = ["store:audit", "store:audit-end"]  # the same for all; each by itself in `make test-crash`
STARTED = ["store:epoch", "store:revision", "store:ca", "store:person"]


def kinds_killed_at():
    return {kind for asked in ASKED for kind in asked.kinds} | set(STARTED)


# ---- the tests ----

def settle(federation):
    """A controller that lives."""
    died = is_dead(federation)
    code = federation.stop("controller")
    assert code == -signal.SIGKILL if died else code in (0, -signal.SIGKILL), federation.log("controller")
    federation.start()
    return died


def one_ca(federation, ca):
    assert (federation.dir / "ca.pem").read_text() == ca
    assert federation.log("controller").count("made a CA") <= 1


def audited(federation):
    return {each["id"]: each for each in federation.audit()}


def tell(federation, asked, number, moment):
    """Gives whether it died, and what it passed meanwhile when it is watched."""
    ca = (federation.dir / "ca.pem").read_text()
    story = asked(federation, number)
    before = audited(federation)
    federation.stop("controller")
    log = federation.folder / "controller.log"
    life = log.stat().st_size
    federation.start("--die-at", moment)
    begun = log.stat().st_size
    answered = story.ask()
    text = log.read_bytes()[life:].decode()
    if not answered:
        federation.until(lambda: is_dead(federation), f"{moment}: it to be dead, as it did not do what was asked for")
    died = settle(federation)
    one_ca(federation, ca)
    after = audited(federation)
    assert {each: after[each] for each in before} == before, "what the audit log had it has"
    new = [after[each] for each in after if each not in before]
    happened = story.holds(answered)
    if happened and getattr(asked, "is_audited", True):
        assert [each["outcome"] for each in new] in ([["done"]] if answered else [["begun"], ["done"]]), new
    return died, crash.passed(text, begun - life)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.__name__)
def test_killed_at_each_write_what_was_asked_for_is_done_or_not_and_can_be_asked_for_again(federation, asked):
    federation.start()
    federation.atoll("apply", "-f", federation.folder / "spec.yaml")
    died, moments = tell(federation, asked, 0, "watch")
    assert not died
    assert crash.kinds_of(moments) >= set(asked.kinds), moments
    for number, [moment, *_] in enumerate(moments):
        if asked is not TokenMade and crash.kind_of(moment) in AUDIT and not crash.ALL:
            continue
        died, _ = tell(federation, asked, number + 1, moment)
        assert died, f"{moment} was not reached"


def test_killed_at_each_write_of_its_first_start_it_has_one_ca_and_one_admin(federation, bin_dir):
    """Nothing was told to anybody, so whoever starts it again begins anew or goes on."""
    def first_start(folder, moment):
        new = Federation(bin_dir, folder, federation.slowness)
        try:
            new.spawn("controller", "atoll-controller", "--dir", new.dir, "--ca-passphrase-file", new.passphrase, "--admin-file",
                      new.dir / "admin.pem", "--listen", "127.0.0.1:0", "--read-listen", "127.0.0.1:0", "--die-at", moment)
            new.until(lambda: (new.dir / "control-url").exists() or is_dead(new), "it listens or is dead")
            passed, died = crash.passed(new.log("controller")), is_dead(new)
            stored = ca_record(new)
            settle(new)
            assert stored in (None, ca_record(new)), "what was durable is the CA"
            assert new.ask("GET", "/v1/zones", certificate=new.dir / "admin.pem")[0] == 200
            one_ca(new, (new.dir / "ca.pem").read_text())
            assert new.zone("z1")["state"] == "unknown" and new.log("controller").count("opened the CA") <= 1
        finally:
            new.clean_up()
        return died, passed

    def at(name):
        folder = federation.folder / name
        folder.mkdir()
        return folder

    died, moments = first_start(at("watched"), "watch")
    assert not died and crash.kinds_of(moments) == set(STARTED), moments
    for number, [moment, *_] in enumerate(moments):
        assert first_start(at(str(number)), moment)[0], f"{moment} was not reached"


def ca_record(federation):
    path = pathlib.Path(federation.dir / "controller.db")
    if not path.exists():
        return None
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        found = store.execute("SELECT data FROM record WHERE key = 'trust/ca'").fetchone()
    return found and found[0]


@pytest.mark.skipif(not crash.ALL, reason="takes a thousand changes of the spec; make test-crash")
@pytest.mark.parametrize("when", crash.EITHER, ids=lambda when: when.strip(":") or "before")
def test_killed_when_it_sets_further_revisions_aside_none_is_given_twice(bin_dir, work_dir, when):
    """Revisions of intents are made durable many at a time, so it takes many intents to get there."""
    controller = Controller(bin_dir / "atoll-controller", work_dir / "controller").start("--die-at", f"store:revision:2{when}")
    try:
        controller.apply()
        agents, last = [Agent(controller, zone) for zone in ("z1", "z2", "z3")], 0
        for agent in agents:
            agent.report()

        def revision():
            answer = controller.get("/v1/zones/z1/intent")
            return answer.json()["revision"] if answer.status == 200 else 0
        wait_until(revision, 60, "an intent")
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(1200):
                controller.apply(DAEMON_SPEC.replace("mongo:7.0", f"mongo:7.0.{number}"))
                last = revision()
        assert controller.stop() == -signal.SIGKILL and last > 900, "it got there"
        controller.start()
        for agent in agents:
            agent.report(epoch=1, revision=last)
        wait_until(lambda: revision() > last, 60, "an intent above all that were given out")
    finally:
        controller.stop()
