"""What each opcode does to the machine: one function an opcode, named like it.

Where C certainly raises, a handler halts the machine; where some loader might go on, so does it.
"""

from __future__ import annotations

from collections.abc import Callable

from hubaudit.pvm import text
from hubaudit.pvm.opcodes import HIGHEST_PROTOCOL
from hubaudit.pvm.state import FLOAT8, HEAD, INT4, UINT2, UINT4, UINT8, Halt, Machine
from hubaudit.pvm.values import (
    Call,
    Filled,
    Global,
    Mapping,
    PersistentId,
    SetOf,
    Skipped,
    StopKind,
    Unknown,
    Value,
)


def _stop(m: Machine) -> None:
    m.trace.result = m.pop()
    raise Halt(StopKind.COMPLETE, "")


def invalid(m: Machine) -> None:
    m.broken(f"{m.buffer[m.pos - 1]:#04x} is no opcode")


def _proto(m: Machine) -> None:
    protocol = m.byte()
    if protocol > HIGHEST_PROTOCOL:
        m.broken(f"protocol {protocol} does not exist")
    m.trace.protocol = protocol


def _frame(m: Machine) -> None:
    size = m.number(UINT8, 8)
    if m.base + m.pos + size > m.source.size:
        # The C unpickler raises here, the pure Python one reads on.
        m.trace.notes.append(f"a frame at {m.offset} reaches beyond the end of the data")
    else:
        m.enter_frame(size)


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    elif m.marks:
        m.stack = m.marks.pop()
    else:
        m.broken("the stack is empty")


def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _dup(m: Machine) -> None:
    m.need(1)
    m.stack.append(m.stack[-1])


# Constants


def _none(m: Machine) -> None:
    m.stack.append(None)


def _newtrue(m: Machine) -> None:
    m.stack.append(True)


def _newfalse(m: Machine) -> None:
    m.stack.append(False)


def _int(m: Machine) -> None:
    m.stack.append(_parsed(m, text.parse_int))


def _long(m: Machine) -> None:
    m.stack.append(_parsed(m, text.parse_long))


def _float(m: Machine) -> None:
    m.stack.append(_parsed(m, text.parse_float))


def _string(m: Machine) -> None:
    m.stack.append(_parsed(m, text.parse_string))


def _parsed(m: Machine, parse: Callable[[bytes], Value]) -> Value:
    line = m.line()
    if len(line) > text.MAX_DIGITS and parse is not text.parse_string:
        return Skipped("number", len(line), m.offset + 1, line[:HEAD])
    try:
        return parse(line)
    except ValueError as error:
        m.broken(str(error))


def _unicode(m: Machine) -> None:
    m.stack.append(str(m.line(), "raw-unicode-escape"))


def _binint(m: Machine) -> None:
    m.stack.append(m.number(INT4, 4))


def _binint1(m: Machine) -> None:
    m.stack.append(m.byte())


def _binint2(m: Machine) -> None:
    m.stack.append(m.number(UINT2, 2))


def _long1(m: Machine) -> None:
    m.push_integer(m.byte())


def _long4(m: Machine) -> None:
    size = m.number(INT4, 4)
    if size < 0:
        m.broken("a negative length")
    m.push_integer(size)


def _binfloat(m: Machine) -> None:
    m.stack.append(FLOAT8(m.buffer, m.pos)[0])
    m.pos += 8


def _short_binunicode(m: Machine) -> None:
    m.push_text(m.byte())


def _binunicode(m: Machine) -> None:
    m.push_text(m.number(UINT4, 4))


def _binunicode8(m: Machine) -> None:
    m.push_text(m.number(UINT8, 8))


def _short_binstring(m: Machine) -> None:
    m.push_string(m.byte())


def _binstring(m: Machine) -> None:
    m.push_string(m.number(UINT4, 4))  # unsigned in C, whatever pickletools says


def _short_binbytes(m: Machine) -> None:
    m.stack.append(m.constant("bytes", m.byte()))


def _binbytes(m: Machine) -> None:
    m.stack.append(m.constant("bytes", m.number(UINT4, 4)))


def _binbytes8(m: Machine) -> None:
    m.stack.append(m.constant("bytes", m.number(UINT8, 8)))


def _bytearray8(m: Machine) -> None:
    m.stack.append(m.constant("bytearray", m.number(UINT8, 8)))


def _next_buffer(m: Machine) -> None:
    m.stack.append(Unknown("an out-of-band buffer"))


def _readonly_buffer(m: Machine) -> None:
    m.need(1)


# Containers


def _empty_tuple(m: Machine) -> None:
    m.stack.append(())


def _tuple(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        m.need(count)
        m.stack[-count:] = [tuple(m.stack[-count:])]

    return handler


def _empty_list(m: Machine) -> None:
    m.stack.append([])


def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(items)


def _append(m: Machine) -> None:
    m.need(2)
    item = m.stack.pop()
    extend(m, m.stack[-1], [item])


def _appends(m: Machine) -> None:
    items = m.pop_mark()
    m.need(1)
    extend(m, m.stack[-1], items)


def extend(m: Machine, target: Value, items: list[Value]) -> None:
    """`target.extend(items)`. On anything but a list or set it is a method that we do not know."""
    if type(target) is list:
        target += items
    elif isinstance(target, SetOf):
        target.add_items(items)
    elif isinstance(target, Call):
        _fill(m, "APPENDS", target, len(target.items), len(items))
        target.add_items(items)
    elif items:
        m.call("APPENDS", target, (items,))


def _empty_dict(m: Machine) -> None:
    m.stack.append(Mapping())


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(Mapping(_even(m, items)))


def _setitem(m: Machine) -> None:
    m.need(3)
    items = m.stack[-2:]
    del m.stack[-2:]
    _set_items(m, m.stack[-1], items)


def _setitems(m: Machine) -> None:
    items = _even(m, m.pop_mark())
    m.need(1)
    _set_items(m, m.stack[-1], items)


def _set_items(m: Machine, target: Value, flat: list[Value]) -> None:
    if isinstance(target, Mapping):
        target.add_pairs(flat)
    elif isinstance(target, Call):
        _fill(m, "SETITEMS", target, len(target.flat), len(flat))
        target.add_pairs(flat)
    elif flat:
        m.call("SETITEMS", target, (Mapping(flat),))


def _fill(m: Machine, how: str, target: Call, start: int, count: int) -> None:
    if count:  # without values, nothing is called
        m.trace.filled.append(Filled(m.offset, how, target, start, count))


def _even(m: Machine, items: list[Value]) -> list[Value]:
    if len(items) % 2:
        m.broken("a key without a value")
    return items


def _empty_set(m: Machine) -> None:
    m.stack.append(SetOf((), frozen=False))


def _frozenset(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(SetOf(items, frozen=True))


# The memo


def _memoize(m: Machine) -> None:
    m.remember(len(m.memo))


def _binput(m: Machine) -> None:
    m.remember(m.byte())


def _long_binput(m: Machine) -> None:
    m.remember(m.number(UINT4, 4))


def _binget(m: Machine) -> None:
    m.recall(m.byte())


def _get(m: Machine) -> None:
    m.recall(_memo_index(m))


def _put(m: Machine) -> None:
    m.remember(_memo_index(m))


def _memo_index(m: Machine) -> int:
    try:
        index = text.parse_index(m.line())
    except ValueError as error:
        m.broken(str(error))
    if index < 0:
        m.broken("a negative memo index")
    return index


def _long_binget(m: Machine) -> None:
    m.recall(m.number(UINT4, 4))


# Imports


def _global(m: Machine) -> None:
    module, name = _two_lines(m)
    m.stack.append(m.find_class(module, name))


def _two_lines(m: Machine) -> tuple[str, str]:
    module, name = m.line(), m.line()
    if not module or not name:
        m.broken("an empty name")
    return str(module, "utf-8"), str(name, "utf-8")


def _stack_global(m: Machine) -> None:
    m.need(2)
    name, module = m.stack.pop(), m.stack.pop()
    if type(module) is str and type(name) is str:
        m.stack.append(m.find_class(module, name))
    elif _may_be_str(module) and _may_be_str(name):
        m.stack.append(m.computed_import(module, name, _why_computed(module, name)))
    else:
        m.broken("STACK_GLOBAL needs two strings")


def _why_computed(module: Value, name: Value) -> str:
    if isinstance(module, text.LegacyText) or isinstance(name, text.LegacyText):
        return "the loader's encoding decides on its name"
    return "its name is computed"


def _may_be_str(value: Value) -> bool:
    """Only an exact str is accepted. A global can be one: `os.name`, `string.digits`."""
    if isinstance(value, Skipped):
        return value.kind == "str"
    return isinstance(value, str | Global | Call | PersistentId | Unknown)


def _extension(code: int, m: Machine) -> None:
    if code <= 0:
        m.broken("extension code 0")
    why = f"extension code {code} is looked up in the loading process"
    m.stack.append(m.computed_import("copyreg._inverted_registry", code, why))


def _ext1(m: Machine) -> None:
    _extension(m.byte(), m)


def _ext2(m: Machine) -> None:
    _extension(m.number(UINT2, 2), m)


def _ext4(m: Machine) -> None:
    _extension(m.number(INT4, 4), m)


# Calls


def _reduce(m: Machine) -> None:
    m.need(2)
    args, function = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("REDUCE", function, args))


def _newobj(m: Machine) -> None:
    m.need(2)
    args, cls = m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("NEWOBJ", cls, args))


def _newobj_ex(m: Machine) -> None:
    m.need(3)
    kwargs, args, cls = m.stack.pop(), m.stack.pop(), m.stack.pop()
    m.stack.append(m.call("NEWOBJ_EX", cls, args, kwargs))


def _obj(m: Machine) -> None:
    items = m.pop_mark()
    if not items:
        m.broken("OBJ without a class")
    m.stack.append(m.call("OBJ", items[0], tuple(items[1:])))


def _inst(m: Machine) -> None:
    # C looks for the MARK first, the pure Python unpickler imports first
    cls = m.find_class(*_two_lines(m))
    args = tuple(m.pop_mark())
    m.stack.append(m.call("INST", cls, args))


def _build(m: Machine) -> None:
    m.need(2)
    state = m.stack.pop()
    target = m.stack[-1]
    m.call("BUILD", target, (state,))
    if isinstance(target, Call):
        target.add_state(state)
    if m.after_build is not None:
        m.ask_after_build(m.after_build)


def _persid(m: Machine) -> None:
    _push_persistent(m, text.decode(m.line()))


def _binpersid(m: Machine) -> None:
    _push_persistent(m, m.pop())


def _push_persistent(m: Machine, pid: Value) -> None:
    persistent = PersistentId(pid)
    m.trace.persistent_ids.append(persistent)
    m.stack.append(persistent)


HANDLERS: dict[str, Callable[[Machine], None]] = {
    "MARK": _mark,
    "BININT": _binint,
    "BININT1": _binint1,
    "SHORT_BINUNICODE": _short_binunicode,
    "MEMOIZE": _memoize,
    "BINPUT": _binput,
    "LONG_BINPUT": _long_binput,
    "BINGET": _binget,
    "STOP": _stop,
    "PROTO": _proto,
    "FRAME": _frame,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _dup,
    "NONE": _none,
    "NEWTRUE": _newtrue,
    "NEWFALSE": _newfalse,
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "STRING": _string,
    "UNICODE": _unicode,
    "BININT2": _binint2,
    "LONG1": _long1,
    "LONG4": _long4,
    "BINFLOAT": _binfloat,
    "BINUNICODE": _binunicode,
    "BINUNICODE8": _binunicode8,
    "SHORT_BINSTRING": _short_binstring,
    "BINSTRING": _binstring,
    "SHORT_BINBYTES": _short_binbytes,
    "BINBYTES": _binbytes,
    "BINBYTES8": _binbytes8,
    "BYTEARRAY8": _bytearray8,
    "NEXT_BUFFER": _next_buffer,
    "READONLY_BUFFER": _readonly_buffer,
    "EMPTY_TUPLE": _empty_tuple,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "EMPTY_LIST": _empty_list,
    "LIST": _list,
    "APPEND": _append,
    "APPENDS": _appends,
    "EMPTY_DICT": _empty_dict,
    "DICT": _dict,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "EMPTY_SET": _empty_set,
    "ADDITEMS": _appends,
    "FROZENSET": _frozenset,
    "GET": _get,
    "PUT": _put,
    "LONG_BINGET": _long_binget,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "EXT1": _ext1,
    "EXT2": _ext2,
    "EXT4": _ext4,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "OBJ": _obj,
    "INST": _inst,
    "BUILD": _build,
    "PERSID": _persid,
    "BINPERSID": _binpersid,
}
