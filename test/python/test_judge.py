"""The judge passes what is as good as the plain computation, and nothing else."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import ml_dtypes
import numpy as np
import pytest
from judge import judge, judge_attention
from reference import reference_attention

PROGRAM = {"score": None, "mask": None, "normalizer": "softmax"}
CAUSAL = PROGRAM | {
    "mask": {
        "args": ["b", "h", "q", "kv"],
        "nodes": [["arg", "q"], ["arg", "kv"], ["igt", 0, 1]],
        "results": [2],
    }
}
TYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]


def data(dtype):
    rng = np.random.default_rng(0)
    shapes = (1, 2, 70, 16), (1, 1, 90, 16), (1, 1, 90, 24)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("program", [PROGRAM, CAUSAL])
def test_plain_computation_passes(program, dtype):
    qkv = data(dtype)
    out, lse = reference_attention(program, *qkv, working=dtype)
    assert all(v.passed for v in judge_attention(out, lse, program, qkv))


@pytest.mark.parametrize("dtype", TYPES)
def test_plain_computation_of_narrower_inputs_fails(dtype):
    qkv = data(dtype)
    narrow = [x.astype(ml_dtypes.float8_e4m3fn).astype(dtype) for x in qkv]
    out, lse = reference_attention(PROGRAM, *narrow, working=dtype)
    assert not any(v.passed for v in judge_attention(out, lse, PROGRAM, qkv))


@pytest.mark.parametrize("dtype", TYPES)
def test_one_wrong_row_fails(dtype):
    qkv = data(dtype)
    out, lse = reference_attention(PROGRAM, *qkv, working=dtype)
    out[0, 1, 33] = out[0, 1, 34]
    (verdict,) = judge_attention(out, None, PROGRAM, qkv)
    assert not verdict.passed


def test_rows_that_see_no_key_are_exact():
    qkv = data(np.float32)
    out, lse = reference_attention(CAUSAL, *qkv, working=np.float32)
    assert not out[0, 0, 0].any()
    out[0, 0, 0, 0] = 1e-30
    assert "sees no key" in judge_attention(out, None, CAUSAL, qkv)[0].reason


def test_sums_that_cancel_may_be_rounded():
    """A single score of 0 gives lse 0, which marks no row that sees no key."""
    rows = np.array([[0.0], [1.0], [-np.inf]])
    rounded = rows + np.array([[2.0**-26], [0.0], [0.0]])
    assert judge(rounded, rows, rows, np.float32, dead=-np.inf).passed
    rounded[2] = -1e38
    assert not judge(rounded, rows, rows, np.float32, dead=-np.inf).passed


def test_nan_is_wanted_exactly_where_the_formula_has_it():
    exact = np.ones((4, 3))
    exact[0, 0] = np.nan
    assert judge(exact, exact, exact, np.float32).passed
    assert "missing" in judge(np.ones((4, 3)), exact, exact, np.float32).reason
    worse = exact.copy()
    worse[1, 1] = np.nan
    assert "not finite" in judge(worse, exact, exact, np.float32).reason


def test_other_shapes_fail():
    assert not judge(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 3)), "f4").passed
