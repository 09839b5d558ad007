"""Where a file of the user's names a repository: what code scanning can show a finding at."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hubaudit.model import RepoRef
from hubaudit.report.page import Origin, Origins

_FOLDERS = {"dataset": "datasets/", "space": "spaces/"}


def origins_in(text: str, path: str, repos: Iterable[RepoRef]) -> Origins:
    """The first line of `text` that names each of `repos`, for those that it names.

    It may be a list, a lock file, a workflow or code: an id counts where it stands as a whole.
    """
    lines = text.splitlines()
    found: dict[tuple[str, str], Origin] = {}
    for repo in dict.fromkeys(repos):
        # the name of a local folder is any word
        line = None if repo.repo_type == "local" else _line_of(repo, lines)
        if line is not None:
            found[repo.repo_type, repo.repo_id] = Origin(path, line)
    return found


def _line_of(repo: RepoRef, lines: list[str]) -> int | None:
    """Of a dataset preferably one that says so: a model may have the same id."""
    prefixes = [_FOLDERS[repo.repo_type], ""] if repo.repo_type in _FOLDERS else [""]
    for prefix in prefixes:
        name = re.escape(f"{prefix}{repo.repo_id}")
        # the Hub takes names whatever their letter case; behind one come `@revision` and quotes
        whole = re.compile(rf"(?<![\w./-]){name}(?![\w/-]|\.\w)", re.IGNORECASE)
        for number, line in enumerate(lines, start=1):
            if whole.search(line):
                return number
    return None
