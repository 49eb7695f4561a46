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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "local"

__all__ = [
    "KINDS",
    "Others",
    "Peak",
    "Sample",
    "add_common_arguments",
    "aligned",
    "available_threads",
    "describe",
    "head_pair",
    "import_torch",
    "in_fork",
    "machine",
    "machine_for",
    "median",
    "numpy_dtype",
    "peak_growth",
    "positive_int",
    "positive_seconds",
    "random",
    "refuse_mixing",
    "run_child",
    "same_machine",
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
    for long is what waits. Without `steal`, other processes alone.
    """

    def __init__(self, steal: bool = True) -> None:
        self._steal = steal
        self._start = self._now()

    def _now(self) -> tuple[float, float, float]:
        try:
            words = Path("/proc/stat").read_text().split("\n", 1)[0].split()
        except OSError:
            return 0.0, 0.0, 0.0
        user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
        ticks = user + nice + system + irq + softirq + steal * self._steal
        busy = ticks / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), busy, time.process_time()

    def share(self) -> float:
        """Of all processors' time since the start; 0 where nothing tells."""
        wall, busy, own = (
            now - then for now, then in zip(self._now(), self._start, strict=True)
        )
        return max(0.0, busy - own) / (wall * (os.cpu_count() or 1)) if wall else 0.0


class Sample(NamedTuple):
    """Seconds of a call, 0 where none was made, and the rates of the probes before
    and after it."""

    seconds: float
    before: float
    after: float
    switches: int = 0  # to other threads of this system meanwhile, where counted
    product: float = 0.0  # seconds of the slower of two products, where taken


#: Kinds of multiply-adds, by what peak.c calls them: of f32 vectors, bf16 dot
#: products, bf16 tiles (AMX).
KINDS = ("f32", "bf16", "amx")


class Peak:
    """The multiply-add rates of some threads of this machine, when asked.

    Compiles ``peak.c`` once. Without a C compiler there is no peak: every rate
    is 0 and shares of the peak are left out.
    """

    SECONDS = 2e-3  # of a probe
    SHORT = 1e-4  # of one beside a short sample

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._rate: Callable[[int, int, int], float] | None = None
        self._sample: Any = None
        self._steps = dict.fromkeys(KINDS, 0.0)  # a second
        self._rounds = 0.0  # of the product, a second
        compiler = next(filter(shutil.which, ("cc", "clang-22", "clang", "gcc")), None)
        if compiler is None:
            print("no C compiler: shares of the peak are left out", file=sys.stderr)
            return
        with tempfile.TemporaryDirectory(prefix="fovea-peak-") as folder:
            library = Path(folder) / "peak.so"
            command = [compiler, "-O3", "-shared", "-fPIC"]
            command += [str(HERE / "peak.c"), "-o", str(library), "-lpthread"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"peak.c does not compile here:\n{done.stderr}", file=sys.stderr)
                return
            self._bind(library)
        for number, kind in enumerate(KINDS):
            self._steps[kind] = self._a_second(partial(self._seconds, number), 10_000)
        self._rounds = self._a_second(self._product, 10)

    def _bind(self, library: Path) -> None:
        """Rates are taken by threads; a sample by this one, which holds the GIL."""
        functions = ctypes.CDLL(str(library))
        self._rate = functions.peak_rate
        self._rate.restype = ctypes.c_double
        self._rate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long]
        self._seconds = functions.peak_seconds
        self._seconds.restype = ctypes.c_double
        self._seconds.argtypes = [ctypes.c_int, ctypes.c_long]
        self._product = functions.product_seconds
        self._product.restype = ctypes.c_double
        self._product.argtypes = [ctypes.c_long]
        self._sample = ctypes.PyDLL(str(library)).peak_sample
        self._sample.restype = ctypes.py_object
        number, pointer, double = ctypes.c_long, ctypes.c_void_p, ctypes.c_double
        self._sample.argtypes = [ctypes.c_int, number, number, double, double]
        self._sample.argtypes += [pointer, ctypes.py_object, ctypes.py_object, pointer]

    @staticmethod
    def _a_second(seconds: Callable[[int], float], steps: int) -> float:
        """Steps, by many probes, as others disturb some."""
        took = median(seconds(steps) for _ in range(50))
        return steps / took if took else 0.0

    def has(self, kind: str) -> bool:
        """Whether this machine has such multiply-adds, and their rate is known."""
        return self._steps[kind] > 0

    def kind_of(self, dtype: str) -> str:
        """The multiply-adds that a type is judged by: the fastest ones for it."""
        of_type = KINDS[:0:-1] if dtype == "bfloat16" else ()
        return next(filter(self.has, of_type), "f32")

    def rate(self, kind: str) -> float:
        """GFLOP/s of all threads at once; 0 if unknown."""
        if self._rate is None:
            return 0.0
        steps = max(1, int(self._steps[kind] * self.SECONDS))
        return self._rate(KINDS.index(kind), self.threads, steps)

    def ratio(self, kind: str, other: str, pairs: int = 5) -> float:
        """How many times faster one is than the other, taken in turns."""
        return median(self.rate(kind) / self.rate(other) for _ in range(pairs))

    def sample(
        self,
        kind: str,
        call: Callable[[], Any],
        least: float = 0.0,
        most: float = math.inf,
    ) -> Sample:
        """A call on this thread by its processor time; on either side a short probe
        and a short product of arrays in the caches. There has to be a peak.

        No call is made where the first probe does not reach the least rate or the
        first product takes more than the most seconds.
        """
        found = (ctypes.c_double * 5)()
        self._sample(
            KINDS.index(kind),
            max(1, int(self._steps[kind] * self.SHORT)),
            max(1, int(self._rounds * self.SHORT)),
            least,
            most,
            ctypes.cast(ctypes.pythonapi.PyObject_CallNoArgs, ctypes.c_void_p),
            call,
            int,
            ctypes.addressof(found),
        )
        seconds, before, after, switches, product = found
        return Sample(seconds, before, after, int(switches), product)


def vector_bits(features: Sequence[str]) -> int:
    """Width of the vectors that kernels use, from LLVM's names of features."""
    return 512 if "avx512f" in features else 256 if "avx2" in features else 128


def machine(threads: int) -> dict[str, Any]:
    """What a result was measured on."""
    import fovea
    from fovea._lib import config

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    known = config()
    features = known["cpu_features"]
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": name,
        "microarchitecture": known["cpu"],
        "vector_bits": vector_bits(features),
        "bf16_dots": bool({"avx512bf16", "bf16"} & {*features}),
        "amx": "amx-bf16" in features,
        "processors": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "fovea": fovea.__version__,
    }


#: What tells machines apart: guests of two generations share a processor's name.
IDENTITY = (
    "cpu", "microarchitecture", "vector_bits", "bf16_dots", "amx", "processors",
)  # fmt: skip


def same_machine(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether results of both may stand in one file.

    They may not where the microarchitecture of either is not known; of the rest
    counts what both know.
    """
    known = "microarchitecture" in one and "microarchitecture" in other
    return known and all(
        one[name] == other[name] for name in IDENTITY if name in one and name in other
    )


def describe(machine: dict[str, Any]) -> str:
    """A machine in a few words."""
    words = [machine.get("microarchitecture", "unknown microarchitecture")]
    if "vector_bits" in machine:
        words.append(f"{machine['vector_bits']}-bit vectors")
    words += ["bf16 dot products"] * machine.get("bf16_dots", False)
    words += ["AMX"] * machine.get("amx", False)
    if "processors" in machine:
        words.append(f"{machine['processors']} processors")
    return f"{machine['cpu']} ({', '.join(words)})"


def refuse_mixing(one: dict[str, Any], other: dict[str, Any]) -> None:
    """ValueError where results of two machines would stand in one file."""
    if not same_machine(one, other):
        raise ValueError(f"results of {describe(one)} and {describe(other)} do not mix")


def machine_for(path: Path, threads: int) -> dict[str, Any]:
    """The machine as a file names it; ValueError where the file is of another."""
    found = machine(threads)
    if path.exists():
        refuse_mixing(json.loads(path.read_text())["machine"], found)
    return found


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
