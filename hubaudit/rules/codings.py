"""Codecs of constants: what decoding gives, and which codecs only turn text into bytes and back."""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from hubaudit.pvm.values import Skipped, Value
from hubaudit.rules.meanings import NOBODY_KNOWS, Meaning, Outcome

# Bytes of text that is computed: above any name, below what a chain of conversions could blow up to.
_MOST = 16 * 1024
_MOST_MEMORY = 64 << 20  # of the dictionary of lzma; its presets take up to 65 MiB

# Text to bytes and back, character for character. Protocol 2 writes bytes as `encode(text, "latin1")`.
TEXT_CODECS = MappingProxyType(
    {
        **dict.fromkeys(("latin1", "latin-1", "iso-8859-1", "iso8859-1", "l1"), "latin-1"),
        **dict.fromkeys(("utf-8", "utf8", "u8"), "utf-8"),
        **dict.fromkeys(("ascii", "us-ascii"), "ascii"),
        **dict.fromkeys(("utf-16", "utf16"), "utf-16"),
        **dict.fromkeys(("utf-16-le", "utf-16le"), "utf-16-le"),
        **dict.fromkeys(("utf-16-be", "utf-16be"), "utf-16-be"),
        **dict.fromkeys(("utf-32", "utf32"), "utf-32"),
        **dict.fromkeys(("cp1252", "windows-1252"), "cp1252"),
    }
)

Conversion = Callable[[str | bytes], str | bytes]


def _bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value


def _rot13(value: str | bytes) -> str | bytes:
    return value.translate(_ROT13) if isinstance(value, str) else value


def _inflate(wbits: int) -> Conversion:
    def convert_one(value: str | bytes) -> bytes:
        return zlib.decompressobj(wbits).decompress(_bytes(value), _MOST)

    return convert_one


def _unbz2(value: str | bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(_bytes(value), _MOST)


def _unlzma(value: str | bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=_MOST_MEMORY).decompress(_bytes(value), _MOST)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROT13 = str.maketrans(
    _LETTERS + _LETTERS.upper(),
    _LETTERS[13:] + _LETTERS[:13] + _LETTERS[13:].upper() + _LETTERS[:13].upper(),
)

# Codecs that make something else of the data, by the names that `codecs.decode` knows them by.
DECODERS: Mapping[str, Conversion] = MappingProxyType(
    {
        **dict.fromkeys(("rot13", "rot-13"), _rot13),
        **dict.fromkeys(("hex", "hex-codec"), lambda value: binascii.unhexlify(_bytes(value))),
        **dict.fromkeys(
            ("base64", "base-64", "base64-codec"), lambda value: base64.b64decode(_bytes(value))
        ),
        "urlsafe-base64": lambda value: base64.urlsafe_b64decode(_bytes(value)),
        "base32": lambda value: base64.b32decode(_bytes(value)),
        "base85": lambda value: base64.b85decode(_bytes(value)),
        **dict.fromkeys(("zlib", "zip", "zlib-codec"), _inflate(zlib.MAX_WBITS)),
        "gzip": _inflate(16 + zlib.MAX_WBITS),
        **dict.fromkeys(("bz2", "bz2-codec"), _unbz2),
        "lzma": _unlzma,
    }
)
ENCODERS: Mapping[str, Conversion] = MappingProxyType(
    {
        **dict.fromkeys(("rot13", "rot-13"), _rot13),
        **dict.fromkeys(("hex", "hex-codec"), lambda value: binascii.hexlify(_bytes(value))),
        **dict.fromkeys(
            ("base64", "base-64", "base64-codec"), lambda value: base64.encodebytes(_bytes(value))
        ),
    }
)


def convert(others: Mapping[str, Conversion], args: Sequence[Meaning]) -> Outcome | None:
    """`encode(value, codec, errors)` or `decode(…)`; None if nobody can tell what it does.

    Settled, so that its row need not be asked, with a codec of text only.
    """
    match args:
        case [value, *rest]:
            codec = rest[0] if rest else "utf-8"
        case _:
            return None
    if not isinstance(codec, str):
        return None
    name = codec.strip().lower().replace("_", "-").replace(" ", "-")
    if name in TEXT_CODECS:
        return Outcome((), _recoded(value, TEXT_CODECS[name]))
    conversion = others.get(name)
    return None if conversion is None else Outcome((), _converted(value, conversion), settled=False)


def _recoded(value: Value, codec: str) -> Meaning:
    if isinstance(value, Skipped):
        return value  # told by where it stands
    if isinstance(value, str):
        return _converted(value, lambda text: str(text).encode(codec))
    return _converted(value, lambda data: _bytes(data).decode(codec))


def _converted(value: Value, conversion: Conversion) -> Meaning:
    if not isinstance(value, str | bytes) or len(value) > _MOST:
        return NOBODY_KNOWS
    try:
        return conversion(value)
    except (ValueError, OSError, EOFError, MemoryError, zlib.error, lzma.LZMAError):
        # the real one would raise as well, or it is too much for us
        return NOBODY_KNOWS
