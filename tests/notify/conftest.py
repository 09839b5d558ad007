"""Alerts in a store, and sinks on loopback that answer as they are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from hubaudit.model import Severity, Verdict
from hubaudit.notify.outbox import Outbox
from hubaudit.store import Store
from hubaudit.watch.alert import Alert, Name, changed, closed
from hubaudit.watch.kinds import Kind, change
from hubaudit.watch.ledger import Ledger, Seen
from hubaudit.watch.state import Presence, State

AT = "2026-03-04T05:06:07Z"
# What a repository may be full of: line ends, escape sequences, mentions, links, markup, half a character.
HOSTILE = (
    "a\r\nBcc: all@example.org\r\n\r\n\x1b[2J\u202egnp.exe <!channel> <!here|x> @everyone <@U1> "
    "[click](https://evil.example/x) https://evil.example `code` ``` <b>b</b> | # ##[error]x \ud800 \x7f"
)


def alert(
    serial: int = 1, repo: str = "org/model", said: str = "a file is new", at: str = AT
) -> Alert:
    """A change of medium severity in one repository."""
    one = change(Kind.EXECUTABLE_ADDED, said, paths=("x.bin",), detail=("+ a line",))
    return changed(
        Name("https://hub.example", "model", repo),
        serial,
        at,
        [one],
        commits=("a" * 40, "b" * 40),
        approved="a" * 40,
        verdict=Verdict.REVIEW,
    )


def closing(of: Sequence[Alert], serial: int = 9) -> Alert:
    return closed(
        of[0].name, serial, AT, "as it was approved", of, commit="a" * 40, verdict=Verdict.PASS
    )


class Clock:
    """A time that only goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Box:
    """A store with a watch that tells sinks of alerts, and the outbox in front of it."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.store = Store(path, clock)
        self.outbox = Outbox(self.store, clock)
        self._ledger = Ledger(self.store, clock)

    def tell(self, repo: str, *sinks: str, said: str = "a file is new") -> Alert:
        """What a look at `repo` writes: the next step, and a delivery for each of `sinks`."""
        name = Name("https://hub.example", "model", repo)
        before = self._ledger.seen(name)
        serial = before.serial + 1 if before else 1
        made = alert(serial, repo, said)
        seen = Seen(name, serial, "", Presence.PRESENT, "b" * 40, None, None, 0.0)
        state = State(repo, "model", Presence.PRESENT)
        assert self._ledger.put(seen, state, [made], dict.fromkeys(sinks, Severity.INFO))
        return made

    def acknowledged(self, sink: str) -> int:
        query = "SELECT count(*) FROM deliveries WHERE sink = ? AND acknowledged IS NOT NULL"
        return int(self.store.rows(query, (sink,))[0][0])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box(tmp_path: Path, clock: Clock) -> Iterator[Box]:
    made = Box(tmp_path / "store.sqlite3", clock)
    yield made
    made.store.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Box]:
    """With the time of the world."""
    made = Box(tmp_path / "store.sqlite3", time.time)
    yield made
    made.store.close()


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


# What a sink does with a message: an answer's status and headers, or anything with the handler itself.
Act = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str]] | None]


@dataclass
class WebSink:
    """An HTTP server on loopback. `act` decides on the answer; `received` is what came, in order."""

    act: Act = lambda _: (200, {})
    received: list[Received] = field(default_factory=list)
    released: Event = field(default_factory=Event)
    url: str = ""

    def __enter__(self) -> WebSink:
        sink, lock = self, Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = sink.act(self)
                status = answer[0] if answer else 0
                with lock:
                    sink.received.append(Received(self.path, dict(self.headers), body, status))
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                headers = {"Content-Length": "2", **answer[1]}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok"[: int(headers["Content-Length"])])

            def log_message(self, *_args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_args: object) -> None:
                pass  # clients that are gone

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with WebSink() as made:
        yield made


def wait_until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
