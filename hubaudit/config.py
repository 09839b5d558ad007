"""Settings and policy: data, never code."""

from __future__ import annotations

from dataclasses import dataclass

from hubaudit.model import Severity


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts as a failure: findings of `fail_on` and worse make the verdict FAIL.

    Archives and compressed files are opened in one another up to `max_archive_depth`; what lies deeper
    is unread.
    """

    fail_on: Severity = Severity.HIGH
    max_archive_depth: int = 3


DEFAULT_POLICY = Policy()
