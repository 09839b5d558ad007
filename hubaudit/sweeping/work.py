"""What is done for one target, wherever it is done: look how it stands, and audit what is new.

Everything that goes in and comes out is plain data, so that another process or machine can do it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from hubaudit import rules
from hubaudit.comparing import Depth, Sampling
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import HubauditError, HubUnreachable, RateLimited
from hubaudit.events import Listener
from hubaudit.hub.client import HubClient
from hubaudit.loadpath import LoadOptions
from hubaudit.model import (
    HubScan,
    Listing,
    ReadHow,
    RepoFile,
    RepoRef,
    RepoReport,
    ScannerVerdict,
    Target,
    Unread,
)
from hubaudit.opening import Fetch
from hubaudit.pipeline import audit_listing
from hubaudit.remembering import Memory, reader_digest
from hubaudit.report.json import render
from hubaudit.rules.names import catalogue_digest
from hubaudit.store import AuditKey
from hubaudit.verdict import exit_code

# Worth a second try at the end of the sweep: the Hub may have recovered.
_PASSING = (HubUnreachable, RateLimited)


@dataclass(frozen=True, slots=True)
class How:
    """How a target is audited."""

    policy: Policy = DEFAULT_POLICY
    fetch: Fetch = "auto"
    load: LoadOptions = LoadOptions()  # noqa: RUF009 -- frozen
    depth: Depth = Sampling()  # noqa: RUF009 -- frozen

    def key(self, repo: RepoRef) -> AuditKey:
        """Under what an audit of this commit is stored."""
        return AuditKey(
            endpoint=repo.endpoint or "",
            repo_type=repo.repo_type,
            repo_id=repo.repo_id,
            revision=repo.revision or "",
            commit_hash=repo.commit_hash or "",
            ruleset=rules.ruleset_digest(catalogue_digest()),
            policy=self.policy.digest,
            settings=self.settings,
        )

    @property
    def settings(self) -> str:
        """A digest of all that a report depends on besides commit, ruleset and policy."""
        today = self.policy.today
        expired = [one.expires < today for one in self.policy.waivers if today is not None]
        said = [self.fetch, asdict(self.load), repr(self.depth), expired, _code_digest()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def judged_by(self) -> str:
        """One digest of everything under which a target is judged."""
        said = [rules.ruleset_digest(catalogue_digest()), self.policy.digest, self.settings]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fresh:
    """A target that was audited now. `report` is the JSON report's text, `listing` as `listing_bytes`.

    `settled`: nothing was missing because the Hub did not give it.
    """

    repo: RepoRef
    scan: str
    report: str
    verdict: str
    code: int
    settled: bool
    listing: bytes


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A target that stands as it stood when it was audited under the same rules."""

    repo: RepoRef
    scan: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was decided. `kind` is the error's name; `is_passing`: it may be over in a while."""

    kind: str
    message: str
    hint: str
    is_passing: bool = False


Answer = Fresh | Unchanged | Failed


class Desk(Protocol):
    """What is known from before, where the work is done."""

    def has_audit(self, key: AuditKey, scan: str) -> bool:
        """Whether a settled audit is there, made while the scanners said the same."""
        ...

    def listing(self, key: AuditKey, scan: str) -> bytes | None:
        """The listing of the commit from when the scanners said the same."""
        ...

    def memory(self, repo: RepoRef) -> Memory: ...


def perform(hub: HubClient, target: Target, how: How, desk: Desk, listener: Listener) -> Answer:
    """The answer for one target. Raises StoreUnusable and RequestsSpent, and what nobody foresaw."""
    try:
        return _perform(hub.lent(listener), target, how, desk, listener)
    except HubauditError as error:
        if type(error).__name__ in ("StoreUnusable", "RequestsSpent"):
            raise
        return failed(error)


def failed(error: Exception) -> Failed:
    hint = error.hint if isinstance(error, HubauditError) else "please report this defect"
    said = str(error) or "without a word"
    return Failed(type(error).__name__, said, hint, isinstance(error, _PASSING))


def _perform(hub: HubClient, target: Target, how: How, desk: Desk, listener: Listener) -> Answer:
    repo, scan = hub.standing(target)
    key = how.key(repo)
    if desk.has_audit(key, scan):
        return Unchanged(repo, scan)
    known = desk.listing(key, scan)
    listing = hub.list_files(repo) if known is None else listing_from(known, repo)
    memory = desk.memory(repo)
    with memory.turn(listing.files):
        report = audit_listing(
            hub,
            listing,
            policy=how.policy,
            listener=listener,
            fetch=how.fetch,
            load=how.load,
            depth=how.depth,
            memory=memory,
        )
    return Fresh(
        repo=repo,
        scan=scan,
        report=render(report),
        verdict=report.verdict.value,
        code=exit_code(report.verdict, strict=how.policy.strict),
        settled=is_settled(report, listing),
        listing=listing_bytes(listing),
    )


def is_settled(report: RepoReport, listing: Listing) -> bool:
    """Whether every file was had. What is unread for another reason stays so until the commit moves."""
    had = {file.path for file in report.files if file.read is not ReadHow.NONE}
    broken = any(comparison.broken_off for comparison in report.comparisons)
    return not broken and all(file.path in had for file in listing.files)


def listing_bytes(listing: Listing) -> bytes:
    """The files as JSON. The repository is not in it."""
    files = [
        [one.path, one.size, one.blob_id, one.sha256, one.hub_scan and asdict(one.hub_scan)]
        for one in listing.files
    ]
    unread = [[one.path, one.member, one.why] for one in listing.unread]
    return json.dumps([files, unread], separators=(",", ":")).encode()


def listing_from(data: bytes, repo: RepoRef) -> Listing:
    files, unread = json.loads(data)
    return Listing(
        repo,
        tuple(
            RepoFile(path, size, blob_id, sha256, _hub_scan(scan))
            for path, size, blob_id, sha256, scan in files
        ),
        tuple(Unread(*row) for row in unread),
    )


def _hub_scan(row: dict[str, Any] | None) -> HubScan | None:
    if row is None:
        return None
    scanners = (ScannerVerdict(**one) for one in row["scanners"])
    return HubScan(row["status"], tuple(scanners))


@cache
def _code_digest() -> str:
    """sha256 over the code that judges: after a change of it no stored verdict is taken."""
    digest = hashlib.sha256(reader_digest().encode())
    for package in ("", "rules", "loadpath", "report"):
        folder = resources.files("hubaudit").joinpath(package)
        for file in sorted(folder.iterdir(), key=lambda one: one.name):
            if file.name.endswith(".py"):
                digest.update(f"{package}/{file.name} {zlib.crc32(file.read_bytes())}\n".encode())
    return digest.hexdigest()
