"""What the benchmarks share: aligned arrays, timing, the peak probe, the machine."""

from __future__ import annotations

import argparse
import ctypes
import datetime
import json
import math
import multiprocessing
import os
import platform
import shutil
import signal
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
    "Others",
    "Peak",
    "add_common_arguments",
    "aligned",
    "available_threads",
    "head_pair",
    "import_torch",
    "in_fork",
    "machine",
    "median",
    "numpy_dtype",
    "peak_growth",
    "positive_int",
    "positive_seconds",
    "random",
    "run_child",
    "save_json",
    "timed",
    "to_torch",
    "whole",
    "write_json",
]

median = statistics.median


def available_threads() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that is an int within bounds."""
    rule = f"of at least {least}" if most is None else f"within {least} to {most}"

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"must be an int {rule}, got {text!r}")
        return value

    return number


positive_int = whole(1)


def positive_seconds(text: str) -> float:
    """The type of an option that is a time."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be a finite number of seconds above 0, got {text!r}"
        )
    return value


def head_pair(text: str) -> tuple[int, int]:
    """The type of an option that is query heads and key heads."""
    query, sign, keys = text.partition("/")
    try:
        pair = int(query), int(keys if sign else query)
    except ValueError:
        pair = 0, 0
    if min(pair) < 1 or pair[0] % pair[1]:
        raise argparse.ArgumentTypeError(
            f"must be H or H/HK, ints of at least 1, H a multiple of HK, got {text!r}"
        )
    return pair


def add_common_arguments(
    parser: argparse.ArgumentParser, output: str, threads: list[int] | None = None
) -> None:
    """--threads, --quick and --json, the same everywhere; `threads` where several
    numbers may be given, and are without."""
    parser.add_argument(
        "--threads",
        type=positive_int,
        nargs="+" if threads else None,
        default=threads or available_threads(),
    )
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

    The kernel's high-water mark is set back and freed memory given back first, so
    that what was used before does not hide anything. Linux only.
    """
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    function()
    return max(0, _resident("VmHWM") - before)


def in_fork(function: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a function gives in a forked child, where nothing is warm; None if it
    does not answer."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            writer.send(function())
            status = 0
        finally:
            os._exit(status)
    writer.close()
    try:
        return reader.recv() if reader.poll(seconds) else None
    except EOFError:
        return None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reader.close()


class Others:
    """The time that other processes take, and that the host takes away.

    A short probe does not see them: what wakes up goes first, and what computes
    for long is what waits.
    """

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        try:
            words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        except OSError:
            return 0.0, 0.0, 0.0
        user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
        ticks = user + nice + system + irq + softirq + steal
        busy = ticks / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy, time.process_time()

    def share(self) -> float:
        """Of all processors' time since the start; 0 where nothing tells."""
        wall, busy, own = (
            now - then for now, then in zip(self._now(), self._start, strict=True)
        )
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1)) if wall else 0.0


class Peak:
    """The multiply-add rate of some threads of this machine, when asked.

    Compiles ``peak.c`` once. Without a C compiler there is no peak: every rate
    is 0 and shares of the peak are left out.
    """

    SECONDS = 2e-3  # of a probe

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.has_bf16 = False
        self._call: Callable[[int, int, int], float] | None = None
        self._counts = {False: 1_000_000, True: 1_000_000}
        compiler = next(filter(shutil.which, ("cc", "clang-22", "clang", "gcc")), None)
        if compiler is None:
            print("no C compiler: shares of the peak are left out", file=sys.stderr)
            return
        with tempfile.TemporaryDirectory(prefix="fovea-peak-") as folder:
            library = Path(folder) / "peak.so"
            command = [compiler, "-O3", "-march=native", "-shared", "-fPIC"]
            command += [str(HERE / "peak.c"), "-o", str(library), "-lpthread"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"peak.c does not compile here:\n{done.stderr}", file=sys.stderr)
                return
            self._call = ctypes.CDLL(str(library)).peak_rate
        self._call.restype = ctypes.c_double
        self._call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long]
        for bf16, count in self._counts.items():
            start = time.perf_counter()
            self.rate(bf16)
            took = time.perf_counter() - start
            self._counts[bf16] = max(1, int(count * self.SECONDS / took))
        self.has_bf16 = self.rate(True) > 0

    def rate(self, bf16: bool) -> float:
        """GFLOP/s of f32 multiply-adds, or of bf16 dot products; 0 if unknown."""
        if self._call is None:
            return 0.0
        return self._call(int(bf16), self.threads, self._counts[bf16])


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


def save_json(path: Path, results: Any) -> None:
    """Write the results; whoever reads meanwhile sees the old or the new ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(results, indent=1) + "\n")
    new.replace(path)


def write_json(path: Path, results: Any) -> None:
    """Write the results and say where."""
    save_json(path, results)
    print(f"results in {path}")
