"""Which policy file holds here: from the working directory upwards, but none that is being audited."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubaudit.policyfile import OWN_FILE, PROJECT_FILE, read_table

# A folder of the Hugging Face cache (huggingface_hub 2.4, `file_download.repo_folder_name`).
_CACHED = re.compile(r"(models|datasets|spaces)--.+")
# Where huggingface_hub notes what it downloaded to a folder (`_local_folder.get_local_download_paths`).
_DOWNLOADED = Path(".cache", "huggingface", "download")
_MOST_LOOKED_AT = 1 << 20  # bytes of somebody else's pyproject.toml; real ones have a few thousand


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A policy file that lies in the way and is not used, and why."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """The file whose `table` holds, both None if there is none, and those that were passed over."""

    path: Path | None
    table: Mapping[str, Any] | None
    passed_over: tuple[PassedOver, ...]


def find_policy(start: Path, audited: Sequence[Path]) -> Found:
    """The nearest policy file in `start` or a folder above it; beside each other, hubaudit.toml wins.

    Not used is what lies in a path of `audited`, what came from the Hub, and what somebody else put
    into a folder that everybody may write to. Raises ConfigError for a file that cannot be used
    though it should be.
    """
    passed: list[PassedOver] = []
    for file in _candidates(start):
        why = _why_not(file, audited)
        if why is not None:
            if _has_settings(file):
                passed.append(PassedOver(file, why))
        elif (table := read_table(file)) is not None:
            return Found(file, table, tuple(passed))
    return Found(None, None, tuple(passed))


def _candidates(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        for name in (OWN_FILE, PROJECT_FILE):
            # a link that leads nowhere was meant to be a policy: better an error than none
            if os.path.lexists(folder / name):
                yield folder / name


def _why_not(file: Path, audited: Sequence[Path]) -> str | None:
    here, target = file.parent.resolve() / file.name, file.resolve()
    for path in audited:
        above = path.resolve()
        if here.is_relative_to(above) or target.is_relative_to(above):
            return "it lies in what is scanned"
    if _came_from_the_hub(here) or _came_from_the_hub(target):
        return "it was downloaded from the Hub"
    if _was_planted(file):
        return "somebody else put it into a folder that everybody may write to"
    return None


def _came_from_the_hub(file: Path) -> bool:
    if any(_CACHED.fullmatch(part) for part in file.parts):
        return True
    return any(
        (folder / _DOWNLOADED / f"{file.relative_to(folder)}.metadata").exists()
        for folder in file.parents
    )


def _was_planted(file: Path) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    shared = file.parent.stat().st_mode & stat.S_IWOTH
    return bool(shared) and file.lstat().st_uid not in (0, os.geteuid())


def _has_settings(file: Path) -> bool:
    """Whether it is worth a word that `file` is not used. Its text is not trusted to be TOML."""
    if file.name == OWN_FILE:
        return True
    try:
        with file.open("rb") as opened:
            return b"hubaudit" in opened.read(_MOST_LOOKED_AT)
    except OSError:
        return False
