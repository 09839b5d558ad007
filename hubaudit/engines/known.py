"""The other scanners that we know how to ask, and what their answers mean.

Their formats by their sources: picklescan 1.0.5 (cli.py), fickling 0.1.12 (cli.py, analysis.py),
modelscan 0.8.8 (cli.py, reports.py), modelaudit 0.2.54 (cli.py). An answer that is not wholly as expected
is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubaudit.engines.child import Ended
from hubaudit.model import OpinionStatus

Judgement = tuple[OpinionStatus, str]

_LONGEST = 300  # characters of a detail: three lines of a screen
_MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Engine:
    """`arguments` of the command for a file and the place of a result, and what `judge` makes of the end.

    `formats`: the words for formats that it reads; None for whatever it says itself.
    """

    name: str
    arguments: Callable[[Path, Path], list[str]]
    judge: Callable[[Ended], Judgement]
    formats: frozenset[str] | None = None


def _judged(answer: Callable[[Ended], Judgement]) -> Callable[[Ended], Judgement]:
    """`answer`, asked only of a program that came to an end of its own, and only for what it can mean."""

    def judge(ended: Ended) -> Judgement:
        if ended.code is None:
            return "timeout", "it did not end in time and was stopped"
        if ended.code < 0:
            return "error", f"it ended by signal {-ended.code}"
        try:
            return answer(ended)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return "error", _clip(
                f"its answer cannot be read; exit code {ended.code}{_last(ended)}"
            )

    return judge


def _picklescan(ended: Ended) -> Judgement:
    """Exit codes 0, 1 and 2. What it could not parse it warns of, and ends with 0 all the same."""
    *before, summary = ended.said.partition("----------- SCAN SUMMARY -----------\n")
    figures = re.fullmatch(
        r"Scanned files: (\d+)\nInfected files: (\d+)\nSuspicious globals: (\d+)\n"
        r"Dangerous globals: (\d+)\n",
        summary,
    )
    found = re.findall(r": dangerous import '(.{1,200}?)' FOUND", before[0])
    if ended.code == 1 and figures is not None:
        return "flagged", _reasons("dangerous import ", found)
    if ended.code != 0 or figures is None:
        raise ValueError
    scanned, infected, suspicious, dangerous = map(int, figures.groups())
    if infected or dangerous:
        return "flagged", _reasons("dangerous import ", found)
    if re.search(r"^(WARNING|ERROR)\b", before[0], re.MULTILINE):
        return "error", _clip(_first(r"^(?:WARNING|ERROR).*$", before[0]))
    if not scanned:
        return "skipped", "it read nothing"
    return "unflagged", f"{suspicious} suspicious globals" if suspicious else ""


def _fickling(ended: Ended) -> Judgement:
    """A JSON object for each pickle in the file. Its exit code 1 is also that of a crash."""
    answers = list(_values(ended.result or ""))
    severities = [str(answer["severity"]) for answer in answers]
    bad = [answer for answer in answers if answer["severity"] != "LIKELY_SAFE"]
    if bad:
        lines = [str(answer["analysis"]).partition("\n")[0] for answer in bad]
        return "flagged", _reasons(f"{severities[answers.index(bad[0])]}: ", lines)
    if ended.code != 0 or not answers:
        raise ValueError
    return "unflagged", ""


def _modelscan(ended: Ended) -> Judgement:
    """Exit codes 0 nothing, 1 issues, 2 errors, 3 nothing that it reads. Skipped files are in no list."""
    answer = json.loads(ended.result or "")
    issues, errors = _listed(answer["issues"]), _listed(answer["errors"])
    if issues:
        return "flagged", _reasons("", [issue["description"] for issue in issues])
    if errors:
        return "error", _reasons("", [error["description"] for error in errors])
    if ended.code == 3:
        return "skipped", "it read nothing"
    if ended.code != 0 or not _some(answer["summary"]["scanned"]["total_scanned"]):
        raise ValueError
    return "unflagged", ""


def _modelaudit(ended: Ended) -> Judgement:
    """Exit codes 0 nothing, 1 issues, 2 errors. Notes are issues, too, and so is what it did not read."""
    answer = json.loads(ended.result or "")
    issues = [
        (str(issue["severity"]), str(issue["message"])) for issue in _listed(answer["issues"])
    ]
    bad = [message for severity, message in issues if severity not in {"info", "debug"}]
    if bad:
        return "flagged", _reasons("", bad)
    if ended.code == 0 and answer["success"] is True and _some(answer["files_scanned"]):
        return "unflagged", ""
    if answer["success"] is False:
        said = [message for _, message in issues]
        return "error", _reasons("it did not read all of it: ", said or ["it does not say why"])
    raise ValueError


def _listed(value: object) -> list[Any]:
    """A list. Raises TypeError for what only looks empty."""
    if not isinstance(value, list):
        raise TypeError
    return value


def _some(value: object) -> bool:
    """Whether it is a count, and of something."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _values(text: str) -> Iterable[dict[str, Any]]:
    """The JSON objects in a row. Raises ValueError."""
    decoder = json.JSONDecoder()
    at = 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        yield value


def _reasons(opening: str, reasons: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(map(str, reasons)))
    said = "; ".join(distinct[:_MOST_REASONS])
    more = len(distinct) - _MOST_REASONS
    return _clip(f"{opening}{said}{f' and {more} more' if more > 0 else ''}")


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[0] if found else ""


def _last(ended: Ended) -> str:
    lines = [line.strip() for line in ended.said.splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""


# fickling takes an archive for a broken pickle, and says so in a way that is no answer.
_BARE_PICKLES = frozenset({"pickle", "torch-legacy", "text", "data", "empty"})

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine("picklescan", lambda file, _: ["--path", str(file)], _judged(_picklescan)),
        Engine(
            "fickling",
            lambda file, result: ["--check-safety", "--json-output", str(result), str(file)],
            _judged(_fickling),
            _BARE_PICKLES,
        ),
        Engine(
            "modelscan",
            lambda file, result: ["-p", str(file), "-r", "json", "-o", str(result)],
            _judged(_modelscan),
        ),
        Engine(
            "modelaudit",
            lambda file, result: [
                *("scan", str(file), "--format", "json", "--output", str(result)),
                *("--no-cache", "--no-whitelist"),
            ],
            _judged(_modelaudit),
        ),
    )
}
