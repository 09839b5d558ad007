"""What would this Hugging Face commit run on me? The public names, imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubaudit.config import Policy
    from hubaudit.model import RepoReport, Verdict
    from hubaudit.pipeline import audit, require, scan
    from hubaudit.policyfile import load_policy

__version__ = "0.1.0"
__all__ = [
    "Policy",
    "RepoReport",
    "Verdict",
    "__version__",
    "audit",
    "load_policy",
    "require",
    "scan",
]


def __getattr__(name: str) -> Any:
    if name in {"audit", "require", "scan"}:
        from hubaudit import pipeline

        return getattr(pipeline, name)
    if name == "Policy":
        from hubaudit.config import Policy

        return Policy
    if name == "load_policy":
        from hubaudit.policyfile import load_policy

        return load_policy
    if name in {"RepoReport", "Verdict"}:
        from hubaudit import model

        return getattr(model, name)
    raise AttributeError(f"module 'hubaudit' has no attribute {name!r}")
