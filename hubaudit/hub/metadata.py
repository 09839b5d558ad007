"""What the Hub says of a repository itself, its refs and its history, as untrusted JSON, into plain data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hubaudit.errors import HubAnswerInvalid
from hubaudit.hub.listing import HINT, unusable_name
from hubaudit.model import RepoType

RefKind = Literal["branch", "tag", "convert", "pull-request"]

# What is asked for in one request. `_id` and `id` come unasked. Spaces have no `gated`, and the Hub answers
# 400 to a word that it does not know (`ExpandSpaceProperty_T` of huggingface_hub 2.4). Of a model the word of
# the scanners can be had at once, but not beside a choice of properties.
_EXPAND = ("sha", "private", "disabled", "cardData", "tags")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OBJECT_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_REFS = 20_000  # the busiest repositories have some hundred pull requests
_LICENCE = 200  # characters; the Hub's own words have at most 40, but the field is free text
# The lists of an answer about refs, and where refs of the kind lie.
_KINDS: dict[str, tuple[RefKind, str]] = {
    "branches": ("branch", "refs/heads/"),
    "tags": ("tag", "refs/tags/"),
    "converts": ("convert", "refs/convert/"),
    "pullRequests": ("pull-request", "refs/pr/"),
}


@dataclass(frozen=True, slots=True)
class RepoInfo:
    """`repo_id` is the repository's own name now: another one than asked for if it was renamed.

    `object_id` is the Hub's `_id`, which outlives a rename; a repository made anew under an old name has
    another one. None where the Hub does not say. `gated` is "no", "auto", "manual", or a word of a Hub to
    come. `scan` is what the scanners say, as `scan_text` has it.
    """

    repo_id: str
    object_id: str | None
    commit_hash: str | None
    private: bool | None
    gated: str | None
    disabled: bool | None
    licence: str | None
    scan: str = ""


@dataclass(frozen=True, slots=True)
class Ref:
    """`ref` is the full name, as `refs/heads/main`; `name` the short one."""

    kind: RefKind
    name: str
    ref: str
    commit_hash: str


@dataclass(frozen=True, slots=True)
class History:
    """Commits, the newest first. `whole`: the last one is the repository's first."""

    commits: tuple[str, ...]
    whole: bool


def expand(repo_type: RepoType) -> str:
    """The query that asks for what `read_info` reads."""
    return "securityStatus=true" if repo_type == "model" else listed(repo_type)


def listed(repo_type: RepoType) -> str:
    """The same for lists of repositories, in which scanners have no word."""
    keys = _EXPAND if repo_type == "space" else (*_EXPAND, "gated")
    return "&".join(f"expand={key}" for key in keys)


def read_info(answer: Any) -> RepoInfo:
    """Raises HubAnswerInvalid where the answer does not even name the repository."""
    if not isinstance(answer, dict):
        raise HubAnswerInvalid("the Hub's answer about the repository is no JSON object", hint=HINT)
    repo_id = answer.get("id")
    if not isinstance(repo_id, str) or not re.fullmatch(r"[\w.-]{1,96}(/[\w.-]{1,96})?", repo_id):
        raise HubAnswerInvalid("the Hub's answer has no usable repository id", hint=HINT)
    return RepoInfo(
        repo_id=repo_id,
        object_id=_matching(_OBJECT_ID, answer.get("_id")),
        commit_hash=_matching(_COMMIT, answer.get("sha")),
        private=_flag(answer.get("private")),
        gated=_gating(answer.get("gated")),
        disabled=_flag(answer.get("disabled")),
        licence=_licence(answer),
        scan=scan_text(answer.get("securityRepoStatus")),
    )


def read_refs(answer: Any) -> tuple[Ref, ...]:
    """Every ref of the answer, by full name. Raises HubAnswerInvalid.

    A ref that cannot be one is no reason to know nothing of the others, but it must not be taken for
    deleted either: so it raises.
    """
    if not isinstance(answer, dict):
        raise HubAnswerInvalid("the Hub's answer about refs is no JSON object", hint=HINT)
    refs: dict[str, Ref] = {}
    for key, (kind, prefix) in _KINDS.items():
        for ref in _refs(answer.get(key) or [], kind, prefix):
            if ref.ref in refs:
                raise HubAnswerInvalid(f"the Hub lists the ref {ref.ref!r} twice", hint=HINT)
            refs[ref.ref] = ref
            if len(refs) > _REFS:
                raise HubAnswerInvalid(f"more than {_REFS} refs", hint=HINT)
    return tuple(refs[name] for name in sorted(refs))


def scan_text(said: Any) -> str:
    """What the scanners say of a repository as one text that is only good for being compared.

    Of `{"scansDone": …, "filesWithIssues": […]}`; "" for anything else: nobody can tell.
    """
    if not isinstance(said, dict):
        return ""
    issues = said.get("filesWithIssues")
    rows = (
        sorted(json.dumps(one, sort_keys=True) for one in issues)
        if isinstance(issues, list)
        else []
    )
    return json.dumps([said.get("scansDone"), rows])


def read_commits(answer: Any) -> tuple[str, ...]:
    """The hashes of one page of a history, in its order. Raises HubAnswerInvalid."""
    if not isinstance(answer, list):
        raise HubAnswerInvalid("the Hub's answer about commits is no JSON array", hint=HINT)
    found = []
    for entry in answer:
        commit = _matching(_COMMIT, entry.get("id")) if isinstance(entry, dict) else None
        if commit is None:
            raise HubAnswerInvalid("a commit of the history has no usable hash", hint=HINT)
        found.append(commit)
    return tuple(found)


def _refs(entries: Any, kind: RefKind, prefix: str) -> Iterator[Ref]:
    if not isinstance(entries, list):
        raise HubAnswerInvalid("a list of refs is no JSON array", hint=HINT)
    for entry in entries:
        name, ref, commit = _named(entry)
        if commit is None or not ref.startswith(prefix) or unusable_name(ref) is not None:
            raise HubAnswerInvalid("a ref of the Hub's answer cannot be one", hint=HINT)
        yield Ref(kind, name, ref, commit)


def _named(entry: Any) -> tuple[str, str, str | None]:
    match entry:
        case {"name": str(name), "ref": str(ref), "targetCommit": str(commit)}:
            return name, ref, _matching(_COMMIT, commit)
        case _:
            return "", "", None


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _gating(value: Any) -> str | None:
    match value:
        case False:
            return "no"
        case True:
            return "yes"
        case str() if 0 < len(value) <= 40:
            return value
        case _:
            return None


def _licence(answer: dict[str, Any]) -> str | None:
    """By the card, else by the tag that the Hub makes of it; None where neither says one."""
    card = answer.get("cardData")
    found = card.get("license") if isinstance(card, dict) else None
    if isinstance(found, list):
        found = ", ".join(one for one in found if isinstance(one, str))
    if isinstance(found, str) and found:
        return found[:_LICENCE]
    tags = answer.get("tags")
    named = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    licences = sorted(t.removeprefix("license:") for t in named if t.startswith("license:"))
    return ", ".join(licences)[:_LICENCE] or None
