"""A loader's order of preference among the checkpoints of one folder: the first is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hubaudit.loadpath.names import is_index
from hubaudit.loadpath.options import LoadOptions
from hubaudit.loadpath.paths import join
from hubaudit.loadpath.repository import Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.loadpath.shards import read_index
from hubaudit.model import LoadRole


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that exists: the file that the loader asks for, and the shards if that is an index."""

    path: str
    shards: tuple[str, ...] = ()


def find(repo: Repository, folder: str, names: Sequence[str]) -> list[Checkpoint]:
    """Those of `names` that are in `folder`, in the same order."""
    found = []
    for name in names:
        path = join(folder, name)
        if repo.has(path):
            shards = read_index(repo, path).shards if is_index(name) else ()
            found.append(Checkpoint(path, shards))
    return found


def place(roles: Roles, checkpoints: Sequence[Checkpoint], loader: str, otherwise: str) -> None:
    """`otherwise`: when else `loader` opens what is not the first, as the end of a sentence."""
    for number, checkpoint in enumerate(checkpoints):
        role, when = LoadRole.LOADED, ""
        if number > 0:
            role, when = LoadRole.FALLBACK, f" only if {checkpoints[0].path} is missing{otherwise}"
        roles.give(checkpoint.path, role, f"{loader} takes it for the weights{when}")
        for shard in checkpoint.shards:
            roles.give(shard, role, f"{loader} takes it as a shard of {checkpoint.path}{when}")


def place_refused(roles: Roles, checkpoints: Sequence[Checkpoint], why: str) -> None:
    """Checkpoints that the options rule out, whatever else is there."""
    for checkpoint in checkpoints:
        for path in (checkpoint.path, *checkpoint.shards):
            roles.give(path, LoadRole.NEVER, why)


def place_by_options(
    roles: Roles,
    safe: Sequence[Checkpoint],
    pickled: Sequence[Checkpoint],
    loader: str,
    options: LoadOptions,
) -> None:
    """The common rule of `use_safetensors`: unset prefers safetensors, set takes nothing else."""
    match options.use_safetensors:
        case "auto":
            place(roles, [*safe, *pickled], loader, " or with use_safetensors=False")
        case "true":
            place(roles, safe, loader, "")
            place_refused(roles, pickled, f"{loader} opens no pickle with use_safetensors=True")
        case "false":
            place(roles, pickled, loader, "")
            place_refused(roles, safe, f"{loader} opens no safetensors with use_safetensors=False")


def add_variant(name: str, variant: str | None) -> str:
    """`model.safetensors` → `model.fp16.safetensors`, before the last suffix (`_add_variant` of
    transformers 5.23 `modeling_utils.py` and diffusers 0.42 `models/model_loading_utils.py`)."""
    if not variant:
        return name
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{variant}.{suffix}"
