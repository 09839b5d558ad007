"""Objects in which a pickle hides what others call: no way to use them passes.

Mostly the function that is hidden is `print`, which may be named and not called: these pass unless the
call is seen. The pickles are harmless if anything loads them: the path that would be overwritten does not
exist, and no command is in them but `true`.
"""

from __future__ import annotations

import pytest

from hubaudit.model import Severity
from tests.rules.programs import Again, Changed, Do, Kept, Name, Persistent, Spread, Term
from tests.rules.test_detours import findings

NAMESPACE = Name("argparse", "Namespace")
SIMPLE = Name("types", "SimpleNamespace")
ORDERED = Name("collections", "OrderedDict")
DEFAULTS = Name("collections", "defaultdict")
TUPLE, LIST, DICT, ZIP = (Name("builtins", name) for name in ("tuple", "list", "dict", "zip"))
STR, NEXT, ITER = (Name("builtins", name) for name in ("str", "next", "iter"))
MAP, GET, REVERSED = (Name("builtins", name) for name in ("map", "dict.get", "reversed"))
PARTIAL = Name("functools", "partial")
ATTRGETTER = Name("operator", "attrgetter")
METHODCALLER = Name("operator", "methodcaller")
ITEMGETTER = Name("operator", "itemgetter")
GETITEM = Name("operator", "getitem")
COPY = Name("copy", "copy")
LINEAR = Name("torch.nn.modules.linear", "Linear")
BUNCH = Name("sklearn.utils._bunch", "Bunch")
REBUILD = Name("torch._tensor", "_rebuild_from_type_v2")
TENSOR = Name("torch._utils", "_rebuild_tensor_v2")
WITH_STATE = Name("torch._utils", "_rebuild_parameter_with_state")
RESTORE = Name("torch.jit._pickle", "restore_type_tag")
BASE_ENUM = Name("accelerate.utils.dataclasses", "BaseEnum")
PARAMETER = Name("torch.nn.parameter", "Parameter")
BOOSTER = Name("lightgbm.basic", "Booster")
RBF = Name("scipy.interpolate._rbfinterp", "RBFInterpolator").new()

PATH = Name("pathlib", "PosixPath")("/nonexistent/a")
PRINT = Name("builtins", "print")
PRINTS = PARTIAL(PRINT, PATH)
EVAL = Spread(ATTRGETTER("_xp.f2py.crackfortran.myeval"), TUPLE([RBF]))

NORM = Name("scipy.stats._continuous_distns", "norm_gen")
MADE = NORM.new()
CODE = {"_parse_arg_template": "\nimport os\nos.system('true')\n"}
COMPUTED_CODE = DICT(ZIP(["_parse_arg_template"], ["\nimport os\nos.system('true')\n"]))
HOOK = {"append": PRINT}


def hooked(name: str = "append", function: Term = PRINT) -> Do:
    return SIMPLE().build({name: function})


# Objects that run what their state says: given it by another function, or by another name.
STATES = {
    "given by torch": REBUILD(Name("copyreg", "__newobj__"), NORM, (NORM,), CODE),
    "given by torch, of two dicts": REBUILD(TENSOR, NORM, (1,), (CODE, {})),
    "given by torch 1": Name("torch._tensor", "_rebuild_from_type")(TENSOR, NORM, (1,), CODE),
    "next": NEXT(ITER([MADE])).build(CODE),
    "next of reversed": NEXT(REVERSED([MADE])).build(CODE),
    "torch's type tag": RESTORE(MADE, "x").build(CODE),
    "a default of get": GET({}, "a", MADE).build(CODE),
    "get": GET({"a": MADE}, "a").build(CODE),
    "getitem": GETITEM([MADE], 0).build(CODE),
    "itemgetter, built": Changed(Spread(ITEMGETTER(0), TUPLE([[MADE]])), CODE),
    "a copy": COPY(MADE).build(CODE),
    "max": Name("builtins", "max")([MADE]).build(CODE),
    "reduce": Name("functools", "reduce")(RESTORE, [MADE, "x"]).build(CODE),
    "a memo": [Kept(1, MADE), Again(1, states=(CODE,))],
    "a memo of next": [Kept(1, NEXT(ITER([MADE]))), Again(1, states=(CODE,))],
    "a state that is computed": MADE.build(COMPUTED_CODE),
    "a state with pairs": MADE.build(ORDERED([["_parse_arg_template", "import os"]])),
    "a state that is set": MADE.build(ORDERED().set("_parse_arg_template", "import os")),
    "a mapping proxy": Name("types", "MappingProxyType")({"a": MADE}).build(CODE),
    "a chain of maps": GETITEM(Name("collections", "ChainMap")({"a": MADE}), "a").build(CODE),
    "a deque": Name("collections", "deque.pop")(Name("collections", "deque")([MADE])).build(CODE),
    "a user's dict": GETITEM(Name("collections", "UserDict")({"a": MADE}), "a").build(CODE),
    "chained": NEXT(Name("itertools", "chain")([MADE])).build(CODE),
    "cycled": NEXT(Name("itertools", "cycle")([MADE])).build(CODE),
    "repeated": NEXT(Name("itertools", "repeat")(MADE)).build(CODE),
    "zipped": NEXT(ZIP([MADE])).build(CODE),
    "sorted": NEXT(ITER(Name("builtins", "sorted")([MADE]))).build(CODE),
    "filtered": NEXT(Name("builtins", "filter")(None, [MADE])).build(CODE),
    "mapped": NEXT(MAP(RESTORE, [MADE], ["x"])).build(CODE),
    "a scalar": Name("numpy._core.multiarray", "scalar")(
        Name("numpy", "dtype")("O8", False, True), MADE
    ).build(CODE),
    "its class": Do("NEWOBJ", Name("builtins", "type")(MADE), ()).build(CODE),
    "its class by torch": REBUILD(TENSOR, Name("builtins", "type")(MADE), (1,), CODE),
    "a bound constructor": PARTIAL(Name("copyreg", "__newobj__"), NORM)().build(CODE),
    "keywords": Changed(Spread(NORM, (), {"name": "x"}), CODE),
    "statsmodels": REBUILD(
        *(TENSOR, Name("statsmodels.base.data", "PandasData"), (1,)),
        {"formula": "y ~ print(1)", "restore_design_info": True},
    ),
}

# Functions that are called with arguments that the pickle computes.
ARGUMENTS = {
    "attrgetter": SIMPLE().build(ORDERED().set("append", EVAL)).append("1"),
    "attrgetter, called": Spread(EVAL, TUPLE(["1"])),
    "a name by itself": Spread(PRINT, TUPLE([PATH])),
    "partial": Spread(PARTIAL(PRINT), TUPLE([PATH])),
    "partial, by NEWOBJ": Spread(PARTIAL, TUPLE([PRINT, PATH]), how="NEWOBJ"),
    "with keywords": Spread(PARTIAL, (PRINT, PATH), {"x": 1}),
    "a name": Spread(Name("builtins", "getattr"), TUPLE([PATH, "unlink"])),
    "an inert name": Spread(LIST, TUPLE([[PATH]])),
    "map": LIST(MAP(PRINT, REVERSED([PATH]))),
    "starmap": LIST(Name("itertools", "starmap")(PRINT, ZIP([PATH]))),
    "itemgetter": Spread(ITEMGETTER(0), TUPLE([[PATH]])),
    "a persistent id": Do("REDUCE", Persistent("x"), (1,)),
}

# Functions as attributes, of which the pickle has them called.
HOOKS = {
    "an ordered dict": SIMPLE().build(ORDERED().set("append", PRINT)).append(PATH),
    "zipped": SIMPLE().build(DICT(ZIP(["append"], [PRINT]))).append(PATH),
    "pairs": SIMPLE().build(ORDERED([["append", PRINT]])).append(PATH),
    "a defaultdict": SIMPLE().build(DEFAULTS(None, {"append": PRINT})).append(PATH),
    "a computed key": Changed(SIMPLE(), {STR("append"): PRINT}),
    "a computed key, used": SIMPLE().build({STR("append"): PRINT}).append(PATH),
    "slots": NAMESPACE.new().build((None, HOOK)).append(PATH),
    "the dict of slots": NAMESPACE.new().build((None, {"__dict__": HOOK})).append(PATH),
    "the dict of the dict of slots": NAMESPACE.new()
    .build((None, {"__dict__": {"__dict__": {"__setstate__": PRINT}}}))
    .build(PATH),
    "a parameter": WITH_STATE(None, True, {}, HOOK).append(PATH),
    "a parameter, unused": WITH_STATE(None, True, {}, HOOK),
    "a parameter by torch": REBUILD(TENSOR, PARAMETER, (1,), HOOK),
    "a parameter by torch, slots": REBUILD(TENSOR, PARAMETER, (1,), (None, HOOK)),
    "diffusers": Name("diffusers.configuration_utils", "FrozenDict")(HOOK).append(PATH),
    "an argument": SIMPLE(HOOK).append(PATH),
    "a layer": LINEAR.new().build({"_modules": HOOK}).append(PATH),
    "a frozen estimator": Name("sklearn.frozen._frozen", "FrozenEstimator")
    .new()
    .build({"estimator": hooked()})
    .append(PATH),
    "features": Name("transformers.feature_extraction_utils", "BatchFeature")
    .new()
    .build({"data": HOOK})
    .append(PATH),
    "items": BUNCH.new().set("append", PRINT).append(PATH),
    "items, a state": Name("lightning_fabric.utilities.data", "AttributeDict")
    .new()
    .set("__setstate__", PRINT)
    .build(PATH),
    "items with computed keys": BUNCH.new().set(STR("__setstate__"), PRINT).build(PATH),
    "scipy's results": Name("scipy.optimize._optimize", "OptimizeResult")
    .new()
    .set("append", PRINT)
    .append(PATH),
    "an alias": [Kept(1, hooked()), Do("REDUCE", NEXT, (ITER([Again(1)]),)).append(PATH)],
    "an alias, a state": [
        Kept(1, hooked("__setstate__")),
        NEXT(ITER([Again(1)])).build(PATH),
    ],
    "an alias by getitem": [
        Kept(1, hooked("__setstate__")),
        GETITEM([Again(1)], 0).build(PATH),
    ],
    "the same by the memo": [Kept(1, hooked()), Again(1, appended=(PATH,))],
    "twice by the memo": [Kept(1, hooked("__setstate__")), Again(1, states=(PATH,))],
    "an alias of a class": NEXT(ITER([NAMESPACE])).build((None, HOOK)),
    "an alias of a class by torch": [
        REBUILD(NEXT, Name("builtins", "type"), (ITER([NAMESPACE]),), {"__setstate__": PRINT}),
        NAMESPACE.new().build(PATH),
    ],
    "the class": SIMPLE().build({"__class__": NAMESPACE}),
    "a call": SIMPLE().build({"__call__": PRINT}),
    "a getattr": SIMPLE().build((None, {"__getattr__": PRINT})),
    "what is called is fetched": SIMPLE().build(ORDERED().set("append", EVAL)).append("1"),
    "a default factory": ITEMGETTER("x")(DEFAULTS(PRINTS)),
    "an item of a data set": ITEMGETTER(0)(Name("torch.utils.data.dataset", "Subset").new()),
    "two items of a data set": ITEMGETTER(0, 1)(Name("torch.utils.data.dataset", "Subset").new()),
    "a type of nobody knows what": Name("copyreg", "__newobj__")(
        Name("builtins", "type"), Persistent("x")
    ).build((None, HOOK)),
    "a move in a list": [METHODCALLER("replace", "/nonexistent/b")],
    "a move with a keyword": PARTIAL(METHODCALLER).build(
        (METHODCALLER, ("replace",), {"target": "/nonexistent/b"}, None)
    )()(PATH),
    "a number": Name("math", "sqrt")(LINEAR.new().build({"__float__": PRINTS})),
    "a partial by another name": [
        Kept(1, PARTIAL(Name("builtins", "int"))),
        RESTORE(Again(1), "x").build((Name("os", "system"), ("true",), {}, None)),
        Do("REDUCE", Again(1), ()),
    ],
    "extend": hooked("extend").append(PATH),
    "add": hooked("add").append(PATH),
    "keys": DICT(hooked("keys", PRINTS)),
    "a loader": LIST(
        Name("torch.utils.data.dataloader", "DataLoader")
        .new()
        .build({"collate_fn": PRINT, "dataset": [PATH]})
    ),
    "a loader, zipped": ZIP(Name("torch.utils.data.dataloader", "DataLoader").new()),
    "a loader, mapped": MAP(LIST, ZIP([Name("torch.utils.data.dataloader", "DataLoader").new()])),
    "a loader in a dict": DICT([Name("torch.utils.data.dataloader", "DataLoader").new()]),
    "an enum that is made": BASE_ENUM("X", {"__init__": PRINT, "a": PATH}),
    "an enum that is made by map": LIST(MAP(BASE_ENUM, ["X"], [{"a": 1}])),
    "an enum that is made by partial": PARTIAL(BASE_ENUM, "X")({"a": 1}),
    "a parameter of what has a detach": PARAMETER(hooked("detach", PRINTS)),
    "a parameter, rebuilt": Name("torch._utils", "_rebuild_parameter")(
        hooked("detach", PRINTS), True, {}
    ),
    "a destructor": BOOSTER.new().build({"_network": True, "free_network": PRINTS}),
    "any function that asks a namespace": Name("numpy", "dtype")(hooked("dtype", PRINTS)),
}

ALL = {
    f"{kind}: {name}": term
    for kind, terms in (("state", STATES), ("arguments", ARGUMENTS), ("hook", HOOKS))
    for name, term in terms.items()
}


@pytest.mark.parametrize("term", ALL.values(), ids=ALL)
def test_what_may_be_called_by_others_is_high_at_least(term: Term) -> None:
    found = findings(term)
    worst = min((one.severity.rank for one in found), default=9)
    assert worst <= Severity.HIGH.rank, [(one.severity, one.message) for one in found]


def test_a_command_that_is_put_into_a_state_is_shown_with_what_calls_it() -> None:
    state = ORDERED().set("append", Name("os", "system"))
    found = findings(SIMPLE().build(state).append("true"))
    chain = "types.SimpleNamespace().__setstate__(collections.OrderedDict().update({'append': os.system}))"
    shown = [one.evidence for one in found if one.message.startswith("calls os.system")]
    assert shown == [f"{chain}.extend(['true'])"]


def test_a_command_that_is_only_set_is_shown_where_it_is_set() -> None:
    (found,) = findings(ORDERED().set("append", Name("os", "system")))
    assert found.evidence == "collections.OrderedDict().update({'append': os.system})"


# What libraries write and what looks like the above.
ORDINARY = {
    "a function by the name of a method": hooked(),
    "a partial of a function": PRINTS,
    "a state with an ordered dict": LINEAR.new().build({"_modules": ORDERED().set("a", 1)}),
    "text that is replaced": LINEAR.new().build(
        {"preprocessor": METHODCALLER("replace", "a", "b")}
    ),
    "a table in which is replaced": METHODCALLER("replace", {"a": "b"}),
    "a copy": METHODCALLER("copy"),
    "a function in a state": LINEAR.new().build({"function": Name("builtins", "len")}),
    "a partial in a state": LINEAR.new().build({"function": PARTIAL(Name("builtins", "int"))}),
    "a layer that is called append": LINEAR.new().build({"_modules": {"append": LINEAR.new()}}),
    "a deque": Name("collections", "deque")([], 3).append(LINEAR.new()),
    "an iterator": ITER([1, 2]).build(1),
    "a list of objects": LIST([LINEAR.new()]),
    "an ordered dict of objects": ORDERED([["a", LINEAR.new()]]),
    "a member of an enum": BASE_ENUM("x"),
    "a parameter": PARAMETER(TENSOR(1, 0, (1,), (1,), False, ORDERED()), True),
    "a tensor with attributes": REBUILD(TENSOR, PARAMETER, (1,), {"a": 1}),
    "a parameter with attributes": WITH_STATE(
        TENSOR(1, 0, (1,), (1,), False, ORDERED()), True, ORDERED(), {"a": 1}
    ),
    "a bunch": BUNCH.new().set("append", 1).set("data", LINEAR.new()),
    "a bunch that is its own state": BUNCH.new().set("a", 1).build(BUNCH.new().set("a", 1)),
    "settings": Name("diffusers.configuration_utils", "FrozenDict")({"a": 1}),
    "a zone": Name("pytz", "_p")("America/Argentina/Buenos_Aires", -14040, 0, "LMT"),
    "a zone of Python's own": Name("zoneinfo", "ZoneInfo._unpickle")("Etc/GMT+5", True),
    "a namespace of numbers": SIMPLE().build({"append": 1, "a": [1, 2]}),
    "a value with its type": RESTORE([1], "List[int]"),
}


@pytest.mark.parametrize("term", ORDINARY.values(), ids=ORDINARY)
def test_what_a_library_would_write_is_nothing(term: Term) -> None:
    found = [one for one in findings(term) if one.severity.rank <= Severity.LOW.rank]
    assert [(one.rule, one.message, one.evidence) for one in found] == []


def test_a_zone_whose_name_leads_elsewhere_is_none() -> None:
    for name in ("../../x", "/etc/passwd", "a/../b", STR("Etc/UTC")):
        (found,) = findings(Name("pytz", "_p")(name))
        assert found.severity is Severity.HIGH
