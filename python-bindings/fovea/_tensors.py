"""Tensors of any library, read without a copy.

What crosses into the compiled module is ``(address, dtype, shape, strides)``
with strides in elements. NumPy arrays are read by their array interface (bfloat16
of ml_dtypes and read-only arrays export no DLPack), torch tensors by their own
accessors, everything else through DLPack. No array library but NumPy is ever
imported: one that has made a tensor is already in ``sys.modules``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _torch

TensorTuple = tuple[int, str, tuple[int, ...], tuple[int, ...]]

#: Names of Program dtypes and what users call them.
NAMES = {
    "i1": "bool",
    "i8": "int8",
    "ui8": "uint8",
    "i16": "int16",
    "ui16": "uint16",
    "i32": "int32",
    "ui32": "uint32",
    "i64": "int64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
}
SHORT = {long: short for short, long in NAMES.items()} | {"uint64": "ui64"}
ITEMSIZE = {
    "i1": 1,
    "i8": 1,
    "ui8": 1,
    "i16": 2,
    "ui16": 2,
    "i32": 4,
    "ui32": 4,
    "i64": 8,
    "ui64": 8,
    "f16": 2,
    "bf16": 2,
    "f32": 4,
    "f64": 8,
}
FLOATS = ("f16", "bf16", "f32", "f64")
#: Of offsets and lengths, which are read at once: kernels know no uint64.
INTEGERS = ("i8", "ui8", "i16", "ui16", "i32", "ui32", "i64", "ui64")
#: Of lists of tiles and tables of pages.
TILES = ("i32", "i64")
ANY = tuple(NAMES)
SCORE = {"f16": "f32", "bf16": "f32", "f32": "f32", "f64": "f64"}

_NUMPY = {np.dtype(long): short for long, short in SHORT.items() if long != "bfloat16"}
_TORCH: dict[Any, str | None] = {}
_FLOAT_TEXT = "float16, bfloat16, float32 or float64"
_ANY_TEXT = "bool, (u)int8-32, int64, float16, bfloat16, float32 or float64"
_INT_TEXT = "an integer type"


class Tensor:
    """One argument as the library sees it; keeps its memory alive."""

    __slots__ = (
        "address",
        "device",
        "dtype",
        "keep",
        "library",
        "obj",
        "shape",
        "strides",
    )

    def __init__(self, obj, address, dtype, shape, strides, library, device, keep):
        self.obj = obj
        self.address: int = address
        self.dtype: str = dtype
        self.shape: tuple[int, ...] = shape
        self.strides: tuple[int, ...] = strides
        self.library: str = library
        self.device: str = device
        self.keep = keep

    @property
    def tuple(self) -> TensorTuple:
        return (self.address, self.dtype, self.shape, self.strides)

    def numpy(self) -> np.ndarray:
        """A read-only NumPy view; bfloat16 appears as uint16."""
        if self.device != "cpu":
            raise ValueError(f"a tensor on {self.device} has no NumPy view")
        return view(self.tuple, self)


def _first_address(array: np.ndarray) -> int:
    from ._lib import native

    global address
    address = native().address
    return address(array)


#: Where the data of a NumPy array begin: its array interface says it too, but that
#: takes most of a microsecond.
address: Callable[[np.ndarray], int] = _first_address


def type_name(obj: object) -> str:
    """``numpy.ndarray``, ``torch.Tensor``, ``list``: how messages name a type."""
    if obj is None:
        return "None"
    cls = type(obj)
    module = cls.__module__
    if module in ("builtins", "__main__"):
        return cls.__qualname__
    return f"{module.partition('.')[0]}.{cls.__qualname__}"


def _dtype_rule(name: str, dtypes: tuple[str, ...], got: object) -> TypeError:
    if dtypes == FLOATS:
        text = _FLOAT_TEXT
    elif dtypes == INTEGERS:
        text = _INT_TEXT
    elif dtypes == TILES:
        text = "int32 or int64"
    else:
        text = _ANY_TEXT
    return TypeError(f"{name}: dtype must be {text}, got {got}")


def numpy_dtype(dtype: np.dtype) -> str | None:
    """The Program's name of a NumPy dtype, or None."""
    found = _NUMPY.get(dtype)
    if (
        found is None
        and dtype.name == "bfloat16"
        and dtype.itemsize == 2
        and dtype.isnative
        and dtype.type.__module__.partition(".")[0] == "ml_dtypes"
    ):
        found = _NUMPY[dtype] = "bf16"
    return found


def is_masked(obj: object) -> bool:
    """Whether `obj` is a masked array; whoever made it has imported numpy.ma."""
    module = sys.modules.get("numpy.ma")
    return module is not None and isinstance(obj, getattr(module, "MaskedArray", ()))


def _read_numpy(obj: np.ndarray, name: str, dtypes: tuple[str, ...]) -> Tensor:
    if is_masked(obj):
        raise TypeError(
            f"{name}: must be a plain array, got a masked array (fill it first)"
        )
    dtype = obj.dtype
    short = numpy_dtype(dtype)
    if short is None or short not in dtypes:
        if dtype.names is not None:
            raise _dtype_rule(name, dtypes, "a structured array")
        if not dtype.isnative:
            raise TypeError(
                f"{name}: byte order must be that of the machine, got {dtype.str}"
                f" (use .astype({name}.dtype.newbyteorder('=')))"
            )
        raise _dtype_rule(name, dtypes, dtype)
    begin = address(obj)
    size = dtype.itemsize
    strides = []
    for extent, stride in zip(obj.shape, obj.strides, strict=True):
        steps, rest = divmod(stride, size)
        if rest and extent > 1 and obj.size:
            raise TypeError(
                f"{name}: data must be aligned (strides that are multiples of"
                f" {size} bytes), got stride {stride}"
            )
        strides.append(steps if not rest else 0)
    if begin % size and obj.size:
        raise TypeError(
            f"{name}: data must be aligned to {size} bytes, got address {begin:#x}"
        )
    return Tensor(obj, begin, short, obj.shape, tuple(strides), "numpy", "cpu", obj)


def torch_dtype(dtype: Any) -> str | None:
    """The Program's name of a dtype of torch, or None."""
    if dtype not in _TORCH:
        _TORCH[dtype] = SHORT.get(str(dtype).removeprefix("torch."))
    return _TORCH[dtype]


_TORCH_DEVICES: dict[Any, str] = {}


def _torch_device(device: Any) -> str:
    found = _TORCH_DEVICES.get(device)
    if found is None:
        found = _TORCH_DEVICES[device] = str(device)
    return found


def _read_torch(
    obj: Any, name: str, dtypes: tuple[str, ...], torch: Any, grad_matters: bool
) -> Tensor:
    _torch.refuse_observed(obj, name, torch, grad_matters)
    if obj.layout is not torch.strided:
        raise TypeError(
            f"{name}: must be a dense tensor, got layout {obj.layout} (use .to_dense())"
        )
    if getattr(obj, "is_nested", False):
        raise TypeError(f"{name}: must be a dense tensor, got a nested one (pad it)")
    device = _torch_device(obj.device)
    if device == "meta":
        raise TypeError(f"{name}: must have data, got a tensor on device meta")
    short = torch_dtype(obj.dtype)
    if short is None or short not in dtypes:
        raise _dtype_rule(name, dtypes, str(obj.dtype).removeprefix("torch."))
    if _torch.is_batched(obj, torch):
        raise TypeError(
            f"{name}: must have data, got a tensor inside torch.vmap (call fovea"
            " outside it, with the mapped dimension as B)"
        )
    keep = obj
    if obj.requires_grad:
        if grad_matters and torch.is_grad_enabled():
            raise TypeError(
                f"{name}: fovea is forward only, use detach() (or torch.no_grad()),"
                " got a tensor that requires grad"
            )
        keep = obj.detach()
    if keep.is_neg():
        keep = keep.resolve_neg()
    try:
        address = keep.data_ptr()
    except Exception as error:
        raise TypeError(
            f"{name}: must have data, got {type_name(obj)} without storage"
        ) from error
    shape = tuple(keep.shape)
    if not address and 0 not in shape:
        raise TypeError(f"{name}: must have data, got {type_name(obj)} without storage")
    if address % ITEMSIZE[short] and 0 not in shape:
        raise TypeError(
            f"{name}: data must be aligned to {ITEMSIZE[short]} bytes,"
            f" got address {address:#x}"
        )
    return Tensor(obj, address, short, shape, keep.stride(), "torch", device, keep)


def _is_jax_tracer(obj: object) -> bool:
    return any(
        base.__name__ == "Tracer" and base.__module__.partition(".")[0] == "jax"
        for base in type(obj).__mro__
    )


def library_of(obj: object) -> str:
    """The root module of a tensor's class: "numpy", "torch", "jax", ..."""
    if isinstance(obj, np.ndarray):
        return "numpy"
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, getattr(torch, "Tensor", ())):
        return "torch"
    root = type(obj).__module__.partition(".")[0]
    return "jax" if root == "jaxlib" else root


def is_tensor(obj: object) -> bool:
    """Whether `obj` is an array of some library (a class never is one)."""
    return not isinstance(obj, type) and (
        isinstance(obj, np.ndarray) or hasattr(obj, "__dlpack__")
    )


def read(
    obj: object,
    name: str,
    dtypes: tuple[str, ...] = FLOATS,
    *,
    grad_matters: bool = True,
) -> Tensor:
    """Read one tensor argument.

    Parameters
    ----------
    obj : object
        What the caller gave.
    name : str
        The argument's name, for messages.
    dtypes : tuple of str
        The Program dtypes that are allowed.
    grad_matters : bool
        Whether a torch tensor that requires grad is refused.

    Raises
    ------
    TypeError
        If `obj` is no tensor, or one that cannot be read.
    """
    if isinstance(obj, np.ndarray):
        return _read_numpy(obj, name, dtypes)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(obj, getattr(torch, "Tensor", ())):
        return _read_torch(obj, name, dtypes, torch, grad_matters)
    _torch.refuse_proxy(obj, name)
    if _is_jax_tracer(obj):
        raise TypeError(
            f"{name}: a traced jax array has no data, call fovea outside jax.jit"
            f" and jax.grad, got {type_name(obj)}"
        )
    if isinstance(obj, (type, np.generic)) or not hasattr(obj, "__dlpack__"):
        raise TypeError(
            f"{name}: must be a numpy.ndarray or have __dlpack__, got {type_name(obj)}"
        )
    from . import _dlpack

    return _dlpack.read(obj, name, dtypes, library_of(obj))


class _Holder:
    """Lends memory to NumPy through the array interface."""

    def __init__(self, interface: dict, keep: object):
        self.__array_interface__ = interface
        self.keep = keep


_VIEW = {
    **{short: np.dtype(long).str for long, short in SHORT.items() if short != "bf16"},
    "bf16": np.dtype("uint16").str,
}


def view(tensor: TensorTuple, keep: object, *, writable: bool = False) -> np.ndarray:
    """A NumPy view of a tuple's memory; bfloat16 appears as uint16."""
    address, dtype, shape, strides = tensor
    if 0 in shape:
        return np.empty(shape, _VIEW[dtype])
    size = ITEMSIZE[dtype]
    return np.asarray(
        _Holder(
            {
                "data": (address, not writable),
                "typestr": _VIEW[dtype],
                "shape": shape,
                "strides": tuple(s * size for s in strides),
                "version": 3,
            },
            keep,
        )
    )


def bf16_to_f32(bits: np.ndarray) -> np.ndarray:
    """Widen bfloat16 bits (uint16) to float32, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def f32_to_bf16(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16 bits (uint16), to nearest even; NaN stays NaN."""
    values = np.ascontiguousarray(values, np.float32)
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16
    quiet = (bits >> 16) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def memory_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Dimensions from the slowest to the fastest in memory.

    Dimensions of extent 1 or stride 0 say nothing and stay where they are
    in the plain order, as in NumPy's order "K".
    """
    order: list[int] = []
    for dim, (extent, stride) in enumerate(zip(shape, strides, strict=True)):
        place = len(order)
        if extent > 1 and stride:
            for at in range(len(order) - 1, -1, -1):
                other = order[at]
                if shape[other] <= 1 or not strides[other]:
                    continue
                if abs(strides[other]) >= abs(stride):
                    break
                place = at
        order.insert(place, dim)
    return tuple(order)


def strides_for(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Dense element strides of `shape` laid out in `order`."""
    strides = [0] * len(shape)
    step = 1
    for dim in reversed(order):
        strides[dim] = step
        step *= max(shape[dim], 1)
    return tuple(strides)
