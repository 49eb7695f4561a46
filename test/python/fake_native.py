"""A stand-in for the compiled module: Programs evaluated with NumPy.

For tests of the Python layer alone (FOVEA_FAKE_NATIVE=1): the same contract as
``python-bindings/fovea/_native.pyi``, evaluated densely in float64.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from reference import evaluate, reference_attention

from fovea import _tensors
from fovea._mask_runs import TileRuns
from fovea.dsl import recheck

_cache: dict[tuple, Kernel] = {}
_stats = {"compiles": 0, "memory_hits": 0, "disk_hits": 0}
_threads = 2
_classes: dict[str, type[BaseException]] = {}


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


def _without_params(part, values):
    """A Program, or a part of one, with its compile-time parameters folded."""
    if isinstance(part, dict):
        return {key: _without_params(x, values) for key, x in part.items()}
    if isinstance(part, list):
        if part and part[0] == "param":
            return ["const", *values[part[1]]]
        return [_without_params(x, values) for x in part]
    return part


def _classes_of(block_mask):
    """The array of classes of a launch's runs."""
    _, offsets, runs, count, shape = block_mask
    rows = int(np.prod(shape[:3]))
    starts = _array((offsets, "i64", (rows + 1,), (1,)))
    entries = _array((runs, "i32", (count,), (1,)))
    tiles = TileRuns(starts, entries, shape, {})
    return tiles.classes()


class Plan:
    """Compares by `recheck` alone."""

    def __init__(self, steps, slots):
        self._steps, self._slots = steps, slots

    def arrays(self, roots):
        found = recheck.run_plan(self._steps, roots)
        return None if found is None else [found[slot] for slot in self._slots]


class Variants:
    """Knows no call."""

    def __init__(self, running):
        pass

    def add(self, *arguments):
        pass

    def repeat(self, *arguments):
        return None

    forget = add


class Follower(Variants):
    geometry = None
    follow = Variants.add


class Kernel:
    def __init__(self, program, target, schedule):
        values = {p["name"]: (p["dtype"], p["value"]) for p in program["params"]}
        self.program = _without_params({**program, "params": []}, values)
        self.target = target or "cpu"
        self.schedule = schedule or "m=64,n=64"

    def remember(self, *arguments):
        pass

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

    def launch(
        self, queries, keys, value, out, lse, captures, scales,
        q_offset, kv_offset, q_lengths, kv_lengths, block_mask, block_size,
    ):  # fmt: skip
        program = self.program
        q, k, v = _float(queries[0]), _float(keys[0]), _float(value)
        arrays = [_capture(c) for c in captures]
        visible = None
        if block_mask is not None:
            visible, program = self._tiles(
                q,
                k,
                v,
                arrays,
                q_offset,
                kv_offset,
                _classes_of(block_mask),
                block_size,
            )
        given = {
            "q_offset": 0 if q_offset is None else np.asarray(q_offset),
            "kv_offset": 0 if kv_offset is None else np.asarray(kv_offset),
            "q_lengths": None if q_lengths is None else np.asarray(q_lengths),
            "kv_lengths": None if kv_lengths is None else np.asarray(kv_lengths),
        }
        result, logsum = reference_attention(
            program, q, k, v, arrays, scales, visible=visible, **given
        )
        _store(out, result)
        if lse is not None:
            _store(lse, logsum)

    def _tiles(self, q, k, v, arrays, q_offset, kv_offset, classes, size):
        """Visible by the tiles: full ones whole, partial ones by the mask."""
        program = self.program
        B, H, M, D = q.shape
        Hk, N = k.shape[1:3]
        tiles = np.repeat(np.repeat(classes, size[0], 2), size[1], 3)
        tiles = tiles[:, :, :M, :N]
        mask = np.ones((1, 1, 1, 1), bool)
        if program.get("mask"):
            sizes = {"B": B, "H": H, "Hk": Hk, "M": M, "N": N, "D": D, "E": v.shape[3]}
            args = _indices(B, H, M, N, q_offset, kv_offset)
            mask = evaluate(program["mask"], args, arrays, sizes)[0]
        return (mask & (tiles == 1)) | (tiles == 2), {**program, "mask": None}


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
    more = ([_capture(c) for c in captures], names)
    with np.errstate(all="ignore"):
        if program.get("mask"):
            result = evaluate(program["mask"], args, *more)[0]
        else:
            s = np.zeros(sizes)
            result = ~np.isneginf(
                evaluate(program["score"], {**args, "s": s}, *more)[0]
            )
    return np.broadcast_to(result, sizes)


def _tile_classes(program, captures, sizes, offsets, block_size):
    dense = _dense(program, captures, sizes, offsets)
    B, H, M, N = sizes
    bq, bn = block_size
    Q, K = -(-M // bq), -(-N // bn)
    padded = np.zeros((B, H, Q * bq, K * bn), bool)
    padded[:, :, :M, :N] = dense
    tiles = padded.reshape(B, H, Q, bq, K, bn)
    some, every = tiles.any((3, 5)), tiles.all((3, 5))
    return np.where(every, 2, np.where(some, 1, 0)).astype(np.int32)


def mask_classes(program, captures, sizes, offsets, block_size, out, exact=True):
    _array(out)[...] = _tile_classes(program, captures, sizes, offsets, block_size)


def mask_runs(program, captures, sizes, offsets, block_size, exact=True):
    """A run a tile."""
    classes = _tile_classes(program, captures, sizes, offsets, block_size)
    rows = classes.reshape(-1, classes.shape[-1])
    ends = np.arange(1, rows.shape[1] + 1, dtype=np.int32)
    starts = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
    return starts.tobytes(), (4 * ends + rows).astype(np.int32).tobytes(), False, {}


def mask_dense(program, captures, sizes, offsets, out):
    _array(out)[...] = _dense(program, captures, sizes, offsets)


@functools.cache
def _compiled():
    """The compiled module for what the stand-in cannot do, where there is one."""
    for entry in sys.path:
        for path in Path(entry or ".").glob("fovea/_native*.so"):
            spec = importlib.util.spec_from_file_location("_native", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.set_exceptions(_classes)
            return module
    return None


reads_attn = any(
    True for entry in sys.path for _ in Path(entry or ".").glob("fovea/_native*.so")
)


def parse_attn(text, name, defines=None):
    return _compiled().parse_attn(text, name, defines)


def address(array):
    return array.__array_interface__["data"][0]


def set_num_threads(n):
    global _threads
    _threads = n or 2


def num_threads():
    return _threads


def enter_default_floats():
    return b""


def leave_default_floats(before):
    del before


def cache_info():
    return (*_stats.values(), len(_cache))


def clear_cache(on_disk=False):
    _cache.clear()
    for key in _stats:
        _stats[key] = 0


def environment_notes():
    return "{}"


def add_site_packages(folder):
    pass


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
