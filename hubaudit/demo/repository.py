"""A repository of the stand-in Hub: commits, refs and what the Hub says about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from hubaudit.demo.gitobjects import TreeEntry, commit_id, tree_entries

MAIN = "refs/heads/main"

# Commits are a day apart from a fixed day on: the same commits have the same ids on every run.
_FIRST_COMMIT = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
_DAY = 86_400

# The .gitattributes that the Hub writes into a new repository, as suffixes.
_LFS_SUFFIXES = tuple(
    f".{suffix}"
    for line in (
        "7z arrow bin bz2 ckpt ftz gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb",
        "pickle pkl pt pth rar safetensors tar tflite tgz wasm xz zip zst",
    )
    for suffix in line.split()
)
# The Hub refuses plain git files above 10 MiB.
_LFS_SIZE = 10 * 1024 * 1024


def lfs_as_the_hub(path: str, size: int) -> bool:
    """Would a repository with the Hub's default .gitattributes keep this file in LFS?"""
    return path.lower().endswith(_LFS_SUFFIXES) or size > _LFS_SIZE


def file_scan(
    status: str = "unscanned", pickle_imports: Iterable[tuple[str, str, str]] = ()
) -> dict[str, Any]:
    """A `securityFileStatus` of all five scanners, for `HubRepo.scans`.

    `status` is the file's and, where the file is judged at all, the anti-virus and pickle scanners'.
    `pickle_imports` are (module, name, safety) with safety innocuous, suspicious or dangerous.
    """
    imports = [dict(zip(("module", "name", "safety"), row, strict=True)) for row in pickle_imports]
    return {
        "status": status,
        "protectAiScan": {"status": "unscanned"},
        "avScan": {"status": "safe" if status == "unsafe" else status},
        "pickleImportScan": {
            "status": status if imports or status != "safe" else "unscanned",
            "pickleImports": imports,
            "version": "0.0.32" if imports else "0.0.0",
        },
        "virusTotalScan": {"status": "unscanned"},
        "jFrogScan": {"status": "unscanned"},
    }


@dataclass(frozen=True, slots=True)
class Commit:
    """One immutable state. `entries` has files and directories, the root at ``""``."""

    sha: str
    parent: str | None
    message: str
    timestamp: int
    files: Mapping[str, bytes]
    entries: Mapping[str, TreeEntry]

    @property
    def date(self) -> str:
        """ISO 8601 with milliseconds and Z, the one form that clients parse."""
        return datetime.fromtimestamp(self.timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(slots=True)
class HubRepo:
    """A repository. Change it while the Hub runs: the next request sees it.

    `files` is the first commit and afterwards what main holds. `tags` and `info` go into the
    repository's info answer as they are. `scans` maps a path to its `securityFileStatus` (see
    `file_scan`); a path that is not in it is unscanned, one that maps to None has no such block.
    `allowed` names the users who may read it where it is private or gated. `object_key` is the Hub's
    `_id`, 24 hex digits: it outlives a rename, and a repository made anew under an old name has another.
    """

    repo_id: str
    files: dict[str, bytes]
    repo_type: Literal["model", "dataset", "space"] = "model"
    private: bool = False
    gated: Literal[False, "auto", "manual"] = False
    disabled: bool = False
    lfs: Callable[[str, int], bool] = lfs_as_the_hub
    scans: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    card_data: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    allowed: set[str] = field(default_factory=lambda: {"reader"})
    object_key: str = ""
    commits: dict[str, Commit] = field(init=False, default_factory=dict)
    refs: dict[str, str] = field(init=False, default_factory=dict)
    _made: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if not self.object_key:
            name = f"{self.repo_type}/{self.repo_id}"
            self.object_key = hashlib.sha256(name.encode()).hexdigest()[:24]
        self.commit(self.files, "initial commit")

    @property
    def sha(self) -> str:
        """The commit that main points to."""
        return self.refs[MAIN]

    def commit(self, files: Mapping[str, bytes], message: str = "update", ref: str = MAIN) -> str:
        """Add a commit that holds exactly `files` and move `ref` (a full ref name) to it.

        A ref that does not exist yet starts from main. Returns the sha.
        """
        return self._add(files, message, ref, parent=self.refs.get(ref, self.refs.get(MAIN)))

    def force_push(self, files: Mapping[str, bytes], message: str = "rewritten") -> str:
        """Replace main's history by one commit. Commits that no ref reaches any more are gone."""
        sha = self._add(files, message, MAIN, parent=None)
        reachable = {commit.sha for ref in self.refs.values() for commit in self.history(ref)}
        self.commits = {key: commit for key, commit in self.commits.items() if key in reachable}
        return sha

    def branch(self, name: str, sha: str | None = None) -> None:
        """Point a branch at `sha`, default main's commit. Also moves one."""
        self.refs[f"refs/heads/{name}"] = sha or self.sha

    def tag(self, name: str, sha: str | None = None) -> None:
        """Point a git tag at `sha`, default main's commit. Also moves one."""
        self.refs[f"refs/tags/{name}"] = sha or self.sha

    def pull_request(self, number: int, files: Mapping[str, bytes]) -> str:
        """Push a commit to ``refs/pr/<number>``; main stays. Returns the sha."""
        return self.commit(files, f"pull request {number}", ref=f"refs/pr/{number}")

    def resolve(self, revision: str) -> Commit | None:
        """The commit that a branch, tag, ref, HEAD, full or short sha names; None if nothing is."""
        named = [revision, f"refs/heads/{revision}", f"refs/tags/{revision}"]
        sha = next((self.refs[name] for name in named if name in self.refs), None)
        if sha is None and revision == "HEAD":
            sha = self.sha
        if sha is None and re.fullmatch("[0-9a-f]{7,40}", revision):
            found = [key for key in self.commits if key.startswith(revision)]
            sha = found[0] if len(found) == 1 else None
        return self.commits.get(sha) if sha else None

    def history(self, sha: str) -> list[Commit]:
        """The commit and its ancestors, newest first."""
        commits = []
        at: str | None = sha
        while at is not None:
            commits.append(self.commits[at])
            at = commits[-1].parent
        return commits

    def last_change(self, commit: Commit, path: str) -> Commit:
        """The commit that gave `path` the content it has at `commit`."""
        newest = commit
        for older in self.history(commit.sha)[1:]:
            entry = older.entries.get(path)
            if entry is None or entry.oid != commit.entries[path].oid:
                break
            newest = older
        return newest

    def _add(self, files: Mapping[str, bytes], message: str, ref: str, parent: str | None) -> str:
        held = dict(files)
        entries = tree_entries(held, self.lfs)
        timestamp = _FIRST_COMMIT + self._made * _DAY
        sha = commit_id(entries[""].oid, parent, message, timestamp)
        self.commits[sha] = Commit(
            sha, parent, message, timestamp, MappingProxyType(held), MappingProxyType(entries)
        )
        self._made += 1
        self.refs[ref] = sha
        if ref == MAIN:
            self.files = dict(held)
        return sha
