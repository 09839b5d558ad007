"""How much of a report a page of HTML shows: rows up to a limit, and how many there are in all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hubaudit.model import RepoRef
from hubaudit.report.escape import clipped, clipped_middle, encodable
from hubaudit.report.pin import page_url

Item = TypeVar("Item")
Row = TypeVar("Row")

PLACE = 240  # characters of a path or a name: three lines of a column, both ends shown
MESSAGE = 600  # characters of a message: what fits a row; ordinary ones have a hundred
EVIDENCE = 1_000  # characters of evidence: sixteen lines of its column


@dataclass(frozen=True, slots=True)
class Limits:
    """Rows of each table. `tensors` of each comparison."""

    files: int
    findings: int
    unread: int
    pairs: int
    tensors: int
    names: int


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """What is shown, and of how many."""

    shown: tuple[Row, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.shown)


def first(items: Sequence[Item], limit: int, row: Callable[[Item], Row]) -> Rows[Row]:
    """What `row` makes of at most `limit` of `items`."""
    return Rows(tuple(map(row, items[:limit])), len(items))


def order(text: str) -> str:
    """`text` as a sort key: a lone surrogate sorts elsewhere than what a stored report has of it."""
    return encodable(text)


def cut(text: str) -> str:
    """A path or a name, visible, its middle left out where it is long."""
    return clipped_middle(encodable(text), PLACE)


def clip(text: str, limit: int = MESSAGE) -> str:
    """A sentence or evidence, visible, its end left out where it is long."""
    return clipped(encodable(text), limit)


def link(repo: RepoRef, path: str = "") -> str | None:
    """The Hub's page, for an `href`; None where there is none or it leads elsewhere than to the web."""
    url = page_url(repo, encodable(path))
    # A stored report names its endpoint: it could be `javascript:…`
    return url if url and url.startswith(("https://", "http://")) else None
