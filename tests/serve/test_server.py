"""The server over real HTTP on loopback: deliveries, limits, headers, its beginning and its end."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from hubaudit.errors import CannotListen, StoreUnusable
from hubaudit.watch.kinds import Kind, change
from hubaudit.watch.receive import Outcome
from hubaudit.watch.state import Presence
from tests.serve.conftest import NOW, SECRET, Serve, Served, World
from tests.serve.payloads import RECORDED, body

RIGHT = {"X-Webhook-Secret": SECRET.decode()}


def deliver(served: Served, data: bytes | None = None, **headers: str) -> requests.Response:
    """With the right secret, if `headers` have no other. A `_` in a name is a `-`."""
    given = {**RIGHT, **{name.replace("_", "-"): value for name, value in headers.items()}}
    url = f"{served.base}/webhook"
    return requests.post(url, data=body() if data is None else data, headers=given, timeout=10)


@contextmanager
def talking(served: Served, data: bytes) -> Iterator[socket.socket]:
    """A connection on which `data` was sent."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(data)
        yield connection


def head(*lines: str, path: str = "/webhook") -> bytes:
    first = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"X-Webhook-Secret: {SECRET.decode()}")
    return "\r\n".join((*first, *lines, "", "")).encode()


def metric(served: Served, line: str) -> float:
    text = requests.get(f"{served.base}/metrics", timeout=5).text
    [found] = [one for one in text.splitlines() if one.startswith(line + " ")]
    return float(found.rpartition(" ")[2])


def counted(served: Served, outcome: str) -> float:
    return metric(served, f'hubaudit_webhooks_total{{outcome="{outcome}"}}')


def test_a_delivery_becomes_a_hint_at_once(serve: Serve) -> None:
    served = serve()
    begun = time.monotonic()
    answer = deliver(served)
    assert time.monotonic() - begun < 1
    assert (answer.status_code, answer.json()) == (202, {"outcome": "accepted"})
    [hook] = served.world.hints.hooks
    assert (hook.repo_id, hook.scope) == ("org/model", "repo.content")
    assert counted(served, "accepted") == 1


@pytest.mark.skipif(not RECORDED, reason="the recorded payloads are not here")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_deliveries_are_accepted(serve: Serve, path: Path) -> None:
    served = serve()
    assert deliver(served, path.read_bytes(), Content_Type="application/json").status_code == 202
    assert len(served.world.hints.hooks) == 1


def test_the_secret_may_be_in_the_address(serve: Serve) -> None:
    served = serve()
    for secret, status in ((SECRET.decode(), 202), ("wrong", 401), ("", 401)):
        url = f"{served.base}/webhook?secret={secret}"
        assert requests.post(url, data=body(), timeout=5).status_code == status


@pytest.mark.parametrize(
    ("data", "headers", "status", "outcome"),
    [
        (None, {"X-Webhook-Secret": "wrong"}, 401, "forged"),
        (None, {"X-Webhook-Secret": ""}, 401, "forged"),
        (b"", {}, 400, "malformed"),
        (b"{}", {}, 400, "malformed"),
        (b"[" * 100_000, {}, 400, "malformed"),
        (b"x" * (300 << 10), {}, 413, "oversized"),
        (b"x" * (5 << 20), {}, 413, "oversized"),
        (b"x" * (5 << 20), {"X-Webhook-Secret": "wrong"}, 401, "forged"),
        (body("nobody/here"), {}, 202, "unwatched"),
        (body(repo={"type": "bucket"}), {}, 202, "ignored"),
    ],
)
def test_what_is_no_delivery_gives_no_hint_and_is_counted(
    serve: Serve, data: bytes | None, headers: dict[str, str], status: int, outcome: str
) -> None:
    served = serve()
    answer = deliver(served, data, **headers)
    assert (answer.status_code, answer.json()) == (status, {"outcome": outcome})
    assert counted(served, outcome) == 1
    assert served.world.hints.hooks == []


def test_a_chunked_body_is_counted_while_it_comes(serve: Serve) -> None:
    served = serve()
    small = requests.post(
        f"{served.base}/webhook", data=iter([body()[:9], body()[9:]]), headers=RIGHT, timeout=5
    )
    assert small.status_code == 202
    chunks = (b"x" * 65_536 for _ in range(16))
    large = requests.post(f"{served.base}/webhook", data=chunks, headers=RIGHT, timeout=5)
    assert large.status_code == 413
    assert served.gate.counts[Outcome.OVERSIZED] == 1


def test_a_body_longer_than_it_says_is_cut_there(serve: Serve) -> None:
    served = serve()
    with talking(served, head("Content-Length: 10", "Connection: close") + body()) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert served.gate.counts[Outcome.MALFORMED] == 1


def test_a_body_that_breaks_off_is_malformed(serve: Serve) -> None:
    served = serve()
    with talking(served, head("Content-Length: 1000") + b"{"):
        pass
    until = time.monotonic() + 5
    while not served.gate.counts[Outcome.MALFORMED] and time.monotonic() < until:
        time.sleep(0.01)
    assert served.gate.counts[Outcome.MALFORMED] == 1


def test_a_body_that_does_not_come_in_time_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    monkeypatch.setattr("hubaudit.watch.server.BODY_SECONDS", 0.3)
    with talking(served, head("Content-Length: 1000") + b"{") as connection:
        begun = time.monotonic()
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < 3
    assert served.gate.counts[Outcome.MALFORMED] == 1


@pytest.mark.parametrize("sent", [b"", b"POST /webhook HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_whoever_sends_no_head_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr("hubaudit.watch.server.HEAD_SECONDS", 0.3)
    served = serve()
    begun = time.monotonic()
    with talking(served, sent) as connection, suppress(ConnectionResetError):
        assert connection.recv(100) == b""
    assert time.monotonic() - begun < 3


def test_slow_connections_keep_no_delivery_out(serve: Serve) -> None:
    served = serve()
    held = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    for connection in held:
        connection.sendall(b"POST /webhook HT")
    assert deliver(served).status_code == 202
    for connection in held:
        connection.close()


def test_a_long_head_is_refused(serve: Serve) -> None:
    served = serve()
    for data in (
        head("X-Long: " + "a" * 70_000),
        head(path="/" + "a" * 70_000),
        head(*(f"X-{number}: a" for number in range(9000))),
    ):
        with talking(served, data) as connection:
            assert connection.recv(100).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert deliver(served).status_code == 202


def test_a_delivery_with_a_long_head_is_counted(serve: Serve) -> None:
    served = serve()
    with talking(served, head("Content-Length: 0", "X-Long: " + "a" * 20_000)) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 431 ")
    assert counted(served, "oversized") == 1


def test_a_body_of_two_lengths_is_no_second_request(serve: Serve) -> None:
    served = serve()
    second = head("Content-Length: 0", path="/healthz")
    data = head(f"Content-Length: {5 + len(second)}", "Transfer-Encoding: chunked")
    with talking(served, data + b"0\r\n\r\n" + second) as connection:
        answer = b"".join(iter(lambda: connection.recv(4096), b""))  # until it is closed
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert counted(served, "malformed") == 1


def test_garbage_is_answered_and_nothing_breaks(serve: Serve) -> None:
    served = serve()
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"\r\n\r\n\x00\xff\r\n\r\n",
        head("Content-Length: 5", "Content-Length: 6"),
        head("Content-Length: 5", "Transfer-Encoding: chunked") + b"zz\r\n",
        head("Transfer-Encoding: chunked") + b"ffffffffffffffffffffff\r\n",
        head("Content-Length: " + "9" * 5000),
    ):
        with talking(served, data) as connection:
            assert connection.recv(100)[:10] in (b"", b"HTTP/1.1 4")
    assert deliver(served).status_code == 202


def test_the_same_id_is_taken_once(serve: Serve) -> None:
    served = serve()
    first = deliver(served, Webhook_Id="one")
    again = deliver(served, Webhook_Id="one")
    assert (first.json()["outcome"], again.json()["outcome"]) == ("accepted", "replayed")
    assert again.status_code == 202
    assert len(served.world.hints.hooks) == 1


def test_an_id_that_came_with_a_wrong_secret_is_not_remembered(serve: Serve) -> None:
    served = serve()
    assert deliver(served, Webhook_Id="one", X_Webhook_Secret="wrong").status_code == 401
    assert deliver(served, Webhook_Id="one").json() == {"outcome": "accepted"}


def test_when_nothing_more_can_be_kept_the_hub_is_told_to_come_again(serve: Serve) -> None:
    served = serve()
    served.world.hints.room = 0
    answer = deliver(served, Webhook_Id="one")
    assert (answer.status_code, answer.json()) == (503, {"outcome": "busy"})
    assert int(answer.headers["Retry-After"]) > 0
    served.world.hints.room = 1
    assert deliver(served, Webhook_Id="one").status_code == 202


def test_deliveries_come_many_at_once_and_of_one_id_one_is_taken(serve: Serve) -> None:
    served = serve()

    def send(number: int) -> int:
        return deliver(served, Webhook_Id=f"{number % 20}").status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(100))) == {202}
    assert served.gate.counts[Outcome.ACCEPTED] == 20
    assert served.gate.counts[Outcome.REPLAYED] == 80
    assert len(served.world.hints.hooks) == 20


def test_on_loopback_without_a_secret_programs_are_taken_and_web_pages_not(serve: Serve) -> None:
    served = serve(None)
    url = f"{served.base}/webhook"
    assert requests.post(url, data=body(), timeout=5).status_code == 202
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert requests.post(url, data=body(), headers=foreign, timeout=5).status_code == 401


PATHS = ("/", "/healthz", "/metrics", "/repository/model/org/model", "/nowhere", "/webhook")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_everything_but_the_webhook_is_read_only(world: World, serve: Serve, method: str) -> None:
    world.watch("org/model")
    served = serve()
    for path in PATHS[:4]:
        answer = requests.request(method, served.base + path, headers=RIGHT, timeout=5)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    answer = requests.get(f"{served.base}/webhook", headers=RIGHT, timeout=5)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_keeps_browsers_in_check(world: World, serve: Serve, path: str) -> None:
    world.watch("org/model")
    answer = requests.get(serve().base + path, timeout=5)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    for part in ("frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not {"Set-Cookie", "Server"} & set(answer.headers)


def test_a_head_request_has_no_body(world: World, serve: Serve) -> None:
    world.watch("org/model")
    served = serve()
    for path in PATHS[:4]:
        answer = requests.head(served.base + path, timeout=5)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost@evil.example", 421),
        ("[::1].evil.example", 421),
        ("", 421),
    ],
)
def test_on_loopback_it_answers_to_its_own_names_alone(
    serve: Serve, host: str, status: int
) -> None:
    served = serve()
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=5)
    for path in ("/", "/metrics", "/healthz", "/report/model/a/b"):
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        assert answer.status == (status if path[1:2] != "r" or status == 421 else 404)
    connection.close()


def test_a_delivery_with_the_secret_comes_through_a_tunnel(serve: Serve) -> None:
    """Which keeps the name that the Hub was given."""
    assert deliver(serve(), Host="watch.example.org").status_code == 202
    assert deliver(serve(None), Host="watch.example.org").status_code == 421


def test_without_pages_there_are_webhooks_health_and_metrics(world: World, serve: Serve) -> None:
    world.watch("org/model")
    served = serve(page=False)
    status = {path: requests.get(served.base + path, timeout=5).status_code for path in PATHS}
    assert status == {
        **dict.fromkeys(PATHS, 404),
        "/healthz": 200,
        "/metrics": 200,
        "/webhook": 405,
    }
    assert deliver(served).status_code == 202


def test_health_says_when_the_watch_is_silent(world: World, serve: Serve) -> None:
    world.watch("org/model")
    served = serve()
    url = f"{served.base}/healthz"
    healthy = requests.get(url, timeout=5)
    assert (healthy.status_code, healthy.json()) == (
        200,
        {"status": "ok", "watched": 1, "rounds": 12},
    )
    world.clock.now = NOW + 1000
    silent = requests.get(url, timeout=5)
    assert (silent.status_code, silent.json()["status"]) == (503, "the watch is silent")
    world.beat.vitals = replace(world.beat.vitals, alive_at=world.clock.now)
    assert requests.get(url, timeout=5).status_code == 200


def test_a_store_that_cannot_be_read_ends_in_503_and_tells_no_path(
    world: World, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.watch("org/model")
    served = serve()

    def broken(*_given: object) -> list[Any]:
        raise StoreUnusable("the store /secret/place cannot be used: disk I/O error")

    monkeypatch.setattr(world.ledger.store, "rows", broken)
    for path in PATHS[:4]:
        answer = requests.get(served.base + path, timeout=5)
        assert answer.status_code == 503
        assert "place" not in answer.text
    assert deliver(served).status_code == 202


def test_metrics_count_repositories_and_name_none(world: World, serve: Serve) -> None:
    world.alert(world.watch("org/changed"), change(Kind.CODE_CHANGED, "code"))
    world.watch("org/gone", presence=Presence.MISSING, verdict=None)
    world.watch("org/same")
    world.ledger.put_trouble(world.watch("org/troubled"), "503 from the Hub")
    world.list(replace(world.watch("org/new"), repo_id="org/newer"))
    served = serve()
    assert metric(served, "hubaudit_rounds_total") == 12
    assert metric(served, "hubaudit_looks_total") == 345
    assert metric(served, "hubaudit_hub_requests_total") == 678
    assert metric(served, "hubaudit_last_round_seconds") == 4.25
    assert metric(served, "hubaudit_last_round_timestamp_seconds") == NOW - 30
    kinds = "hubaudit_changes_total" + '{kind="weights-replaced",severity="high"}'
    assert metric(served, kinds) == 2
    repositories = "hubaudit_repositories" + '{{drift="{}",presence="{}",verdict="{}"}}'
    assert metric(served, repositories.format("yes", "present", "review")) == 1
    assert metric(served, repositories.format("no", "missing", "none")) == 1
    assert metric(served, repositories.format("no", "present", "pass")) == 3
    assert metric(served, repositories.format("no", "unknown", "none")) == 1
    assert metric(served, "hubaudit_troubled_repositories") == 1
    assert metric(served, 'hubaudit_open_alerts{severity="medium"}') == 1
    deliveries = "hubaudit_deliveries_total" + '{{outcome="{}",sink="hook"}}'
    assert metric(served, deliveries.format("delivered")) == 5
    assert metric(served, deliveries.format("failed")) == 2
    assert metric(served, 'hubaudit_deliveries_pending{sink="hook"}') == 1
    text = requests.get(f"{served.base}/metrics", timeout=5).text
    assert "org/" not in text
    assert "T0KEN" not in text


def test_metrics_speak_openmetrics_to_whoever_asks(serve: Serve) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = requests.get(f"{serve().base}/metrics", headers=accept, timeout=5)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_taken_port_is_told(serve: Serve) -> None:
    from hubaudit.watch.server import Server, app_of

    served = serve()
    world = served.world
    app = app_of(world.ledger, world.hints, world.beat, served.gate, clock=world.clock, pages=None)
    with pytest.raises(CannotListen) as caught:
        Server(app, "127.0.0.1", served.port).start()
    assert str(served.port) in str(caught.value)
    for host in ("203.0.113.7", "no-such-host.invalid"):
        with pytest.raises(CannotListen):
            Server(app, host, 0).start()


def test_localhost_is_every_loopback_address_on_one_port(serve: Serve) -> None:
    served = serve(host="localhost")
    assert requests.get(f"http://127.0.0.1:{served.port}/healthz", timeout=5).status_code == 200
    if socket.has_ipv6:
        try:
            answer = requests.get(f"http://[::1]:{served.port}/healthz", timeout=5)
        except requests.ConnectionError:
            pytest.skip("this machine has no IPv6")
        assert answer.status_code == 200


def test_it_stops_soon_whatever_is_held_open(serve: Serve, world: World) -> None:
    from hubaudit.watch.server import Server, app_of

    served = serve()
    app = app_of(world.ledger, world.hints, world.beat, served.gate, clock=world.clock, pages=None)
    server = Server(app, "127.0.0.1", 0)
    port = server.start().port
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    held[1].sendall(b"GET /healthz HT")
    held[2].sendall(head("Content-Length: 100") + b"{")
    time.sleep(0.1)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 2.5
    assert not [one for one in threading.enumerate() if one.name == "hubaudit-server"][1:]
    for connection in held:
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_says_nothing_on_the_terminal(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    served = serve()
    deliver(served)
    deliver(served, b"{}")
    with talking(served, b"garbage\r\n\r\n") as connection:
        connection.recv(100)
    with talking(
        served, head("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0")
    ) as c:
        c.recv(100)
    requests.get(f"{served.base}/webhook?secret={SECRET.decode()}", timeout=5)
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from hubaudit.errors import UsageError\n"
        "try: import hubaudit.watch.server\n"
        "except UsageError as error: print(error, '|', error.hint)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert said.stdout == "--serve needs the extra `server` | pip install 'hubaudit[server]'\n"
