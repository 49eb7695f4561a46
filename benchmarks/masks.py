#!/usr/bin/env python3
"""Block masks: time and memory of Fovea's analysis beside torch's create_block_mask.

Each measurement runs in a process of its own after a small warm-up; memory is
the growth of the resident peak. torch evaluates the mask at every pair, so it is
measured at one length only; Fovea up to a million tokens, where the attention of
a window is run and checked on sampled rows as well. The second table says how far
sparse attention costs more than its share of the dense time.

    python benchmarks/masks.py [--quick] [--length N]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import (
    add_common_arguments,
    import_torch,
    machine_for,
    peak_growth,
    run_child,
    write_json,
)

NAMES = ("causal", "window", "document", "prefix_lm", "neighbourhood")
LENGTHS = (32768, 131072, 1048576)
WINDOW, PACKED, MILLION = 1024, "window_document", 1 << 20
DOCUMENT = 64


def mods(name: str, length: int, wrap: Callable[[np.ndarray], Any], ops: Any) -> Any:
    """The mask_mod of either library: the same text for both.

    `wrap` makes its array; `ops` has its clamp.
    """
    doc = wrap(np.arange(length) // max(length // 16, 1))
    side = 1 << (length.bit_length() // 2)

    def causal(b, h, q, kv):
        return q >= kv

    def window(b, h, q, kv):
        return (q >= kv) & (q - kv < WINDOW)

    def document(b, h, q, kv):
        return (q >= kv) & (doc[q] == doc[kv])

    def prefix_lm(b, h, q, kv):
        return (kv < length // 4) | (q >= kv)

    def near(q, kv, extent):
        start = ops.clamp(q - 6, 0, extent - 13)
        return (kv >= start) & (kv < start + 13)

    def neighbourhood(b, h, q, kv):
        x = near(q % side, kv % side, side)
        return x & near(q // side, kv // side, length // side)

    def window_document(b, h, q, kv):
        return (q >= kv) & (q - kv < 4096) & (doc[q] == doc[kv])

    return locals()[name]


def measure(function: Callable[[], Any]) -> dict[str, float]:
    """Peak growth of a first call, the median time of the later ones."""
    growth = peak_growth(function)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
        if sum(times) > 10:
            break
    return {"seconds": float(np.median(times)), "bytes": growth}


def fovea_child(name: str, length: int) -> dict[str, Any]:
    import fovea

    def make(size: int) -> Callable[[], Any]:
        mod = mods(name, size, lambda array: array, fovea.ops)
        return lambda: fovea.create_block_mask(mod, 1, 1, size, size)

    make(256)()
    result: dict[str, Any] = measure(make(length))
    mask = make(length)()
    full, partial, empty = mask.counts()
    return result | {"full": full, "partial": partial, "empty": empty}


def torch_child(name: str, length: int, threads: int) -> dict[str, Any]:
    torch = import_torch(threads)
    if torch is None:
        return {}
    from torch.nn.attention.flex_attention import create_block_mask

    def make(size: int) -> Callable[[], Any]:
        mod = mods(name, size, torch.from_numpy, torch)
        return lambda: create_block_mask(mod, 1, 1, size, size, device="cpu")

    make(256)()
    return measure(make(length))


def attention_child(length: int) -> dict[str, Any]:
    """One head, window 1024, to the end; 64 sampled rows against f64."""
    import fovea

    rng = np.random.default_rng(0)
    q, k, v = (
        rng.standard_normal((1, 1, length, 64), dtype=np.float32) for _ in range(3)
    )
    mod = mods("window", length, lambda array: array, fovea.ops)
    kernel = fovea.compile(mask_mod=mod, D=64)
    kernel(q[:, :, :256], k[:, :, :256], v[:, :, :256])
    results = []
    start = time.perf_counter()
    growth = peak_growth(lambda: results.append(kernel(q, k, v)))
    seconds = time.perf_counter() - start
    worst = 0.0
    for row in (0, length - 1, *rng.integers(0, length, 62)):
        keys = slice(max(0, row - WINDOW + 1), row + 1)
        scores = k[0, 0, keys].astype(np.float64) @ q[0, 0, row] / 8
        weights = np.exp(scores - scores.max())
        expected = weights @ v[0, 0, keys].astype(np.float64) / weights.sum()
        worst = max(worst, float(np.abs(results[0][0, 0, row] - expected).max()))
    return {
        "seconds": seconds,
        "bytes_above": max(0, growth - q.nbytes),
        "worst_error": worst,
    }


def shares_child(length: int) -> dict[str, Any]:
    """How far attention costs more than the share of pairs that it keeps.

    With one head the tensors fit the caches of a server, with four they do not.
    """
    return {
        f"{name}, {heads} head{'s' if heads > 1 else ''}": row
        for heads in (1, 4)
        for name, row in shares(length, heads).items()
    }


def shares(length: int, heads: int) -> dict[str, Any]:
    """Dense attention runs between the others; each time is the least of many."""
    import fovea

    rng = np.random.default_rng(0)
    q, k, v = (
        rng.standard_normal((1, heads, length, 64), dtype=np.float32) for _ in range(3)
    )
    packed = np.arange(length) // DOCUMENT
    # Lengths of documents as they come: 1 to 127 tokens, 64 in the mean.
    loose = np.repeat(np.arange(length), rng.integers(1, 128, length))[:length]

    def documents(b, h, q, kv):
        return packed[q] == packed[kv]

    def ragged(b, h, q, kv):
        return loose[q] == loose[kv]

    window = mods("window", length, lambda array: array, fovea.ops)
    blocks = fovea.create_block_mask(documents, 1, 1, length, length, DOCUMENT)
    given = fovea.compile(mask_mod=documents, D=64, block_mask=True)
    pairs = WINDOW * length - WINDOW * (WINDOW - 1) / 2
    calls = {
        "dense": (fovea.compile(D=64), {}, length**2),
        "window": (fovea.compile(mask_mod=window, D=64), {}, pairs),
        "documents": (fovea.compile(mask_mod=documents, D=64), {}, DOCUMENT * length),
        "documents, block mask": (given, {"block_mask": blocks}, DOCUMENT * length),
        "ragged documents": (
            fovea.compile(mask_mod=ragged, D=64),
            {},
            float((np.bincount(loose).astype(np.float64) ** 2).sum()),
        ),
    }
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(4):
        for name, (kernel, options, _) in calls.items():
            for _ in range(1 if name == "dense" else 20):
                start = time.perf_counter()
                kernel(q, k, v, **options)
                best[name] = min(best[name], time.perf_counter() - start)
    return {
        name: {
            "seconds": best[name],
            "share": kept / length**2,
            "ratio": best[name] / (best["dense"] * kept / length**2),
        }
        for name, (_, _, kept) in calls.items()
    }


def show(
    rows: dict[str, Any], attention: dict[str, Any], shares: dict[str, Any], length: int
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="block masks, tiles of 128 x 128")
    for column in ("mask", "N", "fovea", "torch", "faster", "fovea", "torch", "less"):
        table.add_column(column, justify="right", no_wrap=True)
    for key, row in rows.items():
        name, size = key.split()
        own, other = row["fovea"], row.get("torch") or {}
        cells = ["", "", "", ""]
        if other:
            cells = [
                f"{other['seconds'] * 1e3:,.0f} ms",
                f"{other['seconds'] / own['seconds']:,.0f} x",
                f"{other['bytes'] / 2**20:,.0f} MiB",
                f"{other['bytes'] / max(own['bytes'], 1):,.0f} x",
            ]
        table.add_row(
            name, size, f"{own['seconds'] * 1e3:.2f} ms", *cells[:2],
            f"{own['bytes'] / 2**20:.2f} MiB", *cells[2:],
        )  # fmt: skip
    Console(width=110).print(table)
    if shares:
        table = Table(title=f"attention, {length:,} x {length:,}, D = 64, f32")
        for column in ("mask", "time", "share of pairs", "time / its share"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, row in shares.items():
            table.add_row(
                name,
                f"{row['seconds'] * 1e3:.2f} ms",
                f"{100 * row['share']:.3f} %",
                f"{row['ratio']:.2f}",
            )
        Console(width=110).print(table)
    if attention:
        print(
            f"attention, {MILLION:,} x {MILLION:,}, window {WINDOW}, one head, D = 64:"
            f" {attention['seconds']:.2f} s,"
            f" {attention['bytes_above'] / 2**20:.1f} MiB above the tensors,"
            f" largest error of sampled rows {attention['worst_error']:.2g}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "masks.json")
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--child", nargs=3, metavar=("WHO", "MASK", "N"))
    given = parser.parse_args()
    if given.child:
        who, name, size = given.child
        if who == "fovea":
            result = fovea_child(name, int(size))
        elif who == "torch":
            result = torch_child(name, int(size), given.threads)
        elif who == "shares":
            result = shares_child(int(size))
        else:
            result = attention_child(int(size))
        print(json.dumps(result))
        return 0
    about, threads = machine_for(given.json, given.threads), str(given.threads)

    def run(who: str, name: str, length: int) -> Any:
        return run_child(
            "masks.py", "--child", who, name, str(length), "--threads", threads,
            FOVEA_NUM_THREADS=threads,
        )  # fmt: skip

    rows = {}
    for name in NAMES[:2] if given.quick else NAMES:
        rows[f"{name} {given.length}"] = {
            "fovea": run("fovea", name, given.length),
            "torch": run("torch", name, given.length),
        }
        for length in LENGTHS[:1] if given.quick else LENGTHS:
            rows[f"{name} {length}"] = {"fovea": run("fovea", name, length)}
    attention, shares = {}, run("shares", "all", given.length)
    if not given.quick:
        rows[f"{PACKED} {MILLION}"] = {"fovea": run("fovea", PACKED, MILLION)}
        attention = run("attention", "window", MILLION)
    show(rows, attention, shares, given.length)
    results = {
        "machine": about,
        "rows": rows,
        "attention": attention,
        "shares": shares,
    }
    write_json(given.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
