"""Which policy file holds here: from the working directory upwards, but none that is being audited."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hubaudit.policyfile import OWN_FILE, PROJECT_FILE, read_table
from hubaudit.selection import promises_pickle

# A folder of the Hugging Face cache (huggingface_hub 2.4, `file_download.repo_folder_name`).
_CACHED = re.compile(r"(models|datasets|spaces)--.+")
# Where huggingface_hub notes what it downloaded to a folder (`_local_folder.get_local_download_paths`).
_DOWNLOADED = Path(".cache", "huggingface", "download")
_MOST_LOOKED_AT = 1 << 20  # bytes of somebody else's file; real ones have a few thousand

_HUBS = ("huggingface.co", "hf.co")
# What repositories of models have at their root: huggingface_hub writes the first into every one.
_OF_MODELS = frozenset({".gitattributes", "config.json", "model_index.json", "adapter_config.json"})
_MOST_NAMES = (
    10_000  # of a folder; the largest repositories of 564 have a few hundred at their root
)

# `[remote "origin"]`, a setting behind it on the same line or on its own (git-config(1), "Syntax").
_SECTION = re.compile(r'\s*\[\s*([\w.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_SETTING = re.compile(r"\s*([A-Za-z][\w-]*)\s*=\s*(.*)")
_SCP_LIKE = re.compile(r"(?:[^@/]*@)?([^:/]+):")  # git@hf.co:org/model


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

    Not used is what lies in a path of `audited`, or beside one as in a model's repository; what came
    from the Hub; and what somebody else put into a folder that everybody may write to. Raises
    ConfigError for a file that cannot be used though it should be.
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
    for cloned in (*here.parents, *target.parents):
        if _is_cloned_from_a_hub(cloned):
            return f"{cloned} is a git clone of a repository on the Hub"
    for path in audited:
        if (why := _why_not_beside(here.parent, path)) is not None:
            return why
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


def _why_not_beside(folder: Path, scanned: Path) -> str | None:
    """Why what lies in `folder` may belong to `scanned`, unless the root of a git work tree is there."""
    if (folder / ".git").exists():
        return None
    named = scanned.parent.resolve() / scanned.name  # a link is beside what it stands beside
    for path in (named, scanned.resolve()):
        if path.parent == folder and path.is_file():
            return "it lies beside what is scanned"
        if path.is_relative_to(folder) and _is_of_a_model(folder):
            return "it lies in what looks like a model's repository, of which a part is scanned"
    return None


def _is_of_a_model(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_MOST_NAMES), strict=False)]
    except OSError:
        return False
    return len(names) == _MOST_NAMES or any(
        name in _OF_MODELS or name.endswith(".safetensors") or promises_pickle(name)
        for name in names
    )


def _is_cloned_from_a_hub(folder: Path) -> bool:
    """Whether a remote of the git work tree at `folder`, if it is the root of one, is on a Hub."""
    own = _host(os.environ.get("HF_ENDPOINT", ""))
    hubs = (*_HUBS, own) if own else _HUBS
    hosts = {_host(url) for url in _remotes(_read_some(_git_folder(folder) / "config"))}
    return any(host == hub or host.endswith(f".{hub}") for host in hosts for hub in hubs)


def _git_folder(folder: Path) -> Path:
    """Where the settings of the work tree lie: of submodules and added work trees elsewhere.

    See gitrepository-layout(5), "gitdir" and "commondir".
    """
    git = folder / ".git"
    elsewhere = _read_some(git)  # nothing, if it is a folder
    if elsewhere.startswith("gitdir:"):
        git = folder / elsewhere.removeprefix("gitdir:").strip()
    common = _read_some(git / "commondir").strip()
    return git / common if common else git


def _remotes(config: str) -> Iterator[str]:
    """The addresses of all remotes in a git config. Those of submodules are not among them."""
    is_remote = False
    for line in config.replace("\\\n", "").splitlines():
        section = _SECTION.match(line)
        if section is not None:
            name = section[1].lower()  # `[remote.origin]` is an old spelling
            is_remote = name == "remote" or name.startswith("remote.")
            line = line[section.end() :]
        setting = _SETTING.match(line)
        if is_remote and setting is not None and setting[1].lower() in ("url", "pushurl"):
            yield setting[2].strip().strip('"')


def _host(address: str) -> str:
    if "://" in address:
        try:
            return urlsplit(address).hostname or ""
        except ValueError:
            return ""
    found = _SCP_LIKE.match(address)
    return found[1].lower() if found else ""


def _read_some(file: Path) -> str:
    """The beginning of a file; empty if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_LOOKED_AT).decode("utf-8", "replace")
    except (OSError, ValueError):  # a NUL in the path
        return ""


def _was_planted(file: Path) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    shared = file.parent.stat().st_mode & stat.S_IWOTH
    return bool(shared) and file.lstat().st_uid not in (0, os.geteuid())


def _has_settings(file: Path) -> bool:
    """Whether it is worth a word that `file` is not used. Its text is not trusted to be TOML."""
    if file.name == OWN_FILE:
        return True
    return "hubaudit" in _read_some(file)
