"""Random regions of Programs: well typed, total, and stable under rounding.

Floats are kept bounded, and everything that jumps (comparisons, to_int, floor)
looks at integers or at captured values only: a difference between engines is
then a defect, not a rounding that fell on the other side of a jump.
"""

from __future__ import annotations

from typing import Any

import numpy as np

INT_BINARY = [
    "iadd",
    "isub",
    "imul",
    "floordiv",
    "mod",
    "iand",
    "ior",
    "ixor",
    "imin",
    "imax",
    "shl",
    "shr",
]
INT_UNARY = ["ineg", "iabs", "inot"]
INT_COMPARE = ["ieq", "ine", "ilt", "ile", "igt", "ige"]
FLOAT_BOUNDED = ["tanh", "sin", "cos", "sigmoid", "erf"]
SIZES = ["B", "H", "Hk", "M", "N", "D", "E"]
#: Capture dtypes by the type that a read gives.
INT_TYPES = ["i8", "ui8", "i16", "ui16", "i32", "ui32", "i64"]
FLOAT_TYPES = ["f16", "bf16", "f32", "f64"]


class RegionMaker:
    """Builds one region over a list of captures that all regions share."""

    def __init__(self, rng: np.random.Generator, arguments: str, captures: list[dict]):
        self.rng = rng
        self.captures = captures
        self.arguments = arguments.split()
        self.nodes: list[list[Any]] = []
        self.index = {
            name: self.add("arg", name)
            for name in self.arguments
            if name not in ("s", "t", "o", "l")
        }
        self.scalars = {
            name: self.add("arg", name) for name in self.arguments if name in "stol"
        }

    def add(self, *node: Any) -> int:
        self.nodes.append(list(node))
        return len(self.nodes) - 1

    def finish(self, *results: int) -> dict[str, Any]:
        return {"args": self.arguments, "nodes": self.nodes, "results": list(results)}

    def choose(self, items):
        return items[int(self.rng.integers(len(items)))]

    def capture(self, types: list[str], rank: int) -> int:
        """A capture of one of the types, an old one where one fits."""
        fitting = [
            i
            for i, c in enumerate(self.captures)
            if c["dtype"] in types and c["rank"] == rank
        ]
        if fitting and self.rng.random() < 0.5:
            return self.choose(fitting)
        name = f"c{len(self.captures)}"
        self.captures.append({"name": name, "dtype": self.choose(types), "rank": rank})
        return len(self.captures) - 1

    def read(self, types: list[str], depth: int) -> int:
        rank = int(self.rng.integers(0, 4))
        indices = [self.computed(self.integer(depth - 1)) for _ in range(rank)]
        return self.add("read", self.capture(types, rank), *indices)

    def computed(self, number: int) -> int:
        """An index that is clamped: constant ones out of range are refused."""
        if self.nodes[number][0] != "const":
            return number
        return self.add("iadd", number, self.add("size", "B"))

    def constant(self) -> int:
        small = [0, 1, 2, 3, 5, 7, 16, 33, 64, -1, -2, -7]
        rare = [2**62, -(2**63), 2**63 - 1, 1 << 40, 65, -64]
        value = self.choose(rare if self.rng.random() < 0.05 else small)
        return self.add("const", "i64", value)

    def integer(self, depth: int) -> int:
        """An i64 of positions, sizes, constants, captures and arithmetic."""
        roll = self.rng.random()
        if depth <= 0 or roll < 0.25:
            if self.rng.random() < 0.75 and self.index:
                return self.choose(list(self.index.values()))
            if self.rng.random() < 0.25:
                return self.add("size", self.choose(SIZES))
            return self.constant()
        if roll < 0.75:
            op = self.choose(INT_BINARY)
            return self.add(op, self.integer(depth - 1), self.integer(depth - 1))
        if roll < 0.82:
            return self.add(self.choose(INT_UNARY), self.integer(depth - 1))
        if roll < 0.88:
            return self.read(INT_TYPES, depth)
        if roll < 0.92:
            return self.add("i1_to_i64", self.boolean(depth - 1))
        if roll < 0.96:
            value = self.read(["f16", "bf16", "f32"], depth)
            scaled = self.add("fmul", value, self.add("const", "f", (16.0).hex()))
            return self.add("to_int", scaled)
        return self.add(
            "select",
            self.boolean(depth - 1),
            self.integer(depth - 1),
            self.integer(depth - 1),
        )

    def boolean(self, depth: int) -> int:
        """An i1 of comparisons of integers, captures and connectives."""
        roll = self.rng.random()
        if depth <= 0 or roll < 0.6:
            op = self.choose(INT_COMPARE)
            return self.add(op, self.integer(depth - 1), self.integer(depth - 1))
        if roll < 0.66:
            return self.read(["i1"], depth)
        if roll < 0.72:
            value = self.read(["f16", "bf16", "f32"], depth)
            limit = self.add("const", "f", (0.25).hex())
            op = self.choose(["feq", "fne", "flt", "fle", "fgt", "fge"])
            return self.add(op, value, limit)
        if roll < 0.78:
            return self.add("bnot", self.boolean(depth - 1))
        if roll < 0.82:
            return self.add("const", "i1", bool(self.rng.integers(2)))
        op = self.choose(["band", "bor", "bxor"])
        return self.add(op, self.boolean(depth - 1), self.boolean(depth - 1))

    def small(self, depth: int) -> int:
        """A float in about [-2, 2] that does not see the score."""
        roll = self.rng.random()
        if depth <= 0 or roll < 0.2:
            return self.add("const", "f", float(self.rng.uniform(-2, 2)).hex())
        if roll < 0.45:
            return self.read(FLOAT_TYPES, depth)
        if roll < 0.6:
            wide = self.add("i64_to_f", self.modest(depth - 1))
            scale = self.add("const", "f", float(self.rng.uniform(0.001, 0.1)).hex())
            return self.add(self.choose(FLOAT_BOUNDED), self.add("fmul", wide, scale))
        if roll < 0.7:
            return self.add("i1_to_f", self.boolean(depth - 1))
        if roll < 0.9:
            return self.function(self.small(depth - 1), depth)
        return self.add(
            "select",
            self.boolean(depth - 1),
            self.small(depth - 1),
            self.small(depth - 1),
        )

    def modest(self, depth: int) -> int:
        """An integer within a few hundred: a float of it is exact."""
        return self.add("mod", self.integer(depth), self.add("const", "i64", 257))

    def function(self, x: int, depth: int) -> int:
        """A bounded function of a bounded value."""
        half = self.add("const", "f", (0.5).hex())
        one = self.add("const", "f", (1.0).hex())
        positive = self.add("fadd", self.add("fabs", x), half)
        calls = [
            lambda: self.add(self.choose([*FLOAT_BOUNDED, "silu", "gelu"]), x),
            lambda: self.add("fneg", x),
            lambda: self.add("fmul", half, self.add("exp", self.add("tanh", x))),
            lambda: self.add("exp2", self.add("fneg", self.add("fabs", x))),
            lambda: self.add(self.choose(["log", "log2", "sqrt", "rsqrt"]), positive),
            lambda: self.add("log1p", self.add("fabs", x)),
            lambda: self.add("softplus", self.add("tanh", x)),
            lambda: self.add("pow", positive, self.add("tanh", x)),
            lambda: self.add("fdiv", x, self.add("fadd", one, self.add("fmul", x, x))),
            lambda: self.add("fmul", half, self.add("fadd", x, self.small(depth - 1))),
            lambda: self.add("fsub", self.add("fmul", half, x), self.small(0)),
            lambda: self.add("fmul", self.add("tanh", x), self.small(depth - 1)),
            lambda: self.add(self.choose(["fmin", "fmax"]), x, self.small(depth - 1)),
        ]
        return self.choose(calls)()


def random_score(rng: np.random.Generator, captures: list[dict], depth: int) -> dict:
    """A score region: the score, scaled, capped or bent, plus a bias."""
    maker = RegionMaker(rng, "s b h q kv", captures)
    s = maker.scalars["s"]
    for _ in range(int(rng.integers(0, 3))):
        cap = maker.add("const", "f", float(rng.uniform(2, 30)).hex())
        bends = [
            lambda s=s, cap=cap: maker.add(
                "fmul", cap, maker.add("tanh", maker.add("fdiv", s, cap))
            ),
            lambda s=s: maker.add("fmul", s, maker.small(depth)),
            lambda s=s: maker.add("fadd", s, maker.small(depth)),
            lambda s=s, cap=cap: maker.add("fmin", s, cap),
            lambda s=s: maker.add("fneg", s),
            lambda s=s: maker.add("silu", s),
            lambda s=s: maker.add(
                "select", maker.boolean(depth), s, maker.small(depth)
            ),
        ]
        s = maker.choose(bends)()
    if rng.random() < 0.7:
        s = maker.add("fadd", s, maker.small(depth))
    if rng.random() < 0.2:
        hidden = maker.add("const", "f", "-inf")
        s = maker.add("select", maker.boolean(depth), s, hidden)
    return maker.finish(s)


def random_mask(rng: np.random.Generator, captures: list[dict], depth: int) -> dict:
    """A mask region: often a familiar shape, sometimes anything."""
    maker = RegionMaker(rng, "b h q kv", captures)
    q, kv = maker.index["q"], maker.index["kv"]
    distance = maker.add("isub", q, kv)
    width = maker.add("const", "i64", int(rng.integers(1, 40)))
    zero = maker.add("const", "i64", 0)
    causal = maker.add("ige", q, kv)
    document = maker.capture(INT_TYPES, 1)
    shapes = [
        lambda: causal,
        lambda: maker.add("band", causal, maker.add("ilt", distance, width)),
        lambda: maker.add("bor", causal, maker.add("ilt", kv, width)),
        lambda: maker.add("ilt", maker.add("iabs", distance), width),
        lambda: maker.add(
            "ieq", maker.add("read", document, q), maker.add("read", document, kv)
        ),
        lambda: maker.add("ieq", maker.add("mod", distance, width), zero),
        lambda: maker.add(
            "ieq",
            maker.add("floordiv", q, width),
            maker.add("floordiv", kv, width),
        ),
        lambda: maker.boolean(depth),
        lambda: maker.boolean(depth + 1),
    ]
    keep = maker.choose(shapes)()
    if rng.random() < 0.4:
        op = maker.choose(["band", "bor"])
        keep = maker.add(op, keep, maker.choose(shapes)())
    return maker.finish(keep)
