"""Tables that the READMEs show of measured results."""

import json

import pytest
from benchmark_rows import MACHINE, row_of, short_row


def cpu_results(grid):
    noop, causal = (grid.Case(name, "float32", 64, 2048) for name in ("noop", "causal"))
    rows = [
        row_of(noop, 2, sdpa_ms=3.0, fovea_of_peak=0.855),
        row_of(noop, fovea_ms=4.0, fovea_of_peak=0.875),
        row_of(causal, 2, void=True),
        row_of(grid.Case("noop", "float32", 64, 8192), 2),
    ]
    return {"machine": MACHINE, "rows": rows, "bars": grid.find_bars(rows)}


def test_tables_go_to_their_places(module):
    readme_table, grid = module("readme_table"), module("cpu_grid")
    text = "a\n<!-- results: cpu -->\nearlier\n<!-- end -->\nb\n"
    results = cpu_results(grid)
    assert readme_table.kind_of(results) == "cpu"
    table = readme_table.TABLES["benchmarks/README.md"]["cpu"]
    new = readme_table.insert(text, "cpu", table([results]))
    line = "| float32 | 64 | 2048 | noop | 2.00 ms | 86% | 88% | 3.00 ms (x 1.50) |  |"
    assert [shown for shown in new.splitlines() if " ms |" in shown] == [line]
    others = len(grid.GRIDS["bars"]) - 1
    assert "### x1, 2 threads\n" in new
    assert (
        "2026-01-31, X (x1), 2 threads; x = times faster than torch; "
        f"5 of {len(results['bars'])} bars of benchmarks/cpu_grid.py hold. "
        f"Rows left out, as not measured or disturbed: {others}." in new
    )
    assert new.startswith("a\n")
    assert new.endswith("<!-- end -->\nb\n")
    assert "earlier" not in new
    with pytest.raises(ValueError, match="no place for the results of memory"):
        readme_table.insert(text, "memory", "")


def test_machines_stand_side_by_side(module):
    readme_table, grid = module("readme_table"), module("cpu_grid")
    noop, causal, bf16 = (
        grid.Case(name, dtype, 64, 2048)
        for name, dtype in (
            ("noop", "float32"), ("causal", "float32"), ("noop", "bfloat16"),
        )
    )  # fmt: skip
    rows = [short_row(noop), short_row(causal, fovea_of_peak=0.8), short_row(bf16)]
    short = {"rows": rows, "bars": grid.find_bars(rows)}
    short["machine"] = MACHINE | {"threads": 1, "microarchitecture": "y2"}
    rows = [row_of(bf16, fovea_of_peak=0.4, peak_of="amx", fovea_of_dots=1.2)]
    tiles = {"rows": rows, "bars": grid.find_bars(rows)}
    tiles["machine"] = MACHINE | {"vector_bits": 512, "bf16_dots": True, "amx": True}
    files = [cpu_results(grid), short, tiles]
    table = readme_table.TABLES["README.md"]["cpu"](files).splitlines()
    assert table[:6] == [
        "| dtype | D | variant | x1, 2 threads | y2, 1 thread, short samples "
        "| x1, 2 threads |",
        "|---|---|---|---|---|---|",
        "| float32 | 64 | noop | 86% (x 1.5, –) | 87% |  |",
        "| float32 | 64 | causal |  | 80% |  |",
        "| bfloat16 | 64 | noop |  | 87% | 40%, 120% of dots |",
        "",
    ]
    where = "2026-01-31, X (y2), 1 thread; bf16 beside the peak of f32, as there are no"
    assert table[7].startswith(f"- {where} dot products; 3 of ")
    where = (
        "2026-01-31, X (x1, 512-bit vectors, bf16 dot products, AMX), 2 threads; bf16"
    )
    assert table[8].startswith(f"- {where} beside the peak of tiles; ")
    full = readme_table.cpu_table(short)
    assert "| float32 | 64 | 2048 | causal | 80% | 87.1% / 86.8% | 60 | 832 to" in full
    with pytest.raises(ValueError, match="are shown of one machine"):
        readme_table.TABLES["README.md"]["gpu"]([{}, {}])


def test_costs_of_machines_stand_side_by_side(module):
    readme_table = module("readme_table")
    fovea_s = dict.fromkeys(("first_in_process_s", "cold_median_s"), 0.1)
    fovea_s |= {"disk_median_s": 5e-4, "kernel_s": 5e-6}
    file = {"machine": MACHINE, "fovea": fovea_s, "torch_compile_s": {"a": 2.0}}
    other = file | {"machine": MACHINE | {"microarchitecture": "y2"}}
    other["torch_compile_s"] = None
    table = readme_table.compile_columns([file, other])
    assert "| what | x1, 2 threads | y2, 2 threads |\n|---|---|---|\n" in table
    assert "| from the disk cache, median | 0.5 ms | 0.5 ms |" in table
    assert "| torch.compile of FlexAttention | 2000 ms |  |" in table
    memory = {"machine": MACHINE, "score_matrix_bytes": 4 << 20, "length": 8}
    memory |= {"heads": 2, "rows": {"noop": {"tensors": 1 << 20, "above": 1 << 19}}}
    table = readme_table.memory_columns([memory, memory])
    assert "| noop | 1.0 MiB | 4.0 MiB | 0.5 MiB | 0.5 MiB |" in table
    assert table.count("\n- N = 8, 2 heads; 2026-01-31, X (x1), 2 threads.") == 2
    with pytest.raises(ValueError, match="several lengths or heads"):
        readme_table.memory_columns([memory, memory | {"length": 9}])


def test_the_gpu_table_names_variants_and_ratios(module):
    readme_table = module("readme_table")
    row = {"variant": "causal", "dtype": "bf16", "D": 64, "N": 8, "H": 4, "Hk": 2}
    rows = [row | {"impl": "fovea", "tflops": 300.0}]
    rows.append(row | {"impl": "cudnn", "tflops": 200.0})
    rows.append(row | {"impl": "flex", "tflops": 100.0})
    rows.append(row | {"dtype": "f16", "impl": "fovea", "tflops": 1.0})
    machine = {"date": "2026-01-31 10:00", "gpu": "G", "cudnn": 1, "torch": "2"}
    results = {"machine": machine, "rows": rows, "bars": []}
    assert readme_table.kind_of(results) == "gpu"
    table = readme_table.gpu_table(results)
    assert "| causal | 64 | 8 | 4/2 | 300 | 200 (× 1.50) | 100 (× 3.00) |" in table
    assert "2026-01-31, G, cuDNN 1 through torch 2" in table
    assert " 1 |" not in table


def test_the_table_of_masks_on_the_gpu_has_a_row_a_mask(module):
    readme_table = module("readme_table")
    row = {"variant": "documents", "N": 64, "H": 2}
    rows = [row | {"impl": "fovea", "kind": "check", "passed": True}]
    rows.append(row | {"impl": "fovea mask", "ms": 0.0204})
    rows.append(row | {"impl": "flex mask, eager", "ms": 5.1})
    rows.append(row | {"impl": "flex attention", "error": "out of memory"})
    machine = {"date": "2026-01-31 10:00", "gpu": "G", "torch": "2"}
    results = {"machine": machine, "rows": rows}
    assert readme_table.kind_of(results) == "gpu_masks"
    table = readme_table.gpu_masks_table(results)
    assert "| documents | 64 | 2 | 0.020 ms |  | 5.100 ms |  |  |" in table
    assert "2026-01-31, G, torch 2." in table


def test_readme_has_a_place_for_every_table(module):
    readme_table = module("readme_table")
    for page, tables in readme_table.TABLES.items():
        text = (readme_table.ROOT / page).read_text()
        for kind in tables:
            assert f"<!-- results: {kind} -->" in text


def test_published_tables_are_of_the_published_results(module):
    """What readme_table.py would write: each column's figures are a file's."""
    readme_table = module("readme_table")
    folder = readme_table.ROOT / "benchmarks" / "results"
    for page, tables in readme_table.TABLES.items():
        text = (readme_table.ROOT / page).read_text()
        for file in sorted(folder.glob("*.json")):
            results = json.loads(file.read_text())
            kind = readme_table.kind_of(results)
            if kind in tables and kind.startswith("gpu"):
                assert tables[kind]([results]) in text
            elif kind in tables:
                # Other machines' columns may stand in between.
                for line in tables[kind]([results]).splitlines()[-1:]:
                    assert line.lstrip("- ") in text, (page, file.name)
