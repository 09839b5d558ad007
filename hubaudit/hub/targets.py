"""What the user typed, as a `Target`: ids, `hf://` paths and Hub URLs, parsed without asking anybody."""

from __future__ import annotations

import re
from typing import Literal, cast
from urllib.parse import unquote

from huggingface_hub import constants, parse_hf_uri
from huggingface_hub.errors import HfUriError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from hubaudit.errors import MalformedTarget
from hubaudit.model import Target

HubType = Literal["model", "dataset", "space"]

_PREFIXES: dict[str, HubType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_FORMS = "write org/model, org/model@revision, datasets/org/name, spaces/org/name or a Hub URL"
# A commit page is what people copy when they mean one commit, but parse_hf_uri refuses its route.
_COMMIT_PAGE = re.compile(r"/commit/(?=[0-9a-f]{7,40}(?:[/?#]|$))")
# git-check-ref-format(1): what no branch, tag or commit can be called.
_NO_REVISION = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|/\.|[/.]$|\.lock(?:/|$)")


def parse_target(text: str, *, repo_type: str | None = None, revision: str | None = None) -> Target:
    """The repository that `text` names; `repo_type` and `revision` say what `text` leaves open.

    Raises MalformedTarget when `text` names none, or contradicts `repo_type` or `revision`.
    """
    text = text.strip()
    if text.startswith(("/", "./", "../", "~", "\\")) or text in {"", ".", ".."}:
        raise _malformed(text, "not a repository", "for files on this machine: hubaudit scan PATH")
    if text.startswith(constants.HF_PROTOCOL) or _is_url(text):
        found, repo_id, asked = _parse_uri(text)
    else:
        found, repo_id, asked = _parse_id(text)
    return Target(
        repo_id=_checked_id(text, repo_id),
        repo_type=_agreed_type(text, found, repo_type),
        revision=_agreed_revision(text, asked, revision),
    )


def _is_url(text: str) -> bool:
    first = text.split("/", 1)[0].lower()
    return "://" in text or (first in constants.HF_URL_HOSTS and "/" in text)


def _parse_uri(text: str) -> tuple[HubType | None, str, str | None]:
    try:
        uri = parse_hf_uri(_COMMIT_PAGE.sub("/tree/", text, count=1), endpoint=constants.ENDPOINT)
    except (HfUriError, HFValidationError, ValueError) as error:
        raise _malformed(text, _reason(error), _FORMS) from error
    if uri.type not in _PREFIXES.values():
        raise _malformed(text, f"a {uri.type}, which hubaudit cannot audit", _FORMS)
    named = _names_type(text)
    return (cast(HubType, uri.type) if named else None), uri.id, uri.revision


def _names_type(text: str) -> bool:
    """An id without a prefix is a model's on the Hub's site, but an option may still say otherwise."""
    if not text.startswith(constants.HF_PROTOCOL):
        return True
    return text.removeprefix(constants.HF_PROTOCOL).split("/", 1)[0] in _PREFIXES


def _parse_id(text: str) -> tuple[HubType | None, str, str | None]:
    name, at, asked = text.partition("@")
    prefix, slash, rest = name.partition("/")
    if prefix.rstrip("s") + "s" in _PREFIXES and prefix not in _PREFIXES and "/" in rest:
        raise _malformed(
            text, f"no repository type is spelled {prefix!r}", f"write {f'{prefix}s/{rest}'!r}"
        )
    if at and not asked:
        raise _malformed(text, "the revision after @ is empty", _FORMS)
    found = _PREFIXES.get(prefix) if slash else None
    return found, rest if found else name, unquote(asked) if at else None


def _checked_id(text: str, repo_id: str) -> str:
    if not repo_id:
        raise _malformed(text, "the name is empty", _FORMS)
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise _malformed(text, _reason(error), _FORMS) from error
    return repo_id


def _agreed_type(text: str, found: HubType | None, asked: str | None) -> HubType:
    if asked is not None and asked not in _PREFIXES.values():
        raise _malformed(text, f"no repository type is called {asked!r}", "model, dataset or space")
    if found and asked and found != asked:
        raise _malformed(
            text, f"it names a {found}, but a {asked} was asked for", "drop one of them"
        )
    return found or cast("HubType | None", asked) or "model"


def _agreed_revision(text: str, found: str | None, asked: str | None) -> str | None:
    if found and asked and found != asked:
        raise _malformed(text, f"it names {found}, but {asked} was asked for", "drop one of them")
    revision = found or asked
    if asked == "" or (revision is not None and _NO_REVISION.search(revision)):
        hint = "a branch, a tag, a commit hash or refs/pr/N"
        raise _malformed(text, f"{revision!r} cannot be a revision", hint)
    return revision


def _reason(error: Exception) -> str:
    reason = error.msg if isinstance(error, HfUriError) else str(error)
    return "".join(c if c.isprintable() else " " for c in reason).strip(" .")


def _malformed(text: str, reason: str, hint: str) -> MalformedTarget:
    return MalformedTarget(f"cannot audit {text!r}: {reason}", hint=hint)
