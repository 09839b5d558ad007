"""The state of a repository as the Hub has it now: who it is, its refs and their history, and its content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.errors import RepositoryDisabled, RepositoryMissing, RevisionMissing
from hubaudit.hub.client import HubClient
from hubaudit.hub.metadata import Ref, RepoInfo
from hubaudit.model import RepoRef, RepoType
from hubaudit.report.escape import encodable
from hubaudit.watch.changes import Change, Move, Replaced, changes
from hubaudit.watch.contents import replaced
from hubaudit.watch.repository import recreated
from hubaudit.watch.state import Content, Identity, Presence, RefState, State

HISTORY = 1000  # commits of one request; only a handful of repositories have more
ANCESTORS = 200  # that are kept: 8 kB
_MOVED = 50  # refs whose ways are looked at: one request each, mostly
_PULLS = 20  # pull requests that are new at once and looked into, the newest first
_CONVERSIONS = (".safetensors", ".bin", ".gguf", ".onnx", ".msgpack", ".h5", ".ot")


def changes_between(
    hub: HubClient, before: State, after: State, policy: Policy = DEFAULT_POLICY
) -> tuple[Change, ...]:
    """What changed, worst first, with what only the Hub can tell: the ways of refs, and replaced bytes.

    Nothing is asked for where nothing changed. Raises a HubError.
    """
    if after.presence is not Presence.PRESENT or recreated(before, after):
        return changes(before, after)
    old, new = (
        RepoRef(after.repo_id, after.repo_type, None, one.commit, hub.endpoint)
        for one in (before, after)
    )
    bytes_: dict[str, Replaced] = {}
    if before.content is not None and after.content is not None and old != new:
        bytes_ = replaced(hub, (old, before.content), (new, after.content), policy)
    return changes(before, after, moves=moves(hub, new, before, after), replaced=bytes_)


def standing(
    hub: HubClient, repo_id: str, repo_type: RepoType = "model", revision: str | None = None
) -> tuple[State, RepoInfo | None]:
    """Presence, identity and commit alone, by one request; and the Hub's answer, if there was one.

    Raises RevisionMissing, or another HubError where the Hub fails.
    """
    try:
        info = hub.info(repo_id, repo_type, revision)
    except RepositoryMissing:
        return State(repo_id, repo_type, Presence.MISSING), None
    except RepositoryDisabled:
        return State(repo_id, repo_type, Presence.DISABLED), None
    return standing_by(repo_id, repo_type, info), info


def standing_by(repo_id: str, repo_type: RepoType, info: RepoInfo) -> State:
    """The same, from an answer that is there already."""
    presence = Presence.PRESENT if is_same_name(repo_id, info.repo_id) else Presence.MOVED
    if info.disabled and presence is Presence.PRESENT:
        presence = Presence.DISABLED
    return State(repo_id, repo_type, presence, info.commit_hash, identity_of(info))


def is_same_name(asked: str, found: str) -> bool:
    """Whether the Hub's id is what was asked for: letter case is no difference, nor an owner left out."""
    legacy = "/" not in asked and found.lower().endswith(f"/{asked.lower()}")
    return found.lower() == asked.lower() or legacy


def identity_of(info: RepoInfo) -> Identity:
    licence = encodable(info.licence) if info.licence is not None else None
    gated = encodable(info.gated) if info.gated is not None else None
    return Identity(info.repo_id, info.object_id, info.private, gated, licence)


def ref_states(
    hub: HubClient, repo: RepoRef, refs: Sequence[Ref], main: Content | None, known: State | None
) -> tuple[RefState, ...]:
    """Branches, tags and pull requests. Those pull requests that are new since `known` are looked into.

    A request for the listing of each, of 20 at most. Raises a HubError.
    """
    old = {one.ref: one for one in known.refs or ()} if known is not None else {}
    news = [ref for ref in refs if ref.kind == "pull-request" and not _is_known(ref, old)]
    is_first = known is None or known.refs is None
    newest = [] if is_first else sorted(news, key=_number, reverse=True)[:_PULLS]
    states = []
    for ref in refs:
        weights = old[ref.ref].weights if _is_known(ref, old) else None
        if ref in newest and main is not None:
            weights = _new_weights(hub, replace(repo, commit_hash=ref.commit_hash), main)
        states.append(RefState(ref.ref, ref.commit_hash, weights))
    return tuple(states)


def moves(
    hub: HubClient, repo: RepoRef, before: State, after: State
) -> dict[tuple[str, str], Move]:
    """Where the watched commit and every ref that is in both states went. Raises a HubError.

    A ref that only went on costs one request, another one two. More than 50 refs are not looked at.
    """
    found: dict[tuple[str, str], Move] = {}
    for old, new in list(dict.fromkeys(_steps(before, after)))[:_MOVED]:
        watched = (old, new) == (before.commit, after.commit)
        past = before.ancestors if watched else ()
        now = after.ancestors if watched else ()
        found[old, new] = move(hub, repo, old, new, past, now)
    return found


def move(
    hub: HubClient,
    repo: RepoRef,
    old: str,
    new: str,
    past: Sequence[str] = (),
    now: Sequence[str] = (),
) -> Move:
    """The way from one commit to the other. `past` and `now` are their ancestors, as far as known.

    Raises RevisionMissing where the new one is gone, or another HubError.
    """
    if old == new or old in now:
        return Move.FORWARD
    if new in past:
        return Move.BACKWARD
    after = hub.history(replace(repo, commit_hash=new), HISTORY)
    if old in after.commits:
        return Move.FORWARD
    try:
        before = hub.history(replace(repo, commit_hash=old), HISTORY)
    except RevisionMissing:
        return Move.GONE
    if new in before.commits:
        return Move.BACKWARD
    return Move.ASIDE if before.whole and after.whole else Move.UNKNOWN


def _steps(before: State, after: State) -> Iterator[tuple[str, str]]:
    if before.commit is not None and after.commit is not None and before.commit != after.commit:
        yield before.commit, after.commit
    now = {one.ref: one.commit for one in after.refs or ()}
    for one in before.refs or ():
        new = now.get(one.ref, one.commit)
        if new != one.commit and one.ref.startswith(("refs/heads/", "refs/tags/")):
            yield one.commit, new


def _is_known(ref: Ref, old: dict[str, RefState]) -> bool:
    return ref.ref in old and old[ref.ref].commit == ref.commit_hash


def _number(ref: Ref) -> int:
    return int(ref.name) if ref.name.isascii() and ref.name.isdigit() else 0


def _new_weights(hub: HubClient, pull: RepoRef, main: Content) -> tuple[str, ...]:
    """The weight files of a pull request that the repository has not, or has with other bytes."""
    known = {(file.path, file.blob_id) for file in main.files}
    return tuple(
        encodable(file.path)
        for file in hub.list_files(pull).files
        if PurePosixPath(file.path).suffix.lower() in _CONVERSIONS
        and (encodable(file.path), file.blob_id) not in known
    )
