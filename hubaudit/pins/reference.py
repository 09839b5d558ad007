"""What is found: references to repositories on the Hub, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

RepoType = Literal["model", "dataset", "space"]


class State(StrEnum):
    PINNED = "pinned"  # by a whole commit hash
    UNPINNED = "unpinned"
    UNKNOWN = "unknown"  # only the running program knows its repository or its revision
    IGNORED = "ignored"  # unpinned, and a comment says why that is meant


class Form(StrEnum):
    """How a pin is written at the place of the reference."""

    KEYWORD = "keyword"  # revision="…" in a call
    ADDRESS = "address"  # …@… inside the text
    RESOLVE = "resolve"  # /resolve/…/ inside a URL
    YAML = "yaml"
    JSON = "json"
    TOML = "toml"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: line and column count from 1, in characters; `cell` of a notebook, too."""

    line: int
    column: int
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """One repository that one place of a file loads from.

    `via` is the loader or the key. `repo_id` is None where only the running program knows it, `revision`
    None where none is given. `why` says what makes the state, `reason` is that of an ignore comment.
    `form` and `key` say how a pin is written there.
    """

    place: Place
    via: str
    repo_id: str | None
    repo_type: RepoType
    revision: str | None
    state: State
    why: str
    form: Form = Form.KEYWORD
    key: str = "revision"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A part of a file that was not read, and why."""

    place: Place
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one file refers to, in the order of the file."""

    references: tuple[Reference, ...] = ()
    unparsed: tuple[Unparsed, ...] = ()
