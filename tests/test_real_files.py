"""What libraries really wrote, scanned as a user would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hubaudit

REAL = Path(__file__).parent / "fixtures" / "real"
INDEX: dict[str, dict[str, Any]] = json.loads((REAL / "index.json").read_text(encoding="utf-8"))

NOT_YET = {
    # Several archives of torch one after another: a loader reads each at the offset in `.metadata`.
    "torch-distributed/dcp_model/__0_0.distcp": "archives one after another are read as one",
    "torch-distributed/dcp_optimizer/__0_0.distcp": "archives one after another are read as one",
    # joblib 1.6 writes arrays of objects by protocol 5: a GET of the array's own memo is, in the memo
    # that `pickle.load` would use, another object.
    "pipelines-1.9/bins.joblib": "what only pickle.load would do is judged like joblib.load",
    "pipelines-1.9/bins_zlib.joblib": "what only pickle.load would do is judged like joblib.load",
    "pipelines-1.9/frame.joblib": "what only pickle.load would do is judged like joblib.load",
    "pipelines-1.9/frame_zlib.joblib": "what only pickle.load would do is judged like joblib.load",
    "pipelines-1.9/names.joblib": "what only pickle.load would do is judged like joblib.load",
    "pipelines-1.9/names_zlib.joblib": "what only pickle.load would do is judged like joblib.load",
    "torch-quantized/one_byte.pt": "a storage of the one byte 0x80 is taken for a cut pickle",
}


def _marks(path: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(strict=False, reason=NOT_YET[path])] if path in NOT_YET else []


FILES = [pytest.param(path, marks=_marks(path)) for path in INDEX]


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_a_library_wrote_has_the_verdict_that_it_deserves(path: str) -> None:
    report = hubaudit.scan(REAL / path)
    found = [(finding.rule, finding.evidence or finding.message) for finding in report.findings]
    assert report.verdict == INDEX[path]["expected"], (found, report.unread)
    assert not report.unread
