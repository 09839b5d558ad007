"""Which pickle checkpoints and safetensors files should hold the same tensors, by their names alone."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath

from hubaudit.model import RepoFile

_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt"})
# What Trainer and accelerate keep beside the weights, in the same suffixes: no sibling has those tensors.
_NO_WEIGHTS = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states")
# `-00001-of-00003`, before a variant (`model-00001-of-00002.fp16`, diffusers before 0.28) or after it
# (`model.fp16-00001-of-00002`, transformers and diffusers since).
_SHARD = re.compile(r"[-_.]\d{1,6}-of-(\d{1,6})")
_INDEX = re.compile(r"(?P<stem>.+)\.(?P<kind>bin|safetensors)\.index(?P<variant>\.[^./]+)?\.json")


@dataclass(frozen=True, slots=True)
class Pair:
    """A checkpoint in both formats: the paths of its files, sorted. One path, or one for each shard."""

    pickles: tuple[str, ...]
    safetensors: tuple[str, ...]


def pairs(files: Sequence[RepoFile], documents: Mapping[str, bytes]) -> tuple[Pair, ...]:
    """The pairs of a listing, sorted. `documents` has the shard indexes, by path, as far as they were read.

    Names decide: whether a `.bin` is a torch checkpoint at all is for its bytes to say. A checkpoint whose
    safetensors files come in two splittings is in two pairs.
    """
    sets = _checkpoints([file.path for file in files], documents)
    found = []
    for checkpoint in sets:
        if checkpoint.is_pickle:
            siblings = [other for other in sets if not other.is_pickle]
            found += [Pair(checkpoint.paths, other.paths) for other in _twins(checkpoint, siblings)]
    return tuple(sorted(found, key=lambda pair: (pair.pickles, pair.safetensors)))


def alone(
    files: Sequence[RepoFile], documents: Mapping[str, bytes], torch: Iterable[str]
) -> tuple[tuple[str, ...], ...]:
    """The checkpoints among the files `torch`, each with its shards, that have no safetensors sibling.

    An optimizer's state and the like are none.
    """
    sets = _checkpoints([file.path for file in files], documents)
    paired = {path for pair in pairs(files, documents) for path in pair.pickles}
    lonely = {path for path in torch if not is_state(PurePosixPath(path).name)} - paired
    found = [tuple(path for path in one.paths if path in lonely) for one in sets if one.is_pickle]
    found += [(path,) for path in lonely.difference(*found)]
    return tuple(sorted(paths for paths in found if paths))


def is_state(name: str) -> bool:
    """Whether a file of this name holds what Trainer and accelerate keep beside the weights."""
    return name.startswith(_NO_WEIGHTS)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The files of one checkpoint in one format. `stem` has neither shard numbers nor suffix."""

    folder: str
    stem: str
    is_pickle: bool
    paths: tuple[str, ...]


def _twins(pickle: _Checkpoint, others: Sequence[_Checkpoint]) -> list[_Checkpoint]:
    """Those of the same stem; else those that have the stem which transformers gives to safetensors."""
    same_folder = [other for other in others if other.folder == pickle.folder]
    exact = [other for other in same_folder if other.stem == pickle.stem]
    return exact or [other for other in same_folder if other.stem == safetensors_stem(pickle.stem)]


def safetensors_stem(stem: str) -> str:
    """`pytorch_model` is `model` there: WEIGHTS_NAME and SAFE_WEIGHTS_NAME of transformers (5.23)."""
    return stem.removeprefix("pytorch_") if stem.startswith("pytorch_model") else stem


def _checkpoints(paths: Sequence[str], documents: Mapping[str, bytes]) -> list[_Checkpoint]:
    present = set(paths)
    sets: dict[tuple[str, str, bool, str], set[str]] = defaultdict(set)
    indexed: set[str] = set()
    for path, document in sorted(documents.items()):
        match = _INDEX.fullmatch(PurePosixPath(path).name)
        if match is None or path not in present:
            continue
        folder = str(PurePosixPath(path).parent)
        shards = {
            shard for name in _weight_files(document) if (shard := _inside(folder, name)) in present
        }
        stem = match["stem"] + (match["variant"] or "")
        sets[folder, stem, match["kind"] == "bin", "index"] |= shards
        indexed |= shards
    for path in present - indexed:
        _add_by_name(sets, path)
    return [
        _Checkpoint(folder, stem, is_pickle, tuple(sorted(found)))
        for (folder, stem, is_pickle, _), found in sorted(sets.items())
        if found
    ]


def _add_by_name(sets: dict[tuple[str, str, bool, str], set[str]], path: str) -> None:
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    is_pickle = suffix in _PICKLES and not is_state(name.name)
    if not is_pickle and suffix != ".safetensors":
        return
    stem = name.name[: -len(suffix)]
    shard = _SHARD.search(stem)
    if shard is None:
        # `a.pt` and `a.ckpt` are two checkpoints, `a-1-of-2.bin` and `a-2-of-2.bin` one
        sets[str(name.parent), stem, is_pickle, suffix].add(path)
    else:
        stem = stem[: shard.start()] + stem[shard.end() :]
        sets[str(name.parent), stem, is_pickle, f"{suffix} {shard[1]}"].add(path)


def _weight_files(document: bytes) -> set[str]:
    """The file names of an index; none of one that makes no sense, which is the load path's to report."""
    try:
        index = json.loads(document)
    except (ValueError, RecursionError):
        return set()
    match index:
        case {"weight_map": dict(weight_map)}:
            return {name for name in weight_map.values() if isinstance(name, str)}
        case _:
            return set()


def _inside(folder: str, name: str) -> str:
    """The path that `name` in an index in `folder` means; what leads elsewhere is no path of a listing."""
    return normpath(f"{folder}/{name}")
