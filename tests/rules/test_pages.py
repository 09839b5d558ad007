"""Every rule is explained, in the package and in the documents."""

from __future__ import annotations

import re

import pytest

from hubaudit import rules
from hubaudit.rules import pages
from hubaudit.rules.references import link, section, title
from tests.make_rules_page import DOCS, incident_page, rules_page

HEADINGS = [
    "### What it is",
    "### How it is exploited",
    "### What to do",
    "### When it is a false alarm",
]
IDS = [rule.id for rule in rules.RULES]


@pytest.mark.parametrize("rule", IDS)
def test_every_rule_has_a_page_with_the_four_headings(rule: str) -> None:
    text = pages.page(rule)
    assert text is not None, f"write hubaudit/rules/pages/{rule}.md"
    assert text.splitlines()[0] == f"## {rule}"
    assert re.findall(r"^###? .*$", text, flags=re.MULTILINE) == [f"## {rule}", *HEADINGS]
    for part in re.split(r"^###? .*$", text, flags=re.MULTILINE)[2:]:
        assert len(part.split()) > 10


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.id)
def test_what_a_rule_refers_to_can_be_read(rule: rules.Rule) -> None:
    for reference in rule.references:
        assert title(reference), f"name {reference} in hubaudit/rules/references.py"
        assert f"- {reference} {title(reference)}\n  {link(reference)}\n" in section(rule)
        assert (link(reference) or "").startswith("https://")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.id)
def test_a_rule_refers_to_a_weakness_or_a_technique_and_to_the_supply_chain(
    rule: rules.Rule,
) -> None:
    assert [one for one in rule.references if one.startswith(("CWE-", "AML."))]
    if rule.id != "waiver":  # about the user's own policy
        assert "LLM03:2025" in rule.references


def test_no_page_is_without_a_rule() -> None:
    assert set(pages.names()) - set(IDS) == {pages.INCIDENT}


@pytest.mark.parametrize("name", pages.names())
def test_a_page_is_readable_in_a_terminal(name: str) -> None:
    text = pages.page(name)
    assert text is not None
    assert text.endswith("\n")
    assert text.replace("\n", "").isprintable()
    long = [line for line in text.splitlines() if len(line) > 80 and "https://" not in line]
    assert not long


@pytest.mark.parametrize("name", pages.names())
def test_a_page_suggests_only_commands_that_exist(name: str) -> None:
    from hubaudit.cli.names import COMMANDS

    for command in re.findall(r"`hubaudit\s+(\w[\w-]*)", pages.page(name) or ""):
        assert command in COMMANDS


def test_the_documents_are_the_pages_of_the_package() -> None:
    how = "python -m tests.make_rules_page"
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == rules_page(), how
    assert (DOCS / "incident.md").read_text(encoding="utf-8") == incident_page(), how
