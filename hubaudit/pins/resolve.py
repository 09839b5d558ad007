"""The commit that each unpinned reference means now, asked of the Hub."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hubaudit.errors import HubauditError, HubUnreachable, RateLimited
from hubaudit.events import Listener, ignore
from hubaudit.hub.client import HubClient
from hubaudit.model import RepoRef, Target
from hubaudit.pins.reference import Reference

Asked = tuple[str, str, str | None]  # repo_id, repo_type, revision


@dataclass(frozen=True, slots=True)
class Answers:
    """The commits, and why some are missing."""

    commits: dict[Asked, str]
    errors: tuple[tuple[Asked, HubauditError], ...] = ()


def asked(reference: Reference) -> Asked | None:
    """What there is to ask for a reference; None where its repository is not known."""
    if reference.repo_id is None:
        return None
    return reference.repo_id, reference.repo_type, reference.revision or None


def resolve(references: Iterable[Reference], listener: Listener = ignore) -> Answers:
    """Each repository and revision once. An error of one does not stop the others, unless it would
    be theirs, too. Raises ConfigError for settings that no question can be asked with."""
    wanted = {
        one: reference.via for reference in references if (one := asked(reference)) is not None
    }
    commits: dict[Asked, str] = {}
    errors: list[tuple[Asked, HubauditError]] = []
    if not wanted:
        return Answers(commits)
    with HubClient(listener=listener) as client:
        for one, via in wanted.items():
            try:
                found = client.pin(_target(one, via))
            except (HubUnreachable, RateLimited) as error:
                errors.append((one, error))
                break
            except HubauditError as error:
                errors.append((one, error))
                continue
            commits.update(_commit(one, found))
    return Answers(commits, tuple(errors))


def _commit(one: Asked, found: RepoRef) -> dict[Asked, str]:
    return {} if found.commit_hash is None else {one: found.commit_hash}


def _target(one: Asked, via: str) -> Target:
    repo_id, kind, revision = one
    if via in ("SentenceTransformer", "SparseEncoder") and "/" not in repo_id:
        repo_id = f"sentence-transformers/{repo_id}"  # where the library looks for a bare name
    if kind == "dataset":
        return Target(repo_id, "dataset", revision)
    return Target(repo_id, "space" if kind == "space" else "model", revision)
