"""A stand-in for the compiled module: Programs evaluated with NumPy.

For tests of the Python layer alone (FOVEA_FAKE_NATIVE=1): the same contract as
``python-bindings/fovea/_native.pyi``, evaluated densely in float64.
"""

from __future__ import annotations

import json
import math

import numpy as np

from fovea import _tensors

_cache: dict[tuple, Kernel] = {}
_stats = {"compiles": 0, "memory_hits": 0, "disk_hits": 0}
_threads = 2
_classes: dict[str, type[BaseException]] = {}

_erf = np.vectorize(math.erf, otypes=[float])


def _floor_mod(x, y):
    return x - np.floor(x / y) * y


def _int_div(x, y):
    return np.where(y == 0, 0, x // np.where(y == 0, 1, y))


def _int_mod(x, y):
    return np.where(y == 0, 0, x % np.where(y == 0, 1, y))


def _shl(x, y):
    good = (y >= 0) & (y < 64)
    return np.where(good, np.left_shift(x, np.where(good, y, 0)), 0)


def _shr(x, y):
    good = (y >= 0) & (y < 64)
    return np.where(good, np.right_shift(x, np.where(good, y, 0)), -(x < 0))


def _to_int(x):
    x = np.where(np.isnan(x), 0, x)
    clipped = np.clip(x, -(2.0**63), 2.0**63 - 1024)
    return np.where(x >= 2.0**63, np.int64(2**63 - 1), clipped.astype(np.int64))


OPS = {
    "iadd": np.add, "isub": np.subtract, "imul": np.multiply, "ineg": np.negative,
    "iabs": np.abs, "imin": np.minimum, "imax": np.maximum,
    "floordiv": _int_div, "mod": _int_mod,
    "iand": np.bitwise_and, "ior": np.bitwise_or, "ixor": np.bitwise_xor,
    "inot": np.invert, "shl": _shl, "shr": _shr,
    "fadd": np.add, "fsub": np.subtract, "fmul": np.multiply, "fdiv": np.divide,
    "fneg": np.negative, "fabs": np.abs, "fmin": np.minimum, "fmax": np.maximum,
    "fmod": _floor_mod, "pow": np.power,
    "band": np.logical_and, "bor": np.logical_or, "bxor": np.logical_xor,
    "bnot": np.logical_not,
    "ieq": np.equal, "ine": np.not_equal, "ilt": np.less, "ile": np.less_equal,
    "igt": np.greater, "ige": np.greater_equal,
    "feq": np.equal, "fne": np.not_equal, "flt": np.less, "fle": np.less_equal,
    "fgt": np.greater, "fge": np.greater_equal,
    "select": np.where,
    "exp": np.exp, "exp2": np.exp2, "log": np.log, "log2": np.log2,
    "log1p": np.log1p, "tanh": np.tanh, "sin": np.sin, "cos": np.cos,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "erf": _erf,
    "floor": np.floor, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "gelu": lambda x: x / 2 * (1 + _erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "i1_to_i64": lambda x: x.astype(np.int64),
    "i1_to_f": lambda x: x.astype(float), "i64_to_f": lambda x: x.astype(float),
    "to_int": _to_int,
}  # fmt: skip


def evaluate(region, args, captures, sizes, params):
    """The results of a region, its arguments broadcast arrays."""
    values = []
    for node in region["nodes"]:
        kind = node[0]
        if kind == "arg":
            value = args[node[1]]
        elif kind == "const":
            value = float.fromhex(node[2]) if node[1] == "f" else node[2]
            value = np.asarray(value)
        elif kind == "read":
            array = captures[node[1]]
            index = tuple(
                np.clip(values[i], 0, extent - 1)
                for i, extent in zip(node[2:], array.shape, strict=True)
            )
            value = array[index] if index else array
        elif kind == "extent":
            value = np.asarray(captures[node[1]].shape[node[2]])
        elif kind == "size":
            value = np.asarray(sizes[node[1]])
        elif kind == "param":
            value = np.asarray(params[node[1]])
        else:
            value = OPS[kind](*(values[i] for i in node[1:]))
        values.append(np.asarray(value))
    return [values[i] for i in region["results"]]


def _array(tensor):
    array = _tensors.view(tensor, None, writable=True)
    return array


def _capture(tensor):
    array = _array(tensor)
    dtype = tensor[1]
    if dtype == "bf16":
        return _tensors.bf16_to_f32(array).astype(float)
    if dtype == "i1":
        return array.astype(bool)
    return array.astype(float if dtype[0] == "f" else np.int64)


def _float(tensor):
    array = _array(tensor)
    if tensor[1] == "bf16":
        return _tensors.bf16_to_f32(array).astype(float)
    return array.astype(float)


def _store(tensor, values):
    array = _array(tensor)
    if tensor[1] == "bf16":
        values = _tensors.f32_to_bf16(np.asarray(values, np.float32))
    array[...] = values


def _indices(B, H, M, N, q_offset=None, kv_offset=None):
    zeros = np.zeros(B, np.int64)
    q_offset = zeros if q_offset is None else np.asarray(q_offset)
    kv_offset = zeros if kv_offset is None else np.asarray(kv_offset)
    return {
        "b": np.arange(B)[:, None, None, None],
        "h": np.arange(H)[None, :, None, None],
        "q": np.arange(M)[None, None, :, None] + q_offset[:, None, None, None],
        "kv": np.arange(N)[None, None, None, :] + kv_offset[:, None, None, None],
    }


class Kernel:
    def __init__(self, program, target, schedule):
        self.program = program
        self.target = target or "cpu"
        self.schedule = schedule or "m=64,n=64"

    def ir(self, level):
        return f"// {level}\n{json.dumps(self.program)}"

    def info(self):
        return json.dumps(
            {
                "name": self.program["name"],
                "target": self.target,
                "schedule": self.schedule,
            }
        )

    def object(self):
        return b""

    @np.errstate(all="ignore")
    def launch(
        self, queries, keys, value, out, lse, captures, scales,
        q_offset, kv_offset, q_lengths, kv_lengths, block_classes, block_size,
    ):  # fmt: skip
        q, k, v = _float(queries[0]), _float(keys[0]), _float(value)
        B, H, M, D = q.shape
        Hk, N = k.shape[1:3]
        sizes = {"B": B, "H": H, "Hk": Hk, "M": M, "N": N, "D": D, "E": v.shape[3]}
        k = np.broadcast_to(np.repeat(k, H // Hk, 1), (B, H, N, D))
        v = np.broadcast_to(np.repeat(v, H // Hk, 1), (B, H, N, v.shape[3]))
        s = np.einsum("bhmd,bhnd->bhmn", q, k) * scales[0]
        args = _indices(B, H, M, N, q_offset, kv_offset)
        self._more = (
            [_capture(c) for c in captures],
            sizes,
            {p["name"]: p["value"] for p in self.program.get("params", ())},
        )
        self._args = args
        s, visible = self._scores(s, q_lengths, kv_lengths, block_classes, block_size)
        state = self._normalize(s, visible, v)
        result, logsum = self._finish(*state, q_lengths)
        _store(out, result)
        if lse is not None:
            _store(lse, logsum)

    def _region(self, part, **extra):
        region = (
            self.program.get(part)
            if part in ("score", "mask")
            else self.program["normalizer"].get(part)
        )
        if region is None:
            return None
        return evaluate(region, {**self._args, **extra}, *self._more)

    def _scores(self, s, q_lengths, kv_lengths, block_classes, block_size):
        B, _, M, N = s.shape
        if self.program.get("score"):
            s = np.broadcast_to(self._region("score", s=s)[0], s.shape)
        visible = np.ones(s.shape, bool)
        if self.program.get("mask"):
            visible &= self._region("mask")[0]
        if block_classes is not None:
            tiles = _array(block_classes)
            tiles = np.repeat(np.repeat(tiles, block_size[0], 2), block_size[1], 3)
            tiles = tiles[:, :, :M, :N]
            visible = (visible & (tiles == 1)) | (tiles == 2)
        if kv_lengths is not None:
            visible &= (np.arange(N)[None, :] < np.asarray(kv_lengths).reshape(B, 1))[
                :, None, None, :
            ]
        if q_lengths is not None:
            visible &= (np.arange(M)[None, :] < np.asarray(q_lengths).reshape(B, 1))[
                :, None, :, None
            ]
        return s, visible & ~np.isneginf(s)

    def _normalize(self, s, visible, v):
        shape = s.shape[:3]
        normalizer = self.program["normalizer"]
        t0, l0 = np.full(shape, -np.inf), np.zeros(shape)
        o0 = np.zeros((*shape, v.shape[3]))
        if normalizer == "softmax":
            stat, has_stat = s, True
        else:
            has_stat = normalizer.get("stat") is not None
            stat = self._region("stat", s=s)[0] if has_stat else s
            if normalizer.get("seed"):
                t0, l0 = (
                    np.broadcast_to(x, (*shape, 1))[..., 0] * 1.0
                    for x in self._region("seed")
                )
            if normalizer.get("seed_value"):
                e = np.arange(v.shape[3])[None, None, None, :]
                value = self._region("seed_value", e=e)[0]
                o0 = np.broadcast_to(value, o0.shape) * 1.0
        stat = np.where(visible, stat, -np.inf)
        t = np.maximum(t0, stat.max(-1, initial=-np.inf)) if has_stat else t0 * 0
        if not has_stat:
            t = np.zeros(shape)
            factor = np.ones(shape)
        else:
            factor = np.where(np.isneginf(t0), 0, np.exp(t0 - t))
        anchor = np.where(np.isneginf(t), 0, t)[..., None]
        if normalizer == "softmax":
            weight = denom = np.exp(s - anchor)
        else:
            weight = np.broadcast_to(self._region("weight", s=s, t=anchor)[0], s.shape)
            denom = self._region("denom", s=s, t=anchor)
            denom = None if denom is None else np.broadcast_to(denom[0], s.shape)
        weight = np.where(visible, weight, 0)
        v = np.where(visible.any((1, 2))[:, None, :, None], v, 0)
        o = o0 * (l0 * factor)[..., None] + np.einsum("bhmn,bhne->bhme", weight, v)
        total = l0 * factor
        if denom is not None:
            total = total + np.where(visible, denom, 0).sum(-1)
        return o, total, t, denom is not None

    def _finish(self, o, total, t, has_denom, q_lengths):
        with np.errstate(all="ignore"):
            logsum = np.where(total == 0, -np.inf, t + np.log(total))
        finish = "o/l"
        if self.program["normalizer"] != "softmax":
            finish = self.program["normalizer"]["finish"]
        row = total[..., None]
        if finish == "o":
            result = o
        elif finish == "o/l":
            result = o / row
        else:
            e = np.arange(o.shape[3])[None, None, None, :]
            args = {**self._args, "q": self._args["q"]}
            self._args = args
            result = np.broadcast_to(
                self._region("finish", o=o, l=row, t=t[..., None], e=e)[0], o.shape
            )
        if has_denom:
            result = np.where(row == 0, 0, result)
        return result, logsum


def compile(
    source, *, kind="program", name=None, variant=None, dtype=None, head_dim=0,
    value_dim=-1, target=None, schedule=None, want_lse=-1, want_block_mask=-1,
    defines=None,
):  # fmt: skip
    program = json.loads(source)
    key = (source, target, schedule)
    if key in _cache:
        _stats["memory_hits"] += 1
        return _cache[key], "memory", 0.0
    _stats["compiles"] += 1
    _cache[key] = Kernel(program, target, schedule)
    return _cache[key], "compiled", 1.5


def _dense(program, captures, sizes, offsets):
    program = json.loads(program)
    B, H, M, N = sizes
    args = _indices(B, H, M, N, [offsets[0]] * B, [offsets[1]] * B)
    names = {"B": B, "H": H, "Hk": H, "M": M, "N": N, "D": 1, "E": 1}
    more = ([_capture(c) for c in captures], names, {})
    with np.errstate(all="ignore"):
        if program.get("mask"):
            result = evaluate(program["mask"], args, *more)[0]
        else:
            s = np.zeros(sizes)
            result = ~np.isneginf(
                evaluate(program["score"], {**args, "s": s}, *more)[0]
            )
    return np.broadcast_to(result, sizes)


def mask_classes(program, captures, sizes, offsets, block_size, out):
    dense = _dense(program, captures, sizes, offsets)
    B, H, M, N = sizes
    bq, bn = block_size
    Q, K = -(-M // bq), -(-N // bn)
    padded = np.zeros((B, H, Q * bq, K * bn), bool)
    padded[:, :, :M, :N] = dense
    tiles = padded.reshape(B, H, Q, bq, K, bn)
    some, every = tiles.any((3, 5)), tiles.all((3, 5))
    _array(out)[...] = np.where(every, 2, np.where(some, 1, 0))


def mask_dense(program, captures, sizes, offsets, out):
    _array(out)[...] = _dense(program, captures, sizes, offsets)


def parse_attn(text, name, defines=None):
    raise _classes["parse"](f"{name}:1:1: error: the stand-in reads no .attn files")


def set_num_threads(n):
    global _threads
    _threads = n or 2


def num_threads():
    return _threads


def cache_info():
    return (*_stats.values(), len(_cache))


def clear_cache(on_disk=False):
    _cache.clear()
    for key in _stats:
        _stats[key] = 0


def config():
    return json.dumps(
        {
            "version": "0.1.0",
            "llvm": "none",
            "cpu": "stand-in",
            "cpu_features": [],
            "targets": ["cpu", "interpreter", "x86-64-v3"],
            "threads": _threads,
            "gpus": [],
            "ptxas": None,
            "cache_dir": None,
        }
    )


def set_exceptions(classes):
    _classes.update(classes)
