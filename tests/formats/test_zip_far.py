"""Torch archives that are read over a network: few reads, and nothing that could hide is passed over."""

from __future__ import annotations

from hubaudit.demo.assemble import assemble
from hubaudit.demo.checkpoints import floats, state_dict, torch_zip
from hubaudit.formats.contents import Contents, OddityKind
from hubaudit.formats.read import read_file
from hubaudit.source.memory import MemorySource
from hubaudit.source.remote import BLOCK, RemoteSource
from tests.formats.containers import INERT
from tests.formats.zips import Member, archive

ARMED = assemble(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP")
TENSORS = {f"layer.{number}.weight": floats((50, 60), number) for number in range(60)}


def read_far(data: bytes) -> tuple[Contents, list[tuple[int, int]]]:
    fetched: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append((start, end))
        return data[start:end]

    return read_file(RemoteSource(len(data), fetch, edge=4 * BLOCK)), fetched


def test_storages_of_a_far_checkpoint_cost_no_read_each() -> None:
    data = torch_zip(state_dict(TENSORS))
    contents, fetched = read_far(data)
    near = read_file(MemorySource(data))
    assert contents.format == near.format
    assert [one.member for one in contents.pickles] == [one.member for one in near.pickles]
    assert (contents.gaps, contents.oddities) == (near.gaps, near.oddities) == ((), ())
    assert len(fetched) <= 4
    assert sum(end - start for start, end in fetched) < len(data) / 3


def storage(number: int, **changes: object) -> Member:
    return Member(f"m/data/{number}", bytes(40_000), **changes)  # type: ignore[arg-type]


def test_a_member_between_far_storages_that_no_directory_names_is_found() -> None:
    hidden = Member("m/data/hidden.pkl", ARMED, is_listed=False)
    data = archive([Member(), storage(0), hidden, storage(1), Member("m/version", b"3\n")])
    contents, _ = read_far(data)
    assert OddityKind.HIDDEN in {oddity.kind for oddity in contents.oddities}
    assert any(("os", "system") in one.trace.imports for one in contents.pickles)


def test_a_far_pickle_that_is_named_like_no_storage_is_read() -> None:
    data = archive(
        [Member(), storage(0), Member("m/data/x", ARMED), storage(1), Member("m/v", b"3")]
    )
    contents, _ = read_far(data)
    assert any(("os", "system") in one.trace.imports for one in contents.pickles)


def test_what_is_no_torch_archive_is_read_member_by_member() -> None:
    data = archive(
        [Member("data/0", ARMED), Member("data/1", INERT), Member("note", b"x" * 20_000)]
    )
    contents, _ = read_far(data)
    assert {one.member for one in contents.pickles} == {"data/0", "data/1"}
