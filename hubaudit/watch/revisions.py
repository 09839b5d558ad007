"""What changed between two revisions of one repository that the Hub has now."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hubaudit.comparing import Depth, Sampling
from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import RevisionMissing
from hubaudit.events import Listener, Pinned, ignore
from hubaudit.hub.client import HubClient
from hubaudit.loadpath import LoadOptions
from hubaudit.model import RepoRef, RepoReport, Target, Verdict
from hubaudit.pipeline import audit_on
from hubaudit.watch.changes import Change, Move, changes
from hubaudit.watch.contents import content_of, replaced
from hubaudit.watch.gather import move
from hubaudit.watch.state import Content, Presence, State

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True, slots=True)
class Difference:
    """From one revision to another. `report` is the audit of the newer one.

    `before` has no commit, and `verdict_before` is None, where the commit is gone: nobody can tell then
    what changed in it.
    """

    before: RepoRef
    verdict_before: Verdict | None
    report: RepoReport
    changes: tuple[Change, ...]


def between(
    hub: HubClient,
    target: Target,
    other: str | None,
    *,
    policy: Policy = DEFAULT_POLICY,
    listener: Listener = ignore,
    load: LoadOptions = LoadOptions(),  # noqa: B008 -- frozen
    depth: Depth = Sampling(),  # noqa: B008 -- frozen
) -> Difference:
    """From the target's revision to `other`, by default the default branch now.

    Both are audited by ranges, the newer one first: what both have is read once. Where a full commit
    hash is given that the Hub no longer has, that is the change. Raises a HubError.
    """
    after = hub.pin(replace(target, revision=other))
    before = _pinned(hub, target, after)
    if before.commit_hash is not None:
        listener(Pinned(before))

    def audited(repo: RepoRef) -> RepoReport:
        one = Target(repo.repo_id, repo.repo_type, repo.commit_hash)
        return audit_on(
            hub, one, policy=policy, listener=listener, fetch="range", load=load, depth=depth
        )

    report = replace(audited(after), repo=after)
    if before.commit_hash is None:
        return Difference(before, None, report, _gone(target, after))
    if before.commit_hash == after.commit_hash:
        return Difference(before, report.verdict, report, ())
    old = audited(before)
    texts = _differing(old, report)
    content = content_of(hub, report, policy, texts=texts)
    states = (
        _state(before, content_of(hub, old, policy, known=content, texts=texts)),
        _state(after, content),
    )
    return Difference(
        before, old.verdict, report, _changes(hub, target.revision, (before, after), states, policy)
    )


def _changes(
    hub: HubClient,
    asked: str | None,
    repos: tuple[RepoRef, RepoRef],
    states: tuple[State, State],
    policy: Policy,
) -> tuple[Change, ...]:
    before, after = states
    assert before.content is not None
    assert after.content is not None
    old, new = before.commit, after.commit
    assert old is not None
    assert new is not None
    bytes_ = replaced(hub, (repos[0], before.content), (repos[1], after.content), policy)
    if asked is None or not (_SHORT_COMMIT.fullmatch(asked) and old.startswith(asked)):
        # two branches, or a tag and a branch: that one does not come after the other is no rewriting
        before, after = replace(before, commit=None), replace(after, commit=None)
        return changes(before, after, replaced=bytes_)
    went = {(old, new): move(hub, repos[1], old, new)}
    return changes(before, after, moves=went, replaced=bytes_)


def _pinned(hub: HubClient, target: Target, after: RepoRef) -> RepoRef:
    """The commit of the target's revision; none where a commit is asked for that is gone."""
    try:
        return hub.pin(target)
    except RevisionMissing:
        if target.revision is None or not _COMMIT.fullmatch(target.revision):
            raise
        return replace(after, revision=target.revision, commit_hash=None)


def _gone(target: Target, after: RepoRef) -> tuple[Change, ...]:
    old, new = target.revision, after.commit_hash
    assert old is not None
    assert new is not None
    empty = State(after.repo_id, after.repo_type, Presence.PRESENT)
    states = replace(empty, commit=old), replace(empty, commit=new)
    return changes(*states, moves={(old, new): Move.GONE})


def _state(repo: RepoRef, content: Content) -> State:
    return State(
        repo.repo_id, repo.repo_type, Presence.PRESENT, commit=repo.commit_hash, content=content
    )


def _differing(one: RepoReport, other: RepoReport) -> frozenset[str]:
    """Paths that only one of the commits has, or both with other bytes."""
    sides = [
        {(file.path, file.blob_id or file.sha256) for file in report.files}
        for report in (one, other)
    ]
    return frozenset(path for path, _ in sides[0] ^ sides[1])
