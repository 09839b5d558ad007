"""Constants of other modules of the same project are followed, and nothing of them is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubaudit.pins import State
from hubaudit.pins.files import search

SHA = "0123456789abcdef0123456789abcdef01234567"
HEAD = "from transformers import AutoModel\n"


def told(folder: Path, name: str, code: str) -> list[tuple[str | None, str]]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + code, encoding="utf-8")
    [found] = search([path])
    assert not found.found.unparsed
    return [(one.repo_id, str(one.state.value)) for one in found.found.references]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "src" / "package"
    (package / "deep").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("")
    (package / "__init__.py").write_text("NAME = 'org/of-package'\n")
    (package / "constants.py").write_text(
        f"from . import NAME\nMODEL = 'org/m'\nREVISION = '{SHA}'\n"
        "class Models:\n    BASE = 'org/base'\n"
        "TABLE = {'model': 'org/in-table'}\nAGAIN = NAME\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("code", "repo"),
    [
        ("from package.constants import MODEL\nAutoModel.from_pretrained(MODEL)", "org/m"),
        ("from package.constants import MODEL as M\nAutoModel.from_pretrained(M)", "org/m"),
        ("import package.constants\nAutoModel.from_pretrained(package.constants.MODEL)", "org/m"),
        ("import package.constants as c\nAutoModel.from_pretrained(c.MODEL)", "org/m"),
        ("from package import constants\nAutoModel.from_pretrained(constants.MODEL)", "org/m"),
        (
            "from package.constants import Models\nAutoModel.from_pretrained(Models.BASE)",
            "org/base",
        ),
        (
            "from package.constants import TABLE\nAutoModel.from_pretrained(TABLE['model'])",
            "org/in-table",
        ),
        ("from package.constants import AGAIN\nAutoModel.from_pretrained(AGAIN)", "org/of-package"),
    ],
)
def test_a_constant_of_another_module_is_followed(project: Path, code: str, repo: str) -> None:
    assert told(project, "scripts/train.py", code) == [(repo, "unpinned")]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("src/package/train.py", "from .constants import MODEL, REVISION"),
        ("src/package/train.py", "from package.constants import MODEL, REVISION"),
        ("src/package/deep/train.py", "from ..constants import MODEL, REVISION"),
    ],
)
def test_imports_are_relative_to_the_file(project: Path, name: str, line: str) -> None:
    code = f"{line}\nAutoModel.from_pretrained(MODEL, revision=REVISION)"
    assert told(project, name, code) == [("org/m", State.PINNED.value)]


def test_what_is_not_there_or_no_constant_stays_unknown(project: Path) -> None:
    (project / "broken.py").write_text("MODEL = (")
    (project / "circle.py").write_text("from other import MODEL\n")
    (project / "other.py").write_text("from circle import MODEL\n")
    (project / "made.py").write_text("import os\nMODEL = os.listdir()[0]\n")
    for module in ("broken", "circle", "made", "nowhere", "..far.away"):
        code = f"from {module} import MODEL\nAutoModel.from_pretrained(MODEL)"
        assert told(project, "train.py", code) == [(None, State.UNKNOWN.value)]


def test_a_module_that_is_read_is_not_run(project: Path) -> None:
    mark = project / "was-run"
    (project / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nMODEL = 'org/m'\n")
    code = "from evil import MODEL\nAutoModel.from_pretrained(MODEL)"
    assert told(project, "train.py", code) == [("org/m", State.UNPINNED.value)]
    assert not mark.exists()


def test_a_notebook_sees_the_modules_beside_it(project: Path) -> None:
    (project / "constants.py").write_text("MODEL = 'org/m'\n")
    cell = ["from constants import MODEL\\n", HEAD[:-1] + "\\n", "AutoModel.from_pretrained(MODEL)"]
    source = ", ".join(f'"{line}"' for line in cell)
    (project / "n.ipynb").write_text(
        f'{{"cells": [{{"cell_type": "code", "source": [{source}]}}], "nbformat": 4}}'
    )
    [found] = search([project / "n.ipynb"])
    assert [one.repo_id for one in found.found.references] == ["org/m"]
