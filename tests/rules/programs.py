"""Pickles written as the Python that they run: names, calls and constants, to opcodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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

    def __call__(self, *args: Term) -> Do:
        return Do("REDUCE", self, args)

    def build(self, state: Term) -> Do:
        return Do(self.how, self.function, self.args, (*self.states, state), self.appended)

    def append(self, *items: Term) -> Do:
        return Do(self.how, self.function, self.args, self.states, (*self.appended, *items))


@dataclass(frozen=True)
class Changed:
    """What BUILD with `state` makes of anything but the result of a call."""

    target: Term
    state: Term


def compiled(term: Term) -> bytes:
    """A pickle of protocol 3 that loads `term`."""
    return assemble(("PROTO", 3), *_program(term), "STOP")


def _program(term: Term) -> Iterator[Instruction]:
    match term:
        case Name(module, name):
            yield "GLOBAL", module, name
        case Do():
            yield from _doing(term)
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
    for state in call.states:
        yield from _program(state)
        yield "BUILD"
    for item in call.appended:
        yield from _program(item)
        yield "APPEND"


def _all(terms: Iterable[Term]) -> Iterator[Instruction]:
    for term in terms:
        yield from _program(term)
