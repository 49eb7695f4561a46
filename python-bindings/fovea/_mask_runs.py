"""Tile classes as runs of equal tiles: what a mask analysis gives.

A row of tiles is a few runs, whatever its length: a window over a million tokens
takes some 100 kB where an array of its tiles takes 67 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import _checks, _tensors

__all__ = ["RunsTuple", "TileRuns"]

_EMPTY, _PARTIAL, _FULL = 0, 1, 2
#: Half-open ranges, one an entry.
Ranges = tuple[np.ndarray, np.ndarray]
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

    def live_pairs(self, lengths: tuple[int, int], size: tuple[int, int]) -> int:
        """(query, key) pairs within the lengths in tiles that are not empty."""
        row, begin, end, kind = self._table()
        first = row % max(self.shape[2], 1) * size[0]
        height = np.minimum(size[0], lengths[0] - first)
        width = np.minimum(end * size[1], lengths[1]) - begin * size[1]
        return int((height * width)[kind != _EMPTY].sum())

    def classes(self) -> np.ndarray:
        """The array of classes, int8 of `shape`."""
        _checks.fits("BlockMask", int(np.prod(self.shape, dtype=object)))
        if not self.runs.size:
            return np.zeros(self.shape, np.int8)
        kinds = (self.runs & 3).astype(np.int8)
        return np.repeat(kinds, self.lengths()).reshape(self.shape)

    # ---- Other runs from these ------------------------------------------------

    @classmethod
    def concatenated(cls, parts: Sequence[TileRuns]) -> TileRuns:
        """Runs of batches one after the other; parts of one shape but for them."""
        starts = np.cumsum([0, *(part.runs.size for part in parts)])
        offsets = [
            part.offsets[:-1] + start
            for part, start in zip(parts, starts[:-1], strict=True)
        ]
        batches = sum(part.shape[0] for part in parts)
        return cls(
            np.concatenate([*offsets, starts[-1:]]),
            np.concatenate([part.runs for part in parts]),
            (batches, *parts[0].shape[1:]),
            {},
        )

    def take(
        self, batches: Sequence[int], heads: Sequence[int], first: int, count: int
    ) -> TileRuns:
        """Some batches and heads, and `count` rows of tiles from `first` on."""
        _, H, rows, columns = self.shape
        planes = np.add.outer(np.asarray(batches, np.int64) * H, heads)
        chosen = np.add.outer(planes * rows, np.arange(first, first + count)).ravel()
        runs, counts = self._gathered(chosen.astype(np.int64))
        shape = (len(batches), len(heads), count, columns)
        return TileRuns(_offsets(counts), runs, shape, {})

    def crop(self, columns: int) -> TileRuns:
        """The first columns."""
        row, begin, end, kind = self._table()
        kept = begin < columns
        ends = np.minimum(end[kept], columns)
        return _join(row[kept], ends, kind[kept], (*self.shape[:3], columns))

    def cut(self, last_row: bool, last_column: bool) -> TileRuns:
        """With the full tiles of the last row, of the last column, partial."""
        row, begin, end, kind = self._table()
        rows, columns = self.shape[2:]
        if last_row:
            kind = np.where(row % max(rows, 1) == rows - 1, np.minimum(kind, 1), kind)
        if last_column:
            # What lies before the last column keeps its class.
            ends = np.stack([np.minimum(end, columns - 1), end], 1).ravel()
            at_end = np.where(end == columns, np.minimum(kind, _PARTIAL), kind)
            kind = np.stack([kind, at_end], 1).ravel()
            row, end = np.repeat(row, 2), ends
        return _join(row, end, kind, self.shape)

    def coarser(self, rows: Ranges, columns: Ranges) -> TileRuns:
        """Of groups of tiles: full where all of them are, empty alike.

        Parameters
        ----------
        rows, columns : (begins, ends)
            Which rows and columns of tiles each new one covers, at least one;
            both ascend.
        """
        (q0, q1), (n0, n1) = rows, columns
        planes, extent, fresh = self.shape[0] * self.shape[1], self.shape[2], len(q0)
        shape = (*self.shape[:2], fresh, len(n0))
        # A line for each old row that a new one covers.
        height = q1 - q0
        old = np.repeat(q0, height) + _counted(height)
        plane = np.arange(planes, dtype=np.int64)[:, None]
        runs, counts = self._gathered((plane * extent + old).ravel())
        owner = (plane * fresh + np.repeat(np.arange(fresh), height)).ravel()
        row, begin, end, kind = _table(runs, counts, owner)
        # Where a run begins and ends, a row more or less is full, or empty.
        ends = np.concatenate([begin, end]), np.concatenate([row, row])
        order = np.lexsort(ends)
        at, row = (part[order] for part in ends)
        fresh_place = np.ones(at.size, bool)
        fresh_place[1:] = (at[1:] != at[:-1]) | (row[1:] != row[:-1])
        places = np.nonzero(fresh_place)[0]
        if not places.size:
            return TileRuns(np.zeros(planes * fresh + 1, np.int64), runs, shape, {})
        at, row = at[places], row[places]
        kinds = np.full(at.size, _PARTIAL)
        for which in (_FULL, _EMPTY):
            hit = (kind == which).astype(np.int64)
            steps = np.concatenate([hit, -hit])[order]
            number = np.cumsum(np.add.reduceat(steps, places))
            kinds[number == height[row % fresh]] = which
        inside = row[:-1] == row[1:]
        spans = _merged(row[:-1][inside], at[1:][inside], kinds[:-1][inside])
        return _columns_of(*spans, n0, n1, shape)

    def _gathered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The runs of some rows, one row after the other, and how many each has."""
        starts = self.offsets[rows]
        counts = self.offsets[rows + 1] - starts
        return self.runs[np.repeat(starts, counts) + _counted(counts)], counts

    def _table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Row, begin, end and class of every run."""
        counts = np.diff(self.offsets)
        return _table(self.runs, counts, np.arange(counts.size))


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _counted(counts: np.ndarray) -> np.ndarray:
    """0 … count - 1 for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _table(
    runs: np.ndarray, counts: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Row (by its name), begin, end and class of every run."""
    end = (runs >> 2).astype(np.int64)
    begin = np.zeros_like(end)
    begin[1:] = end[:-1]
    begin[_offsets(counts)[:-1][counts > 0]] = 0
    return np.repeat(names, counts), begin, end, runs & 3


def _merged(
    row: np.ndarray, end: np.ndarray, kind: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Without runs that hold nothing, neighbours of one class as one."""
    before = np.zeros_like(end)
    before[1:] = np.where(row[1:] == row[:-1], end[:-1], 0)
    some = end > before
    row, end, kind = row[some], end[some], kind[some]
    last = np.ones(row.size, bool)
    last[:-1] = (row[1:] != row[:-1]) | (kind[1:] != kind[:-1])
    return row[last], end[last], kind[last]


def _join(
    row: np.ndarray, end: np.ndarray, kind: np.ndarray, shape: tuple[int, ...]
) -> TileRuns:
    """Runs from their rows, ends and classes, in order."""
    row, end, kind = _merged(row, end, kind)
    rows = int(np.prod(shape[:3]))
    offsets = np.searchsorted(row, np.arange(rows + 1)).astype(np.int64)
    return TileRuns(offsets, (end << 2 | kind).astype(np.int32), shape, {})


def _columns_of(
    row: np.ndarray,
    end: np.ndarray,
    kind: np.ndarray,
    n0: np.ndarray,
    n1: np.ndarray,
    shape: tuple[int, ...],
) -> TileRuns:
    """Runs over columns that cover n0 … n1 of those that `end` counts."""
    begin = np.zeros_like(end)
    begin[1:] = np.where(row[1:] == row[:-1], end[:-1], 0)
    known = kind != _PARTIAL
    row, kind = row[known], kind[known]
    first = np.searchsorted(n0, begin[known], "left")
    last = np.maximum(np.searchsorted(n1, end[known], "right"), first)
    # Partial up to each span, then the span; partial behind the last one.
    rows = np.arange(int(np.prod(shape[:3])))
    table = (
        np.concatenate([np.repeat(row, 2), rows]),
        np.concatenate(
            [np.stack([first, last], 1).ravel(), np.full(rows.size, shape[3])]
        ),
        np.concatenate(
            [
                np.stack([np.full(kind.size, _PARTIAL), kind], 1).ravel(),
                np.full(rows.size, _PARTIAL),
            ]
        ),
    )
    order = np.argsort(table[0], kind="stable")
    return _join(*(part[order] for part in table), shape)
