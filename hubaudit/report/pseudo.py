"""A pickle as a program that people can read: what it imports and calls, in the order in which it does.

The lines come one by one, so that a pickle of a million calls costs no more memory than its trace. Values
are shown as they are in the end: a list that was passed first and filled later is shown full. What is
set on an object of an inert class is shown where the value is made, `_1['weight'] = _3 = …`; anything else
where it is set, as that may run code.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge
from itertools import islice
from operator import attrgetter

from hubaudit.formats.contents import Contents, PickleRead
from hubaudit.model import NameClass
from hubaudit.pvm.render import Bounds, render, spelled
from hubaudit.pvm.values import Call, ComputedImport, Filled, Global, Mapping, SetOf, Trace, Value
from hubaudit.rules.names import Catalogue
from hubaudit.rules.uses import NameUse, judge_each

_MAKE_NOTHING = frozenset({"BUILD", "APPENDS", "SETITEMS"})
_LOOKED_AT = 64  # values of a call, for names: one tuple can be the arguments of every call


class Mark(StrEnum):
    """What is known of the names on a line. The value is the word of the JSON form."""

    INERT = "inert"
    DANGEROUS = "dangerous"
    UNLISTED = "unlisted"
    COMPUTED = "computed"  # an import whose name the pickle does not spell out


class Kind(StrEnum):
    """What a line does. The value is the word of the JSON form."""

    IMPORT = "import"
    CALL = "call"
    SET = "set"  # items of an object made before
    RETURN = "return"


_WORST = (Mark.DANGEROUS, Mark.COMPUTED, Mark.UNLISTED, Mark.INERT)

_Judged = tuple[Mark, str]  # a mark, and why


@dataclass(frozen=True, slots=True)
class Line:
    """`code`, done at byte `offset`; `mark`: what is known of its names, and `note` why.

    An import always has a mark, anything else only one that is worse than inert.
    """

    offset: int
    kind: Kind
    code: str
    mark: Mark | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines are not shown here."""

    lines: int


_OF_A_LINE = Bounds(length=1000)  # a tensor's has 170 characters


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is shown. What is not inert is shown beyond `lines` as well, as much of it again."""

    lines: int | None = 200  # of one pickle: some screens; state dicts have a line or two a tensor
    pickles: int | None = 50  # of one file: more than any checkpoint has, fewer than an archive may
    bounds: Bounds = _OF_A_LINE


BRIEF = Extent()
# Ten times the longest constant that the machine keeps: one value that is shared a billion times is cut.
EVERYTHING = Extent(None, None, Bounds(depth=64, items=1 << 30, text=4096, length=100_000))


@dataclass(frozen=True, slots=True)
class Pseudo:
    """One pickle, and the lines of its program. They can be asked for once."""

    pickle: PickleRead
    lines: Iterator[Line | LeftOut]


def programs(
    contents: Contents, catalogue: Catalogue, extent: Extent = BRIEF
) -> Iterator[Pseudo | LeftOut]:
    """The program of each pickle in a file, in order, and how many pickles were left out."""
    shown = notable = left_out = 0
    for pickle, uses in zip(contents.pickles, judge_each(catalogue, contents), strict=True):
        most = len(contents.pickles) if extent.pickles is None else extent.pickles
        if shown < most:
            shown += 1
        elif notable < most and any(use.name_class is not NameClass.INERT for use in uses):
            notable += 1
        else:
            left_out += 1
            continue
        steps = _Program(pickle.trace, uses, extent.bounds).steps()
        yield Pseudo(pickle, _as_lines(steps, extent.lines))
    if left_out:
        yield LeftOut(left_out)


@dataclass(frozen=True, slots=True)
class _Step:
    """A line to be. It is written only if it is shown."""

    offset: int
    kind: Kind
    write: Callable[[], str]
    mark: Mark | None = None
    note: str = ""
    is_always_shown: bool = False


def _as_lines(steps: Iterable[_Step], most: int | None) -> Iterator[Line | LeftOut]:
    shown = notable = left_out = 0
    for step in steps:
        if most is None or shown < most:
            shown += 1
        elif step.mark not in (None, Mark.INERT) and notable < most:
            notable += 1
        elif not step.is_always_shown:
            left_out += 1
            continue
        if left_out:
            yield LeftOut(left_out)
            left_out = 0
        yield Line(step.offset, step.kind, step.write(), step.mark, step.note)
    if left_out:
        yield LeftOut(left_out)


class _Program:
    """The steps of one trace.

    Calls are known by their place in `trace.calls`, which is sorted by offset; so what is noted of
    each fits into an array.
    """

    def __init__(self, trace: Trace, uses: Sequence[NameUse], bounds: Bounds) -> None:
        self._trace = trace
        self._calls = trace.calls
        self._bounds = bounds
        self._uses = {(use.module, use.name): use for use in uses}
        self._reached = _by_call(use for use in uses if not _is_imported(use, trace))
        self._hooks = _by_owner(uses)
        self._numbers = array("L", _numbers(trace.calls))
        # on which object a value is set, and where its key is
        self._owners = array("q", [-1]) * len(trace.calls)
        self._keys = self._owners[:]
        self._built = _first_builds(trace.calls)
        self._held: dict[int, _Judged] = {}  # by the id of an object, of what BUILD gave to it
        for filled in trace.filled:
            if filled.how == "SETITEMS" and self._is_when_no_matter(filled):
                self._note_what_is_set(filled)

    def steps(self) -> Iterator[_Step]:
        trace = self._trace
        imports = (
            self._import(module, name, found.offset)
            for (module, name), found in trace.imports.items()
        )
        computed = (self._computed(one) for one in trace.computed)
        filled = (step for one in trace.filled for step in self._filled(one))
        yield from merge(imports, computed, self._called(), filled, key=attrgetter("offset"))
        if trace.complete:
            yield from self._returned(trace.result)

    def _import(self, module: str, name: str, offset: int) -> _Step:
        use = self._uses.get((module, name))
        code = f"from {spelled(module)} import {spelled(name)}"
        if use is None:
            return _Step(offset, Kind.IMPORT, lambda: code, Mark.UNLISTED)
        return _Step(offset, Kind.IMPORT, lambda: code, Mark(use.name_class.value), _why(use))

    def _computed(self, found: ComputedImport) -> _Step:
        def write() -> str:
            return f"find_class({self._shown(found.module)}, {self._shown(found.name)})"

        return _Step(found.offset, Kind.IMPORT, write, Mark.COMPUTED, found.why)

    def _called(self) -> Iterator[_Step]:
        for index, call in enumerate(self._calls):
            mark, note = self._judged(call)
            yield _Step(call.offset, Kind.CALL, lambda i=index: self._statement(i), mark, note)  # type: ignore[misc]

    def _judged(self, call: Call) -> tuple[Mark | None, str]:
        """The worst of what the call does with names, unless that is nothing."""
        done = [self._of_use(use) for use in self._reached.get(call.offset, ())]
        if call.how == "BUILD" and isinstance(call.function, Call):
            done += self._holding(call.function, call.offset)
        handed = call.args if isinstance(call.args, tuple) else ()
        return _worst([*done, *self._named((call.function, *handed[:_LOOKED_AT]))])

    def _of_use(self, use: NameUse) -> _Judged:
        return Mark(use.name_class.value), f"{use.qualified}: {_why(use)}"

    def _named(self, values: Iterable[Value]) -> Iterator[_Judged]:
        """What is known of the names among `values`. They are on the line, with their notes above."""
        for value in _leaves(values):
            if isinstance(value, Global):
                use = self._uses.get((value.module, value.name))
                yield Mark(use.name_class.value) if use else Mark.UNLISTED, ""

    def _statement(self, index: int) -> str:
        call = self._calls[index]
        shown = render(call, self._bounds, self._name)
        if call.how in _MAKE_NOTHING:
            return shown
        set_on = ""
        if self._owners[index] >= 0:
            owner = self._calls[self._owners[index]]
            set_on = f"{self._name(owner)}[{self._shown(owner.flat[self._keys[index]])}] = "
        return f"{set_on}_{self._numbers[index]} = {shown}"

    def _name(self, call: Call) -> str | None:
        index = self._index(call)
        return None if index is None else f"_{self._numbers[index]}"

    def _index(self, call: Call) -> int | None:
        index = bisect_left(self._calls, call.offset, key=attrgetter("offset"))
        found = index < len(self._calls) and self._calls[index] is call
        return index if found else None

    def _shown(self, value: Value) -> str:
        name = self._name(value) if isinstance(value, Call) else None
        return name or render(value, self._bounds, self._name)

    def _is_when_no_matter(self, filled: Filled) -> bool:
        """Whether setting these runs nothing, so that it may be shown earlier than it is done."""
        maker = filled.call.function
        if not isinstance(maker, Global) or self._is_built(filled.call, filled.offset):
            return False
        use = self._uses.get((maker.module, maker.name))
        return use is not None and use.name_class is NameClass.INERT

    def _is_built(self, made: Call, offset: int) -> bool:
        """Whether the object has got a state before byte `offset`."""
        return self._built.get(id(made), offset) < offset

    def _note_what_is_set(self, filled: Filled) -> None:
        call = filled.call
        index = self._index(call)
        for at in range(filled.start, filled.start + filled.count, 2):
            value = call.flat[at + 1]
            if isinstance(value, Call) and value.offset > call.offset:
                made = self._index(value)
                if index is not None and made is not None and self._owners[made] < 0:
                    self._owners[made], self._keys[made] = index, at

    def _filled(self, filled: Filled) -> Iterator[_Step]:
        """What is set on or added to an object, but for what the line of its value says already."""
        owner, start, end = filled.call, filled.start, filled.start + filled.count
        if filled.how == "APPENDS":
            yield self._set(filled, owner.items[start:end], lambda: self._extended(filled))
            return
        for at in range(start, end, 2):
            if not self._is_told(owner, at):
                pair = owner.flat[at : at + 2]
                yield self._set(filled, pair, lambda at=at: self._pair(owner, at))  # type: ignore[misc]

    def _set(self, filled: Filled, values: Sequence[Value], write: Callable[[], str]) -> _Step:
        held = self._holding(filled.call, filled.offset)
        mark, note = _worst([*held, *self._named(values)])
        return _Step(filled.offset, Kind.SET, write, mark, note)

    def _holding(self, owner: Call, offset: int) -> Sequence[_Judged]:
        """The worst of the names that an object got by BUILD before byte `offset`, if there are any.

        They may be its `append`, `extend` or `__setstate__`, which the unpickler calls.
        """
        if not self._is_built(owner, offset):
            return ()
        held = self._held.get(id(owner))
        if held is None:
            found = [self._of_use(use) for use in self._hooks.get(id(owner), ())]
            for value in _leaves(_opened(owner.state)):
                if isinstance(value, Call):
                    found += [self._of_use(use) for use in self._reached.get(value.offset, ())]
                elif use := self._uses.get((value.module, value.name)):
                    found.append(self._of_use(use))
            mark, note = _worst(found)
            held = self._held[id(owner)] = (mark or Mark.INERT, note)
        return (held,)

    def _extended(self, filled: Filled) -> str:
        items = filled.call.items[filled.start : filled.start + filled.count]
        return f"{self._name(filled.call)}.extend({self._shown(list(items))})"

    def _is_told(self, owner: Call, at: int) -> bool:
        value = owner.flat[at + 1]
        made = self._index(value) if isinstance(value, Call) else None
        return (
            made is not None and self._keys[made] == at and self._owners[made] == self._index(owner)
        )

    def _pair(self, owner: Call, at: int) -> str:
        key, value = owner.flat[at : at + 2]
        return f"{self._name(owner)}[{self._shown(key)}] = {self._shown(value)}"

    def _returned(self, result: Value) -> Iterator[_Step]:
        """`return`, a long dict or list with an entry a line."""
        end = self._trace.stop.offset
        many = 2 * self._bounds.items if isinstance(result, Mapping) else self._bounds.items
        values = result.flat if isinstance(result, Mapping) else result
        if not isinstance(values, list) or len(values) <= many:
            yield _Step(
                end, Kind.RETURN, lambda: f"return {self._shown(result)}", is_always_shown=True
            )
            return
        first, last = "{}" if isinstance(result, Mapping) else "[]"
        yield _Step(end, Kind.RETURN, lambda: f"return {first}", is_always_shown=True)
        for at in range(0, len(values), 2 if isinstance(result, Mapping) else 1):
            yield _Step(end, Kind.RETURN, lambda at=at: f"    {self._entry(result, values, at)},")  # type: ignore[misc]
        yield _Step(end, Kind.RETURN, lambda: last, is_always_shown=True)

    def _entry(self, result: Value, values: Sequence[Value], at: int) -> str:
        shown = self._shown(values[at])
        return f"{shown}: {self._shown(values[at + 1])}" if isinstance(result, Mapping) else shown


def _numbers(calls: Iterable[Call]) -> Iterator[int]:
    """Of each call: which value it makes. A call that makes none has the next one's."""
    made = 0
    for call in calls:
        yield made
        made += call.how not in _MAKE_NOTHING


def _worst(found: Iterable[_Judged]) -> tuple[Mark | None, str]:
    """No mark if all of them are inert."""
    worst = min(found, key=lambda judged: _WORST.index(judged[0]), default=(Mark.INERT, ""))
    return (None, "") if worst[0] is Mark.INERT else worst


def _leaves(values: Iterable[Value]) -> Iterator[Global | Call]:
    """Names and calls among the first of `values` and of what is in these."""
    todo = list(islice(values, _LOOKED_AT))
    for value in todo:  # it grows meanwhile
        if isinstance(value, Global | Call):
            yield value
        elif len(todo) < _LOOKED_AT:
            todo += islice(_inside(value), _LOOKED_AT - len(todo))


def _inside(value: Value) -> Sequence[Value]:
    match value:
        case list() | tuple():
            return value
        case Mapping():
            return value.flat
        case SetOf():
            return value.items
        case _:
            return ()


def _opened(state: Sequence[Value]) -> Iterator[Value]:
    """What BUILD gave, and what is in it if a call made that: a state may be an OrderedDict."""
    for value in islice(state, _LOOKED_AT):
        yield value
        if isinstance(value, Call):
            yield from (value.args, value.kwargs)
            yield from (list(value.flat[:_LOOKED_AT]), list(value.items[:_LOOKED_AT]))


def _first_builds(calls: Iterable[Call]) -> dict[int, int]:
    """The offset of the first BUILD of each object that is filled or has several, by the object's id."""
    found: dict[int, int] = {}
    for call in calls:
        if call.how == "BUILD" and isinstance(call.function, Call):
            made = call.function
            if made.flat or made.items or len(made.state) > 1:
                found.setdefault(id(made), call.offset)
    return found


def _by_owner(uses: Iterable[NameUse]) -> dict[int, list[NameUse]]:
    """Names that are called because items are appended to an object, by the object's id.

    Such a use shows as APPENDS on the BUILD that made it so: see `rules.follow`.
    """
    found: dict[int, list[NameUse]] = {}
    for use in uses:
        build = use.call.function if use.call is not None and use.call.how == "APPENDS" else None
        if isinstance(build, Call) and build.how == "BUILD":
            found.setdefault(id(build.function), []).append(use)
    return found


def _is_imported(use: NameUse, trace: Trace) -> bool:
    return (use.module, use.name) in trace.imports


def _by_call(uses: Iterable[NameUse]) -> dict[int, list[NameUse]]:
    """Names that no import spells out, by the offset of the call that leads to them."""
    found: dict[int, list[NameUse]] = {}
    for use in uses:
        found.setdefault(use.offset if use.call is None else use.call.offset, []).append(use)
    return found


def _why(use: NameUse) -> str:
    """Why the name is marked so, in words of the catalogue where it has some."""
    if use.entry is None:
        listed = "a type of the archive's own code" if use.name_class is NameClass.INERT else ""
        return listed or "not in the catalogue"
    if use.name_class is NameClass.INERT and use.entry.name_class is NameClass.DANGEROUS:
        return "here it does what its arguments say, which are judged in its place"
    if use.name_class is NameClass.UNLISTED:
        return f"not known to do nothing when {use.use.value}; {use.entry.why}"
    known = Global(use.module, use.name)
    shown = render(known)
    return use.entry.why if shown == use.qualified else f"{shown}: {use.entry.why}"
