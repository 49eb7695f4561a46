"""Numbers that are easy to get wrong: each against the formula in f64."""

import numpy as np
import pytest

import fovea
from fovea import ops


def scores(mod, rows, dtype="float32", **offsets):
    """What a mod gives for each row, as the lse of rows of one key."""
    q = np.zeros((1, 1, rows, 1), dtype)
    k = np.zeros((1, 1, 1, 1), dtype)
    return fovea.attention(q, k, k, mod, return_lse=True, **offsets)[1][0, 0]


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


def test_captures_at_negative_positions_are_clamped():
    table = np.arange(100.0)[50:60]
    got = scores(lambda s, b, h, q, n: table[q], 40, "float64", q_offset=-20)
    np.testing.assert_array_equal(got, table[np.clip(np.arange(-20, 20), 0, 9)])


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_of_huge_numbers(name):
    x = np.float32([1e8, 1e15, 6577775162949632, 1e20, 1e25, 1e30, -3e38])
    got = scores(lambda s, b, h, q, n: getattr(ops, name)(x[q]), len(x))
    np.testing.assert_allclose(got, getattr(np, name)(x.astype(float)), rtol=1e-6)
