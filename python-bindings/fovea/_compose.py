"""Mods made of mods.

Tracing follows what is written here into the mods that it calls, as it does
for a user's own functions (`fovea.dsl` lists this file).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from . import _checks, ops


def masked_score(score_mod: Callable | None, mask_mod: Callable) -> Callable:
    """A score_mod that also hides what `mask_mod` hides (rule S2).

    A modified score of -inf makes a key invisible. With a block mask the
    mask region belongs to the partial tiles alone, so that a second mask that
    must hold everywhere goes in here.
    """
    hidden = -math.inf

    if score_mod is None:

        def score(score, b, h, q_idx, kv_idx):
            return ops.where(mask_mod(b, h, q_idx, kv_idx), score, hidden)

    else:

        def score(score, b, h, q_idx, kv_idx):
            changed = score_mod(score, b, h, q_idx, kv_idx)
            return ops.where(mask_mod(b, h, q_idx, kv_idx), changed, hidden)

    return score


def count_of(chosen: Sequence[int]) -> int:
    """How many there are, also of a range that is too long for len()."""
    if not isinstance(chosen, range):
        return len(chosen)
    sign = 1 if chosen.step > 0 else -1
    return max(0, -((chosen.start - chosen.stop) * sign // abs(chosen.step)))


def run_of(chosen: Sequence[int]) -> tuple[int | None, int]:
    """(first, count) where `chosen` counts up by one, else (None, count)."""
    count = count_of(chosen)
    if not count:
        return 0, 0
    first = chosen[0]
    if isinstance(chosen, range):
        one = chosen.step == 1 or count == 1
        return (first if one else None), count
    if chosen == list(range(first, first + count)):
        return first, count
    return None, count


def _line_of(chosen: Sequence[int], extent: int) -> tuple[int, int] | None:
    """(first, step) where the i-th is first + i * step, else None."""
    first, count = run_of(chosen)
    # One entry left stands for every batch or head of a call.
    if count == 1 and extent != 1:
        return chosen[0], 0
    if first is not None:
        return first, 1
    return (chosen[0], chosen.step) if isinstance(chosen, range) else None


def _gathered(name: str, chosen: Sequence[int]) -> np.ndarray:
    with _checks.names_memory(f"BlockMask: {name} index", 8 * len(chosen)):
        return np.asarray(chosen, np.int64)


def shifted(
    mod: Callable, batches: Sequence[int], heads: Sequence[int], row: int,
    extents: tuple[int, int],
) -> Callable:  # fmt: skip
    """`mod` as seen after a cut: its indices are the ones before the cut."""
    b_whole = run_of(batches) == (0, extents[0])
    h_whole = run_of(heads) == (0, extents[1])
    if b_whole and h_whole and row == 0:
        return mod
    b_line, h_line = _line_of(batches, extents[0]), _line_of(heads, extents[1])
    b0, b_step = b_line or (0, 0)
    h0, h_step = h_line or (0, 0)
    batch_of = None if b_line else _gathered("B", batches)
    head_of = None if h_line else _gathered("H", heads)

    if b_line and h_line:

        def mask_mod(b, h, q_idx, kv_idx):
            return mod(b * b_step + b0, h * h_step + h0, q_idx + row, kv_idx)

    elif b_line:

        def mask_mod(b, h, q_idx, kv_idx):
            return mod(b * b_step + b0, head_of[h], q_idx + row, kv_idx)

    elif h_line:

        def mask_mod(b, h, q_idx, kv_idx):
            return mod(batch_of[b], h * h_step + h0, q_idx + row, kv_idx)

    else:

        def mask_mod(b, h, q_idx, kv_idx):
            return mod(batch_of[b], head_of[h], q_idx + row, kv_idx)

    return mask_mod
