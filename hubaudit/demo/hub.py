"""A stand-in Hub: real HTTP on loopback, for the demo and for tests.

::

    repo = HubRepo("org/model", {"config.json": b"{}", "pytorch_model.bin": checkpoint})
    with StandInHub([repo]) as hub:
        subprocess.run(command, env=hub.env(home))
        hub.fault(Status(503), path="/tree/", times=2)
        assert [request.path for request in hub.requests] == […]

It keeps to what the Hub's own client, its JavaScript client and recorded answers of the Hub show. No
Xet, no uploads, no git protocol. It reads no clock unless it has a `quota`, so the same repositories
give the same answers.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from hubaudit.demo.exchange import Answer, Host, Incoming, Request, json_answer
from hubaudit.demo.faults import (
    After,
    Delay,
    Drop,
    Effect,
    Fault,
    Run,
    Sending,
    Stall,
    Status,
    apply,
    touches,
)
from hubaudit.demo.limits import WINDOW, RateLimit
from hubaudit.demo.repository import HubRepo
from hubaudit.demo.routes import answer_cdn, answer_hub
from hubaudit.demo.wire import Listener, Send
from hubaudit.demo.world import World

__all__ = ["TOKENS", "HubRepo", "Request", "StandInHub"]

# `reader` is let into private and gated repositories (see HubRepo.allowed), `stranger` is not.
TOKENS: Mapping[str, str] = {"hf_reader": "reader", "hf_stranger": "stranger"}

_EVERY_ANSWER = {
    "Access-Control-Allow-Origin": "https://huggingface.co",
    "Access-Control-Expose-Headers": (
        "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,"
        "Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
    ),
    "Access-Control-Max-Age": "86400",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "Vary": "Origin",
    "X-Powered-By": "hubaudit-stand-in",
}

# Variables of the caller that would lead a client elsewhere or give it another's token.
_FOREIGN = ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "TRANSFORMERS_", "HUBAUDIT_")


class StandInHub:
    """A Hub that runs from construction until `close`, also as a context manager.

    `repos`: what it holds; change a `HubRepo` at any time. `page_size`: entries a page where the
    client asks for no `limit`; small, so that paging is exercised. `tokens`: token to user name.
    `renames`: old or one-word id to the id that now has the repository. `collections`: slug to the
    parts of its answer, `items` at least. `delivery`: files over redirects as the Hub gives them, or
    directly with 200. `quota`: requests a bucket and a window of `window` seconds, after which 429.
    """

    def __init__(
        self,
        repos: Iterable[HubRepo] = (),
        *,
        page_size: int = 3,
        tokens: Mapping[str, str] = TOKENS,
        renames: Mapping[str, str] | None = None,
        collections: Mapping[str, Mapping[str, Any]] | None = None,
        delivery: Literal["redirect", "direct"] = "redirect",
        quota: int | None = None,
        window: float = WINDOW,
    ) -> None:
        self._world = World(
            repos={(repo.repo_type, repo.repo_id): repo for repo in repos},
            tokens=tokens,
            renames=dict(renames or {}),
            collections=dict(collections or {}),
            page_size=page_size,
            delivery=delivery,
        )
        self._limits = RateLimit(quota, window)
        self._faults: list[Fault] = []
        self._log: list[Request] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._numbers = itertools.count(1)
        self._hub = Listener("hub", self._serve, self._closing)
        self._cdn = Listener("cdn", self._serve, self._closing)
        self._world.endpoint = f"http://127.0.0.1:{self._hub.server_port}"
        # Another host *name*: some client versions compare names only, and a token must not follow.
        self._world.cdn = f"http://localhost:{self._cdn.server_port}"
        for listener in (self._hub, self._cdn):
            listener.start()

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is to be: ``http://127.0.0.1:PORT``."""
        return self._world.endpoint

    @property
    def cdn(self) -> str:
        """Where large files come from: ``http://localhost:PORT``."""
        return self._world.cdn

    @property
    def requests(self) -> list[Request]:
        """Every exchange so far, in the order in which the answers began."""
        with self._lock:
            return list(self._log)

    def clear_log(self) -> None:
        with self._lock:
            self._log.clear()

    def repo(self, repo_id: str, repo_type: str = "model") -> HubRepo:
        return self._world.repos[repo_type, repo_id]

    def add(self, repo: HubRepo) -> None:
        """Create a repository, or put another in the place of one of the same name."""
        self._world.repos[repo.repo_type, repo.repo_id] = repo

    def remove(self, repo_id: str, repo_type: str = "model") -> None:
        del self._world.repos[repo_type, repo_id]

    def rename(self, old: str, new: str, repo_type: str = "model") -> None:
        """Move a repository; its old name answers 307 from now on."""
        repo = self._world.repos.pop((repo_type, old))
        repo.repo_id = new
        self._world.renames[old] = new
        self.add(repo)

    def expire_cdn_urls(self) -> None:
        """Refuse every CDN address given so far; new ones work."""
        self._world.signing_round += 1

    def fault(
        self,
        effect: Effect,
        *,
        path: str = "",
        method: str = ".*",
        host: Host | None = None,
        times: int | None = None,
        skip: int = 0,
    ) -> Fault:
        """Add a rule (see `Fault`); what it returns counts its `hits`."""
        rule = Fault(effect, path, method, host, times, skip)
        with self._lock:
            self._faults.append(rule)
        return rule

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def env(self, home: Path) -> dict[str, str]:
        """The whole environment for a subprocess that is to know only this Hub, and no token."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_FOREIGN)}
        ours = {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home / "huggingface"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        return kept | ours

    def close(self) -> None:
        """End both listeners, every connection and every thread. May be called twice."""
        self._closing.set()
        for listener in (self._hub, self._cdn):
            listener.stop()

    def __enter__(self) -> StandInHub:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self, incoming: Incoming, send: Send) -> bool:
        """Answer one request by `send`; is the connection good for another?"""
        dress = self._dress(incoming)
        try:
            replaced = self._before(incoming)
        except _HangUp:
            return False
        if replaced is not None:
            return self._send(incoming, Sending(dress(replaced)), send)
        answer = dress(self._answer(incoming))
        sending = Sending(answer)
        for rule in self._due(incoming, lambda effect: _touches(effect, incoming, answer)):
            if isinstance(rule.effect, After):
                sending = apply(
                    rule.effect, sending, lambda: dress(self._answer(incoming.without_range()))
                )
        return self._send(incoming, sending, send)

    def _before(self, incoming: Incoming) -> Answer | None:
        """What a fault answers in place of the Hub, if one does."""
        for rule in self._due(incoming, lambda effect: not isinstance(effect, After)):
            match rule.effect:
                case Delay(seconds):
                    self._closing.wait(seconds)
                case Run(action):
                    action()
                case Stall():
                    self._record(incoming, status=0, sent=0)
                    self._closing.wait()
                    raise _HangUp
                case Drop():
                    self._record(incoming, status=0, sent=0)
                    raise _HangUp
                case Status(code, headers, body):
                    return Answer(code, body, headers)
        return None

    def _due(self, incoming: Incoming, fits: Callable[[Effect], bool]) -> Iterator[Fault]:
        """The rules whose turn it is, each counted only when the one before did not end the matter."""
        with self._lock:
            rules = list(self._faults)
        for rule in rules:
            if not fits(rule.effect):
                continue
            with self._lock:
                due = rule.matches(incoming) and rule.claim()
            if due:
                yield rule

    def _answer(self, incoming: Incoming) -> Answer:
        answer = answer_cdn if incoming.host == "cdn" else answer_hub
        return answer(self._world, incoming)

    def _dress(self, incoming: Incoming) -> Callable[[Answer], Answer]:
        """Count the request; returns what gives an answer the headers that all of the Hub's have.

        An answer's own headers win. Over the quota, a 429 comes in place of any answer.
        """
        if incoming.host == "cdn":
            return lambda answer: answer
        within, limits = self._limits.take(incoming.route)
        headers = _EVERY_ANSWER | limits | {"X-Request-Id": f"Root=1-{next(self._numbers):08x}"}

        def dress(answer: Answer) -> Answer:
            given = answer if within else json_answer({"error": "We had to rate limit you."}, 429)
            return replace(given, headers=headers).having(given.headers)

        return dress

    def _send(self, incoming: Incoming, sending: Sending, send: Send) -> bool:
        size = len(sending.answer.body)
        planned = 0 if incoming.method == "HEAD" else len(range(size)[: sending.limit])
        # Logged first: a client that has its answer may look into the log at once.
        entry = self._record(incoming, status=sending.answer.status, sent=planned)
        sent = send(sending)
        if sent != planned:
            self._correct(entry, sent)
        if sending.ending == "stall":
            self._closing.wait()
        return sending.ending == "whole"

    def _record(self, incoming: Incoming, *, status: int, sent: int) -> Request:
        entry = Request(
            incoming.method,
            incoming.path,
            incoming.headers,
            status,
            sent,
            incoming.host,
            incoming.body,
        )
        with self._lock:
            self._log.append(entry)
        return entry

    def _correct(self, entry: Request, sent: int) -> None:
        with self._lock:
            self._log = [
                replace(one, sent_bytes=sent) if one is entry else one for one in self._log
            ]


class _HangUp(Exception):
    """Nothing is to be answered, and the connection ends."""


def _touches(effect: Effect, incoming: Incoming, answer: Answer) -> bool:
    return isinstance(effect, After) and touches(effect, incoming, answer)
