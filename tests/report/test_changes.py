"""What changed, in every format: nothing that a repository says leaves its place."""

from __future__ import annotations

import re

import pytest

from hubaudit.model import Verdict
from hubaudit.report import Page
from hubaudit.report.changes import CHANGES
from hubaudit.watch.kinds import Kind, change
from hubaudit.watch.revisions import Difference
from tests.report import samples

TRICK = "::error::x \x1b[31m\u202e##[error] \udc80 ![x](https://example.invalid)"


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("form", CHANGES)
def test_no_line_is_a_command_and_no_character_an_escape(form: str, width: int) -> None:
    one = change(Kind.CODE_CHANGED, f"{'x ' * 30}{TRICK} {TRICK}", detail=(TRICK, f"+{TRICK}"))
    found = Difference(samples.repo(), Verdict.PASS, samples.malicious(), (one,))
    written = CHANGES[form](found, Page(width=width))
    written.encode()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)
    assert "##[" not in written
    commands = [line for line in written.splitlines() if line.lstrip().startswith("::")]
    assert all(re.fullmatch(r"::(error|warning|notice) title=[^:,]*::.*", one) for one in commands)
    assert (commands != []) == (form == "github")
