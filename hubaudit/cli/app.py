"""The command line: from arguments to an exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from hubaudit import __version__
from hubaudit.cli import console, names
from hubaudit.cli.audit import audit
from hubaudit.cli.convert import convert
from hubaudit.cli.demo import demo
from hubaudit.cli.errors import UNDECIDED, Job, guard
from hubaudit.cli.explain import explain
from hubaudit.cli.report import report
from hubaudit.cli.rules import rules
from hubaudit.cli.scan import scan
from hubaudit.errors import UsageError

_EXIT_CODES = (
    "Exit codes: 0 PASS or REVIEW, 1 FAIL (with --strict also REVIEW), 2 error and nothing decided, "
    "3 INCOMPLETE, 130 interrupted."
)

app = typer.Typer(
    name="hubaudit",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXIT_CODES,
)
app.command(epilog=_EXIT_CODES)(audit)
app.command(epilog=_EXIT_CODES)(scan)
app.command()(report)
app.command()(rules)
app.command()(explain)
app.command()(convert)
app.command()(demo)

# The parser's usage errors have no name in typer's API; this is the nearest that has one.
_ParserError: Any = typer.BadParameter.__base__


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"hubaudit {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What would this Hugging Face commit run on me?

    `hubaudit TARGET...` is short for `hubaudit audit TARGET...`.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default the process's. The exit code; raises nothing."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    console.prepare()
    _quieten_the_client()
    verbose = "-v" in arguments or "--verbose" in arguments
    return guard(lambda: _parse(arguments)(), verbose=verbose)


def _parse(arguments: list[str]) -> Job:
    """The job that `arguments` ask for. Help and the version are printed here."""
    command = typer.main.get_command(app)
    if not arguments:
        command.main(["--help"], prog_name="hubaudit", standalone_mode=False)
        return lambda: UNDECIDED
    arguments = with_command(arguments, _valued_options(command))
    try:
        # typer only parses; what runs is outside of its own handling of errors and interrupts
        parsed = command.main(arguments, prog_name="hubaudit", standalone_mode=False)
    except _ParserError as error:
        # coerced by pydantic, which says so in front of its message
        message = error.format_message().replace("Value error, ", "")
        raise UsageError(message, hint=f"see hubaudit {arguments[0]} --help") from None
    return parsed if callable(parsed) else lambda: int(parsed or 0)


def with_command(arguments: Sequence[str], valued: frozenset[str]) -> list[str]:
    """`arguments` with the command in front, `audit` if none is named.

    `valued` are the options that take the argument after them. Raises UsageError for the name of a
    command that is still to come.
    """
    first = next(_positionals(arguments, valued), None)
    if first is None:
        return list(arguments) if _asks_about_us(arguments) else ["audit", *arguments]
    name = arguments[first]
    if name in names.RESERVED:
        raise UsageError(
            f"the command {name} is not in this version",
            hint=f"to audit a repository of that name: hubaudit audit {name}",
        )
    if name not in names.COMMANDS or "--" in arguments[:first]:
        return ["audit", *arguments]
    return [name, *arguments[:first], *arguments[first + 1 :]]


def _asks_about_us(arguments: Sequence[str]) -> bool:
    return bool({"-h", "--help", "--version"} & set(arguments))


def _positionals(arguments: Sequence[str], valued: frozenset[str]) -> Iterator[int]:
    """Indexes of the arguments that are neither options nor values of options."""
    skip = False
    for index, argument in enumerate(arguments):
        if skip:
            skip = False
        elif argument == "--":
            yield from range(index + 1, len(arguments))
            return
        elif argument.startswith("-") and argument != "-":
            skip = _takes_next(argument, valued)
        else:
            yield index


def _takes_next(option: str, valued: frozenset[str]) -> bool:
    """Whether the value of `option` is the next argument: `-f json`, `-qf json`, not `-fjson`."""
    if option.startswith("--"):
        return option in valued
    takers = [place for place, letter in enumerate(option) if f"-{letter}" in valued]
    return bool(takers) and takers[0] == len(option) - 1


def _valued_options(command: Any) -> frozenset[str]:
    options = [
        option
        for subcommand in command.commands.values()
        for option in subcommand.params
        if option.param_type_name == "option" and not option.is_flag
    ]
    return frozenset(spelling for option in options for spelling in option.opts)


def _quieten_the_client() -> None:
    """Before huggingface_hub is imported: no telemetry, one transport, and stderr for our lines only."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # bypasses the transport that we watch
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_VERBOSITY", "critical")
    warnings.filterwarnings("ignore", module=r"huggingface_hub(\.|$)")
    # with a handler here Python's handler of last resort does not print other libraries' warnings
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())
