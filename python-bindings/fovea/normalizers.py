"""Ready-made normalisers.

In the formulas s is the score after the score_mod, t the running maximum of
stat, c_q, σ and v_σ are captured arrays. An argument that is an array stays
live: its values are read at each call.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from . import ops
from .dsl.captures import array_rank, is_array
from .dsl.environment import Size
from .dsl.normalizer import Normalizer, check_array, named

__all__ = [
    "mean",
    "positional_product",
    "relu",
    "sigmoid",
    "signed",
    "sink",
    "softmax",
    "softmax_plus_one",
    "softplus",
]

#: Those that need no arguments and so go by name.
BY_NAME = (
    "mean",
    "relu",
    "sigmoid",
    "signed",
    "softmax",
    "softmax_plus_one",
    "softplus",
)


def _stat(s: Any) -> Any:
    return s


def _exponential(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    return ops.exp(s - t)


def _check(argument: str, value: Any, ranks: tuple[int, ...], shape: str) -> None:
    """Refuse what is neither an array of these ranks nor, with 0, a number."""
    number = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if 0 in ranks and number:
        return
    check_array(argument, value, ranks, shape)


def softmax() -> Normalizer:
    """w = d = exp(s - t), t = max s, o/l."""
    return named("softmax", {}, weight=_exponential, denom=_exponential, stat=_stat)


def sink(sink: Any, value: Any = None) -> Normalizer:
    """Softmax with one more key, of logit σ[h] and value v_σ[h].

    Parameters
    ----------
    sink : array [H]
        The logit of each query head's sink.
    value : array [H, E], optional
        Its value row; None is 0. Dead rows give it.

    Notes
    -----
    Xiao et al., "Efficient streaming language models with attention sinks",
    2023; the learned logit as in gpt-oss.
    """
    _check("sink", sink, (1,), "an array [H]")
    if value is not None:
        _check("value", value, (2,), "an array [H,E]")

    def seed(b: Any, h: Any, q_idx: Any) -> Any:
        return sink[h], 1.0

    return named(
        "sink",
        {"sink": sink, "value": value},
        weight=_exponential,
        denom=_exponential,
        stat=_stat,
        seed=seed,
        seed_value=value,
        dims={"sink": ("H",)},
    )


def _seed_one(b: Any, h: Any, q_idx: Any) -> Any:
    return 0.0, 1.0


def softmax_plus_one() -> Normalizer:
    """exp(s) / (1 + Σ exp(s)): softmax with a sink of logit 0 and value 0.

    Notes
    -----
    Miller, "Attention is off by one", 2023.
    """
    return named(
        "softmax_plus_one",
        {},
        weight=_exponential,
        denom=_exponential,
        stat=_stat,
        seed=_seed_one,
    )


def _magnitude(s: Any) -> Any:
    return ops.abs(s)


def _signed_weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    sign = ops.where(s > 0, 1.0, ops.where(s < 0, -1.0, 0.0))
    return sign * ops.exp(ops.abs(s) - t)


def _signed_denom(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    return ops.exp(ops.abs(s) - t)


def signed() -> Normalizer:
    """w = sign(s)·exp(|s| - t), d = exp(|s| - t), t = max |s|.

    A score of 0 has the weight 0 and counts in the denominator.

    Notes
    -----
    Lv et al., "More expressive attention with negative weights", 2024.
    """
    return named(
        "signed", {}, weight=_signed_weight, denom=_signed_denom, stat=_magnitude
    )


def sigmoid(bias: Any = 0.0) -> Normalizer:
    """w = 1 / (1 + exp(-(s + bias))), without a denominator.

    Parameters
    ----------
    bias : float or array [] or [H]

    Notes
    -----
    Ramapuram et al., "Theory, analysis, and best practices for sigmoid
    self-attention", 2024.
    """
    _check("bias", bias, (0, 1), "a number or an array [H]")
    if is_array(bias) and array_rank(bias) == 1:

        def weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
            return ops.sigmoid(s + bias[h])

    else:

        def weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
            return ops.sigmoid(s + bias)

    return named("sigmoid", {"bias": bias}, weight=weight, dims={"bias": ("H",)})


def _relu_weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    return ops.maximum(s, 0.0)


def relu() -> Normalizer:
    """w = max(s, 0), without a denominator.

    Notes
    -----
    Zhang et al., "Sparse attention with linear units", 2021; its RMS norm and
    gate come after the attention.
    """
    return named("relu", {}, weight=_relu_weight)


def _softplus_weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    return ops.softplus(s)


def softplus(coef: Any = None) -> Normalizer:
    """w = d = softplus(c_q·s), o/l.

    Parameters
    ----------
    coef : array [M], optional
        c_q of each query; None is 1.

    Notes
    -----
    Gao and Spratling, "Softplus attention with re-weighting boosts length
    extrapolation in large language models", 2025: c_q = ln D · ln n_q, for n_q
    the keys that row q sees.
    """
    if coef is None:
        return named("softplus", {}, weight=_softplus_weight, denom=_softplus_weight)
    _check("coef", coef, (1,), "an array [M]")

    def weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return ops.softplus(coef[q_idx] * s)

    return named("softplus", {"coef": coef}, weight=weight, denom=weight)


def positional_product(table: Any, offset: Any) -> Normalizer:
    """w = exp(s - t)·table[q - kv + offset], d = exp(s - t).

    Parameters
    ----------
    table : array [R]
    offset : int or array []
        Added to q - kv; N - 1 where the table starts at the most negative
        distance, that of the first query and the last key.

    Notes
    -----
    Luo et al., "Your transformer may not be as powerful as you expect", 2022
    (universal relative positional encoding).
    """
    _check("table", table, (1,), "an array [R]")
    _check("offset", offset, (0,), "an int")
    if not is_array(offset) and not isinstance(offset, numbers.Integral):
        raise TypeError(f"offset: must be an int, got {type(offset).__name__}")

    def weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return ops.exp(s - t) * table[q_idx - kv_idx + offset]

    return named(
        "positional_product",
        {"table": table, "offset": offset},
        weight=weight,
        denom=_exponential,
        stat=_stat,
    )


def mean(n: Any = None) -> Normalizer:
    """w = s/n, without a denominator.

    Parameters
    ----------
    n : float or array [], optional
        None is the number of keys, N.

    Notes
    -----
    Cao, "Choose a transformer: Fourier or Galerkin", 2021.
    """
    if n is None:
        count: Any = Size("N")
    else:
        _check("n", n, (0,), "a number")
        count = n

    def weight(s: Any, t: Any, b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        return s / count

    return named("mean", {"n": n}, weight=weight)
