"""Operations on the nodes of a region: types, promotion, S8 and S13."""

from __future__ import annotations

from .diagnose import frame_error
from .graph import FLOAT_FUNCTIONS, Region, format_node

__all__ = ["BINARY", "I64_LIMIT", "promote", "unary"]

#: One above the largest int64.
I64_LIMIT = 1 << 63


def promote(region: Region, x: int, y: int) -> tuple[str, int, int]:
    to = "f" if "f" in (region.types[x], region.types[y]) else "i64"
    return to, region.convert(x, to), region.convert(y, to)


def _need_ints(region: Region, name: str, *numbers_: int) -> None:
    for number in numbers_:
        if region.types[number] == "f":
            raise frame_error(
                region.where,
                f"`{name}` takes bools and ints, and {format_node(region, number)} is "
                "a float",
                "fovea.ops.to_int(x), or a comparison",
            )


_INT_OPS = {
    "add": "iadd",
    "sub": "isub",
    "mul": "imul",
    "floordiv": "floordiv",
    "mod": "mod",
    "minimum": "imin",
    "maximum": "imax",
}
_FLOAT_OPS = {
    "add": "fadd",
    "sub": "fsub",
    "mul": "fmul",
    "mod": "fmod",
    "minimum": "fmin",
    "maximum": "fmax",
}


def _arithmetic(region: Region, name: str, x: int, y: int) -> int:
    to, x, y = promote(region, x, y)
    if to == "i64":
        return region.emit("i64", _INT_OPS[name], x, y)
    if name == "floordiv":
        return region.emit("f", "floor", region.emit("f", "fdiv", x, y))
    return region.emit("f", _FLOAT_OPS[name], x, y)


def _divide(region: Region, name: str, x: int, y: int) -> int:
    return region.emit("f", "fdiv", region.convert(x, "f"), region.convert(y, "f"))


def _power(region: Region, name: str, x: int, y: int) -> int:
    exponent = region.constant(y)
    if region.types[y] != "f" and exponent is not None and exponent >= 0:
        if region.types[x] != "f":
            return region.integer_power(region.convert(x, "i64"), int(exponent))
        if exponent == 2:
            return region.emit("f", "fmul", x, x)
    return _float_power(region, name, x, y)


def _float_power(region: Region, name: str, x: int, y: int) -> int:
    return region.emit("f", "pow", region.convert(x, "f"), region.convert(y, "f"))


def _logic(region: Region, name: str, x: int, y: int) -> int:
    if region.types[x] == region.types[y] == "i1":
        return region.logic("b" + name, x, y)
    _need_ints(region, {"and": "&", "or": "|", "xor": "^"}[name], x, y)
    return region.emit(
        "i64", "i" + name, region.convert(x, "i64"), region.convert(y, "i64")
    )


def _shift(region: Region, name: str, x: int, y: int) -> int:
    _need_ints(region, {"shl": "<<", "shr": ">>"}[name], x, y)
    return region.emit("i64", name, region.convert(x, "i64"), region.convert(y, "i64"))


def _compare(region: Region, name: str, x: int, y: int) -> int:
    if name in ("eq", "ne") and region.types[x] == region.types[y] == "i1":
        differ = region.logic("bxor", x, y)
        return differ if name == "ne" else region.invert(differ)
    to, x, y = promote(region, x, y)
    return region.emit("i1", to[0] + name, x, y)


def _bools(region: Region, name: str, x: int, y: int) -> int:
    x, y = truth(region, x), truth(region, y)
    return region.logic(name.replace("logical_", "b"), x, y)


def truth(region: Region, x: int) -> int:
    """x != 0, as NumPy's logical functions take it."""
    if region.types[x] == "i1":
        return x
    zero = region.convert(region.const_i64(0), region.types[x])
    return region.emit("i1", region.types[x][0] + "ne", x, zero)


BINARY = {
    **dict.fromkeys(
        ("add", "sub", "mul", "floordiv", "mod", "minimum", "maximum"), _arithmetic
    ),
    "truediv": _divide,
    "power": _power,
    "pow": _float_power,
    **dict.fromkeys(("and", "or", "xor"), _logic),
    **dict.fromkeys(("shl", "shr"), _shift),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), _compare),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), _bools),
}


def unary(region: Region, name: str, x: int) -> int:
    kind = region.types[x]
    if name in FLOAT_FUNCTIONS:
        return region.emit("f", name, region.convert(x, "f"))
    if name == "to_int":
        return region.convert(x, "i64")
    if name == "logical_not":
        return region.invert(truth(region, x))
    if name == "invert":
        if kind == "i1":
            return region.invert(x)
        _need_ints(region, "~", x)
        return region.emit("i64", "inot", x)
    if kind == "i1":
        x, kind = region.convert(x, "i64"), "i64"
    if name == "positive":
        return x
    value = region.constant(x)
    if (
        name == "negative"
        and value is not None
        and kind == "i64"
        and value > -I64_LIMIT
    ):
        return region.const_i64(-value)
    op = {"negative": "neg", "abs": "abs"}[name]
    return region.emit(kind, kind[0] + op, x)
