"""What a pickle can put into objects to be called later: attributes, items and states with functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, SetOf, Skipped, Unknown, Value
from hubaudit.rules.meanings import (
    Bound,
    Getter,
    Instance,
    ItemGetter,
    Meaning,
    MethodCaller,
    class_made_by,
)
from hubaudit.rules.names import Catalogue, Use, canonical

See = Callable[[Value], Meaning]

# Values of a state that are looked at for functions, before it counts as holding one. It is asked only
# where no library's file comes: 25,000 files of 30 libraries build no object twice.
_MOST_VALUES = 2000
_MOST_DEPTH = 8  # dicts as keys `__dict__` in each other: libraries write one

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
                todo.append(contents(value))
    return False


def is_made(meant: Meaning) -> bool:
    """Whether it is a function that a call has made."""
    return isinstance(meant, Bound | Getter | ItemGetter | MethodCaller)


def contents(container: Value) -> Iterable[Value]:
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


def parts_of(state: Value, see: See, depth: int = _MOST_DEPTH) -> Iterator[Value]:
    """The dicts of attributes in a state: of a dict, or of two, the second for slots; and `__dict__`.

    A `Mapping` each, or NOBODY_KNOWS, an `Unknown`, for one that cannot be read.
    """
    for one in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        part = _dict_of(one, see, whole=one is state)
        if part is None:
            continue
        yield part
        for key, value in part.pairs() if isinstance(part, Mapping) else ():
            if key == "__dict__" and isinstance(key, str):
                yield from parts_of((value, None), see, depth - 1) if depth else (_UNREAD,)


_UNREAD = Unknown("a state that is computed")


def _dict_of(state: Value, see: See, *, whole: bool) -> Mapping | Unknown | None:
    if isinstance(state, Mapping):
        return state
    if not isinstance(state, Call):
        return None
    match see(state):
        case Instance(maker) if is_plain_dict(maker):
            given = _pairs_of(state)
            return _UNREAD if given is None else Mapping((*given, *state.flat))
        case Instance() if state.how.startswith("NEWOBJ"):
            return Mapping(state.flat)  # statsmodels' `Bunch` is its own state
        case Instance():
            return _UNREAD if whole else None
        case Mapping() as part:
            return part
        case str() | bytes() | int() | None | Skipped():
            return None
        case _:
            return _UNREAD


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
    """What was seen of a dict: one may be the state of many objects.

    Which of two values of a key it held when, a trace does not tell: both count. `hooks` are the
    attributes that unpicklers call; `sets_specials`: one of Python's own methods is set to what may be
    called; `has_computed_names`: something is, by a name that only the running process knows.
    """

    __slots__ = ("_functions", "_part", "has_computed_names", "hooks", "sets_specials")

    def __init__(self, part: Mapping) -> None:
        self._part = part  # which keeps its id
        self.hooks: list[tuple[str, Value]] = []
        self._functions: set[str] = set()
        self.has_computed_names = self.sets_specials = False
        for name, value in part.pairs():
            if isinstance(name, str) and name in HOOKS:
                self.hooks.append((name, value))
            if is_live(value):
                self._note(name)
        if len(self.hooks) > MOST_HOOKS:
            self.hooks = [("keys", ONE_OF_MANY)]

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


# --- objects that are new, and lists ------------------------------------------------------------

# Functions whose result is a new object each time. That they are listed is asked before.
_MAKES_NEW = re.compile(
    r"_?reconstruct|_mareconstruct|_mrreconstruct|_reconstructor|__newobj__|__newobj_ex__|newObj|new_object"
    r"|__pyx_unpickle_\w+|__\w+_ctor|_new_\w+|_unpickle|tzfile|iter|reversed|chain|cycle|islice|deque|partial"
    r"|defaultdict|count|zip_longest|product|permutations|combinations|repeat|compress|starmap|accumulate"
)


def makes_new(function: Meaning, catalogue: Catalogue, protocol: int) -> bool:
    """Whether a call of it gives an object that nobody else has: none of its arguments, and no class.

    Of what is not listed, or dangerous, the call itself is reported.
    """
    while isinstance(function, Bound):
        function = function.function
    if not isinstance(function, Global):
        return False
    name = class_made_by(function) or function
    row = catalogue.find(name.module, name.name, protocol)
    if row is None or Use.CONSTRUCTED in row.uses or not row.uses:
        return True
    last = name.name.rpartition(".")[2]
    return last[:1].isupper() or _MAKES_NEW.fullmatch(last) is not None


_LISTS = frozenset(
    (
        ("collections", "deque"),
        ("builtins", "list"),
        ("builtins", "set"),
        ("traceback", "StackSummary"),
        ("xml.dom.minicompat", "NodeList"),
        ("nltk.tree", "Tree"),
        ("nltk.tree.tree", "Tree"),
        ("skorch.history", "History"),
    )
)


def is_list(maker: Global) -> bool:
    """Whether `append` or `add` of its objects is that of a list or a set."""
    return canonical(maker.module, maker.name) in _LISTS


# --- functions that go through what they are given, or ask it for more --------------------------

_GO_THROUGH = frozenset(
    (
        *(
            ("builtins", name)
            for name in (
                *("list", "tuple", "set", "frozenset", "dict", "dict.fromkeys", "zip", "enumerate"),
                *("next", "iter", "map", "filter", "reversed", "bytes", "bytearray", "str", "int"),
                *("float", "complex", "bool", "sorted", "min", "max", "sum", "any", "all", "len"),
                *("abs", "bin", "chr", "hex", "oct", "ord", "round"),
            )
        ),
        *(("collections", name) for name in ("OrderedDict", "deque", "Counter", "defaultdict")),
        *(
            ("itertools", name)
            for name in (
                *("chain", "chain.from_iterable", "cycle", "islice", "zip_longest", "product"),
                *("permutations", "combinations", "compress", "tee", "pairwise", "batched"),
                *("starmap", "accumulate", "groupby", "takewhile", "dropwhile", "filterfalse"),
            )
        ),
        ("array", "array"),
        ("fractions", "Fraction"),
        ("torch", "Size"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.nn.parameter", "Buffer"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_parameter_with_state"),
    )
)
# Whose objects do so by code of their own, in C or without asking attributes of theirs.
_BY_THEMSELVES = frozenset(
    "builtins __builtin__ collections itertools array datetime decimal fractions uuid pathlib numpy".split()
)


def goes_through(function: Global) -> bool:
    """Whether it calls methods of what it is given."""
    found = canonical(function.module, function.name)
    return found in _GO_THROUGH or found[0] == "math"


def asked(function: Global, args: tuple[Value, ...], see: See) -> Iterator[Global]:
    """The classes and functions that made the objects which such a function asks for their items."""
    for arg in args:
        meant = see(arg)
        inner = canonical(function.module, function.name) in _GO_DEEPER
        within = meant[:_MOST_INNER] if inner and isinstance(meant, list | tuple) else ()
        for one in (meant, *map(see, within)):
            if isinstance(one, Instance) and not _is_by_itself(one.maker):
                yield one.maker


# They go through the items of what they are given as well.
_GO_DEEPER = frozenset(
    (
        *(("builtins", name) for name in ("dict", "sum", "map", "filter")),
        ("collections", "OrderedDict"),
        *(("itertools", name) for name in ("chain.from_iterable", "starmap")),
    )
)
_MOST_INNER = 64  # items of one argument: the same figure as for the arguments of a call


def _is_by_itself(maker: Global) -> bool:
    place = canonical(maker.module, maker.name)[0]
    is_tensor = place.startswith("torch") and "_rebuild" in maker.name
    return place.partition(".")[0] in _BY_THEMSELVES or is_tensor


_NAMESPACES = frozenset(
    (("argparse", "Namespace"), ("optparse", "Values"), ("types", "SimpleNamespace"))
)


def is_disguised(value: Call, see: See) -> bool:
    """Whether it is an object without methods of its own in which functions were put."""
    meant = see(value)
    if not isinstance(meant, Instance):
        return False
    maker = canonical(meant.maker.module, meant.maker.name)
    if maker not in _NAMESPACES:
        return False
    states = {id(state): state for state in value.state}
    parts = [part for state in states.values() for part in parts_of(state, see)]
    return any(
        not isinstance(part, Mapping)
        or any(is_made(see(one)) or is_live(see(one)) for one in part.flat)
        for part in parts
    )
