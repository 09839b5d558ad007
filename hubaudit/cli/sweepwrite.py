"""What a sweep leaves behind: a report file for each repository, and the summary."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hubaudit.cli import console
from hubaudit.cli.save import kept_at, write_file
from hubaudit.cli.sweepoptions import SummaryName
from hubaudit.model import RepoRef
from hubaudit.report import REPORTS, Page
from hubaudit.store import Store
from hubaudit.sweeping import documents, summary
from hubaudit.sweeping.record import Save
from hubaudit.sweeping.summary import Summary

_ROWS = 200  # of a table on a terminal; more than that nobody reads
_SUFFIXES: dict[str, SummaryName] = {
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".xml": "junit",
    ".html": "html",
    ".htm": "html",
    ".txt": "text",
}


def saver(folder: Path | None) -> Save:
    """Writes reports under `folder`, if there is one. A file that is there with the same text stays."""

    def save(repo: RepoRef, report: str) -> str | None:
        path = None if folder is None else kept_at(folder, repo)
        if path is None or folder is None:
            return None
        _sweep_up(path)
        if not _is_there(path, report):
            write_file(path, report)
        return path.relative_to(folder).as_posix()

    return save


def write_summary(
    found: Summary, store: Store, form: SummaryName, outputs: Sequence[Path], *, verbose: bool
) -> None:
    """To stdout, or to each of the files in the format of its suffix, or in `form`."""
    for output in outputs:
        suffix = _SUFFIXES.get(output.suffix.lower(), form)
        if suffix == "html":
            _write_pages(found, store, output)
        write_file(output, _text(found, store, suffix, output, verbose=verbose))
    if not outputs:
        console.write(_text(found, store, form, None, verbose=verbose))


def _text(
    found: Summary, store: Store, form: SummaryName, output: Path | None, *, verbose: bool
) -> str:
    match form:
        case "json":
            return summary.as_json(found)
        case "markdown":
            return summary.as_markdown(found)
        case "junit":
            return documents.as_junit(store, found)
        case "html":
            return documents.as_index(found, _pages(output).name if output is not None else "")
        case "text":
            return summary.as_text(found, most=None if verbose else _ROWS)


def _pages(output: Path) -> Path:
    return output.with_name(f"{output.stem}-pages")


def _write_pages(found: Summary, store: Store, output: Path) -> None:
    for result, report in documents.reports_of(store, found):
        if result.key is not None and report is not None:
            path = _pages(output) / documents.page_path(result.key)
            write_file(path, REPORTS["html"].one(report, Page()))


def _is_there(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode()
    except OSError:
        return False


def _sweep_up(path: Path) -> None:
    """Remove what a process that was killed has left of this report."""
    for left in path.parent.glob(f".{path.name}.*.tmp") if path.parent.is_dir() else ():
        number = re.fullmatch(r".*\.(\d+)\.tmp", left.name)
        if number and not _is_alive(int(number[1])):
            with suppress(OSError):
                left.unlink()


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
