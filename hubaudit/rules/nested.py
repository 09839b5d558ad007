"""Which constants were read as pickles of their own (`formats/nested.py`) and hold nothing bad."""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.formats.contents import PickleRead
from hubaudit.pvm.embedded import Embedded, is_pickle
from hubaudit.pvm.values import Skipped, Value


class Nested:
    """The members of one file in which a name was found that is not inert."""

    def __init__(self) -> None:
        self._bad: set[str] = set()
        self._read: set[str] = set()

    def add(self, member: str | None, *, bad: bool) -> None:
        """A pickle was read in `member`, and so in every member that it lies in."""
        while member:
            self._read.add(member)
            if bad:
                self._bad.add(member)
            member = member.rpartition("/")[0]

    def _is_good(self, member: str, found: Embedded) -> bool:
        """Of an archive, something has to have been read; a pickle may import nothing."""
        return member not in self._bad and (is_pickle(found.head) or member in self._read)

    def reader_of(self, pickle: PickleRead) -> Callable[[Value], bool]:
        """Of a constant of `pickle`: was it read, and nothing bad found? Those in it come first."""
        prefix = "" if pickle.member is None else f"{pickle.member}/"
        read = [
            found
            for found in pickle.trace.embedded
            if found.spelling == "bytes" and self._is_good(f"{prefix}@{found.offset}", found)
        ]
        places = {(found.offset, found.size) for found in read}
        payloads = {found.head for found in read if len(found.head) == found.size}
        return lambda constant: _is_one_of(constant, places, payloads)


def _is_one_of(constant: Value, places: set[tuple[int, int]], payloads: set[bytes]) -> bool:
    match constant:
        case Skipped():
            return (constant.offset, constant.size) in places
        case bytes():
            # as bytes, or as the text of which protocol 2 makes bytes
            return constant in payloads or constant.decode("latin-1").encode("utf-8") in payloads
        case _:
            return False
