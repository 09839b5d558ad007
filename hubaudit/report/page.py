"""What a report is laid out for. The caller looks at the terminal, a report never does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """`width` in columns. `entries`: of findings, of unread files: how many are shown, None for all."""

    width: int = 80
    color: bool = False
    entries: int | None = 8  # with a header and the pin, eight ordinary findings fill a screen
