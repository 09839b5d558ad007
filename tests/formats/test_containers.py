"""A payload is found in every container, and a container that is cut off is never passed."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubaudit
from hubaudit.formats.contents import Contents
from hubaudit.model import Verdict
from tests.formats.containers import CONTAINERS, INERT, PAYLOAD
from tests.formats.reading import imports, read


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_payload_fails_in_every_container(name: str, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_bytes(CONTAINERS[name](PAYLOAD))
    report = hubaudit.scan(file)
    assert report.verdict is Verdict.FAIL
    assert any("os.system('true')" in finding.evidence for finding in report.findings)


UNREADABLE_ANYWAY = {
    "npy, unknown type",
    "torch tar, a storage",  # a text in place of the entry
    "torch tar, a tensor",
}


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - UNREADABLE_ANYWAY))
def test_an_inert_pickle_passes_in_every_container(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(CONTAINERS[name](INERT))
    report = hubaudit.scan(file)
    assert report.verdict is Verdict.PASS, (report.unread, report.findings)
    assert not report.findings


# Cut between two arrays, what is left is a whole file.
SEVERAL_IN_A_ROW = {"npy, second array", "npy, behind objects"}


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - SEVERAL_IN_A_ROW))
@pytest.mark.parametrize("data", [PAYLOAD, PAYLOAD + bytes(3000)], ids=["short", "long"])
def test_a_container_cut_off_anywhere_is_never_passed(
    name: str, data: bytes, tmp_path: Path
) -> None:
    whole = CONTAINERS[name](data)
    some = {*range(1, min(len(whole), 150)), *range(max(1, len(whole) - 150), len(whole))}
    for end in sorted(some | set(range(1, len(whole), 61))):
        contents = read(whole[:end])
        if not contents.gaps and ("os", "system") not in imports(contents):
            file = tmp_path / "model.pkl"
            file.write_bytes(whole[:end])
            assert hubaudit.scan(file).verdict is not Verdict.PASS, end


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_with_a_byte_changed_is_read_to_some_end(name: str) -> None:
    whole = CONTAINERS[name](PAYLOAD)
    for at in range(0, len(whole), 1 + len(whole) // 400):
        for changed in (0, 0xFF, whole[at] ^ 0x01):
            contents = read(whole[:at] + bytes([changed]) + whole[at + 1 :])
            assert isinstance(contents, Contents)
