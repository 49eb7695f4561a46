"""Which shapes each kernel is checked on."""

from __future__ import annotations

from .call import Shape
from .manifest import Kernel

__all__ = ["check_shapes"]

_SHAPES = (
    Shape(1, 1, 1, 1, 1),
    Shape(1, 2, 2, 64, 64),
    Shape(1, 2, 2, 128, 128),
    Shape(1, 1, 1, 129, 127),
    Shape(2, 3, 3, 384, 384),
    Shape(2, 3, 1, 257, 129),
    Shape(1, 4, 2, 333, 640),
    Shape(2, 4, 2, 640, 333, "bshd"),
    Shape(3, 5, 5, 256, 256),
    Shape(1, 2, 2, 1536, 1536),
    Shape(1, 8, 2, 4096, 4096, "bshd"),
    Shape(1, 16, 16, 4096, 4096),
)


def check_shapes(kernel: Kernel, quick: bool = False) -> list[Shape]:
    """The shapes within a kernel's limits, small ones first."""
    limits = kernel.limits
    multiple = int(limits.get("multiple", 1))
    found = []
    for shape in _SHAPES:
        if limits.get("square") and shape.M != shape.N:
            continue
        if limits.get("contiguous") and shape.layout != "bhsd":
            continue
        if limits.get("square") and shape.Hk != shape.H:
            continue
        if shape.M % multiple or shape.N % multiple:
            continue
        found.append(shape)
    return found[:: max(1, len(found) // 3)] if quick else found
