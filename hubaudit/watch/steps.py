"""From how a repository was to how it is: the state after every commit in between, each audited."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from hubaudit.errors import GatedRepository
from hubaudit.events import Listener
from hubaudit.hub.client import HubClient
from hubaudit.hub.metadata import Ref
from hubaudit.model import RepoRef, RepoReport, Verdict
from hubaudit.pipeline import audit_listing
from hubaudit.report.escape import encodable
from hubaudit.report.json import render
from hubaudit.store import Store, StoredAudit
from hubaudit.sweeping.record import StoreDesk
from hubaudit.sweeping.work import How, is_settled, listing_bytes
from hubaudit.verdict import exit_code
from hubaudit.watch.alert import Name
from hubaudit.watch.contents import content_of, rescanned
from hubaudit.watch.gather import ANCESTORS, HISTORY, ref_states
from hubaudit.watch.glance import Glance, leads_to
from hubaudit.watch.repository import recreated
from hubaudit.watch.state import Content, Presence, State

# Commits since the last look that are audited one by one; of more, the oldest are one step together.
MOST = 25
_TRIES = 2  # to read what the Hub did not give


@dataclass(slots=True)
class Auditor:
    """Audits commits of one repository, and keeps the audits in the store.

    `is_settled`: the last audit missed nothing because the Hub did not give it.
    """

    hub: HubClient
    store: Store
    name: Name
    how: How
    listener: Listener
    clock: Callable[[], float]
    is_settled: bool = True

    def repo(self, commit: str) -> RepoRef:
        name = self.name
        return RepoRef(name.repo_id, name.repo_type, name.revision or None, commit, name.endpoint)

    def content(self, commit: str, known: Content | None) -> Content | None:
        """What is at a commit; None where nobody may read its files. Raises a HubError."""
        try:
            report = self._audit(self.repo(commit))
            return content_of(self.hub, report, self.how.policy, known=known)
        except GatedRepository:
            self.is_settled = False
            return None

    def scanned(self, content: Content, commit: str) -> Content:
        """The same content with what the Hub's scanners say of it now. Raises a HubError."""
        files = self.hub.list_files(self.repo(commit)).files
        return rescanned(content, {encodable(one.path): one.hub_scan for one in files})

    def _audit(self, repo: RepoRef) -> RepoReport:
        how, memory = self.how, StoreDesk(self.store).memory(repo)
        listing = self.hub.list_files(repo)
        for _ in range(_TRIES):
            report = audit_listing(
                self.hub,
                listing,
                policy=how.policy,
                listener=self.listener,
                fetch=how.fetch,
                load=how.load,
                depth=how.depth,
                memory=memory,
            )
            self.is_settled = is_settled(report, listing)
            if self.is_settled:
                break
        code = exit_code(report.verdict, strict=how.policy.strict)
        key, text, now = how.key(repo), render(report), self.clock()
        audit = StoredAudit(key, "", self.is_settled, report.verdict, code, text, now)
        self.store.put_audit(audit, listing_bytes(listing))
        return report


def steps(auditor: Auditor, before: State, now: Glance, *, is_judged: bool) -> Iterator[State]:
    """The states since `before`, the oldest first; the last one, which there always is, is that of now.

    `is_judged`: what is known of the commit was judged by the present rules. Raises a HubError.
    """
    if not now.is_present or now.state.commit is None:
        # what was last known of its content stays: it may come back as another one
        yield _absent(auditor, before, now)
        return
    commit, known, past = now.state.commit, before.content, before.ancestors
    is_here = before.commit == commit and before.presence is Presence.PRESENT
    if not is_here:
        past = auditor.hub.history(auditor.repo(commit), HISTORY).commits
    if recreated(before, now.state):
        known = None
    else:
        for passed in _between(before.commit, past):
            known = _content(auditor, passed, known)
            yield replace(
                before,
                presence=Presence.PRESENT,
                commit=passed,
                ancestors=_from(passed, past),
                content=known,
            )
    if is_here and is_judged and known is not None and _gate(before) == _gate(now.state):
        content: Content | None = auditor.scanned(known, commit)
    else:
        content = _content(auditor, commit, known)
    yield replace(finished(auditor, now, before, content), ancestors=past[:ANCESTORS])


def _content(auditor: Auditor, commit: str, known: Content | None) -> Content | None:
    """Where nobody may read the files, what was last known stays: it is compared once somebody may."""
    content = auditor.content(commit, known)
    if content is None and known is not None:
        return replace(known, verdict=Verdict.INCOMPLETE, summary="nobody may read its files")
    return content


def _gate(state: State) -> str | None:
    return state.identity.gated if state.identity is not None else None


def _absent(auditor: Auditor, before: State, now: Glance) -> State:
    """The repository, or the revision, is not there."""
    identity = now.state.identity or before.identity
    state = replace(before, presence=now.state.presence, identity=identity)
    if now.refs is None or before.commit is None:
        return state
    repo = auditor.repo(before.commit)
    return replace(state, refs=ref_states(auditor.hub, repo, now.refs, before.content, before))


def finished(auditor: Auditor, now: Glance, before: State | None, content: Content | None) -> State:
    """The state of now, of which the cheap answers and the content are known. Raises a HubError."""
    state = replace(now.state, content=content)
    if now.refs is None or state.commit is None:
        return state
    refs = _agreeing(now.refs, auditor.name, state.commit)
    found = ref_states(auditor.hub, auditor.repo(state.commit), refs, content, before)
    return replace(state, refs=found)


def _agreeing(refs: Sequence[Ref], name: Name, commit: str) -> list[Ref]:
    """A commit between the two answers would otherwise be told twice: by the ref, and in the next look."""
    return [
        replace(ref, commit_hash=commit) if leads_to(ref, name.revision) else ref for ref in refs
    ]


def _between(old: str | None, past: Sequence[str]) -> list[str]:
    """The commits after `old` and before the newest, the oldest first; none if `old` is not among them."""
    if old is None or old not in past:
        return []
    return list(reversed(past[1 : past.index(old)]))[-(MOST - 1) :]


def _from(commit: str, past: Sequence[str]) -> tuple[str, ...]:
    place = past.index(commit)
    return tuple(past[place : place + ANCESTORS])
