"""What a file is, by its first bytes. Names are for people; loaders look at bytes."""

from __future__ import annotations

import json

from hubaudit.formats.contents import Format
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.opcodes import HIGHEST_PROTOCOL
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.source.memory import MemorySource

HEAD_SIZE = (
    8192  # bytes; a tar header is 512, and a pickle's first global stands in its first lines
)

# `MAGIC_NUMBER` of torch/serialization.py (2.13), pickled with protocol 2, as torch.save writes it.
TORCH_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_PREFIXES = (
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"\x93NUMPY", Format.NUMPY),
    (b"\x1f\x8b", Format.GZIP),
    (b"BZh", Format.BZIP2),
    (b"\xfd7zXZ\x00", Format.XZ),
    (b"\x28\xb5\x2f\xfd", Format.ZSTD),
    (b"\x04\x22\x4d\x18", Format.LZ4),
    (b"7z\xbc\xaf\x27\x1c", Format.SEVEN_ZIP),
    (b"\x89HDF\r\n\x1a\n", Format.HDF5),
    (b"GGUF", Format.GGUF),
    (b"lmgg", Format.GGML),
    (b"fmgg", Format.GGML),
    (b"tjgg", Format.GGML),
    (b"\x89PNG\r\n\x1a\n", Format.IMAGE),
    (b"\xff\xd8\xff", Format.IMAGE),
    (b"GIF8", Format.IMAGE),
    (b"fLaC", Format.AUDIO),
    (b"OggS", Format.AUDIO),
    (b"ID3", Format.AUDIO),
    (b"PAR1", Format.PARQUET),
    (b"ARROW1\0\0", Format.ARROW),
    (b"%PDF-", Format.PDF),
)
_ZLIB_LEVELS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def sniff(head: bytes, size: int) -> Format:
    """The format of a file of `size` bytes that begins with `head` (up to HEAD_SIZE bytes of it)."""
    if size == 0:
        return Format.EMPTY
    if head.startswith(TORCH_LEGACY_MAGIC):
        return Format.TORCH_LEGACY
    for prefix, format_ in _PREFIXES:
        if head.startswith(prefix):
            return format_
    if head[257:262] == b"ustar":
        return Format.TAR
    if head[4:8] == b"TFL3":
        return Format.TFLITE
    if head[:4] == b"RIFF":
        return Format.IMAGE if head[8:12] == b"WEBP" else Format.AUDIO
    if _begins_as_safetensors(head, size):
        return Format.SAFETENSORS
    as_pickle = _sniff_pickle(head, size)
    if as_pickle is not None:
        return as_pickle
    if head[:2] in _ZLIB_LEVELS:
        return Format.ZLIB
    return Format.TEXT if _is_text(head) else Format.DATA


def _begins_as_safetensors(head: bytes, size: int) -> bool:
    """8 bytes of header length, little-endian, then JSON (safetensors 0.5, README, "Format")."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and 2 <= length <= size - 8


def _sniff_pickle(head: bytes, size: int) -> Format | None:
    """Would an unpickler get anywhere with this?

    Text and tensors often begin with a valid opcode, but fail in the next ones. What makes sense to
    the end of `head` without saying that it is a pickle has to be read further: UNCERTAIN.
    """
    has_header = head[:1] == b"\x80" and head[1:2] <= bytes([HIGHEST_PROTOCOL])
    trace, pickles = _first_that_matters(head)
    imports = bool(trace.imports or trace.computed) and all(map(_is_plausible, trace.imports))
    if trace.complete:
        is_all = trace.end == size and pickles == 1 and not _is_json(head)
        return Format.PICKLE if has_header or imports or is_all else None
    if imports and (has_header or trace.calls):
        return Format.PICKLE
    if trace.stop.kind is not StopKind.TRUNCATED:
        return Format.PICKLE if has_header and pickles > 1 else None
    if has_header:
        return Format.PICKLE
    return Format.UNCERTAIN if len(head) < size else None


def _first_that_matters(head: bytes) -> tuple[Trace, int]:
    """The trace of the first pickle that imports something or is the last, and which one it is."""
    source = MemorySource(head)
    trace, pickles = interpret(source), 1
    while trace.complete and not trace.imports and not trace.computed and trace.end < len(head):
        trace, pickles = interpret(source, trace.end), pickles + 1
    return trace, pickles


def _is_plausible(imported: tuple[str, str]) -> bool:
    """Identifiers. Two lines of prose after a `c` are no import that could succeed."""
    return all(part.isidentifier() for part in ".".join(imported).split("."))


def _is_json(head: bytes) -> bool:
    try:
        json.loads(head)
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters other than white space; the last character may be cut."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(char < " " and char not in "\t\n\r\f\x1b" for char in text)
