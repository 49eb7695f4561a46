"""Score mods of the zoo.

Notation: s is ``scale * q . k``, q and kv are the global positions, h is the
query head, all from 0. Arrays that are handed in stay live: a change is seen by
the next call without a new compilation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops

__all__ = [
    "alibi",
    "bias",
    "distance_decay",
    "head_bias",
    "head_gate",
    "key_log_weight",
    "mla_rope",
    "relative_position",
    "relative_table",
    "sandwich",
    "softcap",
    "swin_bias",
    "t5_bias",
    "temperature",
]

ScoreMod = Callable[..., Any]


def relative_position(score: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    """Add the signed distance: ``s + (q - kv)``.

    The first example of the FlexAttention paper (Dong et al. 2024,
    arXiv:2412.05496). It is a score mod itself, not a factory.

    Parameters
    ----------
    score, b, h, q_idx, kv_idx
        As for every score mod.

    Returns
    -------
    number
        The modified score.
    """
    return score + (q_idx - kv_idx)


def alibi(H: int) -> ScoreMod:
    """Attention with linear biases: ``s + (kv - q) * 2**(-8 * (h + 1) / H)``.

    Press, Smith, Lewis 2022, "Train Short, Test Long", arXiv:2108.12409. Under a
    causal mask the bias penalises distance.

    Parameters
    ----------
    H : int
        Number of query heads.

    Returns
    -------
    score_mod
    """
    slope = 2.0 ** (-8.0 * np.arange(1, H + 1) / H)

    def alibi_mod(score, b, h, q_idx, kv_idx):
        return score + slope[h] * (kv_idx - q_idx)

    return alibi_mod


def softcap(soft_cap: float) -> ScoreMod:
    """Bound the scores smoothly: ``c * tanh(s / c)``.

    Gemma Team 2024, "Gemma 2", arXiv:2408.00118 (c = 50); Bello et al. 2016,
    arXiv:1611.09940, has the idea; c = 20 and 30 are common as well.

    Parameters
    ----------
    soft_cap : float
        The bound c.

    Returns
    -------
    score_mod
    """

    def softcap_mod(score, b, h, q_idx, kv_idx):
        return soft_cap * ops.tanh(score / soft_cap)

    return softcap_mod


def bias(table: Any) -> ScoreMod:
    """Add a dense bias: ``s + table[q, kv]`` or ``s + table[h, q, kv]``.

    Raffel et al. 2020, arXiv:1910.10683, among many; the general form.

    Parameters
    ----------
    table : array
        Shape [M, N] or [H, M, N].

    Returns
    -------
    score_mod
    """
    if len(table.shape) == 2:

        def bias_matrix(score, b, h, q_idx, kv_idx):
            return score + table[q_idx, kv_idx]

        return bias_matrix
    if len(table.shape) != 3:
        raise ValueError(f"table: must have 2 or 3 dimensions, got {len(table.shape)}")

    def bias_head_matrix(score, b, h, q_idx, kv_idx):
        return score + table[h, q_idx, kv_idx]

    return bias_head_matrix


def relative_table(table: Any, offset: int) -> ScoreMod:
    """Add a bias by head and distance: ``s + table[h, q - kv + offset]``.

    Shaw, Uszkoreit, Vaswani 2018, arXiv:1803.02155, as a scalar bias.

    Parameters
    ----------
    table : array
        Shape [H, R], R at least ``offset + M``.
    offset : int
        The position of distance 0, at least N - 1.

    Returns
    -------
    score_mod
    """

    def relative_table_mod(score, b, h, q_idx, kv_idx):
        return score + table[h, q_idx - kv_idx + offset]

    return relative_table_mod


def head_bias(value: Any) -> ScoreMod:
    """Add one number a head: ``s + value[h]``.

    Cancels in a softmax, not in sinks, sigmoid or ReLU attention.

    Parameters
    ----------
    value : array
        Shape [H].

    Returns
    -------
    score_mod
    """

    def head_bias_mod(score, b, h, q_idx, kv_idx):
        return score + value[h]

    return head_bias_mod


def head_gate(gate: Any) -> ScoreMod:
    """Scale the scores of each head: ``s * gate[h]``.

    Parameters
    ----------
    gate : array
        Shape [H].

    Returns
    -------
    score_mod
    """

    def head_gate_mod(score, b, h, q_idx, kv_idx):
        return score * gate[h]

    return head_gate_mod


def t5_bias(table: Any) -> ScoreMod:
    """T5's causal buckets: ``s + table[h, bucket(max(q - kv, 0))]``.

    ``bucket(d)`` is d below 16, else ``min(31, 16 + int(16 log(d/16) / log 8))``.
    Raffel et al. 2020, "Exploring the Limits of Transfer Learning",
    arXiv:1910.10683 (32 buckets, maximum distance 128, decoder side).

    Parameters
    ----------
    table : array
        Shape [H, 32].

    Returns
    -------
    score_mod
    """
    factor = 16.0 / math.log(8.0)

    def t5_bias_mod(score, b, h, q_idx, kv_idx):
        distance = ops.maximum(q_idx - kv_idx, 0)
        far = 16 + ops.to_int(ops.log(distance / 16) * factor)
        bucket = ops.where(distance < 16, distance, ops.minimum(far, 31))
        return score + table[h, bucket]

    return t5_bias_mod


def swin_bias(table: Any, window: int) -> ScoreMod:
    """Swin's relative bias inside a square window of side w.

    ``s + table[h, (yq - yk + w - 1) * (2w - 1) + (xq - xk + w - 1)]`` with
    ``y = i // w`` and ``x = i % w``. Liu et al. 2021, "Swin Transformer",
    arXiv:2103.14030.

    Parameters
    ----------
    table : array
        Shape [H, (2w - 1)**2].
    window : int
        The side w; sequences have w * w tokens.

    Returns
    -------
    score_mod
    """
    w = window

    def swin_bias_mod(score, b, h, q_idx, kv_idx):
        dy = q_idx // w - kv_idx // w + w - 1
        dx = q_idx % w - kv_idx % w + w - 1
        return score + table[h, dy * (2 * w - 1) + dx]

    return swin_bias_mod


def distance_decay(rate: float = 1e-4) -> ScoreMod:
    """Damp the scores of far keys: ``s / (1 + rate * (q - kv)**2)``.

    Parameters
    ----------
    rate : float
        The factor of the squared distance.

    Returns
    -------
    score_mod
    """

    def distance_decay_mod(score, b, h, q_idx, kv_idx):
        return score / (1 + rate * (q_idx - kv_idx) ** 2)

    return distance_decay_mod


def temperature(tau: Any) -> ScoreMod:
    """Entropy temperature: ``s * tau[h]`` or ``s * tau[h, q]``.

    Zhang et al. 2024, "Attention Entropy is a Key Factor", arXiv:2412.16545; Chiang
    and Cholak 2022, arXiv:2202.12172 (tau = log n).

    Parameters
    ----------
    tau : array
        Shape [H] or [H, M].

    Returns
    -------
    score_mod
    """
    if len(tau.shape) == 1:

        def head_temperature(score, b, h, q_idx, kv_idx):
            return score * tau[h]

        return head_temperature
    if len(tau.shape) != 2:
        raise ValueError(f"tau: must have 1 or 2 dimensions, got {len(tau.shape)}")

    def row_temperature(score, b, h, q_idx, kv_idx):
        return score * tau[h, q_idx]

    return row_temperature


def key_log_weight(gamma: Any, key: int = 0) -> ScoreMod:
    """Multiply the weight of one key: ``s + log(gamma[h]) * (kv == key)``.

    Han et al. 2025, "ZeroTuning", arXiv:2505.11739, which tunes the first token.

    Parameters
    ----------
    gamma : array
        Shape [H], positive.
    key : int
        Which key.

    Returns
    -------
    score_mod
    """

    def key_log_weight_mod(score, b, h, q_idx, kv_idx):
        return score + ops.where(kv_idx == key, ops.log(gamma[h]), 0.0)

    return key_log_weight_mod


def sandwich(H: int, max_seq_len: int, d_bar: int = 128) -> ScoreMod:
    """Sandwich bias: ``s + rel[q - kv + S - 1] * H / (8 * (h + 1))``.

    ``rel`` holds ``sum_i cos(d / 10000**(2i / d_bar))`` for the distances d from
    -(S - 1) to S - 1. Chi et al. 2023, "Dissecting Transformer Length Extrapolation
    via the Lens of Receptive Field Analysis", arXiv:2212.10356.

    Parameters
    ----------
    H : int
        Number of query heads.
    max_seq_len : int
        The longest sequence S.
    d_bar : int
        Number of sinusoidal dimensions.

    Returns
    -------
    score_mod
    """
    origin = max_seq_len - 1
    frequency = 10000.0 ** (-2.0 * np.arange(d_bar // 2) / d_bar)
    distance = np.abs(np.arange(2 * max_seq_len - 1) - origin)
    rel = np.cos(distance[:, None] * frequency).sum(axis=1)
    ratio = H / (8.0 * np.arange(1, H + 1))

    def sandwich_mod(score, b, h, q_idx, kv_idx):
        return score + rel[q_idx - kv_idx + origin] * ratio[h]

    return sandwich_mod


def mla_rope(
    query_rope: Any, key_rope: Any, num_heads: int, scale: float = 1.0
) -> ScoreMod:
    """Rotary part of multi-head latent attention.

    ``s + scale * sum_r qr[b, h, q, r] * kr[b, h // num_heads, kv, r]``. DeepSeek-AI
    2024, "DeepSeek-V2", arXiv:2405.04434. The sum is unrolled: for wide rotary
    parts the level-1 form with two (query, key) pairs, ``mla_rope.mlir`` of the
    zoo, is the fast one.

    Parameters
    ----------
    query_rope : array
        Shape [B, H, M, R].
    key_rope : array
        Shape [B, Hk, N, R].
    num_heads : int
        Query heads per key head of ``key_rope``.
    scale : float
        Factor of the sum.

    Returns
    -------
    score_mod
    """
    width = query_rope.shape[-1]

    def mla_rope_mod(score, b, h, q_idx, kv_idx):
        group = h // num_heads
        total = 0.0
        for r in range(width):
            total = total + query_rope[b, h, q_idx, r] * key_rope[b, group, kv_idx, r]
        return score + scale * total

    return mla_rope_mod
