"""Whole files into the HF cache, by exact name and commit, where `from_pretrained` will find them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, Self

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx

import hubaudit
from hubaudit.errors import CacheUnusable, FileUnavailable, HubauditError
from hubaudit.events import Downloading
from hubaudit.hub.access import Access
from hubaudit.hub.refusals import refusal
from hubaudit.hub.wire import unreachable, where
from hubaudit.model import RepoFile, RepoRef

# Met with answers that no Hub should give: an error body that is a JSON list, a Location that is no
# URL, a Content-Range without a number, an invalid file name. The client lets them out as they are.
_CLIENT_STUMBLES = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError)


def download(access: Access, repo: RepoRef, file: RepoFile) -> Path:
    """The path of the file in the HF cache, fetched if it is not there yet.

    Its bytes are not verified here: the client checks the length of a download only, and nothing of
    what it finds in the cache. Raises FileUnavailable where only this file cannot be had, and a
    HubError otherwise: CacheUnusable if it is the disk that takes no file.
    """
    try:
        path = _call_client(access, repo, file)
    except (httpx.HTTPError, httpx.InvalidURL, *_CLIENT_STUMBLES) as error:
        raise _as_ours(access, repo, file, error) from error
    if path.relative_to(access.hf_cache).parts[1:3] != ("snapshots", repo.commit_hash):
        raise FileUnavailable("it was served from another commit")
    return path


def _call_client(access: Access, repo: RepoRef, file: RepoFile) -> Path:
    return Path(
        hf_hub_download(
            repo.repo_id,
            file.path,
            repo_type=repo.repo_type,
            revision=repo.commit_hash,
            cache_dir=access.hf_cache,
            endpoint=access.endpoint,
            token=access.token,
            library_name="hubaudit",
            library_version=hubaudit.__version__,
            tqdm_class=_progress(access, file),
        )
    )


def _as_ours(access: Access, repo: RepoRef, file: RepoFile, error: Exception) -> HubauditError:
    # The client hides a refusal of the metadata request in a LocalEntryNotFoundError.
    for cause in (error, error.__cause__):
        if isinstance(cause, HfHubHTTPError):
            answer = cause.response
            return refusal(access.asked(repo, file), answer.status_code, answer.headers)
    if isinstance(error, httpx.TransportError):
        return unreachable(error, where(access.endpoint))
    if access.offline and isinstance(error, LocalEntryNotFoundError):
        return FileUnavailable("it is not in the cache (offline)", hint=_OFFLINE)
    if isinstance(error, OSError) and error.errno is not None:
        return _on_disk(access, error)
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())[:300] or type(cause).__name__
    return FileUnavailable(f"it cannot be downloaded: {reason}")


# Of the disk, not of one file. A repository that lists both `a` and `a/b` makes the others.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


def _on_disk(access: Access, error: OSError) -> HubauditError:
    """What the local file system refuses. Messages reach reports, so they name no local path."""
    if error.errno in _NO_ROOM or not access.hf_cache.is_dir():
        return CacheUnusable(
            f"the Hugging Face cache cannot be written: {error.strerror}",
            hint=f"make room in {access.hf_cache}, or name another folder by HF_HUB_CACHE",
        )
    return FileUnavailable(f"it cannot be kept in the cache: {error.strerror}")


_OFFLINE = "unset HF_HUB_OFFLINE"


def _progress(access: Access, file: RepoFile) -> Any:
    """A class that huggingface_hub takes for a progress bar, telling the listener instead."""

    class Progress:
        def __init__(self, *_args: Any, initial: int = 0, **_options: Any) -> None:
            self._received = initial
            access.listener(Downloading(file.path, initial, file.size))

        def update(self, n: float | None = 1) -> None:
            self._received += int(n or 0)
            if self._received > file.size:  # the client would go on until the disk is full
                raise FileUnavailable(f"it is longer than the {file.size} bytes listed")
            access.listener(Downloading(file.path, self._received, file.size))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_exc: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Progress
