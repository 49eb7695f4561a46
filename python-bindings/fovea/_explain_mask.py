"""What the mask analysis finds for given sizes, as text and as a picture."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _checks, _picture
from ._block_mask import BlockMask
from ._block_mask_checks import tiles_of
from ._create_mask import find_runs, trace_for_mask
from ._lib import native
from ._words import PairCost

__all__ = ["ITEMSIZE", "MaskReport", "png"]

_METHODS = {
    "everything": "no mask: every tile is full",
    "intervals": "closed form: each row sees few intervals of keys, which become loop"
    " bounds; no list and no mask tensor",
    "polyhedra": "integer polyhedra: every tile is decided exactly; lists of tiles by"
    " halving rectangles",
    "bounds": "intervals, congruences, minima and maxima of the captures; lists of"
    " tiles by halving rectangles",
    "table": "it reads a table at (q, kv): tiles are evaluated point by point, one at"
    " a time",
}
_HEADS = 64
_MOST_TILES = (2**31 - 1) // 4  # of a row: runs are 32-bit numbers
#: Bytes of an element of q, k and v.
ITEMSIZE = {"f16": 2, "bf16": 2, "f32": 4, "f64": 8}


def _machine(info: Mapping[str, Any]) -> tuple[str, float]:
    """A target's peak in words, and the operations a byte at which it balances."""
    if info["target"].startswith("sm_90"):
        return "989e12 operations and 3.35e12 bytes a second", 989 / 3.35
    size = 8 if info.get("dtype") == "f64" else 4
    features = info.get("cpu_features", "").split(",")
    wide = info.get("cpu") == "x86-64-v4" or "+avx512f" in features
    peak = 2 * 2 * (64 if wide else 32) // size
    return f"{peak} operations and about 4 bytes a cycle and core", peak / 4


def _check_sizes(sizes: Mapping[str, int], keys: int) -> None:
    """Refuse what the analysis cannot count, naming the sizes of `explain`."""
    pairs = math.prod(sizes[name] for name in ("B", "Hq", "M", "N"))
    if pairs >= 2**63:
        raise ValueError(
            f"M: must give fewer than 2^63 (query, key) pairs, got {pairs}"
        )
    if tiles_of(sizes["N"], keys) >= _MOST_TILES:
        raise ValueError(
            f"N: must give fewer than {_MOST_TILES} tiles of {keys} keys,"
            f" got {tiles_of(sizes['N'], keys)}"
        )


class MaskReport:
    """The tiles of a traced variant for one shape.

    Parameters
    ----------
    traced : traced variant
        With the arrays of its captures.
    sizes : mapping of str to int
        B, Hq, M, N, D, E.
    block_size : (int, int)
        Query and key extent of a tile.
    itemsize : int
        Bytes of an element of q, k and v.
    """

    def __init__(
        self,
        traced: Any,
        sizes: Mapping[str, int],
        block_size: tuple[int, int],
        itemsize: int,
    ):
        self.sizes, self.block_size, self.itemsize = sizes, block_size, itemsize
        _check_sizes(sizes, block_size[1])
        self.cost = PairCost(traced.program, sizes["D"], sizes["E"])
        B, H, M, N = (sizes[name] for name in ("B", "Hq", "M", "N"))
        self._query = trace_for_mask(traced, M * N, sizes["E"])
        shape = (
            B if self._query.by_batch else 1,
            H if self._query.by_head else 1,
            tiles_of(M, block_size[0]),
            tiles_of(N, block_size[1]),
        )
        runs = find_runs(self._query, shape, (M, N), (0, 0), block_size, True)
        self.runs = runs
        self.mask = BlockMask._make(runs, block_size, (M, N), None, None, (B, H))

    def _methods(self) -> list[tuple[str, list[str], str]]:
        """(method, closed forms, for which heads), those that are alike together."""
        B, H, M, N = (self.sizes[name] for name in ("B", "Hq", "M", "N"))
        found: dict[tuple, list[str]] = {}
        batches = range(B if self._query.by_batch else 1)
        heads = range(H if self._query.by_head else 1)
        pairs = [(b, h) for b in batches for h in heads]
        for b, h in pairs[:_HEADS]:
            answer = json.loads(
                native().mask_describe(
                    self._query.text, self._query.captures, (B, H, M, N), (0, 0), b, h
                )
            )
            key = (answer["method"], tuple(answer["keys"]))
            found.setdefault(key, []).append(f"b={b}, h={h}")
        rest = len(pairs) - _HEADS
        lines = []
        for (method, keys), where in found.items():
            heads_text = ""
            if len(pairs) > 1:
                heads_text = where[0] if len(where) == 1 else f"{len(where)} heads"
            lines.append((method, list(keys), heads_text))
        if rest > 0:
            lines.append(("", [], f"{rest} more heads"))
        return lines

    def lines(self, forms: int = 6) -> list[str]:
        """The report, a line an entry."""
        full, partial, empty = self.mask.counts()
        total = full + partial + empty
        bq, bkv = self.block_size
        out = [
            f"mask over M={self.sizes['M']}, N={self.sizes['N']} in tiles of"
            f" {bq} x {bkv}"
        ]
        for method, keys, where in self._methods():
            prefix = f"{where}: " if where else ""
            out.append(f"  {prefix}{_METHODS.get(method, 'not shown')}")
            shown = keys[:forms]
            out += [f"    visible: {key}" for key in shown]
            if len(keys) > forms:
                out.append(f"    ... and {len(keys) - forms} more")
        out.append(
            f"  tiles: {full} full, {partial} partial, {empty} empty"
            f" ({self.mask.sparsity():.2f} % skipped)"
        )
        decided = self.runs.statistics
        out.append(
            "  single tiles beside those in rectangles: "
            f"{decided['by_points']} by two points that differ,"
            f" {decided['by_polyhedra']} by polyhedra,"
            f" {decided['by_evaluation']} by all their points"
        )
        out += self._costs(full + partial, total)
        return out

    def _work(self) -> tuple[float, int, float]:
        """Operations a pair, pairs kept, bytes of the tensors."""
        s = self.sizes
        full, partial, _ = self.mask.counts()
        live = full + partial
        each = self.cost.total(partial / live if live else 0.0)
        repeats = s["B"] * s["Hq"] // math.prod(self.runs.shape[:2])
        kept = repeats * self.runs.live_pairs((s["M"], s["N"]), self.block_size)
        rows = s["B"] * (s["Hq"] * s["M"] + s["Hk"] * s["N"])
        return each, kept, self._row * rows

    @property
    def _row(self) -> int:
        """Bytes of a row of q and out, or of k and v."""
        return (self.sizes["D"] + self.sizes["E"]) * self.itemsize

    def _costs(self, live: int, total: int) -> list[str]:
        s, cost = self.sizes, self.cost
        each, kept, tensors = self._work()
        pairs = s["B"] * s["Hq"] * s["M"] * s["N"]
        share = 100 * kept / pairs if pairs else 0.0
        tile = self.block_size[1] * self._row
        return [
            f"  operations kept: {each * kept:.4g} of {each * pairs:.4g}"
            f" ({share:.2f} %), {each:.0f} a pair: {cost.products} of the products,"
            f" {cost.score} of the score, {cost.weight} of the weight, {cost.mask} of the"
            " mask on partial tiles",
            f"  bytes of keys and values that tiles of queries read: {live * tile:.4g} of"
            f" {total * tile:.4g}",
            f"  bytes of q, k, v and out: {tensors:.4g}",
        ]

    def roofline(self, info: Mapping[str, Any]) -> str:
        """Where the call lies between memory and arithmetic, for a kernel's info."""
        each, kept, tensors = self._work()
        peak, balance = _machine(info)
        intensity = each * kept / tensors if tensors else 0.0
        bound = "arithmetic" if intensity >= balance else "memory"
        return (
            f"  roofline: {intensity:.1f} operations a byte of the tensors,"
            f" {info['target']} balances at {balance:.0f} ({peak}): {bound} decides, at"
            f" most {100 * min(1.0, intensity / balance):.0f} % of the peak"
        )

    def picture(self) -> str:
        """The tiles as text."""
        return _picture.text(self.mask)


def png(mask: BlockMask, b: int = 0, h: int = 0, most: int = 1024) -> bytes:
    """The tiles of one head as a PNG file, without other packages.

    Parameters
    ----------
    mask : BlockMask
        What to draw.
    b, h : int
        Batch and head.
    most : int
        Width and height in pixels at most.
    """
    batch = _checks.integer(b, "b", 0, mask.shape[0] - 1)
    head = _checks.integer(h, "h", 0, mask.shape[1] - 1)
    cells = _picture.condensed(mask, batch, head, most, most)
    scale = max(1, most // max(*cells.shape, 1))
    pixels = np.repeat(np.repeat(cells, scale, 0), scale, 1).astype(np.uint8)
    height, width = pixels.shape
    if not pixels.size:
        pixels, height, width = np.zeros((1, 1), np.uint8), 1, 1
    palette = b"".join(bytes.fromhex(colour[1:]) for colour in _picture.COLOURS)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], 1).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", palette)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def example_arrays(program: Mapping[str, Any], sizes: Mapping[str, int]) -> tuple:
    """Seeded data for captures without values, and what each of them is.

    Integers of rank 1 with a range are sorted: document numbers, mostly.
    """
    rng = np.random.default_rng(0)
    known = {**sizes, "H": sizes["Hq"]}
    arrays, notes = {}, {}
    for capture in program["captures"]:
        dims = capture.get("dims") or [None] * capture["rank"]
        shape = tuple(
            d if isinstance(d, int) else known.get(d, max(sizes["M"], sizes["N"]))
            for d in dims
        )
        _checks.fits(capture["name"], math.prod(shape), 8)
        dtype = capture["dtype"]
        note = "random"
        if dtype == "i1":
            values: Any = rng.random(shape) < 1 / 16
        elif dtype in ("f16", "bf16", "f32", "f64"):
            values = rng.standard_normal(shape).astype(np.float32)
            if dtype != "f32":
                values = _as_float(values, dtype)
        else:
            low, high = (
                known.get(end, 16) if isinstance(end, str) else end
                for end in capture.get("range") or (0, 16)
            )
            if len(shape) == 1 and high - low > 64:
                high = low + 64
            values = rng.integers(low, max(high, low + 1), shape)
            if len(shape) == 1:
                values, note = np.sort(values), "random, sorted"
            name = dtype.replace("ui", "uint") if dtype[0] == "u" else f"int{dtype[1:]}"
            values = values.astype(name)
        arrays[capture["name"]], notes[capture["name"]] = values, note
    return arrays, notes


def _as_float(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bf16":
        import ml_dtypes

        return values.astype(ml_dtypes.bfloat16)
    return values.astype({"f16": np.float16, "f64": np.float64}[dtype])
