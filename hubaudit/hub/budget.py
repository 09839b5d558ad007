"""One budget of requests for a process: slower before the Hub's limit is reached, and an end of one's own.

The Hub says in `RateLimit` how many requests are left in which bucket and for how many seconds, on every
answer (`"api";r=489;t=297`). Which bucket a request counts in is in the answer only; until one of its kind
was answered, requests go out one by one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from urllib.parse import urlsplit

from huggingface_hub.utils import parse_ratelimit_headers

from hubaudit.errors import RequestsSpent

# A share of the quota from which on requests are spread over the rest of the window: others behind the
# same address, and the rest of a large list, are not to find nothing left.
_RESERVE = 0.1
_MARGIN = 1.0  # seconds: the Hub's own are whole ones, and the rest of the last one may be missing
_ASLEEP = 0.25  # seconds between looks at whether another thread's answer came
_STUCK = 2.0  # seconds: then the first answer is not waited for any more
_KIND = re.compile(r"^/api/resolve-cache/|/resolve/|^/api/")

Wait = Callable[[float, str], object]


@dataclass(slots=True)
class _Bucket:
    """`left` as the last answer said; None before one did. `open` requests have no answer yet."""

    left: int | None = None
    quota: int = 0
    ends: float = 0.0
    open: int = 0
    is_silent: bool = False  # its answers say nothing of a limit
    next_at: float = 0.0
    asked: float = 0.0  # when the last request went out
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """For one request that may go out, of a kind of address, and so far counted in a bucket."""

    kind: str
    bucket: _Bucket


@dataclass(slots=True)
class Budget:
    """What is left for the requests of all threads. `most` requests may go out at all, None: any number.

    `endpoint` is the Hub whose limits count: storages elsewhere have none. Every request counts for
    `most`, also redirects and repetitions.
    """

    endpoint: str = ""
    most: int | None = None
    clock: Callable[[], float] = time.monotonic
    made: int = 0
    _buckets: dict[str, _Bucket] = field(default_factory=dict)  # by kind of address
    _named: dict[str, _Bucket] = field(default_factory=dict)  # by the Hub's own word
    _changed: Condition = field(default_factory=Condition)

    @property
    def is_spent(self) -> bool:
        return self.most is not None and self.made >= self.most

    def take(self, url: str, wait: Wait) -> Ticket | None:
        """Wait until a request may go out; None where there is no limit. `wait` takes seconds and why.

        Raises RequestsSpent, and what `wait` raises.
        """
        kind = self._kind(url)
        while True:
            with self._changed:
                bucket = None if kind is None else self._buckets.setdefault(kind, _Bucket())
                if self.is_spent:
                    raise RequestsSpent(
                        f"{self.most} requests were made, as many as are allowed",
                        hint="go on with --resume, or raise --max-requests",
                    )
                delay = self._delay(bucket) if bucket is not None else 0.0
                if delay == 0.0:
                    self.made += 1
                    if kind is None or bucket is None:
                        return None
                    bucket.open += 1
                    bucket.asked = self.clock()
                    return Ticket(kind, bucket)
                if delay is None or bucket is None:
                    self._changed.wait(_ASLEEP)
                    continue
                why = self._told(bucket, delay)
            wait(delay, why)

    def answered(self, ticket: Ticket | None, headers: Mapping[str, str]) -> None:
        """What an answer's headers say of the limit. Without an answer: no headers."""
        if ticket is None:
            return
        with self._changed:
            ticket.bucket.open -= 1
            self._read(ticket, headers)
            self._changed.notify_all()

    def _read(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        said, bucket = parse_ratelimit_headers(headers), ticket.bucket
        if said is None:
            bucket.is_silent = bucket.is_silent or (bool(headers) and bucket.left is None)
            return
        # addresses of two kinds may count in one bucket
        bucket = self._named.setdefault(said.resource_type, bucket)
        self._buckets[ticket.kind] = bucket
        now = self.clock()
        ends = now + said.reset_in_seconds
        is_later = bucket.left is None or ends > bucket.ends + _MARGIN
        bucket.is_silent = False
        if is_later:
            bucket.left, bucket.ends, bucket.is_told = said.remaining, ends, False
        elif bucket.left is not None:
            # answers may overtake each other
            bucket.left, bucket.ends = min(bucket.left, said.remaining), min(bucket.ends, ends)
        bucket.quota = said.limit or bucket.quota

    def _delay(self, bucket: _Bucket) -> float | None:
        """Seconds until the next request may go out; None: until another one is answered."""
        now = self.clock()
        if bucket.is_silent:
            return 0.0
        if bucket.left is not None and now >= bucket.ends + _MARGIN:
            bucket.left, bucket.next_at = None, 0.0
        if bucket.left is None:
            is_stuck = now - bucket.asked > _STUCK
            return 0.0 if bucket.open == 0 or is_stuck else None
        left = bucket.left - bucket.open
        if left <= 0:
            return None if bucket.open else bucket.ends + _MARGIN - now
        if left > bucket.quota * _RESERVE:
            return 0.0
        if now < bucket.next_at:
            return bucket.next_at - now
        bucket.next_at = now + max(bucket.ends - now, 0.0) / (left + 1)
        return 0.0

    def _told(self, bucket: _Bucket, seconds: float) -> str:
        """Why it waits; "" if that was told already, or is over at once."""
        if bucket.is_told or seconds < 1.0:
            return ""
        bucket.is_told = True
        left = max(bucket.left or 0, 0)
        return f"the Hub allows {left} more requests in {max(bucket.ends - self.clock(), 0):.0f} s"

    def _kind(self, url: str) -> str | None:
        """What is known of the bucket before the answer; None for another server."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != _origin(self.endpoint):
            return None
        found = _KIND.search(parts.path)
        return found[0] if found else "pages"


def _origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"
