"""Shards: parts of one list that several machines swept, put together as if one had."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hubaudit.errors import UsageError
from hubaudit.store import Store, SweepRow
from hubaudit.sweeping.record import Recorder, Save
from hubaudit.sweeping.results import result_from
from hubaudit.sweeping.run import Swept

_PART = re.compile(r"(.+) \[(\d+)/(\d+)\]")


@dataclass(frozen=True, slots=True)
class Merged:
    """`missing`: what is not there, a sentence each. `is_first`: there is no sweep to compare with."""

    name: str
    swept: Swept
    missing: tuple[str, ...]
    is_first: bool


def merge(into: Store, parts: Sequence[Store], save: Save) -> Merged:
    """Take the stores in, and make one sweep of the last one of each.

    Raises UsageError if they are not parts of one list, and StoreUnusable.
    """
    last = [_last(part) for part in parts]
    names = {_base(row.name)[0] for row in last}
    if len(names) > 1:
        raise UsageError(
            f"the stores are of different lists: {', '.join(sorted(names))}",
            hint="merge the shards of one list at a time",
        )
    name = names.pop()
    row = into.begin_sweep(name)
    before = into.last_sweep(name, before=row)
    recorder = Recorder(into, row, before, save)
    for part, found in zip(parts, last, strict=True):
        into.merge(part)
        for _, text in part.results(found):
            recorder.take_over(result_from(text))
    recorder.settle()
    results = recorder.results()
    missing = tuple(_missing(parts, last))
    if not missing:
        results += recorder.gone(frozenset(one.target for one in results))
        into.end_sweep(row)
    return Merged(name, Swept(tuple(results), 0), missing, before is None)


def _last(store: Store) -> SweepRow:
    rows = store.sweeps()
    if not rows:
        raise UsageError(f"{store.path} has no sweep", hint="name the stores of the shards")
    return rows[-1]


def _base(name: str) -> tuple[str, int, int]:
    """The list, and which of how many parts."""
    match = _PART.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else (name, 1, 1)


def _missing(parts: Sequence[Store], last: Sequence[SweepRow]) -> list[str]:
    bases = [_base(row.name) for row in last]
    counts = {count for _, _, count in bases}
    if len(counts) > 1:
        return [f"the stores are parts of {' and of '.join(map(str, sorted(counts)))}"]
    there = {number for _, number, _ in bases}
    said = [
        f"part {number} is not there"
        for number in range(1, counts.pop() + 1)
        if number not in there
    ]
    said += [
        f"the sweep in {part.path} broke off"
        for part, row in zip(parts, last, strict=True)
        if row.ended is None
    ]
    return said
