"""Traced values: what a mod computes with while it is traced."""

from __future__ import annotations

import numbers
from typing import Any, NoReturn

import numpy as np

from ..errors import TraceError
from .diagnose import frame_error, is_subscript, plain_error
from .graph import Region, format_node
from .operations import BINARY, I64_LIMIT, promote, unary

__all__ = [
    "ArrayLike",
    "Traced",
    "TracedAttributeError",
    "apply",
    "clamp",
    "lift",
    "where",
]


_OPERATORS = "Python's operators and the functions of fovea.ops"
#: What torch's and_masks, noop_mask and or_masks ask for.
_OF_TORCH = {
    "new_ones": "True, or what fovea.and_masks gives in the place of torch's",
    "new_zeros": "False, or what fovea.or_masks gives in the place of torch's",
}


class TracedAttributeError(TraceError, AttributeError):
    """An attribute that traced values do not have."""


class ArrayLike:
    """Base of what stands for a captured array while a mod is traced."""

    __slots__ = ()

    def refuse(self, what: str, hint: str = "") -> TraceError:
        raise NotImplementedError


class Traced:
    """A scalar of the running kernel: i1, i64 or a float of the score type.

    Immutable, valid only while the mod that received it runs.
    """

    __slots__ = ("_id", "_region")
    __array_priority__ = 1000

    def __init__(self, region: Region, number: int) -> None:
        self._region = region
        self._id = number

    # -- looks ---------------------------------------------------------------

    def __repr__(self) -> str:
        return format_node(self._region, self._id)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        if spec:
            raise _misuse(self, "formatting with a format specification", "f'{x}'")
        return repr(self)

    # -- operators -----------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _binary("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return _binary("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return _binary("truediv", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _binary("truediv", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _binary("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _binary("floordiv", other, self)

    def __mod__(self, other: Any) -> Any:
        return _binary("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return _binary("mod", other, self)

    def __divmod__(self, other: Any) -> Any:
        return _binary("floordiv", self, other), _binary("mod", self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return _binary("floordiv", other, self), _binary("mod", other, self)

    def __matmul__(self, other: Any) -> Any:
        if isinstance(other, ArrayLike):
            return NotImplemented
        raise _not_that(self, "`@` multiplies arrays", hint="x * y")

    __rmatmul__ = __matmul__

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if modulus is not None:
            raise _misuse(self, "pow() with a modulus", "x ** y % z")
        return _binary("power", self, other)

    def __rpow__(self, other: Any) -> Any:
        return _binary("power", other, self)

    def __and__(self, other: Any) -> Any:
        return _binary("and", self, other)

    def __rand__(self, other: Any) -> Any:
        return _binary("and", other, self)

    def __or__(self, other: Any) -> Any:
        return _binary("or", self, other)

    def __ror__(self, other: Any) -> Any:
        return _binary("or", other, self)

    def __xor__(self, other: Any) -> Any:
        return _binary("xor", self, other)

    def __rxor__(self, other: Any) -> Any:
        return _binary("xor", other, self)

    def __lshift__(self, other: Any) -> Any:
        return _binary("shl", self, other)

    def __rlshift__(self, other: Any) -> Any:
        return _binary("shl", other, self)

    def __rshift__(self, other: Any) -> Any:
        return _binary("shr", self, other)

    def __rrshift__(self, other: Any) -> Any:
        return _binary("shr", other, self)

    def __lt__(self, other: Any) -> Any:
        return _binary("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return _binary("le", self, other)

    def __gt__(self, other: Any) -> Any:
        return _binary("gt", self, other)

    def __ge__(self, other: Any) -> Any:
        return _binary("ge", self, other)

    def __eq__(self, other: Any) -> Any:
        return _binary("eq", self, other)

    def __ne__(self, other: Any) -> Any:
        return _binary("ne", self, other)

    def __neg__(self) -> Traced:
        return apply("negative", self)

    def __pos__(self) -> Traced:
        return apply("positive", self)

    def __abs__(self) -> Traced:
        return apply("abs", self)

    def __invert__(self) -> Traced:
        return apply("invert", self)

    # -- what Python may not ask -----------------------------------------------

    def __bool__(self) -> NoReturn:
        raise _misuse(self, "{what} needs True or False while tracing", test=True)

    def __index__(self) -> NoReturn:
        raise _misuse(self, "{what} needs a Python int while tracing", test=True)

    def __int__(self) -> NoReturn:
        raise _misuse(self, "{what} needs a number while tracing", test=True)

    __float__ = __complex__ = __trunc__ = __floor__ = __ceil__ = __int__

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise _misuse(self, "{what} needs a number while tracing", test=True)

    def __iter__(self) -> NoReturn:
        raise _not_that(self, "cannot be iterated over")

    def __len__(self) -> NoReturn:
        raise _not_that(self, "has no len()")

    def __contains__(self, item: Any) -> NoReturn:
        raise _not_that(self, "`in` does not apply to it")

    def __getitem__(self, index: Any) -> Any:
        raise _not_that(self, "cannot be indexed")

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise _not_that(self, "cannot be assigned to")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _not_that(self, "cannot be called")

    def __hash__(self) -> int:
        raise _misuse(
            self,
            "hashing (a set, a dict key, a cache) needs the value while tracing",
            "a captured array that is indexed: table[x]",
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_repr_")):
            raise AttributeError(name)
        hint = _OF_TORCH.get(name, _OPERATORS)
        problem = f"has no attribute {name!r}"
        raise _not_that(self, problem, kind=TracedAttributeError, hint=hint)

    def __copy__(self) -> Traced:
        return self

    def __deepcopy__(self, memo: dict) -> Traced:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise _not_that(self, "cannot be pickled")

    # -- NumPy -----------------------------------------------------------------

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        if not is_subscript():
            raise _misuse(self, "{what} needs the value while tracing", test=True)
        raise _misuse(
            self,
            "indexing an array that Fovea cannot see (made inside the mod, or reached "
            "through compiled code) needs the value while tracing",
            "make the array outside the mod, as a variable, attribute or element",
        )

    @classmethod
    def __torch_function__(cls, func, types, args: tuple = (), kwargs=None) -> Any:
        from .numpy_api import call_torch

        found = next((arg for arg in args if isinstance(arg, cls)), None)
        if found is None:
            return NotImplemented
        return call_torch(found, func, args, kwargs)

    def __array_ufunc__(self, ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .numpy_api import call_ufunc

        return call_ufunc(self, ufunc, method, inputs, kwargs)

    def __array_function__(self, func, types, args: tuple, kwargs: dict) -> Any:
        from .numpy_api import call_function

        return call_function(self, func, args, kwargs)


def _misuse(
    value: Traced,
    problem: str,
    hint: str = "",
    *,
    test: bool = False,
    kind: type[TraceError] = TraceError,
) -> TraceError:
    region = value._region
    if not region.active:
        return _dead(region)
    shown = repr(value)
    problem = f"{problem}, but {_brace(shown)} is known only in the kernel"
    if not test:
        problem = problem.replace("{{", "{").replace("}}", "}")
    return frame_error(
        region.where, problem, hint, test=shown if test else None, kind=kind
    )


def _not_that(
    value: Traced,
    problem: str,
    kind: type[TraceError] = TraceError,
    hint: str = _OPERATORS,
) -> TraceError:
    """An error about what a number is not for."""
    region = value._region
    if not region.active:
        return _dead(region)
    return frame_error(
        region.where,
        f"{value!r} is one number, known only in the kernel, and {problem}",
        hint,
        kind=kind,
    )


def _brace(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _dead(region: Region) -> TraceError:
    return plain_error(
        region.where,
        "",
        "a traced value was used after its call; it stands for a number only while "
        "the mod runs, so do not keep it",
    )


def check_live(value: Traced) -> Region:
    """The value's region; TypeError once its mod has returned."""
    region = value._region
    if not region.active:
        raise _dead(region)
    return region


# -- lifting Python values ------------------------------------------------------


def lift(region: Region, value: Any) -> int | None:
    """The node of a traced value or constant, None for other objects."""
    if isinstance(value, Traced):
        if value._region is not region:
            check_live(value)
            raise frame_error(
                region.where,
                f"{value!r} belongs to another mod's trace ({value._region.where})",
            )
        return value._id
    if isinstance(value, (bool, np.bool_)):
        return region.const_i1(bool(value))
    if isinstance(value, np.timedelta64):  # an integer of NumPy's, of some unit
        return None
    if isinstance(value, (int, np.integer)):
        number = int(value)
        if not -I64_LIMIT <= number < I64_LIMIT:
            raise OverflowError(
                f"{region.where}: the constant {_short(number)} does not fit in 64 "
                "bits; write it as a float"
            )
        return region.const_i64(number)
    if isinstance(value, (float, np.floating)):
        return region.const_f(float(value))
    if isinstance(value, ArrayLike):
        raise value.refuse(
            "whole-array arithmetic", "index it down to one number first"
        )
    if isinstance(value, np.generic) and value.dtype.name == "bfloat16":
        return region.const_f(float(value))
    if isinstance(value, numbers.Real):
        return region.const_f(float(value))
    return None


def _short(number: int) -> str:
    if number.bit_length() > 200:
        return f"of {number.bit_length()} bits"
    return str(number)


def operand(region: Region, value: Any, name: str) -> int:
    """`lift`, or the error that says what `name` was given."""
    number = lift(region, value)
    if number is not None:
        return number
    if hasattr(value, "__dlpack__") or isinstance(value, np.ndarray):
        raise frame_error(
            region.where,
            f"{name} was given an array that Fovea cannot see (made inside the mod, or "
            "reached through compiled code)",
            "make the array outside the mod and index it: table[x]",
        )
    raise frame_error(
        region.where,
        f"{name} takes numbers and traced values, not {value.__class__.__name__}",
    )


_SIGNS = {
    "add": ("+", "radd"),
    "sub": ("-", "rsub"),
    "mul": ("*", "rmul"),
    "truediv": ("/", "rtruediv"),
    "floordiv": ("//", "rfloordiv"),
    "mod": ("%", "rmod"),
    "power": ("**", "rpow"),
    "and": ("&", "rand"),
    "or": ("|", "ror"),
    "xor": ("^", "rxor"),
    "shl": ("<<", "rlshift"),
    "shr": (">>", "rrshift"),
    "lt": ("<", "gt"),
    "le": ("<=", "ge"),
    "gt": (">", "lt"),
    "ge": (">=", "le"),
    "eq": ("==", "eq"),
    "ne": ("!=", "ne"),
}


#: Of objects that are equal to themselves alone.
_IDENTITY = (object.__eq__, object.__ne__)


def _binary(name: str, x: Any, y: Any) -> Any:
    value, other = (x, y) if isinstance(x, Traced) else (y, x)
    region = check_live(value)
    if lift(region, other) is None:
        method = getattr(type(other), f"__{_SIGNS[name][1]}__", None)
        if value is x and method is not None and not _is_builtin(type(other)):
            # Asked here, as Python's own error would not say where it is.
            result = method(other, value)
            if result is not NotImplemented or method in _IDENTITY:
                return result
    sign = _SIGNS[name][0]
    a, b = operand(region, x, f"`{sign}`"), operand(region, y, f"`{sign}`")
    return Traced(region, BINARY[name](region, name, a, b))


def _is_builtin(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("builtins", "numpy")


# -- operations by name ----------------------------------------------------------


def apply(name: str, *values: Any) -> Traced:
    """One operation on at least one traced value.

    Parameters
    ----------
    name : str
        A name of `fovea.ops`, an operator's ("add", "power", "eq", …) or one
        of NumPy's logical functions.
    *values
        Traced values and constants.
    """
    region = region_of(values)
    ids = [operand(region, value, name) for value in values]
    if len(ids) == 1:
        return Traced(region, unary(region, name, ids[0]))
    return Traced(region, BINARY[name](region, name, *ids))


def region_of(values: tuple) -> Region:
    for value in values:
        if isinstance(value, Traced):
            return check_live(value)
    for value in values:
        if isinstance(value, ArrayLike):
            raise value.refuse("whole-array arithmetic", "index it to one number first")
    raise AssertionError("no traced value among the operands")


def where(condition: Any, x: Any, y: Any) -> Traced:
    """x where the condition holds, else y; both in their common type."""
    region = region_of((condition, x, y))
    c = operand(region, condition, "where")
    if region.types[c] != "i1":
        raise frame_error(
            region.where,
            f"where takes a bool condition, and {format_node(region, c)} is a number",
            "where(x != 0, …, …)",
        )
    a, b = operand(region, x, "where"), operand(region, y, "where")
    if region.types[a] != region.types[b]:
        _, a, b = promote(region, a, b)
    return Traced(region, region.select(c, a, b))


def clamp(x: Any, lo: Any, hi: Any) -> Any:
    """minimum(maximum(x, lo), hi); a bound of None is absent."""
    region = region_of((x, lo, hi))
    x = Traced(region, operand(region, x, "clamp"))
    for bound, name in ((lo, "maximum"), (hi, "minimum")):
        if bound is not None:
            x = apply(name, x, Traced(region, operand(region, bound, "clamp")))
    return x
