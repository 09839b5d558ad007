"""What the Hub's scanners say of the same bytes, then and now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from hubaudit.model import Severity
from hubaudit.watch.kinds import Change, Kind, change
from hubaudit.watch.state import FileState

# The Hub's words, of the seven that it has. Those that are still to come are taken for a warning.
_NO_OBJECTION = frozenset({"safe", "unscanned", "queued", "error"})
_ALARM: dict[str, Severity] = {
    "unsafe": Severity.HIGH,
    "suspicious": Severity.MEDIUM,
    "caution": Severity.MEDIUM,
}
_DETAIL = 50  # lines
_FILE = "the file"

_Turn = tuple[str, str, str]  # who says it, the word then, the word now


def scan_changes(pairs: Sequence[tuple[FileState, FileState]]) -> Iterator[Change]:
    """One change for all files of which the scanners changed their minds in the same way."""
    grouped: dict[tuple[_Turn, ...], list[str]] = defaultdict(list)
    for before, after in pairs:
        turns = tuple(_turns(before, after))
        if turns:
            grouped[turns].append(after.path)
    for turns, paths in sorted(grouped.items()):
        yield _change(turns, tuple(sorted(paths)))


def _change(turns: tuple[_Turn, ...], paths: tuple[str, ...]) -> Change:
    who, then, now = max(turns, key=lambda turn: (-_severity(turn).rank, turn[0] == _FILE))
    what = paths[0] if len(paths) == 1 else f"{len(paths)} files"
    scanner = "the Hub" if who == _FILE else f"the Hub's {who}"
    lines = [f"{path}: {name}: {a} → {b}" for path in paths for name, a, b in turns]
    return change(
        Kind.SCAN_CHANGED,
        f"{scanner} called {what} {then} and calls the same bytes {now} now",
        at_least=map(_severity, turns),
        paths=paths,
        before=then,
        after=now,
        detail=tuple(lines[:_DETAIL]),
    )


def _turns(before: FileState, after: FileState) -> Iterator[_Turn]:
    if before.scan is None or after.scan is None:
        return  # the listing did not say
    if before.scan != after.scan:
        yield _FILE, before.scan, after.scan
    then = dict(before.scanners)
    for scanner, word in sorted(after.scanners):
        if then.get(scanner, word) != word:
            yield scanner, then[scanner], word


def _severity(turn: _Turn) -> Severity:
    """Of an objection its own; low where one is taken back; nothing where there was none."""
    _, then, now = turn
    if now not in _NO_OBJECTION:
        return _ALARM.get(now, Severity.MEDIUM)
    return Severity.INFO if then in _NO_OBJECTION else Severity.LOW
