"""The nouns that reach a report: frozen, slotted, without behaviour.

Everything here is a function of the commit, the rules and the settings. No clock, no absolute path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

RepoType = Literal["model", "dataset", "space", "local"]


class Verdict(StrEnum):
    PASS = "pass"
    REVIEW = "review"
    FAIL = "fail"
    INCOMPLETE = "incomplete"


class Severity(StrEnum):
    """How bad it is if the finding is right. Declared from worst to least: see `rank`."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst. `a.rank <= b.rank` reads "a is at least as bad as b"."""
        return list(Severity).index(self)


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class LoadRole(StrEnum):
    """Would the loader open this file? `loadpath` decides."""

    LOADED = "loaded"
    FALLBACK = "fallback"
    NEVER = "never"
    CODE = "code"


class ReadHow(StrEnum):
    """How a file's bytes were had."""

    CACHE = "cache"  # whole, in the HF cache
    RANGE = "range"  # parts of it, by HTTP ranges
    HEADER = "header"  # its beginning only
    LOCAL = "local"  # a local path given to `scan`
    NONE = "none"  # not at all


class NameClass(StrEnum):
    """What the catalogue says of a global."""

    INERT = "inert"
    DANGEROUS = "dangerous"
    UNLISTED = "unlisted"


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named, before the Hub was asked."""

    repo_id: str
    repo_type: RepoType = "model"
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class RepoRef:
    """One repository at one commit. A local folder has neither revision, commit nor endpoint."""

    repo_id: str
    repo_type: RepoType
    revision: str | None
    commit_hash: str | None
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class ScannerVerdict:
    """What one of the Hub's scanners says of a file. `status` is the Hub's own word."""

    scanner: str  # avScan, pickleImportScan, protectAiScan, jFrogScan, virusTotalScan
    status: str  # unscanned, safe, queued, error, caution, suspicious, unsafe, …
    message: str | None = None


@dataclass(frozen=True, slots=True)
class HubScan:
    """The Hub's own verdict on a file: information, never a reason to pass."""

    status: str
    scanners: tuple[ScannerVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class RepoFile:
    """A file as the listing of the commit has it.

    `blob_id` is the git blob's sha1 (of the *pointer* where `sha256` is set); `sha256` is the LFS
    content hash. A local file has neither: there is nothing to verify it against.
    """

    path: str
    size: int
    blob_id: str | None = None
    sha256: str | None = None
    hub_scan: HubScan | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """Bytes that were not interpreted, and why. One of these and the verdict is no PASS."""

    path: str
    member: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a commit. `unread` says what of the listing itself could not be trusted."""

    repo: RepoRef
    files: tuple[RepoFile, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was done with one file. `verified`: its bytes match the listing's hash; None: not whole.

    `load_reason` says in words why it has its role.
    """

    path: str
    size: int
    sha256: str | None
    blob_id: str | None
    format: str
    load_role: LoadRole
    read: ReadHow
    verified: bool | None
    hub_scan: HubScan | None
    load_reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule found. `offset` counts bytes from the start of the member (or file).

    `path` is empty for a finding about the repository as a whole.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    path: str
    member: str | None
    offset: int | None
    message: str
    evidence: str = ""
    references: tuple[str, ...] = ()
    waived: str | None = None


@dataclass(frozen=True, slots=True)
class GlobalUse:
    """A name that a pickle imports, how often, and what the catalogue says of it."""

    path: str
    member: str | None
    module: str
    name: str
    name_class: NameClass
    count: int


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """`how` says in words what is different about a tensor of this name."""

    name: str
    how: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pickle checkpoint against its safetensors sibling. The tuples hold tensor names.

    `pickle` and `safetensors` are paths; of a sharded checkpoint the first one, and all of them are in
    `pickle_files` and `safetensors_files`. `tensors` have a partner; of `tensors_read` of them bytes were
    compared, `bytes_read` of `bytes_total` (counted in the safetensors file). `differences` say how those
    in `differing` differ, `notes` what was found and explained. Of `not_comparable` tensors nobody can
    tell, `doubtful` are those that no known kind of tensor explains, and pickles of which no tensor is
    known. `why`: what kept the comparison from being complete; `broken_off`: that a file could not be read.
    """

    pickle: str
    safetensors: str
    result: Literal["equal", "differs", "not-compared"]
    depth: Literal["metadata", "sampled", "full"]
    tensors: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    pickle_files: tuple[str, ...] = ()
    safetensors_files: tuple[str, ...] = ()
    tensors_read: int = 0
    bytes_read: int = 0
    bytes_total: int = 0
    differences: tuple[TensorDifference, ...] = ()
    not_comparable: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    why: str = ""
    broken_off: bool = False
    doubtful: tuple[str, ...] = ()
    agreed_at: str | None = None  # the last commit at which they agreed, where that was asked for


@dataclass(frozen=True, slots=True)
class Tool:
    """Which hubaudit judged. `ruleset` is the sha256 of the rules and the catalogue, `policy` that of
    the settings; None in a report of a version that did not say."""

    name: str
    version: str
    ruleset: str
    policy: str | None = None


OpinionStatus = Literal["unflagged", "flagged", "error", "skipped", "absent", "timeout"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What another scanner says of a file, or of itself if `path` is empty. It decides nothing here.

    `unflagged`: it read the file and named nothing bad in it, which is less than a pass. `detail`: what it
    flagged, or why there is no answer, partly in its own words.
    """

    engine: str
    version: str | None
    path: str
    status: OpinionStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an audit took from the network: requests, with redirects and repetitions, and bytes received."""

    requests: int
    received: int


@dataclass(frozen=True, slots=True)
class LoadAdvice:
    """How this commit is loaded with the least risk.

    `library` is the one that it is for, "none" if that is not known; `arguments` are keywords of its
    load, without the revision; `bases` are other repositories that the load would open.
    """

    library: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepoReport:
    """Everything an audit has to say about one repository at one commit.

    `cost` and `opinions` are there only where they were asked for: they depend on what the caches held, and
    on what else is installed.
    """

    tool: Tool
    repo: RepoRef
    verdict: Verdict
    summary: str
    files: tuple[FileReport, ...] = ()
    findings: tuple[Finding, ...] = ()
    globals: tuple[GlobalUse, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    unread: tuple[Unread, ...] = ()
    load: LoadAdvice | None = None
    cost: Cost | None = None
    opinions: tuple[Opinion, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON report, schema `hubaudit.report/1`, as plain dicts and lists."""
        from hubaudit.report.json import as_dict

        return as_dict(self)
