"""Detours to attributes and items: `getattr`, `attrgetter`, `methodcaller`, `getitem` and their like."""

from __future__ import annotations

from collections.abc import Sequence

from hubaudit.pvm import values
from hubaudit.pvm.values import Global, Value
from hubaudit.rules.meanings import (
    Effect,
    Getter,
    ItemGetter,
    Judged,
    Meaning,
    MethodCaller,
    Outcome,
    Reader,
    attribute,
    class_made_by,
    module,
    type_of,
)
from hubaudit.rules.names import Use

# Keys and values of a dict that is asked for a key: those in which names are kept are small.
_MOST_PAIRS = 200


def get_attribute(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`getattr(owner, name)`, with or without a default."""
    match args:
        case (owner, name, *_):
            text = reader.see(name)
            found = attribute(reader.see(owner), text) if isinstance(text, str) else None
            if found is not None and class_made_by(found) is not None:
                return Outcome((), found)  # its class is named already
            return None if found is None else Outcome((Effect(found, Use.NAMED),), found)
        case _:
            return None


def on_some_object(name: str) -> Global:
    """The method `name` of an object that nobody knows: `builtins.object` has rows for such names."""
    return Global("builtins", f"object.{name}")


def is_on_some_object(name: Global) -> bool:
    """Whether it stands for such a method, and for no name of any module."""
    return name.module == "builtins" and name.name.startswith("object.")


def if_dangerous(name: str) -> Effect:
    """An attribute of an object that nobody knows: data, unless `object` has a row for it."""
    return Effect(Global("object", name), Use.NAMED, Judged.IF_DANGEROUS)


def attrgetter(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    names = [name for name in args if isinstance(name, str)]
    if len(names) < len(args) or not names:
        return None
    return Outcome(tuple(map(if_dangerous, names)), Getter(tuple(names)))


def methodcaller(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    match args:
        case (str(name), *rest) if not writes(name, rest):
            effect = Effect(on_some_object(name), Use.NAMED)
            return Outcome((effect,), MethodCaller(name, tuple(rest)))
        case _:
            return None


def writes(name: str, rest: Sequence[Value]) -> bool:
    """Whether the method writes a file, of a path: of text or a table it takes other arguments.

    `Path.replace(target)`, and `Path.copy(target)` of Python 3.14 (Lib/pathlib/__init__.py).
    """
    match rest:
        case [values.Mapping()] | [_, _, *_]:
            return False
        case _:
            return name in ("replace", "copy") and bool(rest)


def itemgetter(args: tuple[Value, ...], _reader: Reader) -> Outcome | None:
    return Outcome((), ItemGetter(args)) if args else None


def get_item_of(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    return item(reader.see(args[0]), args[1], reader) if len(args) == 2 else None


def item(owner: Meaning, key: Value, reader: Reader) -> Outcome | None:
    """`owner[key]`, or None if nobody can tell."""
    match owner, key:
        case Global(module="typing"), _:
            # `getitem(typing.List, int)` is `List[int]` (`_GenericAlias.__reduce__` of Lib/typing.py)
            return Outcome((), owner)
        case Global(name=path), str() if path.endswith("modules") and _is_sys(owner):
            return Outcome((Effect(owner, Use.NAMED),), module(key))
        case Global(), str():  # a namespace
            found = attribute(owner, key)
            return None if found is None else Outcome((Effect(found, Use.NAMED),), found)
        case ((list() | tuple()), int()) if 0 <= key < len(owner):  # it may have grown since
            return Outcome((), reader.see(owner[key]))
        case values.Mapping(flat=flat), _ if isinstance(key, str | int) and len(flat) < _MOST_PAIRS:
            held = [value for one, value in owner.pairs() if type(one) is type(key) and one == key]
            return Outcome((), reader.see(held[0])) if len(held) == 1 else None
        case _:
            return None


def get_item(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`dict.get(owner, key)`. With a default, what it yields depends on when it is called."""
    return get_item_of(args, reader)


def _is_sys(found: Global) -> bool:
    return f".{found.qualified}".endswith(".sys.modules")


def type_of_one(args: tuple[Value, ...], reader: Reader) -> Outcome | None:
    """`type(x)` does nothing with one argument; with more it makes a class."""
    if len(args) != 1:
        return None
    found = type_of(reader.see(args[0]))
    return Outcome() if found is None else Outcome((), found)
