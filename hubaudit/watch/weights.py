"""Weights that were replaced under the same name: which, of which shapes, and do both formats still agree?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hubaudit.model import Severity
from hubaudit.tensors.pairs import is_state
from hubaudit.watch.kinds import Change, Kind, change
from hubaudit.watch.state import (
    Content,
    FileState,
    Import,
    Siblings,
    Tensors,
    same_content,
)

# What frameworks keep weights in: torch, safetensors, llama.cpp, TensorFlow, Flax, ONNX, TFLite, rust-bert.
_SUFFIXES = frozenset(
    ".bin .pt .pth .ckpt .safetensors .gguf .ggml .h5 .msgpack .onnx .tflite .ot .npz .npy".split()
)
_SHARD = re.compile(r"[-_.]\d{1,6}-of-\d{1,6}")
_ROWS = 30  # tensors named in the detail


@dataclass(frozen=True, slots=True)
class Replaced:
    """The tensors of a file then and now: the bytes of `looked_at` were compared, `differing` have others."""

    looked_at: int
    differing: int


def is_weights(file: FileState) -> bool:
    """Whether the file holds a model's weights: by its tensors, else by its name."""
    name = PurePosixPath(file.path)
    if is_state(name.name):
        return False
    if file.tensors is not None and file.tensors.count:
        return True
    return name.suffix.lower() in _SUFFIXES and file.tensors is None


def named(file: FileState) -> dict[tuple[str, str], Import]:
    """What the file imports, by name: how a name is judged may change with the catalogue."""
    return {(one.module, one.name): one for one in file.imports}


def weight_changes(
    before: Content,
    after: Content,
    changed: Sequence[tuple[FileState, FileState]],
    replaced: Mapping[str, Replaced],
) -> Iterator[Change]:
    """One change for each checkpoint, with all its shards and its sibling, of which files changed.

    `changed` are files then and now that have the same path and other bytes. What of a pickle can only
    be its program, and not its tensors, is left to others.
    """
    files = {new.path: (old, new) for old, new in changed if is_weights(new) or is_weights(old)}
    moved = {path for path, (old, new) in files.items() if _may_differ(old, new, replaced)}
    for pair in after.siblings:
        members = {*pair.pickles, *pair.safetensors}
        if members & moved:
            yield _of_pair(before, after, pair, members & moved, files, replaced)
        moved -= members
    for stem, paths in sorted(_by_checkpoint(moved).items()):
        what = paths[0] if len(paths) == 1 else f"{len(paths)} shards of {stem}"
        told = _tensors([files[path] for path in paths], replaced)
        yield _change(Kind.WEIGHTS_REPLACED, f"the weights in {what} were replaced", told, paths)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known of the tensors: the end of the sentence, and lines on those of other shapes."""

    said: str
    detail: tuple[str, ...]
    severities: tuple[Severity | None, ...]


def _of_pair(
    before: Content,
    after: Content,
    pair: Siblings,
    moved: set[str],
    files: Mapping[str, tuple[FileState, FileState]],
    replaced: Mapping[str, Replaced],
) -> Change:
    paths = tuple(sorted(moved))
    one_side = [
        path for path in paths if path in pair.safetensors
    ] or paths  # not each tensor twice
    told = _tensors([files[path] for path in one_side], replaced)
    was = next((one for one in before.siblings if _same_pair(one, pair)), None)
    agreement = _agreement(was, pair)
    differ = Severity.HIGH if pair.result == "differs" else None
    severities = (*_severities([files[path] for path in paths]), differ)
    told = _Told(f"{told.said}; {agreement}", told.detail, severities)
    pickles = not moved.isdisjoint(pair.pickles)
    twins = not moved.isdisjoint(pair.safetensors)
    if twins and not pickles and all(_is_known(before, after, path) for path in pair.pickles):
        message = f"{_named(paths)} changed alone, without {_named(pair.pickles)}"
        return _change(Kind.TWIN_CHANGED, message, told, paths)
    message = f"the weights in {_named(paths)} were replaced"
    if pickles and not twins:
        message += f", and not those in {_named(pair.safetensors)}"
    return _change(Kind.WEIGHTS_REPLACED, message, told, paths)


def _change(kind: Kind, message: str, told: _Told, paths: Sequence[str]) -> Change:
    return change(
        kind,
        f"{message}: {told.said}",
        at_least=told.severities,
        paths=tuple(paths),
        detail=told.detail,
    )


def _may_differ(old: FileState, new: FileState, replaced: Mapping[str, Replaced]) -> bool:
    """Whether the tensors are others, or may be.

    A pickle with other imports has another program. If its tensors are named and shaped as before, and
    those that were looked at have the same bytes, the program is the change.
    """
    if named(old).keys() == named(new).keys() or _shapes_differ(old.tensors, new.tensors):
        return True
    seen = replaced.get(new.path)
    return seen is not None and seen.differing > 0


def _shapes_differ(old: Tensors | None, new: Tensors | None) -> bool:
    return old is not None and new is not None and old.digest != new.digest


def _tensors(
    files: Sequence[tuple[FileState, FileState]], replaced: Mapping[str, Replaced]
) -> _Told:
    severities = _severities(files)
    known = [(old.tensors, new.tensors) for old, new in files]
    if any(old is None or new is None for old, new in known):
        return _Told("which tensors they hold is not known", (), severities)
    counts = [
        sum(one.count for one in side if one is not None) for side in zip(*known, strict=True)
    ]
    if counts[0] != counts[1]:
        said = f"{counts[0]} tensors before, {counts[1]} now"
    elif any(_shapes_differ(old, new) for old, new in known):
        said = f"{counts[1]} tensors as before, with other names, dtypes or shapes"
    else:
        said = f"{counts[1]} tensors with the same names, dtypes and shapes"
    seen = [replaced[new.path] for _, new in files if new.path in replaced]
    if looked_at := sum(one.looked_at for one in seen):
        differing = sum(one.differing for one in seen)
        said += f", {differing} of the {looked_at} looked at with other bytes"
    return _Told(said, tuple(_rows(known)), severities)


def _severities(files: Sequence[tuple[FileState, FileState]]) -> tuple[Severity | None, ...]:
    return tuple(new.worst for old, new in files if new.worst != old.worst)


def _rows(known: Sequence[tuple[Tensors | None, Tensors | None]]) -> Iterator[str]:
    """A line for each tensor that is only there then or now, as far as rows were kept."""
    then = {row for old, new in known if old and new and old.rows and new.rows for row in old.rows}
    now = {row for old, new in known if old and new and old.rows and new.rows for row in new.rows}
    lines = [f"- {row}" for row in sorted(then - now)] + [f"+ {row}" for row in sorted(now - then)]
    yield from lines[:_ROWS]
    if len(lines) > _ROWS:
        yield f"and {len(lines) - _ROWS} more"


def _agreement(was: Siblings | None, now: Siblings) -> str:
    before = was.result if was else None
    match now.result:
        case "equal":
            again = " again" if before == "differs" else " still" if before == "equal" else ""
            return f"pickle and safetensors agree{again} ({now.depth})"
        case "differs":
            since = " as before" if before == "differs" else " now"
            return f"pickle and safetensors differ{since}"
        case _:
            return "whether pickle and safetensors agree could not be told"


def _same_pair(one: Siblings, other: Siblings) -> bool:
    return one.pickles[:1] == other.pickles[:1] and one.safetensors[:1] == other.safetensors[:1]


def _is_known(before: Content, after: Content, path: str) -> bool:
    """Whether the file was there with the same bytes."""
    old = next((file for file in before.files if file.path == path), None)
    new = next((file for file in after.files if file.path == path), None)
    return old is not None and new is not None and same_content(old, new)


def _by_checkpoint(paths: set[str]) -> dict[str, list[str]]:
    """Shards together, by their names without the numbers."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        found[_SHARD.sub("", path)].append(path)
    return found


def _named(paths: Sequence[str]) -> str:
    if len(paths) <= 2:
        return " and ".join(paths)
    return f"{paths[0]} and {len(paths) - 1} more files"
