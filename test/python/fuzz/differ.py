"""Runs a random variant on the CPU, in the f64 interpreter and in NumPy.

The NumPy reference is the exact result; the interpreter must give it up to one
rounding, the CPU within the judge's bound.
"""

from __future__ import annotations

import json
import platform
import traceback
from typing import Any

import ml_dtypes
import numpy as np
from dtypes import NUMPY
from judge import judge
from programs import Call, Variant, random_call, random_variant
from reference import reference_attention

from fovea import _native
from fovea._config import config

NAMES = {dtype: name for name, dtype in NUMPY.items()}


def tensor(array: np.ndarray) -> tuple:
    """The native module's description of an array."""
    size = array.dtype.itemsize
    assert all(stride % size == 0 for stride in array.strides)
    strides = tuple(stride // size for stride in array.strides)
    address = array.__array_interface__["data"][0]
    return address, NAMES[array.dtype], array.shape, strides


def compile_variant(variant: Variant, target: str, schedule: str = "") -> Any:
    text = json.dumps(variant.program, sort_keys=True, separators=(",", ":"))
    options = {"schedule": schedule} if schedule else {}
    return _native.compile(text, target=target, **options)[0]


def target_of(seed: int) -> str:
    """The narrower registers of x86-64 for every third variant."""
    narrow = seed % 3 == 0 and platform.machine() == "x86_64"
    return "x86-64-v3" if narrow else "cpu"


def register_bytes(target: str) -> int:
    if target == "cpu" and any("x86-64-v4" in x for x in config()["targets"]):
        return 64
    return 16 if "aarch64" in (target, platform.machine()) else 32


def schedule_of(seed: int, dtype: np.dtype, target: str) -> str:
    """Short parts for every second variant, so that few keys make several; tiles of
    any size for every second pair, else those of the cost model."""
    rng = np.random.default_rng(seed)
    width = register_bytes(target)
    m = width // max(dtype.itemsize, 4) * rng.integers(1, 12)
    # What a processor of narrow registers has of a cache takes fewer keys.
    n = 16 * rng.integers(1, 16 if width == 64 else 8)
    return ",".join(["split=64"] * (seed % 2) + [f"m={m},n={n}"] * (seed // 2 % 2))


def paged(call: Call) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k and v as pools of pages in some order, and their table; pages that no
    sequence has keys in are NaN and have no entry."""
    batch, heads, keys, _ = call.k.shape
    count = -(-keys // call.page)
    rng = np.random.default_rng(keys)
    table = rng.permutation(batch * count).reshape(batch, count)
    pools = []
    for x in (call.k, call.v):
        shape = (batch * count + 1, call.page, heads, x.shape[3])
        pool = np.full(shape, np.nan, x.dtype).transpose(0, 2, 1, 3)
        if keys % 2:
            pool = np.ascontiguousarray(pool)
        for b, i in np.ndindex(batch, count):
            rows = x[b, :, i * call.page : (i + 1) * call.page]
            pool[table[b, i], :, : rows.shape[1]] = rows
        pools.append(pool)
    lengths = call.options.get("kv_lengths", np.full(batch, keys))
    table[np.arange(count)[None] * call.page >= np.asarray(lengths)[:, None]] = -1
    return (*pools, table.astype(np.int32 if keys % 3 else np.int64))


def run(kernel: Any, variant: Variant, call: Call) -> tuple[Any, Any]:
    """(out, lse or None); results start as NaN, so that unwritten ones show."""
    batch, heads, rows, _ = call.q.shape
    score = np.float64 if variant.dtype == np.float64 else np.float32
    out = np.full((batch, heads, rows, call.v.shape[3]), np.nan, variant.dtype)
    lse = None
    if variant.program["return_lse"]:
        lse = np.full((batch, heads, rows), np.nan, score)
    positions = [
        None if name not in call.options else [int(x) for x in call.options[name]]
        for name in ("q_offset", "kv_offset", "q_lengths", "kv_lengths")
    ]
    k, v, pages = call.k, call.v, {}
    if call.page:
        k, v, table = paged(call)
        pages["page_table"] = tensor(table)
        if positions[3] is None:
            positions[3] = [call.k.shape[2]] * batch
    kernel.launch(
        [tensor(call.q)],
        [tensor(k)],
        tensor(v),
        tensor(out),
        None if lse is None else tensor(lse),
        [tensor(array) for array in call.captures],
        [call.scale],
        *positions,
        None if call.classes is None else tensor(call.classes),
        None if call.classes is None else call.tile,
        **pages,
    )
    return out, lse


def classes_of_pairs(call: Call) -> np.ndarray | None:
    """The block mask's class of every (query, key)."""
    if call.classes is None:
        return None
    rows, keys = call.q.shape[2], call.k.shape[2]
    spread = call.classes.repeat(call.tile[0], 2)[:, :, :rows]
    return spread.repeat(call.tile[1], 3)[..., :keys]


def reference(variant: Variant, call: Call, working: Any) -> tuple[Any, Any]:
    """The NumPy reference: exact, or the plain computation in a working type."""
    return reference_attention(
        variant.program,
        call.q,
        call.k,
        call.v,
        call.captures,
        call.scale,
        classes=classes_of_pairs(call),
        working=working,
        **call.options,
    )


def interpreter_difference(
    variant: Variant, call: Call, interpreter: Any, exact: tuple[Any, Any]
) -> str:
    """The f64 interpreter gives the exact result, rounded once to the output's
    type; where it reports an index that kernels clamp (S7), it gives none."""
    try:
        results = run(interpreter, variant, call)
    except IndexError:
        return ""
    for name, got, wanted in zip(("out", "lse"), results, exact, strict=True):
        if got is None:
            continue
        unit = 2.0 ** -(ml_dtypes.finfo(got.dtype).nmant + 1)
        slack = max(unit, 1e-11) * np.abs(wanted) + 1e-11
        if got.dtype == np.float16:
            slack = np.maximum(slack, 2.0**-25)
        got = got.astype(np.float64)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        if not (same | (np.abs(got - wanted) <= slack)).all():
            worst = np.nanmax(np.where(same, 0, np.abs(got - wanted)))
            return f"interpreter, {name}: differs from the reference by {worst}"
    return ""


class Pool:
    """The rows of all calls of one variant, judged together: a single call may
    be so small that the plain computation is exact by luck."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.rows: dict[str, list[list[np.ndarray]]] = {"out": [], "lse": []}

    def add(self, actual: Any, exact: Any, plain: Any) -> None:
        for name, parts in zip(
            ("out", "lse"), zip(actual, exact, plain, strict=True), strict=True
        ):
            if parts[0] is None:
                continue
            columns = parts[0].shape[-1] if name == "out" else 1
            self.rows[name].append(
                [np.asarray(x, np.float64).reshape(-1, columns) for x in parts]
            )

    def problems(self) -> list[str]:
        found = []
        for name, calls in self.rows.items():
            joined = [np.concatenate(x) for x in zip(*calls, strict=True)]
            if not joined:
                continue
            dead = 0.0 if name == "out" else -np.inf
            verdict = judge(*joined, self.variant.dtype, dead)
            if not verdict.passed:
                with np.errstate(invalid="ignore"):
                    worst = [np.nanmax(abs(a - e), initial=0) for a, e, _ in calls]
                found.append(f"{name}: {verdict}, worst call {np.argmax(worst)}")
        return found


def fuzz_variant(seed: int, calls: int) -> list[str]:
    """The differences of one variant over some calls, with the seed."""
    variant = random_variant(seed)
    target = target_of(seed)
    cpu = compile_variant(variant, target, schedule_of(seed, variant.dtype, target))
    interpreter = compile_variant(variant, "interpreter")
    pool = Pool(variant)
    found = []
    for index in range(calls):
        call = random_call(variant, seed * 1000 + index)
        shapes = [x.shape for x in (call.q, call.k, call.v)]
        where = f"seed {seed} call {index} {shapes} {call.options}"
        try:
            with np.errstate(all="ignore"):
                exact = reference(variant, call, None)
                pool.add(
                    run(cpu, variant, call),
                    exact,
                    reference(variant, call, variant.dtype),
                )
                problem = interpreter_difference(variant, call, interpreter, exact)
        except Exception:
            problem = traceback.format_exc()
        if problem:
            found.append(f"{where}: {problem}")
    return found + [f"seed {seed} {problem}" for problem in pool.problems()]
