"""A JSON webhook: one POST a message, signed, with an idempotency key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPResponse, IncompleteRead
from io import BufferedReader
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from hubaudit import __version__
from hubaudit.errors import ConfigError
from hubaudit.notify import hidden
from hubaudit.notify.notifier import DeliveryFailed, Notifier, name_of
from hubaudit.notify.payload import event, payload
from hubaudit.notify.watchdog import Watchdog
from hubaudit.watch.alert import Alert

CONNECT = 10.0  # seconds
READ = 30.0  # seconds between two bytes
WHOLE = 60.0  # seconds from the connection to the status line, headers and all
# Seconds for the body of the answer, on which nothing depends: a crash meanwhile would have it sent again.
_ANSWER = 0.5
_ANSWER_BYTES = 16 << 10
_REDIRECTS = 3  # one would be "with a slash", two a loop more likely than not
# What says that this message is the trouble: RFC 9110, 15.5.1, 15.5.14, 15.5.21.
_OF_THE_MESSAGE = frozenset({400, 413, 422})


class Webhook:
    """Any 2xx is the acknowledgement. A 409 is not: by the draft of the IETF on the `Idempotency-Key`
    header (section 2.7) it says that the message of that key is still being worked on.
    """

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        whole: float = WHOLE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`url` is absolute, http or https; its user and password go into a header."""
        parts = urlsplit(url)
        self.name = name_of("webhook", parts.hostname or "", url)
        self._url, self._basic = _without_user(parts)
        self._is_here = is_loopback(parts.hostname or "")
        self._secret = secret.encode() if secret else None
        self._whole = whole
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Webhook {self.name}>"

    def send(self, alerts: Sequence[Alert], key: str) -> None:
        body = payload(alerts)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"hubaudit/{__version__}",
            "Idempotency-Key": key,
            "X-Hubaudit-Event": event(alerts),
        }
        if self._secret is not None:
            headers["X-Hubaudit-Signature-256"] = signature(self._secret, body)
        failed = self._try(body, headers)
        if failed is not None:
            raise failed  # here, where no other exception is being handled that would go along

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _try(self, body: bytes, headers: Mapping[str, str]) -> DeliveryFailed | None:
        with Watchdog(self._whole) as watchdog, hidden.quiet():
            try:
                return self._post(body, headers, watchdog)
            except (requests.RequestException, HTTPError, OSError, ValueError) as error:
                said = hidden.why(error)
        if watchdog.has_bitten:
            said = f"it took longer than {self._whole:g} seconds"
        return DeliveryFailed(said)

    def _post(
        self, body: bytes, headers: Mapping[str, str], watchdog: Watchdog
    ) -> DeliveryFailed | None:
        url = self._url
        for _ in range(_REDIRECTS + 1):
            watchdog.allow(self._whole)
            # A connection of its own for each: one kept from the last alert is dead by now.
            with _Session() as session:
                adapter = _Adapter(watchdog)
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                with session.post(
                    url,
                    data=body,
                    headers=headers,
                    auth=self._authorize,
                    timeout=(CONNECT, READ),
                    allow_redirects=False,
                    stream=True,
                    proxies=_NO_PROXY if self._is_here else None,
                ) as answer:
                    _drop_body(answer, watchdog)
                    if answer.status_code not in (307, 308):
                        return self._judged(answer)
                    found = _same_origin(url, answer.headers.get("Location", ""))
            if found is None:
                return DeliveryFailed("it redirects to another host, which is not followed")
            url = found
        return DeliveryFailed(f"it redirects more than {_REDIRECTS} times")

    def _judged(self, answer: requests.Response) -> DeliveryFailed | None:
        """What the sink says besides the status may repeat the address, and is not shown."""
        code = answer.status_code
        if 200 <= code < 300:
            return None
        if 300 <= code < 400:
            return DeliveryFailed(f"it redirects ({code}), which would make no POST of it")
        retry_after = seconds_of(answer.headers.get("Retry-After", ""), self._clock())
        return DeliveryFailed(f"it answered {_status(code)}", retry_after, code in _OF_THE_MESSAGE)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Given in any case, or requests would take a password for that host from ~/.netrc."""
        if self._basic is not None:
            request.headers["Authorization"] = self._basic
        return request


def from_spec(rest: str, environ: Mapping[str, str]) -> tuple[Notifier, ...]:
    """`env:NAME` or `file:PATH`, behind `webhook:`. Raises ConfigError."""
    url = hidden.from_source(rest, environ, "webhook:env:NAME or webhook:file:PATH")
    return (from_url(url, environ),)


def from_url(url: str, environ: Mapping[str, str]) -> Notifier:
    """Raises ConfigError, which does not repeat the URL."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    # behind a backslash some readers of URLs see another host
    if not usable or not url.isascii() or not url.isprintable() or set(" \\") & set(url):
        raise ConfigError(
            "the address of a webhook is no URL of http or https",
            hint="write https://host/path; other characters than of ASCII are percent-encoded",
        )
    plain = environ.get("HUBAUDIT_WEBHOOK_SECURITY", "")
    if plain not in ("", "tls", "none"):
        raise ConfigError(
            "HUBAUDIT_WEBHOOK_SECURITY is neither tls nor none", hint="without it, it is tls"
        )
    if parts.scheme == "http" and plain != "none" and not is_loopback(parts.hostname or ""):
        raise ConfigError(
            f"http://{parts.hostname} is not encrypted and not on this machine",
            hint="write https://, or set HUBAUDIT_WEBHOOK_SECURITY=none in a network that you trust",
        )
    return Webhook(url, hidden.setting(environ, "HUBAUDIT_WEBHOOK_SECRET"))


def signature(secret: bytes, body: bytes) -> str:
    """The value of `X-Hubaudit-Signature-256`."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def seconds_of(retry_after: str, now: float) -> float | None:
    """From the header's value, seconds or a date (RFC 9110, 10.2.3); None for anything else."""
    said = retry_after.strip()
    if re.fullmatch(r"\d{1,9}", said, re.ASCII):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# "" is none, and keeps requests from looking into the environment: no proxy reaches this machine's loopback.
_NO_PROXY = {"http": "", "https": ""}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: else `requests` reads the body of a redirect to its end, also of one that is not followed."""


class _Adapter(HTTPAdapter):
    """That of requests, with every connection under the eyes of a watchdog."""

    def __init__(self, watchdog: Watchdog) -> None:
        super().__init__()
        self._watchdog = watchdog

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _watched(pool.ConnectionCls, self._watchdog)
        return pool


def _watched(base: Any, watchdog: Watchdog) -> Any:
    class Watched(base):  # type: ignore[misc]
        response_class = _Response

        def _new_conn(self) -> socket.socket:
            opened: socket.socket = super()._new_conn()
            watchdog.watch(opened)
            return opened

    return Watched


class _Response(HTTPResponse):
    """That of the library, which takes `HTTP/1.1 200` and nothing more for a whole answer."""

    def begin(self) -> None:
        head: Any = _Head(self.fp)
        self.fp = head
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = head.fp
        if head.last.strip(b"\r\n") or not head.last:
            raise IncompleteRead(b"")


class _Head:
    """A stream of which the last line is known that was read."""

    def __init__(self, fp: BufferedReader) -> None:
        self.fp = fp
        self.last = b""

    def readline(self, most: int = -1) -> bytes:
        self.last = self.fp.readline(most)
        return self.last

    def close(self) -> None:
        self.fp.close()


def _drop_body(answer: requests.Response, watchdog: Watchdog) -> None:
    """A server that is not read from may take it for a failure; one that never ends is not waited for."""
    watchdog.allow(_ANSWER)
    with suppress(HTTPError, OSError, ValueError):
        answer.raw.read(_ANSWER_BYTES)


def _without_user(parts: SplitResult) -> tuple[str, str | None]:
    """The URL, and the header for user and password if it has any."""
    user, at, host = parts.netloc.rpartition("@")
    basic = base64.b64encode(unquote(user).encode()).decode() if at else ""
    return parts._replace(netloc=host, fragment="").geturl(), f"Basic {basic}" if at else None


def _same_origin(url: str, location: str) -> str | None:
    try:
        there, here = urlsplit(urljoin(url, location)), urlsplit(url)
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return None
    # urllib3 ends the host at a backslash, and urlsplit does not
    return there.geturl() if location and same and "\\" not in location else None


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
