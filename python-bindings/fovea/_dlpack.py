"""Read an object's ``__dlpack__`` capsule.

The capsule is never renamed: it stays the owner of the exported memory and is
kept alive as long as the tensor is used.
"""

from __future__ import annotations

import ctypes
from typing import Any

from ._tensors import ITEMSIZE, Tensor, _dtype_rule, strides_for, type_name


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _DType(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    ]


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("dl_tensor", _DLTensor),
    ]


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype = ctypes.c_int
_is_valid.argtypes = [ctypes.py_object, ctypes.c_char_p]

_DTYPES = {
    (0, 8): "i8",
    (0, 16): "i16",
    (0, 32): "i32",
    (0, 64): "i64",
    (1, 8): "ui8",
    (1, 16): "ui16",
    (1, 32): "ui32",
    (1, 64): "ui64",
    (2, 16): "f16",
    (2, 32): "f32",
    (2, 64): "f64",
    (4, 16): "bf16",
    (6, 8): "i1",
}
_USED = (b"used_dltensor", b"used_dltensor_versioned")
_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
_MAX_RANK = 64
_MAX_OFFSET = 1 << 62
# Page-locked host memory (3, 11) is ordinary memory to the processor.
_DEVICES = {1: "cpu", 2: "cuda", 3: "cpu", 10: "hip", 11: "cpu", 13: "cuda"}


def _export(obj: Any, name: str, library: str) -> object:
    # -1: no waiting. The kernel runs on the stream that CuPy works on; for other
    # libraries it is the default stream, as it is for DLPack where none is named.
    options = {"stream": -1} if library == "cupy" else {}
    try:
        try:
            return obj.__dlpack__(max_version=(1, 0), **options)
        except TypeError:
            return obj.__dlpack__(**options)
    except Exception as error:
        _refuse_deleted(obj, name, error)
        raise TypeError(
            f"{name}: __dlpack__ must give a capsule, got"
            f" {type(error).__name__} from {type_name(obj)}: {error}"
        ) from error


def _is_deleted(obj: Any) -> bool:
    """Whether a jax array says that its memory is gone."""
    asked = getattr(obj, "is_deleted", None)
    return callable(asked) and asked() is True


def _refuse_deleted(obj: Any, name: str, error: Exception) -> None:
    if _is_deleted(obj):
        raise TypeError(
            f"{name}: must have data, got a {type_name(obj)} that was deleted"
            " (donated, or by .delete())"
        ) from error


def _tensor_of(capsule: object, name: str) -> _DLTensor:
    if type(capsule).__name__ == "PyCapsule":
        if _is_valid(capsule, b"dltensor_versioned"):
            address = _pointer(capsule, b"dltensor_versioned")
            versioned = _Versioned.from_address(address)
            if versioned.major != 1:
                raise TypeError(
                    f"{name}: DLPack version must be 0 or 1, got {versioned.major}"
                )
            return versioned.dl_tensor
        if _is_valid(capsule, b"dltensor"):
            return _DLTensor.from_address(_pointer(capsule, b"dltensor"))
        if any(_is_valid(capsule, used) for used in _USED):
            raise TypeError(
                f"{name}: __dlpack__ must give an unused capsule, got one that was"
                " consumed already (it can be read once: make a new one)"
            )
    raise TypeError(
        f"{name}: __dlpack__ must give an unused capsule, got {type_name(capsule)}"
    )


def _device_of(obj: Any, name: str) -> tuple[str, int]:
    try:
        kind, index = obj.__dlpack_device__()
        kind, index = int(kind), int(index)
    except Exception as error:
        _refuse_deleted(obj, name, error)
        raise TypeError(
            f"{name}: __dlpack_device__ must give (type, id), got"
            f" {type(error).__name__} from {type_name(obj)}: {error}"
        ) from error
    if kind not in _DEVICES:
        raise TypeError(
            f"{name}: device must be cpu, cuda or hip, got DLPack device {kind}"
        )
    return _DEVICES[kind], index


def _extents(tensor: _DLTensor, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides; what no array can have is refused before it is read."""
    rank = tensor.ndim
    if not 0 <= rank <= _MAX_RANK:
        raise ValueError(f"{name}: DLPack rank must be in 0...{_MAX_RANK}, got {rank}")
    if rank and not tensor.shape:
        raise ValueError(f"{name}: DLPack shape must not be null")
    shape = tuple(tensor.shape[i] for i in range(rank))
    if any(extent < 0 for extent in shape):
        raise ValueError(f"{name}: shape must not be negative, got {shape}")
    if tensor.strides:
        return shape, tuple(tensor.strides[i] for i in range(rank))
    return shape, strides_for(shape, tuple(range(rank)))


def read(obj: Any, name: str, dtypes: tuple[str, ...], library: str) -> Tensor:
    """Read `obj` through DLPack; see `fovea._tensors.read`."""
    device, index = _device_of(obj, name)
    ready = getattr(obj, "block_until_ready", None)
    if callable(ready) and not _is_deleted(obj):
        ready()
    capsule = _export(obj, name, library)
    tensor = _tensor_of(capsule, name)
    given = (tensor.dtype.code, tensor.dtype.bits)
    short = _DTYPES.get(given) if tensor.dtype.lanes == 1 else None
    if short is None or short not in dtypes:
        code = _CODES.get(given[0], f"code {given[0]} ")
        lanes = "" if tensor.dtype.lanes == 1 else f" x {tensor.dtype.lanes} lanes"
        raise _dtype_rule(name, dtypes, f"{code}{given[1]}{lanes}")
    if device == "cpu" != _DEVICES.get(tensor.device.type):
        raise TypeError(
            f"{name}: __dlpack__ must give a tensor on the device that"
            f" __dlpack_device__ says (cpu), got DLPack device {tensor.device.type}"
        )
    shape, strides = _extents(tensor, name)
    if tensor.byte_offset >= _MAX_OFFSET:
        raise ValueError(
            f"{name}: DLPack byte_offset must be less than 2^62,"
            f" got {tensor.byte_offset}"
        )
    address = (tensor.data or 0) + tensor.byte_offset
    if address % ITEMSIZE[short] and 0 not in shape:
        raise TypeError(
            f"{name}: data must be aligned to {ITEMSIZE[short]} bytes,"
            f" got address {address:#x}"
        )
    if device == "cpu":
        where = "cpu"
    else:
        where = f"{device}:{index}"
    return Tensor(obj, address, short, shape, strides, library, where, (obj, capsule))
