"""The Hub's webhooks: what a delivery says, and who is let in with one.

A payload is a hint that somebody should look at a repository, and nothing else of it is believed: whoever
sees one delivery knows the secret and can forge the next. So little is read of it, and whatever else is in
it is left alone: the Hub adds fields, scopes and actions, and means an unknown scope `a.b.c` to be `a.b`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Any, NoReturn, Protocol
from urllib.parse import unquote_to_bytes

from hubaudit.errors import Busy, MalformedHook

__all__ = ["Busy", "Gate", "Hints", "Hook", "MalformedHook", "Outcome", "RefUpdate", "read_hook"]

# The recorded payloads have 1 KiB. The longest text in one is a comment, of which the Hub takes 64 KiB.
MOST_BYTES = 256 << 10
# The Hub triggers a webhook at most 1000 times in 24 h; ten days of that. 32 bytes each.
MOST_IDS = 10_000

_MOST_REFS = 1000  # of one push; more say no more than that something was pushed
_WORD = 100  # characters of a scope or an action; the longest known has 18
_REF = 512  # characters of a ref, as GitHub has it at most
_WATCHABLE = ("model", "dataset", "space")
# huggingface_hub 2.4, utils/_validators.py: one or two parts of these, of at most 96 characters
_REPO_ID = re.compile(r"[A-Za-z0-9._-]{1,96}(?:/[A-Za-z0-9._-]{1,96})?")
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref that moved. `before` is None where it is new, `after` where it is gone."""

    ref: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Hook:
    """What a delivery is about. None stands for what it does not say, or not as the Hub would.

    `repo_type` is the Hub's word and may be one that nobody watches (`bucket`). `object_id` is the `_id`,
    `moved_to` the new id of a repository that was renamed. `scope` is cut to its first two parts, and
    `action` is `update` then, as the Hub's documentation has it (docs/hub/webhooks.md).
    """

    repo_type: str
    repo_id: str
    object_id: str | None
    moved_to: str | None
    scope: str
    action: str
    refs: tuple[RefUpdate, ...] = ()
    is_pull_request: bool | None = None

    @property
    def can_matter(self) -> bool:
        """Whether anything of a repository that is watched can be another than before.

        Comments and discussions are not: whoever has an account writes as many as he likes.
        """
        if self.repo_type not in _WATCHABLE or self.scope == "discussion.comment":
            return False
        return self.scope != "discussion" or self.is_pull_request is not False


def read_hook(body: bytes) -> Hook:
    """The delivery with this body. Raises MalformedHook, and nothing else whatever the body is."""
    top = _json(body)
    event, repo = _table(top, "event"), _table(top, "repo")
    repo_type, repo_id = _text(repo, "type", _WORD), _text(repo, "name", 2 * 96 + 1)
    if repo_type in _WATCHABLE and not _REPO_ID.fullmatch(repo_id):
        raise MalformedHook("its repo.name is no repository id")
    moved = top.get("movedTo")
    discussion = top.get("discussion")
    scope, action = _text(event, "scope", _WORD).split("."), _text(event, "action", _WORD)
    is_pull_request = discussion.get("isPullRequest") if isinstance(discussion, dict) else None
    return Hook(
        repo_type=repo_type,
        repo_id=repo_id,
        object_id=_matching(_OBJECT_ID, repo.get("id")),
        moved_to=_matching(_REPO_ID, moved.get("name")) if isinstance(moved, dict) else None,
        scope=".".join(scope[:2]),
        action=action if len(scope) <= 2 else "update",
        refs=_refs(top.get("updatedRefs")),
        is_pull_request=is_pull_request if isinstance(is_pull_request, bool) else None,
    )


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    UNWATCHED = "unwatched"  # of a repository that nobody watches
    IGNORED = "ignored"  # of what no watch looks at: a bucket, a comment
    REPLAYED = "replayed"  # its id was here before
    FORGED = "forged"
    OVERSIZED = "oversized"
    MALFORMED = "malformed"  # no delivery, or not all of it came in time
    BUSY = "busy"  # it may come again


class Hints(Protocol):
    """Whoever looks at repositories."""

    def hint(self, hook: Hook) -> bool:
        """False if nobody watches it. Called by the server's thread; never blocks. Raises Busy."""
        ...


Headers = Sequence[tuple[bytes, bytes]]  # names in lower case, as ASGI has them


class Gate:
    """Decides on deliveries and counts them. Threads may share it."""

    def __init__(
        self, secret: bytes | None, *, most_bytes: int = MOST_BYTES, most_ids: int = MOST_IDS
    ) -> None:
        """Without a secret everybody on this machine is let in, but for web pages."""
        self.secret = secret
        self.most_bytes = most_bytes
        self._most_ids = most_ids
        self._handled: OrderedDict[bytes, None] = OrderedDict()
        self._counts: Counter[Outcome] = Counter()
        self._lock = Lock()
        self._counting = Lock()

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Of every outcome how many there were."""
        with self._counting:
            return {outcome: self._counts[outcome] for outcome in Outcome}

    def refuse(self, headers: Headers, query: bytes) -> Outcome | None:
        """What is wrong with a delivery by its head alone; None if its body should be read. Counts it."""
        if not self._is_genuine(headers, query):
            return self.count(Outcome.FORGED)
        if any(_length(value) > self.most_bytes for value in _all(headers, b"content-length")):
            return self.count(Outcome.OVERSIZED)
        return None

    def take(self, headers: Headers, body: bytes, hints: Hints) -> Outcome:
        """What becomes of a delivery that `refuse` did not refuse. Counts it.

        Its id is remembered if it was handled. One that could not be read or taken may come again.
        """
        return self.count(self._taken(headers, body, hints))

    def count(self, outcome: Outcome) -> Outcome:
        with self._counting:
            self._counts[outcome] += 1
        return outcome

    def _taken(self, headers: Headers, body: bytes, hints: Hints) -> Outcome:
        if len(body) > self.most_bytes:
            return Outcome.OVERSIZED
        ids = [hashlib.sha256(value).digest() for value in _all(headers, b"webhook-id") if value]
        with self._lock:  # or two of one id would both be the first
            if any(one in self._handled for one in ids):
                return Outcome.REPLAYED
            try:
                outcome = _hinted(read_hook(body), hints)
            except MalformedHook:
                return Outcome.MALFORMED
            except Busy:
                return Outcome.BUSY
            self._remember(ids)
            return outcome

    def _remember(self, ids: Iterable[bytes]) -> None:
        for one in ids:
            self._handled[one] = None
        while len(self._handled) > self._most_ids:
            self._handled.popitem(last=False)

    def _is_genuine(self, headers: Headers, query: bytes) -> bool:
        if self.secret is None:
            # What a browser adds to a request that a foreign page made it send (Fetch standard, 3.1)
            return not _all(headers, b"origin") and not _all(headers, b"sec-fetch-site")
        given = _all(headers, b"x-webhook-secret") or _of_query(query)
        return len(given) == 1 and hmac.compare_digest(given[0], self.secret)


def _hinted(hook: Hook, hints: Hints) -> Outcome:
    if not hook.can_matter:
        return Outcome.IGNORED
    return Outcome.ACCEPTED if hints.hint(hook) else Outcome.UNWATCHED


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def _of_query(query: bytes) -> list[bytes]:
    pairs = (part.partition(b"=") for part in query.split(b"&"))
    return [unquote_to_bytes(value) for key, _, value in pairs if key == b"secret"]


def _length(value: bytes) -> int:
    """A Content-Length; one that is no number, or of more than 18 digits, is too long for anybody."""
    return int(value) if value.isdigit() and len(value) <= 18 else 1 << 63


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_without_twins,
            parse_constant=_no_number,
            parse_int=lambda _digits: 0,  # none is looked at, and long ones take long
            parse_float=lambda _digits: 0.0,
        )
    except (ValueError, RecursionError):
        raise MalformedHook("it is no JSON") from None
    if not isinstance(found, dict):
        raise MalformedHook("it is no JSON object")
    return found


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers of `{"name": 1, "name": 2}` may see two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_number(_word: str) -> NoReturn:
    """NaN and Infinity, which are no JSON."""
    raise ValueError


def _table(top: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = top.get(key)
    if not isinstance(found, dict):
        raise MalformedHook(f"it has no {key}")
    return found


def _text(table: Mapping[str, Any], key: str, most: int) -> str:
    found = table.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= most:
        raise MalformedHook(f"its {key} is no text of 1 to {most} characters")
    return found


def _matching(pattern: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _refs(value: object) -> tuple[RefUpdate, ...]:
    """Those that are as the Hub writes them."""
    entries = value[:_MOST_REFS] if isinstance(value, list) else []
    return tuple(
        RefUpdate(
            entry["ref"], _matching(_SHA, entry.get("oldSha")), _matching(_SHA, entry.get("newSha"))
        )
        for entry in entries
        if isinstance(entry, dict)
        and isinstance(entry.get("ref"), str)
        and 0 < len(entry["ref"]) <= _REF
    )
