"""Roles while they are collected: of several for one file, the most dangerous stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hubaudit.loadpath.repository import Problem
from hubaudit.model import LoadRole

_DANGER = {LoadRole.NEVER: 0, LoadRole.FALLBACK: 1, LoadRole.CODE: 2, LoadRole.LOADED: 3}


@dataclass(slots=True)
class Roles:
    """What one library does with the files: role and reason by path, and what else it would do."""

    given: dict[str, tuple[LoadRole, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    bases: set[str] = field(default_factory=set)
    arguments: dict[str, object] = field(default_factory=dict)

    def give(self, path: str, role: LoadRole, reason: str) -> None:
        """Keeps what was said first unless `role` is more dangerous."""
        before = self.given.get(path)
        if before is None or _DANGER[role] > _DANGER[before[0]]:
            self.given[path] = role, reason

    def give_all(self, paths: Iterable[str], role: LoadRole, reason: str) -> None:
        for path in paths:
            self.give(path, role, reason)

    def add(self, other: Roles) -> None:
        """Another library's findings. The arguments stay those of the library that was first."""
        for path, (role, reason) in other.given.items():
            self.give(path, role, reason)
        self.problems += other.problems
        self.bases |= other.bases
