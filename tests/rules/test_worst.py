"""Every rule has a sample that triggers it and a near miss, and gives the severity that it declares."""

from __future__ import annotations

import pytest

from hubaudit import rules
from hubaudit.model import Finding
from tests.rules.samples import SAMPLES, Findings

RULES = {rule.id: rule for rule in rules.RULES}


def of_rule(rule: str, found: Findings) -> list[Finding]:
    return [finding for finding in found if finding.rule == rule]


def test_every_rule_has_its_samples_and_no_sample_is_without_a_rule() -> None:
    assert SAMPLES.keys() == RULES.keys(), "write a row of tests/rules/samples.py"


@pytest.mark.parametrize("rule", SAMPLES)
def test_a_trigger_is_found(rule: str) -> None:
    assert of_rule(rule, SAMPLES[rule].trigger())


@pytest.mark.parametrize("rule", SAMPLES)
def test_a_near_miss_is_not(rule: str) -> None:
    assert of_rule(rule, SAMPLES[rule].near_miss()) == []


@pytest.mark.parametrize("rule", SAMPLES)
def test_the_worst_severity_is_the_one_that_the_list_names(rule: str) -> None:
    found = of_rule(rule, SAMPLES[rule].trigger())
    assert min(finding.severity.rank for finding in found) == RULES[rule].worst.rank


@pytest.mark.parametrize("rule", SAMPLES)
def test_no_finding_is_worse_than_the_list_says(rule: str) -> None:
    sample = SAMPLES[rule]
    for finding in (*sample.trigger(), *sample.near_miss()):
        assert finding.severity.rank >= RULES[finding.rule].worst.rank


@pytest.mark.parametrize("rule", SAMPLES)
def test_a_finding_says_how_sure_it_is_and_where_to_read_on(rule: str) -> None:
    for finding in of_rule(rule, SAMPLES[rule].trigger()):
        assert finding.confidence
        assert finding.references == RULES[rule].references
        assert finding.message
