#!/usr/bin/env python3
"""One token at a time on the CPU: the rate at which Fovea reads a KV cache.

The kernels of all layouts take turns in one round, and between two of them the
same bytes are read plainly by the same number of threads, started together. The
rate of memory moves with what else runs on the machine, so the share is the median
over the turns of the time of the reads round a kernel by that of the kernel, and a
turn counts where these reads agree. Other layouts are also compared with contiguous
keys ("heads") within each turn; of pages there is one more share: what reading them
in the order of their table takes of a plain read. Layouts whose copies do not fit
beside each other take their turns in several rounds. The sequences of the layout
"unequal" have lengths from 64 to the whole cache; as many bytes as they hold are
read beside them. Long sequences have as many heads as fill twice the last cache of
the processor.

    python benchmarks/decode.py [--threads N] [--quick] [--seconds S]
    python benchmarks/decode.py --merge A.json B.json --json ALL.json

A long measurement may be cut into runs by --dtypes, --batches and the like and
their results merged: a row is that of the last file that has it.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from bars import Row, at_least, print_bars
from common import (
    HERE,
    add_common_arguments,
    aligned,
    machine_for,
    median,
    numpy_dtype,
    positive_int,
    positive_seconds,
    refuse_mixing,
    write_json,
)
from rich.console import Console
from rich.table import Table

import fovea

D = 128
PAGE = 16
DTYPES = ("float32", "bfloat16", "float16", "float64")
#: Bytes of keys and values together that a row reads at least, if it can with
#: so many heads; more where the last cache holds half of them.
WANTED = 256 << 20
MOST_HEADS = 8
LAST_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")


def scale_of_cache(size: Path = LAST_CACHE) -> int:
    """How many times as much it takes for twice the last cache."""
    try:
        last = int(size.read_text().removesuffix("K\n")) << 10
    except (OSError, ValueError):
        return 1
    return max(1, -(-2 * last // WANTED))


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "decode.json")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES[:2]))
    parser.add_argument("--groups", nargs="+", type=positive_int, default=[1, 4, 8])
    parser.add_argument("--batches", nargs="+", type=positive_int)
    parser.add_argument("--lengths", nargs="+", type=positive_int)
    parser.add_argument(
        "--layouts", nargs="+", default=list(LAYOUTS), choices=list(LAYOUTS)
    )
    parser.add_argument("--seconds", type=positive_seconds, help="of each row")
    parser.add_argument(
        "--most-bytes",
        type=positive_int,
        default=3 << 30,
        help="of the copies of a round",
    )
    parser.add_argument("--merge", type=Path, nargs="+", help="results of runs")
    given = parser.parse_args(words)
    given.lengths = given.lengths or ([65536] if given.quick else [8192, 65536])
    given.batches = given.batches or ([1] if given.quick else [1, 16])
    given.seconds = given.seconds or (0.5 if given.quick else 2.0)
    return given


class Reader:
    """The probe: seconds that reading two arrays takes."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        compiler = next(filter(shutil.which, ("clang-22", "clang", "cc", "gcc")), None)
        if compiler is None:
            sys.exit("decode.py needs a C compiler for its probe")
        self._folder = tempfile.TemporaryDirectory(prefix="fovea-read-")
        library = Path(self._folder.name) / "read.so"
        command = [compiler, "-O3", "-march=native", "-shared", "-fPIC"]
        command += [str(HERE / "read.c"), "-o", str(library), "-lpthread"]
        subprocess.run(command, check=True)
        self._call = ctypes.CDLL(str(library)).read_seconds
        self._call.restype = ctypes.c_double
        sizes = [ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._call.argtypes = [ctypes.c_void_p] * 2 + sizes

    def seconds(
        self,
        k: np.ndarray,
        v: np.ndarray,
        table: np.ndarray | None = None,
        *,
        size: int | None = None,
    ) -> float:
        """Of all bytes in order, or so many of each; with a table page by page."""
        at = [x.__array_interface__["data"][0] for x in (k, v)]
        pages = (None, 0)
        if table is not None:
            pages = (table.__array_interface__["data"][0], k[0].nbytes)
        return self._call(*at, size or k.nbytes, *pages, self.threads)


def fill(shape: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator) -> Any:
    """An aligned array of normal numbers, which repeat after 16 MiB."""
    array = aligned(shape, dtype)
    flat = array.reshape(-1)
    some = rng.standard_normal(min(flat.size, 1 << 22), np.float32).astype(dtype)
    for start in range(0, flat.size, some.size):
        part = flat[start : start + some.size]
        part[...] = some[: part.size]
    return array


def heads_together(shape: tuple, dtype: np.dtype, rng: np.random.Generator) -> tuple:
    """[B, Hk, N, D] in this order in memory."""
    k, v = (fill(shape, dtype, rng) for _ in range(2))
    return k, v, k, v


def tokens_together(shape: tuple, dtype: np.dtype, rng: np.random.Generator) -> tuple:
    """[B, N, Hk, D] in memory, seen as [B, Hk, N, D]."""
    b, h, n, d = shape
    k, v = (fill((b, n, h, d), dtype, rng) for _ in range(2))
    return k, v, k.transpose(0, 2, 1, 3), v.transpose(0, 2, 1, 3)


def in_pages(shape: tuple, dtype: np.dtype, rng: np.random.Generator) -> tuple:
    """Pages of 16 tokens in random order, each [Hk, 16, D]."""
    b, h, n, d = shape
    table = rng.permutation(b * n // PAGE).reshape(b, n // PAGE)
    k, v = (fill((b * n // PAGE, h, PAGE, d), dtype, rng) for _ in range(2))
    return k, v, fovea.Pages(k, table), fovea.Pages(v, table)


def in_token_pages(shape: tuple, dtype: np.dtype, rng: np.random.Generator) -> tuple:
    """Pages of 16 tokens in random order, each [16, Hk, D]."""
    b, h, n, d = shape
    table = rng.permutation(b * n // PAGE).reshape(b, n // PAGE)
    k, v = (fill((b * n // PAGE, PAGE, h, d), dtype, rng) for _ in range(2))
    pools = (x.transpose(0, 2, 1, 3) for x in (k, v))
    return k, v, *(fovea.Pages(pool, table) for pool in pools)


#: Tokens of the shortest sequence of a batch of unequal lengths, and the unit of
#: their lengths.
SHORTEST = 64


def unequal(batch: int, length: int) -> np.ndarray:
    """Lengths from the shortest to the whole cache, each longer by one factor."""
    steps = np.geomspace(1, length // SHORTEST, batch).round().astype(np.int64)
    return steps * SHORTEST


LAYOUTS = {
    "heads": heads_together,
    "unequal": heads_together,
    "tokens": tokens_together,
    "pages": in_pages,
    "token-pages": in_token_pages,
}


Turn = tuple[tuple[float, float], float]


def summary(turns: Sequence[Turn], size: int) -> Row:
    """Of the seconds of the plain reads round a kernel and of the kernel, by turns.

    A turn is steady where its two reads agree within 5 %; only such turns count
    if there are five.
    """
    steady = [turn for turn in turns if max(turn[0]) <= 1.05 * min(turn[0])]
    counted = steady if len(steady) >= 5 else turns
    shares = sorted(sum(around) / 2 / took for around, took in counted)
    kernel = median(took for _, took in counted)
    return {
        "samples": len(turns),
        "steady": len(steady),
        "kernel_ms": kernel * 1e3,
        "kernel_gb_s": size / kernel / 1e9,
        "read_gb_s": size / median(sum(around) / 2 for around, _ in counted) / 1e9,
        "of_read": median(shares),
        "of_read_quartiles": [shares[len(shares) // 4], shares[-1 - len(shares) // 4]],
    }


@dataclass
class Contestant:
    """One layout of a case, and its turns."""

    name: str
    arrays: tuple[Any, Any]
    views: tuple[Any, Any]
    live: int  # bytes of k that a call reads
    lengths: np.ndarray | None = None
    table: np.ndarray | None = None
    turns: list[Turn] = field(default_factory=list)
    of_pages: list[float] = field(default_factory=list)


def rounds(layouts: Sequence[str], size: int, most: int) -> list[list[str]]:
    """Layouts whose copies fit beside each other, the contiguous one in each round."""
    others = [name for name in layouts if name not in ("heads", "unequal")]
    heads = [name for name in layouts if name == "heads"]
    fits = most // size
    found: list[list[str]] = []
    if fits >= 2:
        step = fits - len(heads)
        cuts = range(0, len(others), step)
        found = [heads + others[at : at + step] for at in cuts] or [heads] * bool(heads)
    elif fits == 1:
        found = [[name] for name in heads + others]
    if fits >= 1 and "unequal" in layouts:
        found.append(["unequal"])
    return found


def contestant(name: str, shape: tuple[int, ...], dtype: np.dtype) -> Contestant:
    batch, _, length, _ = shape
    k, v, *views = LAYOUTS[name](shape, dtype, np.random.default_rng(0))
    made = Contestant(name, (k, v), (views[0], views[1]), k.nbytes)
    if name == "unequal":
        made.lengths = unequal(batch, length)
        made.live = k.nbytes // (batch * length) * int(made.lengths.sum())
    if isinstance(views[0], fovea.Pages):
        made.table = np.ascontiguousarray(views[0].table, np.int64).reshape(-1)
    return made


def take_turns(
    contestants: Sequence[Contestant], run: Any, reader: Any, seconds: float
) -> None:
    """Read, kernel, read, kernel: every layout once a turn."""
    first = contestants[0]

    def read() -> float:
        return reader.seconds(*first.arrays, size=first.live)

    for one in contestants:
        run(one)
    before = read()
    until = time.perf_counter() + seconds * len(contestants)
    while len(first.turns) < 5 or time.perf_counter() < until:
        for one in contestants:
            start = time.perf_counter()
            run(one)
            took = time.perf_counter() - start
            after = read()
            one.turns.append(((before, after), took))
            before = after
            if one.table is not None:
                one.of_pages.append(after / reader.seconds(*one.arrays, one.table))
                before = read()


def rows_of(contestants: Sequence[Contestant]) -> list[Row]:
    """Shares of each layout, and of the contiguous one in the same turn."""
    contiguous = [one.turns for one in contestants if one.name == "heads"]
    rows = []
    for one in contestants:
        row: Row = {"layout": one.name, "bytes": 2 * one.live}
        if one.of_pages:
            row["pages_of_read"] = median(one.of_pages)
        row |= summary(one.turns, 2 * one.live)
        if contiguous and one.name != "heads":
            pairs = zip(contiguous[0], one.turns, strict=True)
            row["of_contiguous"] = median(
                heads / sum(round_heads) / (own / sum(round_own))
                for (round_heads, heads), (round_own, own) in pairs
            )
        rows.append(row)
    return rows


def measure(case: tuple, given: argparse.Namespace, reader: Reader) -> list[Row]:
    """A row for each layout; none of those whose cache would be too large."""
    dtype, group, batch, length = case
    item = numpy_dtype(dtype).itemsize
    per_head = 2 * batch * length * D * item
    scale = scale_of_cache()
    heads = min(MOST_HEADS * scale, max(2, -(-WANTED * scale // per_head)))
    layouts = list(given.layouts)
    if "unequal" in layouts and (batch == 1 or length < SHORTEST * batch):
        layouts.remove("unequal")
    shape = (batch, heads, length, D)
    rng = np.random.default_rng(0)
    q = fill((batch, heads * group, 1, D), numpy_dtype(dtype), rng)
    kernel = fovea.compile(D=D, dtype=dtype)

    def run(one: Contestant) -> None:
        kernel(q, *one.views, kv_lengths=one.lengths)

    found: dict[str, Row] = {}
    for names in rounds(layouts, per_head * heads, given.most_bytes):
        contestants = [contestant(name, shape, numpy_dtype(dtype)) for name in names]
        take_turns(contestants, run, reader, given.seconds)
        for row in rows_of(contestants):
            found.setdefault(row["layout"], row)
    about = {"dtype": dtype, "group": group, "B": batch, "N": length, "Hk": heads}
    return [about | row for row in found.values()]


#: Least shares of a plain read by rows a key head, of bf16 where they differ.
OF_READ = {1: (0.92, 0.92), 4: (0.85, 0.85), 8: (0.85, 0.75)}
#: Least shares of contiguous keys.
OF_CONTIGUOUS = {"pages": 0.95, "token-pages": 0.80}


def find_bars(rows: Sequence[Row]) -> list[Row]:
    """The bars, of one sequence of 65536 tokens."""
    found = {
        (row["dtype"], row["group"], row["layout"]): row
        for row in rows
        if (row["B"], row["N"]) == (1, 65536)
    }
    bars = []
    for (group, least), dtype in itertools.product(
        OF_READ.items(), ("float32", "bfloat16")
    ):
        row = found.get((dtype, group, "heads"), {})
        name = f"{dtype} {group}:1"
        bars.append(
            at_least(f"{name} of a read", row.get("of_read"), least[dtype != "float32"])
        )
        for layout, share in OF_CONTIGUOUS.items():
            row = found.get((dtype, group, layout), {})
            bars.append(
                at_least(
                    f"{name} {layout} of contiguous", row.get("of_contiguous"), share
                )
            )
    return bars


def merge(files: Sequence[Path]) -> dict[str, Any]:
    """The rows of several runs on one machine."""
    found = [json.loads(file.read_text()) for file in files]
    rows = {}
    for row in itertools.chain.from_iterable(results["rows"] for results in found):
        at = (row["dtype"], row["group"], row["layout"], row["B"], row["N"])
        rows[at] = row
    machines = [results["machine"] for results in found]
    for other in machines:
        refuse_mixing(machines[0], other)
        if other["threads"] != machines[0]["threads"]:
            numbers = f"{machines[0]['threads']} and {other['threads']}"
            raise ValueError(f"results of {numbers} threads do not mix")
    return {"machine": machines[-1], "rows": list(rows.values())}


def shown(rows: list[dict]) -> Table:
    table = Table(title=f"decode on the CPU, D {D}, one query a head")
    for column in ("dtype", "heads", "layout", "B", "N"):
        table.add_column(column, no_wrap=True)
    for column in ("ms", "GB/s", "read GB/s", "of read", "contiguous", "read of pages"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["dtype"],
            f"{row['group']}:1",
            row["layout"],
            str(row["B"]),
            str(row["N"]),
            f"{row['kernel_ms']:.2f}",
            f"{row['kernel_gb_s']:.1f}",
            f"{row['read_gb_s']:.1f}",
            f"{row['of_read']:.0%}",
            f"{row['of_contiguous']:.0%}" if "of_contiguous" in row else "",
            f"{row['pages_of_read']:.0%}" if "pages_of_read" in row else "",
        )
    return table


def main() -> int:
    given = arguments()
    if given.merge:
        write_json(given.json, merge(given.merge))
        return 0
    about = machine_for(given.json, given.threads)
    fovea.set_num_threads(given.threads)
    console = Console()
    if not console.is_terminal:
        console = Console(width=110)
    reader = Reader(given.threads)
    rows: list[Row] = []
    for case in itertools.product(
        given.dtypes, given.groups, given.batches, given.lengths
    ):
        with console.status(" ".join(map(str, case))):
            rows += measure(case, given, reader)
    console.print(shown(rows))
    print_bars(find_bars(rows))
    write_json(given.json, {"machine": about, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
