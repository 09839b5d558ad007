"""What a report is laid out for. The caller looks at the terminal, a report never does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The line of a file of the user's, counted from 1, that names the repository."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Page:
    """`width` in columns. `entries`: of findings, of unread files: how many are shown, None for all.

    `origin`: what code scanning can show a finding at, if the target came from a list.
    """

    width: int = 80
    color: bool = False
    entries: int | None = 8  # with a header and the pin, eight ordinary findings fill a screen
    origin: Origin | None = None
