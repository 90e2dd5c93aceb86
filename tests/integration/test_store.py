"""The controller's store on bad days: damaged, full, unwritable, of a newer version; and its backup. Whatever it is, a clear sentence, nothing
overwritten, nothing done that could not be remembered, and a way out that is documented (docs/state.md)."""
import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

import sandboxes
import whole
from controller_daemon import PROGRAM_TIMEOUT_SECS, SPEC, Agent, Controller
from sandboxes import wait_until

STORE_UNUSABLE = 65
NOBODY = 65534
FOURTH = "        - {zone: us-central1-f, labels: {instance: janet}}\n"


@pytest.fixture
def controller(bin_dir, work_dir):
    made = Controller(bin_dir / "atoll-controller", work_dir / "controller")
    made.dir.mkdir()
    made.start()
    yield made
    if made.process.poll() is None:
        assert made.stop() == 0, made.log()
    assert "Sanitizer" not in made.log()


@pytest.fixture
def stopped(controller):
    """One that has known a federation and has ended."""
    assert controller.apply().status == 200
    assert controller.stop() == 0
    return controller


def program(controller, *arguments, timeout=PROGRAM_TIMEOUT_SECS):
    return subprocess.run([controller.program, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)


def files_of(controller):
    """All that the store consists of. To look at one SQLite makes its index anew, and a log without anything in it."""
    found = {path.name: path.read_bytes() for path in controller.dir.glob("controller.db*") if not path.name.endswith("-shm")}
    return {name: content for name, content in found.items() if content or not name.endswith("-wal")}


def does_not_start(controller, status, *says):
    """It ends at once, with this status and these words, and all that the store consists of is as it was."""
    before = files_of(controller)
    done = program(controller, "--dir", controller.dir, "--listen", "127.0.0.1:0")
    assert done.returncode == status, done.stderr
    for words in says:
        assert words in done.stderr
    assert str(controller.dir / "controller.db") in done.stderr, "it says which file"
    assert files_of(controller) == before, "nothing was overwritten"


def change_bytes(path, begin, count, mask=0x5a):
    content = bytearray(path.read_bytes())
    for at in range(begin, min(begin + count, len(content))):
        content[at] ^= mask
    path.write_bytes(content)


# ---- a store that can't be used ----

def damage_header(path):
    change_bytes(path, 0, 16)


def damage_page(path):
    change_bytes(path, 4096, 600)


def damage_one_digit(path):
    """In the middle of the spec's text, where SQLite itself would not notice."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"mongo:7.0"', b'"mongo:7.2"', 1))
    assert path.read_bytes() != content


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def cut_to_nothing(path):
    os.truncate(path, 0)


def replace_by_text(path):
    path.write_text("metadata: {name: test}\n" * 400)


@pytest.mark.parametrize("damage", (damage_header, damage_page, damage_one_digit, cut, cut_to_nothing, replace_by_text))
def test_a_damaged_store_stops_the_start_and_is_left_alone(stopped, damage):
    damage(stopped.dir / "controller.db")
    does_not_start(stopped, STORE_UNUSABLE, "--restore", "docs/state.md")


def test_a_store_of_a_newer_version_is_left_alone(stopped):
    with contextlib.closing(sqlite3.connect(stopped.dir / "controller.db")) as store:
        store.execute("PRAGMA user_version=99")
    does_not_start(stopped, STORE_UNUSABLE, "newer version", "format 99")


def test_a_record_of_a_newer_version_is_left_alone(stopped):
    """A store of a known format may hold what only a newer controller wrote; to ignore it would be to forget it."""
    with contextlib.closing(sqlite3.connect(stopped.dir / "controller.db")) as store:
        store.execute("PRAGMA user_version=1")
        store.execute("CREATE TABLE older AS SELECT key, data FROM record")
        store.execute("DROP TABLE record")
        store.execute("DROP TABLE IF EXISTS log")
        store.execute("CREATE TABLE record (key TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID")
        store.execute("INSERT INTO record SELECT key, data FROM older UNION ALL SELECT 'drill/7', CAST('{}' AS BLOB)")
        store.commit()
        store.execute("DROP TABLE older")
    done = program(stopped, "--dir", stopped.dir, "--listen", "127.0.0.1:0")
    assert done.returncode == STORE_UNUSABLE and "drill/7" in done.stderr and "use a newer one" in done.stderr


def test_a_store_that_is_gone_without_its_log_is_not_begun_anew(controller):
    assert controller.apply().status == 200
    controller.stop(signal.SIGKILL)
    (controller.dir / "controller.db").rename(controller.dir / "elsewhere.db")
    does_not_start(controller, STORE_UNUSABLE, "its log")
    (controller.dir / "elsewhere.db").rename(controller.dir / "controller.db")
    controller.start()
    assert controller.status()["revision"] == 1


def test_a_log_that_was_torn_costs_only_what_was_never_acknowledged(controller):
    for minor in range(3):
        assert controller.apply(SPEC.replace("mongo:7.0", f"mongo:7.{minor}")).status == 200
    controller.stop(signal.SIGKILL)
    log = controller.dir / "controller.db-wal"
    with log.open("ab") as file:
        file.write(b"\x00" * 24 + b"\xa5" * 3000)  # a frame that was begun
    controller.start()
    assert controller.get("/v1/federation").json()["spec"]["sets"][0]["image"] == "mongo:7.2"


def test_a_store_that_can_not_be_written_is_said_to_be_so(stopped, bin_dir):
    """Permissions hold back everybody but root, so root's tests run it as nobody."""
    program_ = stopped.program
    if os.geteuid() == 0:
        for path in (stopped.dir, *stopped.dir.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        os.chmod(stopped.dir.parent, 0o755)
    (stopped.dir / "controller.db").chmod(0o400)
    before = files_of(stopped)
    done = subprocess.run([program_, "--dir", stopped.dir, "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS,
                          **({"user": NOBODY} if os.geteuid() == 0 else {}))
    assert done.returncode == 1 and "writable for this user" in done.stderr, done.stderr
    assert files_of(stopped) == before


# ---- a disk that fills while it runs ----

@contextlib.contextmanager
def no_room(process):
    """As a full disk: no byte can be written to any file."""
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)


OTHER_SPEC = SPEC.replace("mongo:7.0", "mongo:8.0")


def test_on_a_full_disk_nothing_is_done_that_could_not_be_remembered_and_room_is_enough_to_go_on(controller):
    assert controller.apply().status == 200
    with no_room(controller.process):
        refused = controller.apply(OTHER_SPEC)
        assert refused.status in (500, 503), refused.body
        assert "controller.db" in refused.error["message"]
        wait_until(lambda: controller.get("/readyz").status == 503, 30, "that it is not ready")
        ready = controller.get("/readyz")
        assert b"store failed" in ready.body and b"controller.db" in ready.body
        assert controller.get("/livez").status == 200
        assert controller.status()["revision"] == 1
        higher = Agent(controller, "z1").report(epoch=40)
        assert higher.status >= 500, "the epoch would have to be raised, which can't be remembered"
        assert controller.get("/v1/zones/z1/intent").status != 200, "no intent of an epoch that is too low"
        metrics = controller.get("/metrics").body.decode()
        failures = int(next(line for line in metrics.splitlines() if line.startswith("atoll_store_failures_total ")).split()[1])
        assert 1 <= failures < 30, "it doesn't spin"
    wait_until(lambda: controller.get("/readyz").status == 200, 30, "the store to take writes again by itself")
    reasons = [event["reason"] for event in controller.get("/v1/events").json()["events"]]
    assert reasons.count("StoreFailed") == reasons.count("StoreRecovered") >= 1
    assert controller.apply(OTHER_SPEC).json()["revision"] == 2
    assert Agent(controller, "z1").report(epoch=40).status == 200
    assert controller.stop() == 0
    controller.start()
    assert controller.status()["revision"] == 2


def test_on_a_full_disk_a_set_is_not_initiated_until_that_can_be_remembered(new_sandbox):
    sandbox = new_sandbox()
    sandbox.up()
    late = sandboxes.SPEC + sandboxes.SPEC[sandboxes.SPEC.index("    - name: mongo"):].replace("name: mongo", "name: late", 1)
    process = whole.controller(sandbox)
    zone = whole.agent(sandbox, whole.ZONES[2])
    with whole.stopped(zone):  # so that the birth has to wait until the disk is full
        sandbox.wait_for(lambda status: whole.zone_state(status, whole.ZONES[2]) != "Connected", what="a zone to be silent")
        sandbox.spec_file.write_text(late)
        sandbox.atoll("apply", "-f", sandbox.spec_file)
        sandbox.wait_for(lambda status: [each["phase"] for each in whole.the_set(status, "late")["members"]].count("Reachable") == 2,
                         what="the members of the other zones to be ready")
        before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        wait_until(lambda: b"controller.db" in ready_of(sandbox), 60 * sandbox.slowness, "the full disk to be noticed")
        assert whole.initiations(sandbox, "late") == 0
        assert whole.the_set(sandbox.status())["phase"] == "Healthy", "what needs no memory goes on"
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    whole.healthy(sandbox)
    assert len([event for event in whole.events(sandbox, "late") if event["reason"] == "ActionStarted"]) >= 1
    assert whole.controller(sandbox).pid == process.pid, "without a restart"


def ready_of(sandbox):
    return text_of(sandbox, "/readyz")


def text_of(sandbox, path):
    try:
        with urllib.request.urlopen(sandbox.url + path, timeout=60 * sandbox.slowness) as answer:
            return answer.read()
    except urllib.error.HTTPError as refused:
        return refused.read()


# ---- backup and restore ----

def test_a_backup_is_whole_private_and_overwrites_nothing(controller, work_dir):
    assert controller.apply().status == 200
    file = work_dir / "image"
    done = program(controller, "--backup", file, "--dir", controller.dir)
    assert done.returncode == 0 and "federation test, revision 1" in done.stdout, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_bytes()
    assert controller.apply(SPEC.replace("mongo:7.0", "mongo:8.0")).status == 200
    again = program(controller, "--backup", file, "--dir", controller.dir)
    assert again.returncode == 1 and "--overwrite" in again.stderr and file.read_bytes() == first
    assert program(controller, "--backup", file, "--dir", controller.dir, "--overwrite").returncode == 0
    assert file.read_bytes() != first
    assert program(controller, "--backup", work_dir, "--dir", controller.dir, "--overwrite").returncode == 1, "a folder"
    assert program(controller, "--backup", work_dir / "no" / "image", "--dir", controller.dir).returncode == 1
    assert program(controller, "--backup", work_dir / "other", "--dir", work_dir / "nowhere").returncode == 1
    assert sorted(path.name for path in work_dir.iterdir() if path.name.startswith(("image", "other"))) == ["image"], "no part is left"


def test_backups_of_a_store_that_is_written_all_the_time_are_each_of_one_moment(controller, work_dir):
    applied, ended, problems = [0], threading.Event(), []

    def apply_all_the_time():
        while not ended.is_set():
            answer = controller.apply(SPEC.replace("mongo:7.0", f"mongo:7.{applied[0]}"))
            if answer.status != 200:
                problems.append(answer.body)
                return
            applied[0] += 1

    thread = threading.Thread(target=apply_all_the_time, daemon=True)
    thread.start()
    revisions = []
    try:
        for number in range(12):
            aim = applied[0] + 1
            wait_until(lambda: applied[0] >= aim or problems, 30, "a spec to be applied")
            done = program(controller, "--backup", work_dir / f"image{number}", "--dir", controller.dir)
            assert done.returncode == 0, done.stderr
            revisions.append((aim, records_of(work_dir / f"image{number}")))
    finally:
        ended.set()
        thread.join(30)
    assert not problems
    for least, records in revisions:
        revision = json.loads(records["spec-revision"])["revision"]
        assert revision >= least, "what was acknowledged before is in it"
        assert f'"mongo:7.{revision - 1}"' in records["spec"].decode(), "spec and revision belong together"


def records_of(file):
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as store:
        return dict(store.execute("SELECT key, data FROM record"))


def test_a_damaged_store_is_not_backed_up_and_a_damaged_backup_not_restored(stopped, work_dir):
    good, bad = work_dir / "good", work_dir / "bad"
    assert program(stopped, "--backup", good, "--dir", stopped.dir).returncode == 0
    damage_one_digit(stopped.dir / "controller.db")
    done = program(stopped, "--backup", bad, "--dir", stopped.dir)
    assert done.returncode == 1 and "checksum" in done.stderr and not bad.exists()
    bad.write_bytes(good.read_bytes())
    change_bytes(bad, 4096, 400)
    before = files_of(stopped)
    assert program(stopped, "--restore", bad, "--dir", stopped.dir).returncode == 1
    assert files_of(stopped) == before
    assert program(stopped, "--restore", good, "--dir", stopped.dir).returncode == 0
    stopped.start()
    assert stopped.status()["revision"] == 1
    [kept] = [path for path in stopped.dir.glob("controller.db.before-*") if not path.name.endswith("-wal")]
    assert kept.read_bytes() == before["controller.db"], "the damaged one is kept"


def test_nothing_is_restored_below_a_running_controller(controller, work_dir):
    file = work_dir / "image"
    assert program(controller, "--backup", file, "--dir", controller.dir).returncode == 0
    done = program(controller, "--restore", file, "--dir", controller.dir)
    assert done.returncode == 1 and "stop it first" in done.stderr


def test_a_restore_that_was_interrupted_starts_nothing_and_is_repeated(stopped, work_dir):
    """It died after the old store had been put aside."""
    file = work_dir / "image"
    assert program(stopped, "--backup", file, "--dir", stopped.dir).returncode == 0
    (stopped.dir / "controller.db").rename(stopped.dir / "controller.db.before-it")
    (stopped.dir / "controller.db.restoring").write_bytes(file.read_bytes()[:5000])
    does_not_start(stopped, STORE_UNUSABLE, "--restore again")
    assert program(stopped, "--restore", file, "--dir", stopped.dir).returncode == 0
    stopped.start()
    assert stopped.status()["revision"] == 1
    assert not list(stopped.dir.glob("*.restoring*"))


def test_a_restore_that_is_killed_at_any_moment_leaves_the_old_store_or_the_new_or_can_be_repeated(stopped, work_dir):
    """The moments are whatever the machine makes of them; what must hold, holds at each."""
    image = work_dir / "image"
    assert program(stopped, "--backup", image, "--dir", stopped.dir).returncode == 0
    stopped.start()
    assert stopped.apply(OTHER_SPEC).json()["revision"] == 2
    for delay_ms in range(0, 30, 2):
        stopped.stop(signal.SIGKILL)  # with its log beside it
        restore = subprocess.Popen([stopped.program, "--restore", image, "--dir", stopped.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            restore.wait(delay_ms / 1000)
        restore.kill()
        finished = restore.wait(PROGRAM_TIMEOUT_SECS) == 0
        if (stopped.dir / "controller.db").exists():
            stopped.start()
            revision = stopped.status()["revision"]
            assert revision == 1 if finished else revision in (1, 2)
            stopped.stop(signal.SIGKILL)
        else:
            does_not_start(stopped, STORE_UNUSABLE, "--restore again")
        assert program(stopped, "--restore", image, "--dir", stopped.dir).returncode == 0
        stopped.start()
        assert stopped.status()["revision"] == 1
        assert stopped.apply(OTHER_SPEC).json()["revision"] == 2
    assert stopped.stop() == 0
    assert len([path for path in stopped.dir.glob("controller.db.before-*") if not path.name.endswith("-wal")]) >= 15, "each is kept"


@pytest.mark.parametrize("options", (["--backup", "a", "--restore", "b"], ["--overwrite"], ["--restore", ""]))
def test_bad_usage_of_backup_and_restore(bin_dir, work_dir, options):
    done = subprocess.run([bin_dir / "atoll-controller", "--dir", work_dir / "c", *options], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_SECS)
    assert done.returncode == 2 and not (work_dir / "c").exists()


def apply(sandbox, text):
    sandbox.spec_file.write_text(text)
    sandbox.atoll("apply", "-f", sandbox.spec_file, "--wait")


def controller_program(sandbox, *arguments):
    return subprocess.run([str(sandbox.bin / "atoll-controller"), *map(str, arguments), "--dir", str(sandbox.dir / "controller")],
                          capture_output=True, text=True, timeout=60 * sandbox.slowness)


def take_backups(sandbox, number):
    """Several, while a member is added: the store is written all the time. Gives the last one."""
    for each in range(number):
        file = sandbox.dir.with_suffix(f".image{each}")
        done = controller_program(sandbox, "--backup", file)
        assert done.returncode == 0, done.stderr
    return file


def epoch_of(sandbox):
    text = text_of(sandbox, "/metrics").decode()
    return int(float(next(line for line in text.splitlines() if line.startswith("atoll_controller_epoch ")).split()[1]))


@pytest.mark.asan
@pytest.mark.timeout(240)
def test_a_store_that_was_destroyed_is_restored_and_no_id_is_used_again(new_sandbox):
    sandbox = new_sandbox()
    sandbox.up()
    before, set_id = whole.healthy(sandbox), whole.replica_set_id(sandbox)
    with whole.Writer(sandbox) as writer:
        file = take_backups(sandbox, 5)
        apply(sandbox, sandboxes.SPEC + FOURTH)
        spent = whole.members_of(whole.healthy(sandbox))["mongo-node4"]["id"]
        apply(sandbox, sandboxes.SPEC + FOURTH.replace("}}", "}, state: absent}"))
        sandbox.wait_for(lambda status: whole.members_of(status)["mongo-node4"]["phase"] == "Removed", what="the fourth to have left")
        epoch = epoch_of(sandbox)
        with whole.stopped(whole.supervisor(sandbox)):
            whole.kill(whole.controller(sandbox))
            for path in (sandbox.dir / "controller").glob("controller.db*"):
                path.write_bytes(b"\xff" * 3000)
            done = controller_program(sandbox, "--restore", file)
            assert done.returncode == 0 and "apply the newest" in done.stdout, done.stderr
        sandbox.wait_for(lambda status: len(whole.members_of(status)) == 3, what="the spec of the backup")
        assert whole.identities(whole.healthy(sandbox)) == whole.identities(before)
        wait_until(lambda: epoch_of(sandbox) > epoch, 30 * sandbox.slowness, "an epoch above all that agents have accepted")
        apply(sandbox, sandboxes.SPEC + FOURTH)
        after = whole.members_of(whole.healthy(sandbox))
        assert after["mongo-node4"]["id"] not in (0, 1, 2, spent), "neither the backup nor the configuration knew of it any more"
        writer.wait_for_more()
    assert whole.missing(sandbox, writer.acknowledged) == []
    assert whole.replica_set_id(sandbox) == set_id and whole.initiations(sandbox) == 1
