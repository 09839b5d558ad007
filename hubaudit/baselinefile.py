"""Baseline files, `hubaudit.baseline/1`: what `--write-baseline` writes and `--baseline` reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from hubaudit.baseline import known_in, name_of
from hubaudit.config import Known
from hubaudit.errors import ConfigError
from hubaudit.model import RepoReport, Severity

SCHEMA = "hubaudit.baseline/1"

_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Content = Annotated[str, StringConstraints(pattern=r"^(sha256:[0-9a-f]{64}|git:[0-9a-f]{40,64})$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Row(_Table):
    repo: str
    path: str
    member: str | None
    content: _Content | None
    rule: str
    severity: Annotated[Severity, Field(strict=False)]
    evidence: _Sha256


class _File(_Table):
    schema_: Annotated[Literal["hubaudit.baseline/1"], Field(alias="schema")]
    repos: list[str]
    findings: list[_Row]


def read_baseline(file: Path) -> tuple[frozenset[Known], frozenset[str]]:
    """The findings in `file`, and the repositories that were audited for it.

    Raises ConfigError for a file that is missing, or that this version did not write.
    """
    try:
        parsed = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the baseline {file} cannot be read: {error.strerror}",
            hint="write one with --write-baseline FILE",
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the baseline {file} is no JSON: {error}", hint="write it anew with --write-baseline"
        ) from None
    _check_schema(parsed, file)
    try:
        read = _File.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"the baseline {file} is malformed: {where}: {first['msg']}",
            hint="write it anew with --write-baseline",
        ) from None
    return frozenset(_known(row) for row in read.findings), frozenset(read.repos)


def _check_schema(parsed: object, file: Path) -> None:
    found = parsed.get("schema") if isinstance(parsed, dict) else None
    if found != SCHEMA:
        said = "has no schema" if found is None else f"has the schema {found}"
        raise ConfigError(
            f"{file} is no baseline of this version: it {said}, not {SCHEMA}",
            hint="write one with --write-baseline FILE",
        )


def _known(row: _Row) -> Known:
    return Known(row.rule, row.repo, row.path, row.member, row.content, row.evidence, row.severity)


def baseline_text(reports: Iterable[RepoReport]) -> str:
    """The file for `reports`: the same findings give the same bytes, in whatever order they came."""
    reports = tuple(reports)
    rows = [_row(known) for report in reports for known in known_in(report)]
    document = {
        "schema": SCHEMA,
        "repos": sorted({name_of(report.repo) for report in reports}),
        "findings": sorted(rows, key=json.dumps),
    }
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"


def _row(known: Known) -> dict[str, str | None]:
    return {
        "repo": known.repo,
        "path": known.path,
        "member": known.member,
        "content": known.content,
        "rule": known.rule,
        "severity": known.severity.value,
        "evidence": known.evidence,
    }
