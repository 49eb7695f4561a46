"""The compiled module: nanobind over include/fovea-c/fovea.h.

Tensors cross as tuples ``(address, dtype, shape, strides)``: address an int,
dtype one of the names of Program captures ("f32", "bf16", "i64", "i1", ...),
shape and strides tuples of ints, strides in *elements*. The caller keeps the
memory alive. Everything has been checked in Python before; what the C ABI
still refuses is raised as the class that `set_exceptions` registered for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy

TensorTuple = tuple[int, str, tuple[int, ...], tuple[int, ...]]

# "runs", addresses of the int64 offsets and the int32 runs, number of runs, sizes
RunsTuple = tuple[str, int, int, int, tuple[int, int, int, int]]

class Kernel:
    """A compiled kernel (reference counted in the library)."""

    def launch(
        self,
        queries: Sequence[TensorTuple],
        keys: Sequence[TensorTuple],
        value: TensorTuple,
        out: TensorTuple,
        lse: TensorTuple | None,
        captures: Sequence[TensorTuple],
        scales: Sequence[float],
        q_offset: Sequence[int] | None,
        kv_offset: Sequence[int] | None,
        q_lengths: Sequence[int] | None,
        kv_lengths: Sequence[int] | None,
        block_mask: TensorTuple | RunsTuple | None,
        block_size: tuple[int, int] | None,
        cuda: int | None = None,
        stream: int = 0,
        page_table: TensorTuple | None = None,
    ) -> None:
        """Run; releases the GIL; checks for signals at most every 50 ms."""

    def remember(
        self,
        inputs: Sequence[Any],  # q, k, v
        captures: Sequence[Any],
        scale: float,
        make: Callable[[], Any] | None,  # the result, or the pair with lse
        geometry: Any,
        positions: Callable[..., tuple],  # what `launch` takes, from the caller's
    ) -> None:
        """A call that was checked and went well; the next one like it is quick."""

    def ir(self, level: str) -> str: ...
    def info(self) -> str:
        """JSON of fovea_kernel_info."""
    def object(self) -> bytes: ...

class Plan:
    """Steps of `fovea.dsl.recheck`, compared in the compiled module."""

    def __init__(self, steps: tuple, slots: tuple[int, ...]) -> None: ...
    def arrays(self, roots: tuple) -> list | None:
        """The objects of the slots, None where something differs."""

class Variants:
    """The variants that `fovea.attention` was called with."""

    def __init__(self, running: dict) -> None: ...
    def add(
        self,
        score_mod: Any,
        mask_mod: Any,
        normalizer: Any,
        captures: Mapping[str, Any] | None,
        q: Any,
        want_lse: bool,
        kernel: Kernel,
        plan: Plan,
    ) -> None: ...
    def repeat(self, *arguments: Any) -> Any:
        """The result of a call like one remembered, None where there is none."""

    def forget(self) -> None: ...

class Follower:
    """The variant of a `fovea.Kernel` as it was at its last call."""

    geometry: Any
    def __init__(self, running: dict) -> None: ...
    def follow(
        self,
        kernel: Kernel,
        plan: Plan,
        roots: tuple,
        gives_captures: bool,
        scale: float | None,
    ) -> None: ...
    def repeat(self, *arguments: Any) -> Any:
        """The result of a call like one remembered, None where there is none."""

def set_tensor_type(
    type: type, empty_like: Callable[[Any], Any], observer: Callable[[], bool]
) -> bool:
    """Whose calls are remembered; false without DLPack's C exchange API."""

def address(array: numpy.ndarray) -> int:
    """Where the data of an array begin."""

def compile(
    source: str | bytes,
    *,
    kind: str = "program",  # "program" | "attn" | "mlir"
    name: str | None = None,
    variant: str | None = None,
    dtype: str | None = None,
    head_dim: int = 0,
    value_dim: int = -1,
    target: str | None = None,
    schedule: str | None = None,
    want_lse: int = -1,
    want_block_mask: int = -1,
    defines: Mapping[str, str] | None = None,
) -> tuple[Kernel, str, float]:
    """Kernel, origin ("compiled" | "memory" | "disk"), milliseconds."""

def mask_classes(
    program: str,
    captures: Sequence[TensorTuple],
    sizes: tuple[int, int, int, int],  # B, H, Q_LEN, KV_LEN
    offsets: tuple[int, int],
    block_size: tuple[int, int],
    out: TensorTuple,  # int8 [B, H, Qb, KVb], contiguous
    exact: bool = True,
) -> None: ...
def mask_counts(
    program: str,
    captures: Sequence[TensorTuple],
    sizes: tuple[int, int, int, int],
    offsets: tuple[int, int],
    block_size: tuple[int, int],
    exact: bool = True,
) -> dict[str, int]:
    """Fields of fovea_mask_statistics."""

def mask_runs(
    program: str,
    captures: Sequence[TensorTuple],
    sizes: tuple[int, int, int, int],
    offsets: tuple[int, int],
    block_size: tuple[int, int],
    exact: bool = True,
) -> tuple[bytes, bytes, bool, dict[str, int]]:
    """int64 offsets, int32 runs, whether shared, statistics (fovea_mask_runs)."""

def mask_describe(
    program: str,
    captures: Sequence[TensorTuple],
    sizes: tuple[int, int, int, int],
    offsets: tuple[int, int],
    batch: int = 0,
    head: int = 0,
) -> str:
    """JSON of fovea_mask_describe."""

def mask_dense(
    program: str,
    captures: Sequence[TensorTuple],
    sizes: tuple[int, int, int, int],
    offsets: tuple[int, int],
    out: TensorTuple,  # i1 [B, H, Q_LEN, KV_LEN], contiguous
) -> None: ...
def parse_attn(text: bytes, name: str, defines: Mapping[str, str] | None = None) -> str:
    """JSON array of Programs."""

def set_num_threads(n: int) -> None: ...
def num_threads() -> int: ...
def enter_default_floats() -> bytes:
    """Default floating-point environment on this thread; the one before."""

def leave_default_floats(before: bytes) -> None: ...
def cache_info() -> tuple[int, int, int, int]:
    """compiles, memory_hits, disk_hits, entries."""

def clear_cache(on_disk: bool = False) -> None: ...
def config() -> str:
    """JSON of fovea_config; asks the GPU driver."""

def environment_notes() -> str:
    """JSON of what in the environment cannot be used."""

def add_site_packages(folder: str) -> None:
    """Look for ptxas in a folder of Python packages too."""

def set_exceptions(classes: Mapping[str, type[BaseException]]) -> None:
    """Keys: parse, compile, index, unsupported, io (others are built in)."""
