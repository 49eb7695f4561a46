"""Regions of a Program as Python functions, and scale clauses as numbers.

A mod that came from a file or a pickle is written out as an ordinary Python
function, so that it can be called by hand, traced again and composed.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _checks
from .dsl.graph import FLOAT_FUNCTIONS

#: The positional parameters of each kind of region, by the names users know.
PARAMETERS = {
    "s": "score",
    "b": "b",
    "h": "h",
    "q": "q_idx",
    "kv": "kv_idx",
    "t": "t",
    "o": "o",
    "l": "l",
    "e": "e_idx",
}

_BINARY = {
    "iadd": "+", "isub": "-", "imul": "*", "floordiv": "//", "mod": "%",
    "iand": "&", "ior": "|", "ixor": "^", "shl": "<<", "shr": ">>",
    "fadd": "+", "fsub": "-", "fmul": "*", "fdiv": "/", "fmod": "%", "pow": "**",
    "band": "&", "bor": "|", "bxor": "^",
    "ieq": "==", "ine": "!=", "ilt": "<", "ile": "<=", "igt": ">", "ige": ">=",
    "feq": "==", "fne": "!=", "flt": "<", "fle": "<=", "fgt": ">", "fge": ">=",
}  # fmt: skip
_CALLS = {
    "imin": "ops.minimum", "imax": "ops.maximum",
    "fmin": "ops.minimum", "fmax": "ops.maximum",
    "select": "ops.where", "to_int": "ops.to_int", "bnot": "_not",
}  # fmt: skip
_PREFIX = {"ineg": "-", "fneg": "-", "inot": "~"}
_ABS = ("iabs", "fabs")
_FUNCTIONS = FLOAT_FUNCTIONS - {"log1p"}  # see _log1p
_CONVERSIONS = {"i1_to_i64": "1", "i1_to_f": "1.0", "i64_to_f": "1.0"}
_SIZES = ("B", "H", "Hk", "M", "N", "D", "E")
_count = itertools.count()


def _not(value):
    """Logical not of a bool, a numpy.bool or a traced bool."""
    return (not value) if isinstance(value, bool) else ~value


def _log1p(value):
    """log(1 + x), traced or of numbers."""
    from .dsl.values import Traced, apply

    return apply("log1p", value) if isinstance(value, Traced) else math.log1p(value)


def _constant(kind: str, value: Any) -> str:
    if kind == "i1":
        return str(bool(value))
    if kind == "i64":
        return f"({int(value)})"
    number = float.fromhex(value)
    if math.isnan(number):
        return "_nan"
    if math.isinf(number):
        return "_inf" if number > 0 else "(-_inf)"
    return f"({number!r})"


def _expression(
    node: Sequence, names: list[str], arrays: Sequence[str], params: Mapping
) -> str:
    kind, operands = node[0], node[1:]
    if kind == "arg":
        return PARAMETERS[operands[0]]
    if kind == "const":
        return _constant(*operands)
    if kind == "param":
        value = params[operands[0]]
        return f"({value!r})"
    if kind == "size":
        return f"_size_{_SIZES[_SIZES.index(operands[0])]}"
    if kind == "extent":
        return f"{arrays[operands[0]]}.shape[{int(operands[1])}]"
    if kind == "read":
        index = ", ".join(names[i] for i in operands[1:])
        name = arrays[operands[0]]
        return f"{name}[{index}]" if index else f"{name} * 1"
    values = [names[i] for i in operands]
    if kind in _BINARY:
        return f"{values[0]} {_BINARY[kind]} {values[1]}"
    if kind in _PREFIX:
        return f"{_PREFIX[kind]}{values[0]}"
    if kind in _ABS:
        return f"abs({values[0]})"
    if kind in _CONVERSIONS:
        return f"{values[0]} * {_CONVERSIONS[kind]}"
    if kind == "log1p":
        return f"_log1p({values[0]})"
    if kind not in _CALLS and kind not in _FUNCTIONS:
        raise ValueError(f"program: operations must be known, got {kind!r}")
    return f"{_CALLS.get(kind, f'ops.{kind}')}({', '.join(values)})"


def function(
    region: Mapping[str, Any],
    name: str,
    captures: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any] | None = None,
) -> Callable:
    """A Python function that computes a region.

    Parameters
    ----------
    region : mapping
        ``{"args", "nodes", "results"}`` of a Program.
    name : str
        The function's name, for messages.
    captures : sequence of mapping
        The Program's captures; those that the region reads become keyword-only
        parameters under their names.
    params : mapping, optional
        Values of the compile-time parameters.

    Returns
    -------
    callable
        With as many positional parameters as the region has arguments.
    """
    from . import ops
    from .dsl.environment import Size

    arrays = [capture["name"] for capture in captures]
    used = sorted(
        {node[1] for node in region["nodes"] if node[0] in ("read", "extent")}
    )
    positional = [PARAMETERS[arg] for arg in region["args"]]
    taken = set(positional) | {"ops", "_not", "_log1p", "_inf", "_nan", "abs"}
    prefix = "v"
    while any(array.startswith(prefix) for array in arrays):
        prefix += "_"
    for i in used:
        if not arrays[i].isidentifier() or keyword.iskeyword(arrays[i]):
            raise ValueError(
                f"captures: must be named by identifiers, got {arrays[i]!r}"
            )
    clash = [arrays[i] for i in used if arrays[i] in taken]
    if clash:
        raise ValueError(f"captures: must not be named like an index, got {clash[0]!r}")
    if not name.isidentifier():
        raise ValueError(f"name: must be an identifier, got {name!r}")
    head = ", ".join(positional)
    if used:
        head += ", *, " + ", ".join(arrays[i] for i in used)
    lines = [f"def {name}({head}):"]
    names: list[str] = []
    for number, node in enumerate(region["nodes"]):
        text = _expression(node, names, arrays, params or {})
        names.append(f"{prefix}{number}")
        lines.append(f"    {names[-1]} = {text}")
    results = ", ".join(names[i] for i in region["results"])
    lines.append(f"    return {results}")
    source = "\n".join(lines) + "\n"
    filename = f"<fovea region {next(_count)}: {name}>"
    scope: dict[str, Any] = {
        "__name__": __name__, "ops": ops, "_not": _not, "_log1p": _log1p,
        "_inf": math.inf, "_nan": math.nan,
    }  # fmt: skip
    scope |= {f"_size_{size}": Size(size) for size in _SIZES}
    exec(builtins_compile(source, filename), scope)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return scope[name]


def builtins_compile(source: str, filename: str) -> Any:
    """Python's own compile (the package's is another one)."""
    import builtins

    return builtins.compile(source, filename, "exec")


def _evaluate(
    node: Sequence, values: list, sizes: Mapping[str, int], params: Mapping[str, Any]
) -> Any:
    from . import ops

    kind, operands = node[0], node[1:]
    if kind == "const":
        return float.fromhex(operands[1]) if operands[0] == "f" else operands[1]
    if kind == "size":
        return sizes[operands[0]]
    if kind == "param":
        return params[operands[0]]
    x = [values[i] for i in operands]
    if kind == "fdiv":
        if x[1] == 0:
            return math.nan if x[0] == 0 or math.isnan(x[0]) else x[0] * math.inf
        return x[0] / x[1]
    if kind in ("floordiv", "mod"):
        if x[1] == 0:
            return 0
        return x[0] // x[1] if kind == "floordiv" else x[0] % x[1]
    if kind in _CONVERSIONS:
        return int(x[0]) if kind == "i1_to_i64" else float(x[0])
    if kind == "pow":
        return ops.pow(*x)
    scope = {"a": x[0], "b": x[-1]}
    if kind in _BINARY:
        return eval(f"a {_BINARY[kind]} b", {}, scope)
    if kind in _PREFIX:
        return eval(f"{_PREFIX[kind]}a", {}, scope)
    if kind in _ABS:
        return abs(x[0])
    if kind == "bnot":
        return not x[0]
    if kind == "log1p":
        return math.log1p(x[0])
    return getattr(ops, _CALLS.get(kind, kind).removeprefix("ops."))(*x)


def evaluate_scale(
    region: Mapping[str, Any], program: Mapping[str, Any], g: _checks.Geometry
) -> float:
    """The number that a scale clause gives for the sizes of one call."""
    from ._program import params_of

    sizes = {
        "B": g.B, "H": g.Hq, "Hk": g.Hk, "M": g.M, "N": g.N, "D": g.D, "E": g.E,
    }  # fmt: skip
    params = params_of(program)
    values: list = []
    for node in region["nodes"]:
        values.append(_evaluate(node, values, sizes, params))
    number = float(values[region["results"][0]])
    return _checks.scale(number, g.dtype) or 0.0
