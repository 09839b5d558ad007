"""Parts of one file of a commit, by HTTP ranges that are checked: the right bytes or an error.

huggingface_hub's own file system takes whatever a server that ignores `Range` sends. Here an answer
counts only if it is a 206 with the asked start, end and the listed size, and as many bytes, or a 200
with a file of the listed size, of which the asked bytes are cut out.
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

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_HOPS = 6  # the Hub needs two; one more when a remembered location has expired
# Of a 200, as mirrors without ranges send it, so much is read at most. Every file's beginning is within
# it, and few archives that are no checkpoints, and so are read in place, are larger.
_WHOLE = 16 * 1024 * 1024
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # how storages refuse a signature past its hour


class RangeReader:
    """`fetch` for a `RemoteSource`. Remembers where the Hub's redirect led, until that expires."""

    def __init__(self, access: Access, repo: RepoRef, file: RepoFile) -> None:
        self._access = access
        self._asked = access.asked(repo, file)
        self._path, self._size = file.path, file.size
        self._commit, self._hash = repo.commit_hash, file.sha256 or file.blob_id
        self._etag: str | None = None  # of the storage, at the first read
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
                if response.status_code < 400 and same_server(url, self._access.endpoint):
                    self._check_named(response)
                if response.status_code in {200, 206}:
                    self._check_unchanged(response)
                    take = self._checked if response.status_code == 206 else self._cut_out
                    data = take(response, start, end)
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
        said = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(said.strip())
        self._check_encoding(response)
        if not match or tuple(map(int, match.groups())) != (start, end - 1, self._size):
            raise self._failed(f"asked for bytes {start}-{end - 1}/{self._size}, got {said[:80]!r}")
        data = _read(response, end - start)
        if len(data) != end - start:
            raise self._failed(f"a range of {end - start} bytes came with {len(data)}")
        return data

    def _cut_out(self, response: httpx.Response, start: int, end: int) -> bytes:
        """The bytes out of a 200, read no further than needed to know that it is the whole file."""
        self._check_encoding(response)
        said = response.headers.get("Content-Length")
        if said not in {None, str(self._size)}:
            raise self._failed(f"a file of {self._size} bytes came with {said[:20]}")
        most = end if said else self._size  # a page of a proxy in between would be a 200 as well
        if most > _WHOLE:
            raise self._failed(f"{where(self._url)} ignores ranges, and {most} bytes are too many")
        data = _read(response, most)
        if len(data) < most or (most == self._size and len(data) > most):
            raise self._failed(f"of a file of {self._size} bytes came {len(data)}")
        return data[start:end]

    def _check_named(self, response: httpx.Response) -> None:
        """The Hub names the file that it gives or redirects to: it has to be the listed one.

        X-Linked-Etag is the sha256 of an LFS file, else the blob id (`get_hf_file_metadata`, 2.4).
        """
        said = response.headers
        if said.get("X-Repo-Commit", self._commit) != self._commit:
            raise self._failed("it was served from another commit")
        if said.get("X-Linked-Size", str(self._size)) != str(self._size):
            raise self._failed(f"it is listed with {self._size} bytes and served with others")
        name = _unquoted(said.get("X-Linked-Etag", ""))
        of_its_kind = self._hash is not None and len(name) == len(self._hash)
        if _HASH.fullmatch(name) and of_its_kind and name != self._hash:
            raise self._failed("it was served with another hash than it is listed with")

    def _check_unchanged(self, response: httpx.Response) -> None:
        """Pieces of two versions of a file would be neither."""
        etag = _unquoted(response.headers.get("ETag", ""))
        if etag and self._etag not in {None, etag}:
            raise self._failed("it changed while it was read")
        self._etag = etag or self._etag

    def _check_encoding(self, response: httpx.Response) -> None:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise self._failed(f"it came encoded as {encoding[:40]!r}")

    def _refused(self, url: str, response: httpx.Response) -> HubauditError:
        status = response.status_code
        if status >= 400 and status != 416 and same_server(url, self._access.endpoint):
            return refusal(self._asked, status, response.headers)
        return self._failed(f"{where(url)} answered {status}")

    def _failed(self, why: str) -> FileUnavailable:
        return FileUnavailable(why)


def _unquoted(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def _read(response: httpx.Response, most: int) -> bytes:
    """The body, or of a longer one `most` bytes and some more."""
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > most:
            break
    return bytes(data)
