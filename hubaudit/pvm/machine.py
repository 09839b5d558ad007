"""Interpret one pickle without importing or calling anything, and keep a trace of what it does.

The machine follows `Modules/_pickle.c` of CPython 3.11 to 3.13, not `pickletools`: it stops where
the C unpickler certainly raises, and goes on wherever a loader might (other encodings, the pure
Python unpickler, a `persistent_load`). So the trace's imports are a superset of the real ones.

`state` has the machine itself, `handlers` what each opcode does to it; here is the loop.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NoReturn

from hubaudit.pvm.handlers import HANDLERS, extend, invalid
from hubaudit.pvm.opcodes import OPCODES
from hubaudit.pvm.state import DEFAULT_LIMITS, INT4, UINT2, UINT4, AfterBuild, Halt, Limits, Machine
from hubaudit.pvm.values import Run, Stop, StopKind, Trace
from hubaudit.source import OutOfReach, Source

# A list of numbers is `MARK number… APPENDS`. Short lists are shapes, strides and arguments, and
# are kept; of long ones nobody needs the values, and one match steps over the whole batch.
_NUMBER_RUN = re.compile(rb"(?:(?:G.{8}){64,}+|(?:K.|M..|J.{4}){64,}+)e", re.DOTALL)
_NUMBERS = frozenset(b"GKMJ")


def interpret(
    source: Source,
    start: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    after_build: AfterBuild | None = None,
) -> Trace:
    """Run the pickle that begins at byte `start` of `source`, up to its STOP or to where it breaks.

    Never raises for what the bytes say; `Trace.stop` tells how it ended.
    """
    machine = Machine(source, start, limits, after_build)
    kind, detail = _run(machine)
    if kind in (StopKind.BROKEN, StopKind.TRUNCATED):
        machine.failed(kind)
    trace = machine.trace
    trace.stop = machine.lost or Stop(kind, machine.offset, detail)
    trace.end = min(machine.base + machine.pos, source.size)
    return trace


def _run(m: Machine) -> tuple[StopKind, str]:
    """Run to the end: how it ended, and why in words."""
    try:
        _loop(m)
    except Halt as halt:
        return halt.kind, str(halt)
    except struct.error:
        return StopKind.TRUNCATED, "the data ends inside an opcode"
    except LookupError:
        if m.base + m.pos >= m.source.size:
            return StopKind.TRUNCATED, "the data ends before STOP"
        return StopKind.BROKEN, "the stack or the memo has no such entry"
    except UnicodeDecodeError as error:
        return StopKind.BROKEN, f"text is not {error.encoding}"
    except OutOfReach as error:
        return StopKind.LIMIT, str(error)


def _loop(m: Machine) -> NoReturn:
    """Opcode after opcode, until one of them raises.

    Those that large files are made of are done in place, on local names, and end in `continue`; a
    call for each would take most of the time. What they do is what their namesakes in `handlers`
    would do. Everything else goes there.
    """
    stack, marks, memo = m.stack, m.marks, m.memo
    buffer, pos, safe = m.buffer, m.pos, m.safe
    met = m.trace.opcodes
    try:
        for _ in range(m.limits.opcodes):
            if pos >= safe:
                m.pos = pos
                m.advance()
                buffer, pos, safe = m.buffer, m.pos, m.safe
            code = buffer[pos]
            pos += 1
            if code >= 0x80:
                if code not in met:
                    met[code] = m.base + pos - 1
                if code == 0x8C:  # SHORT_BINUNICODE, and the MEMOIZE that picklers write after it
                    end = pos + 1 + buffer[pos]
                    payload = buffer[pos + 1 : end]
                    if end > len(buffer):
                        raise Halt(StopKind.TRUNCATED, "the data ends inside a string")
                    stack.append(str(payload, "utf-8", "surrogatepass"))
                    pos = end
                    if pos < safe and buffer[pos] == 0x94:
                        memo.append(stack[-1])
                        pos += 1
                    continue
                if code == 0x94:  # MEMOIZE
                    memo.append(stack[-1])
                    continue
                if code == 0x86:  # TUPLE2, and the LONG_BINPUT that picklers write after it
                    last = stack.pop()
                    stack[-1] = (stack[-1], last)
                    if (
                        pos < safe
                        and buffer[pos] == 0x72
                        and UINT4(buffer, pos + 1)[0] == len(memo)
                    ):
                        memo.append(stack[-1])
                        pos += 5
                    continue
                if code == 0x85:  # TUPLE1
                    stack[-1] = (stack[-1],)
                    continue
            elif code >= 0x5D:
                if code == 0x72 or code == 0x71:  # LONG_BINPUT, BINPUT
                    if code == 0x72:
                        index = UINT4(buffer, pos)[0]
                        pos += 4
                    else:
                        index = buffer[pos]
                        pos += 1
                    if index == len(memo):
                        memo.append(stack[-1])
                    else:
                        m.remember(index)
                        memo = m.memo
                    continue
                if code == 0x5D:  # EMPTY_LIST, and the same
                    stack.append([])
                    if (
                        pos < safe
                        and buffer[pos] == 0x72
                        and UINT4(buffer, pos + 1)[0] == len(memo)
                    ):
                        memo.append(stack[-1])
                        pos += 5
                    continue
                if code == 0x61:  # APPEND
                    last = stack.pop()
                    target = stack[-1]
                    if type(target) is list:
                        target.append(last)
                    else:
                        m.offset = m.base + pos - 1
                        extend(m, target, [last])
                    continue
                if code == 0x65:  # APPENDS
                    items = stack
                    stack = m.stack = marks.pop()
                    target = stack[-1]
                    if type(target) is list:
                        target += items
                    else:
                        m.offset = m.base + pos - 1
                        extend(m, target, items)
                    continue
                if code == 0x74:  # TUPLE
                    items = stack
                    stack = m.stack = marks.pop()
                    stack.append(tuple(items))
                    continue
                if code == 0x68:  # BINGET
                    stack.append(memo[buffer[pos]])
                    pos += 1
                    continue
            else:
                if code == 0x4A:  # BININT
                    stack.append(INT4(buffer, pos)[0])
                    pos += 4
                    continue
                if code == 0x4B:  # BININT1
                    stack.append(buffer[pos])
                    pos += 1
                    continue
                if code == 0x4D:  # BININT2
                    stack.append(UINT2(buffer, pos)[0])
                    pos += 2
                    continue
                if code == 0x28:  # MARK
                    marks.append(stack)
                    stack = m.stack = []
                    # 64 numbers are 128 bytes at least: most short lists are told apart by this
                    if buffer[pos] in _NUMBERS and buffer.find(b"e", pos, pos + 64) < 0:
                        pos = _step_over_numbers(m, pos)
                        stack = m.stack
                    continue
            m.pos, m.offset = pos, m.base + pos - 1
            if code not in met:
                met[code] = m.offset
            _HANDLERS[code](m)
            pos, stack, safe, memo = m.pos, m.stack, m.safe, m.memo
    finally:
        if pos > m.pos:  # the failure was in one of the opcodes done in place
            m.pos, m.offset = pos, m.base + pos - 1
    raise Halt(StopKind.LIMIT, f"over {m.limits.opcodes:,} opcodes")


def _step_over_numbers(m: Machine, pos: int) -> int:
    """After a MARK: past a long run of numbers and its APPENDS, if that is what follows."""
    run = _NUMBER_RUN.match(m.buffer, pos)
    if run is None or not m.marks[-1]:
        return pos
    m.stack = m.marks.pop()
    m.offset = m.base + run.end() - 1  # of the APPENDS, which may be a call
    extend(m, m.stack[-1], [Run(run.end() - pos - 1, m.base + pos)])
    return run.end()


_HANDLERS: list[Callable[[Machine], None]] = [invalid] * 256
for _opcode in OPCODES:
    _HANDLERS[_opcode.code[0]] = HANDLERS[_opcode.name]
