"""Keys and values in pages: fovea.Pages in place of k and v."""

import re

import ml_dtypes
import numpy as np
import pytest
from api_common import causal, inputs, plain, shared
from judge import judge_attention
from test_api_package import run

import fovea

PROGRAM = {"score": None, "mask": None, "normalizer": "softmax"}
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("page", [1, 5, 16, 64])
@pytest.mark.parametrize("tokens", [False, True])
def test_pages_of_any_length_and_layout(dtype, page, tokens):
    q, k, v = inputs(B=3, Hq=8, Hk=2, M=1, N=320, D=32, E=64, dtype=dtype)
    lengths = np.array([320, 7, 133])
    a, b = shared(k, v, page, lengths=lengths, tokens=tokens)
    got, got_lse = fovea.attention(q, a, b, kv_lengths=lengths, return_lse=True)
    want, want_lse = fovea.attention(q, k, v, kv_lengths=lengths, return_lse=True)
    assert got.tobytes() == want.tobytes()
    assert got_lse.tobytes() == want_lse.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("page", [1, 2, 3, 16, 17, 256])
@pytest.mark.parametrize("tokens", [False, True])
def test_pages_are_as_exact_as_one_piece(dtype, page, tokens):
    """Rows of whole lines, parts and blocks that end within pages."""
    q, k, v = inputs(B=2, Hq=8, Hk=2, M=1, N=1100, D=128, dtype=dtype)
    lengths = np.array([1100, 517])
    a, b = shared(k, v, page, lengths=lengths, tokens=tokens)
    out, lse = fovea.attention(q, a, b, kv_lengths=lengths, return_lse=True)
    for i, n in enumerate(lengths):
        at = slice(i, i + 1)
        verdicts = judge_attention(
            out[at], lse[at], PROGRAM, (q[at], k[at, :, :n], v[at, :, :n])
        )
        assert all(verdict.passed for verdict in verdicts), verdicts


@pytest.mark.filterwarnings("ignore:.* copies the keys of pages")
@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("target", [None, "interpreter"])
def test_pages_with_a_mask_and_any_number_of_queries(rows, target):
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=rows, N=96, D=16)
    a, b = shared(k, v, 8)
    offset = 96 - rows
    got = fovea.attention(q, a, b, mask_mod=causal, q_offset=offset, target=target)
    want = plain(q, k, v, mask=lambda b, h, m, n: m + offset >= n)
    np.testing.assert_allclose(got, want, atol=3e-6)


def test_a_kernel_takes_pages_and_arrays():
    q, k, v = inputs(Hq=2, M=1, N=64)
    kernel = fovea.compile(D=8)
    before = fovea.cache_info().compiles
    whole = kernel(q, k, v)
    assert kernel(q, *shared(k, v, 16)).tobytes() == whole.tobytes()
    assert fovea.cache_info().compiles == before


def test_the_table_is_live():
    q, k, v = inputs(M=1, N=32)
    a, b = shared(k, v, 16)
    a.table[:] = a.table[:, ::-1].copy()
    order = np.r_[16:32, 0:16]
    np.testing.assert_allclose(
        fovea.attention(q, a, b), plain(q, k[:, :, order], v[:, :, order]), atol=3e-6
    )


@pytest.mark.filterwarnings("ignore:.* copies the keys of pages")
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("target", [None, "interpreter"])
def test_a_wide_table_costs_what_is_read_of_it(rows, target):
    """A table with room for 2^40 keys, of which the sequences have 100 at most."""
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=rows, N=128, D=16)
    a, b = shared(k, v, 16)
    wide = np.lib.stride_tricks.as_strided(a.table, (2, 2**36), a.table.strides)
    lengths = np.array([100, 33])
    pages = [fovea.Pages(x.pages, wide) for x in (a, b)]
    got = fovea.attention(q, *pages, kv_lengths=lengths, target=target)
    want = plain(q, k, v, mask=lambda b, h, m, n: n < lengths[b])
    np.testing.assert_allclose(got, want, atol=3e-6)


def test_calls_that_copy_pages_warn_once(native_is_real):
    """a path below the fast one warns once and appears in explain()"""
    if not native_is_real:
        pytest.skip("the stand-in copies nothing")

    def mask(b, h, q, kv):
        return kv * 7 >= q

    q, k, v = inputs(Hq=4, Hk=2, M=17, N=64)
    a, b = shared(k, v, 16)
    fovea.attention(q[:, :, :16], a, b, mask_mod=mask)
    fovea.attention(q, a, b, mask_mod=mask, target="interpreter")
    with pytest.warns(fovea.PerformanceWarning) as seen:
        for _ in range(2):
            fovea.attention(q, a, b, mask_mod=mask)
            blocks = fovea.create_block_mask(mask, 1, 4, 1, 64, 16)
            fovea.attention(q[:, :, :1], a, b, block_mask=blocks)
    copies = "mask: each call copies the keys of pages into one piece; "
    assert [str(w.message) for w in seen] == [
        copies + "calls of at most 32 rows a key head read them where they lie",
        copies + "a kernel for few queries, without a block mask, would not need that",
    ]
    (line,) = (
        line
        for line in fovea.compile(mask_mod=mask, D=8).explain().splitlines()
        if line.startswith("  few queries: calls of at most 32 rows a key head")
    )
    assert line.endswith(" and pages where they lie")


def test_too_many_pages_are_refused_before_any_work():
    q, k, v = inputs(B=2, M=1, N=64)
    a, _ = shared(k, v, 16)
    wide = fovea.Pages(a.pages, np.broadcast_to(np.int32(0), (2, 2**36)))
    rule = "table: sequences of one call must have at most 2^30 pages, got 2 of up to"
    with pytest.raises(ValueError, match=f"^{re.escape(rule)} 68719476736$"):
        fovea.attention(q, wide, wide)


LIMITED = """
import re, resource, numpy as np, fovea
x = np.ones((1, 1, 16, 16), np.float32)
def call(width):
    pages = fovea.Pages(x, np.broadcast_to(np.int32(0), (1, width)))
    return fovea.attention(x[:, :, :1], pages, pages)
call(1)
used = int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, -1))
try:
    call(2**29)
except MemoryError as error:
    print(error)
print(call(1).max())
"""


def test_no_memory_for_the_table_is_an_error_with_its_bytes(native_is_real):
    if not native_is_real:
        pytest.skip("the stand-in keeps no table")
    assert run(LIMITED) == (
        "table: no memory for 4294967296 bytes of the pages that are read\n1.0\n"
    )


def test_values_that_are_not_finite_touch_no_other_row():
    q, k, v = inputs(B=2, M=1, N=64)
    v[1, 0, 3, 0] = np.inf
    a, b = shared(k, v, 16)
    got = fovea.attention(q, a, b)
    assert np.isinf(got[1, 0, 0, 0])
    np.testing.assert_allclose(got[0], plain(q, k, v)[0], atol=3e-6)


def bad(case):
    q, k, v = inputs(B=2, M=1, N=32)
    a, b = shared(k, v, 16)
    table = a.table.copy()

    def with_table(table):
        return fovea.Pages(a.pages, table), fovea.Pages(b.pages, table)

    if case == "k alone":
        return q, a, v
    if case == "v alone":
        return q, k, b
    if case == "two tables":
        return q, a, fovea.Pages(b.pages, table)
    if case == "rank of the pool":
        return q, fovea.Pages(a.pages[0], a.table), b
    if case == "rank of the table":
        return q, *with_table(table[0])
    if case == "dtype of the table":
        return q, *with_table(table.astype(np.float32))
    if case == "width of the table":
        return q, *with_table(table.astype(np.int16))
    if case == "batch of the table":
        return q, *with_table(table[:1])
    if case == "page lengths":
        return q, a, fovea.Pages(b.pages[:, :, :8], a.table)
    if case == "no rows":
        return q, fovea.Pages(a.pages[:, :, :0], a.table), b
    if case == "no pages":
        table[:] = 0
        return q, *(fovea.Pages(x.pages[:0], table) for x in (a, b))
    if case == "an entry too large":
        table[1, 1] = 99
    if case == "a negative entry":
        table[1, 0] = -1
    return q, *with_table(table)


BAD = {
    "k alone": (TypeError, "v: must be a fovea.Pages where k is, got numpy.ndarray"),
    "v alone": (TypeError, "k: must be a fovea.Pages where v is, got numpy.ndarray"),
    "two tables": (
        ValueError,
        "table: must be one array for k and v, got another for v",
    ),
    "rank of the pool": (ValueError, "k: rank must be 4 (pages, Hk, length, D), got 3"),
    "rank of the table": (
        ValueError,
        "table: rank must be 2 (B, pages a sequence), got 1",
    ),
    "dtype of the table": (
        TypeError,
        "table: dtype must be int32 or int64, got float32",
    ),
    "width of the table": (
        TypeError,
        "table: dtype must be int32 or int64, got int16",
    ),
    "batch of the table": (
        ValueError,
        "table: batch must be that of q (2), got 1",
    ),
    "page lengths": (ValueError, "v: page length must be that of k (16), got 8"),
    "no rows": (ValueError, "k: page length must be at least 1, got 0"),
    "no pages": (
        ValueError,
        "table: no entry can be used, the pool has no pages; got 0 for batch 0, page 0",
    ),
    "an entry too large": (
        ValueError,
        "table: entries must lie within 0 and 5, got 99 for batch 1, page 1",
    ),
    "a negative entry": (
        ValueError,
        "table: entries must lie within 0 and 5, got -1 for batch 1, page 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pages(case):
    """Argument, rule, given"""
    kind, text = BAD[case]
    with pytest.raises(kind) as caught:
        fovea.attention(*bad(case))
    assert str(caught.value) == text


@pytest.mark.parametrize("name", ["pages", "table"])
def test_pages_are_made_of_arrays(name):
    arrays = {"pages": np.zeros((1, 1, 8, 8)), "table": np.zeros((1, 1), np.int32)}
    with pytest.raises(TypeError) as caught:
        fovea.Pages(**{**arrays, name: [1]})
    assert str(caught.value) == (
        f"{name}: must be a numpy.ndarray or have __dlpack__, got list"
    )


def test_repr_of_pages():
    pages = fovea.Pages(np.zeros((4, 2, 16, 8)), np.zeros((1, 3), np.int32))
    assert repr(pages) == "<fovea.Pages: pool (4, 2, 16, 8), table (1, 3)>"
