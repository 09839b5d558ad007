"""What `hubaudit rules` says of severities is what the rules give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hubaudit import rules
from hubaudit.formats.contents import Format
from hubaudit.model import HubScan
from tests.rules.test_rules import FILE, TRUE, evidence

# The worst that each rule has to say.
WORST = {
    "dangerous-import": evidence(("GLOBAL", "os", "system"), *TRUE, "STOP"),
    "unlisted-import": evidence(("GLOBAL", "own", "thing"), *TRUE, "STOP"),
    "computed-import": evidence(("EXT1", 1), "STOP"),
    "broken-pickle": evidence("NONE", b"\xff"),
    "trailing-data": evidence("NONE", "STOP", b"\xff\xff"),
    "wrong-extension": evidence("NONE", "STOP", file=replace(FILE, path="a.json")),
    "digest-mismatch": evidence("NONE", "STOP", verified=False),
    "weights-only": evidence(("GLOBAL", "own", "thing"), "STOP", format_=Format.TORCH_LEGACY),
    "hub-scan": evidence("NONE", "STOP", file=replace(FILE, hub_scan=HubScan("unsafe"))),
}


@pytest.mark.parametrize(
    "rule", [rule for rule in rules.RULES if rule.id in WORST], ids=lambda rule: rule.id
)
def test_the_worst_severity_is_the_one_that_the_list_names(rule: rules.Rule) -> None:
    found = [finding for finding in rules.check(WORST[rule.id]) if finding.rule == rule.id]
    assert min(found, key=lambda finding: finding.severity.rank).severity is rule.worst


@pytest.mark.parametrize("seen", WORST.values(), ids=WORST)
def test_no_finding_is_worse_than_the_list_says(seen: rules.Evidence) -> None:
    worst = {rule.id: rule.worst.rank for rule in rules.RULES}
    assert all(finding.severity.rank >= worst[finding.rule] for finding in rules.check(seen))
