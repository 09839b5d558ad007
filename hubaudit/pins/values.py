"""What an expression can be without running it: a few alternatives, constants, lists, tables or unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice, product
from string import Formatter

from hubaudit.pins.addresses import HOLE

_ALTERNATIVES = 64  # of one expression; a list of approved models is rarely longer
_CHARACTERS = 4096  # of one text; a repository id has at most 193


class Mark(Enum):
    """What is known of a value that is no constant."""

    UNKNOWN = auto()
    LOCAL = auto()  # a path on this machine
    PIN = auto()  # what hubaudit.require returned, or the revision in it
    ARGUMENTS = auto()  # argparse's namespace
    FILE_SYSTEM = auto()  # an HfFileSystem


@dataclass(frozen=True, slots=True)
class Constant:
    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Items:
    """A list, a tuple or a set: the alternatives of each element."""

    items: tuple[Alternatives, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A dict, or the attributes of an object. `is_open`: it may hold more than the entries."""

    entries: tuple[tuple[str, Alternatives], ...]
    is_open: bool = False

    def get(self, key: str) -> Alternatives | None:
        """The value of the last entry of that name; None without one."""
        return next((value for name, value in reversed(self.entries) if name == key), None)


Value = Constant | Items | Table | Mark
Alternatives = tuple[Value, ...]

UNKNOWN: Alternatives = (Mark.UNKNOWN,)
NONE: Alternatives = (Constant(None),)


def merged(*many: Iterable[Value]) -> Alternatives:
    """All alternatives, each once. Too many of them, and what is left out is unknown."""
    seen = dict.fromkeys(value for values in many for value in values)
    if len(seen) <= _ALTERNATIVES:
        return tuple(seen)
    return (*islice(seen, _ALTERNATIVES), Mark.UNKNOWN)


def texts_of(value: Value) -> str:
    """The value as a part of a longer text: what is not known is a hole in it."""
    match value:
        case Constant(str() as text):
            return text
        case Constant(other):
            return str(other)
        case _:
            return HOLE


def known_texts(values: Alternatives) -> list[str]:
    return [str(value.value) for value in values if isinstance(value, Constant)]


def joined(parts: Iterable[Alternatives]) -> Alternatives:
    """The texts that come of putting the parts behind each other. One that begins with a path is one."""
    parts = list(parts)
    found: list[Value] = []
    for chosen in islice(product(*parts), _ALTERNATIVES):
        if chosen and chosen[0] is Mark.LOCAL:
            found.append(Mark.LOCAL)
            continue
        text = "".join(map(texts_of, chosen))
        found.append(Constant(text) if len(text) <= _CHARACTERS else Mark.UNKNOWN)
    return merged(found) or UNKNOWN


def elements(values: Alternatives) -> Alternatives:
    """What a loop over one of the values can yield."""
    return merged(*(_elements(value) for value in values)) or UNKNOWN


def _elements(value: Value) -> Iterator[Value]:
    match value:
        case Items(items):
            for item in items:
                yield from item
        case Table(entries, is_open):
            yield from (Constant(key) for key, _ in entries)
            if is_open:
                yield Mark.UNKNOWN
        case _:
            yield Mark.UNKNOWN


def element(values: Alternatives, index: int) -> Alternatives:
    """What one of the values has at `index`, as when it is unpacked."""
    found: list[Alternatives] = []
    for value in values:
        if isinstance(value, Items) and -len(value.items) <= index < len(value.items):
            found.append(value.items[index])
        else:
            found.append(UNKNOWN)
    return merged(*found)


def zipped(columns: list[Alternatives]) -> Value:
    """What `zip` makes of the lists; unknown unless each is one known list."""
    lists = [
        column[0].items for column in columns if len(column) == 1 and isinstance(column[0], Items)
    ]
    if not lists or len(lists) < len(columns):
        return Mark.UNKNOWN
    return Items(tuple((Items(row),) for row in zip(*lists, strict=False)))


def entry(values: Alternatives, key: str) -> Alternatives:
    """What one of the values has under `key`."""
    found: list[Iterable[Value]] = []
    for value in values:
        if isinstance(value, Table):
            known = value.get(key)
            found.append(known if known is not None else UNKNOWN)
        else:
            found.append((value,) if value is Mark.PIN else UNKNOWN)
    return merged(*found)


def overlaid(values: Alternatives) -> Table:
    """The values as one table: what each entry is in one or another of them."""
    tables = [_TABLE_OF_PIN if value is Mark.PIN else value for value in values]
    known = [table for table in tables if isinstance(table, Table)]
    names = dict.fromkeys(name for table in known for name, _ in table.entries)
    is_open = len(known) < len(values) or any(table.is_open for table in known)
    entries = []
    for name in names:
        found = [UNKNOWN] if len(known) < len(values) else []
        for table in known:
            held = table.get(name)
            missing = UNKNOWN if table.is_open else NONE
            found.append(missing if held is None else held)
        entries.append((name, merged(*found)))
    return Table(tuple(entries), is_open)


_TABLE_OF_PIN = Table((("revision", (Mark.PIN,)),))


def any_entry(values: Alternatives) -> Alternatives:
    """What one of the values has under a key that is not known."""
    tables = [value for value in values if isinstance(value, Table)]
    held = merged(*(alternatives for table in tables for _, alternatives in table.entries))
    is_whole = len(tables) == len(values) and not any(table.is_open for table in tables)
    return held if held and is_whole else merged(held, UNKNOWN)


def formatted(template: str, positional: list[Alternatives], named: Table) -> Alternatives:
    """`template.format(*positional, **named)`. What a field asks for beyond a name is a hole."""
    parts: list[Alternatives] = []
    automatic = iter(range(len(positional)))
    try:
        fields = list(Formatter().parse(template))
    except ValueError:
        return UNKNOWN
    for literal, field, _, _ in fields:
        parts.append((Constant(literal),))
        if field is not None:
            parts.append(_field(field, positional, named, automatic))
    return joined(parts)


def _field(
    field: str, positional: list[Alternatives], named: Table, automatic: Iterator[int]
) -> Alternatives:
    index = next(automatic, -1) if field == "" else int(field) if field.isdecimal() else -1
    if 0 <= index < len(positional):
        return positional[index]
    known = named.get(field)
    return UNKNOWN if known is None else known


def interpolated(template: str, values: list[Alternatives]) -> Alternatives:
    """`template % values`, for `%s` only."""
    pieces = template.split("%s")
    if len(pieces) != len(values) + 1 or "%" in "".join(pieces):
        return UNKNOWN
    parts: list[Alternatives] = [(Constant(pieces[0]),)]
    for value, piece in zip(values, pieces[1:], strict=True):
        parts += [value, (Constant(piece),)]
    return joined(parts)


def with_between(separators: Alternatives, items: tuple[Alternatives, ...]) -> Alternatives:
    """`separators.join(items)`."""
    parts: list[Alternatives] = []
    for index, item in enumerate(items):
        parts += [separators, item] if index else [item]
    return joined(parts)


def pairs_of(value: object) -> Alternatives:
    """`value.items()`."""
    if not isinstance(value, Table):
        return UNKNOWN
    pairs = tuple((Items(((Constant(key),), held)),) for key, held in value.entries)
    return (Items((*pairs, UNKNOWN) if value.is_open else pairs),)
