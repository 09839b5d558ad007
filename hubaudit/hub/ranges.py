"""Parts of one file of a commit, by HTTP ranges that are checked: the right bytes or an error.

huggingface_hub's own file system takes whatever a server that ignores `Range` sends. Here an answer
counts only if it is a 206 with the asked start, end and the listed size, and as many bytes.
"""

from __future__ import annotations

import re
from urllib.parse import urljoin

from huggingface_hub import hf_hub_url
from huggingface_hub.utils import httpx

from hubaudit.errors import FileUnavailable, HubauditError, HubUnreachable
from hubaudit.hub.access import Access, get, same_server
from hubaudit.hub.refusals import refusal
from hubaudit.hub.wire import TRANSIENT, where
from hubaudit.model import RepoFile, RepoRef

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_HOPS = 6  # the Hub needs two; one more when a remembered location has expired
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # how storages refuse a signature past its hour


class RangeReader:
    """`fetch` for a `RemoteSource`. Remembers where the Hub's redirect led, until that expires."""

    def __init__(self, access: Access, repo: RepoRef, file: RepoFile) -> None:
        self._access = access
        self._asked = access.asked(repo, file)
        self._path, self._size = file.path, file.size
        self._url = hf_hub_url(
            repo.repo_id,
            file.path,
            repo_type=repo.repo_type,
            revision=repo.commit_hash,
            endpoint=access.endpoint,
        )
        self._location: str | None = None

    def fetch(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to before `end`, which must lie within the file.

        Raises FileUnavailable where only this file cannot be had, and a HubError otherwise.
        """
        for _ in range(self._access.patience.attempts):
            try:
                return self._follow(start, end)
            except TRANSIENT:
                continue  # a broken body: the wire has counted and announced it
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                raise self._failed(f"a redirect that leads nowhere: {error}") from error
        raise HubUnreachable(
            f"{where(self._url)} broke off {self._path!r} again and again",
            hint="check the network, and try again later",
        )

    def _follow(self, start: int, end: int) -> bytes:
        remembered = self._location
        url = remembered or self._url
        for _ in range(_HOPS):
            headers = {
                **self._access.headers_for(url),
                "Range": f"bytes={start}-{end - 1}",
                "Accept-Encoding": "identity",
            }
            with get(url, headers, follow=False) as response:
                if response.status_code == 206:
                    data = self._checked(response, start, end)
                    self._location = url
                    return data
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["Location"])
                elif url == remembered and response.status_code in _EXPIRED:
                    remembered = self._location = None
                    url = self._url
                else:
                    raise self._refused(url, response)
        raise self._failed(f"{where(self._url)} redirects without an end")

    def _checked(self, response: httpx.Response, start: int, end: int) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity")
        said = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(said.strip())
        if encoding != "identity":
            raise self._failed(f"a range of it came encoded as {encoding[:40]!r}")
        if not match or tuple(map(int, match.groups())) != (start, end - 1, self._size):
            raise self._failed(f"asked for bytes {start}-{end - 1}/{self._size}, got {said[:80]!r}")
        data = bytearray()
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > end - start:
                break
        if len(data) != end - start:
            raise self._failed(f"a range of {end - start} bytes came with {len(data)}")
        return bytes(data)

    def _refused(self, url: str, response: httpx.Response) -> HubauditError:
        status = response.status_code
        if status == 200:
            return self._failed(f"{where(url)} ignores ranges")
        if status >= 400 and status != 416 and same_server(url, self._access.endpoint):
            return refusal(self._asked, status, response.headers)
        return self._failed(f"{where(url)} answered {status}")

    def _failed(self, why: str) -> FileUnavailable:
        return FileUnavailable(
            f"{self._path!r}: {why}", hint="download the whole file instead: --fetch cache"
        )
