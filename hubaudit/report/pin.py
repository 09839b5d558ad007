"""The line of code that loads just the commit that was read, and where the Hub shows its files."""

from __future__ import annotations

import re
from typing import assert_never
from urllib.parse import quote

from hubaudit.model import LoadAdvice, RepoRef

# What a load does anyway: of no use in a line to copy.
_DEFAULTS = {"trust_remote_code": False, "weights_only": True}
_PLAIN = re.compile(r"[\w./ -]*", re.ASCII)
_HUB_REPO_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = {"model": "", "dataset": "datasets/", "space": "spaces/"}


def pin(repo: RepoRef, advice: LoadAdvice | None = None) -> str | None:
    """Code that loads the commit that was read, with the least risk as far as `advice` is given.

    None where a name could make other code of it.
    """
    commit = repo.commit_hash
    if not _is_plain(repo):
        return None
    match repo.repo_type:
        case "model":
            return f'from_pretrained("{repo.repo_id}", revision="{commit}"{_arguments(advice)})'
        case "dataset":
            return f'load_dataset("{repo.repo_id}", revision="{commit}")'
        case "space":
            return f'snapshot_download("{repo.repo_id}", repo_type="space", revision="{commit}")'
        case "local":
            return None
        case _:
            assert_never(repo.repo_type)


def _arguments(advice: LoadAdvice | None) -> str:
    given = advice.arguments.items() if advice else ()
    shown = [
        f", {name}={_literal(value)}"
        for name, value in sorted(given)
        if _DEFAULTS.get(name) != value and _literal(value)
    ]
    return "".join(shown)


def _literal(value: object) -> str:
    """As Python writes it; empty for what is no plain value."""
    if isinstance(value, bool):
        return str(value)
    return f'"{value}"' if isinstance(value, str) and _PLAIN.fullmatch(value) else ""


def page_url(repo: RepoRef, path: str = "") -> str | None:
    """The Hub's page of the commit, or of one of its files; None if it is not on a Hub."""
    if not _is_plain(repo) or repo.endpoint is None or repo.repo_type == "local":
        return None
    if not {".", ".."}.isdisjoint(path.split("/")):  # browsers walk up: that is a page of another's
        path = ""
    view = f"blob/{repo.commit_hash}/{quote(path)}" if path else f"tree/{repo.commit_hash}"
    return f"{repo.endpoint}/{_FOLDER[repo.repo_type]}{repo.repo_id}/{view}"


def _is_plain(repo: RepoRef) -> bool:
    """Whether its names have only the characters that names on the Hub have."""
    commit = repo.commit_hash or ""
    return bool(_COMMIT.fullmatch(commit) and _HUB_REPO_ID.fullmatch(repo.repo_id))
