"""What the references of the rules are, and where they can be read: CWE, MITRE ATLAS, OWASP."""

from __future__ import annotations

import re

from hubaudit.rules.base import Rule

# CWE 4.17, ATLAS 2025, OWASP Top 10 for LLM Applications 2025
_TITLES = {
    "CWE-22": "Path Traversal",
    "CWE-59": "Link Following",
    "CWE-94": "Improper Control of Generation of Code",
    "CWE-345": "Insufficient Verification of Data Authenticity",
    "CWE-354": "Improper Validation of Integrity Check Value",
    "CWE-409": "Improper Handling of Highly Compressed Data",
    "CWE-434": "Unrestricted Upload of File with Dangerous Type",
    "CWE-436": "Interpretation Conflict",
    "CWE-502": "Deserialization of Untrusted Data",
    "CWE-506": "Embedded Malicious Code",
    "CWE-646": "Reliance on File Name or Extension of Externally-Supplied File",
    "CWE-693": "Protection Mechanism Failure",
    "CWE-829": "Inclusion of Functionality from Untrusted Control Sphere",
    "CWE-1286": "Improper Validation of Syntactic Correctness of Input",
    "AML.T0010.003": "AI Supply Chain Compromise: Model",
    "AML.T0011.000": "User Execution: Unsafe AI Artifacts",
    "AML.T0018": "Manipulate AI Model",
    "AML.T0074": "Masquerading",
    "LLM03:2025": "Supply Chain",
}
_OWASP = {"LLM03:2025": "https://genai.owasp.org/llmrisk/llm032025-supply-chain/"}


def title(reference: str) -> str:
    """What it is called; empty for one that this version does not know."""
    return _TITLES.get(reference, "")


def link(reference: str) -> str | None:
    """Where it can be read; None for one of another kind."""
    if found := re.fullmatch(r"CWE-(\d+)", reference):
        return f"https://cwe.mitre.org/data/definitions/{found[1]}.html"
    if re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", reference):
        return f"https://atlas.mitre.org/techniques/{reference}"
    return _OWASP.get(reference)


def section(rule: Rule) -> str:
    """The end of a rule's page: what the report gives with its findings."""
    lines = ["### References", "", f"The severity of a finding is {rule.worst} at worst.", ""]
    for reference in rule.references:
        lines += [
            f"- {reference} {title(reference)}".rstrip(),
            f"  {link(reference) or ''}".rstrip(),
        ]
    return "\n".join([*lines, ""])
