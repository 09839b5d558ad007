"""What an audit cost the network: requests that were sent, bytes of bodies that arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from hubaudit.model import Cost


@dataclass(slots=True)
class Meter:
    """Counts for all threads of a client."""

    _requests: int = 0
    _received: int = 0
    _lock: Lock = field(default_factory=Lock)

    def sent(self) -> None:
        """One more request went out, also one that is a repetition."""
        with self._lock:
            self._requests += 1

    def received(self, count: int) -> None:
        """`count` more bytes of a body arrived."""
        with self._lock:
            self._received += count

    def read(self) -> Cost:
        with self._lock:
            return Cost(self._requests, self._received)
