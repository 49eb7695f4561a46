#!/usr/bin/env python3
"""Forward speed on the CPU: Fovea beside torch's FlexAttention and SDPA.

All run round-robin in one process on the same cores, with the machine's
multiply-add peak probed between rounds; disturbed rounds are taken again.
Rates count only the scores that the mask keeps: 4 B H kept D operations.
torch is optional.

    python benchmarks/cpu.py [--threads N] [--quick] [--only NAME] [--rounds N]
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import (
    Peak,
    add_common_arguments,
    import_torch,
    machine,
    median,
    numpy_dtype,
    random,
    timed,
    to_torch,
    write_json,
)
from rich.console import Console
from rich.table import Table
from variants import HEADS, NAMES, Data, fovea_mods, kept, torch_mods

import fovea

QUICK = ("noop", "causal", "alibi_causal", "softcap_causal", "window1024")
Runs = dict[str, Callable[[], Any]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "cpu.json")
    parser.add_argument("--only", default="", help="variants whose name has this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--head-dims", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--lengths", nargs="+", type=int, default=None)
    parser.add_argument("--no-torch", action="store_true")
    given = parser.parse_args()
    if given.lengths is None:
        given.lengths = [2048] if given.quick else [512, 2048, 4096]
    given.rounds = 2 if given.quick else given.rounds
    given.names = [
        name for name in (QUICK if given.quick else NAMES) if given.only in name
    ]
    return given


def torch_runs(torch: Any, name: str, mods: Any, qkv: Any, row: dict) -> Runs:
    """FlexAttention compiled, and SDPA where it has the variant."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, k, v = (to_torch(torch, x) for x in qkv)
    score_mod, mask_mod = mods
    length = q.shape[2]
    start = time.perf_counter()
    block_mask = mask_mod and create_block_mask(
        mask_mod, 1, None, length, length, device="cpu"
    )
    row["flex_mask_s"] = time.perf_counter() - start
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)

    def flex() -> Any:
        with torch.no_grad():
            return compiled(q, k, v, score_mod=score_mod, block_mask=block_mask)

    runs: Runs = {}
    start = time.perf_counter()
    try:
        flex()
        runs["flex"] = flex
    except Exception as error:  # a case that torch cannot compile is shown as such
        row["flex_error"] = str(error).splitlines()[0][:200]
        print(f"FlexAttention fails: {row['flex_error']}", file=sys.stderr)
    row["flex_compile_s"] = time.perf_counter() - start
    if name in ("noop", "causal"):
        sdpa = torch.nn.functional.scaled_dot_product_attention

        def dense() -> Any:
            with torch.no_grad():
                return sdpa(q, k, v, is_causal=name == "causal")

        runs["sdpa"] = dense
    return runs


def fovea_run(mods: Any, qkv: Any, dtype: str, row: dict) -> Callable[[], Any]:
    """The compiled kernel on these inputs."""
    start = time.perf_counter()
    kernel = fovea.compile(*mods, D=qkv[0].shape[3], dtype=dtype)
    row["fovea_compile_s"] = time.perf_counter() - start
    return lambda: kernel(*qkv)


def agreement(torch: Any, runs: Runs) -> float | None:
    """Largest difference between Fovea's and torch's results, relative."""
    other = runs.get("sdpa") or runs.get("flex")
    if other is None:
        return None
    ours = np.asarray(runs["fovea"](), np.float64)
    theirs = other().to(torch.float64).numpy()
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def measure(case: tuple, given: argparse.Namespace, torch: Any, peak: Peak) -> dict:
    """One row: all contestants on one variant, round-robin."""
    dtype, D, N, name = case
    rng = np.random.default_rng(0)
    qkv = [random((1, HEADS, N, D), numpy_dtype(dtype), rng) for _ in range(3)]
    data = Data.make(N, rng)
    row: dict[str, Any] = {"variant": name, "dtype": dtype, "D": D, "N": N, "H": HEADS}
    runs: Runs = {"fovea": fovea_run(fovea_mods(data)[name], qkv, dtype, row)}
    if torch is not None:
        runs |= torch_runs(torch, name, torch_mods(data, torch)[name], qkv, row)
        row["max_difference"] = agreement(torch, runs)
    rounds, peaks = take_rounds(runs, given.rounds, dtype, peak)
    operations = 4.0 * HEADS * kept(name, N) * D
    row["rounds"] = len(rounds)
    if peaks:
        row["peak_gflops"] = max(peaks)
        row["peak_spread"] = (max(peaks) - min(peaks)) / max(peaks)
    for run in runs:
        middle = median([taken[run] for taken in rounds])
        row[f"{run}_ms"] = middle * 1e3
        row[f"{run}_gflops"] = operations / middle / 1e9
        if peaks:
            row[f"{run}_of_peak"] = operations / middle / 1e9 / row["peak_gflops"]
    return row


def take_rounds(
    runs: Runs, wanted: int, dtype: str, peak: Peak
) -> tuple[list[dict[str, float]], list[float]]:
    """Seconds of each contestant by round, and the peaks probed round them.

    A round counts if the machine was undisturbed: the peak before and after it
    within 5 % of the best one seen. After three times the wanted number of
    rounds all count, and the spread of the peaks says so.
    """
    key = "bf16_gflops" if dtype == "bfloat16" else "f32_gflops"
    rounds: list[tuple[dict[str, float], float]] = []
    before = peak.measure().get(key, 0.0)
    for _ in range(3 * wanted):
        taken = {run: timed(function) for run, function in runs.items()}
        after = peak.measure().get(key, 0.0)
        rounds.append((taken, min(before, after)))
        before = after
        best = max(probe for _, probe in rounds)
        good = [one for one in rounds if one[1] >= 0.95 * best]
        if len(good) >= wanted:
            rounds = good
            break
    return [taken for taken, _ in rounds], [probe for _, probe in rounds if probe]


def shown(rows: list[dict]) -> Table:
    """The rows as a table: times, share of the peak, how many times faster."""
    table = Table(title="forward on the CPU; x = times faster than torch")
    for column in ("dtype", "D", "N", "variant"):
        table.add_column(column, no_wrap=True)
    for column in ("fovea ms", "of peak", "SDPA ms", "x", "Flex ms", "x"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        cells = [row["dtype"], str(row["D"]), str(row["N"]), row["variant"]]
        cells.append(f"{row['fovea_ms']:.2f}")
        cells.append(f"{row['fovea_of_peak']:.0%}" if "fovea_of_peak" in row else "")
        for run in ("sdpa", "flex"):
            if f"{run}_ms" in row:
                ratio = row[f"{run}_ms"] / row["fovea_ms"]
                colour = "green" if ratio >= 1 else "red"
                cells += [f"{row[f'{run}_ms']:.2f}", f"[{colour}]{ratio:.2f}[/]"]
            else:
                cells += ["", ""]
        table.add_row(*cells)
    return table


def main() -> int:
    given = arguments()
    fovea.set_num_threads(given.threads)
    torch = None if given.no_torch else import_torch(given.threads)
    console = Console()
    if not console.is_terminal:
        console = Console(width=110)  # a file need not be as narrow as a terminal
    if torch is None:
        console.print("torch is not used: Fovea alone is measured")
    peak = Peak(given.threads)
    rows = []
    cases = itertools.product(given.dtypes, given.head_dims, given.lengths, given.names)
    for case in cases:
        with console.status(" ".join(map(str, case))):
            rows.append(measure(case, given, torch, peak))
    console.print(shown(rows))
    noisy = [row for row in rows if row.get("peak_spread", 0) > 0.05]
    if noisy:
        console.print(
            f"[yellow]{len(noisy)} of {len(rows)} rows: the peak moved by more than"
            " 5 % between the rounds; other work ran on this machine"
        )
    about = machine(given.threads) | {"torch": torch and torch.__version__}
    write_json(given.json, {"machine": about, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
