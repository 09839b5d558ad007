"""The Hub's tree entries, as untrusted JSON, into a `Listing`: what cannot be used is said, never skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from typing import Any, TypeGuard

from hubaudit.errors import HubAnswerInvalid
from hubaudit.model import HubScan, Listing, RepoFile, RepoRef, ScannerVerdict, Unread

# The order in which the Hub's pages show them; another one may be added any day.
SCANNERS = ("avScan", "pickleImportScan", "protectAiScan", "jFrogScan", "virusTotalScan")
# With every answer that cannot be the Hub's.
HINT = "is the endpoint a Hub? check HF_ENDPOINT; a proxy may have changed the answer"
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class TreeReader:
    """Collects the pages of one recursive listing."""

    repo: RepoRef
    _files: dict[str, RepoFile] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)
    _unread: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._files) + len(self._folders) + len(self._unread)

    def add_page(self, page: Any) -> None:
        """Take in one answer. Raises HubAnswerInvalid where it has no entries with a path."""
        if not isinstance(page, list):
            raise HubAnswerInvalid("the listing is not a JSON array", hint=HINT)
        for entry in page:
            if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
                raise HubAnswerInvalid("an entry of the listing has no path", hint=HINT)
            self._add(entry, entry["path"])

    def _add(self, entry: dict[str, Any], path: str) -> None:
        if path in self._files or path in self._folders or path in self._unread:
            self._unread[path] = "listed twice"
        elif entry.get("type") == "directory":
            self._folders.add(path)
        elif entry.get("type") != "file":
            self._unread[path] = "neither a file nor a folder: a submodule?"
        elif isinstance(made := unusable_name(path) or _file(entry, path), str):
            self._unread[path] = made
        else:
            self._files[path] = made

    def listing(self) -> Listing:
        """Everything that was added, files by path, then also the folders that turned out empty."""
        parents = {
            p[:i] for p in [*self._files, *self._unread] for i, c in enumerate(p) if c == "/"
        }
        empty = dict.fromkeys(self._folders - parents, "a folder without files: a submodule?")
        unread = {**self._unread, **empty}
        return Listing(
            repo=self.repo,
            files=tuple(self._files[p] for p in sorted(self._files)),
            unread=tuple(Unread(p, None, unread[p]) for p in sorted(unread)),
        )


def unusable_name(path: str) -> str | None:
    """Why `path` must not become a path on this or another machine's disk; None if it may.

    A repository's author chooses the names. The rules are those under which huggingface_hub 2.4 writes
    a file, and those of git, whose trees have neither empty nor dot segments.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not valid Unicode"
    segments = path.split("/")
    if "\0" in path:
        return "its name holds a NUL character"
    if any(s in {"", "."} for s in segments):
        return "its name has an empty or dot segment"
    if ".." in path.replace("\\", "/").split("/"):
        return "its name climbs out of the repository"
    if any(w.drive or w.root for w in map(PureWindowsPath, segments)):
        return "its name is an absolute path on Windows"
    return None


def _file(entry: dict[str, Any], path: str) -> RepoFile | str:
    """The entry's file, or why there is none."""
    size, oid, lfs = entry.get("size"), entry.get("oid"), entry.get("lfs")
    if not _is_size(size):
        return "the listing has no usable size for it"
    if not _matches(_SHA1, oid):
        return "the listing has no usable blob id for it"
    sha256 = None
    if lfs is not None:
        if not isinstance(lfs, dict) or not _matches(_SHA256, lfs.get("oid")):
            return "the listing has no usable LFS hash for it"
        if lfs.get("size", size) != size:
            return "the listing has two sizes for it"
        sha256 = lfs["oid"]
    return RepoFile(path, size, oid, sha256, _hub_scan(entry.get("securityFileStatus")))


def _is_size(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _hub_scan(block: Any) -> HubScan | None:
    if not isinstance(block, dict) or not isinstance(block.get("status"), str):
        return None
    others = sorted(k for k in block if k.endswith("Scan") and k not in SCANNERS)
    return HubScan(block["status"], tuple(_verdicts(block, (*SCANNERS, *others))))


def _verdicts(block: dict[str, Any], names: Iterable[str]) -> Iterable[ScannerVerdict]:
    for name in names:
        scan = block.get(name)
        if isinstance(scan, dict) and isinstance(scan.get("status"), str):
            message = scan.get("message")
            yield ScannerVerdict(
                name, scan["status"], message if isinstance(message, str) else None
            )
