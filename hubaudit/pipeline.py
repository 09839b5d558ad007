"""The pipeline: from what the user named to a report. The only module that sees everything below it."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hubaudit import __version__, rules
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import AuditFailed, AuditIncomplete, FileUnavailable, HubError, PathError
from hubaudit.events import FileRead, Finished, Listed, Listener, Pinned, Sniffed, ignore
from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.read import read_file, read_promised
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.hub.client import HubClient
from hubaudit.hub.targets import parse_target
from hubaudit.loadpath import load_role
from hubaudit.model import (
    FileReport,
    Finding,
    GlobalUse,
    Listing,
    LoadRole,
    ReadHow,
    RepoFile,
    RepoRef,
    RepoReport,
    RepoType,
    Target,
    Tool,
    Unread,
    Verdict,
)
from hubaudit.rules.names import catalogue_digest, load_catalogue
from hubaudit.rules.uses import judge
from hubaudit.selection import how_to_read, promises_pickle
from hubaudit.source import Source
from hubaudit.source.digest import matches_listing, sha256_of
from hubaudit.source.local import LocalSource
from hubaudit.verdict import FAILED, decide, exit_code, summarize
from hubaudit.waivers import tolerate

# First bytes are fetched in parallel; the client's own snapshot_download uses as many threads.
_SNIFF_THREADS = 8


def audit(
    target: str | Target,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    record: Path | None = None,
    replay: Path | None = None,
) -> RepoReport:
    """Audit one repository of the Hub at one commit.

    (1) pin the revision, (2) list the commit's files, (3) select by first bytes, (4) say which of
    them the loader would open, (5) read, (6) interpret, (7) judge, (9) decide. Steps (8), comparing
    with safetensors siblings, and (10), the report's form, are others' business.

    `record` keeps the exchanges with the Hub in a folder, `replay` answers from such a folder.
    Raises HubauditError for what could not be done, never for what was found: a Hub that fails
    half-way leaves nothing decided, unless something already found decides it.
    """
    if isinstance(target, str):
        target = parse_target(target, repo_type=repo_type, revision=revision)
    with HubClient(
        endpoint=endpoint, token=token, listener=listener, record=record, replay=replay
    ) as hub:
        repo = hub.pin(target)
        listener(Pinned(repo))
        listing = hub.list_files(repo)
        return _audit_files(_HubFiles(hub, repo), listing, policy, listener)


def scan(
    path: str | Path, *, policy: Policy = DEFAULT_POLICY, listener: Listener = ignore
) -> RepoReport:
    """The same for a local file or folder, which has no listing to be verified against.

    Raises PathError if there is no such path.
    """
    root = Path(path)
    files = _LocalFiles(root)
    return _audit_files(files, files.list(), policy, listener)


def require(
    target: str | Target,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
) -> dict[str, str]:
    """The keyword arguments with which `from_pretrained` loads just what was audited.

    Raises AuditFailed or AuditIncomplete if the verdict is not good enough, with the report as
    `.report`, and what `audit` raises.
    """
    report = audit(
        target,
        revision=revision,
        repo_type=repo_type,
        token=token,
        endpoint=endpoint,
        policy=policy,
        listener=listener,
    )
    if exit_code(report.verdict, strict=policy.strict) == FAILED:
        raise AuditFailed(report, hint="read the findings before anything loads this commit")
    if report.verdict is Verdict.INCOMPLETE:
        raise AuditIncomplete(report, hint="see `unread` for what is missing")
    assert report.repo.commit_hash is not None
    return {"revision": report.repo.commit_hash}


class _Files(Protocol):
    """Where the bytes come from. Opening raises FileUnavailable for one file's trouble."""

    @property
    def most_sniffed(self) -> int:
        """Of how many files at most the first bytes are looked at. Of more, that is said."""
        ...

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        """A source of which only the beginning, or small parts, will be read."""
        ...

    def open(self, file: RepoFile, how: ReadHow, /) -> AbstractContextManager[Source]: ...

    def how(self, file: RepoFile, format_: Format, /) -> ReadHow: ...

    def interrupt(self) -> None:
        """End whatever wait other threads are in. Nothing can be opened any more."""
        ...


@dataclass(frozen=True, slots=True)
class _HubFiles:
    hub: HubClient
    repo: RepoRef
    most_sniffed: int = (
        5000  # two requests each, of the 3000 an anonymous caller has in five minutes
    )

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        return nullcontext(self.hub.open_range(self.repo, file))

    def open(self, file: RepoFile, how: ReadHow) -> AbstractContextManager[Source]:
        if how is not ReadHow.CACHE:
            return self.open_start(file)
        return _open_local(self.hub.download(self.repo, file))

    def how(self, file: RepoFile, format_: Format) -> ReadHow:
        return how_to_read(file.path, format_)

    def interrupt(self) -> None:
        self.hub.stop()


@dataclass(frozen=True, slots=True)
class _LocalFiles:
    root: Path
    most_sniffed: int = sys.maxsize

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
        return Listing(repo, tuple(files), tuple(unread))

    @property
    def _base(self) -> Path:
        return self.root if self.root.is_dir() else self.root.parent

    def open_start(self, file: RepoFile) -> AbstractContextManager[Source]:
        return _open_local(self._base / file.path)

    def open(self, file: RepoFile, _how: ReadHow, /) -> AbstractContextManager[Source]:
        return self.open_start(file)

    def how(self, _file: RepoFile, _format: Format, /) -> ReadHow:
        return ReadHow.LOCAL

    def interrupt(self) -> None:
        """Local files do not wait."""


def _open_local(path: Path) -> LocalSource:
    try:
        return LocalSource(path)
    except OSError as error:
        raise FileUnavailable(f"it cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class _Examined:
    """All that came of one file."""

    report: FileReport
    findings: tuple[Finding, ...] = ()
    globals: tuple[GlobalUse, ...] = ()
    unread: tuple[Unread, ...] = ()


def _audit_files(files: _Files, listing: Listing, policy: Policy, listener: Listener) -> RepoReport:
    """Steps 3 to 9, the same for the Hub and for a local folder."""
    listener(Listed(len(listing.files), sum(file.size for file in listing.files)))
    examined: list[_Examined] = []
    failure: HubError | None = None
    try:
        for file, found in _sniff_all(files, listing.files, listener):
            done = _examine(files, file, found, listing.files, policy)
            examined.append(done)
            row = done.report
            listener(FileRead(row.path, row.format, row.read, done.findings, done.unread))
    except HubError as error:
        failure = error
    unread = (*listing.unread, *(entry for one in examined for entry in one.unread))
    findings = _tolerate(listing.repo, examined, policy)
    if failure is not None:
        unread = (*unread, *_never_reached(listing, examined, failure))
        if decide(findings, unread, policy) is not Verdict.FAIL:
            raise failure
    return _conclude(listing, examined, findings, unread, policy, listener)


def _tolerate(repo: RepoRef, examined: Sequence[_Examined], policy: Policy) -> tuple[Finding, ...]:
    """Everything found, with what the policy says of the repository and of each finding."""
    found = tuple(finding for one in examined for finding in one.findings)
    reports = tuple(one.report for one in examined)
    return tolerate((*rules.check_repo(repo, policy), *found), reports, repo, policy)


def _never_reached(
    listing: Listing, examined: Iterable[_Examined], failure: HubError
) -> Iterator[Unread]:
    reached = {one.report.path for one in examined}
    for file in listing.files:
        if file.path not in reached:
            yield Unread(file.path, None, f"the Hub failed before it was read: {failure}")


def _conclude(
    listing: Listing,
    examined: Sequence[_Examined],
    findings: tuple[Finding, ...],
    unread: tuple[Unread, ...],
    policy: Policy,
    listener: Listener,
) -> RepoReport:
    verdict = decide(findings, unread, policy)
    report = RepoReport(
        tool=Tool("hubaudit", __version__, rules.ruleset_digest(catalogue_digest()), policy.digest),
        repo=listing.repo,
        verdict=verdict,
        summary=summarize(verdict, findings, unread, policy),
        files=tuple(one.report for one in examined),
        findings=findings,
        globals=tuple(row for one in examined for row in one.globals),
        unread=unread,
    )
    listener(Finished(report))
    return report


def _sniff_all(
    files: _Files, listed: Sequence[RepoFile], listener: Listener
) -> Iterator[tuple[RepoFile, Format | FileUnavailable]]:
    """Every file with the format that its first bytes show; those named like pickles first."""
    ordered = sorted(listed, key=lambda file: (not promises_pickle(file.path), file.path))
    most = files.most_sniffed
    # without `with`, which would wait for threads that are stuck in a read when this one is interrupted
    pool = ThreadPoolExecutor(_SNIFF_THREADS)
    try:
        found = list(_as_they_come(pool, files, ordered[:most], listener))
    except HubError:
        pool.shutdown()  # the client that its threads still read through is closed next
        raise
    pool.shutdown()
    yield from found
    for file in ordered[most:]:
        yield file, FileUnavailable(f"only the first {most} files are looked at")


def _as_they_come(
    pool: ThreadPoolExecutor, files: _Files, ordered: Sequence[RepoFile], listener: Listener
) -> Iterator[tuple[RepoFile, Format | FileUnavailable]]:
    results = pool.map(lambda file: _sniff_one(files, file), ordered)
    with ExitStack() as after_a_failure:  # or Ctrl-C: the rest need not be asked, nor waited for
        after_a_failure.callback(files.interrupt)
        after_a_failure.callback(pool.shutdown, wait=False, cancel_futures=True)
        for done, (file, result) in enumerate(zip(ordered, results, strict=True), start=1):
            listener(Sniffed(done, len(ordered)))
            yield file, result
        after_a_failure.pop_all()


def _sniff_one(files: _Files, file: RepoFile) -> Format | FileUnavailable:
    if file.size == 0:
        return Format.EMPTY
    try:
        with files.open_start(file) as source:
            return sniff(source.read(0, HEAD_SIZE), file.size)
    except FileUnavailable as error:
        return error


def _examine(
    files: _Files,
    file: RepoFile,
    found: Format | FileUnavailable,
    listed: Sequence[RepoFile],
    policy: Policy,
) -> _Examined:
    """Steps 4 to 7 for one file."""
    if isinstance(found, FileUnavailable):
        return _unavailable(file, Format.DATA, listed, found, policy)
    how = files.how(file, found)
    try:
        with files.open(file, how) as source:
            # a small file's beginning is all of it
            whole = how in (ReadHow.CACHE, ReadHow.LOCAL) or file.size <= HEAD_SIZE
            verified = matches_listing(file, source) if whole else None
            digest = file.sha256 or (sha256_of(source) if whole else None)
            # sniffed again: what was looked at first may not be the bytes that are here now
            read = read_promised if promises_pickle(file.path) else read_file
            contents = read(source, policy.max_archive_depth)
    except FileUnavailable as error:
        return _unavailable(file, found, listed, error, policy)
    role = load_role(file, contents.format, listed)
    return _judge(file, role, how, contents, verified, digest, policy)


def _judge(
    file: RepoFile,
    role: LoadRole,
    how: ReadHow,
    contents: Contents,
    verified: bool | None,
    digest: str | None,
    policy: Policy,
) -> _Examined:
    uses = judge(rules.catalogue_under(policy), contents)
    findings = rules.check(rules.Evidence(file, role, contents, uses, verified, policy))
    report = FileReport(
        path=file.path,
        size=file.size,
        sha256=digest,
        blob_id=file.blob_id,
        format=contents.format.value,
        load_role=role,
        read=how,
        verified=verified,
        hub_scan=file.hub_scan,
    )
    rows = tuple(
        GlobalUse(file.path, use.member, use.module, use.name, use.name_class, use.count)
        for use in uses
    )
    unread = tuple(Unread(file.path, gap.member, gap.why) for gap in contents.gaps)
    return _Examined(report, findings, rows, unread)


def _unavailable(
    file: RepoFile,
    found: Format,
    listed: Sequence[RepoFile],
    error: FileUnavailable,
    policy: Policy,
) -> _Examined:
    return _judge(
        file,
        load_role(file, found, listed),
        ReadHow.NONE,
        Contents(found, gaps=(Gap(None, str(error)),)),
        None,
        file.sha256,
        policy,
    )
