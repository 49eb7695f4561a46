#!/usr/bin/env python3
"""How many tiles of the zoo's masks the analysis decides without any point.

For every mask: which analysis answers, and the share of tiles whose class is the
exact one. Seeded data for the captures; documents are sorted.

    python benchmarks/mask_precision.py [--length N] [--tile T]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

ZOO = Path(__file__).resolve().parents[1] / "zoo" / "masks"

#: Tokens of the masks whose extents are parameters of the file.
LENGTHS = {"neighborhood_3d": 512, "shifted_window": 3136}


def precision(path: Path, length: int, tile: int) -> dict[str, Any]:
    """Method, tiles, share of tiles with their exact class."""
    import fovea
    from fovea._create_mask import find_runs, trace_for_mask
    from fovea._explain_mask import example_arrays
    from fovea._lib import native

    variant = fovea.load(str(path))
    length = LENGTHS.get(path.stem, length)
    sizes = {"B": 2, "Hq": 4, "Hk": 4, "M": length, "N": length, "D": 64, "E": 64}
    source, _ = variant._split({})
    arrays, _ = example_arrays(source.program, sizes)
    if "start" in arrays:  # positions of the documents
        starts = np.searchsorted(arrays["doc"], np.arange(arrays["doc"].max() + 2))
        arrays["start"] = starts.astype(np.int32)
    traced = source.trace("f32", arrays, None)
    query = trace_for_mask(traced, length * length, sizes["E"])
    tiles = -(-length // tile)
    shape = (2, 4, tiles, tiles)
    exact, rough = (
        find_runs(query, shape, (length, length), (0, 0), (tile, tile), flag).classes()
        for flag in (True, False)
    )
    answer = json.loads(
        native().mask_describe(
            query.text, query.captures, (2, 4, length, length), (0, 0), 0, 0
        )
    )
    assert not ((rough != 1) & (rough != exact)).any()  # sound
    return {
        "method": answer["method"],
        "tiles": exact.size,
        "decided": float((rough == exact).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--tile", type=int, default=64)
    given = parser.parse_args()
    print(f"{'mask':26}{'analysis':12}{'tiles':>8}  as the exact classes")
    for path in sorted(ZOO.glob("*.attn")):
        row = precision(path, given.length, given.tile)
        share = f"{100 * row['decided']:.2f} %"
        print(f"{path.stem:26}{row['method']:12}{row['tiles']:8}  {share:>9}")


if __name__ == "__main__":
    main()
