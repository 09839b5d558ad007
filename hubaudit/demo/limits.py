"""The stand-in's rate limit: headers on every answer, and a real quota where one is asked for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

Bucket = Literal["api", "resolvers", "pages"]

# The Hub's documented quotas for anonymous callers, told where no quota is enforced.
_TOLD = {"api": 500, "resolvers": 3000, "pages": 100}

WINDOW = 300.0
"""The Hub's documented window in seconds."""


class RateLimit:
    """Fixed windows of `window` seconds with `quota` requests a bucket; None enforces nothing."""

    def __init__(
        self, quota: int | None, window: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quota = quota
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._started = 0.0
        self._used: dict[str, int] = {}

    def take(self, route: str) -> tuple[bool, dict[str, str]]:
        """Count one request; is it within the quota, and what do the headers say afterwards?"""
        bucket = _bucket(route)
        if self._quota is None:
            return True, self._headers(bucket, _TOLD[bucket], _TOLD[bucket] - 1, self._window)
        with self._lock:
            now = self._clock()
            if not self._used or now - self._started >= self._window:
                self._started, self._used = now, {}
            used = self._used[bucket] = self._used.get(bucket, 0) + 1
            wait = self._started + self._window - now
        return used <= self._quota, self._headers(bucket, self._quota, self._quota - used, wait)

    def _headers(self, bucket: Bucket, quota: int, remaining: int, wait: float) -> dict[str, str]:
        window = math.ceil(self._window)
        return {
            "RateLimit": f'"{bucket}";r={max(remaining, 0)};t={math.ceil(wait)}',
            "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w={window}',
        }


def _bucket(route: str) -> Bucket:
    """An address with a /resolve/ segment is a resolver, other /api/ calls count as API."""
    if "/resolve/" in route:
        return "resolvers"
    return "api" if route.startswith("/api/") else "pages"
