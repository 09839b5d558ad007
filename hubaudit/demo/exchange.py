"""One request and one answer of the stand-in Hub, as values."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

Host = Literal["hub", "cdn"]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request. `path` is raw, with its query; header names are in lower case."""

    host: Host
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def route(self) -> str:
        return self.path.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.path.partition("?")[2], keep_blank_values=True)

    def values(self, key: str) -> list[str]:
        """Every value of a query key; ``key[]`` is the same key."""
        return [value for name, value in self.query if name in (key, f"{key}[]")]

    def value(self, key: str) -> str | None:
        return next(iter(self.values(key)), None)

    def flag(self, key: str) -> bool:
        return (self.value(key) or "").lower() in ("true", "1")

    def without_range(self) -> Incoming:
        return replace(self, headers={k: v for k, v in self.headers.items() if k != "range"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and the body that a GET gets. Content-Length is left to the sender."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def having(self, headers: Mapping[str, str]) -> Answer:
        """With these headers in place of any of the same name."""
        names = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return replace(self, headers=kept | dict(headers))

    def without(self, header: str) -> Answer:
        kept = {k: v for k, v in self.headers.items() if k.lower() != header.lower()}
        return replace(self, headers=kept)


@dataclass(frozen=True, slots=True)
class Request:
    """What the log keeps of an exchange.

    `path` is raw, with its query; header names are in lower case. `status` is 0 where no answer was
    given. `sent_bytes` counts body bytes; while an answer is under way, those that are planned.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    status: int
    sent_bytes: int
    host: Host
    body: bytes = b""


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    own = {"Content-Type": "application/json; charset=utf-8", "ETag": weak_etag(body)}
    return Answer(status, body, own | dict(headers or {}))


def text_answer(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    own = {"Content-Type": "text/plain; charset=utf-8"}
    return Answer(status, text.encode(), own | dict(headers or {}))


def weak_etag(body: bytes) -> str:
    """The ETag that the Hub's web framework (Express) gives a body."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()[:27]
    return f'W/"{len(body):x}-{digest}"'


def bytes_answer(incoming: Incoming, content: bytes, headers: Mapping[str, str]) -> Answer:
    """`content`, or the one range of it that the request asks for: 200, 206 or 416."""
    own = {"Accept-Ranges": "bytes"} | dict(headers)
    span = _span(incoming, len(content))
    if span is None:
        return Answer(200, content, own)
    start, stop = span
    if start >= stop:
        return text_answer(
            "Range Not Satisfiable", 416, {"Content-Range": f"bytes */{len(content)}"}
        )
    own["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
    return Answer(206, content[start:stop], own)


def _span(incoming: Incoming, size: int) -> tuple[int, int] | None:
    """The asked [start, stop), empty where it cannot be satisfied; None where there is no range.

    RFC 9110, 14.2: a range is for GET only, and one that makes no sense is as good as none.
    """
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", incoming.headers.get("range", ""))
    if found is None or incoming.method != "GET" or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
