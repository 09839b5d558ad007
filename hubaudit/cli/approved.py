"""The lists that a sweep is given on the command line, read from wherever they are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from hubaudit.errors import ConfigError
from hubaudit.hub.client import HubClient
from hubaudit.hub.named import collected, owned
from hubaudit.lists import STDIN, ApprovedList, of_targets, parse_csv, parse_text, parse_toml
from hubaudit.model import Target
from hubaudit.pins import State
from hubaudit.pins.files import search

_STDIN = "-"
_MOST_BYTES = 256 << 20  # of a list: millions of lines


def read_lists(
    specs: Sequence[str], column: str | None, hub: HubClient, today: date
) -> ApprovedList:
    """All lists as one. Raises ConfigError for one that cannot be read or is empty, and a HubError."""
    found = ApprovedList(())
    for spec in specs:
        one = _read(spec, column, hub, today)
        if not one.entries and not one.problems:
            raise ConfigError(f"{spec} names no repository", hint="is it the right list?")
        found += one
    return found


def _read(spec: str, column: str | None, hub: HubClient, today: date) -> ApprovedList:
    kind, _, rest = spec.partition(":")
    match kind:
        case "collection" if rest:
            targets, notes = collected(hub, rest)
            return of_targets(targets, spec, notes)
        case "owner" if rest:
            return of_targets(owned(hub, rest), spec)
        case "from" if rest:
            return _from_source(Path(rest), spec)
    data = _bytes(spec)
    source = STDIN if spec == _STDIN else spec
    suffix = Path(spec).suffix.lower()
    if suffix == ".toml":
        return parse_toml(data, source, today)
    if suffix in (".csv", ".tsv") or (column is not None and suffix != ".txt"):
        return parse_csv(data, source, column)
    return parse_text(data, source)


def _from_source(path: Path, spec: str) -> ApprovedList:
    """What code and configurations refer to. What only the running program knows is a note."""
    targets: list[Target] = []
    notes: list[str] = []
    for file in search([path]):
        for one in file.found.references:
            where = f"{file.path}:{one.place.line}"
            if one.repo_id is None:
                notes.append(f"{where}: {one.why}")
            else:
                # a pin that only the running program knows is no revision to audit
                revision = one.revision if one.state is not State.UNKNOWN else None
                targets.append(Target(one.repo_id, one.repo_type, revision))
        notes += [f"{file.path}:{one.place.line}: {one.why}" for one in file.found.unparsed]
    return of_targets(targets, spec, notes)


def _bytes(spec: str) -> bytes:
    try:
        if spec == _STDIN:
            data = sys.stdin.buffer.read(_MOST_BYTES + 1) if sys.stdin else b""
        else:
            with Path(spec).open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(
            f"the list {spec} cannot be read: {why}",
            hint="a file, - for stdin, collection:owner/slug, owner:organization or from:PATH",
        ) from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(
            f"the list {spec} is larger than {_MOST_BYTES >> 20} MiB", hint="split it"
        )
    return data
