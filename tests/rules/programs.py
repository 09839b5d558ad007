"""Pickles written as the Python that they run: names, calls and constants, to opcodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from hubaudit.demo.assemble import Instruction, assemble

Term = object


@dataclass(frozen=True)
class Name:
    """A global. Called, it gives the REDUCE of itself."""

    module: str
    name: str

    def __call__(self, *args: Term) -> Do:
        return Do("REDUCE", self, args)

    def new(self, *args: Term) -> Do:
        return Do("NEWOBJ", self, args)


@dataclass(frozen=True)
class Do:
    """What an opcode makes of `function` and `args`, and then of each of the states by BUILD."""

    how: str
    function: Term
    args: tuple[Term, ...]
    states: tuple[Term, ...] = ()
    appended: tuple[Term, ...] = field(default=())
    set_before: tuple[tuple[Term, Term], ...] = field(default=())
    set_after: tuple[tuple[Term, Term], ...] = field(default=())

    def __call__(self, *args: Term) -> Do:
        return Do("REDUCE", self, args)

    def build(self, state: Term) -> Do:
        return replace(self, states=(*self.states, state))

    def append(self, *items: Term) -> Do:
        return replace(self, appended=(*self.appended, *items))

    def set(self, key: Term, value: Term) -> Do:
        """By SETITEM, before any state."""
        return replace(self, set_before=(*self.set_before, (key, value)))

    def put(self, key: Term, value: Term) -> Do:
        """By SETITEM, after all states, as no pickler does."""
        return replace(self, set_after=(*self.set_after, (key, value)))


@dataclass(frozen=True)
class Spread:
    """`function(*args)` of what is no tuple in the pickle, by REDUCE, NEWOBJ or, with `kwargs`, NEWOBJ_EX."""

    function: Term
    args: Term
    kwargs: Term = None
    how: str = "REDUCE"


@dataclass(frozen=True)
class Kept:
    """A value that is put into the memo at `place`, for `Again`."""

    place: int
    value: Term


@dataclass(frozen=True)
class Again:
    """What lies in the memo at `place`; then what BUILD and APPEND make of it."""

    place: int
    states: tuple[Term, ...] = ()
    appended: tuple[Term, ...] = ()


@dataclass(frozen=True)
class Persistent:
    """A persistent id."""

    pid: Term


@dataclass(frozen=True)
class Changed:
    """What BUILD with `state` makes of anything but the result of a call."""

    target: Term
    state: Term


def compiled(term: Term) -> bytes:
    """A pickle that loads `term`: of protocol 3, though NEWOBJ_EX came later."""
    return assemble(("PROTO", 3), *_program(term), "STOP")


def _program(term: Term) -> Iterator[Instruction]:
    match term:
        case Name(module, name):
            yield "GLOBAL", module, name
        case Do():
            yield from _doing(term)
        case Spread(function, args, kwargs, how):
            yield from _all((function, args))
            yield from () if kwargs is None else _program(kwargs)
            yield how if kwargs is None else "NEWOBJ_EX"
        case Kept(place, value):
            yield from _program(value)
            yield "BINPUT", place
        case Again(place, states, appended):
            yield "BINGET", place
            yield from _changing(states, appended)
        case Persistent(pid):
            yield from _program(pid)
            yield "BINPERSID"
        case Changed(target, state):
            yield from _program(target)
            yield from _program(state)
            yield "BUILD"
        case tuple():
            yield "MARK"
            yield from _all(term)
            yield "TUPLE"
        case list():
            yield "MARK"
            yield from _all(term)
            yield "LIST"
        case dict():
            yield "MARK"
            yield from _all(part for pair in term.items() for part in pair)
            yield "DICT"
        case str():
            yield "BINUNICODE", term
        case bytes():
            yield "BINBYTES", term
        case None:
            yield "NONE"
        case bool():
            yield "NEWTRUE" if term else "NEWFALSE"
        case int():
            yield "BININT", term
        case _:
            raise TypeError(f"no opcode for {term!r}")


def _doing(call: Do) -> Iterator[Instruction]:
    yield from _program(call.function)
    yield from _program(call.args)
    yield call.how
    for pair in call.set_before:
        yield from _all(pair)
        yield "SETITEM"
    yield from _changing(call.states, call.appended)
    for pair in call.set_after:
        yield from _all(pair)
        yield "SETITEM"


def _changing(states: Iterable[Term], appended: Iterable[Term]) -> Iterator[Instruction]:
    for state in states:
        yield from _program(state)
        yield "BUILD"
    for item in appended:
        yield from _program(item)
        yield "APPEND"


def _all(terms: Iterable[Term]) -> Iterator[Instruction]:
    for term in terms:
        yield from _program(term)
