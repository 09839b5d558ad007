"""`hubaudit history`: what was found in a repository, audit by audit, out of the store."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli import sweepoptions as own
from hubaudit.cli.errors import Job
from hubaudit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubaudit.store import StoredAudit

_Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", show_default=False, help="The repository, as for an audit."),
]
_Form = Annotated[
    options.ListFormName, typer.Option("--format", "-f", help="How the history is written.")
]


def history(target: _Target, store: own.StoreFile = None, form: _Form = "text") -> Job:
    """Show the audits of a repository that sweeps have stored, the oldest first. Needs no network."""

    def job() -> int:
        from hubaudit.hub.targets import parse_target
        from hubaudit.store import Store, default_path

        asked = parse_target(target)
        path = store or default_path()
        if not path.is_file():
            raise UsageError(f"there is no store {path}", hint="hubaudit sweep LIST makes it")
        with Store(path) as opened:
            found = opened.history(asked.repo_type, asked.repo_id)
        if not found:
            raise UsageError(
                f"the store has no audit of {asked.repo_id}",
                hint="is it the repository's own name? hubaudit sweep LIST stores audits",
            )
        console.write(_as_json(found) if form == "json" else _as_text(found))
        return 0

    return job


def _as_text(audits: Sequence[StoredAudit]) -> str:
    lines = []
    for audit in audits:
        at = datetime.fromtimestamp(audit.at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        summary = json.loads(audit.report)["summary"]
        key = audit.key
        words = (
            at,
            key.commit_hash[:12],
            audit.verdict.upper().ljust(10),
            f"{key.revision}, rules {key.ruleset[:8]}, policy {key.policy[:8]}:",
            summary,
        )
        lines.append("  ".join(words))
    return "".join(f"{console.harmless(line)}\n" for line in lines)


def _as_json(audits: Sequence[StoredAudit]) -> str:
    rows = [
        {
            "at": datetime.fromtimestamp(audit.at, UTC).isoformat(),
            "revision": audit.key.revision,
            "commit_hash": audit.key.commit_hash,
            "ruleset": audit.key.ruleset,
            "policy": audit.key.policy,
            "verdict": audit.verdict,
            "report": json.loads(audit.report),
        }
        for audit in audits
    ]
    return json.dumps(rows, indent=2) + "\n"
