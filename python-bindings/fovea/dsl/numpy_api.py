"""NumPy's functions on traced values."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import numpy as np

from .diagnose import frame_error
from .values import ArrayLike, Traced, apply, check_live, clamp, where

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


_BY_NAME = {ufunc.__name__: name for ufunc, name in _UFUNCS.items()} | {
    "true_divide": "truediv",
    "div": "truediv",
    "sub": "sub",
    "mul": "mul",
    "abs": "abs",
    "pow": "power",
    "lt": "lt",
    "le": "le",
    "gt": "gt",
    "ge": "ge",
    "eq": "eq",
    "ne": "ne",
    "neg": "negative",
    "bitwise_not": "invert",
    "erf": "erf",
    "rsqrt": "rsqrt",
    "sigmoid": "sigmoid",
    "softplus": "softplus",
    "silu": "silu",
}


def call_named(name: str, args: tuple, kwargs: dict) -> Any:
    """What another library's function of this name gives on traced values.

    NotImplemented for names and arguments that mean something else here.
    """
    if name == "where" and len(args) == 3 and not kwargs:
        return where(*args)
    if name in ("clip", "clamp") and args:
        bounds = dict(zip(("min", "max"), args[1:], strict=False)) | kwargs
        if set(bounds) <= {"min", "max"}:
            return clamp(args[0], bounds.get("min"), bounds.get("max"))
    if name == "relu" and len(args) == 1 and not kwargs:
        return apply("maximum", args[0], 0.0)
    if name in _BY_NAME and args and not kwargs:
        return apply(_BY_NAME[name], *args)
    return NotImplemented


def foreign_function(value: Any) -> Any:
    """A JAX function as one that takes traced values too; None for others.

    NumPy and torch ask their arguments; JAX does not.
    """
    module = getattr(type(value), "__module__", None)
    if module == "builtins" and not isinstance(value, FunctionType):
        return None
    home = getattr(value, "__module__", None) if callable(value) else None
    if not isinstance(home, str) or home.partition(".")[0] != "jax":
        return None
    name = getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None

    def function(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(arg, (Traced, ArrayLike)) for arg in args):
            result = call_named(name, args, kwargs)
            if result is not NotImplemented:
                return result
        return value(*args, **kwargs)

    return function


def call_torch(value: Any, function: Any, args: tuple, kwargs: dict | None) -> Any:
    """A torch function met a traced value."""
    region = check_live(value)
    name = getattr(function, "__name__", str(function))
    result = call_named(name, args, kwargs or {})
    if result is NotImplemented:
        raise frame_error(
            region.where,
            f"torch.{name} is not available on traced values in this form",
            "the functions of fovea.ops",
        )
    return result


def _constant(value: Any) -> Any:
    """NumPy's comparisons hand their scalars on as 0-d arrays."""
    is_scalar = type(value) is np.ndarray and value.ndim == 0
    return value[()] if is_scalar else value


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
    inputs = tuple(_constant(item) for item in inputs)
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
