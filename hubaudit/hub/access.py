"""How a client reaches its Hub, for the modules that ask it something: its endpoint, headers, and one GET."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import get_session
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.utils import build_hf_headers, httpx

import hubaudit
from hubaudit.errors import AccessDenied, ConfigError
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


def checked_endpoint(endpoint: str) -> str:
    """The endpoint without a slash at its end.

    Raises ConfigError when it is no http(s) URL, or holds credentials: it stands in every report.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"the endpoint {endpoint!r} is no http or https URL",
            hint="correct or unset HF_ENDPOINT",
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"the endpoint of {parts.hostname} holds credentials, which would end up in reports",
            hint="take them out of HF_ENDPOINT, and set HF_TOKEN",
        )
    return endpoint.rstrip("/")


def headers_with(token: str | bool | None) -> dict[str, str]:
    """The headers of each request to the endpoint. Raises AccessDenied or ConfigError."""
    try:
        headers = build_hf_headers(
            token=token, library_name="hubaudit", library_version=hubaudit.__version__
        )
    except LocalTokenNotFoundError as error:
        raise AccessDenied(
            "there is no token on this machine", hint="run `hf auth login`"
        ) from error
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"the file of the token cannot be read: {getattr(error, 'strerror', error)}",
            hint="it is `token` in the folder HF_HOME, or where HF_TOKEN_PATH says; or set HF_TOKEN",
        ) from error
    if (
        not headers.get("authorization", "").isascii()
        or not headers.get("authorization", " ").isprintable()
    ):
        raise AccessDenied("the token has characters that no token has", hint="correct HF_TOKEN")
    return headers
