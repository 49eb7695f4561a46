"""Tile classes from FlexAttention's lists of key tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import _checks, _tensors
from ._block_mask import FULL, PARTIAL, _lengths_for
from ._tensors import type_name

_LISTS = (
    ("kv_num_blocks", "kv_indices"),
    ("full_kv_num_blocks", "full_kv_indices"),
)


def _read(value: Any, name: str, rank: int) -> np.ndarray:
    tensor = _tensors.read(value, name, _tensors.ANY, grad_matters=False)
    if tensor.dtype not in ("i32", "i64"):
        raise TypeError(
            f"{name}: dtype must be int32 or int64, got {_tensors.NAMES[tensor.dtype]}"
        )
    if tensor.device != "cpu":
        raise ValueError(f"{name}: must be on cpu, got {tensor.device}")
    if len(tensor.shape) != rank:
        dims = "B, H, Qb" if rank == 3 else "B, H, Qb, width"
        raise ValueError(
            f"{name}: rank must be {rank} ({dims}), got {len(tensor.shape)}"
        )
    return tensor.numpy()


def _first(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(bad)[0])


def _one(
    num: np.ndarray, indices: np.ndarray, names: tuple[str, str]
) -> tuple[np.ndarray, int]:
    """Check the counts; which entries of `indices` count, and the width."""
    if indices.shape[:3] != num.shape:
        raise ValueError(
            f"{names[1]}: shape must be that of {names[0]} {num.shape} and a width,"
            f" got {indices.shape}"
        )
    width = indices.shape[3]
    bad = (num < 0) | (num > width)
    if bad.any():
        b, h, row = _first(bad)
        raise ValueError(
            f"{names[0]}: must be in 0...{width} (the width of {names[1]}),"
            f" got {num[b, h, row]} at b={b}, h={h}, row={row}"
        )
    return np.arange(width) < num[..., None], width


def _fill(
    classes: np.ndarray, indices: np.ndarray, used: np.ndarray, name: str, kind: int
) -> None:
    """Write one list into `classes`; refuses what is out of range or there twice."""
    extent = classes.shape[3]
    bad = used & ((indices < 0) | (indices >= extent))
    if bad.any():
        b, h, row, at = _first(bad)
        rule = f"in 0...{extent - 1}" if extent else "absent (there are no key tiles)"
        raise ValueError(
            f"{name}: must be {rule}, got {indices[b, h, row, at]}"
            f" at b={b}, h={h}, row={row}"
        )
    where = np.nonzero(used)
    tiles = (*where[:3], indices[where].astype(np.int64))
    flat = np.ravel_multi_index(tiles, classes.shape) if where[0].size else np.empty(0)
    taken = np.sort(flat)
    twice = taken[1:][taken[1:] == taken[:-1]]
    if twice.size:
        b, h, row, tile = map(int, np.unravel_index(int(twice[0]), classes.shape))
        raise ValueError(
            f"{name}: must name a tile once a row, got tile {tile} twice"
            f" at b={b}, h={h}, row={row}"
        )
    if where[0].size:
        both = classes[tiles] != 0
        if both.any():
            at = int(np.argmax(both))
            b, h, row, tile = (int(part[at]) for part in tiles)
            raise ValueError(
                f"{name}: must not name a tile of kv_indices, got tile {tile} both"
                f" partial and full at b={b}, h={h}, row={row}"
            )
    classes[tiles] = kind


def classes_from_lists(
    kv_num_blocks: Any,
    kv_indices: Any,
    full_kv_num_blocks: Any,
    full_kv_indices: Any,
    size: tuple[int, int],
    seq_lengths: Any,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Classes and (Q_LEN, KV_LEN) of hand-made lists; see from_kv_blocks."""
    if (full_kv_num_blocks is None) != (full_kv_indices is None):
        missing, given = (
            ("full_kv_indices", "full_kv_num_blocks")
            if full_kv_indices is None
            else ("full_kv_num_blocks", "full_kv_indices")
        )
        raise ValueError(f"{missing}: must be given with {given}, got None")
    num = _read(kv_num_blocks, "kv_num_blocks", 3)
    indices = _read(kv_indices, "kv_indices", 4)
    used, width = _one(num, indices, _LISTS[0])
    full = None
    if full_kv_num_blocks is not None:
        full_num = _read(full_kv_num_blocks, "full_kv_num_blocks", 3)
        full = _read(full_kv_indices, "full_kv_indices", 4)
        if full_num.shape != num.shape:
            raise ValueError(
                f"full_kv_num_blocks: shape must be that of kv_num_blocks"
                f" {num.shape}, got {full_num.shape}"
            )
        full_used, full_width = _one(full_num, full, _LISTS[1])
        width = max(width, full_width)
    rows = num.shape[2]
    if num.shape[0] < 1 or num.shape[1] < 1:
        raise ValueError(
            f"kv_num_blocks: B and H must be at least 1, got shape {num.shape}"
        )
    if seq_lengths is None:
        lengths = (rows * size[0], width * size[1])
        if max(lengths) > 1 << 62:
            raise ValueError(
                "BLOCK_SIZE: must leave lengths of at most 2^62 to the lists, got"
                f" {size} for {rows} x {width} tiles"
            )
    else:
        if not isinstance(seq_lengths, (tuple, list)) or len(seq_lengths) != 2:
            pair = isinstance(seq_lengths, (tuple, list))
            given = str(seq_lengths) if pair else type_name(seq_lengths)
            raise TypeError(f"seq_lengths: must be (Q_LEN, KV_LEN), got {given}")
        kv_len = _checks.integer(seq_lengths[1], "seq_lengths[1]", 0)
        tiles = -(-kv_len // size[1])
        lengths = _lengths_for(seq_lengths, (*num.shape, tiles), size)
        width = tiles
    shape = (*num.shape, width)
    _checks.fits("kv_indices", math.prod(shape))
    classes = np.zeros(shape, np.int8)
    _fill(classes, indices, used, "kv_indices", PARTIAL)
    if full is not None:
        _fill(classes, full, full_used, "full_kv_indices", FULL)
    return classes, lengths
