"""Settings and policy: data, never code. `policyfile` reads them, `docs/policy.md` explains them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from hubaudit.errors import ConfigError
from hubaudit.model import RepoRef, Severity

# Module and name, as a pickle spells them.
GlobalName = tuple[str, str]

_KIND = {"dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """The findings of one rule in one file are tolerated, for these bytes and until that day.

    `repo` as `repo_name` spells it. `expires` is the last day on which it counts.
    """

    rule: str
    repo: str
    file: str
    sha256: str
    reason: str
    owner: str
    expires: date


@dataclass(frozen=True, slots=True)
class Known:
    """A finding of an earlier audit, bound to the content in which it was.

    `content` is "sha256:…", or "git:…" with the blob id; None for a finding about the repository as a
    whole. `evidence` is the sha256 of what was shown.
    """

    rule: str
    repo: str
    path: str
    member: str | None
    content: str | None
    evidence: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Policy:
    """What is tolerated and what is not. Without a file it is `DEFAULT_POLICY`.

    Findings of `fail_on` and worse make the verdict FAIL; with `strict` REVIEW fails too. Archives and
    compressed files are opened in one another up to `max_archive_depth`; what lies deeper is unread. A
    pickle is interpreted up to `max_opcodes`. None allows every protocol, publisher or scan result.

    `today` is the day on which waivers are judged: needed if there are any, and nothing else depends
    on it. Raises ConfigError if it is missing.
    """

    fail_on: Severity = Severity.HIGH
    strict: bool = False
    max_archive_depth: int = 3
    max_opcodes: int = 2_200_000  # as `pvm.state.Limits`, which says by what evidence
    protocols: frozenset[int] | None = None
    allowed_globals: frozenset[GlobalName] = frozenset()
    denied_globals: frozenset[GlobalName] = frozenset()
    denied_formats: frozenset[str] = frozenset()
    publishers: frozenset[str] | None = None
    hub_scan: frozenset[str] | None = None
    waivers: tuple[Waiver, ...] = ()
    baseline: frozenset[Known] = frozenset()
    today: date | None = None

    def __post_init__(self) -> None:
        if self.waivers and self.today is None:
            raise ConfigError(
                "a policy with waivers has to know what day it is",
                hint="give Policy(today=...), or read the file with load_policy",
            )

    @property
    def digest(self) -> str:
        """sha256, hex, of all settings but `today`, whatever file or call they came from."""
        return _digest(self)


DEFAULT_POLICY = Policy()


def repo_name(repo: RepoRef) -> str:
    """A repository as targets are typed: org/model, datasets/org/name; a local one by its own name."""
    return _KIND.get(repo.repo_type, "") + repo.repo_id


@lru_cache(maxsize=8)  # every report asks again, and a baseline may have thousands of rows
def _digest(policy: Policy) -> str:
    text = json.dumps(_settings(policy), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _settings(policy: Policy) -> dict[str, object]:
    """The policy in one form only: every collection sorted, every value plain."""
    return {
        "fail-on": policy.fail_on.value,
        "strict": policy.strict,
        "max-archive-depth": policy.max_archive_depth,
        "max-opcodes": policy.max_opcodes,
        "protocols": _sorted(policy.protocols),
        "globals.allow": _sorted(policy.allowed_globals),
        "globals.deny": _sorted(policy.denied_globals),
        "formats.deny": _sorted(policy.denied_formats),
        "publishers.allow": _sorted(policy.publishers),
        "hub-scan.require": _sorted(policy.hub_scan),
        "waivers": sorted(
            [w.rule, w.repo, w.file, w.sha256, w.reason, w.owner, w.expires.isoformat()]
            for w in policy.waivers
        ),
        "baseline": sorted(
            [k.rule, k.repo, k.path, k.member or "", k.content or "", k.evidence, k.severity.value]
            for k in policy.baseline
        ),
    }


def _sorted(values: frozenset[Any] | None) -> list[Any] | None:
    return None if values is None else sorted(values)
