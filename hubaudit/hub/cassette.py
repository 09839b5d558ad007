"""Recorded exchanges with a Hub, in a folder that people can read, and their replay without a network.

`index.jsonl` has one line for the cassette and one for each exchange; `bodies/<sha256>` hold the bodies
as they came over the wire. Nothing of a request is kept but its method, URL and Range; of an answer
only the headers in `_KEPT`. URLs of other servers than the Hub are signed: their query is replaced by a
digest of it, in requests and redirects alike, so that a replay finds its way and nobody else does.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import urljoin, urlsplit

from huggingface_hub.utils import httpx

from hubaudit.errors import CassetteError, CassetteMiss
from hubaudit.hub.access import same_server

FORMAT = 1
_INDEX = "index.jsonl"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIGNED = re.compile(
    r"(?i)(^|[&;])(x-amz-|x-goog-|signature|sig|token|access_token|policy|key-pair-id)"
)
_KEPT = frozenset(
    {"content-type", "content-length", "content-encoding", "content-range", "etag", "link"}
    | {"location", "ratelimit", "ratelimit-policy", "retry-after", "x-error-code"}
    | {"x-error-message", "x-linked-etag", "x-linked-size", "x-repo-commit", "x-xet-hash"}
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. `body`: the sha256 that names it; `whole`: it came to its end."""

    method: str
    url: str
    range: str | None
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str | None
    whole: bool

    @property
    def key(self) -> tuple[str, str, str | None]:
        return self.method, self.url, self.range


@dataclass(slots=True)
class Cassette:
    """The folder. To record, enter it; to replay, `load` it."""

    folder: Path
    endpoint: str
    _answers: dict[tuple[str, str, str | None], list[Exchange]] = field(default_factory=dict)
    _given: dict[tuple[str, str, str | None], int] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)
    _index: Any = None
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def create(cls, folder: Path, endpoint: str) -> Self:
        """A cassette to record into: a new or empty folder, or one recorded from the same endpoint.

        Raises CassetteError for any other folder.
        """
        endpoint = public_url(endpoint, endpoint)
        if folder.exists() and not folder.is_dir():
            raise CassetteError(f"{folder} is not a folder", hint="name a new folder")
        if (folder / _INDEX).exists():
            there = cls.load(folder)
            if there.endpoint != endpoint:
                raise CassetteError(
                    f"{folder} was recorded from {there.endpoint}", hint="name a new folder"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise CassetteError(
                f"{folder} holds something else than a cassette", hint="name a new folder"
            )
        return cls(folder, endpoint)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """A cassette to replay. Raises CassetteError when there is none or it is damaged."""
        try:
            lines = (folder / _INDEX).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeError) as error:
            raise CassetteError(
                f"{folder} holds no cassette: {error}", hint="name a folder that --record has made"
            ) from error
        try:
            head = json.loads(lines[0])
            if head["hubaudit_cassette"] != FORMAT:
                raise ValueError(f"format {head['hubaudit_cassette']!r}")
            cassette = cls(folder, _text(head["endpoint"]))
            for line in lines[1:]:
                exchange = _exchange(json.loads(line))
                cassette._answers.setdefault(exchange.key, []).append(exchange)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise CassetteError(
                f"the cassette {folder} is damaged: {error}", hint=_AGAIN
            ) from error
        return cassette

    def __enter__(self) -> Self:
        try:
            (self.folder / "bodies").mkdir(parents=True, exist_ok=True)
            new = not (self.folder / _INDEX).exists()
            self._index = (self.folder / _INDEX).open("a", encoding="utf-8", newline="\n")
        except OSError as error:
            raise CassetteError(
                f"cannot record into {self.folder}: {error}", hint=_PLACE
            ) from error
        if new:
            self._write({"hubaudit_cassette": FORMAT, "endpoint": self.endpoint})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._index.close()

    def add(self, exchange: Exchange) -> None:
        self._write(
            {
                "method": exchange.method,
                "url": exchange.url,
                "range": exchange.range,
                "status": exchange.status,
                "headers": dict(exchange.headers),
                "body": exchange.body,
                "whole": exchange.whole,
            }
        )

    def answer(self, method: str, url: str, byte_range: str | None) -> Exchange:
        """The next recorded answer to this request, the last one again and again. Raises CassetteMiss."""
        key = (method, public_url(url, self.endpoint), byte_range)
        answers = self._answers.get(key)
        if not answers:
            asked = f"{method} {key[1]}" + (f" ({byte_range})" if byte_range else "")
            raise CassetteMiss(f"the cassette {self.folder} has no answer to {asked}", hint=_AGAIN)
        with self._lock:
            turn = self._given.get(key, 0)
            self._given[key] = turn + 1
        return answers[min(turn, len(answers) - 1)]

    def open_body(self, name: str) -> BinaryIO:
        """A body, checked against its name. Raises CassetteError."""
        path = self.folder / "bodies" / name
        try:
            opened = path.open("rb")
            if name not in self._checked:
                if hashlib.file_digest(opened, "sha256").hexdigest() != name:
                    opened.close()
                    raise CassetteError(f"the body {path} is damaged", hint=_AGAIN)
                self._checked.add(name)
                opened.seek(0)
        except OSError as error:
            raise CassetteError(f"the body {path} is missing: {error}", hint=_AGAIN) from error
        return opened

    def _write(self, line: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._index.write(json.dumps(line) + "\n")
                self._index.flush()
        except OSError as error:
            raise CassetteError(
                f"cannot record into {self.folder}: {error}", hint=_PLACE
            ) from error


_AGAIN = "record it again with --record, with the same targets and options"
_PLACE = "name a folder that can be written"


class Recorder(httpx.BaseTransport):
    """A transport that writes down what passes through it."""

    def __init__(self, inner: httpx.BaseTransport, cassette: Cassette) -> None:
        self._inner, self._cassette = inner, cassette

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        draft = Exchange(
            method=request.method,
            url=public_url(str(request.url), self._cassette.endpoint),
            range=request.headers.get("Range"),
            status=response.status_code,
            headers=_public_headers(str(request.url), response, self._cassette.endpoint),
            body=None,
            whole=True,
        )
        response.stream = _Recorded(stream, self._cassette, draft)
        return response

    def close(self) -> None:
        self._inner.close()


class _Recorded(httpx.SyncByteStream):
    """A body on its way, written to disk as it is read; the exchange is kept when it is closed."""

    def __init__(self, stream: httpx.SyncByteStream, cassette: Cassette, draft: Exchange) -> None:
        self._stream, self._cassette, self._draft = stream, cassette, draft
        self._digest, self._size, self._whole, self._kept = hashlib.sha256(), 0, False, False
        bodies = cassette.folder / "bodies"
        self._file = tempfile.NamedTemporaryFile(dir=bodies, delete=False)  # noqa: SIM115, closed in close

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._digest.update(chunk)
            self._file.write(chunk)
            self._size += len(chunk)
            yield chunk
        self._whole = True

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._keep()

    def _keep(self) -> None:
        if self._kept:
            return
        self._kept = True
        self._file.close()
        path = Path(self._file.name)
        draft = self._draft
        # The text of a redirect repeats its signed address.
        bodiless = draft.method == "HEAD" or 300 <= draft.status < 400
        name = None if bodiless or not self._size else self._digest.hexdigest()
        if name is None:
            path.unlink()
        else:
            path.replace(path.with_name(name))
            path.with_name(name).chmod(0o644)
        self._cassette.add(
            Exchange(
                draft.method,
                draft.url,
                draft.range,
                draft.status,
                draft.headers,
                name,
                self._whole or bodiless,
            )
        )


class Replayer(httpx.BaseTransport):
    """A transport that answers from a cassette and knows no network."""

    def __init__(self, cassette: Cassette) -> None:
        self._cassette = cassette

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        found = self._cassette.answer(
            request.method, str(request.url), request.headers.get("Range")
        )
        body = self._cassette.open_body(found.body) if found.body else None
        return httpx.Response(
            found.status, headers=list(found.headers), stream=_Replayed(body, found.whole)
        )


class _Replayed(httpx.SyncByteStream):
    def __init__(self, body: BinaryIO | None, whole: bool) -> None:
        self._body, self._whole = body, whole

    def __iter__(self) -> Iterator[bytes]:
        while self._body is not None and (chunk := self._body.read(64 * 1024)):
            yield chunk
        if not self._whole:
            raise httpx.RemoteProtocolError("the recorded answer broke off here")

    def close(self) -> None:
        if self._body is not None:
            self._body.close()


def public_url(url: str, endpoint: str) -> str:
    """The URL without credentials, and without the query where that is another server's or signed."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    query = parts.query
    foreign = not same_server(url, endpoint)
    if query and (foreign or _SIGNED.search(query)) and not _REDACTED.fullmatch(query):
        query = f"signed={hashlib.sha256(query.encode()).hexdigest()[:16]}"
    return parts._replace(netloc=netloc, query=query, fragment="").geturl()


_REDACTED = re.compile(r"signed=[0-9a-f]{16}")


def _public_headers(
    url: str, response: httpx.Response, endpoint: str
) -> tuple[tuple[str, str], ...]:
    kept: dict[str, list[str]] = defaultdict(list)
    for name, value in response.headers.multi_items():
        if name.lower() in _KEPT:
            kept[name.lower()].append(value)
    if 300 <= response.status_code < 400:
        kept.pop("content-length", None)  # of a text that is not kept
    for name in ("location", "link"):
        kept[name] = [_public_links(url, name, value, endpoint) for value in kept[name]]
    return tuple((name, ", ".join(values)) for name, values in sorted(kept.items()) if values)


def _public_links(base: str, name: str, value: str, endpoint: str) -> str:
    def public(link: str) -> str:
        with suppress(ValueError):
            return _relative_or_public(base, link, endpoint)
        return ""

    if name == "location":
        return public(value)
    return re.sub(r"<([^>]*)>", lambda m: f"<{public(m[1])}>", value)


def _relative_or_public(base: str, link: str, endpoint: str) -> str:
    absolute = urljoin(base, link)
    public = public_url(absolute, endpoint)
    return link if public == absolute else public


def _exchange(line: Any) -> Exchange:
    """An exchange from its line. Raises ValueError, KeyError or TypeError where that is none."""
    body, byte_range = line["body"], line["range"]
    if body is not None and not _SHA256.fullmatch(_text(body)):
        raise ValueError(f"a body called {body!r}")
    if not isinstance(line["status"], int) or not 100 <= line["status"] <= 599:
        raise ValueError(f"a status {line['status']!r}")
    return Exchange(
        method=_text(line["method"]),
        url=_text(line["url"]),
        range=None if byte_range is None else _text(byte_range),
        status=line["status"],
        headers=tuple((_text(k), _text(v)) for k, v in line["headers"].items()),
        body=body,
        whole=line["whole"] is True,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where a text belongs")
    return value
