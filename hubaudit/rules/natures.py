"""What is known of listed functions: whose result is new, whose objects are lists, who asks its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hubaudit.pvm.values import Global, Value
from hubaudit.rules.meanings import Bound, Instance, Meaning, class_made_by
from hubaudit.rules.names import Catalogue, Use, canonical

See = Callable[[Value], Meaning]

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
    if row.enum:
        return False
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


# What they give is what they were given, or part of it.
_HAND_OUT = frozenset(
    (
        *(("builtins", name) for name in ("dict.get", "dict.pop", "getattr", "max", "min", "next")),
        *(("operator", name) for name in ("attrgetter", "call", "getitem", "itemgetter")),
        *(("operator", name) for name in ("__call__", "__getitem__", "methodcaller")),
        ("functools", "reduce"),
    )
)


def hands_out(function: Global) -> bool:
    """Whether nobody knows what a call of it gives."""
    place, name = canonical(function.module, function.name)
    return (place.removeprefix("_"), name) in _HAND_OUT


# Objects that are nothing but what was put into them.
_NAMESPACES = frozenset(
    (("argparse", "Namespace"), ("optparse", "Values"), ("types", "SimpleNamespace"))
)


def is_namespace(maker: Global) -> bool:
    """Whether its objects have no methods, and what they are called with becomes their attributes."""
    return canonical(maker.module, maker.name) in _NAMESPACES


# The containers of collections that are written in Python ask what they hold.
_IN_PYTHON = frozenset(("ChainMap", "UserDict", "UserList", "UserString"))

# Packages whose classes with `__setitem__` are no dicts, so that no pickler sets items of theirs.
_NO_DICTS = frozenset(("configparser", "email", "numpy", "pandas"))
_NO_DICT_CLASSES = frozenset(
    (
        *(("collections", name) for name in _IN_PYTHON),
        *(("scipy.spatial.transform", name) for name in ("RigidTransform", "Rotation")),
    )
)


def is_no_dict(maker: Global) -> bool:
    """Whether items are set on its objects by a method that asks keys and values for more."""
    place, name = canonical(maker.module, maker.name)
    public = place.partition("._")[0].removesuffix(".rotation")
    is_listed = (public, name.partition(".")[0]) in _NO_DICT_CLASSES
    return is_listed or place.partition(".")[0] in _NO_DICTS


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
        *(("collections", name) for name in _IN_PYTHON),
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
            if isinstance(one, Instance) and not is_by_itself(one.maker):
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


def is_by_itself(maker: Global) -> bool:
    place, name = canonical(maker.module, maker.name)
    if place == "collections":
        return name not in _IN_PYTHON
    is_tensor = place.startswith("torch") and "_rebuild" in maker.name
    return place.partition(".")[0] in _BY_THEMSELVES or is_tensor
