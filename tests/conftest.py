"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes is the machine's business: a busy one is no defect.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")
