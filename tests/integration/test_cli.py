"""The program `atoll` against a controller that serves canned documents: what is sent, printed and exited with."""
import contextlib
import http.server
import json
import os
import pathlib
import pty
import re
import subprocess
import threading
import time

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/unit/cli/cases"
HEALTHY = json.loads((CASES / "healthy.json").read_text())
JOINING = json.loads((CASES / "joining.json").read_text())
EXPLAIN = json.loads((CASES / "explain.json").read_text())
EVENTS = [
    {"id": 5, "at": "2026-11-23T08:00:00.123Z", "type": "Normal", "reason": "AddressAssigned", "set": "mongo", "zone": "us-east1-b",
     "member": "mongo-node1", "message": "it has the address 104.1.2.3", "rule": 7},
    {"id": 6, "at": "2026-11-23T08:00:01.000Z", "type": "Warning", "reason": "PhaseWorsened", "set": "mongo", "zone": "", "member": "",
     "message": "evil \u001b[2J text", "rule": 0},
]
SPEC = """\
apiVersion: atoll/v1
kind: Federation
metadata: {name: prod}
spec:
  zones: [{name: us-east1-b, driver: local}]
  sets:
    - name: mongo
      image: mongo:7.0
      members: [{zone: us-east1-b}]
"""


class Controller:
    """Canned answers by "METHOD path"; remembers the requests. A value may be a list: one answer after the other, the last for ever."""

    def __init__(self):
        self.answers = {"GET /status": (200, HEALTHY), "GET /status/sets/mongo": (200, HEALTHY["sets"][0])}
        self.requests, self.streams, self.lock = [], [], threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                with owner.lock:
                    owner.requests.append((self.command, self.path, dict(self.headers), body))
                    answer = owner.answers.get(f"{self.command} {self.path}")
                    if isinstance(answer, list):
                        answer = answer.pop(0) if len(answer) > 1 else answer[0]
                if isinstance(answer, str):
                    return self.stream(answer)
                status, content = answer or (404, {"error": {"code": "not_found", "message": "there is no such thing"}})
                text = (content if isinstance(content, str) else json.dumps(content)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Content-Type", "application/json")
                self.send_header("ETag", f'"{content.get("revision", 0) if isinstance(content, dict) else 0}"')
                self.end_headers()
                self.wfile.write(text)

            def stream(self, text):
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text.encode())
                self.wfile.flush()
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_any

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def controller():
    made = Controller()
    yield made
    made.close()


@pytest.fixture
def atoll(bin_dir, work_dir):
    """Runs atoll in an environment without a sandbox, contexts or colours."""

    def run(*arguments, env=None, stdin=None, timeout=120):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATOLL_", "XDG_", "NO_COLOR"))}
        environment |= {"HOME": str(work_dir)} | (env or {})
        return subprocess.run([str(bin_dir / "atoll"), *map(str, arguments)], env=environment, input=stdin, capture_output=True, text=True,
                              timeout=timeout)

    return run


@pytest.fixture
def spec_file(work_dir):
    path = work_dir / "spec.yaml"
    path.write_text(SPEC)
    return path


def free_url():
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_address[1]}"


# ---- documents made from the table of commands ----


@pytest.mark.parametrize("option, path", [("--man", "docs/atoll.1"), ("--markdown", "docs/cli.md")])
def test_the_manual_is_what_the_parser_understands(atoll, option, path):
    made = atoll("help", option)
    assert made.returncode == 0
    assert made.stdout == (ROOT / path).read_text(), f"run: atoll help {option} > {path}"


def test_every_command_has_help_and_later_ones_are_not_listed(atoll):
    overview = atoll("help")
    assert overview.returncode == 0 and overview.stderr == ""
    for command in re.findall(r"^  ([a-z-]+(?: [a-z]+)?)  ", overview.stdout.split("Options")[0], re.M):
        shown = atoll(*command.split(), "--help")
        assert shown.returncode == 0 and shown.stdout.startswith(tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        assert f"Usage: atoll {command}" in shown.stdout
        assert atoll("help", *command.split()).stdout == shown.stdout
    for later in ("drill", "backup", "recover", "rollout", "supervise", "kubeconfig"):
        assert later not in overview.stdout


def test_completion_scripts_are_sound_and_know_the_commands(atoll, work_dir):
    script = atoll("completion", "bash").stdout
    (work_dir / "atoll.bash").write_text(script)
    check = 'source ./atoll.bash; complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _atoll; echo "${COMPREPLY[@]}"; }; '
    for words, wanted in [
        ("atoll sta", "status"),
        ("atoll sandbox f", "fault"),
        ("atoll status -o j", "json"),
        ("atoll status --wa", "--watch"),
        ("atoll wait mongo --for pr", "primary"),
        ("atoll completion z", "zsh"),
    ]:
        done = subprocess.run(["bash", "-c", check + "complete_it " + words], cwd=work_dir, capture_output=True, text=True, timeout=60)
        assert (done.stdout.split(), done.stderr) == ([wanted], "")
    for shell in ("zsh", "fish"):
        assert "connection-string" in atoll("completion", shell).stdout


# ---- which controller ----


def test_the_controller_is_named_by_option_environment_or_context(atoll, controller, work_dir):
    assert atoll("status", "--controller", controller.url).returncode == 0
    assert atoll("status", env={"ATOLL_CONTROLLER": controller.url + "/"}).returncode == 0
    config = work_dir / ".config/atoll/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"currentContext: b\ncontexts:\n  - {{name: a, controller: '{free_url()}'}}\n  - {{name: b, controller: '{controller.url}'}}\n")
    assert atoll("status").returncode == 0
    assert atoll("status", "--controller", free_url()).returncode == 3
    config.write_text("currentContext: c\ncontexts: []\n")
    wrong = atoll("status")
    assert wrong.returncode == 2
    assert f"{config}:1:17: error: there is no context of this name under contexts" in wrong.stderr


def test_without_a_controller_it_says_what_to_do(atoll):
    done = atoll("status")
    assert done.returncode == 3
    assert "--controller URL" in done.stderr and "atoll sandbox up" in done.stderr and done.stdout == ""
    gone = atoll("status", "--controller", free_url())
    assert gone.returncode == 3 and "can't be reached" in gone.stderr


def test_a_sandbox_folder_beats_the_configured_context(atoll, controller, work_dir):
    config = work_dir / ".config/atoll/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"currentContext: a\ncontexts: [{{name: a, controller: '{controller.url}'}}]\n")
    for done in (atoll("status", env={"ATOLL_SANDBOX_DIR": str(work_dir / "none")}), atoll("status", "--dir", work_dir / "none")):
        assert done.returncode == 3 and "there is no sandbox in" in done.stderr
    both = atoll("status", "--dir", work_dir, "--controller", controller.url)
    assert both.returncode == 2


# ---- status ----


def test_status_in_every_format(atoll, controller):
    table = atoll("status", "--controller", controller.url)
    assert table.returncode == 0 and table.stderr == "" and "\033" not in table.stdout
    lines = table.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 100
    assert "mongo-node1  PRIMARY" in table.stdout
    assert json.loads(atoll("status", "-o", "json", "--controller", controller.url).stdout) == HEALTHY
    assert yaml.safe_load(atoll("status", "-o", "yaml", "--controller", controller.url).stdout) == HEALTHY
    assert "mongo-rc1-x7k2p" in atoll("status", "-o", "wide", "--controller", controller.url).stdout
    one = atoll("status", "mongo", "-o", "json", "--controller", controller.url)
    assert json.loads(one.stdout) == HEALTHY["sets"][0]
    none = atoll("status", "nope", "--controller", controller.url)
    assert none.returncode == 1 and "showing the status of nope" in none.stderr and none.stdout == ""


def test_names_are_escaped_on_their_way_into_paths(atoll, controller):
    atoll("status", "a/b?c", "--controller", controller.url)
    assert controller.requests[-1][1] == "/status/sets/a%2Fb%3Fc"


def test_exit_code_tells_of_health_only_when_asked(atoll, controller):
    assert atoll("status", "--exit-code", "--controller", controller.url).returncode == 0
    controller.answers["GET /status"] = (200, JOINING)
    assert atoll("status", "--controller", controller.url).returncode == 0
    assert atoll("status", "--exit-code", "--controller", controller.url).returncode == 1


def test_colours_only_on_a_terminal_and_never_with_no_color(bin_dir, controller, work_dir):
    def on_terminal(**more):
        ours, theirs = pty.openpty()
        environment = {"HOME": str(work_dir), "TERM": "xterm", "PATH": os.environ["PATH"]} | more
        process = subprocess.Popen([bin_dir / "atoll", "status", "--controller", controller.url], stdout=theirs, env=environment)
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):  # the terminal's end is an error on Linux
            while part := os.read(ours, 65536):
                text += part
        os.close(ours)
        assert process.wait(timeout=60) == 0
        return text

    assert b"\033[32m" in on_terminal()
    assert b"\033" not in on_terminal(NO_COLOR="1")


def test_watch_shows_each_change_and_survives_a_lost_stream(bin_dir, controller, work_dir):
    changed = "event: status\ndata: {\"revision\":120,\"etag\":\"120\"}\n\n"
    controller.answers["GET /status"] = [(200, HEALTHY), (200, JOINING)]
    controller.answers["GET /events"] = [": nothing\n\n", changed, ": nothing\n\n"]
    process = subprocess.Popen([bin_dir / "atoll", "status", "--watch", "-o", "json", "--controller", controller.url], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, env={"HOME": str(work_dir)})
    try:
        seen = [json.loads(process.stdout.readline())["revision"] for _ in range(2)]
    finally:
        process.kill()
        process.communicate()
    assert seen == [118, 120]


# ---- apply, diff, validate ----


def test_apply_sends_the_file_as_it_is_written(atoll, controller, spec_file):
    controller.answers["PUT /v1/federation"] = (200, {"revision": 7, "changed": True, "warnings": [], "diff": ["set mongo added"]})
    done = atoll("apply", "-f", spec_file, "--controller", controller.url)
    assert (done.returncode, done.stdout) == (0, "set mongo added\napplied as revision 7\n")
    method, _path, headers, body = controller.requests[-1]
    assert (method, headers["Content-Type"], body) == ("PUT", "application/yaml", SPEC)
    as_input = atoll("apply", "-f", "-", "-o", "json", "--controller", controller.url, stdin=SPEC)
    assert json.loads(as_input.stdout)["revision"] == 7


def test_overlays_are_merged_before_they_are_sent(atoll, controller, spec_file, work_dir):
    overlay = work_dir / "test.yaml"
    overlay.write_text("spec: {sets: [{name: mongo, image: 'mongo:6.0'}]}\n")
    controller.answers["PUT /v1/federation?dryRun=true"] = (200, {"revision": 7, "changed": True, "diff": []})
    done = atoll("apply", "-f", spec_file, "-f", overlay, "--dry-run", "--controller", controller.url)
    assert done.returncode == 0 and "dry run" in done.stdout
    _method, path, headers, body = controller.requests[-1]
    assert path == "/v1/federation?dryRun=true" and headers["Content-Type"] == "application/json"
    assert json.loads(body)["spec"]["sets"][0]["image"] == "mongo:6.0"


def test_nothing_is_sent_from_a_file_with_an_error(atoll, controller, work_dir):
    bad = work_dir / "bad.yaml"
    bad.write_text(SPEC + "  zonse: []\n  other: 1\n")
    for command in ("apply", "diff", "validate"):
        more = [] if command == "validate" else ["--controller", controller.url]
        done = atoll(command, "-f", bad, *more)
        assert done.returncode == 2 and done.stdout == ""
        assert re.search(r"bad\.yaml:10:3: error: .*zonse", done.stderr) and "bad.yaml:11:3: error:" in done.stderr
    missing = atoll("validate", "-f", work_dir / "none.yaml")
    assert missing.returncode == 2 and "none.yaml" in missing.stderr
    assert controller.requests == []


@pytest.mark.parametrize("status, code, expected", [(422, "invalid", 2), (412, "conflict", 4), (403, "refused", 4), (503, "unavailable", 3)])
def test_refusals_have_their_exit_codes_and_their_places(atoll, controller, spec_file, status, code, expected):
    details = ["request body:7:7: error: set old is missing; write {name: old, state: absent}"]
    controller.answers["PUT /v1/federation"] = (status, {"error": {"code": code, "message": "it is not applied", "details": details}})
    done = atoll("apply", "-f", spec_file, "--controller", controller.url)
    assert done.returncode == expected and done.stdout == ""
    assert f"{spec_file}:7:7: error: set old is missing" in done.stderr
    assert "it is not applied. Nothing was applied" in done.stderr


def test_a_refusal_repeats_no_warning_and_names_no_line_of_a_merged_body(atoll, controller, spec_file, work_dir):
    """Each warning came twice, and errors in overlays at lines of a document that nobody had seen."""
    spec_file.write_text(SPEC.replace(", driver: local", ""))
    details = ["request body:7:7: warning: set mongo has no sourceRanges", "request body:27:19: error: disks only grow"]
    controller.answers["PUT /v1/federation"] = (422, {"error": {"code": "invalid", "message": "it is not applied", "details": details}})
    alone = atoll("apply", "-f", spec_file, "--controller", controller.url)
    assert alone.stderr.count('set mongo has no "sourceRanges"') == 1 and "no sourceRanges" not in alone.stderr
    assert f"{spec_file}:27:19: error: disks only grow" in alone.stderr
    overlay = work_dir / "test.yaml"
    overlay.write_text("metadata: {name: prod}\n")
    merged = atoll("apply", "-f", spec_file, "-f", overlay, "--controller", controller.url)
    assert "\nerror: disks only grow\n" in merged.stderr and "request body" not in merged.stderr


def test_apply_waits_for_nobody_who_has_left(atoll, controller, spec_file):
    """`apply --wait` with "state: absent" never ended: the member that had left was waited for."""
    gone = json.loads(json.dumps(HEALTHY))
    member = gone["sets"][0]["members"][2]
    member |= {"healthy": False, "state": "UNKNOWN", "phase": "Removed"}
    gone["sets"].append({"name": "old", "phase": "Removed", "members": [member]})
    controller.answers |= {"PUT /v1/federation": (200, {"revision": 118, "changed": True, "diff": []}), "GET /status": (200, gone)}
    done = atoll("apply", "-f", spec_file, "--wait", "--timeout", 60, "--controller", controller.url)
    assert done.returncode == 0, done.stderr
    assert atoll("status", "--exit-code", "--controller", controller.url).returncode == 0
    assert atoll("wait", "old", "--for", "phase=Removed", "--timeout", 60, "--controller", controller.url).returncode == 0
    assert atoll("wait", "old", "--for", "healthy", "--timeout", 1, "--controller", controller.url).returncode == 1


@pytest.mark.parametrize("answer, expected", [((200, {"revision": 1, "diff": []}), 0), ((200, {"revision": 1, "diff": ["set a added"]}), 1),
                                              ((404, {}), 2), ((500, {}), 3), ((422, {}), 2)])
def test_diff_exits_like_diff(atoll, controller, spec_file, answer, expected):
    controller.answers["POST /v1/federation:diff"] = answer
    done = atoll("diff", "-f", spec_file, "--controller", controller.url)
    assert done.returncode == expected
    assert done.stdout == ("set a added\n" if expected == 1 else "")


def test_apply_waits_for_the_status_of_its_own_revision(atoll, controller, spec_file):
    controller.answers["PUT /v1/federation"] = (200, {"revision": 119, "changed": True, "diff": []})
    newer = HEALTHY | {"revision": 119}
    controller.answers["GET /status"] = [(200, HEALTHY), (200, JOINING), (200, newer)]
    done = atoll("apply", "-f", spec_file, "--wait", "--controller", controller.url)
    assert done.returncode == 0 and "Every set is healthy" in done.stderr
    assert "zone europe-west1-d: Pending" in done.stderr  # progress, as plain lines
    assert sum(path == "/status" for _method, path, _headers, _body in controller.requests) == 3
    controller.answers["GET /status"] = (200, HEALTHY)
    late = atoll("apply", "-f", spec_file, "--wait", "--timeout", 1, "--controller", controller.url)
    assert late.returncode == 1 and "atoll explain" in late.stderr
    assert atoll("apply", "-f", spec_file, "--timeout", 1, "--controller", controller.url).returncode == 2


# ---- the rest ----


def test_explain_and_why_not(atoll, controller):
    controller.answers["GET /v1/sets/mongo/explain"] = (200, EXPLAIN)
    done = atoll("explain", "mongo", "--controller", controller.url)
    assert done.returncode == 0
    assert done.stdout.startswith("Set mongo is Joining.\n  mongo-node3 copies the data of the others (for ")
    assert "ended by MongoDB, rule 41" in done.stdout
    why = atoll("explain", "mongo", "--why-not", "give-vote", "--controller", controller.url)
    assert "rule 42 vote_synced: not met: mongo-node3 is SECONDARY" in why.stdout
    unknown = atoll("explain", "mongo", "--why-not", "fly", "--controller", controller.url)
    assert unknown.returncode == 2 and "give_vote" in unknown.stderr
    assert json.loads(atoll("explain", "mongo", "-o", "json", "--controller", controller.url).stdout) == EXPLAIN


REPLAYS = pathlib.Path(__file__).resolve().parents[1] / "replay"


def test_replay_says_what_is_decided_and_by_which_rule(atoll):
    done = atoll("replay", REPLAYS / "moved-address.json")
    assert done.returncode == 0, done.stderr
    assert "rule 50 follow-moved-address: mongo-node2 has moved from" in done.stdout
    assert "does: reconfigure, on member 1, to version 2" in done.stdout and "all decided as was recorded" in done.stdout
    assert atoll("replay", "-", stdin=(REPLAYS / "moved-address.json").read_text()).stdout == done.stdout


def test_replay_says_where_it_differs_and_exits_1(atoll, work_dir):
    changed = (REPLAYS / "moved-address.json").read_text().replace('"plan":{"phase":"Reconfiguring","rule":50', '"plan":{"phase":"Healthy","rule":99', 1)
    (work_dir / "changed.json").write_text(changed)
    done = atoll("replay", work_dir / "changed.json")
    assert done.returncode == 1 and "differs at rule: recorded 99, decided now 50" in done.stdout
    answer = json.loads(atoll("replay", work_dir / "changed.json", "-o", "json").stdout)
    assert answer["different"] == 1 and [entry["same"] for entry in answer["entries"]].count(False) == 1
    differences = next(entry for entry in answer["entries"] if not entry["same"])["differences"]
    assert {"path": "phase", "recorded": "Healthy", "decided": "Reconfiguring"} in differences


@pytest.mark.parametrize("text, says", [("", "JSON"), ('{"kind": "Federation"}', "is no journal"), ("\x1b]0;evil", "JSON")])
def test_replay_refuses_what_is_no_journal(atoll, text, says):
    done = atoll("replay", "-", stdin=text)
    assert done.returncode == 2 and "standard input" in done.stderr and says in done.stderr and "\x1b" not in done.stderr
    assert atoll("replay", "/nowhere/journal.json").returncode == 2


def test_events_and_following_them(atoll, bin_dir, controller, work_dir):
    controller.answers["GET /v1/events?limit=1000&set=mongo"] = (200, {"events": EVENTS})
    done = atoll("events", "mongo", "--controller", controller.url)
    assert done.returncode == 0
    assert "2026-11-23T08:00:00Z  Normal   AddressAssigned         mongo-node1     it has the address 104.1.2.3 (rule 7)" in done.stdout
    assert "evil \\x1b[2J text" in done.stdout and "\033" not in done.stdout
    assert json.loads(atoll("events", "mongo", "-o", "json", "--controller", controller.url).stdout) == {"events": EVENTS}
    newer = [EVENTS[1], EVENTS[0] | {"id": 7}, EVENTS[0] | {"id": 8}]
    texts = [f"id: {event['id']}\nevent: event\ndata: {json.dumps(event)}\n\n" for event in newer]
    controller.answers["GET /events?set=mongo"] = [texts[0] + texts[1], texts[2], ": nothing\n\n"]
    process = subprocess.Popen([bin_dir / "atoll", "events", "mongo", "--follow", "-o", "json", "--controller", controller.url],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"HOME": str(work_dir)})
    try:
        seen = [json.loads(process.stdout.readline())["id"] for _ in range(4)]
    finally:
        process.kill()
        process.communicate()
    assert seen == [5, 6, 7, 8]  # each once, over a lost stream
    resumed = [headers.get("Last-Event-ID") for _method, path, headers, _body in controller.requests if path.startswith("/events")]
    assert resumed[:2] == ["6", "7"]


def test_wait_ends_when_the_condition_holds_or_the_time_is_over(atoll, controller):
    for condition in ("healthy", "primary", "phase=Healthy", "phase=healthy"):
        assert atoll("wait", "mongo", "--for", condition, "--controller", controller.url).returncode == 0
    controller.answers["GET /status"] = [(200, JOINING), (200, HEALTHY)]
    assert atoll("wait", "mongo", "--for", "healthy", "--controller", controller.url).returncode == 0
    controller.answers["GET /status"] = (200, JOINING)
    began = time.monotonic()
    late = atoll("wait", "mongo", "--for", "healthy", "--timeout", 1, "--controller", controller.url)
    assert late.returncode == 1 and 0.9 < time.monotonic() - began < 60
    assert "never been heard of" in late.stderr
    assert atoll("wait", "mongo", "--for", "phase=Great", "--controller", controller.url).returncode == 2
    assert atoll("wait", "mongo", "--for", "healthy", "--timeout", 1, "--controller", free_url()).returncode == 3


def test_the_connection_string_alone_is_on_standard_output(atoll, controller):
    done = atoll("connection-string", "mongo", "--controller", controller.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, HEALTHY["sets"][0]["connectionString"] + "\n", "")
    controller.answers["GET /status/sets/mongo"] = (200, HEALTHY["sets"][0] | {"connectionString": ""})
    assert atoll("connection-string", "mongo", "--controller", controller.url).returncode == 1


@pytest.mark.parametrize("body", ["", "no json", "[" * 100000, '{"a":1} x'])
def test_an_answer_that_is_no_json_is_said(atoll, controller, body):
    controller.answers["GET /status"] = (200, body)
    done = atoll("status", "--controller", controller.url)
    assert done.returncode == 3 and "reading the controller's answer" in done.stderr


def test_validate_prints_the_merged_spec(atoll, spec_file, work_dir):
    overlay = work_dir / "o.yaml"
    overlay.write_text("metadata: {name: test}\n")
    done = atoll("validate", "-f", spec_file, "-f", overlay, "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["metadata"]["name"] == "test"
    plain = atoll("validate", "-f", spec_file)
    assert plain.stdout == "valid: federation prod, zones: 1, sets: 1, members: 1\n"


def test_a_reader_that_has_seen_enough_is_no_error_message(bin_dir, controller, work_dir):
    line = f"'{bin_dir}/atoll' status -o json --controller {controller.url} | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env={"HOME": str(work_dir), "PATH": os.environ["PATH"]}, timeout=60)
    assert done.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_sandbox_is_left_alone_and_said_to_be_theirs(atoll, bin_dir, work_dir):
    """Root was told that another `atoll sandbox down` was at work; the other user, that there was no sandbox."""
    folder = work_dir / "theirs"
    folder.mkdir(mode=0o700)
    (folder / "sandbox.json").write_text("{}")
    os.chown(folder, 65534, 65534)
    done = atoll("sandbox", "down", "--dir", folder)
    assert done.returncode == 4 and "belongs to another user" in done.stderr and (folder / "sandbox.json").exists()
    os.chown(folder, 0, 0)
    work_dir.chmod(0o755)
    for command in (["status"], ["sandbox", "down"]):
        done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", bin_dir / "atoll", *command, "--dir", folder], capture_output=True, text=True)
        assert done.returncode == 4 and "belongs to another user" in done.stderr
