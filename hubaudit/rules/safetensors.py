"""What breaks the rules of the safetensors format: `safetensors-invalid`."""

from __future__ import annotations

from collections.abc import Iterator

from hubaudit.formats.contents import Format, Oddity, OddityKind
from hubaudit.model import Finding, Severity
from hubaudit.rules.base import Evidence, Rule, unless_never_loaded

# Findings in one file: a header made for it has a hundred thousand, and nobody reads those.
MOST = 20

# Of these `wrong-extension` says more.
_PICKLES = frozenset({Format.PICKLE, Format.TORCH_ZIP, Format.TORCH_LEGACY, Format.TORCHSCRIPT})

_TOLD = {
    OddityKind.SAFETENSORS_AMBIGUOUS: (Severity.HIGH, "readers would take different tensors: {}"),
    OddityKind.SAFETENSORS_HIDDEN: (Severity.MEDIUM, "bytes that belong to no tensor: {}"),
    OddityKind.SAFETENSORS_REFUSED: (
        Severity.MEDIUM,
        "the safetensors library refuses this file, others may not: {}",
    ),
    OddityKind.SAFETENSORS_STRAY: (Severity.LOW, "not as the format asks for it: {}"),
}


def _check(rule: Rule, evidence: Evidence) -> Iterator[Finding]:
    odd = [one for one in evidence.contents.oddities if one.kind in _TOLD]
    for one in odd[:MOST]:
        yield _finding(rule, evidence, one)
    if len(odd) > MOST:
        yield rule.finding(
            evidence,
            unless_never_loaded(Severity.LOW, evidence.load_role),
            f"{len(odd) - MOST:,} more of this kind",
        )
    if not odd and _is_only_named_so(evidence):
        yield rule.finding(
            evidence,
            unless_never_loaded(Severity.MEDIUM, evidence.load_role),
            f"named .safetensors, but its bytes are {_ARE[evidence.contents.format]}",
            offset=0,
        )


def _finding(rule: Rule, evidence: Evidence, odd: Oddity) -> Finding:
    severity, message = _TOLD[odd.kind]
    return rule.finding(
        evidence,
        unless_never_loaded(severity, evidence.load_role),
        message.format(odd.detail),
        member=odd.member,
        offset=odd.offset,
    )


_ARE = {
    format_: {
        Format.DATA: "of no format that is known",
        Format.TEXT: "plain text",
        Format.EMPTY: "none at all",
    }.get(format_, f"a {format_.value} file")
    for format_ in Format
}


def _is_only_named_so(evidence: Evidence) -> bool:
    """Not of a file that could not be had: its gap says so."""
    contents = evidence.contents
    is_other = contents.format is not Format.SAFETENSORS and contents.format not in _PICKLES
    named = evidence.file.path.lower().endswith(".safetensors")
    return named and is_other and not contents.gaps


SAFETENSORS_INVALID = Rule(
    id="safetensors-invalid",
    summary="A safetensors file breaks the rules of its format.",
    advice="Get the file again; if it is so at its author's, convert the weights anew.",
    worst=Severity.HIGH,
    references=("CWE-436", "CWE-1286", "AML.T0010.003", "LLM03:2025"),
    check=_check,
)
