"""The sample reports are what the demo's audits say today; HUBAUDIT_UPDATE_GOLDENS=1 writes them anew."""

from __future__ import annotations

import html
import json
import os
import re
import xml.etree.ElementTree as ET

import pytest

from hubaudit.model import RepoReport
from hubaudit.report import REPORTS, Page
from hubaudit.report.json import as_dict
from hubaudit.report.stored import parse
from tests import make_sample_reports as made


@pytest.fixture(scope="module")
def found() -> dict[str, RepoReport]:
    if os.environ.get("HUBAUDIT_UPDATE_GOLDENS"):
        made.main()
    return made.reports()


def test_there_is_a_sample_of_every_verdict_in_every_format(found: dict[str, RepoReport]) -> None:
    assert {name: report.verdict.value for name, report in found.items()} == {
        name: name for name in ("pass", "review", "fail", "incomplete")
    }
    there = {path.name for path in made.FOLDER.iterdir()}
    assert there == made.files(found).keys()
    assert len(there) == 4 * len(REPORTS)


def test_the_samples_are_what_the_audits_say(found: dict[str, RepoReport]) -> None:
    stale = [
        name
        for name, text in made.files(found).items()
        if (made.FOLDER / name).read_text(encoding="utf-8") != text
    ]
    assert not stale, "write them anew: python -m tests.make_sample_reports"


def test_a_sample_names_no_machine() -> None:
    for path in [*made.FOLDER.iterdir(), made.PICTURE]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"127\.0\.0\.1|localhost|/tmp/|/home/", text), path.name


def test_the_stored_sample_gives_all_the_others() -> None:
    for name in made.SAMPLES:
        text = (made.FOLDER / f"{name}.json").read_text(encoding="utf-8")
        report = parse(text)
        assert as_dict(report) == json.loads(text)
        for file, written in made.files({name: report}).items():
            assert (made.FOLDER / file).read_text(encoding="utf-8") == written


def test_the_picture_shows_the_terminal_report_and_loads_nothing(
    found: dict[str, RepoReport],
) -> None:
    svg = made.PICTURE.read_text(encoding="utf-8")
    links = set(re.findall(r"//[^\s\"'<)]+", svg))
    assert links == {"//www.w3.org/2000/svg", "//www.textualize.io"}  # the second in a comment
    assert not re.search("<script|<image|href|@import|url\\((?!#)", svg)
    spoken = "".join(
        "".join(text.itertext())
        for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    )
    shown = REPORTS["text"].one(found[made.IN_THE_PICTURE], Page())
    assert "".join(shown.split()) in "".join(html.unescape(spoken).split())
