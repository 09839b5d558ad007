"""Calls are judged by their arguments: every way to `os.system`, and what only looks like one.

The pickles are harmless if anything loads them: the command is `true`.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import time
import zipfile
import zlib
from dataclasses import dataclass

import pytest

from hubaudit import rules
from hubaudit.demo.assemble import Instruction, assemble
from hubaudit.formats.read import read_file
from hubaudit.model import Finding, LoadRole, RepoFile, Severity
from hubaudit.rules.names import load_catalogue
from hubaudit.rules.uses import judge
from hubaudit.source.memory import MemorySource
from tests.rules.programs import Changed, Do, Name, Term, compiled

FILE = RepoFile("model.pkl", 10)


def findings(term: Term) -> tuple[Finding, ...]:
    return checked(compiled(term))


def checked(pickled: bytes) -> tuple[Finding, ...]:
    contents = read_file(MemorySource(pickled))
    uses = judge(load_catalogue(), contents)
    return rules.check(rules.Evidence(FILE, LoadRole.LOADED, contents, uses, None))


SYSTEM = Name("os", "system")
GETATTR = Name("builtins", "getattr")
IMPORT = Name("importlib", "import_module")
PARTIAL = Name("functools", "partial")
ATTRGETTER = Name("operator", "attrgetter")
METHODCALLER = Name("operator", "methodcaller")
ITEMGETTER = Name("operator", "itemgetter")
NAMESPACE = Name("argparse", "Namespace")
LIST = Name("builtins", "list")
BYTES_IO = Name("_io", "BytesIO")
ENCODE = Name("_codecs", "encode")
DECODE = Name("codecs", "decode")
OS = IMPORT("os")
FOUND = GETATTR(OS, "system")
INNER = compiled(SYSTEM("true"))


@dataclass(frozen=True)
class Route:
    """A way to `os.system("true")`, and what has to be shown of it."""

    name: str
    term: Term
    evidence: str
    says: str = "os.system"


ROUTES = (
    Route("by name", SYSTEM("true"), "os.system('true')"),
    Route("posix", Name("posix", "system")("true"), "os.system('true')", "as posix.system"),
    Route("nt", Name("nt", "system")("true"), "os.system('true')", "as nt.system"),
    Route("a dotted name", Name("shutil", "os.system")("true"), "shutil.os.system('true')"),
    Route("getattr", FOUND("true"), "getattr(importlib.import_module('os'), 'system')('true')"),
    Route(
        "getattr of getattr",
        GETATTR(GETATTR(IMPORT("shutil"), "os"), "system")("true"),
        "getattr(builtins.getattr(importlib.import_module('shutil'), 'os'), 'system')('true')",
        "shutil.os.system",
    ),
    Route(
        "__import__",
        GETATTR(Name("builtins", "__import__")("os.path"), "system")("true"),
        "getattr(builtins.__import__('os.path'), 'system')('true')",
    ),
    Route(
        "a private importer",
        GETATTR(Name("importlib._bootstrap", "_gcd_import")("os"), "system")("true"),
        "_gcd_import('os'), 'system')('true')",
    ),
    Route(
        "sys.modules",
        GETATTR(Name("operator", "getitem")(Name("sys", "modules"), "os"), "system")("true"),
        "getattr(operator.getitem(sys.modules, 'os'), 'system')('true')",
    ),
    Route(
        "itemgetter of sys.modules",
        GETATTR(ITEMGETTER("os")(Name("sys", "modules")), "system")("true"),
        "operator.itemgetter('os')(sys.modules)",
    ),
    Route(
        "itemgetter of a namespace",
        ITEMGETTER("system")(Name("os", "__dict__"))("true"),
        "operator.itemgetter('system')(os.__dict__)('true')",
        "os.__dict__.system",
    ),
    Route("partial", PARTIAL(SYSTEM, "true")(), "functools.partial(os.system, 'true')()"),
    Route("partial of getattr", PARTIAL(FOUND)("true"), "functools.partial(builtins.getattr("),
    Route(
        "partial of partial",
        PARTIAL(PARTIAL(FOUND), "true")(),
        "partial(functools.partial(builtins.getattr(",
    ),
    Route("partial made by NEWOBJ", PARTIAL.new(FOUND)("true"), "('true')"),
    Route(
        "the state of a partial",
        PARTIAL(Name("builtins", "int")).build((SYSTEM, ("true",), {}, None))(),
        "functools.partial(builtins.int).__setstate__((os.system, ('true',), {}, None))()",
    ),
    Route(
        "the state of a partial, computed",
        PARTIAL(Name("builtins", "int")).build((FOUND, ("true",), {}, None))(),
        "__setstate__((builtins.getattr(importlib.import_module('os'), 'system'), ('true',)",
    ),
    Route(
        "attrgetter",
        ATTRGETTER("system")(OS)("true"),
        "operator.attrgetter('system')(importlib.import_module('os'))('true')",
    ),
    Route(
        "attrgetter of a path",
        ATTRGETTER("os.system")(IMPORT("shutil"))("true"),
        "operator.attrgetter('os.system')(importlib.import_module('shutil'))('true')",
        "shutil.os.system",
    ),
    Route(
        "methodcaller",
        METHODCALLER("system", "true")(OS),
        "operator.methodcaller('system', 'true')(importlib.import_module('os'))",
    ),
    Route(
        "map",
        LIST(Name("builtins", "map")(FOUND, ["true"])),
        "builtins.map(builtins.getattr(importlib.import_module('os'), 'system'), ['true'])",
    ),
    Route(
        "map of getattr",
        Name("builtins", "map")(GETATTR, [OS], ["system"]),
        "builtins.map(builtins.getattr, [importlib.import_module('os')], ['system'])",
    ),
    Route("filter", LIST(Name("builtins", "filter")(FOUND, ["true"])), "builtins.filter("),
    Route("apply", Name("__builtin__", "apply")(FOUND, ("true",)), "apply("),
    Route("operator.call", Name("operator", "call")(FOUND, "true"), "operator.call("),
    Route("_operator.call", Name("_operator", "call")(FOUND, "true"), "_operator.call("),
    Route(
        "reduce",
        Name("functools", "reduce")(GETATTR, ["system"], OS)("true"),
        "functools.reduce(builtins.getattr, ['system'], importlib.import_module('os'))('true')",
    ),
    Route("starmap", Name("itertools", "starmap")(FOUND, [("true",)]), "itertools.starmap("),
    Route(
        "accumulate",
        LIST(Name("itertools", "accumulate")(["true", "true"], FOUND)),
        "itertools.accumulate(['true', 'true'], builtins.getattr(",
    ),
    Route("re.sub", Name("re", "sub")("t", FOUND, "true"), "re.sub('t', builtins.getattr("),
    Route("iter of two", Name("builtins", "iter")(PARTIAL(FOUND, "true"), 0), "builtins.iter("),
    Route(
        "MethodType",
        Name("types", "MethodType")(FOUND, "true")(),
        "types.MethodType(builtins.getattr(",
    ),
    Route(
        "a copy",
        Name("copy", "copy")(FOUND)("true"),
        "copy.copy(builtins.getattr(importlib.import_module('os'), 'system'))('true')",
    ),
    Route("lru_cache", Name("functools", "lru_cache")(FOUND)("true"), "functools.lru_cache("),
    Route("an item of a list", Name("operator", "getitem")([FOUND], 0)("true"), "getitem(["),
    Route(
        "an attribute spelled in rot13",
        GETATTR(OS, DECODE("flfgrz", "rot13"))("true"),
        "codecs.decode('flfgrz', 'rot13')",
    ),
    Route(
        "a module spelled in base64",
        GETATTR(IMPORT(ENCODE(Name("base64", "b64decode")("b3M="), "latin1")), "system")("true"),
        "base64.b64decode('b3M=')",
    ),
    Route("pydoc.locate", Name("pydoc", "locate")("os.system")("true"), "locate('os.system')("),
    Route(
        "pkgutil.resolve_name",
        Name("pkgutil", "resolve_name")("os:system")("true"),
        "pkgutil.resolve_name('os:system')('true')",
    ),
    Route(
        "numpy's ufunc importer",
        Name("numpy.core", "_ufunc_reconstruct")("os", "system")("true"),
        "numpy.core._ufunc_reconstruct('os', 'system')('true')",
    ),
    Route(
        "dill's importer",
        GETATTR(Name("dill._dill", "_import_module")("os"), "system")("true"),
        "getattr(dill._dill._import_module('os'), 'system')('true')",
    ),
    Route(
        "dill's getter",
        Name("dill._dill", "_get_attr")(OS, "system")("true"),
        "dill._dill._get_attr(importlib.import_module('os'), 'system')('true')",
    ),
    Route(
        "dill's eval",
        Name("dill._dill", "_eval_repr")("__import__('os').system('true')"),
        "dill._dill._eval_repr(\"__import__('os').system('true')\")",
        "builtins.eval",
    ),
    Route(
        "dill's type for attrgetter",
        Name("dill._dill", "_load_type")("AttrGetterType")("system")(OS)("true"),
        "dill._dill._load_type('AttrGetterType')('system')(importlib.import_module('os'))('true')",
    ),
    Route(
        "cloudpickle's importer",
        GETATTR(Name("cloudpickle.cloudpickle", "subimport")("os"), "system")("true"),
        "getattr(cloudpickle.cloudpickle.subimport('os'), 'system')('true')",
    ),
    Route(
        "copyreg",
        Name("copyreg", "_reconstructor")(NAMESPACE, SYSTEM, "true"),
        "copyreg._reconstructor(argparse.Namespace, os.system, 'true')",
    ),
    Route(
        "copyreg, Python 2's name",
        Name("copy_reg", "_reconstructor")(NAMESPACE, SYSTEM, "true"),
        "copy_reg._reconstructor(argparse.Namespace, os.system, 'true')",
    ),
    Route(
        "a __setstate__ of its own",
        NAMESPACE.new().build({"__setstate__": FOUND}).build("true"),
        ".__setstate__('true')",
    ),
    Route(
        "an append of its own",
        NAMESPACE.new().build({"append": FOUND}).append("true"),
        ".extend(['true'])",
    ),
    Route(
        "the __setstate__ of a class",
        [Changed(NAMESPACE, (None, {"__setstate__": FOUND})), NAMESPACE.new().build("true")],
        "argparse.Namespace.__setstate__((None, {'__setstate__': builtins.getattr(",
    ),
    Route(
        "a default factory", Name("collections", "defaultdict")(SYSTEM), "defaultdict(os.system)"
    ),
    Route(
        "torch's subclasses",
        Name("torch._tensor", "_rebuild_from_type_v2")(FOUND, NAMESPACE, ("true",), None),
        "torch._tensor._rebuild_from_type_v2(builtins.getattr(",
    ),
    Route(
        "a list somebody else calls",
        NAMESPACE.new().build({"hooks": [SYSTEM]}),
        ".__setstate__({'hooks': [os.system]})",
    ),
    Route(
        "pickle.loads of zlib",
        Name("pickle", "loads")(Name("zlib", "decompress")(zlib.compress(INNER))),
        "pickle.loads(zlib.decompress(",
    ),
    Route(
        "pickle.loads of gzip, bz2 and lzma",
        [
            Name("pickle", "loads")(Name("gzip", "decompress")(gzip.compress(INNER))),
            Name("pickle", "loads")(Name("bz2", "decompress")(bz2.compress(INNER))),
            Name("pickle", "loads")(Name("lzma", "decompress")(lzma.compress(INNER))),
        ],
        "pickle.loads(gzip.decompress(",
    ),
    Route(
        "pickle.loads of protocol 0",
        Name("pickle", "loads")(b"cos\nsystem\n(S'true'\ntR."),
        "pickle.loads(b\"cos\\nsystem\\n(S'true'\\ntR.\")",
    ),
    Route(
        "pickle.loads of a chain",
        Name("pickle", "loads")(
            Name("base64", "b64decode")(base64.b64encode(compiled(FOUND("true"))[2:]))
        ),
        "pickle.loads(base64.b64decode(",
    ),
    Route(
        "pickle.loads of pickle.loads",
        Name("pickle", "loads")(compiled(Name("pickle", "loads")(b"cos\nsystem\n."))[2:]),
        "pickle.loads(b'cpickle",
    ),
    Route("pickle.loads", Name("pickle", "loads")(INNER), "os.system('true')"),
    Route("cPickle.loads", Name("cPickle", "loads")(INNER), "os.system('true')"),
    Route(
        "pickle.loads of base64",
        Name("pickle", "loads")(Name("base64", "b64decode")(base64.b64encode(INNER))),
        "os.system('true')",
    ),
    Route(
        "pickle.loads of digits",
        Name("pickle", "loads")(Name("binascii", "unhexlify")(INNER.hex())),
        "os.system('true')",
    ),
    Route(
        "pickle.loads of text as protocol 2 writes bytes",
        Name("pickle", "loads")(ENCODE((INNER + b"." * 256).decode("latin-1"), "latin1")),
        "os.system('true')",
    ),
    *(
        Route(f"{module}.{name}", Name(module, name)(BYTES_IO(INNER)), "os.system('true')")
        for module, name in (
            ("pickle", "load"),
            ("torch", "load"),
            ("torch.serialization", "load"),
            ("joblib", "load"),
            ("numpy", "load"),
            ("pandas", "read_pickle"),
        )
    ),
)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_way_to_os_system_is_dangerous_and_says_so(route: Route) -> None:
    found = findings(route.term)
    said = [f for f in found if f.rule == "dangerous-import" and route.says in f.message]
    assert said, [(f.severity, f.message) for f in found]
    assert min(f.severity.rank for f in said) <= Severity.HIGH.rank
    assert [f for f in said if route.evidence in f.evidence], [f.evidence for f in said]
    assert all(f.offset is not None for f in said)


# What nobody can follow is judged by the function that does it.
BY_NAME = {
    "zlib of what nobody knows": Name("pickle", "loads")(
        Name("zlib", "decompress")(Name("builtins", "bytes")([1]))
    ),
    "torch.load of a path": Name("torch", "load")("/tmp/other.pt"),
    "BytesIO with a state": Name("torch", "load")(
        BYTES_IO(compiled(1)).build((INNER[:0] + b"cos\nsystem\n.", 0, None))
    ),
    "getattr of what is computed": GETATTR(OS, Name("builtins", "str")(b"system"))("true"),
    "FunctionType": Name("types", "FunctionType")(None, {})(),
    "CodeType": Name("types", "CodeType")(0, 0, 0, 0, 0, 0, b"", (), (), (), "f", "n", "q", 1),
    "dill's functions": Name("dill._dill", "_create_function")(None, {})(),
    "dill's types of code": Name("dill._dill", "_load_type")("CodeType"),
    "cloudpickle's types of code": Name("cloudpickle.cloudpickle", "_builtin_type")("CodeType"),
    "cloudpickle's functions": Name("cloudpickle.cloudpickle", "_make_function")(None, {}),
    "cloudpickle's classes": Name("cloudpickle.cloudpickle", "_make_skeleton_class")(None, "A"),
    "cloudpickle within joblib": Name("joblib.externals.cloudpickle.cloudpickle", "_builtin_type")(
        "FunctionType"
    ),
    "bdb": Name("bdb", "Bdb.run")(Name("bdb", "Bdb")(), "import os"),
    "logging.config": Name("logging.config", "dictConfig")({"version": 1, "()": "os.system"}),
    "site": Name("site", "addsitedir")("/tmp"),
    "weakref": Name("weakref", "finalize")(NAMESPACE, Name("own", "run")),
    "a codec that is none of text": ENCODE("abc", "unicode_escape"),
    "the globals of a function": ATTRGETTER("__globals__")(Name("builtins", "len")),
    "attrgetter of a module": ATTRGETTER("os.system"),
    "methodcaller of a command": METHODCALLER("system", "true"),
    "methodcaller of an expression": METHODCALLER("eval", "@pd.io"),
    "a format with attributes": METHODCALLER("format", 1)("{0.__class__.__init__}"),
    "a class that is changed": [Changed(NAMESPACE, (None, {"__setstate__": 1}))],
    "a class that is made": Name("builtins", "type")("A", (Name("builtins", "object"),), {}),
    "getattr handed to others": [GETATTR(Name("re", "RegexFlag"), "I"), PARTIAL(GETATTR)],
    "pickle.loads handed to others": [
        Name("pickle", "loads")(compiled(1)),
        NAMESPACE.new().build({"hook": Name("pickle", "loads")}),
    ],
    "a dict of builtins": Name("builtins", "dict.get")(Name("numpy", "__builtins__"), "exec")("1"),
    "a format, fetched": GETATTR("{0.__globals__[os]}", "format")(Name("builtins", "len")),
    "keys of its own": Name("builtins", "dict")(
        NAMESPACE.new().build({"keys": Name("own", "run")})
    ),
    "the state of a partial, computed": PARTIAL(Name("builtins", "int")).build(
        Name("builtins", "tuple")([Name("own", "run"), (), {}, None])
    )(),
    "the state of a partial, no tuple": PARTIAL(Name("builtins", "int")).build([1])(),
    "map made by NEWOBJ": LIST(Name("builtins", "map").new(Name("own", "run"), [1])),
    "a class made by NEWOBJ": Name("copyreg", "__newobj__")(Name("builtins", "type"), "A", (), {}),
    "a class of an enum": GETATTR(Name("re", "RegexFlag"), "__class__")(1),
    "a member of an enum, called": GETATTR(Name("re", "RegexFlag"), "I")(1),
    "a generic alias, called": Name("types", "GenericAlias")(Name("own", "run"), ())(1),
    "a weak reference's callback": Name("weakref", "ref")(NAMESPACE.new(), Name("own", "run")),
    "a long reduce": Name("functools", "reduce")(GETATTR, ["x"] * 20, OS),
    "next of map": Name("builtins", "next")(Name("builtins", "map")(Name("own", "run"), [1]))(1),
    "two items": ITEMGETTER(0, 1)([1, 2])(1),
    "an item of nobody knows what": ITEMGETTER(0)(ENCODE("a", "latin1"))(1),
    "a module that is changed": IMPORT("argparse").build({"Namespace": 1}),
    "the class of an object, changed": Name("builtins", "type")(NAMESPACE.new()).build((None, {})),
    "an archive that nobody could read": Name("torch", "load")(BYTES_IO(b"PK\x03\x04" + bytes(99))),
    "a missing key": Name("operator", "getitem")(
        Name("collections", "defaultdict")(Name("own", "run")), "x"
    ),
    "sorted with a key": PARTIAL(Name("builtins", "sorted")).build(
        (Name("builtins", "sorted"), ([1],), {"key": Name("own", "run")}, None)
    )(),
    "a logger's handler": METHODCALLER("addHandler", 1)(Name("logging", "getLogger")("x")),
    "a path that is written": METHODCALLER("write_text", "x")(Name("pathlib", "Path")("/tmp/x")),
    "a path that is opened": GETATTR(Name("pathlib", "PosixPath")("/tmp/x"), "open")("w"),
    "a numpy generator": Name("numpy.random._pickle", "__generator_ctor")("x", PARTIAL(FOUND)),
    "a method that dill evaluates": Name("dill._dill", "_getattr")(
        Name("builtins", "str"), "system", "<method 'system' of 'os' objects>"
    ),
    "a method that dill evaluates, of more": Name("dill._dill", "_getattr")(
        Name("builtins", "str"), "lower", "<method 'lower' of 'os.system(1) or str' objects>"
    ),
    "an array that dill makes of something else": Name("dill._dill", "_create_array")(
        PARTIAL, (Name("builtins", "int"),), (Name("own", "run"), (), {}, None), None
    ),
    "dill's name of a type": Name("dill._dill", "_load_type")("MethodType")(
        Name("own", "run"), 1
    )(),
    "a state of BytesIO": Name("pickle", "load")(BYTES_IO.new().build((INNER, 0, None))),
    "bytearray": Name("pickle", "loads")(Name("builtins", "bytearray")(INNER)),
}


@pytest.mark.parametrize("term", BY_NAME.values(), ids=BY_NAME)
def test_what_cannot_be_followed_is_high_at_least(term: Term) -> None:
    found = findings(term)
    assert min((f.severity.rank for f in found), default=9) <= Severity.HIGH.rank


OWN = Name("own", "run")
RESULT = NAMESPACE.new()

UNLISTED_CALLS = {
    "by name": OWN(1),
    "partial": PARTIAL(OWN)(1),
    "the state of a partial": PARTIAL(Name("builtins", "int")).build((OWN, (), {}, None))(1),
    "map": Name("builtins", "map")(OWN, [1]),
    "filter": Name("builtins", "filter")(OWN, [1]),
    "reduce": Name("functools", "reduce")(OWN, [1, 2]),
    "starmap": Name("itertools", "starmap")(OWN, [(1,)]),
    "re.sub": Name("re", "sub")("a", OWN, "b"),
    "methodcaller": METHODCALLER("run")(Name("own", "Thing").new()),
    "getattr": GETATTR(Name("own", "Thing"), "run")(1),
    "a __setstate__ of its own": RESULT.build({"__setstate__": OWN}).build(1),
    "an append of its own": RESULT.build({"append": OWN}).append(1),
    "the result of a call": OWN()(),
    "an inert object": RESULT(1),
    "an inert function's result": Name("collections", "OrderedDict")()(1),
    "a method of an inert object": METHODCALLER("nothing")(RESULT),
    "a sorted list of objects": Name("builtins", "sorted")([Name("own", "Thing").new()]),
    "a sum of objects": Name("operator", "add")(Name("own", "Thing").new(), 1),
}


@pytest.mark.parametrize("term", UNLISTED_CALLS.values(), ids=UNLISTED_CALLS)
def test_an_unlisted_function_that_is_called_by_any_route_is_high(term: Term) -> None:
    unlisted = [f for f in findings(term) if f.rule == "unlisted-import"]
    assert [f for f in unlisted if f.severity is Severity.HIGH], unlisted


THING = Name("own", "Thing")

UNLISTED_CLASSES = {
    "NEWOBJ": Do("NEWOBJ", THING, ()),
    "copyreg": Name("copyreg", "_reconstructor")(THING, Name("builtins", "object"), None),
    "__newobj__": Name("copyreg", "__newobj__")(THING),
    "an index": Name("pandas.core.indexes.base", "_new_Index")(THING, {}),
    "with a state": Do("NEWOBJ", THING, ()).build({"a": 1}),
    "named": PARTIAL(THING),
    "a method of nobody": METHODCALLER("get_feature_names_out"),
}


@pytest.mark.parametrize("term", UNLISTED_CLASSES.values(), ids=UNLISTED_CLASSES)
def test_an_unlisted_class_that_is_only_constructed_is_medium(term: Term) -> None:
    found = findings(term)
    assert [(f.rule, f.severity) for f in found] == [("unlisted-import", Severity.MEDIUM)]


REGEX = Name("re", "RegexFlag")
MAP = Name("builtins", "map")
ARRAY = Name("collections", "OrderedDict")

INERT = {
    "data that names os.system": ["os.system('true')", "eval(", b"cos\nsystem\n", "__import__"],
    "bytes as protocol 2 writes them": ENCODE("\x00\xff", "latin1"),
    "bytes by codecs": Name("codecs", "encode")("text", "utf-8"),
    "text by codecs": DECODE(b"text", "UTF_8"),
    "an attribute that is data": ATTRGETTER("name"),
    "two attributes": ATTRGETTER("name", "shape.rows"),
    "an item": ITEMGETTER(0),
    "an item, taken": ITEMGETTER(0)(["a"]),
    "an item of a tuple": Name("operator", "getitem")((1, 2), 0),
    "a method of text": METHODCALLER("lower"),
    "a method of text, called": METHODCALLER("strip")(" a "),
    "a method of arrays": METHODCALLER("toarray"),
    "str.lower": GETATTR(Name("builtins", "str"), "lower"),
    "dict.fromkeys": GETATTR(Name("builtins", "dict"), "fromkeys")(["a"]),
    "a member of an enum": GETATTR(REGEX, "IGNORECASE"),
    "two members of an enum": [GETATTR(REGEX, "I"), GETATTR(REGEX, "M")],
    "map of a type": LIST(MAP(Name("builtins", "str"), [1, 2])),
    "map of a function": LIST(MAP(Name("builtins", "len"), ["a", "b"])),
    "map of a method": LIST(MAP(METHODCALLER("lower"), ["A", "B"])),
    "map of getattr": MAP(PARTIAL(Name("builtins", "int")), ["1"]),
    "filter without a function": LIST(Name("builtins", "filter")(None, [0, 1])),
    "filter of a function": Name("builtins", "filter")(Name("builtins", "callable"), [1]),
    "reduce of numbers": Name("functools", "reduce")(Name("builtins", "isinstance"), [1]),
    "accumulated": Name("itertools", "accumulate")([1, 2]),
    "replaced text": Name("re", "sub")("a", "b", "abc"),
    "partial": PARTIAL(Name("builtins", "int"), "1"),
    "partial, with its state": PARTIAL(Name("builtins", "int")).build(
        (Name("builtins", "int"), ("1",), {"base": 2}, {})
    ),
    "partial, called": PARTIAL(Name("builtins", "int"), "1")(),
    "the type of None": Name("builtins", "type")(None),
    "the type of an object": Name("builtins", "type")(ARRAY())(),
    "typing": Name("operator", "getitem")(Name("typing", "List"), Name("builtins", "int")),
    "a dict of lists": Name("collections", "defaultdict")(LIST),
    "a pickle in a pickle": Name("torch.storage", "_load_from_bytes")(compiled(ARRAY())),
    "a pickle in a file": Name("torch", "load")(BYTES_IO(compiled(ARRAY()))),
    "pickle.loads of data": Name("pickle", "loads")(compiled({"a": 1})),
    "a pickle of protocol 0 in a pickle": Name("pickle", "loads")(b"(lp0\nI1\na."),
    "a pickle in short text": Name("pickle", "loads")(
        ENCODE(compiled(ARRAY()).decode("latin-1"), "latin1")
    ),
    "a pickle in a pickle in a pickle": Name("pickle", "loads")(
        compiled(Name("pickle", "loads")(compiled(ARRAY())))
    ),
    "a pickled tensor of protocol 2": Name("torch.storage", "_load_from_bytes")(
        ENCODE((compiled(ARRAY()) + b"\x80" * 256).decode("latin-1"), "latin1")
    ),
    "a method bound to text": Name("types", "MethodType")(Name("builtins", "len"), "a"),
    "dill's name of a type": Name("dill._dill", "_load_type")("list")(),
    "dill's name of None's type": Name("dill._dill", "_load_type")("NoneType"),
    "a bound method": GETATTR(["a"], "append"),
    "a sum": Name("functools", "reduce")(Name("operator", "add"), [1, 2, 3]),
    "sums": LIST(MAP(Name("operator", "add"), ["a"], ["b"])),
    "a sorted list": Name("builtins", "sorted")([2, 1]),
    "a methodcaller with keywords": PARTIAL(METHODCALLER).build(
        (METHODCALLER, ("fillna",), {"value": 0}, {})
    )(),
    "dill's arrays": Name("dill._dill", "_create_array")(
        *(Name("numpy.core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"), (0,), b"b")),
        *((1, (2,), Name("numpy", "dtype")("f8"), False, b""), None),
    ),
    "dill's methods": Name("dill._dill", "_getattr")(
        Name("dill._dill", "_load_type")("str"), "lower", "<method 'lower' of 'str' objects>"
    ),
    "dill's constants": Name("dill._dill", "_eval_repr")("NotImplemented"),
    "an attribute of itself": NAMESPACE.new().build({"append": 1}).build({"a": "os"}),
}


@pytest.mark.parametrize("term", INERT.values(), ids=INERT)
def test_an_ordinary_use_is_nothing(term: Term) -> None:
    found = [f for f in findings(term) if f.severity.rank <= Severity.LOW.rank]
    assert [(f.rule, f.evidence, f.message) for f in found if f.rule != "trailing-data"] == []


TEMPLATE = """
def _parse_args(self, a, b,  loc=0, scale=1):
    return (a, b, ), loc, scale

def _parse_args_rvs(self, a, b,  loc=0, scale=1, size=None):
    return self._argcheck_rvs(a, b,  loc, scale, size=size)

def _parse_args_stats(self, a, b,  loc=0, scale=1, moments='mv'):
    return (a, b, ), loc, scale, moments
"""
BETA = Name("scipy.stats._continuous_distns", "beta_gen")
MADE = Do("NEWOBJ", BETA, ())


@pytest.mark.parametrize(
    "term",
    [
        MADE.build({"a": 0, "_parse_arg_template": TEMPLATE}),
        Name("copyreg", "_reconstructor")(BETA, Name("builtins", "object"), None).build(
            {"_parse_arg_template": TEMPLATE.replace(", scale=1", "").replace(", scale", ", 1")}
        ),
        MADE.build(({"a": 0, "b": 1, "name": "beta"}, None)),
    ],
)
def test_a_distribution_with_scipys_own_template_is_inert(term: Term) -> None:
    assert findings(term) == ()


@pytest.mark.parametrize(
    "state",
    [
        {"_parse_arg_template": "import os\nos.system('true')"},
        {"_parse_arg_template": TEMPLATE + "import os"},
        {"_parse_arg_template": TEMPLATE.replace("a, b, ", "a=print(), ")},
        {"_parse_arg_template": Name("builtins", "str")("x")},
        {"_attach_methods": METHODCALLER("lower"), "_parse_arg_template": TEMPLATE},
        {Name("builtins", "str")("_parse_arg_template"): "x"},
        (("_parse_arg_template", "import os"), ("a", 1)),
        ({"_parse_arg_template": 1, "import os": 2}, None),
        ({"_parse_arg_template": 1, "import os": 2, "set later": 3}, None),
        ({"a": 0, "b": 1, "c": 2}, Name("builtins", "tuple")(["_parse_arg_template", "import os"])),
    ],
)
def test_a_distribution_with_another_template_runs_it(state: Term) -> None:
    found = [f for f in findings(MADE.build(state)) if f.rule == "dangerous-import"]
    assert [f.severity for f in found] == [Severity.CRITICAL]
    assert "__setstate__(" in found[0].evidence


def test_a_pickle_that_loads_another_says_what_that_one_calls() -> None:
    found = findings(Name("pickle", "loads")(INNER))
    inner = [f for f in found if f.message.startswith("calls os.system")]
    place = f"@{compiled(Name('pickle', 'loads')(INNER)).find(INNER)}"
    assert [f.member for f in inner] == [None, place]
    assert inner[0].evidence == f"pickle.loads({INNER!r})"
    assert inner[1].evidence == "os.system('true')"


def test_a_partial_that_holds_another_function_in_its_state_no_longer_calls_the_first() -> None:
    replaced = PARTIAL(OWN).build((Name("builtins", "int"), (), {}, None))
    found = findings(replaced("1"))
    assert [(f.rule, f.severity) for f in found] == [("unlisted-import", Severity.MEDIUM)]


def test_a_listed_function_in_another_use_is_not_said_to_be_missing() -> None:
    (found,) = findings(Name("builtins", "print")("a"))
    assert found.message == (
        "calls builtins.print, which the catalogue lists as inert in other uses only"
    )


def test_a_long_pickle_that_another_one_loads_is_found_and_so_is_what_loads_it() -> None:
    found = findings(Name("torch", "load")(BYTES_IO(compiled([SYSTEM("true"), "a" * 5000]))))
    said = {(f.member is None, f.message.partition(":")[0]) for f in found}
    assert {(True, "calls torch.load"), (False, "calls os.system")} <= said


def test_an_archive_that_another_pickle_loads_is_read() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", INNER)
        archive.writestr("archive/version", "3\n")
    found = findings(Name("torch", "load")(BYTES_IO(packed.getvalue())))
    said = {(f.member and f.member[:1], f.message.partition(":")[0]) for f in found}
    assert {(None, "calls torch.load"), ("@", "calls os.system")} <= said


@pytest.mark.parametrize("depth", [100, 20_000])
def test_a_chain_of_calls_of_any_length_costs_little(depth: int) -> None:
    getattr_ = assemble(("GLOBAL", "builtins", "getattr"), ("PUT", 0), "POP")
    steps = assemble(("BINUNICODE", "system"), "TUPLE2", "REDUCE")
    many = getattr_ + assemble(("GET", 0)) * depth + assemble(("GLOBAL", "own", "x"))
    partial = assemble(("GLOBAL", "functools", "partial"), ("PUT", 0), "POP") + (
        assemble(("GET", 0)) * depth + assemble(("GLOBAL", "os", "system")) + b"\x85R" * depth
    )
    calls = assemble(("GLOBAL", "own", "x")) + b")R" * depth
    start = time.perf_counter()
    for pickled in (many + steps * depth, partial + b")R", calls):
        assert checked(pickled + b".")
    assert time.perf_counter() - start < 10


MORE_ROUTES = {
    "attributes set on a listed function, then computed": (
        ("GLOBAL", "numpy", "prod"),
        *("NONE", "MARK", ("BINUNICODE", "a"), ("BINUNICODE", "os"), "DICT", "TUPLE2", "BUILD"),
        *("POP", ("GLOBAL", "numpy", "prod.a")),
    ),
    "INST": ("MARK", ("BINUNICODE", "1"), ("INST", "builtins", "eval")),
    "OBJ": ("MARK", ("GLOBAL", "builtins", "eval"), ("BINUNICODE", "1"), "OBJ"),
}


@pytest.mark.parametrize("program", MORE_ROUTES.values(), ids=MORE_ROUTES)
def test_published_bypasses_of_other_scanners_are_high_at_least(
    program: tuple[Instruction, ...],
) -> None:
    found = [f for f in checked(assemble(*program, "STOP")) if f.rule == "dangerous-import"]
    assert min(f.severity.rank for f in found) <= Severity.HIGH.rank


def test_a_nested_pickle_that_is_too_long_to_be_read_leaves_no_pass() -> None:
    junk = b"N0" * 1_200_000  # more opcodes than are interpreted
    pickled = compiled(Name("pickle", "loads")(b"\x80\x03" + junk + INNER[2:]))
    assert read_file(MemorySource(pickled)).gaps


def state_of(name: str, value: Instruction) -> tuple[Instruction, ...]:
    return ("EMPTY_DICT", ("BINUNICODE", name), value, "SETITEM", "BUILD")


CHANGED_LATER: dict[str, tuple[Instruction, ...]] = {
    "a list": (
        *(("GLOBAL", "functools", "reduce"), ("GLOBAL", "builtins", "getattr"), "MARK"),
        *(("BINUNICODE", "lower"), "LIST", ("BININT1", 0), ("BINUNICODE", "format"), "SETITEM"),
        *(("BINUNICODE", "{0.__class__}"), "TUPLE3", "REDUCE", "NONE", "TUPLE1", "REDUCE"),
    ),
    "a bytearray that is loaded": (
        *(("GLOBAL", "pickle", "loads"), ("BYTEARRAY8", b"\x80\x03N."), ("BININT1", 2)),
        *(("BININT1", 0x63), "SETITEM", "TUPLE1", "REDUCE"),
    ),
    "a dict, by which key comes first": (
        *(("GLOBAL", "operator", "getitem"), "EMPTY_DICT", "MARK", ("BINUNICODE", "a")),
        *(("GLOBAL", "own", "run"), ("BINUNICODE", "a"), ("GLOBAL", "builtins", "int")),
        *("SETITEMS", ("BINUNICODE", "a"), "TUPLE2", "REDUCE", "EMPTY_TUPLE", "REDUCE"),
    ),
    "one hook of very many": (
        *(("GLOBAL", "types", "SimpleNamespace"), "EMPTY_TUPLE", "NEWOBJ", "EMPTY_DICT", "MARK"),
        *(part for _ in range(9) for part in (("BINUNICODE", "append"), ("BININT1", 1))),
        *(("BINUNICODE", "append"), ("GLOBAL", "own", "run"), "SETITEMS", "BUILD"),
    ),
    "one hook of many states": (
        *(("GLOBAL", "types", "SimpleNamespace"), "EMPTY_TUPLE", "NEWOBJ"),
        *(part for n in range(9) for part in state_of("append", ("BININT1", n))),
        *state_of("append", ("GLOBAL", "own", "run")),
        *("NONE", "APPEND"),
    ),
}


@pytest.mark.parametrize("program", CHANGED_LATER.values(), ids=CHANGED_LATER)
def test_what_may_have_been_something_else_at_the_time_is_high_at_least(
    program: tuple[Instruction, ...],
) -> None:
    found = checked(assemble(("PROTO", 5), *program, "STOP"))
    assert min(f.severity.rank for f in found) <= Severity.HIGH.rank


def test_a_method_of_nobody_knows_what_is_listed_only_if_it_is_not_inert() -> None:
    def listed(name: str) -> list[str]:
        contents = read_file(MemorySource(compiled(METHODCALLER(name))))
        return [use.qualified for use in judge(load_catalogue(), contents)]

    assert listed("lower") == ["operator.methodcaller"]
    assert listed("system") == ["operator.methodcaller", "builtins.object.system"]
