"""What the shell offers when a command line is completed: of `audit`, too, where it is not named."""

from __future__ import annotations

import os
from typing import Any

from typer.core import TyperGroup

from hubaudit.cli.arguments import for_completion, valued_options

# Set by the scripts of --show-completion; typer makes the name of the program's.
_INSTRUCTION = "_HUBAUDIT_COMPLETE"


class Commands(TyperGroup):
    """The group of our commands. What is not the name of one is completed as an argument of `audit`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        if extra.get("resilient_parsing"):  # only completion parses like that
            args = for_completion(args, valued_options(self))
        return super().make_context(info_name, args, parent, **extra)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        offered = super().shell_complete(ctx, incomplete)
        if not incomplete.startswith("-"):
            return offered
        there = {item.value for item in offered}
        of_audit = self.commands["audit"].shell_complete(ctx, incomplete)
        return [*offered, *(item for item in of_audit if item.value not in there)]


def is_asked() -> bool:
    """Whether this process was started by a shell that wants to know how a word may go on."""
    return bool(os.environ.get(_INSTRUCTION))


def complete(command: Any) -> int:
    """Print what may follow. The exit code, which tells fish whether files may."""
    try:
        command.main([], prog_name="hubaudit", standalone_mode=False)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    return 0
