"""The cheap questions about a watched repository, and their answers in a form that can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from hubaudit.errors import RepositoryMissing, RevisionMissing
from hubaudit.hub.client import HubClient
from hubaudit.hub.metadata import Ref, RepoInfo
from hubaudit.watch.alert import Name
from hubaudit.watch.gather import standing, standing_by
from hubaudit.watch.state import Presence, State

_MAIN = "main"


@dataclass(frozen=True, slots=True)
class Asks:
    """What a look asks for: a request each. `files` is the listing, with the word of every scanner.

    `info` may have been had already, from the listing of an owner.
    """

    info: bool | RepoInfo = True
    refs: bool = True
    files: bool = False

    @property
    def is_thorough(self) -> bool:
        return self.info is not False and self.refs

    @property
    def is_of_scans_alone(self) -> bool:
        return self.files and self.info is False and not self.refs


@dataclass(frozen=True, slots=True)
class Glance:
    """Answers of now. `state` has no content, and no identity where the Hub was asked for refs alone.

    `mark` has the answers by question, as texts that are only good for being compared.
    """

    state: State
    refs: tuple[Ref, ...] | None = None
    mark: dict[str, str] = field(default_factory=dict)

    @property
    def is_present(self) -> bool:
        return self.state.presence is Presence.PRESENT


def glance(hub: HubClient, name: Name, asks: Asks, commit: str | None = None) -> Glance:
    """The answers to what is asked for. `commit`: where the repository was when it was last seen.

    Where only refs are asked for, and they lead elsewhere or nowhere, everything is asked. Raises a
    HubError where the Hub fails.
    """
    if asks.info is False and asks.refs:
        refs = _refs(hub, name)
        if refs is not None and commit is not None and _commit_in(refs, name.revision) == commit:
            state = State(name.repo_id, name.repo_type, Presence.PRESENT, commit)
            return Glance(state, refs, {"refs": _refs_text(refs)})
    seen = _standing(hub, name, asks.info if isinstance(asks.info, RepoInfo) else None)
    return _with_refs(hub, name, seen) if asks.refs else seen


def completed(hub: HubClient, name: Name, seen: Glance) -> Glance:
    """The same glance, with identity and refs. Raises a HubError where the Hub fails."""
    if not seen.is_present:
        return seen
    if seen.state.identity is None:
        now = _standing(hub, name, None)
        seen = replace(now, refs=seen.refs, mark=seen.mark | now.mark)
    return _with_refs(hub, name, seen) if seen.refs is None else seen


def leads_to(ref: Ref, revision: str) -> bool:
    """Whether this is the branch, the tag or the ref that is watched; "" is the default branch."""
    wanted = revision or _MAIN
    return wanted == ref.ref or (ref.kind in ("branch", "tag") and wanted == ref.name)


def _standing(hub: HubClient, name: Name, had: RepoInfo | None) -> Glance:
    if had is not None:
        # a list may say less than the repository itself, which is asked where the list says something new
        said = standing_by(name.repo_id, name.repo_type, had)
        state = State(name.repo_id, name.repo_type, Presence.PRESENT, had.commit_hash)
        return Glance(state, None, {"listed": _info_text(said)})
    try:
        state, info = standing(hub, name.repo_id, name.repo_type, name.revision or None)
    except RevisionMissing:  # of the repository there is still to be told
        state, info = standing(hub, name.repo_id, name.repo_type)
        state = replace(state, commit=None)
    mark = {"info": _info_text(state)}
    return Glance(state, None, mark if info is None else mark | {"scan": info.scan})


def _with_refs(hub: HubClient, name: Name, seen: Glance) -> Glance:
    refs = _refs(hub, name) if seen.is_present else None
    if refs is None:
        return seen
    return replace(seen, refs=refs, mark=seen.mark | {"refs": _refs_text(refs)})


def _refs(hub: HubClient, name: Name) -> tuple[Ref, ...] | None:
    """None where the repository is not there."""
    try:
        return hub.refs(name.repo_id, name.repo_type)
    except RepositoryMissing:
        return None


def _commit_in(refs: Sequence[Ref], revision: str) -> str | None:
    return next((ref.commit_hash for ref in refs if leads_to(ref, revision)), None)


def _info_text(state: State) -> str:
    said = [state.presence, state.commit, state.identity and asdict(state.identity)]
    return json.dumps(said)


def _refs_text(refs: Sequence[Ref]) -> str:
    lines = "\n".join(f"{ref.ref} {ref.commit_hash}" for ref in refs)
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()
