"""What a pickle does with the names that it imports, and what the catalogue says of that.

A name can be reached by a detour, `getattr(module, "system")`: see `follow`. The names at its end are
judged as if the pickle had imported them itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hubaudit.formats.contents import Contents, Format, PickleRead
from hubaudit.model import NameClass
from hubaudit.pvm.values import Call, Global, Mapping, SetOf, Trace, Value
from hubaudit.rules.attributes import is_on_some_object
from hubaudit.rules.follow import Follower
from hubaudit.rules.gadgets import only_makes, runs_its_state
from hubaudit.rules.meanings import Effect, Judged
from hubaudit.rules.names import Catalogue, Entry, Use
from hubaudit.rules.nested import Nested
from hubaudit.rules.objects import inside


@dataclass(frozen=True, slots=True)
class NameUse:
    """One name in one pickle: its strongest use, the first byte where it occurs, how often.

    `call` is the first call of it, or the first that it is an argument of. `entry` is None if the
    name is unlisted.
    """

    member: str | None
    module: str
    name: str
    use: Use
    offset: int
    count: int
    name_class: NameClass
    entry: Entry | None
    call: Call | None

    @property
    def qualified(self) -> str:
        return f"{self.module}.{self.name}"


def judge(catalogue: Catalogue, contents: Contents) -> tuple[NameUse, ...]:
    """Every name of every pickle in a file, in the order of their occurrence.

    A call that loads a pickle in a constant is judged by that pickle, which stands behind its own.
    """
    return tuple(use for uses in judge_each(catalogue, contents) for use in uses)


def judge_each(catalogue: Catalogue, contents: Contents) -> tuple[tuple[NameUse, ...], ...]:
    """The same, apart for each pickle, in their order."""
    nested = Nested()
    found: list[tuple[NameUse, ...]] = []
    for pickle in reversed(contents.pickles):
        uses = tuple(_judge_trace(catalogue, contents.format, pickle, nested))
        inert = all(use.name_class is NameClass.INERT for use in uses)
        nested.add(pickle.member, bad=bool(pickle.trace.computed) or not inert)
        found.append(uses)
    return tuple(reversed(found))


def _judge_trace(
    catalogue: Catalogue, format_: Format, pickle: PickleRead, nested: Nested
) -> Iterator[NameUse]:
    trace = pickle.trace
    follower = Follower(trace, nested.reader_of(pickle), catalogue)
    seen = _collect(trace, catalogue, follower)
    rows = {
        name: _Row(catalogue, found, name, trace.protocol, format_) for name, found in seen.items()
    }
    if any(row.depends_on_mentions for row in rows.values()):
        settled = {name for name, row in rows.items() if row.is_settled_danger}
        _note_mentions(seen, settled, trace, follower)
    for (module, name), found in seen.items():
        row = rows[module, name]
        yield NameUse(
            pickle.member,
            module,
            name,
            found.use,
            found.offset,
            found.count,
            row.name_class,
            row.entry,
            found.call,
        )


class _Row:
    """What the catalogue says of a name, for the use that was made of it."""

    __slots__ = ("_inert_here", "_seen", "entry")

    def __init__(
        self,
        catalogue: Catalogue,
        seen: _Seen,
        name: tuple[str, str],
        protocol: int,
        format_: Format,
    ) -> None:
        self.entry = catalogue.find(*name, protocol=protocol)
        self._seen = seen
        self._inert_here = format_ is Format.TORCHSCRIPT and _is_scripted(name[0])

    @property
    def name_class(self) -> NameClass:
        if self._inert_here or self._is_settled:
            return NameClass.INERT
        return _class_of(self.entry, self._seen.use)

    @property
    def depends_on_mentions(self) -> bool:
        """Whether it matters who else holds the name: to judge it, or to show it."""
        unshown = self._seen.call is None and self.name_class is not NameClass.INERT
        return unshown or self.is_settled_danger

    @property
    def is_settled_danger(self) -> bool:
        """Whether only the arguments of its calls make a dangerous name inert."""
        return self._is_settled and _class_of(self.entry, self._seen.use) is NameClass.DANGEROUS

    @property
    def _is_settled(self) -> bool:
        return self._seen.is_settled and self.entry is not None and self.entry.by_argument


def _is_scripted(module: str) -> bool:
    """A type of the archive's own `code/`: `torch.jit.load` reads it with the C++ unpickler, and
    Python has no such module (torch/csrc/jit/serialization/unpickler.cpp, 2.13)."""
    return module == "__torch__" or module.startswith("__torch__.")


def _class_of(entry: Entry | None, use: Use) -> NameClass:
    if entry is None:
        return NameClass.UNLISTED
    if entry.name_class is NameClass.DANGEROUS or entry.is_inert(use):
        return entry.name_class
    return NameClass.UNLISTED


@dataclass(slots=True)
class _Seen:
    offset: int
    count: int
    use: Use = Use.NAMED
    call: Call | None = None
    by_argument: bool = False  # a call of it was judged by its arguments
    by_row: bool = False  # and one was not, or it was handed to somebody who may call it

    @property
    def is_settled(self) -> bool:
        """Every call of it was followed, so that the names at the ends say all there is to say."""
        return self.by_argument and not self.by_row

    def strengthen(self, use: Use, call: Call) -> None:
        if self.call is None or _STRENGTH[use] > _STRENGTH[self.use]:
            self.use, self.call = use, call


_STRENGTH = {Use.NAMED: 0, Use.CONSTRUCTED: 1, Use.CALLED: 2}

_Names = dict[tuple[str, str], _Seen]


def _collect(trace: Trace, catalogue: Catalogue, follower: Follower) -> _Names:
    seen = {key: _Seen(found.offset, found.count) for key, found in trace.imports.items()}
    for call, effect in follower.effects():
        if not _is_nothing(catalogue, effect):
            _note(seen, call, effect)
    return seen


def _note(seen: _Names, call: Call, effect: Effect) -> None:
    name = effect.name
    found = seen.setdefault((name.module, name.name), _Seen(call.offset, 1))
    found.strengthen(effect.use, call)
    if effect.judged is Judged.BY_ARGUMENT or _only_constructs(effect):
        found.by_argument = True
    elif effect.use is not Use.NAMED:
        found.by_row = True


def _only_constructs(effect: Effect) -> bool:
    """An object whose class runs what BUILD hands to it, and nothing before that."""
    return effect.use is Use.CONSTRUCTED and runs_its_state(effect.name)


def _is_nothing(catalogue: Catalogue, effect: Effect) -> bool:
    """Whether there is nothing to list: no name of a module is used, and nothing dangerous done."""
    if effect.judged is Judged.IF_DANGEROUS:
        entry = catalogue.find(effect.name.module, effect.name.name)
        return entry is None or entry.name_class is not NameClass.DANGEROUS
    if is_on_some_object(effect.name):
        entry = catalogue.find(effect.name.module, effect.name.name)
        return entry is not None and entry.is_inert(effect.use)
    return effect.use is Use.NAMED and _is_enum_member(catalogue, effect.name)


def _is_enum_member(catalogue: Catalogue, yielded: Global) -> bool:
    owner, _, member = yielded.name.rpartition(".")
    entry = catalogue.find(yielded.module, owner)
    return entry is not None and entry.enum and member.isidentifier() and member[0] != "_"


def _note_mentions(
    seen: _Names, settled: set[tuple[str, str]], trace: Trace, follower: Follower
) -> None:
    """Names that are handed on: shown in the call that takes them, and for others to call."""
    for name, holder in _mentions(trace, follower):
        found = seen.get((name.module, name.name))
        if found is not None:
            harmless = runs_its_state(name) or only_makes(name)
            if (name.module, name.name) in settled and not harmless:
                found.by_row = True
            if holder is not None:
                found.strengthen(Use.NAMED, holder)


def _mentions(trace: Trace, follower: Follower) -> Iterator[tuple[Global, Call | None]]:
    """Every name among the arguments of a call, or in what is loaded, with the first such call."""
    visited: set[int] = set()
    for call in trace.calls:
        given = (call.args, call.kwargs, call.items)
        yield from ((name, call) for name in _names_in(given, visited, follower))
        if call.flat:
            shown = Call("SETITEMS", call, (Mapping(call.flat),), call.offset)
            yield from ((name, shown) for name in _names_in((call.flat,), visited, follower))
    yield from ((name, None) for name in _names_in((trace.result,), visited, follower))


def _names_in(held: tuple[Value, ...], visited: set[int], follower: Follower) -> Iterator[Global]:
    """The names in `held`, and in the lists, dicts, sets and tuples in it that were not visited."""
    todo: list[Iterable[Value]] = [held]
    while todo:
        for value in todo.pop():
            match value:
                case Global():
                    yield value
                case Call():
                    if isinstance(meant := follower.see(value), Global):
                        yield meant
                case list() | tuple() | Mapping() | SetOf() if id(value) not in visited:
                    visited.add(id(value))
                    todo.append(inside(value))
