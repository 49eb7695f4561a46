"""What the benchmarks share: aligned arrays, timing, the peak probe, the machine."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "local"

__all__ = [
    "Peak",
    "add_common_arguments",
    "aligned",
    "available_threads",
    "import_torch",
    "machine",
    "median",
    "numpy_dtype",
    "peak_growth",
    "random",
    "run_child",
    "timed",
    "to_torch",
    "write_json",
]

median = statistics.median


def available_threads() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def add_common_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """--threads, --quick and --json, the same everywhere."""
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds")
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS / output,
        help="where the results go (default: benchmarks/results/local)",
    )


def numpy_dtype(name: str) -> np.dtype:
    """A dtype by name, bfloat16 by ml_dtypes."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def aligned(shape: tuple[int, ...], dtype: np.dtype, alignment: int = 64) -> np.ndarray:
    """An uninitialised array that begins at a multiple of a cache line."""
    size = int(np.prod(shape)) * dtype.itemsize
    buffer = np.empty(size + alignment, np.uint8)
    start = -buffer.ctypes.data % alignment
    return buffer[start : start + size].view(dtype).reshape(shape)


def random(shape: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator) -> Any:
    """Normal numbers in an aligned array."""
    array = aligned(shape, dtype)
    array[...] = rng.standard_normal(shape, dtype=np.float32).astype(dtype)
    return array


def import_torch(threads: int) -> Any:
    """The torch module with so many threads, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def to_torch(torch: Any, array: np.ndarray) -> Any:
    """The same memory as a torch tensor."""
    if array.dtype == numpy_dtype("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def timed(function: Callable[[], Any], budget: float = 0.3, most: int = 20) -> float:
    """Median seconds of a call, after one to warm up."""
    function()
    start = time.perf_counter()
    function()
    once = time.perf_counter() - start
    count = max(1, min(most, int(budget / max(once, 1e-7))))
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        function()
        samples.append(time.perf_counter() - start)
    return median(samples)


def _resident(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def peak_growth(function: Callable[[], Any]) -> int:
    """How far the resident memory rises above its start during a call, in bytes.

    The kernel's high-water mark is set back first, so that what was used and
    freed before does not hide anything. Linux only.
    """
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    function()
    return max(0, _resident("VmHWM") - before)


class Peak:
    """The multiply-add rate of this machine, measured when asked.

    Compiles ``peak.c`` once. Without a C compiler there is no peak: `measure`
    gives an empty dict and shares of the peak are left out.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._program: Path | None = None
        compiler = next(filter(shutil.which, ("cc", "clang-22", "clang", "gcc")), None)
        if compiler is None:
            print("no C compiler: shares of the peak are left out", file=sys.stderr)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="fovea-peak-")
        program = Path(self._folder.name) / "peak"
        command = [compiler, "-O3", "-march=native", str(HERE / "peak.c")]
        command += ["-o", str(program), "-lpthread"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"peak.c does not compile here:\n{done.stderr}", file=sys.stderr)
            return
        self._program = program

    def measure(self, *arguments: str) -> dict[str, float]:
        """f32_gflops and, where the machine has it, bf16_gflops."""
        if self._program is None:
            return {}
        command = [str(self._program), str(self.threads), *arguments]
        return json.loads(
            subprocess.run(command, capture_output=True, check=True).stdout
        )


def machine(threads: int) -> dict[str, Any]:
    """What a result was measured on."""
    import fovea

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": name,
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "fovea": fovea.__version__,
    }


def run_child(script: str, *arguments: str, **environment: str) -> Any:
    """Run a benchmark script in a fresh process; what it prints last is JSON."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def write_json(path: Path, results: Any) -> None:
    """Write the results and say where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"results in {path}")
