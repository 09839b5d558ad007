"""An index against the tensors of its shards: each is where it says, and it says of each where it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hubaudit.config import DEFAULT_POLICY
from hubaudit.loadpath.shards import check_places, placed
from hubaudit.model import Severity, Verdict
from hubaudit.pipeline import scan

ONE, TWO = "m/model-00001-of-00002.safetensors", "m/model-00002-of-00002.safetensors"
INDEX = "m/model.safetensors.index.json"
HELD = {ONE: ("a", "b"), TWO: ("c",)}
SHARDS = Path(__file__).parents[1] / "fixtures" / "siblings" / "shards"


def index(**weight_map: object) -> dict[str, bytes]:
    return {INDEX: json.dumps({"weight_map": weight_map}).encode()}


def complaints(documents: dict[str, bytes]) -> list[str]:
    problems = check_places(placed(documents), HELD)
    assert {(one.path, one.kind) for one in problems} <= {(INDEX, "index")}
    return [one.message for one in problems]


FIRST, SECOND = ONE.removeprefix("m/"), TWO.removeprefix("m/")


def test_an_index_that_says_where_each_tensor_is_has_no_problem() -> None:
    assert complaints(index(a=FIRST, b=FIRST, c=SECOND)) == []


def test_a_tensor_that_its_shard_lacks_is_a_problem() -> None:
    (said,) = complaints(index(a=FIRST, b=FIRST, c=SECOND, ghost=SECOND))
    assert "ghost" in said
    assert "lacks it" in said


def test_a_tensor_in_another_shard_is_a_problem_that_says_where_it_is() -> None:
    (said,) = complaints(index(a=FIRST, b=SECOND, c=SECOND))
    assert said.index("00002-of") < said.index("lacks it") < said.index("00001-of")


def test_a_tensor_that_the_index_leaves_out_is_a_problem() -> None:
    (said,) = complaints(index(a=FIRST, c=SECOND))
    assert said.startswith("it leaves out")


def test_of_shards_whose_tensors_are_not_known_nothing_is_said() -> None:
    assert complaints(index(a=FIRST, b=FIRST, x="other.safetensors")) == []


def test_an_index_with_very_many_problems_is_told_in_few() -> None:
    said = complaints(index(a=FIRST, b=FIRST, c=SECOND, **{f"x{n}": FIRST for n in range(50_000)}))
    assert len(said) < 30


@pytest.mark.parametrize("document", [b"", b"[]", b'{"weight_map": 1}', b"[" * 100_000, b"\xff"])
def test_an_index_that_makes_no_sense_places_nothing(document: bytes) -> None:
    assert placed({INDEX: document}) == {INDEX: {}}


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_scan_finds_an_index_that_lies_about_its_shards(
    name: str, alone: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(SHARDS, folder)
    other = "*.bin*" if "safetensors" in name else "*.safetensors*"
    for path in folder.glob(other) if alone else ():
        path.unlink()
    report = scan(folder, policy=DEFAULT_POLICY)
    assert "index-inconsistent" not in {one.rule for one in report.findings}
    path = folder / name
    fields = json.loads(path.read_text())
    shard = next(iter(fields["weight_map"].values()))
    fields["weight_map"]["ghost.weight"] = shard
    path.write_text(json.dumps(fields))
    report = scan(folder, policy=DEFAULT_POLICY)
    (found,) = [one for one in report.findings if one.rule == "index-inconsistent"]
    assert (found.path, found.severity) == (name, Severity.MEDIUM)
    assert "ghost.weight" in found.message
    assert report.verdict is Verdict.REVIEW
