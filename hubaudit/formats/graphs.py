"""TensorFlow's graphs, SavedModel and the files beside it: the operations and Keras objects in them.

Source: tensorflow 2.19, `saved_model.proto`, `meta_graph.proto`, `graph.proto`, `function.proto`,
`node_def.proto`, `saved_object_graph.proto`; Keras 2.15, `saved_metadata.proto`; and of the encoding,
protobuf.dev/programming-guides/encoding. Read field by field and not searched for byte strings, because a
length can be written in several ways, fields come in any order, and messages in pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hubaudit.formats import keras
from hubaudit.formats.contents import Contents, Format, Gap, Oddity, OddityKind
from hubaudit.formats.graph_ops import judge_op
from hubaudit.formats.place import MAX_SEARCHED_REMOTE, Effort
from hubaudit.source import Source

# Fields that are looked at: 6 s. Of a graph of 200,000 operations, more than libraries write, 2,000,000.
MAX_FIELDS = 4_000_000
MAX_TEXT = 64 << 20  # bytes of a graph as text
_PIECE = 64 * 1024
_LONGEST_VARINT = 10  # bytes
_LONGEST_OP = 256  # bytes of an operation's name that are looked at
_VARINT, _FIXED64, _LENGTH, _GROUP, _GROUP_END, _FIXED32 = range(6)
_PRINTS = "PrintV2"  # to a file, if its output_stream is one (`logging_ops.cc`)
_FILE_STREAM = b"file://"

# A schema: which fields to go into. `_OP` and `_JSON` are what is looked for.
_OP, _JSON = "op", "json"
_Schema = Mapping[int, "_Schema | str"]
_NODE: _Schema = {2: _OP}  # NodeDef.op
_GRAPH: _Schema = {1: _NODE, 2: {1: {3: _NODE}}}  # GraphDef.node, .library.function.node_def
_OBJECTS: _Schema = {1: {4: {3: _JSON}}}  # SavedObjectGraph.nodes.user_object.metadata
_META: _Schema = {2: _GRAPH, 7: _OBJECTS}  # MetaGraphDef.graph_def, .object_graph_def
# SavedModel.meta_graphs; a bare MetaGraphDef (`.meta`), a frozen GraphDef, Keras's SavedMetadata.nodes
_ROOTS: tuple[_Schema, ...] = ({2: _META}, _META, _GRAPH, {1: {4: _JSON, 5: _JSON}})

# Possessive, so that hostile text costs neither time nor memory that grows with its square.
_TEXT_OP = re.compile(
    rb"""\bop\s*+:?\s*+((?:(?:"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')\s*+)++)"""
)
_TEXT_PART = re.compile(rb""""((?:[^"\\\n]|\\.)*+)"|'((?:[^'\\\n]|\\.)*+)'""")


class _Broken(Exception):
    """It is no message of this kind."""


def read_graph(source: Source, member: str | None, effort: Effort) -> Contents:
    """What is in a file that may be a graph. Nothing, and no gap, if it is none."""
    found: list[Oddity] = []
    why: str | None = None
    fields = 0
    for root in _ROOTS:
        walk = _Walk(source, member, effort, fields)
        try:
            walk.message(0, walk.size, root)
        except _Broken:
            continue  # protobuf refuses all of it
        except keras.TooMuch as error:
            why = why or str(error)
        finally:
            fields = walk.fields
        found += walk.found
    gaps = () if why is None else (Gap(member, why),)
    return Contents(Format.DATA, gaps=gaps, oddities=tuple(dict.fromkeys(found)))


def read_text_graph(source: Source, member: str | None) -> Contents:
    """The same of a graph in protobuf's text format, `saved_model.pbtxt`."""
    text = source.read(0, MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        gap = Gap(member, f"over {MAX_TEXT:,} bytes of a graph as text")
        return Contents(Format.TEXT, gaps=(gap,))
    ops = {_unquoted(match[1]) for match in _TEXT_OP.finditer(text)}
    odd = [Oddity(said[0], member, None, said[1]) for op in sorted(ops) if (said := judge_op(op))]
    return Contents(Format.TEXT, oddities=tuple(odd))


def _unquoted(quoted: bytes) -> str:
    """Adjacent strings are one; escapes are those of C (protobuf, text format specification)."""
    parts = b"".join(double or single for double, single in _TEXT_PART.findall(quoted))
    plain = re.sub(
        rb"\\(?:[xX]([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))",
        lambda m: bytes([int(m[1], 16) if m[1] else int(m[2], 8) & 0xFF if m[2] else m[3][0]]),
        parts,
    )
    return plain.decode("utf-8", "replace")


class _Walk:
    """One file, read as one kind of message."""

    def __init__(self, source: Source, member: str | None, effort: Effort, fields: int) -> None:
        self.found: list[Oddity] = []
        self.fields = fields  # of all walks through this file
        self._source = source
        self._member = member
        self._far = effort.most == MAX_SEARCHED_REMOTE
        self._fetched = 0
        self._piece = b""
        self._start = 0
        self._told: set[str] = set()
        self.size = source.size

    def message(self, start: int, end: int, schema: _Schema) -> None:
        """Raises _Broken, and keras.TooMuch."""
        for number, at, stop in self._lengths(start, end):
            inside = schema.get(number)
            if inside == _OP:
                self._op(at, stop, start, end)
            elif inside == _JSON:
                self._json(at, stop)
            elif inside is not None:
                assert not isinstance(inside, str)
                self.message(at, stop, inside)

    def _lengths(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Each field of the wire type that texts and messages have: its number, its bytes."""
        at, open_groups = start, 0
        while at < end:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise keras.TooMuch(f"a graph of over {MAX_FIELDS:,} fields is not read further")
            tag, at = self._varint(at, end)
            number, wire = tag >> 3, tag & 7
            if wire == _VARINT:
                _, at = self._varint(at, end)
            elif wire == _LENGTH:
                length, at = self._varint(at, end)
                if length > end - at:
                    raise _Broken
                if not open_groups:
                    yield number, at, at + length
                at += length
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            elif wire in (_GROUP, _GROUP_END):
                open_groups += 1 if wire == _GROUP else -1
            else:
                raise _Broken
            if number == 0 or open_groups < 0 or at > end:
                raise _Broken
        if open_groups:
            raise _Broken

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        for byte in self._bytes(at, min(_LONGEST_VARINT, end - at)):
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFFFFFFFFFFFFFF, at
            shift += 7
        raise _Broken

    def _bytes(self, at: int, length: int) -> bytes:
        """A few bytes, by pieces of the file of which one is kept."""
        if not self._start <= at <= at + length <= self._start + len(self._piece):
            self._fetched += _PIECE
            if self._far and self._fetched > MAX_SEARCHED_REMOTE:
                raise keras.TooMuch(
                    f"of a graph in a remote file, {MAX_SEARCHED_REMOTE:,} bytes are read"
                )
            self._start, self._piece = at, self._source.read(at, _PIECE)
        return self._piece[at - self._start : at - self._start + length]

    def _op(self, at: int, stop: int, start: int, end: int) -> None:
        op = self._bytes(at, min(stop - at, _LONGEST_OP)).decode("utf-8", "replace")
        if op == _PRINTS and _FILE_STREAM in self._source.read(start, min(end - start, _PIECE)):
            self._tell(OddityKind.MODEL_CODE, "an operation of TensorFlow, PrintV2: to a file")
        elif op not in self._told and (said := judge_op(op)) is not None:
            self._told.add(op)
            self._tell(*said)

    def _json(self, at: int, stop: int) -> None:
        if self._bytes(at, min(1, stop - at)) != b"{":
            return
        value = keras.parse(self._source.read(at, min(stop - at, keras.MAX_PARSED + 1)))
        self.found += keras.judge(value, self._member)

    def _tell(self, kind: OddityKind, said: str) -> None:
        self.found.append(Oddity(kind, self._member, None, said))
