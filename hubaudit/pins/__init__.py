"""References to repositories on the Hub in code and configurations, and which of them are no pins."""

from __future__ import annotations

from typing import Protocol

from hubaudit.pins.configs import find_in_json, find_in_toml, find_in_yaml
from hubaudit.pins.imports import Modules
from hubaudit.pins.notebooks import find_in_notebook
from hubaudit.pins.python import Exists, find_in_python
from hubaudit.pins.reference import Form, Found, Place, Reference, State, Unparsed

__all__ = [
    "FINDERS",
    "Exists",
    "Form",
    "Found",
    "Modules",
    "Place",
    "Reference",
    "State",
    "Unparsed",
]


class Finder(Protocol):
    """`modules`: what the file can import from beside it."""

    def __call__(self, text: str, exists: Exists, modules: Modules = ..., /) -> Found: ...


FINDERS: dict[str, Finder] = {
    ".py": find_in_python,
    ".pyw": find_in_python,
    ".ipynb": find_in_notebook,
    ".yaml": find_in_yaml,
    ".yml": find_in_yaml,
    ".json": find_in_json,
    ".jsonc": find_in_json,
    ".toml": find_in_toml,
}
