"""What an audit asks of the Hub: pin a revision, list a commit, get its files whole or in parts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Self
from urllib.parse import quote, urljoin, urlsplit

from huggingface_hub import constants, get_session
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError
from huggingface_hub.utils import build_hf_headers, httpx, validate_repo_id

import hubaudit
from hubaudit.errors import (
    AccessDenied,
    ConfigError,
    HubAnswerInvalid,
    HubUnreachable,
    NotCached,
    RepositoryMissing,
    RepositoryRenamed,
    UsageError,
)
from hubaudit.events import Listener, ignore
from hubaudit.hub import offline
from hubaudit.hub.access import Access, get, same_server
from hubaudit.hub.budget import Budget
from hubaudit.hub.cassette import Cassette, Recorder, Replayer
from hubaudit.hub.cost import Meter
from hubaudit.hub.download import download
from hubaudit.hub.listing import TreeReader
from hubaudit.hub.metadata import (
    History,
    Ref,
    RepoInfo,
    expand,
    read_commits,
    read_info,
    read_refs,
)
from hubaudit.hub.ranges import RangeReader
from hubaudit.hub.rangestore import RangeStore, store_root
from hubaudit.hub.refusals import Asked, refusal
from hubaudit.hub.wire import TRANSIENT, ClientFactory, Patience, Wire, installed, where, wrapping
from hubaudit.model import Cost, Listing, RepoFile, RepoRef, RepoType, Target
from hubaudit.source import Source
from hubaudit.source.remote import BLOCK, RemoteSource

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ANSWER_BYTES = 64 * 1024 * 1024  # a page of 1000 entries with all scans takes about 1 MiB
_ENTRIES = 1_000_000  # the Hub advises against more than 100 000 files in a repository
_COMMITS = 1000  # on a page of a history, at most, says the Hub's API document
_HINT = "is the endpoint a Hub? check HF_ENDPOINT; a proxy may have changed the answer"


class HubClient:
    """One Hub, for as long as the `with` block lasts. Other uses of huggingface_hub meanwhile share its wire.

    `record` keeps every exchange in a folder, `replay` answers from such a folder without a network.
    Either works on a temporary cache, so paths from `download` end with the block. Several threads
    may read at once. `budget` slows them down before the Hub's limit; without it the limit is met.
    `patience`, `sleep` and `clock` are for tests.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        token: str | bool | None = None,
        listener: Listener = ignore,
        cache_dir: Path | None = None,
        record: Path | None = None,
        replay: Path | None = None,
        patience: Patience | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        budget: Budget | None = None,
    ) -> None:
        """Raises ConfigError, CassetteError or UsageError; asks the Hub nothing yet."""
        if record is not None and replay is not None:
            raise UsageError("a run is recorded or replayed, not both", hint="drop one of the two")
        if record is not None and constants.HF_HUB_OFFLINE:
            raise UsageError("offline there is nothing to record", hint="unset HF_HUB_OFFLINE")
        self._cassette: Cassette | None = None
        self._replaying = replay is not None
        if replay is not None:
            self._cassette = Cassette.load(replay)
            endpoint, token = self._cassette.endpoint, False
        self.endpoint = checked_endpoint(endpoint or constants.ENDPOINT)
        if record is not None:
            self._cassette = Cassette.create(record, self.endpoint)
        self._token = token
        self._listener = listener
        self._cache_dir = cache_dir
        self._patience = patience or Patience()
        self._stopped = Event()
        self._sleep, self._clock = sleep or self._stopped.wait, clock
        self._meter = Meter()
        self.budget = budget or Budget()
        if budget is not None:
            budget.endpoint = self.endpoint
        self._readers: dict[tuple[RepoRef, str], RangeReader] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(installed(self._factory()))
            get_session()  # made here, or threads that come first at once would make one each
            self._access = self._open_access(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stack.close()

    def pin(self, target: Target) -> RepoRef:
        """The commit that the target's revision (by default main) is now, under the repository's own id.

        The one request that names a branch. Raises RepositoryMissing, RepositoryRenamed,
        RevisionMissing, AccessDenied or another HubError.
        """
        access = self._access
        revision = target.revision or constants.DEFAULT_REVISION
        if access.offline:
            return offline.pin(access, target, revision)
        asked = Asked(self.endpoint, target.repo_id, target.repo_type, revision, access.with_token)
        repo, _ = self._pin(asked, "expand=sha")
        return repo

    def standing(self, target: Target) -> tuple[RepoRef, str]:
        """The commit as `pin` has it, and in one text what the Hub's scanners say of the repository.

        The text is only good for being compared: it changes without a commit. "" where nobody can tell.
        One request for a model, two for the others. Raises as `pin`.
        """
        access = self._access
        revision = target.revision or constants.DEFAULT_REVISION
        if access.offline:
            return offline.pin(access, target, revision), ""
        asked = Asked(self.endpoint, target.repo_id, target.repo_type, revision, access.with_token)
        if target.repo_type == "model":
            repo, info = self._pin(asked, "securityStatus=true")
            return repo, _scan_text(info.get("securityRepoStatus"))
        repo, _ = self._pin(asked, "expand=sha")
        try:
            said, _ = self.get_json(f"{self._api(repo.repo_type, repo.repo_id)}/scan", asked)
        except (RepositoryMissing, HubAnswerInvalid):  # a mirror may not have it
            said = None
        return repo, _scan_text(said)

    def _pin(self, asked: Asked, query: str) -> tuple[RepoRef, dict[str, Any]]:
        url = (
            f"{self._api(asked.repo_type, asked.repo_id)}/revision/{quote(asked.revision, safe='')}"
        )
        info, _ = self.get_json(f"{url}?{query}", asked)
        if not isinstance(info, dict):
            raise HubAnswerInvalid(
                "the Hub's answer about the repository is no JSON object", hint=_HINT
            )
        repo = RepoRef(
            repo_id=_followed_id(asked.repo_id, info.get("id")),
            repo_type=asked.repo_type,
            revision=asked.revision,
            commit_hash=_pinned_hash(asked.revision, info.get("sha")),
            endpoint=self.endpoint,
        )
        return repo, info

    def pages(self, path: str, asked: Asked, most: int = _ENTRIES) -> Iterator[Any]:
        """The answers to `path` of the API, page after page. Raises a HubError."""
        url: str | None = f"{self.endpoint}/api/{path}"
        seen = set[str]()
        while url is not None:
            page, following = self.get_json(url, asked)
            yield page
            seen.add(url)
            url = self._next_page(url, following)
            if url is not None and (url in seen or len(seen) >= most):
                raise HubAnswerInvalid("the list does not end", hint=_HINT)

    @property
    def with_token(self) -> bool:
        return self._access.with_token

    def lent(self, listener: Listener) -> HubClient:
        """This client for one of several audits at once: what ends a wait of it ends no other's."""
        guest = copy(self)
        guest._stopped, guest._readers = Event(), {}
        guest._access = replace(self._access, listener=listener)
        return guest

    def list_files(self, repo: RepoRef) -> Listing:
        """Every file of the pinned commit, with what its scanners say. Raises a HubError."""
        if self._access.offline:
            return offline.list_files(self._access, repo)
        asked = self._access.asked(repo)
        tree = f"{self._api(repo.repo_type, repo.repo_id)}/tree/{repo.commit_hash}"
        url: str | None = f"{tree}?recursive=true&expand=true"
        reader, seen = TreeReader(repo), set[str]()
        while url is not None:
            known = len(reader)
            page, following = self.get_json(url, asked)
            reader.add_page(page)
            seen.add(url)
            url = self._next_page(url, following)
            if url is not None and (url in seen or len(reader) == known or known > _ENTRIES):
                raise HubAnswerInvalid("the listing does not end", hint=_HINT)
        return reader.listing()

    def info(self, repo_id: str, repo_type: RepoType = "model") -> RepoInfo:
        """What the Hub says of the repository now. A renamed one answers with its new id.

        One request. Raises RepositoryMissing, AccessDenied or another HubError.
        """
        url = f"{self._api(repo_type, repo_id)}?{expand(repo_type)}"
        answer, _ = self.get_json(url, self._online(repo_id, repo_type, ""))
        return read_info(answer)

    def refs(self, repo_id: str, repo_type: RepoType = "model") -> tuple[Ref, ...]:
        """Every branch, tag, conversion and pull request, by full name. One request; raises a HubError."""
        url = f"{self._api(repo_type, repo_id)}/refs?include_prs=1"
        answer, _ = self.get_json(url, self._online(repo_id, repo_type, ""))
        return read_refs(answer)

    def history(self, repo: RepoRef, most: int) -> History:
        """The pinned commit and at most `most` - 1 of its ancestors, the newest first.

        A request for each 1000. Raises RevisionMissing where the commit is gone, or another HubError.
        """
        asked = self._online(repo.repo_id, repo.repo_type, repo.commit_hash or "")
        api = self._api(repo.repo_type, repo.repo_id)
        url: str | None = f"{api}/commits/{repo.commit_hash}?limit={min(most, _COMMITS)}"
        found: dict[str, None] = {}
        while url is not None and len(found) < most:
            known = len(found)
            page, following = self.get_json(url, asked)
            found |= dict.fromkeys(read_commits(page))
            url = self._next_page(url, following)
            if url is not None and len(found) == known:
                raise HubAnswerInvalid("the history does not end", hint=_HINT)
        commits = tuple(found)[:most]
        return History(commits, whole=url is None and len(found) <= most)

    def download(self, repo: RepoRef, file: RepoFile) -> Path:
        """The file in the HF cache; its bytes are the caller's to verify. Tells `Downloading`.

        Raises FileUnavailable where only this file cannot be had, and a HubError otherwise.
        """
        return download(self._access, repo, file)

    def open_range(self, repo: RepoRef, file: RepoFile, *, edge: int = BLOCK) -> Source:
        """The file as random-access bytes, fetched as they are read, and kept for the next audit.

        What the HF cache holds is read from there. No request is made here. Reading raises
        FileUnavailable where only this file cannot be had, and a HubError otherwise. See
        `RemoteSource` for `edge`.
        """
        access = self._access
        if not access.offline and offline.holds(access, repo, file):
            return RemoteSource(file.size, offline.reader(access, repo, file), edge=edge)
        store = RangeStore(access.ranges, repo, file)
        if access.offline:
            return RemoteSource(file.size, offline.reader(access, repo, file), store=store.frozen())
        # One for all sources of a file: where the Hub redirects to need not be asked again.
        ranges = self._readers.setdefault((repo, file.path), RangeReader(access, repo, file))
        return RemoteSource(file.size, ranges.fetch, store=store, edge=edge)

    @property
    def cost(self) -> Cost:
        """What was asked of the network since this client was made."""
        return self._meter.read()

    def stop(self) -> None:
        """Wake whatever thread waits for a rate limit or a retry: it gets HubUnreachable.

        For whoever is interrupted while others of his threads read.
        """
        self._stopped.set()

    def _open_access(self, stack: ExitStack) -> Access:
        hf_cache, ranges = self._cache_dir or Path(constants.HF_HUB_CACHE), store_root()
        if self._cassette is not None:
            apart = Path(stack.enter_context(TemporaryDirectory(prefix="hubaudit-")))
            hf_cache, ranges = apart / "hub", apart / "ranges"
            if not self._replaying:
                stack.enter_context(self._cassette)
        else:
            stack.callback(RangeStore.prune, ranges)
        return Access(
            endpoint=self.endpoint,
            token=self._token,
            headers=_headers(self._token),
            listener=self._listener,
            hf_cache=hf_cache.expanduser().resolve(),
            ranges=ranges,
            offline=constants.HF_HUB_OFFLINE and not self._replaying,
            patience=self._patience,
        )

    def _factory(self) -> ClientFactory:
        def wire(transport: httpx.BaseTransport) -> Wire:
            return Wire(
                transport,
                self._patience,
                self._listener,
                self._sleep,
                self._clock,
                self._meter,
                self.budget,
            )

        cassette = self._cassette
        if cassette is None:
            return wrapping(wire)
        if not self._replaying:
            return wrapping(lambda transport: wire(Recorder(transport, cassette)))

        def replayed() -> httpx.Client:
            # Nothing to wait for, and no request hook: offline mode is no reason not to replay.
            transport = Wire(
                Replayer(cassette), self._patience, ignore, lambda _: None, self._clock, self._meter
            )
            return httpx.Client(transport=transport, follow_redirects=True, timeout=None)

        return replayed

    def _online(self, repo_id: str, repo_type: RepoType, revision: str) -> Asked:
        """Raises NotCached offline: what these requests ask for is in no cache."""
        if self._access.offline:
            raise NotCached(
                f"offline, and no cache knows the present state of {repo_id}",
                hint="unset HF_HUB_OFFLINE",
            )
        return Asked(self.endpoint, repo_id, repo_type, revision, self._access.with_token)

    def _api(self, repo_type: str, repo_id: str) -> str:
        return f"{self.endpoint}/api/{repo_type}s/{quote(repo_id, safe='/')}"

    def get_json(self, url: str, asked: Asked) -> tuple[Any, str | None]:
        """The answer's JSON, and the URL of the next page where there is one."""
        for _ in range(self._patience.attempts):
            try:
                with get(url, self._access.headers, follow=True) as response:
                    if response.status_code >= 400:
                        raise refusal(asked, response.status_code, response.headers)
                    body = _whole_body(response)
                    return _parsed(body, response), response.links.get("next", {}).get("url")
            except TRANSIENT:
                continue  # a broken body: the wire has counted and announced it
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise HubAnswerInvalid(
                    f"{where(url)} gave an answer that cannot be used: {reason}", hint=_HINT
                ) from error
        raise HubUnreachable(
            f"{where(url)} broke off its answer again and again",
            hint="check the network, and try again later",
        )

    def _next_page(self, url: str, following: str | None) -> str | None:
        if following is None:
            return None
        absolute = urljoin(url, following)
        if not same_server(absolute, self.endpoint):
            raise HubAnswerInvalid("the answer goes on at another server", hint=_HINT)
        return absolute


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


def _headers(token: str | bool | None) -> dict[str, str]:
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


def _followed_id(asked: str, found: Any) -> str:
    """The repository's own id, if it is what was asked for.

    A one-word id of the Hub's first years stands for `somebody/id`, and letter case is no difference.
    Anything else means that the name now leads to a repository that nobody here has named.
    """
    try:
        validate_repo_id(found if isinstance(found, str) else "")
    except HFValidationError as error:
        raise HubAnswerInvalid(
            "the Hub's answer has no usable repository id", hint=_HINT
        ) from error
    legacy = "/" not in asked and found.lower().endswith(f"/{asked.lower()}")
    if found.lower() == asked.lower() or legacy:
        return str(found)
    raise RepositoryRenamed(
        f"{asked} now leads to {found}", hint=f"if that is the one you mean, audit {found}"
    )


def _scan_text(said: Any) -> str:
    """`{"scansDone": …, "filesWithIssues": […]}` in one form only; "" for anything else."""
    if not isinstance(said, dict):
        return ""
    issues = said.get("filesWithIssues")
    rows = (
        sorted(json.dumps(one, sort_keys=True) for one in issues)
        if isinstance(issues, list)
        else []
    )
    return json.dumps([said.get("scansDone"), rows])


def _pinned_hash(revision: str, found: Any) -> str:
    if not isinstance(found, str) or not _COMMIT.fullmatch(found):
        raise HubAnswerInvalid("the Hub's answer has no usable commit hash", hint=_HINT)
    if _COMMIT.fullmatch(revision) and revision != found:
        raise HubAnswerInvalid(f"asked for {revision}, the Hub answered with {found}", hint=_HINT)
    return found


def _whole_body(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            raise HubAnswerInvalid(f"an answer of more than {_ANSWER_BYTES} bytes", hint=_HINT)
    return bytes(body)


def _parsed(body: bytes, response: httpx.Response) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("Content-Type", "something").split(";")[0].strip()[:60]
        raise HubAnswerInvalid(
            f"{where(str(response.url))} answered with {kind} that is not the JSON of a Hub",
            hint=_HINT,
        ) from error
