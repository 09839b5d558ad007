"""What a sweep leaves behind: a report file for each repository, and the summary."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast, get_args

from hubaudit.cli import console
from hubaudit.cli.save import kept_at, write_file
from hubaudit.cli.sweepoptions import SummaryName
from hubaudit.lists import STDIN, Entry, name_of
from hubaudit.model import RepoRef, RepoReport
from hubaudit.report import REPORTS, Format, Origin, Page, format_of
from hubaudit.report.words import count
from hubaudit.store import Store
from hubaudit.sweeping import documents, summary
from hubaudit.sweeping.record import Save
from hubaudit.sweeping.summary import Summary

_ROWS = 200  # of a table on a terminal; more than that nobody reads
_NAMED = 5  # targets in a warning
_NOWHERE: Mapping[str, Origin] = {}


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


def origins_of(entries: Iterable[Entry]) -> dict[str, Origin]:
    """Where a list names a target, by the target's name. What comes from elsewhere has no line to show."""
    return {
        name_of(entry.target): Origin(Path(entry.source).as_posix(), entry.line)
        for entry in entries
        if entry.line is not None and entry.source != STDIN
    }


def write_summary(
    found: Summary,
    store: Store,
    form: SummaryName,
    outputs: Sequence[Path],
    origins: Mapping[str, Origin] = _NOWHERE,
    *,
    verbose: bool,
) -> None:
    """To stdout, or to each of the files in the format of its suffix, or in `form`.

    A format that has no summary gets the reports. `origins`: as `origins_of` has them.
    """
    for output in outputs:
        suffix = "text" if output.suffix.lower() == ".txt" else format_of(output.name) or form
        if suffix not in get_args(SummaryName):
            _write_reports(found, store, REPORTS[suffix], output, origins)
            continue
        if suffix == "html":
            _write_pages(found, store, output)
        write_file(output, _text(found, store, cast(SummaryName, suffix), output, verbose=verbose))
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


def _write_reports(
    found: Summary, store: Store, form: Format, output: Path, origins: Mapping[str, Origin]
) -> None:
    """All reports in one document. Of a target that has none nothing is in it, which is said."""
    reports: list[RepoReport] = []
    places: dict[tuple[str, str], Origin] = {}
    for result, report in documents.reports_of(store, found):
        if report is not None:
            reports.append(report)
            if result.target in origins:
                repo = report.repo.repo_type, report.repo.repo_id
                places.setdefault(repo, origins[result.target])
    write_file(output, form.many(reports, Page(origins=places)))
    lacking = sorted(one.target for one in found.results if one.trouble is not None)
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        named = ", ".join(lacking[:_NAMED]) + more
        console.warn(f"{output} has reports only, so nothing of what was undecided: {named}")
    if found.left:
        console.warn(f"{output} has nothing of {count(found.left, 'target')} not reached")


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
