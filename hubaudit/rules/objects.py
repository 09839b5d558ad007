"""What a pickle can put into objects to be called later: attributes, items and states with functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, SetOf, Skipped, Unknown, Value
from hubaudit.rules.attributes import on_some_object
from hubaudit.rules.meanings import (
    Bound,
    Getter,
    Instance,
    ItemGetter,
    Meaning,
    MethodCaller,
    attribute,
)
from hubaudit.rules.names import canonical

See = Callable[[Value], Meaning]

# Values of a state that are looked at for functions, before it counts as holding one. It is asked only
# where no library's file comes: 25,000 files of 30 libraries build no object twice.
_MOST_VALUES = 2000
_MOST_DEPTH = 3  # dicts as keys `__dict__` in each other: libraries write one

# What unpicklers and copies look up on an object, and on its class only if the object has none.
HOOKS = ("__setstate__", "append", "extend", "add", "keys")
# Of annotations and decorators: they hold functions in files of fastai and typing, and nobody calls them.
_HOLDERS = frozenset(("__wrapped__", "__signature__", "__orig_class__", "__func__", "__self__"))
# What destructors call, by the class: lightgbm 4.7 lightgbm/basic.py `Booster.__del__`.
_OF_DESTRUCTORS = {("lightgbm.basic", "Booster"): frozenset(("free_network", "free_dataset"))}
_CALLED = frozenset(HOOKS).union(*_OF_DESTRUCTORS.values())

# Hooks in one dict or on one object. Ordinary objects have at most one.
MOST_HOOKS = 4
# What is called in place of the one that is hidden among many: no row is inert for that.
ONE_OF_MANY = Instance(Global("builtins", "object"))


def is_live(value: Value) -> bool:
    """Whether it may be something that can be called, by itself: no container is."""
    return isinstance(value, Global | Call | PersistentId | Unknown)


def holds_live(values: Iterable[Value], see: See) -> bool:
    """Whether something that can be called is in there, at any depth."""
    todo, visited, left = [values], set(), _MOST_VALUES
    while todo:
        for value in todo.pop():
            left -= 1
            meant = see(value) if isinstance(value, Call) else value
            if left < 0 or is_live(meant) or is_made(meant) or isinstance(meant, Instance):
                return True
            if isinstance(value, list | tuple | Mapping | SetOf) and id(value) not in visited:
                visited.add(id(value))
                todo.append(inside(value))
    return False


def is_made(meant: Meaning) -> bool:
    """Whether it is a function that a call has made."""
    return isinstance(meant, Bound | Getter | ItemGetter | MethodCaller)


def inside(container: Value) -> Iterable[Value]:
    """What is in a list, tuple, dict or set: of a dict its keys and values in turn."""
    match container:
        case Mapping():
            return container.flat
        case SetOf():
            return container.items
        case list() | tuple():
            return container
        case _:
            return ()


# --- states -------------------------------------------------------------------------------------

_DICTS = frozenset(
    (("builtins", "dict"), *(("collections", n) for n in ("OrderedDict", "defaultdict", "Counter")))
)


def is_plain_dict(maker: Global) -> bool:
    """Whether its items are nothing but items."""
    return canonical(maker.module, maker.name) in _DICTS


def _pairs_of(made: Call) -> Sequence[Value] | None:
    """Keys and values in turn that a dict was made of, or None if they cannot be read."""
    match made.args:
        case () | (Mapping(flat=()),):
            return ()
        case (Mapping(flat=flat),):
            return flat
        case ((list() | tuple()) as pairs,) if all(_is_pair(pair) for pair in pairs):
            return [value for pair in pairs for value in pair]
        case (None | Global(),) | (Call(),) if _is_default(made):
            return ()
        case _:
            return None


def _is_default(made: Call) -> bool:
    return isinstance(made.function, Global) and made.function.name == "defaultdict"


def _is_pair(value: Value) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


class Scanned:
    """What was seen of a dict.

    Which of two values of a key it held when, a trace does not tell: both count. `hooks` are the
    attributes that unpicklers call, `inner` what is set as `__dict__`; `sets_specials`: one of Python's
    own methods is set to what may be called; `has_computed_names`: something is, by a name that only the
    running process knows; `holds_functions`: a function is a key or a value.
    """

    __slots__ = (
        *("_functions", "_part", "has_computed_names", "holds_functions", "hooks", "inner"),
        "sets_specials",
    )

    def __init__(self, part: Mapping, see: See) -> None:
        self._part = part  # which keeps its id
        self.hooks: list[tuple[str, Value]] = []
        self.inner: list[Value] = []
        self._functions: set[str] = set()
        self.has_computed_names = self.sets_specials = self.holds_functions = False
        for name, value in part.pairs():
            if isinstance(name, str) and name in HOOKS:
                self.hooks.append((name, value))
            if isinstance(name, str) and name == "__dict__":
                self.inner.append(value)
            if is_live(value):
                self._note(name)
                meant = see(value)
                self.holds_functions |= is_live(meant) or is_made(meant)
        if len(self.hooks) > MOST_HOOKS:
            self.hooks = [("keys", ONE_OF_MANY)]
        if len(self.inner) > MOST_HOOKS:
            self.inner = [_UNREAD]

    def _note(self, name: Value) -> None:
        if isinstance(name, Call | Unknown):
            self.has_computed_names = True
        elif isinstance(name, str):
            special = name[:2] == name[-2:] == "__" and name not in _HOLDERS
            self.sets_specials |= special
            if special or name in _CALLED:
                self._functions.add(name)

    def sets_destructor_of(self, target: Meaning) -> bool:
        if not isinstance(target, Instance):
            return False
        called = _OF_DESTRUCTORS.get((target.maker.module, target.maker.name), frozenset())
        return not called.isdisjoint(self._functions)

    @property
    def sets_methods(self) -> bool:
        """Whether one of all these is set to what may be called."""
        return bool(self._functions) or self.has_computed_names


class States:
    """What is found in the states of one trace. Each is looked at once: one may be that of many objects."""

    def __init__(self, see: See) -> None:
        self._see = see
        # all by id: a trace keeps its values, and what is made here is kept by what it was made of
        self._parts: dict[int, tuple[Value, ...]] = {}
        self._dicts: dict[int, Mapping | Unknown | None] = {}
        self._scanned: dict[int, Scanned] = {}
        self._lively: dict[int, bool] = {}

    def parts_of(self, state: Value) -> tuple[Value, ...]:
        """The dicts of attributes in a state: of a dict, or of two, the second for slots; and `__dict__`.

        A `Mapping` each, or an `Unknown` for one that cannot be read.
        """
        known = self._parts.get(id(state))
        if known is None:
            known = self._parts[id(state)] = tuple(self._read(state, _MOST_DEPTH))
        return known

    def _read(self, state: Value, depth: int) -> Iterator[Value]:
        for one in state if isinstance(state, tuple) and len(state) == 2 else (state,):
            part = self._dict_of(one, whole=one is state)
            if part is not None:
                yield part
            for inner in self.scan(part).inner if isinstance(part, Mapping) else ():
                yield from self._read((inner, None), depth - 1) if depth else (_UNREAD,)

    def _dict_of(self, state: Value, *, whole: bool) -> Mapping | Unknown | None:
        if isinstance(state, Mapping):
            return state
        if not isinstance(state, Call):
            return _UNREAD if whole and is_live(state) else None
        if id(state) not in self._dicts:
            self._dicts[id(state)] = _dict_of(state, self._see(state))
        found = self._dicts[id(state)]
        return _UNREAD if found is None and whole and _is_object(self._see(state)) else found

    def scan(self, part: Mapping) -> Scanned:
        """What is set in a dict."""
        known = self._scanned.get(id(part))
        if known is None:
            known = self._scanned[id(part)] = Scanned(part, self._see)
        return known

    def is_lively(self, state: Value) -> bool:
        """Whether a state holds anything that may be called."""
        known = self._lively.get(id(state))
        if known is None:
            known = self._lively[id(state)] = holds_live([state], self._see)
        return known

    def is_disguised(self, value: Call) -> bool:
        """Whether it is an object without methods of its own in which functions were put."""
        meant = self._see(value)
        if not value.state or not isinstance(meant, Instance):
            return False
        if canonical(meant.maker.module, meant.maker.name) not in _NAMESPACES:
            return False
        parts = [part for state in value.state[:MOST_HOOKS] for part in self.parts_of(state)]
        odd = len(value.state) > MOST_HOOKS
        return odd or any(
            not isinstance(part, Mapping) or self.scan(part).holds_functions for part in parts
        )


_UNREAD = Unknown("a state that is computed")
# Objects that are nothing but what was put into them.
_NAMESPACES = frozenset(
    (("argparse", "Namespace"), ("optparse", "Values"), ("types", "SimpleNamespace"))
)


def _is_object(meant: Meaning) -> bool:
    return not isinstance(meant, str | bytes | int | None | Skipped)


def _dict_of(state: Call, meant: Meaning) -> Mapping | Unknown | None:
    """The dict that a call has made, or None if it made something else."""
    match meant:
        case Instance(maker) if is_plain_dict(maker):
            given = _pairs_of(state)
            return _UNREAD if given is None else Mapping((*given, *state.flat))
        case Instance() if state.how.startswith("NEWOBJ"):
            return Mapping(state.flat)  # statsmodels' `Bunch` is its own state
        case Mapping():
            return meant
        case _:
            return None


def is_class(meant: Meaning) -> bool:
    """Whether it is what `type(x)` gives of what nobody knows."""
    return isinstance(meant, Instance) and canonical(meant.maker.module, meant.maker.name) == (
        "builtins",
        "type",
    )


def method_of(owner: Meaning, name: str) -> Global:
    """A method of what may be anything: no row has it, so that calling it is high."""
    return attribute(owner, name) or on_some_object(name)


def with_states(call: Call) -> Call:
    """The call with what was put into the object before, to be shown."""
    shown = call
    for state in call.state[:MOST_HOOKS]:
        if isinstance(state, Call) and state.flat:
            state = Call("SETITEMS", state, (Mapping(state.flat),), state.offset)
        shown = Call("BUILD", shown, (state,), call.offset)
    return Call("SETITEMS", shown, (Mapping(call.flat),), call.offset) if call.flat else shown
