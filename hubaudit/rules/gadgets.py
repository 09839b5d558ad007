"""Helpers and classes of particular libraries that do more than their names say, and what decides it."""

from __future__ import annotations

import re
from types import MappingProxyType

from hubaudit.pvm import values
from hubaudit.pvm.values import Call, Global, Value
from hubaudit.rules.meanings import Effect, Judged
from hubaudit.rules.names import Use

# `_reverse_typemap` of dill 0.4, dill/_dill.py, as far as its keys are not names of builtins or of types.
_DILL_TYPES = MappingProxyType(
    {
        "AttrGetterType": Global("operator", "attrgetter"),
        "ItemGetterType": Global("operator", "itemgetter"),
        "PartialType": Global("functools", "partial"),
        "FileType": Global("io", "TextIOWrapper"),
        "TextWrapperType": Global("io", "TextIOWrapper"),
        "BufferedRandomType": Global("io", "BufferedRandom"),
        "BufferedReaderType": Global("io", "BufferedReader"),
        "BufferedWriterType": Global("io", "BufferedWriter"),
        "ExitType": Global("builtins", "exit"),
        "SuperType": Global("builtins", "super"),
    }
)


def dill_type(name: str) -> Global:
    """The type that dill calls `name`."""
    if name in _DILL_TYPES:
        return _DILL_TYPES[name]
    return Global("types" if name.endswith("Type") else "builtins", name)


# --- scipy's distributions ----------------------------------------------------------------------

_PARAMETERS = r"(?:[A-Za-z_]\w*, )*"
_TEMPLATE = re.compile(
    rf"\ndef _parse_args\(self, (?P<shapes>{_PARAMETERS}) (?P<loc>loc=0(?:, scale=1)?)\):\n"
    r"    return \((?P=shapes)\), (?P<out>loc, (?:scale|1))\n"
    r"\ndef _parse_args_rvs\(self, (?P=shapes) (?P=loc), size=None\):\n"
    r"    return self\._argcheck_rvs\((?P=shapes) (?P=out), size=size\)\n"
    r"\ndef _parse_args_stats\(self, (?P=shapes) (?P=loc), moments='mv'\):\n"
    r"    return \((?P=shapes)\), (?P=out), moments\n",
    re.ASCII,
)
_DISTRIBUTIONS = ("rv_continuous", "rv_discrete", "rv_histogram", "rv_sample", "rv_generic")
_MOST_ATTRIBUTES = 400  # keys and values of a state: scipy 1.17 writes under 60
# Methods that `__setstate__` calls, or makes: as attributes of the state they would take their place.
_OWN = ("_attach_methods", "_attach_argparser_methods", "_updated_ctor_param", "__init__")


def runs_its_state(name: Global) -> bool:
    """Whether BUILD of an object of this class runs code out of the state, and nothing else does.

    `rv_generic.__setstate__` runs exec over `_parse_arg_template` (scipy 1.17, 1.11 and 1.7,
    scipy/stats/_distn_infrastructure.py).
    """
    return name.module.startswith("scipy.stats.") and (
        name.name.endswith("_gen") or name.name in _DISTRIBUTIONS
    )


def judge_state(maker: Global, state: Value) -> Effect | None:
    """What BUILD with `state` does beyond setting attributes; None for an ordinary class."""
    if not runs_its_state(maker):
        return None
    if _is_scipys_own(state):
        return Effect(maker, Use.CONSTRUCTED, Judged.BY_ARGUMENT)
    return Effect(maker, Use.CALLED)


def _is_scipys_own(state: Value) -> bool:
    """Whether scipy itself wrote it: its template filled in, or the two values of scipy before 1.6."""
    match state:
        case values.Mapping():
            held = _texts(state)
            return held is not None and all(_TEMPLATE.fullmatch(text) for text in held)
        case (values.Mapping() as parameters, None | Call()):
            # `dict.update` has to refuse it: of two keys it would make a key and a value
            return len({key for key in parameters.flat[:64:2] if isinstance(key, str)}) > 2
        case _:
            return False


def _texts(state: values.Mapping) -> list[str] | None:
    """Each `_parse_arg_template` that is set, or None if a method is, or what nobody can read."""
    if len(state.flat) > _MOST_ATTRIBUTES:
        return None
    found: list[str] = []
    for key, value in state.pairs():
        if not isinstance(key, str) or key in _OWN:
            return None
        if key == "_parse_arg_template":
            if not isinstance(value, str):
                return None
            found.append(value)
    return found
