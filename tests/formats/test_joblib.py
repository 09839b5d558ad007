"""joblib's pickles, and what could be made to look like one."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from hubaudit.demo.assemble import Instruction, assemble, frame
from hubaudit.formats.contents import Contents
from hubaudit.formats.raw import read_pickles
from hubaudit.source.memory import MemorySource
from tests.formats.containers import (
    CALL,
    F8,
    INERT,
    OBJECTS,
    PAYLOAD,
    array_wrapper,
    joblib_with,
    padded,
    pickled_dtype,
)
from tests.formats.reading import imports

NUMBERS = struct.pack("<3d", 1.0, 2.0, 3.0)
SYSTEM = ("os", "system")


def read(data: bytes) -> Contents:
    return read_pickles(MemorySource(data))


def whole(dtype: tuple[Instruction, ...], shape: tuple[int, ...], data: bytes) -> Contents:
    return read(assemble(("PROTO", 3), *array_wrapper(dtype, shape), data, "STOP"))


def test_the_bytes_of_an_array_are_stepped_over() -> None:
    contents = read(joblib_with(padded(NUMBERS), ()))
    assert len(contents.pickles) == 1
    assert contents.pickles[0].trace.complete
    assert not contents.gaps
    assert not contents.trailing


def test_what_follows_an_array_is_read() -> None:
    assert SYSTEM in imports(read(joblib_with(padded(NUMBERS), CALL)))


def test_before_1_2_there_was_no_padding() -> None:
    wrapper = array_wrapper(F8, (3,), aligned=False)
    contents = read(assemble(("PROTO", 3), *wrapper, NUMBERS, *CALL, "TUPLE2", "STOP"))
    assert SYSTEM in imports(contents)
    assert not contents.gaps


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (5,), (2, 3, 4)])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (F8, 8),
        (pickled_dtype("i4"), 4),
        (pickled_dtype("b1"), 1),
        (pickled_dtype("c16"), 16),
        (pickled_dtype("U5", size=20), 20),
        (pickled_dtype("S3", size=3), 3),
        (pickled_dtype("M8"), 8),
    ],
)
def test_arrays_of_any_type_and_shape_end_where_they_should(
    dtype: tuple[Instruction, ...], size: int, shape: tuple[int, ...]
) -> None:
    count = 1
    for length in shape:
        count *= length
    contents = whole(dtype, shape, padded(b"\x80" * (count * size)))
    assert contents.pickles[0].trace.complete
    assert not contents.gaps
    assert not contents.trailing


def test_a_payload_in_an_array_is_found_because_pickle_load_would_run_it() -> None:
    payload = assemble(*CALL, "STOP")
    wrapper = array_wrapper(pickled_dtype("S1", size=1), (len(payload),), aligned=False)
    contents = read(assemble(("PROTO", 3), *wrapper, payload, "STOP"))
    assert SYSTEM in imports(contents)


def test_flags_make_an_array_one_of_objects_whatever_its_type_is() -> None:
    """`dtype.hasobject` is a flag of the state, and then joblib reads a pickle."""
    contents = whole(pickled_dtype("f8", flags=1), (3,), PAYLOAD)
    assert SYSTEM in imports(contents)
    assert contents.gaps


def test_an_array_of_objects_is_a_pickle_of_its_own() -> None:
    contents = whole(OBJECTS, (1,), INERT)
    assert [pickle.trace.complete for pickle in contents.pickles] == [True, True]
    assert not contents.gaps


def test_a_broken_pickle_in_an_array_of_objects_is_a_gap() -> None:
    contents = whole(OBJECTS, (1,), assemble(*CALL, b"\xff"))
    assert SYSTEM in imports(contents)
    assert contents.gaps


@pytest.mark.parametrize(
    "more",
    [
        (("BINUNICODE", "read"), ("GLOBAL", "builtins", "print")),  # replaces the method
        (("BINUNICODE", "shape"), ("BINUNICODE", "3")),
        (("BINUNICODE", "shape"), ("BININT", -3), "TUPLE1"),
        (("BINUNICODE", "dtype"), ("BINUNICODE", "f8")),
    ],
)
def test_a_wrapper_that_joblib_would_not_write_is_a_gap(more: tuple[Instruction, ...]) -> None:
    wrapper = array_wrapper(F8, (3,), more=more)
    assert read(assemble(("PROTO", 3), *wrapper, padded(NUMBERS), "STOP")).gaps


def test_an_array_inside_a_frame_is_a_gap() -> None:
    """joblib's unpickler reads a frame at once, so the array is behind it."""
    body = assemble(*array_wrapper(F8, (3,)), *CALL, "TUPLE2", "STOP")
    contents = read(assemble(("PROTO", 4), frame(body), padded(NUMBERS)))
    assert SYSTEM in imports(contents)
    assert contents.gaps


def test_an_array_behind_its_frame_is_none() -> None:
    body = assemble(*array_wrapper(F8, (3,)))
    contents = read(assemble(("PROTO", 4), frame(body), padded(NUMBERS), frame(b".")))
    assert contents.pickles[0].trace.complete
    assert not contents.gaps


def test_the_array_and_not_its_wrapper_is_what_a_second_build_is_for() -> None:
    wrapper = array_wrapper(F8, (3,))
    again = assemble(*wrapper, padded(NUMBERS), "EMPTY_DICT", "BUILD", *CALL, "TUPLE2", "STOP")
    assert SYSTEM in imports(read(assemble(("PROTO", 3), again)))


@pytest.mark.parametrize("cls", ["NDArrayWrapper", "ZNDArrayWrapper"])
@pytest.mark.parametrize(
    ("file", "gaps"), [("m.pkl_01.npy", 0), ("../../x.npy", 1), ("/x.npy", 1), ("C:\\x", 1)]
)
def test_old_arrays_are_in_other_files_which_are_read_if_they_are_here(
    cls: str, file: str, gaps: int
) -> None:
    program = assemble(
        *(("PROTO", 2), ("GLOBAL", "joblib.numpy_pickle", cls), "EMPTY_TUPLE", "NEWOBJ"),
        *("EMPTY_DICT", ("BINUNICODE", "filename"), ("BINUNICODE", file), "SETITEM"),
        *("BUILD", *CALL, "TUPLE2", "STOP"),
    )
    contents = read(program)
    assert SYSTEM in imports(contents)
    assert len(contents.gaps) == gaps


def test_objects_that_use_their_own_memo_are_no_computed_import() -> None:
    """`pickle.load` would take a class from the wrapper's memo there, and raise."""
    nested = assemble(
        *(("PROTO", 4), ("SHORT_BINUNICODE", "collections"), "MEMOIZE", "NONE", "MEMOIZE", "POP"),
        *(("SHORT_BINUNICODE", "OrderedDict"), "STACK_GLOBAL", "EMPTY_TUPLE", "REDUCE", "POP"),
        *(("BINGET", 0), ("SHORT_BINUNICODE", "deque"), "STACK_GLOBAL", "STOP"),
    )
    wrapper = array_wrapper(OBJECTS, (1,))
    head = assemble(("PROTO", 4), wrapper[0], "MEMOIZE", *wrapper[1:])
    contents = read(head + nested + b".")
    assert len(contents.pickles) == 2
    assert imports(contents) >= {("collections", "OrderedDict"), ("collections", "deque")}
    assert not contents.gaps


def test_objects_that_use_the_memo_of_the_wrapper_are_read_as_pickle_load_does() -> None:
    nested = assemble(
        *(("PROTO", 4), ("SHORT_BINUNICODE", "collections"), "MEMOIZE", "POP"),
        *(("BINGET", 0), ("SHORT_BINUNICODE", "system"), "STACK_GLOBAL", "STOP"),
    )
    wrapper = array_wrapper(OBJECTS, (1,))
    head = assemble(("PROTO", 4), ("SHORT_BINUNICODE", "os"), "MEMOIZE", "POP", *wrapper)
    assert SYSTEM in imports(read(head + nested + b"."))


@pytest.mark.parametrize(
    ("cls", "is_raised"), [("sklearn.tree Tree", True), ("builtins str", False)]
)
def test_objects_that_use_their_own_memo_may_be_in_another_object(
    cls: str, is_raised: bool
) -> None:
    """In its memo `pickle.load` finds that object. Only an exact str would be taken for a name."""
    nested = assemble(
        *(("PROTO", 5), ("SHORT_BINUNICODE", "collections"), "MEMOIZE", "POP"),
        *(("BINGET", 0), ("SHORT_BINUNICODE", "deque"), "STACK_GLOBAL", "STOP"),
    )
    owner = ("GLOBAL", *cls.split()), "EMPTY_TUPLE", "NEWOBJ", "MEMOIZE"
    contents = read(assemble(("PROTO", 5), *owner, *array_wrapper(OBJECTS, (1,)), nested, b"."))
    assert ("collections", "deque") in imports(contents)
    assert any(pickle.trace.computed for pickle in contents.pickles) is not is_raised


@pytest.mark.parametrize("how", ["NEWOBJ", "REDUCE", None])
def test_what_was_called_is_no_text_either(how: str | None) -> None:
    """Of any other global nobody knows, it may be a module's text."""
    nested = assemble(
        *(("PROTO", 5), ("SHORT_BINUNICODE", "collections"), "MEMOIZE", "POP"),
        *(("BINGET", 0), ("SHORT_BINUNICODE", "deque"), "STACK_GLOBAL", "STOP"),
    )
    called = ("EMPTY_TUPLE", how) if how else ()
    owner = ("GLOBAL", "sklearn.pipeline", "Pipeline"), "MEMOIZE", *called
    contents = read(assemble(("PROTO", 5), *owner, *array_wrapper(OBJECTS, (1,)), nested, b"."))
    assert ("collections", "deque") in imports(contents)
    assert any(pickle.trace.computed for pickle in contents.pickles) is (how is None)


def array_of_objects(item: bytes) -> bytes:
    """The pickle of `numpy.array([item], dtype=object)` as numpy 2 writes it by protocol 5."""
    head = (
        b"\x8c\x16numpy._core.multiarray\x94\x8c\x0c_reconstruct\x94\x93\x94\x8c\x05numpy\x94"
        b"\x8c\x07ndarray\x94\x93\x94K\x00\x85\x94C\x01b\x94\x87\x94R\x94(K\x01K\x01\x85\x94h\x03"
        b"\x8c\x05dtype\x94\x93\x94\x8c\x02O8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK?t\x94b\x89]\x94"
    )
    return b"\x80\x05" + frame(head + item + b"a\x94t\x94b.")


def behind_four(third: Sequence[Instruction], item: bytes) -> Contents:
    """An array of objects behind a pickle whose memo has, as item 3, what `third` makes."""
    filled = *(("NONE", "MEMOIZE", "POP") * 3), *third, "MEMOIZE", "POP"
    head = assemble(("PROTO", 5), *filled, *array_wrapper(OBJECTS, (1,)))
    return read(head + array_of_objects(item) + b".")


@pytest.mark.parametrize(
    "third",
    [
        (("SHORT_BINUNICODE", "f8"),),
        (("SHORT_BINUNICODE", "NumpyArrayWrapper"),),
        (("GLOBAL", "collections", "OrderedDict"), "DUP", "EMPTY_TUPLE", "REDUCE", "POP"),
        (("SHORT_BINUNICODE", "numpy"),),
        (("SHORT_BINUNICODE", "pandas.core.series"),),
    ],
    ids=str,
)
def test_numpys_dtype_out_of_the_wrong_memo_is_no_import(third: Sequence[Instruction]) -> None:
    contents = behind_four(third, b"N")
    assert not any(pickle.trace.computed for pickle in contents.pickles)
    assert {name for _, name in imports(contents)} <= {
        *("NumpyArrayWrapper", "OrderedDict", "_reconstruct", "dtype", "ndarray"),
    }
    assert ("f8", "dtype") not in imports(contents)


@pytest.mark.parametrize("module", ["numpy", "torch", "package.of.somebody"])
def test_where_there_may_be_a_dtype_what_pickle_load_does_next_is_judged(module: str) -> None:
    """It need not raise there, so that `pickle.load` goes on to what is hidden behind it."""
    hidden = b"0h\x04\x8c\x06system\x93\x8c\x04true\x85R"
    fourth = ("SHORT_BINUNICODE", module), "MEMOIZE", "POP", ("SHORT_BINUNICODE", "os")
    assert SYSTEM in imports(behind_four(fourth, hidden))


def test_an_array_of_numpys_strings_is_a_pickle() -> None:
    kwargs = ("GLOBAL", "numpy._core._internal", "_convert_to_stringdtype_kwargs")
    dtype = kwargs, ("BININT", 1), "TUPLE1", "REDUCE"
    contents = whole(dtype, (1,), PAYLOAD)
    assert not contents.gaps
    assert SYSTEM in imports(contents)
