"""Mods made of mods.

Tracing follows what is written here into the mods that it calls, as it does
for a user's own functions (`fovea.dsl` lists this file).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from . import ops


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


def run_of(chosen: Sequence[int]) -> tuple[int | None, int]:
    """(first, count) where `chosen` counts up by one, else (None, count)."""
    if not chosen:
        return 0, 0
    first = chosen[0]
    if isinstance(chosen, range):
        one = chosen.step == 1 or len(chosen) == 1
        return (first if one else None), len(chosen)
    if chosen == list(range(first, first + len(chosen))):
        return first, len(chosen)
    return None, len(chosen)


def shifted(
    mod: Callable, batches: Sequence[int], heads: Sequence[int], row: int,
    extents: tuple[int, int],
) -> Callable:  # fmt: skip
    """`mod` as seen after a cut: its indices are the ones before the cut."""
    b_whole = run_of(batches) == (0, extents[0])
    h_whole = run_of(heads) == (0, extents[1])
    if b_whole and h_whole and row == 0:
        return mod
    b0, b_count = run_of(batches)
    h0, h_count = run_of(heads)
    # One entry left stands for every batch or head of a call.
    b_step = 0 if b_count == 1 and not b_whole else 1
    h_step = 0 if h_count == 1 and not h_whole else 1
    if b0 is not None and h0 is not None:

        def mask_mod(b, h, q_idx, kv_idx):
            return mod(b * b_step + b0, h * h_step + h0, q_idx + row, kv_idx)

        return mask_mod
    batch_of = np.asarray(batches, np.int64)
    head_of = np.asarray(heads, np.int64)

    def gathered_mask_mod(b, h, q_idx, kv_idx):
        return mod(batch_of[b], head_of[h], q_idx + row, kv_idx)

    return gathered_mask_mod
