#!/usr/bin/env python3
"""Fovea on a GPU beside cuDNN, FlexAttention and FlashAttention-4.

    python test/gpu/pack.py                          on a machine with the compiler
    python benchmarks/gpu.py gpu_carry/pack.tar.xz   on the machine with the GPU

Contestants take turns in one process, in bursts; --sustained adds back-to-back
figures. Rates count the scores that the mask keeps. Only kernels that pass their
correctness cases are timed (--trust skips those cases). Writes JSON with date,
board and versions, prints a table and which bars hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test" / "gpu"))

import run as runner
from fovea_gpu.manifest import load_pack
from fovea_gpu.report import (
    print_checks,
    print_times,
    ratios,
    time_groups,
    walk_bound,
)

Row = dict[str, Any]

#: (variant, D, N) -> least speed over cuDNN. None of N: every size.
CUDNN_BARS: dict[tuple[str, int, int], float] = {
    ("noop", 128, 16384): 1.06,
    ("causal", 128, 16384): 1.15,
    ("noop", 128, 4096): 1.06,
    ("causal", 128, 4096): 1.16,
    ("noop", 64, 16384): 1.19,
    ("causal", 64, 16384): 1.21,
    ("noop", 256, 8192): 1.06,
    ("causal", 256, 8192): 1.15,
}
#: Least speed over the prototype's kernel of the same variant and size.
PROTOTYPE_BAR = 0.97
#: Least speed at D 128 over our own causal kernel of the same size.
CAUSAL_BARS = {"alibi_causal": 0.93, "table_causal": 0.86, "softcap_causal": 0.79}


def _bar(name: str, value: float, least: float) -> Row:
    return {"bar": name, "value": value, "least": least, "holds": value >= least}


def _ours(rows: Sequence[Row]) -> Row | None:
    """The fastest of our kernels in a group."""
    own = [r for r in rows if r["impl"].split(":")[0] == "fovea" and "tflops" in r]
    return max(own, key=lambda r: r["tflops"], default=None)


def find_bars(rows: Sequence[Row], processors: int) -> list[Row]:
    """Every bar that the rows have figures for."""
    groups = time_groups(rows)
    found = []
    for key, group in groups.items():
        variant, _, D, _, H, Hk, N = key
        best = _ours(group)
        if best is None:
            continue
        size = f"{variant} D{D} N{N}" + ("" if Hk == H else f" heads {H}/{Hk}")
        over = ratios(group)[best["impl"]]
        least = CUDNN_BARS.get((variant, D, N))
        if least is not None and "cudnn" in over:
            found.append(_bar(f"{size} over cuDNN", over["cudnn"], least))
        # The prototype's best form is the yardstick.
        prototypes = [r for name, r in over.items() if name.startswith("prototype")]
        if prototypes:
            bar = _bar(f"{size} over the prototype", min(prototypes), PROTOTYPE_BAR)
            found.append(bar)
        causal = _ours(groups.get(("causal", *key[1:]), []))
        if D == 128 and variant in CAUSAL_BARS and causal:
            share = best["tflops"] / causal["tflops"]
            name = f"{size} of own causal"
            found.append(_bar(name, share, CAUSAL_BARS[variant]))
        if variant.startswith(("window", "lists")) and "visited" in best:
            plain = _plain(groups, D, best["tile"])
            if plain is not None:
                share = walk_bound(best, plain, processors) / best["ms"]
                found.append(_bar(f"{size} of the walk bound", share, 1.0))
    return found


def _plain(groups: dict[tuple, list[Row]], D: int, tile: list[int]) -> Row | None:
    """Our noop of a tile and the longest sequence at a head dim."""
    rows = [
        row
        for key, group in groups.items()
        if key[0].startswith("noop") and key[2] == D
        for row in group
        if row["impl"].split(":")[0] == "fovea" and row.get("tile") == tile
    ]
    return max(rows, key=lambda row: (row["N"], row["tflops"]), default=None)


def print_bars(bars: Sequence[Row]) -> None:
    for bar in bars:
        verdict = "holds" if bar["holds"] else "MISSED"
        print(f"{bar['bar']:48s} {bar['value']:.3f} (>= {bar['least']}) {verdict}")
    held = sum(bar["holds"] for bar in bars)
    print(f"bars: {held} of {len(bars)} hold")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path, help="what test/gpu/pack.py wrote")
    parser.add_argument("--only", action="append", default=[], help="texts in groups")
    parser.add_argument("--peers", default="cudnn,flex,fa4")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sustained", action="store_true")
    parser.add_argument("--trust", action="store_true", help="no correctness cases")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds in all")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a case")
    out = Path(os.environ.get("OUT", "benchmarks/results/local"))
    parser.add_argument("--out", type=Path, default=out, help="folder of the results")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    session = runner.Session(options, load_pack(options.pack))
    session.child("machine", "machine", runner.describe_machine, ())
    machine = session.log.rows[0]
    if "processors" not in machine:
        print(f"no GPU to measure: {machine['reason']}", file=sys.stderr)
        return 1
    if not options.trust:
        quick, options.quick = options.quick, True
        session.check()
        options.quick = quick
    session.time(options.only)
    rows = session.log.rows
    bars = find_bars(rows, machine["processors"])
    result = {"machine": machine, "rows": rows[1:], "bars": bars}
    (options.out / "gpu.json").write_text(json.dumps(result, indent=1))
    failures = print_checks(rows)
    print_times(rows)
    print_bars(bars)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
