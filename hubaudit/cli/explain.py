"""`hubaudit explain`: a rule, what to do after a dangerous load, or a pickle as pseudo-Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from hubaudit.cli import console, options
from hubaudit.cli.audit import check_cassette
from hubaudit.cli.errors import Job
from hubaudit.errors import UsageError

if TYPE_CHECKING:
    from hubaudit.explain import Opened

_SEPARATOR = "::"
_PIECE = 1 << 16  # characters that are written at once


def _topics(incomplete: str) -> list[str]:
    """For the shell that completes the argument."""
    from hubaudit.rules.pages import names

    return [name for name in names() if name.startswith(incomplete)]


_Topic = Annotated[
    str,
    typer.Argument(
        autocompletion=_topics,
        metavar="RULE|TARGET::FILE[::MEMBER]",
        show_default=False,
        help="A rule, by the name that the report gives it, or `incident`; or a file that holds pickles, "
        "of a repository on the Hub or a local folder.",
    ),
]
_All = Annotated[
    bool, typer.Option("--all", help="Show every line, and long values at their length.")
]
_Form = Annotated[options.ListFormName, typer.Option("--format", "-f", help="How it is written.")]


def explain(
    topic: _Topic,
    everything: _All = False,
    revision: options.Revision = None,
    repo_type: options.RepoType = None,
    max_archive_depth: options.MaxArchiveDepth = None,
    config: options.Config = None,
    no_config: options.NoConfig = False,
    form: _Form = "text",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    record: options.Record = None,
    replay: options.Replay = None,
) -> Job:
    """Explain a rule, or print a pickle as the program that it is. Nothing is executed.

    `hubaudit explain RULE`: what it is, how it is exploited, what to do, when it is a false alarm.

    `hubaudit explain incident`: what to do if a file with a critical finding was loaded.

    `hubaudit explain TARGET::FILE::MEMBER`: what the pickle imports and calls, in order, each name
    marked as inert, dangerous or unlisted. Without MEMBER all pickles of the file. The exit code is 0
    whatever is shown.
    """
    check_cassette([topic], record, replay)

    def job() -> int:
        if _SEPARATOR not in topic:
            console.write(_page(topic) if form == "text" else _page_as_json(topic))
            return 0
        from hubaudit.cli import progress
        from hubaudit.cli.policy import Choices, settle
        from hubaudit.explain import is_local, read_one

        target, _, rest = topic.partition(_SEPARATOR)
        chosen = Choices(config, no_config, None, None, max_archive_depth, None)
        audited = [Path(target)] if is_local(target) else []
        policy = settle(chosen, audited=audited, quiet=quiet).policy
        with progress.shown(quiet=quiet, verbose=verbose) as listener:
            opened = read_one(
                target,
                rest,
                revision=revision,
                repo_type=repo_type,
                policy=policy,
                listener=listener,
                record=record,
                replay=replay,
            )
        _print(opened, form, everything=everything)
        return 0

    return job


def _print(opened: Opened, form: options.ListFormName, *, everything: bool) -> None:
    """Piece by piece, until nobody reads any more."""
    from hubaudit.report import Page
    from hubaudit.report.explained import EXPLAINED
    from hubaudit.report.pseudo import BRIEF, EVERYTHING

    page = Page(color=console.wants_color(sys.stdout))
    held: list[str] = []
    size = 0
    for piece in EXPLAINED[form](opened, EVERYTHING if everything else BRIEF, page):
        held.append(piece)
        size += len(piece)
        if size >= _PIECE:
            if not console.write("".join(held)):
                return
            held, size = [], 0
    console.write("".join(held))


def _page(topic: str) -> str:
    from hubaudit.rules import RULES
    from hubaudit.rules.pages import names, page
    from hubaudit.rules.references import section

    found = page(topic)
    if found is None:
        raise UsageError(f"there is no rule {topic}", hint=_likelier(topic, names()))
    sections = [section(rule) for rule in RULES if rule.id == topic]
    return "\n".join([found, *sections])


def _page_as_json(topic: str) -> str:
    """The page as Markdown and, of a rule, what `hubaudit rules --format json` says of it."""
    import json

    from hubaudit.cli.rules import plain
    from hubaudit.rules import RULES

    said: dict[str, object] = {"topic": topic}
    for rule in RULES:
        if rule.id == topic:
            said |= plain(rule)
    return json.dumps(said | {"page": _page(topic)}, indent=2) + "\n"


def _likelier(topic: str, names: Sequence[str]) -> str:
    from difflib import get_close_matches

    from hubaudit.explain import is_local

    close = get_close_matches(topic, names, n=1)
    if close:
        return f"perhaps: hubaudit explain {close[0]}"
    if is_local(topic) or "/" in topic:
        return f"for the pickles in a file: hubaudit explain {quote(topic)}::FILE"
    return "see hubaudit rules"
