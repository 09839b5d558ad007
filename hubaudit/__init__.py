"""What would this Hugging Face commit run on me? The public names, imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hubaudit.audit import audit, require, scan
    from hubaudit.model import RepoReport, Verdict

__version__ = "0.1.0"
__all__ = ["RepoReport", "Verdict", "__version__", "audit", "require", "scan"]


def __getattr__(name: str) -> Any:
    if name in {"audit", "require", "scan"}:
        import hubaudit.audit as home
    elif name in {"RepoReport", "Verdict"}:
        import hubaudit.model as home
    else:
        raise AttributeError(f"module 'hubaudit' has no attribute {name!r}")
    return getattr(home, name)
