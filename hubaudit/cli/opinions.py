"""`--engine`: second opinions on what an audit or a scan has on this disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from hubaudit.cli.options import ENGINES
from hubaudit.errors import UsageError

if TYPE_CHECKING:
    from hubaudit.model import FileReport, RepoReport


def chosen(given: Sequence[str] | None) -> tuple[str, ...]:
    """The names in `--engine a,b --engine c`. Raises UsageError for one that is not known."""
    names = [name.strip() for part in given or () for name in part.split(",")]
    for name in names:
        if name not in ENGINES:
            close = get_close_matches(name, ENGINES, n=1)
            raise UsageError(
                f"there is no engine {name!r}",
                hint=f"perhaps {close[0]}" if close else f"there are {', '.join(ENGINES)}",
            )
    return tuple(dict.fromkeys(names))


def with_those_on_the_hub(report: RepoReport, engines: Sequence[str]) -> RepoReport:
    """`report` on a repository with opinions on what the Hugging Face cache has of it."""
    from hubaudit.hub.cached import cached_path

    return _asked(report, engines, lambda file: cached_path(report.repo, file.path))


def with_those_here(report: RepoReport, engines: Sequence[str], root: Path) -> RepoReport:
    """`report` on the local file or folder `root` with opinions on its files."""
    folder = root if root.is_dir() else root.parent
    return _asked(report, engines, lambda file: folder / file.path)


def _asked(
    report: RepoReport, engines: Sequence[str], locate: Callable[[FileReport], Path | None]
) -> RepoReport:
    if not engines:
        return report
    from hubaudit.engines import consult

    return consult(report, engines, locate)
