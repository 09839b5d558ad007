"""What to do about a finding, by the name of its rule."""

from __future__ import annotations

from hubaudit import rules

_UNKNOWN = "Look at the evidence before you load this file."


def advice_for(rule_id: str) -> str:
    """One sentence; a general one for a rule that this version lacks, as a stored report may be newer."""
    for rule in rules.RULES:
        if rule.id == rule_id:
            return rule.advice
    return _UNKNOWN
