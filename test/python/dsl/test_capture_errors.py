"""Every kind of mistake with a capture, with the type and the text that answers it."""

import warnings

import numpy as np
import pytest
from failing import failing

from fovea import ops
from fovea.dsl import trace_variant
from fovea.errors import TraceError

bias = np.ones((4, 8))
slope = np.ones(4)
number = np.array(2.0)
objects = np.array([None, 1], object)
items = [1, 2, 3]

CAPTURES = [
    (lambda s, b, h, q, k: s + bias, "'bias': whole-array arithmetic"),
    (lambda s, b, h, q, k: bias * 2, "'bias': whole-array arithmetic"),
    (lambda s, b, h, q, k: 2 - bias, "'bias': whole-array arithmetic"),
    (lambda s, b, h, q, k: (bias + slope)[h], "'bias': whole-array arithmetic"),
    (
        lambda s, b, h, q, k: s + np.exp(slope)[h],
        "'slope': whole-array arithmetic (np.exp)",
    ),
    (lambda s, b, h, q, k: s + np.cumsum(slope)[h], "'slope': a NumPy function"),
    (lambda s, b, h, q, k: s + ops.exp(slope), "'slope': whole-array arithmetic"),
    (lambda s, b, h, q, k: s + bias[h], "'bias' (1 of 2 indices given): whole-array"),
    (lambda s, b, h, q, k: bias[h], "got <captured array bias, rank 1>; index it down"),
    (lambda s, b, h, q, k: slope, "index it down to one number"),
    (
        lambda s, b, h, q, k: slope[h, q],
        "'slope': more indices than its 1 dimension(s)",
    ),
    (
        lambda s, b, h, q, k: bias[h][q][k],
        "cannot be indexed",
    ),
    (lambda s, b, h, q, k: slope[s], "'slope': a float index (s)"),
    (lambda s, b, h, q, k: slope[1.0], "'slope': a float index (1.0)"),
    (lambda s, b, h, q, k: slope[q > k], "'slope': a bool index (q > k)"),
    (lambda s, b, h, q, k: slope[True], "'slope': a bool index"),
    (lambda s, b, h, q, k: slope[:], "'slope': a slice"),
    (lambda s, b, h, q, k: bias[h, 1:2], "'bias': a slice"),
    (lambda s, b, h, q, k: bias[..., q], "'bias': a slice"),
    (lambda s, b, h, q, k: slope[None], "'slope': a new axis"),
    (lambda s, b, h, q, k: slope["a"], "'slope': an index of type str"),
    (lambda s, b, h, q, k: slope[[0, 1]], "'slope': an index of type list"),
    (lambda s, b, h, q, k: slope[slope], "'slope': an index of type"),
    (lambda s, b, h, q, k: len(slope), "'slope': len()"),
    (lambda s, b, h, q, k: float(slope), "'slope': conversion to a number"),
    (lambda s, b, h, q, k: s if slope else 0, "'slope': a truth value"),
    (lambda s, b, h, q, k: sum(slope), "'slope': iteration"),
    (lambda s, b, h, q, k: s if 3 in slope else 0, "'slope': `in`"),
    (lambda s, b, h, q, k: slope.mean(), "'slope': the attribute .mean"),
    (lambda s, b, h, q, k: bias.T[q, h], "'bias': the attribute .T"),
    (lambda s, b, h, q, k: {slope: 1}, "'slope': hashing"),
    (lambda s, b, h, q, k: slope @ slope, "'slope': whole-array arithmetic"),
    (lambda s, b, h, q, k: slope == 1, "'slope': whole-array arithmetic"),
    (lambda s, b, h, q, k: slope.__setitem__(0, s), "'slope': assignment"),
    (lambda s, b, h, q, k: slope.__delitem__(0), "'slope': assignment"),
    (lambda s, b, h, q, k: np.asarray(slope), "'slope': a NumPy function of the whole"),
    (lambda s, b, h, q, k: number[q], "'number': more indices than its 0"),
    (lambda s, b, h, q, k: s if number > 1 else 0, "`if`"),
    (lambda s, b, h, q, k: items[number], "indexing a Python sequence"),
    (lambda s, b, h, q, k: objects[q], "'objects' has dtype object"),
]


@pytest.mark.parametrize("case", CAPTURES, ids=lambda case: case[1])
def test_misused_captures(case):
    mod, want = case
    error, text = failing(mod)
    assert isinstance(error, TraceError) and want in text
    assert text.startswith(f"score_mod '<lambda>' ({__file__}:")


def test_assignment_to_a_capture():
    def mod(s, b, h, q, k):
        slope[h] = 3.0
        return s

    error, text = failing(mod)
    assert isinstance(error, TraceError)
    assert "'slope': assignment" in text and "read only" in text
    local = np.ones(4)

    def inplace(s, b, h, q, k):
        nonlocal local
        local += 1
        return s

    assert "whole-array arithmetic" in failing(inplace)[1]
    assert local[0] == 1


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    matrix = np.matrix([[1.0]])


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (np.array(["a"]), "has dtype <U1, which Fovea does not read"),
        (np.array([None]), "has dtype object, which Fovea does not read"),
        (np.ones(2, complex), "has dtype complex128, which Fovea does not read"),
        (np.ones(2, np.uint64), "has dtype uint64, which Fovea does not read"),
        (np.ones(2, np.longdouble), "which Fovea does not read"),
        (np.ones(2, "M8[s]"), "which Fovea does not read"),
        (np.ones(2, ">f4"), "in foreign byte order"),
        (np.ones(2, [("x", "f4")]), "has the structured dtype"),
        (np.ma.masked_array(np.ones(2)), "is a masked array"),
        (matrix, "is a numpy.matrix"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_read(array, want):
    error, text = failing(lambda s, b, h, q, k: s + array[q])
    assert isinstance(error, TraceError)
    assert "captured array 'array' " in text and want in text
    assert trace_variant(lambda s, b, h, q, k: s if array is not None else 0)


def test_tensors_that_cannot_be_read():
    class Strange:
        ndim, shape = 1, (3,)

        def __init__(self, **fields):
            self.dtype = "torch.float32"
            vars(self).update(fields)

        def __dlpack__(self):
            raise BufferError("no")

    def text(**fields):
        tensor = Strange(**fields)
        return failing(lambda s, b, h, q, k: s + tensor[q])[1]

    assert "'tensor' is sparse" in text(is_sparse=True)
    assert "'tensor' is sparse" in text(layout="torch.sparse_csr")
    assert "'tensor' is a meta tensor" in text(is_meta=True)
    assert "has dtype torch.complex64" in text(dtype="torch.complex64")
    assert "cannot be read through __dlpack__ (BufferError: no)" in text(dtype=None)


def test_tables_that_cannot_be_read():
    series = type("Series", (), {"__array__": None, "__module__": "pandas.core"})()
    _, text = failing(lambda s, b, h, q, k: s + series[q])
    assert "'series' is a Series, which has no __dlpack__; use np.asarray(…)" in text
    sparse = type("csr_array", (), {"tocsr": None})()
    _, text = failing(lambda s, b, h, q, k: s + sparse[q, k])
    assert "'sparse' is sparse; use a dense array" in text
