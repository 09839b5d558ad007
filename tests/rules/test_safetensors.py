"""`safetensors-invalid`: each way to break the format, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubaudit import rules
from hubaudit.demo.checkpoints import floats, safetensors
from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind
from hubaudit.formats.read import read_file
from hubaudit.model import Finding, LoadRole, RepoFile, Severity
from hubaudit.rules.safetensors import MOST
from hubaudit.source.memory import MemorySource

VALID = safetensors({"a": floats((2, 3), 1), "b": floats((4,), 2)}, {"format": "pt"})
FILE = RepoFile("model.safetensors", len(VALID))


def found(contents: Contents, *, path: str = FILE.path) -> list[Finding]:
    evidence = rules.Evidence(RepoFile(path, 1), LoadRole.LOADED, contents, (), None)
    return list(rules.check(evidence))


def in_bytes(data: bytes, *, path: str = FILE.path) -> list[Finding]:
    return found(read_file(MemorySource(data)), path=path)


def with_header(text: str, data: bytes = b"\0" * 8) -> bytes:
    return len(text.encode()).to_bytes(8, "little") + text.encode() + data


def entry(**changes: Any) -> str:
    return json.dumps({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes)


def test_a_valid_file_has_no_finding() -> None:
    assert in_bytes(VALID) == []
    assert in_bytes(with_header(f'{{"a": {entry()}}}       ')) == []


@pytest.mark.parametrize(
    ("text", "severity", "said"),
    [
        (f'{{"a": {entry()}, "a": {entry()}}}', Severity.HIGH, "'a' stands twice"),
        (f'{{"a": {entry(dtype="U8")}, "a": {entry()}}}', Severity.HIGH, "'a' stands twice"),
        (f'{{"a": {entry(shape=[1], data_offsets=[4, 8])}}}', Severity.MEDIUM, "4 bytes before"),
        (f'{{"a": {entry(shape=[1], data_offsets=[0, 4])}}}', Severity.MEDIUM, "4 bytes behind"),
        (f'{{"a": {entry()}, "b": {entry()}}}', Severity.MEDIUM, "inside of another"),
        (f'{{"a": {entry(shape=[3])}}}', Severity.MEDIUM, "do not fit"),
        (f'{{"a": {entry(shape=[True, 2])}}}', Severity.MEDIUM, "no valid shape"),
        (f'{{"a": {entry(shape=[2**62, 4, 0])}}}', Severity.MEDIUM, "more elements"),
        (f'{{"a": {entry(dtype="F33")}}}', Severity.MEDIUM, "unknown dtype"),
        (f'{{"a": {entry()[:-1]}, "shape": [2]}}}}', Severity.MEDIUM, "its shape twice"),
        (f'{{"__metadata__": {{"a": 1}}, "a": {entry()}}}', Severity.MEDIUM, "not made of texts"),
        (f'{{"a": {entry()}}}\0', Severity.MEDIUM, "no JSON"),
        (f'{{"a": {entry(note=1)}}}', Severity.LOW, "the field 'note'"),
        (f' {{"a": {entry()}}}', Severity.LOW, "white space"),
        (f'{{"a": {entry()}}}\n', Severity.LOW, "white space"),
        (
            f'{{"__metadata__": {{"a": "b", "a": "c"}}, "a": {entry()}}}',
            Severity.LOW,
            "in __metadata__",
        ),
        ('{"a": ["F32", [2], [0, 8]]}', Severity.LOW, "is a list"),
    ],
)
def test_each_way_to_break_the_format_is_found(text: str, severity: Severity, said: str) -> None:
    (finding,) = in_bytes(with_header(text))
    assert (finding.rule, finding.severity) == ("safetensors-invalid", severity)
    assert said in finding.message


@pytest.mark.parametrize("end", [9, 20, len(VALID) - 1])
def test_a_file_that_is_cut_off_is_found_and_not_read_to_its_end(end: int) -> None:
    contents = read_file(MemorySource(VALID[:end]))
    assert contents.format is Format.SAFETENSORS
    assert contents.gaps
    (finding,) = found(contents)
    assert finding.severity is Severity.MEDIUM
    assert "cut off" in finding.message


@pytest.mark.parametrize(
    "data",
    [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x00\x01\x02\x03" * 8, b"GGUF" * 8],
)
def test_a_file_that_has_only_the_name_is_found(data: bytes) -> None:
    (finding,) = in_bytes(data)
    assert finding.severity is Severity.MEDIUM
    assert finding.message.startswith("named .safetensors, but")
    assert in_bytes(data, path="model.gguf") == []


def test_of_a_file_that_could_not_be_had_nothing_is_said() -> None:
    assert found(Contents(Format.DATA, gaps=(Gap(None, "it is gone"),))) == []


def test_of_very_many_oddities_the_rest_is_counted() -> None:
    odd = tuple(
        Oddity(OddityKind.SAFETENSORS_STRAY, None, 0, f"field {n}") for n in range(MOST + 3)
    )
    findings = found(Contents(Format.SAFETENSORS, oddities=odd))
    assert len(findings) == MOST + 1
    assert findings[-1].message == "3 more of this kind"
