"""References in notebooks: all code cells are one module, and one that cannot be parsed costs only itself."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from json import JSONDecodeError

from hubaudit.pins.imports import NO_MODULES, Modules
from hubaudit.pins.jsontext import Array, Json, Leaf, Lines, Members, read_json
from hubaudit.pins.python import Exists, find_in_python
from hubaudit.pins.reference import Found, Place, Unparsed

# IPython's: a line for it or for the shell, also after `name =`; a cell for another language.
_MAGIC = re.compile(r"^(\s*)(?:[\w.,\s]+=\s*)?[%!?][^\n]*$|^(\s*)[^\n#]*[^\s?]\?{1,2}\s*$")
_CELL_MAGIC = re.compile(r"%%(?!time\b|timeit\b|capture\b|python3?\b|prun\b)")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a cell: its text, and the place of its first character in the file."""

    text: str
    place: Place
    escaped_before: str = ""  # what stands before it in the same text of the file


def find_in_notebook(text: str, exists: Exists, modules: Modules = NO_MODULES) -> Found:
    """The references in the code of a notebook. Places are those in the file, with the cell's number."""
    try:
        cells = list(_cells(read_json(text), Lines(text)))
    except (JSONDecodeError, ValueError) as error:
        return Found(unparsed=(Unparsed(_place_of(error), f"not a notebook: {error}"),))
    good: list[_Line] = []
    unparsed: list[Unparsed] = []
    for cell in cells:
        broken = _error_of(cell)
        if broken is None:
            good += cell
        else:
            unparsed.append(broken)
    found = find_in_python("".join(f"{line.text}\n" for line in good), exists, modules)
    references = tuple(replace(one, place=_in_file(one.place, good)) for one in found.references)
    moved = (Unparsed(_in_file(one.place, good), one.why) for one in found.unparsed)
    return Found(references, (*unparsed, *moved))


def _cells(document: Json, lines: Lines) -> Iterator[list[_Line]]:
    if not isinstance(document, Members):
        raise ValueError("it is no JSON object")
    if not isinstance(cells := document.get("cells"), Array):
        raise ValueError("it has no list of cells, as notebooks of version 4 have")
    for number, cell in enumerate(cells.items, start=1):
        if isinstance(cell, Members) and _is_code(cell):
            code = list(_lines(cell.get("source"), number, lines))
            if code and not _CELL_MAGIC.match(code[0].text):
                yield _without_magic(code)


def _is_code(cell: Members) -> bool:
    kind = cell.get("cell_type")
    return isinstance(kind, Leaf) and kind.text == "code"


def _lines(source: Json | None, cell: int, lines: Lines) -> Iterator[_Line]:
    """The lines of a cell, whether they are one text or a list of them."""
    pieces = source.items if isinstance(source, Array) else (source,)
    for piece in pieces:
        if not isinstance(piece, Leaf) or piece.text is None:
            continue
        line, column = lines.place(piece.start)
        before = ""
        for text in piece.text.removesuffix("\n").split("\n"):
            yield _Line(text, Place(line, column, cell), before)
            before += f"{text}\n"


def _without_magic(code: list[_Line]) -> list[_Line]:
    if code[0].text.startswith("%%"):
        code = [replace(code[0], text=""), *code[1:]]
    return [
        replace(line, text=_indent(line.text) + "pass") if _MAGIC.match(line.text) else line
        for line in code
    ]


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def _error_of(cell: list[_Line]) -> Unparsed | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse("".join(f"{line.text}\n" for line in cell))
    except SyntaxError as error:
        place = _in_file(Place(error.lineno or 1, max(error.offset or 1, 1)), cell)
        return Unparsed(place, f"not Python that can be parsed: {error.msg}")
    except (RecursionError, MemoryError, ValueError) as error:
        why = f"not Python that can be parsed: {error or type(error).__name__}"
        return Unparsed(cell[0].place, why)
    return None


def _in_file(place: Place, lines: list[_Line]) -> Place:
    """The place in the file of a place in the code of its cells."""
    line = lines[min(place.line, len(lines)) - 1]
    before = line.escaped_before + line.text[: place.column - 1]
    # as json writes it, with the quote in front; close enough where a tool escapes more
    return replace(
        line.place, column=line.place.column + len(json.dumps(before, ensure_ascii=False)) - 1
    )


def _place_of(error: ValueError) -> Place:
    return Place(error.lineno, error.colno) if isinstance(error, JSONDecodeError) else Place(1, 1)
