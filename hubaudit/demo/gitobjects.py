"""Git object ids, computed from content: blobs, LFS pointers, trees and commits.

Formats as in git's own documentation (gitformat-pack, "Object storage") and the git-lfs pointer
specification, version 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_AUTHOR = "Stand-in Hub <hub@localhost>"

_Nested = dict[str, "bytes | _Nested"]


@dataclass(frozen=True, slots=True)
class Lfs:
    """What the Hub tells of a large file. `size` is the content's, `pointer_size` the git blob's."""

    sha256: str
    size: int
    pointer_size: int


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file or directory of one commit. `oid` is the git id: of the *pointer* for an LFS file."""

    path: str
    oid: str
    size: int = 0
    lfs: Lfs | None = None
    is_directory: bool = False


def object_id(kind: str, body: bytes) -> str:
    """The sha1 that git gives an object: `kind` is blob, tree or commit."""
    return hashlib.sha1(
        b"%s %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False
    ).hexdigest()


def lfs_pointer(content: bytes) -> bytes:
    """The text that git stores in place of a large file."""
    digest = hashlib.sha256(content).hexdigest()
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    ).encode()


def tree_entries(
    files: Mapping[str, bytes], is_lfs: Callable[[str, int], bool]
) -> dict[str, TreeEntry]:
    """Every file and directory of a commit by its path; the root directory has the path ``""``."""
    nested: _Nested = {}
    for path, content in files.items():
        *parents, name = path.split("/")
        level = nested
        for parent in parents:
            below = level.setdefault(parent, {})
            if isinstance(below, bytes):
                raise ValueError(f"{path!r}: {parent!r} is a file and a directory")
            level = below
        if name in level:
            raise ValueError(f"{path!r} is a file and a directory")
        level[name] = content
    entries: dict[str, TreeEntry] = {}
    root = _tree(nested, "", is_lfs, entries)
    return entries | {"": TreeEntry("", root, is_directory=True)}


def commit_id(tree: str, parent: str | None, message: str, timestamp: int) -> str:
    """The id of a commit by the stand-in's one author; `timestamp` in seconds, UTC."""
    lines = [f"tree {tree}"]
    if parent is not None:
        lines.append(f"parent {parent}")
    lines += [f"{role} {_AUTHOR} {timestamp} +0000" for role in ("author", "committer")]
    return object_id("commit", "\n".join([*lines, "", message + "\n"]).encode())


def _tree(
    nested: _Nested,
    prefix: str,
    is_lfs: Callable[[str, int], bool],
    entries: dict[str, TreeEntry],
) -> str:
    """Fill `entries` from the leaves up; returns the tree's own id."""
    rows: list[tuple[bytes, bytes]] = []
    for name, child in nested.items():
        path = prefix + name
        if isinstance(child, bytes):
            entry, mode, order = _file(path, child, is_lfs(path, len(child))), b"100644", name
        else:
            oid = _tree(child, path + "/", is_lfs, entries)
            entry, mode, order = TreeEntry(path, oid, is_directory=True), b"40000", name + "/"
        entries[path] = entry
        row = mode + b" " + name.encode() + b"\0" + bytes.fromhex(entry.oid)
        rows.append((order.encode(), row))
    return object_id("tree", b"".join(row for _, row in sorted(rows)))


def _file(path: str, content: bytes, large: bool) -> TreeEntry:
    if not large:
        return TreeEntry(path, object_id("blob", content), len(content))
    pointer = lfs_pointer(content)
    lfs = Lfs(hashlib.sha256(content).hexdigest(), len(content), len(pointer))
    return TreeEntry(path, object_id("blob", pointer), len(content), lfs)
