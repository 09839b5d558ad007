"""What libraries really wrote, scanned as a user would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hubaudit

REAL = Path(__file__).parent / "fixtures" / "real"
INDEX: dict[str, dict[str, Any]] = json.loads((REAL / "index.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", INDEX)
def test_a_file_that_a_library_wrote_has_the_verdict_that_it_deserves(path: str) -> None:
    report = hubaudit.scan(REAL / path)
    found = [(finding.rule, finding.evidence or finding.message) for finding in report.findings]
    assert report.verdict == INDEX[path]["expected"], (found, report.unread)
    assert not report.unread
