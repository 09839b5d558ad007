"""The kinds of changes, and how bad each is if nothing more is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hubaudit.model import Severity


class Kind(StrEnum):
    """What changed. The order is that of a report: the repository itself first, then its files."""

    REPOSITORY_ADDED = "repository-added"
    REPOSITORY_RECREATED = "repository-recreated"
    REPOSITORY_DELETED = "repository-deleted"
    REPOSITORY_DISABLED = "repository-disabled"
    REPOSITORY_RENAMED = "repository-renamed"
    REPOSITORY_REDIRECTED = "repository-redirected"
    REPOSITORY_RESTORED = "repository-restored"
    VISIBILITY_CHANGED = "visibility-changed"
    GATING_CHANGED = "gating-changed"
    LICENCE_CHANGED = "licence-changed"
    HISTORY_REWRITTEN = "history-rewritten"
    MOVED_BACKWARDS = "moved-backwards"
    HISTORY_UNCLEAR = "history-unclear"
    TAG_MOVED = "tag-moved"
    REF_REMOVED = "ref-removed"
    CONVERSION_OPENED = "conversion-opened"
    SCAN_CHANGED = "scan-changed"
    EXECUTABLE_ADDED = "executable-added"
    IMPORTS_CHANGED = "imports-changed"
    AUTO_MAP_CHANGED = "auto-map-changed"
    CODE_CHANGED = "code-changed"
    TWIN_CHANGED = "twin-changed"
    WEIGHTS_REPLACED = "weights-replaced"
    CHAT_TEMPLATE_CHANGED = "chat-template-changed"
    CONFIG_CHANGED = "config-changed"
    FILE_RENAMED = "file-renamed"
    FILE_REMOVED = "file-removed"
    FILE_ADDED = "file-added"
    FILE_CHANGED = "file-changed"
    README_CHANGED = "readme-changed"

    @property
    def rank(self) -> int:
        return list(Kind).index(self)


# The least severity of each kind; what is known of the case may raise it. INFO is for what runs nothing and
# decides nothing: `diff` and `watch` do not call it drift.
LEAST: dict[Kind, Severity] = {
    # Nobody has approved it, and nobody has loaded it yet.
    Kind.REPOSITORY_ADDED: Severity.LOW,
    # Another repository answers to a name that somebody approved.
    Kind.REPOSITORY_RECREATED: Severity.HIGH,
    Kind.REPOSITORY_REDIRECTED: Severity.HIGH,
    Kind.REPOSITORY_DELETED: Severity.HIGH,
    Kind.REPOSITORY_DISABLED: Severity.HIGH,
    # The old name is free for whoever takes it next.
    Kind.REPOSITORY_RENAMED: Severity.HIGH,
    Kind.REPOSITORY_RESTORED: Severity.LOW,
    Kind.VISIBILITY_CHANGED: Severity.MEDIUM,
    Kind.GATING_CHANGED: Severity.LOW,
    Kind.LICENCE_CHANGED: Severity.MEDIUM,
    Kind.HISTORY_REWRITTEN: Severity.HIGH,
    Kind.MOVED_BACKWARDS: Severity.MEDIUM,
    Kind.HISTORY_UNCLEAR: Severity.LOW,
    # People pin tags as if they could not move.
    Kind.TAG_MOVED: Severity.MEDIUM,
    Kind.REF_REMOVED: Severity.LOW,
    # transformers looks for a conversion in a pull request (4.x, `safetensors_conversion.py`).
    Kind.CONVERSION_OPENED: Severity.MEDIUM,
    Kind.SCAN_CHANGED: Severity.INFO,
    Kind.EXECUTABLE_ADDED: Severity.MEDIUM,
    Kind.IMPORTS_CHANGED: Severity.LOW,
    Kind.AUTO_MAP_CHANGED: Severity.HIGH,
    Kind.CODE_CHANGED: Severity.MEDIUM,
    Kind.TWIN_CHANGED: Severity.MEDIUM,
    Kind.WEIGHTS_REPLACED: Severity.MEDIUM,
    # Jinja that is run on every conversation.
    Kind.CHAT_TEMPLATE_CHANGED: Severity.MEDIUM,
    Kind.CONFIG_CHANGED: Severity.LOW,
    Kind.FILE_RENAMED: Severity.LOW,
    Kind.FILE_REMOVED: Severity.LOW,
    Kind.FILE_ADDED: Severity.LOW,
    Kind.FILE_CHANGED: Severity.LOW,
    Kind.README_CHANGED: Severity.INFO,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed. `message` is one sentence, `detail` are further lines (a diff, keys, names).

    `paths` are files of the repository. `before` and `after` are single values where there are such: a
    commit, a licence, an id. All of it may hold text of the repository, as it is.
    """

    kind: Kind
    severity: Severity
    message: str
    paths: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    detail: tuple[str, ...] = ()


def change(
    kind: Kind,
    message: str,
    *,
    at_least: Iterable[Severity | None] = (),
    paths: tuple[str, ...] = (),
    before: str | None = None,
    after: str | None = None,
    detail: tuple[str, ...] = (),
) -> Change:
    """A change of the least severity of its kind, or of the worst in `at_least`."""
    known = [LEAST[kind], *(one for one in at_least if one is not None)]
    worst = min(known, key=lambda severity: severity.rank)
    return Change(kind, worst, message, paths, before, after, detail)


def is_drift(one: Change) -> bool:
    """Whether the change is more than harmless."""
    return one.severity is not Severity.INFO


def report_order(one: Change) -> tuple[int, int, tuple[str, ...], str]:
    """Worst first, then by kind and file."""
    return one.severity.rank, one.kind.rank, one.paths, one.message
