"""Findings and coverage → one of four words, the sentence that explains it, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hubaudit.config import Policy
from hubaudit.formats.contents import Format
from hubaudit.model import FileReport, Finding, LoadRole, Severity, Unread, Verdict

# The contract's codes but for 0: a finding that fails, an error, something unread, drift.
FAILED, UNDECIDED, INCOMPLETE, DRIFTED = 1, 2, 3, 4
# The end of a summary, so that every format of the report says it.
IF_LOADED = " If loaded already: hubaudit explain incident"
_EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.REVIEW: 0,
    Verdict.FAIL: FAILED,
    Verdict.INCOMPLETE: INCOMPLETE,
}
# With many targets the worst one decides.
_WORST_FIRST = (FAILED, UNDECIDED, INCOMPLETE, DRIFTED)


def decide(findings: Iterable[Finding], unread: Sequence[Unread], policy: Policy) -> Verdict:
    """FAIL on a finding at or above `policy.fail_on`; then INCOMPLETE; REVIEW from medium on."""
    severities = [finding.severity for finding in findings if finding.waived is None]
    if any(severity.rank <= policy.fail_on.rank for severity in severities):
        return Verdict.FAIL
    if unread:
        return Verdict.INCOMPLETE
    if any(severity.rank <= Severity.MEDIUM.rank for severity in severities):
        return Verdict.REVIEW
    return Verdict.PASS


def summarize(
    verdict: Verdict,
    findings: Sequence[Finding],
    unread: Sequence[Unread],
    policy: Policy,
    files: Iterable[FileReport] = (),
) -> str:
    """One sentence for the report; more if there is code among `files`, which no audit reads, or if
    something of what was found is tolerated, or critical."""
    counted = [finding for finding in findings if finding.waived is None]
    tolerated = len(findings) - len(counted)
    code = _code_text(list(files))
    said = _explain(verdict, counted, unread, policy)
    if code and verdict is Verdict.PASS:
        said = "Nothing failed in what was read."
    said += code
    if tolerated:
        said += f" Tolerated: {_count(tolerated, 'finding')}."
    critical = any(finding.severity is Severity.CRITICAL for finding in counted)
    return said + IF_LOADED if critical else said


def _explain(
    verdict: Verdict, findings: Sequence[Finding], unread: Sequence[Unread], policy: Policy
) -> str:
    match verdict:
        case Verdict.FAIL:
            bad = [f for f in findings if f.severity.rank <= policy.fail_on.rank]
            rules = Counter(finding.rule for finding in bad)
            listed = ", ".join(f"{rule} × {n}" if n > 1 else rule for rule, n in rules.items())
            return f"What fails: {listed}."
        case Verdict.INCOMPLETE:
            return f"{_count(len(unread), 'part')} of it could not be read."
        case Verdict.REVIEW:
            medium = [f for f in findings if f.severity.rank <= Severity.MEDIUM.rank]
            return f"Nothing failed, but {_count(len(medium), 'finding')} should be looked at."
        case Verdict.PASS:
            return "Everything that could execute was read, and nothing in it failed."


def is_code(file: FileReport) -> bool:
    """Whether it is source code that a load may run. Nobody reads that here: it is no pickle."""
    return file.load_role is LoadRole.CODE and file.path.endswith(".py")


def _code_text(files: Sequence[FileReport]) -> str:
    parts = []
    if python := sum(map(is_code, files)):
        parts.append(
            f"{_count(python, 'Python file')} that trust_remote_code=True or an import runs"
        )
    if scripts := sum(file.format == Format.TORCHSCRIPT for file in files):
        parts.append(f"the code in {_count(scripts, 'TorchScript file')}")
    return f" Not read: {', '.join(parts)}." if parts else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def exit_code(verdict: Verdict, *, strict: bool) -> int:
    """The contract's code for one target. `strict`: REVIEW fails too."""
    if strict and verdict is Verdict.REVIEW:
        return FAILED
    return _EXIT_CODES[verdict]


def worst_exit_code(codes: Iterable[int]) -> int:
    """The code for many targets: 1 over 2 over 3 over 4 over 0."""
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), 0)
