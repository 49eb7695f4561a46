#!/usr/bin/env python3
"""Draw results of cpu.py: shares of the multiply-add peak, Fovea beside torch.

    python benchmarks/plot_cpu.py benchmarks/results/cpu-MACHINE.json \\
        benchmarks/results/cpu-MACHINE.png
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bars import Row
from variants import HEADS, NAMES

CONTESTANTS = {
    "fovea": ("Fovea", "#1a6faf"),
    "sdpa": ("SDPA", "#b9b9b9"),
    "flex": ("FlexAttention", "#e0a03c"),
}
PANELS = [(dtype, dim) for dtype in ("float32", "bfloat16") for dim in (64, 128)]
LENGTH = 2048


def panel(rows: Sequence[Row], dtype: str, dim: int) -> dict[str, Row]:
    """The rows of one panel by variant, those of most threads."""
    like = {"dtype": dtype, "D": dim, "N": LENGTH, "H": HEADS, "Hk": HEADS}
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: row["threads"]):
        if not row["void"] and all(row[name] == it for name, it in like.items()):
            found[row["variant"]] = row
    return {name: found[name] for name in NAMES if name in found}


def draw(axes: Any, rows: dict[str, Row], title: str) -> None:
    """One panel: a group of bars a variant."""
    width = 0.8 / len(CONTESTANTS)
    for place, (run, (label, colour)) in enumerate(CONTESTANTS.items()):
        at, shares = [], []
        for number, row in enumerate(rows.values()):
            if f"{run}_of_peak" in row:
                at.append(number + (place - 1) * width)
                shares.append(100 * row[f"{run}_of_peak"])
        axes.bar(at, shares, width, label=label, color=colour)
    names = [re.sub(r"_|(?<=[a-z])(?=\d)", "\n", name) for name in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=6.5)
    axes.set_ylim(0, 100)
    axes.set_title(title, fontsize=9)
    axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    results = json.loads(given.results.read_text())
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 6), sharey=True)
    for place, (dtype, dim) in zip(axes.flat, PANELS, strict=True):
        draw(place, panel(results["rows"], dtype, dim), f"{dtype}, D {dim}")
    for place in axes[:, 0]:
        place.set_ylabel("% of the multiply-add peak", fontsize=8)
    axes[0, 0].legend(fontsize=8, ncols=3, loc="upper right")
    machine = results["machine"]
    figure.suptitle(
        f"Forward, N {LENGTH}, {HEADS} heads, {machine['microarchitecture']},"
        f" {machine['threads']} threads, torch {machine['torch']}, {machine['date']}",
        fontsize=10,
    )
    figure.tight_layout()
    figure.savefig(given.picture, dpi=80)
    print(f"picture in {given.picture}")


if __name__ == "__main__":
    main()
