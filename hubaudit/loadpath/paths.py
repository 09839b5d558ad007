"""Paths within a repository, and how its own words are shown."""

from __future__ import annotations


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def split(path: str) -> tuple[str, str]:
    """The folder ("" for the root) and the name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def resolve(folder: str, name: str) -> tuple[str, bool]:
    """Where `name`, written in a document of `folder`, leads, and whether that stays in the folder."""
    stays = not name.startswith("/") and "\\" not in name and "\0" not in name and name != ""
    parts = [] if name.startswith("/") else [part for part in folder.split("/") if part]
    depth = len(parts)
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            stays = stays and len(parts) > depth
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts), stays


def show(text: object) -> str:
    """A repository's own words, short enough for a sentence."""
    return repr(short(text if isinstance(text, str) else type(text).__name__))


def short(text: str) -> str:
    """At most 80 characters, for a sentence."""
    return text if len(text) <= 80 else f"{text[:77]}..."
