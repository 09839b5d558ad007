"""Where in a file a reader is: which member, how deep, and what reading on may still cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.pvm.state import DEFAULT_LIMITS, Limits
from hubaudit.source import OutOfReach, Source

# Archives and compressed layers in one another. A `.nemo` is gzip, tar, and a torch zip: three.
MAX_DEPTH = 3
# Bytes that one file may unpack to, all its members together: measured on bombs of zeros, 4.5 s for gzip
# and bzip2, 5.3 s for xz. What libraries write may be more, and is then a gap.
MAX_UNPACKED = 2 << 30
# Bytes of an unpacked archive that are held in memory, because it has to be read at random.
MAX_HELD = 64 << 20
# Bytes of archives that are read more than once, because members lie over each other or are described
# in two ways. Both are findings that fail a file, however much of it is read. Measured on archives in
# archives, all of small pickles: 15 s.
MAX_REPEATED = 4 << 20

# Bytes that are searched for pickles because nothing accounts for them: 1 to 3 s. No library is known to
# write so many.
MAX_SEARCHED = 256 << 20
MAX_SEARCHED_REMOTE = 8 << 20  # of a file that lies elsewhere: one request
# Places that are looked at in the search: 2 s. In a gigabyte of random bytes there are 1,200,000.
MAX_LOOKS = 4_000_000
# Those of them that are tried: 4 s. In a gigabyte of random bytes there are 14,000.
MAX_TRIES = 100_000
MAX_TRIED = 16 << 20  # bytes that are interpreted in tries, and of what is found: 2 to 8 s
MAX_FOUND = 1000


class Effort:
    """What the search for pickles in other bytes costs, in one file."""

    def __init__(self, reach: int = MAX_SEARCHED) -> None:
        self.most = reach  # bytes
        self.left = reach
        self.looks = 0
        self.tries = 0
        self.tried = 0  # bytes
        self.found = 0

    def check(self) -> None:
        """Raises OutOfReach when more was done than an honest file asks for."""
        tries = self.tries > MAX_TRIES or self.tried > MAX_TRIED
        if tries or self.looks > MAX_LOOKS or self.found >= MAX_FOUND:
            raise OutOfReach("too much of it begins like a pickle to try all of that")


class Budget:
    """What is left of `MAX_UNPACKED` for one file. Shared by everything inside it."""

    def __init__(
        self,
        unpacked: int = MAX_UNPACKED,
        depth: int = MAX_DEPTH,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.most = unpacked
        self.limits = limits  # of each pickle
        self.depth = depth
        self.effort = Effort()
        self._left = unpacked
        self._repeats_left = MAX_REPEATED

    def spend(self, unpacked: int) -> None:
        """Raises OutOfReach once it is used up."""
        self._left -= unpacked
        if self._left < 0:
            raise OutOfReach(f"the file unpacks to more than {self.most:,} bytes")

    def may_repeat(self, length: int) -> bool:
        """Whether `length` bytes of an archive may be read a second time, in another way."""
        if length > self._repeats_left:
            return False
        self._repeats_left -= length
        return True

    @property
    def is_spent(self) -> bool:
        return self._left < 0


@dataclass(frozen=True, slots=True)
class Place:
    """`read` reads what is found in a container, whatever it turns out to be.

    `member` is the path of names from the file inwards, None in the file itself.
    """

    read: Callable[[Source, Place], Contents]
    budget: Budget
    member: str | None = None
    depth: int = 0

    def inside(self, name: str) -> Place:
        """The place of the member `name` of the container that lies here."""
        return Place(self.read, self.budget, self.path_of(name), self.depth + 1)

    @property
    def is_too_deep(self) -> bool:
        """For an archive or compressed file to be opened."""
        return self.depth >= self.budget.depth

    def path_of(self, name: str) -> str:
        return name if self.member is None else f"{self.member}/{name}"


def too_deep(format_: Format, place: Place) -> Contents:
    """What is to be said instead of opening what lies in `place`."""
    why = f"archives are read {place.budget.depth} deep, not deeper"
    return Contents(format_, gaps=(Gap(place.member, why),))
