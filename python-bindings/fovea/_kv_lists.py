"""Tile classes from FlexAttention's lists of key tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import _checks, _tensors
from ._block_mask import FULL, PARTIAL
from ._block_mask_checks import lengths_for
from ._tensors import type_name

_LISTS = (
    ("kv_num_blocks", "kv_indices"),
    ("full_kv_num_blocks", "full_kv_indices"),
)


def _read(value: Any, name: str, rank: int) -> np.ndarray:
    tensor = _tensors.read(value, name, _tensors.TILES, grad_matters=False)
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
    # An array of one number may claim any size; the mask keeps int32 copies.
    _checks.fits(names[0], num.size, 4)
    _checks.fits(names[1], indices.size, 4)
    width = indices.shape[3]
    bad = (num < 0) | (num > width)
    if bad.any():
        b, h, row = _first(bad)
        raise ValueError(
            f"{names[0]}: must be in 0...{width} (the width of {names[1]}),"
            f" got {num[b, h, row]} at b={b}, h={h}, row={row}"
        )
    with _checks.names_memory(names[1], 4 * indices.size):
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
        lengths = lengths_for(seq_lengths, (*num.shape, tiles), size)
        width = tiles
    shape = (*num.shape, width)
    _checks.fits("kv_indices", math.prod(shape))
    with _checks.names_memory("kv_indices", math.prod(shape)):
        classes = np.zeros(shape, np.int8)
        _fill(classes, indices, used, "kv_indices", PARTIAL)
    if full is not None:
        with _checks.names_memory("full_kv_indices", math.prod(shape)):
            _fill(classes, full, full_used, "full_kv_indices", FULL)
    return classes, lengths


#: Tiles that are worked on between two moments at which an interrupt is heard.
_PIECE = 1 << 24


def pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Indices that cut an array into parts of at most _PIECE elements, or one row."""
    each = math.prod(shape[1:])
    if len(shape) == 1 or shape[0] * each <= _PIECE:
        yield ()
    elif each <= _PIECE:
        step = _PIECE // each
        for first in range(0, shape[0], step):
            yield (slice(first, first + step),)
    else:
        for first in range(shape[0]):
            for rest in pieces(shape[1:]):
                yield (slice(first, first + 1), *rest)


def lists_of(
    classes: np.ndarray, shape: tuple[int, ...], kind: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts and key-tile indices of the tiles of one kind.

    `classes` may have one batch or head that stands for all those of `shape`.
    """
    counts = np.empty(classes.shape[:3], np.int32)
    indices = np.empty(classes.shape, np.int32)
    for piece in pieces(classes.shape):
        live = classes[piece] == kind
        counts[piece] = live.sum(axis=-1, dtype=np.int32)
        indices[piece] = np.argsort(~live, axis=-1, kind="stable")
    return _spread(counts, shape[:3]), _spread(indices, shape)


def _spread(once: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if once.shape == shape:
        return once
    spread, whole = np.broadcast_to(once, shape), np.empty(shape, once.dtype)
    for piece in pieces(shape):
        whole[piece] = spread[piece]
    return whole
