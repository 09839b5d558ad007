"""What would this Hugging Face commit run on me? The public names, imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubaudit.model import RepoReport, Verdict
    from hubaudit.pipeline import audit, require, scan

__version__ = "0.1.0"
__all__ = ["RepoReport", "Verdict", "__version__", "audit", "require", "scan"]


def __getattr__(name: str) -> Any:
    if name in {"audit", "require", "scan"}:
        from hubaudit import pipeline

        return getattr(pipeline, name)
    if name in {"RepoReport", "Verdict"}:
        from hubaudit import model

        return getattr(model, name)
    raise AttributeError(f"module 'hubaudit' has no attribute {name!r}")
