"""Calls like earlier ones of variants from files, and of arrays in files."""

from __future__ import annotations

import gc
import pickle
import weakref

import numpy as np
import pytest
from api_common import causal, inputs, plain

import fovea

SOURCE = """
attention window(slope: f32[H], W: int = 4) {
  score = s - slope[h] * (q - kv)
  mask  = 0 <= q - kv < W
}
attention causal {
  mask = q >= kv
}
attention warm(t: f32[]) {
  score = s * t
}
"""


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "variants.attn"
    path.write_text(SOURCE)
    return lambda name: fovea.load(path, name)


def window(slope, width):
    def score(s, b, h, m, n):
        return s - slope[h] * (m - n)

    def mask(b, h, m, n):
        return (m >= n) & (m - n < width)

    return score, mask


def test_variants_repeat(launches, read):
    """Captures are live, compile-time parameters are compared."""
    q, k, v = inputs()
    slope = np.array([0.5, -0.25], np.float32)
    variant = read("window")
    for changed, options, expected in (
        (1.0, {}, 1),
        (-2.0, {}, 1),
        (1.0, {"W": 2}, 2),
        (1.0, {"W": 2}, 2),
        (1.0, {"W": 4}, 3),
        (3.0, {"W": 4}, 3),
        (1.0, {}, 4),
    ):
        slope *= changed
        out = variant(q, k, v, slope=slope, **options)
        want = plain(q, k, v, *window(slope.copy(), options.get("W", 4)))
        np.testing.assert_allclose(out, want, atol=2e-6)
        assert len(launches) == expected
    other = slope.astype(np.float64)
    np.testing.assert_allclose(variant(q, k, v, slope=other), out, atol=2e-6)
    assert len(launches) == 5
    np.testing.assert_array_equal(variant(q, k, v, slope=slope), out)
    assert len(launches) == 6


def test_variants_repeat_with_lse(launches, read):
    """Calls with and without lse are told apart."""
    q, k, v = inputs()
    variant = read("causal")
    for _ in range(3):
        out = variant(q, k, v)
        both = variant(q, k, v, return_lse=True)
        assert type(out) is np.ndarray and len(both) == 2
        np.testing.assert_array_equal(out, both[0])
    assert len(launches) == 2
    assert variant(q, k, v, return_lse=1 == 1)[1].shape == q.shape[:3]
    variant(q, k, v, target="cpu")
    assert len(launches) == 3


def test_what_is_wrong_stays_wrong(launches, read):
    """A name, a size or a kind that is wrong is refused as by a first call."""
    q, k, v = inputs()
    slope = np.ones(2, np.float32)
    variant = read("window")
    kernel = variant.compile(D=8)
    for call in (
        lambda **captures: variant(q, k, v, **captures),
        lambda **captures: kernel(q, k, v, captures=captures),
    ):
        want = call(slope=slope)
        for captures, error, text in (
            ({"slope": slope, "bias": slope}, TypeError, "got 'bias'"),
            ({"slope": slope[:1]}, ValueError, "slope: dim 0 must be H"),
            ({"slope": slope.astype(np.int32)}, TypeError, "slope: dtype must be"),
            ({"slope": slope[None]}, ValueError, "slope: rank must be 1"),
            ({}, TypeError, "slope: a capture of the variant must be given"),
        ):
            with pytest.raises(error, match=text):
                call(**captures)
            np.testing.assert_array_equal(call(slope=slope), want)
    assert len(launches) == 2


def test_numbers_go_the_long_way(launches, read):
    """A Python number in the place of an array is read at each call."""
    q, k, v = inputs()
    variant = read("warm")
    for factor in (1.0, 0.5, 2.0):
        want = plain(q, k, v, lambda s, b, h, m, n, f=factor: s * f)
        np.testing.assert_allclose(variant(q, k, v, t=factor), want, atol=2e-6)
    assert len(launches) == 3
    t = np.array(0.5, np.float32)
    for factor in (0.5, 3.0):
        t[...] = factor
        want = plain(q, k, v, lambda s, b, h, m, n, f=factor: s * f)
        np.testing.assert_allclose(variant(q, k, v, t=t), want, atol=2e-6)
    assert len(launches) == 4


@pytest.mark.parametrize("given", ["ahead", "at the call", "again"])
def test_kernels_of_variants_repeat(launches, read, given):
    """Kernels of a file's variant, with captures of their own, unpickled too."""
    q, k, v = inputs()
    slope = np.array([0.5, -0.25], np.float32)
    ahead = given != "at the call"
    kernel = read("window").compile(D=8, captures={"slope": slope} if ahead else None)
    if given == "again":
        kernel = pickle.loads(pickle.dumps(kernel))
    options = {} if ahead else {"captures": {"slope": slope}}
    for changed in (1.0, -2.0, 3.0):
        if given != "again":
            slope *= changed
        want = plain(q, k, v, *window(slope.copy(), 4))
        np.testing.assert_allclose(kernel(q, k, v, **options), want, atol=2e-6)
    assert len(launches) == 1
    assert kernel(q[:, :, :5], k, v, **options).shape[2] == 5
    assert len(launches) == 2
    assert f"M={5}" in kernel.explain() or "5 " in kernel.explain()


def test_kernels_without_captures_repeat(launches, read):
    q, k, v = inputs()
    kernel = read("causal").compile(D=8, return_lse=True)
    want = fovea.attention(q, k, v, None, causal, return_lse=True)
    for _ in range(3):
        for have, expected in zip(kernel(q, k, v), want, strict=True):
            np.testing.assert_array_equal(have, expected)
    assert len(launches) == 2


def test_calls_keep_no_captures(launches, read):
    """What was given at a call goes with its owner."""
    q, k, v = inputs()
    variant = read("window")
    slope = np.ones(2, np.float32).view()
    for _ in range(2):
        variant(q, k, v, slope=slope)
    assert len(launches) == 1
    kept = weakref.ref(slope)
    del slope, launches[:]
    gc.collect()
    assert kept() is None


def test_clear_cache_forgets_variants(launches, read):
    q, k, v = inputs()
    variant = read("causal")
    variant(q, k, v)
    fovea.clear_cache()
    variant(q, k, v)
    assert len(launches) == 2


def test_arrays_in_files_repeat(launches, tmp_path):
    """numpy.memmap, as q, k, v and as a captured array."""

    def mapped(name, array):
        made = np.memmap(tmp_path / name, array.dtype, "w+", shape=array.shape)
        made[...] = array
        return made

    q, k, v = (mapped(name, x) for name, x in zip("qkv", inputs(), strict=True))
    bias = mapped("bias", np.linspace(0, 1, k.shape[2], dtype=np.float32))

    def score(s, b, h, m, n):
        return s + bias[n]

    for shift in (0.0, 1.0, 2.0):
        bias += shift
        q += shift
        out = fovea.attention(q, k, v, score)
        assert type(out) is np.ndarray
        b = np.array(bias)
        want = plain(*map(np.array, (q, k, v)), lambda s, _, h, m, n, b=b: s + b[n])
        np.testing.assert_allclose(out, want, atol=2e-6)
    assert len(launches) == 1
    # Arrays in memory are another kind of capture, and the same kind of q.
    fovea.attention(np.array(q), np.array(k), np.array(v), score)
    assert len(launches) == 1
