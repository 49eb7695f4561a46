"""Checks of what block masks are made from and of what they are used for."""

from __future__ import annotations

import math
import warnings

from . import _checks
from ._tensors import type_name

# Of a BLOCK_SIZE: positions are 64-bit.
_LARGEST = 1 << 62


def _tile_extent(value: object, name: str) -> int:
    extent = _checks.integer(value, name, 1)
    if extent > _LARGEST:
        raise ValueError(f"{name}: must be at most 2^62, got {extent}")
    return extent


def block_size(value: object) -> tuple[int, int]:
    """Accept an int or a pair of ints (q, kv), each at least 1."""
    if isinstance(value, str) or (hasattr(value, "type") and hasattr(value, "index")):
        raise TypeError(
            f"BLOCK_SIZE: must be an int or (q, kv), got {value!r}"
            " (a device goes to device=)"
        )
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(
                f"BLOCK_SIZE: must be an int or (q, kv), got {len(value)} entries"
            )
        q, kv = value
        return (
            _tile_extent(q, "BLOCK_SIZE[0]"),
            _tile_extent(kv, "BLOCK_SIZE[1]"),
        )
    size = _tile_extent(value, "BLOCK_SIZE")
    return size, size


def expect_cpu(device: object) -> None:
    """Accept what means the host; a BlockMask elsewhere needs a GPU target."""
    if device is None or str(device) == "cpu":
        return
    if getattr(device, "platform", None) == "cpu":  # jax's
        return
    if not isinstance(device, str) and not hasattr(device, "type"):
        raise TypeError(f"device: must be a str or None, got {type_name(device)}")
    known = [t for t in _checks.targets() if t in ("cpu", "cuda", "hip")]
    raise ValueError(f"device: must be one of {', '.join(known)}, got {str(device)!r}")


def tiles_of(length: int, size: int) -> int:
    return -(-length // size)


def expect_array(name: str, shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse an array that there can be none of."""
    _checks.fits(name, math.prod(shape), itemsize)
    # One without elements may still have extents that are none of an array.
    if itemsize * math.prod(max(extent, 1) for extent in shape) > _LARGEST:
        raise ValueError(f"{name}: must be an array of at most 2^62 bytes, got {shape}")


def lengths_for(
    value: object, shape: tuple[int, ...], size: tuple[int, int]
) -> tuple[int, int]:
    """Check (Q_LEN, KV_LEN) against the number of tiles."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"seq_lengths: must be (Q_LEN, KV_LEN), got {value!r}")
    result = tuple(
        _checks.integer(entry, f"seq_lengths[{i}]", 0) for i, entry in enumerate(value)
    )
    for i, what in enumerate(("rows", "columns")):
        have, need = shape[2 + i], tiles_of(result[i], size[i])
        if have != need:
            raise ValueError(
                f"seq_lengths[{i}]: must give as many tiles as there are {what}"
                f" ({have} of {size[i]}), got {result[i]}"
            )
    return result  # type: ignore[return-value]


def warn_of_one_plane(index: str, one: str, many: str, size: str, count: int) -> None:
    """Say that tiles of one batch or head stand for others, which differ."""
    warnings.warn(
        f"block_mask: made for one {one}, its tiles decide for all {count} {many},"
        f" but its mask_mod reads {index} (create_block_mask with {size}={count} asks"
        " it for each)",
        UserWarning,
        stacklevel=4,
    )
