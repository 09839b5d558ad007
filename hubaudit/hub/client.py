"""What an audit asks of the Hub: pin a revision, list a commit, get its files whole or in parts."""

from __future__ import annotations

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
from urllib.parse import quote

from huggingface_hub import constants, get_session
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import httpx, validate_repo_id

from hubaudit.errors import (
    HubAnswerInvalid,
    NotCached,
    RepositoryMissing,
    RepositoryRenamed,
    UsageError,
)
from hubaudit.events import Listener, ignore
from hubaudit.hub import offline
from hubaudit.hub.access import Access, checked_endpoint, headers_with
from hubaudit.hub.answers import endless, get_json, pages
from hubaudit.hub.budget import Budget
from hubaudit.hub.cassette import Cassette, Recorder, Replayer
from hubaudit.hub.cost import Meter
from hubaudit.hub.download import download
from hubaudit.hub.listing import HINT, TreeReader
from hubaudit.hub.metadata import (
    History,
    Ref,
    RepoInfo,
    expand,
    read_commits,
    read_info,
    read_refs,
    scan_text,
)
from hubaudit.hub.ranges import RangeReader
from hubaudit.hub.rangestore import RangeStore, store_root
from hubaudit.hub.refusals import Asked
from hubaudit.hub.wire import ClientFactory, Patience, Wire, installed, wrapping
from hubaudit.model import Cost, Listing, RepoFile, RepoRef, RepoType, Target
from hubaudit.source import Source
from hubaudit.source.remote import BLOCK, RemoteSource

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ENTRIES = 1_000_000  # the Hub advises against more than 100 000 files in a repository
_COMMITS = 1000  # on a page of a history, at most, says the Hub's API document


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
            return repo, scan_text(info.get("securityRepoStatus"))
        repo, _ = self._pin(asked, "expand=sha")
        try:
            said, _ = self.get_json(f"{self._api(repo.repo_type, repo.repo_id)}/scan", asked)
        except (RepositoryMissing, HubAnswerInvalid):  # a mirror may not have it
            said = None
        return repo, scan_text(said)

    def _pin(self, asked: Asked, query: str) -> tuple[RepoRef, dict[str, Any]]:
        url = (
            f"{self._api(asked.repo_type, asked.repo_id)}/revision/{quote(asked.revision, safe='')}"
        )
        info, _ = self.get_json(f"{url}?{query}", asked)
        if not isinstance(info, dict):
            raise HubAnswerInvalid(
                "the Hub's answer about the repository is no JSON object", hint=HINT
            )
        repo = RepoRef(
            repo_id=_followed_id(asked.repo_id, info.get("id")),
            repo_type=asked.repo_type,
            revision=asked.revision,
            commit_hash=_pinned_hash(asked.revision, info.get("sha")),
            endpoint=self.endpoint,
        )
        return repo, info

    def pages(self, path: str, asked: Asked) -> Iterator[Any]:
        """The answers to `path` of the API, page after page. Raises a HubError."""
        answered = pages(self._access, f"{self.endpoint}/api/{path}", asked, "list")
        for number, (page, more) in enumerate(answered, start=1):
            yield page
            if more and number >= _ENTRIES:
                raise endless("list")

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
        reader = TreeReader(repo)
        answered = pages(self._access, f"{tree}?recursive=true&expand=true", asked, "listing")
        for page, more in answered:
            known = len(reader)
            reader.add_page(page)
            if more and (len(reader) == known or known > _ENTRIES):
                raise endless("listing")
        return reader.listing()

    def info(
        self, repo_id: str, repo_type: RepoType = "model", revision: str | None = None
    ) -> RepoInfo:
        """What the Hub says of the repository, and of a revision's commit, now. A renamed one answers too.

        One request. Raises RepositoryMissing, RevisionMissing, AccessDenied or another HubError.
        """
        at = f"/revision/{quote(revision, safe='')}" if revision else ""
        url = f"{self._api(repo_type, repo_id)}{at}?{expand(repo_type)}"
        answer, _ = self.get_json(url, self._online(repo_id, repo_type, revision or ""))
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
        url = f"{api}/commits/{repo.commit_hash}?limit={min(most, _COMMITS)}"
        found: dict[str, None] = {}
        more = False
        for page, more in pages(self._access, url, asked, "history"):
            known = len(found)
            found |= dict.fromkeys(read_commits(page))
            if more and len(found) == known:
                raise endless("history")
            if len(found) >= most:
                break
        return History(tuple(found)[:most], whole=not more and len(found) <= most)

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
            headers=headers_with(self._token),
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
        """The answer's JSON, and the URL of the next page where there is one. Raises a HubError."""
        return get_json(self._access, url, asked)


def _followed_id(asked: str, found: Any) -> str:
    """The repository's own id, if it is what was asked for.

    A one-word id of the Hub's first years stands for `somebody/id`, and letter case is no difference.
    Anything else means that the name now leads to a repository that nobody here has named.
    """
    try:
        validate_repo_id(found if isinstance(found, str) else "")
    except HFValidationError as error:
        raise HubAnswerInvalid("the Hub's answer has no usable repository id", hint=HINT) from error
    legacy = "/" not in asked and found.lower().endswith(f"/{asked.lower()}")
    if found.lower() == asked.lower() or legacy:
        return str(found)
    raise RepositoryRenamed(
        f"{asked} now leads to {found}", hint=f"if that is the one you mean, audit {found}"
    )


def _pinned_hash(revision: str, found: Any) -> str:
    if not isinstance(found, str) or not _COMMIT.fullmatch(found):
        raise HubAnswerInvalid("the Hub's answer has no usable commit hash", hint=HINT)
    if _COMMIT.fullmatch(revision) and revision != found:
        raise HubAnswerInvalid(f"asked for {revision}, the Hub answered with {found}", hint=HINT)
    return found
