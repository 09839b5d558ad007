"""The commit as the rules of the libraries see it: folders, formats, and the parsed small documents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hubaudit.formats.contents import Format
from hubaudit.model import RepoFile
from hubaudit.selection import can_execute

# Of one file so many complaints are listed: enough to see what is wrong, few enough to be read.
_MOST_PROBLEMS = 20
# HDF5 and Keras files hold no pickle, but Lambda layers: marshalled code that Keras runs on a load.
_OTHER_EXECUTABLE = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the commit's own documents that does not fit, and the document or file it is in."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Repository:
    """`documents` are parsed; `unread` are those that a rule would need and that could not be had."""

    files: Mapping[str, RepoFile]
    formats: Mapping[str, Format]
    documents: Mapping[str, object]
    unread: frozenset[str] = frozenset()
    folders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        return path in self.files

    def names_in(self, folder: str) -> tuple[str, ...]:
        """The names of the files directly in `folder` ("" for the root), sorted."""
        return self.folders.get(folder, ())

    def below(self, folder: str) -> Iterator[str]:
        """The paths of all files in `folder` and in the folders in it."""
        prefix = join(folder, "")
        return (path for path in self.files if path.startswith(prefix))

    def object_at(self, path: str) -> Mapping[str, Any]:
        """The document if it is a JSON object, else an empty one."""
        found = self.documents.get(path)
        return found if isinstance(found, dict) else {}

    def may_execute(self, path: str) -> bool:
        """Whether opening the file may run something. Python sources have their own role."""
        format_ = self.formats.get(path, Format.DATA)
        if format_ in (Format.HDF5, Format.UNCERTAIN) or can_execute(path, format_):
            return True
        return path.lower().endswith(_OTHER_EXECUTABLE)


def open_repository(
    files: Sequence[RepoFile],
    formats: Mapping[str, Format],
    documents: Mapping[str, bytes],
    expected: Iterable[str],
) -> tuple[Repository, list[Problem]]:
    """`expected`: paths of the documents that matter. Those missing or malformed are `unread`."""
    parsed: dict[str, object] = {}
    problems: list[Problem] = []
    for path in sorted(documents):
        value, complaints = parse(documents[path])
        if value is not None:
            parsed[path] = value
        problems += [Problem(path, complaint) for complaint in complaints]
    unread = frozenset(path for path in expected if path not in parsed)
    for path in sorted(unread - documents.keys()):
        problems.append(Problem(path, "it was not read, so what it names is not known"))
    by_path = {file.path: file for file in files}
    return Repository(by_path, formats, parsed, unread, _folders(by_path)), problems


def parse(data: bytes) -> tuple[object | None, list[str]]:
    """JSON as Python's `json.load` on a UTF-8 file reads it, so the last of duplicate keys counts.

    None if it is malformed, then with the reason. An object with duplicate keys is a complaint, not
    an error: readers in other languages take the first.
    """
    doubles: list[str] = []

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            doubles.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return found

    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=as_dict)
    except RecursionError:
        return None, ["it is nested too deeply to be read"]
    except ValueError as error:
        return None, [f"it is no JSON: {_short(str(error))}"]
    if value is None:
        return None, ["it says only null"]
    return value, bounded([f"the key {show(key)} is there twice" for key in doubles])


def bounded(complaints: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    if len(complaints) <= _MOST_PROBLEMS:
        return list(complaints)
    more = len(complaints) - _MOST_PROBLEMS
    return [*complaints[:_MOST_PROBLEMS], f"and {more} more of the kind"]


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def split(path: str) -> tuple[str, str]:
    """The folder ("" for the root) and the name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def resolve(folder: str, name: str) -> tuple[str, bool]:
    """Where `name`, written in a document of `folder`, leads, and whether that stays in the folder."""
    stays = not name.startswith("/") and "\\" not in name and "\0" not in name and name != ""
    parts = [] if name.startswith("/") else [part for part in folder.split("/") if part]
    depth = len(parts)
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            stays = stays and len(parts) > depth
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts), stays


def show(text: object) -> str:
    """A repository's own words, short enough for a sentence."""
    return repr(_short(text if isinstance(text, str) else type(text).__name__))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _folders(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for path in sorted(files):
        folder, name = split(path)
        found.setdefault(folder, []).append(name)
    return {folder: tuple(names) for folder, names in found.items()}
