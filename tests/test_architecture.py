"""The layers of docs/architecture.md, and what no module of the package may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hubaudit

PACKAGE = Path(hubaudit.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the lowest; a module may import from its own layer and from those below. A part is found by the
# longest dotted name that it starts with.
LAYERS = {
    "hubaudit": 0,
    "hubaudit.model": 0,
    "hubaudit.errors": 0,
    "hubaudit.events": 0,
    "hubaudit.config": 0,
    "hubaudit.source": 1,
    "hubaudit.pvm": 2,
    "hubaudit.formats": 2,
    "hubaudit.hub": 2,
    "hubaudit.rules": 3,
    "hubaudit.tensors": 3,
    "hubaudit.selection": 3,
    "hubaudit.loadpath": 3,
    "hubaudit.verdict": 3,
    "hubaudit.waivers": 3,
    "hubaudit.baseline": 3,
    "hubaudit.policyfile": 4,
    "hubaudit.policysearch": 4,
    "hubaudit.baselinefile": 4,
    "hubaudit.opening": 3,
    "hubaudit.examine": 4,
    "hubaudit.comparing": 4,
    "hubaudit.agreement": 4,
    "hubaudit.pipeline": 4,
    "hubaudit.explain": 4,
    "hubaudit.conversion": 4,
    "hubaudit.remembering": 3,
    "hubaudit.lists": 5,
    "hubaudit.store": 5,
    "hubaudit.sweeping": 5,
    "hubaudit.report": 5,
    "hubaudit.watch": 5,
    "hubaudit.notify": 5,
    "hubaudit.engines": 5,
    "hubaudit.pins": 5,
    "hubaudit.cli": 6,
    "hubaudit.demo": 6,
    "hubaudit.__main__": 7,
}
# Within a layer: `a` may be imported by `b`, not the other way round.
BELOW = {
    ("hubaudit.pvm", "hubaudit.formats"),
    ("hubaudit.demo", "hubaudit.cli"),
    ("hubaudit.policyfile", "hubaudit.policysearch"),
    ("hubaudit.examine", "hubaudit.pipeline"),
    ("hubaudit.agreement", "hubaudit.pipeline"),
    ("hubaudit.comparing", "hubaudit.pipeline"),
    ("hubaudit.comparing", "hubaudit.agreement"),
}

PURE = (
    "pvm",
    "formats",
    "rules",
    "tensors",
    "selection",
    "loadpath",
    "verdict",
    "waivers",
    "baseline",
)
FORBIDDEN_MODULES = {
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"),
    *("torch", "numpy", "importlib.import_module", "runpy", "imp", "click"),
}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "import_module", "compile"}
IMPURE_MODULES = {"os", "socket", "subprocess", "time", "datetime", "random", "pathlib.Path", "sys"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def part_of(module: str) -> str:
    while module not in LAYERS:
        module, _, last = module.rpartition(".")
        assert module, f"no layer for {last}"
    return module


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each imported module or name, and whether it is only needed by type checkers."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in typing_only
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in typing_only


# The nouns and the public names reach up, when they are used and not when they are imported.
REACHING_UP = {
    ("hubaudit.model", "hubaudit.report"),
    ("hubaudit", "hubaudit.pipeline"),
    ("hubaudit", "hubaudit.policyfile"),
}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    here = part_of(name_of(path))
    for imported, typing_only in imports_of(path):
        if not imported.startswith("hubaudit.") or typing_only:
            continue
        there = part_of(imported)
        if there == here or (here, there) in REACHING_UP:
            continue
        same_layer = LAYERS[there] == LAYERS[here]
        allowed = LAYERS[there] < LAYERS[here] or (
            same_layer and (LAYERS[here] == 0 or LAYERS[here] in (3, 5) or (there, here) in BELOW)
        )
        assert allowed, f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_that_could_load_a_pickle_is_imported_or_called(path: Path) -> None:
    for imported, _ in imports_of(path):
        tops = {imported, imported.partition(".")[0]}
        assert not tops & FORBIDDEN_MODULES, imported
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in FORBIDDEN_CALLS, f"line {node.lineno}: {called}"
            assert not called.endswith((".import_module", ".__import__")), f"line {node.lineno}"


def is_pure(path: Path) -> bool:
    return path.relative_to(PACKAGE).with_suffix("").parts[0] in PURE


@pytest.mark.parametrize("path", [path for path in MODULES if is_pure(path)], ids=name_of)
def test_the_core_has_no_files_clocks_or_environment(path: Path) -> None:
    for imported, _ in imports_of(path):
        assert imported not in IMPURE_MODULES, imported
        assert imported.partition(".")[0] not in IMPURE_MODULES - {"pathlib.Path"}, imported
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"open", "print", "input"}, f"line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rich_and_typer_stay_at_the_edge(path: Path) -> None:
    name = name_of(path)
    for imported, _ in imports_of(path):
        top = imported.partition(".")[0]
        if top == "typer":
            assert name.startswith("hubaudit.cli"), imported
        if top == "rich":
            assert name.startswith(("hubaudit.cli", "hubaudit.report.terminal")), imported


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_server_needs_the_extra_for_it(path: Path) -> None:
    for imported, _ in imports_of(path):
        top = imported.partition(".")[0]
        if top in {"starlette", "uvicorn"}:
            assert name_of(path) == "hubaudit.watch.server", imported
        if top == "prometheus_client":
            assert name_of(path) == "hubaudit.watch.metrics", imported
        if imported.startswith("hubaudit.watch.metrics"):
            assert name_of(path) == "hubaudit.watch.server", imported


BROAD = re.compile(r"except (\(?.*\b)?(Exception|BaseException)\b|except:")


def test_only_the_command_line_catches_everything() -> None:
    for path in MODULES:
        found = BROAD.search(path.read_text(encoding="utf-8"))
        # one repository must not end a sweep, one sink not the delivery to others
        allowed = (
            "hubaudit.cli",
            "hubaudit.sweeping.run",
            "hubaudit.notify.deliver",
            "hubaudit.watch.poll",
        )
        assert not found or name_of(path).startswith(allowed), name_of(path)


def test_there_is_no_drawer_for_everything() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "misc", "common"}]


def test_every_module_says_what_it_is_for() -> None:
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name_of(path)
