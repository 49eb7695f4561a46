"""Block masks: which tiles of the (query, key) plane a mask leaves.

A `BlockMask` knows one class a tile (0 empty, 1 partial, 2 full), as runs of equal
tiles or as an int8 array; the array and the lists that FlexAttention keeps are
derived on demand. The lists are read-only: writing to them would not change the mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import _checks, _tensors
from ._block_mask_checks import (
    block_size,
    expect_array,
    expect_cpu,
    lengths_for,
    tiles_of,
    warn_of_one_plane,
)
from ._block_mask_index import run_of_tiles, selection, without_ellipsis
from ._compose import count_of, shifted
from ._mask_offsets import Offsets, check_offset, taken
from ._mask_runs import RunsTuple, TileRuns
from ._tensors import type_name

EMPTY, PARTIAL, FULL = 0, 1, 2


def expect_block_mask(value: object, name: str = "block_mask") -> None:
    """Refuse what is no BlockMask."""
    if not isinstance(value, BlockMask):
        hint = " (a function goes to mask_mod)" if callable(value) else ""
        raise TypeError(
            f"{name}: must be a BlockMask or None, got {type_name(value)}{hint}"
        )


def refuse_block_mask(mask_mod: object) -> None:
    """Refuse a BlockMask in the place of a mask_mod."""
    if isinstance(mask_mod, BlockMask):
        raise TypeError(
            "mask_mod: must be a function, got a BlockMask (pass it as block_mask=)"
        )


def _expect_mask_mod(value: object) -> None:
    """Refuse what is neither a mask_mod nor None."""
    from .dsl.mods import check_mask_mod

    refuse_block_mask(value)
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"mask_mod: must be a function or None, got {type_name(value)}")
    check_mask_mod("mask_mod", value, keywords=True)


class BlockMask:
    """Tile classes of a mask, with the mask_mod that partial tiles ask.

    Made by `fovea.create_block_mask` or `BlockMask.from_kv_blocks`. A snapshot:
    full tiles are visible whole and empty ones are skipped whatever becomes of
    the arrays that the mask_mod captures; partial tiles ask it at each call.

    Attributes
    ----------
    mask_mod : callable or None
        Asked on partial tiles; without one they are visible whole.
    BLOCK_SIZE : tuple of int
        (query, key) extent of a tile.
    seq_lengths : tuple of int
        (Q_LEN, KV_LEN); positions beyond them count as masked.
    """

    _array: np.ndarray | None
    _runs: TileRuns | None
    _tiles: tuple[int, ...]
    _size: tuple[int, int]
    _seq_lengths: tuple[int, int]
    _mask_mod: Callable | None
    _bound_mod: Callable | None
    _lists: dict[int, tuple[np.ndarray, np.ndarray]]
    _launch: RunsTuple | None
    #: (q_offset, kv_offset) that the classes hold for; None where that is not known.
    _offsets: Offsets | None
    #: Rows that slices took from the front, for messages alone.
    _rows_cut: int
    #: Whether the classes are those of a mod that reads b, and of one that reads h.
    _reads: tuple[bool, bool]
    #: Where and how the classes lie on a device, and what keeps them there.
    _uploaded: tuple | None

    def __init__(self) -> None:
        raise TypeError(
            "BlockMask: made by fovea.create_block_mask or BlockMask.from_kv_blocks,"
            " got a call"
        )

    @classmethod
    def _make(
        cls,
        classes: np.ndarray | TileRuns,
        size: tuple[int, int],
        seq_lengths: tuple[int, int],
        mask_mod: Callable | None,
        bound_mod: Callable | None = None,
        extent: tuple[int, int] | None = None,
        offsets: Offsets | None = None,
        rows_cut: int = 0,
        reads: tuple[bool, bool] = (False, False),
    ) -> BlockMask:
        """From classes; `extent` is (B, H) where runs stand for more than one."""
        self = object.__new__(cls)
        self._array = self._runs = None
        self._tiles = classes.shape
        if isinstance(classes, TileRuns):
            self._runs = classes
            self._tiles = (*(extent or classes.shape[:2]), *classes.shape[2:])
        else:
            self._array = classes
        self._size = size
        self._seq_lengths = seq_lengths
        self._mask_mod = mask_mod
        self._bound_mod = mask_mod if bound_mod is None else bound_mod
        self._lists = {}
        self._launch = None
        self._offsets = offsets
        self._rows_cut = rows_cut
        self._reads = reads
        self._uploaded = None
        return self

    # ---- What it is ---------------------------------------------------------

    @property
    def _classes(self) -> np.ndarray:
        """Class of every tile; an array of them is made when first asked for."""
        if self._array is None:
            expect_array("BlockMask", self._tiles, 1)
            with _checks.names_memory("BlockMask", math.prod(self._tiles)):
                self._array = np.broadcast_to(self._runs.classes(), self._tiles)
        return self._array

    @property
    def tile_runs(self) -> TileRuns:
        """The tiles as runs, one plane where batches or heads repeat."""
        if self._runs is None:
            self._runs = TileRuns.of(self._distinct()[0])
        return self._runs

    @property
    def BLOCK_SIZE(self) -> tuple[int, int]:
        """(query, key) extent of a tile."""
        return self._size

    @property
    def seq_lengths(self) -> tuple[int, int]:
        """(Q_LEN, KV_LEN)."""
        return self._seq_lengths

    @seq_lengths.setter
    def seq_lengths(self, value: tuple[int, int]) -> None:
        self._seq_lengths = lengths_for(value, self._tiles, self._size)

    @property
    def mask_mod(self) -> Callable | None:
        """The mask_mod that partial tiles ask."""
        return self._mask_mod

    @mask_mod.setter
    def mask_mod(self, value: Callable | None) -> None:
        _expect_mask_mod(value)
        self._mask_mod = self._bound_mod = value

    @property
    def bound_mod(self) -> Callable | None:
        """mask_mod with the captures that create_block_mask was given."""
        return self._bound_mod

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, H, Q_LEN, KV_LEN)."""
        return (*self._tiles[:2], *self._seq_lengths)

    @property
    def kv_num_blocks(self) -> np.ndarray:
        """Partial tiles a row of tiles, int32 [B, H, Qb]; read-only."""
        return self._list(PARTIAL)[0]

    @property
    def kv_indices(self) -> np.ndarray:
        """Partial tiles' key-tile indices, then the others, int32 [B, H, Qb, KVb]."""
        return self._list(PARTIAL)[1]

    @property
    def full_kv_num_blocks(self) -> np.ndarray:
        """Full tiles a row of tiles, int32 [B, H, Qb]; read-only."""
        return self._list(FULL)[0]

    @property
    def full_kv_indices(self) -> np.ndarray:
        """Full tiles' key-tile indices, then the others, int32 [B, H, Qb, KVb]."""
        return self._list(FULL)[1]

    def _list(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        found = self._lists.get(kind)
        if found is None:
            from ._kv_lists import lists_of

            expect_array("kv_indices", self._tiles, 4)
            expect_array("kv_num_blocks", self._tiles[:3], 4)
            with _checks.names_memory("kv_indices", 4 * math.prod(self._tiles)):
                found = lists_of(self._distinct()[0], self._tiles, kind)
            self._keep(kind, *found)
        return found

    def _keep(self, kind: int, counts: np.ndarray, indices: np.ndarray) -> None:
        """Keep lists, which show what the tiles are."""
        counts.flags.writeable = indices.flags.writeable = False
        self._lists[kind] = counts, indices

    def block_classes(self) -> np.ndarray:
        """Class of every tile, int8 [B, H, Qb, KVb]: 0 empty, 1 partial, 2 full."""
        expect_array("block_classes", self._tiles, 1)
        with _checks.names_memory("block_classes", math.prod(self._tiles)):
            return self._classes.copy()

    def counts(self) -> tuple[int, int, int]:
        """(full, partial, empty) tiles, summed over B and H."""
        if self._runs is not None:
            planes = max(math.prod(self._runs.shape[:2]), 1)
            repeats = math.prod(self._tiles[:2]) // planes
            full, partial, empty = self._runs.counts()
            return full * repeats, partial * repeats, empty * repeats
        kept, repeats = self._distinct()
        full = int(np.count_nonzero(kept == FULL)) * repeats
        live = int(np.count_nonzero(kept)) * repeats
        return full, live - full, self._classes.size - live

    def _distinct(self) -> tuple[np.ndarray, int]:
        """The classes without repeated batches and heads, and how often they repeat."""
        kept, repeats = self._classes, 1
        for axis in (0, 1):
            if kept.shape[axis] > 1 and kept.strides[axis] == 0:
                repeats *= kept.shape[axis]
                kept = kept[:1] if axis == 0 else kept[:, :1]
        return kept, repeats

    def to_dense(self) -> np.ndarray:
        """Live tiles as int32 [B, H, Qb, KVb]: 1 where partial or full."""
        from ._kv_lists import pieces

        expect_array("to_dense", self._tiles, 4)
        with _checks.names_memory("to_dense", 4 * math.prod(self._tiles)):
            dense = np.empty(self._tiles, np.int32)
            for piece in pieces(self._tiles):
                dense[piece] = self._classes[piece] != EMPTY
            return dense

    def sparsity(self) -> float:
        """Tiles skipped, in per cent; 0 where there are no tiles."""
        total = math.prod(self._tiles)
        return 100.0 * self.counts()[2] / total if total else 0.0

    def as_tuple(self) -> tuple:
        """The four lists, BLOCK_SIZE and mask_mod, in FlexAttention's order."""
        return (
            self.kv_num_blocks,
            self.kv_indices,
            self.full_kv_num_blocks,
            self.full_kv_indices,
            self._size,
            self._mask_mod,
        )

    # ---- Other masks from this one --------------------------------------------

    def __getitem__(self, index: Any) -> BlockMask:
        """Slice batches, heads and rows of tiles; an int keeps its dimension.

        The mask_mod of the result sees the positions that it saw before: batch,
        head and query indices are shifted by what was cut away, so that the call
        keeps the q_offset that the mask was made for. Where a score_mod wants the
        rows shifted too, make the mask with ``create_block_mask(...,
        q_offset=...)`` in place of a slice.
        """
        parts = without_ellipsis(index if isinstance(index, tuple) else (index,))
        if len(parts) > 3:
            raise IndexError(
                "BlockMask: index must have at most 3 parts (B, H, row of tiles),"
                f" got {len(parts)}"
            )
        parts = (*parts, *(slice(None),) * (3 - len(parts)))
        rows = [
            selection(part, extent, name)
            for part, extent, name in zip(
                parts, self._tiles[:3], ("B", "H", "row of tiles"), strict=True
            )
        ]
        first, count = run_of_tiles(rows[2])
        runs = self.tile_runs
        own = [
            [0] if extent == 1 < whole else chosen
            for extent, whole, chosen in zip(
                runs.shape[:2], self._tiles[:2], rows[:2], strict=True
            )
        ]
        with _checks.names_memory(
            "BlockMask: index", 8 * math.prod(map(len, own)) * count
        ):
            runs = runs.take(*own, first, count)
        q_len = min(count * self._size[0], self._seq_lengths[0] - first * self._size[0])
        mod = self._bound_mod
        if mod is not None:
            mod = shifted(mod, rows[0], rows[1], first * self._size[0], self._tiles[:2])
        lengths = (max(q_len, 0), self._seq_lengths[1])
        extent = (count_of(rows[0]), count_of(rows[1]))
        offsets = self._offsets
        if offsets is not None:
            offsets = (taken(offsets[0], rows[0]), taken(offsets[1], rows[0]))
        return BlockMask._make(
            runs, self._size, lengths, mod, extent=extent, offsets=offsets,
            rows_cut=self._rows_cut + first * self._size[0], reads=self._reads,
        )  # fmt: skip

    def crop(self, q_len: int, kv_len: int) -> BlockMask:
        """Cut the mask to smaller lengths.

        A full tile that a new length cuts becomes partial; a partial one
        stays partial. ValueError for a length beyond the mask's.
        """
        old_q, old_kv = self._seq_lengths
        q_len = _checks.integer(q_len, "q_len", 0, old_q)
        kv_len = _checks.integer(kv_len, "kv_len", 0, old_kv)
        bq, bkv = self._size
        runs = self.tile_runs
        batches, heads = (range(extent) for extent in runs.shape[:2])
        runs = runs.take(batches, heads, 0, tiles_of(q_len, bq))
        runs = runs.crop(tiles_of(kv_len, bkv))
        runs = runs.cut(
            bool(q_len % bq and q_len < old_q), bool(kv_len % bkv and kv_len < old_kv)
        )
        return BlockMask._make(
            runs, self._size, (q_len, kv_len), self._mask_mod, self._bound_mod,
            self._tiles[:2], self._offsets, self._rows_cut, self._reads,
        )  # fmt: skip

    def retile(self, size: int | tuple[int, int]) -> BlockMask:
        """The same mask on tiles of another size.

        A new tile is full where all tiles that it overlaps are full and it lies
        within the lengths, empty where all are empty, else partial: always a
        correct answer, made without asking the mask_mod.
        """
        new = block_size(size)
        runs = self.tile_runs
        bounds = []
        for length, old, fresh, extent in zip(
            self._seq_lengths, self._size, new, runs.shape[2:], strict=True
        ):
            _checks.fits("retile: tiles", tiles_of(length, fresh), 8)
            starts = np.arange(tiles_of(length, fresh), dtype=np.int64) * fresh
            ends = np.minimum(starts + fresh, length)
            bounds.append((starts // old, np.minimum(-(-ends // old), extent)))
        ragged = (
            bool(length % fresh)
            for length, fresh in zip(self._seq_lengths, new, strict=True)
        )
        return BlockMask._make(
            runs.coarser(*bounds).cut(*ragged), new, self._seq_lengths,
            self._mask_mod, self._bound_mod, self._tiles[:2], self._offsets,
            self._rows_cut, self._reads,
        )  # fmt: skip

    def to(self, device: Any) -> BlockMask:
        """The mask on `device`; "cpu" is where masks live now."""
        if device is None:
            raise TypeError("device: must be a str or a device, got None")
        expect_cpu(device)
        return self

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Any,
        kv_indices: Any,
        full_kv_num_blocks: Any = None,
        full_kv_indices: Any = None,
        BLOCK_SIZE: int | tuple[int, int] = 128,
        mask_mod: Callable | None = None,
        seq_lengths: tuple[int, int] | None = None,
    ) -> BlockMask:
        """A BlockMask from lists of key tiles, as FlexAttention keeps them.

        Parameters
        ----------
        kv_num_blocks : integer array [B, H, Qb]
            Partial tiles in each row of tiles.
        kv_indices : integer array [B, H, Qb, width]
            Their key-tile indices; only the first kv_num_blocks of a row count.
        full_kv_num_blocks, full_kv_indices : integer arrays, optional
            The same for full tiles.
        BLOCK_SIZE : int or (int, int)
            (query, key) extent of a tile.
        mask_mod : callable, optional
            Asked on partial tiles; without one they are visible whole.
        seq_lengths : (int, int), optional
            (Q_LEN, KV_LEN); whole tiles without.

        Raises
        ------
        ValueError
            For a count or an index out of range, a tile twice in a row, or one
            that is both partial and full; names the list, b, h and row.
        """
        from ._kv_lists import classes_from_lists

        size = block_size(BLOCK_SIZE)
        _expect_mask_mod(mask_mod)
        classes, lengths = classes_from_lists(
            kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices,
            size, seq_lengths,
        )  # fmt: skip
        self = cls._make(classes, size, lengths, mask_mod)
        self._keep(
            PARTIAL,
            _own(kv_num_blocks, "kv_num_blocks"),
            _own(kv_indices, "kv_indices"),
        )
        if full_kv_num_blocks is not None:
            self._keep(
                FULL,
                _own(full_kv_num_blocks, "full_kv_num_blocks"),
                _own(full_kv_indices, "full_kv_indices"),
            )
        return self

    # ---- Use in a call --------------------------------------------------------

    def check_call(self, batch: int, heads: int, q_len: int, kv_len: int) -> None:
        """Check the mask against the sizes of a call."""
        B, H = self._tiles[:2]
        if self._seq_lengths != (q_len, kv_len):
            raise ValueError(
                f"block_mask: lengths must be those of q and k ({q_len}, {kv_len}),"
                f" got {self._seq_lengths} (see crop)"
            )
        if B not in (1, batch):
            raise ValueError(
                f"block_mask: batch must be 1 or that of q ({batch}), got {B}"
            )
        if H not in (1, heads):
            raise ValueError(
                f"block_mask: heads must be 1 or those of q ({heads}), got {H}"
            )
        if B == 1 < batch and self._reads[0]:
            warn_of_one_plane("b", "batch", "batches", "B", batch)
        if H == 1 < heads and self._reads[1]:
            warn_of_one_plane("h", "head", "heads", "H", heads)

    def check_offsets(
        self, q_offset: list[int] | None, kv_offset: list[int] | None
    ) -> None:
        """Check a call's offsets, None for zeros, against those of the classes."""
        if self._offsets is not None:
            check_offset("q_offset", self._offsets[0], q_offset, self._rows_cut)
            check_offset("kv_offset", self._offsets[1], kv_offset)

    def for_launch(self) -> RunsTuple:
        """The tiles as kernels on the CPU take them."""
        if self._launch is None:
            self._launch = self.tile_runs.for_launch()
        return self._launch

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in ("mask_mod", "seq_lengths"):
            raise AttributeError(
                "BlockMask: mask_mod and seq_lengths can be set and nothing else,"
                f" got {name!r}"
            )
        object.__setattr__(self, name, value)

    # ---- Pickling -------------------------------------------------------------

    def __copy__(self) -> BlockMask:
        """A mask whose mask_mod reads the same live arrays."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, _lists=dict(self._lists))
        return made

    def __reduce__(self):
        from . import _recipe

        runs = self.tile_runs
        return _recipe.rebuild_block_mask, (
            (np.array(runs.offsets), np.array(runs.runs), runs.shape),
            self._tiles[:2],
            self._size,
            self._seq_lengths,
            _recipe.freeze_mask_mod(self._bound_mod),
            self._offsets,
            self._rows_cut,
            self._reads,
        )

    # ---- Pictures ---------------------------------------------------------------

    def __repr__(self) -> str:
        return (
            f"<fovea.BlockMask shape={self.shape}, BLOCK_SIZE={self._size},"
            f" sparsity={self.sparsity():.2f}%>"
        )

    def __str__(self) -> str:
        from . import _picture

        return _picture.text(self)

    def _repr_html_(self) -> str:
        from . import _picture

        return _picture.html(self)

    def plot(self, ax: Any = None, *, b: int = 0, h: int = 0) -> Any:
        """Draw the tiles of one head with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        b, h : int
            Which batch and head.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from . import _picture

        return _picture.plot(self, ax, b, h)


def _own(values: Any, name: str) -> np.ndarray:
    """A copy of a checked list, in int32."""
    given = _tensors.read(values, name, _tensors.TILES).numpy()
    with _checks.names_memory(name, 4 * given.size):
        return given.astype(np.int32)
