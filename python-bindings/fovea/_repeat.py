"""Calls like earlier ones, on torch's tensors.

A call that went well is remembered by the compiled module: dtypes, shapes, strides
and devices of q, k, v and the captures. The next one like it is read, given its
result and launched without a look at anything but these and the mods. Needs
DLPack's C exchange API, which torch publishes from 2.10 on.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from . import _checks, _tensors
from ._compiler import Compiled
from ._inputs import Inputs

__all__ = ["attempt", "remember", "tensor_type"]

#: torch.Tensor once a call is remembered: others are not even looked up.
tensor_type: type | None = None
_usable: bool | None = None
_kernels: dict[tuple[Any, str], tuple[Any, ...]] = {}
_LIMIT = 512
_PER_KEY = 4


def attempt(q: Any, k: Any, v: Any, source: Any, scale: Any) -> Any:
    """The result of `fovea.attention`, None where the call is a new one.

    Parameters
    ----------
    source : ModSource
        The variant; its mods and arrays are compared at each call.
    """
    short = _tensors.torch_dtype(q.dtype)
    if short is None:
        return None
    if scale is not None:
        scale = _checks.scale(scale, short)
    traced = source.trace(short, None, None)
    for native in _kernels.get((traced.core, short), ()):
        result = native.repeat((q, k, v), traced.arrays, scale)
        if result is not None:
            return result
    return None


def _is_usable(torch: Any) -> bool:
    global tensor_type, _usable
    if _usable is None:
        from ._lib import native

        _usable = native().set_tensor_type(torch.Tensor, torch.empty_like)
        tensor_type = torch.Tensor if _usable else None
    return _usable


def remember(
    compiled: Compiled, traced: Any, inputs: Inputs, out: Any, shared: bool
) -> None:
    """Remember a call without offsets, lengths, block mask and lse.

    Parameters
    ----------
    shared : bool
        Whether calls of `fovea.attention` may use the kernel: one with the
        default target and schedule.
    """
    g = inputs.geometry
    like = inputs.like
    if like is None or like.library != "torch" or g.empty or not g.E:
        return
    torch = sys.modules["torch"]
    if not _is_usable(torch):
        return
    native = compiled.native
    make = None
    if out.shape != like.obj.shape or out.stride() != like.obj.stride():
        make = functools.partial(
            torch.empty_strided,
            tuple(out.shape),
            out.stride(),
            dtype=out.dtype,
            device=out.device,
        )
    objects = tuple(tensor.obj for tensor in inputs.keep)
    native.remember(objects, traced.arrays, compiled.default_scale(g), make)
    if not shared:
        return
    key = (traced.core, g.dtype)
    known = _kernels.get(key, ())
    if native not in known:
        if len(_kernels) >= _LIMIT:
            _kernels.clear()
        _kernels[key] = (native, *known[: _PER_KEY - 1])


def clear() -> None:
    """Forget which kernels there are."""
    _kernels.clear()
