"""What `hubaudit watch --serve` listens with: the Hub's webhooks, the status page, health and metrics.

Besides `/webhook` everything is read-only, and nothing that anybody sends is shown or stored.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast, get_args

from hubaudit.errors import CannotListen, HubauditError, ReportUnusable, StoreUnusable, UsageError
from hubaudit.model import RepoType
from hubaudit.watch.alert import Name
from hubaudit.watch.ledger import Ledger
from hubaudit.watch.listen import Address, is_loopback
from hubaudit.watch.page import Asked, Pages, Rendered, message
from hubaudit.watch.pulse import Pulse, Watchdog
from hubaudit.watch.receive import Gate, Hints, Outcome

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from hubaudit.watch.metrics import exposed
except ImportError:
    raise UsageError(
        "--serve needs the extra `server`", hint="pip install 'hubaudit[server]'"
    ) from None

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_SECONDS = 10.0  # for the body of a delivery, of which the Hub sends all at once
HEAD_SECONDS = 10.0  # for the head of a first request
CONNECTION_SECONDS = 120.0  # for all of a connection; a page is rendered in a second or two
_HEAD_BYTES = 16 << 10  # of request line and headers; the Hub's have less than 1 KiB
_CONNECTIONS = 256  # at once; more are told to come again
_RENDERED = 2  # pages at once: a report of 3000 findings takes a second and 100 MB
_GRACE = 1.0  # seconds for what is being answered when the server stops

_STATUS = {
    Outcome.ACCEPTED: 202,
    Outcome.UNWATCHED: 202,
    Outcome.IGNORED: 202,
    Outcome.REPLAYED: 202,
    Outcome.FORGED: 401,
    Outcome.OVERSIZED: 413,
    Outcome.MALFORMED: 400,
    Outcome.BUSY: 503,
}
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def app_of(
    ledger: Ledger,
    hints: Hints,
    pulse: Pulse,
    gate: Gate,
    *,
    clock: Callable[[], float],
    pages: Pages | None,
    hosts: Sequence[str] = (),
) -> Starlette:
    """The application. Without `pages` there are webhooks, health and metrics, and no page.

    `hosts`: under which names it answers, so that no page of the Web can reach a loopback address under a
    name of its own; none for any name. A delivery with the right secret is taken under every name.
    """
    routes = [
        Route("/webhook", _webhook(gate, hints), methods=["POST"]),
        Route("/healthz", _health(ledger, pulse, clock), methods=["GET"]),
        Route("/metrics", _metrics(ledger, pulse, gate), methods=["GET"]),
        *(_page_routes(pages) if pages is not None else ()),
    ]
    handlers = {HTTPException: _refused, HubauditError: _unavailable}
    middleware = [Middleware(_Headers, gate=gate)]
    if hosts:
        has_secret = gate.secret is not None
        middleware.append(Middleware(_Hosts, hosts=tuple(hosts), webhook_anywhere=has_secret))
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)
    app.router.redirect_slashes = False  # it would redirect to whatever Host says
    return app


def own_hosts(address: Address) -> tuple[str, ...]:
    """The names for `app_of(hosts=…)`: those of this machine on loopback, and any beyond it."""
    if not is_loopback(address.host):
        return ()
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "[::1]", *_as_host(address.host))))


class Server:
    """Serves an application in a thread of its own. It takes no signals."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._address = Address(host, port)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",  # everybody's broken requests are warnings
            access_log=False,  # the secret may be in an address
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            backlog=_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        self._server = _Uvicorn(config)
        self._thread: threading.Thread | None = None

    def start(self) -> Address:
        """Listens from now on; where, with the real port for port 0. Raises CannotListen."""
        sockets = _listening(self._address)
        port = sockets[0].getsockname()[1]
        serve = self._server.serve(sockets=sockets)
        self._thread = threading.Thread(
            target=asyncio.run, args=(serve,), name="hubaudit-server", daemon=True
        )
        self._thread.start()
        if not (self._server.listens.wait(10) and self._server.started):
            raise CannotListen(f"the server on {self._address} did not start", hint="")
        return Address(self._address.host, port)

    def stop(self) -> None:
        """Ends it, with what is being answered, within some two seconds."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE + 3)
            self._thread = None


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.listens.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Connections that somebody holds open are cut: uvicorn would wait, and then log tracebacks."""
        cut = asyncio.get_running_loop().call_later(_GRACE, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut(self) -> None:
        for connection in tuple(self.server_state.connections):
            cast(H11Protocol, connection).transport.abort()


class _Connection(H11Protocol):
    """Uvicorn bounds a connection only between requests; whoever sends nothing would stay for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._bounds = (
            self.loop.call_later(HEAD_SECONDS, self._cut_if_silent),
            self.loop.call_later(CONNECTION_SECONDS, transport.abort),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for bound in self._bounds:
            bound.cancel()
        super().connection_lost(exc)

    def _cut_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()


def _listening(address: Address) -> list[socket.socket]:
    """Sockets for every address of the host, all on one port. Raises CannotListen."""
    found: list[socket.socket] = []
    port, refused = address.port, ""
    for family, host in _binds(address):
        try:
            found.append(_bound(family, host, port))
            port = found[0].getsockname()[1]
        except OSError as error:
            refused = error.strerror or str(error)
            if error.errno in _NO_FAMILY:
                continue
            break
    else:
        if found:
            return found
    for one in found:
        one.close()
    raise CannotListen(f"cannot listen on {address}: {refused}", hint="is the port taken already?")


_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _binds(address: Address) -> list[tuple[socket.AddressFamily, str]]:
    """What is bound for a host. Of `localhost` not what a resolver says, which may be anything."""
    four, six = socket.AF_INET, socket.AF_INET6
    if not address.host:
        return [(four, "0.0.0.0"), (six, "::")]  # noqa: S104 - meant, and not without a secret
    if address.host.lower() == "localhost":
        return [(four, "127.0.0.1"), (six, "::1")]
    try:
        answers = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        why = error.strerror or error
        raise CannotListen(
            f"cannot listen on {address}: {why}", hint="name an address of this machine"
        ) from None
    return list(dict.fromkeys((answer[0], str(answer[4][0])) for answer in answers))


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=family, backlog=_CONNECTIONS)


def _as_host(host: str) -> tuple[str, ...]:
    return (f"[{host.lower()}]" if ":" in host else host.lower(),)


class _Headers:
    """Puts on every answer what keeps a browser from doing more with it than showing it.

    Refuses long heads, which h11 bounds only where they come in more than one read, and those that tell
    the length of the body in two ways: a proxy may see one request where we see two (RFC 9112, 6.3).
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                there = {name.lower() for name, _ in headers}
                policy = (b"content-security-policy", _NOTHING)
                headers.extend(one for one in (*_HEADERS, policy) if one[0] not in there)
            await send(message)

        refused = _refused_head(scope) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, sending)
            return
        outcome, status, said = refused
        if scope["path"] == "/webhook":
            self._gate.count(outcome)
        await _plain(status, said, {"connection": "close"})(scope, receive, sending)


def _refused_head(scope: Scope) -> tuple[Outcome, int, str] | None:
    if _head_bytes(scope) > _HEAD_BYTES:
        return Outcome.OVERSIZED, 431, "The head of the request is too long."
    if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
        return Outcome.MALFORMED, 400, "The body of the request has two lengths."
    return None


def _head_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return len(scope["raw_path"]) + len(scope["query_string"]) + fields


class _Hosts:
    """Answers under its own names alone: a foreign page may have its name resolved to 127.0.0.1."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], webhook_anywhere: bool) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._free = "/webhook" if webhook_anywhere else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == self._free or self._is_own(scope):
            await self._app(scope, receive, send)
            return
        await _plain(421, "This is not the name of this server.")(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        found = _HOST.fullmatch(given[0].decode("latin-1")) if len(given) == 1 else None
        return found is not None and found[1].lower() in self._hosts


_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::[0-9]*)?")

Endpoint = Callable[[Request], Awaitable[Response]]


def _webhook(gate: Gate, hints: Hints) -> Endpoint:
    async def webhook(request: Request) -> Response:
        headers, query = request.scope["headers"], request.scope["query_string"]
        refused = gate.refuse(headers, query)
        if refused is not None:
            return _told(refused)
        try:
            body = await _body(request, gate.most_bytes)
        except TimeoutError:
            return _told(gate.count(Outcome.MALFORMED), 408)
        except ClientDisconnect:
            return _told(gate.count(Outcome.MALFORMED))
        return _told(gate.take(headers, body, hints))

    return webhook


async def _body(request: Request, most: int) -> bytes:
    """The body, or more than `most` bytes of it. Raises TimeoutError and ClientDisconnect."""
    found = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in request.stream():
            found += chunk
            if len(found) > most:
                break
    return bytes(found)


def _told(outcome: Outcome, status: int | None = None) -> Response:
    retry = {"retry-after": "30"} if outcome is Outcome.BUSY else None
    return JSONResponse({"outcome": outcome.value}, status or _STATUS[outcome], retry)


def _health(ledger: Ledger, pulse: Pulse, clock: Callable[[], float]) -> Endpoint:
    dog = Watchdog(clock)

    def health() -> Response:
        vitals = pulse.read()
        said = {"watched": len(vitals.watched), "rounds": vitals.rounds, "status": "ok"}
        if dog.is_late(vitals):
            said["status"] = "the watch is silent"
        try:
            ledger.store.rows("SELECT serial FROM watched LIMIT 1")
        except StoreUnusable:
            said["status"] = "the store cannot be read"
        return JSONResponse(said, 200 if said["status"] == "ok" else 503)

    async def healthz(_request: Request) -> Response:
        return await run_in_threadpool(health)

    return healthz


def _metrics(ledger: Ledger, pulse: Pulse, gate: Gate) -> Endpoint:
    expose = exposed(ledger, pulse, gate)
    one_at_once = asyncio.Semaphore()

    async def metrics(request: Request) -> Response:
        async with one_at_once:
            body, content_type = await run_in_threadpool(expose, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return metrics


def _page_routes(pages: Pages) -> list[Route]:
    some_at_once = asyncio.Semaphore(_RENDERED)

    def route(path: str, render: Callable[[Request], Rendered | None]) -> Route:
        async def page(request: Request) -> Response:
            async with some_at_once:
                rendered = await run_in_threadpool(render, request)
            if rendered is None:
                return _html(
                    message("Not found", "Nobody watches this, or it was not audited."), 404
                )
            return _html(rendered, 200)

        return Route(path, page, methods=["GET"])

    def status(request: Request) -> Rendered:
        given = request.query_params
        return pages.status(
            Asked(
                text=given.get("q", "").strip()[:_LONGEST],
                attention=given.get("show") == "attention",
                number=_number(given.get("page")) or 1,
                refresh=given.get("refresh") == "1",
            )
        )

    def repository(request: Request) -> Rendered | None:
        name = _name(request)
        before = _number(request.query_params.get("before"))
        return None if name is None else pages.repository(name, before)

    def report(request: Request) -> Rendered | None:
        name, commit = _name(request), request.query_params.get("commit", "")
        return pages.report(name, commit) if name and _COMMIT.fullmatch(commit) else None

    return [
        route("/", status),
        route("/repository/{repo_type}/{repo_id:path}", repository),
        route("/report/{repo_type}/{repo_id:path}", report),
    ]


_LONGEST = 200  # characters of a repository id, both parts of at most 96


def _name(request: Request) -> Name | None:
    """What the address names; "" for the Hub if it says none."""
    repo_type, repo_id = request.path_params["repo_type"], request.path_params["repo_id"]
    if repo_type not in get_args(RepoType) or len(repo_id) > _LONGEST:
        return None
    given = request.query_params
    return Name(given.get("hub", ""), repo_type, repo_id, given.get("revision", ""))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else None


def _html(rendered: Rendered, status: int) -> Response:
    headers = {"content-security-policy": rendered.policy}
    return Response(rendered.text, status, headers, "text/html")


def _plain(status: int, said: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(f"{said}\n", status, headers, "text/plain")


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _plain(error.status_code, error.detail, error.headers)


def _unavailable(_request: Request, error: Exception) -> Response:
    """What the message says may name paths of this machine."""
    if isinstance(error, ReportUnusable):
        return _plain(500, "The stored report cannot be read.")
    return _plain(503, "What the watch keeps cannot be read at the moment.")
