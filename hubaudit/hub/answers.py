"""The JSON that the Hub answers with: whole, bounded, and page after page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from huggingface_hub.utils import httpx

from hubaudit.errors import HubAnswerInvalid, HubUnreachable
from hubaudit.hub.access import Access, get, same_server
from hubaudit.hub.listing import HINT
from hubaudit.hub.refusals import Asked, refusal
from hubaudit.hub.wire import TRANSIENT, where

_ANSWER_BYTES = 64 * 1024 * 1024  # a page of 1000 entries with all scans takes about 1 MiB


def get_json(access: Access, url: str, asked: Asked) -> tuple[Any, str | None]:
    """The answer's JSON, and the URL of the next page where there is one. Raises a HubError."""
    for _ in range(access.patience.attempts):
        try:
            with get(url, access.headers, follow=True) as response:
                if response.status_code >= 400:
                    raise refusal(asked, response.status_code, response.headers)
                body = _whole_body(response)
                return _parsed(body, response), response.links.get("next", {}).get("url")
        except TRANSIENT:
            continue  # a broken body: the wire has counted and announced it
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise HubAnswerInvalid(
                f"{where(url)} gave an answer that cannot be used: {reason}", hint=HINT
            ) from error
    raise HubUnreachable(
        f"{where(url)} broke off its answer again and again",
        hint="check the network, and try again later",
    )


def pages(access: Access, url: str, asked: Asked, what: str) -> Iterator[tuple[Any, bool]]:
    """Each page of a list, and whether another one follows. Raises a HubError.

    `what` is the list's name in the error that a page which comes again ends in.
    """
    following: str | None = url
    seen = set[str]()
    while following is not None:
        page, link = get_json(access, following, asked)
        seen.add(following)
        following = _next_page(access, following, link)
        yield page, following is not None
        if following in seen:
            raise endless(what)


def endless(what: str) -> HubAnswerInvalid:
    return HubAnswerInvalid(f"the {what} does not end", hint=HINT)


def _next_page(access: Access, url: str, following: str | None) -> str | None:
    if following is None:
        return None
    absolute = urljoin(url, following)
    if not same_server(absolute, access.endpoint):
        raise HubAnswerInvalid("the answer goes on at another server", hint=HINT)
    return absolute


def _whole_body(response: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _ANSWER_BYTES:
            raise HubAnswerInvalid(f"an answer of more than {_ANSWER_BYTES} bytes", hint=HINT)
    return bytes(body)


def _parsed(body: bytes, response: httpx.Response) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("Content-Type", "something").split(";")[0].strip()[:60]
        raise HubAnswerInvalid(
            f"{where(str(response.url))} answered with {kind} that is not the JSON of a Hub",
            hint=HINT,
        ) from error
