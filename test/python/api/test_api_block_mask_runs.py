"""Block masks made of others: against arrays of classes, and in memory of the lists."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

import fovea
from fovea._block_mask import BlockMask
from fovea._mask_runs import TileRuns


def retiled(classes, size, lengths, new):
    """What retile promises, tile by tile."""
    tiles = [-(-length // fresh) for length, fresh in zip(lengths, new, strict=True)]
    out = np.ones((*classes.shape[:2], *tiles), np.int8)
    for i, j in np.ndindex(*tiles):
        cut = []
        ragged = False
        for at, axis in ((i, 0), (j, 1)):
            end = (at + 1) * new[axis]
            ragged |= end > lengths[axis]
            last = -(-min(end, lengths[axis]) // size[axis])
            cut.append(slice(at * new[axis] // size[axis], last))
        old = classes[:, :, cut[0], cut[1]]
        empty, full = (old == 0).all((2, 3)), (old == 2).all((2, 3))
        out[:, :, i, j] = np.where(empty, 0, np.where(full & (not ragged), 2, 1))
    return out


def cropped(classes, size, lengths, new):
    """What crop promises."""
    out = classes[:, :, : -(-new[0] // size[0]), : -(-new[1] // size[1])].copy()
    for axis in (0, 1):
        if new[axis] % size[axis] and new[axis] < lengths[axis]:
            last = out[:, :, -1] if axis == 0 else out[..., -1]
            last[last == 2] = 1
    return out


def random_mask(rng):
    """Classes, tile extents, lengths; long runs, equal rows and shared planes too."""
    size = tuple(int(extent) for extent in rng.integers(1, 6, 2))
    lengths = tuple(int(length) for length in rng.integers(0, 30, 2))
    tiles = [-(-length // extent) for length, extent in zip(lengths, size, strict=True)]
    shape = (*(int(extent) for extent in rng.integers(1, 4, 2)), *tiles)
    classes = rng.integers(0, 3, shape).astype(np.int8)
    for axis in (0, 1, 2, 3):
        if rng.random() < 0.3:
            classes = np.sort(classes, axis)
    if rng.random() < 0.3:
        classes = np.broadcast_to(classes[:, :1], shape)
    return classes, size, lengths


@pytest.mark.parametrize("seed", range(60))
def test_masks_from_a_mask_are_those_of_its_array(seed):
    """slicing ..., bm.crop(q_len, kv_len), bm.retile((q, kv))"""
    rng = np.random.default_rng(seed)
    classes, size, lengths = random_mask(rng)
    mask = BlockMask._make(classes, size, lengths, None)
    new = tuple(int(extent) for extent in rng.integers(1, 9, 2))
    fresh = mask.retile(new)
    want = retiled(classes, size, lengths, new)
    np.testing.assert_array_equal(fresh.block_classes(), want)
    assert fresh.counts() == tuple(int((want == kind).sum()) for kind in (2, 1, 0))

    shorter = tuple(int(rng.integers(0, length + 1)) for length in lengths)
    want = cropped(classes, size, lengths, shorter)
    crop = mask.crop(*shorter)
    np.testing.assert_array_equal(crop.block_classes(), want)
    np.testing.assert_array_equal(
        crop.retile(new).block_classes(), retiled(want, size, shorter, new)
    )

    batches = rng.integers(0, classes.shape[0], 2).tolist()
    first, last = sorted(rng.integers(0, classes.shape[2] + 1, 2).tolist())
    part = mask[batches, :, first:last]
    want = classes[batches][:, :, first:last]
    np.testing.assert_array_equal(part.block_classes(), want)
    assert part.shape[:2] == want.shape[:2]
    copy = pickle.loads(pickle.dumps(mask))
    np.testing.assert_array_equal(copy.block_classes(), classes)


def test_a_million_tokens_take_the_memory_of_lists(tmp_path):
    """A mask of 67 million tiles: slicing, cropping, retiling, printing, pickling"""
    length = 1 << 20

    def window(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (q_idx - kv_idx < 1024)

    mask = fovea.create_block_mask(window, 2, 2, length, length)
    tracemalloc.start()
    part = mask[1, :, 100:8000]
    crop = mask.crop(length - 5, length - 77)
    coarse = mask.retile(256)
    copy = pickle.loads(pickle.dumps(crop.retile((128, 512))))
    assert "8192 x 8192 tiles in" in str(mask)
    assert "<svg" in part._repr_html_()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    for made in (mask, part, crop, coarse, copy):
        assert made._array is None
    # Rows from 4 on see three tiles whole and cut two others.
    full, partial, _ = coarse.counts()
    rows = length // 256
    assert (full // 4, partial // 4) == (3 * rows - 6, 2 * rows - 4)


def test_offsets_a_batch_are_runs_as_well():
    """create_block_mask(..., q_offset, kv_offset) as arrays"""
    length = 1 << 19

    def causal(b, h, q_idx, kv_idx):
        return q_idx >= kv_idx

    mask = fovea.create_block_mask(
        causal, 3, 2, 256, length, q_offset=np.array([0, length - 256, 0])
    )
    assert mask._array is None
    assert mask.shape == (3, 2, 256, length)
    tiles = length // 128
    assert mask[0].counts() == mask[2].counts() == (2, 4, 2 * (2 * tiles - 3))
    assert mask[1].counts() == (2 * (2 * tiles - 3), 4, 2)


def test_pictures_of_many_tiles_are_condensed():
    """print(bm) (full and partial drawn differently)"""
    classes = np.zeros((1, 1, 100, 100), np.int8)
    classes[0, 0, :50] = 2
    classes[0, 0, 50:, :50] = np.arange(50) % 3
    mask = BlockMask._make(TileRuns.of(classes), (1, 1), (100, 100), None)
    rows = str(mask).splitlines()[4:-1]
    assert len(rows) == 32
    assert set(rows[0][1:-1]) == {"\u2588"}
    assert set(rows[-1][1:49]) == {"\u2591"}
    assert set(rows[-1][49:-1]) == {" "}
