"""What an audit found, as content that a later one can be compared with."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from hubaudit.config import Policy
from hubaudit.errors import FileUnavailable, RevisionMissing
from hubaudit.formats.contents import Format
from hubaudit.hub.client import HubClient
from hubaudit.model import (
    FileReport,
    HubScan,
    LoadRole,
    NameClass,
    ReadHow,
    RepoFile,
    RepoRef,
    RepoReport,
    Severity,
)
from hubaudit.report.escape import encodable
from hubaudit.selection import can_execute
from hubaudit.source.digest import git_blob_id_of
from hubaudit.source.memory import MemorySource
from hubaudit.watch.files import is_code, is_document
from hubaudit.watch.state import (
    Content,
    Document,
    FileState,
    Import,
    Siblings,
    Tensors,
    same_content,
)
from hubaudit.watch.tables import compared, tensors_of
from hubaudit.watch.weights import Replaced, is_weights

_TEXT = 256 << 10  # bytes of one document; the largest modelling files have some 150 kB
_TEXTS = 1 << 20  # bytes of all documents of one repository
_ROWS = 4096  # some 250 kB; a model of 100 layers has 1500 tensors
_ROW = 200  # characters of one
_NAME = 200  # characters of a module or a name; those of Python have at most 80
_IMPORTS = 2000  # of one file; a pickle of a whole pipeline has a hundred
_COMPARED = 8  # replaced weight files of which the bytes are compared with those before


def content_of(
    hub: HubClient,
    report: RepoReport,
    policy: Policy,
    *,
    known: Content | None = None,
    texts: Collection[str] | None = None,
) -> Content:
    """The content of the commit that was audited, under `policy`.

    What did not change since `known` is taken from there. Otherwise bytes are asked for that the audit
    mostly has read, so that they come from the caches. `texts`: only of these paths. Raises a HubError.
    """
    rows = _Rows(report)
    reader = _Reader(hub, report.repo, policy)
    old = _Known(known)
    files = []
    for file in report.files:
        state = rows.state(file)
        files.append(replace(state, tensors=old.tensors(state) or reader.tensors(file)))
    documents: list[Document] = []
    left = _TEXTS
    for file, state in zip(report.files, files, strict=True):
        wanted = is_document(file.path) and (texts is None or file.path in texts)
        if not wanted or file.size > min(_TEXT, left):
            continue
        document = old.document(state) or reader.document(file)
        if document is not None:
            left -= file.size
            documents.append(document)
    return Content(
        verdict=report.verdict,
        summary=encodable(report.summary),
        ruleset=report.tool.ruleset,
        policy=report.tool.policy,
        files=tuple(files),
        siblings=tuple(_siblings(report)),
        documents=tuple(documents),
    )


def rescanned(content: Content, scans: Mapping[str, HubScan | None]) -> Content:
    """The same content with what the Hub's scanners say now, by path: of a newer listing of the commit."""
    files = (_with_scan(file, scans.get(file.path)) for file in content.files)
    return replace(content, files=tuple(files))


def with_scans_of(content: Content, other: Content) -> Content:
    """`content` with what the scanners said of the same files in `other`."""
    said = {file.path: (file.scan, file.scanners) for file in other.files}
    files = []
    for file in content.files:
        scan, scanners = said.get(file.path, (file.scan, file.scanners))
        files.append(replace(file, scan=scan, scanners=scanners))
    return replace(content, files=tuple(files))


def replaced(
    hub: HubClient,
    before: tuple[RepoRef, Content],
    after: tuple[RepoRef, Content],
    policy: Policy,
) -> dict[str, Replaced]:
    """By path, what samples of the bytes of replaced weights say, as far as the old ones can still be read.

    Only of files with equal names, dtypes and shapes: of others it is known that they differ. At most 16
    ranges of each side, and 8 files. Raises a HubError where the Hub fails.
    """
    old = {file.path: file for file in before[1].files}
    found: dict[str, Replaced] = {}
    for file in after[1].files:
        was = old.get(file.path)
        if was is None or not _are_alike(was, file):
            continue
        if len(found) == _COMPARED:
            break
        sources = (hub.open_range(before[0], _listed(was)), hub.open_range(after[0], _listed(file)))
        try:
            seen = compared(file.path, Format(file.format), *sources, policy)
        except (FileUnavailable, RevisionMissing):
            continue  # the old commit may be gone
        if seen is not None:
            found[file.path] = seen
    return found


def _are_alike(was: FileState, now: FileState) -> bool:
    """Whether only bytes can tell weights then and now apart."""
    if same_content(was, now) or not is_weights(now) or was.format != now.format:
        return False
    return was.tensors is not None and was.tensors == now.tensors


class _Known:
    """What an earlier content says of files that did not change."""

    def __init__(self, content: Content | None) -> None:
        self._files = {file.path: file for file in content.files} if content else {}
        self._documents = {one.path: one for one in content.documents} if content else {}

    def tensors(self, file: FileState) -> Tensors | None:
        old = self._same(file)
        return old.tensors if old is not None else None

    def document(self, file: FileState) -> Document | None:
        return self._documents.get(file.path) if self._same(file) is not None else None

    def _same(self, file: FileState) -> FileState | None:
        old = self._files.get(file.path)
        return old if old is not None and same_content(old, file) else None


class _Rows:
    """The rows of a report by file."""

    def __init__(self, report: RepoReport) -> None:
        self._imports: dict[str, set[Import]] = defaultdict(set)
        for use in report.globals:
            found = Import(_name(use.module), _name(use.name), use.name_class)
            self._imports[use.path].add(found)
        self._severities: dict[str, list[Severity]] = defaultdict(list)
        for finding in report.findings:
            if finding.waived is None:
                self._severities[finding.path].append(finding.severity)
        self._unread = {entry.path for entry in report.unread}

    def state(self, file: FileReport) -> FileState:
        executable = can_execute(file.path, Format(file.format)) or is_code(file.path)
        state = FileState(
            path=encodable(file.path),
            size=file.size,
            blob_id=file.blob_id,
            sha256=file.sha256,
            format=file.format,
            role=file.load_role,
            executable=executable or file.load_role is LoadRole.CODE,
            imports=_bounded(self._imports[file.path]),
            worst=min(self._severities[file.path], key=lambda one: one.rank, default=None),
            unread=file.path in self._unread,
        )
        return _with_scan(state, file.hub_scan)


def _name(text: str) -> str:
    """A name that may be megabytes long, so short that it can be kept, and still not another one's."""
    if len(text) <= _NAME:
        return encodable(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{encodable(text[:_NAME])}… {digest[:16]}"


def _bounded(imports: Collection[Import]) -> tuple[Import, ...]:
    """The worst of them; what is left out is one entry more, which changes with these."""
    classes = [NameClass.DANGEROUS, NameClass.UNLISTED, NameClass.INERT]
    ordered = sorted(imports, key=lambda i: (classes.index(i.name_class), i.module, i.name))
    rest = ordered[_IMPORTS:]
    if not rest:
        return tuple(ordered)
    text = "\n".join(f"{one.module} {one.name}" for one in rest)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    more = Import("…", f"{len(rest)} more names {digest}", rest[0].name_class)
    return (*ordered[:_IMPORTS], more)


def _with_scan(file: FileState, scan: HubScan | None) -> FileState:
    if scan is None:
        return replace(file, scan=None, scanners=())
    scanners = sorted((encodable(one.scanner), encodable(one.status)) for one in scan.scanners)
    return replace(file, scan=encodable(scan.status), scanners=tuple(scanners))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads what an audit leaves out of its report."""

    hub: HubClient
    repo: RepoRef
    policy: Policy

    def tensors(self, file: FileReport) -> Tensors | None:
        """None where the file is no checkpoint, or could not be read."""
        if file.read is ReadHow.NONE:
            return None
        source = self.hub.open_range(self.repo, _listed(file))
        try:
            table = tensors_of(file.path, source, Format(file.format), self.policy)
        except FileUnavailable:
            return None
        if table is None:
            return None
        told = (f"{one.name} {one.dtype} {list(one.shape)}" for one in table.tensors)
        rows = sorted(map(encodable, told))
        digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        short = tuple(row[:_ROW] for row in rows) if len(rows) <= _ROWS else ()
        return Tensors(len(rows), digest, short)

    def document(self, file: FileReport) -> Document | None:
        source = self.hub.open_range(self.repo, _listed(file))
        try:
            data = source.read(0, file.size)
        except FileUnavailable:
            return None
        return Document(encodable(file.path), data.decode("utf-8", "replace"))


def _listed(file: FileReport | FileState) -> RepoFile:
    """The file as the listing has it, so that its blocks are found in the caches.

    A report also has the sha256 of files that are plain git blobs. A file is in LFS if its blob is the
    pointer to that hash (git-lfs, docs/spec.md).
    """
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n"
    )
    is_lfs = file.blob_id is None or git_blob_id_of(MemorySource(pointer.encode())) == file.blob_id
    return RepoFile(file.path, file.size, file.blob_id, file.sha256 if is_lfs else None)


def _siblings(report: RepoReport) -> Iterator[Siblings]:
    for one in report.comparisons:
        yield Siblings(
            pickles=tuple(map(encodable, one.pickle_files or (one.pickle,))),
            safetensors=tuple(map(encodable, one.safetensors_files or (one.safetensors,))),
            result=one.result,
            depth=one.depth,
            differing=len(one.differing) + len(one.missing) + len(one.extra),
        )
