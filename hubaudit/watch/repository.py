"""Changes of the repository itself: its name, who may read it, its licence, its refs and their history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from hubaudit.watch.kinds import Change, Kind, change
from hubaudit.watch.state import Identity, Presence, RefState, State


class Move(StrEnum):
    """Where a ref went from one commit to another."""

    FORWARD = "forward"
    BACKWARD = "backward"  # to one of its ancestors
    ASIDE = "aside"  # to one that is neither an ancestor nor a descendant
    GONE = "gone"  # away from one that the Hub no longer has
    UNKNOWN = "unknown"  # the history is longer than was looked at


Moves = Mapping[tuple[str, str], Move]  # by the commits before and after

_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_PULLS = "refs/pr/"
_SHORT = 12  # characters of a commit hash in a sentence; the whole ones are in `before` and `after`


def presence_changes(before: State, after: State) -> Iterator[Change]:
    """Is it still there, and is it still the same? At most one change."""
    old, new = before.identity, after.identity
    match before.presence, after.presence:
        case was, Presence.MISSING if was is not Presence.MISSING:
            message = (
                f"{after.repo_id} is deleted, private or renamed away: the Hub does not tell which"
            )
            yield change(Kind.REPOSITORY_DELETED, message)
        case was, Presence.DISABLED if was is not Presence.DISABLED:
            yield change(Kind.REPOSITORY_DISABLED, f"the Hub has disabled {after.repo_id}")
        case was, Presence.MOVED if was is not Presence.MOVED or _name(old) != _name(new):
            yield _moved(before, after)
        case _, Presence.PRESENT if recreated(before, after):
            yield change(
                Kind.REPOSITORY_RECREATED,
                f"{after.repo_id} is another repository now: deleted, and made anew under the same name",
                before=_object_id(old),
                after=_object_id(new),
            )
        case was, Presence.PRESENT if was is not Presence.PRESENT:
            yield change(Kind.REPOSITORY_RESTORED, f"{after.repo_id} is there again")
        case _:
            pass


def recreated(before: State, after: State) -> bool:
    """Whether the name stands for another repository than before, by the Hub's own id of it."""
    old, new = _object_id(before.identity), _object_id(after.identity)
    return old is not None and new is not None and old != new


def setting_changes(before: Identity, after: Identity) -> Iterator[Change]:
    """Visibility and gating. What the Hub does not say is no change."""
    if None not in (before.private, after.private) and before.private != after.private:
        now = "private" if after.private else "public"
        yield change(
            Kind.VISIBILITY_CHANGED,
            f"the repository is {now} now",
            before="private" if before.private else "public",
            after=now,
        )
    if None not in (before.gated, after.gated) and before.gated != after.gated:
        yield change(
            Kind.GATING_CHANGED,
            f"access was {_gating(before.gated)} and is {_gating(after.gated)} now",
            before=before.gated,
            after=after.gated,
        )


def ref_changes(before: State, after: State, moves: Moves) -> Iterator[Change]:
    """The commit that is looked at, then every other branch and tag, then pull requests."""
    watched = before.commit, after.commit
    if before.commit is not None and after.commit is not None and before.commit != after.commit:
        yield from _branch("the repository", before.commit, after.commit, moves)
    if before.refs is None or after.refs is None:
        return
    now = {one.ref: one for one in after.refs}
    for old in before.refs:
        new = now.get(old.ref)
        if old.ref.startswith(_PULLS):
            continue
        if new is None:
            yield _removed(old)
        elif new.commit == old.commit:
            continue
        elif old.ref.startswith(_TAGS):
            yield _tag(old, new, moves)
        elif (old.commit, new.commit) != watched:
            yield from _branch(f"the branch {_short_ref(old)}", old.commit, new.commit, moves)
    yield from _conversions(before.refs, after.refs)


def _branch(what: str, old: str, new: str, moves: Moves) -> Iterator[Change]:
    match moves.get((old, new)):
        case Move.FORWARD:
            return
        case Move.BACKWARD:
            message = f"{what} went back from {old[:_SHORT]} to the older commit {new[:_SHORT]}"
            yield change(Kind.MOVED_BACKWARDS, message, before=old, after=new)
        case Move.GONE:
            message = f"the history of {what} was rewritten, and the commit {old[:_SHORT]} is gone"
            yield change(Kind.HISTORY_REWRITTEN, message, before=old, after=new)
        case Move.ASIDE:
            message = f"the history of {what} was rewritten: {old[:_SHORT]} is not in that of {new[:_SHORT]}"
            yield change(Kind.HISTORY_REWRITTEN, message, before=old, after=new)
        case _:
            message = f"whether {new[:_SHORT]} comes after {old[:_SHORT]} in {what} is not known"
            yield change(Kind.HISTORY_UNCLEAR, message, before=old, after=new)


def _tag(old: RefState, new: RefState, moves: Moves) -> Change:
    if moves.get((old.commit, new.commit)) is Move.BACKWARD:
        kind, how = Kind.MOVED_BACKWARDS, "back to the older commit"
    else:
        kind, how = Kind.TAG_MOVED, "to"
    message = (
        f"the tag {_short_ref(old)} went from {old.commit[:_SHORT]} {how} {new.commit[:_SHORT]}"
    )
    return change(kind, message, before=old.commit, after=new.commit)


def _removed(old: RefState) -> Change:
    what = "tag" if old.ref.startswith(_TAGS) else "branch"
    message = f"the {what} {_short_ref(old)} is gone, which was at {old.commit[:_SHORT]}"
    return change(Kind.REF_REMOVED, message, before=old.commit)


def _conversions(before: tuple[RefState, ...], after: tuple[RefState, ...]) -> Iterator[Change]:
    """Pull requests that are new, or hold something new, and bring weights."""
    known = {one.ref: one.commit for one in before}
    for one in after:
        if not one.ref.startswith(_PULLS) or known.get(one.ref) == one.commit or not one.weights:
            continue
        files = ", ".join(one.weights[:3]) + (" and others" if len(one.weights) > 3 else "")
        yield change(
            Kind.CONVERSION_OPENED,
            f"the pull request {one.ref} brings converted weights, which some loaders follow: {files}",
            paths=one.weights,
            after=one.commit,
        )


def _moved(before: State, after: State) -> Change:
    to = _name(after.identity) or "another name"
    if recreated(before, after):
        kind, said = Kind.REPOSITORY_REDIRECTED, "leads to another repository now"
    else:
        kind, said = Kind.REPOSITORY_RENAMED, "has a new name"
    return change(kind, f"{after.repo_id} {said}: {to}", before=after.repo_id, after=to)


def licence_change(before: str | None, after: str | None) -> Change:
    was, now = before or "none", after or "none"
    message = f"the licence was {was} and is {now} now"
    return change(Kind.LICENCE_CHANGED, message, before=before, after=after)


def _gating(word: str | None) -> str:
    return {"no": "open", "auto": "granted on request", "manual": "granted by hand"}.get(
        word or "", word or "unknown"
    )


def _short_ref(ref: RefState) -> str:
    return ref.ref.removeprefix(_HEADS).removeprefix(_TAGS)


def _name(identity: Identity | None) -> str | None:
    return identity.repo_id if identity else None


def _object_id(identity: Identity | None) -> str | None:
    return identity.object_id if identity else None
