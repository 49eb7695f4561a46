"""Results in q's library, dtype, device and memory order."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import _tensors
from ._tensors import NAMES, Tensor, strides_for, type_name

Allocation = tuple[int, tuple[int, ...], Any, Any]
"""Address, element strides, the array, and what keeps its memory alive."""


def _numpy_dtype(short: str) -> np.dtype:
    """NumPy's dtype, ml_dtypes' where it is loaded, else bits as uint16."""
    if short != "bf16":
        return np.dtype(NAMES[short])
    extra = sys.modules.get("ml_dtypes")
    return np.dtype(extra.bfloat16 if extra is not None else np.uint16)


def numpy_empty(
    shape: tuple[int, ...], order: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """An uninitialised array whose dimensions lie in memory as `order` says."""
    array = np.empty([shape[dim] for dim in order], dtype)
    if order == tuple(range(len(shape))):
        return array
    inverse = [0] * len(order)
    for place, dim in enumerate(order):
        inverse[dim] = place
    return array.transpose(inverse)


def allocate(
    like: Tensor, shape: tuple[int, ...], order: tuple[int, ...], short: str
) -> Allocation:
    """Allocate a result beside `like`.

    Parameters
    ----------
    like : Tensor
        Gives library and device.
    shape, order : tuple of int
        Extents, and the dimensions from the slowest to the fastest.
    short : str
        The Program's name of the dtype.
    """
    if like.library == "torch":
        torch = sys.modules["torch"]
        result = torch.empty_strided(
            shape,
            strides_for(shape, order),
            dtype=getattr(torch, NAMES[short]),
            device=like.obj.device,
        )
        return result.data_ptr(), tuple(result.stride()), result, result
    if like.library == "cupy":
        return _allocate_cupy(like, shape, order, short)
    if like.device != "cpu":
        raise ValueError(
            f"q: results on {like.device} need a library that allocates there,"
            f" got {like.library}"
        )
    if like.library == "numpy" and short == like.dtype:
        dtype = like.obj.dtype
    else:
        dtype = _numpy_dtype(short)
    array = numpy_empty(shape, order, dtype)
    size = dtype.itemsize
    strides = tuple(s // size for s in array.strides)
    return _tensors.address(array), strides, array, array


def _allocate_cupy(
    like: Tensor, shape: tuple[int, ...], order: tuple[int, ...], short: str
) -> Allocation:
    cupy = sys.modules["cupy"]
    dtype = like.obj.dtype if short == like.dtype else _numpy_dtype(short)
    with like.obj.device:
        array = cupy.empty([shape[dim] for dim in order], dtype)
    array = array.transpose([order.index(dim) for dim in range(len(order))])
    strides = tuple(s // array.dtype.itemsize for s in array.strides)
    return array.data.ptr, strides, array, array


def deliver(result: np.ndarray, like: Tensor, short: str) -> Any:
    """Give a filled NumPy result to the library of `like`.

    NumPy and torch results were allocated in place. Other libraries take the
    memory over by DLPack; one that has no ``from_dlpack`` gets the NumPy array.
    """
    library = like.library
    if library in ("numpy", "torch", "cupy"):
        return result
    if library == "jax":
        return sys.modules["jax"].numpy.asarray(result)
    namespace = None
    if hasattr(like.obj, "__array_namespace__"):
        namespace = like.obj.__array_namespace__()
    importer = getattr(namespace or sys.modules.get(library), "from_dlpack", None)
    if short == "bf16" and result.dtype == np.uint16:
        raise TypeError(
            "q: bfloat16 results need the package ml_dtypes (fovea[bf16]),"
            f" got {type_name(like.obj)} without it"
        )
    if importer is None or short == "bf16":
        return result
    return importer(result)
