"""What a refusing answer of the Hub means, by its status and headers, as one of our errors.

The client classifies too, but takes a 401 for a missing repository on https only, and tells gated from
missing by subclass. The cases are those of huggingface_hub 2.4's `hf_raise_for_status` and of the
answers recorded from huggingface.co.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hubaudit.errors import (
    AccessDenied,
    FileUnavailable,
    GatedRepository,
    HubAnswerInvalid,
    HubauditError,
    HubUnreachable,
    RateLimited,
    RepositoryDisabled,
    RepositoryMissing,
    RevisionMissing,
)
from hubaudit.model import RepoType

_DISABLED = "access to this resource is disabled"
_BAD_TOKEN = "invalid credentials in authorization header"
_URL_PREFIXES: dict[RepoType, str] = {"dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, in the words of the messages. `path` only where it was one file."""

    endpoint: str
    repo_id: str
    repo_type: RepoType
    revision: str
    with_token: bool
    path: str | None = None

    @property
    def page(self) -> str:
        """The repository's page, for people."""
        return f"{self.endpoint}/{_URL_PREFIXES.get(self.repo_type, '')}{self.repo_id}"


def refusal(asked: Asked, status: int, headers: Mapping[str, str]) -> HubauditError:
    """The error for an answer of `status` 400 or more. A FileUnavailable is about `asked.path` alone."""
    code = headers.get("X-Error-Code", "")
    text = _one_line(headers.get("X-Error-Message", ""))
    match code:
        case "RevisionNotFound":
            return _no_revision(asked)
        case "GatedRepo":
            return _gated(asked)
        case "RepoNotFound":
            return _no_repository(asked)
        case "EntryNotFound" if asked.path is not None:
            return FileUnavailable("the Hub lists it but does not have it")
    if text.lower().rstrip(".") == _DISABLED:
        return RepositoryDisabled(
            f"{asked.repo_id} is disabled by the Hub", hint=f"see {asked.page}"
        )
    if text.lower().rstrip(".") == _BAD_TOKEN:
        return AccessDenied(
            "the Hub does not accept the token",
            hint="renew it with `hf auth login`, or correct or unset HF_TOKEN",
        )
    return _by_status(asked, status, text, headers.get("Content-Type", ""))


def _by_status(asked: Asked, status: int, text: str, content_type: str) -> HubauditError:
    answered = f"the Hub answered {status}" + (f": {text}" if text else "")
    if status == 401:
        return _no_repository(asked)
    if status == 403:
        return AccessDenied(
            f"no access to {asked.repo_id}: {answered}",
            hint="the token must have read access to this repository; see `hf auth whoami`",
        )
    if status == 429:
        return RateLimited(answered, hint="wait some minutes, or set HF_TOKEN")
    if status >= 500:
        return HubUnreachable(answered, hint="the Hub has a problem: try again later")
    if asked.path is not None:
        return FileUnavailable(answered)
    if status == 404 and "html" not in content_type.lower():
        return _no_repository(asked)
    return HubAnswerInvalid(answered, hint=f"is {asked.endpoint} a Hub? check HF_ENDPOINT")


def _no_repository(asked: Asked) -> RepositoryMissing:
    if asked.with_token:
        return RepositoryMissing(
            f"{asked.repo_type} {asked.repo_id} does not exist, or the token may not see it",
            hint="check the spelling and the type, and what the token may read: `hf auth whoami`",
        )
    return RepositoryMissing(
        f"{asked.repo_type} {asked.repo_id} is missing, private or renamed away: the Hub does not tell which",
        hint="check the spelling and the type; for a private repository set HF_TOKEN",
    )


def _no_revision(asked: Asked) -> RevisionMissing:
    return RevisionMissing(
        f"{asked.repo_id} has no revision {asked.revision!r}",
        hint=f"see its branches, tags and commits at {asked.page}/commits/main",
    )


def _gated(asked: Asked) -> GatedRepository:
    if asked.with_token:
        return GatedRepository(
            f"{asked.repo_id} is gated and the token's account is not on its list",
            hint=f"ask for access at {asked.page}",
        )
    return GatedRepository(
        f"{asked.repo_id} is gated: its files need an account with access",
        hint=f"ask for access at {asked.page}, then set HF_TOKEN",
    )


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:200]
