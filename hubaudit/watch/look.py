"""One look at a watched repository: what is new is put into the ledger, step by step, with its alerts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from hubaudit.errors import HubError, RepositoryMissing, RevisionMissing
from hubaudit.events import Listener, ignore
from hubaudit.hub.client import HubClient
from hubaudit.model import Target
from hubaudit.sweeping.work import How
from hubaudit.watch.alert import Alert, Name, changed, instant
from hubaudit.watch.approval import approve, ended, is_left
from hubaudit.watch.changes import Change, Kind, changes, is_drift
from hubaudit.watch.contents import with_scans_of
from hubaudit.watch.gather import changes_between, moves
from hubaudit.watch.glance import Asks, Glance, completed, glance
from hubaudit.watch.kinds import change
from hubaudit.watch.ledger import Approval, Ledger, Origin, Routes, Seen
from hubaudit.watch.state import Content, Presence, State, same_content
from hubaudit.watch.steps import Auditor, finished, steps

_IN_PART = "in part"  # instead of by which rules: the Hub did not give every file


@dataclass(frozen=True, slots=True)
class Watched:
    """What to watch, and how. `listed` is the commit that the list names: the approved one, then."""

    name: Name
    how: How = How(fetch="range")  # noqa: RUF009 -- frozen
    listed: str | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look."""

    seen: Seen
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at repositories, for as many threads as there are, but for one at a time at each repository.

    `routes` are the sinks that hear of alerts. Raises a HubError, StoreUnusable or RequestsSpent: then
    nothing is lost, and the next look goes on from the last step that was put.
    """

    hub: HubClient
    ledger: Ledger
    routes: Routes
    clock: Callable[[], float]
    listener: Listener = ignore

    def look(self, watched: Watched, asks: Asks, *, is_added: bool = False) -> Looked:
        """`is_added`: it was not there at the last look at its owner, which is told."""
        try:
            return _Look(self, watched, asks).run(is_added=is_added)
        except _Overtaken:
            seen = self.ledger.seen(watched.name)
            assert seen is not None, "somebody has just put it"
            return Looked(seen)


class _Overtaken(Exception):
    """Another process has put the next step, and told of it."""


class _Look:
    def __init__(self, looker: Looker, watched: Watched, asks: Asks) -> None:
        self._ledger, self._routes, self._clock = looker.ledger, looker.routes, looker.clock
        self._hub = looker.hub.lent(looker.listener)
        self._watched, self._asks, self._name = watched, asks, watched.name
        self._auditor = Auditor(
            self._hub, looker.ledger.store, watched.name, watched.how, looker.listener, looker.clock
        )
        self._approval: Approval | None = None  # what this look compares with

    def run(self, *, is_added: bool) -> Looked:
        self._approval = self._ledger.approval(self._name)
        self._take_over_listed()
        seen = self._ledger.seen(self._name)
        if seen is not None and self._asks.is_of_scans_alone:
            try:
                return self._scans(seen)
            except RevisionMissing:
                self._asks = Asks()
        now = glance(self._hub, self._name, self._asks, seen.commit if seen is not None else None)
        if seen is not None and not self._is_news(seen, now):
            return self._as_it_was(seen, seen.mark, now.mark)
        now = completed(self._hub, self._name, now)
        known = self._ledger.approved if seen is None else self._ledger.state
        before = known(self._name)
        if before is None:
            return self._first(now, is_added=is_added)
        return self._go_on(seen, before, now)

    def _take_over_listed(self) -> None:
        """The commit that the list names is approved, whatever was approved before."""
        listed, approval = self._watched.listed, self._approval
        if listed is None or (approval is not None and approval.commit == listed):
            return
        state = self._ledger.state(self._name)
        if state is None or state.commit != listed:
            state = self._listed(listed, self._ledger.approved(self._name) or state)
        approve(self._ledger, self._name, state, Origin.LISTED)
        self._approval = self._ledger.approval(self._name)

    def _listed(self, commit: str, known: State | None) -> State:
        """The state at a commit. What no commit tells is as it was, or else as the first look finds it."""
        content = None
        with suppress(RevisionMissing, RepositoryMissing):  # gone: the steps will say so
            content = self._auditor.content(commit, None)
        name = self._name
        return State(
            name.repo_id,
            name.repo_type,
            Presence.PRESENT,
            commit=commit,
            identity=known.identity if known is not None else None,
            refs=known.refs if known is not None else None,
            content=content,
        )

    def _is_news(self, seen: Seen, now: Glance) -> bool:
        known = json.loads(seen.mark)
        if any(known.get(question) != answer for question, answer in now.mark.items()):
            return True
        if not now.is_present:
            return False
        # of some, the cheap answer does not tell what the scanners say
        is_silent = self._asks.is_thorough and not now.mark.get("scan")
        is_compared = self._is_compared(seen.mark)
        return self._asks.files or is_silent or not is_compared or not self._is_judged(seen)

    def _scans(self, seen: Seen) -> Looked:
        """What the scanners say now of the commit that was last seen, and nothing else."""
        before = self._ledger.state(self._name)
        if before is None or before.content is None or before.commit is None:
            return self._as_it_was(seen, seen.mark, {})
        content = self._auditor.scanned(before.content, before.commit)
        return self._put_last(seen, before, replace(before, content=content), seen.mark, {})

    def _first(self, now: Glance, *, is_added: bool) -> Looked:
        """Nothing is known, and nobody approved anything: it counts as approved as it is."""
        commit = now.state.commit if now.is_present else None
        if commit is None:
            raise self._missing()
        content = self._auditor.content(commit, None)
        state = finished(self._auditor, now, None, content)
        self._ledger.approve(self._name, state, Origin.FIRST_SEEN)
        self._approval = self._ledger.approval(self._name)
        said = []
        if is_added:
            message = f"{self._name} is new among the repositories of its owner"
            said.append(change(Kind.REPOSITORY_ADDED, message, after=state.commit))
        return self._put(None, None, state, self._mark("{}", now.mark), said)

    def _missing(self) -> HubError:
        """Why there is nothing to look at. What was never there has not changed: it may be misspelled."""
        name = self._name
        try:
            self._hub.pin(Target(name.repo_id, name.repo_type, name.revision or None))
        except HubError as error:
            return error
        return RepositoryMissing(f"{name} is not there to be looked at", hint="try it again")

    def _go_on(self, seen: Seen | None, before: State, now: Glance) -> Looked:
        told = list[Alert]()
        mark = json.dumps({"approved": _stamp(self._approval)}) if seen is None else seen.mark
        between = json.dumps({"approved": json.loads(mark).get("approved")})
        is_judged = seen is not None and self._is_judged(seen)
        for state in steps(self._auditor, before, now, is_judged=is_judged):
            if not now.is_present or state.commit == now.state.commit:
                looked = self._put_last(seen, before, state, mark, now.mark, is_judged=is_judged)
            else:
                # a mark without answers: should this process end here, the next one looks on
                looked = self._put(seen, before, state, between, self._changes(before, state))
            seen, before = looked.seen, state
            told += looked.alerts
        assert seen is not None, "there is a last step"
        return Looked(seen, tuple(told))

    def _put_last(
        self,
        seen: Seen | None,
        before: State,
        state: State,
        mark: str,
        answers: Mapping[str, str],
        *,
        is_judged: bool = True,
    ) -> Looked:
        compared = before
        if not is_judged and _has_same_bytes(before, state):
            # seen by other rules: that is no change of the repository
            compared = replace(before, content=_rejudged(before.content, state.content))
        is_compared = self._is_compared(mark)
        if seen is not None and state == before and is_compared:
            return self._as_it_was(seen, mark, answers)
        if seen is None:
            self._complete_approved(state)
        said = self._changes(compared, state)
        if not is_compared and (approved := self._ledger.approved(self._name)):
            before = before if said else approved
            said = (*said, *self._untold(approved, state, said))
        return self._put(seen, before, state, self._mark(mark, answers), said, is_last=True)

    def _untold(self, approved: State, state: State, said: Sequence[Change]) -> tuple[Change, ...]:
        """What was approved since the last look may be another commit than that of now."""
        if state.presence is not Presence.PRESENT or approved.commit is None:
            return ()
        told = [one for each in self._ledger.open_alerts(self._name) for one in each.alert.changes]
        told += said
        found = self._changes(approved, state)
        return tuple(one for one in found if is_drift(one) and not is_left(one, told))

    def _complete_approved(self, state: State) -> None:
        """Of a commit in a list, what no commit tells counts as approved as the first look finds it."""
        approved, approval = self._ledger.approved(self._name), self._ledger.approval(self._name)
        if approved is None or approval is None or approved.identity is not None:
            return
        whole = replace(approved, identity=state.identity, refs=state.refs)
        self._ledger.approve(self._name, whole, approval.origin)
        self._approval = self._ledger.approval(self._name)

    def _changes(self, before: State, state: State) -> tuple[Change, ...]:
        return changes_between(self._hub, before, state, self._watched.how.policy)

    def _as_it_was(self, seen: Seen, mark: str, answers: Mapping[str, str]) -> Looked:
        mark = self._mark(mark, answers)
        self._ledger.unchanged(self._name, mark)
        return Looked(replace(seen, mark=mark, looked=self._clock()))

    def _put(
        self,
        seen: Seen | None,
        before: State | None,
        state: State,
        mark: str,
        said: Sequence[Change],
        *,
        is_last: bool = False,
    ) -> Looked:
        content, identity = state.content, state.identity
        step = Seen(
            name=self._name,
            serial=seen.serial + 1 if seen is not None else 1,
            mark=mark,
            presence=state.presence,
            commit=state.commit,
            verdict=content.verdict if content is not None else None,
            object_id=identity.object_id if identity is not None else None,
            looked=self._clock(),
        )
        alerts = []
        if said:
            approval = self._approval
            alerts.append(
                changed(
                    self._name,
                    step.serial,
                    instant(step.looked),
                    said,
                    commits=(before.commit if before is not None else None, state.commit),
                    approved=approval.commit if approval is not None else None,
                    verdict=step.verdict,
                )
            )
        if is_last:
            alerts += self._closing(step, state, alerts)
        if not self._ledger.put(step, state, alerts, self._routes):
            raise _Overtaken
        return Looked(step, tuple(alerts))

    def _closing(self, step: Seen, state: State, news: Sequence[Alert]) -> list[Alert]:
        """What ends the alerts of which nothing is left, the repository being as it was approved."""
        approved = self._ledger.approved(self._name)
        known = [told.alert for told in self._ledger.open_alerts(self._name)]
        known += [one for one in news if one.is_drift]
        if approved is None or not known or not state.commit or not approved.commit:
            return []
        if step.presence is not Presence.PRESENT:  # nobody could tell where its refs went
            return []
        ways = moves(self._hub, self._auditor.repo(state.commit), approved, state)
        return ended(step, approved, state, known, changes(approved, state, moves=ways))

    def _is_compared(self, mark: str) -> bool:
        """Whether the last look compared with what is approved now."""
        return bool(json.loads(mark).get("approved") == _stamp(self._approval))

    def _is_judged(self, seen: Seen) -> bool:
        """Whether an audit now would find the same. What the Hub did not give is asked for now and then."""
        by = json.loads(seen.mark).get("judged")
        return bool(by == self._watched.how.judged_by or (by == _IN_PART and not self._asks.files))

    def _mark(self, mark: str, answers: Mapping[str, str]) -> str:
        """With what was asked for last, and when the scanners were, so that the next look knows its turn."""
        known = json.loads(mark) | dict(answers)
        known["judged"] = self._watched.how.judged_by if self._auditor.is_settled else _IN_PART
        known["turn"] = "refs" if "refs" in answers or self._asks.is_of_scans_alone else "info"
        if not self._asks.is_of_scans_alone:
            known["approved"] = _stamp(self._approval)
        if self._asks.files or "scanned" not in known:
            known["scanned"] = f"{self._clock():.0f}"
        return json.dumps(known, sort_keys=True)


def _stamp(approval: Approval | None) -> str | None:
    return f"{approval.commit} {approval.at}" if approval is not None else None


def _has_same_bytes(before: State, state: State) -> bool:
    """At the same commit, of which what is known may yet be older: its files were gated meanwhile."""
    if before.commit != state.commit or before.content is None or state.content is None:
        return before.commit == state.commit
    old, new = before.content.files, state.content.files
    return len(old) == len(new) and all(
        was.path == now.path and same_content(was, now) for was, now in zip(old, new, strict=True)
    )


def _rejudged(before: Content | None, now: Content | None) -> Content | None:
    """What was, as the present rules see it, with what the scanners said then."""
    return now if before is None or now is None else with_scans_of(now, before)
