"""One row of the CPU benchmark: all contestants on one case, in one process."""

from __future__ import annotations

import datetime
import gc
import hashlib
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bars import Row
from common import (
    Others,
    Peak,
    Sample,
    in_fork,
    median,
    numpy_dtype,
    peak_growth,
    random,
    to_torch,
)
from cpu_grid import Case
from variants import Data, Mods, fovea_mods, kept, numpy_mods, torch_mods

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "python"))
from judge import judge

__all__ = [
    "QUIET",
    "Options",
    "begin",
    "build_id",
    "compare",
    "compiled",
    "measure",
    "rounded",
    "shares_of_dots",
    "summary",
]

Runs = dict[str, Callable[[], Any]]

#: Rounds of a row that is slow, or of a peer that is.
FEW = 3
#: Seconds of a sample: shorter calls are repeated within it.
SHORTEST = 25e-3
#: Seconds of a round above which FEW must do.
LONG = 4.0
#: Probes may differ by so much from each other and from the row's best.
STEADY = 0.95
#: Share of all processors' time that others may take.
QUIET = 0.05
NUMPY_LONGEST = 2048
JUDGED_ROWS = 16


class Options(NamedTuple):
    """What the parent tells a worker: `method` is one of cpu_grid.METHODS."""

    threads: int
    rounds: int
    peers: tuple[str, ...]
    method: str = "rounds"


def is_steady(sample: Sample, best: float) -> bool:
    """Whether both probes are near each other and near the best."""
    low, high = sorted((sample.before, sample.after))
    return low >= STEADY * best and low >= STEADY * high


def build_id() -> str:
    """Which build of the library is measured."""
    from fovea._lib import config

    return config()["build_id"]


def begin(case: Case, options: Options) -> Row:
    """What a row is of."""
    row: Row = {**case._asdict(), "threads": options.threads}
    row |= {"method": options.method, "build": build_id()}
    row["date"] = datetime.datetime.now().isoformat(timespec="seconds")
    return row


def shares_of_dots(row: Row, peak: Peak) -> Row:
    """Beside shares of the peak of tiles those of the peak of dot products."""
    if row["peak_of"] != "amx" or not peak.has("bf16"):
        return {}
    ratio = peak.ratio("amx", "bf16")
    shares = {name: row[name] for name in row if name.endswith("_of_peak")}
    return {
        name.removesuffix("peak") + "dots": share * ratio
        for name, share in shares.items()
    }


def measure(case: Case, options: Options, torch: Any, peak: Peak) -> Row:
    """Compile, check and time one case."""
    rng = np.random.default_rng(0)
    kind = numpy_dtype(case.dtype)
    qkv = [
        random((1, heads, case.N, case.D), kind, rng)
        for heads in (case.H, case.Hk, case.Hk)
    ]
    data = Data.make(case.N, rng, case.H)
    row = begin(case, options)
    runs = {"fovea": fovea_run(fovea_mods(data)[case.variant], case, qkv, row)}
    if torch is not None:
        mods = torch_mods(data, torch)[case.variant]
        runs |= torch_runs(torch, case, mods, qkv, options.peers, row)
    mods = numpy_mods(data)[case.variant]
    if "numpy" in options.peers and case.dtype == "float32" and case.N <= NUMPY_LONGEST:
        runs["numpy"] = lambda: numpy_attention(qkv, mods)
    for name in list(runs)[1:]:
        row[f"{name}_memory"] = memory_of(runs[name])
    out = np.asarray(runs["fovea"]())
    row["digest"] = hashlib.sha256(out.tobytes()).hexdigest()[:16]
    row["wrong"] = compare(out, qkv, mods, row)
    kind = row["peak_of"] = peak.kind_of(case.dtype)
    wanted = {name: FEW if name == "numpy" else options.rounds for name in runs}
    others = Others()
    samples = take_rounds(runs, wanted, lambda: peak.rate(kind))
    row["others"] = others.share()
    operations = 4.0 * case.H * kept(case.variant, case.N) * case.D
    row |= summary(samples, operations, min(FEW, options.rounds))
    row |= shares_of_dots(row, peak)
    row["void"] |= row["others"] > QUIET or bool(row["wrong"])
    return rounded(row)


def rounded(row: Row) -> Row:
    """Five digits of a figure: no more is measured."""
    return {
        name: float(f"{value:.5g}") if isinstance(value, float) else value
        for name, value in row.items()
    }


def compiled(mods: Mods, case: Case, row: Row) -> Any:
    """The kernel, compiled anew."""
    import fovea

    fovea.clear_cache()  # the cache on disk is off in a worker
    gc.collect()  # torch's objects take 80 ms, now or in the middle
    start = time.perf_counter()
    kernel = fovea.compile(*mods, D=case.D, dtype=case.dtype)
    row["fovea_compile_s"] = time.perf_counter() - start
    return kernel


def fovea_run(mods: Mods, case: Case, qkv: Sequence, row: Row) -> Callable[[], Any]:
    """The kernel on these inputs, and the memory that it takes."""
    kernel = compiled(mods, case, row)

    def fresh() -> int:
        kernel(*(x[:, :, :1] for x in qkv))  # starts the threads
        return max(0, peak_growth(lambda: kernel(*qkv)) - qkv[0].nbytes)

    # In a child: this process keeps the memory that an earlier kernel worked in.
    row["fovea_memory"] = in_fork(fresh)
    return lambda: kernel(*qkv)


def torch_runs(
    torch: Any, case: Case, mods: Mods, qkv: Sequence, peers: Sequence[str], row: Row
) -> Runs:
    """FlexAttention compiled, and SDPA where it has the variant."""
    q, k, v = (to_torch(torch, x) for x in qkv)
    runs: Runs = {}
    grouped = case.Hk != case.H
    if "flex" in peers:
        runs |= flex_run(torch, (q, k, v), mods, grouped, row)
    if "sdpa" in peers and case.variant in ("noop", "causal"):
        sdpa = torch.nn.functional.scaled_dot_product_attention
        causal = case.variant == "causal"

        def dense() -> Any:
            with torch.no_grad():
                return sdpa(q, k, v, is_causal=causal, enable_gqa=grouped)

        runs["sdpa"] = dense
    return runs


def flex_run(torch: Any, qkv: Sequence, mods: Mods, grouped: bool, row: Row) -> Runs:
    """FlexAttention with a block mask made beforehand; none where it fails."""
    from torch._dynamo.utils import counters
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, k, v = qkv
    score_mod, mask_mod = mods
    length = q.shape[2]
    start = time.perf_counter()
    block_mask = mask_mod and create_block_mask(
        mask_mod, 1, None, length, length, device="cpu"
    )
    row["flex_mask_s"] = time.perf_counter() - start
    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(flex_attention, dynamic=False)

    def flex() -> Any:
        with torch.no_grad():
            return compiled(
                q, k, v, score_mod=score_mod, block_mask=block_mask, enable_gqa=grouped
            )

    start = time.perf_counter()
    try:
        flex()
    except Exception as error:  # a case that torch cannot compile is shown as such
        row["flex_error"] = str(error).splitlines()[0][:200]
        print(f"FlexAttention fails: {row['flex_error']}", file=sys.stderr)
        return {}
    row["flex_compile_s"] = time.perf_counter() - start
    row["flex_cached"] = counters["inductor"]["fxgraph_cache_hit"] > 0
    return {"flex": flex}


def numpy_attention(qkv: Sequence, mods: Mods) -> np.ndarray:
    """The textbook's formula, a head at a time."""
    q, k, v = (x[0] for x in qkv)
    out = np.empty(q.shape, q.dtype)
    at = np.arange(q.shape[1])[:, None], np.arange(k.shape[1])[None, :]
    score_mod, mask_mod = mods
    for h in range(len(q)):
        group = h * len(k) // len(q)
        s = q[h] @ k[group].T * q.dtype.type(q.shape[2] ** -0.5)
        if score_mod:
            s = score_mod(s, 0, h, *at)
        if mask_mod:
            s = np.where(mask_mod(0, h, *at), s, -np.inf)
        p = np.exp(s - s.max(axis=1, keepdims=True))
        out[h] = p @ v[group] / p.sum(axis=1, keepdims=True)
    return out[None]


def some_rows(
    qkv: Sequence, mods: Mods, rows: np.ndarray, working: np.dtype | None
) -> np.ndarray:
    """Rows of the result in f64, or plainly: f32 with roundings to a type."""
    accumulate = np.float64 if working is None else np.float32

    def work(x: np.ndarray) -> np.ndarray:
        return x if working is None else x.astype(working).astype(accumulate)

    q, k, v = (x[0].astype(accumulate) for x in (qkv[0][:, :, rows], *qkv[1:]))
    score_mod, mask_mod = mods
    out = np.empty(q.shape)
    at = rows[:, None], np.arange(k.shape[1])[None, :]
    for h in range(len(q)):
        group = h * len(k) // len(q)
        s = work(q[h] @ k[group].T) * accumulate(1 / math.sqrt(q.shape[2]))
        if score_mod:
            s = score_mod(s, 0, h, *at).astype(accumulate)
        if mask_mod:
            s = np.where(mask_mod(0, h, *at), s, -np.inf)
        p = np.exp(s - s.max(axis=1, keepdims=True))
        out[h] = work(work(p) @ v[group] / p.sum(axis=1, keepdims=True))
    return out


def compare(out: np.ndarray, qkv: Sequence, mods: Mods, row: Row) -> str:
    """Judge some rows of every head against f64; what is wrong, or nothing."""
    length = qkv[0].shape[2]
    rows = np.unique(np.linspace(0, length - 1, JUDGED_ROWS).astype(int))
    exact = some_rows(qkv, mods, rows, None)
    plain = some_rows(qkv, mods, rows, qkv[0].dtype)
    got = out[0][:, rows].astype(np.float64)
    row["error"] = float(np.abs(got - exact).max() / np.abs(exact).max())
    return judge(got, exact, plain, qkv[0].dtype).reason


def memory_of(run: Callable[[], Any]) -> int:
    """Bytes that a call takes beside its tensors and its result."""
    size = run().nbytes
    return max(0, peak_growth(run) - size)


def take_rounds(
    runs: Runs, wanted: dict[str, int], probe: Callable[[], float]
) -> dict[str, list[Sample]]:
    """Samples of all contestants, in turn, a probe between any two.

    A contestant drops out once it has as many steady samples as wanted; after
    three times as many rounds all stop.
    """
    calls, once = {}, {}
    for name, run in runs.items():
        start = time.perf_counter()
        run()
        once[name] = time.perf_counter() - start
        calls[name] = max(1, math.ceil(SHORTEST / max(once[name], 1e-6)))
    if sum(once.values()) > LONG:
        wanted = {name: min(FEW, count) for name, count in wanted.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in runs}
    for _ in range(3 * max(wanted.values())):
        best = best_probe(samples)
        left = [
            name
            for name, taken in samples.items()
            if sum(is_steady(sample, best) for sample in taken) < wanted[name]
        ]
        if not left:
            break
        for name in left:
            samples[name].append(sample_of(runs[name], calls[name], probe))
    return samples


def sample_of(run: Callable[[], Any], calls: int, probe: Callable[[], float]) -> Sample:
    """The median call of one contestant between two probes."""
    before = probe()
    if calls > 1:
        run()  # its data is back in the caches, its threads on their processors
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return Sample(median(taken), before, probe())


def best_probe(samples: dict[str, list[Sample]]) -> float:
    """The rate that nine of ten probes of a row do not exceed.

    Not the highest: that of two threads is a sum, and one may come out long.
    """
    rates = sorted(
        rate for taken in samples.values() for one in taken for rate in one[1:3]
    )
    return rates[-1 - len(rates) // 10] if rates else 0.0


def summary(
    samples: dict[str, list[Sample]], operations: float, fewest: int = FEW
) -> Row:
    """Medians over the steady samples; a row where one has too few is void."""
    best = best_probe(samples)
    row: Row = {"void": False, "peak_gflops": best}
    rates = [rate for taken in samples.values() for one in taken for rate in one[1:3]]
    row["peak_spread"] = (max(rates) - min(rates)) / max(rates) if best else 0.0
    for name, taken in samples.items():
        good = [sample for sample in taken if is_steady(sample, best)]
        row["void"] |= len(good) < fewest
        good = good if len(good) >= fewest else taken
        middle = median(sample.seconds for sample in good)
        row[f"{name}_ms"] = middle * 1e3
        row[f"{name}_gflops"] = operations / middle / 1e9
        row[f"{name}_samples"] = len(good)
        if best:
            row[f"{name}_of_peak"] = median(
                operations / one.seconds / 1e9 / ((one.before + one.after) / 2)
                for one in good
            )
    return row
