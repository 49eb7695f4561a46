"""The benchmarks' bookkeeping; nothing is timed here."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fovea

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def module():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.mark.parametrize("length", [1, 7, 64, 1500])
def test_kept_counts_the_visible_pairs(module, length):
    variants = module("variants")
    data = variants.Data.make(length, np.random.default_rng(0))
    for name, (_, mask_mod) in variants.fovea_mods(data).items():
        seen = length**2
        if mask_mod is not None:
            seen = fovea.create_mask(mask_mod, 1, 1, length, length).sum()
        assert variants.kept(name, length) == seen, name


def test_arrays_are_aligned(module):
    common = module("common")
    for dtype in ("float32", "bfloat16"):
        array = common.aligned((3, 5), common.numpy_dtype(dtype))
        assert array.ctypes.data % 64 == 0
        assert array.shape == (3, 5)


def test_peak_growth_sees_what_is_used_and_freed(module):
    common = module("common")
    # 64 MiB: above the largest block that malloc keeps for itself once freed.
    grown = common.peak_growth(lambda: np.ones(1 << 23).sum())
    assert 62 << 20 <= grown <= 112 << 20
    assert common.peak_growth(lambda: None) < 4 << 20


def test_tables_go_to_their_places(module):
    readme_table = module("readme_table")
    text = "a\n<!-- results: cpu -->\nold\n<!-- end -->\nb\n"
    row = {"variant": "noop", "dtype": "float32", "D": 64, "N": 8}
    row |= {"fovea_ms": 2.0, "sdpa_ms": 3.0}
    machine = {"date": "2026-01-31", "cpu": "X", "threads": 2}
    results = {"machine": machine, "rows": [row]}
    assert readme_table.kind_of(results) == "cpu"
    new = readme_table.insert(text, "cpu", readme_table.cpu_table(results))
    assert "| float32 | 64 | 8 | noop | 2.00 ms |  | 3.00 ms (x 1.50) |  |" in new
    assert "2026-01-31, X, 2 threads;" in new
    assert new.startswith("a\n")
    assert new.endswith("<!-- end -->\nb\n")
    assert "old" not in new
    with pytest.raises(ValueError, match="no place for the results of memory"):
        readme_table.insert(text, "memory", "")


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


def test_the_share_of_a_read_is_that_within_its_turn(module):
    summary = module("decode").summary
    # The machine slows down for three turns; one kernel is caught by the change.
    reads = [8, 8, 8, 16, 16, 16, 16]
    got = summary(reads, [10, 10, 90, 20, 20, 20], 10**9)
    assert got["of_read"] == 0.8
    assert got["of_read_quartiles"] == [0.8, 0.8]
    assert (got["samples"], got["steady"]) == (6, 5)
    assert got["kernel_ms"] == 20e3
    assert got["read_gb_s"] == 1 / 16
    few = summary([8, 8, 16], [10, 24], 10**9)
    assert (few["samples"], few["steady"]) == (2, 1)
    assert few["of_read"] == (0.8 + 0.5) / 2


def test_runs_of_decode_are_merged_and_shown_side_by_side(module, tmp_path):
    decode, readme_table = module("decode"), module("readme_table")
    machine = {"date": "2026-01-31", "cpu": "X", "threads": 2}
    row = {"dtype": "float32", "group": 4, "layout": "pages", "B": 1, "N": 8192}
    row |= {"kernel_gb_s": 40.2, "read_gb_s": 50.0, "of_read": 0.804}
    runs = [[row | {"of_read": 0.1}, row | {"B": 16, "kernel_gb_s": 44.0}], [row]]
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file, rows in zip(files, runs, strict=True):
        file.write_text(json.dumps({"machine": machine, "rows": rows}))
    results = decode.merge(files)
    assert readme_table.kind_of(results) == "decode"
    table = readme_table.decode_table(results)
    assert "| B 1, N 8192 | B 16, N 8192 |" in table
    assert "| float32 | 4:1 | pages, head-major | 40 (80%) | 44 (80%) |" in table
    assert "2026-01-31, X, 2 threads; the plain read ran at 50 to 50 GB/s." in table
    other = {"machine": machine | {"cpu": "Y"}, "rows": []}
    files[1].write_text(json.dumps(other))
    with pytest.raises(ValueError, match="do not mix"):
        decode.merge(files)


def test_readme_has_a_place_for_every_table(module):
    readme_table = module("readme_table")
    text = readme_table.README.read_text()
    for kind in readme_table.TABLES:
        assert f"<!-- results: {kind} -->" in text


def test_masks_are_the_same_for_both_libraries(module):
    masks = module("masks")
    doc = np.arange(256) // 16
    near = abs(np.subtract.outer(np.arange(256), np.arange(256))) < 1024
    for wrap in (lambda array: array, lambda array: array.tolist()):
        mod = masks.mods("document", 256, wrap, fovea.ops)
        got = [[bool(mod(0, 0, q, kv)) for kv in range(256)] for q in range(256)]
        np.testing.assert_array_equal(
            got, np.tri(256, dtype=bool) & np.equal.outer(doc, doc) & near
        )
