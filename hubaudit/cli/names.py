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
    "watch",
    "approve",
    "pins",
    "demo",
)
