"""What a pickle does with the names that it imports, and what the catalogue says of that.

A name can be reached by a detour, `getattr(module, "system")`: see `detours`. The names at its end are
judged as if the pickle had imported them itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from hubaudit.formats.contents import Contents, Format, PickleRead
from hubaudit.model import NameClass
from hubaudit.pvm.values import Call, Global, Trace
from hubaudit.rules.detours import follow, resolve
from hubaudit.rules.names import Catalogue, Entry, Use


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
    """Every name of every pickle in a file, in the order of their occurrence."""
    judge_one = partial(_judge_trace, catalogue, contents.format)
    return tuple(use for pickle in contents.pickles for use in judge_one(pickle))


def _judge_trace(catalogue: Catalogue, format_: Format, pickle: PickleRead) -> Iterator[NameUse]:
    for (module, name), seen in _collect(pickle.trace, catalogue).items():
        entry = catalogue.find(module, name, protocol=pickle.trace.protocol)
        followed = seen.was_followed and entry is not None and entry.by_argument
        inert = followed or (format_ is Format.TORCHSCRIPT and _is_scripted(module))
        yield NameUse(
            pickle.member,
            module,
            name,
            seen.use,
            seen.offset,
            seen.count,
            NameClass.INERT if inert else _class_of(entry, seen.use),
            entry,
            seen.call,
        )


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
    detours: int = 0  # calls of it whose arguments were followed to the name that they yield
    calls: int = 0

    @property
    def was_followed(self) -> bool:
        """Every call of it was followed, so that the names at the ends say all there is to say."""
        return self.calls > 0 and self.calls == self.detours

    def strengthen(self, use: Use, call: Call) -> None:
        if self.call is None or _STRENGTH[use] > _STRENGTH[self.use]:
            self.use, self.call = use, call


_STRENGTH = {Use.NAMED: 0, Use.CONSTRUCTED: 1, Use.CALLED: 2}


def _collect(trace: Trace, catalogue: Catalogue) -> dict[tuple[str, str], _Seen]:
    seen = {key: _Seen(found.offset, found.count) for key, found in trace.imports.items()}
    for call in trace.calls:
        _note_function(seen, call, catalogue)
        _note_arguments(seen, call)
    return seen


def _note_function(seen: dict[tuple[str, str], _Seen], call: Call, catalogue: Catalogue) -> None:
    """What `call` does to the name that it calls, and to those that it comes down to."""
    target = resolve(call.function)
    if target is None:
        return
    use = _use_of(call)
    found = _entry_for(seen, target, call.offset)
    found.strengthen(use, call)
    if use is not Use.CALLED:
        return
    found.calls += 1
    reached = follow(call)
    if reached is None:
        return
    found.detours += 1
    for name, done in reached:
        if not _is_enum_member(catalogue, name):
            _entry_for(seen, name, call.offset).strengthen(done, call)


def _entry_for(seen: dict[tuple[str, str], _Seen], target: Global, offset: int) -> _Seen:
    return seen.setdefault((target.module, target.name), _Seen(offset, 1))


def _use_of(call: Call) -> Use:
    match call.how:
        case "NEWOBJ" | "NEWOBJ_EX":
            return Use.CONSTRUCTED
        case "BUILD" | "APPENDS" | "SETITEMS":
            # Of an object made before they say no more of its class. Of the class itself BUILD sets
            # the attributes, and the others call a method.
            return Use.CALLED if isinstance(call.function, Global) else Use.NAMED
        case _:
            return Use.CALLED


def _is_enum_member(catalogue: Catalogue, yielded: Global) -> bool:
    owner, _, member = yielded.name.rpartition(".")
    entry = catalogue.find(yielded.module, owner)
    return entry is not None and entry.enum and member.isidentifier() and member[0] != "_"


def _note_arguments(seen: dict[tuple[str, str], _Seen], call: Call) -> None:
    """A name that is only passed on is shown in the call that it is passed to."""
    if not isinstance(call.args, tuple):
        return
    for argument in call.args:
        target = resolve(argument)
        if target is not None and (found := seen.get((target.module, target.name))) is not None:
            found.strengthen(Use.NAMED, call)
