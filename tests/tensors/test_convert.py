"""Conversion: the file that is written has the source's tensors byte for byte, or there is no file."""

from __future__ import annotations

import json
import struct
import tracemalloc
from dataclasses import replace
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import pytest

from hubaudit import conversion
from hubaudit.conversion import Converted, Order, Outcome, Refused, convert_local, inside
from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip
from hubaudit.demo.checkpoints import tensor as demo_tensor
from hubaudit.errors import HubauditError, PathError, UsageError
from hubaudit.formats.read import read_promised
from hubaudit.formats.safetensors import read_header
from hubaudit.source.local import LocalSource
from hubaudit.source.memory import MemorySource
from hubaudit.tensors.convert import CannotConvert, Plan, plan, shards_of, target_of
from hubaudit.tensors.safetensors import safetensors_table
from hubaudit.tensors.table import Table, Tensor
from hubaudit.tensors.torch import torch_table
from hubaudit.tensors.write import PIECE, differing, pieces
from tests.tensors.programs import (
    SIX,
    Program,
    call,
    mapping,
    named,
    number,
    storage,
    tensor,
    text,
    zipped,
)

PAYLOAD: Program = call("os", "system", text("true"))
ARMED = zipped(named(w=tensor(), x=PAYLOAD))
WEIGHTS = {"a": floats((2, 3), 1), "b": floats((4,), 2), "n": demo_tensor("I64", (), b"7" * 8)}


def one(path: Path, order: Order) -> Converted:
    (outcome,) = convert_local(path, order)
    assert isinstance(outcome, Converted), outcome
    return outcome


def refused(outcomes: tuple[Outcome, ...]) -> str:
    (outcome,) = outcomes
    assert isinstance(outcome, Refused), outcome
    return "; ".join(outcome.reasons)


def loaded(path: Path) -> tuple[dict[str, tuple[str, tuple[int, ...], bytes]], dict[str, str]]:
    """Tensors and metadata, read as the format says and not by our own reader."""
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__")
    body = data[8 + length :]
    return {
        name: (one["dtype"], tuple(one["shape"]), body[slice(*one["data_offsets"])])
        for name, one in header.items()
    }, metadata


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("save", [torch_zip, torch_legacy])
def test_a_state_dict_is_written_with_where_it_is_from(save: Any, tmp_path: Path) -> None:
    data = save(state_dict(WEIGHTS))
    path = write(tmp_path, "pytorch_model.bin", data)
    outcome = one(path, Order(tmp_path / "out"))
    assert outcome.written == ("model.safetensors",)
    tensors, metadata = loaded(tmp_path / "out" / "model.safetensors")
    assert tensors == {
        name: (value.storage.dtype, value.shape, value.data) for name, value in WEIGHTS.items()
    }
    assert metadata == {
        "format": "pt",
        "source_file": "pytorch_model.bin",
        "source_sha256": sha256(data).hexdigest(),
    }
    assert (outcome.tensors, outcome.size) == (3, 24 + 16 + 8)
    assert everything(tmp_path / "out") == ["model.safetensors"]


def test_views_are_written_by_value(tmp_path: Path) -> None:
    program = named(
        turned=tensor((3, 2), (1, 3)),
        repeated=tensor((2, 2), (0, 1), 4),
        windows=tensor((3, 2), (2, 1), 0),
        part=tensor((2,), (1,), 2),
        last=tensor((), (), 5),
        nothing=tensor((0,), (1,)),
    )
    path = write(tmp_path, "x.pt", zipped(program))
    one(path, Order(tmp_path))
    values = {
        name: struct.unpack(f"<{len(data) // 4}f", data)
        for name, (_, _, data) in loaded(tmp_path / "x.safetensors")[0].items()
    }
    assert values == {
        "turned": (0, 3, 1, 4, 2, 5),
        "repeated": (4, 5, 4, 5),
        "windows": (0, 1, 2, 3, 4, 5),
        "part": (2, 3),
        "last": (5,),
        "nothing": (),
    }


def test_of_tied_tensors_the_first_is_written_and_the_others_are_noted(tmp_path: Path) -> None:
    program = named(
        z=tensor(),
        a=tensor(),
        other_shape=tensor((6,), (1,)),
        e=tensor((0,), (1,)),
        f=tensor((0,), (1,)),
    )
    path = write(tmp_path, "x.pt", zipped(program))
    outcome = one(path, Order(tmp_path))
    tensors, metadata = loaded(tmp_path / "x.safetensors")
    assert outcome.tied == (("a", "z"),)
    assert metadata["a"] == "z"
    assert tensors.keys() == {"z", "other_shape", "e", "f"}


def test_a_tied_tensor_with_a_name_of_ours_is_written_in_full(tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", zipped(named(w=tensor(), format=tensor())))
    assert one(path, Order(tmp_path)).tied == ()
    tensors, metadata = loaded(tmp_path / "x.safetensors")
    assert tensors["format"] == tensors["w"]
    assert metadata["format"] == "pt"


def test_what_is_no_tensor_is_said_to_be_skipped(tmp_path: Path) -> None:
    program = named(state_dict=named(w=tensor()), epoch=number(3), config=named(lr=number(1)))
    path = write(tmp_path, "x.ckpt", zipped(program))
    outcome = one(path, Order(tmp_path))
    assert outcome.skipped == ("epoch", "config")
    assert outcome.wrapper == "state_dict"
    assert loaded(tmp_path / "x.safetensors")[0].keys() == {"state_dict.w"}


def test_only_what_lies_under_a_name_is_written_without_it(tmp_path: Path) -> None:
    quantised = call("torch._utils", "_rebuild_qtensor", tensor())
    program = named(state_dict=named(w=tensor()), optimizer=named(q=quantised, m=tensor()))
    path = write(tmp_path, "x.ckpt", zipped(program))
    assert "optimizer.q" in refused(convert_local(path, Order(tmp_path)))
    outcome = one(path, Order(tmp_path, only="state_dict"))
    assert loaded(tmp_path / "x.safetensors")[0].keys() == {"w"}
    assert set(outcome.skipped) == {"optimizer.q", "optimizer.m"}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (named(w=tensor(), q=call("torch._utils", "_rebuild_qtensor")), "q: it is quantised"),
        (named(w=tensor((7,), (1,))), "beyond its storage"),
        (mapping((text("a.b"), tensor()), (text("a"), named(b=tensor()))), "under this name"),
        (mapping((text("__metadata__"), tensor())), "__metadata__"),
        (mapping((text("\ud800"), tensor())), "UTF-8"),
        (tensor(), "has no name"),
        (named(a=number(1)), "no tensors"),
        (named(a=tensor((1 << 40,), (0,))), "repeat their numbers"),
    ],
)
def test_what_cannot_be_written_exactly_is_refused_and_leaves_nothing(
    program: Program, said: str, tmp_path: Path
) -> None:
    path = write(tmp_path, "x.pt", zipped(program))
    assert said in refused(convert_local(path, Order(tmp_path / "out")))
    assert everything(tmp_path) == ["x.pt"]


@pytest.mark.parametrize("data", [b"", b"x", b"\x80\x02}.", ARMED[:-30], ARMED[: len(ARMED) // 2]])
def test_what_is_no_whole_checkpoint_is_refused(data: bytes, tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", data)
    assert refused(convert_local(path, Order(tmp_path / "out")))
    assert everything(tmp_path) == ["x.pt"]


def test_an_armed_checkpoint_is_converted_and_its_calls_are_told(tmp_path: Path) -> None:
    outcome = one(write(tmp_path, "x.pt", ARMED), Order(tmp_path))
    assert {finding.rule for finding in outcome.findings} == {"dangerous-import"}
    assert loaded(tmp_path / "x.safetensors")[0]["w"] == ("F32", (2, 3), SIX)


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", zipped(named(w=tensor())))
    there = write(tmp_path, "x.safetensors", b"mine")
    with pytest.raises(UsageError, match="already"):
        convert_local(path, Order(tmp_path))
    assert there.read_bytes() == b"mine"
    one(path, Order(tmp_path, force=True))
    assert loaded(there)[0].keys() == {"w"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", zipped(named(w=tensor())))
    mine = write(tmp_path, "mine", b"mine")
    (tmp_path / "x.safetensors").symlink_to(mine)
    one(path, Order(tmp_path, force=True))
    assert mine.read_bytes() == b"mine"
    assert not (tmp_path / "x.safetensors").is_symlink()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "C:x", "a\0b", "\udcff"])
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        inside(tmp_path, name)


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "model", "sub/x.pt", zipped(named(w=tensor())))
    with pytest.raises(UsageError, match="leads out"):
        convert_local(tmp_path / "model", Order(out))
    assert everything(tmp_path / "elsewhere") == []


def test_a_disk_that_takes_no_file_leaves_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", zipped(named(w=tensor())))
    write(tmp_path, "out", b"a file, not a folder")
    with pytest.raises(HubauditError, match="could not be written"):
        convert_local(path, Order(tmp_path / "out"))
    assert everything(tmp_path) == ["out", "x.pt"]


def test_a_failure_in_the_midst_of_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(source: Any, planned: Plan) -> Any:
        yield from list(pieces(source, planned))[:-1]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "pieces", failing)
    path = write(tmp_path, "x.pt", zipped(named(w=tensor())))
    with pytest.raises(HubauditError, match="No space left"):
        convert_local(path, Order(tmp_path / "out"))
    assert everything(tmp_path / "out") == []


def test_a_file_that_came_out_differently_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flipped(source: Any, planned: Plan) -> Any:
        data = bytearray(b"".join(pieces(source, planned)))
        data[-1] ^= 1
        yield bytes(data)

    monkeypatch.setattr(conversion, "pieces", flipped)
    path = write(tmp_path, "x.pt", zipped(named(w=tensor())))
    assert "came out differently" in refused(convert_local(path, Order(tmp_path / "out")))
    assert everything(tmp_path / "out") == []


def test_there_has_to_be_something_to_convert(tmp_path: Path) -> None:
    write(tmp_path, "config.json", b"{}")
    write(tmp_path, "optimizer.pt", zipped(named(w=tensor())))
    with pytest.raises(UsageError, match="no torch checkpoint"):
        convert_local(tmp_path, Order(tmp_path / "out"))
    with pytest.raises(UsageError, match="no file y"):
        convert_local(tmp_path, Order(tmp_path / "out", ("y",)))
    with pytest.raises(PathError):
        convert_local(tmp_path / "missing", Order(tmp_path / "out"))


def test_a_folder_is_converted_as_it_is_laid_out(tmp_path: Path) -> None:
    data = zipped(named(w=tensor()))
    write(tmp_path, "unet/diffusion_pytorch_model.bin", data)
    write(tmp_path, "vae/diffusion_pytorch_model.fp16.bin", data)
    write(tmp_path, "training_args.bin", data)
    write(tmp_path, "model.bin", b"CTranslate2, say")
    outcomes = convert_local(tmp_path, Order(tmp_path / "out"))
    assert all(isinstance(outcome, Converted) for outcome in outcomes)
    assert [path for path in everything(tmp_path / "out") if "." in path] == [
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
    ]


def test_two_files_of_one_name_to_be_are_not_written_over_each_other(tmp_path: Path) -> None:
    write(tmp_path, "x.pt", zipped(named(w=tensor())))
    write(tmp_path, "x.bin", zipped(named(w=tensor())))
    with pytest.raises(UsageError, match="both be written"):
        convert_local(tmp_path, Order(tmp_path / "out"))
    assert len(convert_local(tmp_path, Order(tmp_path / "out", ("x.pt",)))) == 1


INDEX = "pytorch_model.bin.index.json"
SHARDS = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"


def sharded(folder: Path, weights: dict[str, str] | None = None, *parts: Program) -> Path:
    first, second = parts or (named(a=tensor(), b=tensor()), named(c=tensor((3,), (1,), 3)))
    write(folder, SHARDS[0], zipped(first))
    write(folder, SHARDS[1], zipped(second))
    weights = weights or {"a": SHARDS[0], "b": SHARDS[0], "c": SHARDS[1]}
    write(folder, INDEX, json.dumps({"weight_map": weights}).encode())
    return folder


def test_a_folder_in_the_way_of_one_shard_leaves_all_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = write(out, "model-00001-of-00002.safetensors", b"mine")
    (out / "model-00002-of-00002.safetensors").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        convert_local(sharded(tmp_path / "m"), Order(out, force=True))
    assert first.read_bytes() == b"mine"
    assert everything(out) == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5])
def test_a_failure_while_shards_are_replaced_puts_the_old_ones_back(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    old = [write(out, f"model-0000{n}-of-00002.safetensors", b"mine") for n in (1, 2)]
    calls = iter(range(1, 100))

    def counting(move: Any) -> Any:
        def moved(path: Path, to: Path) -> Path:
            if next(calls) == failing:
                raise OSError(13, "Permission denied")
            result: Path = move(path, to)
            return result

        return moved

    source = sharded(tmp_path / "m")
    monkeypatch.setattr(Path, "replace", counting(Path.replace))
    monkeypatch.setattr(Path, "rename", counting(Path.rename))
    with pytest.raises(HubauditError, match="Permission denied"):
        convert_local(source, Order(out, force=True))
    assert [path.read_bytes() for path in old] == [b"mine", b"mine"]
    assert everything(out) == [path.name for path in old]


def test_shards_replace_those_that_are_there_and_leave_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "model-00001-of-00002.safetensors", b"mine")
    outcome = one(sharded(tmp_path / "m"), Order(out, force=True))
    assert everything(out) == sorted(outcome.written)
    assert loaded(out / "model-00001-of-00002.safetensors")[0].keys() == {"a"}


def test_shards_are_converted_together_and_get_an_index(tmp_path: Path) -> None:
    outcome = one(sharded(tmp_path / "m"), Order(tmp_path / "out"))
    assert outcome.sources == SHARDS
    assert outcome.written == (
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
    )
    assert everything(tmp_path / "out") == sorted(outcome.written)
    index = json.loads((tmp_path / "out" / outcome.written[2]).read_text())
    assert index == {
        "metadata": {"total_size": 24 + 12},
        "weight_map": {
            "a": "model-00001-of-00002.safetensors",
            "c": "model-00002-of-00002.safetensors",
        },
    }
    assert loaded(tmp_path / "out" / outcome.written[1])[1]["source_file"] == SHARDS[1]


@pytest.mark.parametrize(
    ("weights", "parts", "said"),
    [
        ({"a": SHARDS[1], "c": SHARDS[1]}, (), "a is not in"),
        ({"a": SHARDS[0], "c": SHARDS[1], "d": SHARDS[1]}, (), "d is not in"),
        ({"a": SHARDS[0], "c": "pytorch_model-00003-of-00002.bin"}, (), "which is not there"),
        ({"a": "../x.bin"}, (), "no files beside it"),
        ({"a": 1}, (), "no files beside it"),
        (None, (named(a=tensor()), named(a=tensor(), c=tensor())), "a is in"),
        (None, (named(a=tensor()), named(c=tensor((7,), (1,)))), "beyond its storage"),
    ],
)
def test_shards_that_do_not_fit_their_index_are_refused_and_leave_nothing(
    weights: Any, parts: tuple[Program, ...], said: str, tmp_path: Path
) -> None:
    sharded(tmp_path / "m", weights, *parts)
    outcomes = convert_local(tmp_path / "m", Order(tmp_path / "out", (INDEX,)))
    assert said in refused(outcomes)
    assert not (tmp_path / "out").exists() or everything(tmp_path / "out") == []


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"{}",
        b'{"weight_map": []}',
        b"[" * 100_000,
        b'{"weight_map": {"a": "x", "a": "y"}}',
    ],
)
def test_an_index_that_is_none_is_refused(index: bytes) -> None:
    with pytest.raises(CannotConvert):
        shards_of(index)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pytorch_model.bin", "model.safetensors"),
        ("a/pytorch_model.fp16.bin", "a/model.fp16.safetensors"),
        ("pytorch_model-00001-of-00002.bin", "model-00001-of-00002.safetensors"),
        ("pytorch_model.bin.index.json", "model.safetensors.index.json"),
        ("pytorch_model.bin.index.fp16.json", "model.safetensors.index.fp16.json"),
        ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"),
        ("adapter_model.bin", "adapter_model.safetensors"),
        ("v1-5.ckpt", "v1-5.safetensors"),
        ("consolidated.00.pth", "consolidated.00.safetensors"),
    ],
)
def test_names_are_those_that_save_pretrained_gives(path: str, expected: str) -> None:
    assert target_of(path) == expected


def big() -> tuple[MemorySource, Table]:
    """A tensor of more than a piece, in row-major order and not."""
    shape = (1500, 1100)
    data = b"".join(struct.pack("<I", n * 2654435761 % 2**32) for n in range(prod(shape)))
    assert len(data) > PIECE
    plain = Tensor("plain", "U32", shape, (1100, 1), 0, (0, len(data)))
    turned = replace(plain, name="turned", shape=(1100, 1500), stride=(1, 1100))
    return MemorySource(data), Table((plain, turned))


def test_a_large_tensor_is_written_piece_by_piece_and_every_flipped_bit_is_found() -> None:
    source, table = big()
    planned = plan(table, {}, source.size)
    data = b"".join(pieces(source, planned))
    assert differing(source, planned, MemorySource(data)) == ()
    written = safetensors_table(MemorySource(data), read_header(MemorySource(data)))
    for tensor_ in written.tensors:
        for place in (tensor_.begin, tensor_.storage[1] - 1, sum(tensor_.storage) // 2):
            wrong = bytearray(data)
            wrong[place] ^= 4
            assert differing(source, planned, MemorySource(bytes(wrong))) == (tensor_.name,)
    assert differing(source, planned, MemorySource(data[:-1])) == planned.names
    assert differing(source, planned, MemorySource(data + b"x")) == planned.names


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 64 << 20
    program = named(
        plain=tensor((size // 4,), (1,), of=storage(count=size // 4)),
        turned=tensor((2048, 2048), (1, 2048), of=storage(count=size // 4)),
    )
    path = write(tmp_path, "x.pt", zipped(program, bytes(size)))
    tracemalloc.start()
    try:
        one(path, Order(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 8 * PIECE
    finally:
        tracemalloc.stop()


def test_the_table_of_what_is_written_is_the_plan(tmp_path: Path) -> None:
    path = write(tmp_path, "x.pt", zipped(named(a=tensor((3, 2), (1, 3)), b=tensor((2,), (1,)))))
    one(path, Order(tmp_path))
    with LocalSource(path) as source:
        before = torch_table(source, read_promised(source))
    with LocalSource(tmp_path / "x.safetensors") as source:
        after = safetensors_table(source, read_header(source))
    assert {(t.name, t.dtype, t.shape) for t in before.tensors} == {
        (t.name, t.dtype, t.shape) for t in after.tensors
    }
