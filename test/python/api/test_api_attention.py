"""`attention` and `compile`, sentence by sentence."""

import copy
import functools
import inspect
import pickle
import threading

import ml_dtypes
import numpy as np
import pytest
from api_common import Exporter, causal, inputs, plain

import fovea

TOLERANCE = {
    np.float16: 4e-3,
    ml_dtypes.bfloat16: 3e-2,
    np.float32: 2e-6,
    np.float64: 1e-13,
}
DTYPES = list(TOLERANCE)


def close(got, want, dtype=np.float32):
    np.testing.assert_allclose(
        np.asarray(got).astype(np.float64), want, rtol=0, atol=TOLERANCE[dtype]
    )


def test_signature_of_attention():
    """attention(q, k, v, score_mod=None, mask_mod=None, block_mask=None, scale=None,
    normalizer="softmax", return_lse=False, target=None, *, captures=None, q_offset=0,
    kv_offset=0, q_lengths=None, kv_lengths=None, schedule=None)"""
    parameters = inspect.signature(fovea.attention).parameters
    shown = [(p.name, p.default) for p in parameters.values()]
    assert shown == [
        ("q", inspect.Parameter.empty),
        ("k", inspect.Parameter.empty),
        ("v", inspect.Parameter.empty),
        ("score_mod", None),
        ("mask_mod", None),
        ("block_mask", None),
        ("scale", None),
        ("normalizer", "softmax"),
        ("return_lse", False),
        ("target", None),
        ("captures", None),
        ("q_offset", 0),
        ("kv_offset", 0),
        ("q_lengths", None),
        ("kv_lengths", None),
        ("schedule", None),
    ]
    kinds = [p.kind for p in parameters.values()]
    assert (
        kinds
        == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 10
        + [inspect.Parameter.KEYWORD_ONLY] * 6
    )


SIGNATURES = {
    "compile": "score_mod=None mask_mod=None * D E=None dtype='float32' scale=None"
    " normalizer='softmax' block_mask=False captures=None return_lse=False target=None"
    " schedule=None",
    "create_block_mask": "mask_mod B H Q_LEN KV_LEN BLOCK_SIZE=128 * captures=None"
    " q_offset=0 kv_offset=0 device=None exact=True",
    "create_mask": "mod B H Q_LEN KV_LEN * captures=None",
    "merge": "outs lses",
    "load": "path name=None",
    "load_kernel": "path",
    "cache_info": "",
    "clear_cache": "",
    "show_config": "",
    "set_num_threads": "n",
    "Kernel.__call__": "self q k v * block_mask=None captures=None q_offset=0"
    " kv_offset=0 q_lengths=None kv_lengths=None",
    "Variant.__call__": "self q k v * target=None return_lse=False"
    " **captures_and_params",
    "BlockMask.from_kv_blocks": "kv_num_blocks kv_indices full_kv_num_blocks=None"
    " full_kv_indices=None BLOCK_SIZE=128 mask_mod=None seq_lengths=None",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    """Names, order, defaults ... are fixed; inspect.signature shows them."""
    target = functools.reduce(getattr, name.split("."), fovea)
    parts = []
    for parameter in inspect.signature(target).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        text = parameter.name
        if parameter.kind is parameter.VAR_KEYWORD:
            text = f"**{text}"
        elif parameter.default is not parameter.empty:
            text += f"={parameter.default!r}"
        parts.append(text)
    assert " ".join(parts) == SIGNATURES[name]


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_attention(dtype):
    """out [B,Hq,M,E] ... of q's library, dtype"""
    q, k, v = inputs(B=2, Hq=4, M=13, N=21, D=8, E=6, dtype=dtype)
    out = fovea.attention(q, k, v)
    assert type(out) is np.ndarray
    assert out.dtype == dtype
    assert out.shape == (2, 4, 13, 6)
    close(out, plain(q, k, v), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lse_has_the_score_type(dtype):
    """lse [B,Hq,M] in the score type (float32; float64 for float64 inputs)"""
    q, k, v = inputs(B=2, M=5, N=7, dtype=dtype)
    out, lse = fovea.attention(q, k, v, return_lse=True)
    assert lse.dtype == (np.float64 if dtype is np.float64 else np.float32)
    assert lse.shape == (2, 2, 5)
    want, want_lse = plain(q, k, v, lse=True)
    close(out, want, dtype)
    np.testing.assert_allclose(lse, want_lse, atol=2e-6)


STRIDES = {
    "transposed": lambda x: np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(
        0, 2, 1, 3
    ),
    "negative": lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
    "last stride 2": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "last stride negative": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "fortran": np.asfortranarray,
    "sliced": lambda x: np.pad(x, ((0, 0), (0, 0), (3, 2), (1, 4)))[:, :, 3:-2, 1:-4],
}


@pytest.mark.parametrize("case", STRIDES)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_any_strides(case, dtype):
    """any strides (transposed, broadcast, negative, last stride != 1), read-only"""
    arrays = inputs(B=2, M=9, N=11, dtype=dtype)
    want = fovea.attention(*arrays)
    changed = []
    for array in arrays:
        view = STRIDES[case](array)
        view.flags.writeable = False
        np.testing.assert_array_equal(view, array)
        changed.append(view)
    got = fovea.attention(*changed)
    np.testing.assert_allclose(
        got.astype(np.float64), want.astype(np.float64), atol=TOLERANCE[dtype]
    )


def test_broadcast_inputs():
    """any strides (transposed, broadcast, ...)"""
    q, k, v = inputs(B=3, M=4, N=5)
    k = np.broadcast_to(k[:1], k.shape)
    v = np.broadcast_to(v[:, :1], v.shape)
    close(fovea.attention(q, k, v), plain(q, k, v))


def test_memmap_inputs(tmp_path):
    """captures (... memmap ...): a subclass of ndarray is read as it is"""
    q, k, v = inputs()
    mapped = np.memmap(tmp_path / "q", np.float32, "w+", shape=q.shape)
    mapped[:] = q
    out = fovea.attention(mapped, k, v)
    assert type(out) is np.ndarray
    close(out, plain(q, k, v))


def test_a_transposed_bshd_view_gives_one_back():
    """memory order (a transposed BSHD view gives one back)"""
    q, k, v = inputs(B=2, Hq=3, M=5, E=6)
    bshd = STRIDES["transposed"](q)
    out = fovea.attention(bshd, k, v)
    assert out.shape == (2, 3, 5, 6)
    assert out.transpose(0, 2, 1, 3).flags.c_contiguous
    assert fovea.attention(q, k, v).flags.c_contiguous
    assert fovea.attention(np.asfortranarray(q), k, v).flags.f_contiguous


def test_the_result_shares_no_memory():
    """never shares memory with an input"""
    q, k, v = inputs()
    out = fovea.attention(q, k, v)
    again = fovea.attention(q, k, v)
    for array in (q, k, v, again):
        assert not np.shares_memory(out, array)
    assert out.flags.owndata or out.base.flags.owndata


@pytest.mark.parametrize("heads", [(1, 1), (4, 1), (4, 2), (6, 3), (8, 8)])
def test_hq_is_a_multiple_of_hk(heads):
    """Hq is a positive multiple of Hk, no flag needed."""
    q, k, v = inputs(Hq=heads[0], Hk=heads[1])
    close(fovea.attention(q, k, v), plain(q, k, v))


@pytest.mark.parametrize("batches", [(3, 3), (1, 3), (3, 1), (1, 1)])
def test_k_and_v_have_b_or_1_batches(batches):
    """k and v have B or 1 batches"""
    q, k, v = inputs(B=3)
    k, v = k[: batches[0]], v[: batches[1]]
    close(fovea.attention(q, k, v), plain(q, k, v))


EMPTY = {
    "B": dict(B=0), "M": dict(M=0), "N": dict(N=0), "E": dict(E=0),
    "B M N E": dict(B=0, M=0, N=0, E=0), "M N": dict(M=0, N=0),
}  # fmt: skip


@pytest.mark.parametrize("case", EMPTY)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_empty_sizes(case, dtype):
    """E, B, M, N = 0 give empty or dead results"""
    sizes = {"B": 2, "M": 3, "N": 4, "E": 5, **EMPTY[case]}
    q, k, v = inputs(**sizes, dtype=dtype)
    out, lse = fovea.attention(q, k, v, return_lse=True)
    assert out.shape == (sizes["B"], 2, sizes["M"], sizes["E"])
    assert lse.shape == (sizes["B"], 2, sizes["M"])
    if not sizes["N"]:
        assert (out == 0).all()
        assert np.isneginf(lse).all()


def test_largest_head_dims():
    """D is 1...512, E 0...512"""
    q, k, v = inputs(M=3, N=4, D=512, E=512)
    close(fovea.attention(q, k, v), plain(q, k, v))
    q, k, v = inputs(M=3, N=4, D=1, E=1)
    close(fovea.attention(q, k, v), plain(q, k, v))


def test_changing_the_scale_never_recompiles():
    """scale ...; changing it never recompiles"""
    q, k, v = inputs()
    fovea.attention(q, k, v)
    before = fovea.cache_info().compiles
    for scale in (0, -0.5, 2.0):
        close(fovea.attention(q, k, v, scale=scale), plain(q, k, v, scale=scale))
    assert fovea.cache_info().compiles == before


def test_mods_and_live_captures():
    """Arrays are live ... and never recompile"""
    q, k, v = inputs(B=2, Hq=4, M=16, N=16)
    doc = np.repeat(np.arange(4), 4)
    slope = 2.0 ** -np.arange(1, 5)

    def alibi(score, b, h, q_idx, kv_idx):
        return score + slope[h] * (kv_idx - q_idx)

    def causal_document(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (doc[q_idx] == doc[kv_idx])

    def check():
        want = plain(
            q, k, v,
            lambda s, b, h, m, n: s + slope[h] * (n - m),
            lambda b, h, m, n: (m >= n) & (doc[m] == doc[n]),
        )  # fmt: skip
        close(fovea.attention(q, k, v, alibi, causal_document), want)

    check()
    before = fovea.cache_info().compiles
    doc[:] = np.arange(16) // 8
    slope[:] = 0.25
    check()
    assert fovea.cache_info().compiles == before


def test_a_changed_constant_makes_another_variant():
    """Python numbers ... are compared at each call ... a change makes another variant"""
    q, k, v = inputs()
    window = 3

    def near(b, h, q_idx, kv_idx):
        return abs(q_idx - kv_idx) < window

    def want():
        return plain(q, k, v, mask=lambda b, h, m, n: abs(m - n) < window)

    close(fovea.attention(q, k, v, mask_mod=near), want())
    window = 5
    close(fovea.attention(q, k, v, mask_mod=near), want())


def test_a_kernel_follows_its_mods():
    """Kernel, called as kernel(q, k, v)"""
    q, k, v = inputs()
    bias = np.zeros((12, 12), np.float32)
    window = 3

    def near(b, h, q_idx, kv_idx):
        return abs(q_idx - kv_idx) < window

    def biased(score, b, h, q_idx, kv_idx):
        return score + bias[q_idx, kv_idx]

    kernel = fovea.compile(biased, near, D=8)

    def want():
        return plain(
            q, k, v,
            lambda s, b, h, m, n: s + bias[m, n],
            lambda b, h, m, n: abs(m - n) < window,
        )  # fmt: skip

    close(kernel(q, k, v), want())
    bias[:] = np.random.default_rng(1).standard_normal(bias.shape)
    close(kernel(q, k, v), want())
    assert kernel.captures["bias"] is bias
    window = 6
    close(kernel(q, k, v), want())


def test_captures_by_keyword():
    """keyword-only and come from captures={"name": array}"""
    q, k, v = inputs()
    table = np.linspace(-1, 1, 12)

    def biased(score, b, h, q_idx, kv_idx, *, table):
        return score + table[kv_idx]

    def want(table):
        return plain(q, k, v, lambda s, b, h, m, n: s + table[n])

    got = fovea.attention(q, k, v, biased, captures={"table": table})
    close(got, want(table))
    kernel = fovea.compile(biased, D=8, captures={"table": table})
    close(kernel(q, k, v), want(table))
    close(kernel(q, k, v, captures={"table": -table}), want(-table))
    close(kernel(q, k, v), want(table))
    with pytest.raises(TypeError):
        kernel(q, k, v, captures={"tabel": table})


def test_offsets_and_lengths():
    """q_idx = m + q_offset[b], kv_idx = n + kv_offset[b]; keys n >= kv_lengths[b] are
    invisible, rows m >= q_lengths[b] dead"""
    q, k, v = inputs(B=2, M=6, N=10)
    q_offset = np.array([4, 0], np.int32)
    kv_offset = np.array([0, -2])
    q_lengths = np.array([6, 3], np.uint8)
    kv_lengths = np.array([7, 10])
    out, lse = fovea.attention(
        q, k, v, mask_mod=causal, return_lse=True, q_offset=q_offset,
        kv_offset=kv_offset, q_lengths=q_lengths, kv_lengths=kv_lengths,
    )  # fmt: skip

    def visible(b, h, m, n):
        inside = (n < kv_lengths[b]) & (m < q_lengths[b])
        return inside & (m + q_offset[b] >= n + kv_offset[b])

    want, want_lse = plain(q, k, v, mask=visible, lse=True)
    close(out, want)
    np.testing.assert_allclose(lse, want_lse, atol=2e-6)
    assert (out[1, :, 3:] == 0).all()
    assert np.isneginf(lse[1, :, 3:]).all()


def test_offsets_are_ints_or_arrays():
    """Offsets, lengths are an int or an integer array [B]"""
    q, k, v = inputs(B=2, M=4, N=9)
    want = fovea.attention(
        q, k, v, mask_mod=causal, q_offset=np.full(2, 5), kv_lengths=np.full(2, 8)
    )
    got = fovea.attention(q, k, v, mask_mod=causal, q_offset=5, kv_lengths=8)
    np.testing.assert_array_equal(got, want)
    got = fovea.attention(
        q,
        k,
        v,
        mask_mod=causal,
        q_offset=Exporter(np.full(2, 5)),
        kv_lengths=np.int8(8),
    )
    np.testing.assert_array_equal(got, want)


def test_a_row_without_visible_keys_is_zero():
    """a dead row gives finish(seed): 0"""
    q, k, v = inputs(M=5, N=5)

    def future(b, h, q_idx, kv_idx):
        return kv_idx > q_idx + 1

    out, lse = fovea.attention(q, k, v, mask_mod=future, return_lse=True)
    assert (out[:, :, 3:] == 0).all()
    assert np.isneginf(lse[:, :, 3:]).all()
    assert np.isfinite(lse[:, :, :3]).all()


def test_block_mask_and_mask_mod_both_hold():
    """block_mask and mask_mod together: both must hold"""
    q, k, v = inputs(B=2, M=40, N=48)
    mask = fovea.create_block_mask(causal, 2, 2, 40, 48, (8, 16))

    def near(b, h, q_idx, kv_idx):
        return q_idx - kv_idx < 7

    want = plain(q, k, v, mask=lambda b, h, m, n: (m >= n) & (m - n < 7))
    close(fovea.attention(q, k, v, mask_mod=near, block_mask=mask), want)
    kernel = fovea.compile(mask_mod=near, D=8, block_mask=True)
    close(kernel(q, k, v, block_mask=mask), want)
    want = plain(q, k, v, mask=lambda b, h, m, n: m >= n)
    close(fovea.attention(q, k, v, block_mask=mask), want)
    close(fovea.attention(q, k, v, mask_mod=causal, block_mask=mask), want)


def test_full_tiles_are_visible_whole_whatever_their_mask_mod():
    """full tiles are visible whole, partial ones ask mask_mod at the call"""
    q, k, v = inputs(M=16, N=16)
    count = np.array([[[1, 1]]], np.int32)
    partial = np.array([[[[0], [1]]]], np.int32)
    full = np.array([[[[1], [0]]]], np.int32)
    mask = fovea.BlockMask.from_kv_blocks(
        count, partial, count, full, 8, causal, seq_lengths=(16, 16)
    )

    def near(b, h, q_idx, kv_idx):
        return abs(q_idx - kv_idx) < 12

    def hand(b, h, m, n):
        tile_full = (m // 8) != (n // 8)
        return tile_full | (m >= n)

    close(fovea.attention(q, k, v, block_mask=mask), plain(q, k, v, mask=hand))
    want = plain(q, k, v, mask=lambda b, h, m, n: hand(b, h, m, n) & (abs(m - n) < 12))
    close(fovea.attention(q, k, v, mask_mod=near, block_mask=mask), want)
    bare = fovea.BlockMask.from_kv_blocks(count, partial, BLOCK_SIZE=8,
                                          seq_lengths=(16, 16))  # fmt: skip
    tiles = plain(q, k, v, mask=lambda b, h, m, n: ((m // 8) == (n // 8)) & (m >= n))
    close(fovea.attention(q, k, v, mask_mod=causal, block_mask=bare), tiles)


def test_block_mask_with_keyword_captures():
    """create_block_mask(..., captures=): the mask keeps what it was made with"""
    q, k, v = inputs(M=16, N=16)
    doc = np.repeat(np.arange(4), 4)

    def document(b, h, q_idx, kv_idx, *, doc):
        return doc[q_idx] == doc[kv_idx]

    def biased(score, b, h, q_idx, kv_idx, *, gain):
        return score * gain[h]

    gain = np.array([0.5, 2.0])
    mask = fovea.create_block_mask(
        document, None, None, 16, 16, 8, captures={"doc": doc}
    )

    def want(*more):
        return plain(
            q, k, v,
            lambda s, b, h, m, n: s * gain[h],
            lambda b, h, m, n: (doc[m] == doc[n]) & (not more or m >= n),
        )  # fmt: skip

    got = fovea.attention(q, k, v, biased, block_mask=mask, captures={"gain": gain})
    close(got, want())
    got = fovea.attention(
        q, k, v, biased, causal, block_mask=mask, captures={"gain": gain}
    )
    want_both = plain(
        q, k, v,
        lambda s, b, h, m, n: s * gain[h],
        lambda b, h, m, n: (doc[m] == doc[n]) & (m >= n),
    )  # fmt: skip
    close(got, want_both)


def test_a_block_mask_must_fit():
    """block masks, built and hand-made"""
    q, k, v = inputs(B=2, M=12, N=12)
    for arguments, text in (
        ((None, None, 12, 11), "lengths must be those of q and k (12, 12), got (12, 11)"
                               " (see crop)"),
        ((3, None, 12, 12), "batch must be 1 or that of q (2), got 3"),
        ((None, 4, 12, 12), "heads must be 1 or those of q (2), got 4"),
    ):  # fmt: skip
        mask = fovea.create_block_mask(causal, *arguments)
        with pytest.raises(ValueError) as caught:
            fovea.attention(q, k, v, block_mask=mask)
        assert str(caught.value) == f"block_mask: {text}"


def test_a_capture_without_elements_is_a_value_error():
    """captures (... empty ...)"""
    q, k, v = inputs()
    table = np.zeros(0, np.float32)

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[kv_idx]

    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, biased)
    assert str(caught.value) == (
        "table: a capture must have at least one element, got shape (0,)"
    )
    out = fovea.attention(q, k[:, :, :0], v[:, :, :0], biased)
    assert (out == 0).all()


@pytest.mark.parametrize("versioned", [True, False])
def test_every_object_with_dlpack(versioned):
    """Accepted: numpy.ndarray and every object with __dlpack__"""
    q, k, v = inputs(B=2)
    arrays = [Exporter(x, versioned) for x in (q, k, v)]
    out, lse = fovea.attention(*arrays, return_lse=True)
    want, want_lse = plain(q, k, v, lse=True)
    close(out, want)
    np.testing.assert_allclose(lse, want_lse, atol=2e-6)


def test_dlpack_results_go_to_the_library_of_q():
    """out is of q's library"""

    class Namespace:
        @staticmethod
        def from_dlpack(array):
            return Exporter(array)

    class Array(Exporter):
        def __array_namespace__(self):
            return Namespace

    arrays = [Array(x) for x in inputs()]
    out = fovea.attention(*arrays)
    assert type(out) is Exporter
    close(out.array, plain(*inputs()))


def test_dlpack_strides():
    """any strides ... by DLPack too"""
    q, k, v = inputs(B=2, M=9)
    arrays = [Exporter(STRIDES["transposed"](x)) for x in (q, k, v)]
    close(fovea.attention(*arrays), plain(q, k, v))


def test_return_lse_without_a_denominator_names_normalizer():
    """return_lse without a denom: ValueError naming normalizer"""
    q, k, v = inputs()
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, normalizer="sigmoid", return_lse=True)
    assert str(caught.value) == (
        "normalizer: must have a denom where return_lse=True, got sigmoid"
    )
    with pytest.raises(ValueError, match="^normalizer: must have a denom"):
        fovea.compile(D=8, normalizer="relu", return_lse=True)


def test_the_exceptions_of_a_mod_pass():
    """What a mod raises passes unchanged, with a note naming mod, file and line."""
    q, k, v = inputs()

    class Mine(Exception):
        pass

    def broken(score, b, h, q_idx, kv_idx):
        raise Mine("mine")

    with pytest.raises(Mine) as caught:
        fovea.attention(q, k, v, broken)
    assert "broken" in " ".join(caught.value.__notes__)
    for kind in (KeyboardInterrupt, MemoryError):

        def stops(score, b, h, q_idx, kv_idx, kind=kind):
            raise kind

        with pytest.raises(kind):
            fovea.attention(q, k, v, lambda *a, f=stops: f(*a))


def test_a_mod_is_called_by_hand():
    """Mods are ordinary functions: called by hand, score_mod(1.0, 0, 3, 10, 7) returns
    a number."""
    slope = np.array([1.0, 2.0, 3.0, 4.0])

    def alibi(score, b, h, q_idx, kv_idx):
        return score + slope[h] * (kv_idx - q_idx)

    q, k, v = inputs()
    fovea.attention(q, k, v, alibi)
    assert alibi(1.0, 0, 3, 10, 7) == -11.0


def test_repr_is_one_line():
    """repr(kernel) is one line"""
    kernel = fovea.compile(mask_mod=causal, D=8, E=6, dtype="bfloat16", return_lse=True)
    text = repr(kernel)
    assert text.startswith("<fovea.Kernel causal: D=8, E=6, bfloat16, lse, target=")
    assert "\n" not in text


def test_explain_tells_variant_captures_schedule_and_cost():
    """.explain()"""
    table = np.zeros((3, 4), np.float16)

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[h, kv_idx]

    text = fovea.compile(biased, causal, D=8, E=6).explain()
    for line in (
        "variant biased_causal",
        "  normalizer: softmax",
        "  table: float16 [3, 4]",
        "types and dims: float32, D=8, E=6",
        "cost: 28 floating-point operations a visible (query, key) pair in the two"
        " products",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("level", ["attn", "online", "target", "llvm", "asm"])
def test_every_level_has_text(level):
    """.ir(level: "attn" | "online" | "target" | "llvm" | "asm")"""
    assert fovea.compile(mask_mod=causal, D=8).ir(level)


def test_kernels_pickle_and_deepcopy(tmp_path):
    """Kernel ... pickle and deepcopy (recipe and captures, never machine code)"""
    q, k, v = inputs()
    table = np.linspace(-1, 1, 12).astype(ml_dtypes.bfloat16)
    gain = np.array(1.5)

    def biased(score, b, h, q_idx, kv_idx):
        return score * gain + table[kv_idx]

    kernel = fovea.compile(biased, causal, D=8, return_lse=True, scale=0.5)
    want = kernel(q, k, v)
    data = pickle.dumps(kernel)
    kernel.save(tmp_path / "x.kernel")
    table[:] = 0
    for other in (
        pickle.loads(data),
        fovea.load_kernel(tmp_path / "x.kernel"),
        fovea.load_kernel(str(tmp_path / "x.kernel")),
        copy.deepcopy(pickle.loads(data)),
        pickle.loads(pickle.dumps(pickle.loads(data))),
    ):
        got = other(q, k, v)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        assert set(other.captures) == {"gain", "table"}
    assert not np.array_equal(kernel(q, k, v)[0], want[0])
    thawed = pickle.loads(data)
    np.testing.assert_array_equal(
        thawed(q, k, v, captures={"table": np.zeros(12)})[0], kernel(q, k, v)[0]
    )
    with pytest.raises(TypeError) as caught:
        thawed(q, k, v, captures={"tabel": table})
    assert "captures: must be among those of the variant" in str(caught.value)


def test_kernels_with_block_masks_pickle():
    """Kernel, Variant, BlockMask and Normalizer pickle and deepcopy"""
    q, k, v = inputs(M=16, N=16)
    doc = np.repeat(np.arange(4), 4)

    def document(b, h, q_idx, kv_idx):
        return (doc[q_idx] == doc[kv_idx]) & ~(kv_idx > q_idx)

    mask = fovea.create_block_mask(document, None, None, 16, 16, 8)
    kernel = fovea.compile(mask_mod=document, D=8, block_mask=True)
    want = kernel(q, k, v, block_mask=mask)
    kernel2, mask2 = pickle.loads(pickle.dumps((kernel, mask)))
    mask3 = copy.deepcopy(mask)
    doc[:] = 0
    for k2, m2 in ((kernel2, mask2), (kernel2, mask3)):
        np.testing.assert_allclose(k2(q, k, v, block_mask=m2), want, atol=1e-6)
    np.testing.assert_allclose(
        fovea.attention(q, k, v, block_mask=mask2), want, atol=1e-6
    )
    assert mask2.mask_mod(0, 0, 3, 2) and not mask2.mask_mod(0, 0, 4, 2)


def test_every_function_may_be_called_from_several_threads():
    """Every function may be called from several threads"""
    q, k, v = inputs(B=2, M=16, N=16)
    kernel = fovea.compile(mask_mod=causal, D=8)
    want = kernel(q, k, v)
    failures = []

    def work(number):
        try:
            for turn in range(20):
                window = 1 + (number + turn) % 3

                def near(b, h, q_idx, kv_idx, window=window):
                    return abs(q_idx - kv_idx) < window

                np.testing.assert_array_equal(kernel(q, k, v), want)
                got = fovea.attention(q, k, v, mask_mod=near)
                close(
                    got,
                    plain(q, k, v, mask=lambda b, h, m, n, w=window: abs(m - n) < w),
                )
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_log_of_compiles(monkeypatch, capfd):
    """FOVEA_LOG=compile prints one line a compile: variant, what differed from the
    nearest cached one, milliseconds"""
    q, k, v = inputs()
    fovea.clear_cache()
    monkeypatch.setenv("FOVEA_LOG", "compile")
    for window in (31, 57):

        def near_by(b, h, q_idx, kv_idx, window=window):
            return abs(q_idx - kv_idx) < window

        fovea.attention(q, k, v, mask_mod=near_by)
    fovea.attention(q, k, v, mask_mod=near_by)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "near_by f32 D=8 E=8 for cpu in" in lines[0]
    assert lines[0].endswith(" ms, the first variant")
    assert lines[1].endswith(
        "differs from near_by f32 D=8 E=8 in: mask: constant 31 -> 57"
    )


def test_cache_info_and_clear_cache():
    """cache_info() -> named tuple (compiles, memory_hits, disk_hits, entries)"""
    q, k, v = inputs()
    fovea.attention(q, k, v)
    info = fovea.cache_info()
    assert info._fields == ("compiles", "memory_hits", "disk_hits", "entries")
    assert info.entries >= 1
    kernel = fovea.compile(mask_mod=causal, D=8)
    want = kernel(q, k, v)
    fovea.clear_cache()
    assert fovea.cache_info().compiles == 0
    np.testing.assert_array_equal(kernel(q, k, v), want)
    np.testing.assert_array_equal(fovea.attention(q, k, v, mask_mod=causal), want)


def test_normalizers_by_name_and_object():
    """normalizer is a name or a Normalizer"""
    q, k, v = inputs()
    a = fovea.attention(q, k, v, normalizer="softmax_plus_one", return_lse=True)
    b = fovea.attention(
        q, k, v, normalizer=fovea.normalizers.softmax_plus_one(), return_lse=True
    )
    np.testing.assert_array_equal(a[0], b[0])
    s = np.einsum("bhmd,bhnd->bhmn", q, k).astype(float) / np.sqrt(8)
    want = np.log(1 + np.exp(s).sum(-1))
    np.testing.assert_allclose(a[1], want, atol=2e-6)
    sigma = np.array([0.5, -1.0])
    out, lse = fovea.attention(
        q, k, v, normalizer=fovea.normalizers.sink(sigma), return_lse=True
    )
    want = np.log(np.exp(sigma)[None, :, None] + np.exp(s).sum(-1))
    np.testing.assert_allclose(lse, want, atol=2e-6)


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


def test_merge_keeps_the_memory_order():
    """merge: in the library, dtype and memory order of outs[0]"""
    out = STRIDES["transposed"](np.ones((2, 3, 4, 5), np.float32))
    lse = np.zeros((2, 3, 4), np.float32)
    merged, _ = fovea.merge([out, out], [lse, lse])
    assert merged.transpose(0, 2, 1, 3).flags.c_contiguous


def test_a_cached_call_costs_little(native_is_real):
    """call overhead: a kernel at most 20 us, attention with unchanged mods 60 us"""
    import time
    import unittest.mock

    q, k, v = inputs(M=8, N=8)
    doc = np.zeros(8, np.int64)

    def document(b, h, q_idx, kv_idx):
        return doc[q_idx] == doc[kv_idx]

    kernel = fovea.compile(mask_mod=document, D=8)
    kernel(q, k, v)
    compiled = kernel._state[1]
    compiled.native = unittest.mock.NonCallableMock(spec=["launch"])
    compiled.native.launch = lambda *arguments: None

    def cost(call, number=300):
        best = float("inf")
        for _ in range(40):
            start = time.thread_time()
            for _ in range(number):
                call()
            best = min(best, (time.thread_time() - start) / number)
        return best * 1e6

    try:
        assert cost(lambda: kernel(q, k, v)) < 20
        assert cost(lambda: fovea.attention(q, k, v, mask_mod=document)) < 60
    finally:
        fovea.clear_cache()
