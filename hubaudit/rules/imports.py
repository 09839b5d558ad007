"""What a pickle imports: `dangerous-import`, `unlisted-import`, `computed-import`."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.model import Confidence, Finding, NameClass, Severity
from hubaudit.pvm.render import render
from hubaudit.pvm.values import ComputedImport, Global
from hubaudit.rules.base import Evidence, Rule, unless_never_loaded
from hubaudit.rules.names import Use
from hubaudit.rules.uses import NameUse

_REFERENCES = ("CWE-502", "AML.T0010.003", "AML.T0011.000", "LLM03:2025")

_VERBS = {Use.NAMED: "imports", Use.CONSTRUCTED: "constructs", Use.CALLED: "calls"}


def _check_dangerous(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    for use in evidence.uses:
        if use.name_class is NameClass.DANGEROUS and use.entry is not None:
            severity = use.entry.severity or Severity.HIGH
            message = f"{_VERBS[use.use]} {_spelled(use)}: {use.entry.why}"
            yield _about(rule, evidence, use, severity, message)


def _spelled(use: NameUse) -> str:
    """As people know it, and as it stands in the file if that is something else."""
    known = render(Global(use.module, use.name))
    return known if known == use.qualified else f"{known} (as {use.qualified})"


def _check_unlisted(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    for use in evidence.uses:
        if use.name_class is NameClass.UNLISTED:
            called = use.use is Use.CALLED
            severity = Severity.HIGH if called else Severity.MEDIUM
            message = f"{_VERBS[use.use]} {use.qualified}, {_why_unlisted(use)}"
            yield _about(rule, evidence, use, severity, message)


def _why_unlisted(use: NameUse) -> str:
    if use.entry is None:
        return "which is not in the catalogue"
    if use.entry.by_argument:
        return f"with arguments that do not make it inert: {use.entry.why}"
    return "which the catalogue lists as inert in other uses only"


def _about(
    rule: Rule, evidence: Evidence, use: NameUse, severity: Severity, message: str
) -> Finding:
    return rule.finding(
        evidence,
        unless_never_loaded(severity, evidence.load_role),
        message,
        member=use.member,
        offset=use.call.offset if use.call is not None else use.offset,
        shown=render(use.call) if use.call is not None else use.qualified,
    )


def _check_computed(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    for pickle in evidence.contents.pickles:
        for computed in pickle.trace.computed:
            yield rule.finding(
                evidence,
                unless_never_loaded(Severity.HIGH, evidence.load_role),
                f"imports a name that only the running process would know: {computed.why}",
                member=pickle.member,
                offset=computed.offset,
                shown=_shown(computed),
                confidence=Confidence.MEDIUM,
            )


def _shown(computed: ComputedImport) -> str:
    return f"find_class({render(computed.module)}, {render(computed.name)})"


DANGEROUS_IMPORT = Rule(
    id="dangerous-import",
    summary="A pickle imports or calls something that runs code, opens files or the network.",
    advice="Do not load this file; use a safetensors copy, and report the repository to the Hub.",
    worst=Severity.CRITICAL,
    references=_REFERENCES,
    check=_check_dangerous,
)

UNLISTED_IMPORT = Rule(
    id="unlisted-import",
    summary="A pickle imports a name that the catalogue does not know.",
    advice="Read what the named class or function does when it is loaded before you load the file.",
    worst=Severity.HIGH,
    references=_REFERENCES,
    check=_check_unlisted,
)

COMPUTED_IMPORT = Rule(
    id="computed-import",
    summary="A pickle imports a name that it computes, so that nobody can read it beforehand.",
    advice="Do not load this file: ordinary libraries never write such a pickle.",
    worst=Severity.HIGH,
    references=_REFERENCES,
    check=_check_computed,
)
