"""What a sampled comparison of many shards looks at, and that it stays modest."""

from __future__ import annotations

from dataclasses import replace

from hubaudit.tensors.compare import compare
from hubaudit.tensors.sample import Sampling
from hubaudit.tensors.twins import Part
from tests.tensors.parts import floats, part

SHARDS = 40


class Counting:
    """A source that counts what is read."""

    def __init__(self, inner: Part) -> None:
        self._source, self.size = inner.source, inner.source.size
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self._source.read(offset, length)


def shards(kind: str, seed: int = 0) -> tuple[list[Part], list[Counting]]:
    parts, sources = [], []
    for number in range(SHARDS):
        tensors = [floats(f"{number}.w{n}", 10_000, seed=seed) for n in range(8)]
        one = part(f"{number:02}.{kind}", *tensors)
        sources.append(Counting(one))
        parts.append(replace(one, source=sources[-1]))
    return parts, sources


def test_shards_share_what_a_few_files_are_sampled_with() -> None:
    full = Sampling().ranges
    assert [Sampling().of_one(n).ranges for n in (1, 4, 8, 70, 5000)] == [full, full, 8, 2, 2]
    assert Sampling(ranges=1).of_one(70).ranges == 1


def test_of_every_shard_something_is_read_and_of_many_only_little() -> None:
    (here, read_here), (there, read_there) = shards("bin"), shards("safetensors")
    done = compare(here, there, Sampling())
    assert done.result == "equal"
    assert done.tensors == 8 * SHARDS
    assert done.tensors_read == 2 * SHARDS
    assert {source.reads for source in (*read_here, *read_there)} == {2}


def test_the_seed_decides_which_tensors_of_a_shard_are_read_although_all_are_as_large() -> None:
    one = part("a.bin", *(floats(f"w{n}", 10_000) for n in range(8)))
    # one tensor at a time differs: if all seeds read the same two, most of these are never found
    found = set()
    for changed in range(8):
        other = [floats(f"w{n}", 10_000, seed=int(n == changed)) for n in range(8)]
        for seed in range(30):
            if compare([one], [part("a.st", *other)], Sampling(2, seed)).differing:
                found.add(changed)
    assert found == set(range(8))
