"""Which other scanners there are on this machine. They are looked for, never imported."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from hubaudit.engines.known import Engine


@dataclass(frozen=True, slots=True)
class Installed:
    """How it is started, and its version where its environment tells."""

    command: list[str]
    version: str | None


def find(engine: Engine) -> Installed | None:
    """On PATH, or in the environment of this interpreter. None if it is in neither."""
    program = shutil.which(engine.name, path=_absolute_path())
    if program is None:
        program = shutil.which(engine.name, path=sysconfig.get_path("scripts"))
    if program is not None:
        return Installed([program], _version_beside(engine, Path(program)))
    version = _version(engine, sys.path)
    return None if version is None else Installed([sys.executable, "-m", engine.name], version)


def _absolute_path() -> str:
    """PATH without its relative parts: the folder that we stand in may be a hostile clone."""
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(part for part in parts if Path(part).is_absolute())


def _version_beside(engine: Engine, program: Path) -> str | None:
    """Of the environment to which the program in its folder of scripts belongs."""
    root = program.resolve().parent.parent
    return _version(engine, [str(place) for place in root.glob("lib/python3*/site-packages")])


def _version(engine: Engine, places: list[str]) -> str | None:
    for found in metadata.distributions(name=engine.name, path=places):
        return found.version
    return None
