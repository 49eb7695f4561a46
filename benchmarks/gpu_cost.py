#!/usr/bin/env python3
"""What kernels for sm_90a cost beside their work: compiling, and launching.

    python benchmarks/gpu_cost.py                   compiling; needs no GPU
    python benchmarks/gpu_cost.py --launch          and launching from C and Python
    python benchmarks/gpu_cost.py --launch --driver build/lib/libfovea-fake-cuda.so

With --driver launches go to a driver that does nothing: what is left is the
library's own part. Launching from Python needs torch and a CUDA device. Bars:
1 s cold, 5 ms from the disk cache, 5 us a launch from C, 12 us from Python.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import available_threads, machine, median, run_child, write_json

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "test" / "gpu"))

#: Seconds, seconds, microseconds, microseconds.
BARS = {"cold": 1.0, "cached": 5e-3, "launch_c": 5.0, "launch_python": 12.0}
VARIANTS = ("noop", "causal", "alibi_causal", "softcap_causal", "table_causal")
HEAD_DIMS = (64, 128, 256)


def compile_all() -> dict[str, float]:
    """Seconds of each compilation of this process, one variant a head dim."""
    from fovea_gpu.variants import VARIANTS as SOURCES

    from fovea._lib import config, native

    config()  # finds the assembler, once a process
    seconds = {}
    for name in VARIANTS:
        for D in HEAD_DIMS:
            start = time.perf_counter()
            native().compile(
                SOURCES[name].source,
                kind="attn",
                dtype="bf16",
                head_dim=D,
                want_lse=1,
                target="sm_90a",
            )
            seconds[f"{name} D{D}"] = time.perf_counter() - start
    return seconds


def measure_compiling() -> dict[str, Any]:
    """Cold, then by a second process with the first one's disk cache."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        settings = {"FOVEA_CACHE": "1", "FOVEA_CACHE_DIR": folder}
        cold = run_child(__file__, "--child", "compile", **settings)
        cached = run_child(__file__, "--child", "compile", **settings)
    where = machine(available_threads())
    return {"machine": where, "cold": cold, "cached": cached}


def build(compiler: str, folder: Path, library: Path) -> tuple[Path, Path]:
    """launch_cost.c, and launch_watch.c as a driver in front of the driver."""
    program, watch = folder / "launch_cost", folder / "libwatch.so"
    command = [compiler, "-O2", str(HERE / "launch_cost.c"), "-o", str(program)]
    command += [f"-I{HERE.parent / 'include'}", f"-L{library}", "-lfovea", "-ldl"]
    subprocess.run([*command, f"-Wl,-rpath,{library}"], check=True)
    command = [compiler, "-O2", "-shared", "-fPIC", str(HERE / "launch_watch.c")]
    subprocess.run([*command, "-o", str(watch), "-ldl"], check=True)
    return program, watch


def launch_from_c(driver: str | None) -> dict[str, Any]:
    """Microseconds a launch by the C ABI; then again with the driver watched."""
    from fovea import _native

    package = Path(_native.__file__).resolve().parent
    places = (package, package.parents[1] / "lib")
    library = next(folder for folder in places if (folder / "libfovea.so").exists())
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("launching from C needs a C compiler")

    def run(**settings: str) -> dict[str, float]:
        done = subprocess.run(
            [program],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    with tempfile.TemporaryDirectory() as folder:
        program, watch = build(compiler, Path(folder), library)
        fake = {"FAKE_CUDA_QUIET": "1"} if driver else {}
        own = {"FOVEA_LIBCUDA": driver} if driver else {}
        behind = {"WATCHED_LIBCUDA": driver} if driver else {}
        found: dict[str, Any] = run(**fake, **own)
        found["watched"] = run(**fake, **behind, FOVEA_LIBCUDA=str(watch))
    return found


def launch_from_python() -> dict[str, float]:
    """Microseconds a call of attention on CUDA tensors, in bursts."""
    import torch

    import fovea

    q, k, v = (
        torch.randn(1, 2, 128, 128, device="cuda", dtype=torch.bfloat16)
        for _ in range(3)
    )
    times = []
    for _ in range(203):
        start = time.perf_counter()
        for _ in range(64):
            fovea.attention(q, k, v)
        times.append((time.perf_counter() - start) / 64 * 1e6)
        torch.cuda.synchronize()
    times = sorted(times[3:])
    return {"best_us": times[0], "median_us": median(times)}


def print_bars(results: dict[str, Any]) -> None:
    figures = {
        "cold": max(results["compile"]["cold"].values()),
        "cached": median(list(results["compile"]["cached"].values())),
    }
    for kind in ("launch_c", "launch_python"):
        if kind in results:
            figures[kind] = results[kind]["median_us"]
    for name, value in figures.items():
        unit = "us" if name.startswith("launch") else "s"
        verdict = "holds" if value <= BARS[name] else "MISSED"
        print(f"{name:14s} {value:10.4f} {unit} (<= {BARS[name]:g}) {verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launch", action="store_true")
    parser.add_argument("--driver", help="a driver in place of libcuda, for C alone")
    default = HERE / "results" / "local" / "gpu_cost.json"
    parser.add_argument("--json", type=Path, default=default)
    parser.add_argument("--child", choices=("compile",), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(compile_all()))
        return 0
    results: dict[str, Any] = {"compile": measure_compiling()}
    if options.launch:
        results["launch_c"] = launch_from_c(options.driver)
        if options.driver is None:
            results["launch_python"] = launch_from_python()
    write_json(options.json, results)
    print_bars(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
