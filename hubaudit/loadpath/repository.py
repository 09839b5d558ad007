"""The commit as the rules of the libraries see it: folders, formats, and the parsed small documents."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hubaudit.formats.contents import Format
from hubaudit.loadpath.names import is_index, shard_family
from hubaudit.loadpath.paths import short, show, split
from hubaudit.model import RepoFile
from hubaudit.selection import can_execute

# Of one file so many complaints are listed: enough to see what is wrong, few enough to be read.
_MOST_PROBLEMS = 20
# HDF5 and Keras files hold no pickle, but Lambda layers: marshalled code that Keras runs on a load.
_OTHER_EXECUTABLE = (".h5", ".hdf5", ".keras")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the commit's own documents that does not fit, and the document or file it is in.

    `kind`: "index" if an index and its shards are at odds, "unread" if a document could not be had or
    is malformed, so that the more dangerous is taken of what it may say.
    """

    path: str
    message: str
    kind: Literal["index", "document", "unread"] = "document"


@dataclass(frozen=True, slots=True)
class Repository:
    """`documents` are parsed; `unread` are those that a rule would need and that could not be had,
    `missing` those of them that may yet be in order, for nobody has seen them.

    `files` are in the order of their paths. Of `folders` and `families` see `names_in` and `family`.
    """

    files: Mapping[str, RepoFile]
    formats: Mapping[str, Format]
    documents: Mapping[str, object]
    unread: frozenset[str]
    missing: frozenset[str]
    paths: tuple[str, ...]
    folders: Mapping[str, tuple[str, ...]]
    families: Mapping[tuple[str, str, str], tuple[str, ...]]

    def has(self, path: str) -> bool:
        return path in self.files

    def names_in(self, folder: str) -> tuple[str, ...]:
        """The names of the files directly in `folder` ("" for the root), sorted."""
        return self.folders.get(folder, ())

    def below(self, folder: str) -> tuple[str, ...]:
        """The paths of all files in `folder` and in the folders in it."""
        if not folder:
            return self.paths
        start = bisect_left(self.paths, f"{folder}/")
        return self.paths[start : bisect_left(self.paths, f"{folder}0")]  # "0" comes after "/"

    def family(self, folder: str, stem: str, suffix: str) -> tuple[str, ...]:
        """The paths in `folder` that are named as shards of `stem`, with what follows the numbers."""
        return self.families.get((folder, stem, suffix), ())

    def unread_configs(self, folder: str) -> list[str]:
        """The unread documents, indexes aside, that a load of `folder` may go by."""
        parts = {"model_index.json", "modules.json"} & self.files.keys()
        configs = [path for path in self.unread if not is_index(split(path)[1])]
        return sorted(path for path in configs if parts or split(path)[0] == folder)

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
        kind: Literal["document", "unread"] = "unread" if value is None else "document"
        problems += [Problem(path, complaint, kind) for complaint in complaints]
    unread = frozenset(path for path in expected if path not in parsed)
    missing = unread - documents.keys()
    if missing:
        more = f", and {len(missing) - 1} more were not" if len(missing) > 1 else ""
        message = f"it was not read{more}, so what it names is not known"
        problems.append(Problem(min(missing), message, "unread"))
    by_path = {file.path: file for file in sorted(files, key=lambda file: file.path)}
    paths = tuple(by_path)
    folders, families = _group(paths)
    return Repository(by_path, formats, parsed, unread, missing, paths, folders, families), problems


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
        return None, [f"it is no JSON: {short(str(error))}"]
    if value is None:
        return None, ["it says only null"]
    return value, bounded([f"the key {show(key)} is there twice" for key in doubles])


def bounded(complaints: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    if len(complaints) <= _MOST_PROBLEMS:
        return list(complaints)
    more = len(complaints) - _MOST_PROBLEMS
    return [*complaints[:_MOST_PROBLEMS], f"and {more} more of the kind"]


def _group(
    paths: Iterable[str],
) -> tuple[dict[str, tuple[str, ...]], dict[tuple[str, str, str], tuple[str, ...]]]:
    """Names by folder, and the paths of shards by folder, stem and suffix."""
    folders: dict[str, list[str]] = {}
    families: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        folder, name = split(path)
        folders.setdefault(folder, []).append(name)
        family = shard_family(name)
        if family is not None:
            families.setdefault((folder, *family), []).append(path)
    return (
        {folder: tuple(names) for folder, names in folders.items()},
        {key: tuple(found) for key, found in families.items()},
    )
