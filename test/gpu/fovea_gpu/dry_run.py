"""Computes the arguments of every launch without a GPU or torch."""

from __future__ import annotations

import ctypes as c
import math
from dataclasses import astuple
from typing import Any

from .call import Shape, make_sequences, tile_sizes
from .driver import LoadedKernel
from .manifest import Kernel, LaunchTensor, LaunchValues
from .variants import VARIANTS

__all__ = ["RecordingDriver", "describe_launch", "fake_values"]


class RecordingDriver:
    """Answers as the driver does and keeps what it was asked."""

    def __init__(
        self, registers: int = 168, local_bytes: int = 0, version: int = 12030
    ):
        self.registers, self.local_bytes = registers, local_bytes
        self.version = version
        #: What it answers to launches that begin beside others.
        self.refusal = 0
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.calls.append((name, arguments))
            if name == "cuFuncGetAttribute":
                target = c.cast(arguments[0], c.POINTER(c.c_int))
                values = {3: self.local_bytes, 4: self.registers}
                target[0] = values.get(arguments[1], 0)
            if name == "cuDriverGetVersion":
                c.cast(arguments[0], c.POINTER(c.c_int))[0] = self.version
            return self.refusal if name == "cuLaunchKernelEx" else 0

        return call


def _dense(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(sizes[i + 1 :]) for i in range(len(sizes)))


def _tensor(address: int, sizes: tuple[int, ...], layout: str) -> LaunchTensor:
    if layout == "bshd":
        B, H, S, D = sizes
        return LaunchTensor(address, sizes, (S * H * D, D, H * D, 1))
    return LaunchTensor(address, sizes, _dense(sizes))


def fake_values(kernel: Kernel, shape: Shape, processors: int = 132) -> LaunchValues:
    """A launch with made-up addresses."""
    D, E = kernel.head_dim, int(kernel.manifest["E"])
    B, H, Hk, M, N = shape.B, shape.H, shape.Hk, shape.M, shape.N
    sizes = {"B": B, "H": H, "Hk": Hk, "M": M, "N": N, "D": D, "E": E}
    shapes = {"q": (B, H, M, D), "k": (B, Hk, N, D), "v": (B, Hk, N, E)}
    shapes["out"] = (B, H, M, E)
    tensors = {
        name: _tensor(0x10000000 * (i + 1), size, shape.layout)
        for i, (name, size) in enumerate(shapes.items())
    }
    if kernel.returns_lse:
        tensors["lse"] = LaunchTensor(0x90000000, (B, H, M), _dense((B, H, M)))
    for i, capture in enumerate(kernel.manifest.get("captures", ())):
        rank = int(capture["rank"])
        size = (H, 2 * N)[:rank] if rank <= 2 else (H,) * rank
        address = 0xA0000000 + 0x1000000 * i
        tensors[f"@{capture['name']}"] = LaunchTensor(address, size, _dense(size))
    size = VARIANTS[kernel.variant].blocks
    if size is not None:
        tiles = (B, H, -(-M // size[0]), -(-N // size[1]))
        tensors["block_mask"] = LaunchTensor(0xC0000000, tiles, _dense(tiles))
    sizes |= {"SM": processors, "SIGN": shape.sign} | tile_sizes(size, M, N)
    batches = astuple(make_sequences(shape))
    return LaunchValues(sizes, tensors, (shape.sign / math.sqrt(D),), batches)


def describe_launch(kernel: Kernel, shape: Shape) -> dict[str, Any]:
    """What a launch would pass; ValueError where it would be refused."""
    if kernel.variant not in VARIANTS:
        raise ValueError(f"{kernel.id}: unknown variant {kernel.variant!r}")
    registers = int(kernel.manifest.get("registers") or 168)
    loaded = LoadedKernel(RecordingDriver(registers), kernel)
    values = fake_values(kernel, shape)
    packed = loaded.pack(values, workspace=0xB0000000)
    return {
        "kernel": kernel.id,
        "shape": str(shape),
        "grid": packed.grid,
        "threads": kernel.manifest["threads"],
        "arguments": len(packed.pointers),
        "workspace": loaded.workspace_bytes(values),
    }
