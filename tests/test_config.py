"""Policy files: what they can say, how mistakes are told, where they are looked for, and their digest."""

from __future__ import annotations

import json
import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import hubaudit
from hubaudit.config import DEFAULT_POLICY, Policy, Waiver
from hubaudit.errors import ConfigError
from hubaudit.model import Severity
from hubaudit.policyfile import keys, load_policy, policy_from
from hubaudit.policysearch import find_policy
from hubaudit.pvm.state import DEFAULT_LIMITS

DOCS = Path(__file__).parents[1] / "docs" / "policy.md"
TODAY = date(2026, 6, 1)
SHA256 = "ab" * 32
WAIVER = f"""
[[waivers]]
rule = "dangerous-import"
repo = "org/model"
file = "a.pkl"
sha256 = "{SHA256}"
reason = "read by hand"
owner = "jane"
expires = 2026-12-31
"""


def parsed(text: str) -> Policy:
    return policy_from(tomllib.loads(text), "hubaudit.toml", TODAY)


def refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value


def toml_blocks() -> list[str]:
    text = DOCS.read_text(encoding="utf-8")
    return re.findall(r"^```toml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_an_empty_file_is_the_default_policy() -> None:
    assert parsed("").digest == DEFAULT_POLICY.digest
    assert DEFAULT_POLICY.max_opcodes == DEFAULT_LIMITS.opcodes


def test_every_key_reaches_the_policy() -> None:
    policy = parsed(toml_blocks()[0])
    assert policy.protocols == frozenset({2, 3, 4, 5})
    assert ("my_package.models", "Config") in policy.allowed_globals
    assert ("my_package.models", "Config.Option") in policy.allowed_globals
    assert ("retired_package.*", "*") in policy.denied_globals
    assert policy.denied_formats == frozenset({"pickle"})
    assert policy.publishers == frozenset({"google-bert", "my-organization"})
    assert policy.hub_scan == frozenset({"safe"})
    (waiver,) = policy.waivers
    assert (waiver.repo, waiver.expires) == ("my-organization/model", date(2027, 3, 31))
    changed = parsed('fail-on = "low"\nstrict = true\nmax-archive-depth = 1\nmax-opcodes = 5')
    assert (changed.fail_on, changed.strict) == (Severity.LOW, True)
    assert (changed.max_archive_depth, changed.max_opcodes) == (1, 5)


def test_the_document_explains_every_key_with_its_default() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9.-]+)` \| (.*?) \| (.+) \|$", text, flags=re.MULTILINE)
    assert tuple(key for key, _, _ in rows) == keys()
    stated = {key: default.strip("`") for key, default, _ in rows if default.startswith("`")}
    assert parsed("\n".join(f"{key} = {value}" for key, value in stated.items())).digest == (
        DEFAULT_POLICY.digest
    )
    shown = tomllib.loads(toml_blocks()[0])
    assert shown.keys() == {key.partition(".")[0] for key in keys()}


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('fail_on = "low"', "unknown key fail_on", "did you mean fail-on?"),
        ("[global]\nallow = []", "unknown key global", "did you mean globals?"),
        ("[globals]\nalow = []", "unknown key globals.alow", "did you mean allow?"),
        ('globals-allow = ["a.b"]', "unknown key globals-allow", "did you mean globals.allow?"),
        ('deny = ["pickle"]', "unknown key deny", "did you mean globals.deny?"),
        (f'{WAIVER}expiry = "x"', "unknown key waivers[1].expiry", "did you mean expires?"),
        ('fail-on = "hihg"', "fail-on: 'hihg' is not known, perhaps high", "docs/policy.md"),
        ('fail-on = "HIGH"', "fail-on: 'HIGH' is not known, perhaps high", "docs/policy.md"),
        ('fail-on = "all"', "not known, only critical, high, medium, low", "docs/policy.md"),
        ("fail-on = 1", "fail-on: input should be a valid string", "docs/policy.md"),
        ('[tool.hubaudit]\nfail-on = "low"', "unknown key tool", "is for pyproject.toml"),
        ('strict = "no"', "strict: input should be a valid boolean", "docs/policy.md"),
        ("max-archive-depth = 17", "max-archive-depth: ", "docs/policy.md"),
        ("max-archive-depth = true", "max-archive-depth: ", "docs/policy.md"),
        ("max-opcodes = 0", "max-opcodes: ", "docs/policy.md"),
        ("max-opcodes = 1e6", "max-opcodes: ", "docs/policy.md"),
        ("protocols = [2, 6]", "protocols[2]: ", "docs/policy.md"),
        ("protocols = []", "protocols must not be empty", "leave the key out"),
        ("[publishers]\nallow = []", "publishers.allow must not be empty", "leave the key out"),
        ('[formats]\ndeny = ["pikle"]', "'pikle' is not known, perhaps pickle", "policy.md"),
        ('[hub-scan]\nrequire = ["saef"]', "'saef' is not known, perhaps safe", "policy.md"),
        ('[globals]\nallow = ["name"]', "'name' is no \"module.name\"", "policy.md"),
        ('[globals]\nallow = ["a..b"]', "'a..b' is no \"module.name\"", "policy.md"),
        ('[globals]\nallow = [{module = "a"}]', "globals.allow[1]: write", "policy.md"),
        ('[globals]\nallow = ["a.*"]', "a whole module cannot be allowed", "each name"),
        ('[globals]\nallow = ["a.b"]\ndeny = ["a.b"]', "both allowed and denied", "remove one"),
        (WAIVER.replace(SHA256, "ab"), "waivers[1].sha256 is no sha256", "64 hexadecimal"),
        (WAIVER.replace("2026-12-31", '"soon"'), "waivers[1].expires is no day", "2027-01-31"),
        (WAIVER.replace('"jane"', '" "'), "waivers[1].owner: ", "policy.md"),
        (WAIVER.replace("us-import", "us-inport"), "perhaps dangerous-import", "policy.md"),
        ("waivers = 3", "waivers: input should be a valid list", "policy.md"),
    ],
)
def test_a_mistake_names_the_file_the_key_and_what_was_meant(
    text: str, said: str, hint: str
) -> None:
    error = refused(text)
    assert str(error).startswith("hubaudit.toml: ")
    assert said in str(error)
    assert hint in error.hint


@pytest.mark.parametrize("key", "rule repo file sha256 reason owner expires".split())
def test_a_waiver_needs_every_one_of_its_keys(key: str) -> None:
    without = re.sub(rf"^{key} = .*\n", "", WAIVER, flags=re.MULTILINE)
    assert f"waivers[1].{key} is missing" in str(refused(without))


def test_a_day_may_stand_in_quotation_marks() -> None:
    quoted = parsed(WAIVER.replace("2026-12-31", '"2026-12-31"'))
    assert quoted.waivers == parsed(WAIVER).waivers


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.system", "builtins.eval", "__builtin__.eval", "shutil.os.system"],
)
def test_a_dangerous_name_cannot_be_allowed_under_any_spelling(name: str) -> None:
    error = refused(f'[globals]\nallow = ["{name}"]')
    assert name in str(error)
    assert "[[waivers]]" in error.hint


def test_the_digest_is_of_the_settings_and_not_of_their_spelling() -> None:
    one = parsed('[globals]\ndeny = ["a.b", "c.d"]\n[formats]\ndeny = ["zip", "tar"]')
    other = parsed('formats.deny = ["tar", "zip", "tar"]\n[globals]\ndeny = ["c.d", "a.b"]')
    assert one.digest == other.digest
    assert re.fullmatch(r"[0-9a-f]{64}", one.digest)


def test_every_setting_but_the_day_changes_the_digest() -> None:
    texts = [
        "",
        'fail-on = "low"',
        "strict = true",
        "max-archive-depth = 4",
        "max-opcodes = 7",
        "protocols = [2]",
        '[globals]\nallow = ["a.b"]',
        '[globals]\ndeny = ["a.b"]',
        '[formats]\ndeny = ["zip"]',
        '[publishers]\nallow = ["a"]',
        '[hub-scan]\nrequire = ["safe"]',
        WAIVER,
        WAIVER.replace("jane", "joe"),
    ]
    assert len({parsed(text).digest for text in texts}) == len(texts)
    tomorrow = policy_from(tomllib.loads(WAIVER), "hubaudit.toml", date(2026, 6, 2))
    assert tomorrow.digest == parsed(WAIVER).digest


def test_a_policy_with_waivers_has_to_know_the_day() -> None:
    waiver = Waiver("waiver", "a/b", "c", SHA256, "r", "o", TODAY)
    with pytest.raises(ConfigError):
        Policy(waivers=(waiver,))
    assert Policy(waivers=(waiver,), today=TODAY).waivers == (waiver,)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_load_policy_reads_either_kind_of_file(tmp_path: Path) -> None:
    own = write(tmp_path / "hubaudit.toml", 'fail-on = "low"')
    project = write(tmp_path / "pyproject.toml", '[tool.hubaudit]\nfail-on = "low"')
    assert hubaudit.load_policy(own).digest == hubaudit.load_policy(str(project)).digest
    assert load_policy(write(tmp_path / "w.toml", WAIVER), today=TODAY).today == TODAY


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("hubaudit.toml", b"fail-on", "is no TOML"),
        ("hubaudit.toml", b"\xff", "is no TOML"),
        ("hubaudit.toml", b"a = " + b"[" * 5000, "is no TOML"),
        ("pyproject.toml", b"[tool]\nx = 1", "no table [tool.hubaudit]"),
        ("pyproject.toml", b"tool = 1", "no table [tool.hubaudit]"),
        ("pyproject.toml", b"[tool]\nhubaudit = 1", "tool.hubaudit is no table"),
        ("hubaudit.toml", None, "does not exist"),
    ],
)
def test_a_file_that_is_no_policy_is_an_error_that_names_it(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_policy(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.hint


def test_the_nearest_file_from_here_upwards_holds(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    above = write(tmp_path / "hubaudit.toml", 'fail-on = "low"')
    write(tmp_path / "a" / "pyproject.toml", "[project]\nname = 'x'")
    assert find_policy(deep, ()).path == above
    nearer = write(tmp_path / "a" / "pyproject.toml", "[tool.hubaudit]\nstrict = true")
    assert find_policy(deep, ()).path == nearer
    beside = write(tmp_path / "a" / "hubaudit.toml", "")
    assert find_policy(deep, ()).path == beside


def test_no_file_anywhere_is_no_policy_and_no_error(tmp_path: Path) -> None:
    found = find_policy(tmp_path, ())
    assert (found.path, found.table, found.passed_over) == (None, None, ())


def test_a_file_that_should_hold_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "hubaudit.toml").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError):
        find_policy(tmp_path, ())


@pytest.mark.parametrize("scanned", [".", "..", "sub/.."])
def test_what_is_scanned_does_not_configure_its_scan(tmp_path: Path, scanned: str) -> None:
    clone = tmp_path / "top" / "clone"
    (clone / "sub").mkdir(parents=True)
    write(clone / "hubaudit.toml", 'fail-on = "critical"')
    write(clone / "pyproject.toml", "[tool.hubaudit]")
    own = write(tmp_path / "hubaudit.toml", "")
    found = find_policy(clone, [clone / scanned])
    assert found.path == own
    assert [passed.path.name for passed in found.passed_over] == ["hubaudit.toml", "pyproject.toml"]


def test_a_policy_above_what_is_scanned_holds(tmp_path: Path) -> None:
    own = write(tmp_path / "hubaudit.toml", "")
    model = write(tmp_path / "models" / "x" / "model.pkl", "x")
    assert find_policy(tmp_path, [model.parent]).path == own
    assert find_policy(tmp_path, [model]).path == own


def test_a_link_leads_no_scanned_file_into_the_settings(tmp_path: Path) -> None:
    hostile = write(tmp_path / "scanned" / "evil.toml", 'fail-on = "critical"')
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "hubaudit.toml").symlink_to(hostile)
    assert find_policy(tmp_path / "here", [tmp_path / "scanned"]).path is None
    (tmp_path / "link").symlink_to(tmp_path / "here")
    outside = write(tmp_path / "other.toml", "")
    (tmp_path / "here" / "hubaudit.toml").unlink()
    (tmp_path / "here" / "hubaudit.toml").symlink_to(outside)
    assert find_policy(tmp_path / "here", [tmp_path / "link"]).path is None


def test_a_scanned_project_without_settings_is_passed_over_silently(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[project]\nname = 'x'")
    assert find_policy(tmp_path, [tmp_path]).passed_over == ()


def test_what_came_from_the_hub_is_no_policy(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--model" / "snapshots" / ("0" * 40)
    write(snapshot / "hubaudit.toml", "")
    downloaded = tmp_path / "local"
    write(downloaded / "hubaudit.toml", "")
    write(downloaded / ".cache/huggingface/download/hubaudit.toml.metadata", "x")
    for folder in (snapshot, downloaded):
        found = find_policy(folder, ())
        assert found.path is None
        assert found.passed_over[0].why == "it was downloaded from the Hub"


def cloned(folder: Path, *lines: str) -> Path:
    write(folder / ".git" / "config", "[core]\n\tbare = false\n" + "\n".join(lines))
    return folder


HUB_REMOTES = [
    '[remote "origin"]\n\turl = https://huggingface.co/org/model',
    '[remote "origin"] url = "https://jane:secret@HuggingFace.co/org/model"',
    '[Remote "x"]\n\tfetch = +refs/heads/*\n\tURL=git@hf.co:org/model\n',
    '[remote "origin"]\nurl = https://github.com/a/b\n[remote "up"]\nurl = ssh://git@hf.co/org/model',
    "[remote.origin]\nurl = https://hugging\\\nface.co/org/model",
    '[remote "origin"]\n\tpushurl = https://hub.example.org:8443/org/model',
]


@pytest.mark.parametrize("remote", HUB_REMOTES)
@pytest.mark.parametrize("scanned", ["model.bin", "sub", "../elsewhere", None])
def test_a_clone_of_the_hub_is_asked_for_no_policy(
    remote: str, scanned: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example.org:8443")
    clone = cloned(tmp_path / "clone", remote)
    write(clone / "hubaudit.toml", "")
    write(clone / "sub" / "hubaudit.toml", "")
    write(clone / "model.bin", "x")
    for start in (clone, clone / "sub"):
        found = find_policy(start, [] if scanned is None else [clone / scanned])
        assert found.path is None
        assert found.passed_over


PROJECT_REMOTES = [
    "",
    '[remote "origin"]\n\turl = https://github.com/org/huggingface.co',
    '[remote "origin"]\n\turl = git@gitlab.example.org:hf.co/project.git',
    '[remote "origin"]\n\turl = https://nothf.co/org/project',
    '[submodule "models/a"]\n\turl = https://huggingface.co/org/model',
    '[credential "https://huggingface.co"]\n\tusername = jane',
    '[remote "origin"]\n\turl = ../project.git\n\turl = https://[broken',
]


@pytest.mark.parametrize("remote", PROJECT_REMOTES)
def test_the_policy_of_a_project_in_git_holds_for_what_is_in_it(
    remote: str, tmp_path: Path
) -> None:
    project = cloned(tmp_path / "project", remote)
    own = write(project / "hubaudit.toml", "")
    model = write(project / "model.pkl", "x")
    deep = write(project / "models" / "a" / "model.safetensors", "x")
    for scanned in (model, deep, deep.parent, project / "models"):
        assert find_policy(project, [scanned]).path == own
        assert find_policy(project / "models", [scanned]).path == own


def test_a_submodule_or_added_work_tree_has_its_remotes_elsewhere(tmp_path: Path) -> None:
    project = cloned(tmp_path / "project", '[submodule "m"]\nurl = https://hf.co/org/model')
    own = write(project / "hubaudit.toml", "")
    write(project / ".git/modules/m/config", HUB_REMOTES[0])
    for name, gitdir in (("m", "../.git/modules/m"), ("w", str(project / ".git/worktrees/w"))):
        write(project / name / ".git", f"gitdir: {gitdir}\n")
        write(project / name / "hubaudit.toml", "")
    write(project / ".git/worktrees/w/commondir", "../../modules/m\n")
    for name in ("m", "w"):
        found = find_policy(project / name, [project / name / "x.bin"])
        assert found.path == own
        assert "is a git clone of a repository on the Hub" in found.passed_over[0].why


@pytest.mark.parametrize("name", ["model.bin", "link.bin"])
def test_a_policy_beside_a_scanned_file_holds_in_a_project_only(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    write(folder / "hubaudit.toml", "")
    write(folder / "model.bin", "x")
    (folder / "link.bin").symlink_to(write(tmp_path / "blobs" / "x", "x"))
    found = find_policy(folder, [folder / name])
    assert (found.path, found.passed_over[0].why) == (None, "it lies beside what is scanned")
    cloned(folder)
    assert find_policy(folder, [folder / name]).path == folder / "hubaudit.toml"


@pytest.mark.parametrize("sign", [".gitattributes", "config.json", "a.safetensors", "a.ckpt"])
def test_a_policy_in_an_unpacked_repository_does_not_hold_for_a_part_of_it(
    sign: str, tmp_path: Path
) -> None:
    folder = tmp_path / "unpacked"
    own = write(folder / "hubaudit.toml", "")
    part = write(folder / "unet" / "x.bin", "x").parent
    assert find_policy(folder, [part]).path == own
    write(folder / sign, "x")
    assert "looks like a model's repository" in find_policy(folder, [part]).passed_over[0].why
    assert find_policy(part, [part / "x.bin"]).path is None
    assert find_policy(folder, [tmp_path / "another"]).path == own


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_a_policy_that_somebody_else_planted_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "hubaudit.toml", "")
    tmp_path.chmod(0o777)
    assert find_policy(tmp_path, ()).path is not None
    real = Path.lstat

    def foreign(path: Path) -> Any:
        found = list(real(path))
        found[4] = os.geteuid() + 1
        return os.stat_result(found)

    monkeypatch.setattr(Path, "lstat", foreign)
    assert find_policy(tmp_path, ()).path is None
    tmp_path.chmod(0o755)
    assert find_policy(tmp_path, ()).path is not None


def test_the_digest_is_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    policy = Policy(fail_on=Severity.LOW)
    report = hubaudit.scan(tmp_path, policy=policy).to_dict()
    assert report["tool"]["policy"] == policy.digest
    assert json.dumps(hubaudit.scan(tmp_path).to_dict()["tool"]).count(DEFAULT_POLICY.digest) == 1
