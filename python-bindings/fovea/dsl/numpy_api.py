"""NumPy's functions on traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .diagnose import frame_error
from .values import Traced, apply, check_live, clamp, where

__all__ = ["call_function", "call_ufunc"]

_UFUNCS = {
    np.add: "add",
    np.subtract: "sub",
    np.multiply: "mul",
    np.true_divide: "truediv",
    np.floor_divide: "floordiv",
    np.remainder: "mod",
    np.power: "power",
    np.float_power: "pow",
    np.negative: "negative",
    np.positive: "positive",
    np.absolute: "abs",
    np.fabs: "abs",
    np.minimum: "minimum",
    np.maximum: "maximum",
    np.less: "lt",
    np.less_equal: "le",
    np.greater: "gt",
    np.greater_equal: "ge",
    np.equal: "eq",
    np.not_equal: "ne",
    np.bitwise_and: "and",
    np.bitwise_or: "or",
    np.bitwise_xor: "xor",
    np.invert: "invert",
    np.left_shift: "shl",
    np.right_shift: "shr",
    np.logical_and: "logical_and",
    np.logical_or: "logical_or",
    np.logical_xor: "logical_xor",
    np.logical_not: "logical_not",
    np.exp: "exp",
    np.exp2: "exp2",
    np.log: "log",
    np.log2: "log2",
    np.log1p: "log1p",
    np.tanh: "tanh",
    np.sin: "sin",
    np.cos: "cos",
    np.sqrt: "sqrt",
    np.floor: "floor",
}


_COMPOSED = {
    np.square: lambda x: x * x,
    np.fabs: lambda x: apply("abs", x) * 1.0,
    np.ceil: lambda x: -apply("floor", -x),
    np.divmod: divmod,
    np.isnan: lambda x: apply("ne", x * 1.0, x * 1.0),
    np.isinf: lambda x: apply("eq", apply("abs", x) * 1.0, float("inf")),
    np.isfinite: lambda x: apply("lt", apply("abs", x) * 1.0, float("inf")),
    np.sign: lambda x: where(x > 0, 1, where(x < 0, -1, x * 1)),
    np.reciprocal: lambda x: 1.0 / x,
    np.fmin: lambda x, y: _skip_nan("minimum", x, y),
    np.fmax: lambda x, y: _skip_nan("maximum", x, y),
}


def _skip_nan(name: str, x: Any, y: Any) -> Traced:
    return where(
        apply("ne", x, x) if isinstance(x, Traced) else bool(x != x),
        y,
        where(
            apply("ne", y, y) if isinstance(y, Traced) else bool(y != y),
            x,
            apply(name, x, y),
        ),
    )


def call_ufunc(value: Any, ufunc, method: str, inputs: tuple, kwargs: dict) -> Any:
    """A ufunc met a traced value or a captured array."""
    region = check_live(next((i for i in inputs if isinstance(i, Traced)), value))
    name = ufunc.__name__
    if method != "__call__" or kwargs:
        what = (
            f"np.{name}.{method}"
            if method != "__call__"
            else f"np.{name} with {kwargs}"
        )
        raise frame_error(region.where, f"{what} is not available on traced values")
    composed = _COMPOSED.get(ufunc)
    if composed is not None:
        return composed(*inputs)
    known = _UFUNCS.get(ufunc)
    if known is None:
        raise frame_error(
            region.where,
            f"np.{name} is not available on traced values",
            "the functions of fovea.ops",
        )
    return apply(known, *inputs)


def call_function(value: Any, func, args: tuple, kwargs: dict) -> Any:
    """A NumPy function met a traced value or a captured array."""
    region = check_live(value)
    name = getattr(func, "__name__", str(func))
    if func is np.where and len(args) == 3 and not kwargs:
        return where(*args)
    if func is np.clip:
        bounds = dict(zip(("a", "a_min", "a_max"), args, strict=False)) | kwargs
        lo = bounds.pop("a_min", bounds.pop("min", None))
        hi = bounds.pop("a_max", bounds.pop("max", None))
        if set(bounds) == {"a"}:
            return clamp(bounds["a"], lo, hi)
    raise frame_error(
        region.where,
        f"np.{name} is not available on traced values in this form",
        "the functions of fovea.ops",
    )
