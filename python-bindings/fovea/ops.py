"""Functions for mods: traced values give kernels, numbers give NumPy results.

Every function takes traced values, Python numbers, NumPy scalars and arrays,
so that a mod can be called by hand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .dsl.values import ArrayLike, Traced, apply
from .dsl.values import clamp as _clamp
from .dsl.values import where as _where

__all__ = [
    "abs",
    "clamp",
    "cos",
    "erf",
    "exp",
    "exp2",
    "floor",
    "gelu",
    "log",
    "log1p",
    "log2",
    "maximum",
    "minimum",
    "pow",
    "rsqrt",
    "sigmoid",
    "silu",
    "sin",
    "softplus",
    "sqrt",
    "tanh",
    "to_int",
    "where",
]


def _is_traced(*values: Any) -> bool:
    return any(isinstance(value, (Traced, ArrayLike)) for value in values)


def _float(x: Any) -> Any:
    """x as float64, or in its own float type."""
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        return array.astype(np.float64)[()]
    return array[()]


def where(cond: Any, x: Any, y: Any) -> Any:
    """x where cond holds, else y. Ints stay ints."""
    if _is_traced(cond, x, y):
        return _where(cond, x, y)
    return np.where(cond, x, y)[()]


def clamp(x: Any, lo: Any, hi: Any) -> Any:
    """minimum(maximum(x, lo), hi). Ints stay ints; None is no bound."""
    if _is_traced(x, lo, hi):
        return _clamp(x, lo, hi)
    if lo is not None:
        x = np.maximum(x, lo)
    return x if hi is None else np.minimum(x, hi)


def minimum(x: Any, y: Any) -> Any:
    """The smaller; NaN where either is. Ints stay ints."""
    return apply("minimum", x, y) if _is_traced(x, y) else np.minimum(x, y)


def maximum(x: Any, y: Any) -> Any:
    """The larger; NaN where either is. Ints stay ints."""
    return apply("maximum", x, y) if _is_traced(x, y) else np.maximum(x, y)


def abs(x: Any) -> Any:
    """|x|. Ints stay ints."""
    return apply("abs", x) if _is_traced(x) else np.absolute(x)


def _by_hand(name: str, function: Any, x: Any) -> Any:
    if _is_traced(x):
        return apply(name, x)
    with np.errstate(all="ignore"):
        return function(_float(x))


def exp(x: Any) -> Any:
    """e ** x."""
    return _by_hand("exp", np.exp, x)


def exp2(x: Any) -> Any:
    """2 ** x."""
    return _by_hand("exp2", np.exp2, x)


def log(x: Any) -> Any:
    """The natural logarithm."""
    return _by_hand("log", np.log, x)


def log2(x: Any) -> Any:
    """The logarithm to base 2."""
    return _by_hand("log2", np.log2, x)


def log1p(x: Any) -> Any:
    """log(1 + x), also exact near 0."""
    return _by_hand("log1p", np.log1p, x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return _by_hand("tanh", np.tanh, x)


def sin(x: Any) -> Any:
    """The sine of x radians."""
    return _by_hand("sin", np.sin, x)


def cos(x: Any) -> Any:
    """The cosine of x radians."""
    return _by_hand("cos", np.cos, x)


def sqrt(x: Any) -> Any:
    """The square root; NaN below 0."""
    return _by_hand("sqrt", np.sqrt, x)


def rsqrt(x: Any) -> Any:
    """1 / sqrt(x)."""
    return _by_hand("rsqrt", lambda v: 1 / np.sqrt(v), x)


def floor(x: Any) -> Any:
    """The largest whole number not above x, as a float."""
    return _by_hand("floor", np.floor, x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return _by_hand("sigmoid", lambda v: 1 / (1 + np.exp(-v)), x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|))."""
    return _by_hand(
        "softplus", lambda v: np.maximum(v, 0) + np.log1p(np.exp(-np.absolute(v))), x
    )


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _erf_by_hand(x: Any) -> Any:
    return _erf(x).astype(np.asarray(x).dtype)[()]


def erf(x: Any) -> Any:
    """The error function."""
    return _by_hand("erf", _erf_by_hand, x)


def gelu(x: Any) -> Any:
    """x/2 · (1 + erf(x/√2))."""
    return _by_hand("gelu", lambda v: v / 2 * (1 + _erf_by_hand(v / math.sqrt(2))), x)


def silu(x: Any) -> Any:
    """x · sigmoid(x)."""
    return _by_hand("silu", lambda v: v / (1 + np.exp(-v)), x)


def pow(x: Any, y: Any) -> Any:
    """x ** y as a float."""
    if _is_traced(x, y):
        return apply("pow", x, y)
    with np.errstate(all="ignore"):
        return np.power(_float(x), _float(y))


def to_int(x: Any) -> Any:
    """Truncation to int64: saturates, NaN gives 0."""
    if _is_traced(x):
        return apply("to_int", x)
    array = np.asarray(x)
    if array.dtype.kind in "biu":
        return array.astype(np.int64)[()]
    value = np.nan_to_num(
        array.astype(np.float64), nan=0.0, posinf=2.0**63, neginf=-(2.0**63)
    )
    inside = np.absolute(value) < 2.0**63
    whole = np.where(inside, value, 0.0).astype(np.int64)
    limit = np.where(value > 0, np.int64(2**63 - 1), np.int64(-(2**63)))
    return np.where(inside, whole, limit)[()]
