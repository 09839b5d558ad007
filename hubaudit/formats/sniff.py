"""What a file is, by its first bytes. Names are for people; loaders look at bytes."""

from __future__ import annotations

import re
import tarfile
import zlib

from hubaudit.formats.contents import Format
from hubaudit.formats.plausible import imports_plausibly
from hubaudit.pvm.machine import interpret
from hubaudit.pvm.opcodes import HIGHEST_PROTOCOL
from hubaudit.pvm.values import StopKind, Trace
from hubaudit.source.memory import MemorySource

HEAD_SIZE = (
    8192  # bytes; a tar header is 512, and a pickle's first global stands in its first lines
)

# `MAGIC_NUMBER` of torch/serialization.py (2.13), pickled with protocol 2, or with another if the caller
# of torch.save asked for it.
_TORCH_LEGACY = re.compile(
    rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)

# No unpickler gets anywhere with these: the first byte is no opcode, or one that needs a stack, or
# (`P`) a persistent id, which raises where the loaders of archives did not come first.
_PREFIXES = (
    (b"PK\x03\x04", Format.ZIP),
    (b"PK\x05\x06", Format.ZIP),
    (b"\x93NUMPY", Format.NUMPY),
    (b"\x1f\x8b", Format.GZIP),
    (b"\xfd7zXZ\x00", Format.XZ),
    (b"\x28\xb5\x2f\xfd", Format.ZSTD),
    (b"\x04\x22\x4d\x18", Format.LZ4),
    (b"7z\xbc\xaf\x27\x1c", Format.SEVEN_ZIP),
    (b"\x89HDF\r\n\x1a\n", Format.HDF5),
    (b"lmgg", Format.GGML),
    (b"fmgg", Format.GGML),
    (b"tjgg", Format.GGML),
    (b"\x89PNG\r\n\x1a\n", Format.IMAGE),
    (b"\xff\xd8\xff", Format.IMAGE),
    (b"fLaC", Format.AUDIO),
    (b"OggS", Format.AUDIO),
    (b"ID3", Format.AUDIO),
    (b"PAR1", Format.PARQUET),
    (b"ARROW1\0\0", Format.ARROW),
    (b"%PDF-", Format.PDF),
)
# These can be the beginning of a pickle just as well, so that is looked for first.
_WEAK_PREFIXES = (
    (b"GGUF", Format.GGUF),
    (b"GIF8", Format.IMAGE),
    *((b"BZh%d" % level, Format.BZIP2) for level in range(1, 10)),
    (b"\x78\x01", Format.ZLIB),
    (b"\x78\x5e", Format.ZLIB),
    (b"\x78\x9c", Format.ZLIB),
    (b"\x78\xda", Format.ZLIB),
)
_TAR_HEADER = 512  # bytes
_LONGEST_HEADER = 100_000_000  # bytes; `MAX_HEADER_SIZE` of safetensors/src/tensor.rs (0.8)
_LZMA_HEADER = 13  # bytes: properties, size of the dictionary (4), unpacked size (8)


def sniff(head: bytes, size: int) -> Format:
    """The format of a file of `size` bytes that begins with `head` (up to HEAD_SIZE bytes of it)."""
    if size == 0:
        return Format.EMPTY
    if _TORCH_LEGACY.match(head):
        return Format.TORCH_LEGACY
    for prefix, format_ in _PREFIXES:
        if head.startswith(prefix):
            return format_
    if _begins_as_zfile(head):
        return Format.ZFILE
    return _sniff_pickle(head, size) or sniff_other(head, size)


def sniff_other(head: bytes, size: int) -> Format:
    """What a file is if it is no pickle, or is something else besides."""
    for prefix, format_ in _WEAK_PREFIXES:
        if head.startswith(prefix):
            return format_
    if _begins_as_tar(head):
        return Format.TAR
    if head[4:8] == b"TFL3":
        return Format.TFLITE
    if head[:4] == b"RIFF":
        return Format.IMAGE if head[8:12] == b"WEBP" else Format.AUDIO
    if _begins_as_safetensors(head, size):
        return Format.SAFETENSORS
    if _begins_as_lzma(head):
        return Format.LZMA
    return Format.TEXT if _is_text(head) else Format.DATA


def _begins_as_zfile(head: bytes) -> bool:
    """`ZF`, a hexadecimal number up to byte 21, perhaps a space, zlib (joblib 1.6, `read_zfile`)."""
    stream = head[21:].removeprefix(b" ")
    return head.startswith(b"ZF") and bool(stream) and stream[0] & 0x0F == zlib.DEFLATED


def _begins_as_tar(head: bytes) -> bool:
    """By the checksum, as tarfile does: the magic word is younger than the format."""
    try:
        tarfile.TarInfo.frombuf(head[:_TAR_HEADER], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _begins_as_lzma(head: bytes) -> bool:
    """LZMA without a container has no magic. This is what liblzma 5.4 accepts (`alone_decoder.c`).

    A dictionary of 2^n or 2^n + 2^(n-1) bytes or the highest number, and an unpacked size below
    256 GiB or unknown; the first byte of the stream itself is always 0.
    """
    if len(head) <= _LZMA_HEADER or head[0] >= 225 or head[_LZMA_HEADER] != 0:
        return False
    dictionary = int.from_bytes(head[1:5], "little")
    unpacked = int.from_bytes(head[5:_LZMA_HEADER], "little")
    lowest_bit = dictionary & -dictionary
    is_dictionary = dictionary in (lowest_bit, 3 * lowest_bit, 0xFFFFFFFF)
    return is_dictionary and (unpacked < 1 << 38 or unpacked == 0xFFFFFFFFFFFFFFFF)


def _begins_as_safetensors(head: bytes, size: int) -> bool:
    """8 bytes of header length, little-endian, then JSON (safetensors 0.8, README, "Format").

    The header of a file that is cut off can be longer than the file; a number as small as the longest
    header's is telling enough. The library passes over white space before it.
    """
    length = int.from_bytes(head[:8], "little")
    return 2 <= length <= max(_LONGEST_HEADER, size - 8) and head[8:].lstrip()[:1] == b"{"


def _sniff_pickle(head: bytes, size: int) -> Format | None:
    """Would an unpickler get anywhere with this?

    Text and tensors often begin with a valid opcode, but fail in the next ones. What makes sense to
    the end of `head` without saying that it is a pickle has to be read further: UNCERTAIN.
    """
    if head[:1] == b"B" and int.from_bytes(head[1:5], "little") + 5 > size:
        return None  # `BZh9` would be a BINBYTES of some 800 MB
    has_header = head[:1] == b"\x80" and b"" < head[1:2] <= bytes([HIGHEST_PROTOCOL])
    trace, pickles = _first_that_matters(head)
    imports = imports_plausibly(trace) or bool(has_header and trace.computed)
    if trace.complete:
        # a text of protocol 0 that imports nothing is a text to everybody who is not told otherwise
        is_all = trace.end == size and pickles == 1 and not _is_text(head)
        return Format.PICKLE if has_header or imports or is_all else None
    if imports and (has_header or trace.calls):
        return Format.PICKLE
    if trace.stop.kind is StopKind.BROKEN:
        return Format.PICKLE if has_header and pickles > 1 else None
    if has_header:
        return Format.PICKLE
    is_cut = len(head) < size or trace.stop.kind is StopKind.LIMIT
    return Format.UNCERTAIN if is_cut else None


def _first_that_matters(head: bytes) -> tuple[Trace, int]:
    """The trace of the first pickle that imports something or is the last, and which one it is."""
    source = MemorySource(head)
    trace, pickles = interpret(source), 1
    while trace.complete and not imports_plausibly(trace) and trace.end < len(head):
        trace, pickles = interpret(source, trace.end), pickles + 1
    return trace, pickles


def _is_text(head: bytes) -> bool:
    """UTF-8 without control characters other than white space; the last character may be cut."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return not any(char < " " and char not in "\t\n\r\f\x1b" for char in text)
