"""`hubaudit pins`: the files it finds, what it says, what it asks the Hub, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubaudit.demo.hub import HubRepo, StandInHub

ROOT = Path(__file__).parents[2]
SHA = "0123456789abcdef0123456789abcdef01234567"
UNPINNED = "hf_hub_download('org/m', 'x')\n"

REPOS = [
    HubRepo("org/m", {"config.json": b"{}"}),
    HubRepo("org/d", {"rows.csv": b"a"}, repo_type="dataset"),
    HubRepo("sentence-transformers/small", {"config.json": b"{}"}),
]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def hub() -> Iterator[StandInHub]:
    with StandInHub(REPOS) as hub:
        yield hub


@pytest.fixture
def run(tmp_path: Path, hub: StandInHub) -> Run:
    (tmp_path / "home").mkdir()
    (tmp_path / "code").mkdir()

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hubaudit", "pins", *arguments],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
            cwd=tmp_path / "code",
            env=hub.env(tmp_path / "home") | {"PYTHONPATH": str(ROOT)} | env,
        )

    return run


@pytest.fixture
def code(tmp_path: Path, run: Run) -> Path:
    return tmp_path / "code"


def commit(repo_id: str) -> str:
    return next(repo.sha for repo in REPOS if repo.repo_id == repo_id)


def test_all_pinned_ends_with_0(run: Run, code: Path) -> None:
    (code / "a.py").write_text(f"hf_hub_download('org/m', 'x', revision='{SHA}')\n")
    done = run(".")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 reference to the Hub in 1 file, 1 pinned\n"


def test_one_that_is_not_ends_with_1_and_is_told_with_its_place(run: Run, code: Path) -> None:
    (code / "a.py").write_text(f"\nx = {UNPINNED}")
    done = run("a.py")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "a.py:2:5: not pinned: hf_hub_download loads org/m: no revision: it follows the branch main"
    )


def test_broken_syntax_ends_with_3_and_costs_nothing_else(run: Run, code: Path) -> None:
    (code / "a.py").write_text("def f(:\n")
    (code / "b.yaml").write_text("a: [")
    (code / "c.py").write_bytes(b"# coding: utf-8\n'\xff'\n")
    done = run(".")
    assert done.returncode == 3
    assert done.stdout.count("not read") == 4
    (code / "z.py").write_text(UNPINNED)
    worse = run(".")
    assert worse.returncode == 1
    assert "z.py:1:1: not pinned" in worse.stdout
    assert worse.stdout.count("not read") == 4


def test_what_is_not_there_ends_with_2(run: Run) -> None:
    done = run("nothing.py")
    assert done.returncode == 2
    assert "nothing.py is not there" in done.stderr


def test_only_files_that_people_write_are_looked_for(run: Run, code: Path) -> None:
    for folder in (".git", "node_modules", "env/lib", "sub/__pycache__", "sub/deep"):
        (code / folder).mkdir(parents=True)
        (code / folder / "a.py").write_text(UNPINNED)
    (code / "env" / "pyvenv.cfg").touch()
    (code / "notes.txt").write_text(UNPINNED)
    (code / "script").write_text(f"#!/usr/bin/env python3\n{UNPINNED}")
    done = run(".")
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:-1]] == ["sub/deep/a.py"]
    assert run("script").returncode == 1
    assert run("notes.txt").returncode == 0
    assert "there is no Python" in run("notes.txt").stderr


def test_a_folder_of_that_name_is_no_repository(run: Run, code: Path) -> None:
    (code / "src" / "org" / "m").mkdir(parents=True)
    (code / "src" / "a.py").write_text("AutoModel.from_pretrained('org/m')\n")
    assert run("src").returncode == 0


def test_nothing_of_the_code_is_run(run: Run, code: Path) -> None:
    (code / "a.py").write_text(f"open('ran', 'w').close()\nraise SystemExit(7)\n{UNPINNED}")
    (code / "b.yaml").write_text("!!python/object/apply:os.mkdir [ran]\n")
    assert run(".").returncode == 1
    assert not (code / "ran").exists()


def test_resolve_gives_the_hash_to_paste(run: Run, code: Path, hub: StandInHub) -> None:
    (code / "a.py").write_text(UNPINNED)
    (code / "b.yaml").write_text("dataset_name: org/d\n")
    (code / "c.json").write_text('{"repo_id": "org/m", "revision": "main"}')
    (code / "d.toml").write_text('repo_id = "org/m"\n')
    (code / "e.py").write_text("open('hf://datasets/org/d/x')\nSentenceTransformer('small')\n")
    done = run("--resolve", ".")
    assert done.returncode == 1, done.stderr
    model, dataset = commit("org/m"), commit("org/d")
    pasted = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]
    assert pasted == [
        f'revision="{model}"',
        f"dataset_revision: {dataset}",
        f'"revision": "{model}"',
        f'revision = "{model}"',
        f"org/d@{dataset}",
        f'revision="{commit("sentence-transformers/small")}"',
    ]


def test_resolve_asks_nothing_where_all_is_pinned(run: Run, code: Path, hub: StandInHub) -> None:
    (code / "a.py").write_text(f"hf_hub_download('org/m', 'x', revision='{SHA}')\n")
    before = len(hub.requests)
    assert run("--resolve", ".").returncode == 0
    assert len(hub.requests) == before


def test_what_the_hub_does_not_say_ends_with_2(run: Run, code: Path, hub: StandInHub) -> None:
    (code / "a.py").write_text(f"hf_hub_download('org/none', 'x')\n{UNPINNED}")
    done = run("--resolve", ".")
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "org/none" in done.stderr
    assert commit("org/m") in done.stdout
    offline = run("--resolve", ".", HF_HUB_OFFLINE="1")
    assert offline.returncode == 2
    assert "a.py:2:1: not pinned" in offline.stdout


def test_a_pinned_revision_can_be_pasted_and_then_passes(run: Run, code: Path) -> None:
    (code / "a.yaml").write_text("model_id: org/m\n")
    pasted = run("--resolve", ".").stdout.splitlines()[1].strip()
    (code / "a.yaml").write_text(f"model_id: org/m\n{pasted}\n")
    assert run(".").returncode == 0


def test_json_has_every_reference(run: Run, code: Path, hub: StandInHub) -> None:
    (code / "a.py").write_text(
        f"{UNPINNED}hf_hub_download(x, 'y')\n"
        "hf_hub_download('org/m', 'z')  # hubaudit: ignore[pin] a test\n"
    )
    (code / "b.json").write_text("{")
    done = run("-f", "json", "--resolve", ".")
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["schema"] == "hubaudit.pins/1"
    assert document["counts"] == {"pinned": 0, "unpinned": 1, "unknown": 1, "ignored": 1}
    first, second, third = document["references"]
    assert (first["path"], first["line"], first["column"]) == ("a.py", 1, 1)
    assert first["commit_hash"] == commit("org/m")
    assert second["repo_id"] is None
    assert third["reason"] == "a test"
    assert document["unread"][0]["path"] == "b.json"


def test_what_cannot_be_told_fails_only_with_strict(run: Run, code: Path) -> None:
    (code / "a.py").write_text("def load(name):\n    return M.from_pretrained(name)\n")
    plain, strict, verbose = run("."), run("--strict", "."), run("-v", ".")
    assert (plain.returncode, strict.returncode, verbose.returncode) == (0, 1, 0)
    assert "cannot be told" in plain.stdout
    assert "a.py:2:14: cannot be told" in strict.stdout
    assert "a.py:2:14: cannot be told" in verbose.stdout


def test_text_of_the_code_is_shown_harmless(run: Run, code: Path) -> None:
    (code / "a\x1b[31m.py").write_text(
        "hf_hub_download('org/m', 'x', revision='\\x1b[2J\\n::error::')\n"
    )
    done = run(".")
    assert "\x1b" not in done.stdout
    assert len(done.stdout.splitlines()) == 2


HOSTILE = "hf_hub_download('org/m', 'x', revision='\x9b31m\u202e##[error]\x7f%0A::error::x')\n"


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_no_text_of_the_code_is_a_command_or_an_escape(form: str, run: Run, code: Path) -> None:
    (code / "::error file=x::y.py").write_text(UNPINNED)
    (code / "a\x1b[2J\u202e.py").write_text(UNPINNED)
    (code / "b.py").write_text(HOSTILE)
    out = run(".", "-v", "-f", form).stdout
    assert "31m" in out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
    assert "##[" not in out
    ours = re.compile(r"::(error file=[^:,]*,line=1,col=1,|notice )title=[^:,]*::[^\r\n]*")
    lines = [line for line in out.splitlines() if line.lstrip().startswith("::")]
    assert all(map(ours.fullmatch, lines))
    assert len(lines) == (4 if form == "github" else 0)


def test_annotations_stand_at_the_reference_and_say_what_to_paste(run: Run, code: Path) -> None:
    (code / "a.py").write_text(f"\n  \nx = {UNPINNED}")
    done = run("a.py", "--resolve", "-f", "github")
    assert done.returncode == 1
    where = "::error file=a.py,line=3,col=5,title=not pinned::hf_hub_download loads org/m: "
    why = f'no revision: it follows the branch main; write revision="{commit("org/m")}"'
    assert done.stdout.splitlines() == [
        where + why,
        "::notice title=hubaudit pins::1 reference to the Hub in 1 file, 1 not pinned",
    ]
