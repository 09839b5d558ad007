"""The files that references are looked for in: found below folders, read, and handed to their finder."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hubaudit.errors import PathError
from hubaudit.pins import FINDERS, Modules
from hubaudit.pins.reference import Found, Place, Unparsed

# Folders of tools and of installed packages: what is in them is not written here.
_SKIPPED = frozenset(
    ".git .hg .svn .venv .tox .nox .eggs .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis "
    ".ipynb_checkpoints node_modules __pycache__ site-packages".split()
)
_BYTES = 64 * 2**20  # the Hub's largest notebooks, with their pictures, have a third of that


@dataclass(frozen=True, slots=True)
class FileFound:
    """What one file refers to. `path` as the user would write it, with `/` everywhere."""

    path: str
    found: Found


def search(paths: Iterable[Path]) -> Iterator[FileFound]:
    """What the files refer to, and those below the folders. Raises PathError for what is not there.

    A file that is named is searched if it has a known suffix or is a Python script; of others there is
    nothing to tell.
    """
    for file in dict.fromkeys(file for path in paths for file in _files(path)):
        suffix = _kind(file)
        if suffix is not None:
            yield FileFound(file.as_posix(), _find(file, suffix))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(_below(path))
    if not path.exists():
        raise PathError(f"{path} is not there", hint="name files or folders on this machine")
    return [path]


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_stop):
        here = Path(root)
        folders[:] = [
            name
            for name in folders
            if name not in _SKIPPED and not (here / name / "pyvenv.cfg").exists()
        ]
        yield from (here / name for name in names if Path(name).suffix.lower() in FINDERS)


def _stop(error: OSError) -> None:
    raise PathError(
        f"{error.filename} cannot be listed: {error.strerror}", hint="see who may read it"
    ) from None


def _kind(file: Path) -> str | None:
    suffix = file.suffix.lower()
    if suffix in FINDERS:
        return suffix
    try:
        with file.open("rb") as opened:
            first = opened.readline(200)
    except OSError:
        return None
    return ".py" if first.startswith(b"#!") and b"python" in first else None


def _find(file: Path, suffix: str) -> Found:
    try:
        if file.stat().st_size > _BYTES:
            return _unread(f"larger than {_BYTES // 2**20} MiB")
        text = _decoded(file.read_bytes(), suffix)
    except OSError as error:
        return _unread(f"cannot be read: {error.strerror}")
    except (UnicodeDecodeError, SyntaxError, LookupError) as error:
        return _unread(f"cannot be decoded: {error}")

    def exists(name: str) -> bool:
        try:
            return Path(name).exists() or (file.parent / name).exists()
        except (OSError, ValueError):  # too long for a path, or with a NUL in it
            return False

    return FINDERS[suffix](text, exists, Modules(file))


def _unread(why: str) -> Found:
    return Found(unparsed=(Unparsed(Place(1, 1), why),))


def _decoded(content: bytes, suffix: str) -> str:
    """The text, with `\\n` at the end of each line. Python's own rule for Python, else UTF-8."""
    encoding = "utf-8-sig"
    if suffix in (".py", ".pyw"):
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
