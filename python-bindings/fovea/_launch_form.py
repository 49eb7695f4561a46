"""Which form of a kernel a launch on a GPU takes, from the kernel's manifest."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

# Of docs/architecture.md, section 6, what does not read tensors. Sizes are not
# negative.
_OPERATIONS: dict[str, Callable[..., int]] = {
    "add": lambda *x: sum(x),
    "mul": lambda *x: math.prod(x),
    "min": min,
    "max": max,
    "sub": operator.sub,
    "div": lambda a, b: a // b if b else 0,
    "ceildiv": lambda a, b: -(-a // b) if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "eq": operator.eq,
    "ne": operator.ne,
    "le": operator.le,
    "lt": operator.lt,
}


def _evaluate(expr: Any, sizes: Mapping[str, int]) -> int:
    if isinstance(expr, int):
        return expr
    if isinstance(expr, str):
        return sizes[expr]
    operation, *operands = expr
    return int(_OPERATIONS[operation](*(_evaluate(x, sizes) for x in operands)))


def form(
    info: Mapping[str, Any], sizes: Mapping[str, int], schedule: str | None
) -> list[str]:
    """Lines that name it; none of a kernel for processors.

    Parameters
    ----------
    info : mapping
        What the native kernel says of itself.
    sizes : mapping
        B, Hq, Hk, M, N, D and E of the launch; of one with a block mask none.
    schedule : str or None
        What the caller gave.
    """
    manifest = info.get("manifest")
    if not manifest:
        return []
    ahead = {
        kernel["symbol"].rpartition("_")[2] for kernel in manifest.get("before", ())
    }
    if manifest.get("block_mask"):
        text = "lists of tiles, which a kernel ahead of it makes of the block mask"
    elif "lists" in ahead:
        text = "lists of tiles, which kernels ahead of it make of the mask"
    elif not schedule and _evaluate(
        manifest.get("in_clusters", 0), {**sizes, "H": sizes["Hq"]}
    ):
        text = (
            "in clusters, where that fits: two heads of a key head load its keys and"
            " values together"
        )
    else:
        text = "the usual one"
    lines = [f"form of the launch: {text}"]
    if "per_batch" in manifest.get("forms", ()):
        lines.append(
            "  with offsets, or lengths that are not whole, one that reads them"
        )
    return lines
