"""Whether the bytes are the ones that the listing names: `digest-mismatch`."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.model import Finding, Severity
from hubaudit.rules.base import Evidence, Rule


def _check_digest(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    if evidence.verified is False:
        expected = evidence.file.sha256 or evidence.file.blob_id or ""
        kind = "sha256" if evidence.file.sha256 else "git blob id"
        yield rule.finding(
            evidence,
            Severity.CRITICAL,
            f"the bytes that were read are not those of the commit ({kind} {expected[:12]}…)",
        )


DIGEST_MISMATCH = Rule(
    id="digest-mismatch",
    summary="A file's bytes do not have the hash that the commit's listing gives.",
    advice="Delete the file from the cache and audit again; if it stays, do not trust this source.",
    worst=Severity.CRITICAL,
    references=("CWE-354", "CWE-345", "AML.T0010.003", "LLM03:2025"),
    check=_check_digest,
)
