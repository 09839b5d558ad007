"""Settings and policy: data, never code."""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.model import Severity


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts as a failure: findings of `fail_on` and worse make the verdict FAIL."""

    fail_on: Severity = Severity.HIGH


DEFAULT_POLICY = Policy()
