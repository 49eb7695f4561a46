#!/usr/bin/env python3
"""Forward speed on the CPU: Fovea beside torch's FlexAttention and SDPA, and NumPy.

All run round-robin in one process on the same cores, with the machine's
multiply-add peak probed between any two; what was disturbed is taken again.
There is a process a number of threads, one core and all unless told otherwise.
Rates count only the scores that the mask keeps: 4 B H kept D operations.
torch is optional.

    python benchmarks/cpu.py [--grid bars|full] [--quick] [--budget SECONDS]
    python benchmarks/cpu.py --resume --budget SECONDS    goes on where a run ended
    python benchmarks/cpu.py --dtypes float32 --head-dims 64 --lengths 512 2048
    python benchmarks/cpu.py --samples short              where others use the machine
    python benchmarks/cpu.py --show --json FILE           tables of a file

The grid "bars" has the cases that a bar is set for, "full" has others beside them:
see cpu_grid.py. Rows are written as they come.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from typing import Any

from bars import Row, print_bars
from common import (
    RESULTS,
    Peak,
    add_common_arguments,
    available_threads,
    head_pair,
    machine_for,
    positive_int,
    positive_seconds,
    save_json,
    whole,
)
from cpu_grid import GRIDS, METHODS, Case, find_bars, merge, method_of, pending, row_key
from cpu_measure import Options, build_id
from cpu_worker import serve
from rich.console import Console
from rich.table import Table
from variants import HEADS, NAMES

QUICK = ("noop", "causal", "alibi_causal", "softcap_causal", "window1024")
PEERS = ("flex", "sdpa", "numpy")
DTYPES = ("float16", "bfloat16", "float32", "float64")
#: Larger ones are refused by Fovea.
MAX_HEAD_DIM = 512
#: Of a worker: threads of one contestant that wait leave the processors to the
#: next, what is freed is not given back to be faulted in again, and compilations
#: are not found on disk.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_THREAD_TIMEOUT": "4",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "FOVEA_CACHE": "0",
}
#: Before the first row there is no telling how long one takes.
FIRST = 10.0


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "cpu.json", threads=[1, available_threads()])
    parser.add_argument("--grid", choices=list(GRIDS), help="default: bars")
    parser.add_argument("--only", default="", help="variants whose name has this")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES)
    parser.add_argument("--head-dims", nargs="+", type=whole(1, MAX_HEAD_DIM))
    parser.add_argument("--lengths", nargs="+", type=positive_int)
    parser.add_argument(
        "--heads", nargs="+", type=head_pair, metavar="H[/HK]", help="such as 8 or 8/2"
    )
    parser.add_argument(
        "--samples",
        choices=METHODS,
        default=METHODS[0],
        help="short: of Fovea alone on one thread, where others use the processor too",
    )
    parser.add_argument(
        "--rounds", type=positive_int, help="steady ones wanted; default 7"
    )
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="default: all")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument(
        "--resume", action="store_true", help="keep what the file has, take the rest"
    )
    parser.add_argument(
        "--budget",
        type=positive_seconds,
        metavar="SECONDS",
        help="start no row that lasts longer",
    )
    parser.add_argument(
        "--show", action="store_true", help="measure nothing, print the file's tables"
    )
    parser.set_defaults(threads=None, json=None)
    given = parser.parse_args(words)
    short = given.samples == "short"
    for name in ("threads", "rounds", "peers") if short else ():
        if getattr(given, name) not in (None, [1]):
            parser.error(
                f"argument --{name}: short samples are of Fovea alone on one thread"
            )
    if given.peers is None:
        given.peers = [] if short else list(PEERS)
    given.json = given.json or RESULTS / ("cpu-short.json" if short else "cpu.json")
    given.rounds = given.rounds or (3 if given.quick else 7)
    given.threads = list(
        dict.fromkeys(given.threads or ([1] if short else [1, available_threads()]))
    )
    if given.no_torch:
        given.peers = [name for name in given.peers if name == "numpy"]
    if not any(given.only in name for name in NAMES):
        parser.error(
            "argument --only: must be in the name of a variant "
            f"({', '.join(NAMES)}), got {given.only!r}"
        )
    given.cases = cases_of(given)
    if not given.cases:
        parser.error("no case is left: none has all that is asked for")
    return given


def cases_of(given: argparse.Namespace) -> list[Case]:
    """The cases of a grid that the options leave, or the options' product."""
    axes = given.dtypes or given.head_dims or given.lengths or given.heads
    if given.grid or not (axes or given.quick):
        return [
            case
            for case in GRIDS[given.grid or "bars"]
            if given.only in case.variant
            and case.dtype in (given.dtypes or [case.dtype])
            and case.D in (given.head_dims or [case.D])
            and case.N in (given.lengths or [case.N])
            and (case.H, case.Hk) in (given.heads or [(case.H, case.Hk)])
            and not (given.quick and case.variant not in QUICK)
        ]
    return [
        Case(name, dtype, dim, length, *pair)
        for dtype, dim, length, pair, name in product(
            given.dtypes or ["float32", "bfloat16"],
            given.head_dims or [64, 128],
            given.lengths or [2048],
            given.heads or [(HEADS, HEADS)],
            QUICK if given.quick else NAMES,
        )
        if given.only in name
    ]


class Workers:
    """A process a number of threads; one measures while the others wait."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._context = multiprocessing.get_context("spawn")
        self._started: dict[int, tuple[Any, Any]] = {}

    def _start(self, threads: int) -> tuple[Any, Any]:
        os.environ |= ENVIRONMENT
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(threads)
        here, there = self._context.Pipe()
        given = self._given
        options = Options(threads, given.rounds, tuple(given.peers), given.samples)
        process = self._context.Process(
            target=serve, args=(there, options), daemon=True
        )
        process.start()
        there.close()
        return process, here

    def measure(self, case: Case, threads: int, seconds: float | None) -> Row | None:
        """A row, or None where it takes longer than so many seconds."""
        if threads not in self._started:
            self._started[threads] = self._start(threads)
        process, channel = self._started[threads]
        try:
            channel.send(tuple(case))
            if channel.poll(seconds):
                return channel.recv()
        except (EOFError, BrokenPipeError):
            process.join()
            raise RuntimeError(
                f"{case}, threads {threads}: the process ended with {process.exitcode}"
            ) from None
        process.kill()
        del self._started[threads]
        return None

    def close(self) -> None:
        for process, channel in self._started.values():
            channel.send(None)
            process.join()


def load(given: argparse.Namespace) -> list[Row]:
    """The rows of the file; ValueError where they are measured in another way."""
    if not (given.json.exists() and (given.resume or given.show)):
        return []
    rows = json.loads(given.json.read_text())["rows"]
    if given.resume and rows and (method := method_of(rows)) != given.samples:
        raise ValueError(f"rows by {method} and {given.samples} do not mix")
    return rows


def about(given: argparse.Namespace) -> dict[str, Any]:
    """The machine as results name it; ValueError where the file is of another."""
    found = machine_for(given.json, max(given.threads))
    if given.samples == "short":
        return found
    try:
        found["torch"] = version("torch")
    except PackageNotFoundError:
        found["torch"] = None
    return found


def measure(
    todo: Sequence[tuple[Case, int]], given: argparse.Namespace, console: Console
) -> Any:
    """Rows as they come, until all are there or the budget is spent."""
    start = time.perf_counter()
    longest = FIRST
    workers = Workers(given)
    for number, (case, threads) in enumerate(todo):
        left = None
        begin = time.perf_counter()
        if given.budget is not None:
            left = given.budget - (begin - start)
            if left < longest:
                console.print(f"budget spent: {len(todo) - number} rows are left")
                break
        with console.status(f"{number + 1} of {len(todo)}: {case}, threads {threads}"):
            row = workers.measure(case, threads, left)
        if row is None:
            console.print(f"{case}, threads {threads}: cut, the budget is spent")
            break
        took = time.perf_counter() - begin
        row["took_s"] = round(took, 1)
        longest = took if longest == FIRST else max(took, 0.8 * longest)
        yield row
    workers.close()


def shown(rows: Sequence[Row]) -> Table:
    """The rows as a table: times, share of the peak, how many times faster."""
    table = Table(title="forward on the CPU; x = times faster than the peer")
    for column in ("dtype", "D", "N", "heads", "variant"):
        table.add_column(column, no_wrap=True)
    for column in ("threads", "fovea ms", "of peak", "MiB", "SDPA ms", "x"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("Flex ms", "x", "NumPy ms", "x", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        heads = str(row["H"]) + (f"/{row['Hk']}" if row["H"] != row["Hk"] else "")
        cells = [row["dtype"], str(row["D"]), str(row["N"]), heads, row["variant"]]
        cells.append(str(row["threads"]))
        cells.append(f"{row['fovea_ms']:.2f}" if "fovea_ms" in row else "")
        cells.append(f"{row['fovea_of_peak']:.1%}" if "fovea_of_peak" in row else "")
        memory = row.get("fovea_memory")
        cells.append("" if memory is None else f"{memory / 2**20:.1f}")
        for run in ("sdpa", "flex", "numpy"):
            if f"{run}_ms" in row:
                ratio = row[f"{run}_ms"] / row["fovea_ms"]
                colour = "green" if ratio >= 1 else "red"
                cells += [f"{row[f'{run}_ms']:.2f}", f"[{colour}]{ratio:.2f}[/]"]
            else:
                cells += ["", ""]
        cells.append("[yellow]void[/]" if row["void"] else "")
        table.add_row(*cells)
    return table


def report(rows: Sequence[Row], console: Console) -> int:
    """Print tables and bars; 1 where a result is wrong."""
    console.print(shown(rows))
    print_bars(find_bars(rows))
    void = sum(row["void"] for row in rows)
    if void:
        console.print(f"[yellow]{void} of {len(rows)} rows are void: --resume again")
    builds = {row["build"] for row in rows}
    if len(builds) > 1:
        console.print(
            f"[yellow]rows of {len(builds)} builds: --resume takes the others"
        )
    wrong = [row for row in rows if row["wrong"]]
    for row in wrong:
        print(f"WRONG: {row_key(row)}: {row['wrong']}", file=sys.stderr)
    return 1 if wrong else 0


def main() -> int:
    given = arguments()
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)  # a file need not be as narrow as a terminal
    told = {} if given.show else about(given)
    rows = load(given)
    if not given.show:
        if given.samples == "short" and not Peak(1).has("f32"):
            sys.exit("--samples short needs the multiply-add peak, which is not known")
        todo = pending(rows, given.cases, given.threads, build_id())
        for row in measure(todo, given, console):
            rows = merge(rows, [row])
            told["date"] = datetime.date.today().isoformat()
            bars = find_bars(rows)
            save_json(given.json, {"machine": told, "rows": rows, "bars": bars})
        print(f"results in {given.json}")
    return report(rows, console)


if __name__ == "__main__":
    sys.exit(main())
