"""Every mask of the zoo as a block mask: exact classes, and the same results."""

import numpy as np
import pytest
from test_kernels import expect_good
from zoo_cases import cases, inputs

import fovea

MASKS = [
    (case, sizes)
    for case in cases().values()
    if case.group == "masks"
    for sizes in case.sizes
]
IDS = [f"{case.name}-{sizes}" for case, sizes in MASKS]


def dense_classes(dense, tile):
    """0 empty, 1 partial, 2 full; what is past the lengths counts as masked."""
    *lead, rows, columns = dense.shape
    padded = np.zeros(
        (*lead, -(-rows // tile) * tile, -(-columns // tile) * tile), bool
    )
    padded[..., :rows, :columns] = dense
    tiles = padded.reshape(*lead, padded.shape[-2] // tile, tile, -1, tile)
    return tiles.all(axis=(-3, -1)).astype(int) + tiles.any(axis=(-3, -1))


@pytest.mark.parametrize(("case", "sizes"), MASKS, ids=IDS)
def test_block_mask(case, sizes):
    example = case.example(sizes)
    offset = 0 if example.q_offset is None else example.q_offset
    mask = fovea.create_block_mask(
        example.mask_mod, sizes.B, sizes.H, sizes.M, sizes.N, 16, q_offset=offset
    )
    dense = np.broadcast_to(example.mask, (sizes.B, sizes.H, sizes.M, sizes.N))
    np.testing.assert_array_equal(mask.block_classes(), dense_classes(dense, 16))
    q, k, v = inputs(sizes, np.float32)
    out = fovea.attention(
        q, k, v, block_mask=mask, q_offset=offset, schedule={"m": 16, "n": 16}
    )
    expect_good(case, sizes, np.dtype(np.float32), example, out, None)
