"""Regions under construction: hash-consed, strictly typed expression graphs.

A node's operands always have smaller numbers than the node, so every walk
over a region is a loop. Equal nodes are one node, so shared subexpressions
stay shared whatever the user's code repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "FLOAT_FUNCTIONS",
    "REGION_ARGS",
    "Capture",
    "Region",
    "format_node",
    "format_nodes",
]

#: Region arguments in the order in which a mod receives them.
REGION_ARGS = {
    "score": ("s", "b", "h", "q", "kv"),
    "mask": ("b", "h", "q", "kv"),
    "stat": ("s",),
    "weight": ("s", "t", "b", "h", "q", "kv"),
    "denom": ("s", "t", "b", "h", "q", "kv"),
    "seed": ("b", "h", "q"),
    "seed_value": ("b", "h", "q", "e"),
    "finish": ("o", "l", "t", "b", "h", "q", "e"),
}
#: Nodes of one float operand, by the names that they have in `fovea.ops` too.
FLOAT_FUNCTIONS = frozenset(
    (
        "exp", "exp2", "log", "log2", "log1p", "tanh", "sin", "cos", "sqrt", "rsqrt",
        "erf", "floor", "sigmoid", "softplus", "gelu", "silu",
    )
)  # fmt: skip
_FLOAT_ARGS = frozenset("stol")
_CONVERSIONS = {
    ("i1", "i64"): "i1_to_i64",
    ("i1", "f"): "i1_to_f",
    ("i64", "f"): "i64_to_f",
    ("f", "i64"): "to_int",
}
_EXACT_INT = 1 << 53


class Capture:
    """An array that a trace reached, read by a region or not.

    Attributes
    ----------
    slot : int
        Where the re-check finds the live object.
    label : str
        How the user's code reaches it, for messages.
    where : str
        The mod that reached it first, as `Region.where`.
    dtype : str
        Program's name of its element type.
    rank : int
    dims : tuple
        Sizes that it must have by their names, None where any will do.
    """

    __slots__ = ("dims", "dtype", "label", "rank", "slot", "type", "where")

    def __init__(
        self, slot: int, label: str, dtype: str, rank: int, where: str
    ) -> None:
        self.slot = slot
        self.label = label
        self.where = where
        self.dtype = dtype
        self.rank = rank
        self.dims: tuple[str | None, ...] = ()
        if dtype == "i1":
            self.type = "i1"
        else:
            self.type = "f" if dtype[0] in "fb" else "i64"


#: Operations of a region: the limit of the compiler (`ProgramLimits`).
MOST_NODES = 1 << 14


class Region:
    """One region being traced.

    Parameters
    ----------
    role : str
        A key of `REGION_ARGS`.
    where : str
        The argument and mod that messages name: "score_mod 'alibi'".
    shown : sequence of str
        The user's names of the arguments, for printing.
    """

    def __init__(self, role: str, where: str, shown: tuple[str, ...] | None = None):
        self.role = role
        self.where = where
        self.args = REGION_ARGS[role]
        self.shown = dict(zip(self.args, shown or self.args, strict=True))
        self.active = True
        self.nodes: list[tuple] = []
        self.types: list[str] = []
        self._known: dict[tuple, int] = {}
        self.arg_ids = [
            self.emit("f" if name in _FLOAT_ARGS else "i64", "arg", name)
            for name in self.args
        ]

    def emit(self, type_: str, *node: Any) -> int:
        """The number of this node, new or known."""
        found = self._known.get(node)
        if found is not None:
            return found
        number = len(self.nodes)
        self._known[node] = number
        self.nodes.append(node)
        self.types.append(type_)
        return number

    # -- constants -----------------------------------------------------------

    def const_i1(self, value: bool) -> int:
        return self.emit("i1", "const", "i1", "true" if value else "false")

    def const_i64(self, value: int) -> int:
        return self.emit("i64", "const", "i64", int(value))

    def const_f(self, value: float) -> int:
        return self.emit("f", "const", "f", float(value).hex())

    def constant(self, number: int) -> bool | int | float | None:
        """The value of a constant node, None for any other."""
        node = self.nodes[number]
        if node[0] != "const":
            return None
        if node[1] == "i1":
            return node[2] == "true"
        return node[2] if node[1] == "i64" else float.fromhex(node[2])

    # -- operations ----------------------------------------------------------

    def convert(self, number: int, to: str) -> int:
        """Node `number` in type `to`; constants are converted here (S13)."""
        have = self.types[number]
        if have == to:
            return number
        value = self.constant(number)
        if value is not None and have != "f":
            if to == "i64":
                return self.const_i64(int(value))
            if to == "f" and abs(value) <= _EXACT_INT:
                return self.const_f(float(value))
        return self.emit(to, _CONVERSIONS[have, to], number)

    def logic(self, op: str, x: int, y: int) -> int:
        """`band`, `bor` or `bxor`, a constant operand folded."""
        for one, other in ((x, y), (y, x)):
            value = self.constant(one)
            if value is None:
                continue
            if op == "bxor":
                return self.invert(other) if value else other
            return other if value == (op == "band") else one
        return x if x == y and op != "bxor" else self.emit("i1", op, x, y)

    def invert(self, x: int) -> int:
        value = self.constant(x)
        return self.emit("i1", "bnot", x) if value is None else self.const_i1(not value)

    def select(self, condition: int, x: int, y: int) -> int:
        value = self.constant(condition)
        if value is not None:
            return x if value else y
        if x == y:
            return x
        return self.emit(self.types[x], "select", condition, x, y)

    def read(self, capture: Capture, index: tuple[int, ...]) -> int:
        return self.emit(capture.type, "read", capture, *index)

    def extent(self, capture: Capture, dim: int) -> int:
        return self.emit("i64", "extent", capture, dim)

    def size(self, name: str) -> int:
        return self.emit("i64", "size", name)

    def integer_power(self, base: int, exponent: int) -> int:
        """`base ** exponent` by squaring, wrapping as imul does."""
        result = None
        while exponent:
            if exponent & 1:
                result = (
                    base if result is None else self.emit("i64", "imul", result, base)
                )
            exponent >>= 1
            if exponent:
                base = self.emit("i64", "imul", base, base)
        return self.const_i64(1) if result is None else result

    # -- the finished form ---------------------------------------------------

    def operands(self, number: int) -> tuple[int, ...]:
        node = self.nodes[number]
        if node[0] in ("arg", "const", "extent", "size"):
            return ()
        return node[2:] if node[0] == "read" else node[1:]

    def finish(self, results: list[int], order: dict[Capture, int]) -> dict:
        """The JSON form of the live part.

        Parameters
        ----------
        results : list of int
        order : dict
            Numbers of the captures used so far; grows.

        Raises
        ------
        ValueError
            It has more than `MOST_NODES` operations.
        """
        live = set(results)
        for number in range(len(self.nodes) - 1, -1, -1):
            if number in live:
                live.update(self.operands(number))
        if len(live) > MOST_NODES:
            raise ValueError(
                f"{self.where}: at most {MOST_NODES} operations are supported,"
                f" got {len(live)}"
            )
        renamed: dict[int, int] = {}
        out: list[list] = []
        for number in sorted(live):
            renamed[number] = len(out)
            out.append(self._json_node(number, renamed, order))
        return {
            "args": list(self.args),
            "nodes": out,
            "results": [renamed[number] for number in results],
        }

    def _json_node(self, number: int, renamed: dict, order: dict) -> list:
        node = self.nodes[number]
        kind = node[0]
        if kind in ("arg", "size"):
            return list(node)
        if kind == "const":
            return ["const", node[1], node[2] == "true" if node[1] == "i1" else node[2]]
        if kind in ("read", "extent"):
            index = order.setdefault(node[1], len(order))
            if kind == "extent":
                return ["extent", index, node[2]]
            return ["read", index, *(renamed[i] for i in node[2:])]
        return [kind, *(renamed[i] for i in node[1:])]


# -- printing ----------------------------------------------------------------

_INFIX = {
    **dict.fromkeys(("iadd", "fadd"), ("+", 6)),
    **dict.fromkeys(("isub", "fsub"), ("-", 6)),
    **dict.fromkeys(("imul", "fmul"), ("*", 7)),
    "fdiv": ("/", 7),
    "floordiv": ("//", 7),
    **dict.fromkeys(("mod", "fmod"), ("%", 7)),
    "shl": ("<<", 5),
    "shr": (">>", 5),
    **dict.fromkeys(("iand", "band"), ("&", 4)),
    **dict.fromkeys(("ixor", "bxor"), ("^", 3)),
    **dict.fromkeys(("ior", "bor"), ("|", 2)),
    **dict.fromkeys(("ieq", "feq"), ("==", 1)),
    **dict.fromkeys(("ine", "fne"), ("!=", 1)),
    **dict.fromkeys(("ilt", "flt"), ("<", 1)),
    **dict.fromkeys(("ile", "fle"), ("<=", 1)),
    **dict.fromkeys(("igt", "fgt"), (">", 1)),
    **dict.fromkeys(("ige", "fge"), (">=", 1)),
}
_PREFIX = {"ineg": "-", "fneg": "-", "inot": "~", "bnot": "~"}
_CALLED = {
    "iabs": "abs",
    "fabs": "abs",
    "imin": "minimum",
    "fmin": "minimum",
    "imax": "maximum",
    "fmax": "maximum",
    "select": "where",
}
_SILENT = frozenset(("i1_to_i64", "i1_to_f", "i64_to_f"))
_DEPTH = 8
_LENGTH = 240


def format_node(region: Region, number: int) -> str:
    """A node as Python would write it; deep or long parts become "…"."""
    return format_nodes(region.nodes, region.shown, number)


def format_nodes(nodes: Sequence, shown: Mapping[str, str], number: int) -> str:
    """The same from nodes and the names of their arguments alone."""
    text = _format(_Printed(nodes, shown), number, 0, _DEPTH)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


class _Printed:
    """What printing needs of a region."""

    __slots__ = ("nodes", "shown")

    def __init__(self, nodes: Sequence, shown: Mapping[str, str]) -> None:
        self.nodes, self.shown = nodes, shown


def _format(region: _Printed, number: int, level: int, depth: int) -> str:
    node = region.nodes[number]
    kind = node[0]
    while kind in _SILENT:
        node = region.nodes[node[1]]
        kind = node[0]
    if kind == "arg":
        return region.shown[node[1]]
    if kind == "size":
        return node[1]
    if kind == "const":
        if node[1] == "f":
            return repr(float.fromhex(node[2]))
        return node[2].title() if node[1] == "i1" else str(node[2])
    if kind == "extent":
        return f"{node[1].label}.shape[{node[2]}]"
    if depth == 0:
        return "…"
    if kind == "read":
        index = ", ".join(_format(region, i, 0, depth - 1) for i in node[2:])
        return f"{node[1].label}[{index}]" if index else node[1].label
    if kind in _INFIX:
        sign, mine = _INFIX[kind]
        left = _format(region, node[1], mine + (mine == 1), depth - 1)
        right = _format(region, node[2], mine + 1, depth - 1)
        text = f"{left} {sign} {right}"
        return f"({text})" if mine < level else text
    if kind in _PREFIX:
        return _PREFIX[kind] + _format(region, node[1], 8, depth - 1)
    inner = ", ".join(_format(region, i, 0, depth - 1) for i in node[1:])
    return f"{_CALLED.get(kind, kind)}({inner})"
