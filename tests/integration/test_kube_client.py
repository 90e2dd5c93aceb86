"""The agent's Kubernetes client before servers that refuse, stall, lie and die. tests/kubernetes has the real one."""
import os
import pathlib
import stat
import sys
import time

import pytest

import fake_apiserver as fake
from fake_apiserver import FakeServer, event, hang_up, list_or_watch, pod, pods, refuse, value, watch
from kube_probe import Probe

pytestmark = [pytest.mark.asan, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore:ssl.TLSVersion")]
PODS = "/api/v1/namespaces/default/pods"
PROGRAM = pathlib.Path(os.environ.get("ATOLL_BIN", "build/bin")).resolve() / "atoll-kube-probe"


@pytest.fixture
def server(tmp_path):
    made = FakeServer(tmp_path)
    yield made
    made.close()


@pytest.fixture
def start(server):
    """Starts the client: start(user=…, env=…, other keys of the cluster)."""
    probes = []

    def make(user=None, env=None, words=None, **cluster):
        words = words or ("kubeconfig", server.kubeconfig(user, **cluster))
        probes.append(Probe(PROGRAM, *words, env=env))
        return probes[-1]

    yield make
    for probe in probes:
        probe.end()


# ---- TLS ----


def test_a_token_goes_only_to_the_server_whose_certificate_verifies(server, start):
    server.answers["/version"] = [value({"gitVersion": "v1.32.0"})]
    answer = start().ask("GET", "/version")
    assert (answer["status"], answer["body"]) == (200, {"gitVersion": "v1.32.0"})
    assert server.asked[0].headers["Authorization"] == "Bearer right"
    fake.make_authority(server.folder, "other")
    probe = start(**{"certificate-authority-data": None, "certificate-authority": "other.crt"})
    answer = probe.ask("GET", "/version")
    assert answer["error"] == "refused" and "certificate" in answer["words"]
    assert len(server.asked) == 1


def test_the_systems_authorities_do_not_count_when_there_is_a_ca(server, start, tmp_path):
    """And without a CA in the kubeconfig the system's are asked, which don't know this server."""
    answer = start(**{"certificate-authority-data": None}).ask("GET", "/version")
    assert answer["error"] == "refused" and not server.asked


def test_a_certificate_for_another_name_is_refused_unless_that_name_is_given(tmp_path, start, server):
    folder = tmp_path / "named"
    folder.mkdir()
    named = FakeServer(folder, "DNS:kubernetes.example")
    try:
        named.answers["/version"] = [value({})]
        answer = start(words=("kubeconfig", named.kubeconfig())).ask("GET", "/version")
        assert answer["error"] == "refused" and not named.asked
        path = named.kubeconfig(**{"tls-server-name": "kubernetes.example"})
        assert start(words=("kubeconfig", path)).ask("GET", "/version")["status"] == 200
        assert named.asked[0].headers["Host"] == f"127.0.0.1:{named.port}"
        path = named.kubeconfig(**{"tls-server-name": "wrong.example"})
        assert start(words=("kubeconfig", path)).ask("GET", "/version")["error"] == "refused"
    finally:
        named.close()


def test_nothing_below_tls_1_2_is_spoken(server, start):
    server.context.minimum_version = fake.ssl.TLSVersion.TLSv1
    server.context.maximum_version = fake.ssl.TLSVersion.TLSv1_1
    server.context.set_ciphers("ALL:@SECLEVEL=0")
    lenient = server.folder / "openssl.cnf"  # so that it is our own refusal, not the system's
    lenient.write_text("openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
    probe = start(env={**os.environ, "OPENSSL_CONF": str(lenient)})
    probe.do(do="request", method="GET", path="/version", deadlineMs=1500)
    assert probe.next("answer")["error"] == "unreachable"
    assert not server.asked


def test_a_client_certificate_is_shown(server, start):
    fake.make_certificate(server.folder, "agent")
    server.answers["/version"] = [value({})]
    assert start({"client-certificate": "agent.crt", "client-key": "agent.key"}).ask("GET", "/version")["status"] == 200
    assert server.asked[0].subject["commonName"] == "agent"
    assert "Authorization" not in server.asked[0].headers


# ---- credentials that change ----


def right_token(token):
    """Answers 401 to any other."""
    def answer(handler, asked):
        good = asked.headers.get("Authorization") == f"Bearer {token}"
        (value({}) if good else refuse(401, "Unauthorized"))(handler, asked)

    return answer


def test_a_rotated_token_file_is_read_again(server, start):
    (server.folder / "token").write_text("first\n")
    server.answers["/version"] = [right_token("first")]
    probe = start({"tokenFile": "token"})
    assert probe.ask("GET", "/version")["status"] == 200
    (server.folder / "token").write_text("second\n")
    server.answers["/version"] = [right_token("second")]
    assert probe.ask("GET", "/version")["status"] == 200
    assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer first", "Bearer first", "Bearer second"]


def test_a_token_that_is_refused_for_good_is_told_after_one_more_try(server, start):
    (server.folder / "token").write_text("wrong\n")
    server.answers["/version"] = [right_token("right")]
    answer = start({"tokenFile": "token"}).ask("GET", "/version")
    assert (answer["status"], answer["reason"], answer["error"]) == (401, "Unauthorized", "refused")
    assert len(server.asked) == 2


def test_a_pod_speaks_with_its_service_account(server, start):
    for name, text in (("token", "right"), ("namespace", "default"), ("ca.crt", (server.folder / "ca.crt").read_text())):
        (server.folder / name).write_text(text)
    server.answers["/version"] = [right_token("right")]
    env = {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
    assert start(words=("in-cluster", server.folder), env=env).ask("GET", "/version")["status"] == 200


PLUGIN = """#!{python}
import json, os, sys, time
count = open({runs!r}, "a"); count.write("x"); count.close()
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert info["spec"]["cluster"]["server"] == {url!r}
{more}
print(json.dumps({{"apiVersion": info["apiVersion"], "kind": "ExecCredential",
                  "status": {{"token": os.environ["SAY"] + sys.argv[1], "expirationTimestamp": {expires!r}}}}}))
"""


def write_plugin(server, more="", expires="2999-01-01T00:00:00Z"):
    path, runs = server.folder / "plugin", server.folder / "runs"
    runs.write_text("")
    path.write_text(PLUGIN.format(python=sys.executable, runs=str(runs), url=server.url, more=more, expires=expires))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "args": ["-1"], "provideClusterInfo": True,
                     "env": [{"name": "SAY", "value": "token"}]}}


def test_a_plugin_runs_once_and_its_token_is_kept(server, start):
    user = write_plugin(server)
    server.answers["/version"] = [right_token("token-1")]
    probe = start(user)
    for _ in range(5):
        probe.do(do="request", method="GET", path="/version")
    assert [probe.next("answer")["status"] for _ in range(5)] == [200] * 5
    assert (server.folder / "runs").read_text() == "x"


def test_a_plugin_runs_again_when_its_token_has_expired_or_is_refused(server, start):
    user = write_plugin(server, expires="2001-01-01T00:00:00Z")
    server.answers["/version"] = [right_token("token-1")]
    probe = start(user)
    answer = probe.ask("GET", "/version", deadlineMs=1000)
    assert "has expired" in answer["words"] and not server.asked
    assert (server.folder / "runs").read_text() == "x", "a plugin that doesn't help is left alone for a while"
    probe.end()
    user = write_plugin(server)
    server.answers["/version"] = [refuse(401, "Unauthorized"), right_token("token-1")]
    assert start(user).ask("GET", "/version")["status"] == 200
    assert (server.folder / "runs").read_text() == "xx"


def test_a_plugin_that_fails_says_why(server, start):
    user = write_plugin(server, "sys.exit('please log in')")
    answer = start(user).ask("GET", "/version", deadlineMs=1000)
    assert "exit status 1" in answer["words"] and "please log in" in answer["words"]


def test_a_plugin_that_never_ends_does_not_outlive_us(server, start):
    user = write_plugin(server, "os.system('sleep 300')")
    probe = start(user)
    probe.do(do="request", method="GET", path="/version")
    deadline = time.monotonic() + 10
    while (server.folder / "runs").read_text() != "x":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    probe.end()
    group = [entry for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline") if str(server.folder / "plugin").encode() in read(entry)]
    assert not group


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


# ---- requests ----


def test_too_many_requests_waits_as_long_as_asked(server, start):
    server.answers["/x"] = [refuse(429, "TooManyRequests", Retry_After="1"), value({"a": 1})]
    assert start().ask("POST", "/x", body={})["status"] == 200
    first, second = server.asked
    assert second.at - first.at >= 1.0


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_server_in_trouble_is_asked_again(server, start, method):
    server.answers["/x"] = [refuse(503, "ServiceUnavailable"), hang_up, refuse(500, "InternalError"), value({})]
    assert start().ask(method, "/x")["status"] == 200
    assert len(server.asked) == 4


def test_a_post_that_may_have_been_done_is_not_made_again(server, start):
    server.answers["/x"] = [hang_up, value({})]
    answer = start().ask("POST", "/x", body={"a": 1})
    assert answer["error"] in ("unreachable", "protocol") and len(server.asked) == 1


@pytest.mark.parametrize("status,reason,error", [(404, "NotFound", "not_found"), (409, "AlreadyExists", "conflict"), (403, "Forbidden", "refused"),
                                                  (422, "Invalid", "invalid")])
def test_what_the_server_decided_goes_to_the_caller(server, start, status, reason, error):
    server.answers["/x"] = [refuse(status, reason)]
    answer = start().ask("GET", "/x?pretty=1")
    assert (answer["status"], answer["reason"], answer["message"], answer["error"], answer["detail"]) == (status, reason, "words", error, status)
    assert answer["words"] == f"GET /x: {status} {reason}: words"
    assert len(server.asked) == 1


def test_a_deadline_ends_a_slow_server(server, start):
    server.answers["/x"] = [fake.sleep_for(server, 20, value({}))]
    begun = time.monotonic()
    answer = start().ask("GET", "/x", deadlineMs=700)
    assert answer["error"] == "timeout" and time.monotonic() - begun < 18


def test_an_answer_above_its_bound_is_not_kept(server, start):
    server.answers["/x"] = [value({"a": "x" * (3 << 20)})]
    assert start().ask("GET", "/x")["error"] == "too_large"


def test_a_canceled_request_says_so_and_others_go_on(server, start):
    server.answers["/slow"] = [fake.sleep_for(server, 20, value({}))]
    server.answers["/x"] = [value({})]
    probe = start()
    probe.do(do="request", method="GET", path="/slow")
    probe.do(do="cancel", id=1)
    assert probe.next("answer")["error"] == "canceled"
    assert probe.ask("GET", "/x")["status"] == 200


def test_the_end_answers_all_that_wait(server, start):
    server.answers["/slow"] = [fake.sleep_for(server, 20, value({}))]
    probe = start()
    for _ in range(20):
        probe.do(do="request", method="GET", path="/slow")
    probe.do(do="watch", path="/slow")
    probe.end()
    lines = []
    while (line := probe.lines.get()) is not None:
        lines.append(line)
    assert [line["error"] for line in lines if line["event"] == "answer"] == ["canceled"] * 20


def test_apply_is_server_side(server, start):
    server.answers["/x"] = [value({})]
    probe = start()
    assert probe.apply("/x", {"kind": "Service"})["status"] == 200
    probe.apply("/x", {"kind": "Service"}, force=True, dryRun=True)
    first, second = server.asked
    assert (first.method, first.path, first.body) == ("PATCH", "/x?fieldManager=atoll&force=false", b'{"kind":"Service"}')
    assert first.headers["Content-Type"] == "application/apply-patch+yaml"
    assert second.path == "/x?fieldManager=atoll&force=true&dryRun=All"


@pytest.mark.parametrize("versions,expected", [(["v1", "v1beta1"], True), (["v1beta1"], False)])
def test_discovery(server, start, versions, expected):
    server.answers["/version"] = [value({"major": "1", "minor": "20+", "gitVersion": "v1.20.2-gke.1"})]
    server.answers["/apis/policy"] = [value({"kind": "APIGroup", "versions": [{"groupVersion": f"policy/{version}"} for version in versions]})]
    probe = start()
    probe.do(do="discover")
    found = probe.next("server")
    assert (found["version"], found["minor"], found["policyV1"], found["discoveryV1"], found["atLeast121"]) == ("v1.20.2-gke.1", 20, expected, False, False)


# ---- lists and watches ----


def test_a_list_is_read_page_by_page_then_watched(server, start):
    lists = [value(pods(pod("a"), pod("b"), version="10", more="T/1=")), value(pods(pod("c"), version="11"))]
    server.answers[PODS] = list_or_watch(lists, [watch(server, event("ADDED", pod("d", "12")), event("MODIFIED", pod("a", "13")), event("DELETED", pod("b", "14")))])
    probe = start()
    probe.do(do="watch", path=PODS, labels="atoll.dev/federation=x", page=2)
    lines = [probe.next() for _ in range(8)]
    assert [(line["event"], line.get("name")) for line in lines] == [
        ("list", None), ("added", "a"), ("added", "b"), ("added", "c"), ("listed", None), ("added", "d"), ("modified", "a"), ("deleted", "b")]
    paths = [asked.path.partition("?")[2] for asked in server.asked]
    assert paths[:2] == ["limit=2&labelSelector=atoll.dev%2Ffederation%3Dx", "limit=2&continue=T%2F1%3D&labelSelector=atoll.dev%2Ffederation%3Dx"]
    assert "watch=true&allowWatchBookmarks=true" in paths[2] and "resourceVersion=10&" in paths[2], "the version of the list's first page"


def versions_of_watches(server):
    return [asked.path.partition("resourceVersion=")[2].partition("&")[0] for asked in server.asked_for(PODS) if "watch=true" in asked.path]


@pytest.mark.parametrize("end", ["end", "cut"])
def test_a_watch_that_ends_goes_on_from_the_last_version(server, start, end):
    server.answers[PODS] = list_or_watch([value(pods())], [
        watch(server, event("ADDED", pod("a", "11")), event("BOOKMARK", pod("", "42")), end=end), watch(server, event("ADDED", pod("b", "43")))])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("added", name="b")
    assert versions_of_watches(server) == ["10", "42"]
    assert [line["event"] for line in probe.seen] == ["list", "listed", "added", "added"], "nobody is told of what heals at once"


def test_an_event_cut_in_its_middle_is_not_taken(server, start):
    whole = event("ADDED", pod("a", "11"))
    server.answers[PODS] = list_or_watch([value(pods())], [watch(server, whole[:50], end="cut"), watch(server, *(whole[i:i + 1] for i in range(len(whole))))])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("added", name="a")
    assert versions_of_watches(server) == ["10", "10"]


def test_a_watch_that_falls_silent_is_dialled_again_over_another_connection(server, start):
    server.answers[PODS] = list_or_watch([value(pods())], [watch(server, event("BOOKMARK", pod("", "42"))), watch(server, event("ADDED", pod("a", "43")))])
    probe = start()
    probe.do(do="watch", path=PODS, silenceMs=600)
    probe.next("added", name="a")
    assert versions_of_watches(server)[:2] == ["10", "42"]
    assert not [line for line in probe.seen if line["event"] == "problem"]


@pytest.mark.parametrize("gone", [
    lambda server: refuse(410, "Expired"),
    lambda server: watch(server, event("ADDED", pod("x", "11")), event("ERROR", fake.status_of(410, "Expired"))),
])
def test_gone_lists_again(server, start, gone):
    server.answers[PODS] = list_or_watch([value(pods(pod("a"))), value(pods(pod("b"), version="50"))], [gone(server), watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("listed")
    probe.next("list")
    probe.next("added", name="b")
    probe.next("listed")
    wait_until(lambda: len(versions_of_watches(server)) == 2)
    assert versions_of_watches(server) == ["10", "50"]
    assert not [line for line in probe.seen if line["event"] == "problem"]


def test_a_server_that_always_says_gone_is_not_hammered(server, start):
    server.answers[PODS] = list_or_watch([value(pods())], [refuse(410, "Expired")])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("listed")
    time.sleep(3)  # what is measured is what happens in a time
    assert len(versions_of_watches(server)) <= 7


def test_a_page_that_has_expired_begins_the_list_anew(server, start):
    lists = [value(pods(pod("a"), more="t")), refuse(410, "Expired"), value(pods(pod("b"), version="20"))]
    server.answers[PODS] = list_or_watch(lists, [watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("listed")
    assert [line["event"] for line in probe.seen] == ["list", "added", "list", "added", "listed"]
    assert "continue" not in server.asked_for(PODS)[2].path


def test_a_cut_list_is_never_taken_for_whole(server, start):
    def cut(handler, _asked):
        stream = fake.Stream(handler)
        stream.send(fake.json.dumps(pods(pod("a"), pod("b"))).encode()[:-40])
        stream.cut()

    server.answers[PODS] = list_or_watch([cut, value(pods(pod("c")))], [watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("problem")
    probe.next("listed")
    events = [line["event"] for line in probe.seen]
    assert events.index("listed") > events.index("problem") and events.count("list") == 2
    probe.next("good")


def test_an_object_above_its_bound_is_told_and_never_taken_for_gone(server, start):
    server.answers[PODS] = list_or_watch([value(pods(pod("a"), pod("big", filling=100000)))], [watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS, objectBytes=20000)
    problem = probe.next("problem")
    assert problem["error"] == "too_large" and "20000 bytes" in problem["words"] and PODS in problem["words"]
    assert not [line for line in probe.seen if line["event"] == "listed"]
    server.answers[PODS] = list_or_watch([value(pods(pod("a")))], [watch(server, event("ADDED", pod("big", "12", filling=100000))), watch(server)])
    probe.next("listed")
    probe.next("problem", error="too_large")


def test_a_refusal_is_told_once_and_its_end_too(server, start):
    server.answers[PODS] = list_or_watch([refuse(403, "Forbidden")], [watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS)
    problem = probe.next("problem")
    assert (problem["error"], problem["detail"]) == ("refused", 403) and f"the list of {PODS}" in problem["words"]
    wait_until(lambda: len(server.asked) >= 3)
    server.answers[PODS] = list_or_watch([value(pods())], [watch(server)])
    probe.next("good")
    assert [line["event"] for line in probe.seen if line["event"] == "problem"] == ["problem"]


def test_a_list_waits_as_long_as_asked(server, start):
    server.answers[PODS] = list_or_watch([refuse(429, "TooManyRequests", Retry_After="2"), value(pods())], [watch(server)])
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("listed")
    assert server.asked[1].at - server.asked[0].at >= 2


def test_a_server_that_is_away_for_a_while_is_found_again(server, start):
    port = server.port
    server.answers[PODS] = list_or_watch([value(pods())], [watch(server, end="cut"), watch(server, event("ADDED", pod("a", "11")))])
    probe = start()
    server.server.server_close()
    server.server.socket = fake.socket.create_server(("127.0.0.1", 0))  # something else, so that the thread goes on
    probe.do(do="watch", path=PODS)
    assert probe.next("problem")["error"] == "unreachable"
    server.server.socket.close()
    server.server.socket = None
    server.server.shutdown()
    server.server.socket = fake.socket.create_server(("127.0.0.1", port))
    server.thread = fake.threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    server.thread.start()
    probe.next("good")
    probe.next("added", name="a")


def test_a_stopped_watch_says_nothing_more(server, start):
    server.answers[PODS] = list_or_watch([value(pods())], [watch(server, *[event("ADDED", pod("a", str(i))) for i in range(100)])])
    server.answers["/x"] = [value({})]
    probe = start()
    probe.do(do="watch", path=PODS)
    probe.next("listed")
    probe.do(do="stop")
    probe.do(do="memory")
    probe.next("memory")
    count = len(probe.seen)
    assert probe.ask("GET", "/x")["status"] == 200
    assert len(probe.seen) == count + 1


EVENTS, BATCH, ROUNDS, SAMPLES = 100, 10, 12, 30


def test_a_long_watch_does_not_grow(server, start):
    """Thousands of events over many resumed watches and lists anew: as much memory at the end as after the first of them."""
    names = [f"pod-{i}" for i in range(BATCH)]

    def busy(handler, asked):
        if "watch=true" not in asked.path:
            value(pods(*(pod(name, filling=2000) for name in names), version="1"))(handler, asked)
            return
        start_at = int(asked.path.partition("resourceVersion=")[2].partition("&")[0])
        stream = fake.Stream(handler)
        for i in range(EVENTS):
            stream.send(b"".join(event("MODIFIED", pod(name, str(start_at + i + 1), filling=2000)) for name in names))
        if start_at > EVENTS:
            stream.send(event("ERROR", fake.status_of(410, "Expired")))
        stream.end()

    server.answers[PODS] = [busy]
    # Without malloc's own caches, which fill over hours with sizes that are rare, a single lost block shows.
    probe = start(env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"})
    probe.do(do="watch", path=PODS, quiet=True)
    sizes = []
    for number in range(1, ROUNDS + 1):
        wait_until(lambda: probe.memory()["objects"] >= number * EVENTS * BATCH * 2, 50)
        sizes.append(min(probe.memory()["heapBytes"] for _ in range(SAMPLES)))  # some are taken while a buffer is in use
    assert probe.seen[-1]["objects"] >= 2 * ROUNDS * EVENTS * BATCH
    print(f"{probe.seen[-1]['objects']} events; bytes allocated: {sizes}; {probe.seen[-1]['anonymousKb']} KiB")
    if not is_sanitized():  # which has an allocator of its own, and looks for leaks at the end
        half = ROUNDS // 2  # beside what is usual: one moment with less than ever, between two watches, is no measure
        assert min(sizes[half:]) - sorted(sizes[:half])[1] <= 2500, sizes


def is_sanitized():
    return b"__asan_init" in PROGRAM.read_bytes()


def wait_until(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
