"""The JSON webhook: what is sent, what counts as an answer, and how little it says of its address."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import shutil
import socket
import ssl
import time
import traceback
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import jsonschema
import pytest
import requests
import responses

from hubaudit.errors import ConfigError
from hubaudit.notify import DeliveryFailed
from hubaudit.notify.payload import message_key, schema
from hubaudit.notify.webhook import Webhook, from_url, seconds_of

from .conftest import HOSTILE, Act, WebSink, alert, closing
from .mailserver import make_certificate

SECRET = "hunter2-of-the-signature"
TOKEN = "T0KEN-in-the-path"
PLACE = f"https://user:passw0rd@hooks.example.org/services/{TOKEN}?key={TOKEN}"


def failure(webhook: Webhook) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        webhook.send([alert()], alert().key)
    return caught.value


@responses.activate
def test_503_then_429_then_200_get_the_same_bytes_and_the_same_key() -> None:
    url = "https://hooks.example.org/x"
    responses.post(url, status=503)
    responses.post(url, status=429, headers={"Retry-After": "7"})
    responses.post(url, status=200)
    webhook = Webhook(url, SECRET)
    assert (str(failure(webhook)), failure(webhook).retry_after) == (
        "it answered 503 Service Unavailable",
        7.0,
    )
    webhook.send([alert()], alert().key)
    sent = [call.request for call in responses.calls]
    assert len({(one.body, one.headers["Idempotency-Key"]) for one in sent}) == 1
    assert sent[0].headers["Idempotency-Key"] == alert().key


def test_one_alert_is_its_json_signed_as_it_is(sink: WebSink) -> None:
    Webhook(sink.url, SECRET).send([alert()], alert().key)
    [received] = sink.received
    found = json.loads(received.body)
    assert (found["schema"], found["key"], found["event"]) == (
        "hubaudit.alert/1",
        received.key,
        "changed",
    )
    expected = hmac.new(SECRET.encode(), received.body, hashlib.sha256).hexdigest()
    assert received.headers["X-Hubaudit-Signature-256"] == f"sha256={expected}"
    assert received.headers["X-Hubaudit-Event"] == "changed"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"].startswith("hubaudit/")


def test_several_alerts_are_a_digest_with_a_key_of_its_own(sink: WebSink) -> None:
    told = [alert(1), alert(2), closing([alert(1)])]
    key = message_key([one.key for one in told])
    Webhook(sink.url).send(told, key)
    [received] = sink.received
    found = json.loads(received.body)
    jsonschema.validate(found, schema())
    assert [one["key"] for one in found["alerts"]] == [one.key for one in told]
    assert received.key == key
    assert key not in {one.key for one in told}
    assert received.headers["X-Hubaudit-Event"] == "digest"
    assert "X-Hubaudit-Signature-256" not in received.headers


def test_hostile_text_is_json_without_a_raw_control_character(sink: WebSink) -> None:
    told = alert(said=HOSTILE)
    Webhook(sink.url).send([told], told.key)
    body = sink.received[0].body
    assert body.isascii()
    assert body.decode().isprintable()
    assert json.loads(body)["changes"][0]["message"] == HOSTILE.replace("\ud800", "\\ud800")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_the_acknowledgement(sink: WebSink, status: int) -> None:
    sink.act = lambda _: (status, {"Content-Length": "0"})
    Webhook(sink.url).send([alert()], alert().key)
    assert len(sink.received) == 1


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(400, True), (401, False), (404, False), (409, False), (413, True), (422, True), (500, False)],
)
def test_no_other_status_is_one(sink: WebSink, status: int, is_final: bool) -> None:
    sink.act = lambda _: (status, {})
    failed = failure(Webhook(sink.url))
    assert str(failed).startswith(f"it answered {status} ")
    assert failed.is_final is is_final
    assert failed.hint


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    now = 1_700_000_000.0
    assert seconds_of("120", now) == 120
    assert seconds_of(formatdate(now + 90, usegmt=True), now) == 90
    assert seconds_of(formatdate(now - 90, usegmt=True), now) == 0
    for odd in ("", "-1", "soon", "9" * 5000, "1.5", "Mon, 99 Xyz 2026"):
        assert seconds_of(odd, now) is None


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_make_it_a_get_is_a_failure(sink: WebSink, status: int) -> None:
    sink.act = lambda _: (status, {"Location": "/elsewhere"})
    assert "no POST" in str(failure(Webhook(sink.url)))
    assert [one.path for one in sink.received] == ["/hook"]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_on_the_same_host_is_followed_with_the_same_message(
    sink: WebSink, status: int
) -> None:
    def act(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]]:
        return (status, {"Location": "/hook/"}) if handler.path == "/hook" else (200, {})

    sink.act = act
    Webhook(sink.url, SECRET).send([alert()], alert().key)
    first, second = sink.received
    assert (first.path, second.path) == ("/hook", "/hook/")
    assert (first.body, first.key) == (second.body, second.key)


def test_a_redirect_with_a_body_that_never_ends_is_followed(sink: WebSink) -> None:
    def act(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str]] | None:
        if handler.path != "/hook":
            return 200, {}
        handler.wfile.write(b"HTTP/1.1 307 There\r\nLocation: /hook/\r\n\r\n")
        sink.released.wait(10)
        return None

    sink.act = act
    began = time.monotonic()
    Webhook(sink.url).send([alert()], alert().key)
    assert time.monotonic() - began < 5
    sink.released.set()
    assert "/hook/" in [one.path for one in sink.received]


def test_a_redirect_to_another_host_gets_nothing(sink: WebSink) -> None:
    with WebSink() as other:
        sink.act = lambda _: (307, {"Location": other.url})
        assert "another host" in str(failure(Webhook(sink.url)))
        assert not other.received


def test_a_host_before_a_backslash_gets_nothing(sink: WebSink) -> None:
    with WebSink() as other:
        there = f"{other.url.rpartition('/')[0]}\\@{sink.url.partition('//')[2]}"
        sink.act = lambda _: (307, {"Location": there})
        assert str(failure(Webhook(sink.url))).startswith("it redirects to another host")
        assert not other.received
        with pytest.raises(ConfigError, match="is no URL"):
            from_url(there, {})


def test_a_circle_of_redirects_ends(sink: WebSink) -> None:
    sink.act = lambda _: (308, {"Location": "/hook"})
    assert "more than 3 times" in str(failure(Webhook(sink.url)))


def slow_head(handler: BaseHTTPRequestHandler) -> None:
    """A byte of the head every now and then, without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(1000):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def cut_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200")


def cut_in_a_header(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: te")


def cut_before_the_empty_line(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n\r\n")


def endless_head(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000)


@pytest.mark.parametrize(
    "act", [cut_head, cut_in_a_header, cut_before_the_empty_line, garbage, endless_head]
)
def test_an_answer_that_is_none_is_a_failure(sink: WebSink, act: Act) -> None:
    sink.act = act
    assert "connection" in str(failure(Webhook(sink.url)))


def hang(sink: WebSink) -> Act:
    def act(_handler: BaseHTTPRequestHandler) -> None:
        sink.released.wait(20)

    return act


@pytest.mark.parametrize("act", [hang, lambda _: slow_head])
def test_a_sink_that_hangs_or_trickles_is_given_up(
    sink: WebSink, act: Callable[[WebSink], Act]
) -> None:
    sink.act = act(sink)
    began = time.monotonic()
    failed = failure(Webhook(sink.url, whole=0.4))
    assert time.monotonic() - began < 5
    assert str(failed) == "it took longer than 0.4 seconds"


@pytest.mark.parametrize("body", [b"", b"xx", b"x" * 100_000])
def test_a_body_without_an_end_does_not_take_the_acknowledgement_back(
    sink: WebSink, body: bytes
) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        handler.wfile.write(body)
        handler.wfile.flush()
        sink.released.wait(20)

    sink.act = act
    began = time.monotonic()
    Webhook(sink.url).send([alert()], alert().key)
    assert time.monotonic() - began < 5


def test_an_unreachable_sink_is_told_without_its_address() -> None:
    failed = failure(Webhook(f"http://127.0.0.1:9/{TOKEN}"))
    assert str(failed) == "it cannot be reached: Connection refused"


def test_the_proxy_of_the_environment_is_asked_but_not_for_loopback(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", sink.url)
    monkeypatch.delenv("no_proxy", raising=False)
    Webhook("http://hooks.example.org/x").send([alert()], alert().key)
    assert sink.received[0].path == "http://hooks.example.org/x"
    with WebSink() as other:
        Webhook(other.url).send([alert()], alert().key)
        assert [one.path for one in other.received] == ["/hook"]


def test_user_and_password_go_into_a_header_and_netrc_is_not_asked(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    Webhook(sink.url).send([alert()], alert().key)
    Webhook(sink.url.replace("//", "//me:p%40ss@")).send([alert()], alert().key)
    assert "Authorization" not in sink.received[0].headers
    assert sink.received[1].headers["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def encrypted(sink: WebSink, certificate: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server = sink._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return sink.url.replace("http://127.0.0.1", "https://localhost")


def test_a_trusted_certificate_is_needed_and_enough(
    sink: WebSink, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = Webhook(encrypted(sink, certificate))
    assert "its certificate is not trusted" in str(failure(webhook))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    webhook.send([alert()], alert().key)
    assert len(sink.received) == 1


def test_a_sink_that_hangs_behind_tls_is_given_up(
    sink: WebSink, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    sink.act = slow_head
    failed = failure(Webhook(encrypted(sink, certificate), whole=0.5))
    assert str(failed) == "it took longer than 0.5 seconds"


def test_a_handshake_that_never_comes_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        failed = failure(Webhook(f"https://localhost:{port}/x", whole=0.3))
    assert str(failed) == "it took longer than 0.3 seconds"


def told_by(webhook: Webhook, caplog: pytest.LogCaptureFixture) -> str:
    """All that anybody gets to see of a failed delivery."""
    with caplog.at_level(logging.DEBUG):
        failed = failure(webhook)
    chain = [failed.__cause__, failed.__context__]
    trace = "".join(traceback.format_exception(failed))
    return "\n".join(
        [trace, repr(failed), failed.hint, str(chain), repr(webhook), webhook.name, caplog.text]
    )


@pytest.mark.parametrize(
    "raised",
    [
        requests.ConnectionError(f"Max retries exceeded with url: /services/{TOKEN}"),
        requests.Timeout(PLACE),
        requests.exceptions.ProxyError(PLACE),
        requests.exceptions.InvalidURL(PLACE),
        requests.exceptions.SSLError(PLACE),
        OSError(5, PLACE),
        ValueError(PLACE),
    ],
)
@responses.activate
def test_no_error_holds_the_place_or_the_secret(
    raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    responses.post("https://hooks.example.org/services/" + TOKEN, body=raised)
    told = told_by(Webhook(PLACE, SECRET), caplog)
    assert "hooks.example.org" in told
    for secret in (TOKEN, SECRET, "passw0rd"):
        assert secret not in told


@pytest.mark.parametrize("status", [404, 500, 302])
def test_no_answer_makes_it_say_the_place_or_the_secret(
    sink: WebSink, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    sink.act = lambda _: (status, {"Location": f"/{TOKEN}", "X-Echo": SECRET})
    url = f"{sink.url}/{TOKEN}".replace("//", "//user:passw0rd@", 1)
    told = told_by(Webhook(url, SECRET), caplog)
    for secret in (TOKEN, SECRET, "passw0rd"):
        assert secret not in told


def test_the_name_is_the_same_each_time_and_another_for_each_place() -> None:
    assert Webhook(PLACE).name == Webhook(PLACE, SECRET).name
    assert Webhook(PLACE).name != Webhook(PLACE + "x").name
    assert Webhook(PLACE).name.startswith("webhook:hooks.example.org:")
