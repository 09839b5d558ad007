"""What a report is laid out for. The caller looks at the terminal, a report never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hubaudit.model import RepoRef


@dataclass(frozen=True, slots=True)
class Origin:
    """The line of a file of the user's, counted from 1, that names the repository."""

    path: str
    line: int


# By kind and id of the repository
Origins = Mapping[tuple[str, str], Origin]


@dataclass(frozen=True, slots=True)
class Page:
    """`width` in columns. `entries`: of findings, of unread files: how many are shown, None for all.

    `origins`: what code scanning can show findings at, where a file of the user's names the repository;
    `origin` of those that are not in it. `folders`: where the files of a local report lie below the root of
    the user's project, by the name that it has, with a `/` at the end.
    """

    width: int = 80
    color: bool = False
    entries: int | None = 8  # with a header and the pin, eight ordinary findings fill a screen
    origin: Origin | None = None
    origins: Origins = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)

    def origin_of(self, repo: RepoRef) -> Origin | None:
        return self.origins.get((repo.repo_type, repo.repo_id), self.origin)
