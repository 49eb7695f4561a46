#!/usr/bin/env python3
"""Fovea on a GPU beside cuDNN, FlexAttention and FlashAttention-4.

    python test/gpu/pack.py                          on a machine with the compiler
    python benchmarks/gpu.py gpu_carry/pack.tar.xz   on the machine with the GPU
    python benchmarks/gpu.py --merge A.json B.json --launch gpu_cost.json

Where one run may not last long enough, groups (--only) are split over several and
their results merged: a group is taken whole from the last file that has it.
--launch adds what gpu_cost.py measured, with its bars.

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
from bars import Row, at_least, at_most, print_bars
from fovea_gpu.manifest import load_pack
from fovea_gpu.measure import CEILING, LENGTHS, TILE_STEPS
from fovea_gpu.report import (
    print_checks,
    print_times,
    ratios,
    time_groups,
    walk_bound,
)

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
#: Least speed of a step where kernels read lengths, over the usual form's.
LENGTHS_BAR = 0.98
#: Least speed at D 128 over our own causal kernel of the same size.
CAUSAL_BARS = {"alibi_causal": 0.93, "table_causal": 0.86, "softcap_causal": 0.79}


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
            found.append(at_least(f"{size} over cuDNN", over["cudnn"], least))
        # The prototype's best form is the yardstick.
        prototypes = [r for name, r in over.items() if name.startswith("prototype")]
        if prototypes:
            bar = at_least(f"{size} over the prototype", min(prototypes), PROTOTYPE_BAR)
            found.append(bar)
        causal = _ours(groups.get(("causal", *key[1:]), []))
        if D == 128 and variant in CAUSAL_BARS and causal:
            share = best["tflops"] / causal["tflops"]
            name = f"{size} of own causal"
            found.append(at_least(name, share, CAUSAL_BARS[variant]))
        suffix = next((x for x in LENGTHS if variant.endswith(x)), None)
        if suffix is not None:
            usual = _ours(groups.get((variant.removesuffix(suffix), *key[1:]), []))
            if usual is not None and usual["tile"] == best["tile"]:
                share = usual["ms"] / _steps(usual) / (best["ms"] / best["steps"])
                found.append(at_least(f"{size} over noop, a step", share, LENGTHS_BAR))
        if variant.startswith(("window", "lists")) and "visited" in best:
            plain = _plain(groups, key, best["tile"])
            if plain is not None:
                bound = walk_bound(best, plain, processors)
                bar = at_least(f"{size} of the walk bound", bound / best["ms"], 1.0)
                # What a kernel would reach that only moves the tensors.
                for row in group:
                    if row["impl"] == CEILING:
                        bar["ceiling"] = bound / row["ms"]
                found.append(bar)
    return found


def _steps(row: Row) -> float:
    """What the tiles of all heads take, as `steps` of rows with lengths."""
    tiles = row["visited"] + TILE_STEPS * row["query_tiles"]
    return row["B"] * row["H"] * tiles


def _plain(groups: dict[tuple, list[Row]], like: tuple, tile: list[int]) -> Row | None:
    """Our noop of a tile, dtype and head dim with the longest sequence; of
    several that with the heads of a group."""
    rows = [
        (row["N"], key[3:6] == like[3:6], row["tflops"], row)
        for key, group in groups.items()
        if key[0].startswith("noop")
        and key[1:3] == like[1:3]
        and not key[0].endswith(tuple(LENGTHS))
        for row in group
        if row["impl"].split(":")[0] == "fovea" and row.get("tile") == tile
    ]
    return max(rows, key=lambda found: found[:3], default=(None,))[-1]


def _identity(row: Row) -> tuple:
    names = ("variant", "dtype", "D", "B", "H", "Hk", "N", "impl")
    return tuple(row.get(name) for name in names)


def merge(files: Sequence[Path]) -> dict[str, Any]:
    """The results of several runs as those of one, with the bars of all rows.

    A group is taken whole from the last file that timed one of our kernels in
    it, so that ratios are of one run; files without add their peers. Groups
    stand where they stood first.
    """
    runs = [json.loads(path.read_text()) for path in files]
    rows: dict[tuple, Row] = {}
    places: dict[tuple, int] = {}
    for run in runs:
        fresh = [row for row in run["rows"] if row.get("kind") == "time"]
        for row in fresh:
            places.setdefault(_identity(row)[:-1], len(places))
        ours = {_identity(row)[:-1] for row in fresh if _is_ours(row)}
        rows = {key: row for key, row in rows.items() if key[:-1] not in ours}
        rows |= {_identity(row): row for row in fresh if "impl" in row}
    machine = runs[-1]["machine"]
    kept = sorted(rows.values(), key=lambda row: places[_identity(row)[:-1]])
    return {
        "machine": machine,
        "rows": kept,
        "bars": find_bars(kept, machine["processors"]),
    }


def _is_ours(row: Row) -> bool:
    return "tflops" in row and row["impl"].split(":")[0] == "fovea"


#: Microseconds of a launch, seconds of a compilation.
LAUNCH_BARS = {"launch_c": 5.0, "launch_python": 12.0}
COMPILE_BARS = {"cold": 1.0, "cached": 5e-3}


def launch_bars(cost: dict[str, Any]) -> list[Row]:
    """The bars of what gpu_cost.py measured; less is better."""
    found = []
    for name, most in LAUNCH_BARS.items():
        if name in cost:
            found.append(at_most(f"{name} us", cost[name]["median_us"], most))
    for name, most in COMPILE_BARS.items():
        times = sorted(cost.get("compile", {}).get(name, {}).values())
        if times:
            value = times[-1] if name == "cold" else times[len(times) // 2]
            found.append(at_most(f"compile {name} s", value, most))
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "pack", type=Path, nargs="?", help="what test/gpu/pack.py wrote"
    )
    parser.add_argument("--merge", type=Path, nargs="+", help="gpu.json of runs")
    parser.add_argument("--launch", type=Path, help="the JSON of gpu_cost.py")
    parser.add_argument("--only", action="append", default=[], help="texts in groups")
    parser.add_argument("--peers", default="cudnn,flex,fa4")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sustained", action="store_true")
    parser.add_argument("--trust", action="store_true", help="no correctness cases")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds in all")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a case")
    out = Path(os.environ.get("OUT", "benchmarks/results/local"))
    parser.add_argument("--out", type=Path, default=out, help="folder of the results")
    options = parser.parse_args()
    if (options.pack is None) == (options.merge is None):
        parser.error("either a pack or --merge")
    return options


def finish(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Add the launches, write the JSON, print times and bars."""
    if options.launch:
        cost = json.loads(options.launch.read_text())
        result["launch"] = cost
        result["bars"] = result["bars"] + launch_bars(cost)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.json").write_text(json.dumps(result, indent=1))
    print_times(result["rows"])
    print_bars(result["bars"])


def main() -> int:
    options = parse_arguments()
    if options.merge:
        finish(merge(options.merge), options)
        return 0
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
    failures = print_checks(rows)
    finish({"machine": machine, "rows": rows[1:], "bars": bars}, options)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
