"""The rules about two formats of one checkpoint: what triggers each, and the near miss that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubaudit import rules
from hubaudit.model import Finding, LoadRole, Severity
from hubaudit.rules import Siblings
from hubaudit.rules.siblings import MOST
from tests.rules.sibling_samples import BIN, DIFFERS, EQUAL, HOW, INDEX, TRIGGERS


def only(siblings: Siblings) -> Finding:
    found = rules.check_siblings(siblings)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("rule", TRIGGERS)
def test_each_is_found_by_one_rule_alone(rule: str) -> None:
    assert only(TRIGGERS[rule]).rule == rule


def test_the_finding_names_both_files_and_the_first_difference() -> None:
    found = only(TRIGGERS["weights-differ"])
    assert found.path == BIN
    assert found.message == "1 tensor is not what model.safetensors has: head.weight"
    assert found.evidence == f"head.weight: {HOW}"


def test_the_last_commit_at_which_they_agreed_is_said() -> None:
    siblings = Siblings(comparisons=(replace(DIFFERS, agreed_at="0123456789abcdef" * 2),))
    assert only(siblings).message.endswith("; last alike at commit 0123456789ab")


@pytest.mark.parametrize(
    ("role", "severity"),
    [
        (LoadRole.LOADED, Severity.HIGH),
        (LoadRole.FALLBACK, Severity.HIGH),
        (LoadRole.NEVER, Severity.MEDIUM),
    ],
)
def test_what_no_loader_opens_is_a_step_less(role: LoadRole, severity: Severity) -> None:
    assert only(Siblings({BIN: role}, (DIFFERS,))).severity is severity


def test_one_shard_on_the_load_path_is_enough() -> None:
    shards = ("a-1-of-2.bin", "a-2-of-2.bin")
    roles = {shards[0]: LoadRole.NEVER, shards[1]: LoadRole.FALLBACK}
    one = replace(DIFFERS, pickle=shards[0], pickle_files=shards)
    assert only(Siblings(roles, (one,))).severity is Severity.HIGH


def test_what_nobody_can_tell_is_medium_but_for_a_few_tensors_of_a_known_kind() -> None:
    made = only(TRIGGERS["not-comparable"])
    assert (made.severity, made.evidence) == (Severity.MEDIUM, "a: why")
    few = replace(EQUAL, result="not-compared", not_comparable=("a",), why="of 1 tensor: sparse")
    assert only(Siblings(comparisons=(few,))).severity is Severity.LOW
    assert only(Siblings(comparisons=(replace(few, tensors=1),))).severity is Severity.MEDIUM


def test_shards_without_a_sibling_are_one_finding() -> None:
    shards = tuple(f"pytorch_model-0000{n}-of-00003.bin" for n in (1, 2, 3))
    found = only(Siblings(alone=(shards,)))
    assert (found.path, found.severity) == (shards[0], Severity.LOW)
    assert "3 shards" in found.message


def test_long_lists_and_long_names_are_cut() -> None:
    names = tuple("n" * 100_000 + str(n) for n in range(1000))
    one = replace(DIFFERS, missing=names, extra=names, differing=names, differences=())
    found = rules.check_siblings(Siblings(comparisons=(one,)))
    assert len(found) == 3
    assert all(len(finding.message) < 600 for finding in found)


def test_an_index_with_a_hundred_thousand_problems_is_told_in_few() -> None:
    found = rules.check_siblings(Siblings(problems=[(INDEX, f"{n}") for n in range(100_000)]))
    assert len(found) == MOST + 1
    assert found[-1].message == "99,980 more of this kind"
