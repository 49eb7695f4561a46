"""Bars, results and their merging of the GPU benchmark."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "test" / "gpu")]

import gpu  # noqa: E402
from fovea_gpu import report  # noqa: E402
from fovea_gpu.measure import CEILING  # noqa: E402


def test_bars_of_the_benchmark() -> None:
    def rows(variant: str, dtype: str = "bf16", **tflops: float) -> list[dict]:
        base = {"kind": "time", "variant": variant, "dtype": dtype, "D": 128}
        base |= {"B": 1, "H": 16, "Hk": 16, "N": 16384}
        tiles = {"query_tiles": 128, "visited": 128 * 64, "ms": 1.5}
        tiles["tile"] = [64, 64] if variant == "lists64x64" else [128, 128]
        return [base | {"impl": k, "tflops": v} | tiles for k, v in tflops.items()]

    found = gpu.find_bars(
        [
            *rows("causal", fovea=750.0, cudnn=640.0, prototype=760.0),
            *rows("alibi_causal", fovea=690.0, flex=400.0),
            *rows("noop", fovea=700.0, cudnn=690.0),
            *rows("window1024", fovea=500.0),
            *rows("lists128x128", fovea=500.0),
            # No step of its tiles is known, none of its dtype.
            *rows("lists64x64", fovea=500.0),
            *rows("lists192x128", "f16", fovea=500.0),
        ],
        132,
    )
    held = {bar["bar"]: bar["holds"] for bar in found}
    assert held == {
        "causal D128 N16384 over cuDNN": True,
        "causal D128 N16384 over the prototype": True,
        "alibi_causal D128 N16384 of own causal": False,
        "noop D128 N16384 over cuDNN": False,
        "window1024 D128 N16384 of the walk bound": True,
        "lists128x128 D128 N16384 of the walk bound": True,
    }


def test_bars_of_lengths() -> None:
    base = {"kind": "time", "dtype": "bf16", "D": 128, "B": 4, "H": 16, "Hk": 16}
    base |= {"N": 4096, "tile": [128, 128], "impl": "fovea", "tflops": 700.0}
    rows = [
        base | {"variant": "noop", "ms": 0.7, "query_tiles": 32, "visited": 1024},
        base | {"variant": "noop_lengths", "ms": 0.72, "steps": 64 * 32 * 32.7},
        base | {"variant": "noop_lengths_unequal", "ms": 0.72, "steps": 64 * 1000.0},
    ]
    bars = gpu.find_bars(rows, 132)
    values = {bar["bar"]: (bar["value"], bar["holds"]) for bar in bars}
    assert values == {
        "noop_lengths D128 N4096 over noop, a step": (pytest.approx(7 / 7.2), False),
        "noop_lengths_unequal D128 N4096 over noop, a step": (
            pytest.approx(7 / 7.2 * 1000 / 1046.4),
            False,
        ),
    }


def test_the_ceiling_of_memory(capsys: pytest.CaptureFixture) -> None:
    base = {"kind": "time", "dtype": "bf16", "D": 128, "B": 1, "H": 16, "Hk": 16}
    base |= {"N": 16384, "query_tiles": 128, "tile": [128, 128]}
    window = base | {"variant": "window128", "visited": 255}
    plain = base | {"variant": "noop", "visited": 128 * 128}
    rows = [
        window | {"impl": "fovea", "tflops": 170.0, "ms": 0.1},
        window
        | {"impl": CEILING, "tflops": 190.0, "ms": 0.09, "bytes_per_second": 2.98e12},
        plain | {"impl": "fovea", "tflops": 750.0, "ms": 2.9},
    ]
    bars = gpu.find_bars(rows, 132)
    assert [bar["bar"] for bar in bars] == ["window128 D128 N16384 of the walk bound"]
    assert bars[0]["ceiling"] == pytest.approx(bars[0]["value"] / 0.9)
    report.print_times(rows)
    gpu.print_bars(bars)
    printed = capsys.readouterr().out
    assert "memory ceiling 190.0 (2.98 TB/s)" in printed
    assert f"memory's ceiling {bars[0]['ceiling']:.3f})" in printed


def test_merging_runs_of_the_benchmark(tmp_path: Path) -> None:
    def run(name: str, rows: list[tuple]) -> Path:
        base = {"kind": "time", "dtype": "bf16", "D": 128, "B": 1, "H": 16, "Hk": 16}
        full = [
            base | {"variant": variant, "N": 16384, "impl": impl, "tflops": tflops}
            for variant, impl, tflops in rows
        ]
        path = tmp_path / name
        machine = {"gpu": name, "processors": 132}
        path.write_text(json.dumps({"machine": machine, "rows": full}))
        return path

    merged = gpu.merge(
        [
            run("a", [("noop", "fovea", 700.0), ("noop", "cudnn", 690.0)]),
            run("b", [("causal", "fovea", 750.0), ("noop", "flex", 400.0)]),
            run("c", [("noop", "fovea", 740.0), ("noop", "cudnn", 680.0)]),
        ]
    )
    found = {(row["variant"], row["impl"]): row["tflops"] for row in merged["rows"]}
    assert found == {
        ("causal", "fovea"): 750.0,
        ("noop", "fovea"): 740.0,
        ("noop", "cudnn"): 680.0,
    }
    assert merged["machine"]["gpu"] == "c"
    assert [bar["holds"] for bar in merged["bars"]] == [True]


def test_bars_of_launches() -> None:
    cost = {
        "launch_c": {"median_us": 4.0},
        "launch_python": {"median_us": 12.5},
        "compile": {"cold": {"a": 0.4, "b": 1.1}, "cached": {"a": 1e-3}},
    }
    held = {bar["bar"]: bar["holds"] for bar in gpu.launch_bars(cost)}
    assert held == {
        "launch_c us": True,
        "launch_python us": False,
        "compile cold s": False,
        "compile cached s": True,
    }
