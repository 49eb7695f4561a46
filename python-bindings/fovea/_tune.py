"""Schedules of the CPU, measured: a bounded set, and a file to review."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._variant import Variant

__all__ = ["lines", "schedules", "tune"]

#: The likelier ones first: where the time is short the others are left out.
_ROWS = (192, 96, 384, 64, 32)
_KEYS = (256, 128, 512, 64)
#: A call of so few rows a key head takes the form that splits the keys.
_FEW = 32
_SPLITS = (1024, 2048, 512, 4096, 256, 8192)
_BLOCKS = (32, 16, 64)
_GAIN = 1.02  # another schedule must be so much faster in three rounds of four
_FEWEST = 3  # rounds; fewer decide nothing
_SHORTEST = 2e-3  # seconds; shorter calls are repeated within a sample


def _inputs(sizes: Mapping[str, int], dtype: str) -> list[np.ndarray]:
    """Normal numbers for q, k and v, aligned to cache lines."""
    import ml_dtypes

    kind = np.dtype(
        {"bf16": ml_dtypes.bfloat16, "f16": "f2", "f32": "f4", "f64": "f8"}[dtype]
    )
    rng = np.random.default_rng(0)
    arrays = []
    for heads, length, dim in (("Hq", "M", "D"), ("Hk", "N", "D"), ("Hk", "N", "E")):
        shape = tuple(sizes[name] for name in ("B", heads, length, dim))
        buffer = np.empty(math.prod(shape) * kind.itemsize + 64, np.uint8)
        start = -buffer.ctypes.data % 64
        array = buffer[start : start + buffer.size - 64].view(kind).reshape(shape)
        array[...] = rng.standard_normal(shape, dtype=np.float32).astype(kind)
        arrays.append(array)
    return arrays


def _sample(run: Callable[[], Any], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def _measure(runs: Mapping[str, Callable[[], Any]], seconds: float) -> list[dict]:
    """Seconds of every schedule, by rounds in which all take their turn.

    Schedules for which the fewest rounds do not fit in the time are left out; the
    first one never is.
    """
    end = time.perf_counter() + seconds
    calls: dict[str, int] = {}
    first = takes = 0.0  # seconds of a round: of the first one, of all

    def fits(more: float) -> bool:
        return time.perf_counter() + more <= end

    for name, run in runs.items():
        # Taken to last as long as the first: two calls here, then the rounds.
        if calls and not fits(2 * first + _FEWEST * (takes + first)):
            break
        cold = _sample(run, 1)
        once = max(_sample(run, 1), 1e-7)
        end += max(0.0, cold - once)  # a kernel is compiled when it is first called
        count = max(1, math.ceil(_SHORTEST / once))
        if not calls or fits(_FEWEST * (takes + count * once)):
            calls[name] = count
            takes += count * once
            first = first or takes
    rounds: list[dict[str, float]] = []
    while not rounds or fits(takes) or (len(rounds) < _FEWEST and fits(0)):
        rounds.append({name: _sample(runs[name], calls[name]) for name in calls})
    return rounds


def schedules(sizes: Mapping[str, int]) -> list[str]:
    """The schedules that are measured on a shape beside the cost model's."""
    if sizes["M"] * sizes["Hq"] // sizes["Hk"] <= _FEW:
        return [
            f"split={split},block={block}" for split, block in product(_SPLITS, _BLOCKS)
        ]
    return [f"m={m},n={n}" for m, n in product(_ROWS, _KEYS)]


def tune(
    variant: Variant,
    sizes: Mapping[str, int],
    *,
    dtype: str = "f32",
    target: str | None = None,
    captures: Mapping[str, Any] | None = None,
    seconds: float = 10.0,
) -> dict[str, Any]:
    """Measure a bounded set of schedules on one shape.

    Parameters
    ----------
    variant : Variant
        What is compiled.
    sizes : mapping of str to int
        B, Hq, Hk, M, N, D and E.
    dtype : str
        Of q, k and v: f16, bf16, f32 or f64.
    target : str, optional
        A CPU target; this machine's without.
    captures : mapping, optional
        Captures and compile-time parameters; the others get seeded data.
    seconds : float
        How long to measure; compilations are not counted. Schedules for which
        three rounds do not fit are left out: ``unmeasured``.

    Returns
    -------
    dict
        What the file holds: ``schedule`` is the fastest one, or the cost model's
        where no other is 2 % faster in three rounds of four. Speeds are medians,
        over rounds, of the ratio to the cost model's schedule in the same round.
    """
    from ._explain_mask import example_arrays
    from ._lib import config
    from ._tuning import fingerprint, ignored

    given = dict(captures or {})
    made, _ = example_arrays(variant.program, sizes)
    options: dict[str, Any] = {
        "D": sizes["D"], "E": sizes["E"], "dtype": dtype, "target": target,
        "captures": {**made, **given},
    }  # fmt: skip
    with ignored():
        default = variant.compile(**options)
    text = default._state[0].program_json(D=sizes["D"], E=sizes["E"], dtype=dtype)
    kernels, refused = {default.schedule: default}, {}
    for name in schedules(sizes):
        try:
            kernels.setdefault(name, variant.compile(**options, schedule=name))
        except ValueError as error:
            refused[name] = str(error)
    qkv = _inputs(sizes, dtype)
    # Queries are the last positions, as those of a chunk that follows a cache.
    offset = max(0, sizes["N"] - sizes["M"])
    rounds = _measure(
        {n: lambda k=k: k(*qkv, q_offset=offset) for n, k in kernels.items()}, seconds
    )
    ratios = {
        name: sorted(r[default.schedule] / r[name] for r in rounds)
        for name in rounds[0]
    }
    sure = {name: values[len(values) // 4] for name, values in ratios.items()}
    best = max(ratios, key=lambda name: sure[name])
    if len(rounds) < _FEWEST or sure[best] < _GAIN:
        best = default.schedule
    return {
        "fovea_tuning": 1,
        "variant": variant.name,
        "program": fingerprint(json.loads(text)),
        "dtype": dtype,
        "target": default.target or "cpu",
        "machine": {name: config()[name] for name in ("cpu", "threads", "build_id")},
        "sizes": {name: sizes[name] for name in ("B", "Hq", "Hk", "M", "N", "D", "E")},
        "q_offset": offset,
        "rounds": len(rounds),
        "cost_model": default.schedule,
        "schedule": best,
        "measured": [
            {
                "schedule": name,
                "speed": round(statistics.median(ratios[name]), 3),
                "ms": round(statistics.median(r[name] for r in rounds) * 1e3, 4),
            }
            for name in sorted(ratios, key=lambda name: -sure[name])
        ],
        "unmeasured": [name for name in kernels if name not in ratios],
        "refused": refused,
    }


def lines(tuning: Mapping[str, Any]) -> list[str]:
    """The result as a table."""
    shown = [f"{'schedule':<16}{'ms':>10}  speed"]
    for row in tuning["measured"]:
        mark = " (cost model)" if row["schedule"] == tuning["cost_model"] else ""
        shown.append(
            f"{row['schedule']:<16}{row['ms']:>10.3f}  {row['speed']:.3f}{mark}"
        )
    if left := tuning["unmeasured"]:
        shown.append(f"not measured, the time was too short: {', '.join(left)}")
    return [*shown, f"schedule: {tuning['schedule']}"]
