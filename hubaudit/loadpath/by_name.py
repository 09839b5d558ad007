"""Would the loader open this file? By name alone: a first approximation of the libraries' rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from hubaudit.formats.contents import Format
from hubaudit.model import LoadRole, RepoFile
from hubaudit.selection import can_execute, sibling_of

# What transformers' Trainer (`trainer.py`, `_save_checkpoint` and `save_model`) writes beside the
# weights and `from_pretrained` never opens. Resuming the training does open them.
_TRAINER_STATE = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")


def load_role(file: RepoFile, format_: Format, files: Sequence[RepoFile]) -> LoadRole:
    """The role of one of `files`, which has the format `format_`."""
    name = PurePosixPath(file.path)
    if name.suffix == ".py":
        return LoadRole.CODE
    if format_ is Format.SAFETENSORS or name.suffix == ".safetensors":
        return LoadRole.LOADED
    if not can_execute(file.path, format_):
        return LoadRole.NEVER
    if name.name.startswith(_TRAINER_STATE):
        return LoadRole.NEVER
    if sibling_of(file.path, files) is not None:
        return LoadRole.FALLBACK
    return LoadRole.LOADED
