"""What the values of a pickle mean once it runs: a name, a function with arguments bound to it, an object.

`pvm.values.Global` is a name; with an empty `name` it is a module that a call hands out. Constants mean
themselves. The classes here are what calls of listed functions yield, and what such a call does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hubaudit.pvm.values import Call, Global, Mapping, SetOf, Unknown, Value
from hubaudit.rules.names import Use, canonical

# Characters of a dotted path that is followed. Real ones have under 200; a hostile pickle can let each
# step add to the last, and the paths of all its steps would be quadratic in the file.
MOST_PATH = 1000
# Arguments that are bound one after the other, by `partial` of `partial`: for the same reason.
MOST_BOUND = 16

Arguments = tuple[Value, ...] | None  # None: nobody can tell


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """What a call of `maker` gives, when no more is known of it than that."""

    maker: Global


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """`functools.partial(function, *args)`. `origin` is the BUILD that made it so, if one did."""

    function: Value
    args: Arguments
    origin: Call | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Getter:
    """`operator.attrgetter(*names)`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ItemGetter:
    """`operator.itemgetter(*keys)`."""

    keys: tuple[Value, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MethodCaller:
    """`operator.methodcaller(name, *args)`."""

    name: str
    args: Arguments


Meaning = Value  # a Global, a constant, or one of the classes above

NOBODY_KNOWS = Unknown("nobody can tell")


class Judged(Enum):
    """How far the catalogue's row for a name settles what is done with it."""

    BY_ROW = "by its row"
    BY_ARGUMENT = "by its arguments"  # which were looked at: the other effects say what they do
    IF_DANGEROUS = "only if its row is dangerous"  # it may or may not be what is reached


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a call does: `use` is made of `name`."""

    name: Global
    use: Use
    judged: Judged = Judged.BY_ROW


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call does, and what it yields.

    `settled`: the effects are all that it does, so that the row of the called name need not be asked.
    """

    effects: tuple[Effect, ...] = ()
    value: Meaning = NOBODY_KNOWS
    settled: bool = True


NOTHING = Outcome()


def module(name: str) -> Global:
    return Global(name, "")


def attribute(owner: Meaning, name: str) -> Global | None:
    """`owner.name` as a path from a name, or None if nobody can tell.

    That of an object is looked up in the function or class that made it.
    """
    origin = _origin(owner)
    if origin is None or len(origin.name) + len(name) > MOST_PATH:
        return None
    return Global(origin.module, f"{origin.name}.{name}" if origin.name else name)


def _origin(owner: Meaning) -> Global | None:
    match owner:
        case Global():
            return Global(*canonical(owner.module, owner.name))
        case Instance(maker):
            return Global(*canonical(maker.module, maker.name))
        case Bound():
            return Global("functools", "partial")
        case Getter() | ItemGetter() | MethodCaller():
            return Global("operator", type(owner).__name__.lower())
        case _:
            kind = _KINDS.get(type(owner))
            return None if kind is None else Global("builtins", kind)


def class_made_by(name: Global) -> Global | None:
    """The class whose `__new__` this is, or None if it is something else."""
    owner, _, method = name.name.rpartition(".")
    return Global(name.module, owner) if owner and method == "__new__" else None


def type_of(value: Meaning) -> Global | None:
    """`type(value)`, or None if nobody can tell."""
    if isinstance(value, Global):
        return None
    return _origin(value)


_KINDS = {
    str: "str",
    bytes: "bytes",
    bool: "bool",
    int: "int",
    float: "float",
    list: "list",
    tuple: "tuple",
    Mapping: "dict",
    SetOf: "set",
}


def bind(function: Meaning, args: Arguments, origin: Call | None = None) -> Bound:
    """`partial(function, *args)`: of another one, its arguments come first, as in CPython."""
    if isinstance(function, Bound):
        first = function.args
        both = None if first is None or args is None else first + args
        return _bound(function.function, both, origin or function.origin)
    return _bound(function, args, origin)


def _bound(function: Meaning, args: Arguments, origin: Call | None) -> Bound:
    too_many = args is not None and len(args) > MOST_BOUND
    return Bound(function, None if too_many else args, origin)


def imported(path: str) -> Global:
    """What a dotted path names: which part of it is the module only the running process knows."""
    first, _, rest = path.replace(":", ".").partition(".")
    return Global(first, rest)


class Reader(Protocol):
    """What a detour may ask: `rules.follow` answers."""

    def see(self, value: Value) -> Meaning:
        """What `value` means."""
        ...

    def is_read(self, payload: Value) -> bool:
        """Whether a constant was read as a pickle of its own, in which nothing bad was found."""
        ...

    def load(self, payload: bytes) -> Outcome | None:
        """What loading bytes as a pickle does, or None if that would be too much to follow."""
        ...

    def perform(self, function: Meaning, args: Arguments, use: Use = Use.CALLED) -> Outcome:
        """What calling a meaning does, or constructing it; None for arguments that nobody can tell."""
        ...

    def restored(self, cls: Global, state: Value) -> tuple[Effect, ...]:
        """What giving a state to a new object of a class does, beyond setting data."""
        ...


Detour = Callable[[tuple[Value, ...], Reader], Outcome | None]
