"""The catalogue of names: what importing, constructing or calling a global does.

The rows are data, in `names/*.toml`, one `[[group]]` for rows that share class, effect and source:

    [[group]]
    class = "dangerous"            # or "inert"
    severity = "critical"          # of dangerous rows
    uses = ["named", "called"]     # of inert rows: the uses in which they are inert
    by_argument = true             # optional: what it does depends on what it is given
    enum = true                    # optional: getattr may fetch the members of these
    why = "runs a command"
    source = "CPython 3.13 Lib/os.py"
    [group.names]                  # module = names, exact; what the marks mean:
    "os" = ["*"]                   #   every name of the module (dangerous rows only)
    "idlelib.*" = ["*"]            #   the module and everything below it (dangerous rows only)
    "*" = ["__globals__"]          #   an attribute of that name, wherever it is found

Everything that no row names is unlisted, and a row for a package says nothing of what is in it.
`[reviewed]` in stdlib.toml names the modules in which nothing deserves a row: a test reads it.
"""

from __future__ import annotations

import hashlib
import tomllib
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from hubaudit.model import NameClass, Severity

# numpy 2.0 renamed numpy.core to numpy._core and loads both; files of numpy 1.x say numpy.core.
_SAME_PACKAGE = (("numpy._core", "numpy.core"),)

# The longest path in the catalogue has 8 parts. Of a longer name than this the ends are looked at:
# modules that import each other make paths of any length, and a hostile one must not cost more.
_MOST_PARTS = 1000


class Use(StrEnum):
    """What a pickle does with a global, from the least to the most."""

    NAMED = "named"  # pushed on the stack, perhaps an argument of something else
    CONSTRUCTED = "constructed"  # NEWOBJ, NEWOBJ_EX, copyreg._reconstructor, then BUILD
    CALLED = "called"  # REDUCE, INST, OBJ


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the catalogue.

    `uses` are those in which an inert name is inert; any other use of it is as good as unlisted.
    `severity` is None for inert rows. `by_argument`: its arguments decide, and the row's class is
    what holds while nobody has looked at them. `enum`: getattr may fetch the members.
    """

    module: str
    name: str
    name_class: NameClass
    uses: frozenset[Use]
    why: str
    source: str
    severity: Severity | None = None
    by_argument: bool = False
    enum: bool = False

    def is_inert(self, use: Use) -> bool:
        """True when the row says that this use of the name does nothing."""
        return self.name_class is NameClass.INERT and use in self.uses


class Catalogue:
    """Rows by exact name. `load_catalogue` makes the shipped one; tests may make their own."""

    def __init__(self, rows: Iterable[Entry]) -> None:
        self._exact: dict[tuple[str, str], Entry] = {}
        self._modules: dict[str, Entry] = {}
        self._packages: dict[str, Entry] = {}
        self._attributes: dict[str, Entry] = {}
        for row in rows:
            self._add(row)
        self._paths = {
            f"{row.module}.{row.name}": row
            for row in self._exact.values()
            if row.name_class is NameClass.DANGEROUS
        }
        self._longest = max((path.count(".") + 1 for path in self._paths), default=0)

    def _add(self, row: Entry) -> None:
        if row.module == "*":
            self._attributes[row.name] = row
        elif row.name != "*":
            self._exact[row.module, row.name] = row
        elif row.module.endswith(".*"):
            self._packages[row.module[:-2]] = row
        else:
            self._modules[row.module] = row

    def __iter__(self) -> Iterator[Entry]:
        """Every row, those of whole modules and of attributes with their marks."""
        yield from self._exact.values()
        yield from self._modules.values()
        yield from self._packages.values()
        yield from self._attributes.values()

    def find(self, module: str, name: str, protocol: int | None = None) -> Entry | None:
        """The row for a global, or None for an unlisted one. The entry has the name asked for.

        `protocol` is the pickle's. Below 3, or if it is not known, the names of Python 2 mean what
        the unpickler maps them to; from 3 on they cannot make a name inert, only dangerous. A
        dotted name is judged by every path in it as well: `("shutil", "os.system")` is dangerous.
        """
        row = self._exact.get((module, name)) or self._reached(module, name)
        if row is None:
            row = self._by_python_2_name(module, name, protocol)
        if row is None or (row.module, row.name) == (module, name):
            return row
        return replace(row, module=module, name=name)

    def _by_python_2_name(self, module: str, name: str, protocol: int | None) -> Entry | None:
        today = canonical(module, name)
        if today == (module, name):
            return None
        row = self._exact.get(today) or self._reached(*today)
        if row is None or row.name_class is NameClass.DANGEROUS or protocol is None:
            return row
        return row if protocol < 3 else None

    def _reached(self, module: str, name: str) -> Entry | None:
        """The worst dangerous row that the module or a path in the name leads to."""
        return min(self._paths_of(module, name), key=_rank, default=None)

    def _paths_of(self, module: str, name: str) -> Iterator[Entry]:
        parts = name.split(".")
        if len(parts) > _MOST_PARTS:
            parts = parts[: _MOST_PARTS // 2] + parts[-_MOST_PARTS // 2 :]
        yield from self._whole(module)
        yield from (self._attributes[part] for part in parts if part in self._attributes)
        yield from self._along(module, parts)
        for start in range(len(parts) - 1):
            yield from self._along(parts[start], parts[start + 1 :])

    def _whole(self, module: str) -> Iterator[Entry]:
        if module in self._modules:
            yield self._modules[module]
        while module:
            if module in self._packages:
                yield self._packages[module]
            module = module.rpartition(".")[0]

    def _along(self, path: str, parts: list[str]) -> Iterator[Entry]:
        """The dangerous rows on the way from `path` through `parts`, each an attribute."""
        for part in parts[: self._longest]:
            if path in self._modules:
                yield self._modules[path]
            if path in self._packages:
                yield self._packages[path]
            path = f"{path}.{part}"
            if path in self._paths:
                yield self._paths[path]


def _rank(row: Entry) -> int:
    return row.severity.rank if row.severity else len(Severity)


def canonical(module: str, name: str) -> tuple[str, str]:
    """What Python 3 looks up for a global of a pickle of protocol 0, 1 or 2.

    The tables are CPython's, `Lib/_compat_pickle.py`: a renamed name first, else a renamed module.
    """
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def spellings(module: str) -> Iterator[str]:
    """`module` under every name that the same package has had, before and after."""
    yield from _places(module)
    for now, before in _SAME_PACKAGE:
        if module == before or module.startswith(f"{before}."):
            yield now + module[len(before) :]


@cache
def load_catalogue() -> Catalogue:
    """The shipped catalogue, read once. Raises nothing: the tests validate the data."""
    return Catalogue(rows())


def rows() -> Iterator[Entry]:
    """Every row as shipped, in the order of the files, doubles included."""
    for text in _files().values():
        for group in tomllib.loads(text)["group"]:
            yield from _rows_of(group)


@cache  # every report and every look of a watch asks again
def catalogue_digest() -> str:
    """sha256, hex, of the shipped data: names and texts of the files. Part of the ruleset's."""
    digest = hashlib.sha256()
    for name, text in _files().items():
        digest.update(f"{name}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()


@cache
def _files() -> Mapping[str, str]:
    folder = resources.files("hubaudit.rules") / "names"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {file.name: file.read_text(encoding="utf-8") for file in found}


def _rows_of(group: Mapping[str, Any]) -> Iterator[Entry]:
    severity = group.get("severity")
    first = Entry(
        module="",
        name="",
        name_class=NameClass(group["class"]),
        uses=frozenset(Use(use) for use in group.get("uses", ())),
        why=group["why"],
        source=group["source"],
        severity=Severity(severity) if severity else None,
        by_argument=group.get("by_argument", False),
        enum=group.get("enum", False),
    )
    for module, names in group["names"].items():
        for place in _places(module):
            for name in names:
                yield replace(first, module=place, name=name)


def _places(module: str) -> Iterator[str]:
    """`module`, and its name in older versions of the package."""
    yield module
    for now, before in _SAME_PACKAGE:
        if module == now or module.startswith(f"{now}."):
            yield before + module[len(now) :]
