"""Whole files into the HF cache, by exact name and commit, where `from_pretrained` will find them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx

import hubaudit
from hubaudit.errors import FileUnavailable
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
    HubError otherwise.
    """
    try:
        path = _call_client(access, repo, file)
    except HfHubHTTPError as error:
        raise refusal(
            access.asked(repo, file), error.response.status_code, error.response.headers
        ) from error
    except httpx.TransportError as error:
        raise unreachable(error, where(access.endpoint)) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise FileUnavailable(_not_found(access, file, error)) from error
    except (httpx.HTTPError, httpx.InvalidURL, *_CLIENT_STUMBLES) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise FileUnavailable(f"{file.path!r} cannot be downloaded: {reason}") from error
    if repo.commit_hash not in path.relative_to(access.hf_cache).parts:
        raise FileUnavailable(f"{file.path!r} was served from another commit")
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


def _not_found(access: Access, file: RepoFile, error: Exception) -> str:
    if access.offline:
        return f"{file.path!r} is not in the cache (offline)"
    cause = error.__cause__ or error
    return f"{file.path!r} cannot be downloaded: {' '.join(str(cause).split())[:300]}"


def _progress(access: Access, file: RepoFile) -> Any:
    """A class that huggingface_hub takes for a progress bar, telling the listener instead."""

    class Progress:
        def __init__(self, *_args: Any, initial: int = 0, **_options: Any) -> None:
            self._received = initial
            access.listener(Downloading(file.path, initial, file.size))

        def update(self, n: float | None = 1) -> None:
            self._received += int(n or 0)
            access.listener(Downloading(file.path, self._received, file.size))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_exc: object) -> None:
            pass

        def close(self) -> None:
            pass

    return Progress
