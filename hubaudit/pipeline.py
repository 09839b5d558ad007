"""The pipeline: from what the user named to a report. The only module that sees everything below it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hubaudit import __version__, rules
from hubaudit.agreement import since_agreed as with_agreement
from hubaudit.comparing import (
    TORCH_CHECKPOINTS,
    Depth,
    Full,
    Known,
    Sampling,
    compare_pairs,
    names_in,
    table_of,
)
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import AuditFailed, AuditIncomplete, FileUnavailable, HubError
from hubaudit.events import Compared, FileRead, Finished, Listed, Listener, Pinned, Sniffed, ignore
from hubaudit.examine import Examined, FirstBytes, examine, sniff_one
from hubaudit.hub.client import HubClient
from hubaudit.hub.targets import parse_target
from hubaudit.loadpath import LoadOptions, LoadPlan, plan, wanted
from hubaudit.loadpath.shards import check_places, placed
from hubaudit.model import (
    Comparison,
    Finding,
    Listing,
    LoadAdvice,
    ReadHow,
    RepoFile,
    RepoReport,
    RepoType,
    Target,
    Tool,
    Unread,
    Verdict,
)
from hubaudit.opening import Fetch, Files, HubFiles, LocalFiles, reading_threads
from hubaudit.remembering import NO_MEMORY, Memory
from hubaudit.rules.names import catalogue_digest
from hubaudit.selection import promises_pickle
from hubaudit.tensors.compare import gap
from hubaudit.tensors.pairs import Pair, alone
from hubaudit.tensors.pairs import pairs as pair_up
from hubaudit.verdict import FAILED, decide, exit_code, summarize
from hubaudit.waivers import tolerate

_DEFAULT_LOAD = LoadOptions()


def audit(
    target: str | Target,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    fetch: Fetch = "auto",
    load: LoadOptions = _DEFAULT_LOAD,
    depth: Depth = Sampling(),  # noqa: B008 -- frozen
    since_agreed: bool = False,
    with_cost: bool = False,
    record: Path | None = None,
    replay: Path | None = None,
) -> RepoReport:
    """Audit one repository of the Hub at one commit.

    (1) pin the revision, (2) list the commit's files, (3) select by first bytes, (4) say which of
    them the loader would open, (5) read, (6) interpret, (7) judge, (8) compare with safetensors
    siblings, as deep as `depth` says, (9) decide. Step (10), the report's form, is others' business.

    `fetch`: which pickle-format files go whole into the HF cache; by "auto" those that the loader opens,
    which is found by `load`. `record` keeps the exchanges with the Hub in a folder, `replay` answers from
    such a folder. `since_agreed` looks for the last commit at which siblings that differ now agreed.
    `with_cost` puts the network's figures into the report, which depend on the caches.

    Raises HubauditError for what could not be done, never for what was found: a Hub that fails
    half-way leaves nothing decided, unless something already found decides it.
    """
    if isinstance(target, str):
        target = parse_target(target, repo_type=repo_type, revision=revision)
    with HubClient(
        endpoint=endpoint, token=token, listener=listener, record=record, replay=replay
    ) as hub:
        report = audit_on(
            hub,
            target,
            policy=policy,
            listener=listener,
            fetch=fetch,
            load=load,
            depth=depth,
            since_agreed=since_agreed,
        )
        return replace(report, cost=hub.cost) if with_cost else report


def audit_on(
    hub: HubClient,
    target: Target,
    *,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    fetch: Fetch = "auto",
    load: LoadOptions = _DEFAULT_LOAD,
    depth: Depth = Sampling(),  # noqa: B008 -- frozen
    since_agreed: bool = False,
) -> RepoReport:
    """The same over a client that is open already, as for one of many targets."""
    repo = hub.pin(target)
    listener(Pinned(repo))
    listing = hub.list_files(repo)
    return audit_listing(
        hub,
        listing,
        policy=policy,
        listener=listener,
        fetch=fetch,
        load=load,
        depth=depth,
        since_agreed=since_agreed,
    )


def audit_listing(
    hub: HubClient,
    listing: Listing,
    *,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    fetch: Fetch = "auto",
    load: LoadOptions = _DEFAULT_LOAD,
    depth: Depth = Sampling(),  # noqa: B008 -- frozen
    since_agreed: bool = False,
    memory: Memory = NO_MEMORY,
) -> RepoReport:
    """Steps 3 to 9 for a commit that is listed. Content that `memory` knows is not read again."""
    files = HubFiles(hub, listing.repo, fetch, memory=memory)
    look_back: Callable[[Comparison], Comparison] = _as_it_is
    if since_agreed:
        look_back = partial(with_agreement, hub, listing, policy=policy, depth=depth)
    settings = _Settings(policy, load, depth, look_back)
    return _Audit(files, listing, settings, listener).run()


def _as_it_is(comparison: Comparison) -> Comparison:
    return comparison


def scan(
    path: str | Path,
    *,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    load: LoadOptions = _DEFAULT_LOAD,
    depth: Depth = Full(),  # noqa: B008 -- frozen
) -> RepoReport:
    """The same for a local file or folder, which has no listing to be verified against.

    Raises PathError if there is no such path.
    """
    root = Path(path)
    files = LocalFiles(root)
    return _Audit(files, files.list(), _Settings(policy, load, depth), listener).run()


def require(
    target: str | Target,
    *,
    revision: str | None = None,
    repo_type: RepoType | None = None,
    token: str | bool | None = None,
    endpoint: str | None = None,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    load: LoadOptions = _DEFAULT_LOAD,
) -> dict[str, object]:
    """The keyword arguments with which `from_pretrained` loads just what was audited: the revision, and
    what makes the load the least risky one.

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
        load=load,
    )
    if exit_code(report.verdict, strict=policy.strict) == FAILED:
        raise AuditFailed(report, hint="read the findings before anything loads this commit")
    if report.verdict is Verdict.INCOMPLETE:
        raise AuditIncomplete(report, hint="see `unread` for what is missing")
    assert report.repo.commit_hash is not None
    advised = dict(report.load.arguments) if report.load else {}
    return {"revision": report.repo.commit_hash, **advised}


@dataclass(frozen=True, slots=True)
class _Settings:
    """What an audit is to do, whatever it is of."""

    policy: Policy
    load: LoadOptions
    depth: Depth
    look_back: Callable[[Comparison], Comparison] = _as_it_is


class _Audit:
    """Steps 3 to 9, the same for the Hub and for a local folder."""

    def __init__(
        self, files: Files, listing: Listing, settings: _Settings, listener: Listener
    ) -> None:
        self._files = files
        self._listing = listing
        self._settings = settings
        self._listener = listener
        self._examined: list[Examined] = []
        self._comparisons: list[Comparison] = []
        self._plan: LoadPlan | None = None
        self._documents: dict[str, bytes] = {}
        self._places: dict[str, dict[str, str]] = {}

    def run(self) -> RepoReport:
        """Raises the HubError that it met, unless something already found decides the verdict, and
        UsageError for a subfolder that is not there."""
        listed = self._listing.files
        self._listener(Listed(len(listed), sum(file.size for file in listed)))
        names = [*(file.path for file in listed), *(one.path for one in self._listing.unread)]
        self._settings.load.check(names)
        failure: HubError | None = None
        try:
            with reading_threads(self._files) as pool:
                self._read(pool)
        except HubError as error:
            failure = error
        unread = [
            *self._listing.unread,
            *(entry for one in self._examined for entry in one.unread),
            *(entry for one in self._comparisons if (entry := gap(one)) is not None),
        ]
        findings = self._tolerated()
        if failure is not None:
            unread += self._never_reached(failure)
            if decide(findings, unread, self._settings.policy) is not Verdict.FAIL:
                raise failure
        return self._report(findings, tuple(unread))

    def _read(self, pool: ThreadPoolExecutor) -> None:
        sniffed = list(self._sniff(pool))
        self._documents = self._read_documents(pool)
        formats = {one.file.path: one.format for one in sniffed}
        self._plan = plan(self._listing.files, formats, self._documents, self._settings.load)
        pairs = pair_up(self._listing.files, self._documents)
        self._places = placed(self._documents)
        tabled = {path for pair in pairs for path in pair.pickles}
        tabled.update(path for place in self._places.values() for path in place.values())
        for done in self._examine(pool, sniffed, self._plan, tabled):
            self._examined.append(done)
            row = done.report
            self._listener(FileRead(row.path, row.format, row.read, done.findings, done.unread))
        self._compare(pool, pairs)

    def _sniff(self, pool: ThreadPoolExecutor) -> Iterator[FirstBytes]:
        """Every file with the format that its first bytes show; those named like pickles first."""
        ordered = sorted(
            self._listing.files, key=lambda file: (not promises_pickle(file.path), file.path)
        )
        most = self._files.most_sniffed
        first = ordered[:most]
        results = pool.map(partial(sniff_one, self._files), first)
        for done, result in enumerate(results, start=1):
            self._listener(Sniffed(done, len(first)))
            yield result
        for file in ordered[most:]:
            yield FirstBytes(file, FileUnavailable(f"only the first {most} files are looked at"))

    def _read_documents(self, pool: ThreadPoolExecutor) -> dict[str, bytes]:
        by_path = {file.path: file for file in self._listing.files}
        paths = wanted(self._listing.files)
        read = pool.map(lambda path: _whole(self._files, by_path[path]), paths)
        return {path: data for path, data in zip(paths, read, strict=True) if data is not None}

    def _examine(
        self,
        pool: ThreadPoolExecutor,
        sniffed: Sequence[FirstBytes],
        planned: LoadPlan,
        tabled: Collection[str],
    ) -> Iterator[Examined]:
        """In order. What is read in place is read by several threads, and downloads are one by one."""

        def work(one: FirstBytes) -> Examined:
            path = one.file.path
            table = table_of if path in tabled else None
            role, reason = planned.roles[path], planned.reasons[path]
            return examine(self._files, one, role, reason, self._settings.policy, table)

        def is_downloaded(one: FirstBytes) -> bool:
            role = planned.roles[one.file.path]
            return self._files.how(one.file, one.format, role) is ReadHow.CACHE

        in_place = pool.map(work, [one for one in sniffed if not is_downloaded(one)])
        for one in sniffed:
            yield work(one) if is_downloaded(one) else next(in_place)

    def _compare(self, pool: ThreadPoolExecutor, pairs: Sequence[Pair]) -> None:
        by_path = {file.path: file for file in self._listing.files}
        known = {
            row.path: Known(by_path[row.path], row.read, row.format, one.table)
            for one in self._examined
            for row in (one.report,)
        }
        torch = [
            pair
            for pair in pairs
            if any(known[path].format in TORCH_CHECKPOINTS for path in pair.pickles)
        ]
        for one in compare_pairs(self._files, torch, known, self._settings.depth, pool.map):
            done = self._settings.look_back(one)
            self._comparisons.append(done)
            self._listener(Compared(done))

    def _tolerated(self) -> tuple[Finding, ...]:
        """Everything found, with what the policy says of the repository and of each finding."""
        repo, policy = self._listing.repo, self._settings.policy
        found = [finding for one in self._examined for finding in one.findings]
        found += rules.check_siblings(self._siblings())
        reports = tuple(one.report for one in self._examined)
        return tolerate((*rules.check_repo(repo, policy), *found), reports, repo, policy)

    def _siblings(self) -> rules.Siblings:
        torch = [
            one.report.path for one in self._examined if one.report.format in TORCH_CHECKPOINTS
        ]
        # of a single file nobody can say what it should lie beside
        problems = (
            [*self._plan.problems, *check_places(self._places, self._names())]
            if self._plan and len(self._listing.files) > 1
            else []
        )
        return rules.Siblings(
            roles={one.report.path: one.report.load_role for one in self._examined},
            comparisons=self._comparisons,
            alone=alone(self._listing.files, self._documents, torch),
            problems=[(one.path, one.message) for one in problems if one.kind == "index"],
        )

    def _names(self) -> dict[str, tuple[str, ...]]:
        """The names of the tensors in each file of which all are known."""
        return {
            one.report.path: names
            for one in self._examined
            if one.table is not None and (names := names_in(one.table)) is not None
        }

    def _never_reached(self, failure: HubError) -> Iterator[Unread]:
        reached = {one.report.path for one in self._examined}
        for file in self._listing.files:
            if file.path not in reached:
                yield Unread(file.path, None, f"the Hub failed before it was read: {failure}")

    def _report(self, findings: tuple[Finding, ...], unread: tuple[Unread, ...]) -> RepoReport:
        policy = self._settings.policy
        verdict = decide(findings, unread, policy)
        ruleset = rules.ruleset_digest(catalogue_digest())
        files = tuple(one.report for one in self._examined)
        report = RepoReport(
            tool=Tool("hubaudit", __version__, ruleset, policy.digest),
            repo=self._listing.repo,
            verdict=verdict,
            summary=summarize(verdict, findings, unread, policy, files),
            files=files,
            findings=findings,
            globals=tuple(row for one in self._examined for row in one.globals),
            comparisons=tuple(self._comparisons),
            unread=unread,
            load=_advice(self._plan) if self._plan else None,
        )
        self._listener(Finished(report))
        return report


def _whole(files: Files, file: RepoFile) -> bytes | None:
    """A small document; None if it cannot be had, which its own entry in the report says."""

    def look() -> bytes:
        with files.open_start(file) as source:
            return source.read(0, file.size)

    try:
        return files.memory.recall("whole", [file], look)
    except FileUnavailable:
        return None


def _advice(planned: LoadPlan) -> LoadAdvice:
    return LoadAdvice(planned.library, dict(sorted(planned.arguments.items())), planned.bases)
