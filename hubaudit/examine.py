"""One file of an audit: its first bytes, then all of it that matters, then what the rules say of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hubaudit import rules
from hubaudit.config import Policy
from hubaudit.errors import FileUnavailable
from hubaudit.formats.contents import Contents, Format, Gap
from hubaudit.formats.sniff import HEAD_SIZE, sniff
from hubaudit.model import FileReport, Finding, GlobalUse, LoadRole, ReadHow, RepoFile, Unread
from hubaudit.opening import Files
from hubaudit.pvm.state import limits_of
from hubaudit.remembering import Reading
from hubaudit.rules.uses import judge
from hubaudit.selection import reader_for
from hubaudit.source import Source
from hubaudit.source.digest import matches_listing, sha256_of
from hubaudit.tensors.table import Table

# Bytes of a pickle that is read in place and hashed nevertheless: the requests are as many.
_HASHED = 128 << 10

TableOf = Callable[[Source, Contents], Table]


@dataclass(frozen=True, slots=True)
class FirstBytes:
    """A file of the listing with the format that its first bytes show, or why they cannot be had."""

    file: RepoFile
    found: Format | FileUnavailable

    @property
    def format(self) -> Format:
        return Format.DATA if isinstance(self.found, FileUnavailable) else self.found


@dataclass(frozen=True, slots=True)
class Examined:
    """All that came of one file. `table`: its tensors, if it is to be compared."""

    report: FileReport
    findings: tuple[Finding, ...] = ()
    globals: tuple[GlobalUse, ...] = ()
    unread: tuple[Unread, ...] = ()
    table: Table | None = None


def sniff_one(files: Files, file: RepoFile) -> FirstBytes:
    """Raises a HubError where not only this file cannot be had."""
    if file.size == 0:
        return FirstBytes(file, Format.EMPTY)

    def look() -> Format:
        with files.open_start(file) as source:
            return sniff(source.read(0, HEAD_SIZE), file.size)

    try:
        return FirstBytes(file, files.memory.recall("format", [file], look))
    except FileUnavailable as error:
        return FirstBytes(file, error)


def examine(
    files: Files,
    first: FirstBytes,
    role: LoadRole,
    reason: str,
    policy: Policy,
    table_of: TableOf | None,
) -> Examined:
    """Read the file as its role asks for, interpret it, and judge it.

    `table_of` makes the table of tensors, if one is wanted. Raises a HubError where not only this file
    cannot be had.
    """
    judged = _Judge(first.file, role, reason, policy)
    if isinstance(first.found, FileUnavailable):
        return judged.unavailable(Format.DATA, first.found)
    file = first.file
    how = files.how(file, first.found, role)
    read = reader_for(file.path)

    def look() -> Reading:
        with files.open(file, how) as source:
            whole = _is_had_whole(file, how)
            verified = matches_listing(file, source) if whole else None
            digest = file.sha256 or (sha256_of(source) if whole else None)
            # sniffed again: what was looked at first may not be the bytes that are here now
            contents = read(source, policy.max_archive_depth, limits_of(policy.max_opcodes))
            table = table_of(source, contents) if table_of is not None else None
            return Reading(contents, verified, digest, table)

    limits = f"{policy.max_archive_depth} deep, {policy.max_opcodes} opcodes"
    also = "" if table_of is None else " and tensors"
    question = f"contents{also}: {read.__name__}, {how.value}, {limits}"
    try:
        found = files.memory.recall(question, [file], look)
    except FileUnavailable as error:
        return judged.unavailable(first.found, error)
    return judged.of(how, found.contents, found.verified, found.digest, found.table)


def _is_had_whole(file: RepoFile, how: ReadHow) -> bool:
    match how:
        case ReadHow.CACHE | ReadHow.LOCAL:
            return True
        case ReadHow.RANGE:
            return file.size <= _HASHED
        case _:
            return file.size <= HEAD_SIZE  # its beginning is all of it


@dataclass(frozen=True, slots=True)
class _Judge:
    file: RepoFile
    role: LoadRole
    reason: str
    policy: Policy

    def of(
        self,
        how: ReadHow,
        contents: Contents,
        verified: bool | None,
        digest: str | None,
        table: Table | None = None,
    ) -> Examined:
        file = self.file
        uses = judge(rules.catalogue_under(self.policy), contents)
        evidence = rules.Evidence(file, self.role, contents, uses, verified, self.policy)
        report = FileReport(
            path=file.path,
            size=file.size,
            sha256=digest,
            blob_id=file.blob_id,
            format=contents.format.value,
            load_role=self.role,
            load_reason=self.reason,
            read=how,
            verified=verified,
            hub_scan=file.hub_scan,
        )
        rows = tuple(
            GlobalUse(file.path, use.member, use.module, use.name, use.name_class, use.count)
            for use in uses
        )
        unread = tuple(Unread(file.path, gap.member, gap.why) for gap in contents.gaps)
        return Examined(report, rules.check(evidence), rows, unread, table)

    def unavailable(self, found: Format, error: FileUnavailable) -> Examined:
        contents = Contents(found, gaps=(Gap(None, str(error)),))
        return self.of(ReadHow.NONE, contents, None, self.file.sha256)
