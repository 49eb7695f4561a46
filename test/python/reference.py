"""Regions and whole Programs evaluated with NumPy in f64: an oracle.

Written from docs/architecture.md and the rules S1 to S13 alone; shares no code
with the package, so that it can judge both front ends and every engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

I64_MIN, I64_MAX = -(2**63), 2**63 - 1

# -- S8: integers are total ---------------------------------------------------


def _floordiv(x, y):
    safe = np.where((y == 0) | (y == -1), 1, y)
    return np.where(y == 0, 0, np.where(y == -1, -x, x // safe))


def _mod(x, y):
    safe = np.where((y == 0) | (y == -1), 1, y)
    return np.where((y == 0) | (y == -1), 0, x % safe)


def _shl(x, y):
    ok = (y >= 0) & (y < 64)
    return np.where(ok, x << np.where(ok, y, 0), 0)


def _shr(x, y):
    ok = (y >= 0) & (y < 64)
    return np.where(ok, x >> np.where(ok, y, 0), np.where(x < 0, -1, 0))


def _to_int(x):
    low, high = x <= float(I64_MIN), x >= 2.0**63
    inner = np.where(np.isnan(x) | low | high, 0.0, x).astype(np.int64)
    return np.where(low, I64_MIN, np.where(high, I64_MAX, inner))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


_OPS = {
    "iadd": np.add,
    "isub": np.subtract,
    "imul": np.multiply,
    "ineg": np.negative,
    "iabs": np.absolute,
    "imin": np.minimum,
    "imax": np.maximum,
    "floordiv": _floordiv,
    "mod": _mod,
    "iand": np.bitwise_and,
    "ior": np.bitwise_or,
    "ixor": np.bitwise_xor,
    "inot": np.invert,
    "shl": _shl,
    "shr": _shr,
    "fadd": np.add,
    "fsub": np.subtract,
    "fmul": np.multiply,
    "fdiv": np.divide,
    "fneg": np.negative,
    "fabs": np.absolute,
    "fmin": np.minimum,
    "fmax": np.maximum,
    "fmod": lambda x, y: x - np.floor(x / y) * y,
    "pow": np.power,
    "band": np.logical_and,
    "bor": np.logical_or,
    "bxor": np.logical_xor,
    "bnot": np.logical_not,
    "select": np.where,
    "exp": np.exp,
    "exp2": np.exp2,
    "log": np.log,
    "log2": np.log2,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sin": np.sin,
    "cos": np.cos,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "erf": _erf,
    "floor": np.floor,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.absolute(x))),
    "gelu": lambda x: x / 2 * (1 + _erf(x / math.sqrt(2))),
    "silu": lambda x: x * _sigmoid(x),
    "i1_to_i64": lambda x: x.astype(np.int64),
    "i1_to_f": lambda x: x.astype(np.float64),
    "i64_to_f": lambda x: x.astype(np.float64),
    "to_int": _to_int,
}
for _name, _function in {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}.items():
    _OPS["i" + _name] = _OPS["f" + _name] = _function


# Operand and result types, from the table of docs/architecture.md.
def _signature(op: str) -> tuple[tuple[str, ...], str]:
    if op in ("ineg", "iabs", "inot"):
        return ("i64",), "i64"
    if op in ("fneg", "fabs"):
        return ("f",), "f"
    if op == "bnot":
        return ("i1",), "i1"
    if op in ("band", "bor", "bxor"):
        return ("i1", "i1"), "i1"
    if op[1:] in ("eq", "ne", "lt", "le", "gt", "ge"):
        kind = "i64" if op[0] == "i" else "f"
        return (kind, kind), "i1"
    if op in ("floordiv", "mod", "shl", "shr") or (op[0] == "i" and "_to_" not in op):
        return ("i64", "i64"), "i64"
    conversions = {
        "i1_to_i64": ("i1", "i64"),
        "i1_to_f": ("i1", "f"),
        "i64_to_f": ("i64", "f"),
        "to_int": ("f", "i64"),
    }
    if op in conversions:
        source, result = conversions[op]
        return (source,), result
    if op in ("fadd", "fsub", "fmul", "fdiv", "fmin", "fmax", "fmod", "pow"):
        return ("f", "f"), "f"
    return ("f",), "f"


def check_region(region: Mapping[str, Any], captures: Sequence[Mapping]) -> list[str]:
    """Types of all nodes; AssertionError where the region is ill-formed."""
    types: list[str] = []
    for number, node in enumerate(region["nodes"]):
        op = node[0]
        if op == "arg":
            assert node[1] in region["args"], node
            types.append("f" if node[1] in ("s", "t", "o", "l") else "i64")
        elif op == "const":
            assert type(node[2]) is {"i1": bool, "i64": int, "f": str}[node[1]], node
            types.append(node[1])
        elif op == "read":
            capture = captures[node[1]]
            assert len(node) - 2 == capture["rank"], node
            assert all(i < number and types[i] == "i64" for i in node[2:]), node
            kind = capture["dtype"]
            types.append("i1" if kind == "i1" else "f" if kind[0] in "fb" else "i64")
        elif op == "extent":
            assert 0 <= node[2] < captures[node[1]]["rank"], node
            types.append("i64")
        elif op == "size":
            assert node[1] in ("B", "H", "Hk", "M", "N", "D", "E"), node
            types.append("i64")
        else:
            assert all(0 <= i < number for i in node[1:]), node
            have = tuple(types[i] for i in node[1:])
            if op == "select":
                assert have[0] == "i1" and have[1] == have[2] and len(have) == 3, node
                types.append(have[1])
            else:
                want, result = _signature(op)
                assert op in _OPS and have == want, (node, have, want)
                types.append(result)
    assert all(0 <= r < len(types) for r in region["results"])
    return types


def evaluate(
    region: Mapping[str, Any],
    arguments: Mapping[str, Any],
    captures: Sequence[np.ndarray] = (),
    sizes: Mapping[str, int] | None = None,
    params: Mapping[str, Any] | None = None,
    score_type: Any = np.float64,
) -> list[np.ndarray]:
    """The results of a region over broadcastable arrays of arguments.

    Parameters
    ----------
    region : mapping
        REGION of docs/architecture.md.
    arguments : mapping
        By name: f for s t o l, int64 otherwise.
    captures : sequence of array
        In the Program's order; converted on reading (S13), indices are
        clamped (S7).
    score_type : dtype
        What each float is rounded to: f64, or f32 as a plain computation does.
    """
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for node in region["nodes"]:
            value = _node(node, values, arguments, captures, sizes or {}, params or {})
            if score_type != np.float64 and np.asarray(value).dtype == np.float64:
                value = np.asarray(value, score_type).astype(np.float64)
            values.append(value)
    return [values[number] for number in region["results"]]


def _node(node, values, arguments, captures, sizes, params):
    op = node[0]
    if op == "arg":
        kind = np.float64 if node[1] in ("s", "t", "o", "l") else np.int64
        return np.asarray(arguments[node[1]], kind)
    if op == "const":
        if node[1] == "f":
            return np.float64(float.fromhex(node[2]))
        return np.bool_(node[2]) if node[1] == "i1" else np.int64(node[2])
    if op == "read":
        return _read(np.asarray(captures[node[1]]), [values[i] for i in node[2:]])
    if op == "extent":
        return np.int64(captures[node[1]].shape[node[2]])
    if op == "size":
        return np.int64(sizes[node[1]])
    if op == "param":
        return np.asarray(params[node[1]])[()]
    return _OPS[op](*(np.asarray(values[i]) for i in node[1:]))


def _read(array, index):
    if 0 in array.shape:
        got = np.zeros(np.broadcast_shapes(*(np.shape(i) for i in index)))
    else:
        bounded = zip(index, array.shape, strict=True)
        got = array[tuple(np.clip(i, 0, n - 1) for i, n in bounded)]
    if array.dtype == np.bool_:
        return np.asarray(got, np.bool_)
    return np.asarray(got, np.int64 if array.dtype.kind in "iu" else np.float64)


# -- whole attention ------------------------------------------------------------


class _Rounding:
    """What is rounded to what: nothing, or as the plain computation does.

    The plain computation (design, the judge) accumulates in the score type and
    rounds q.k, the weights and the output to the working type.
    """

    def __init__(self, working: Any) -> None:
        self.working = None if working is None else np.dtype(working)
        wide = self.working is not None and self.working.itemsize > 4
        self.accumulate = np.float64 if working is None or wide else np.float32

    def work(self, x):
        if self.working is None:
            return x
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(self.working).astype(np.float64)

    def score(self, x):
        with np.errstate(all="ignore"):
            return np.asarray(x).astype(self.accumulate).astype(np.float64)

    def total(self, x):
        """Row sums; plainly, one term after the other in the score type."""
        total = np.zeros(x.shape[0], self.accumulate)
        for column in x.T:
            total += column.astype(self.accumulate)
        return total.astype(np.float64)

    def product(self, x, y):
        """x @ y; plainly, one term after the other in the score type."""
        if self.accumulate == np.float64:
            return x @ y
        x, y = x.astype(np.float32), y.astype(np.float32)
        total = np.zeros((x.shape[0], y.shape[1]), np.float32)
        for column, line in zip(x.T, y, strict=True):
            total += column[:, None] * line
        return total.astype(np.float64)


def _as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _per_batch(value, default, batches):
    value = default if value is None else value
    return np.broadcast_to(np.asarray(value, np.int64), (batches,))


class _Row:
    """The normaliser's regions with one (b, h)'s arguments filled in."""

    def __init__(self, program, captures, sizes, rounding):
        self.captures, self.sizes, self.rounding = captures, sizes, rounding
        normalizer = program["normalizer"]
        self.softmax = normalizer == "softmax"
        self.regions = {} if self.softmax else normalizer

    def has(self, name):
        return (self.softmax and name in ("stat", "denom")) or bool(
            self.regions.get(name)
        )

    def __call__(self, name, **arguments):
        if self.softmax:
            s = arguments["s"]
            with np.errstate(all="ignore"):
                if name == "stat":
                    return s
                score = self.rounding.score
                return score(np.exp(score(s - arguments["t"])))
        region = self.regions[name]
        results = evaluate(
            region,
            arguments,
            self.captures,
            self.sizes,
            score_type=self.rounding.accumulate,
        )
        shape = np.broadcast_shapes(*(np.shape(a) for a in arguments.values()))
        results = [np.broadcast_to(r, shape) for r in results]
        return results if name == "seed" else results[0]


def reference_attention(
    program: Mapping[str, Any],
    q: Any,
    k: Any,
    v: np.ndarray,
    captures: Sequence[np.ndarray] = (),
    scale: Any = None,
    *,
    q_offset: Any = 0,
    kv_offset: Any = 0,
    q_lengths: Any = None,
    kv_lengths: Any = None,
    visible: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    working: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(out, lse) of a Program in f64, by the rules S1 to S11.

    Parameters
    ----------
    program : mapping
        D and E are not looked at; shapes come from the tensors.
    q, k : array or sequence of arrays
        [B,Hq,M,D] and [B or 1,Hk,N,D], one per (query, key) pair.
    v : array
        [B or 1,Hk,N,E].
    visible : bool array, optional
        Further mask [B,H,M,N], broadcastable.
    classes : int array, optional
        A block mask's class of every pair [B,H,M,N], broadcastable: 0 hides it,
        1 asks the Program's mask, 2 shows it whatever that says.
    working : dtype, optional
        Give the plain computation in this type instead of the exact one.

    Returns
    -------
    out : array [B,Hq,M,E], f64
    lse : array [B,Hq,M], f64; NaN where the normaliser has no denominator
    """
    queries = [np.asarray(x, np.float64) for x in _as_list(q)]
    keys = [np.asarray(x, np.float64) for x in _as_list(k)]
    v = np.asarray(v, np.float64)
    captures = [np.asarray(c) for c in captures]
    batches, heads, rows, _ = queries[0].shape
    groups, count, width = v.shape[1:]
    scales = [None] * len(queries) if scale is None else _as_list(scale)
    sizes = {"B": batches, "H": heads, "Hk": groups, "M": rows, "N": count}
    sizes |= {"D": queries[0].shape[3], "E": width}
    offsets = _per_batch(q_offset, 0, batches), _per_batch(kv_offset, 0, batches)
    lengths = (
        _per_batch(q_lengths, rows, batches),
        _per_batch(kv_lengths, count, batches),
    )
    rounding = _Rounding(working)
    row = _Row(program, captures, sizes, rounding)
    out = np.zeros((batches, heads, rows, width))
    lse = np.full((batches, heads, rows), np.nan)
    for b in range(batches):
        m = np.arange(rows, dtype=np.int64)[:, None] + offsets[0][b]
        n = np.arange(count, dtype=np.int64)[None, :] + offsets[1][b]
        inside = (np.arange(rows) < lengths[0][b])[:, None] & (
            np.arange(count) < lengths[1][b]
        )
        for h in range(heads):
            at = {"b": np.int64(b), "h": np.int64(h), "q": m, "kv": n}
            s = _scores(rounding, queries, keys, scales, b, h, heads // groups)
            of_pairs = None
            if classes is not None:
                full_shape = (batches, heads, rows, count)
                of_pairs = np.broadcast_to(classes, full_shape)[b, h]
            s, seen = _modify(rounding, program, s, at, captures, sizes, of_pairs)
            seen = seen & inside
            if visible is not None:
                seen = (
                    seen & np.broadcast_to(visible, (batches, heads, rows, count))[b, h]
                )
            values = v[b if v.shape[0] > 1 else 0, h // (heads // groups)]
            out[b, h], lse[b, h] = _row_pass(
                row, rounding, rounding.score(s), seen, at, values
            )
    return rounding.work(out), rounding.score(lse)


def _scores(rounding, queries, keys, scales, b, h, group):
    total = 0.0
    for x, y, scale in zip(queries, keys, scales, strict=True):
        factor = 1 / math.sqrt(max(1, x.shape[3])) if scale is None else scale
        kb = b if y.shape[0] > 1 else 0
        with np.errstate(all="ignore"):
            product = rounding.product(x[b, h], y[kb, h // group].T)
            total = total + factor * rounding.work(product)
    return rounding.score(total)


def _modify(rounding, program, s, at, captures, sizes, classes):
    if program["score"]:
        s = evaluate(
            program["score"],
            {"s": s} | at,
            captures,
            sizes,
            score_type=rounding.accumulate,
        )[0]
    shape = np.broadcast_shapes(at["q"].shape, at["kv"].shape)
    s = np.broadcast_to(s, shape)
    keep = np.ones(shape, bool)
    if program["mask"]:
        keep = evaluate(program["mask"], at, captures, sizes)[0]
    if classes is not None:
        keep = (classes == 2) | ((classes == 1) & keep)
    return s, keep & (s != -np.inf)


def _row_pass(row, rounding, s, seen, at, values):
    rows, width = s.shape[0], values.shape[1]
    b, h, q = at["b"], at["h"], at["q"]
    t0, l0 = np.full(rows, -np.inf), np.zeros(rows)
    if row.has("seed"):
        t0, l0 = row("seed", b=b, h=h, q=q[:, 0])
    e = np.arange(width, dtype=np.int64)[None, :]
    o = np.zeros((rows, width))
    if row.has("seed_value"):
        o = row("seed_value", b=b, h=h, q=q, e=e)
    t = np.zeros(rows)
    factor = np.ones(rows)
    if row.has("stat"):
        stat = np.where(seen, row("stat", s=s), -np.inf)
        t = np.maximum(t0, np.max(stat, axis=1, initial=-np.inf))
        with np.errstate(all="ignore"):
            factor = np.where(t == t0, 1.0, np.exp(t0 - t))
    inputs = {"s": s, "t": t[:, None], "b": b, "h": h, "q": q, "kv": at["kv"]}
    weight = row("weight", **inputs)
    with np.errstate(all="ignore"):
        weight = rounding.work(rounding.score(weight))
        o = o * factor[:, None] + _weighted(rounding, weight, seen, values)
        total = l0 * factor
        if row.has("denom"):
            denom = np.where(seen, row("denom", **inputs), 0.0)
            total = rounding.score(total + rounding.total(denom))
            logarithm = rounding.score(np.log(np.where(total == 0, 1.0, total)))
            lse = np.where(total == 0, -np.inf, t + logarithm)
        else:
            lse = np.full(rows, np.nan)
        out = _finish(row, o, total, t, b, h, q, e)
    return out, lse


def _weighted(rounding, weight, seen, values):
    """Sums over visible keys only: what is not seen is not multiplied (S11)."""
    if np.isfinite(values).all():
        return rounding.product(np.where(seen, weight, 0.0), values)
    products = np.where(seen[:, :, None], weight[:, :, None] * values[None], 0.0)
    return products.sum(axis=1)


def _finish(row, o, total, t, b, h, q, e):
    finish = "o/l" if row.softmax else row.regions["finish"]
    if finish == "o":
        return o
    dead = (total == 0)[:, None]
    if finish == "o/l":
        return np.where(dead, 0.0, o / np.where(dead, 1.0, total[:, None]))
    done = row("finish", o=o, l=total[:, None], t=t[:, None], b=b, h=h, q=q, e=e)
    return np.where(dead, 0.0, done) if row.has("denom") else done
