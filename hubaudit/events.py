"""What happened, as it happens. An audit tells a `Listener`; whoever wants to show progress is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hubaudit.model import Comparison, Finding, RepoRef, RepoReport, Unread


@dataclass(frozen=True, slots=True)
class Pinned:
    """The revision was resolved. Every later request names `repo.commit_hash`."""

    repo: RepoRef


@dataclass(frozen=True, slots=True)
class Listed:
    """The commit's files are known: `files` of them, `size` bytes together."""

    files: int
    size: int


@dataclass(frozen=True, slots=True)
class Sniffed:
    """`done` of `total` files have been looked at by their first bytes."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Downloading:
    """`received` of `size` bytes of `path` have arrived. The first event of a file has 0."""

    path: str
    received: int
    size: int


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file was interpreted. `how` is the report's word: cache, range, header, local."""

    path: str
    format: str
    how: str
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A pickle checkpoint was compared with its safetensors sibling, as far as that was possible."""

    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing happens for `seconds`, because of `why`: a rate limit or a retry."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know that changes no verdict."""

    message: str


@dataclass(frozen=True, slots=True)
class Finished:
    report: RepoReport


Event = Pinned | Listed | Sniffed | Downloading | FileRead | Compared | Waiting | Warned | Finished
Listener = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """The listener that shows nothing."""
