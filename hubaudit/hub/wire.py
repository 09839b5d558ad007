"""The one wire to the Hub: huggingface_hub's own session, with time-outs, few retries and no silent waits.

The client retries some calls, has no time-out on others, and can sleep for minutes inside a 429. Here
all that happens once, below it: a request either gets an answer, or ends in one of our own errors,
which the client's back-off (it catches httpx errors only) lets through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import _http as hf_http
from huggingface_hub.utils import httpx, logging, parse_ratelimit_headers

from hubaudit.errors import HubAnswerInvalid, HubError, HubUnreachable, RateLimited
from hubaudit.events import Listener, Waiting, ignore
from hubaudit.hub.budget import Budget
from hubaudit.hub.cost import Meter
from hubaudit.hub.listing import unusable_name

TRANSIENT = (
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)
_BUSY = frozenset({408, 429, 500, 502, 503, 504})  # what huggingface_hub 2.4 calls worth a retry
_CHUNK = constants.DOWNLOAD_CHUNK_SIZE  # the client resumes a cut body at multiples of it

ClientFactory = Callable[[], httpx.Client]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the wire puts up with a Hub that does not answer. All times in seconds.

    With these values a stalled Hub costs three time-outs and two pauses, about half a minute.
    """

    timeout: float = constants.HF_HUB_DOWNLOAD_TIMEOUT  # where the client sets none; 10 s
    pauses: tuple[float, ...] = (0.5, 1.5)  # between attempts: one more attempt than pauses
    longest_wait: float = 310.0  # for a rate limit: the Hub's window of 300 s, and a margin
    busy_answers: int = 5  # 429s to one request, however short their waits
    broken_bodies: int = 20  # of one URL, also where each brought something: a body must end
    trickle_window: float = 60.0
    trickle_bytes: int = (
        60 * 1024
    )  # in that window: at 1 KiB/s even one page of a listing takes minutes

    @property
    def attempts(self) -> int:
        return len(self.pauses) + 1


@dataclass(slots=True)
class Wire(httpx.BaseTransport):
    """A transport around another one. `sleep` ends early, with True, when nobody wants the answer."""

    inner: httpx.BaseTransport
    patience: Patience = field(default_factory=Patience)
    listener: Listener = ignore
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    meter: Meter = field(default_factory=Meter)
    budget: Budget = field(default_factory=Budget)
    _broken: dict[str, list[int]] = field(default_factory=dict)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whatever its status but for those that ask to come back.

        Raises HubUnreachable and RateLimited when a GET or HEAD got no usable answer in the time
        that `patience` allows, HubAnswerInvalid when a file's metadata cannot name a cached file.
        """
        self._fill_timeouts(request)
        if request.method not in {"GET", "HEAD"}:
            return self._ask(request)
        trial = _Trial(self.patience, where(str(request.url)))
        while True:
            try:
                response = self._ask(request)
            except TRANSIENT as error:
                seconds, why = trial.after_error(error)
            else:
                if response.status_code not in _BUSY:
                    _check_names(request, response)
                    return self._watched(request, response)
                response.close()
                seconds, why = trial.after_answer(response)
            self._wait(seconds, why)

    def _ask(self, request: httpx.Request) -> httpx.Response:
        """One answer to one request, when the budget allows it."""
        ticket = self.budget.take(str(request.url), self._wait)
        headers: Mapping[str, str] = {}
        self.meter.sent()
        try:
            response = self.inner.handle_request(request)
            headers = response.headers
            return response
        finally:
            self.budget.answered(ticket, headers)

    def _wait(self, seconds: float, why: str) -> None:
        if why:
            self.listener(Waiting(seconds, why))
        if self.sleep(seconds):
            raise HubUnreachable("gave up waiting for the Hub", hint="run it again")

    def close(self) -> None:
        self.inner.close()

    def _fill_timeouts(self, request: httpx.Request) -> None:
        given = request.extensions.get("timeout") or {}
        kinds = ("connect", "read", "write", "pool")
        filled = {k: given.get(k) or self.patience.timeout for k in kinds}
        request.extensions = {**request.extensions, "timeout": filled}

    def _watched(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        url = str(request.url).split("?", 1)[0]  # a signed URL's query changes with each try
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        response.stream = _Body(stream, self, url)
        return response

    def body_broke(self, url: str, received: int, error: Exception) -> None:
        """Count a body that ended early; raises HubUnreachable when it was one too many.

        Otherwise the reader asks again. A body that got as far as the client can resume from counts
        as progress, but not for ever.
        """
        count = self._broken.setdefault(url, [0, 0])
        count[0] = 1 if received >= _CHUNK else count[0] + 1
        count[1] += 1
        if count[0] >= self.patience.attempts or count[1] >= self.patience.broken_bodies:
            raise unreachable(error, where(url)) from error
        self.listener(Waiting(1.0, f"{where(url)} broke off an answer: {_short(error)}"))

    def body_ended(self, url: str) -> None:
        self._broken.pop(url, None)


class _Body(httpx.SyncByteStream):
    """An answer's body that notices when it breaks off or only trickles."""

    def __init__(self, stream: httpx.SyncByteStream, wire: Wire, url: str) -> None:
        self._stream, self._wire, self._url = stream, wire, url

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        try:
            for chunk in self._unhurried():
                received += len(chunk)
                self._wire.meter.received(len(chunk))
                yield chunk
        except TRANSIENT as error:
            self._wire.body_broke(self._url, received, error)
            raise
        self._wire.body_ended(self._url)

    def _unhurried(self) -> Iterator[bytes]:
        patience, clock = self._wire.patience, self._wire.clock
        chunks = iter(self._stream)
        waited, received = 0.0, 0
        while True:
            asked = clock()
            chunk = next(chunks, None)
            if chunk is None:
                return
            waited += clock() - asked
            received += len(chunk)
            if waited > patience.trickle_window:
                if received < patience.trickle_bytes:
                    raise _stalled(where(self._url), f"{received} bytes in {waited:.0f} s")
                waited, received = 0.0, 0
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _Trial:
    """The attempts at one request: how long to wait before the next, or the error that ends it."""

    def __init__(self, patience: Patience, host: str) -> None:
        self._patience, self.host = patience, host
        self._pauses = iter(patience.pauses)
        self._limited = 0
        self._waited = 0.0

    def after_error(self, error: Exception) -> tuple[float, str]:
        return self._pause(unreachable(error, self.host)), f"{self.host}: {_short(error)}"

    def after_answer(self, response: httpx.Response) -> tuple[float, str]:
        answered = f"{self.host} answered {response.status_code} {response.reason_phrase}".rstrip()
        if response.status_code == 429:
            return self._after_limit(response, answered)
        final = HubUnreachable(
            f"{answered}, {self._patience.attempts} times",
            hint="the Hub has a problem: try again later",
        )
        pause = self._pause(final)
        asked = _retry_after(response)
        if asked is not None and asked > self._patience.timeout:
            raise final
        return max(pause, asked or 0.0), answered

    def _after_limit(self, response: httpx.Response, answered: str) -> tuple[float, str]:
        asked = _limit_wait(response)
        self._limited += 1
        seconds = asked if asked is not None else 2.0**self._limited
        too_often = self._limited >= self._patience.busy_answers
        if too_often or self._waited + seconds > self._patience.longest_wait:
            raise RateLimited(
                f"{answered}: its limit allows the next request in {seconds:.0f} s",
                hint="wait that long, or set HF_TOKEN: the limits of an account are higher",
            )
        self._waited += seconds
        return seconds, f"{self.host} limits the rate of requests"

    def _pause(self, final: HubError) -> float:
        pause = next(self._pauses, None)
        if pause is None:
            raise final
        return pause


def where(url: str) -> str:
    """Host and port of a URL, as messages name a server: never its path, query or credentials."""
    parts = urlsplit(url)
    host = parts.hostname or url
    try:
        return f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return host


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: two URLs with the same are one server's. Raises ValueError on nonsense."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def unreachable(error: Exception, host: str) -> HubUnreachable:
    """The network's failure as our error."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return _stalled(host, _short(error))
    return HubUnreachable(
        f"cannot reach {host}: {_short(error)}",
        hint="check the network, the proxy settings and HF_ENDPOINT, or work offline with HF_HUB_OFFLINE=1",
    )


def _check_names(request: httpx.Request, response: httpx.Response) -> None:
    """The client makes file names of a HEAD's ETag and commit without a look at them."""
    if request.method != "HEAD" or response.status_code >= 400:
        return
    for header in ("X-Linked-Etag", "ETag", "X-Repo-Commit"):
        value = response.headers.get(header, "-").strip().removeprefix("W/").strip('"')
        if unusable_name(value):
            response.close()
            raise HubAnswerInvalid(
                f"{where(str(request.url))} sent an {header} that cannot be one: {value[:60]!r}",
                hint="is the endpoint a Hub? check HF_ENDPOINT; a proxy may have changed the answer",
            )


def _stalled(host: str, detail: str) -> HubUnreachable:
    return HubUnreachable(
        f"{host} stalled: {detail}",
        hint="try again later; HF_HUB_DOWNLOAD_TIMEOUT sets how many seconds to wait for an answer",
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _limit_wait(response: httpx.Response) -> float | None:
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return (
            limit.reset_in_seconds + 1.0
        )  # whole seconds: the rest of the last one may be missing
    return _retry_after(response)


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


class _WrappingFactory:
    """Clients of the factory that was there before, their transports wrapped.

    So the client's request hook, which enforces offline mode, and whatever certificates or proxies an
    application has set up, stay.
    """

    def __init__(self, wrap: Callable[[httpx.BaseTransport], httpx.BaseTransport]) -> None:
        current = hf_http._GLOBAL_CLIENT_FACTORY
        self.base: ClientFactory = (
            current.base if isinstance(current, _WrappingFactory) else current
        )
        self._wrap = wrap

    def __call__(self) -> httpx.Client:
        client = self.base()
        client._transport = self._wrap(client._transport)
        client._mounts = {
            pattern: transport and self._wrap(transport)
            for pattern, transport in client._mounts.items()
        }
        return client


def wrapping(wrap: Callable[[httpx.BaseTransport], httpx.BaseTransport]) -> ClientFactory:
    """A factory of the session's clients, with each transport (also a proxy's) put through `wrap`."""
    return _WrappingFactory(wrap)


@contextmanager
def installed(factory: ClientFactory) -> Iterator[None]:
    """huggingface_hub's session made by `factory`; on exit closed, and the old factory back.

    The session is the process's, not the thread's. Enclosed uses must end in the reverse order. What
    goes around the session (Xet) or asks unasked (telemetry) is off meanwhile, also where
    huggingface_hub was imported before our environment settings. The client's warnings are off too,
    unless the user has set its verbosity: the listener hears of every wait, and they name signed URLs.
    """
    before = hf_http._GLOBAL_CLIENT_FACTORY
    switches = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY")
    settings = {name: getattr(constants, name) for name in switches}
    for name in switches:
        setattr(constants, name, True)
    verbosity = logging.get_verbosity()
    if verbosity == logging.WARNING:
        logging.set_verbosity(logging.ERROR)
    set_client_factory(factory)
    try:
        yield
    finally:
        set_client_factory(before)
        logging.set_verbosity(verbosity)
        for name, value in settings.items():
            setattr(constants, name, value)
