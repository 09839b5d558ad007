"""What calls give, of those that put names, tables and texts together or mark what they make."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Protocol

from hubaudit.pins.scopes import Where
from hubaudit.pins.values import (
    NONE,
    UNKNOWN,
    Alternatives,
    Constant,
    Items,
    Mark,
    Table,
    any_entry,
    elements,
    formatted,
    known_texts,
    merged,
    overlaid,
    pairs_of,
    with_between,
    zipped,
)

_LOCAL_CALLS = ("os.path.", "pathlib.", "Path", "tempfile.", "os.getcwd", "importlib.resources.")
# of dataclasses, pydantic, typer, attrs
_DEFAULTS = frozenset({"field", "Field", "Option", "Argument", "ib"})
_SAME = frozenset("strip lower casefold resolve absolute expanduser as_posix copy".split())


class Evaluator(Protocol):
    """What knows the other expressions: `evaluate.Evaluator`."""

    def value(self, node: ast.expr, where: Where | None = None, /) -> Alternatives: ...

    def origin(self, node: ast.expr, where: Where | None = None, /) -> str: ...

    def table(self, pairs: Iterable[tuple[str | None, ast.expr]], where: Where, /) -> Table: ...


def called(node: ast.Call, where: Where, known: Evaluator) -> Alternatives:
    """The alternatives that the result of the call can be at `where`."""
    origin = known.origin(node.func, where)
    if origin.removeprefix("?.").startswith(_LOCAL_CALLS):
        return (Mark.LOCAL,)
    if origin in ("os.getenv", "os.environ.get"):
        default = known.value(node.args[1], where) if len(node.args) > 1 else NONE
        return merged(default, UNKNOWN)
    if origin == "hubaudit.require":
        return (Mark.PIN,)
    if origin.rpartition(".")[2] == "HfFileSystem" or _is_fsspec(origin, node, where, known):
        return (Mark.FILE_SYSTEM,)
    if origin.rpartition(".")[2] in _DEFAULTS:
        given = [one.value for one in node.keywords if one.arg == "default"] or node.args[:1]
        return known.value(given[0], where) if given else UNKNOWN
    if isinstance(node.func, ast.Name):
        return _built_in(node, origin, where, known)
    if isinstance(node.func, ast.Attribute):
        return _method(node, node.func, where, known)
    return UNKNOWN


def _is_fsspec(origin: str, node: ast.Call, where: Where, known: Evaluator) -> bool:
    first = node.args[0] if node.args else None
    if origin != "fsspec.filesystem" or first is None:
        return False
    return known.value(first, where) == (Constant("hf"),)


def _built_in(node: ast.Call, origin: str, where: Where, known: Evaluator) -> Alternatives:
    keywords = [(one.arg, one.value) for one in node.keywords]
    match origin, node.args:
        case ("?.str", [argument]) | ("?.list" | "?.tuple" | "?.sorted" | "?.set", [argument]):
            return known.value(argument, where)
        case ("typing.cast", [_, argument]):
            return known.value(argument, where)
        case ("?.dict", arguments):
            before: list[tuple[str | None, ast.expr]] = [(None, one) for one in arguments]
            return (known.table([*before, *keywords], where),)
        case ("types.SimpleNamespace" | "argparse.Namespace", []):
            return (known.table(keywords, where),)
        case ("?.enumerate", [argument, *_]):
            return (Items(((Items((UNKNOWN, elements(known.value(argument, where)))),),)),)
        case ("?.zip", arguments):
            return (zipped([known.value(one, where) for one in arguments]),)
    if origin.startswith("<class>"):
        return _made(node, where, known)
    return UNKNOWN


def _made(node: ast.Call, where: Where, known: Evaluator) -> Alternatives:
    """The attributes of an object of a class of this module."""
    given = known.table([(one.arg, one.value) for one in node.keywords], where)
    if node.args:
        return (Table(given.entries, is_open=True),)
    made = overlaid(known.value(node.func, where))
    return (Table((*made.entries, *given.entries), is_open=True),)


def _method(node: ast.Call, method: ast.Attribute, where: Where, known: Evaluator) -> Alternatives:
    name = method.attr
    if name in ("parse_args", "parse_known_args"):
        spaces: Alternatives = (Mark.ARGUMENTS,)
        return spaces if name == "parse_args" else (Items((spaces, UNKNOWN)),)
    values = known.value(method.value, where)
    if Mark.LOCAL in values:
        return (Mark.LOCAL,)
    if name in _SAME:
        return values
    arguments = [known.value(one, where) for one in node.args]
    match name, arguments:
        case ("format", _):
            named = known.table([(one.arg, one.value) for one in node.keywords], where)
            texts = known_texts(values)
            return merged(*(formatted(text, arguments, named) for text in texts)) or UNKNOWN
        case ("join", [parts]) if len(parts) == 1 and isinstance(parts[0], Items):
            return with_between(values, parts[0].items)
        case ("get", [key, *default]) if len(key) == 1 and isinstance(key[0], Constant):
            found = _get(values, str(key[0].value))
            return found or (default[0] if default else NONE)
        case ("items", []):
            return merged(*(pairs_of(one) for one in values))
        case ("values", []):
            return (Items((any_entry(values),)),)
        case ("keys", []):
            return (Items((elements(values),)),)
    return UNKNOWN


def _get(values: Alternatives, key: str) -> Alternatives:
    """Nothing only if every table is known to lack the key."""
    found: list[Alternatives] = []
    for value in values:
        held = value.get(key) if isinstance(value, Table) else None
        if held is not None:
            found.append(held)
        elif not isinstance(value, Table) or value.is_open:
            found.append(UNKNOWN)
    return merged(*found)
