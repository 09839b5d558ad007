"""The JSON report, schema `hubaudit.report/1`: the same report gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from hubaudit.model import (
    Comparison,
    FileReport,
    Finding,
    GlobalUse,
    HubScan,
    LoadAdvice,
    Opinion,
    RepoReport,
    Unread,
)
from hubaudit.report.page import Page
from hubaudit.report.settled import settled

SCHEMA = "hubaudit.report/1"


def render(report: RepoReport, _page: Page | None = None) -> str:
    """One object, ASCII only, indented by 2, with a newline at its end."""
    return _dumps(as_dict(report))


def render_many(reports: Sequence[RepoReport], _page: Page | None = None) -> str:
    """An array of the objects of `render`, in the order given."""
    return _dumps([as_dict(report) for report in reports])


def as_dict(report: RepoReport) -> dict[str, Any]:
    """`report` as plain dicts and lists in the order of the schema, every list sorted.

    Lone surrogates in repository text are written out, so the result is what `render` parses to.
    """
    report = settled(report)
    plain = {
        "schema": SCHEMA,
        "tool": {
            "name": report.tool.name,
            "version": report.tool.version,
            "ruleset": report.tool.ruleset,
            "policy": report.tool.policy,
        },
        "repo": {
            "repo_id": report.repo.repo_id,
            "repo_type": report.repo.repo_type,
            "revision": report.repo.revision,
            "commit_hash": report.repo.commit_hash,
            "endpoint": report.repo.endpoint,
        },
        "verdict": report.verdict.value,
        "summary": report.summary,
        "load": _load(report.load),
        "files": [_file(file) for file in report.files],
        "findings": [_finding(finding) for finding in report.findings],
        "globals": [_global(use) for use in report.globals],
        "comparisons": [_comparison(one) for one in report.comparisons],
        "unread": [_unread(entry) for entry in report.unread],
    }
    if report.cost is not None:
        plain["cost"] = {"requests": report.cost.requests, "received": report.cost.received}
    if report.opinions:
        plain["opinions"] = [_opinion(one) for one in report.opinions]
    return plain


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that `as_dict` follows, as the package ships it."""
    text = files("hubaudit.report").joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def printable(text: str) -> str:
    """JSON without what a terminal or the log of a job would act on.

    DEL is the one control character that JSON lets through, and `##[…]` and `##vso[…]` are commands to
    the runners of GitHub and Azure wherever they stand in a line.
    """
    return text.replace("\x7f", "\\u007f").replace("##", "#\\u0023")


def _dumps(value: Any) -> str:
    return printable(json.dumps(value, indent=2, allow_nan=False)) + "\n"


def _opinion(opinion: Opinion) -> dict[str, Any]:
    return {
        "engine": opinion.engine,
        "version": opinion.version,
        "path": opinion.path,
        "status": opinion.status,
        "detail": opinion.detail,
    }


def _file(file: FileReport) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "sha256": file.sha256,
        "blob_id": file.blob_id,
        "format": file.format,
        "load_role": file.load_role.value,
        "load_reason": file.load_reason,
        "read": file.read.value,
        "verified": file.verified,
        "hub_scan": _hub_scan(file.hub_scan),
    }


def _load(advice: LoadAdvice | None) -> dict[str, Any] | None:
    if advice is None:
        return None
    return {
        "library": advice.library,
        "arguments": dict(advice.arguments),
        "bases": list(advice.bases),
    }


def _hub_scan(scan: HubScan | None) -> dict[str, Any] | None:
    if scan is None:
        return None
    return {
        "status": scan.status,
        "scanners": {
            one.scanner: {"status": one.status, "message": one.message} for one in scan.scanners
        },
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "path": finding.path,
        "member": finding.member,
        "offset": finding.offset,
        "message": finding.message,
        "evidence": finding.evidence,
        "references": list(finding.references),
        "waived": finding.waived,
    }


def _global(use: GlobalUse) -> dict[str, Any]:
    return {
        "path": use.path,
        "member": use.member,
        "module": use.module,
        "name": use.name,
        "class": use.name_class.value,
        "count": use.count,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "pickle": comparison.pickle,
        "safetensors": comparison.safetensors,
        "result": comparison.result,
        "depth": comparison.depth,
        "tensors": comparison.tensors,
        "missing": list(comparison.missing),
        "extra": list(comparison.extra),
        "differing": list(comparison.differing),
        "differences": [{"tensor": one.name, "how": one.how} for one in comparison.differences],
        "not_comparable": list(comparison.not_comparable),
        "tensors_read": comparison.tensors_read,
        "bytes_read": comparison.bytes_read,
        "bytes_total": comparison.bytes_total,
        "pickle_files": list(comparison.pickle_files),
        "safetensors_files": list(comparison.safetensors_files),
        "notes": list(comparison.notes),
        "why": comparison.why,
        "agreed_at": comparison.agreed_at,
    }


def _unread(entry: Unread) -> dict[str, Any]:
    return {"path": entry.path, "member": entry.member, "why": entry.why}
