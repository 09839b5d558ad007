"""Where reports go: to stdout as they come, or into documents when all are there."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from hubaudit.cli import console
from hubaudit.cli.options import FormatName
from hubaudit.cli.save import write_file
from hubaudit.errors import UsageError
from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Format, Origins, Page, format_of

# Whether a document is about one target, or about what may be several.
Layout = Literal["one", "many"]
_NOWHERE: Origins = {}
_NO_FOLDERS: Mapping[str, str] = {}


class Sink(Protocol):
    def add(self, report: RepoReport) -> None: ...

    def close(self) -> None: ...


def open_sinks(
    form: FormatName,
    outputs: Sequence[Path],
    layout: Layout,
    entries: int | None,
    origins: Origins = _NOWHERE,
    folders: Mapping[str, str] = _NO_FOLDERS,
) -> list[Sink]:
    """One for each of `outputs`, in the format of its suffix or in `form`; without any, one for stdout.

    `entries`, `origins` and `folders`: as of `Page`.
    """
    if outputs:
        page = Page(entries=entries, origins=origins, folders=folders)
        return [
            _Document(REPORTS[format_of(str(output)) or form], output, layout, page)
            for output in outputs
        ]
    width, color = console.columns(), console.wants_color(sys.stdout)
    page = Page(width, color, entries, origins=origins, folders=folders)
    if form == "text":
        return [_Stream(page)]
    return [_Document(REPORTS[form], None, layout, page)]


def checked(outputs: Sequence[Path] | None) -> tuple[Path, ...]:
    """What `--output` was given. Raises UsageError for what cannot be written, before any work is done."""
    for output in outputs or ():
        check_writable(output, "--output")
    return tuple(outputs or ())


def check_writable(file: Path | None, option: str) -> None:
    """Before anything is downloaded, not after. Raises UsageError."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise UsageError(
            f"{file} cannot be written: it is a folder or in no folder",
            hint=f"give {option} the name of a file in a folder that exists",
        )


class _Stream:
    """Each report on stdout as soon as it is there."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._gap = ""

    def add(self, report: RepoReport) -> None:
        console.write(self._gap + REPORTS["text"].one(report, self._page))
        self._gap = "\n"

    def close(self) -> None:
        pass


class _Document:
    """All reports at once: one object for one target, what the format has for many otherwise."""

    def __init__(self, form: Format, output: Path | None, layout: Layout, page: Page) -> None:
        self._format = form
        self._output = output
        self._layout = layout
        self._page = page
        self._reports: list[RepoReport] = []

    def add(self, report: RepoReport) -> None:
        self._reports.append(report)

    def close(self) -> None:
        text = self._text()
        if text is None:
            return
        if self._output is None:
            console.write(text)
        else:
            write_file(self._output, text)

    def _text(self) -> str | None:
        if self._layout == "many":
            return self._format.many(self._reports, self._page)
        return self._format.one(self._reports[0], self._page) if self._reports else None
