"""What the formats of one checkpoint have against one another: `weights-differ`, and others.

These rules see the repository, not one file of it: `check_siblings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hubaudit.model import Comparison, Finding, LoadRole, Severity
from hubaudit.rules.base import Rule, nothing_of_one_file, unless_never_loaded

_NAMED = 3  # tensor names in a message; the JSON report's `comparisons` has all of them
_NAME_CHARS = 120  # of each: names are the repository's, and may be of any length
# Problems of indexes that are told one by one. An index made for it has a hundred thousand.
MOST = 20


@dataclass(frozen=True, slots=True)
class Siblings:
    """All that is known of the checkpoints of a repository.

    `alone` are torch checkpoints without a safetensors sibling, each with its shards; `problems` of the
    shard indexes are a path and what is wrong. A path that `roles` does not have counts as loaded.
    """

    roles: Mapping[str, LoadRole] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    alone: Sequence[Sequence[str]] = ()
    problems: Sequence[tuple[str, str]] = ()

    def role(self, paths: Iterable[str]) -> LoadRole:
        """NEVER if no loader opens any of these."""
        roles = [self.roles.get(path, LoadRole.LOADED) for path in paths]
        return min(roles, key=_NEAREST.index, default=LoadRole.LOADED)


_NEAREST = (LoadRole.LOADED, LoadRole.FALLBACK, LoadRole.CODE, LoadRole.NEVER)


def check_siblings(siblings: Siblings) -> tuple[Finding, ...]:
    """Everything that these rules find in one repository."""
    return tuple(finding for rule, check in _CHECKS for finding in check(rule, siblings))


def _check_differing(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    for one in siblings.comparisons:
        if not one.differing:
            continue
        first = one.differences[0] if one.differences else None
        yield rule.finding_at(
            one.pickle,
            _severity(Severity.HIGH, siblings, one),
            f"{_tensors(one.differing)} not what {_there(one)} has: {_list(one.differing)}"
            f"{_since(one)}",
            shown=f"{_clip(first.name)}: {first.how}" if first else "",
        )


def _check_missing(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    for one in siblings.comparisons:
        if one.missing:
            yield rule.finding_at(
                one.pickle,
                _severity(Severity.MEDIUM, siblings, one),
                f"{_tensors(one.missing)} only in {_there(one)}: {_list(one.missing)}",
            )


def _check_extra(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    for one in siblings.comparisons:
        if one.extra:
            yield rule.finding_at(
                one.pickle,
                _severity(Severity.MEDIUM, siblings, one),
                f"{_tensors(one.extra)} not in {_there(one)}: {_list(one.extra)}",
            )


def _check_untold(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    """A gap (`broken_off`) is in the report as such. A few tensors of a known kind are told as little."""
    for one in siblings.comparisons:
        untold = one.doubtful or one.not_comparable
        if one.broken_off or not untold:
            continue
        is_little = not one.doubtful and len(one.not_comparable) < one.tensors
        yield rule.finding_at(
            one.pickle,
            Severity.LOW if is_little else _severity(Severity.MEDIUM, siblings, one),
            f"nobody can tell whether it has what {_there(one)} has: {_list(untold)}",
            shown=_clip(one.why),
        )


def _check_alone(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    for paths in siblings.alone:
        if siblings.role(paths) in (LoadRole.LOADED, LoadRole.FALLBACK):
            shards = f", in {len(paths)} shards" if len(paths) > 1 else ""
            yield rule.finding_at(
                paths[0], Severity.LOW, f"a checkpoint that is there as a pickle only{shards}"
            )


def _check_indexes(rule: Rule, siblings: Siblings) -> Iterator[Finding]:
    for path, message in siblings.problems[:MOST]:
        yield rule.finding_at(path, Severity.MEDIUM, message)
    if len(siblings.problems) > MOST:
        path, _ = siblings.problems[MOST]
        more = len(siblings.problems) - MOST
        yield rule.finding_at(path, Severity.MEDIUM, f"{more:,} more of this kind")


def _severity(severity: Severity, siblings: Siblings, one: Comparison) -> Severity:
    return unless_never_loaded(severity, siblings.role(one.pickle_files or (one.pickle,)))


def _there(one: Comparison) -> str:
    more = len(one.safetensors_files) - 1
    return f"{one.safetensors} and {more} more" if more > 0 else one.safetensors


def _tensors(names: Sequence[str]) -> str:
    return "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(_clip(name) for name in names[:_NAMED])
    return f"{shown}, …" if len(names) > _NAMED else shown


def _clip(name: str) -> str:
    return name if len(name) <= _NAME_CHARS else f"{name[:_NAME_CHARS]}…"


def _since(one: Comparison) -> str:
    return "" if one.agreed_at is None else f"; last alike at commit {one.agreed_at[:12]}"


WEIGHTS_DIFFER = Rule(
    id="weights-differ",
    summary="A pickle checkpoint and its safetensors sibling hold different weights.",
    advice="Ask the author which file is meant, and load that one by name, at this commit.",
    worst=Severity.HIGH,
    references=("CWE-345", "AML.T0018", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

TENSORS_MISSING = Rule(
    id="tensors-missing",
    summary="A pickle checkpoint lacks tensors that its safetensors sibling has.",
    advice="Load the safetensors file: with the other one, parts of the model start at random.",
    worst=Severity.MEDIUM,
    references=("CWE-345", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

TENSORS_EXTRA = Rule(
    id="tensors-extra",
    summary="A pickle checkpoint has tensors that its safetensors sibling lacks.",
    advice="Find out what these tensors are for before you load the pickle.",
    worst=Severity.MEDIUM,
    references=("CWE-345", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

NOT_COMPARABLE = Rule(
    id="not-comparable",
    summary="What a pickle checkpoint has in place of its safetensors sibling's tensors cannot be told.",
    advice="Load the safetensors file, with use_safetensors=True, and ask the author about the other.",
    worst=Severity.MEDIUM,
    references=("CWE-345", "AML.T0018", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

PICKLE_ONLY = Rule(
    id="pickle-only",
    summary="A checkpoint that loaders open is there as a pickle only.",
    advice="Convert it without loading it: hubaudit convert TARGET -o DIR.",
    worst=Severity.LOW,
    references=("CWE-502", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

INDEX_INCONSISTENT = Rule(
    id="index-inconsistent",
    summary="The index of a sharded checkpoint and the files beside it do not fit together.",
    advice="Ask the author for a checkpoint that was saved in one go; do not load parts of two.",
    worst=Severity.MEDIUM,
    references=("CWE-345", "AML.T0010.003", "LLM03:2025"),
    check=nothing_of_one_file,
)

_CHECKS: tuple[tuple[Rule, Callable[[Rule, Siblings], Iterator[Finding]]], ...] = (
    (WEIGHTS_DIFFER, _check_differing),
    (TENSORS_MISSING, _check_missing),
    (TENSORS_EXTRA, _check_extra),
    (NOT_COMPARABLE, _check_untold),
    (PICKLE_ONLY, _check_alone),
    (INDEX_INCONSISTENT, _check_indexes),
)
