"""Every entry compiled and run, in all types, within the judge's bound.

The f64 result comes from the dense formulas of zoo_cases, the plain one from
the NumPy reference.
"""

import functools

import ml_dtypes
import numpy as np
import pytest
from judge import judge_attention
from test_attn_files import ROOT
from zoo_cases import cases, dense_attention, inputs

import fovea
from fovea.dsl import trace_variant

DTYPES = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
#: Small tiles in two types, so that every entry crosses their borders; the file
#: form runs float32 with the schedule of the cost model.
SCHEDULES = {"float32": {"m": 32, "n": 32}, "float16": {"m": 48, "n": 16}}
ALL = [(case, sizes) for case in cases().values() for sizes in case.sizes]
IDS = [f"{case.name}-{sizes}" for case, sizes in ALL]


@functools.cache
def load(file):
    return fovea.load(ROOT / file)


def expect_good(case, sizes, dtype, example, out, lse):
    """The results of the case are within the judge's bound."""
    q, k, v = inputs(sizes, dtype)
    exact = dense_attention(example, sizes, q, k, v)
    traced = trace_variant(example.score_mod, example.mask_mod, example.normalizer)
    offset = 0 if example.q_offset is None else example.q_offset
    for what, verdict in zip(
        ("out", "lse"),
        judge_attention(
            np.asarray(out, np.float64),
            lse,
            traced.program,
            (q, k, v),
            traced.arrays,
            exact=exact,
            q_offset=offset,
        ),
        strict=False,
    ):
        assert verdict.passed, f"{case.name} {what}: {verdict}"


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "sizes"), ALL, ids=IDS)
def test_python_form(case, sizes, dtype, target):
    example = case.example(sizes)
    has_lse = dense_attention(example, sizes, *inputs(sizes, "f8"))[1] is not None
    got = fovea.attention(
        *inputs(sizes, DTYPES[dtype]),
        example.score_mod,
        example.mask_mod,
        normalizer=example.normalizer,
        return_lse=has_lse,
        target=target,
        schedule=SCHEDULES.get(dtype) if target == "cpu" else None,
        q_offset=0 if example.q_offset is None else example.q_offset,
    )
    out, lse = got if has_lse else (got, None)
    assert out.dtype == DTYPES[dtype]
    expect_good(case, sizes, DTYPES[dtype], example, out, lse)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("case", "sizes"), ALL, ids=IDS)
def test_file_form(case, sizes, dtype):
    example = case.example(sizes)
    q, k, v = inputs(sizes, DTYPES[dtype])
    given = {**example.captures, **example.params}
    if example.q_offset is None:
        out = load(case.file)(q, k, v, **given)
    else:
        kernel = load(case.file).compile(
            D=sizes.D, E=sizes.E, dtype=dtype, captures=given
        )
        out = kernel(q, k, v, q_offset=example.q_offset)
    expect_good(case, sizes, DTYPES[dtype], example, out, None)
