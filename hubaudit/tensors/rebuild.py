"""From the call that rebuilds a tensor to the bytes that it is a view of.

Source: torch/_utils.py and torch/_tensor.py (2.13), the functions of the same names; the old way to
pickle parameters from `Variable.__reduce_ex__` of torch/autograd/variable.py (0.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from hubaudit.formats.safetensors import BITS
from hubaudit.pvm.values import Call, Global, Mapping, PersistentId, Value
from hubaudit.tensors.storages import NoBytes, Placed, Storages

# torch's name of a dtype → safetensors' (`_TYPES` of safetensors/torch.py and `Dtype` of tensor.rs, 0.8)
DTYPES = {
    "float64": "F64",
    "double": "F64",
    "float32": "F32",
    "float": "F32",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "long": "I64",
    "int32": "I32",
    "int": "I32",
    "int16": "I16",
    "short": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "complex64": "C64",
    "cfloat": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
}
_OF_STORAGE = {
    "UntypedStorage": "uint8",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "BoolStorage": "bool",
    "ShortStorage": "int16",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "IntStorage": "int32",
    "FloatStorage": "float32",
    "LongStorage": "int64",
    "DoubleStorage": "float64",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
_MOST = (1 << 63) - 1  # torch counts elements and bytes in int64
_DIMENSIONS = (
    64  # `dim_bitset_size` of aten/src/ATen/core/WrapDimMinimal.h: most functions take no more
)
_NESTED = 8  # parameters of subclasses of parameters…: torch writes three at most
_DATA_ATTRIBUTES = frozenset({"data", "real", "imag"})  # setting one sets the numbers


class OtherKind(NoBytes):
    """The tensor is of a kind that has no plain numbers, as torch writes it."""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor without its name: see `table.Tensor`."""

    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    begin: int
    storage: tuple[int, int]


def is_tensor(value: Value) -> bool:
    """Whether torch makes a tensor of it, whichever its bytes are."""
    match value:
        case Call(function=Global(module="torch._utils", name=name)):
            return name.startswith("_rebuild_")
        case Call(function=Global(module=module, name=name)):
            return (module, name) in _FUNCTIONS
        case _:
            return False


def view_of(call: Call, storages: Storages) -> View:
    """The bytes of a call for which `is_tensor` holds. Raises NoBytes."""
    return _view(call, storages, _NESTED)


def _view(value: Value, storages: Storages, depth: int) -> View:
    match value:
        case Call(function=Global() as function, args=tuple() as args) if depth:
            pass
        case _:
            raise NoBytes("the tensor that it is made of is not as torch writes it")
    rebuild = _FUNCTIONS.get((function.module, function.name))
    if rebuild is None and function.name in _OTHER_KINDS:
        raise OtherKind(_OTHER_KINDS[function.name])
    if rebuild is None or value.how in ("NEWOBJ_EX", "BUILD"):
        raise NoBytes(_WHY.get(function.name, f"{function.name} is not known"))
    if value.flat or value.items or not all(map(_is_flags, value.state)):
        raise NoBytes("the pickle changes it after it was rebuilt")
    return rebuild(args, storages, depth - 1)


def _is_flags(state: Value) -> bool:
    """What Variable's `__setstate__` takes for flags and hooks; four or five would set the numbers."""
    return isinstance(state, tuple) and len(state) == 3


def _tensor(args: Sequence[Value], storages: Storages, _depth: int) -> View:
    match args:
        case (PersistentId() as pid, int() as offset, shape, stride):
            storage = storages.place(pid)
            return _set(storage, _of_kind(storage.kind), offset, shape, stride)
        case _:
            raise NoBytes("its arguments are not as torch writes them")


def _tensor_v2(args: Sequence[Value], storages: Storages, depth: int) -> View:
    if len(args) not in (6, 7):
        raise NoBytes("its arguments are not as torch writes them")
    _check_metadata(args[6:])
    return _tensor(args[:4], storages, depth)


def _tensor_v3(args: Sequence[Value], storages: Storages, _depth: int) -> View:
    match args:
        case (
            PersistentId() as pid,
            int() as offset,
            shape,
            stride,
            _,
            _,
            Global(module="torch", name=dtype),
            *metadata,
        ) if len(metadata) <= 1:
            _check_metadata(metadata)
            return _set(storages.place(pid), dtype, offset, shape, stride)
        case _:
            raise NoBytes("its arguments are not as torch writes them")


def _check_metadata(metadata: Sequence[Value]) -> None:
    match metadata:
        case () | [] | (None,) | [None]:
            return
        case [Mapping(flat=flat)] if not flat:
            return
        case _:
            raise NoBytes("its numbers are conjugated or negated when they are read")


def _of_kind(kind: str) -> str:
    if kind not in _OF_STORAGE:
        raise NoBytes(f"its storage is a {kind}")
    return _OF_STORAGE[kind]


def _set(storage: Placed, torch_dtype: str, offset: int, shape: Value, stride: Value) -> View:
    """`Tensor.set_`: the view must lie in its storage."""
    dtype = DTYPES.get(torch_dtype)
    if dtype is None:
        raise NoBytes(f"safetensors has no {torch_dtype}")
    width = BITS[dtype] // 8
    sizes, steps = _numbers(shape), _numbers(stride)
    if len(sizes) != len(steps) or offset < 0:
        raise NoBytes("its shape, stride and offset do not fit each other")
    if prod(sizes) * width > _MOST:
        raise NoBytes("it has more elements than torch can count")
    if 0 in sizes:  # torch looks at no offset then
        return View(dtype, sizes, steps, storage.begin, (storage.begin, storage.end))
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    if storage.begin + (last + 1) * width > storage.end:
        raise NoBytes("it reaches beyond its storage")
    return View(dtype, sizes, steps, storage.begin + offset * width, (storage.begin, storage.end))


def _numbers(value: Value) -> tuple[int, ...]:
    match value:
        case Call(function=Global(module="torch", name="Size"), args=(inner,)):
            return _numbers(inner)
        case tuple() | list() if len(value) <= _DIMENSIONS and all(
            type(one) is int and 0 <= one <= _MOST for one in value
        ):
            return tuple(value)
        case _:
            raise NoBytes("its shape or stride is not made of numbers")


def _parameter(args: Sequence[Value], storages: Storages, depth: int) -> View:
    if len(args) not in (1, 2, 3):
        raise NoBytes("its arguments are not as torch writes them")
    return _view(args[0], storages, depth)


def _parameter_with_state(args: Sequence[Value], storages: Storages, depth: int) -> View:
    if len(args) != 4:
        raise NoBytes("its arguments are not as torch writes them")
    _check_attributes(args[3])
    return _view(args[0], storages, depth)


# Subclasses that add nothing to the numbers. What others make of them only their code knows.
_PLAIN_CLASSES = frozenset(
    {
        ("torch", "Tensor"),
        ("torch._tensor", "Tensor"),
        ("torch.tensor", "Tensor"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.nn.parameter", "Buffer"),
    }
)


def _from_type(args: Sequence[Value], storages: Storages, depth: int) -> View:
    match args:
        case (function, Global() as cls, inner, state):
            if (cls.module, cls.name) not in _PLAIN_CLASSES:
                raise NoBytes(f"it is a {cls.qualified}, which may change its numbers")
            _check_attributes(state)
            return _view(Call("REDUCE", function, inner, 0), storages, depth)
        case _:
            raise NoBytes("its arguments are not as torch writes them")


def _check_attributes(state: Value) -> None:
    """`_set_obj_state`: a dict of attributes, or that and a second one."""
    for part in state if isinstance(state, tuple) else (state,):
        match part:
            case None:
                continue
            case Mapping() | Call(function=Global(module="collections", name="OrderedDict")):
                names = {key for key in part.flat[::2] if isinstance(key, str)}
                if 2 * len(names) == len(part.flat) and not names & _DATA_ATTRIBUTES:
                    continue
        raise NoBytes("the pickle sets attributes of it that may change its numbers")


def _from_cpu(args: Sequence[Value], storages: Storages, depth: int) -> View:
    match args:
        case (inner, Global(module="torch", name=dtype), _, _):
            view = _view(inner, storages, depth)
            if DTYPES.get(dtype) != view.dtype:
                raise NoBytes("its numbers are converted for another device")
            return view
        case _:
            raise NoBytes("its arguments are not as torch writes them")


_FUNCTIONS: dict[tuple[str, str], Callable[[Sequence[Value], Storages, int], View]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter_with_state,
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _from_cpu,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch._tensor", "_rebuild_from_type"): _from_type,
    ("torch.tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch.tensor", "_rebuild_from_type"): _from_type,
    ("torch.nn.parameter", "Parameter"): _parameter,
    ("torch.nn.parameter", "Buffer"): _parameter,
    ("torch.autograd.variable", "Variable"): _parameter,
}

_OTHER_KINDS = {
    "_rebuild_sparse_tensor": "it is sparse",
    "_rebuild_sparse_csr_tensor": "it is sparse",
    "_rebuild_qtensor": "it is quantised",
    "_rebuild_meta_tensor_no_storage": "it is on the meta device, without bytes",
    "_rebuild_nested_tensor": "it is nested",
    "_rebuild_wrapper_subclass": "it is a wrapper, without bytes of its own",
}
_WHY = {
    "_rebuild_device_tensor_from_numpy": "its bytes are in a numpy array",
    "_rebuild_xla_tensor": "its bytes are in a numpy array",
}
