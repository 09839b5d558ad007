"""Texts that name a repository: ids, `hf://` addresses and URLs of the Hub, read without asking anybody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from hubaudit.pins.reference import Form, RepoType

# Stands for a part of a text that only the running program knows. No repository's name can hold it.
HOLE = "\0"

# The Hub's rule for a part of an id: letters, digits, `-`, `_`, `.`, at most 96 (huggingface_hub
# utils/_validators.py).
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,95})"
_ID = re.compile(rf"(?:{_PART}/)?{_PART}")
_OWNED_ID = re.compile(rf"{_PART}/{_PART}")
_TYPES: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_LOCAL = re.compile(r"[/\\~.]|[A-Za-z]:[/\\]|file:")
# The Hub's pages and files: huggingface.co/[datasets/]org/name/resolve/REVISION/path.
_FILE_URL = re.compile(
    rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(datasets|spaces)/)?({_PART}/{_PART}|{_PART})"
    r"/(resolve|raw)/(refs/(?:pr|convert)/[^/?#]+|[^/?#]+)/"
)
_REPO_URL = re.compile(
    rf"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:(datasets|spaces)/)?({_PART}/{_PART})(?:[/?#]|$)"
)
_SPECIAL_REFS = re.compile(r"(.+?)@(refs/(?:convert|pr)/[^/]+)(?:/|$)")
_TIMM = ("hf-hub:", "hf_hub:")


@dataclass(frozen=True, slots=True)
class Address:
    """A repository as a text names it. `revision` is None where the text has none."""

    repo_id: str
    repo_type: RepoType
    revision: str | None
    form: Form


def is_local_spelling(text: str) -> bool:
    """Whether a text can only be a path on this machine: `./x`, `/x`, `~/x`, `C:\\x`."""
    return bool(_LOCAL.match(text)) or "\\" in text


def parse_id(text: str, repo_type: RepoType) -> Address | None:
    """The repository of `org/name` or `name`, perhaps with `@revision`; None for every other text."""
    name, at, revision = text.partition("@")
    if not _ID.fullmatch(name) or ".." in name or "--" in name or HOLE in text:
        return None
    return Address(name, repo_type, revision if at else None, Form.KEYWORD)


def has_owner(text: str) -> bool:
    """Whether a text has the shape `org/name`, perhaps with `@revision`."""
    return bool(_OWNED_ID.fullmatch(text.partition("@")[0]))


def parse_address(text: str) -> Address | None:
    """The repository in an `hf://` address, in timm's `hf-hub:` or in the URL of a file; None else."""
    if text.startswith("hf://"):
        return _parse_hf(text.removeprefix("hf://"))
    if text.startswith(_TIMM):
        found = parse_id(text[len(_TIMM[0]) :], "model")
        return found and Address(found.repo_id, "model", found.revision, Form.ADDRESS)
    if match := _FILE_URL.match(text):
        kind, repo_id, _, revision = match.groups()
        return _address(_TYPES.get(kind, "model"), repo_id, unquote(revision), Form.RESOLVE)
    return None


def parse_repo_url(text: str) -> Address | None:
    """The repository of any of the Hub's URLs below one, whose revision does not count."""
    match = _REPO_URL.match(text)
    if match is None:
        return None
    return _address(_TYPES.get(match[1], "model"), match[2], None, Form.KEYWORD)


def parse_path(path: str) -> Address | None:
    """The repository of a path as HfFileSystem takes it: `[datasets/]org/name[@revision]/…`."""
    return _parse_hf(path.removeprefix("hf://"))


def _parse_hf(path: str) -> Address | None:
    kind: RepoType = "model"
    first, _, rest = path.partition("/")
    if first == "buckets":  # they have no revisions
        return None
    if first in _TYPES:
        kind, path = _TYPES[first], rest
    if special := _SPECIAL_REFS.match(path):
        return _address(kind, special[1], special[2], Form.ADDRESS)
    parts = path.split("/")
    if "@" in parts[0] or len(parts) == 1:
        # a name without an owner has its revision at once: `gpt2@main/config.json`
        name, at, revision = parts[0].partition("@")
    else:
        name, at, revision = "/".join(parts[:2]).partition("@")
    return _address(kind, name, unquote(revision) if at else None, Form.ADDRESS)


def _address(kind: RepoType, repo_id: str, revision: str | None, form: Form) -> Address | None:
    if not _ID.fullmatch(repo_id):
        return None
    return Address(repo_id, kind, revision, form)
