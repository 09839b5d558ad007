"""The policy of a command: the file that holds here, and what the options change in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hubaudit.baselinefile import read_baseline
from hubaudit.cli import console
from hubaudit.cli.options import SeverityName
from hubaudit.config import DEFAULT_POLICY, Policy, repo_name
from hubaudit.errors import ConfigError, UsageError
from hubaudit.model import RepoReport, Severity
from hubaudit.policyfile import load_policy, policy_from
from hubaudit.policysearch import find_policy

_SHOWN = 3  # names on one line


@dataclass(frozen=True, slots=True)
class Choices:
    """What the options say; None where they say nothing and the file decides."""

    config: Path | None
    no_config: bool
    fail_on: SeverityName | None
    strict: bool | None
    max_archive_depth: int | None
    baseline: Path | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The policy, and for which repositories its baseline was written; None without one."""

    policy: Policy = DEFAULT_POLICY
    in_baseline: frozenset[str] | None = None


def settle(choices: Choices, *, audited: Sequence[Path], quiet: bool) -> Settled:
    """The policy for an audit of the local paths `audited`, if any.

    Says on stderr which file was found, and which was not used. Raises ConfigError and UsageError.
    """
    if choices.config is not None and choices.no_config:
        raise UsageError(
            "--config and --no-config exclude each other", hint="give one of the two options"
        )
    policy = _with_options(_from_file(choices, audited, quiet=quiet), choices)
    if choices.baseline is None:
        return Settled(policy)
    known, repos = read_baseline(choices.baseline)
    return Settled(replace(policy, baseline=known), repos)


def tell_idle_waivers(policy: Policy, reports: Sequence[RepoReport]) -> None:
    """Say on stderr how many waivers are for none of these repositories: their names may be wrong.

    Each report tells of the waivers for its own repository.
    """
    audited = {repo_name(report.repo) for report in reports}
    idle = sorted({waiver.repo for waiver in policy.waivers} - audited)
    if idle:
        shown = ", ".join(console.harmless(name) for name in idle[:_SHOWN])
        more = f" and {len(idle) - _SHOWN} more" if len(idle) > _SHOWN else ""
        console.note(f"policy: it has waivers for others than what was audited: {shown}{more}")


def _from_file(choices: Choices, audited: Sequence[Path], *, quiet: bool) -> Policy:
    if choices.no_config:
        return DEFAULT_POLICY
    today = datetime.now(UTC).date()
    if choices.config is not None:
        return load_policy(choices.config, today=today)
    found = find_policy(_here(), audited)
    for passed in found.passed_over:
        console.warn(f"{passed.path} is not used: {passed.why}; name it with --config to use it")
    if found.path is None or found.table is None:
        return DEFAULT_POLICY
    policy = policy_from(found.table, str(found.path), today)
    if not quiet:
        console.note(f"policy: {console.harmless(str(found.path))}")
    return policy


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:
        raise ConfigError(
            "the working directory is gone, so that no policy file can be looked for",
            hint="go to one that exists, or use --config or --no-config",
        ) from None


def _with_options(policy: Policy, choices: Choices) -> Policy:
    if choices.fail_on is not None:
        policy = replace(policy, fail_on=Severity(choices.fail_on))
    if choices.strict is not None:
        policy = replace(policy, strict=choices.strict)
    if choices.max_archive_depth is not None:
        policy = replace(policy, max_archive_depth=choices.max_archive_depth)
    return policy
