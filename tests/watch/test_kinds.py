"""Every kind of change has a severity, a place in the schema, and a row in the documents."""

from __future__ import annotations

import re
from pathlib import Path

from hubaudit.model import Severity
from hubaudit.report.changes import CHANGES, schema
from hubaudit.watch.kinds import LEAST, Change, Kind, change, is_drift, report_order

PAGE = (Path(__file__).parents[2] / "docs" / "watch.md").read_text(encoding="utf-8")


def test_the_page_has_every_kind_with_its_severity() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \|", PAGE, re.MULTILINE)
    assert rows == [(kind.value, LEAST[kind].value) for kind in Kind]


def test_the_page_and_the_schema_know_every_format_and_kind() -> None:
    assert all(f"`{name}`" in PAGE for name in CHANGES)
    listed = schema()["$defs"]["change"]["properties"]["kind"]["enum"]
    assert listed == [kind.value for kind in Kind]


def test_a_change_is_as_bad_as_the_worst_that_is_known_of_it() -> None:
    one = change(Kind.CODE_CHANGED, "", at_least=[None, Severity.HIGH, Severity.LOW])
    assert one.severity is Severity.HIGH
    assert change(Kind.CODE_CHANGED, "", at_least=[Severity.INFO]).severity is Severity.MEDIUM


def test_the_worst_comes_first_and_info_is_no_drift() -> None:
    found = [
        Change(Kind.README_CHANGED, Severity.INFO, "a"),
        Change(Kind.IMPORTS_CHANGED, Severity.CRITICAL, "b"),
        Change(Kind.REPOSITORY_RENAMED, Severity.CRITICAL, "c"),
    ]
    assert [one.message for one in sorted(found, key=report_order)] == ["c", "b", "a"]
    assert [is_drift(one) for one in found] == [False, True, True]
