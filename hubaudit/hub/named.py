"""Repositories that the Hub lists: those in a collection, those of an owner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hubaudit.errors import HubAnswerInvalid, RepositoryMissing, UsageError
from hubaudit.hub.client import HubClient
from hubaudit.hub.metadata import RepoInfo, listed, read_info
from hubaudit.hub.refusals import Asked
from hubaudit.model import RepoType, Target

_KINDS: tuple[RepoType, ...] = ("model", "dataset", "space")
_SLUG = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PINNED = re.compile(r"\bsha=([0-9a-f]{40})\b")
_HINT = "is the endpoint a Hub? check HF_ENDPOINT"


def collected(hub: HubClient, slug: str) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """The repositories in the collection `owner/slug`, and what is in it besides.

    A note `sha=<commit hash>` of an item is its revision. Raises UsageError for what is no slug, and a
    HubError.
    """
    if not _SLUG.fullmatch(slug):
        raise UsageError(f"{slug!r} is no collection", hint="write collection:owner/title-id")
    try:
        answer, _ = hub.get_json(f"{hub.endpoint}/api/collections/{quote(slug)}", _asked(hub, slug))
    except RepositoryMissing as error:
        raise RepositoryMissing(
            f"the collection {slug} is missing or private",
            hint="copy it from the collection's page",
        ) from error
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise HubAnswerInvalid("the Hub's answer about the collection has no items", hint=_HINT)
    targets, others = [], []
    for item in items:
        kind, name = (item.get("type"), item.get("id")) if isinstance(item, dict) else (None, None)
        if kind in _KINDS and isinstance(name, str):
            targets.append(_target(name, kind, _revision(item.get("note"))))
        else:
            others.append(f"the collection has a {kind}, {name}, which is no repository")
    return tuple(targets), tuple(others)


def owned(hub: HubClient, owner: str) -> tuple[Target, ...]:
    """The models, datasets and spaces of an owner that the token may see, by name.

    Raises UsageError for what is no name, and a HubError.
    """
    _checked(owner)
    return tuple(target for kind in _KINDS for target in sorted(_owned(hub, owner, kind), key=_id))


def _checked(owner: str) -> str:
    if not _OWNER.fullmatch(owner):
        raise UsageError(f"{owner!r} is no owner", hint="write owner:organization")
    return owner


def standings(hub: HubClient, owner: str) -> tuple[tuple[Target, RepoInfo | None], ...]:
    """Those that `owned` gives, with what the list itself says of each; None where that is too little.

    One request for a thousand of each type. Raises as `owned`.
    """
    found = []
    for kind in _KINDS:
        for item in _items(hub, _checked(owner), kind, f"&{listed(kind)}"):
            info = None
            with suppress(HubAnswerInvalid):
                info = read_info(item)
            known = info if info is not None and info.commit_hash is not None else None
            found.append((_target(item["id"], kind, None), known))
    return tuple(sorted(found, key=lambda one: (_KINDS.index(one[0].repo_type), one[0].repo_id)))


def _owned(hub: HubClient, owner: str, kind: RepoType) -> Iterator[Target]:
    for item in _items(hub, owner, kind):
        yield _target(item["id"], kind, None)


def _items(hub: HubClient, owner: str, kind: RepoType, more: str = "") -> Iterator[dict[str, Any]]:
    path = f"{kind}s?author={quote(owner, safe='')}&limit=1000{more}"
    for page in hub.pages(path, _asked(hub, owner)):
        if not isinstance(page, list):
            raise HubAnswerInvalid("the Hub's list of repositories is no JSON array", hint=_HINT)
        for item in page:
            name = item.get("id") if isinstance(item, dict) else None
            if not isinstance(name, str):
                raise HubAnswerInvalid("a repository in the Hub's list has no id", hint=_HINT)
            if name.partition("/")[0].lower() == owner.lower():
                yield item


def _target(name: str, kind: RepoType, revision: str | None) -> Target:
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise HubAnswerInvalid(
            f"the Hub lists {name[:100]!r}, which is no id", hint=_HINT
        ) from error
    return Target(name, kind, revision)


def _revision(note: Any) -> str | None:
    text = note.get("text") if isinstance(note, dict) else note
    found = _PINNED.search(text) if isinstance(text, str) else None
    return found[1] if found else None


def _asked(hub: HubClient, name: str) -> Asked:
    return Asked(hub.endpoint, name, "model", "", hub.with_token)


def _id(target: Target) -> str:
    return target.repo_id
