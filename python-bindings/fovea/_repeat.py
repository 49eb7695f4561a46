"""Calls like earlier ones, on torch's tensors.

A call that went well is remembered by the compiled module: dtypes, shapes, strides
and devices of q, k, v and the captures. The next one like it is read, given its
result and launched without a look at anything but these and the mods. Needs
DLPack's C exchange API, which torch publishes from 2.10 on.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from . import _checks, _compiler, _tensors, _torch
from ._compiler import Compiled
from ._inputs import Inputs

__all__ = ["attempt", "clear", "is_observed", "remember", "share", "tensor_type"]

#: torch.Tensor once a call is remembered: others are not even looked up.
tensor_type: type | None = None
#: Whether torch traces or derives calls now, which those that repeat cannot bear.
is_observed: Callable[[], bool] = bool
_usable: bool | None = None
_kernels: dict[tuple[Any, str], tuple[Any, ...]] = {}
#: Of calls without mods, by the normaliser's name and torch's dtype.
_plain: dict[tuple[str, Any], tuple[Any, ...]] = {}
_LIMIT = 512
_PER_KEY = 4


def attempt(
    q: Any,
    k: Any,
    v: Any,
    score_mod: Any,
    mask_mod: Any,
    scale: Any,
    normalizer: Any,
    captures: Any,
) -> Any:
    """The result of a call of `fovea.attention`, None where it is a new one.

    The mods and their arrays are compared as at each call.
    """
    if scale is not None:
        scale = _checks.scale(scale, _tensors.torch_dtype(q.dtype) or "f32")
    arrays: Any = ()
    if (
        score_mod is None
        and mask_mod is None
        and captures is None
        and type(normalizer) is str
    ):
        natives = _plain.get((normalizer, q.dtype), ())
    else:
        short = _tensors.torch_dtype(q.dtype)
        if short is None:
            return None
        source = _compiler.ModSource(score_mod, mask_mod, normalizer, captures)
        traced = source.trace(short, None, None)
        natives = _kernels.get((traced.core, short), ())
        arrays = traced.arrays
    for native in natives:
        result = native.repeat((q, k, v), arrays, scale)
        if result is not None:
            return result
    return None


def _is_usable(torch: Any) -> bool:
    global is_observed, tensor_type, _usable
    if _usable is None:
        from ._lib import native

        _usable = native().set_tensor_type(torch.Tensor, torch.empty_like)
        is_observed = _torch.observer(torch)
        tensor_type = torch.Tensor if _usable else None
    return _usable


def _add(known: dict, key: tuple, native: Any) -> None:
    others = known.get(key, ())
    if native not in others:
        if len(known) >= _LIMIT:
            known.clear()
        known[key] = (native, *others[: _PER_KEY - 1])


def remember(compiled: Compiled, traced: Any, inputs: Inputs, out: Any) -> bool:
    """Remember a call without offsets, lengths, block mask and lse.

    Returns
    -------
    bool
        Whether it could be: torch's tensors, and something to compute.
    """
    g = inputs.geometry
    like = inputs.like
    if like is None or like.library != "torch" or g.empty or not g.E:
        return False
    torch = sys.modules["torch"]
    if not _is_usable(torch):
        return False
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
    scale = compiled.default_scale(g)
    compiled.native.remember(objects, traced.arrays, scale, make)
    return True


def share(compiled: Compiled, traced: Any, inputs: Inputs, plain: str | None) -> None:
    """Let calls of `fovea.attention` use a kernel of the default target and schedule.

    Parameters
    ----------
    plain : str, optional
        The normaliser's name, where the call had no mods.
    """
    native = compiled.native
    _add(_kernels, (traced.core, inputs.geometry.dtype), native)
    if plain is not None:
        _add(_plain, (plain, inputs.like.obj.dtype), native)


def clear() -> None:
    """Forget which kernels there are."""
    _kernels.clear()
    _plain.clear()
