"""How all that is watched stands: one row a repository, as text, Markdown or JSON, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hubaudit.model import Verdict
from hubaudit.report.escape import clipped
from hubaudit.report.markdown import code
from hubaudit.verdict import DRIFTED, INCOMPLETE, UNDECIDED, exit_code, worst_exit_code
from hubaudit.watch.alert import Alert
from hubaudit.watch.ledger import Ledger
from hubaudit.watch.look import Watched
from hubaudit.watch.overview import Standing, standings
from hubaudit.watch.state import Presence

SCHEMA = "hubaudit.standing/1"

# What a line of text begins with; a verdict speaks for itself.
_WORDS = {DRIFTED: "DRIFT", UNDECIDED: "ERROR"}
_SHORT = 12  # characters of a commit hash
_SENTENCE = 200  # characters


@dataclass(frozen=True, slots=True)
class Row:
    """One repository. `alerts` are those that are open, the oldest first.

    `summary` is that of the audit, where there is more to say than PASS or REVIEW.
    """

    watched: Watched
    standing: Standing
    alerts: tuple[Alert, ...]
    summary: str = ""

    @property
    def code(self) -> int:
        """As `hubaudit` has them: the worst of the verdict, drift, and that nobody could look."""
        seen, trouble = self.standing.seen, self.standing.trouble
        codes = [DRIFTED if self.alerts else 0, UNDECIDED if trouble or not seen else 0]
        if seen is not None and seen.presence is Presence.PRESENT:
            strict = self.watched.how.policy.strict
            verdict = seen.verdict
            codes.append(INCOMPLETE if verdict is None else exit_code(verdict, strict=strict))
        return worst_exit_code(codes)

    @property
    def verdict(self) -> str:
        """Of the commit that was seen; how the repository is missing, if it is."""
        seen = self.standing.seen
        if seen is None:
            return "unknown"
        if seen.presence is not Presence.PRESENT:
            return seen.presence.value
        return (seen.verdict or Verdict.INCOMPLETE).value

    @property
    def approved(self) -> str | None:
        return self.standing.approval.commit if self.standing.approval else None

    @property
    def commit(self) -> str | None:
        return self.standing.seen.commit if self.standing.seen else None


def rows_of(ledger: Ledger, watched: Sequence[Watched]) -> tuple[Row, ...]:
    """In the order of the list."""
    found = standings(ledger, [one.name for one in watched])
    rows = []
    for one, standing in zip(watched, found, strict=True):
        told = ledger.open_alerts(one.name) if standing.is_drift else ()
        row = Row(one, standing, tuple(each.alert for each in told))
        if row.verdict in (Verdict.FAIL, Verdict.INCOMPLETE):
            row = replace(row, summary=_summary(ledger, one))
        rows.append(row)
    return tuple(rows)


def _summary(ledger: Ledger, one: Watched) -> str:
    state = ledger.state(one.name)
    if state is None or state.content is None:
        return "nobody may read its files"
    return state.content.summary


def code_of(rows: Sequence[Row]) -> int:
    return worst_exit_code([row.code for row in rows])


def as_text(rows: Sequence[Row]) -> str:
    """Those that need a look, and a line on all."""
    lines = []
    for row in rows:
        if row.code == 0:
            continue
        lines.append(f"{_WORDS.get(row.code, row.verdict.upper()):<10} {_shown(row)}: {_way(row)}")
        lines += [f"    {one.severity}: {clipped(one.summary, _SENTENCE)}" for one in row.alerts]
        lines += [f"    {one}" for one in _sentences(row)]
    return "\n".join([*lines, _sentence(rows), ""])


def as_markdown(rows: Sequence[Row]) -> str:
    """For a job summary or an issue."""
    lines = ["# hubaudit watch", "", _sentence(rows), ""]
    wanted = [row for row in rows if row.code != 0]
    if wanted:
        lines += ["| repository | verdict | approved | now | what |", "|---|---|---|---|---|"]
    for row in wanted:
        said = [f"{one.severity} {code(one.summary, _SENTENCE)}" for one in row.alerts]
        said += [code(one) for one in _sentences(row)]
        commits = [code(_short(row.approved)), code(_short(row.commit))]
        cells = [code(str(row.watched.name)), row.verdict, *commits, "<br>".join(said)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines).rstrip("\n") + "\n"


def as_json(rows: Sequence[Row]) -> str:
    """`hubaudit.standing/1`."""
    found = [
        {
            "target": str(row.watched.name),
            "verdict": row.verdict,
            "approved": row.approved,
            "approved_as": approval.origin.value if (approval := row.standing.approval) else None,
            "commit": row.commit,
            "summary": row.summary,
            "drift": bool(row.alerts),
            "alerts": [
                {"key": one.key, "severity": one.severity, "kind": one.kind, "summary": one.summary}
                for one in row.alerts
            ],
            "trouble": trouble.said if (trouble := row.standing.trouble) else None,
            "code": row.code,
        }
        for row in rows
    ]
    written = {"schema": SCHEMA, "code": code_of(rows), "repositories": found}
    return json.dumps(written, indent=2) + "\n"


FORMS = {"text": as_text, "markdown": as_markdown, "json": as_json}


def _sentence(rows: Sequence[Row]) -> str:
    drifting = sum(1 for row in rows if row.alerts)
    failing = sum(1 for row in rows if row.verdict == Verdict.FAIL)
    troubled = sum(1 for row in rows if row.standing.trouble is not None)
    said = [f"{len(rows)} watched", f"{drifting} not as approved", f"{failing} FAIL"]
    if troubled:
        said.append(f"{troubled} could not be looked at")
    return ", ".join(said) + "."


def _shown(row: Row) -> str:
    return clipped(str(row.watched.name), _SENTENCE)


def _way(row: Row) -> str:
    approved, now = _short(row.approved), _short(row.commit)
    way = f"at {now}" if approved == now else f"approved at {approved}, now at {now}"
    return f"{way}, {row.verdict}"


def _sentences(row: Row) -> list[str]:
    """What there is to say besides the alerts."""
    said = [clipped(row.summary, _SENTENCE)] if row.summary else []
    if row.standing.trouble is not None:
        said.append(f"could not be looked at: {clipped(row.standing.trouble.said, _SENTENCE)}")
    return said


def _short(commit: str | None) -> str:
    return commit[:_SHORT] if commit else "-"
