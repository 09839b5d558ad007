"""Two states of one repository → what changed, each with a severity and one sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hubaudit.watch.files import collapsed, file_changes
from hubaudit.watch.kinds import LEAST, Change, Kind, is_drift, report_order
from hubaudit.watch.repository import (
    Move,
    Moves,
    licence_change,
    presence_changes,
    recreated,
    ref_changes,
    setting_changes,
)
from hubaudit.watch.state import Identity, Presence, State
from hubaudit.watch.weights import Replaced

__all__ = ["LEAST", "Change", "Kind", "Move", "Moves", "Replaced", "changes", "is_drift"]

_NO_MOVES: Moves = MappingProxyType({})
_NOT_COMPARED: Mapping[str, Replaced] = MappingProxyType({})


def changes(
    before: State,
    after: State,
    *,
    moves: Moves = _NO_MOVES,
    replaced: Mapping[str, Replaced] = _NOT_COMPARED,
) -> tuple[Change, ...]:
    """Worst first. Whatever one of the states does not know has not changed.

    `moves` says where branches and tags went from one commit to another (`gather.moves`), `replaced` by
    path what the bytes of weights then and now have in common (`gather.replaced`).
    """
    return tuple(sorted(_changes(before, after, moves, replaced), key=report_order))


def _changes(
    before: State, after: State, moves: Moves, replaced: Mapping[str, Replaced]
) -> Iterator[Change]:
    yield from presence_changes(before, after)
    if after.presence is not Presence.PRESENT:
        return
    if before.identity is not None and after.identity is not None:
        yield from setting_changes(before.identity, after.identity)
    if not recreated(before, after):  # the refs of another repository
        yield from ref_changes(before, after, moves)
    found: list[Change] = []
    if before.content is not None and after.content is not None:
        found = list(collapsed(file_changes(before.content, after.content, replaced)))
    yield from found
    if not any(one.kind is Kind.LICENCE_CHANGED for one in found):
        yield from _licence(before.identity, after.identity)


def _licence(before: Identity | None, after: Identity | None) -> Iterator[Change]:
    """As the Hub says it, where the README does not."""
    if before is not None and after is not None and before.licence != after.licence:
        yield licence_change(before.licence, after.licence)
