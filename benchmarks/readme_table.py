#!/usr/bin/env python3
"""Write measured results into the tables of README.md and benchmarks/README.md.

    python benchmarks/readme_table.py benchmarks/results/cpu-*.json \\
        benchmarks/results/compile_time-*.json ...

What a file holds is told from its content. Files of one kind stand side by side, a
column a machine, in README.md, and one after another, with all their rows, in
benchmarks/README.md. A table is what stands between `<!-- results: NAME -->` and
`<!-- end -->`; nothing else is touched, and nothing is written that was not measured.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import describe
from cpu_grid import GRIDS, Case, method_of, row_key
from variants import NAMES

ROOT = Path(__file__).resolve().parents[1]
Results = dict[str, Any]


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, *lines)]
    return [rows[0], "|---" * len(head) + "|", *rows[1:]]


def _label(results: Results) -> str:
    """A machine at the head of a column: LLVM's name of it, and how it was used."""
    machine = results["machine"]
    name = machine.get("microarchitecture", machine["cpu"])
    threads = machine["threads"]
    words = [name, f"{threads} thread{'s' * (threads > 1)}"]
    words += ["short samples"] * (method_of(_rows(results)) == "short")
    return ", ".join(words)


def _rows(results: Results) -> list[dict[str, Any]]:
    rows = results.get("rows", ())
    return rows if isinstance(rows, list) else []


def _where(results: Results) -> str:
    machine = results["machine"]
    threads = machine["threads"]
    peers = f", torch {machine['torch']}" if machine.get("torch") else ""
    plural = "s" * (threads > 1)
    return f"{machine['date']}, {describe(machine)}, {threads} thread{plural}{peers}"


def _notes(lines: Sequence[str]) -> list[str]:
    """What stands below a table, a machine a line."""
    return ["", *(f"- {line}" if len(lines) > 1 else line for line in lines)]


#: Variants and head dims that README.md shows, of those that a bar is set for.
SHOWN = ("noop", "causal", "alibi_causal", "softcap_causal", "window1024")
SHOWN_DIMS = (64, 128)


def cpu_columns(files: Sequence[Results]) -> str:
    """Some rows of benchmarks/cpu.py, machines side by side."""
    found = [{row_key(row): row for row in results["rows"]} for results in files]
    lines = []
    for case in sorted(GRIDS["bars"], key=_order):
        if case.N == 2048 and case.D in SHOWN_DIMS and case.variant in SHOWN:
            cells = [_cell(rows, case) for rows in found]
            if any(cells):
                lines.append([case.dtype, str(case.D), case.variant, *cells])
    head = ["dtype", "D", "variant", *map(_label, files)]
    notes = [f"{_where(results)}; {_verdict(results)}" for results in files]
    return "\n".join(_table(head, lines) + _notes(notes))


def _most(rows: dict[tuple, Any]) -> int:
    return max((row["threads"] for row in rows.values()), default=1)


def _cell(rows: dict[tuple, Any], case: Case) -> str:
    """Share of the peak by most threads; times faster than SDPA, FlexAttention."""
    row = rows.get((*case, _most(rows)))
    if row is None or row["void"]:
        return ""
    ratios = []
    for run in ("sdpa", "flex"):
        took = row.get(f"{run}_ms")
        ratios.append(f"x {took / row['fovea_ms']:.1f}" if took else "–")
    return _share(row) + (f" ({', '.join(ratios)})" if {*ratios} != {"–"} else "")


#: What shares of bf16 are of, by the rows' peak_of.
PEAKS = {
    "bf16": "bf16 beside the peak of dot products",
    "amx": "bf16 beside the peak of tiles",
    "f32": "bf16 beside the peak of f32, as there are no dot products",
}


def _verdict(results: Results) -> str:
    """What a share is of, and how many bars hold."""
    peaks = {
        PEAKS[row["peak_of"]]
        for row in results["rows"]
        if row["dtype"] == "bfloat16" and "peak_of" in row
    }
    held = sum(bar["holds"] for bar in results["bars"])
    words = [*sorted(peaks), f"{held} of {len(results['bars'])} bars of"]
    return "; ".join(words) + " benchmarks/cpu_grid.py hold."


def cpu_table(results: Results) -> str:
    """Rows of benchmarks/cpu.py that a bar is set for, one core beside all."""
    rows = {row_key(row): row for row in results["rows"]}
    short = method_of(results["rows"]) == "short"
    line_of = _short_line if short else _line
    lines, left_out = [], 0
    for case in sorted(GRIDS["bars"], key=_order):
        row = rows.get((*case, _most(rows)))
        left_out += row is None or row["void"]
        if row is not None and not row["void"]:
            cells = [case.dtype, str(case.D), str(case.N), case.variant]
            lines.append(cells + line_of(row, rows.get((*case, 1))))
    head = ["dtype", "D", "N", "variant"]
    if short:
        head += ["of the peak", "halves of the samples", "samples", "queries a call"]
    else:
        head += ["Fovea", "of the FMA peak", "on one core", "SDPA", "FlexAttention"]
    note = f"{_where(results)}; {'' if short else 'x = times faster than torch; '}"
    note += _verdict(results)
    if left_out:
        note += f" Rows left out, as not measured or disturbed: {left_out}."
    return "\n".join([*_table(head, lines), "", note])


def _line(row: dict[str, Any], alone: dict[str, Any] | None) -> list[str]:
    cells = [f"{row['fovea_ms']:.2f} ms", _share(row), _share(alone)]
    for run in ("sdpa", "flex"):
        took = row.get(f"{run}_ms")
        ratio = took and f"{took:.2f} ms (x {took / row['fovea_ms']:.2f})"
        cells.append(ratio or "")
    return cells


def _short_line(row: dict[str, Any], _: Any) -> list[str]:
    halves = " / ".join(f"{share:.1%}" for share in row["fovea_of_peak_halves"])
    queries = row["calls"]["queries"]
    cut = f"{min(queries)} to {max(queries)}" if len(queries) > 1 else str(queries[0])
    return [_share(row), halves, str(row["fovea_samples"]), cut]


def _order(case: Case) -> tuple:
    dtypes = ("float32", "bfloat16", "float16")
    return (dtypes.index(case.dtype), case.N, case.D, NAMES.index(case.variant))


def _share(row: dict[str, Any] | None) -> str:
    if row is None or row["void"] or "fovea_of_peak" not in row:
        return ""
    dots = f", {row['fovea_of_dots']:.0%} of dots" if "fovea_of_dots" in row else ""
    return f"{row['fovea_of_peak']:.0%}{dots}"


def compile_columns(files: Sequence[Results]) -> str:
    """The figures of benchmarks/compile_time.py."""
    lines = [
        [text, *(f"{results['fovea'][key] * 1e3:.1f} ms" for results in files)]
        for text, key in (
            ("first compilation in a process", "first_in_process_s"),
            ("cold compilation, median", "cold_median_s"),
            ("from the disk cache, median", "disk_median_s"),
        )
    ]
    calls = [f"{results['fovea']['kernel_s'] * 1e6:.1f} µs" for results in files]
    lines.append(["`kernel(q, k, v)` on one query", *calls])
    if any(results["torch_compile_s"] for results in files):
        cells = [_torch_compile(results["torch_compile_s"]) for results in files]
        lines.append(["torch.compile of FlexAttention", *cells])
    notes = [f"{_where(results)}." for results in files]
    return "\n".join(_table(["what", *map(_label, files)], lines) + _notes(notes))


def _torch_compile(times: dict[str, float] | None) -> str:
    return f"{statistics.median(times.values()) * 1e3:.0f} ms" if times else ""


def memory_columns(files: Sequence[Results]) -> str:
    """The figures of benchmarks/memory.py: tensors and score matrix are one size."""
    first = files[0]
    for results in files:
        if any(results[name] != first[name] for name in ("length", "heads")):
            raise ValueError("results of memory are of several lengths or heads")
    lines = []
    for name, row in first["rows"].items():
        cells = [row["tensors"], first["score_matrix_bytes"]]
        cells += [results["rows"][name]["above"] for results in files]
        lines.append([name, *(f"{cell / 2**20:,.1f} MiB" for cell in cells)])
    head = ["variant", "tensors", "a score matrix"]
    head += [f"above the tensors: {_label(results)}" for results in files]
    notes = [
        f"N = {results['length']}, {results['heads']} heads; {_where(results)}."
        for results in files
    ]
    return "\n".join(_table(head, lines) + _notes(notes))


DECODE_LAYOUTS = {
    "heads": "contiguous",
    "unequal": "contiguous, lengths from 64 to N",
    "tokens": "contiguous, heads of a token together",
    "pages": "pages, head-major",
    "token-pages": "pages, token-major",
}
#: Sequences and tokens of each that bars are set for.
DECODE_SIZE = (1, 65536)


def _decode_cells(results: Results) -> dict[tuple, dict[tuple, str]]:
    """By type, heads and layout, then by size: rate and shares."""
    cells: dict[tuple, dict[tuple, str]] = {}
    for row in results["rows"]:
        key = (row["dtype"], f"{row['group']}:1", DECODE_LAYOUTS[row["layout"]])
        shares = f"{row['of_read']:.0%}"
        if "of_contiguous" in row:
            shares += f", {row['of_contiguous']:.0%}"
        rate = f"{row['kernel_gb_s']:.0f} ({shares})"
        cells.setdefault(key, {})[row["B"], row["N"]] = rate
    return cells


def _decode_note(results: Results, rows: Sequence[dict[str, Any]]) -> str:
    slow, fast = (f(row["read_gb_s"] for row in rows) for f in (min, max))
    note = f"{_where(results)}; the plain read ran at {slow:.0f} to {fast:.0f} GB/s."
    if any("of_contiguous" in row for row in rows):
        note += " The second share is that of contiguous keys in the same turns."
    return note


def decode_columns(files: Sequence[Results]) -> str:
    """Rows of benchmarks/decode.py of one size, machines side by side."""
    found = [_decode_cells(results) for results in files]
    keys = dict.fromkeys(key for cells in found for key in cells)
    lines = []
    for key in keys:
        shown = [cells.get(key, {}).get(DECODE_SIZE, "") for cells in found]
        if any(shown):
            lines.append([*key, *shown])
    notes = []
    for results in files:
        rows = [row for row in results["rows"] if (row["B"], row["N"]) == DECODE_SIZE]
        if rows:
            notes.append(_decode_note(results, rows))
    head = ["dtype", "heads", "keys and values", *map(_label, files)]
    return "\n".join(_table(head, lines) + _notes(notes))


def decode_table(results: Results) -> str:
    """Rows of benchmarks/decode.py, sizes side by side."""
    sizes = sorted({(row["B"], row["N"]) for row in results["rows"]})
    lines = [
        [*key, *(found.get(size, "") for size in sizes)]
        for key, found in _decode_cells(results).items()
    ]
    head = ["dtype", "heads", "keys and values"]
    head += [f"B {batch}, N {length}" for batch, length in sizes]
    note = _decode_note(results, results["rows"])
    return "\n".join([*_table(head, lines), "", note])


def one_by_one(table: Callable[[Results], str]) -> Callable[[Sequence[Results]], str]:
    """Tables of several machines, each under its name."""

    def tables(files: Sequence[Results]) -> str:
        return "\n\n".join(f"### {_label(file)}\n\n{table(file)}" for file in files)

    return tables


def single(table: Callable[[Results], str]) -> Callable[[Sequence[Results]], str]:
    """A table of one machine; ValueError where there are more."""

    def of_one(files: Sequence[Results]) -> str:
        if len(files) > 1:
            raise ValueError("these results are shown of one machine")
        return table(files[0])

    return of_one


GPU_VARIANTS = {
    "noop": "no mod",
    "causal": "causal",
    "alibi_causal": "ALiBi, causal",
    "softcap_causal": "soft-cap, causal",
    "table_causal": "bias table, causal",
    "sink_causal": "learned sink, causal",
    "sigmoid": "sigmoid",
    "window1024": "window 1024",
    "window4096": "window 4096",
    "prefix1024": "prefix 1024",
    "lists128x128": "block mask, tiles of 128",
}


def gpu_table(results: Results) -> str:
    """Rows of benchmarks/gpu.py in bf16, the variants that readers look for."""
    rates: dict[tuple, dict[str, float]] = {}
    for row in results["rows"]:
        if row.get("dtype") == "bf16" and row["variant"] in GPU_VARIANTS:
            heads = f"{row['H']}/{row['Hk']}" if row["H"] != row["Hk"] else row["H"]
            key = (row["variant"], row["D"], row["N"], heads)
            if "tflops" in row:
                rates.setdefault(key, {})[row["impl"]] = row["tflops"]
    lines = [
        "| variant | D | N | heads | Fovea | cuDNN | FlexAttention |",
        "|---|---|---|---|---|---|---|",
    ]
    for (variant, dim, length, heads), rate in rates.items():
        ours = rate["fovea"]
        beside = (
            f"{rate[peer]:.0f} (× {ours / rate[peer]:.2f})" if peer in rate else ""
            for peer in ("cudnn", "flex")
        )
        cells = (GPU_VARIANTS[variant], dim, length, heads, f"{ours:.0f}", *beside)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    machine = results["machine"]
    note = (
        f"{machine['date'].split()[0]}, {machine['gpu']}, cuDNN {machine['cudnn']}"
        f" through torch {machine['torch']}; × = times faster than the peer."
    )
    return "\n".join([*lines, "", note])


MASK_CONTESTANTS = (
    "fovea mask",
    "flex mask, compiled",
    "flex mask, eager",
    "fovea attention",
    "flex attention",
)


def gpu_masks_table(results: Results) -> str:
    """Rows of benchmarks/gpu_masks.py: tiles found at each call, then attention."""
    times: dict[tuple, dict[str, float]] = {}
    for row in results["rows"]:
        if "ms" in row:
            key = (row["variant"], row["N"], row["H"])
            times.setdefault(key, {})[row["impl"]] = row["ms"]
    lines = [
        "| mask | N | heads | Fovea: tiles | create_block_mask, compiled | eager"
        " | Fovea: attention | FlexAttention |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, found in times.items():
        cells = [*map(str, key)]
        cells += [
            f"{found[name]:.3f} ms" if name in found else ""
            for name in MASK_CONTESTANTS
        ]
        lines.append("| " + " | ".join(cells) + " |")
    machine = results["machine"]
    note = f"{machine['date'].split()[0]}, {machine['gpu']}, torch {machine['torch']}."
    return "\n".join([*lines, "", note])


def kind_of(results: Results) -> str:
    """Which script wrote the results; of those of masks.py no table is made."""
    if "gpu" in results.get("machine", {}):
        return "gpu" if "bars" in results else "gpu_masks"
    if "shares" in results:
        return "masks"
    if "score_matrix_bytes" in results:
        return "memory"
    if any("of_read" in row for row in results.get("rows", ())):
        return "decode"
    return "compile_time" if "fovea" in results else "cpu"


#: By page, then by kind of results: the table of all files of the kind.
TABLES: dict[str, dict[str, Callable[[Sequence[Results]], str]]] = {
    "README.md": {
        "cpu": cpu_columns,
        "decode": decode_columns,
        "compile_time": compile_columns,
        "memory": memory_columns,
        "gpu": single(gpu_table),
        "gpu_masks": single(gpu_masks_table),
    },
    "benchmarks/README.md": {
        "cpu": one_by_one(cpu_table),
        "decode": one_by_one(decode_table),
    },
}


def insert(text: str, kind: str, table: str) -> str:
    """A page with a table in its place."""
    pattern = rf"(<!-- results: {kind} -->\n).*?(<!-- end -->)"
    text, count = re.subn(
        pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, count=1, flags=re.DOTALL
    )
    if not count:
        raise ValueError(f"the page has no place for the results of {kind}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    kinds: dict[str, list[Results]] = {}
    for file in parser.parse_args().files:
        results = json.loads(file.read_text())
        kinds.setdefault(kind_of(results), []).append(results)
    for page, tables in TABLES.items():
        text = (ROOT / page).read_text()
        for kind, files in kinds.items():
            if kind in tables:
                text = insert(text, kind, tables[kind](files))
        (ROOT / page).write_text(text)


if __name__ == "__main__":
    main()
