"""Numbers as people read them."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """`number` with `noun`, in the plural but for 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: int) -> str:
    """`number` bytes in decimal units, as the Hub shows them."""
    if number < 1000:
        return f"{number} B"
    scaled = float(number)
    for unit in ("kB", "MB", "GB"):
        scaled /= 1000
        if scaled < 1000:
            return f"{scaled:.1f} {unit}"
    return f"{scaled / 1000:.1f} TB"
