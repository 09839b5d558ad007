"""The rules: what in a file's evidence is worth telling a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hubaudit.model import Finding
from hubaudit.rules.base import Evidence, Rule
from hubaudit.rules.containers import (
    CONTAINER_DISAGREEMENT,
    EXPANSION,
    HIDDEN_MEMBER,
    PATH_TRAVERSAL,
    TORCHSCRIPT_CODE,
)
from hubaudit.rules.hubscan import HUB_SCAN
from hubaudit.rules.identity import DIGEST_MISMATCH
from hubaudit.rules.imports import COMPUTED_IMPORT, DANGEROUS_IMPORT, UNLISTED_IMPORT
from hubaudit.rules.policy import (
    DENIED_FORMAT,
    DENIED_PROTOCOL,
    PUBLISHER,
    SCAN_REQUIRED,
    WAIVER,
    catalogue_under,
    check_repo,
)
from hubaudit.rules.programs import MODEL_CODE
from hubaudit.rules.safetensors import SAFETENSORS_INVALID
from hubaudit.rules.siblings import (
    INDEX_INCONSISTENT,
    NOT_COMPARABLE,
    PICKLE_ONLY,
    TENSORS_EXTRA,
    TENSORS_MISSING,
    WEIGHTS_DIFFER,
    Siblings,
    check_siblings,
)
from hubaudit.rules.structure import BROKEN_PICKLE, TRAILING_DATA, WRONG_EXTENSION
from hubaudit.rules.weights_only import WEIGHTS_ONLY
from hubaudit.rules.weights_only import data as weights_only_data

RULES: tuple[Rule, ...] = (
    DANGEROUS_IMPORT,
    UNLISTED_IMPORT,
    COMPUTED_IMPORT,
    BROKEN_PICKLE,
    TRAILING_DATA,
    WRONG_EXTENSION,
    CONTAINER_DISAGREEMENT,
    HIDDEN_MEMBER,
    PATH_TRAVERSAL,
    EXPANSION,
    TORCHSCRIPT_CODE,
    MODEL_CODE,
    SAFETENSORS_INVALID,
    WEIGHTS_ONLY,
    DIGEST_MISMATCH,
    HUB_SCAN,
    WEIGHTS_DIFFER,
    TENSORS_MISSING,
    TENSORS_EXTRA,
    NOT_COMPARABLE,
    INDEX_INCONSISTENT,
    PICKLE_ONLY,
    DENIED_FORMAT,
    DENIED_PROTOCOL,
    PUBLISHER,
    SCAN_REQUIRED,
    WAIVER,
)

__all__ = [
    "RULES",
    "Evidence",
    "Rule",
    "Siblings",
    "catalogue_under",
    "check",
    "check_repo",
    "check_siblings",
    "ruleset_digest",
]


def check(evidence: Evidence, rules: Iterable[Rule] = RULES) -> tuple[Finding, ...]:
    """Everything that the rules find in one file."""
    return tuple(finding for rule in rules for finding in rule.check(rule, evidence))


def ruleset_digest(names_digest: str, rules: Iterable[Rule] = RULES) -> str:
    """sha256 over the catalogue's digest and the rules' texts and data: what a stored report depends on."""
    parts = [names_digest, weights_only_data(), *(f"{rule.id}\0{rule.summary}" for rule in rules)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
