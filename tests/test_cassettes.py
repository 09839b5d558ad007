"""The recorded audits in `cassettes/hub/` are repeated without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubaudit.demo.repos import demo_repos
from tests.make_cassettes import FOLDER, RECORDED

EXPECTED = {" ".join(sample.command): sample.exit_code for sample in demo_repos()}
CASSETTES = sorted(path for path in FOLDER.iterdir() if path.is_dir())


def target_of(cassette: Path) -> str:
    return cassette.name.replace("--", "/")


def replay(cassette: Path, home: Path) -> subprocess.CompletedProcess[str]:
    target = target_of(cassette)
    nowhere = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(home),
        "HUBAUDIT_CACHE": str(home),
    }
    return subprocess.run(
        [sys.executable, "-m", "hubaudit", target, "--replay", str(cassette), "--format", "json"],
        env=os.environ | nowhere,
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_there_is_a_cassette_for_every_target_that_the_script_records() -> None:
    assert {target_of(cassette) for cassette in CASSETTES} >= set(RECORDED)


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda path: path.name)
def test_a_cassette_repeats_its_audit(cassette: Path, tmp_path: Path) -> None:
    done = replay(cassette, tmp_path)
    target = target_of(cassette)
    report = json.loads(done.stdout)
    assert report["files"], done.stderr
    if target in EXPECTED:
        assert done.returncode == EXPECTED[target]
    assert done.stdout == replay(cassette, tmp_path).stdout


@pytest.mark.parametrize("cassette", CASSETTES, ids=lambda path: path.name)
def test_a_cassette_holds_no_request_header(cassette: Path) -> None:
    for path in cassette.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".jsonl"}:
            text = path.read_text(encoding="utf-8").lower()
            assert "authorization" not in text.replace("authorization required", "")
            assert "bearer hf_" not in text
            assert "user-agent" not in text
