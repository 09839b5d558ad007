"""Which command the arguments name: `audit` is the one that need not be named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hubaudit.cli import names

_ABOUT_US = frozenset({"-h", "--help", "--version", "--install-completion", "--show-completion"})


def with_command(arguments: Sequence[str], valued: frozenset[str]) -> list[str]:
    """`arguments` with the command in front, `audit` if none is named.

    `valued` are the options that take the argument after them.
    """
    first = next(_positionals(arguments, valued), None)
    if first is None:
        return list(arguments) if _asks_about_us(arguments) else ["audit", *arguments]
    name = arguments[first]
    if name not in names.COMMANDS or "--" in arguments[:first]:
        return ["audit", *arguments]
    return [name, *arguments[:first], *arguments[first + 1 :]]


def _asks_about_us(arguments: Sequence[str]) -> bool:
    return not _ABOUT_US.isdisjoint(arguments)


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


def valued_options(command: Any) -> frozenset[str]:
    """The spellings of all options of the subcommands that take a value."""
    options = [
        option
        for subcommand in command.commands.values()
        for option in subcommand.params
        if option.param_type_name == "option" and not option.is_flag
    ]
    return frozenset(spelling for option in options for spelling in option.opts)


def for_completion(arguments: Sequence[str], valued: frozenset[str]) -> list[str]:
    """`arguments`, which stand before the word to complete, with the command in front if one is meant."""
    first = next(_positionals(arguments, valued), None)
    if first is None:
        is_value = bool(arguments) and _takes_next(arguments[-1], valued)
        return ["audit", *arguments] if is_value or "--" in arguments else []
    if arguments[first] not in names.COMMANDS or "--" in arguments[:first]:
        return ["audit", *arguments]
    return [arguments[first], *arguments[:first], *arguments[first + 1 :]]
