"""Tile classes as runs of equal tiles: what a mask analysis gives.

A row of tiles is a few runs, whatever its length: a window over a million tokens
takes some 100 kB where an array of its tiles takes 67 MB.
"""

from __future__ import annotations

import numpy as np

from . import _checks, _tensors

__all__ = ["RunsTuple", "TileRuns"]

#: "runs", addresses of the offsets and the runs, number of runs, shape.
RunsTuple = tuple[str, int, int, int, tuple[int, int, int, int]]


class TileRuns:
    """Runs of the rows of tiles of each (batch, head) that looks different.

    Parameters
    ----------
    offsets : numpy.ndarray of int64, [rows + 1]
        Where the runs of each row begin.
    runs : numpy.ndarray of int32
        ``4 * end + class``; end is one past the run's last key tile.
    shape : tuple of int
        (batches, heads, query tiles, key tiles) of the rows that are there.
    statistics : dict of str to int
        What decided the tiles.
    """

    __slots__ = ("offsets", "runs", "shape", "statistics")

    def __init__(
        self,
        offsets: np.ndarray,
        runs: np.ndarray,
        shape: tuple[int, int, int, int],
        statistics: dict[str, int],
    ):
        self.offsets = offsets
        self.runs = runs
        self.shape = shape
        self.statistics = statistics

    @classmethod
    def of(cls, classes: np.ndarray) -> TileRuns:
        """The runs of an array of classes, int8 [B, H, Qb, KVb]."""
        columns = classes.shape[-1]
        rows = classes.reshape(int(np.prod(classes.shape[:3])), columns)
        last = np.ones(rows.shape, bool)
        np.not_equal(rows[:, 1:], rows[:, :-1], out=last[:, :-1])
        ends = np.nonzero(last)[1] + 1
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(last.sum(axis=1), out=offsets[1:])
        runs = (ends << 2 | rows[last]).astype(np.int32)
        return cls(offsets, runs, classes.shape, {})

    def for_launch(self) -> RunsTuple:
        """As Kernel.launch takes them; refers to the arrays of this object."""
        offsets, runs = _tensors.address(self.offsets), _tensors.address(self.runs)
        return "runs", offsets, runs, self.runs.size, self.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the runs and of the row offsets."""
        return self.offsets.nbytes + self.runs.nbytes

    def lengths(self) -> np.ndarray:
        """Tiles in each run, int32."""
        ends = self.runs >> 2
        lengths = np.diff(ends, prepend=np.int32(0))
        first = self.offsets[:-1]
        lengths[first] = ends[first]
        return lengths

    def counts(self) -> tuple[int, int, int]:
        """(full, partial, empty) tiles of the rows that are there."""
        if not self.runs.size:
            return 0, 0, 0
        sums = np.bincount(self.runs & 3, weights=self.lengths(), minlength=3)
        empty, partial, full = (int(count) for count in sums[:3])
        return full, partial, empty

    def classes(self) -> np.ndarray:
        """The array of classes, int8 of `shape`."""
        _checks.fits("BlockMask", int(np.prod(self.shape, dtype=object)))
        if not self.runs.size:
            return np.zeros(self.shape, np.int8)
        kinds = (self.runs & 3).astype(np.int8)
        return np.repeat(kinds, self.lengths()).reshape(self.shape)
