"""Methods that a pickle puts into objects, and that library code calls while it is loaded: all are shown.

The function that is put there is `print`, which may be named and not called. So each of these passes
unless the call is seen.
"""

from __future__ import annotations

import pytest

from hubaudit.model import Severity
from tests.rules.programs import Do, Name, Spread, Term
from tests.rules.test_detours import findings

PRINT = Name("builtins", "print")
PARTIAL = Name("functools", "partial")
SIMPLE = Name("types", "SimpleNamespace")
NAMESPACE = Name("argparse", "Namespace")
TEMPLATE = Name("string", "Template")
NEXT = Name("builtins", "next")
ORDERED = Name("collections", "OrderedDict")
CHAIN = Name("collections", "ChainMap")
USER_DICT = Name("collections", "UserDict")
DEFAULTS = Name("collections", "defaultdict")
COOKIE = Name("http.cookies", "SimpleCookie")
MORSEL = Name("http.cookies", "Morsel")
MESSAGE = Name("email.message", "Message")
PARSER = Name("configparser", "ConfigParser")
DATETIME = Name("datetime", "datetime")
OFFSET = Name("dateutil.tz.tz", "tzoffset")
BOOSTER = Name("lightgbm.basic", "Booster")
TREE = Name("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor")
ISOTONIC = Name("sklearn.isotonic", "IsotonicRegression")
BLOCKS = Name("pandas.core.internals.managers", "SingleBlockManager")
SERIES = Name("pandas.core.series", "Series")
INDEX = Name("pandas.core.indexes.base", "Index")
ADAM = Name("torch.optim.adam", "Adam")
LINEAR = Name("torch.nn.modules.linear", "Linear")
LSTM = Name("torch.nn.modules.rnn", "LSTM")
PARAMETER = Name("torch.nn.parameter", "Parameter")
TOKENIZER = Name("transformers.models.bert.tokenization_bert", "BertTokenizer")
MOMENT = b"\x07\xe8\x01\x01\x00\x00\x00\x00\x00\x00"

SCALAR = Name("numpy._core.multiarray", "scalar")
THROUGH_NUMPY = SCALAR(Name("numpy", "dtype")("O8", False, True), PRINT)
ARMED_COOKIE = COOKIE.new().build({"value_encode": PRINT})
HOOKED = LINEAR.new().build({"_forward_pre_hooks": {0: PRINT}})


def namespace(**attributes: Term) -> Do:
    return SIMPLE().build(attributes)


def template(**attributes: Term) -> Do:
    """An object of a class of its own, which keeps what is put into it."""
    return TEMPLATE.new().build(attributes)


def with_keywords(cls: Name, **keywords: Term) -> Do:
    """`cls(**keywords)`, as a pickle can call it."""
    return PARTIAL(cls).build((cls, (), keywords, None))()


def partial_with(**attributes: Term) -> Do:
    return PARTIAL(PRINT).build((PRINT, (), {}, attributes))


def as_key(value: Term) -> Do:
    return ORDERED().put(value, 1)


# Items that are set after the state that the class's own `__setitem__` goes by.
FILLED = {
    "a cookie": ARMED_COOKIE.put("a", "b"),
    "a cookie, by an object that is called": COOKIE.new()
    .build({"value_encode": HOOKED})
    .put("a", "b"),
    "a message, its policy": MESSAGE.new()
    .build({"policy": namespace(header_max_count=PRINT), "_headers": []})
    .put("a", "b"),
    "a message, its headers": MESSAGE.new()
    .build({"_headers": namespace(append=PRINT)})
    .put("a", "b"),
    "a parser of settings": PARSER.new().build({"optionxform": PRINT}).put("a", {"b": "c"}),
    "a parser of settings, its own method": PARSER.new()
    .build({"read_dict": PRINT})
    .put("a", {"b": "c"}),
    "a user's dict": USER_DICT.new().build({"data": ARMED_COOKIE}).put("a", "b"),
    "a chain of maps": CHAIN(ARMED_COOKIE).put("a", "b"),
    "a rotation": Name("scipy.spatial.transform._rigid_transform", "RigidTransform.from_matrix")(
        [1]
    ).put(0, template(as_matrix=PRINT)),
    "a series": SERIES.new().put(0, template(copy=PRINT)),
    "a morsel": MORSEL.new().put(template(lower=PRINT), "b"),
    "a function that came through numpy": COOKIE.new()
    .build({"value_encode": THROUGH_NUMPY})
    .put("a", "b"),
    "an object of an unlisted class": Name("codecs", "StreamReader")
    .new()
    .build({"stream": namespace(append=PRINT)})
    .append(1),
    "what nobody knows": Name("builtins", "next")(Name("builtins", "iter")([COOKIE.new()])).put(
        "a", "b"
    ),
}

# What a class calls out of its state, while it is given the state.
GIVEN = {
    "its own method": ISOTONIC.new().build({"_build_f": PRINT, "X_thresholds_": 1}),
    "its own method, as a slot": BLOCKS.new().build((None, {"_post_setstate": PRINT})),
    "a method of an array": TREE.new().build({"nodes": namespace(astype=PRINT)}),
    "the same of another object": TREE.new().build({"nodes": template(astype=PRINT)}),
    "an object by that name": TREE.new().build({"nodes": template(astype=HOOKED)}),
    "attributes of a partial": TREE.new().build({"nodes": partial_with(astype=PRINT)}),
    "one of Python's own of a partial": Name("scipy.spatial.transform._rotation", "Rotation")
    .new()
    .build((partial_with(__array__=PRINT), True)),
    "keywords of a namespace": TREE.new().build({"nodes": with_keywords(NAMESPACE, astype=PRINT)}),
    "a namespace of a dict": TREE.new().build({"nodes": SIMPLE({"astype": PRINT})}),
    "an optimizer, its own method": ADAM.new().build({"_patch_step_function": PRINT}),
    "an optimizer, its state": ADAM.new().build({"state": namespace(values=PRINT)}),
    "a pickle in a state": Name(
        "torch.utils.data.datapipes.datapipe", "_IterDataPipeSerializationWrapper"
    )
    .new()
    .build((b"gASVCAAAAAAAAACMBHRydWWULg==", True)),
    "a folder that is deleted": Name("transformers.integrations", "NeptuneCallback")
    .new()
    .build({"_volatile_checkpoints_dir": "/nonexistent"}),
    "a destructor": Name("transformers.integrations", "MLflowCallback")
    .new()
    .build({"_auto_end_run": True, "_ml_flow": namespace(active_run=PRINT, end_run=PRINT)}),
    "a method that an iterator gives": TREE.new().build(
        {"nodes": template(astype=NEXT(Name("itertools", "chain")([PRINT])))}
    ),
    "text": BOOSTER.new().build({"_handle": template(encode=PRINT)}),
    "values of a table": BLOCKS.new().build(
        (1, 2, 3, {"0.14.1": {"blocks": [{"values": template(to_numpy=PRINT)}]}})
    ),
    "what setting an attribute calls": TOKENIZER.new().build(
        (None, {"convert_ids_to_tokens": PRINT, "pad_token_id": 1})
    ),
    "a list that setting an attribute asks": LSTM.new().build(
        (None, {"_flat_weights_names": namespace(index=PRINT)})
    ),
    "registering": LINEAR.new().build((None, {"register_parameter": PRINT, "a": 1})),
    "a member of an enum, which others have": Name("signal", "Signals")(9).build({"a": 1}),
}

# What functions and classes call of what they are given.
HANDED = {
    "a hex text": Name("uuid", "UUID")(template(replace=PRINT)),
    "a hex text, built later": Name("uuid", "UUID")(template(x=template(y=PARTIAL(PRINT)))),
    "a hex text, by a keyword": Spread(Name("uuid", "UUID"), (), {"hex": template(replace=PRINT)}),
    "a tensor": Name("torch._utils", "_rebuild_device_tensor_from_cpu_tensor")(
        template(to=PRINT), None, "cpu", False
    ),
    "data of a parameter": PARAMETER.new(template(detach=PRINT)),
    "data of an index": Name("pandas.core.indexes.base", "_new_Index")(
        INDEX, {"data": template(to_numpy=PRINT)}
    ),
    "a dtype of an index": Name("pandas.core.indexes.base", "_new_Index")(
        INDEX,
        {"dtype": Name("pandas", "Int64Dtype").new().build({"construct_array_type": PRINT})},
    ),
    "any object in which functions are": Name("numpy", "dtype")(template(x=PRINT)),
    "one that holds such an object": Name("numpy", "dtype")(template(x=template(y=PRINT))),
    "one that holds hooks": Name("numpy", "dtype")(HOOKED),
    "a list of a user": Name("collections", "UserString")(
        MESSAGE.new().build({"as_string": PRINT})
    ),
    "a chain of maps, of which one makes what it lacks": Name("builtins", "dict")(
        CHAIN(DEFAULTS(PRINT), {"a": 1})
    ),
    "a file in memory": Name("uuid", "UUID")(
        Name("_io", "BytesIO")().build((b"", 0, {"replace": PRINT}))
    ),
    "a namespace with keywords": Name("uuid", "UUID")(with_keywords(NAMESPACE, replace=PRINT)),
    "a namespace of a dict": Name("uuid", "UUID")(SIMPLE({"x": PRINT})),
    "an object that another was made of": Name("uuid", "UUID")(CHAIN(template(x=PRINT))),
    "a partial": Name("uuid", "UUID")(partial_with(replace=PRINT)),
    "an object among keywords": Name("torch.nested._internal.nested_tensor", "_rebuild_njt")(
        {"values": template(x=PRINT)}
    ),
    "a function that came through numpy": Name("numpy", "dtype")(template(x=THROUGH_NUMPY)),
    "a function that came through an object of numpy": Name("numpy", "dtype")(
        template(x=Name("numpy", "object_")(PRINT))
    ),
    "a function that came through torch": Name("numpy", "dtype")(
        template(x=Name("torch.jit._pickle", "build_intlist")(PRINT))
    ),
    "the same in a user's dict": USER_DICT(
        USER_DICT.new().build({"data": CHAIN(DEFAULTS(PRINT), {"a": 1})})
    ),
}

# What the hash of a key calls.
KEYS = {
    "a zone": as_key(DATETIME(MOMENT, OFFSET("x", 1).build({"utcoffset": PRINT}))),
    "a zone by what it asks": as_key(
        DATETIME(MOMENT, Name("dateutil.tz.tz", "tzrange").new().build({"_isdst": PRINT}))
    ),
    "a zone, by a keyword": with_keywords(DATETIME, tzinfo=OFFSET("x", 1).build({"a": PRINT})),
    "a zone of a time stamp": Name("datetime", "datetime.fromtimestamp")(
        1, OFFSET("x", 1).build({"fromutc": PRINT})
    ),
    "settings": as_key(
        Name("transformers.generation.configuration_utils", "GenerationConfig")
        .new()
        .build({"to_json_string": PRINT})
    ),
    "a mesh": as_key(
        Name("torch.distributed.device_mesh", "DeviceMesh").new().build({"_hash_key": PRINT})
    ),
}

ALL = {
    f"{kind}: {name}": term
    for kind, terms in (("filled", FILLED), ("given", GIVEN), ("handed", HANDED), ("key", KEYS))
    for name, term in terms.items()
}


@pytest.mark.parametrize("term", ALL.values(), ids=ALL)
def test_what_library_code_calls_of_an_object_is_high(term: Term) -> None:
    found = findings(term)
    worst = min((one.severity.rank for one in found), default=9)
    assert worst <= Severity.HIGH.rank, [(one.severity, one.message) for one in found]


ORDINARY = {
    "a cookie that is filled": COOKIE.new().put("a", "b"),
    "items, then a state": ORDERED().set("a", PRINT).build({"a": LINEAR.new()}),
    "a state of numbers, then items": COOKIE.new().build({"a": 1}).put("a", "b"),
    "a zone": as_key(DATETIME(MOMENT, OFFSET("x", 3600))),
    "a chain of maps": CHAIN({"a": 1}),
    "a function in a state": LINEAR.new().build({"activation": PRINT, "index": 1}),
    "an object by a name of a method": LINEAR.new().build({"index": LINEAR.new()}),
    "an object by a name of a text's method": Name("scipy.optimize._optimize", "OptimizeResult")
    .new()
    .set("lower", Name("scipy.optimize._optimize", "OptimizeResult").new().set("x", 1)),
    "a layer with a layer, handed on": Name("numpy", "dtype")(
        LINEAR.new().build({"_modules": {"a": LINEAR.new()}})
    ),
    "a method of an object in which a function is": Name("builtins", "getattr")(
        Name("signal", "Signals"), "SIGINT"
    ),
    "a namespace of numbers": Name("numpy", "dtype")(SIMPLE({"a": 1})),
    "values of options": Do("NEWOBJ", Name("optparse", "Values"), ()).build({"a": PRINT}),
    "a number of numpy": LINEAR.new().build(
        {"copy": SCALAR(Name("numpy", "dtype")("f8"), b"12345678")}
    ),
    "a dtype that is handed on": SCALAR(
        Name("numpy", "dtype")("f8").build((3, "<", None, None, None, -1, -1, 0)), b"12345678"
    ),
    "a model of text": BOOSTER.new().build({"_handle": "tree", "params": {"a": 1}}),
}


@pytest.mark.parametrize("term", ORDINARY.values(), ids=ORDINARY)
def test_what_a_library_would_write_is_nothing(term: Term) -> None:
    found = [one for one in findings(term) if one.severity.rank <= Severity.LOW.rank]
    assert [(one.rule, one.message, one.evidence) for one in found] == []
