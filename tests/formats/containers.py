"""Containers of every kind around given bytes, as their own writers make them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping

from hubaudit.demo.assemble import Instruction, assemble

CALL: tuple[Instruction, ...] = (
    ("GLOBAL", "os", "system"),
    ("BINUNICODE", "true"),
    "TUPLE1",
    "REDUCE",
)
PAYLOAD = assemble(("PROTO", 2), *CALL, "STOP")
INERT = assemble(("PROTO", 2), ("BINUNICODE", "true"), "STOP")


def zipped(members: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def tarred(members: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def npy(descr: str, shape: tuple[int, ...], data: bytes, version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return (
        b"\x93NUMPY" + struct.pack("<BB" + "HII"[version - 1], version, 0, len(text)) + text + data
    )


def zfile(data: bytes) -> bytes:
    return b"ZF" + hex(len(data)).encode().ljust(19) + zlib.compress(data)


def array_wrapper(
    dtype: tuple[Instruction, ...],
    shape: tuple[int, ...],
    *,
    aligned: bool = True,
    more: tuple[Instruction, ...] = (),
) -> tuple[Instruction, ...]:
    """What joblib pickles in place of an array, up to the BUILD that the array's bytes follow."""
    return (
        ("GLOBAL", "joblib.numpy_pickle", "NumpyArrayWrapper"),
        *("EMPTY_TUPLE", "NEWOBJ", "EMPTY_DICT", "MARK"),
        *(("BINUNICODE", "subclass"), ("GLOBAL", "numpy", "ndarray")),
        *(("BINUNICODE", "shape"), "MARK", *(("BININT", n) for n in shape), "TUPLE"),
        *(("BINUNICODE", "order"), ("BINUNICODE", "C")),
        *(("BINUNICODE", "dtype"), *dtype),
        *(("BINUNICODE", "allow_mmap"), "NEWTRUE"),
        *((("BINUNICODE", "numpy_array_alignment_bytes"), ("BININT1", 16)) if aligned else ()),
        *more,
        *("SETITEMS", "BUILD"),
    )


def pickled_dtype(text: str, flags: int = 0, size: int = -1) -> tuple[Instruction, ...]:
    """`numpy.dtype(text, False, True)` and the state that numpy gives it."""
    return (
        *(("GLOBAL", "numpy", "dtype"), ("BINUNICODE", text), "NEWFALSE", "NEWTRUE", "TUPLE3"),
        *("REDUCE", "MARK", ("BININT1", 3), ("BINUNICODE", "|"), "NONE", "NONE", "NONE"),
        *(("BININT", size), ("BININT", -1), ("BININT1", flags), "TUPLE", "BUILD"),
    )


F8 = pickled_dtype("f8")
OBJECTS = pickled_dtype("O8", 63)


def padded(data: bytes) -> bytes:
    """An array's bytes as joblib writes them since 1.2: the length of the padding, the padding, they."""
    return b"\x03" + b"\xff" * 3 + data


def joblib_with(between: bytes, after: tuple[Instruction, ...]) -> bytes:
    """A list of an array of three numbers, whose bytes `between` are, and what `after` makes."""
    wrapper = array_wrapper(F8, (3,))
    return assemble(("PROTO", 3), "EMPTY_LIST", *wrapper, between, "APPEND", *after, "STOP")


def torch_tar(*, pickle: bytes = INERT, storage: bytes = b"", tensor: bytes = b"") -> bytes:
    """torch's oldest format. `storage` and `tensor` replace the pickle of the one entry."""
    count = assemble(("PROTO", 2), ("BININT1", 1), "STOP")
    a_storage = assemble(
        ("BININT1", 7), ("BINUNICODE", "cpu"), ("GLOBAL", "torch", "FloatStorage"), "TUPLE3", "STOP"
    )
    a_tensor = assemble(
        ("BININT1", 9), ("BININT1", 7), ("GLOBAL", "torch", "FloatTensor"), "TUPLE3", "STOP"
    )
    numbers = struct.pack("<q3f", 3, 1.0, 2.0, 3.0)
    geometry = struct.pack("<ii3q", 1, 0, 3, 1, 0)
    return tarred(
        {
            "storages": count + (storage or a_storage) + numbers + assemble("EMPTY_LIST", "STOP"),
            "tensors": count + (tensor or a_tensor) + geometry,
            "pickle": pickle,
        }
    )


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip, second stream": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "xz with padding": lambda data: lzma.compress(data[:9]) + bytes(8) + lzma.compress(data[9:]),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "zfile": zfile,
    "zip": lambda data: zipped({"readme": b"hello", "a/b": data}),
    "zip, deflated": lambda data: zipped({"x.pkl": data}, zipfile.ZIP_DEFLATED),
    "zip, bzip2": lambda data: zipped({"x.pkl": data}, zipfile.ZIP_BZIP2),
    "zip, lzma": lambda data: zipped({"x.pkl": data}, zipfile.ZIP_LZMA),
    "tar": lambda data: tarred({"readme": b"hello", "a/b": data}),
    "tar, gnu, long name": lambda data: tarred({"a" * 300: data}, tarfile.GNU_FORMAT),
    "tar, ustar": lambda data: tarred({"x": data}, tarfile.USTAR_FORMAT),
    "npy": lambda data: npy("'|O'", (1,), data),
    "npy, version 2": lambda data: npy("'|O'", (1,), data, 2),
    "npy, version 3": lambda data: npy("[('ü', 'O', (2,)), ('b', '<f4')]", (1,), data, 3),
    "npy, unknown type": lambda data: npy("'whatever'", (1,), data),
    "npy, negative shape": lambda data: npy("'|O'", (-1,), data),
    "npy, second array": lambda data: npy("'<f8'", (1,), bytes(8)) + npy("'|O'", (1,), data),
    "npy, behind objects": lambda data: npy("'O'", (), INERT) + npy("'O'", (), data),
    "npz": lambda data: zipped(
        {"a.npy": npy("'<f8'", (1,), bytes(8)), "b.npy": npy("'O'", (), data)}
    ),
    "joblib, array of objects": lambda data: assemble(
        ("PROTO", 3), *array_wrapper(OBJECTS, (1,)), data, "STOP"
    ),
    "torch tar": lambda data: torch_tar(pickle=data),
    "torch tar, a storage": lambda data: torch_tar(storage=data),
    "torch tar, a tensor": lambda data: torch_tar(tensor=data),
    "tar.gz": lambda data: gzip.compress(tarred({"a": data})),
    "zip in tar.xz": lambda data: lzma.compress(tarred({"m.ckpt": zipped({"m/data.pkl": data})})),
    "joblib.gz in zip": lambda data: zipped({"m.joblib.gz": gzip.compress(data)}),
}
