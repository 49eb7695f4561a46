"""What users' objects refuse to have set, and what a shallow copy of them shares."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from api_common import inputs

import fovea


def kernel():
    return fovea.compile(D=8, scale=0.5)


def variant(tmp_path):
    path = tmp_path / "x.attn"
    path.write_text("attention x(w: f32[H]) {\n  score = s * w[h]\n}\n")
    return fovea.load(path)


def block_mask():
    return fovea.create_block_mask(lambda b, h, q, k: q >= k, 1, 1, 64, 64, 16)


@pytest.mark.parametrize(
    "name", ["scale", "D", "E", "target", "dtype", "schedule", "captures", "other"]
)
def test_a_kernel_is_read_only(name):
    made = kernel()
    before = getattr(made, name, None)
    with pytest.raises(AttributeError, match=name):
        setattr(made, name, 7.0)
    assert getattr(made, name, None) == before


@pytest.mark.parametrize("name", ["name", "program", "captures", "params", "other"])
def test_a_variant_is_read_only(name, tmp_path):
    with pytest.raises(AttributeError, match=name):
        setattr(variant(tmp_path), name, "y")


@pytest.mark.parametrize("name", ["shape", "BLOCK_SIZE", "kv_indices", "other"])
def test_a_block_mask_takes_a_mask_mod_and_lengths_alone(name):
    made = block_mask()
    with pytest.raises(AttributeError, match=name):
        setattr(made, name, 7)
    made.seq_lengths = 63, 60
    assert made.shape == (1, 1, 63, 60)


@pytest.mark.parametrize("name", ["weight", "name", "other"])
def test_a_normalizer_is_read_only(name):
    with pytest.raises(AttributeError, match="does not change"):
        setattr(fovea.normalizers.softmax(), name, None)


def test_a_copy_of_a_kernel_reads_the_same_arrays():
    """Arrays are live"""
    q, k, v = inputs()
    weight = np.array(0.5)
    made = fovea.compile(lambda s, b, h, i, j: s * weight, D=8)
    made(q, k, v)
    shallow, deep = copy.copy(made), copy.deepcopy(made)
    assert type(shallow) is fovea.Kernel
    assert shallow.captures["weight"] is weight
    before = shallow(q, k, v)
    np.testing.assert_array_equal(before, made(q, k, v))
    weight[...] = -0.5
    np.testing.assert_array_equal(shallow(q, k, v), made(q, k, v))
    np.testing.assert_array_equal(deep(q, k, v), before)
    assert not np.array_equal(shallow(q, k, v), before)


def test_a_copy_of_a_kernel_goes_its_own_way():
    q, k, v = inputs()
    made = fovea.compile(D=8)
    shallow = copy.copy(made)
    want = made(q, k, v)
    del made
    np.testing.assert_array_equal(shallow(q, k, v), want)
    assert repr(shallow) == repr(fovea.compile(D=8))


def test_a_copy_of_a_block_mask_asks_the_same_mask_mod():
    q, k, v = inputs(Hq=1, M=64, N=64)
    limit = np.array(8)
    mask = fovea.create_block_mask(lambda b, h, q, k: k < limit, 1, 1, 64, 64, 16)
    shallow = copy.copy(mask)
    assert shallow.mask_mod is mask.mask_mod
    limit[...] = 4
    np.testing.assert_array_equal(
        fovea.attention(q, k, v, block_mask=shallow),
        fovea.attention(q, k, v, block_mask=mask),
    )
    shallow.seq_lengths = 63, 60
    assert mask.seq_lengths == (64, 64)


def test_a_copy_of_a_normalizer_or_variant(tmp_path):
    q, k, v = inputs()
    made = fovea.normalizers.sink(np.zeros(2, np.float32))
    assert copy.copy(made) is made
    given = variant(tmp_path)
    w = np.ones(2, np.float32)
    np.testing.assert_array_equal(copy.copy(given)(q, k, v, w=w), given(q, k, v, w=w))
