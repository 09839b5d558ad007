"""An index and its shards: which files a sharded checkpoint is made of, and whether they fit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hubaudit.loadpath.repository import Problem, Repository, bounded, join, resolve, show, split

# transformers 5.23 and diffusers 0.42, `_add_variant`: `X.safetensors.index.fp16.json`. diffusers' older
# spelling is `X.safetensors.fp16.index.json` (`_fetch_index_file_legacy`).
_INDEX = re.compile(
    r"(?P<stem>.+)\.(?P<suffix>safetensors|bin|h5|msgpack)"
    r"(?:\.(?P<legacy>[^.]+))?\.index(?:\.(?P<variant>[^.]+))?\.json"
)
_SHARD = re.compile(r"(?P<stem>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<rest>\..+)")


@dataclass(frozen=True, slots=True)
class Index:
    """`shards`: the paths that it names and that exist. `readable`: whether that is by its own word
    and not by the names of its neighbours."""

    path: str
    shards: tuple[str, ...]
    readable: bool
    problems: tuple[Problem, ...] = ()


def is_index(name: str) -> bool:
    return _INDEX.fullmatch(name) is not None


def is_shard(name: str) -> bool:
    return _SHARD.fullmatch(name) is not None


def read_index(repo: Repository, path: str) -> Index:
    """What `path` says. If it cannot be read, every file that is named like a shard of it."""
    family = tuple(sorted(_family(repo, path)))
    weight_map = repo.object_at(path).get("weight_map")
    if path in repo.unread:
        return Index(path, family, False)
    if not isinstance(weight_map, dict):
        return Index(path, family, False, (Problem(path, "it has no weight_map"),))
    folder, _ = split(path)
    named, complaints = _named(weight_map, folder)
    missing = [
        f"it names {show(name)}, which is not there" for name in named if not repo.has(named[name])
    ]
    shards = tuple(sorted({where for where in named.values() if repo.has(where)}))
    strange = [
        f"it is of safetensors and names {show(shard)}, which is none"
        for shard in shards
        if ".safetensors.index" in path and not shard.endswith(".safetensors")
    ]
    wrong = [Problem(path, text) for text in bounded([*complaints, *missing, *strange])]
    left = sorted(set(family) - set(shards))
    outside = [Problem(one, f"{show(path)} does not name it among its shards") for one in left]
    return Index(path, shards, True, (*wrong, *outside))


def _named(weight_map: Mapping[str, Any], folder: str) -> tuple[dict[str, str], list[str]]:
    """Name in the index → path in the repository, and what is wrong with the names."""
    complaints = []
    if any(not isinstance(name, str) for name in weight_map.values()):
        wrong = next(key for key, name in weight_map.items() if not isinstance(name, str))
        complaints.append(f"it maps {show(wrong)} to no file name")
    if not weight_map:
        complaints.append("its weight_map is empty")
    named = {}
    for name in sorted({name for name in weight_map.values() if isinstance(name, str)}):
        where, stays = resolve(folder, name)
        named[name] = where
        if not stays:
            complaints.append(f"it names {show(name)}, which leads out of its folder")
    return named, complaints


def _family(repo: Repository, path: str) -> Iterator[str]:
    """The files beside the index that are named as shards of its checkpoint."""
    folder, name = split(path)
    index = _INDEX.fullmatch(name)
    if index is None:
        return
    variant = index["variant"] or index["legacy"]
    stem, rest = index["stem"], f".{index['suffix']}"
    accepted = {(stem, rest)}
    if variant is not None:
        accepted = {(f"{stem}.{variant}", rest), (stem, f".{variant}{rest}")}
    for one in repo.names_in(folder):
        shard = _SHARD.fullmatch(one)
        if shard is not None and (shard["stem"], shard["rest"]) in accepted:
            yield join(folder, one)


def check_all(repo: Repository) -> list[Problem]:
    """Every index of the commit against its shards, and shards of which there is no index."""
    problems: list[Problem] = []
    told: set[str] = set()
    for path in sorted(repo.files):
        if is_index(split(path)[1]):
            index = read_index(repo, path)
            problems += index.problems
            told |= {*index.shards, *_family(repo, path)}
    alone = [path for path in sorted(repo.files) if path not in told and is_shard(split(path)[1])]
    weights = [path for path in alone if path.endswith((".safetensors", ".bin"))]
    for number, path in enumerate(weights):
        if number == 20:  # as of one index
            problems.append(Problem(path, f"and {len(weights) - number} more shards without index"))
            break
        problems.append(Problem(path, "it is named like a shard, and no index names it"))
    return problems
