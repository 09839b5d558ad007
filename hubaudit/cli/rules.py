"""`hubaudit rules`: what there is to find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli.errors import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubaudit.rules import Rule

_Form = Annotated[
    options.ListFormName, typer.Option("--format", "-f", help="How the list is written.")
]


def rules(form: _Form = "text") -> Job:
    """List the rules: what each finds, and the worst severity that it gives."""

    def job() -> int:
        from hubaudit.rules import RULES

        console.write(_as_json(RULES) if form == "json" else _as_table(RULES, console.columns()))
        return 0

    return job


def _as_table(rules: Sequence[Rule], width: int) -> str:
    from textwrap import wrap

    rows = [("RULE", "WORST", "WHAT IT FINDS")]
    rows += [(rule.id, rule.worst.value, rule.summary) for rule in rules]
    names, severities = (max(len(row[column]) for row in rows) for column in (0, 1))
    indent = names + severities + 4
    lines = []
    for name, severity, summary in rows:
        first, *more = wrap(summary, max(width - indent, 20))
        lines.append(f"{name:<{names}}  {severity:<{severities}}  {first}")
        lines += [" " * indent + line for line in more]
    return "\n".join([*lines, "", "More on one of them: hubaudit explain RULE", ""])


def _as_json(rules: Sequence[Rule]) -> str:
    import json

    return json.dumps([plain(rule) for rule in rules], indent=2) + "\n"


def plain(rule: Rule) -> dict[str, object]:
    """A rule as the JSON forms of `rules` and `explain` give it."""
    return {
        "rule": rule.id,
        "worst": rule.worst.value,
        "summary": rule.summary,
        "advice": rule.advice,
        "references": list(rule.references),
    }
