"""File blocks that were fetched by range, kept on disk by content hash for the next audit.

A store can be lost, torn or shared at any time: whatever does not check is fetched again.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from glob import glob
from pathlib import Path

import platformdirs

from hubaudit.model import RepoFile, RepoRef
from hubaudit.source.digest import matches_listing
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import BLOCK, NoStore

LIMIT = 512 * 1024 * 1024  # on disk: ranges of some thousand repositories, at about 100 KiB each
_WHOLE = 8 * 1024 * 1024  # up to here a file that is there whole is hashed before it is believed
_NAME = re.compile(r"(\d{1,12})-(\d{1,7})\.blocks")
_DIGEST = hashlib.sha256().digest_size


def store_root() -> Path:
    """`ranges` below HUBAUDIT_CACHE, or below the user's cache folder for hubaudit."""
    root = os.environ.get("HUBAUDIT_CACHE")
    base = Path(root).expanduser() if root else platformdirs.user_cache_path("hubaudit")
    return base / "ranges"


class RangeStore:
    """The `BlockStore` of one file.

    Each put is a file `<first block>-<number of blocks>.blocks`: a sha256, and the bytes it is of. The
    repository and its Hub are part of the key: one's bytes must not answer for another's claim of the same
    hash, nor for a gated repository's that one may not read.
    """

    def __init__(self, root: Path, repo: RepoRef, file: RepoFile) -> None:
        self._file = file
        name = f"{repo.endpoint} {repo.repo_type} {repo.repo_id}"
        key = hashlib.sha256(name.encode()).hexdigest()[:16]
        self._folder = root / key / (file.sha256 or file.blob_id or "")
        self._usable = bool(file.sha256 or file.blob_id)
        self._extents: list[tuple[int, int]] | None = None
        self._loaded: tuple[int, bytes] = (0, b"")

    def get(self, index: int) -> bytes | None:
        """Block `index`, or None."""
        for first, count in self._known():
            if first <= index < first + count:
                data = self._load(first, count)
                if data is not None:
                    at = (index - first) * BLOCK
                    return data[at : at + BLOCK]
        return None

    def put(self, first: int, data: bytes) -> None:
        """Keep blocks from `first` on. A disk that takes nothing is no reason to fail."""
        if not self._usable or not data or self._is_wrong(first, data):
            return
        count = -(-len(data) // BLOCK)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as opened:
                    opened.write(hashlib.sha256(data).digest() + data)
                Path(name).replace(self._path(first, count))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self._known().append((first, count))

    def frozen(self) -> FrozenStore:
        """The same blocks, and no more."""
        return FrozenStore(self)

    @staticmethod
    def prune(root: Path, limit: int = LIMIT) -> None:
        """Remove the oldest extents until all together have at most `limit` bytes."""
        found = []
        for path in _below(root, "*/*/*"):
            with suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= limit:
                return
            with suppress(OSError):
                path.unlink()
                total -= size

    def _path(self, first: int, count: int) -> Path:
        return self._folder / f"{first}-{count}.blocks"

    def _known(self) -> list[tuple[int, int]]:
        if self._extents is None:
            names = [p.name for p in _below(self._folder, "*.blocks")] if self._usable else []
            matches = [m for m in map(_NAME.fullmatch, names) if m]
            self._extents = sorted((int(m[1]), int(m[2])) for m in matches)
        return self._extents

    def _load(self, first: int, count: int) -> bytes | None:
        if self._loaded[0] == first and -(-len(self._loaded[1]) // BLOCK) == count:
            return self._loaded[1]
        try:
            raw = self._path(first, count).read_bytes()
        except OSError:
            raw = b""
        data = raw[_DIGEST:]
        expected = min((first + count) * BLOCK, self._file.size) - first * BLOCK
        torn = len(data) != expected or hashlib.sha256(data).digest() != raw[:_DIGEST]
        if torn or self._is_wrong(first, data):
            self._known().remove((first, count))
            return None
        self._loaded = (first, data)
        return data

    def _is_wrong(self, first: int, data: bytes) -> bool:
        """Whether this is the whole file and does not have the hash it is kept under."""
        if first != 0 or len(data) != self._file.size or len(data) > _WHOLE:
            return False
        return not matches_listing(self._file, MemorySource(data))


def _below(folder: Path, pattern: str) -> list[Path]:
    """Nothing of a folder that vanishes meanwhile, which is an error to `Path.glob`."""
    names = glob(pattern, root_dir=folder, include_hidden=True)  # noqa: PTH207
    return [folder / name for name in names]


class FrozenStore(NoStore):
    """A store to read only."""

    def __init__(self, store: RangeStore) -> None:
        self._store = store

    def get(self, index: int) -> bytes | None:
        return self._store.get(index)
