"""Write docs/cli.md from the command line itself.

Run:  python -m tests.make_cli_page
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, CommandInfo, OptionInfo

from hubaudit.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
_OPENING = """\
# Command line

What `hubaudit COMMAND --help` says, for all commands. `hubaudit TARGET...` is short for `hubaudit audit
TARGET...`, and options may stand before or behind what they are about. The report goes to stdout, everything
else to stderr.

`NO_COLOR=1` takes the colours away; there are none in a pipe. Lines are as long as the terminal is wide, up
to 100 columns, 80 where that is not known, and `COLUMNS` sets it. `hubaudit --install-completion` teaches the
shell (bash, zsh, fish, PowerShell) to complete commands, options and their values, for a bare TARGET those of
`audit`. Settings in a file: [policy.md](policy.md). Formats: [reports.md](reports.md). Rules:
[rules.md](rules.md).
"""


def page() -> str:
    """The text of docs/cli.md: a section for each command, with each of its options."""
    return "\n".join([_OPENING, *(_section(one) for one in app.registered_commands)])


def _section(command: CommandInfo) -> str:
    call = command.callback
    assert call is not None
    example, *more = (command.epilog or "").split("\n\n")
    parameters = list(_parameters(call))
    arguments = [one for one in parameters if isinstance(one.info, ArgumentInfo)]
    options = [one for one in parameters if isinstance(one.info, OptionInfo)]
    usage = " ".join(["hubaudit", call.__name__, *(one.info.metavar or "" for one in arguments)])
    lines = [
        f"## {call.__name__}",
        "",
        f"`{usage}`",
        "",
        (inspect.getdoc(call) or "").replace("\\[", "["),
        "",
    ]
    lines += ["```sh", example.removeprefix("Example: "), "```", ""]
    lines += [f"- `{one.info.metavar}`: {_plain(one.info.help)}" for one in arguments]
    lines += [""] if arguments else []
    if options:
        lines += ["| option | what it does |", "|---|---|", *map(_row, options), ""]
    return "\n".join([*lines, *(f"{part}\n" for part in more)])


@dataclass(frozen=True)
class _Parameter:
    name: str
    type: Any
    default: Any
    info: ArgumentInfo | OptionInfo


def _parameters(call: Callable[..., Any]) -> Iterator[_Parameter]:
    hints = get_type_hints(call, include_extras=True)
    for name, parameter in inspect.signature(call).parameters.items():
        kind, info = get_args(hints[name])
        yield _Parameter(name, kind, parameter.default, info)


def _row(option: _Parameter) -> str:
    # in an Annotated the first spelling stands where otherwise the default is
    declared = (option.info.default, *(option.info.param_decls or ()))
    spelled = [one for part in declared if isinstance(part, str) for one in part.split("/")]
    shown = ", ".join(f"`{one}`" for one in spelled or [f"--{option.name.replace('_', '-')}"])
    choices = _choices(option.type)
    value = " ".join(f"`{one}`" for one in choices) or option.info.metavar
    default = option.info.show_default
    if default is True and option.default is not None and option.default is not False:
        default = str(option.default)
    said = _plain(option.info.help)
    if isinstance(default, str):
        said += f" Default: {default}."
    return f"| {shown}{f' {value}' if value else ''} | {said} |"


def _choices(kind: Any) -> tuple[str, ...]:
    """The words of a Literal, also of one that may be None."""
    if get_origin(kind) is Literal:
        words: tuple[str, ...] = get_args(kind)
        return words
    return next((_choices(one) for one in get_args(kind) if get_origin(one) is Literal), ())


def _plain(text: str | None) -> str:
    return (text or "").replace(r"\[", "[").replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
