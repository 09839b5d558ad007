"""Code in notebooks: one module of all cells, told by its place in the file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubaudit.pins import FINDERS, Found, Place


def find(*cells: str | list[str], indent: int | None = 1) -> tuple[Found, str]:
    document: dict[str, Any] = {
        "cells": [{"cell_type": "code", "source": cell, "outputs": []} for cell in cells],
        "nbformat": 4,
    }
    text = json.dumps(document, indent=indent)
    return FINDERS[".ipynb"](text, lambda _: False), text


def at(text: str, place: Place) -> str:
    return text.split("\n")[place.line - 1][place.column - 1 :]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("listed", [True, False])
def test_a_name_from_one_cell_counts_in_the_next(indent: int | None, listed: bool) -> None:
    cells = ["x = 1\nm = 'org/m'\n", 'print("é\\t")\n(1, AutoModel.from_pretrained(m))\n']
    shaped = [cell.splitlines(keepends=True) if listed else cell for cell in cells]
    found, text = find(*shaped, indent=indent)
    (reference,) = found.references
    assert reference.repo_id == "org/m"
    assert reference.place.cell == 2
    assert not found.unparsed
    if listed:
        assert at(text, reference.place).startswith("from_pretrained(m)")


def test_magic_is_passed_over() -> None:
    code = "%%time\n%matplotlib inline\n!pip install x\nfiles = !ls\nx?\n  \nhf_hub_download('org/m', 'x')\n"
    found, _ = find(code, "%%bash\nls (\n", "%%html\n<a>\n", "if x:\n    !ls\n")
    assert [one.repo_id for one in found.references] == ["org/m"]
    assert not found.unparsed


def test_a_cell_that_cannot_be_parsed_costs_only_itself() -> None:
    found, text = find("def f(:\n", "hf_hub_download('org/m', 'x')\n")
    assert [one.repo_id for one in found.references] == ["org/m"]
    (unparsed,) = found.unparsed
    assert unparsed.place.cell == 1
    assert at(text, unparsed.place).startswith(":")


def test_a_comment_in_a_cell_lets_a_reference_pass() -> None:
    found, _ = find("hf_hub_download('org/m', 'x')  # hubaudit: ignore[pin] a demo\n")
    assert [one.state.value for one in found.references] == ["ignored"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 1}', '{"worksheets": []}'])
def test_what_is_no_notebook_is_said(text: str) -> None:
    found = FINDERS[".ipynb"](text, lambda _: False)
    assert len(found.unparsed) == 1
    assert "not a notebook" in found.unparsed[0].why


def test_cells_of_other_kinds_and_shapes_are_passed_over() -> None:
    cells = [{"cell_type": "markdown", "source": "def ("}, {"cell_type": "code"}, 1, None]
    found = FINDERS[".ipynb"](json.dumps({"cells": cells}), lambda _: False)
    assert found == Found()
