"""merge(outs, lses)."""

import ctypes
import platform

import ml_dtypes
import numpy as np
import pytest
from api_common import DTYPES, close, inputs, plain, transposed

import fovea


@pytest.mark.parametrize("dtype", DTYPES)
def test_merge_of_parts_is_the_whole(dtype):
    """merge(outs, lses) -> (out, lse)"""
    q, k, v = inputs(B=2, M=6, N=24, dtype=dtype)
    outs, lses = [], []
    for start in range(0, 24, 8):
        out, lse = fovea.attention(
            q, k[:, :, start : start + 8], v[:, :, start : start + 8],
            mask_mod=lambda b, h, q_idx, kv_idx: kv_idx <= q_idx + 9,
            kv_offset=start, return_lse=True,
        )  # fmt: skip
        outs.append(out)
        lses.append(lse)
    assert np.isneginf(lses[2]).any()
    out, lse = fovea.merge(outs, lses)
    want, want_lse = plain(q, k, v, mask=lambda b, h, m, n: n <= m + 9, lse=True)
    assert out.dtype == dtype
    assert lse.dtype == lses[0].dtype
    close(out, want, dtype)
    np.testing.assert_allclose(
        lse, want_lse, atol=1e-2 if dtype is np.float16 else 3e-6
    )


def test_merge_of_dead_parts_is_dead():
    """merge: -inf, with an out of 0, where every part is dead"""
    out = np.full((1, 1, 2, 3), np.nan, np.float32)
    lse = np.full((1, 1, 2), -np.inf, np.float32)
    got, got_lse = fovea.merge([out, out], [lse, lse])
    assert (got == 0).all()
    assert np.isneginf(got_lse).all()
    one = fovea.merge([np.ones_like(out)], [np.zeros_like(lse)])
    assert (one[0] == 1).all() and (one[1] == 0).all()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets bits of MXCSR")
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_merge_where_the_caller_flushes_to_zero(dtype, native_is_real):
    """flush-to-zero set by the caller"""
    if not native_is_real:
        pytest.skip("the stand-in computes as NumPy does")
    tiny = np.full((1, 1, 2, 3), 2e-39).astype(dtype)
    lse = np.array([[[0.0, -90.0]]], np.float32)
    want = fovea.merge([tiny, tiny], [lse, lse - 89])
    assert (want[0] != 0).all()
    libm = ctypes.CDLL("libm.so.6")
    before, flushing = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    libm.fegetenv(before)
    flushing.raw = before.raw
    mxcsr = int.from_bytes(before.raw[28:32], "little") | 0x8040
    flushing[28:32] = mxcsr.to_bytes(4, "little")
    libm.fesetenv(flushing)
    try:
        flushed = tiny.astype(np.float32) * np.float32(1)
        got = fovea.merge([tiny, tiny], [lse, lse - 89])
        still = tiny.astype(np.float32) * np.float32(1)
    finally:
        libm.fesetenv(before)
    assert (flushed == 0).all() and (still == 0).all(), "the caller's own mode is kept"
    for one, other in zip(got, want, strict=True):
        assert one.tobytes() == other.tobytes()


def test_merge_keeps_the_memory_order():
    """merge: in the library, dtype and memory order of outs[0]"""
    out = transposed(np.ones((2, 3, 4, 5), np.float32))
    lse = np.zeros((2, 3, 4), np.float32)
    merged, _ = fovea.merge([out, out], [lse, lse])
    assert merged.transpose(0, 2, 1, 3).flags.c_contiguous
