"""Rows of the benchmarks' results, as tests make them."""

from typing import Any

MACHINE = {"date": "2026-01-31", "cpu": "X", "microarchitecture": "x1", "threads": 2}


def row_of(case: Any, threads: int = 1, **values: Any) -> dict[str, Any]:
    """A row of rounds."""
    row = {"threads": threads, "void": False, "build": "a", "wrong": ""}
    row |= {"digest": "x", "fovea_compile_s": 0.1, "fovea_ms": 2.0, "fovea_memory": 0}
    row |= {"others": 0.0}
    return case._asdict() | row | values


def short_row(case: Any, **values: Any) -> dict[str, Any]:
    """A row of short samples."""
    row = case._asdict() | {"threads": 1, "method": "short", "void": False}
    row |= {"build": "a", "wrong": "", "digest": "x", "fovea_compile_s": 0.1}
    row |= {
        "peak_of": "f32",
        "peak_gflops": 100.0,
        "others": 0.0,
        "fovea_samples": 60,
        "fovea_of_peak": 0.87,
    }
    row |= {"fovea_of_peak_halves": [0.871, 0.868]}
    return row | {"calls": {"heads": 1, "queries": [832, 1216]}} | values
