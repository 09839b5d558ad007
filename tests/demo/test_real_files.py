"""The files that real libraries wrote: complete, small, and the measure of the demo's writers."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hubaudit.demo.checkpoints import (
    Tensor,
    state_dict,
    tensor,
    torch_legacy,
    torch_parts,
    torch_zip,
)
from hubaudit.demo.trainer import called, fetched, optimizer, rng_state, scheduler, training_args

REAL = Path(__file__).parents[1] / "fixtures" / "real"
INDEX: dict[str, dict[str, str]] = json.loads((REAL / "index.json").read_text())
# make_torch.py's `small()`: BatchNorm1d is of version 2
VERSIONS = {"": 1, "0": 1, "1": 1, "2": 2}


class Archive:
    """A torch archive of the fixtures."""

    def __init__(self, path: str) -> None:
        self.data = (REAL / path).read_bytes()
        self._zip = zipfile.ZipFile(io.BytesIO(self.data))
        self.root = self._zip.namelist()[0].partition("/")[0]

    def member(self, name: str) -> bytes:
        return self._zip.read(f"{self.root}/{name}")

    def rewritten(self, value: Any) -> bytes:
        """The archive that our writer makes of `value`, with this one's root and identity."""
        identity = self.member(".data/serialization_id").decode()
        return torch_zip(value, root=self.root, serialization_id=identity)


def _layers(archive: Archive) -> dict[str, Tensor]:
    """The tensors of make_torch.py's `small()`, with the bytes of the archive."""
    shapes: Mapping[str, tuple[str, tuple[int, ...]]] = {
        "0.weight": ("F32", (2, 3)),
        "0.bias": ("F32", (2,)),
        "1.weight": ("F32", (2,)),
        "1.bias": ("F32", (2,)),
        "2.weight": ("F32", (2,)),
        "2.bias": ("F32", (2,)),
        "2.running_mean": ("F32", (2,)),
        "2.running_var": ("F32", (2,)),
        "2.num_batches_tracked": ("I64", ()),
    }
    return {
        name: tensor(dtype, shape, archive.member(f"data/{key}"))
        for key, (name, (dtype, shape)) in enumerate(shapes.items())
    }


def test_the_index_lists_every_file_and_nothing_else() -> None:
    present = {path.relative_to(REAL).as_posix() for path in REAL.rglob("*") if path.is_file()}
    assert present - {"index.json"} == set(INDEX)


def test_every_entry_says_what_it_is_and_what_is_expected() -> None:
    for entry in INDEX.values():
        assert set(entry) == {"library", "version", "what", "expected"}
        assert all(entry.values())
        assert entry["expected"] in {"pass", "review", "fail"}


def test_the_files_are_small() -> None:
    sizes = [(REAL / path).stat().st_size for path in INDEX]
    assert max(sizes) < 20_000
    assert sum(sizes) < 2_000_000


def test_no_file_names_a_home_directory() -> None:
    for path in INDEX:
        data = (REAL / path).read_bytes()
        assert not [place for place in (b"/home/", b"/Users/") if place in data]


@pytest.mark.parametrize("how", ["call", "getattr"])
def test_our_training_args_are_the_trainers_to_the_byte(how: str) -> None:
    real = Archive(f"trainer-{how}/training_args.bin")
    member = {"call": called, "getattr": fetched}[how]
    assert real.rewritten(training_args(member)) == real.data


def test_our_scheduler_is_torchs_to_the_byte() -> None:
    real = Archive("torch/scheduler.pt")
    ours = scheduler() | {"lr_lambdas": [None]}  # torch: a plain function; Trainer: a partial
    assert real.rewritten(ours) == real.data


def test_our_optimizer_has_the_pickle_of_torchs_to_the_byte() -> None:
    real = Archive("torch/optimizer.pt")
    weight = tensor("F32", (2, 3), real.member("data/1"))
    bias = tensor("F32", (2,), real.member("data/4"))
    data_pkl, storages = torch_parts(optimizer((weight, bias)))
    assert data_pkl == real.member("data.pkl")
    assert [len(one) for one in storages] == [len(real.member(f"data/{key}")) for key in range(6)]


def test_our_random_state_has_the_pickle_of_the_real_one_to_the_byte() -> None:
    real = Archive("torch/rng_state.pth")
    data_pkl, (ours,) = torch_parts(rng_state(0))
    assert data_pkl == real.member("data.pkl")
    seed_left_seeded_next = "<QiiQ"
    theirs = real.member("data/0")
    assert len(ours) == len(theirs)
    assert struct.unpack_from(seed_left_seeded_next, theirs)[2] == 1
    assert struct.unpack_from(seed_left_seeded_next, ours)[2] == 1


@pytest.mark.parametrize("path", ["torch/state_dict.bin", "torch/state_dict_buffer.pt"])
def test_our_state_dict_is_torchs_to_the_byte(path: str) -> None:
    real = Archive(path)
    assert real.rewritten(state_dict(_layers(real), VERSIONS)) == real.data


def test_our_legacy_checkpoint_is_torchs_but_for_the_addresses() -> None:
    real = (REAL / "torch/state_dict_legacy.bin").read_bytes()
    ours = torch_legacy(state_dict(_layers(Archive("torch/state_dict.bin")), VERSIONS))
    assert len(ours) == len(real)
    # the fourth pickle ends before the list of keys; a key is 14 digits there and here
    (keys,) = {data.rindex(b"\x80\x02]") for data in (ours, real)}
    assert _without_addresses(ours[:keys]) == _without_addresses(real[:keys])


def _without_addresses(data: bytes) -> bytes:
    return re.sub(rb"X\x0e\0\0\0\d{14}", b"address", data)
