"""From whatever a command does to an exit code and at most two lines on stderr."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

from hubaudit.cli import console
from hubaudit.errors import HubauditError

UNDECIDED = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells have it

Job = Callable[[], int]


def guard(job: Job, *, verbose: bool) -> int:
    """The exit code of `job`, whatever it raises. With `verbose` a traceback comes before the lines."""
    try:
        return job()
    except KeyboardInterrupt:
        console.note("interrupted")
        return INTERRUPTED
    except HubauditError as error:
        show(error, verbose=verbose)
        return UNDECIDED
    except Exception as error:  # noqa: BLE001 - the last place before the user
        _show_unexpected(error, verbose=verbose)
        return UNDECIDED


def show(error: HubauditError, *, verbose: bool, about: str = "") -> None:
    """What happened and what to do. `about` names the target where the message may not."""
    _trace(error, verbose=verbose)
    message = str(error)
    if about and about not in message:
        message = f"{about}: {message}"
    console.error(message, error.hint or "run it again with -v to see where this happened")


def _show_unexpected(error: Exception, *, verbose: bool) -> None:
    _trace(error, verbose=verbose)
    more = "please report it with the traceback above" if _debug(verbose=verbose) else ""
    console.error(
        f"unexpected {type(error).__name__}: {error}; nothing was decided",
        more or "this is a defect of hubaudit: please report it, with what -v shows",
    )


def _trace(error: Exception, *, verbose: bool) -> None:
    if _debug(verbose=verbose):
        for line in "".join(traceback.format_exception(error)).splitlines():
            console.note(console.harmless(line))


def _debug(*, verbose: bool) -> bool:
    return verbose or bool(os.environ.get("HUBAUDIT_DEBUG"))
