"""`attention` and `compile`, sentence by sentence."""

import functools
import inspect

import ml_dtypes
import numpy as np
import pytest
from api_common import (
    DTYPES,
    TOLERANCE,
    Exporter,
    causal,
    close,
    inputs,
    plain,
    transposed,
)

import fovea


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
    "transposed": transposed,
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


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "uint64"])
def test_offsets_and_lengths_of_every_integer_type(dtype):
    """Offsets, lengths are an int or an integer array [B]"""
    q, k, v = inputs(B=2, M=6, N=10)
    for kind in (np.dtype(dtype).type, int):
        given = {
            "q_offset": np.array([3, 5], dtype),
            "kv_offset": kind(2),
            "q_lengths": np.array(6, dtype),
            "kv_lengths": np.array([10, 7], dtype),
        }
        out = fovea.attention(q, k, v, None, causal, **given)
        want = fovea.attention(
            q, k, v, None, causal,
            q_offset=np.array([3, 5]), kv_offset=2, kv_lengths=np.array([10, 7]),
        )  # fmt: skip
        np.testing.assert_array_equal(out, want)


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
        "score_mod 'biased': captured array 'table': must have at least one element, "
        "got shape (0,)"
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


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
def test_without_a_stat_t_is_zero(target):
    """t is the running max of stat, 0 without stat"""
    q, k, v = inputs()
    s = np.einsum("bhmd,bhnd->bhmn", q, k).astype(float) / np.sqrt(8)
    made = fovea.Normalizer(
        weight=lambda s, t, b, h, q_idx, kv_idx: s + 2 * t + t * t,
        denom=lambda s, t, b, h, q_idx, kv_idx: fovea.ops.exp(s - t) + t,
        finish=lambda o, den, t, b, h, q_idx, e_idx: o / den + t,
    )
    out, lse = fovea.attention(q, k, v, normalizer=made, return_lse=True, target=target)
    total = np.exp(s).sum(-1)
    want = np.einsum("bhmn,bhne->bhme", s, v) / total[..., None]
    np.testing.assert_allclose(out, want, atol=2e-6)
    np.testing.assert_allclose(lse, np.log(total), atol=2e-6)


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
