from __future__ import annotations

import pytest

from hubaudit import rules
from tests.report import samples


@pytest.fixture(autouse=True)
def stub_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goldens show how advice is laid out, not how the rules of the day word it."""
    monkeypatch.setattr(rules, "RULES", samples.RULES, raising=False)
