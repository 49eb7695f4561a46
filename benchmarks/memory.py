#!/usr/bin/env python3
"""Memory of one call: the peak above the tensors, at a length of 16384.

Each variant runs in a process of its own, its kernel compiled and its threads
started. The growth of the resident memory during the call, less the result, is
what the computation took.

    python benchmarks/memory.py [--length N] [--heads H]
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from common import add_common_arguments, machine_for, peak_growth, run_child, write_json

D = 64
NAMES = ("noop", "causal", "alibi_causal", "document_causal")


def child(name: str, length: int, heads: int) -> dict[str, int]:
    """Measure one variant in this process."""
    from variants import Data, fovea_mods

    import fovea

    rng = np.random.default_rng(0)
    shape = (1, heads, length, D)
    q, k, v = (rng.standard_normal(shape, dtype=np.float32) for _ in range(3))
    score_mod, mask_mod = fovea_mods(Data.make(length, rng))[name]
    kernel = fovea.compile(score_mod, mask_mod, D=D)
    kernel(q[:, :, :1], k[:, :, :1], v[:, :, :1])
    # The result is a tensor and not the computation's own.
    growth = peak_growth(lambda: kernel(q, k, v))
    return {"tensors": 4 * q.nbytes, "above": max(0, growth - q.nbytes)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "memory.json")
    parser.add_argument("--length", type=int, default=16384)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--child", choices=NAMES)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(given.child, given.length, given.heads)))
        return 0
    from rich.console import Console
    from rich.table import Table

    about = machine_for(given.json, given.threads)
    size = ("--length", str(given.length), "--heads", str(given.heads))
    names = NAMES[:2] if given.quick else NAMES
    rows = {
        name: run_child(
            "memory.py", "--child", name, *size, FOVEA_NUM_THREADS=str(given.threads)
        )
        for name in names
    }
    matrix = given.heads * given.length**2 * 4
    table = Table(title=f"memory at N = {given.length}, {given.heads} heads, D = {D}")
    for column in ("variant", "tensors", "above them", "a score matrix"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        cells = (row["tensors"], row["above"], matrix)
        table.add_row(name, *(f"{cell / 2**20:,.1f} MiB" for cell in cells))
    Console().print(table)
    results = {"machine": about, "score_matrix_bytes": matrix, "rows": rows}
    write_json(given.json, results | {"length": given.length, "heads": given.heads})
    return 0


if __name__ == "__main__":
    sys.exit(main())
