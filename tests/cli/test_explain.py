"""`hubaudit rules` and `hubaudit explain`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from hubaudit.rules import RULES, pages
from tests.cli.conftest import Ran, python


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
    assert run("explain", name) == Ran(0, pages.page(name) or "", "")


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
        ("org/model", "see hubaudit rules"),
        ("../names/torch", "see hubaudit rules"),
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
