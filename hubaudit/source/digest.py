"""The two hashes by which the Hub names a file's content, computed over a source.

A plain file is named by git's blob id, `sha1("blob <size>\\0" + content)`; an LFS file by the sha256 of
its content (`lfs.oid` of the listing), its blob id then being that of the pointer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hubaudit.model import RepoFile
from hubaudit.source import Source

CHUNK = 1 << 20  # larger ones were not faster


def sha256_of(source: Source) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()


def git_blob_id_of(source: Source) -> str:
    # git's own content address, not a signature: the Hub gives nothing stronger for these files
    digest = hashlib.sha1(f"blob {source.size}\0".encode(), usedforsecurity=False)
    for chunk in _chunks(source):
        digest.update(chunk)
    return digest.hexdigest()


def matches_listing(file: RepoFile, source: Source) -> bool | None:
    """Whether the bytes of `source` are those that the listing names; None if it names none."""
    if file.sha256 is not None:
        return sha256_of(source) == file.sha256
    if file.blob_id is not None:
        return git_blob_id_of(source) == file.blob_id
    return None


def _chunks(source: Source) -> Iterator[bytes]:
    for offset in range(0, source.size, CHUNK):
        yield source.read(offset, CHUNK)
