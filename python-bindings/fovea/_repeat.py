"""Calls like earlier ones, on NumPy's arrays and torch's tensors.

A call that went well is remembered by the compiled module: dtypes, shapes, strides
and devices of q, k, v and the captures, beside the plan by which its mods are
compared. The next one like it is compared, read, given its result and launched
without Python's help. torch's tensors need DLPack's C exchange API, which torch
publishes from 2.10 on.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _outputs, _torch
from ._compiler import Compiled
from ._inputs import Inputs, read_positions
from ._lib import native
from ._tensors import SCORE
from .dsl.diagnose import running_mods

__all__ = ["clear", "follower", "followers", "remember", "repeat", "share"]


def _nothing_known(*arguments: Any) -> None:
    return None


#: The result of a call of `fovea.attention`, None where it is a new one: by q, k, v,
#: score_mod, mask_mod, scale, normalizer, return_lse, captures, offsets, lengths.
repeat: Callable[..., Any] = _nothing_known
_variants: Any = None
_is_torch_usable: bool | None = None


def follower() -> Any:
    """What repeats the calls of one `fovea.Kernel`."""
    return native().Follower(running_mods)


#: Of variants from files, what repeats their calls without and with lse.
_of_variants: weakref.WeakKeyDictionary[Any, tuple] = weakref.WeakKeyDictionary()


def followers(variant: Any) -> tuple:
    """What repeats the calls of one `fovea.Variant` without and with lse."""
    found = _of_variants.get(variant)
    if found is None:
        found = _of_variants.setdefault(variant, (follower(), follower()))
    return found


def _can_use(torch: Any) -> bool:
    global _is_torch_usable
    if _is_torch_usable is None:
        _is_torch_usable = native().set_tensor_type(
            torch.Tensor, torch.empty_like, _torch.observer(torch)
        )
    return _is_torch_usable


def _pair(make: Callable[[], Any], make_lse: Callable[[], Any]) -> tuple:
    return make(), make_lse()


def _numpy_maker(inputs: Inputs, return_lse: bool) -> Callable[[], Any]:
    """What allocates the results of such a call."""
    g, dtype = inputs.geometry, inputs.arrays[0].dtype
    if g.out_plain:
        make = functools.partial(np.empty, g.out_shape, dtype)
    else:
        make = functools.partial(_outputs.numpy_empty, g.out_shape, g.out_order, dtype)
    if not return_lse:
        return make
    score = np.float64 if SCORE[g.dtype] == "f64" else np.float32
    return functools.partial(
        _pair, make, functools.partial(np.empty, g.lse_shape, score)
    )


def _torch_maker(torch: Any, q: Any, results: Any) -> Callable[[], Any] | None:
    """The same; None where the result is as q is."""

    def like(result: Any) -> Callable[[], Any]:
        return functools.partial(
            torch.empty_strided,
            tuple(result.shape),
            result.stride(),
            dtype=result.dtype,
            device=result.device,
        )

    if type(results) is tuple:
        out, lse = results
        return functools.partial(_pair, like(out), like(lse))
    if results.shape == q.shape and results.stride() == q.stride():
        return None
    return like(results)


def remember(
    compiled: Compiled, traced: Any, inputs: Inputs, results: Any, return_lse: bool
) -> bool:
    """Remember a call without a block mask.

    Returns
    -------
    bool
        Whether it could be: arrays or tensors that the compiled module reads, and
        something to compute.
    """
    g = inputs.geometry
    if inputs.table is not None or g.empty or not g.E:
        return False
    arrays = inputs.arrays
    make: Callable[[], Any] | None
    if g.library == "numpy":
        make = _numpy_maker(inputs, return_lse)
    elif g.library == "torch" and _can_use(sys.modules["torch"]):
        make = _torch_maker(sys.modules["torch"], arrays[0], results)
    else:
        return False
    compiled.native.remember(
        arrays,
        traced.arrays,
        compiled.default_scale(g),
        make,
        g,
        functools.partial(read_positions, g),
    )
    return True


def share(
    compiled: Compiled,
    traced: Any,
    inputs: Inputs,
    mods: tuple[Any, Any, Any],
    captures: Mapping | None,
    return_lse: bool,
) -> None:
    """Let calls of `fovea.attention` use a kernel of the default target and schedule.

    Parameters
    ----------
    mods : tuple
        score_mod, mask_mod and the normaliser.
    """
    global _variants, repeat
    if _variants is None:
        _variants = native().Variants(running_mods)
    _variants.add(
        *mods, captures, inputs.arrays[0], return_lse, compiled.native, traced.plan
    )
    repeat = _variants.repeat


def clear() -> None:
    """Forget which kernels there are."""
    global repeat
    repeat = _nothing_known
    _of_variants.clear()
    if _variants is not None:
        _variants.forget()
