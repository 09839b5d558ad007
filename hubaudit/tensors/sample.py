"""How deep a comparison goes, and which places of which tensors a sampled one looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hubaudit.tensors.blocks import Box, box_number, leaves
from hubaudit.tensors.twins import Twins, box_of

# Shards that are sampled as single files are. 70 of them would be 2000 requests and 60 MB (measured).
_FULLY = 4
_LEAST = 2  # the largest tensor of a shard, and another one


@dataclass(frozen=True, slots=True)
class MetadataOnly:
    """Names, dtypes and shapes; no tensor is read."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """About `ranges` ranges of each file, of many shards fewer. The same `seed` takes the same places of
    the same tensors."""

    # Two files' samples are within 32 requests and 800 kB: 16 KiB, and one block more for the ends.
    ranges: int = 16
    seed: int = 0

    def of_one(self, files: int) -> Sampling:
        """What is taken of each of so many files that are one checkpoint: together that of `_FULLY` of
        them, but for `_LEAST` of each."""
        return replace(self, ranges=min(self.ranges, max(_LEAST, _FULLY * self.ranges // files)))


@dataclass(frozen=True, slots=True)
class Full:
    """Every byte of every tensor."""


Depth = MetadataOnly | Sampling | Full


@dataclass(frozen=True, slots=True)
class Place:
    twins: Twins
    box: Box


PLACE = 16 * 1024  # bytes of one place at most: two blocks of a remote file
_READS = 4  # of one place, where its elements lie far apart
_LARGEST = (
    4  # one in so many places is first the largest tensors', which are looked at more than once
)


def choose(tensors: Sequence[Twins], sampling: Sampling) -> list[Place]:
    """Places for about `sampling.ranges` reads of either file: the largest tensors and a random rest.

    All places are different. Where the files are small, they may be all there is.
    """
    dice = _Dice(sampling.seed)
    filled = [twins for twins in tensors if twins.size]
    by_size = sorted(filled, key=lambda one: (-one.size, dice.roll(one.name), one.name))
    large = max(1, sampling.ranges // _LARGEST)
    largest, rest = by_size[:large], by_size[large:]
    rest.sort(key=lambda twins: dice.roll(twins.name) * _lateness(twins))
    walks = {id(twins): _walk(twins, dice, sampling.ranges) for twins in by_size}
    # the largest ones get their second place before the last half of the rest gets its first
    half = max(sampling.ranges // 2, 1)
    order = [*largest, *rest[:half], *largest, *rest[half:]]
    chosen: list[Place] = []
    spent = 0
    while order:
        left = []
        for twins in order:
            place = next(walks[id(twins)], None)
            if place is None:
                continue
            cost = _cost(place)
            if chosen and spent + cost > sampling.ranges:
                return chosen
            chosen.append(place)
            spent += cost
            left.append(twins)
        order = list(dict.fromkeys(left))
    return chosen


def _lateness(twins: Twins) -> int:
    """Matrices mostly come before biases and norms: adapters that were merged change nothing else."""
    return 1 if len(twins.one.shape) > 1 else 4


def _walk(twins: Twins, dice: _Dice, most: int) -> Iterator[Place]:
    """Places of one tensor, far from one another, each once.

    The first is where the tensor begins: in an archive over the network, the header before it comes
    along, and no place further on needs it again.
    """
    shape, count = box_of(twins, PLACE, _READS)
    start = dice.roll(twins.name) % count
    step = max(1, count // most)
    further = ((start + number * step) % count for number in range(min(count, most)))
    for at in dict.fromkeys((0, *further)):
        yield Place(twins, box_number(twins.sizes, shape, at))


def _cost(place: Place) -> int:
    return max(sum(1 for _ in leaves(view, place.box)) for view in place.twins.views)


class _Dice:
    """Numbers that look random and depend on the seed alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def roll(self, what: str) -> int:
        text = f"{self._seed}\0{what}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
