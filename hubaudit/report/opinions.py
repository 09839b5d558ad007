"""Second opinions as people read them: what is said alike of several files is said once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hubaudit.model import Opinion
from hubaudit.report.escape import encodable
from hubaudit.report.words import count

TITLE = "Second opinions, which decide nothing here"

# What needs a look comes first. That nothing was flagged is no pass, so it is not called one.
_WORDS = {
    "flagged": "flagged",
    "error": "no answer",
    "timeout": "no answer",
    "absent": "absent",
    "skipped": "skipped",
    "unflagged": "nothing flagged",
}


@dataclass(frozen=True, slots=True)
class Heard:
    """`about`: a path, or how many files; empty if it is about the engine. None of it is visible yet."""

    engine: str
    about: str
    said: str


def heard(opinions: Iterable[Opinion]) -> list[Heard]:
    """The opinions, what needs a look first, then by engine and file."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in sorted(opinions, key=_order):
        engine = f"{one.engine} {one.version}" if one.version else one.engine
        groups.setdefault((engine, one.status, one.detail), []).append(one.path)
    return [
        Heard(engine, _about(paths), f"{_WORDS[status]}{f': {detail}' if detail else ''}")
        for (engine, status, detail), paths in groups.items()
    ]


def _order(opinion: Opinion) -> tuple[int, str, str, str]:
    place = list(_WORDS).index(opinion.status)
    # a lone surrogate sorts elsewhere than what a stored report has of it
    engine, path, detail = map(encodable, (opinion.engine, opinion.path, opinion.detail))
    return place, engine, path, detail


def _about(paths: list[str]) -> str:
    return paths[0] if len(paths) == 1 else count(len(paths), "file")
