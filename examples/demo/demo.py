#!/usr/bin/env python3
"""Fovea at work, in five steps; every figure is measured in this run.

    ./dev demo        or        python examples/demo/demo.py [--length N]

Exit status 1 where a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

import fovea

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from examples.demo import packed, png  # noqa: E402
from examples.demo.report import Report  # noqa: E402
from examples.minilm import similarity  # noqa: E402

MILLION = 1 << 20


def median_seconds(function: Callable[[], Any], count: int = 5) -> float:
    """Median of some calls, after one to warm up."""
    function()
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        function()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def show_machine(report: Report) -> None:
    report.step(1, "this machine")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        fovea.show_config()
    report.plain(text.getvalue().rstrip())


def show_model(report: Report) -> None:
    report.step(2, "a real model: all-MiniLM-L6-v2, its attention one Fovea kernel")
    try:
        result = similarity.compare()
    except FileNotFoundError as error:
        report.check(False, str(error))
        return
    report.say(similarity.table(result))
    report.check(
        result.passed,
        "largest difference from the plain computation"
        f" {result.difference:.1e} (allowed {similarity.LIMIT:.0e})",
    )


def check_numbers(report: Report, variant: fovea.Variant) -> None:
    """The kernel against the interpreter on a small problem."""
    small = packed.Problem.make(300)
    inputs = (small.q, small.k, small.v)
    exact = variant(
        *(x.astype(np.float64) for x in inputs), target="interpreter", **small.captures
    )
    error, allowed = packed.errors(variant(*inputs, **small.captures), small, exact)
    report.check(
        error <= allowed,
        f"mean error against the f64 interpreter, 300 tokens: {error:.1e}"
        f" (allowed {allowed:.1e})",
    )


def compare_speed(
    report: Report, kernel: fovea.Kernel, problem: packed.Problem
) -> None:
    """Fovea, NumPy and, where installed, torch on the same inputs."""
    inputs = (problem.q, problem.k, problem.v)
    ours = median_seconds(lambda: kernel(*inputs))
    start = time.perf_counter()
    problem.numpy()
    rows = [("Fovea", ours, ""), ("NumPy", time.perf_counter() - start, "")]
    flex = packed.torch_flex(problem)
    if flex is not None:
        call, compile_seconds = flex
        rows.append(
            (
                "torch FlexAttention",
                median_seconds(call),
                f"compiled in {compile_seconds:.1f} s",
            )
        )
    table = Table(title=f"{problem.q.shape[2]} tokens, {packed.HEADS} heads, float32")
    for column in ("", "time", "times Fovea's", ""):
        table.add_column(column, justify="right")
    for name, seconds, note in rows:
        table.add_row(name, f"{seconds * 1e3:,.1f} ms", f"{seconds / ours:.2f}", note)
    report.say(table)
    if flex is None:
        report.say("torch is not installed here: no row for FlexAttention")


def compare_memory(report: Report, length: int) -> None:
    """Peak memory of one call, measured in a process of its own."""
    script = str(HERE / "packed.py")
    done = subprocess.run(
        [sys.executable, script, str(length)], stdout=subprocess.PIPE, check=True
    )
    above = json.loads(done.stdout)["above"]
    matrix = packed.HEADS * length**2 * 4
    report.check(
        above < matrix / 8,
        f"memory above the tensors: {above / 2**20:.1f} MiB;"
        f" the scores would take {matrix / 2**20:,.0f} MiB",
    )


def show_variant(report: Report, length: int) -> None:
    report.step(3, "a variant of your own, in a .attn file of nine lines")
    report.plain(packed.FILE.read_text().rstrip())
    variant = fovea.load(packed.FILE)
    problem = packed.Problem.make(length)
    before = fovea.cache_info()
    start = time.perf_counter()
    kernel = variant.compile(D=packed.HEAD_DIM, captures=problem.captures)
    seconds = time.perf_counter() - start
    hit = fovea.cache_info().disk_hits > before.disk_hits
    how = "loaded from the disk cache" if hit else "compiled"
    report.say(f"{how} in {seconds * 1e3:.0f} ms")
    check_numbers(report, variant)
    compare_speed(report, kernel, problem)
    compare_memory(report, length)


def show_mask(report: Report, length: int, folder: Path) -> None:
    report.step(4, "its mask: what is skipped")
    mask_mod = fovea.load(packed.FILE).mask_mod
    doc = packed.documents(length)
    mask = fovea.create_block_mask(
        mask_mod, 1, 1, length, length, captures={"doc": doc}
    )
    report.plain(str(mask))
    picture = folder / "mask.png"
    png.write_classes(picture, mask.block_classes()[0, 0])
    report.say(f"the same as a picture: {picture}")
    n = np.arange(length)
    near = (n[:, None] >= n) & (n[:, None] - n < packed.WINDOW)
    dense = near & (doc[:, None] == doc)
    live = int(mask.to_dense().sum()) * 128 * 128
    report.check(
        int(dense.sum()) <= live and exact_classes(mask, dense),
        f"tile classes agree with the dense mask ({dense.mean():.1%} of it is true)",
    )
    show_million(report, mask_mod)


def exact_classes(mask: fovea.BlockMask, dense: np.ndarray) -> bool:
    """Whether every tile has the class that the dense mask gives it."""
    rows, columns = mask.block_classes().shape[2:]
    padded = np.zeros((rows * 128, columns * 128), bool)
    padded[: dense.shape[0], : dense.shape[1]] = dense
    tiles = padded.reshape(rows, 128, columns, 128)
    low, high = tiles.all(axis=(1, 3)), tiles.any(axis=(1, 3))
    return np.array_equal(mask.block_classes()[0, 0], low.astype(int) + high)


def show_million(report: Report, mask_mod: Callable[..., Any]) -> None:
    """The same mask at a million tokens."""
    doc = packed.documents(MILLION)
    start = time.perf_counter()
    mask = fovea.create_block_mask(
        mask_mod, 1, 1, MILLION, MILLION, captures={"doc": doc}
    )
    seconds = time.perf_counter() - start
    full, partial, empty = mask.counts()
    tiles = MILLION // 128
    diagonal = set(np.diagonal(mask.block_classes()[0, 0]).tolist())
    report.say(
        f"at {MILLION:,} tokens: {full:,} tiles full, {partial:,} partial,"
        f" {empty:,} empty, found exactly in {seconds * 1e3:.0f} ms"
    )
    report.check(
        full + partial + empty == tiles**2 and diagonal == {1},
        f"all {tiles**2:,} tiles are counted, those on the diagonal partial",
    )


def show_mistake(report: Report) -> None:
    report.step(5, "a mistake, answered")

    def window(b, h, q_idx, kv_idx):
        return q_idx >= kv_idx and q_idx - kv_idx < 1024

    q = np.zeros((1, 1, 4, 8), np.float32)
    try:
        fovea.attention(q, q, q, mask_mod=window)
    except TypeError as error:
        report.plain(f"{type(error).__name__}: {error}")
        report.check(
            "window" in str(error) and "&" in str(error) and "demo.py" in str(error),
            "the message names the mod, the place and what to write",
        )
    else:
        report.check(False, "`and` on traced values raises a TypeError")


NEXT = """
What to try next:
  examples/demo/packed.attn         edit it and run the demo again
  zoo/README.md                     variants from the literature, ready to use
  python benchmarks/cpu.py          all variants beside torch
  kernel.explain(), kernel.ir(...)  what a kernel skips, and its code at every level"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=4096, help="tokens in step 3")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "demo", help="folder of the PNG"
    )
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    report = Report()
    start = time.perf_counter()
    show_machine(report)
    show_model(report)
    show_variant(report, given.length)
    show_mask(report, given.length, given.out)
    show_mistake(report)
    report.say()
    for text in report.failures:
        report.say(f"[bold red]failed:[/] {text}")
    report.plain(NEXT)
    report.say(f"\n{time.perf_counter() - start:.0f} s in all")
    return report.status


if __name__ == "__main__":
    sys.exit(main())
