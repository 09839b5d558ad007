"""`hubaudit rules` and `hubaudit explain`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hubaudit.demo.assemble import assemble
from hubaudit.demo.checkpoints import floats, state_dict, torch_zip
from hubaudit.demo.hub import StandInHub
from hubaudit.demo.repos import demo_repos
from hubaudit.rules import RULES, pages
from tests.cli.conftest import ROOT, Ran, python
from tests.formats.containers import zipped

SYSTEM = assemble(("GLOBAL", "os", "system"), ("BINUNICODE", "true"), "TUPLE1", "REDUCE", "STOP")


def test_the_list_has_every_rule_with_its_worst_severity(run: Callable[..., Ran]) -> None:
    ran = run("rules")
    assert (ran.code, ran.err) == (0, "")
    starts = [tuple(line.split()[:2]) for line in ran.out.splitlines() if line[:1].isalpha()]
    assert starts[0] == ("RULE", "WORST")
    assert starts[1:-1] == [(rule.id, rule.worst.value) for rule in RULES]
    assert max(map(len, ran.out.splitlines())) <= 80


def test_the_list_as_json_is_one_array(run: Callable[..., Ran]) -> None:
    ran = run("rules", "--format", "json")
    listed = json.loads(ran.out)
    assert [(row["rule"], row["worst"]) for row in listed] == [(r.id, r.worst) for r in RULES]
    assert all(row["summary"] and row["advice"] and row["references"] for row in listed)


@pytest.mark.parametrize("name", [*(rule.id for rule in RULES), pages.INCIDENT])
def test_a_rule_is_explained_by_its_page(name: str, run: Callable[..., Ran]) -> None:
    ran = run("explain", name)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(pages.page(name) or "")
    assert ("### References" in ran.out) == (name != pages.INCIDENT)


@pytest.mark.parametrize("name", [RULES[0].id, pages.INCIDENT])
def test_a_rule_is_explained_as_json_where_that_is_asked_for(
    name: str, run: Callable[..., Ran]
) -> None:
    (listed,) = [r for r in json.loads(run("rules", "-f", "json").out) if r["rule"] == name] or [{}]
    said = json.loads(run("explain", name, "-f", "json").out)
    assert said == {"topic": name, **listed, "page": run("explain", name).out}
    assert run("explain", "xyzzy", "-f", "json").code == 2


def test_after_a_dangerous_load_the_credentials_come_before_the_forensics(
    run: Callable[..., Ran],
) -> None:
    said = run("explain", "incident").out
    for word in ("HF_TOKEN", "~/.aws", "~/.ssh", "isolation", "without network"):
        assert word in said
    assert said.index("### Replace every credential") < said.index("### What to look at")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("dangrous-import", "perhaps: hubaudit explain dangerous-import"),
        ("incidents", "perhaps: hubaudit explain incident"),
        ("xyzzy", "see hubaudit rules"),
        ("org/model", "for the pickles in a file: hubaudit explain org/model::FILE"),
        ("../names/torch", "for the pickles in a file: hubaudit explain ../names/torch::FILE"),
        ("a/$(x)", "for the pickles in a file: hubaudit explain 'a/$(x)'::FILE"),
    ],
)
def test_what_is_no_rule_is_a_usage_error(typed: str, hint: str, run: Callable[..., Ran]) -> None:
    ran = run("explain", typed)
    assert ran == Ran(2, "", f"error: there is no rule {typed}\nhint: {hint}\n")


def test_the_list_survives_a_reader_who_goes_away() -> None:
    ran = python(
        "-c", "import os, sys; os.close(1); from hubaudit.__main__ import main; main(['rules'])"
    )
    assert "Traceback" not in ran.stderr


@pytest.fixture
def folder(here: Path) -> Path:
    """A folder as a user has it, with the working directory above."""
    folder = here / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/evil.pkl").write_bytes(SYSTEM)
    (folder / "pytorch_model.bin").write_bytes(torch_zip(state_dict({"w": floats((2,), 1)})))
    (folder / "two.zip").write_bytes(
        zipped({"a/x.pkl": SYSTEM, "b/y.pkl": assemble("NONE", "STOP")})
    )
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    "topic",
    [
        "model::sub/evil.pkl",
        "./model::sub/evil.pkl",
        "model/sub::evil.pkl",
        "model/sub/evil.pkl::evil.pkl",
        "model/sub/evil.pkl::",
    ],
)
def test_a_local_pickle_is_printed_and_the_exit_code_decides_nothing(
    topic: str, folder: Path, run: Callable[..., Ran]
) -> None:
    assert folder.exists()
    ran = run("explain", topic)
    assert (ran.code, ran.err) == (0, "")
    assert "from os import system                        # DANGEROUS: " in ran.out
    assert "_0 = os.system('true')                       # byte " in ran.out
    assert "\x1b" not in ran.out


def test_without_a_member_every_pickle_of_the_file_is_printed(
    folder: Path, run: Callable[..., Ran]
) -> None:
    assert folder.exists()
    out = run("explain", "model::two.zip").out
    assert out.index("# a/x.pkl — protocol 0, ") < out.index("# b/y.pkl — protocol 0, ")
    only = run("explain", "model::two.zip::b/y.pkl").out
    assert "# b/y.pkl" in only
    assert "os" not in only.replace("model::two.zip", "")


def test_a_file_without_pickles_says_so(folder: Path, run: Callable[..., Ran]) -> None:
    assert folder.exists()
    ran = run("explain", "model::config.json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "# model on this machine › config.json — text, 0 pickles\n"


@pytest.mark.parametrize(
    ("topic", "error", "hint"),
    [
        ("model::pytorch_model.bim", "there is no file pytorch_model.bim", "pytorch_model.bin"),
        ("model::evil.pkl", "there is no file evil.pkl", "sub/evil.pkl"),
        ("model::", "no file is named", "pytorch_model.bin"),
        ("model::two.zip::a/z.pkl", "there is no pickle a/z.pkl in two.zip", "a/x.pkl"),
        ("model/two.zip::c.pkl", "there is no pickle c.pkl in two.zip", "a/x.pkl"),
        ("./nowhere::a", "nowhere does not exist", "check the path"),
        ("model::../model/two.zip", "there is no file ../model/two.zip", "two.zip"),
    ],
)
def test_a_wrong_file_or_member_is_a_usage_error_with_the_nearest_names(
    topic: str, error: str, hint: str, folder: Path, run: Callable[..., Ran]
) -> None:
    assert folder.exists()
    ran = run("explain", topic)
    assert (ran.code, ran.out) == (2, "")
    said, hinted = ran.err.splitlines()
    assert said == f"error: {error}"
    assert hint in hinted


def test_a_file_may_have_the_separator_in_its_name(folder: Path, run: Callable[..., Ran]) -> None:
    (folder / "a::b.zip").write_bytes((folder / "two.zip").read_bytes())
    assert "os.system('true')" in run("explain", "model::a::b.zip::a/x.pkl").out


def test_the_json_form_is_one_object(folder: Path, run: Callable[..., Ran]) -> None:
    assert folder.exists()
    said = json.loads(run("explain", "-f", "json", "model::two.zip").out)
    assert said["schema"] == "hubaudit.explain/1"
    assert [pickle["member"] for pickle in said["pickles"]] == ["a/x.pkl", "b/y.pkl"]


def test_a_long_program_is_cut_unless_all_of_it_is_asked_for(
    here: Path, run: Callable[..., Ran]
) -> None:
    call = assemble(("GLOBAL", "collections", "OrderedDict"), "EMPTY_TUPLE", "REDUCE", "POP")
    (here / "long.pkl").write_bytes(call * 3000 + SYSTEM)
    cut = run("explain", "long.pkl::").out
    assert len(cut.splitlines()) < 250
    assert "\n# … 2,801 more\n" in cut
    assert "os.system('true')" in cut
    everything = run("explain", "--all", "long.pkl::").out
    assert len(everything.splitlines()) > 3000
    assert "more" not in everything


def test_the_policy_decides_on_names_here_as_well(here: Path, run: Callable[..., Ran]) -> None:
    (here / "a.pkl").write_bytes(assemble(("GLOBAL", "own", "thing"), "STOP"))
    (here / "own.toml").write_text('[globals]\nallow = ["own.thing"]\n')
    assert "# unlisted: not in the catalogue" in run("explain", "a.pkl::").out
    assert "# inert: " in run("explain", "--config", "own.toml", "a.pkl::").out


def test_a_pickle_on_the_hub_is_pinned_and_printed(tmp_path: Path) -> None:
    with StandInHub([demo.repo for demo in demo_repos()]) as hub:

        def types(*arguments: str) -> subprocess.CompletedProcess[str]:
            return python("-m", "hubaudit", *arguments, cwd=tmp_path, env=hub.env(tmp_path))

        ran = types("explain", "demo/os-system::pytorch_model.bin")
        assert ran.returncode == 0
        assert "os.system('true')" in ran.stdout
        assert ran.stdout.startswith("# demo/os-system at ")
        wrong = types("explain", "demo/os-system::pytorch_model.bim::x")
        assert wrong.returncode == 2
        assert "perhaps: pytorch_model.bin" in wrong.stderr
        missing = types("explain", "demo/nothing-here::a.bin")
        assert missing.returncode == 2
        assert "Traceback" not in missing.stderr
    assert not list(tmp_path.rglob("reports"))


def _long(folder: Path) -> subprocess.Popen[bytes]:
    call = assemble(("GLOBAL", "own", "f"), "EMPTY_TUPLE", "REDUCE", "POP")
    (folder / "long.pkl").write_bytes(call * 200_000 + assemble("NONE", "STOP"))
    return subprocess.Popen(
        [sys.executable, "-m", "hubaudit", "explain", "--all", "long.pkl::"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_reader_who_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    with _long(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"# long.pkl")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


def test_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with _long(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert errors == b"interrupted\n"
        assert process.returncode == 130
