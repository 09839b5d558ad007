"""The tensor table of torch checkpoints: what torch would load is in it, and nothing is guessed."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip
from hubaudit.formats.read import read_promised
from hubaudit.source.local import LocalSource
from hubaudit.source.memory import MemorySource
from hubaudit.tensors.storages import by_torch_layout
from hubaudit.tensors.table import SEVERAL, NotComparable, Table, Tensor
from hubaudit.tensors.torch import MAX_NAMES, MAX_REPEATED, torch_table
from tests.formats.containers import torch_tar
from tests.formats.containers import zipped as plain_zip
from tests.tensors.programs import (
    CASES,
    NONE,
    ORDERED,
    SIX,
    Program,
    call,
    glob,
    joined,
    legacy,
    mapping,
    named,
    new_tensor,
    number,
    sizes,
    storage,
    tensor,
    text,
    zipped,
)

REAL = Path(__file__).parents[1] / "fixtures" / "real" / "torch"


def table(data: bytes) -> Table:
    source = MemorySource(data)
    return torch_table(source, read_promised(source))


def names(found: Table) -> list[str]:
    return [one.name for one in found.tensors]


def why(found: Table) -> str:
    """Of the one thing that is not comparable."""
    assert found.tensors == ()
    (one,) = found.not_comparable
    return one.why


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("the last of equal keys", {"a": (3,), "b": (6,)}),
        ("a key set again to no tensor", {}),
        ("numbers as keys", {"0": (2, 3), "-1": (2, 3)}),
        ("equal numbers as keys", {"1": (3,), "x": (2, 3)}),
        ("an OrderedDict, item by item", {"a": (2, 3), "b": (6,)}),
        ("an OrderedDict with _metadata", {"a": (2, 3)}),
        ("lists and tuples", {"a.0": (2, 3), "a.2": (2, 3), "b.0": (2, 3), "b.1.c": (2, 3)}),
        ("one dict in two places", {"a.w": (2, 3), "b.w": (2, 3)}),
        ("a dict filled after it was placed", {"a.w": (2, 3), "b.w": (2, 3)}),
        ("a parameter", {"p": (2, 3)}),
        ("no elements", {"a": (0, 3), "b": (2, 0)}),
        ("a repeated view", {"a": (2, 3), "b": (6, 1), "c": ()}),
        ("a tensor by itself", {"": (2, 3)}),
    ],
)
def test_the_table_has_the_tensors_that_torch_loads(
    case: str, expected: dict[str, tuple[int, ...]]
) -> None:
    """tests/fixtures/check_convert.py holds the same cases to torch."""
    found = table(zipped(CASES[case]))
    assert {one.name: one.shape for one in found.tensors} == expected
    assert names(found) == list(expected)
    assert found.not_comparable == ()


def test_every_case_is_looked_at() -> None:
    marks = test_the_table_has_the_tensors_that_torch_loads.pytestmark  # type: ignore[attr-defined]
    assert [case for case, _ in marks[0].args[1]] == list(CASES)


def test_a_tensor_lies_where_its_storage_and_offset_say() -> None:
    data = zipped(named(a=tensor((2,), (2,), 3)))
    at = data.index(SIX)
    (one,) = table(data).tensors
    assert one == Tensor("a", "F32", (2,), (2,), at + 12, (at, at + 24))
    assert struct.unpack_from("<f", data, one.begin) == (3.0,)


def test_zip_and_legacy_have_the_same_table_but_for_the_places() -> None:
    weights = state_dict({"a": floats((2, 3), 1), "b": floats((4,), 2)}, {"": 1})
    new, old = (table(save(weights)) for save in (torch_zip, torch_legacy))
    for found, data in ((new, torch_zip(weights)), (old, torch_legacy(weights))):
        first = found.tensors[0]
        assert data[slice(*first.storage)] == floats((2, 3), 1).data
    assert [(t.name, t.dtype, t.shape, t.stride) for t in new.tensors] == [
        (t.name, t.dtype, t.shape, t.stride) for t in old.tensors
    ]


def test_tied_tensors_have_one_storage() -> None:
    for name in ("tied.pt", "tied_legacy.pt"):
        with LocalSource(REAL / name) as source:
            found = torch_table(source, read_promised(source))
        assert names(found) == ["a", "b", "c"]
        assert len({one.storage for one in found.tensors}) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dtypes.pt", "F64 F32 F16 BF16 C64 I64 I32 I16 I8 U8 BOOL"),
        ("dtypes_legacy.pt", "F64 F32 F16 BF16 C64 I64 I32 I16 I8 U8 BOOL"),
        ("dtypes_new.pt", "F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ U16 U32 U64"),
    ],
)
def test_dtypes_are_named_as_safetensors_names_them(name: str, expected: str) -> None:
    with LocalSource(REAL / name) as source:
        found = torch_table(source, read_promised(source))
    assert " ".join(one.dtype for one in found.tensors) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sparse_coo.pt", "sparse"),
        ("sparse_coo_legacy.pt", "sparse"),
        ("sparse_csr.pt", "sparse"),
        ("quantized.pt", "quantised"),
        ("quantized_channels.pt", "quantised"),
        ("meta.pt", "meta device"),
        ("conjugate.pt", "conjugated"),
        ("storage.pt", "a storage, not a tensor"),
        ("script.pt", "TorchScript"),
    ],
)
def test_what_has_no_plain_numbers_is_named_and_not_guessed(name: str, said: str) -> None:
    with LocalSource(REAL / name) as source:
        assert said in why(torch_table(source, read_promised(source)))


@pytest.mark.parametrize("name", ["module.pt", "module_own.pt", "module_own_legacy.pt"])
def test_a_whole_module_has_the_names_of_its_state_dict(name: str) -> None:
    with LocalSource(REAL / name) as source:
        found = torch_table(source, read_promised(source))
    assert found.not_comparable == ()
    if name == "module.pt":
        assert names(found)[-3:] == ["2.running_mean", "2.running_var", "2.num_batches_tracked"]
    else:
        assert names(found) == ["layer.weight", "layer.bias"]


def test_entries_without_tensors_are_told_as_one() -> None:
    program = named(w=tensor(), epoch=number(3), parts=named(a=number(1), b=number(2)))
    assert table(zipped(program)).others == ("epoch", "parts")
    assert table(zipped(named(a=number(1), b=NONE))).others == ("a", "b")


def test_the_layout_of_torch_is_where_its_headers_say() -> None:
    data = torch_zip(state_dict({f"layer.{n}": floats((n + 1,), n) for n in range(20)}))
    source = MemorySource(data)
    contents = read_promised(source)
    assert torch_table(source, contents, by_torch_layout) == torch_table(source, contents)


HUGE = 1 << 62


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (tensor((7,), (1,)), "beyond its storage"),
        (tensor((2, 3), (3, 1), 1), "beyond its storage"),
        (tensor((2,), (6,)), "beyond its storage"),
        (tensor((2, 3), (3, 1), -1), "do not fit"),
        (tensor((2, 3), (3,)), "do not fit"),
        (tensor((2,), (-1,), 1), "not made of numbers"),
        (tensor((-2,), (1,)), "not made of numbers"),
        (tensor((HUGE, HUGE), (0, 0)), "more elements than torch can count"),
        (tensor((1 << 70,), (0,)), "not made of numbers"),
        (tensor((1,) * 65, (1,) * 65), "not made of numbers"),
        (tensor(of=storage(count=7)), "only 24 bytes"),
        (tensor(of=storage(count=-1)), "negative size"),
        (tensor(of=storage(key="9")), "no member"),
        (tensor(of=storage(kind="OwnStorage")), "no known type"),
        (tensor(of=storage(kind="QInt8Storage", count=24)), "QInt8Storage"),
        (tensor(of=storage(more=NONE)), "not named as torch names it"),
        (tensor(metadata=mapping((text("neg"), ("NEWTRUE",)))), "negated"),
        (
            new_tensor("complex128", (1,), (1,), storage(count=24, kind="UntypedStorage")),
            "complex128",
        ),
        (call("torch._utils", "_rebuild_tensor_v9", tensor()), "not known"),
        (call("torch._utils", "_rebuild_nested_tensor", tensor()), "nested"),
        (call("torch._utils", "_rebuild_parameter", storage()), "not as torch writes it"),
        (
            call(
                "torch._tensor",
                "_rebuild_from_type_v2",
                glob("torch._utils", "_rebuild_tensor"),
                glob("own", "T"),
                tensor(),
                NONE,
            ),
            "own.T",
        ),
        ((*tensor(), *sizes(1, 2, 3, 4), "BUILD"), "after it was rebuilt"),
        ((*tensor(), *number(0), *number(5), "SETITEM"), "after it was rebuilt"),
        (
            call(
                "torch._utils",
                "_rebuild_parameter_with_state",
                tensor(),
                ("NEWTRUE", *ORDERED),
                named(data=tensor()),
            ),
            "may change its numbers",
        ),
    ],
)
def test_a_tensor_that_is_not_as_torch_writes_it_is_not_guessed(bad: Program, said: str) -> None:
    good = tensor(of=storage(key="1"))
    found = table(zipped(named(good=good, bad=bad), SIX, SIX))
    (one,) = found.not_comparable
    assert one.name == "bad"
    assert said in one.why
    assert names(found) == ["good"]


def test_a_storage_that_is_named_in_two_ways_is_not_guessed() -> None:
    other = tensor((3,), (1,), of=storage(kind="LongStorage", count=3))
    found = table(zipped(named(a=tensor(), b=other)))
    assert {one.why for one in found.not_comparable} == {
        "storage 0 is named with different types or sizes"
    }


@pytest.mark.parametrize(
    "meddling",
    [
        call("torch", "Tensor.zero_", tensor((1,), (1,))),
        call("own", "change", named(x=("EMPTY_LIST", *tensor(), "APPEND"))),
        (*storage(), *named(x=number(1)), "BUILD"),
    ],
)
def test_a_tensor_whose_storage_some_function_gets_is_not_guessed(meddling: Program) -> None:
    found = table(zipped(named(a=tensor(), b=meddling)))
    assert names(found) == []
    assert "may change it" in found.not_comparable[0].why


def test_a_tensor_inside_of_an_unknown_object_is_named() -> None:
    inside = (*glob("own", "Config"), "EMPTY_TUPLE", "NEWOBJ", *named(w=tensor()), "BUILD")
    found = table(zipped(named(config=inside)))
    assert found.not_comparable == (NotComparable("config", "it is inside of a own.Config"),)


def test_two_ways_to_one_name_are_both_there_and_told() -> None:
    both = mapping((text("a.b"), tensor()), (text("a"), named(b=tensor((3,), (1,)))))
    found = table(zipped(both))
    assert found.not_comparable == (NotComparable("a.b", SEVERAL),)
    assert [(one.name, one.shape) for one in found.tensors] == [("a.b", (2, 3)), ("a.b", (3,))]


def branching(program: Program, times: int = 60) -> Program:
    """One value reached in 2^`times` ways."""
    for _ in range(times):
        program = (*program, ("BINPUT", 1), "DUP", "TUPLE2")
    return program


def test_many_ways_to_one_tensor_end_soon_and_leave_what_lies_beside() -> None:
    data = zipped(mapping((text("z"), branching(named(w=tensor()))), (text("w"), tensor())))
    tracemalloc.start()
    found = table(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "again and again" in found.not_comparable[0].why
    assert names(found)[-1] == "w"
    assert len(found.tensors) < 2 * MAX_REPEATED
    assert peak < 50 << 20


def test_many_ways_to_no_tensor_are_one_entry() -> None:
    found = table(zipped(named(w=tensor(), z=branching(named(n=number(1))))))
    assert (names(found), found.not_comparable, found.others) == (["w"], (), ("z",))


def test_names_that_are_too_long_together_are_told_as_one() -> None:
    inner = mapping((text("é" * 1000), tensor()), (text("v"), tensor()))
    first = (*text("first"), *inner, ("BINPUT", 9))
    many = joined(*((*text(str(n)), ("BINGET", 9)) for n in range(9_500)))
    last = (*text("w"), *tensor())
    found = table(zipped(("EMPTY_DICT", "MARK", *first, *many, *last, "SETITEMS")))
    assert names(found)[-1] == "w"
    assert sum(map(len, names(found))) < MAX_NAMES
    assert {one.why for one in found.not_comparable} == {
        f"the names of the file have over {MAX_NAMES:,} bytes"
    }
    assert len(found.not_comparable) < 1500


def nested(program: Program, times: int) -> Program:
    for _ in range(times):
        program = named(k=program)
    return program


def test_what_is_too_deep_is_told_and_leaves_what_lies_beside() -> None:
    found = table(zipped(named(w=tensor(), z=nested(tensor(), 150), y=nested(number(1), 150))))
    assert (names(found), found.others) == (["w"], ("y",))
    (deep,) = found.not_comparable
    assert deep.name.startswith("z.k.k.")
    assert "deep" in deep.why


def test_a_dict_in_itself_ends() -> None:
    looped: Program = ("EMPTY_DICT", ("BINPUT", 1), *text("w"), *tensor(), "SETITEM")
    looped = (*looped, *text("self"), ("BINGET", 1), "SETITEM")
    found = table(zipped(looped))
    assert names(found) == ["w"]
    assert found.not_comparable == (NotComparable("self", "it is inside of itself"),)


def test_kinds_that_torch_saves_otherwise_are_told_from_what_only_a_made_pickle_has() -> None:
    sparse = call("torch._utils", "_rebuild_sparse_tensor", tensor(), NONE)
    array = call("torch._utils", "_rebuild_device_tensor_from_numpy", tensor(), NONE)
    found = table(zipped(named(sparse=sparse, array=array)))
    assert {one.name: one.is_known_kind for one in found.not_comparable} == {
        "sparse": True,
        "array": False,
    }


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_compressed_storage_is_not_comparable() -> None:
    data = plain_zip(members(zipped(named(a=tensor()))), zipfile.ZIP_DEFLATED)
    assert "compressed" in why(table(data))


@pytest.mark.parametrize(("order", "is_read"), [(b"little", True), (b"big", False), (b"x", False)])
def test_numbers_of_another_byte_order_are_not_comparable(order: bytes, is_read: bool) -> None:
    data = plain_zip(members(zipped(named(a=tensor()))) | {"archive/byteorder": order})
    found = table(data)
    assert bool(found.tensors) is is_read
    assert is_read or "little-endian" in why(found)


def test_a_name_that_two_members_have_is_not_guessed() -> None:
    data = plain_zip(members(zipped(named(a=tensor()))) | {"archive/DATA/0": SIX[::-1]})
    assert "several members" in why(table(data))


def test_a_cut_off_archive_has_no_table() -> None:
    data = zipped(named(a=tensor()))
    assert table(data[: len(data) // 2]).tensors == ()


def test_other_formats_have_no_table() -> None:
    assert "tar" in why(table(torch_tar()))
    assert "no torch checkpoint" in why(table(b"\x80\x02}."))


VIEW = ("MARK", *text("v"), *number(2), *number(3), "TUPLE")


def test_a_legacy_storage_that_is_a_part_of_another_lies_in_it() -> None:
    part = tensor((3,), (1,), of=storage(more=VIEW))
    whole = tensor(of=storage(more=NONE))
    data = legacy(named(whole=whole, part=part), {"0": (6, SIX)})
    first, second = table(data).tensors
    assert second.begin == first.begin + 8
    assert second.storage == (first.begin + 8, first.begin + 20)


@pytest.mark.parametrize(
    ("of", "storages", "said"),
    [
        (storage(more=NONE), {"0": (5, SIX[:20])}, "5 elements, not 6"),
        (storage(more=NONE), {"0": (6, SIX[:20])}, "cut off"),
        (storage(more=NONE), {"1": (6, SIX)}, "not as torch writes it"),
        (
            storage(more=("MARK", *text("v"), *number(4), *number(3), "TUPLE")),
            {"0": (6, SIX)},
            "leads out",
        ),
        (storage(), {"0": (6, SIX)}, "not named as torch names it"),
    ],
)
def test_a_legacy_storage_that_torch_would_refuse_is_not_guessed(
    of: Program, storages: dict[str, tuple[int, bytes]], said: str
) -> None:
    found = table(legacy(named(a=tensor((3,), (1,), of=of)), storages))
    assert said in why(found)
