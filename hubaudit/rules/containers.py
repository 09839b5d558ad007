"""What is odd about an archive: `container-disagreement`, `hidden-member`, `path-traversal`, and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hubaudit.formats.contents import Oddity, OddityKind
from hubaudit.model import Finding, Severity
from hubaudit.rules.base import Evidence, Rule, unless_never_loaded

# Findings of one rule in one file: an archive made for it has a hundred thousand, and nobody reads those.
MOST = 20


def _of(*kinds: OddityKind) -> Callable[[Rule, Evidence], Iterator[Finding]]:
    """Findings for the oddities of these kinds, after `MOST` one that counts the rest."""

    def check(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
        told = [kind for kind in kinds if not _is_expected(kind, evidence.file.path)]
        odd = [one for one in evidence.contents.oddities if one.kind in told]
        for one in odd[:MOST]:
            severity, message = _told(one)
            yield rule.finding(
                evidence,
                unless_never_loaded(severity, evidence.load_role),
                message,
                member=one.member,
                offset=one.offset,
            )
        if len(odd) > MOST:
            severity, _ = _told(odd[MOST])
            yield rule.finding(
                evidence,
                unless_never_loaded(severity, evidence.load_role),
                f"{len(odd) - MOST:,} more of this kind",
            )

    return check


def _is_expected(kind: OddityKind, path: str) -> bool:
    """Several archives are what torch.distributed.checkpoint writes, and it knows where each begins."""
    return kind is OddityKind.SEVERAL and path.endswith(".distcp")


def _told(odd: Oddity) -> tuple[Severity, str]:
    match odd.kind:
        case OddityKind.DISAGREEMENT | OddityKind.SEVERAL:
            return Severity.HIGH, f"loaders read this archive differently: {odd.detail}"
        case OddityKind.HIDDEN:
            return Severity.HIGH, f"a member that some loaders do not see: {odd.detail}"
        case OddityKind.LEADS_OUT | OddityKind.EXPANSION:
            return Severity.MEDIUM, odd.detail
        case OddityKind.OWN_PATH:
            return Severity.LOW, odd.detail
        case OddityKind.TORCHSCRIPT_CODE:
            return Severity.INFO, f"{odd.detail} of TorchScript code, which is not read"
        case OddityKind.PACKAGE_CODE:
            return (
                Severity.LOW,
                f"{odd.detail} of Python, which torch.package runs, and not read here",
            )
        case _:
            raise AssertionError(f"{odd.kind} is not an archive's")


CONTAINER_DISAGREEMENT = Rule(
    id="container-disagreement",
    summary="Two ways to read an archive give different members or bytes.",
    advice="Do not load this file: what a scanner saw in it need not be what your loader sees.",
    worst=Severity.HIGH,
    references=("CWE-436", "CWE-434", "AML.T0010.003", "LLM03:2025"),
    check=_of(OddityKind.DISAGREEMENT, OddityKind.SEVERAL),
)

HIDDEN_MEMBER = Rule(
    id="hidden-member",
    summary="An archive has a member that some loaders do not see.",
    advice="Do not load this file; no library writes members that its own loader passes over.",
    worst=Severity.HIGH,
    references=("CWE-434", "CWE-506", "AML.T0010.003", "LLM03:2025"),
    check=_of(OddityKind.HIDDEN),
)

PATH_TRAVERSAL = Rule(
    id="path-traversal",
    summary="A name or link in an archive leads out of the folder that it is unpacked in.",
    advice="Do not unpack this archive with a tool that follows such paths.",
    worst=Severity.MEDIUM,
    references=("CWE-22", "CWE-59", "AML.T0010.003", "LLM03:2025"),
    check=_of(OddityKind.LEADS_OUT, OddityKind.OWN_PATH),
)

EXPANSION = Rule(
    id="expansion",
    summary="A file unpacks to so much that it was not read to its end.",
    advice="Find out how much it unpacks to before you load it, and whether it should.",
    worst=Severity.MEDIUM,
    references=("CWE-409", "AML.T0010.003", "LLM03:2025"),
    check=_of(OddityKind.EXPANSION),
)

TORCHSCRIPT_CODE = Rule(
    id="torchscript-code",
    summary="An archive carries code of its own, TorchScript or Python, which is not read.",
    advice="Read the code, or load a checkpoint that has none.",
    worst=Severity.LOW,
    references=("CWE-829", "AML.T0010.003", "LLM03:2025"),
    check=_of(OddityKind.TORCHSCRIPT_CODE, OddityKind.PACKAGE_CODE),
)
