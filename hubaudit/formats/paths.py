"""Names in archives that lead out of the folder they are unpacked in."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath, PureWindowsPath


def leads_out(name: str) -> bool:
    """On any system: an absolute path, a drive, or `..`."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return bool(posix.root or windows.anchor) or ".." in posix.parts or ".." in windows.parts


def is_path_of_zip(name: str) -> bool:
    """Whether it is an absolute path as programs write them, to a file called `.zip`."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    path = posix if posix.root else windows
    return path.is_absolute() and path.suffix.lower() == ".zip" and ".." not in path.parts


def link_leads_out(name: str, target: str) -> bool:
    """Whether the symbolic link `name` points out of the archive, by its text alone."""
    if PurePosixPath(target).root or PureWindowsPath(target).anchor:
        return True
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(name), target.replace("\\", "/")))
    return reached == ".." or reached.startswith("../")
