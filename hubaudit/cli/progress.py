"""Listeners that show an audit as it happens, on stderr only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from hubaudit.cli import console
from hubaudit.cli.console import note, warn
from hubaudit.events import (
    Compared,
    Downloading,
    Event,
    FileRead,
    Finished,
    Listed,
    Listener,
    Pinned,
    Sniffed,
    Waiting,
    Warned,
)
from hubaudit.formats.contents import Format
from hubaudit.model import RepoRef
from hubaudit.report.escape import visible
from hubaudit.report.words import count, size
from hubaudit.selection import can_execute


@contextmanager
def shown(*, quiet: bool, verbose: bool) -> Iterator[Listener]:
    """The listener for this stderr: nothing but warnings, a line a file, or bars on a terminal."""
    if quiet:
        yield warnings_only
    elif verbose:
        yield every_line
    elif not sys.stderr.isatty():
        yield lines
    else:
        from hubaudit.cli.bars import Bars

        with Bars(console.columns()) as bars:
            yield bars


def warnings_only(event: Event) -> None:
    if isinstance(event, Warned):
        warn(event.message)


def every_line(event: Event) -> None:
    """`lines`, and one for each file of which only the first bytes mattered."""
    if isinstance(event, FileRead):
        note(_read_text(event))
    else:
        lines(event)


def lines(event: Event) -> None:
    """A line for what takes time or was decided, none for a step of something already told."""
    match event:
        case Warned(message):
            warn(message)
        case Pinned(repo):
            note(pinned_text(repo))
        case Listed(files, total):
            note(f"{count(files, 'file')}, {size(total)}")
        case Downloading(path, received, total):
            if received == 0:
                note(f"downloading {visible(path)}, {size(total)}")
        case FileRead():
            if _is_worth_a_line(event):
                note(_read_text(event))
        case Compared(one):
            note(f"compared {visible(one.pickle)} with {visible(one.safetensors)}: {one.result}")
        case Waiting(seconds, why):
            note(f"waiting {seconds:.1f} s: {visible(why)}")
        case Sniffed() | Finished():
            pass
        case _:
            assert_never(event)


def pinned_text(repo: RepoRef) -> str:
    commit = "" if repo.commit_hash is None else f" is at {visible(repo.commit_hash)}"
    return f"{visible(repo.repo_id)}{commit}"


def _is_worth_a_line(event: FileRead) -> bool:
    return bool(event.findings or event.unread) or can_execute(event.path, Format(event.format))


def _read_text(event: FileRead) -> str:
    said = f"read {visible(event.path)} ({visible(event.format)}, {event.how})"
    if event.findings:
        said += f": {count(len(event.findings), 'finding')}"
    return f"{said}, not to the end" if event.unread else said
