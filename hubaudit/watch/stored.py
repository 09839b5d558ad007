"""States as JSON and back: strictly, since a state that is half understood would hide changes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hubaudit.errors import ReportUnusable
from hubaudit.report.escape import encodable
from hubaudit.watch.state import SCHEMA, State

_HINT = "it was kept by another version of hubaudit, or changed since: look at the repository anew"
_ADAPTER = TypeAdapter(State)


def dumps(state: State) -> str:
    """One line, ASCII only; the same state gives the same bytes.

    Lone surrogates in names are written out, so what `loads` gives may differ from `state` in these.
    """
    written = {"schema": SCHEMA, **encodable_tree(asdict(state))}
    return json.dumps(written, separators=(",", ":"), allow_nan=False)


def loads(text: str | bytes) -> State:
    """What `dumps` wrote. Raises ReportUnusable for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportUnusable(f"a stored state is no JSON: {error}", hint=_HINT) from None
    schema = found.pop("schema", None) if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise ReportUnusable(f"a stored state has no schema {SCHEMA}", hint=_HINT)
    try:
        return _ADAPTER.validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(one)[:80] for one in first["loc"])
        raise ReportUnusable(
            f"a stored state is not usable: {place}: {first['msg']}", hint=_HINT
        ) from None


def encodable_tree(value: Any) -> Any:
    """Plain data with every text of it as UTF-8 can have it, and lists for tuples."""
    match value:
        case str():
            return encodable(value)
        case list() | tuple():
            return [encodable_tree(item) for item in value]
        case dict():
            return {key: encodable_tree(item) for key, item in value.items()}
        case _:
            return value
