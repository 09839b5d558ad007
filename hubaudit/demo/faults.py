"""What can go wrong on the wire, as values: one effect, and a rule that says when it happens."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from hubaudit.demo.exchange import Answer, Host, Incoming

# A client that goes away is noticed within one piece.
_PIECE = 1024 * 1024

_FLIPPED = bytes(255 - byte for byte in range(256))


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status in place of the real answer."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error":"injected fault"}'


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait before answering."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Take the request and never answer, until the Hub is closed."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Run:
    """Call something before answering: a commit between two pages, a branch moved, a scan done."""

    action: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Cut:
    """Promise the whole body, send `after` bytes of it, close."""

    after: int


@dataclass(frozen=True, slots=True)
class StallBody:
    """Send the headers and `after` bytes of the body, then nothing until the Hub is closed."""

    after: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send the body in pieces of `size` bytes with `seconds` after each."""

    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class WrongBytes:
    """Every byte of the body inverted: right length, right headers, wrong content."""


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answer 200 and the whole body although a range was asked for."""


@dataclass(frozen=True, slots=True)
class ContentRange:
    """Say something else in a 206's Content-Range than what the body is."""

    value: str


@dataclass(frozen=True, slots=True)
class Gzip:
    """Compress the body, whatever the client said it accepts."""


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Drop one header of the answer."""

    header: str


@dataclass(frozen=True, slots=True)
class Alter:
    """Any other change of an answer."""

    change: Callable[[Answer], Answer]


Before = Status | Delay | Stall | Drop | Run
After = (
    Cut | StallBody | Trickle | WrongBytes | IgnoreRange | ContentRange | Gzip | LeaveOut | Alter
)
Effect = Before | After


def rate_limited(seconds: int) -> Status:
    """A 429 that says: nothing left for `seconds`."""
    headers = {
        "RateLimit": f'"api";r=0;t={seconds}',
        "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
    }
    return Status(429, headers, b'{"error":"We had to rate limit you."}')


def html_page(code: int = 200) -> Status:
    """A web page where JSON is expected, as proxies and challenge pages give."""
    page = b"<!DOCTYPE html><html><body>Please wait</body></html>"
    return Status(code, {"Content-Type": "text/html; charset=utf-8"}, page)


@dataclass(slots=True)
class Fault:
    """An effect and the requests it happens to.

    `path` is a regular expression searched in the raw path and query, `method` one for the whole
    method. The first `skip` matches are spared, then it happens `times` times (None: always);
    `hits` counts how often it did. Effects on a body pass over answers that have none (HEAD,
    redirects, errors), so a redirect does not use one up.
    """

    effect: Effect
    path: str = ""
    method: str = ".*"
    host: Host | None = None
    times: int | None = None
    skip: int = 0
    hits: int = 0
    _seen: int = 0

    def matches(self, incoming: Incoming) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.host not in (None, incoming.host):
            return False
        return bool(
            re.fullmatch(self.method, incoming.method) and re.search(self.path, incoming.path)
        )

    def claim(self) -> bool:
        """Count a match; is it this rule's turn?"""
        self._seen += 1
        if self._seen <= self.skip:
            return False
        self.hits += 1
        return True


def touches(effect: After, incoming: Incoming, answer: Answer) -> bool:
    """Can the effect be seen in this answer at all?"""
    match effect:
        case LeaveOut(header):
            return header.lower() in (name.lower() for name in answer.headers)
        case Alter():
            return True
        case IgnoreRange() | ContentRange():
            return answer.status == 206
        case _:
            return incoming.method != "HEAD" and answer.status in (200, 206)


Ending = Literal["whole", "cut", "stall"]


@dataclass(frozen=True, slots=True)
class Sending:
    """An answer as it goes out: `limit` bytes of its body at most, then `ending`.

    The body goes in pieces of `piece` bytes with a pause of `pause` seconds after each.
    """

    answer: Answer
    limit: int | None = None
    ending: Ending = "whole"
    piece: int = _PIECE
    pause: float = 0.0


def apply(effect: After, sending: Sending, whole: Callable[[], Answer]) -> Sending:
    """The answer with the effect. `whole` gives the answer to the request without its Range."""
    answer = sending.answer
    match effect:
        case Cut(after):
            return replace(sending, limit=after, ending="cut")
        case StallBody(after):
            return replace(sending, limit=after, ending="stall")
        case Trickle(size, seconds):
            return replace(sending, piece=size, pause=seconds)
        case WrongBytes():
            changed = replace(answer, body=answer.body.translate(_FLIPPED))
        case IgnoreRange():
            changed = whole()
        case ContentRange(value):
            changed = answer.having({"Content-Range": value})
        case Gzip():
            packed = gzip.compress(answer.body, mtime=0)
            changed = replace(answer, body=packed).having({"Content-Encoding": "gzip"})
        case LeaveOut(header):
            changed = answer.without(header)
        case Alter(change):
            changed = change(answer)
    return replace(sending, answer=changed)
