"""Making block masks and dense masks from mods."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _checks, _compiler, _tensors
from ._block_mask import BlockMask, refuse_block_mask
from ._block_mask_checks import block_size, expect_cpu, tiles_of
from ._inputs import capture_error, capture_tuples, check_elements, without_empty
from ._lib import native
from ._mask_offsets import pairs
from ._mask_runs import TileRuns
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["create_block_mask", "create_mask"]


def _extent(value: object, name: str) -> int:
    return 1 if value is None else _checks.integer(value, name, 1)


class _Traced:
    """A traced mod with its captures read, and which indices it looks at.

    Parameters
    ----------
    traced : traced variant
        With the arrays of its captures.
    pairs : int
        How many (query, key) pairs there are to ask it about.
    features : int
        How many there are of a value.
    """

    def __init__(self, traced: Any, pairs: int, features: int = 1):
        self.keep: list = []
        self.variant = traced
        captures = capture_tuples(
            traced.arrays, traced.labels, "cpu", self.keep, homes=traced.homes
        )
        check_elements(captures, traced, pairs, features)
        self.captures = without_empty(captures)
        self.text = traced.program_json(D=1, E=1, dtype="f32")
        region = traced.program.get("mask") or traced.program.get("score")
        nodes = region["nodes"] if region else ()
        used = {node[1] for node in nodes if node[0] == "arg"}
        self.by_batch, self.by_head = "b" in used, "h" in used


@runs_as_it_is
def create_block_mask(
    mask_mod: Callable,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    BLOCK_SIZE: int | tuple[int, int] = 128,
    *,
    captures: Mapping[str, Any] | None = None,
    q_offset: Any = 0,
    kv_offset: Any = 0,
    device: Any = None,
    exact: bool = True,
) -> BlockMask:
    """Classify the tiles of a mask.

    Parameters
    ----------
    mask_mod : callable
        ``mask_mod(b, h, q_idx, kv_idx)``, True = attend.
    B, H : int or None
        Batches and query heads; None = 1. One stands for all of a call's, of
        which a call warns where the mask_mod reads b or h.
    Q_LEN, KV_LEN : int
        Lengths, 0 or more; positions beyond them count as masked.
    BLOCK_SIZE : int or (int, int)
        (query, key) extent of a tile, at least 1.
    captures : mapping of str to array, optional
        Arrays for keyword-only parameters of the mask_mod.
    q_offset, kv_offset : int or integer array [B]
        What the positions start at, within -2**56...2**56; a call with the mask
        has the same.
    device : optional
        Where the mask will live; None or "cpu".
    exact : bool
        Whether tiles that the analysis leaves mixed must be evaluated. Without
        it they may be called partial although they are full or empty.

    Returns
    -------
    BlockMask

    Raises
    ------
    TypeError
        For a wrong kind of argument, or a mask_mod that cannot be traced.
    ValueError
        For a size or an offset out of range.
    IndexError
        For a constant index that a captured array does not have, where it is read:
        not without a pair, and not where the mod does without the array.
    """
    if running_mods:
        refuse_in_mod("fovea.create_block_mask")
    if isinstance(mask_mod, BlockMask):
        refuse_block_mask(mask_mod)
    size = block_size(BLOCK_SIZE)
    batch, heads = _extent(B, "B"), _extent(H, "H")
    q_len = _checks.integer(Q_LEN, "Q_LEN", 0)
    kv_len = _checks.integer(KV_LEN, "KV_LEN", 0)
    expect_cpu(device)
    exact = _checks.boolean(exact, "exact")
    offsets = (
        _checks.offset_entries(q_offset, "q_offset", batch),
        _checks.offset_entries(kv_offset, "kv_offset", batch),
    )
    traced = _trace_mask(mask_mod, captures, q_len * kv_len)
    tiles = (tiles_of(q_len, size[0]), tiles_of(kv_len, size[1]))
    shifts = pairs(*offsets)
    planes = (1, 1)
    if math.prod(tiles):
        by_batch = traced.by_batch or len(set(shifts)) > 1
        planes = (batch if by_batch else 1, heads if traced.by_head else 1)
    shape = (*planes, *tiles)
    _checks.fits("Q_LEN * KV_LEN in tiles", math.prod(tiles))
    _checks.fits("B * H * Q_LEN in tiles", math.prod(shape[:3]), 32)
    _checks.fits("B * H * Q_LEN * KV_LEN in tiles", math.prod(shape))
    bound = _compiler.bind(mask_mod, captures)
    lengths = (q_len, kv_len)
    with _checks.names_memory("Q_LEN * KV_LEN in tiles", math.prod(shape)):
        if not math.prod(shape):
            runs = TileRuns.of(np.zeros(shape, np.int8))
        elif len(set(shifts)) == 1:
            runs = find_runs(traced, shape, lengths, shifts[0], size, exact)
        else:
            shape = (batch if traced.by_batch else 1, *shape[1:])
            runs = _runs_of_shifts(traced, shape, lengths, shifts, size, exact)
    return BlockMask._make(
        runs, size, lengths, mask_mod, bound, (batch, heads), offsets,
        reads=(traced.by_batch, traced.by_head),
    )  # fmt: skip


def _runs_of_shifts(
    traced: _Traced,
    shape: tuple[int, int, int, int],
    lengths: tuple[int, int],
    shifts: list[tuple[int, int]],
    size: tuple[int, int],
    exact: bool,
) -> TileRuns:
    """Runs of batches that have offsets of their own."""
    found = {
        shift: find_runs(traced, shape, lengths, shift, size, exact)
        for shift in dict.fromkeys(shifts)
    }
    parts = []
    for b, shift in enumerate(shifts):
        B, H, rows, _ = found[shift].shape
        parts.append(found[shift].take([min(b, B - 1)], range(H), 0, rows))
    return TileRuns.concatenated(parts)


def trace_for_mask(traced: Any, pairs: int, features: int) -> _Traced:
    """A traced variant as the mask functions of the library take it."""
    return _Traced(traced, pairs, features)


def find_runs(
    traced: _Traced,
    shape: tuple[int, int, int, int],
    lengths: tuple[int, int],
    shift: tuple[int, int],
    size: tuple[int, int],
    exact: bool,
) -> TileRuns:
    """Runs of equal tiles; `shape` is that of the classes."""
    try:
        offsets, runs, shared, statistics = native().mask_runs(
            traced.text, traced.captures, (*shape[:2], *lengths), shift, size, exact
        )
    except (IndexError, ValueError) as error:
        raise capture_error(error, traced.variant) from None
    kept = (1, 1) if shared else shape[:2]
    return TileRuns(
        np.frombuffer(offsets, np.int64),
        np.frombuffer(runs, np.int32),
        (*kept, *shape[2:]),
        statistics,
    )


def _trace_mask(
    mask_mod: Any, captures: Mapping[str, Any] | None, pairs: int
) -> _Traced:
    from .dsl import trace_variant

    captures = _compiler.check_captures(captures)
    if mask_mod is None:
        raise TypeError("mask_mod: must be a function, got None")
    return _Traced(trace_variant(None, mask_mod, "softmax", captures, "f32"), pairs)


@runs_as_it_is
def create_mask(
    mod: Callable,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    *,
    captures: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Evaluate a mod at every position, for tests and pictures.

    Parameters
    ----------
    mod : callable
        A mask_mod, or a score_mod: visible where it is not -inf for a score
        of 0.
    B, H : int or None
        Batches and query heads; None = 1.
    Q_LEN, KV_LEN : int
        Lengths.
    captures : mapping of str to array, optional
        Arrays for keyword-only parameters of the mod.

    Returns
    -------
    numpy.ndarray of bool, shape [B, H, Q_LEN, KV_LEN]

    Raises
    ------
    TypeError
        For what is neither a mask_mod nor a score_mod.
    ValueError
        For a size out of range.
    """
    from .dsl import mod_kind, trace_variant

    if running_mods:
        refuse_in_mod("fovea.create_mask")
    if isinstance(mod, BlockMask):
        raise TypeError(
            "mod: must be a function, got a BlockMask (its tiles are .block_classes())"
        )
    batch, heads = _extent(B, "B"), _extent(H, "H")
    q_len = _checks.integer(Q_LEN, "Q_LEN", 0)
    kv_len = _checks.integer(KV_LEN, "KV_LEN", 0)
    captures = _compiler.check_captures(captures)
    mods = (mod, None) if mod_kind(mod) == "score_mod" else (None, mod)
    traced = _Traced(
        trace_variant(*mods, "softmax", captures, "f32"), pairs=q_len * kv_len
    )
    shape = (batch, heads, q_len, kv_len)
    _checks.fits("B * H * Q_LEN * KV_LEN", math.prod(shape))
    with _checks.names_memory("B * H * Q_LEN * KV_LEN", math.prod(shape)):
        dense = np.zeros(shape, np.bool_)
        if dense.size:
            strides = _tensors.strides_for(shape, (0, 1, 2, 3))
            out = (_tensors.address(dense), "i1", shape, strides)
            try:
                native().mask_dense(traced.text, traced.captures, shape, (0, 0), out)
            except (IndexError, ValueError) as error:
                raise capture_error(error, traced.variant) from None
    return dense
