"""The process: configuration, threads, caches."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import _checks, _compiler, _repeat
from ._lib import config, native
from ._version import __version__

__all__ = ["CacheInfo", "cache_info", "clear_cache", "set_num_threads", "show_config"]


class CacheInfo(NamedTuple):
    """Counters since the start or the last clear_cache.

    Attributes
    ----------
    compiles : int
        Compilations: one for each form of a kernel that was called for, such as the
        form for few queries.
    memory_hits : int
        Look-ups that found their kernel in memory: such as the first call with a
        function whose operations, constants and kinds of captures are those of a
        function defined elsewhere. Calls that repeat look nothing up and are
        counted nowhere.
    disk_hits : int
        Look-ups that found it in the disk cache.
    entries : int
        Kernels held in memory.
    """

    compiles: int
    memory_hits: int
    disk_hits: int
    entries: int


def cache_info() -> CacheInfo:
    """How many kernels were compiled, found in memory, found on disk, and held.

    Calls that repeat look nothing up: `CacheInfo` says what is counted.
    """
    return CacheInfo(*native().cache_info())


def clear_cache() -> None:
    """Forget every kernel and trace in memory, and the counters.

    Kernels that are still held go on working. The disk cache is kept.
    """
    from .dsl import clear_memo

    _compiler.clear()
    _repeat.clear()
    clear_memo()
    native().clear_cache(False)


def set_num_threads(n: int) -> None:
    """Use `n` threads; 0 = FOVEA_NUM_THREADS, else what the machine grants."""
    native().set_num_threads(_checks.integer(n, "n", 0, 1024))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(part) for part in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k}={_text(v)}" for k, v in value.items()) or "none"
    return str(value)


_TITLES = {
    "llvm": "LLVM",
    "build_id": "build",
    "cpu": "CPU",
    "cpu_features": "CPU features",
    "targets": "targets",
    "threads": "threads",
    "gpus": "GPUs",
    "gpus_note": "GPUs note",
    "ptxas": "ptxas",
    "cache_dir": "cache directory",
    "cache_note": "cache note",
}


def show_config() -> None:
    """Print version, LLVM, CPU features, threads, GPUs, ptxas, cache directory."""
    import sys

    import numpy as np

    known = config()
    rows = [("fovea", __version__)]
    for key, title in _TITLES.items():
        if key == "threads":
            rows.append((title, str(native().num_threads())))
        elif known.get(key) != "" and key in known:
            rows.append((title, _text(known[key])))
    rows.append(("NumPy", np.__version__))
    rows.append(("Python", sys.version.split()[0]))
    width = max(len(title) for title, _ in rows)
    print("\n".join(f"{title:<{width}}  {value}" for title, value in rows))
