"""Settings and policy: data, never code."""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.model import Severity


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts as a failure. `fail_on`: findings at or above this severity make the verdict FAIL."""

    fail_on: Severity = Severity.HIGH
