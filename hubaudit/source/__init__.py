"""Random-access bytes: the one way in which formats and the pickle machine see a file.

A source never raises for what the bytes say, only for a failure to get them. Reading past the end
gives fewer bytes, as a file does; a source that gave fewer bytes before its end would be a defect.
"""

from __future__ import annotations

from typing import Protocol


class OutOfReach(Exception):
    """The bytes are there, but to get at them would cost more than is allowed; the message says what."""


class Source(Protocol):
    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only where the source ends."""
        ...
