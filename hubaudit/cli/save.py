"""Write report files whole or not at all, and nowhere but where they belong."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from hubaudit.errors import HubauditError
from hubaudit.model import RepoRef

# The Hub's own rule for a part of an id (letters, digits, `-`, `_`, `.`, at most 96), without a dot in
# front: the canonical id comes from a remote, and `..` or `.git` are no places for a report.
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_KIND_FOLDER = {"model": (), "dataset": ("datasets",), "space": ("spaces",)}


def kept_at(folder: Path, repo: RepoRef) -> Path | None:
    """Where under `folder` the report on `repo` is kept; None if its names make no proper path."""
    kind = _KIND_FOLDER.get(repo.repo_type)
    parts = repo.repo_id.split("/")
    if kind is None or len(parts) > 2 or not all(_PART.fullmatch(part) for part in parts):
        return None
    if repo.commit_hash is None or not _COMMIT.fullmatch(repo.commit_hash):
        return None
    return folder.joinpath(*kind, *parts, f"{repo.commit_hash}.json")


def write_file(path: Path, text: str) -> None:
    """`text` as the file `path`, folders as needed. Raises HubauditError; then nothing is there.

    A reader of `path` sees the old or the new file, never a part of one. A device or a pipe is written to:
    to root, putting a file in its place would be the end of /dev/null.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if _is_special(path):
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
        else:
            _replace(path, text)
    except OSError as error:
        raise HubauditError(
            f"{path} could not be written: {error.strerror or error}",
            hint="choose another place, or see who may write there",
        ) from None


def _replace(path: Path, text: str) -> None:
    """Also a symbolic link, whose target is none of our business: it may be of a hostile checkout."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise


def _is_special(path: Path) -> bool:
    """Whether it is no ordinary file, or one by a name of the system's: /dev/stdout, /dev/fd/3."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) or path.parent.resolve().parts[:2] in _DEVICES


_DEVICES = {("/", "dev"), ("/", "proc")}
