#!/usr/bin/env python3
"""Write measured results into the tables of README.md.

    python benchmarks/readme_table.py benchmarks/results/cpu-MACHINE.json \\
        benchmarks/results/compile_time-MACHINE.json ...

What a file holds is told from its content. A table is what stands between
`<!-- results: NAME -->` and `<!-- end -->`; nothing else is touched, and nothing
is written that was not measured.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

from cpu_grid import GRIDS, Case, row_key
from variants import NAMES

README = Path(__file__).resolve().parents[1] / "README.md"


def _where(machine: dict[str, Any]) -> str:
    peers = f", torch {machine['torch']}" if machine.get("torch") else ""
    return f"{machine['date']}, {machine['cpu']}, {machine['threads']} threads{peers}"


def cpu_table(results: dict[str, Any]) -> str:
    """Rows of benchmarks/cpu.py that a bar is set for, one core beside all."""
    rows = {row_key(row): row for row in results["rows"]}
    most = max(row["threads"] for row in rows.values())
    lines = [
        "| dtype | D | N | variant | Fovea | of the FMA peak | on one core | SDPA"
        " | FlexAttention |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    left_out = 0
    for case in sorted(GRIDS["bars"], key=_order):
        row, alone = rows.get((*case, most)), rows.get((*case, 1))
        left_out += row is None or row["void"]
        if row is None or row["void"]:
            continue
        cells = [case.dtype, str(case.D), str(case.N), case.variant]
        cells.append(f"{row['fovea_ms']:.2f} ms")
        cells += [_share(row), _share(alone)]
        for run in ("sdpa", "flex"):
            ratio = row.get(f"{run}_ms", 0) / row["fovea_ms"]
            took = f"{row.get(f'{run}_ms', 0):.2f} ms (x {ratio:.2f})"
            cells.append(took if ratio else "")
        lines.append("| " + " | ".join(cells) + " |")
    held = sum(bar["holds"] for bar in results["bars"])
    note = f"{_where(results['machine'])}; x = times faster than torch."
    note += f" {held} of {len(results['bars'])} bars of benchmarks/cpu_grid.py hold."
    if left_out:
        note += f" Rows left out, as not measured or disturbed: {left_out}."
    return "\n".join([*lines, "", note])


def _order(case: Case) -> tuple:
    dtypes = ("float32", "bfloat16", "float16")
    return (dtypes.index(case.dtype), case.N, case.D, NAMES.index(case.variant))


def _share(row: dict[str, Any] | None) -> str:
    if row is None or row["void"] or "fovea_of_peak" not in row:
        return ""
    return f"{row['fovea_of_peak']:.0%}"


def compile_table(results: dict[str, Any]) -> str:
    """The figures of benchmarks/compile_time.py."""
    ours, theirs = results["fovea"], results["torch_compile_s"]
    lines = ["| what | time |", "|---|---|"]
    for text, key in (
        ("first compilation in a process", "first_in_process_s"),
        ("cold compilation, median", "cold_median_s"),
        ("from the disk cache, median", "disk_median_s"),
    ):
        lines.append(f"| {text} | {ours[key] * 1e3:.1f} ms |")
    lines.append(
        f"| `kernel(q, k, v)` on one query | {ours['kernel_s'] * 1e6:.1f} µs |"
    )
    if theirs:
        middle = statistics.median(theirs.values())
        lines.append(f"| torch.compile of FlexAttention | {middle * 1e3:.0f} ms |")
    return "\n".join([*lines, "", _where(results["machine"]) + "."])


def memory_table(results: dict[str, Any]) -> str:
    """The figures of benchmarks/memory.py."""
    lines = ["| variant | tensors | above them | a score matrix |", "|---|---|---|---|"]
    for name, row in results["rows"].items():
        cells = (row["tensors"], row["above"], results["score_matrix_bytes"])
        shown = " | ".join(f"{cell / 2**20:,.1f} MiB" for cell in cells)
        lines.append(f"| {name} | {shown} |")
    note = f"N = {results['length']}, {results['heads']} heads; {_where(results['machine'])}."
    return "\n".join([*lines, "", note])


DECODE_LAYOUTS = {
    "heads": "contiguous",
    "unequal": "contiguous, lengths from 64 to N",
    "tokens": "contiguous, heads of a token together",
    "pages": "pages, head-major",
    "token-pages": "pages, token-major",
}


def decode_table(results: dict[str, Any]) -> str:
    """Rows of benchmarks/decode.py, sizes side by side."""
    rows = results["rows"]
    sizes = sorted({(row["B"], row["N"]) for row in rows})
    cells: dict[tuple, dict[tuple, str]] = {}
    for row in rows:
        key = (row["dtype"], f"{row['group']}:1", DECODE_LAYOUTS[row["layout"]])
        shares = f"{row['of_read']:.0%}"
        if "of_contiguous" in row:
            shares += f", {row['of_contiguous']:.0%}"
        rate = f"{row['kernel_gb_s']:.0f} ({shares})"
        cells.setdefault(key, {})[row["B"], row["N"]] = rate
    heads = [f"B {batch}, N {length}" for batch, length in sizes]
    lines = [
        f"| dtype | heads | keys and values | {' | '.join(heads)} |",
        "|---" * (3 + len(sizes)) + "|",
    ]
    for key, found in cells.items():
        shown = [*key, *(found.get(size, "") for size in sizes)]
        lines.append("| " + " | ".join(shown) + " |")
    slow, fast = (f(row["read_gb_s"] for row in rows) for f in (min, max))
    note = f"{_where(results['machine'])}; the plain read ran at {slow:.0f} to {fast:.0f} GB/s."
    if any("of_contiguous" in row for row in rows):
        note += " The second share is that of contiguous keys in the same turns."
    return "\n".join([*lines, "", note])


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


def gpu_table(results: dict[str, Any]) -> str:
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


def gpu_masks_table(results: dict[str, Any]) -> str:
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


def kind_of(results: dict[str, Any]) -> str:
    """Which script wrote the results."""
    if "gpu" in results.get("machine", {}):
        return "gpu" if "bars" in results else "gpu_masks"
    if "score_matrix_bytes" in results:
        return "memory"
    if any("of_read" in row for row in results.get("rows", ())):
        return "decode"
    return "compile_time" if "fovea" in results else "cpu"


TABLES = {
    "cpu": cpu_table,
    "decode": decode_table,
    "compile_time": compile_table,
    "memory": memory_table,
    "gpu": gpu_table,
    "gpu_masks": gpu_masks_table,
}


def insert(text: str, kind: str, table: str) -> str:
    """The README with a table in its place."""
    pattern = rf"(<!-- results: {kind} -->\n).*?(<!-- end -->)"
    text, count = re.subn(
        pattern, lambda m: f"{m[1]}{table}\n{m[2]}", text, count=1, flags=re.DOTALL
    )
    if not count:
        raise ValueError(f"README.md has no place for the results of {kind}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    text = README.read_text()
    for file in parser.parse_args().files:
        results = json.loads(file.read_text())
        kind = kind_of(results)
        text = insert(text, kind, TABLES[kind](results))
    README.write_text(text)


if __name__ == "__main__":
    main()
