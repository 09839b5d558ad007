"""The recorded payloads, and such as the Hub sends by its documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_RECORDED = Path(__file__).parents[3] / "shared/recordings/webhooks"
RECORDED = sorted(_RECORDED.glob("*.json")) if _RECORDED.is_dir() else []


def payload(name: str = "org/model", **changed: Any) -> dict[str, Any]:
    """A push to main; what is in `changed` replaces the field of that name, or adds to a table."""
    found: dict[str, Any] = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {
            "type": "model",
            "name": name,
            "id": "621ffdc036468d709f17434d",
            "private": False,
            "headSha": "b" * 40,
            "owner": {"id": "628b753283ef59b5be89e937"},
        },
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": "a" * 40, "newSha": "b" * 40}],
        "webhook": {"id": "6390e855e30d9209411de93b", "version": 3},
    }
    for key, value in changed.items():
        was = found.get(key)
        found[key] = (
            {**was, **value} if isinstance(was, dict) and isinstance(value, dict) else value
        )
    return found


def body(name: str = "org/model", **changed: Any) -> bytes:
    return json.dumps(payload(name, **changed)).encode()
