"""The demo's samples, held against what reads such files: zipfile, json and pickletools.

Nothing here loads a pickle.
"""

from __future__ import annotations

import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest

from hubaudit.demo.checkpoints import (
    DTYPES,
    Storage,
    Tensor,
    floats,
    safetensors,
    state_dict,
    tensor,
    torch_legacy,
    torch_zip,
)
from hubaudit.demo.repos import RENAMES, DemoRepo, demo_repos

DEMOS = {demo.repo.repo_id: demo for demo in demo_repos()}
ONE_OF_EACH = {dtype: tensor(dtype, (2,), bytes(2 * width)) for dtype, (_, width) in DTYPES.items()}


def _pickles(data: bytes) -> list[bytes]:
    """The pickles that a sample begins with or, if it is an archive, holds."""
    if data[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(data))
        return [archive.read(name) for name in archive.namelist() if name.endswith(".pkl")]
    stream, found = io.BytesIO(data), []
    while data[stream.tell() : stream.tell() + 1] == b"\x80":
        start = stream.tell()
        pickletools.dis(stream, out=io.StringIO())
        found.append(data[start : stream.tell()])
    return found


def _imports(data: bytes) -> list[str]:
    opcodes = [step for body in _pickles(data) for step in pickletools.genops(body)]
    return [str(argument) for opcode, argument, _ in opcodes if opcode.name == "GLOBAL"]


def _executable(demo: DemoRepo) -> Iterator[tuple[str, bytes]]:
    for path, data in demo.repo.files.items():
        if path.endswith((".bin", ".pt", ".pth", ".pkl")):
            yield path, data


def _header(data: bytes) -> dict[str, dict[str, object]]:
    (length,) = struct.unpack_from("<Q", data)
    header: dict[str, dict[str, object]] = json.loads(data[8 : 8 + length])
    return header


def test_the_samples_are_the_same_each_time() -> None:
    assert [demo.repo.sha for demo in demo_repos()] == [demo.repo.sha for demo in demo_repos()]


def test_every_sample_has_an_id_of_its_own_and_says_why_it_is_there() -> None:
    demos = demo_repos()
    assert len({demo.repo.repo_id for demo in demos}) == len(demos)
    assert all(demo.title.endswith(".") for demo in demos)


def test_a_command_names_the_repository_or_what_is_redirected_to_it() -> None:
    for demo in demo_repos():
        (target,) = demo.command
        target = target.removeprefix("datasets/")
        assert RENAMES.get(target, target) == demo.repo.repo_id


def test_every_exit_code_of_an_audit_has_a_sample() -> None:
    assert {demo.exit_code for demo in demo_repos()} == {0, 1, 2, 3}


def test_the_samples_are_tiny() -> None:
    for demo in demo_repos():
        assert sum(map(len, demo.repo.files.values())) < 64_000


@pytest.mark.parametrize("name", [name for name, demo in DEMOS.items() if demo.exit_code == 0])
def test_an_ordinary_sample_imports_neither_os_nor_a_process(name: str) -> None:
    files = list(_executable(DEMOS[name]))
    assert files
    imports = {found for _, data in files for found in _imports(data)}
    assert not [found for found in imports if found.startswith(("os ", "posix ", "subprocess "))]
    assert all(_pickles(data) for _, data in files)


@pytest.mark.parametrize("name", ["demo/os-system", "demo/hub-unsafe", "demo/hostile-names"])
def test_an_armed_checkpoint_calls_true_and_then_rebuilds_the_ordinary_tensors(name: str) -> None:
    ordinary = _imports(DEMOS["demo/ordinary"].repo.files["pytorch_model.bin"])
    armed = [data for _, data in _executable(DEMOS[name]) if "os system" in _imports(data)]
    assert armed
    for data in armed:
        assert _imports(data) == ["os system", *ordinary]
        assert [body.count(b"X\x04\0\0\0true\x85R0") for body in _pickles(data)] == [1]


def test_the_broken_payload_calls_before_the_byte_that_no_opcode_has() -> None:
    opcodes = pickletools.genops(DEMOS["demo/broken-payload"].repo.files["pytorch_model.bin"])
    seen = [(opcode.name, argument) for opcode, argument, _ in islice(opcodes, 6)]
    with pytest.raises(ValueError, match="opcode b'\\\\x0b' unknown"):
        next(opcodes)
    assert seen[1:5] == [
        ("GLOBAL", "os system"),
        ("BINUNICODE", "true"),
        ("TUPLE1", None),
        ("REDUCE", None),
    ]


def test_the_disguised_pickle_is_no_safetensors_file() -> None:
    disguised = DEMOS["demo/disguised"].repo.files["model.safetensors"]
    assert _imports(disguised) == ["os system"]
    assert struct.unpack_from("<Q", disguised)[0] > len(disguised)


def test_a_checkpoint_and_its_twin_have_the_same_tensors() -> None:
    files = DEMOS["demo/ordinary"].repo.files
    twin = _header(files["model.safetensors"])
    (length,) = struct.unpack_from("<Q", files["model.safetensors"])
    body = files["model.safetensors"][8 + length :]
    archive = zipfile.ZipFile(io.BytesIO(files["pytorch_model.bin"]))
    data_pkl = archive.read("pytorch_model/data.pkl")
    names = [name for name in twin if name != "__metadata__"]
    # both lists name the tensors, in different orders: the pickle's n-th has storage n
    in_pickle = sorted(
        names, key=lambda name: data_pkl.index(b"X%c\0\0\0%s" % (len(name), name.encode()))
    )
    for key, name in enumerate(in_pickle):
        offsets = twin[name]["data_offsets"]
        assert isinstance(offsets, list)
        assert archive.read(f"pytorch_model/data/{key}") == body[slice(*offsets)]


def test_the_truncated_archive_has_its_first_member_and_no_directory() -> None:
    truncated = DEMOS["demo/truncated"].repo.files["pytorch_model.bin"]
    assert truncated.startswith(b"PK\x03\x04")
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(truncated))


def test_the_hostile_names_hold_what_a_terminal_would_obey() -> None:
    names = "".join(DEMOS["demo/hostile-names"].repo.files)
    for hostile in ("\x1b[", "\n", "[bold", "[/", "\u202e", "\u200b"):
        assert hostile in names


def test_an_archive_is_stored_checked_and_aligned() -> None:
    data = torch_zip(state_dict(ONE_OF_EACH), root="root")
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert archive.namelist()[0] == "root/data.pkl"
    for member in archive.infolist():
        assert member.compress_type == zipfile.ZIP_STORED
        name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
        assert (member.header_offset + 30 + name + extra) % 64 == 0


def test_tied_tensors_share_a_storage() -> None:
    storage = Storage("F32", bytes(16))
    tied = {"one": Tensor(storage, (4,)), "two": Tensor(storage, (2,), offset=2)}
    archive = zipfile.ZipFile(io.BytesIO(torch_zip(state_dict(tied))))
    assert [name for name in archive.namelist() if "/data/" in name] == ["archive/data/0"]
    assert torch_legacy(state_dict(tied)).count(struct.pack("<q", 4)) == 1


def test_a_legacy_checkpoint_is_five_pickles_and_the_storages() -> None:
    data = torch_legacy(state_dict({"one": floats((3,), 1)}))
    pickles = _pickles(data)
    assert len(pickles) == 5
    assert data[sum(map(len, pickles)) :] == struct.pack("<q", 3) + floats((3,), 1).data


def test_the_tensors_of_a_safetensors_file_follow_each_other_without_a_gap() -> None:
    data = safetensors(ONE_OF_EACH)
    header = _header(data)
    (length,) = struct.unpack_from("<Q", data)
    offsets = [entry["data_offsets"] for entry in header.values()]
    ends = [0, *(end for pair in offsets if isinstance(pair, list) for end in pair)]
    assert all(before == after for before, after in list(pairwise(ends))[::2])
    assert ends[-1] == len(data) - 8 - length
    assert length % 8 == 0


def test_a_tensor_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="3 bytes are no F32 tensor"):
        tensor("F32", (1,), b"abc")
