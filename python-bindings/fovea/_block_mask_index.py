"""What an index of a BlockMask selects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _checks
from ._compose import count_of, run_of
from ._tensors import type_name

__all__ = ["run_of_tiles", "selection", "without_ellipsis"]


def without_ellipsis(parts: tuple) -> tuple:
    """An index with the slices that its ``...`` stands for."""
    places = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(places) > 1:
        raise IndexError("BlockMask: index must have at most one ellipsis")
    if not places:
        return parts
    at = places[0]
    rest = parts[at + 1 :]
    return (*parts[:at], *(slice(None),) * (3 - at - len(rest)), *rest)


def selection(part: Any, extent: int, name: str) -> Sequence[int]:
    """The indices that one part of an index selects."""
    if isinstance(part, slice):
        try:
            return range(*part.indices(extent))
        except (TypeError, ValueError) as error:
            raise type(error)(
                f"BlockMask: {name} index must be a slice of ints with a step that"
                f" is not 0, got {part}"
            ) from None
    if isinstance(part, (bool, np.bool_)):
        raise TypeError(f"BlockMask: {name} index must be an int, got bool")
    if isinstance(part, (int, np.integer)):
        entries = [int(part)]
    elif isinstance(part, (list, tuple, np.ndarray)):
        array = np.asarray(part)
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise TypeError(
                f"BlockMask: {name} index must be ints, got {type_name(part)} of"
                f" {array.dtype}"
            )
        # An array of one number may claim any size: a list holds them all.
        _checks.fits(f"BlockMask: {name} index", array.size, 40)
        entries = array.tolist()
    else:
        raise TypeError(
            f"BlockMask: {name} index must be an int, a slice or ints,"
            f" got {type_name(part)}"
        )
    for entry in entries:
        if not -extent <= entry < extent:
            raise IndexError(
                f"BlockMask: {name} index must be in {-extent}...{extent - 1},"
                f" got {entry}"
            )
    return [entry % extent for entry in entries]


def run_of_tiles(chosen: Sequence[int]) -> tuple[int, int]:
    """The first and the number of rows of tiles that have no gaps."""
    first, count = run_of(chosen)
    if first is None:
        raise ValueError(
            "BlockMask: rows of tiles must be a run without gaps, got"
            f" {list(chosen[:8])}{'...' if count_of(chosen) > 8 else ''}"
        )
    return first, count
