"""What is known of a repository at one moment: plain data that can be kept, and compared with a later one.

Everything that `changes` looks at is here, since the old commit may be gone when the new one is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from hubaudit.model import LoadRole, NameClass, RepoType, Severity, Verdict

SCHEMA = "hubaudit.state/1"

# For pydantic, which reads stored states: no key that this version does not know.
_STRICT = {"extra": "forbid"}


class Presence(StrEnum):
    """What the Hub answers to the repository's name."""

    PRESENT = "present"
    MOVED = "moved"  # the name leads to another id
    MISSING = "missing"  # deleted, private or renamed away: the Hub does not tell which
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Identity:
    """What the Hub says of the repository as a whole. None stands for what it does not say.

    `object_id` is its `_id`; `gated` is "no", "auto" or "manual".
    """

    __pydantic_config__ = _STRICT

    repo_id: str
    object_id: str | None = None
    private: bool | None = None
    gated: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class RefState:
    """A branch, tag or pull request by its full name (`refs/heads/main`).

    `weights`: of a pull request the weight files that it adds or replaces; None if nobody looked.
    """

    __pydantic_config__ = _STRICT

    ref: str
    commit: str
    weights: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """A global of a pickle, once however often it is used."""

    __pydantic_config__ = _STRICT

    module: str
    name: str
    name_class: NameClass


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of a weight file: how many, a digest of all names, dtypes and shapes, and these as rows.

    A row is `name dtype [shape]`. `rows` are sorted; there are none of a file that has very many.
    """

    __pydantic_config__ = _STRICT

    count: int
    digest: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileState:
    """One file of the commit. `scan` and `scanners` (name and status) are the Hub's own words.

    `executable`: a pickle may be inside, or it is code. `worst` is that of its findings that nobody
    waived; `unread`: not all of it could be interpreted.
    """

    __pydantic_config__ = _STRICT

    path: str
    size: int
    blob_id: str | None
    sha256: str | None
    format: str
    role: LoadRole
    executable: bool
    scan: str | None = None
    scanners: tuple[tuple[str, str], ...] = ()
    imports: tuple[Import, ...] = ()
    tensors: Tensors | None = None
    worst: Severity | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Siblings:
    """A checkpoint and its safetensors sibling, as the audit compared them. `differing` counts tensors."""

    __pydantic_config__ = _STRICT

    pickles: tuple[str, ...]
    safetensors: tuple[str, ...]
    result: Literal["equal", "differs", "not-compared"]
    depth: Literal["metadata", "sampled", "full"]
    differing: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """A small text file whose changes are told in detail."""

    __pydantic_config__ = _STRICT

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """What an audit found at the commit. `ruleset` and `policy` are digests of what it judged by."""

    __pydantic_config__ = _STRICT

    verdict: Verdict
    summary: str
    ruleset: str
    policy: str | None
    files: tuple[FileState, ...]
    siblings: tuple[Siblings, ...] = ()
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """A repository at one moment. `repo_id` is the name by which it is asked for.

    `identity` is None where the Hub was not asked, and what was last known where the repository is
    missing. `refs` and `content` are None where they were not or could not be looked at. `ancestors`: the
    commit and what came before it, the newest first, as far as it was asked for.
    """

    __pydantic_config__ = _STRICT

    repo_id: str
    repo_type: RepoType
    presence: Presence
    commit: str | None = None
    identity: Identity | None = None
    refs: tuple[RefState, ...] | None = None
    ancestors: tuple[str, ...] = ()
    content: Content | None = None


def same_content(one: FileState, other: FileState) -> bool:
    """Whether two files have the same bytes, by the hashes of the listing.

    The sha256 is known of some files, the blob id of others; both are hashes of all bytes.
    """
    if one.sha256 is not None and one.sha256 == other.sha256:
        return True
    return one.blob_id is not None and one.blob_id == other.blob_id
