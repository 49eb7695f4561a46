"""Numbers that are easy to get wrong: each against the formula in f64."""

import operator

import ml_dtypes
import numpy as np
import pytest

import fovea
from fovea import ops


def scores(mod, rows, dtype="float32", **options):
    """What a mod gives for each row, as the lse of rows of one key."""
    q = np.zeros((1, 1, rows, 1), dtype)
    k = np.zeros((1, 1, 1, 1), dtype)
    return fovea.attention(q, k, k, mod, return_lse=True, **options)[1][0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_exact_kernel_keeps_rows_apart(dtype):
    """A row that sees nothing, beside one with NaN, hides no row of later vectors."""
    x = np.arange(40).astype(dtype)
    x[1], x[5] = -np.inf, np.nan
    np.testing.assert_allclose(scores(lambda s, b, h, q, n: x[q], 40, dtype), x)


@pytest.mark.parametrize("offset", [-10, -(2**40)])
def test_division_of_negative_positions_floors(offset):
    positions = np.arange(40) + offset
    for mod, want in (
        (lambda s, b, h, q, n: q // 3, positions // 3),
        (lambda s, b, h, q, n: q % 3, positions % 3),
        (lambda s, b, h, q, n: q // 8 + q % 8, positions // 8 + positions % 8),
    ):
        np.testing.assert_allclose(scores(mod, 40, "float64", q_offset=offset), want)
        np.testing.assert_allclose(
            fovea.attention(
                np.zeros((1, 1, 1, 1)),
                np.zeros((1, 1, 40, 1)),
                np.eye(40)[None, None],
                None,
                lambda b, h, q, n, mod=mod: mod(0, b, h, n, q) == want[17],
                kv_offset=offset,
            )[0, 0, 0],
            (want == want[17]) / (want == want[17]).sum(),
        )


WIDE = [0, *range(-42, 43), 2**29, -(2**29), 2**30, -(2**30), 2**31 - 1, 2**31]
WIDE += [-(2**31), 2**32, 2**32 + 3, -(2**32), -(2**32) - 3, 2**40, -(2**40)]
WIDE += [2**63 - 1, 1 - 2**63, -(2**63)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", [operator.floordiv, operator.mod])
def test_divisions_by_numbers_of_64_bits(op, dtype):
    """`//` and `%` floor as in Python; `x // 0 = x % 0 = 0`"""
    by = np.array(WIDE)
    heads, rows = np.arange(len(by))[:, None], np.arange(81)
    apart = by[(rows + heads) % len(by)]  # a number for each row
    q, k = np.zeros((1, len(by), 81, 1), dtype), np.zeros((1, 1, 1, 1), dtype)
    for mod, dividend, divisor in (
        (lambda s, b, h, m, n: op(m - 40, by[h]), rows - 40, by[:, None]),
        (lambda s, b, h, m, n: op(m - 40, by[(m + h) % len(WIDE)]), rows - 40, apart),
        (lambda s, b, h, m, n: op(h - 40, by[(m + h) % len(WIDE)]), heads - 40, apart),
        (lambda s, b, h, m, n: op(by[h], m - 40), by[:, None], rows - 40),
    ):
        got = fovea.attention(q, k, k, mod, return_lse=True)[1][0]
        with np.errstate(divide="ignore", over="ignore"):
            want = op(dividend, divisor)
        np.testing.assert_array_equal(got, want.astype(dtype))


def test_captures_at_negative_positions_are_clamped():
    table = np.arange(100.0)[50:60]
    got = scores(lambda s, b, h, q, n: table[q], 40, "float64", q_offset=-20)
    np.testing.assert_array_equal(got, table[np.clip(np.arange(-20, 20), 0, 9)])


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_of_huge_numbers(name):
    x = np.float32([1e8, 1e15, 6577775162949632, 1e20, 1e25, 1e30, -3e38])
    got = scores(lambda s, b, h, q, n: getattr(ops, name)(x[q]), len(x))
    np.testing.assert_allclose(got, getattr(np, name)(x.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("cap", [1e-3, 30.0, 5e5, 3e38])
def test_soft_caps_of_any_size(cap):
    """The cap's product with log2 e must not overflow; small scores stay exact."""
    x = np.float32([-3e38, -45, -1, 1e-6, 0, 0.3, 7, 1e4, 3e38])
    x = x[(x == 0) | (abs(x) > cap * 2.0**-120)]  # quotients without underflow
    got = scores(lambda s, b, h, q, n: cap * ops.tanh(x[q] / cap), len(x))
    want = cap * np.tanh(x.astype(float) / cap)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-12)


def test_scores_near_the_lowest_number_are_visible():
    """A user's finite minus infinity: keys that all have it share the row."""
    q, k = np.zeros((1, 1, 3, 4), "float32"), np.zeros((1, 1, 5, 4), "float32")
    v = np.arange(20, dtype="float32").reshape(1, 1, 5, 4)
    lowest = float(np.finfo("float32").min)
    got = fovea.attention(q, k, v, lambda s, b, h, m, n: ops.where(n < 9, lowest, s))
    np.testing.assert_allclose(got[0, 0], np.tile(v[0, 0].mean(0), (3, 1)), rtol=1e-6)


def softmax_sum(scores, v):
    """The convex combination in extended precision; scores [M, N], v [N, E]."""
    weights = np.exp(np.longdouble(scores) - scores.max(-1, keepdims=True))
    return (weights / weights.sum(-1, keepdims=True)) @ np.longdouble(v)


@pytest.mark.parametrize("target", [None, "x86-64-v3", "interpreter"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_values_near_the_largest_number_give_their_mean(dtype, target):
    """S11: no infinity that the formula does not give, though its sums overflow."""
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16"
                     else dtype)  # fmt: skip
    largest = float(np.finfo("float64" if dtype.itemsize == 8 else "float32").max)
    if dtype.itemsize == 2:
        largest = (2 - 2**-7) * 2.0**127
    rng = np.random.default_rng(0)
    M, N, E = 37, 300, 5
    q = rng.standard_normal((1, 1, M, 8)).astype(dtype)
    k = rng.standard_normal((1, 1, N, 8)).astype(dtype)
    v = np.ones((1, 1, N, E))
    v[..., 0] = largest
    v[..., 1] = -largest
    v[..., 2] = np.where(np.arange(N) % 2, largest, -largest)
    v[..., 3] = 3
    v[..., 4] = np.where(np.arange(N) < 5, largest, 1e-3)
    v = v.astype(dtype)
    out = fovea.attention(q, k, v, target=target)[0, 0].astype("float64")
    scores = np.longdouble(q[0, 0]) @ np.longdouble(k[0, 0]).T / np.sqrt(8)
    want = softmax_sum(scores, v[0, 0].astype("float64"))
    assert np.isfinite(out).all()
    tolerance = {8: 1e-13, 4: 3e-6, 2: 1e-2}[dtype.itemsize]
    bound = tolerance * np.abs(v[0, 0].astype("float64")).max(0)
    assert (np.abs(out - want) <= bound).all()


def test_rows_beside_an_overflow_keep_their_bits():
    rng = np.random.default_rng(1)
    q, k, v = rng.standard_normal((3, 1, 1, 64, 16)).astype("float32")
    doc = np.arange(64) // 20
    plain = fovea.attention(q, k, v, None, lambda b, h, q, n: doc[q] == doc[n])
    v[..., 20:40, 3] = 3e38
    out = fovea.attention(q, k, v, None, lambda b, h, q, n: doc[q] == doc[n])
    assert np.isfinite(out).all()
    touched = np.zeros(out.shape, bool)
    touched[..., 20:40, 3] = True
    np.testing.assert_array_equal(out[~touched], plain[~touched])
    np.testing.assert_allclose(out[touched], np.float32(3e38), rtol=1e-6)


def test_infinities_that_rows_see_stay_beside_overflows():
    q = k = np.zeros((1, 1, 8, 4), "float32")
    v = np.full((1, 1, 8, 3), 3e38, "float32")
    v[0, 0, 5] = np.inf, -np.inf, np.nan
    out = fovea.attention(q, k, v, None, lambda b, h, q, n: n <= q)[0, 0]
    np.testing.assert_allclose(out[:5], np.float32(3e38), rtol=1e-6)
    assert (out[5:, 0] == np.inf).all()
    assert (out[5:, 1] == -np.inf).all()
    assert np.isnan(out[5:, 2]).all()


def test_a_sum_without_a_denominator_may_overflow():
    """relu() has nothing to divide by: its sum itself is beyond float32."""
    q = k = np.ones((1, 1, 4, 4), "float32")
    v = np.full((1, 1, 4, 1), 3e38, "float32")
    assert (fovea.attention(q, k, v, normalizer="relu") == np.inf).all()


def finish_gain(gain):
    return lambda o, l, t, b, h, q, e: gain[e] * o / l  # noqa: E741


def test_overflows_with_a_sink_and_a_finish_of_ones_own():
    rng = np.random.default_rng(2)
    q, k = rng.standard_normal((2, 1, 2, 50, 8)).astype("float32")
    v = np.full((1, 2, 50, 2), 3e38, "float32")
    sink = np.float32([0.5, -1])
    value = np.full((2, 2), 1e38, "float32")
    gain = np.float32([0.5, 1.0])
    for normalizer in (
        fovea.normalizers.sink(sink, value),
        fovea.Normalizer(
            stat=lambda s: s,
            weight=lambda s, t, b, h, q, n: ops.exp(s - t),
            denom=lambda s, t, b, h, q, n: ops.exp(s - t),
            finish=finish_gain(gain),
        ),
    ):
        out = fovea.attention(q, k, v, normalizer=normalizer)
        want = fovea.attention(q, k, v / 2**20, normalizer=normalizer)
        if "sink" in str(normalizer.name):
            half = fovea.normalizers.sink(sink, value / 2**20)
            want = fovea.attention(q, k, v / 2**20, normalizer=half)
        np.testing.assert_allclose(out, want * 2**20, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_merging_near_the_largest_number(dtype):
    largest = np.finfo(dtype).max
    outs = [np.full((1, 1, 2, 1), x * largest, dtype) for x in (1, 1, 1)]
    lses = [np.zeros((1, 1, 2), dtype) for _ in outs]
    out, lse = fovea.merge(outs, lses)
    np.testing.assert_allclose(out, largest, rtol=1e-6)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(lse, np.log(3), rtol=1e-6)
    outs[1][..., 0, :] = np.inf
    assert fovea.merge(outs, lses)[0][0, 0, 0, 0] == np.inf


def targets(native_is_real):
    """Every engine that runs here."""
    return ["cpu", "x86-64-v3", "interpreter"] if native_is_real else ["cpu"]


@pytest.mark.parametrize("rows", [4, 80])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minimum_and_maximum_of_zeros(rows, dtype, native_is_real):
    """minimum, maximum: -0 lies below +0, in whatever order they come"""
    x = np.resize(np.array([0.0, -0.0, 0.0, -0.0], dtype), rows)
    y = np.resize(np.array([-0.0, 0.0, 0.0, -0.0], dtype), rows)
    for op, want in ((ops.minimum, [-1, -1, 1, -1]), (ops.maximum, [1, 1, 1, -1])):
        for target in targets(native_is_real):
            got = scores(
                lambda s, b, h, q, n, op=op: ops.where(1 / op(x[q], y[q]) > 0, 1.0, -1.0),
                rows, dtype, target=target,
            )  # fmt: skip
            np.testing.assert_array_equal(got, np.resize(want, rows))


def weight(s, t, b, h, q_idx, kv_idx):
    return ops.exp(s - t)


USERS_FINISH = {
    "denom": ({"denom": weight}, 0.0),
    "denom and gain": ({"denom": weight, "gain": True}, 0.0),
    "no denom": ({}, 1.5),
    "seed": ({"denom": weight, "seed": lambda b, h, q_idx: (0.0, 1.0)}, 0.75),
}


@pytest.mark.parametrize("rows", [4, 80])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("poison", [False, True])
@pytest.mark.parametrize("name", USERS_FINISH)
def test_dead_rows_of_a_users_finish(name, rows, dtype, poison, native_is_real):
    """A dead row gives finish(seed): 0, or the value of the sink (0 where l = 0)."""
    parts, want = USERS_FINISH[name]
    parts = dict(parts)
    gain = parts.pop("gain", False)

    def finish(o, l, t, b, h, q_idx, e_idx):  # noqa: E741
        return 2 * o / l if gain else (o + 1.5) / (l + 1)

    normalizer = fovea.Normalizer(
        weight=weight, stat=lambda s: s, finish=finish, **parts
    )
    q, k, v = (np.ones((1, 2, rows, 4), dtype) for _ in range(3))
    if poison:  # the exact kernel recomputes what does not end finite
        v[:, :, -1] = np.nan
    for target in targets(native_is_real):
        out = fovea.attention(
            q, k, v, None, lambda b, h, q_idx, kv_idx: q_idx % 2 > 0,
            normalizer=normalizer, target=target,
        )  # fmt: skip
        np.testing.assert_array_equal(out[:, :, ::2], want)
        assert np.isnan(out[:, :, 1::2]).all() == poison


def infinite_sinks(sigma, value):
    """The normaliser of the library and the one that a user would write."""
    yield fovea.normalizers.sink(sigma, value)
    yield fovea.Normalizer(
        weight=weight, stat=lambda s: s, denom=weight, seed_value=value,
        seed=lambda b, h, q_idx: (sigma[h], 1.0),
    )  # fmt: skip


@pytest.mark.parametrize("rows", [1, 4, 80])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("with_value", [False, True])
def test_sinks_that_are_not_finite(rows, dtype, with_value, native_is_real):
    """At +inf a sink takes all, at -inf it is none; rows without keys give its value."""
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    rng = np.random.default_rng(0)
    q, k, v = (
        rng.standard_normal((1, 3, n, 8)).astype(dtype) for n in (rows, 300, 300)
    )
    sigma = np.float32([np.inf, -np.inf, np.nan])
    value = np.full((3, 8), 2, np.float32) if with_value else None
    want = 2.0 if with_value else 0.0
    plain, plain_lse = fovea.attention(q, k, v, return_lse=True)
    for normalizer in infinite_sinks(sigma, value):
        for target in targets(native_is_real):
            out, lse = fovea.attention(
                q, k, v, None, lambda b, h, q_idx, kv_idx: q_idx % 3 != 2,
                normalizer=normalizer, target=target, return_lse=True,
                schedule=None if target == "interpreter" else {"split": 64},
            )  # fmt: skip
            alone = np.arange(rows) % 3 == 2
            np.testing.assert_array_equal(out[:, :, alone], want)
            np.testing.assert_array_equal(out[:, 0], want)
            np.testing.assert_array_equal(lse[:, 0], np.inf)
            np.testing.assert_array_equal(lse[:, 1, alone], -np.inf)
            assert np.isnan(out[:, 2, ~alone].astype(float)).all()
            assert np.isnan(lse[:, 2]).all()
            near = (
                {"rtol": 1e-2, "atol": 1e-2} if dtype.itemsize == 2 else {"rtol": 1e-5}
            )
            for got, of_softmax in ((out, plain), (lse, plain_lse)):
                got, of_softmax = (
                    x[:, 1, ~alone].astype(float) for x in (got, of_softmax)
                )
                np.testing.assert_allclose(got, of_softmax, **{"atol": 1e-5, **near})
