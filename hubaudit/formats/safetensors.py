"""The header of a safetensors file: which tensors, of what dtype and shape, at which bytes.

Source: safetensors 0.8, README, section "Format", and `safetensors/src/tensor.rs` (`read_metadata`,
`Metadata::validate`): 8 bytes of header length, little-endian; that many bytes of JSON, which begins with
`{` and may end in spaces; then the tensors, without holes, to the end of the file. Other libraries read the
same files with a JSON parser and few checks, so that what the first refuses is loaded by some.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind, Trailing
from hubaudit.formats.unpacked import UNKNOWN
from hubaudit.source import Source

MAX_HEADER = 100_000_000  # bytes; MAX_HEADER_SIZE of safetensors/src/tensor.rs
# What is parsed of that: as Python objects it takes up to 70 bytes a mark, 250 MB in all. A tensor takes
# some 100 bytes with 20 marks, so this is enough for 150,000 in one file.
MAX_PARSED = 32 << 20
MAX_MARKS = 3_000_000
_MARKS = b'"[{,'
_MOST_NESTED = 127  # serde_json: "recursion limit exceeded"
_USIZE = (1 << 64) - 1
_SPACES = " "
_METADATA = "__metadata__"
_FIELDS = "dtype", "shape", "data_offsets"

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """`begin` and `end` count bytes from the first byte after the header; `end` is not included."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """`oddities` are what the official reader passes over; `metadata` are the texts beside the tensors."""

    tensors: tuple[TensorEntry, ...]
    size: int  # bytes, with the 8 of its length
    metadata: tuple[tuple[str, str], ...] = ()
    oddities: tuple[Oddity, ...] = ()

    @property
    def end(self) -> int:
        """Bytes of the file, if it is whole and nothing is hidden behind its tensors."""
        return self.size + max((tensor.end for tensor in self.tensors), default=0)


class BadHeader(ValueError):
    """The bytes are no safetensors header, or one that readers understand differently: see `oddity`."""

    def __init__(self, kind: OddityKind, why: str) -> None:
        super().__init__(why)
        self.oddity = Oddity(kind, None, 0, why)


class HeaderCut(BadHeader):
    """The file ends inside of its header."""


class HeaderTooLong(BadHeader):
    """It may be valid, but is longer than what is parsed here."""


def read_safetensors(source: Source, member: str | None = None) -> Contents:
    """Check the header. Tensor bytes are not read: nothing in this format is executed.

    What breaks the format's rules is an oddity. What was not read because of it is a gap: a file that is
    cut off, or a header that is too long.
    """
    try:
        header = read_header(source)
    except HeaderTooLong as error:
        return Contents(Format.SAFETENSORS, gaps=(Gap(member, str(error)),))
    except BadHeader as error:
        gaps = (Gap(member, str(error)),) if isinstance(error, HeaderCut) else ()
        found = Contents(Format.SAFETENSORS, gaps=gaps, oddities=(error.oddity,))
    else:
        found = _with_its_end(source, header, member)
    return replace(found, oddities=tuple(replace(odd, member=member) for odd in found.oddities))


def _with_its_end(source: Source, header: Header, member: str | None) -> Contents:
    end = header.end
    if end > source.size:
        odd = Oddity(OddityKind.SAFETENSORS_REFUSED, None, source.size, "the tensors are cut off")
        gaps = (Gap(member, "the tensors are cut off"),)
        return Contents(Format.SAFETENSORS, gaps=gaps, oddities=(*header.oddities, odd))
    if end < source.size != UNKNOWN:
        said = f"{source.size - end:,} bytes behind the last tensor"
        odd = Oddity(OddityKind.SAFETENSORS_HIDDEN, None, end, said)
        trailing = (Trailing(member, end, source.size - end),)
        return Contents(Format.SAFETENSORS, trailing=trailing, oddities=(*header.oddities, odd))
    return Contents(Format.SAFETENSORS, oddities=header.oddities)


def read_header(source: Source) -> Header:
    """The header, validated as the official reader does, but for the file's end, which `Header.end` says.

    Raises BadHeader for what that reader refuses, and for names that stand in it twice.
    """
    head = source.read(0, 8)
    length = int.from_bytes(head, "little")
    if length > MAX_HEADER:
        _refuse(f"a header of {length:,} bytes")
    if 8 + length > source.size:
        raise HeaderCut(OddityKind.SAFETENSORS_REFUSED, "the header is cut off")
    if length > MAX_PARSED:
        raise HeaderTooLong(OddityKind.SAFETENSORS_REFUSED, f"a header of {length:,} bytes")
    raw = source.read(8, length)
    if len(head) < 8 or len(raw) < length:
        raise HeaderCut(OddityKind.SAFETENSORS_REFUSED, "the header is cut off")
    if (marks := sum(raw.count(mark) for mark in _MARKS)) > MAX_MARKS:
        raise HeaderTooLong(OddityKind.SAFETENSORS_REFUSED, f"a header of {marks:,} marks")
    strays: list[str] = []
    fields = _parsed(raw, strays)
    metadata = _metadata(fields.pop(_METADATA, None), strays)
    if _METADATA in fields.repeated:
        _refuse("__metadata__ stands twice in the header")
    if fields.repeated:
        why = f"{fields.repeated[0]!r} stands twice in the header"
        raise BadHeader(OddityKind.SAFETENSORS_AMBIGUOUS, why)
    tensors = [_entry(name, value, strays) for name, value in fields.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    _check_no_holes(tensors)
    odd = (Oddity(OddityKind.SAFETENSORS_STRAY, None, 0, said) for said in dict.fromkeys(strays))
    return Header(tuple(tensors), 8 + length, metadata, tuple(odd))


def _refuse(why: str) -> NoReturn:
    raise BadHeader(OddityKind.SAFETENSORS_REFUSED, why)


class _Fields(dict[str, Any]):
    """A JSON object that knows which of its names stood there more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) < len(pairs):
            count = Counter(name for name, _ in pairs)
            self.repeated = tuple(name for name in self if count[name] > 1)


def _parsed(raw: bytes, strays: list[str]) -> _Fields:
    """The JSON object, by serde_json's rules where these are stricter than Python's."""
    try:
        text = raw.decode("utf-8")
        fields = json.loads(
            text,
            object_pairs_hook=_Fields,
            parse_constant=_no_number,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        _refuse("the header is nested too deeply")
    except ValueError as error:
        _refuse(f"the header is no JSON: {error}")
    if not isinstance(fields, _Fields):
        _refuse("the header is no JSON object")
    if b"\\u" in raw:
        _check_text(fields)
    if not text.startswith("{") or text.rstrip(_SPACES)[-1:] != "}":
        strays.append("white space around the header that is more than spaces behind it")
    return fields


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number out of range")
    return value


def _int(text: str) -> int | float:
    """What does not fit 64 bits, and `-0`, is a float to serde_json."""
    if text == "-0" or len(text) > 20 or int(text) > _USIZE:
        return _float(text)
    return int(text)


def _check_text(value: Any) -> None:
    """Half a surrogate pair, escaped, is no text to serde_json."""
    for text in _texts(value):
        if not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                _refuse("the header has half a surrogate pair in a text")


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            stack += one.keys()
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def _metadata(fields: Any, strays: list[str]) -> tuple[tuple[str, str], ...]:
    if fields is None:
        return ()
    if not isinstance(fields, _Fields) or not all(isinstance(v, str) for v in fields.values()):
        _refuse("__metadata__ is not made of texts")
    if fields.repeated:
        strays.append(f"{fields.repeated[0]!r} stands twice in __metadata__")
    return tuple(fields.items())


def _entry(name: str, fields: Any, strays: list[str]) -> TensorEntry:
    match _in_order(name, fields, strays):
        case [str(dtype), list(shape), [begin, end]] if _are_sizes([begin, end]):
            pass
        case _:
            _refuse(f"the entry of {name!r} is no tensor")
    if dtype not in BITS:
        _refuse(f"{name!r} has the unknown dtype {dtype!r}")
    if not _are_sizes(shape):
        _refuse(f"{name!r} has no valid shape")
    bits = _product([*shape, BITS[dtype]])
    if bits is None:
        _refuse(f"{name!r} has more elements than can be counted")
    if bits % 8 or end - begin != bits // 8:
        _refuse(f"{name!r} has offsets that do not fit its dtype and shape")
    return TensorEntry(name, dtype, tuple(shape), begin, end)


def _in_order(name: str, fields: Any, strays: list[str]) -> list[Any]:
    """Dtype, shape and offsets, in whichever way serde lets them be written."""
    if isinstance(fields, list):
        strays.append(f"the entry of {name!r} is a list")
        found = list(fields)
    elif not isinstance(fields, _Fields):
        _refuse(f"the entry of {name!r} is no tensor")
    else:
        _check_names(name, fields, strays)
        found = [fields.get(field) for field in _FIELDS]
    if found and isinstance(found[0], _Fields):
        strays.append(f"the dtype of {name!r} is an object")
        found[0] = next(iter(found[0])) if list(found[0].values()) == [None] else None
    return found


def _check_names(name: str, fields: _Fields, strays: list[str]) -> None:
    if twice := [field for field in fields.repeated if field in _FIELDS]:
        _refuse(f"{name!r} has its {twice[0]} twice")
    unknown = [field for field in fields if field not in _FIELDS]
    if unknown:
        strays.append(f"the entry of {name!r} has the field {unknown[0]!r}")
        # the object of all tensors and that of this one are around it
        if any(_depth(fields[field]) > _MOST_NESTED - 2 for field in unknown):
            _refuse("the header is nested too deeply")


def _depth(value: Any) -> int:
    """How many lists and objects there are in one another."""
    deepest, level = 0, [value]
    while level := [one for one in level if isinstance(one, list | dict)]:
        deepest += 1
        level = [x for one in level for x in (one.values() if isinstance(one, dict) else one)]
    return deepest


def _are_sizes(values: list[Any]) -> bool:
    """Python's booleans are numbers, JSON's are not."""
    return all(type(value) is int and 0 <= value <= _USIZE for value in values)


def _product(values: list[int]) -> int | None:
    """As `usize::checked_mul` one after the other: a zero at the end does not mend an overflow."""
    product = 1
    for value in values:
        product *= value
        if product > _USIZE:
            return None
    return product


def _check_no_holes(tensors: list[TensorEntry]) -> None:
    at = 0
    for tensor in tensors:
        if tensor.begin > at:
            why = f"{tensor.begin - at:,} bytes before {tensor.name!r} are no tensor's"
            raise BadHeader(OddityKind.SAFETENSORS_HIDDEN, why)
        if tensor.begin < at:
            _refuse(f"{tensor.name!r} begins inside of another tensor")
        at = tensor.end
