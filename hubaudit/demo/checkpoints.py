"""Checkpoints as torch and safetensors write them, without either.

The layouts are those of torch 2.13 (`torch/serialization.py`, and `inline_container.cc` in
`caffe2/serialize`) and safetensors 0.8. A test holds the bytes against files that these wrote.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

from hubaudit.demo.objects import Call, Global, Persistent, Unshared, mapping, pickle_of

# safetensors' name → torch's storage class and bytes an element, in the order of safetensors' enum
# `Dtype`: the library writes the tensors of the last dtype first
DTYPES: dict[str, tuple[str, int]] = {
    "BOOL": ("BoolStorage", 1),
    "U8": ("ByteStorage", 1),
    "I8": ("CharStorage", 1),
    "I16": ("ShortStorage", 2),
    "F16": ("HalfStorage", 2),
    "BF16": ("BFloat16Storage", 2),
    "I32": ("IntStorage", 4),
    "F32": ("FloatStorage", 4),
    "F64": ("DoubleStorage", 8),
    "I64": ("LongStorage", 8),
}

# torch/serialization.py
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class Storage:
    """Raw little-endian elements. Two tensors of one storage are tied."""

    dtype: str
    data: bytes

    @property
    def numel(self) -> int:
        return len(self.data) // DTYPES[self.dtype][1]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A contiguous tensor that begins `offset` elements into its storage."""

    storage: Storage
    shape: tuple[int, ...]
    offset: int = 0

    @property
    def stride(self) -> tuple[int, ...]:
        return tuple(prod(self.shape[axis + 1 :]) for axis in range(len(self.shape)))

    @property
    def data(self) -> bytes:
        width = DTYPES[self.storage.dtype][1]
        return self.storage.data[self.offset * width : (self.offset + prod(self.shape)) * width]


def tensor(dtype: str, shape: tuple[int, ...], data: bytes) -> Tensor:
    """A tensor with a storage of its own. `data` is little-endian and has exactly its elements."""
    if len(data) != prod(shape) * DTYPES[dtype][1]:
        raise ValueError(f"{len(data)} bytes are no {dtype} tensor of shape {shape}")
    return Tensor(Storage(dtype, data), shape)


def floats(shape: tuple[int, ...], seed: int) -> Tensor:
    """A float32 tensor of numbers that look like weights and are the same on every machine."""
    # 40503 = 2**16 / golden ratio, Knuth's multiplicative hash: neighbours are far apart
    values = [((seed + index) * 40503 % 65536 - 32768) / 2**20 for index in range(prod(shape))]
    return tensor("F32", shape, struct.pack(f"<{len(values)}f", *values))


def state_dict(tensors: Mapping[str, Tensor], versions: Mapping[str, int] | None = None) -> Call:
    """What `Module.state_dict()` returns: an OrderedDict, with its modules' versions as `_metadata`.

    The outermost module's name is the empty text; most modules are of version 1. Without versions
    there is no `_metadata`, as in a checkpoint that somebody put together by hand.
    """
    metadata = [(Unshared(name), {"version": one}) for name, one in (versions or {}).items()]
    state = {"_metadata": mapping("OrderedDict", metadata)} if metadata else None
    return Call(Global("collections", "OrderedDict"), (), tuple(tensors.items()), state)


def torch_zip(value: Any, *, root: str = "archive", serialization_id: str | None = None) -> bytes:
    """What `torch.save(value, …)` writes since torch 1.6; `value` may hold `Tensor`s.

    `root` is the folder in the archive: `archive` for a file object, the file's stem for a path.
    The default `serialization_id` is not torch's hash, but as stable and of the same form.
    """
    data_pkl, storages = torch_parts(value)
    return torch_zip_of(data_pkl, storages, root=root, serialization_id=serialization_id)


def torch_parts(value: Any) -> tuple[bytes, list[bytes]]:
    """The `data.pkl` of `value`, and the bytes of the storages `0`, `1`, … that it names."""
    storages = _Storages(legacy=False)
    data_pkl = pickle_of(value, storages.lower)
    return data_pkl, [storage.data for storage in storages.found.values()]


def torch_zip_of(
    data_pkl: bytes,
    storages: Sequence[bytes],
    *,
    root: str = "archive",
    serialization_id: str | None = None,
) -> bytes:
    """A torch archive around any `data.pkl`, also one that no pickler would write."""
    identity = serialization_id or _digits(data_pkl, *storages)
    members = {
        "data.pkl": data_pkl,
        ".format_version": b"1",
        ".storage_alignment": str(ALIGNMENT).encode(),
        "byteorder": b"little",
        **{f"data/{key}": data for key, data in enumerate(storages)},
        "version": b"3\n",
        ".data/serialization_id": identity.encode(),
    }
    return _stored_zip({f"{root}/{name}": data for name, data in members.items()})


def torch_legacy(value: Any) -> bytes:
    """What `torch.save(value, f, _use_new_zipfile_serialization=False)` writes.

    Five pickles (magic, protocol, system, the object, its storages' keys), then each storage's
    number of elements (int64) and its bytes, in the order of the sorted keys.
    """
    storages = _Storages(legacy=True)
    body = pickle_of(value, storages.lower)
    keys = sorted(storages.found)
    parts = [
        pickle_of(LEGACY_MAGIC),
        pickle_of(LEGACY_PROTOCOL),
        pickle_of(
            {
                "protocol_version": LEGACY_PROTOCOL,
                "little_endian": True,
                "type_sizes": {"short": 2, "int": 4, "long": 4},
            }
        ),
        body,
        pickle_of(keys),
    ]
    for key in keys:
        storage = storages.found[key]
        parts += [struct.pack("<q", storage.numel), storage.data]
    return b"".join(parts)


def safetensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """What `safetensors.torch.save(tensors, metadata)` writes: 8 bytes of length, JSON, the data.

    The header is padded with spaces to a multiple of 8; an empty `metadata` is not written.
    """
    order = list(DTYPES)
    names = sorted(tensors, key=lambda name: (-order.index(tensors[name].storage.dtype), name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    parts: list[bytes] = []
    at = 0
    for name in names:
        one = tensors[name]
        parts.append(one.data)
        header[name] = {
            "dtype": one.storage.dtype,
            "shape": list(one.shape),
            "data_offsets": [at, at + len(parts[-1])],
        }
        at += len(parts[-1])
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((struct.pack("<Q", len(text)), text, *parts))


class _Storages:
    """The storages met on the way through an object, by the key that the pickle names them with."""

    def __init__(self, *, legacy: bool) -> None:
        self.found: dict[str, Storage] = {}
        self._keys: dict[int, str] = {}
        self._legacy = legacy

    def lower(self, value: Any) -> Call:
        """A tensor as the call that rebuilds it (`torch/_tensor.py`, `_reduce_ex_internal`)."""
        if not isinstance(value, Tensor):
            raise TypeError(f"no pickle for {type(value).__name__}")
        storage = value.storage
        kind = Global("torch", DTYPES[storage.dtype][0])
        pid: tuple[Any, ...] = ("storage", kind, self._key(storage), "cpu", storage.numel)
        if self._legacy:
            pid += (None,)  # the view metadata of torch 0.x
        # a new tuple each time, as torch makes it, or the second tensor's shape came from the memo
        shape = tuple(int(size) for size in value.shape)
        args = (Persistent(pid), value.offset, shape, value.stride, False)
        return Call(Global("torch._utils", "_rebuild_tensor_v2"), (*args, mapping("OrderedDict")))

    def _key(self, storage: Storage) -> str:
        if id(storage) not in self._keys:
            count = len(self.found)
            # legacy keys are the storages' addresses; these look like some, 64 bytes apart
            key = str(94_081_515_180_000 + 64 * count) if self._legacy else str(count)
            self._keys[id(storage)] = key
            self.found[key] = storage
        return self._keys[id(storage)]


def _digits(*parts: bytes) -> str:
    """40 decimal digits, as a serialization id has."""
    return f"{int.from_bytes(sha256(b''.join(parts)).digest()) % 10**40:040d}"


def _stored_zip(members: Mapping[str, bytes]) -> bytes:
    """An archive as torch's PyTorchStreamWriter makes it: stored, aligned, undated, zip64 ends.

    Sizes and checksum of a member follow its data; its local header has zeros (flag 0x0008).
    """
    body, directory = bytearray(), bytearray()
    for name, data in members.items():
        path = name.encode()
        checked = struct.pack("<III", zlib.crc32(data), len(data), len(data))
        common = struct.pack("<HHHH", 0x0808, 0, 0, 0)
        start = len(body)
        padding = b"Z" * (-(start + 30 + len(path) + 4) % ALIGNMENT)
        extra = b"FB" + struct.pack("<H", len(padding)) + padding
        body += b"PK\x03\x04" + struct.pack("<H", 0) + common + bytes(12)
        body += struct.pack("<HH", len(path), len(extra)) + path + extra
        body += data + b"PK\x07\x08" + checked
        directory += b"PK\x01\x02" + struct.pack("<HH", 0, 0) + common + checked
        directory += struct.pack("<HHHHHII", len(path), 0, 0, 0, 0, 0, start) + path
    return bytes(body + directory + _zip_end(len(members), len(directory), len(body)))


def _zip_end(count: int, size: int, start: int) -> bytes:
    end64 = struct.pack("<QHHIIQQQQ", 44, 0x031E, 0x002D, 0, 0, count, count, size, start)
    locator = struct.pack("<IQI", 0, start + size, 1)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, size, start, 0)
    return b"PK\x06\x06" + end64 + b"PK\x06\x07" + locator + b"PK\x05\x06" + end
