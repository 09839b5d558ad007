"""Functions that do what their arguments say, and what they come down to if those are constants.

`getattr(module, "system")` is `module.system`, and `_new_Index(cls, …)` constructs `cls`. Such a call is
followed: the names at its end are judged in its place. One that cannot be followed is judged by the
function's own row in the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hubaudit.pvm.values import Global
from hubaudit.rules import attributes, callers, loaders
from hubaudit.rules.meanings import Detour
from hubaudit.rules.names import canonical


def detour_of(name: Global) -> Detour | None:
    """How a call of `name` is followed, or None if only its row in the catalogue counts."""
    found, place = canonical(name.module, name.name), _SAME.get(name.module)
    return _DETOURS.get(found if place is None else (place, name.name))


# The C halves of modules, and copies of packages: the same functions by another name.
_SAME = {
    "_codecs": "codecs",
    "_functools": "functools",
    "_operator": "operator",
    "_pickle": "pickle",
    "dill.dill": "dill._dill",
    "joblib.externals.cloudpickle.cloudpickle": "cloudpickle.cloudpickle",
    "ray.cloudpickle.cloudpickle": "cloudpickle.cloudpickle",
    "pyspark.cloudpickle.cloudpickle": "cloudpickle.cloudpickle",
}

_CYTHON_NEW_OBJECT = (
    "hdbscan.dist_metrics",
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._dist_metrics",
    "sklearn.neighbors._kd_tree",
    "sklearn.neighbors.ball_tree",
    "sklearn.neighbors.dist_metrics",
    "sklearn.neighbors.kd_tree",
)

_OF_LISTS = ("bool", "double", "int", "tensor")

# What each yields or does, by the name that Python 3 knows it by.
_DETOURS: Mapping[tuple[str, str], Detour] = MappingProxyType(
    {
        ("builtins", "getattr"): attributes.get_attribute,
        ("inspect", "getattr_static"): attributes.get_attribute,
        ("operator", "attrgetter"): attributes.attrgetter,
        ("operator", "methodcaller"): attributes.methodcaller,
        ("operator", "itemgetter"): attributes.itemgetter,
        ("operator", "getitem"): attributes.get_item_of,
        ("operator", "__getitem__"): attributes.get_item_of,
        ("builtins", "dict.get"): attributes.get_item,
        ("builtins", "dict.pop"): attributes.get_item,
        ("builtins", "dict.__getitem__"): attributes.get_item_of,
        ("builtins", "list.__getitem__"): attributes.get_item_of,
        ("builtins", "type"): attributes.type_of_one,
        ("builtins", "iter"): callers.iterate,
        ("builtins", "next"): callers.following,
        **{
            (place, name): callers.compute
            for place, names in callers.COMPUTES.items()
            for name in names
        },
        ("operator", "or_"): callers.either,
        # call another one
        ("functools", "partial"): callers.partial,
        ("types", "MethodType"): callers.partial,
        ("types", "GenericAlias"): callers.alias,
        ("operator", "call"): callers.call_first,
        ("operator", "__call__"): callers.call_first,
        ("builtins", "apply"): callers.apply_first,
        ("builtins", "map"): callers.mapped,
        ("builtins", "filter"): callers.filtered,
        ("itertools", "filterfalse"): callers.filtered,
        ("itertools", "takewhile"): callers.filtered,
        ("itertools", "dropwhile"): callers.filtered,
        ("itertools", "starmap"): callers.starmap,
        ("itertools", "accumulate"): callers.second,
        ("itertools", "groupby"): callers.second,
        ("functools", "reduce"): callers.reduced,
        ("re", "sub"): callers.substitute,
        ("re", "subn"): callers.substitute,
        ("copy", "copy"): callers.same,
        ("copy", "deepcopy"): callers.same,
        ("functools", "cache"): callers.same,
        ("functools", "lru_cache"): callers.same,
        ("functools", "singledispatch"): callers.same,
        # import
        ("importlib", "import_module"): loaders.imported_module,
        ("builtins", "__import__"): loaders.dunder_import,
        ("importlib", "__import__"): loaders.dunder_import,
        ("importlib._bootstrap", "_gcd_import"): loaders.imported_module,
        ("pydoc", "locate"): loaders.import_path,
        ("pydoc", "safeimport"): loaders.import_path,
        ("pkgutil", "resolve_name"): loaders.import_path,
        ("dill._dill", "_import_module"): loaders.import_path,
        ("torch._utils", "_import_dotted_name"): loaders.import_path,
        ("cloudpickle.cloudpickle", "subimport"): loaders.imported_module,
        ("cloudpickle.cloudpickle", "_builtin_type"): loaders.type_of_types,
        ("dill._dill", "_load_type"): loaders.type_of_dill,
        ("dill._dill", "_get_attr"): attributes.get_attribute,
        ("dill._dill", "_getattribute"): attributes.get_attribute,
        ("numpy.core", "_ufunc_reconstruct"): loaders.imported_by_text,
        ("numpy._core", "_ufunc_reconstruct"): loaders.imported_by_text,
        ("scipy._lib._uarray._backend", "unpickle_function"): loaders.imported_by_text,
        # run something else
        ("dill._dill", "_eval_repr"): loaders.eval_of_dill,
        ("dill._dill", "_getattr"): loaders.method_of_dill,
        ("dill._dill", "_create_array"): loaders.array_of_dill,
        ("dill._dill", "_create_function"): loaders.runs("types", "FunctionType"),
        ("dill._dill", "_create_code"): loaders.runs("types", "CodeType"),
        ("dill._dill", "_create_type"): callers.call_first,
        ("cloudpickle.cloudpickle", "_make_function"): loaders.runs("types", "FunctionType"),
        # construct
        ("copyreg", "_reconstructor"): loaders.reconstructor,
        ("copyreg", "__newobj__"): loaders.new_object,
        ("copyreg", "__newobj_ex__"): loaders.CONSTRUCTS_FIRST,
        ("numpy.random._pickle", "__bit_generator_ctor"): loaders.bit_generator,
        ("numpy.random._pickle", "__generator_ctor"): loaders.generator,
        ("numpy.random._pickle", "__randomstate_ctor"): loaders.generator,
        ("torch._tensor", "_rebuild_from_type"): loaders.rebuild_from_type,
        ("torch._tensor", "_rebuild_from_type_v2"): loaders.rebuild_from_type,
        ("torch._utils", "_rebuild_parameter_with_state"): loaders.parameter_with_state,
        ("torch.jit._pickle", "restore_type_tag"): callers.given_back,
        **{("torch.jit._pickle", f"build_{of}list"): callers.given_back for of in _OF_LISTS},
        ("numpy", "object_"): callers.held_object,
        ("numpy.core.multiarray", "scalar"): callers.held_object,
        ("numpy._core.multiarray", "scalar"): callers.held_object,
        # these keep a dict as attributes: diffusers 0.42, and SimpleNamespace of Python 3.13
        ("diffusers.configuration_utils", "FrozenDict"): loaders.attributes_of(
            "diffusers.configuration_utils", "FrozenDict"
        ),
        ("types", "SimpleNamespace"): loaders.attributes_of("types", "SimpleNamespace"),
        ("zoneinfo", "ZoneInfo._unpickle"): loaders.zone_by_name,
        ("pytz", "_p"): loaders.zone_by_name,
        # pandas makes an index by `_new_Index(cls, data)`, others' Cython classes by `newObj(cls)`
        ("pandas.core.index", "_new_Index"): loaders.CONSTRUCTS_FIRST,
        ("pandas.core.indexes.base", "_new_Index"): loaders.CONSTRUCTS_FIRST,
        ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): loaders.CONSTRUCTS_FIRST,
        ("pandas.core.indexes.interval", "_new_IntervalIndex"): loaders.CONSTRUCTS_FIRST,
        ("pandas.core.indexes.period", "_new_PeriodIndex"): loaders.CONSTRUCTS_FIRST,
        ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex"): loaders.CONSTRUCTS_FIRST,
        ("pandas.indexes.base", "_new_Index"): loaders.CONSTRUCTS_FIRST,
        ("pandas.tseries.index", "_new_DatetimeIndex"): loaders.CONSTRUCTS_FIRST,
        **{(place, "newObj"): loaders.CONSTRUCTS_FIRST for place in _CYTHON_NEW_OBJECT},
        ("dateutil.tz._tzfile", "_unpickle"): loaders.CONSTRUCTS_FIRST,
        ("dateutil.tz.tz", "tzfile"): loaders.zone_of_no_file,
        # load another pickle
        ("torch.storage", "_load_from_bytes"): loaders.nested_pickle,
        ("pickle", "loads"): loaders.nested_pickle,
        ("pickle", "_loads"): loaders.nested_pickle,
        ("dill", "loads"): loaders.nested_pickle,
        ("dill._dill", "loads"): loaders.nested_pickle,
        ("cloudpickle", "loads"): loaders.nested_pickle,
        ("pickle", "load"): loaders.nested_file,
        ("pickle", "_load"): loaders.nested_file,
        ("torch", "load"): loaders.nested_file,
        ("torch.serialization", "load"): loaders.nested_file,
        ("joblib", "load"): loaders.nested_file,
        ("joblib.numpy_pickle", "load"): loaders.nested_file,
        ("sklearn.externals.joblib", "load"): loaders.nested_file,
        ("numpy", "load"): loaders.nested_file,
        ("pandas", "read_pickle"): loaders.nested_file,
        ("pandas.io.pickle", "read_pickle"): loaders.nested_file,
        # decode
        ("codecs", "encode"): loaders.encode,
        ("codecs", "decode"): loaders.decode,
        ("zlib", "decompress"): loaders.decoded_by("zlib"),
        ("gzip", "decompress"): loaders.decoded_by("gzip"),
        ("bz2", "decompress"): loaders.decoded_by("bz2"),
        ("lzma", "decompress"): loaders.decoded_by("lzma"),
        ("base64", "b64decode"): loaders.decoded_by("base64"),
        ("base64", "standard_b64decode"): loaders.decoded_by("base64"),
        ("base64", "decodebytes"): loaders.decoded_by("base64"),
        ("base64", "urlsafe_b64decode"): loaders.decoded_by("urlsafe-base64"),
        ("base64", "b32decode"): loaders.decoded_by("base32"),
        ("base64", "b85decode"): loaders.decoded_by("base85"),
        ("base64", "b16decode"): loaders.decoded_by("hex"),
        ("binascii", "unhexlify"): loaders.decoded_by("hex"),
        ("binascii", "a2b_hex"): loaders.decoded_by("hex"),
        ("binascii", "a2b_base64"): loaders.decoded_by("base64"),
    }
)
