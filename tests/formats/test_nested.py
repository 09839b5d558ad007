"""Pickles in the constants of a pickle."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

import hubaudit
from hubaudit.config import Policy
from hubaudit.demo.assemble import Instruction, assemble, frame
from hubaudit.demo.checkpoints import floats, state_dict, torch_legacy, torch_zip, torch_zip_of
from hubaudit.model import RepoReport, Verdict

CALL: tuple[Instruction, ...] = (
    ("GLOBAL", "os", "system"),
    ("BINUNICODE", "true"),
    "TUPLE1",
    "REDUCE",
    "STOP",
)
ARMED = {
    "protocol 2": assemble(("PROTO", 2), *CALL),
    "protocol 4": assemble(("PROTO", 4), frame(assemble(*CALL))),
    "of 5 kB": assemble(("PROTO", 4), ("BINBYTES", b"x" * 5000), "POP", *CALL),
}
# These do not fit into the head that is kept of a constant, or do not begin like a pickle.
ARMED_BYTES = {
    "of 20 kB": assemble(("PROTO", 4), ("BINBYTES", b"x" * 20_000), "POP", *CALL),
    "torch zip": torch_zip_of(assemble(("PROTO", 2), *CALL), []),
}
Spelling = Callable[[bytes], Instruction]
SPELLINGS: dict[str, Spelling] = {
    "bytes": lambda data: ("BINBYTES", data),
    "bytearray": lambda data: ("BYTEARRAY8", data),
    "base64": lambda data: ("BINUNICODE", base64.b64encode(data).decode()),
    "base64 without padding": lambda data: (
        "BINUNICODE",
        base64.b64encode(data).decode().rstrip("="),
    ),
    "hexadecimal": lambda data: ("BINUNICODE", data.hex()),
    "HEXADECIMAL": lambda data: ("BINUNICODE", data.hex().upper()),
    "a line": lambda data: ("UNICODE", base64.b64encode(data).decode()),
    "base64 as bytes": lambda data: ("BINBYTES", base64.b64encode(data)),
}


def scan(tmp_path: Path, data: bytes, name: str = "a.pkl") -> RepoReport:
    path = tmp_path / name
    path.write_bytes(data)
    return hubaudit.scan(path)


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("armed", ARMED.values(), ids=ARMED.keys())
def test_a_pickle_in_a_constant_is_judged_like_any_other(
    tmp_path: Path, armed: bytes, spelling: Spelling
) -> None:
    report = scan(tmp_path, assemble(("PROTO", 5), spelling(armed), "STOP"))
    assert report.verdict is Verdict.FAIL
    found = next(f for f in report.findings if f.rule == "dangerous-import")
    assert found.evidence == "os.system('true')"
    assert found.member is not None
    assert "@" in found.member


@pytest.mark.parametrize("armed", ARMED_BYTES.values(), ids=ARMED_BYTES.keys())
@pytest.mark.parametrize("opcode", ["BINBYTES", "BINBYTES8", "BYTEARRAY8"])
def test_a_file_in_a_constant_is_read_as_a_whole(tmp_path: Path, armed: bytes, opcode: str) -> None:
    report = scan(tmp_path, assemble(("PROTO", 5), (opcode, armed), "STOP"))
    assert report.verdict is Verdict.FAIL


def test_nested_pickles_are_followed_and_not_for_ever(tmp_path: Path) -> None:
    data = ARMED["protocol 2"]
    for depth in range(6):
        data = assemble(("PROTO", 4), ("BINBYTES", data), "STOP")
        verdict = scan(tmp_path, data).verdict
        assert verdict is (Verdict.FAIL if depth < 2 else Verdict.INCOMPLETE)


def test_many_constants_are_read_up_to_a_number_and_the_rest_is_said(tmp_path: Path) -> None:
    harmless = assemble(("PROTO", 2), "NONE", "STOP")
    once = assemble(("SHORT_BINBYTES", harmless), "POP")
    report = scan(tmp_path, assemble(("PROTO", 4), once * 1500, "NONE", "STOP"))
    assert report.verdict is not Verdict.PASS


BENIGN = {
    "a harmless pickle": assemble(("PROTO", 4), "NONE", "STOP"),
    "a cut pickle": assemble(("PROTO", 4), ("SHORT_BINUNICODE", "x" * 30))[:-5],
    "a checkpoint": torch_zip(state_dict({"w": floats((2, 2), 1)})),
    "noise": b"\x80\x04" + bytes(range(256)),
    "base64 of noise": base64.b64encode(b"\x80\x04" + bytes(range(200))),
    "a model card": b"gAAAA is no pickle, and 8004 is a number",
}


@pytest.mark.parametrize("data", BENIGN.values(), ids=BENIGN.keys())
def test_harmless_bytes_in_a_constant_are_nothing(tmp_path: Path, data: bytes) -> None:
    report = scan(tmp_path, assemble(("PROTO", 4), ("BINBYTES", data), "STOP"))
    assert report.verdict is Verdict.PASS, report.findings


def pickled_tensor(payload: bytes) -> bytes:
    load = ("GLOBAL", "torch.storage", "_load_from_bytes")
    return assemble(("PROTO", 4), load, ("BINBYTES", payload), "TUPLE1", "REDUCE", "STOP")


@pytest.mark.parametrize("shape", [(2, 2), (200, 200)])
def test_a_pickled_tensor_is_nothing(tmp_path: Path, shape: tuple[int, int]) -> None:
    data = pickled_tensor(torch_legacy(state_dict({"w": floats(shape, 1)})))
    assert scan(tmp_path, data).verdict is Verdict.PASS
    assert scan(tmp_path, gzip.compress(data), "a.pkl.gz").verdict is Verdict.PASS


def test_a_pickled_tensor_that_is_armed_fails(tmp_path: Path) -> None:
    report = scan(tmp_path, pickled_tensor(ARMED["protocol 2"]))
    assert {finding.evidence for finding in report.findings} >= {"os.system('true')"}


def test_loading_bytes_that_nobody_can_read_is_dangerous(tmp_path: Path) -> None:
    report = scan(tmp_path, pickled_tensor(b"no pickle"))
    assert report.verdict is Verdict.FAIL


@pytest.mark.parametrize(("depth", "verdict"), [(0, "incomplete"), (1, "fail"), (2, "fail")])
def test_how_deep_archives_are_opened_can_be_set(tmp_path: Path, depth: int, verdict: str) -> None:
    path = tmp_path / "a.pkl.gz"
    path.write_bytes(gzip.compress(ARMED["protocol 2"]))
    assert hubaudit.scan(path, policy=Policy(max_archive_depth=depth)).verdict == verdict
