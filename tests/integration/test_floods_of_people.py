"""Floods of those who may come in: whatever a viewer asks for, agents stay connected, memory has its bound, and others are served."""
import contextlib
import http.client
import os
import socket
import time

import psutil
import pytest

from floods import Crowd, nobody_notices
from test_access import atoll, bearer, controller, make_token  # noqa: F401  (a fixture among them)
from test_floods import busy, metric  # noqa: F401  (a fixture among them)

MIB = 1 << 20
FLOOD_SECS = 12  # longer than a zone is silent before it is Unknown
BODIES_MAX = 64 * MIB


def large_spec(sets, members=40):
    """A real one: nothing in it is refused but what a federation that exists forbids."""
    zones = "".join(f"    - {{name: zone-number-{i}, driver: local}}\n" for i in range(200))
    text = [f"apiVersion: atoll/v1\nkind: Federation\nmetadata: {{name: test}}\nspec:\n  zones:\n    - {{name: z1, driver: local}}\n{zones}  sets:\n"]
    for number in range(sets):
        text.append(f"    - name: set-{number}\n      image: mongo:7.0\n      members:\n")
        text += [f"        - {{zone: zone-number-{(number * 7 + i) % 200}, labels: {{instance: freddy}}{', votes: 0, priority: 0' if i > 6 else ''}}}\n"
                 for i in range(members)]
    return "".join(text)


def people(controller, count):  # noqa: F811
    return [make_token(controller, f"viewer-{i}", "viewer")["token"] for i in range(count)]


def asker(controller, method, path, body, tokens, **headers):  # noqa: F811
    """Two functions for Crowd."""
    def connect(_number):
        return http.client.HTTPConnection(controller.url.hostname, controller.url.port, timeout=60)

    def ask(connection, number):
        connection.request(method, path, body, {**bearer(tokens[number % len(tokens)]), **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    return connect, ask


def seconds_of(busy, text):  # noqa: F811
    """Of one comparison, by somebody who isn't limited."""
    begun = time.monotonic()
    assert busy.ask("POST", "/v1/federation:diff", text).status == 422
    return time.monotonic() - begun


def flood(busy, crowd):  # noqa: F811
    """What the crowd got."""
    for agent in busy.agents:
        agent.slowest = 0
    with nobody_notices(lambda path: busy.get(path).json(), ("z1", "z2", "z3")) as look, crowd:
        until = time.monotonic() + FLOOD_SECS
        while time.monotonic() < until:
            look()
            time.sleep(0.2)
    slowest = max(agent.slowest for agent in busy.agents)
    print(f"answers: {crowd.statuses}, slowest heartbeat: {slowest:.2f} s")
    return crowd.statuses


@pytest.mark.timeout(240)
@pytest.mark.parametrize("count", [1, 8], ids=["one viewer", "eight viewers"])
def test_viewers_who_compare_large_specs_leave_agents_alone(busy, count):  # noqa: F811
    """0.8 MB are read, checked and compared in the loop that hears the agents: rates of requests alone let a viewer have all of it."""
    text = large_spec(240)
    assert 0.75 * MIB < len(text) < 0.95 * MIB
    alone = min(seconds_of(busy, text) for _ in range(3))
    statuses = flood(busy, Crowd(48, *asker(busy, "POST", "/v1/federation:diff", text, people(busy, count))))
    assert statuses.get(429, 0) > 50
    # a second at once and a fifth of each second after it, and all of them together two and two fifths; twice that, since machines are uneven
    allowed = min(count * (1 + 0.2 * FLOOD_SECS), 2 + 0.4 * FLOOD_SECS)
    assert 2 <= statuses[422] and statuses[422] * alone < 2 * allowed + 1, (statuses, alone)


def test_one_who_has_had_enough_waits_and_others_do_not(busy, bin_dir, work_dir):  # noqa: F811
    greedy, modest = people(busy, 2)
    text = large_spec(240)
    for _ in range(100):
        answer = busy.ask("POST", "/v1/federation:diff", text, bearer(greedy))
        if answer.status == 429:
            break
    assert answer.status == 429 and answer.error["code"] == "too_many_requests" and int(answer.headers["Retry-After"]) >= 1
    assert "work" in answer.error["message"]
    assert busy.ask("POST", "/v1/federation:diff", text, bearer(modest)).status == 422
    token = work_dir / "token"
    token.write_text(greedy)
    token.chmod(0o600)
    done = atoll(bin_dir, work_dir, busy, "status", "--token-file", token)
    assert done.returncode == 0, "the command line waits for so long as it is told to: " + done.stderr


# ---- room ----

def resident(controller):  # noqa: F811
    return psutil.Process(controller.process.pid).memory_info().rss


def begin_body(controller, token, length, sent, request="POST /v1/federation:diff"):  # noqa: F811
    """A request whose body never ends; the connection, and what was answered so far."""
    raw = socket.create_connection((controller.url.hostname, controller.url.port), 20)
    head = f"{request} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    with contextlib.suppress(OSError):
        raw.sendall(head.encode() + b"#" * sent)
    raw.settimeout(0.2)
    with contextlib.suppress(OSError):
        return raw, raw.recv(4096)
    return raw, b""


@pytest.mark.timeout(240)
def test_unfinished_bodies_have_a_bound(busy):  # noqa: F811
    """Sixty of 4 MiB, of sixty viewers: the sum is what counts, and whoever comes on top is told so."""
    before = resident(busy)
    with contextlib.ExitStack() as stack:
        begun = [begin_body(busy, token, 4 * MIB, 4 * MIB - 1) for token in people(busy, 30) for _ in range(2)]
        for raw, _ in begun:
            stack.callback(raw.close)
        grown = resident(busy) - before
        refused = [answer for _, answer in begun if answer]
        print(f"{len(refused)} of 60 refused, {grown / MIB:.0f} MiB more")
        assert grown < BODIES_MAX + 24 * MIB
        assert len(refused) == 60 - 16
        assert all(answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: " in answer and b"SITE_BODIES_MAX" in answer for answer in refused), refused[0]
        assert metric(busy, 'atoll_http_body_bytes{of="person"}') == BODIES_MAX
        assert metric(busy, "atoll_http_bodies_refused_total") == 60 - 16
        # small ones, and agents, don't need that room
        assert busy.ask("POST", "/v1/federation:diff", "{}", bearer(people_again(busy))).status == 422
        large = {"pad": "x" * MIB}
        assert busy.ask("PUT", "/v1/zones/z1/report", str(large).replace("'", '"')).status == 422
    deadline = time.monotonic() + 60
    while metric(busy, 'atoll_http_body_bytes{of="person"}'):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert busy.ask("POST", "/v1/federation:diff", large_spec(240), bearer(people_again(busy))).status == 422


def people_again(controller):  # noqa: F811
    return make_token(controller, f"viewer-{os.urandom(4).hex()}", "viewer")["token"]


def test_one_person_has_a_part_of_the_room(busy):  # noqa: F811
    token, other = people(busy, 2)
    with contextlib.ExitStack() as stack:
        answers = []
        for _ in range(4):
            raw, answer = begin_body(busy, token, 4 * MIB, 100)
            stack.callback(raw.close)
            answers.append(answer)
        assert answers[:2] == [b"", b""]
        assert all(answer.startswith(b"HTTP/1.1 429 ") and b"SITE_BODIES_OF_ONE_MAX" in answer for answer in answers[2:]), answers
        # also where agents send theirs: it is people's room that is taken
        raw, answer = begin_body(busy, other, 4 * MIB, 100, "PUT /v1/zones/z1/report")
        assert metric(busy, 'atoll_http_body_bytes{of="agent"}') == 0 and metric(busy, 'atoll_http_body_bytes{of="person"}') == 12 * MIB
        stack.callback(raw.close)
        assert answer == b""


# ---- and who means well ----

def test_a_large_spec_is_applied_all_the_same(bin_dir, work_dir, controller):  # noqa: F811
    """By an operator's token, from the command line: compared first, then applied, then changed."""
    text = large_spec(460)
    assert len(text) > 1.4 * MIB
    token, spec = work_dir / "token", work_dir / "spec.yaml"
    token.write_text(make_token(controller, "op", "operator")["token"])
    token.chmod(0o600)
    for version in ("7.0", "7.0.1"):
        spec.write_text(text.replace("mongo:7.0", f"mongo:{version}"))
        for words, code in ((["diff"], 1), (["apply"], 0)):
            done = atoll(bin_dir, work_dir, controller, *words, "-f", spec, "--token-file", token)
            assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    assert controller.get("/v1/federation").json()["spec"]["sets"][459]["image"] == "mongo:7.0.1"
