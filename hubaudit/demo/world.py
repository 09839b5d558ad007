"""What the stand-in Hub knows, who may see it, and how it refuses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from hubaudit.demo.exchange import Answer, Incoming, json_answer, text_answer, weak_etag
from hubaudit.demo.repository import HubRepo

_SCHEME = 'Bearer realm="Authentication required", charset="UTF-8"'


class Refused(Exception):
    """An answer other than the asked one, with the Hub's own status, message and error code."""

    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        # The message may quote a name that a header cannot hold: line ends, other scripts.
        plain = "".join(c if " " <= c <= "~" else "?" for c in self.message)
        headers = {"X-Error-Message": plain}
        if self.code is not None:
            headers["X-Error-Code"] = self.code
        if self.status == 401:
            headers["WWW-Authenticate"] = _SCHEME
        return headers

    def as_json(self) -> Answer:
        return json_answer({"error": self.message}, self.status, self.headers)

    def as_text(self) -> Answer:
        etag = {"ETag": weak_etag(self.message.encode())}
        return text_answer(self.message, self.status, self.headers | etag)


@dataclass(slots=True)
class World:
    """The stand-in's state. `repos` is keyed by (repo_type, repo_id); `tokens` maps to user names."""

    repos: dict[tuple[str, str], HubRepo]
    tokens: Mapping[str, str]
    renames: dict[str, str]
    collections: dict[str, Mapping[str, Any]]
    page_size: int
    delivery: Literal["redirect", "direct"]
    endpoint: str = ""
    cdn: str = ""
    signing_round: int = 0
    contents: dict[str, bytes] = field(default_factory=dict)

    def user(self, incoming: Incoming) -> str | None:
        """Who asks; None for nobody in particular. A token that is not known is refused anywhere."""
        given = incoming.headers.get("authorization")
        if given is None:
            return None
        user = self.tokens.get(given.removeprefix("Bearer "))
        if user is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return user

    def sees(self, user: str | None, repo: HubRepo) -> bool:
        return not repo.private or may_read(user, repo)

    def visible(self, incoming: Incoming, repo_type: str, repo_id: str) -> HubRepo:
        """The repository, if the caller may know of it. Refuses what is missing, hidden, disabled."""
        user = self.user(incoming)
        repo = self.repos.get((repo_type, repo_id))
        if repo is None or not self.sees(user, repo):
            if user is None:
                raise Refused(401, "Invalid username or password.")
            raise Refused(404, "Repository not found", code="RepoNotFound")
        if repo.disabled:
            raise Refused(403, "Access to this resource is disabled.")
        return repo

    def signature(self, path: str) -> str:
        """What a CDN address must carry to be answered in this round."""
        return hashlib.sha256(f"{self.signing_round}:{path}".encode()).hexdigest()[:32]


def may_read(user: str | None, repo: HubRepo) -> bool:
    owner = repo.repo_id.partition("/")[0]
    return user is not None and (user == owner or user in repo.allowed)


def check_readable(world: World, incoming: Incoming, repo: HubRepo) -> None:
    """Refuse the files of a gated repository to whoever has not been let in."""
    user = world.user(incoming)
    if not repo.gated or may_read(user, repo):
        return
    named = f"Access to {repo.repo_type} {repo.repo_id} is restricted"
    if user is None:
        message = (
            f"{named}. You must have access to it and be authenticated to access it. Please log in."
        )
        raise Refused(401, message, code="GatedRepo")
    prefix = "" if repo.repo_type == "model" else f"{repo.repo_type}s/"
    page = f"{world.endpoint}/{prefix}{repo.repo_id}"
    message = f"{named} and you are not in the authorized list. Visit {page} to ask for access."
    raise Refused(403, message, code="GatedRepo")


def number(incoming: Incoming, key: str) -> int | None:
    """A non-negative number from the query; None where it is not given."""
    given = incoming.value(key)
    if given is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", given):
        raise Refused(400, f'"{key}" must be a number')
    return int(given)


def refuse_revision(revision: str) -> NoReturn:
    raise Refused(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
