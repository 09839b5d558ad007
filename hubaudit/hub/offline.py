"""What the HF cache holds, and the Hub's part played by it when HF_HUB_OFFLINE=1 forbids to ask anybody.

The layout is huggingface_hub's: `refs/<revision>`, `snapshots/<commit>/<path>` → `blobs/<etag>`, and
`trees/<commit>.json`, written since 1.22 by snapshot_download.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub.file_download import repo_folder_name

from hubaudit.errors import FileUnavailable, HubAnswerInvalid, NotCached
from hubaudit.hub.access import Access
from hubaudit.hub.listing import TreeReader, unusable_name
from hubaudit.model import Listing, RepoFile, RepoRef, Target, Unread
from hubaudit.source.digest import matches_listing
from hubaudit.source.local import LocalSource

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HASHED = 16 << 20  # bytes: 10 ms
_TREE_FORMAT = 1  # of trees/<commit>.json, in huggingface_hub 1.22 to 2.4


def pin(access: Access, target: Target, revision: str) -> RepoRef:
    """The commit that the cache has for the revision. Raises NotCached."""
    folder = _folder(access, target.repo_id, target.repo_type)
    commit = revision if _COMMIT.fullmatch(revision) else _ref(folder, revision)
    if commit is None or not (
        _snapshot(folder, commit).is_dir() or _tree(folder, commit).is_file()
    ):
        cached = sorted(p.name for p in folder.glob("snapshots/*") if _COMMIT.fullmatch(p.name))
        known = f"audit {target.repo_id}@{cached[0]}, which is cached, or " if cached else ""
        raise NotCached(
            f"offline, and the cache does not hold {target.repo_id} at {revision}",
            hint=f"{known}unset HF_HUB_OFFLINE",
        )
    return RepoRef(target.repo_id, target.repo_type, revision, commit, access.endpoint)


def list_files(access: Access, repo: RepoRef) -> Listing:
    """The commit's files as far as the cache knows them: the whole listing, or what was downloaded."""
    folder = _folder(access, repo.repo_id, repo.repo_type)
    commit = repo.commit_hash or ""
    entries = _cached_tree(_tree(folder, commit))
    if entries is not None:
        reader = TreeReader(repo)
        try:
            reader.add_page(entries)
        except HubAnswerInvalid:
            pass
        else:
            return reader.listing()
    return _snapshot_listing(repo, _snapshot(folder, commit))


def holds(access: Access, repo: RepoRef, file: RepoFile) -> bool:
    """Whether the cache has the file whole, under the name of its hash.

    A small one is hashed; of a large one the name has to do, as for whoever loads it from there.
    """
    path = (
        _snapshot(_folder(access, repo.repo_id, repo.repo_type), repo.commit_hash or "") / file.path
    )
    if unusable_name(file.path) or not path.is_file():
        return False
    cached = _cached_file(path, file.path)
    if not isinstance(cached, RepoFile) or cached.size != file.size:
        return False
    if file.size > _HASHED:
        return (cached.sha256 or cached.blob_id or "") in (file.sha256, file.blob_id)
    try:
        with LocalSource(path) as source:
            return bool(matches_listing(file, source))
    except OSError:
        return False


def reader(access: Access, repo: RepoRef, file: RepoFile) -> Callable[[int, int], bytes]:
    """`fetch` for a `RemoteSource`, out of the snapshot. It raises FileUnavailable."""
    folder = _folder(access, repo.repo_id, repo.repo_type)
    path = _snapshot(folder, repo.commit_hash or "") / file.path

    def fetch(start: int, end: int) -> bytes:
        try:
            with path.open("rb") as opened:
                opened.seek(start)
                data = opened.read(end - start)
        except (OSError, ValueError) as error:
            raise FileUnavailable("it is not in the cache (offline)") from error
        if len(data) != end - start:
            raise FileUnavailable("it is shorter in the cache than it should be")
        return data

    return fetch


def _folder(access: Access, repo_id: str, repo_type: str) -> Path:
    return access.hf_cache / repo_folder_name(repo_id=repo_id, repo_type=repo_type)


def _snapshot(folder: Path, commit: str) -> Path:
    return folder / "snapshots" / commit


def _tree(folder: Path, commit: str) -> Path:
    return folder / "trees" / f"{commit}.json"


def _ref(folder: Path, revision: str) -> str | None:
    if unusable_name(revision):
        return None
    try:
        commit = (folder / "refs" / revision).read_text().strip()
    except (OSError, ValueError):
        return None
    return commit if _COMMIT.fullmatch(commit) else None


def _cached_tree(path: Path) -> list[dict[str, Any]] | None:
    """The cached listing as the Hub's tree entries. `get_cached_repo_tree` leaves the LFS hash out."""
    try:
        cached = json.loads(path.read_bytes())
        if cached["format_version"] != _TREE_FORMAT:
            return None
        return [_entry(name, info) for name, info in cached["files"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _entry(name: str, info: dict[str, Any]) -> dict[str, Any]:
    entry = {"type": "file", "path": name, "size": info["size"], "oid": info["blob_id"]}
    if "lfs_sha256" in info:
        entry["lfs"] = {"oid": info["lfs_sha256"], "size": info.get("lfs_size", info["size"])}
    return entry


def _snapshot_listing(repo: RepoRef, snapshot: Path) -> Listing:
    files, unread = [], [Unread(".", None, "the listing of the commit is not cached (offline)")]
    for path in sorted(_walk(snapshot)):
        name = path.relative_to(snapshot).as_posix()
        made = unusable_name(name) or _cached_file(path, name)
        if isinstance(made, RepoFile):
            files.append(made)
        else:
            unread.append(Unread(name, None, made))
    return Listing(repo, tuple(files), tuple(unread))


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _cached_file(path: Path, name: str) -> RepoFile | str:
    """The file with the hash that its blob is named by: the *first* link's target.

    With huggingface_hub's shared store the blob is a link itself, to a name that is another hash.
    """
    try:
        size = path.stat().st_size
        etag = path.readlink().name if path.is_symlink() else ""
    except OSError:
        return "it is broken in the cache (offline)"
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        return RepoFile(name, size, sha256=etag)
    if _COMMIT.fullmatch(etag):
        return RepoFile(name, size, blob_id=etag)
    return RepoFile(name, size)
