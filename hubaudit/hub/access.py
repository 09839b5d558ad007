"""How a client reaches its Hub, for the modules that ask it something: settings, URLs and one GET."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import get_session
from huggingface_hub.utils import httpx

from hubaudit.events import Listener
from hubaudit.hub.refusals import Asked
from hubaudit.hub.wire import Patience, origin
from hubaudit.model import RepoFile, RepoRef


@dataclass(frozen=True, slots=True)
class Access:
    """`headers` may hold the token: they are for the endpoint alone."""

    endpoint: str
    token: str | bool | None
    headers: dict[str, str]
    listener: Listener
    hf_cache: Path
    ranges: Path
    offline: bool
    patience: Patience

    @property
    def with_token(self) -> bool:
        return any(name.lower() == "authorization" for name in self.headers)

    def headers_for(self, url: str) -> dict[str, str]:
        """The headers without the token, unless `url` is the endpoint's own."""
        if same_server(url, self.endpoint):
            return dict(self.headers)
        return {k: v for k, v in self.headers.items() if k.lower() != "authorization"}

    def asked(self, repo: RepoRef, file: RepoFile | None = None) -> Asked:
        return Asked(
            endpoint=self.endpoint,
            repo_id=repo.repo_id,
            repo_type=repo.repo_type,
            revision=repo.commit_hash or "",
            with_token=self.with_token,
            path=file.path if file else None,
        )


def same_server(a: str, b: str) -> bool:
    """Whether two URLs have the same scheme, host and port. Nonsense equals nothing."""
    try:
        return origin(a) == origin(b)
    except ValueError:
        return False


@contextmanager
def get(url: str, headers: dict[str, str], *, follow: bool) -> Iterator[httpx.Response]:
    """A streamed GET over huggingface_hub's session."""
    session = get_session()
    with session.stream("GET", url, headers=headers, follow_redirects=follow) as response:
        yield response
