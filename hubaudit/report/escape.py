"""Make text from a repository harmless to look at: what cannot be seen is written out."""

from __future__ import annotations

import unicodedata

# Printable to `str.isprintable`, yet drawn as nothing: the rest of Unicode's Default_Ignorable_Code_Point
# (DerivedCoreProperties.txt, 15.0) and the Braille blank. A name made of these looks like another name.
_INVISIBLE = frozenset(
    map(
        chr,
        (
            0x034F,
            *range(0x115F, 0x1161),
            *range(0x17B4, 0x17B6),
            *range(0x180B, 0x1810),
            0x2800,
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0100, 0xE01F0),
        ),
    )
)
# Hebrew with its accents and Tibetan stacks have four marks on a letter; hundreds cover the lines around.
_MOST_MARKS = 5
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    r"""`text` on one line, with every control, bidi, zero-width and unassigned character as `\x1b`.

    Printable characters of every script stay, and so do backslashes: evidence is full of them. `##` is
    written out, and `::` at the beginning: `##[…]` and `##vso[…]` are commands to the runners of GitHub and
    Azure in any line of a log, `::…::` is one where a line begins with it.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(char if _is_visible(char) else _written_out(char) for char in text)
        text = _without_towers(text)
    return no_command(text.replace("##", r"#\x23"))


def no_command(line: str) -> str:
    r"""`line`, with `:\x3a` for a `::` that it begins with."""
    return line.replace("::", r":\x3a", 1) if line.lstrip().startswith("::") else line


def clipped(text: str, limit: int) -> str:
    """`text` made visible, at most `limit` characters of it, and how many there are in all."""
    shown = visible(text[:limit])  # cut first: evidence may be long
    if len(text) <= limit and len(shown) <= limit:
        return shown
    return f"{shown[:limit]}… ({len(text)} characters in all)"


def clipped_middle(text: str, limit: int) -> str:
    """`text` made visible, its middle left out beyond `limit`: both ends tell names apart."""
    half = limit // 2
    if len(text) <= limit and len(shown := visible(text)) <= limit:
        return shown
    return f"{visible(text[:half])[:half]}…{visible(text[-half:])[-half:]}"


def encodable(text: str) -> str:
    r"""`text` with lone surrogates as `\udc80`, so that it is UTF-8 for every reader."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_visible(char: str) -> bool:
    # isprintable: false for Cc, Cf, Cs, Co, Cn, Zl, Zp and for every space but U+0020
    return char.isprintable() and char not in _INVISIBLE


def _without_towers(text: str) -> str:
    """`text` with the marks written out that stand on a letter above `_MOST_MARKS` of them."""
    if text.isascii():
        return text
    shown, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in {"Mn", "Me"} else 0
        shown.append(char if marks <= _MOST_MARKS else _written_out(char))
    return "".join(shown)


def _written_out(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
