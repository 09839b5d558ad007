"""An index and its shards: which files a sharded checkpoint is made of, and whether they fit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hubaudit.loadpath.names import INDEX, is_index, is_shard
from hubaudit.loadpath.paths import join, resolve, show, split
from hubaudit.loadpath.repository import Problem, Repository, bounded


@dataclass(frozen=True, slots=True)
class Index:
    """`shards`: the paths that it names and that exist, or else those that it is likely to name."""

    path: str
    shards: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


def read_index(repo: Repository, path: str) -> Index:
    """What `path` says. If it says nothing, every file that is named like a shard of it; if nobody
    has seen it, also every file beside it that may execute, for it may name any."""
    family = _family(repo, path)
    weight_map = repo.object_at(path).get("weight_map")
    if path in repo.missing:
        folder, _ = split(path)
        beside = (join(folder, name) for name in repo.names_in(folder))
        executable = {one for one in beside if repo.may_execute(one)}
        return Index(path, tuple(sorted({*family, *executable})))
    if not isinstance(weight_map, dict):
        lacking = () if path in repo.unread else (_problem(path, "it has no weight_map"),)
        return Index(path, family, lacking)
    return _check(repo, path, weight_map, family)


def _check(
    repo: Repository, path: str, weight_map: Mapping[str, Any], family: tuple[str, ...]
) -> Index:
    folder, _ = split(path)
    named, complaints = _named(weight_map, folder)
    shards = tuple(sorted({where for where in named.values() if repo.has(where)}))
    for name, where in named.items():
        if not repo.has(where):
            complaints.append(f"it names {show(name)}, which is not there")
    for shard in shards:
        if ".safetensors" in path and not shard.endswith(".safetensors"):
            complaints.append(f"it is of safetensors and names {show(shard)}, which is none")
    outside = sorted(set(family) - set(shards))
    problems = [_problem(path, text) for text in bounded(complaints)]
    problems += [_problem(one, f"{show(path)} does not name this shard") for one in outside]
    return Index(path, shards, tuple(problems))


def _problem(path: str, message: str) -> Problem:
    return Problem(path, message, "index")


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


def _family(repo: Repository, path: str) -> tuple[str, ...]:
    """The files beside the index that are named as shards of its checkpoint."""
    folder, name = split(path)
    index = INDEX.fullmatch(name)
    if index is None:
        return ()
    stem, suffix = index["stem"], f".{index['suffix']}"
    variant = index["variant"] or index["legacy"]
    if variant is None:
        return repo.family(folder, stem, suffix)
    old = repo.family(folder, stem, f".{variant}{suffix}")
    return (*repo.family(folder, f"{stem}.{variant}", suffix), *old)


def placed(documents: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """For each index among the documents where it says that tensors are: name → path of the file."""
    return {
        path: {
            name: resolve(split(path)[0], where)[0]
            for name, where in _weight_map(document).items()
            if isinstance(where, str)
        }
        for path, document in documents.items()
        if is_index(split(path)[1])
    }


def _weight_map(document: bytes) -> Mapping[str, Any]:
    try:
        match json.loads(document):
            case {"weight_map": dict(found)}:
                return found
    except (ValueError, RecursionError):
        pass  # `read_index` says so
    return {}


def check_places(
    places: Mapping[str, Mapping[str, str]], held: Mapping[str, Collection[str]]
) -> list[Problem]:
    """Each index as of `placed` against the names of the tensors that its shards have.

    `held` is by path, and has those files of which all names are known.
    """
    return [
        _problem(path, text)
        for path, place in sorted(places.items())
        for text in bounded(_misplaced(place, held))
    ]


def _misplaced(place: Mapping[str, str], held: Mapping[str, Collection[str]]) -> list[str]:
    found: dict[str, list[str]] = defaultdict(list)
    shards = sorted({*place.values()} & held.keys())
    for shard in shards:
        for name in held[shard]:
            found[name].append(shard)
    complaints = []
    for name, shard in sorted(place.items()):
        if shard in held and shard not in found.get(name, ()):
            instead = "".join(f"; {show(other)} has it" for other in found.get(name, ())[:1])
            complaints.append(
                f"it says that {show(name)} is in {show(shard)}, which lacks it{instead}"
            )
    return complaints + [
        f"it leaves out {show(name)}, which is in {show(where[0])}"
        for name, where in sorted(found.items())
        if name not in place
    ]


def check_all(repo: Repository) -> list[Problem]:
    """Every index of the commit against its shards, and shards of which there is no index."""
    problems: list[Problem] = []
    told: set[str] = set()
    for path in repo.documents:
        if is_index(split(path)[1]):
            index = read_index(repo, path)
            problems += index.problems
            told.update(index.shards)
    for path in repo.paths:
        name = split(path)[1]
        if is_index(name):
            told.update(_family(repo, path))
    alone = [path for path in repo.paths if path not in told and is_shard(split(path)[1])]
    weights = [path for path in alone if path.endswith((".safetensors", ".bin"))]
    return problems + [_problem(path, "no index names this shard") for path in weights]
