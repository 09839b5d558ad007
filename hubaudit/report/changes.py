"""What changed between two commits, in the formats of reports; text of the repository is made harmless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from textwrap import wrap
from typing import Any

from hubaudit.model import Confidence, Finding, RepoRef, RepoReport, Severity, Verdict
from hubaudit.report import REPORTS
from hubaudit.report.escape import encodable, no_command, visible
from hubaudit.report.json import printable
from hubaudit.report.markdown import code
from hubaudit.report.page import Page
from hubaudit.report.tally import subject
from hubaudit.report.words import count
from hubaudit.watch.kinds import Change, is_drift
from hubaudit.watch.revisions import Difference

SCHEMA = "hubaudit.changes/1"
_SHORT = 12  # characters of a commit in a heading
_LINE = 300  # characters of a line of the detail
_EVIDENCE = 20  # lines of the detail in formats that have one field for it
_ROWS = 100  # changes in Markdown: a comment on GitHub takes 65,536 characters
_BLOCK = 40  # lines of detail for each of them


def render_text(one: Difference, page: Page) -> str:
    """A heading, then each change with its detail, worst first. No line is an escape sequence."""
    lines = [_heading(one), _tally(one)]
    for change in one.changes:
        lines += ["", f"{change.severity.value:<9} {change.kind.value}"]
        said = wrap(visible(change.message), max(page.width - 2, 10))
        lines += [f"  {no_command(line)}" for line in said]
        lines += [f"    {visible(line[:_LINE])}" for line in change.detail]
    return "\n".join(lines) + "\n"


def render_json(one: Difference, _page: Page) -> str:
    """One object, ASCII only, indented by 2, with a newline at its end."""
    return printable(json.dumps(as_dict(one), indent=2, allow_nan=False)) + "\n"


def render_jsonl(one: Difference, _page: Page) -> str:
    """The same on one line."""
    text = json.dumps(as_dict(one), separators=(",", ":"), allow_nan=False)
    return printable(text) + "\n"


def render_markdown(one: Difference, _page: Page) -> str:
    """A section with a heading of the second level."""
    parts = [f"## {code(_heading(one))}", f"{_tally(one)}."]
    for change in one.changes[:_ROWS]:
        parts.append(
            f"- **{change.severity.value}** {code(change.kind.value)}: {code(change.message, 500)}"
        )
        if change.detail:
            parts.append(_fenced(change.detail))
    if len(one.changes) > _ROWS:
        parts.append(f"and {len(one.changes) - _ROWS} more: see the JSON report")
    return "\n\n".join(parts) + "\n"


def as_dict(one: Difference) -> dict[str, Any]:
    """`hubaudit.changes/1` as plain dicts and lists."""
    repo = one.report.repo
    return {
        "schema": SCHEMA,
        "repo": {
            "repo_id": repo.repo_id,
            "repo_type": repo.repo_type,
            "endpoint": repo.endpoint,
        },
        "before": _side(one.before, one.verdict_before),
        "after": _side(repo, one.report.verdict),
        "drift": any(map(is_drift, one.changes)),
        "changes": [change_dict(change) for change in one.changes],
    }


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that `as_dict` follows, as the package ships it."""
    text = files("hubaudit.report").joinpath("changes.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def change_dict(change: Change) -> dict[str, Any]:
    """One change as JSON has it. Lone surrogates of repository text are written out."""
    return {
        "kind": change.kind.value,
        "severity": change.severity.value,
        "message": encodable(change.message),
        "paths": [encodable(path) for path in change.paths],
        "before": encodable(change.before) if change.before is not None else None,
        "after": encodable(change.after) if change.after is not None else None,
        "detail": [encodable(line) for line in change.detail],
    }


def as_report(one: Difference) -> RepoReport:
    """The changes in the place of findings, for formats that are made for these: the kind is the rule."""
    findings = tuple(_finding(change) for change in one.changes)
    return replace(one.report, findings=findings, summary=f"{_heading(one)}: {_tally(one)}")


def _through(render: Callable[[RepoReport, Page], str]) -> Callable[[Difference, Page], str]:
    return lambda one, page: render(as_report(one), page)


CHANGES: dict[str, Callable[[Difference, Page], str]] = {
    "text": render_text,
    "json": render_json,
    "jsonl": render_jsonl,
    "markdown": render_markdown,
    "html": _through(REPORTS["html"].one),
    "sarif": _through(REPORTS["sarif"].one),
    "junit": _through(REPORTS["junit"].one),
    "github": _through(REPORTS["github"].one),
}


def _heading(one: Difference) -> str:
    """ "org/model at 0123456789ab (PASS) → 456789abcdef (FAIL)"."""
    after = one.report.repo
    before = replace(after, commit_hash=one.before.commit_hash or one.before.revision)
    then = one.verdict_before.value.upper() if one.verdict_before else "gone"
    now = one.report.verdict.value.upper()
    return f"{subject(before)} ({then}) → {(after.commit_hash or '')[:_SHORT]} ({now})"


def _tally(one: Difference) -> str:
    if not one.changes:
        return "nothing changed"
    severities = [change.severity for change in one.changes]
    counts = ", ".join(f"{severities.count(s)} {s.value}" for s in Severity if s in severities)
    return f"{count(len(one.changes), 'change')}: {counts}"


def _side(repo: RepoRef, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "revision": encodable(repo.revision) if repo.revision is not None else None,
        "commit_hash": repo.commit_hash,
        "verdict": verdict.value if verdict is not None else None,
    }


def _fenced(detail: tuple[str, ...]) -> str:
    """An indented block with a fence that no line of it can close."""
    lines = [visible(line[:_LINE]) for line in detail[:_BLOCK]]
    if len(detail) > _BLOCK:
        lines.append(f"and {len(detail) - _BLOCK} more lines")
    longest = max((len(run) for line in lines for run in _ticks(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join(f"  {line}" for line in (f"{fence}diff", *lines, fence))


def _ticks(line: str) -> Iterator[str]:
    run = ""
    for char in line:
        run = run + char if char == "`" else ""
        if run:
            yield run


def _finding(change: Change) -> Finding:
    return Finding(
        rule=change.kind.value,
        severity=change.severity,
        confidence=Confidence.HIGH,
        path=change.paths[0] if len(change.paths) == 1 else "",
        member=None,
        offset=None,
        message=change.message,
        evidence="\n".join(change.detail[:_EVIDENCE]),
    )
