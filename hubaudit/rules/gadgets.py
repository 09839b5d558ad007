"""Helpers and classes of particular libraries that do more than their names say, and what decides it."""

from __future__ import annotations

import re
from types import MappingProxyType

from hubaudit.pvm import values
from hubaudit.pvm.values import Call, Global, Value

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


_METHOD = re.compile(
    r"<(?:method|slot wrapper|attribute|member) '(?P<name>\w+)' of '(?P<owner>\w+)' objects>",
    re.ASCII,
)
_BUILTIN_TYPES = frozenset(
    (
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple", "type"),
    )
)


def dill_method(name: str, shown: str) -> Global | None:
    """The method that `_getattr` of dill gives for this name and repr; None if it may be another."""
    match = _METHOD.fullmatch(shown)
    if match is None or match["name"] != name or match["owner"] not in _BUILTIN_TYPES:
        return None
    return Global("builtins", f"{match['owner']}.{name}")


_ONLY_MAKES = frozenset(
    (module, name)
    for module in ("operator", "_operator", "functools", "_functools")
    for name in ("attrgetter", "itemgetter", "methodcaller", "partial")
)


def only_makes(name: Global) -> bool:
    """Whether whoever calls it gets a function, and nothing is called before that one is."""
    return (name.module, name.name) in _ONLY_MAKES


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
    return _is_distribution(name) or _is_of_a_formula(name)


def _is_distribution(name: Global) -> bool:
    return name.module.startswith("scipy.stats.") and (
        name.name.endswith("_gen") or name.name in _DISTRIBUTIONS
    )


def is_its_own(maker: Global, state: Value) -> bool:
    """Whether the library itself wrote the state of a class that runs it."""
    return _is_scipys_own(state) if _is_distribution(maker) else _is_plain_formula(state)


def _is_scipys_own(state: Value) -> bool:
    """Whether scipy itself wrote it: its template filled in, or the two values of scipy before 1.6."""
    match state:
        case values.Mapping():
            held = _texts(state)
            return held is not None and all(_TEMPLATE.fullmatch(text) for text in held)
        case (values.Mapping() as parameters, generator) if _is_generator(generator):
            # `dict.update` has to refuse it. Of two keys it would make a key and a value
            held = _texts(parameters)
            return held is not None and not held and len(set(parameters.flat[::2])) > 2
        case _:
            return False


def _is_generator(value: Value) -> bool:
    """None, or an object of numpy.random: nothing that can be taken for a key and a value."""
    if isinstance(value, Call) and isinstance(value.function, Global):
        return value.function.module.startswith("numpy.random")
    return value is None


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


# --- statsmodels' data of a formula -------------------------------------------------------------

_FORMULA_DATA = ("ModelData", "PandasData", "PatsyData", "FormulaicData")
# Keys by which `ModelData.__setstate__` evaluates `formula` again (statsmodels 0.15 and 0.14,
# statsmodels/base/data.py), by patsy or formulaic: each term is Python.
_RESTORES = ("restore_model_spec", "restore_design_info")
# Functions that compute with columns, by the documentation of patsy 1.0 and formulaic 1.2.
_OF_COLUMNS = frozenset(
    "C I Q Treatment Sum Poly Helmert Diff bs cr cc te center standardize scale poly lag log exp "
    "np.log np.log2 np.log10 np.log1p np.exp np.expm1 np.sqrt np.abs np.square np.power np.sin np.cos "
    "np.tanh np.maximum np.minimum np.where".split()
)
_TOKEN = re.compile(
    r"\s*(?:(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<constant>\d+(?:\.\d*)?(?!\w)|\"[^\"\\\n]*\"|'[^'\\\n]*')"
    r"|(?P<sign>[-+*/:^~|%,=()]))\s*"
)
_LONGEST_FORMULA = 4000  # characters


def _is_of_a_formula(name: Global) -> bool:
    return name.module == "statsmodels.base.data" and name.name in _FORMULA_DATA


def _is_plain_formula(state: Value) -> bool:
    """Whether the formula of the state, if it is evaluated, has columns and functions of columns only."""
    if not isinstance(state, values.Mapping) or len(state.flat) > _MOST_ATTRIBUTES:
        return False
    pairs = list(state.pairs())
    if not all(isinstance(key, str) for key, _ in pairs):
        return False
    if not any(key in _RESTORES for key, _ in pairs):
        return True
    formulas = [value for key, value in pairs if key == "formula"]
    return all(isinstance(one, str) and _is_harmless(one) for one in formulas)


def _is_harmless(formula: str) -> bool:
    """Whether it calls functions of columns only, and takes no attributes or items."""
    at, before = 0, ""
    while at < len(formula) <= _LONGEST_FORMULA:
        token = _TOKEN.match(formula, at)
        if token is None:
            return False
        text = token[0].strip()
        is_name = token["name"] is not None
        if is_name and "." in text and text not in _OF_COLUMNS:
            return False
        if not is_name and token["sign"] is None and _is_operand(before):
            return False  # a text behind a name is its prefix
        if text == "(" and _is_operand(before) and before not in _OF_COLUMNS:
            return False
        at, before = token.end(), text
    return at == len(formula)


def _is_operand(text: str) -> bool:
    """Whether what stands there has a value, which a parenthesis behind it would call."""
    return text == ")" or text[:1].isidentifier() or text[:1] in {*"0123456789\"'"}
