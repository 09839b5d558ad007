"""Where the bytes of an audit come from: a commit on the Hub, or local files and folders."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from hubaudit.errors import FileUnavailable, HubError, PathError
from hubaudit.formats.contents import Format
from hubaudit.hub.client import HubClient
from hubaudit.model import Listing, LoadRole, ReadHow, RepoFile, RepoRef, Unread
from hubaudit.remembering import NO_MEMORY, Memory
from hubaudit.selection import how_to_read, promises_pickle
from hubaudit.source import Source
from hubaudit.source.local import LocalSource
from hubaudit.source.remote import BLOCK, EDGE

Fetch = Literal["auto", "cache", "range"]

# Files are read in parallel; the client's own snapshot_download uses as many threads.
_THREADS = 8


class Files(Protocol):
    """Where the bytes come from. Opening raises FileUnavailable for one file's trouble."""

    @property
    def most_sniffed(self) -> int:
        """Of how many files at most the first bytes are looked at. Of more, that is said."""
        ...

    @property
    def memory(self) -> Memory:
        """What is known of their content from before."""
        ...

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        """A source of which only the beginning, or small parts, will be read."""
        ...

    def open(self, file: RepoFile, how: ReadHow, /) -> AbstractContextManager[Source]: ...

    def how(self, file: RepoFile, format_: Format, role: LoadRole, /) -> ReadHow: ...

    def interrupt(self) -> None:
        """End whatever wait other threads are in. Nothing can be opened any more."""
        ...


@contextmanager
def reading_threads(files: Files) -> Iterator[ThreadPoolExecutor]:
    """Threads to read `files` with. When the block fails, what they wait for is given up.

    After a failure of the Hub they are waited for, since the client that they read through is closed
    next. After Ctrl-C they are not: one may be stuck in a read.
    """
    pool = ThreadPoolExecutor(_THREADS)
    with ExitStack() as after_a_failure:
        after_a_failure.callback(_give_up, pool, files)
        try:
            yield pool
        except HubError:
            _give_up(pool, files)
            pool.shutdown()
            raise
        after_a_failure.pop_all()
    pool.shutdown()


def _give_up(pool: ThreadPoolExecutor, files: Files) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    files.interrupt()


@dataclass(frozen=True, slots=True)
class HubFiles:
    """`fetch`: which pickle-format files go whole into the HF cache; `auto`: those that the loader opens."""

    hub: HubClient
    repo: RepoRef
    fetch: Fetch = "auto"
    most_sniffed: int = (
        5000  # two requests each, of the 3000 an anonymous caller has in five minutes
    )
    memory: Memory = NO_MEMORY

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        weights = promises_pickle(file.path) or file.path.endswith(".safetensors")
        edge = EDGE if weights else BLOCK
        return nullcontext(self.hub.open_range(self.repo, file, edge=edge))

    def open(self, file: RepoFile, how: ReadHow) -> AbstractContextManager[Source]:
        if how is not ReadHow.CACHE:
            return self.open_start(file)
        return _open_local(self.hub.download(self.repo, file))

    def how(self, file: RepoFile, format_: Format, role: LoadRole) -> ReadHow:
        how = how_to_read(file.path, format_)
        match self.fetch:
            case "auto" if how is ReadHow.CACHE and role is not LoadRole.LOADED:
                return ReadHow.RANGE
            case "range" if how is ReadHow.CACHE:
                return ReadHow.RANGE
            case "cache" if how is ReadHow.RANGE and format_ is not Format.UNCERTAIN:
                return ReadHow.CACHE
            case _:
                return how

    def interrupt(self) -> None:
        self.hub.stop()


@dataclass(frozen=True, slots=True)
class LocalFiles:
    root: Path
    most_sniffed: int = sys.maxsize
    memory: Memory = NO_MEMORY

    def list(self) -> Listing:
        if not self.root.exists():
            raise PathError(f"{self.root} does not exist", hint="check the path")
        repo = RepoRef(self.root.resolve().name, "local", None, None, None)
        paths = sorted(self.root.rglob("*")) if self.root.is_dir() else [self.root]
        files, unread = [], []
        for path in paths:
            name = path.relative_to(self._base).as_posix()
            try:
                found = path.stat()
            except OSError as error:
                unread.append(Unread(name, None, f"it cannot be read: {error.strerror}"))
                continue
            if stat.S_ISREG(found.st_mode):
                files.append(RepoFile(name, found.st_size))
            elif not stat.S_ISDIR(found.st_mode):
                unread.append(Unread(name, None, "it is no regular file"))
            elif path.is_symlink():
                unread.append(Unread(name, None, "a link to a folder is not followed"))
        if not files and not unread:  # most likely another folder was meant
            raise PathError(f"there are no files in {self.root}", hint="check the path")
        return Listing(repo, tuple(files), tuple(unread))

    @property
    def _base(self) -> Path:
        return self.root if self.root.is_dir() else self.root.parent

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        return _open_local(self._base / file.path)

    def open(self, file: RepoFile, _how: ReadHow, /) -> AbstractContextManager[Source]:
        return self.open_start(file)

    def how(self, _file: RepoFile, _format: Format, _role: LoadRole, /) -> ReadHow:
        return ReadHow.LOCAL

    def interrupt(self) -> None:
        """Local files do not wait."""


def _open_local(path: Path) -> LocalSource:
    try:
        return LocalSource(path)
    except OSError as error:
        raise FileUnavailable(f"it cannot be read: {error.strerror}") from error
