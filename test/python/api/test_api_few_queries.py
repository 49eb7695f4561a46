"""Calls of few queries and many keys: heads as rows, keys in parts."""

import ml_dtypes
import numpy as np
import pytest
from api_common import inputs, plain, shared

import fovea

LINE = "few queries: calls of at most"


@pytest.fixture
def threads():
    yield fovea.set_num_threads
    fovea.set_num_threads(0)


def laid_out(k, v, layout):
    """Keys and values as [B, Hk, N, D], with a token's heads together, in pages."""
    if layout == "heads":
        return k, v
    tokens = (np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in (k, v))
    tokens = tuple(x.transpose(0, 2, 1, 3) for x in tokens)
    return tokens if layout == "tokens" else shared(k, v, 20)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("layout", ["heads", "tokens", "pages"])
@pytest.mark.parametrize("rows", [1, 3])
def test_results_do_not_depend_on_threads(dtype, layout, rows, threads):
    """Nor on which heads a thread takes together: each has a window of its own"""
    heads, n = 6, 3000
    q, k, v = inputs(B=2, Hq=heads, Hk=heads, M=rows, N=n, D=64, dtype=dtype)
    window = np.array([3000, 20, 1111, 64, 2001, 5])

    def attention(q, k, v, window):
        return fovea.attention(
            q, k, v, mask_mod=lambda b, h, m, n: m + 2997 - n <= window[h],
            return_lse=True, schedule="split=64,block=32",
            kv_lengths=np.array([n, 65]),
        )  # fmt: skip

    keys = laid_out(k, v, layout)
    results = []
    for number in (1, 2, 5, 16):
        threads(number)
        out, lse = attention(q, *keys, window)
        results.append(out.tobytes() + lse.tobytes())
    assert len(set(results)) == 1
    if rows == 1:  # heads that lie together have a form of their own
        return
    for h in range(heads):
        own = slice(h, h + 1)
        one, one_lse = attention(q[:, own], k[:, own], v[:, own], window[own])
        assert out[:, own].tobytes() == one.tobytes()
        assert lse[:, own].tobytes() == one_lse.tobytes()


@pytest.mark.parametrize("tokens", [False, True])
def test_the_layout_does_not_change_the_result(tokens):
    q, k, v = inputs(B=2, Hq=6, Hk=3, M=2, N=500, D=32, E=48)
    if tokens:
        k, v = (
            np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
            for x in (k, v)
        )
    got = fovea.attention(q, k, v, schedule="split=64")
    np.testing.assert_allclose(got, plain(q, k, v), atol=3e-6)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
)
@pytest.mark.parametrize("layout", ["heads", "tokens", "pages"])
def test_one_row_a_key_head(dtype, layout):
    """Mods, masks, seeds and lengths of a lone query of each head"""
    q, k, v = inputs(B=2, Hq=3, Hk=3, M=1, N=528, D=64, E=48, dtype=dtype)
    slope = np.array([0.0, 0.01, 0.1], np.float32)
    lengths = np.array([528, 77])

    def score(s, b, h, m, n):
        return s + slope[h] * (n - m)

    def mask(b, h, m, n):
        return (m >= n) & ((m - n <= 300) | (n < 8 * (h + 1)))

    want = plain(
        q.astype(np.float32), k.astype(np.float32), v.astype(np.float32),
        lambda s, b, h, m, n: score(s, b, h, m + 500, n),
        lambda b, h, m, n: mask(b, h, m + 500, n) & (n < lengths[b]),
    )  # fmt: skip
    if layout == "tokens":
        k, v = (
            np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
            for x in (k, v)
        )
    elif layout == "pages":
        order = np.random.default_rng(0).permutation(2 * 33)
        table = np.argsort(order).reshape(2, 33)
        pools = [
            x.reshape(2, 3, 33, 16, -1).swapaxes(1, 2).reshape(66, 3, 16, -1)[order]
            for x in (k, v)
        ]
        k, v = (fovea.Pages(np.ascontiguousarray(x), table) for x in pools)
    got = fovea.attention(
        q, k, v, score, mask, q_offset=500, kv_lengths=lengths, schedule="split=128"
    )
    error = 2e-5 if dtype in (np.float32, np.float64) else 2e-2
    np.testing.assert_allclose(got.astype(np.float32), want, atol=error)


@pytest.mark.parametrize("width", [2**22, 2**30, 2**36, 2**44])
def test_keys_that_no_row_sees_take_no_memory(width):
    """Keys that repeat in memory, ended by a length or by the mask"""
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=2, N=1, D=32)
    wide = [np.broadcast_to(x, (2, 2, width, 32)) for x in (k, v)]
    want = np.broadcast_to(v.repeat(2, axis=1), q.shape)
    got = fovea.attention(q, *wide, kv_lengths=np.array([100, 0]))
    np.testing.assert_allclose(got[0], want[0], atol=3e-6)
    assert not got[1].any()
    got = fovea.attention(q, *wide, mask_mod=lambda b, h, q, kv: q >= kv)
    np.testing.assert_allclose(got, want, atol=3e-6)


def test_heads_of_a_group_with_masks_of_their_own():
    """Bounds that depend on the head are those of all heads together"""
    q, k, v = inputs(B=2, Hq=8, Hk=2, M=2, N=700, D=16)
    window = np.array([1, 5, 64, 699, 3, 200, 17, 0])
    slope = np.linspace(0.1, 2, 8, dtype=np.float32)

    def score(s, b, h, m, n):
        return s + slope[h] * (n - m)

    def mask(b, h, m, n):
        return (m >= n) & (m - n <= window[h])

    got, lse = fovea.attention(q, k, v, score, mask, q_offset=650, return_lse=True)
    want, want_lse = plain(
        q, k, v, lambda s, b, h, m, n: score(s, b, h, m + 650, n),
        lambda b, h, m, n: mask(b, h, m + 650, n), lse=True,
    )  # fmt: skip
    np.testing.assert_allclose(got, want, atol=2e-5)
    np.testing.assert_allclose(lse, want_lse, atol=2e-5, rtol=1e-6)


def test_dead_rows_and_lengths():
    q, k, v = inputs(B=3, Hq=4, Hk=1, M=3, N=300)
    lengths = np.array([0, 300, 129])
    rows = np.array([3, 2, 0])
    got, lse = fovea.attention(
        q, k, v, q_lengths=rows, kv_lengths=lengths, return_lse=True
    )
    for b in range(3):
        alive = rows[b] if lengths[b] else 0
        assert not got[b, :, alive:].any()
        assert np.isneginf(lse[b, :, alive:]).all()
        if alive:
            keys = (x[b : b + 1, :, : lengths[b]] for x in (k, v))
            want = plain(q[b : b + 1, :, :alive], *keys)
            np.testing.assert_allclose(got[b : b + 1, :, :alive], want, atol=3e-6)


def test_sequences_of_unequal_lengths(threads):
    """Each gives what it gives alone, whoever computes its parts."""
    lengths = np.geomspace(4, 4096, 16).astype(int)
    q, k, v = inputs(B=16, Hq=4, Hk=2, M=1, N=4096, D=32)
    results = []
    for number in (1, 2, 5):
        threads(number)
        results.append(
            fovea.attention(q, k, v, kv_lengths=lengths, schedule="split=64")
        )
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    for b, length in enumerate(lengths):
        one = slice(b, b + 1)
        keys = (x[one, :, :length] for x in (k, v))
        alone = fovea.attention(q[one], *keys, schedule="split=64")
        assert alone.tobytes() == results[0][one].tobytes(), length
    want = plain(q[7:8], k[7:8, :, : lengths[7]], v[7:8, :, : lengths[7]])
    np.testing.assert_allclose(results[0][7:8], want, atol=3e-6)


def test_a_value_that_is_not_finite_touches_only_rows_that_see_it():
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=2, N=200)
    v[0, 1, 150, 3] = np.nan

    def mask(b, h, m, n):
        return (n < 100) | (m == 1)

    got = fovea.attention(q, k, v, mask_mod=mask)
    nan = np.isnan(got)
    assert nan[0, 2:, 1, 3].all()
    assert nan.sum() == 2


def test_the_number_of_queries_is_no_part_of_a_variant():
    kernel = fovea.compile(D=8)
    before = fovea.cache_info().compiles
    for rows in (1, 3, 8, 40):
        q, k, v = inputs(Hq=4, Hk=1, M=rows, N=90)
        np.testing.assert_allclose(kernel(q, k, v), plain(q, k, v), atol=3e-6)
    assert fovea.cache_info().compiles == before


def test_the_choice_is_visible():
    assert LINE in fovea.compile(D=8).explain()
    assert "few_queries" in fovea.compile(D=8).ir("online")
    assert LINE not in fovea.compile(D=8, schedule="short=0").explain()
    assert LINE not in fovea.compile(D=8, block_mask=True).explain()
    assert "at most 8 rows" in fovea.compile(D=8, schedule={"short": 5}).explain()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("group", [1, 3, 8])
@pytest.mark.parametrize("D, E", [(16, 16), (24, 40), (128, 64)])
@pytest.mark.parametrize("strided", [False, True])
def test_rows_of_two_bytes(dtype, group, D, E, strided):
    """Read where they lie or copied, in whole registers or not; ends of keys"""
    q, k, v = inputs(B=2, Hq=2 * group, Hk=2, M=1, N=301, D=D, E=E, dtype=dtype)
    want, want_lse = plain(q, k, v, lse=True)
    if strided:
        k, v = (np.repeat(x, 2, -1)[..., ::2] for x in (k, v))
    got, lse = fovea.attention(q, k, v, return_lse=True, schedule="split=128")
    np.testing.assert_allclose(got.astype(np.float64), want, atol=1e-2)
    np.testing.assert_allclose(lse, want_lse, atol=1e-4)
