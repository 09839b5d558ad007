"""What a rule is and what it sees: the evidence of one file, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hubaudit.config import DEFAULT_POLICY, Policy
from hubaudit.formats.contents import Contents
from hubaudit.model import Confidence, Finding, LoadRole, RepoFile, Severity
from hubaudit.rules.uses import NameUse


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one file. `uses` are the names that its pickles import, judged.

    `verified` is False if the bytes are not those of the listing, None if not all of them were had.
    `policy` is what the user demands; only the rules of `rules.policy` look at it.
    """

    file: RepoFile
    load_role: LoadRole
    contents: Contents
    uses: tuple[NameUse, ...]
    verified: bool | None
    policy: Policy = DEFAULT_POLICY


@dataclass(frozen=True, slots=True)
class Rule:
    """`summary`: what it finds, one sentence. `advice`: what to do, one sentence, imperative.

    `worst` is the highest severity that it gives.
    """

    id: str
    summary: str
    advice: str
    worst: Severity
    references: tuple[str, ...]
    check: Callable[[Rule, Evidence], Iterator[Finding]]

    def finding(
        self,
        evidence: Evidence,
        severity: Severity,
        message: str,
        *,
        confidence: Confidence = Confidence.HIGH,
        member: str | None = None,
        offset: int | None = None,
        shown: str = "",
    ) -> Finding:
        """A finding of this rule. `shown` is the evidence that people read."""
        return Finding(
            self.id,
            severity,
            confidence,
            evidence.file.path,
            member,
            offset,
            message,
            shown,
            self.references,
        )

    def finding_at(
        self, path: str, severity: Severity, message: str, *, shown: str = ""
    ) -> Finding:
        """The same about a file as one of several: what no file's own evidence has."""
        return Finding(
            self.id, severity, Confidence.HIGH, path, None, None, message, shown, self.references
        )


def nothing_of_one_file(_rule: Rule, _evidence: Evidence) -> Iterator[Finding]:
    """The check of a rule that looks at more than one file, elsewhere."""
    yield from ()


def unless_never_loaded(severity: Severity, role: LoadRole) -> Severity:
    """One step less for a file that no loader opens; info stays info."""
    if role is not LoadRole.NEVER:
        return severity
    steps = list(Severity)
    return steps[min(severity.rank + 1, len(steps) - 1)]
