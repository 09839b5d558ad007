"""The names of commands, known before any command is imported."""

from __future__ import annotations

COMMANDS = (
    "audit",
    "scan",
    "report",
    "rules",
    "explain",
    "convert",
    "diff",
    "sweep",
    "merge",
    "history",
    "pins",
    "demo",
)
# Commands of versions to come. They are kept free now, since `hubaudit NAME` is also a repository.
RESERVED = ("watch",)
