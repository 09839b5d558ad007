"""Every exception that hubaudit raises on purpose.

::

    HubauditError                 exit code 2, with a hint of what to do
    ├── UsageError                the command or the call cannot mean anything
    │   └── MalformedTarget       not a repository id, URL or hf:// path
    ├── ConfigError               a settings file cannot be used
    ├── PathError                 a local path to scan is missing or unreadable
    ├── ReportUnusable            a stored report cannot be read, or is none
    ├── StoreUnusable             the store is no store, or the disk does not take it
    ├── RequestsSpent             as many requests were made as the user allows
    ├── ClusterLost               its scheduler went away, or its last worker, and none came
    ├── HubError                  the Hub did not give what the audit needs
    │   ├── RepositoryMissing     missing, private, or renamed away: the Hub does not tell which
    │   ├── RepositoryRenamed     the name now points to another repository
    │   ├── RevisionMissing       no such branch, tag or commit
    │   ├── AccessDenied          bad token, missing scope
    │   │   ├── GatedRepository   its files need an approved request
    │   │   └── RepositoryDisabled  by the Hub
    │   ├── RateLimited           the Hub's limit, longer than we are willing to wait
    │   ├── HubUnreachable        no answer: network, time-out, 5xx
    │   ├── HubAnswerInvalid      an answer that the protocol does not allow
    │   ├── NotCached             offline, and the cache does not hold it
    │   └── CacheUnusable         this machine's cache takes nothing: full, read-only, no folder
    ├── FileUnavailable           one listed file cannot be read; the audit goes on, INCOMPLETE
    ├── CannotListen              the address is taken, or not this machine's
    ├── MalformedHook             a webhook's delivery that is none
    ├── Busy                      more deliveries than can be kept for now
    ├── CassetteError             a cassette cannot be written or read
    │   └── CassetteMiss          a replay asked for a request that was not recorded
    ├── AuditFailed               `require`: the verdict is FAIL
    └── AuditIncomplete           `require`: the verdict is INCOMPLETE

Hostile bytes never raise: they become findings or `Unread` entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubaudit.model import RepoReport


class HubauditError(Exception):
    """What happened, in one line, and `hint`: what the user can do about it, in one line."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HubauditError):
    pass


class MalformedTarget(UsageError):
    pass


class ConfigError(HubauditError):
    pass


class PathError(HubauditError):
    pass


class ReportUnusable(HubauditError):
    pass


class StoreUnusable(HubauditError):
    pass


class RequestsSpent(HubauditError):
    """No HubError: what is cut off by it must not be taken for what a Hub failed to give."""


class ClusterLost(HubauditError):
    """No word on the target that was asked for: another machine may reach it."""


class HubError(HubauditError):
    pass


class RepositoryMissing(HubError):
    pass


class RepositoryRenamed(HubError):
    pass


class RevisionMissing(HubError):
    pass


class AccessDenied(HubError):
    pass


class GatedRepository(AccessDenied):
    pass


class RepositoryDisabled(AccessDenied):
    pass


class RateLimited(HubError):
    pass


class HubUnreachable(HubError):
    pass


class HubAnswerInvalid(HubError):
    pass


class NotCached(HubError):
    pass


class CacheUnusable(HubError):
    pass


class FileUnavailable(HubauditError):
    """The message says of "it" what is wrong; who catches it knows which file that is."""


class CannotListen(HubauditError):
    pass


class MalformedHook(HubauditError):
    pass


class Busy(HubauditError):
    pass


class CassetteError(HubauditError):
    pass


class CassetteMiss(CassetteError):
    pass


class _VerdictError(HubauditError):
    def __init__(self, report: RepoReport, *, hint: str = "") -> None:
        super().__init__(f"{report.repo.repo_id}: {report.summary}", hint=hint)
        self.report = report


class AuditFailed(_VerdictError):
    pass


class AuditIncomplete(_VerdictError):
    pass
