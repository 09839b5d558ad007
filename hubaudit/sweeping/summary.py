"""What a sweep found, for people and programs: text, Markdown, JSON. Each a function of the results."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hubaudit.lists import Problem
from hubaudit.report.escape import visible
from hubaudit.report.json import printable
from hubaudit.report.markdown import code
from hubaudit.report.words import count
from hubaudit.sweeping.results import Change, Result
from hubaudit.verdict import INCOMPLETE, UNDECIDED, worst_exit_code

SCHEMA = "hubaudit.sweep/1"
_VERDICTS = ("fail", "undecided", "incomplete", "review", "pass", "gone")
_CHANGES: tuple[Change, ...] = (
    "new",
    "fixed",
    "unchanged",
    "moved",
    "unapproved",
    "gone",
    "unreachable",
)
_SEVERITIES = ("critical", "high", "medium", "low", "info")


@dataclass(frozen=True, slots=True)
class Summary:
    """`left` targets were not reached. `problems` are lines of the list that could not be understood."""

    lists: tuple[str, ...]
    results: tuple[Result, ...]
    left: int = 0
    problems: tuple[Problem, ...] = ()
    is_first: bool = False
    missing: tuple[str, ...] = ()  # of a merge: what nobody swept

    @property
    def code(self) -> int:
        codes = [result.code for result in self.results]
        codes += [UNDECIDED] if self.problems else []
        codes += [INCOMPLETE] if self.left or self.missing else []
        return worst_exit_code(codes)


def as_dict(summary: Summary) -> dict[str, Any]:
    """The JSON summary. No clock: the same list, commits and rules give the same bytes."""
    results = sorted(summary.results, key=lambda one: one.target)
    return {
        "schema": SCHEMA,
        "lists": list(summary.lists),
        "exit_code": summary.code,
        "verdicts": _tally(_VERDICTS, (word_of(one) for one in results)),
        "changes": _tally(_CHANGES, (change for one in results for change in one.changes)),
        "findings": {
            name: sum(getattr(one.findings, name) for one in results)
            for name in ("new", "fixed", "unchanged")
        },
        "left": summary.left,
        "missing": list(summary.missing),
        "problems": [
            {"source": one.source, "line": one.line, "why": one.why} for one in summary.problems
        ],
        "targets": [_target(one) for one in results],
    }


def as_json(summary: Summary) -> str:
    return printable(json.dumps(as_dict(summary), indent=2)) + "\n"


def as_text(summary: Summary, *, most: int | None) -> str:
    """A table of what is not as it should be, or of everything, and the figures. `most` rows, None: all."""
    shown = summary.results if most is None else [one for one in summary.results if is_told(one)]
    rows = [_row(one) for one in sorted(shown, key=_worst_first)]
    lines = _table(("VERDICT", "TARGET", "COMMIT", "CHANGES", "WHAT"), rows[:most])
    if most is not None and len(rows) > most:
        lines.append(f"… and {len(rows) - most} more: with -v all of them are shown")
    lines += [f"{visible(str(one))}" for one in summary.problems]
    return "\n".join([*lines, *([""] if lines else []), *figures(summary)]) + "\n"


def as_markdown(summary: Summary) -> str:
    lines = ["# Sweep", "", *figures(summary), ""]
    if summary.problems:
        lines += [*(f"- {code(str(one))}" for one in summary.problems), ""]
    lines += ["| verdict | target | commit | changes | what |", "|---|---|---|---|---|"]
    for result in sorted(summary.results, key=_worst_first):
        lines.append("| " + " | ".join(code(cell) for cell in _row(result)) + " |")
    return "\n".join(lines) + "\n"


def figures(summary: Summary) -> list[str]:
    """Sentences, a line each."""
    verdicts = Counter(word_of(one) for one in summary.results)
    changes = Counter(change for one in summary.results for change in one.changes)
    findings = as_findings(summary)
    said = ", ".join(f"{verdicts[word]} {word}" for word in _VERDICTS if verdicts[word])
    lines = [f"{count(len(summary.results), 'target')}: {said or 'nothing was reached'}."]
    if summary.is_first:
        lines.append("This is the first sweep of this list: there is nothing to compare it with.")
    else:
        since = (word for word in _CHANGES if changes[word] and word != "unapproved")
        told = ", ".join(f"{changes[word]} {word}" for word in since)
        lines.append(f"Since the sweep before: {told or 'nothing'}. Findings: {findings}.")
    if changes["unapproved"]:
        lines.append(f"At another commit than was approved: {changes['unapproved']} unapproved.")
    if summary.left:
        lines.append(f"{count(summary.left, 'target')} not reached: go on with --resume.")
    return lines


def as_findings(summary: Summary) -> str:
    totals = {
        name: sum(getattr(one.findings, name) for one in summary.results)
        for name in ("new", "fixed", "unchanged")
    }
    return ", ".join(f"{number} {name}" for name, number in totals.items())


def word_of(result: Result) -> str:
    if result.verdict is not None:
        return result.verdict
    return "undecided" if result.trouble is not None else "gone"


def is_told(result: Result) -> bool:
    """Whether a person has to know of it: it is not well, or not as it was."""
    return result.code != 0 or result.changes not in (("unchanged",), ("new",))


def what_of(result: Result) -> str:
    if result.trouble is not None:
        return result.trouble.message
    found = ", ".join(
        f"{result.counts[name]} {name}" for name in _SEVERITIES if result.counts.get(name)
    )
    said = f"{result.summary} ({found})" if found else result.summary
    if "unapproved" in result.changes and result.approved is not None:
        return f"{said} Approved is {result.approved[:12]}."
    return said


def _row(result: Result) -> tuple[str, ...]:
    commit = result.key.commit_hash[:12] if result.key is not None else "-"
    if result.was_at is not None:
        commit = f"{result.was_at[:7]}→{commit[:7]}"
    changes = ", ".join(result.changes)
    return word_of(result).upper(), result.target, commit, changes, what_of(result)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [header, *(tuple(visible(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header) - 1)]
    return [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in cells
    ]


def _worst_first(result: Result) -> tuple[int, str]:
    return _VERDICTS.index(word_of(result)), result.target


def _tally(words: Iterable[str], found: Iterable[str]) -> dict[str, int]:
    counted = Counter(found)
    return {word: counted[word] for word in words}


def _target(result: Result) -> dict[str, Any]:
    key = result.key
    repo = None
    if key is not None:
        repo = {
            "repo_id": key.repo_id,
            "repo_type": key.repo_type,
            "revision": key.revision,
            "commit_hash": key.commit_hash,
            "endpoint": key.endpoint,
        }
    trouble = result.trouble
    return {
        "target": result.target,
        "owner": result.owner,
        "verdict": result.verdict,
        "exit_code": result.code,
        "repo": repo,
        "was_at": result.was_at,
        "approved": result.approved,
        "changes": list(result.changes),
        "findings": {
            "new": result.findings.new,
            "fixed": result.findings.fixed,
            "unchanged": result.findings.unchanged,
        },
        "counts": dict(result.counts),
        "summary": result.summary,
        "report": result.report,
        "error": trouble
        and {"kind": trouble.kind, "message": trouble.message, "hint": trouble.hint},
    }
