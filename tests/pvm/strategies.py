"""Well-formed programs of opcodes: every operand is there, and mostly of the kind that is asked for.

`program` draws from a `random.Random`, so that both hypothesis (`programs`) and the differential
test, which counts its cases by number, can use it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

from hubaudit.demo.assemble import Instruction, assemble, frame

_WORDS = ("os", "system", "a.b", "builtins", "é", "x" * 300, "n", "collections")


class _Writer:
    """What has been written, and the kinds of what would lie on the stack.

    Kinds are the opcodes' own words: text, tuple, list, dict, set, class, object, and other.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.parts: list[bytes] = []
        self.stack: list[str] = []
        self.below: list[list[str]] = []
        self.memo: dict[int, str] = {}

    def emit(self, *program: Instruction) -> None:
        self.parts.append(assemble(*program))

    def push(self, kind: str, *program: Instruction) -> None:
        self.emit(*program)
        self.stack.append(kind)

    def top(self, *kinds: str) -> bool:
        """Whether the stack ends in values of these kinds; an empty text stands for any."""
        end = self.stack[-len(kinds) :]
        return len(end) == len(kinds) and all(
            want in ("", kind) for want, kind in zip(kinds, end, strict=True)
        )


def _word(w: _Writer) -> str:
    return w.random.choice(_WORDS)


def _number(w: _Writer) -> None:
    n = w.random.randrange(256)
    choices: tuple[Instruction, ...] = (
        ("BININT1", n),
        ("BININT2", n),
        ("BININT", -n),
        ("BINFLOAT", n / 3),
        ("FLOAT", n / 3),
        ("INT", n),
        ("INT", n % 2 == 0),
        ("INT", hex(n)),
        ("INT", f"0{n:o}"),
        ("LONG", n),
        ("LONG1", -n),
        ("LONG4", n << 80),
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
    )
    w.push("other", w.random.choice(choices))


def _payload(w: _Writer) -> None:
    data = w.random.randbytes(w.random.choice((0, 3, 60, 255)))
    name = w.random.choice(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"))
    w.push("other", (name, data))


def _text(w: _Writer) -> None:
    word = _word(w)
    name = w.random.choice(("UNICODE", "BINUNICODE", "BINUNICODE8"))
    if len(word) < 200:
        name = w.random.choice((name, "SHORT_BINUNICODE"))
    if word.isascii() and len(word) < 200:
        name = w.random.choice((name, "STRING", "BINSTRING", "SHORT_BINSTRING"))
    w.push("text", (name, word))


def _empty(w: _Writer) -> None:
    kind = w.random.choice(("tuple", "list", "dict", "set"))
    w.push(kind, f"EMPTY_{kind.upper()}")


def _class(w: _Writer) -> None:
    w.push("class", ("GLOBAL", _word(w), _word(w) + str(w.random.randrange(50))))


def _stack_global(w: _Writer) -> None:
    if w.top("text", "text"):
        del w.stack[-2:]
        w.push("class", "STACK_GLOBAL")


def _tuple_of(w: _Writer) -> None:
    count = w.random.randint(1, 3)
    if len(w.stack) >= count:
        del w.stack[-count:]
        w.push("tuple", f"TUPLE{count}")


def _mark(w: _Writer) -> None:
    w.emit("MARK")
    w.below.append(w.stack)
    w.stack = []


def _above(w: _Writer) -> list[str]:
    items, w.stack = w.stack, w.below.pop()
    return items


def _collect(w: _Writer) -> None:
    if not w.below:
        return
    kind = w.random.choice(("tuple", "list", "dict", "frozenset"))
    if kind == "dict" and len(w.stack) % 2:
        return
    _above(w)
    w.push(kind, kind.upper())


def _fill(w: _Writer) -> None:
    if not w.below or not w.below[-1]:
        return
    name = {"list": "APPENDS", "dict": "SETITEMS", "set": "ADDITEMS", "object": "APPENDS"}.get(
        w.below[-1][-1]
    )
    if name is None or (name == "SETITEMS" and len(w.stack) % 2):
        return
    _above(w)
    w.emit(name)


def _append(w: _Writer) -> None:
    if w.top("list", "") or w.top("object", ""):
        w.stack.pop()
        w.emit("APPEND")


def _set_item(w: _Writer) -> None:
    if w.top("dict", "", "") or w.top("object", "", ""):
        del w.stack[-2:]
        w.emit("SETITEM")


def _call(w: _Writer) -> None:
    if w.top("class", "tuple"):
        del w.stack[-2:]
        w.push("object", w.random.choice(("REDUCE", "NEWOBJ")))


def _call_with_names(w: _Writer) -> None:
    if w.top("class", "tuple", "dict"):
        del w.stack[-3:]
        w.push("object", "NEWOBJ_EX")


def _call_above_mark(w: _Writer) -> None:
    if not w.below:
        return
    if w.stack[:1] == ["class"]:
        _above(w)
        w.push("object", "OBJ")
    else:
        _above(w)
        w.push("object", ("INST", "inst", f"n{w.random.randrange(99)}"))


def _build(w: _Writer) -> None:
    if w.top("object", ""):
        w.stack.pop()
        w.emit("BUILD")


def _persistent(w: _Writer) -> None:
    if w.stack and w.random.randrange(2):
        w.stack.pop()
        w.push("object", "BINPERSID")
    else:
        w.push("object", ("PERSID", _word(w) if w.random.randrange(9) else b"12"))


def _pop(w: _Writer) -> None:
    if w.stack:
        w.stack.pop()
    elif w.below:
        _above(w)
    else:
        return
    w.emit("POP")


def _pop_mark(w: _Writer) -> None:
    if w.below:
        _above(w)
        w.emit("POP_MARK")


def _dup(w: _Writer) -> None:
    if w.stack:
        w.push(w.stack[-1], "DUP")


def _put(w: _Writer) -> None:
    if not w.stack:
        return
    index = w.random.choice((w.random.randrange(10), w.random.randrange(256), len(w.memo)))
    name = w.random.choice(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
    if name == "MEMOIZE":
        index = len(w.memo)
        w.emit(name)
    else:
        w.emit((name, index % 256))
    w.memo[index % 256 if name != "MEMOIZE" else index] = w.stack[-1]


def _get(w: _Writer) -> None:
    if not w.memo:
        return
    index = w.random.choice(list(w.memo))
    name = w.random.choice(("GET", "BINGET", "LONG_BINGET")) if index < 256 else "LONG_BINGET"
    w.push(w.memo[index], (name, index))


def _numbers(w: _Writer) -> None:
    """A run of numbers, long enough to be stepped over, that may end otherwise than usual."""
    count = w.random.choice((63, 64, 65, 200))
    widths = w.random.choice(({"G": 8}, {"K": 1, "M": 2, "J": 4}, {"K": 1, "G": 8}))
    codes = w.random.choices([*widths], k=16)
    numbers = [_number_of_opcodes(w, code, widths) for code in codes] * (count // 16 + 1)
    end: Instruction = w.random.choice(("APPENDS", "APPENDS", "LIST", "POP_MARK"))
    if end == "APPENDS" and not (w.top("list") or w.top("object")):
        return
    w.emit("MARK", *numbers[:count], end)
    if end == "LIST":
        w.stack.append("list")


def _number_of_opcodes(w: _Writer, code: str, widths: dict[str, int]) -> bytes:
    """A number whose bytes look like other such numbers, and now and then like their end."""
    looks = "".join(widths) * 20 + "e"
    return (code + "".join(w.random.choices(looks, k=widths[code]))).encode()


_STEPS: tuple[Callable[[_Writer], None], ...] = (
    _number,
    _payload,
    _text,
    _text,
    _text,
    _empty,
    _empty,
    _class,
    _stack_global,
    _stack_global,
    _stack_global,
    _tuple_of,
    _mark,
    _mark,
    _collect,
    _fill,
    _append,
    _set_item,
    _call,
    _call,
    _call_with_names,
    _call_above_mark,
    _build,
    _persistent,
    _pop,
    _pop_mark,
    _dup,
    _put,
    _put,
    _get,
    _get,
    _numbers,
)


def program(random: Random) -> bytes:
    """A pickle of up to 200 opcodes that comes to its STOP, in frames or without."""
    writer = _Writer(random)
    for _ in range(random.choice((5, 20, 60, 200))):
        random.choice(_STEPS)(writer)
    while writer.below:
        _pop_mark(writer)
    writer.emit("NONE", "STOP")
    head = assemble(("PROTO", random.randrange(6))) if random.randrange(4) else b""
    return head + (
        _framed(writer.parts, random) if random.randrange(3) == 0 else b"".join(writer.parts)
    )


def _framed(parts: list[bytes], random: Random) -> bytes:
    """`parts` in frames that end where opcodes do, with some parts between frames."""
    out, at = [], 0
    while at < len(parts):
        size = random.randint(1, 60)
        body = b"".join(parts[at : at + size])
        out.append(frame(body) if random.randrange(3) else body)
        at += size
    return b"".join(out)


programs: st.SearchStrategy[bytes] = st.builds(program, st.randoms(use_true_random=False))
