"""Offsets of block masks: a call has those of the mask; what does not vary is free."""

import copy
import pickle
import resource
import time

import numpy as np
import pytest
from api_common import inputs, plain

import fovea
from fovea import BlockMask


def causal(b, h, m, n):
    return m >= n


q, k, v = inputs(B=2, Hq=2, M=16, N=16)


@pytest.fixture(scope="module")
def kernel():
    return fovea.compile(D=q.shape[3], E=v.shape[3], block_mask=True)


def made(**offsets):
    return fovea.create_block_mask(causal, None, None, 16, 16, 4, **offsets)


@pytest.mark.parametrize("name", ["q_offset", "kv_offset"])
@pytest.mark.parametrize(
    ("own", "given", "text"),
    [
        (0, 3, "(0), got 3 at b=0"),
        (3, 0, "(3), got 0"),
        (3, np.array([3, 4]), "(3), got 4 at b=1"),
    ],
)
def test_other_offsets_than_the_mask_has_are_refused(kernel, name, own, given, text):
    """offsets: full tiles are visible whole, so that others would mix two masks"""
    mask = made(**{name: own})
    parts = (
        mask,
        mask.crop(16, 16),
        mask.retile(8),
        mask[:, :, :],
        copy.deepcopy(mask),
    )
    for part in (*parts, pickle.loads(pickle.dumps(made(**{name: own})[:, :]))):
        for call in (fovea.attention, kernel):
            with pytest.raises(ValueError) as caught:
                call(q, k, v, block_mask=part, **{name: given})
            assert str(caught.value) == f"{name}: must be that of block_mask {text}"


def test_the_offsets_of_the_mask_are_taken(kernel):
    """q_idx = m + q_offset[b]"""
    offsets = np.array([3, 5])
    mask = fovea.create_block_mask(causal, 2, None, 16, 16, 4, q_offset=offsets)
    want = plain(q, k, v, mask=lambda b, h, m, n: m + offsets[b] >= n)
    for call in (fovea.attention, kernel):
        out = call(q, k, v, block_mask=mask, q_offset=offsets)
        np.testing.assert_allclose(out, want, atol=2e-6)
    second = fovea.attention(q[1:], k[1:], v[1:], block_mask=mask[1], q_offset=5)
    np.testing.assert_allclose(second, want[1:], atol=2e-6)
    with pytest.raises(ValueError, match=r"q_offset: .* \(5\), got 3$"):
        fovea.attention(q[1:], k[1:], v[1:], block_mask=mask[1], q_offset=3)


def test_a_slice_counts_the_rows_before_it(kernel):
    """slicing: the mask_mod sees the positions before the cut, so that an offset for
    the rows cut away would count them twice"""
    part = made(q_offset=1)[:, :, 1:][:, :, 1:3]
    rows = q[:, :, 8:16]
    want = plain(q, k, v, mask=lambda b, h, m, n: m + 1 >= n)[:, :, 8:16]
    for call in (fovea.attention, kernel):
        out = call(rows, k, v, block_mask=part, q_offset=1)
        np.testing.assert_allclose(out, want, atol=2e-6)
        with pytest.raises(ValueError) as caught:
            call(rows, k, v, block_mask=part, q_offset=9)
        assert str(caught.value) == (
            "q_offset: must be that of block_mask (1), got 9 at b=0"
            "; the slice counts the 8 rows before it itself"
        )
    others = (
        pickle.loads(pickle.dumps(part)), copy.deepcopy(part), part.retile(8),
        part.crop(8, 16),
    )  # fmt: skip
    for other in others:
        with pytest.raises(ValueError, match=r"the slice counts the 8 rows before it"):
            fovea.attention(rows, k, v, block_mask=other, q_offset=9)
    with pytest.raises(ValueError, match=r"kv_offset: .* \(0\), got 2 at b=0$"):
        fovea.attention(rows, k, v, block_mask=part, q_offset=1, kv_offset=2)


def test_masks_from_lists_know_no_offsets():
    mask = made(q_offset=4)
    lists = BlockMask.from_kv_blocks(*mask.as_tuple())
    want = fovea.attention(q, k, v, block_mask=mask, q_offset=4)
    out = fovea.attention(q, k, v, block_mask=lists, q_offset=4)
    np.testing.assert_array_equal(out, want)


def test_what_a_mask_does_not_read_costs_nothing():
    """B and H that the mask ignores take neither time nor memory"""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    mask = fovea.create_block_mask(causal, 2**31, 2**31, 64, 64, 32, q_offset=1)
    assert mask.counts() == (2**62, 3 * 2**62, 0)
    assert mask[5 : 2**30, 7].shape == (2**30 - 5, 1, 64, 64)
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert fovea.create_block_mask(lambda b, h, m, n: m + b >= n, 2**40, 1, 0, 0)
