#!/usr/bin/env python3
"""Memory of one call: the peak above the tensors, at a length of 16384.

Each variant runs in a process of its own. The peak resident set is read before
the call, when q, k, v and a result of the same size are in memory and the
kernel is compiled, and after it; the difference is what the computation took.

    python benchmarks/memory.py [--length N] [--heads H]
"""

from __future__ import annotations

import argparse
import json
import resource
import sys

import numpy as np
from common import add_common_arguments, machine, run_child, write_json

D = 64
NAMES = ("noop", "causal", "alibi_causal", "document_causal")


def peak_bytes() -> int:
    """Peak resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
    # Touched and freed: the result of the call is a tensor, not overhead.
    result = np.ones(shape, np.float32)
    del result
    before = peak_bytes()
    out = kernel(q, k, v)
    after = peak_bytes()
    return {
        "tensors": 3 * q.nbytes + out.nbytes,
        "above": after - before,
        "before": before,
        "after": after,
    }


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
        cells = (row["tensors"], max(row["above"], 0), matrix)
        table.add_row(name, *(f"{cell / 2**20:,.1f} MiB" for cell in cells))
    Console().print(table)
    about = machine(given.threads)
    results = {"machine": about, "score_matrix_bytes": matrix, "rows": rows}
    write_json(given.json, results | {"length": given.length, "heads": given.heads})
    return 0


if __name__ == "__main__":
    sys.exit(main())
