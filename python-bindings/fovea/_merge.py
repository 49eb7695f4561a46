"""Merging attention over parts of the keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _outputs, _tensors
from ._lib import native
from ._tensors import NAMES, SCORE, Tensor, type_name
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["merge"]


def _values(tensor: Tensor) -> np.ndarray:
    """The values in the score type."""
    array = tensor.numpy()
    if tensor.dtype == "bf16":
        return _tensors.bf16_to_f32(array)
    return array.astype(NAMES[SCORE[tensor.dtype]], copy=False)


def _read_all(values: Any, name: str) -> list[Tensor]:
    if _tensors.is_tensor(values) or not isinstance(values, Sequence):
        raise TypeError(
            f"{name}: must be a sequence of arrays, got {type_name(values)}"
        )
    return [_tensors.read(x, f"{name}[{i}]") for i, x in enumerate(values)]


@contextlib.contextmanager
def _default_floats() -> Iterator[None]:
    """What the caller set, flush to zero say, does not change results."""
    before = native().enter_default_floats()
    try:
        yield
    finally:
        native().leave_default_floats(before)


@runs_as_it_is
def merge(outs: Sequence[Any], lses: Sequence[Any]) -> tuple[Any, Any]:
    """Merge partial results over disjoint sets of keys into the whole one.

    With lse = log sum_i exp(lse_i), out = sum_i exp(lse_i - lse) out_i. Parts are
    added in the order given. At most one of them may have been seeded (a sink).

    Parameters
    ----------
    outs : sequence of arrays, shape [B, H, M, E]
        Partial outputs.
    lses : sequence of arrays, shape [B, H, M]
        Their log-sum-exps, in the score type.

    Returns
    -------
    out : array, shape [B, H, M, E]
        In the library, dtype and memory order of ``outs[0]``.
    lse : array, shape [B, H, M]
        -inf, with an out of 0, where every part is dead.

    Raises
    ------
    TypeError
        For arrays of different libraries, or no sequences of arrays.
    ValueError
        For no parts, other numbers of outs and lses, shapes or dtypes that
        differ, or arrays on a device.
    """
    if running_mods:
        refuse_in_mod("fovea.merge")
    parts = _read_all(outs, "outs")
    sums = _read_all(lses, "lses")
    if not parts:
        raise ValueError("outs: must have at least one entry, got 0")
    if len(sums) != len(parts):
        raise ValueError(
            f"lses: must have as many entries as outs ({len(parts)}), got {len(sums)}"
        )
    first = parts[0]
    if first.device != "cpu":
        raise ValueError(f"outs[0]: must be on cpu, got {first.device}")
    score = SCORE[first.dtype]
    for name, tensors, dtype, shape in (
        ("outs", parts, first.dtype, first.shape),
        ("lses", sums, score, first.shape[:3]),
    ):
        for i, tensor in enumerate(tensors):
            if tensor.library != first.library:
                raise TypeError(
                    f"{name}[{i}]: library must be that of outs[0] ({first.library}),"
                    f" got {tensor.library}"
                )
            if tensor.device != first.device:
                raise ValueError(
                    f"{name}[{i}]: device must be that of outs[0] ({first.device}),"
                    f" got {tensor.device}"
                )
            if tensor.dtype != dtype:
                raise ValueError(
                    f"{name}[{i}]: dtype must be {NAMES[dtype]},"
                    f" got {NAMES[tensor.dtype]}"
                )
            if tensor.shape != shape:
                raise ValueError(
                    f"{name}[{i}]: shape must be {shape}, got {tensor.shape}"
                )
    if len(first.shape) != 4:
        raise ValueError(
            f"outs[0]: rank must be 4 (B, H, M, E), got {len(first.shape)}"
        )
    with _default_floats():
        out_values, lse_values = _merge(
            [_values(t) for t in parts], [_values(t) for t in sums]
        )
    order = _tensors.memory_order(first.shape, first.strides)
    out = _store(first, out_values, order, first.dtype)
    lse = _store(first, lse_values, (0, 1, 2), score)
    return out, lse


def _merge(outs: list, lses: list) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        top = lses[0]
        for lse in lses[1:]:
            top = np.maximum(top, lse)
        anchor = np.where(np.isneginf(top), top.dtype.type(0), top)
        total = np.zeros_like(top)
        result = np.zeros_like(outs[0])
        for out, lse in zip(outs, lses, strict=True):
            weight = np.exp(lse - anchor)
            total += weight
            # A dead part takes no part, whatever it holds.
            result += np.where(np.isneginf(lse)[..., None], 0, weight[..., None] * out)
        lse = anchor + np.log(total)
        alive = (total != 0)[..., None]
        safe = np.where(total == 0, total.dtype.type(1), total)[..., None]
        result = np.where(alive, result / safe, result.dtype.type(0))
        if not np.isfinite(result).all():
            result = _merge_again(outs, lses, lse, result)
        return result, lse


def _merge_again(
    outs: list, lses: list, lse: np.ndarray, result: np.ndarray
) -> np.ndarray:
    """Sums that overflowed, with shares that add up to a half."""
    half = np.zeros_like(result)
    for out, part in zip(outs, lses, strict=True):
        share = np.exp(part - lse)[..., None] * result.dtype.type(0.5)
        half += np.where(np.isneginf(part)[..., None], 0, share * out)
    # Rounding may take a sum a little beyond the largest number.
    kind = np.finfo(result.dtype)
    limit = kind.max / 2
    near = np.abs(half) <= limit * (1 + (len(outs) + 4) * kind.eps)
    half = np.where(near, np.clip(half, -limit, limit), half) * 2
    return np.where(np.isfinite(result) | np.isnan(half), result, half)


def _store(like: Tensor, values: np.ndarray, order: tuple[int, ...], short: str) -> Any:
    address, strides, result, keep = _outputs.allocate(like, values.shape, order, short)
    target = _tensors.view((address, short, values.shape, strides), keep, writable=True)
    target[...] = _tensors.f32_to_bf16(values) if short == "bf16" else values
    return _outputs.deliver(result, like, short)
