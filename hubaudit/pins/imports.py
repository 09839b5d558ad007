"""The modules of a project that a file imports from: found beside it and read, never imported."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from pathlib import Path

from hubaudit.pins.scopes import Module, read_module

_LEVELS = 6  # folders above a file in which the root of its project is looked for
_ROOTS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")
_BYTES = 1 << 20  # modules of constants have a few kB


class Modules:
    """What can be imported from the place of one file; without a file, nothing."""

    def __init__(self, file: Path | None = None, read: dict[Path, Module | None] | None = None):
        self.file = file
        self._read: dict[Path, Module | None] = {} if read is None else read

    def find(self, dotted: str) -> tuple[Module, Modules] | None:
        """The module of that name, as an `import` spells it with its leading dots, and what it sees."""
        path = self._path(dotted)
        if path is None:
            return None
        if path not in self._read:
            self._read[path] = _parsed(path)
        module = self._read[path]
        return None if module is None else (module, Modules(path, self._read))

    def _path(self, dotted: str) -> Path | None:
        if self.file is None:
            return None
        name = dotted.lstrip(".")
        level = len(dotted) - len(name)
        parts = name.split(".") if name else []
        above = [self.file.parent, *self.file.parent.parents]
        for root in above[level - 1 : level] if level else _roots(above):
            base = root.joinpath(*parts)
            for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
                if (parts or path.name == "__init__.py") and _is_file(path):
                    return path
        return None


NO_MODULES = Modules()


def _roots(above: list[Path]) -> list[Path]:
    """Where an absolute import looks: beside the file, and on the way up to the root of the project."""
    found: list[Path] = []
    for folder in above[:_LEVELS]:
        found += [folder, folder / "src"]
        if any((folder / name).exists() for name in _ROOTS):
            break
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _BYTES
    except (OSError, ValueError):
        return False


def _parsed(path: Path) -> Module | None:
    """None for what is no Python: that is told where the file itself is looked at."""
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's own escapes
            return read_module(ast.parse(content.decode(encoding)))
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None
