"""The command line: from arguments to an exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hubaudit import __version__
from hubaudit.cli import console
from hubaudit.cli.approve import approve
from hubaudit.cli.arguments import valued_options, with_command
from hubaudit.cli.audit import audit
from hubaudit.cli.completion import Commands, complete, is_asked
from hubaudit.cli.convert import convert
from hubaudit.cli.demo import demo
from hubaudit.cli.diff import diff
from hubaudit.cli.errors import UNDECIDED, Job, guard
from hubaudit.cli.explain import explain
from hubaudit.cli.history import history
from hubaudit.cli.merge import merge
from hubaudit.cli.pins import pins
from hubaudit.cli.report import report
from hubaudit.cli.rules import rules
from hubaudit.cli.scan import scan
from hubaudit.cli.sweep import sweep
from hubaudit.cli.watch import watch
from hubaudit.errors import UsageError

_EXIT_CODES = (
    "Exit codes: 0 PASS or REVIEW, 1 FAIL (with --strict also REVIEW), 2 error and nothing decided, "
    "3 INCOMPLETE, 130 interrupted."
)


_DIFF_CODES = f"{_EXIT_CODES} 4 if something changed that is more than a README, and nothing worse."

_SWEEP_CODES = (
    "Exit codes: the worst of all targets, 1 FAIL, then 2 undecided, 3 INCOMPLETE or not reached, "
    "4 at another commit than was approved, or than in the sweep before, 0; 130 interrupted."
)

_WATCH_CODES = (
    "Exit codes with --once: the worst of all repositories, 1 FAIL, then 2 not looked at or not delivered, "
    "3 INCOMPLETE, 4 not as approved, 0. Otherwise 0 after SIGTERM, 130 after Ctrl-C, 2 after an error."
)


def _example(command: str, *more: str) -> str:
    """The end of a command's help."""
    return "\n\n".join((f"Example: {command}", *more))


app = typer.Typer(
    name="hubaudit",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_example("hubaudit openai-community/gpt2", _EXIT_CODES),
)
app.command(
    epilog=_example("hubaudit org/model@v1.2 --strict -o audit.sarif -o audit.md", _EXIT_CODES)
)(audit)
app.command(epilog=_example("hubaudit scan ./checkpoints --format markdown", _EXIT_CODES))(scan)
app.command(epilog=_example("hubaudit report reports/org/model/*.json -o all.html"))(report)
app.command(epilog=_example("hubaudit rules --format json"))(rules)
app.command(epilog=_example("hubaudit explain org/model::pytorch_model.bin"))(explain)
app.command(epilog=_example("hubaudit convert org/model -o ./converted"))(convert)
app.command(epilog=_example("hubaudit diff org/model@COMMIT", _DIFF_CODES))(diff)
app.command(epilog=_example("hubaudit sweep approved.txt -o sweep.html", _SWEEP_CODES))(sweep)
app.command(epilog=_example("hubaudit merge shard-1.sqlite3 shard-2.sqlite3", _SWEEP_CODES))(merge)
app.command(epilog=_example("hubaudit history org/model"))(history)
app.command(
    epilog=_example("hubaudit watch approved.txt --notify mailto:sec@example.org", _WATCH_CODES)
)(watch)
app.command(epilog=_example("hubaudit approve org/model@COMMIT --list approved.txt"))(approve)
app.command(epilog=_example("hubaudit pins --resolve src configs"))(pins)
app.command(epilog=_example("hubaudit demo"))(demo)

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
    if is_asked():
        return lambda: complete(command)
    if not arguments:
        command.main(["--help"], prog_name="hubaudit", standalone_mode=False)
        return lambda: UNDECIDED
    arguments = with_command(arguments, valued_options(command))
    try:
        # typer only parses; what runs is outside of its own handling of errors and interrupts
        parsed = command.main(arguments, prog_name="hubaudit", standalone_mode=False)
    except _ParserError as error:
        # coerced by pydantic, which says so in front of its message
        message = error.format_message().replace("Value error, ", "")
        raise UsageError(message, hint=f"see hubaudit {arguments[0]} --help") from None
    except SystemExit as left:  # of --install-completion and --show-completion
        code = UNDECIDED if left.code else 0
        return lambda: code
    return parsed if callable(parsed) else lambda: int(parsed or 0)


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
