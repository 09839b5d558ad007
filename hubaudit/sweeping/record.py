"""What a sweep has to show for each target, in the store and as a report file, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never, cast

from hubaudit.model import RepoRef, RepoType
from hubaudit.remembering import Memory, Remembering, Turns
from hubaudit.store import AuditKey, Store, StoredAudit, SweepRow
from hubaudit.sweeping.results import (
    Result,
    Trouble,
    compared,
    dropped,
    of_audit,
    result_from,
)
from hubaudit.sweeping.work import Answer, Failed, Fresh, How, Unchanged
from hubaudit.verdict import UNDECIDED

# Writes a report where it belongs; its path as it is told, None if its names make no path.
Save = Callable[[RepoRef, str], str | None]


@dataclass(frozen=True, slots=True)
class StoreDesk:
    """What the store knows, for work in this process."""

    store: Store
    turns: Turns = field(default_factory=Turns)

    def has_audit(self, key: AuditKey, scan: str) -> bool:
        found = self.store.find_audit(key)
        return found is not None and found.settled and found.scan == scan

    def listing(self, key: AuditKey, scan: str) -> bytes | None:
        found = self.store.find_listing(key)
        return found[1] if found is not None and found[0] == scan else None

    def memory(self, repo: RepoRef) -> Memory:
        return Remembering(self.store, repo, self.turns)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Takes answers in. Each target's report file is whole before the store says that it is done."""

    store: Store
    sweep: SweepRow
    before: SweepRow | None
    save: Save
    clock: Callable[[], float] = time.time

    def record(self, target: str, how: How, answer: Answer, owner: str | None = None) -> Result:
        """Raises StoreUnusable, and what `save` raises."""
        match answer:
            case Failed():
                trouble = Trouble(answer.kind, answer.message, answer.hint)
                result = Result(target, UNDECIDED, trouble=trouble)
                return self._put(replace(result, owner=owner), how, None, None)
            case Unchanged():
                audit = self.store.find_audit(how.key(answer.repo))
                assert audit is not None, "it was there when the work was done"
                return self._keep(target, how, audit, None, owner, answer.repo)
            case Fresh():
                audit = StoredAudit(
                    how.key(answer.repo),
                    answer.scan,
                    answer.settled,
                    answer.verdict,
                    answer.code,
                    answer.report,
                    self.clock(),
                )
                return self._keep(target, how, audit, answer.listing, owner, answer.repo)
            case _:
                assert_never(answer)

    def take_over(self, result: Result) -> Result:
        """The result of another sweep, whose audit is in this store by now."""
        audit = self.store.find_audit(result.key) if result.key is not None else None
        if audit is not None:
            fresh = replace(of_audit(result.target, audit), owner=result.owner)
            # what was approved on the machine that swept it is in that store alone
            fresh = replace(fresh, judged_by=result.judged_by, approved=result.approved)
            return self._write(
                replace(fresh, report=self.save(_repo(audit.key), audit.report)), audit, None
            )
        code = UNDECIDED if result.trouble is not None else result.code
        return self._write(replace(result, code=code), None, None)

    def done(self, target: str, how: How) -> Result | None:
        """What the sweep has for a target already, if it was decided under the same rules and approvals."""
        found = self.store.find_result(self.sweep, target)
        if found is None:
            return None
        result = result_from(found)
        is_same = result.judged_by == how.judged_by and result.approved == self._approved(result)
        return result if result.trouble is None and is_same else None

    def results(self) -> list[Result]:
        """All of the sweep, by target."""
        return [result_from(text) for _, text in self.store.results(self.sweep)]

    def settle(self) -> None:
        """Of targets at one commit, which have one place for their reports, the first has it."""
        first: dict[str, Result] = {}
        twice: set[str] = set()
        for result in self.results():
            if result.report is not None and first.setdefault(result.report, result) is not result:
                twice.add(result.report)
        for path in sorted(twice):
            key = first[path].key
            audit = self.store.find_audit(key) if key is not None else None
            if audit is not None:
                self.save(_repo(audit.key), audit.report)

    def gone(self, kept: frozenset[str]) -> list[Result]:
        """What the sweep before had and the list no longer has."""
        if self.before is None:
            return []
        rows = (result_from(text) for _, text in self.store.results(self.before))
        return [dropped(row) for row in rows if row.target not in kept]

    def _keep(
        self,
        target: str,
        how: How,
        audit: StoredAudit,
        listing: bytes | None,
        owner: str | None,
        repo: RepoRef,
    ) -> Result:
        saved = self.save(repo, audit.report)
        result = replace(of_audit(target, audit), report=saved, owner=owner)
        return self._put(result, how, audit, listing)

    def _put(
        self, result: Result, how: How, audit: StoredAudit | None, listing: bytes | None
    ) -> Result:
        return self._write(replace(result, judged_by=how.judged_by), audit, listing)

    def _write(self, result: Result, audit: StoredAudit | None, listing: bytes | None) -> Result:
        before = self._before(result.target)
        last = before.last if before is not None else None
        then = self.store.find_audit(last) if last is not None else None
        result = replace(result, approved=self._approved(result) or result.approved)
        result = compared(result, before, audit, then)
        is_new = audit if listing is not None else None
        self.store.put_result(self.sweep, result.target, result.to_json(), is_new, listing)
        return result

    def _approved(self, result: Result) -> str | None:
        return self.store.approved_commit(result.key) if result.key is not None else None

    def _before(self, target: str) -> Result | None:
        if self.before is None:
            return None
        text = self.store.find_result(self.before, target)
        return result_from(text) if text is not None else None


def _repo(key: AuditKey) -> RepoRef:
    kind = cast(RepoType, key.repo_type)
    return RepoRef(key.repo_id, kind, key.revision, key.commit_hash, key.endpoint)
