"""Write docs/rules.md and docs/incident.md from the pages that the package ships.

Run:  python -m tests.make_rules_page
"""

from __future__ import annotations

from pathlib import Path

from hubaudit import rules
from hubaudit.rules import pages
from hubaudit.rules.references import section

DOCS = Path(__file__).parents[1] / "docs"
_OPENING = """\
# Rules

What hubaudit can find, in the order of `hubaudit rules`. Each section is what `hubaudit explain RULE` prints.
The severity of a finding follows what a loader would do with the file: in a file that no loader opens, most
are one step lower. If a file with a critical finding may have been loaded already, see
[incident.md](incident.md).
"""


def rules_page() -> str:
    """The text of docs/rules.md: a table of all rules, and their pages in the same order."""
    table = ["| rule | worst severity | what it finds |", "|---|---|---|"]
    table += [
        f"| [{rule.id}](#{rule.id}) | {rule.worst} | {rule.summary} |" for rule in rules.RULES
    ]
    sections = [
        part
        for rule in rules.RULES
        if (page := pages.page(rule.id)) is not None
        for part in (page, section(rule))
    ]
    return "\n".join([_OPENING, *table, "", *sections])


def incident_page() -> str:
    """The text of docs/incident.md."""
    return pages.page(pages.INCIDENT) or ""


if __name__ == "__main__":
    (DOCS / "rules.md").write_text(rules_page(), encoding="utf-8")
    (DOCS / "incident.md").write_text(incident_page(), encoding="utf-8")
