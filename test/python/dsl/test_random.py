"""Random expressions: the Program computes what Python computes.

Integers stay small enough for Python's and the kernel's to be one; // and %
by zero are excluded by hand, the totals have their own tests.
"""

import math
import random

import numpy as np
import pytest
from reference import check_region, evaluate

from fovea import ops
from fovea.dsl import trace_variant

rng = np.random.default_rng(11)
table = rng.integers(-9, 9, (5, 7))
weight = rng.standard_normal(7)
flag = rng.random(7) < 0.5
SCOPE = {"ops": ops, "np": np, "table": table, "weight": weight, "flag": flag}


def integer(r, depth):
    if depth == 0:
        return r.choice(
            ("b", "h", "q", "k", str(r.randint(-5, 5)), f"np.int32({r.randint(1, 9)})")
        )
    x, y = integer(r, depth - 1), integer(r, depth - 1)
    return r.choice(
        (
            f"({x} + {y})", f"({x} - {y})", f"(-{x})", f"abs({x})", f"({x} & {y})",
            f"({x} | {y})", f"({x} ^ {y})", f"(~{x})", f"(({x}) % 1000 * ({y} % 100))",
            f"({x} // (abs({y}) % 7 + 1))", f"({x} % (abs({y}) % 7 + 1))",
            f"({x} % 5) ** {r.randint(0, 4)}", f"ops.minimum({x}, {y})",
            f"ops.maximum({x}, {y})", f"ops.where({boolean(r, depth - 1)}, {x}, {y})",
            f"({boolean(r, depth - 1)} * {x})", f"(({x}) % 64 << ({y}) % 8)",
            f"(({x}) >> ({y}) % 8)", f"table[({x}) % 5, ({y}) % 7]",
            f"table[({x}) % 5][{r.randint(-7, 6)}]", f"ops.clamp({x}, -20, 20)",
            f"ops.to_int({real(r, depth - 1)} % 50)",
        )
    )  # fmt: skip


def real(r, depth):
    if depth == 0:
        return r.choice(
            ("s", str(r.uniform(-2, 2)), "np.float64(0.5)", "weight[q % 7]")
        )
    x, y = real(r, depth - 1), real(r, depth - 1)
    return r.choice(
        (
            f"({x} + {y})", f"({x} - {integer(r, depth - 1)})", f"({x} * {y})", f"(-{x})",
            f"({x} / (abs({y}) + 1))", f"ops.tanh({x})", f"ops.sin({x})", f"abs({x})",
            f"ops.minimum({x}, {y})", f"np.maximum({x}, {y})", f"ops.sigmoid({x})",
            f"ops.where({boolean(r, depth - 1)}, {x}, {y})", f"ops.erf({x})",
            f"({integer(r, depth - 1)} / 3)", f"({x} % 3.5)", f"ops.floor({x})",
            f"weight[({integer(r, depth - 1)}) % 7]", f"np.clip({x}, -3, {y})",
            f"ops.sqrt(abs({x}))", f"ops.softplus({x})", f"ops.tanh({x}) ** 2",
        )
    )  # fmt: skip


def boolean(r, depth):
    if depth == 0:
        return r.choice(
            ("(q >= k)", "flag[k % 7]", "np.True_", "(s > 0.25)", "(h == 2)")
        )
    x, y = integer(r, depth - 1), integer(r, depth - 1)
    a, b = boolean(r, depth - 1), boolean(r, depth - 1)
    sign = r.choice(("<", "<=", ">", ">=", "==", "!="))
    return r.choice(
        (
            f"({x} {sign} {y})", f"({real(r, depth - 1)} {sign} {y})", f"({a} & {b})",
            f"({a} | {b})", f"({a} ^ {b})", f"(~{a})", f"({a} == {b})",
            f"np.logical_and({x}, {b})", f"ops.where({a}, {b}, {x} > 2)",
        )
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(150))
def test_random_expression(seed):
    r = random.Random(seed)
    text = real(r, 4) if seed % 2 else f"{integer(r, 4)} * 1.0"
    code = compile(f"lambda s, b, h, q, k: {text}", f"<seed {seed}>", "eval")
    mod = eval(code, dict(SCOPE))
    variant = trace_variant(mod)
    region = variant.program["score"]
    check_region(region, variant.program["captures"])
    for _ in range(12):
        s = float(rng.standard_normal())
        b, h, q, k = (np.int64(rng.integers(0, n)) for n in (2, 5, 30, 30))
        with np.errstate(all="ignore"):
            want = float(mod(np.float64(s), b, h, q, k))
        given = {"s": s, "b": b, "h": h, "q": q, "kv": k}
        got = float(evaluate(region, given, variant.arrays)[0])
        assert math.isclose(got, want, rel_tol=1e-9, abs_tol=1e-9), text
