"""Every command, option, format and rule is in the documents.

HUBAUDIT_UPDATE_GOLDENS=1 writes docs/cli.md anew.
"""

from __future__ import annotations

import os
import re

import pytest
import typer

from hubaudit.cli.app import app
from hubaudit.cli.names import COMMANDS
from hubaudit.report import REPORTS
from hubaudit.rules import RULES
from tests.cli.conftest import python
from tests.make_cli_page import PAGE, page

DOCS = PAGE.parent


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_page_of_the_command_line_is_current() -> None:
    if os.environ.get("HUBAUDIT_UPDATE_GOLDENS"):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.make_cli_page"


def test_every_command_and_option_is_on_the_page() -> None:
    sections = dict(
        re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text_of("cli.md"), re.MULTILINE | re.DOTALL)
    )
    group: typer.core.TyperGroup = typer.main.get_command(app)  # type: ignore[assignment]
    assert sections.keys() == group.commands.keys() == set(COMMANDS)
    for name, command in group.commands.items():
        for option in command.params:
            if option.param_type_name == "option" and "--help" not in option.opts:
                for spelling in (*option.opts, *option.secondary_opts):
                    assert f"`{spelling}`" in sections[name], f"{name} {spelling}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example_and_80_columns(name: str) -> None:
    ran = python("-m", "hubaudit", name, "--help", env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert ran.returncode == 0
    assert f"Example: hubaudit {name}" in ran.stdout or name == "audit"
    assert "Example: hubaudit" in ran.stdout
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())
    assert "\x1b" not in ran.stdout


def test_every_format_and_suffix_is_explained() -> None:
    table = text_of("reports.md")
    for name, form in REPORTS.items():
        [row] = re.findall(rf"^\| `{name}` \|.*$", table, re.MULTILINE)
        assert all(f"`{suffix}`" in row for suffix in form.suffixes)


def test_every_rule_has_a_section() -> None:
    headings = re.findall(r"^## (\S+)$|^# (\S+)$", text_of("rules.md"), re.MULTILINE)
    named = {name for pair in headings for name in pair}
    assert {rule.id for rule in RULES} <= named


@pytest.mark.parametrize("name", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", text_of(name))
    assert not [link for link in links if not (DOCS / link.partition("#")[0]).exists()]
