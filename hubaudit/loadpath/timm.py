"""What timm and open_clip open: one checkpoint at the root, with a config.json of their own.

The rules are those of timm 1.0.31: `models/_hub.py`, `load_state_dict_from_hf` and
`_get_safe_alternatives`, `models/_builder.py`, `_resolve_pretrained_source`. open_clip uses the same
names with a prefix (`HF_OPEN_CLIP_WEIGHTS_NAME`).
"""

from __future__ import annotations

from typing import Any

from hubaudit.loadpath.documents import CONFIG, OPEN_CLIP_CONFIG
from hubaudit.loadpath.ladder import find, place
from hubaudit.loadpath.paths import resolve, show
from hubaudit.loadpath.repository import Problem, Repository
from hubaudit.loadpath.roles import Roles
from hubaudit.model import LoadRole

_TIMM = ("model.safetensors", "pytorch_model.bin")
# A local folder is searched in this order too (`_PREFERRED_FILES`).
_LOCAL = ("pytorch_model.pth", "model.pth")
_OPEN_CLIP = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
)


def is_timm(repo: Repository) -> bool:
    """Whether a configuration is timm's or open_clip's."""
    config = repo.object_at(CONFIG)
    timm = isinstance(config.get("architecture"), str) or "pretrained_cfg" in config
    return timm or repo.has(OPEN_CLIP_CONFIG)


def place_timm(repo: Repository) -> Roles:
    """No option changes it: timm takes safetensors whenever there are some."""
    roles = Roles()
    named = _named(repo.object_at(CONFIG))
    names = _named_first(repo, named, roles) if isinstance(named, str) else []
    place(roles, find(repo, "", [*names, *_TIMM, *_LOCAL]), "timm", "")
    place(roles, find(repo, "", _OPEN_CLIP), "open_clip", "")
    for name in (CONFIG, OPEN_CLIP_CONFIG):
        if repo.has(name):
            roles.give(name, LoadRole.LOADED, "timm reads it")
    return roles


def _named(config: Any) -> object:
    inner = config.get("pretrained_cfg")
    return (inner if isinstance(inner, dict) else config).get("hf_hub_filename")


def _named_first(repo: Repository, name: str, roles: Roles) -> list[str]:
    """`hf_hub_filename` of the configuration, before it its safetensors twin if it ends in `.bin`."""
    path, stays = resolve("", name)
    if not stays or not repo.has(path):
        why = "is not there" if stays else "leads out of the repository"
        roles.problems.append(Problem(CONFIG, f"hf_hub_filename names {show(name)}, which {why}"))
    stem = path.removesuffix(".bin")
    if path == "pytorch_model.bin":
        return []  # the usual order
    return [f"{stem}.safetensors", path] if path.endswith(".bin") else [path]
