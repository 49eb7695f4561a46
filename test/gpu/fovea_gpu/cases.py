"""Which shapes each kernel is checked on."""

from __future__ import annotations

from .call import Shape
from .manifest import Kernel
from .variants import VARIANTS

__all__ = ["check_shapes", "fits"]

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
    Shape(2, 4, 2, 130, 200, "bshd", sign=-1),
    Shape(1, 2, 1, 200, 300, sign=0),
    Shape(1, 2, 2, 1536, 1536),
    Shape(1, 8, 2, 4096, 4096, "bshd"),
    Shape(1, 16, 16, 4096, 4096),
)

#: Of masks with block masks: full tiles where the mask is false, cut ones.
_LOOSE_SHAPES = (
    Shape(1, 2, 2, 128, 128, loose=True),
    Shape(2, 3, 1, 257, 129, loose=True),
    Shape(1, 4, 2, 333, 650, loose=True),
    Shape(2, 4, 2, 700, 333, "bshd", loose=True),
    Shape(1, 2, 1, 1500, 1490, loose=True),
    Shape(1, 8, 2, 4096, 4090, "bshd", loose=True),
)


#: Of kernels whose blocks of threads come in pairs.
_PAIR_SHAPES = (
    Shape(1, 2, 1, 1, 1),
    Shape(3, 2, 1, 129, 127),
    Shape(2, 6, 1, 256, 384),
    Shape(5, 8, 4, 700, 1500, "bshd"),
    Shape(1, 32, 8, 4096, 4096),
)

#: Of kernels that read offsets and lengths.
_RAGGED_SHAPES = (
    Shape(3, 2, 2, 64, 64, ragged=True),
    Shape(6, 2, 1, 129, 257, ragged=True),
    Shape(7, 4, 2, 333, 650, ragged=True),
    Shape(13, 4, 2, 700, 333, "bshd", ragged=True),
    Shape(6, 2, 1, 5, 1490, sign=-1, ragged=True),
    Shape(4, 8, 2, 2048, 4090, "bshd", ragged=True),
)


def fits(kernel: Kernel, shape: Shape) -> bool:
    """Whether the limits of a kernel allow a shape."""
    limits = kernel.limits
    multiple = int(limits.get("multiple", 1))
    square = shape.M == shape.N and shape.Hk == shape.H and shape.sign == 1
    variant = VARIANTS[kernel.variant]
    if shape.loose and (variant.blocks is None or variant.mask is None):
        return False
    return (
        (kernel.reads_batches or not shape.ragged)
        and shape.H % (kernel.cluster * shape.Hk) == 0
        and (square or not limits.get("square"))
        and (shape.layout == "bhsd" or not limits.get("contiguous"))
        and shape.M % multiple == 0
        and shape.N % multiple == 0
    )


def check_shapes(kernel: Kernel, quick: bool = False) -> list[Shape]:
    """The shapes within a kernel's limits, small ones of a kind first."""
    whole = _SHAPES[3:9] if kernel.reads_batches else _SHAPES
    pairs = _PAIR_SHAPES if kernel.cluster > 1 else ()
    shapes = whole + pairs + _LOOSE_SHAPES + _RAGGED_SHAPES
    found = [shape for shape in shapes if fits(kernel, shape)]
    return found[:: max(1, len(found) // 3)] if quick else found
