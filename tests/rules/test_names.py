"""The catalogue of names: its data, and what `find` makes of a global."""

from __future__ import annotations

import json
import sys
import time
import tomllib
from collections import Counter, defaultdict
from enum import Enum
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import pytest

from hubaudit.model import NameClass, Severity
from hubaudit.rules.names import (
    Catalogue,
    Entry,
    Use,
    canonical,
    catalogue_digest,
    load_catalogue,
    rows,
)

FIXTURES = Path(__file__).parent.parent / "fixtures"
ROWS = tuple(rows())
SEEN: list[dict[str, Any]] = json.loads((FIXTURES / "globals_seen.json").read_text())["seen"]

# Written by a real library, and dangerous until somebody has looked at the arguments.
LOOKED_AT = {
    ("numpy.core", "_ufunc_reconstruct"),
    ("builtins", "getattr"),
    ("functools", "partial"),
    ("torch.storage", "_load_from_bytes"),
    ("scipy.stats._continuous_distns", "norm_gen"),
    ("scipy.stats._continuous_distns", "reciprocal_gen"),
    ("scipy.stats._continuous_distns", "rv_histogram"),
    ("scipy.stats._continuous_distns", "uniform_gen"),
    ("scipy.stats._discrete_distns", "randint_gen"),
}


def find(module: str, name: str, protocol: int | None = None) -> Entry | None:
    return load_catalogue().find(module, name, protocol)


def class_of(module: str, name: str, protocol: int | None = None) -> NameClass:
    row = find(module, name, protocol)
    return row.name_class if row else NameClass.UNLISTED


# --- the data --------------------------------------------------------------------------------


def test_every_row_says_why_and_where_that_was_learnt() -> None:
    assert [(r.module, r.name) for r in ROWS if not r.why.strip() or not r.source.strip()] == []


def test_every_dangerous_row_has_a_severity_and_no_use() -> None:
    dangerous = [r for r in ROWS if r.name_class is NameClass.DANGEROUS]
    assert len(dangerous) > 800
    assert [r for r in dangerous if r.severity is None or r.uses or r.enum] == []


def test_every_inert_row_is_inert_when_named_and_has_no_severity() -> None:
    inert = [r for r in ROWS if r.name_class is NameClass.INERT]
    assert len(inert) > 2000
    assert [r for r in inert if Use.NAMED not in r.uses or r.severity is not None] == []


def test_no_row_is_of_the_class_unlisted() -> None:
    assert {r.name_class for r in ROWS} == {NameClass.INERT, NameClass.DANGEROUS}


def test_no_name_is_in_two_classes() -> None:
    classes = defaultdict(set)
    for row in ROWS:
        classes[row.module, row.name].add(row.name_class)
    assert [name for name, both in classes.items() if len(both) > 1] == []


def test_no_name_has_two_rows() -> None:
    counts = Counter((r.module, r.name) for r in ROWS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_whole_module_and_no_package_is_inert() -> None:
    whole = [r for r in ROWS if "*" in r.name or "*" in r.module]
    assert whole
    assert {r.name_class for r in whole} == {NameClass.DANGEROUS}


_DATA = ("CompletedProcess", "TarInfo", "ZipInfo")


def test_what_is_inert_in_a_dangerous_module_is_a_type_of_data() -> None:
    whole = {r.module for r in ROWS if r.name == "*" and not r.module.endswith(".*")}
    packages = tuple(r.module[:-1] for r in ROWS if r.module.endswith(".*"))
    inert = [r for r in ROWS if r.name_class is NameClass.INERT]
    inside = [r for r in inert if r.module in whole or f"{r.module}.".startswith(packages)]
    assert len(inside) > 90
    for row in inside:
        found = _found(row)
        is_data = isinstance(found, type) and issubclass(found, BaseException | tuple | Enum)
        assert found is None or is_data or isinstance(found, Enum) or row.name in _DATA, row


def _found(row: Entry) -> object:
    """What this Python has by that name, or None: other versions and systems have others."""
    today = {"commands": "subprocess", "urllib2": "urllib.error"}
    try:
        module = import_module(today.get(row.module, row.module))
    except ImportError:
        return None
    return getattr(module, row.name, None)


def test_the_marks_stand_only_where_they_mean_something() -> None:
    assert [r for r in ROWS if r.name == "*" and r.module == "*"] == []
    assert [r for r in ROWS if "*" in r.name and r.name != "*"] == []
    assert [r for r in ROWS if "*" in r.module.removesuffix(".*") and r.module != "*"] == []
    assert [r for r in ROWS if r.module == "*" and "." in r.name] == []


def test_groups_have_known_keys_only() -> None:
    known = {"class", "severity", "uses", "by_argument", "enum", "why", "source", "names"}
    folder = resources.files("hubaudit.rules") / "names"
    for file in folder.iterdir():
        for group in tomllib.loads(file.read_text(encoding="utf-8"))["group"]:
            assert set(group) <= known, (file.name, set(group) - known)
            assert group["names"], file.name


def test_every_module_of_the_standard_library_was_looked_at() -> None:
    stdlib = tomllib.loads(
        (resources.files("hubaudit.rules") / "names" / "stdlib.toml").read_text(encoding="utf-8")
    )
    reviewed = {module for modules in stdlib["reviewed"].values() for module in modules}
    listed = {r.module.split(".")[0] for r in ROWS}
    assert sorted(sys.stdlib_module_names - reviewed - listed) == []


def test_the_digest_is_that_of_the_data_and_does_not_move() -> None:
    assert len(catalogue_digest()) == 64
    assert catalogue_digest() == catalogue_digest()


# --- what real libraries write ---------------------------------------------------------------


def test_what_real_libraries_write_is_inert_in_the_use_they_make_of_it() -> None:
    wrong = []
    for seen in SEEN:
        row = find(seen["module"], seen["name"])
        if row is None or not (row.is_inert(Use(seen["use"])) or row.by_argument):
            wrong.append((seen["module"], seen["name"], seen["use"], row and row.name_class))
    assert len(SEEN) > 1500
    assert wrong == []


def test_what_real_libraries_write_is_dangerous_only_where_the_argument_decides() -> None:
    found = {
        canonical(seen["module"], seen["name"])
        for seen in SEEN
        if class_of(seen["module"], seen["name"]) is NameClass.DANGEROUS
    }
    assert found == LOOKED_AT


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("transformers.trainer_utils", "IntervalStrategy"),
        ("transformers.trainer_utils", "EvaluationStrategy"),
        ("transformers.trainer_utils", "SchedulerType"),
        ("transformers.trainer_utils", "HubStrategy"),
        ("transformers.training_args", "OptimizerNames"),
        ("accelerate.utils.dataclasses", "DistributedType"),
    ],
)
def test_the_enums_of_training_arguments_may_be_fetched_and_called(module: str, name: str) -> None:
    row = find(module, name)
    assert row is not None
    assert row.enum
    assert row.is_inert(Use.CALLED)


def test_numpy_is_known_under_its_old_and_its_new_module_names() -> None:
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):
        row = find(module, "_reconstruct")
        assert row is not None
        assert row.is_inert(Use.CALLED)
    assert class_of("numpy.core", "_ufunc_reconstruct") is NameClass.DANGEROUS
    assert class_of("numpy.corelib.multiarray", "_reconstruct") is NameClass.UNLISTED


def test_a_layer_is_inert_when_constructed_and_not_when_called() -> None:
    row = find("torch.nn.modules.linear", "Linear")
    assert row is not None
    assert row.is_inert(Use.CONSTRUCTED)
    assert not row.is_inert(Use.CALLED)


# --- find ------------------------------------------------------------------------------------

OS_SYSTEM = [
    ("os", "system"),
    ("posix", "system"),
    ("nt", "system"),
    ("os", "system.__call__"),
    ("shutil", "os.system"),
    ("logging", "os.system"),
    ("torch", "os.system"),
    ("numpy", "os.system"),
    ("anything", "at.all.os.system"),
    ("torch.serialization", "os.system"),
    ("collections", "OrderedDict.os.system"),
    ("glob", "os.path.os.system"),
    ("tempfile", "_os.system"),
]


@pytest.mark.parametrize(("module", "name"), OS_SYSTEM)
@pytest.mark.parametrize("protocol", [None, 0, 2, 4, 5])
def test_os_system_is_critical_by_every_spelling(
    module: str, name: str, protocol: int | None
) -> None:
    row = find(module, name, protocol)
    assert row is not None
    assert row.name_class is NameClass.DANGEROUS
    assert row.severity in (Severity.CRITICAL, Severity.HIGH)
    assert (row.module, row.name) == (module, name)
    if "os.system" in f"{module}.{name}".replace("_os", "x"):
        assert row.severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "evaluate"),
        ("builtins", "evals"),
        ("os_utils", "system"),
        ("mylib.os", "system"),
        ("subprocess32", "Popen"),
        ("idlelibrary.run", "x"),
        ("pickles", "loads"),
        ("torch", "loads"),
        ("torch.nn.modules.linear", "MyLinear"),
        ("torch.nn.modules.linear.evil", "Linear"),
        ("torch", "nn.modules.linear.Linear"),
        ("collections", "OrderedDict.fromkeys"),
        ("sklearn.linear_model", "Whatever"),
        ("", ""),
    ],
)
def test_near_misses_are_unlisted(module: str, name: str) -> None:
    assert class_of(module, name) is NameClass.UNLISTED


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch", "serialization.load"),
        ("numpy", "f2py.crackfortran.myeval"),
        ("numpy.f2py", "crackfortran.getlincoef"),
        ("idlelib.pyshell", "ModifiedInterpreter.runcommand"),
        ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
        ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"),
        ("torch.jit.unsupported_tensor_ops", "execWrapper"),
        ("torch.utils.bottleneck.__main__", "run_cprofile"),
        ("torch.utils._config_module", "ConfigModule.load_config"),
        ("torch._inductor.codecache", "compile_file"),
        ("torch.utils.collect_env", "run"),
        ("numpy.testing._private.utils", "runstring"),
        ("lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
        ("pkgutil", "resolve_name"),
        ("pydoc", "locate"),
        ("code", "InteractiveInterpreter.runsource"),
        ("inspect", "getattr_static"),
        ("typing", "get_type_hints"),
        ("dataclasses", "_create_fn"),
        ("multiprocessing.util", "spawnv_passfds"),
        ("multiprocessing.managers", "MakeProxyType"),
        ("distutils.spawn", "spawn"),
        ("uuid", "_get_command_stdout"),
        ("pip", "main"),
        ("pip._internal.cli.main", "main"),
        ("ensurepip", "_run_pip"),
        ("_posixsubprocess", "fork_exec"),
        ("marshal", "loads"),
        ("types", "FunctionType"),
        ("sh", "bash"),
        ("numpy.distutils.cpuinfo", "getoutput"),
        ("pathlib", "Path.write_text"),
        ("copyreg", "_inverted_registry"),
        ("cPickle", "loads"),
        ("__builtin__", "eval"),
        ("commands", "getoutput"),
        ("builtins", "len.__self__"),
        ("builtins", "str.format"),
        ("torch", "__builtins__"),
        ("shutil", "os"),
    ],
)
def test_what_advisories_and_write_ups_name_is_dangerous(module: str, name: str) -> None:
    assert class_of(module, name) is NameClass.DANGEROUS


def test_a_dotted_name_is_inert_only_when_it_is_listed_as_such() -> None:
    listed = find("scipy.interpolate._interpolate", "interp1d._call_linear")
    assert listed is not None
    assert listed.is_inert(Use.NAMED)
    assert class_of("scipy.interpolate._interpolate", "interp1d.from_spline") is NameClass.UNLISTED


def test_python_2_names_mean_what_the_unpickler_maps_them_to() -> None:
    assert canonical("copy_reg", "_reconstructor") == ("copyreg", "_reconstructor")
    assert canonical("__builtin__", "xrange") == ("builtins", "range")
    assert canonical("exceptions", "ValueError") == ("builtins", "ValueError")
    assert canonical("torch", "FloatStorage") == ("torch", "FloatStorage")
    for protocol in (None, 0, 1, 2):
        assert class_of("__builtin__", "set", protocol) is NameClass.INERT
        assert class_of("__builtin__", "eval", protocol) is NameClass.DANGEROUS


def test_python_2_names_of_a_newer_protocol_are_never_inert() -> None:
    assert class_of("__builtin__", "set", 4) is NameClass.UNLISTED
    assert class_of("__builtin__", "eval", 4) is NameClass.DANGEROUS


def test_the_worst_row_on_the_way_is_given() -> None:
    row = find("shutil", "os.system")
    assert row is not None
    assert row.severity is Severity.CRITICAL


def test_a_hostile_name_costs_little() -> None:
    start = time.perf_counter()
    load_catalogue().find("torch", "a." * 2_000_000)
    row = find("torch", "nn." * 200_000 + "os.system")
    assert row is not None
    assert row.severity is Severity.CRITICAL
    assert time.perf_counter() - start < 5


def test_names_whose_argument_decides_are_marked() -> None:
    for module, name in [
        ("builtins", "getattr"),
        ("builtins", "map"),
        ("builtins", "filter"),
        ("builtins", "apply"),
        ("builtins", "type"),
        ("operator", "attrgetter"),
        ("operator", "methodcaller"),
        ("functools", "partial"),
        ("functools", "reduce"),
        ("copyreg", "_reconstructor"),
        ("codecs", "decode"),
        ("_codecs", "encode"),
        ("types", "CodeType"),
        ("types", "FunctionType"),
        ("pickle", "loads"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("joblib", "load"),
        ("numpy", "load"),
        ("dill._dill", "_create_function"),
        ("cloudpickle.cloudpickle", "_make_function"),
        ("torch._tensor", "_rebuild_from_type_v2"),
        ("numpy.random._pickle", "__generator_ctor"),
        ("numpy.core", "_ufunc_reconstruct"),
    ]:
        row = find(module, name)
        assert row is not None, (module, name)
        assert row.by_argument, (module, name)


def test_an_own_catalogue_can_be_made_of_rows() -> None:
    row = Entry(
        module="pkg",
        name="f",
        name_class=NameClass.INERT,
        uses=frozenset({Use.NAMED}),
        why="does nothing",
        source="here",
    )
    catalogue = Catalogue([row])
    assert catalogue.find("pkg", "f") is row
    assert catalogue.find("pkg", "g") is None
    assert list(catalogue) == [row]
