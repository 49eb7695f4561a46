"""One call of a compiled variant: its results, its tiles, its launch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _checks, _compiler, _cuda, _outputs, _tensors
from ._block_mask import BlockMask
from ._compiler import Compiled
from ._inputs import Inputs, capture_error
from ._tensors import SCORE, TensorTuple

__all__ = ["expect_lse", "launch", "schedule_for"]

_plain_order = (0, 1, 2)


def _allocate(inputs: Inputs, return_lse: bool) -> tuple:
    """The results and how the library sees them; lse and its tuple may be None."""
    g = inputs.geometry
    like = inputs.like
    if like is None:
        q = inputs.keep[0]
        if g.out_plain:
            out = np.empty(g.out_shape, q.dtype)
        else:
            out = _outputs.numpy_empty(g.out_shape, g.out_order, q.dtype)
        out_strides = g.out_strides
        address = _tensors.address(out)
    else:
        address, out_strides, out, _ = _outputs.allocate(
            like, g.out_shape, g.out_order, g.dtype
        )
    lse = lse_tuple = None
    if return_lse:
        score = SCORE[g.dtype]
        if like is None:
            lse = np.empty(g.lse_shape, np.float64 if score == "f64" else np.float32)
            at = _tensors.address(lse)
            strides = g.lse_strides
        else:
            at, strides, lse, _ = _outputs.allocate(
                like, g.lse_shape, _plain_order, score
            )
        lse_tuple = (at, score, g.lse_shape, strides)
    return out, lse, (address, g.dtype, g.out_shape, out_strides), lse_tuple


def launch(
    compiled: Compiled,
    inputs: Inputs,
    traced: Any,
    captures: list[TensorTuple],
    scale: float | None,
    block_mask: BlockMask | None,
    positions: tuple,
    return_lse: bool,
) -> Any:
    """Allocate the results and run."""
    g = inputs.geometry
    tiles = size = None
    if block_mask is not None:
        size = block_mask.BLOCK_SIZE
        if g.device == "cpu":
            tiles = block_mask.for_launch()
        else:
            tiles = _cuda.block_classes(block_mask, g.device, inputs.like.library)
    try:
        out, lse, out_tuple, lse_tuple = _allocate(inputs, return_lse)
    except MemoryError:
        needed = math.prod(g.out_shape) * (g.misaligned + 1)
        raise MemoryError(f"out: must fit in memory, got {needed:,} bytes") from None
    like = inputs.like
    if inputs.table is not None:
        _compiler.warn_of_copied_pages(compiled, g.M * (g.Hq // g.Hk))
    if not g.empty and (g.E or return_lse):
        try:
            compiled.native.launch(
                [inputs.q],
                [inputs.k],
                inputs.v,
                out_tuple,
                lse_tuple,
                captures,
                [compiled.default_scale(g) if scale is None else scale],
                *positions,
                tiles,
                size,
                *(() if g.device == "cpu" else _cuda.place(g.device, like.library)),
                **({} if inputs.table is None else {"page_table": inputs.table}),
            )
        except (IndexError, MemoryError, ValueError) as error:
            raise capture_error(error, traced) from None
    if like is not None:
        out = _outputs.deliver(out, like, g.dtype)
        if return_lse:
            lse = _outputs.deliver(lse, like, SCORE[g.dtype])
    return (out, lse) if return_lse else out


def schedule_for(
    schedule: str | None, block_mask: BlockMask, g: _checks.Geometry
) -> str | None:
    """The caller's schedule, or on a GPU one whose tiles divide the mask's."""
    if schedule is not None or g.device == "cpu":
        return schedule
    return _cuda.block_schedule(block_mask.BLOCK_SIZE, (g.M, g.N), g.D)


def expect_lse(traced: Any, return_lse: bool) -> None:
    if return_lse and not traced.has_denom:
        raise ValueError(
            "normalizer: must have a denom where return_lse=True,"
            f" got {_compiler.normalizer_name(traced)}"
        )
