"""Masks without a closed form: kernels visit the tiles that each call leaves."""

import numpy as np
import pytest
from api_common import inputs, plain
from test_api_package import run

import fovea

# Large enough for calls to analyse their mask before they compute.
SIZES = {"B": 2, "Hq": 4, "Hk": 2, "M": 330, "N": 410, "D": 16}

DOC = np.repeat(np.arange(12), 37)[:444]
PER_HEAD = np.array([3, 60, 0, 500])
RAGGED = np.array([[0, 40, 440, 441], [20, 300, 310, 441]])
NEAR = np.random.default_rng(1).random((330, 410)) < 0.01
PADDED = np.arange(444) % 90 < 30


def documents(b, h, q, kv):
    return DOC[q] == DOC[kv]


def causal_documents(b, h, q, kv):
    return (q >= kv) & (DOC[q] == DOC[kv])


def by_head(b, h, q, kv):
    return (abs(DOC[q] - DOC[kv]) * 30 < PER_HEAD[h]) & (DOC[kv] > 1)


def by_batch(b, h, q, kv):
    return (kv >= RAGGED[b, DOC[q] // 6]) & (kv < RAGGED[b, 2 + DOC[q] // 6])


def padded_keys(b, h, q, kv):
    return PADDED[kv]


def dilated(b, h, q, kv):
    return (q - kv) % 70 < 3


def table(b, h, q, kv):
    return NEAR[q, kv] | (kv == 0)


def nothing_there(b, h, q, kv):
    return DOC[q] > DOC[kv] + 100


MASKS = {
    f.__name__: f
    for f in (
        documents, causal_documents, by_head, by_batch, padded_keys, dilated, table,
        nothing_there,
    )
}  # fmt: skip


def check(kernel, q, k, v, mask, **call):
    out = kernel(q, k, v, **call)
    expected = plain(q, k, v, mask=mask)
    np.testing.assert_allclose(out, expected, atol=2e-5)


@pytest.mark.parametrize("name", MASKS)
def test_masks(name):
    q, k, v = inputs(**SIZES)
    kernel = fovea.compile(mask_mod=MASKS[name], D=16)
    check(kernel, q, k, v, MASKS[name])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_types_and_schedules(dtype):
    q, k, v = inputs(**SIZES, dtype=dtype)
    for schedule in (None, "m=128,n=64"):
        out = fovea.attention(q, k, v, mask_mod=causal_documents, schedule=schedule)
        expected = plain(q, k, v, mask=causal_documents)
        np.testing.assert_allclose(
            out, expected, atol=5e-3 if dtype[-2:] == "16" else 1e-12
        )


@pytest.mark.parametrize("scale", [None, -0.5])
def test_scores_that_hide(scale):
    q, k, v = inputs(**SIZES)
    q[0, 0, 100, 0], k[1, 0, 50, 0] = np.inf, -np.inf

    def score(s, b, h, m, n):
        return fovea.ops.where(DOC[m] == DOC[n], 2 * s, -np.inf)

    def expected(s, b, h, m, n):
        return np.where(DOC[m] == DOC[n], 2 * s, -np.inf)

    kernel = fovea.compile(score, D=16, scale=scale)
    with np.errstate(invalid="ignore"):
        wanted = plain(q, k, v, score=expected, scale=scale)
    finite = np.isfinite(wanted)
    out = kernel(q, k, v)
    np.testing.assert_array_equal(np.isfinite(out), finite)
    np.testing.assert_allclose(out[finite], wanted[finite], atol=2e-5)


def test_captures_are_live():
    q, k, v = inputs(**SIZES)
    doc = DOC.copy()
    kernel = fovea.compile(mask_mod=lambda b, h, q, kv: doc[q] == doc[kv], D=16)
    for fresh in (DOC, DOC[::-1], np.zeros(444, int), np.arange(444)):
        doc[:] = fresh
        check(kernel, q, k, v, lambda b, h, m, n: fresh[m] == fresh[n])


def test_offsets_and_lengths():
    q, k, v = inputs(**SIZES)
    kernel = fovea.compile(mask_mod=causal_documents, D=16)
    q_offset, kv_offset = np.array([0, 34]), np.array([7, 30])
    q_lengths, kv_lengths = np.array([330, 111]), np.array([64, 409])

    def visible(b, h, m, n):
        same = causal_documents(b, h, m + q_offset[b], n + kv_offset[b])
        return same & (m < q_lengths[b]) & (n < kv_lengths[b])

    check(
        kernel, q, k, v, visible,
        q_offset=q_offset, kv_offset=kv_offset,
        q_lengths=q_lengths, kv_lengths=kv_lengths,
    )  # fmt: skip


SHORT = """
import numpy as np, fovea
doc = np.repeat(np.arange(12), 37)
q, k, v = (np.ones((2, 2, n, 16), np.float32) for n in (259, 640, 640))
for _ in range(20):
    out = fovea.attention(
        q, k, v, mask_mod=lambda b, h, q, kv: doc[q % 444] == doc[kv % 444],
        q_lengths=np.array([1, 229]),
    )
print(out[:, 0, ::64, 0].tolist())
"""


def test_short_queries_leave_the_heap_alone(native_is_real):
    """The analysis has no tiles past the longest query length; memory beyond what
    it found is filled with a pattern here, so that whoever reads it is found out."""
    if not native_is_real:
        pytest.skip("the stand-in allocates nothing itself")
    fill = "glibc.malloc.tcache_count=0:glibc.malloc.perturb=199"
    printed = run(SHORT, GLIBC_TUNABLES=fill, FOVEA_NUM_THREADS="1")
    assert printed == "[[1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]]\n"


def test_far_positions():
    q, k, v = inputs(**SIZES)
    far = 2**40
    kernel = fovea.compile(
        mask_mod=lambda b, h, q, kv: DOC[q - far] == DOC[kv - far], D=16
    )
    check(kernel, q, k, v, documents, q_offset=far, kv_offset=far)


def test_the_result_does_not_depend_on_the_threads():
    q, k, v = inputs(**SIZES)
    kernel = fovea.compile(mask_mod=documents, D=16)
    try:
        fovea.set_num_threads(1)
        one = kernel(q, k, v)
        fovea.set_num_threads(3)
        np.testing.assert_array_equal(kernel(q, k, v), one)
    finally:
        fovea.set_num_threads(0)


def test_the_walk_and_its_reason_are_visible(native_is_real):
    if not native_is_real:
        pytest.skip("the stand-in has no levels")
    for mask, reason in (
        (documents, "the mask reads a capture at key positions"),
        (table, "the mask reads a capture at (query, key) positions"),
        (dilated, "the mask divides key positions"),
    ):
        kernel = fovea.compile(mask_mod=mask, D=16)
        assert f'because "{reason}"' in kernel.ir("online")
        assert f"as {reason}" in kernel.explain()
        assert "m=64" in kernel.schedule
    hides = fovea.compile(
        lambda s, b, h, q, kv: fovea.ops.where(q < kv, s, -np.inf), D=16
    )
    assert 'because "the score holds -inf"' in hides.ir("online")


def test_a_non_finite_row_does_not_reach_others():
    q, k, v = inputs(**SIZES)
    v[:, :, 50] = np.nan
    out = fovea.attention(q, k, v, mask_mod=documents)
    sees = (DOC[:330] == DOC[50])[None, None, :, None]
    np.testing.assert_array_equal(np.isnan(out), np.broadcast_to(sees, out.shape))


def test_wide_numbers_of_heads_have_closed_forms():
    """int64 widths take part in sums; where one would wrap all keys are asked."""
    width = np.array([1, 64, 0, 300])

    def window(b, h, q, kv):
        return (q >= kv) & (kv >= q - width[h])

    q, k, v = inputs(**SIZES)
    kernel = fovea.compile(mask_mod=window, D=16)
    assert "intervals in closed form" in kernel.explain()
    limit = np.iinfo(np.int64)
    for values in (
        width.copy(),
        [limit.max, limit.min, 2**58, -(2**58)],
        [limit.min + 200, limit.max - 200, 2**61, -(2**63) + 329],
    ):
        width[:] = values
        exact = fovea.attention(q, k, v, mask_mod=window, target="interpreter")
        np.testing.assert_allclose(kernel(q, k, v), exact, atol=2e-6)
