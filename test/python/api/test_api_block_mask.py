"""Block masks, sentence by sentence, and how bad ones are refused."""

import copy
import itertools
import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest
from api_common import Exporter, causal, inputs, plain

import fovea
from fovea import BlockMask, _kv_lists


def classes_of(dense, size, lengths):
    """Tile classes of a dense mask, counted position by position."""
    B, H, M, N = dense.shape
    bq, bn = size
    Q, K = -(-M // bq), -(-N // bn)
    result = np.zeros((B, H, Q, K), np.int8)
    for i in range(Q):
        for j in range(K):
            tile = dense[:, :, i * bq : (i + 1) * bq, j * bn : (j + 1) * bn]
            some = tile.any((2, 3))
            whole = tile.all((2, 3)) & (tile.shape[2:] == (bq, bn))
            result[:, :, i, j] = np.where(whole, 2, np.where(some, 1, 0))
    return result


DOC = np.repeat(np.arange(5), 20)
PER_HEAD = np.array([3, 30, 200])
LENGTHS = np.array([40, 99])

MASKS = {
    "causal": (causal, lambda b, h, m, n: (m >= n) | (b + h < 0)),
    "document": (
        lambda b, h, q, kv: (q >= kv) & (DOC[q] == DOC[kv]),
        lambda b, h, m, n: (m >= n) & (DOC[m] == DOC[n]) | (b + h < 0),
    ),
    "by head": (
        lambda b, h, q, kv: abs(q - kv) < PER_HEAD[h],
        lambda b, h, m, n: (abs(m - n) < PER_HEAD[h]) | (b < 0),
    ),
    "by batch": (
        lambda b, h, q, kv: kv < LENGTHS[b],
        lambda b, h, m, n: (n < LENGTHS[b]) | (h + m < 0),
    ),
    "never": (lambda b, h, q, kv: False, lambda b, h, m, n: b + h + m + n < 0),
    "always": (lambda b, h, q, kv: True, lambda b, h, m, n: b + h + m + n >= 0),
    "dilated": (
        lambda b, h, q, kv: (q - kv) % 7 == 0,
        lambda b, h, m, n: ((m - n) % 7 == 0) | (b + h < 0),
    ),
}


def dense_of(name, B=2, H=3, M=100, N=97, q_offset=0, kv_offset=0):
    b, h, m, n = np.ogrid[:B, :H, :M, :N]
    got = MASKS[name][1](b, h, m + q_offset, n + kv_offset)
    return np.broadcast_to(got, (B, H, M, N))


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("size", [16, (8, 32), (128, 128), (100, 97), (3, 50)])
def test_create_block_mask_is_exact(name, size):
    """create_block_mask is exact"""
    mask = fovea.create_block_mask(MASKS[name][0], 2, 3, 100, 97, size)
    pair = (size, size) if isinstance(size, int) else size
    assert mask.BLOCK_SIZE == pair
    assert mask.shape == (2, 3, 100, 97)
    assert mask.seq_lengths == (100, 97)
    want = classes_of(dense_of(name), pair, (100, 97))
    got = mask.block_classes()
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, want)
    counts = tuple(int((want == kind).sum()) for kind in (2, 1, 0))
    assert mask.counts() == counts
    assert mask.sparsity() == pytest.approx(100 * counts[2] / want.size)
    np.testing.assert_array_equal(mask.to_dense(), want != 0)
    assert mask.to_dense().dtype == np.int32


def test_tiles_of_one_position_are_the_dense_mask():
    """BLOCK_SIZE is given as an int or (q, kv), >= 1"""
    mask = fovea.create_block_mask(causal, None, None, 20, 19, 1)
    dense = fovea.create_mask(causal, None, None, 20, 19)
    np.testing.assert_array_equal(mask.block_classes(), 2 * dense.astype(np.int8))


@pytest.mark.parametrize("name", MASKS)
def test_create_mask_is_the_dense_mask(name):
    """create_mask(mod, B, H, Q_LEN, KV_LEN) -> dense bool array"""
    got = fovea.create_mask(MASKS[name][0], 2, 3, 100, 97)
    assert got.dtype == np.bool_
    np.testing.assert_array_equal(got, dense_of(name))


def test_a_score_mod_is_visible_where_it_is_not_minus_infinity():
    """a score_mod is visible where it is not -inf"""

    def hides(score, b, h, q_idx, kv_idx):
        return fovea.ops.where(q_idx >= kv_idx, score, -float("inf"))

    got = fovea.create_mask(hides, None, None, 9, 11)
    np.testing.assert_array_equal(got, np.tri(9, 11, dtype=bool)[None, None])


def test_kv_lists_are_flex_attentions():
    """bm.kv_num_blocks [B,H,Qb], kv_indices [B,H,Qb,KVb], full_kv_num_blocks,
    full_kv_indices (int32, as FlexAttention's, built on demand)"""
    mask = fovea.create_block_mask(causal, 1, 2, 64, 64, 16)
    np.testing.assert_array_equal(mask.kv_num_blocks, np.ones((1, 2, 4)))
    np.testing.assert_array_equal(
        mask.kv_indices[0, 1], [[0, 1, 2, 3], [1, 0, 2, 3], [2, 0, 1, 3], [3, 0, 1, 2]]
    )
    np.testing.assert_array_equal(mask.full_kv_num_blocks[0, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(
        mask.full_kv_indices[0, 0],
        [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]],
    )
    for array in (
        mask.kv_num_blocks, mask.kv_indices, mask.full_kv_num_blocks,
        mask.full_kv_indices,
    ):  # fmt: skip
        assert array.dtype == np.int32
    assert mask.kv_indices.shape == (1, 2, 4, 4)


def test_lists_are_read_only():
    """writing to a list would not change the mask, and is refused"""
    made = fovea.create_block_mask(causal, 2, 2, 64, 64, 16)
    given = [np.array(entry) for entry in made.as_tuple()[:4]]
    for mask in (
        made, BlockMask.from_kv_blocks(*given, 16, causal),
        made[:, :1], made.crop(48, 48), made.retile((32, 16)), copy.deepcopy(made),
    ):  # fmt: skip
        for array in mask.as_tuple()[:4]:
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0
    assert all(entry.flags.writeable for entry in given)


@pytest.mark.parametrize("name", ["document", "by head", "by batch"])
def test_lists_there_and_back(name):
    """BlockMask.from_kv_blocks(...)"""
    mask = fovea.create_block_mask(MASKS[name][0], 2, 3, 100, 97, (16, 8))
    again = BlockMask.from_kv_blocks(
        mask.kv_num_blocks, mask.kv_indices.astype(np.int64), mask.full_kv_num_blocks,
        Exporter(mask.full_kv_indices), mask.BLOCK_SIZE, MASKS[name][0],
        mask.seq_lengths,
    )  # fmt: skip
    np.testing.assert_array_equal(again.block_classes(), mask.block_classes())
    assert again.shape == mask.shape
    np.testing.assert_array_equal(again.kv_indices, mask.kv_indices)
    assert again.kv_indices.dtype == np.int32


def test_from_kv_blocks_without_lengths():
    """seq_lengths=None: whole tiles"""
    num = np.array([[[1, 2, 0]]], np.int32)
    indices = np.array([[[[1, 7], [0, 1], [9, 9]]]], np.int32)
    mask = BlockMask.from_kv_blocks(num, indices, BLOCK_SIZE=(4, 8))
    assert mask.seq_lengths == (12, 16)
    np.testing.assert_array_equal(mask.block_classes()[0, 0], [[0, 1], [1, 1], [0, 0]])
    assert mask.mask_mod is None
    assert mask.kv_indices[0, 0, 0].tolist() == [1, 7]


@pytest.mark.parametrize("offsets", [(5, 0), (0, 7), (-3, 4)])
def test_offsets_shift_positions(offsets):
    """q_offset=0, kv_offset=0"""
    mask = fovea.create_block_mask(
        causal, 2, 3, 100, 97, 16, q_offset=offsets[0], kv_offset=offsets[1]
    )
    dense = dense_of("causal", q_offset=offsets[0], kv_offset=offsets[1])
    np.testing.assert_array_equal(
        mask.block_classes(), classes_of(dense, (16, 16), None)
    )


def test_offsets_may_differ_by_batch():
    """an int or an integer array [B]"""
    q_offset = np.array([5, -9])
    mask = fovea.create_block_mask(causal, 2, 1, 100, 97, 16, q_offset=q_offset)
    for b in range(2):
        dense = dense_of("causal", 1, 1, q_offset=q_offset[b])
        want = classes_of(dense, (16, 16), None)[0]
        np.testing.assert_array_equal(mask.block_classes()[b], want)


def test_b_and_h_none_are_1():
    """B, H >= 1, None = 1"""
    assert fovea.create_block_mask(causal, None, None, 8, 8).shape == (1, 1, 8, 8)
    assert fovea.create_mask(causal, None, None, 8, 9).shape == (1, 1, 8, 9)


@pytest.mark.parametrize("lengths", [(0, 0), (0, 40), (40, 0)])
def test_lengths_may_be_0(lengths):
    """lengths may be 0"""
    mask = fovea.create_block_mask(causal, 2, 2, *lengths, 16)
    assert mask.shape == (2, 2, *lengths)
    assert mask.counts() == (0, 0, 0)
    assert mask.sparsity() == 0.0
    assert mask.kv_indices.shape == (2, 2, -(-lengths[0] // 16), -(-lengths[1] // 16))
    assert "no tiles" in str(mask)
    assert mask.retile(8).counts() == (0, 0, 0)
    q, k, v = inputs(B=2, M=lengths[0], N=lengths[1])
    assert (fovea.attention(q, k, v, block_mask=mask) == 0).all()


def test_a_ragged_last_tile_is_partial():
    """Positions beyond Q_LEN or KV_LEN count as masked, so a ragged last tile is
    partial"""
    mask = fovea.create_block_mask(MASKS["always"][0], None, None, 20, 24, 16)
    assert mask.block_classes()[0, 0].tolist() == [[2, 1], [1, 1]]


def test_block_masks_of_a_million_tokens_count_without_lists():
    """bm.counts() -> (full, partial, empty) summed over the B and H asked for, without
    building lists"""
    mask = fovea.create_block_mask(causal, 4, 8, 1 << 12, 1 << 12, 1 << 8)
    assert mask.counts() == (32 * 120, 32 * 16, 32 * 120)
    assert not mask._lists
    assert mask._classes.strides[:2] == (0, 0)


def test_exact_false_is_still_right():
    """exact=False keeps the analysis' answer"""
    mask = fovea.create_block_mask(causal, None, None, 64, 64, 16, exact=False)
    dense = dense_of("causal", 1, 1, 64, 64)
    want = classes_of(dense, (16, 16), None)
    got = mask.block_classes()
    assert ((got == want) | (got == 1)).all()


SLICES = {
    "int": (np.s_[1], [1], [0, 1, 2], 0, 7),
    "negative int": (np.s_[-1], [1], [0, 1, 2], 0, 7),
    "two ints": (np.s_[0, 2], [0], [2], 0, 7),
    "head range": (np.s_[:, 1:], [0, 1], [1, 2], 0, 7),
    "head step": (np.s_[:, ::2], [0, 1], [0, 2], 0, 7),
    "reversed": (np.s_[::-1], [1, 0], [0, 1, 2], 0, 7),
    "list": (np.s_[[1, 0, 1], [2]], [1, 0, 1], [2], 0, 7),
    "rows": (np.s_[:, :, 2:5], [0, 1], [0, 1, 2], 2, 5),
    "one row": (np.s_[0, 1, 6], [0], [1], 6, 7),
    "array": (np.s_[:, np.array([2, 0])], [0, 1], [2, 0], 0, 7),
}


@pytest.mark.parametrize("case", SLICES)
@pytest.mark.parametrize("name", ["document", "by head", "by batch"])
def test_slicing(case, name):
    """slicing (an int keeps the dimension)"""
    index, batches, heads, first, last = SLICES[case]
    mask = fovea.create_block_mask(MASKS[name][0], 2, 3, 100, 97, 16)
    part = mask[index]
    whole = mask.block_classes()
    want = whole[batches][:, heads][:, :, first:last]
    np.testing.assert_array_equal(part.block_classes(), want)
    rows = slice(first * 16, min(last * 16, 100))
    assert part.shape == (len(batches), len(heads), rows.stop - rows.start, 97)
    q, k, v = inputs(B=len(batches), Hq=len(heads), M=rows.stop - rows.start, N=97)
    dense = dense_of(name)[batches][:, heads][:, :, rows]
    got = fovea.attention(q, k, v, block_mask=part)
    want = plain(q, k, v, mask=lambda b, h, m, n: dense)
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_mask_mod_and_lengths_may_be_set():
    """bm.mask_mod, bm.seq_lengths: as FlexAttention's decoding code sets them"""
    mask = fovea.create_block_mask(causal, None, None, 64, 64, 16)[:, :, 2]

    def shifted(b, h, q_idx, kv_idx):
        return q_idx + 40 >= kv_idx

    mask.mask_mod = shifted
    mask.seq_lengths = (1, 64)
    q, k, v = inputs(M=1, N=64)
    got = fovea.attention(q, k, v, block_mask=mask)
    want = plain(q, k, v, mask=lambda b, h, m, n: n <= 40)
    np.testing.assert_allclose(got, want, atol=2e-6)
    with pytest.raises(ValueError) as caught:
        mask.seq_lengths = (17, 64)
    assert str(caught.value) == (
        "seq_lengths[0]: must give as many tiles as there are rows (1 of 16), got 17"
    )
    with pytest.raises(TypeError) as caught:
        mask.mask_mod = 3
    assert str(caught.value) == "mask_mod: must be a function or None, got int"


@pytest.mark.parametrize("lengths", [(100, 97), (96, 97), (50, 33), (1, 1), (0, 5)])
def test_crop(lengths):
    """bm.crop(q_len, kv_len)"""
    mask = fovea.create_block_mask(MASKS["document"][0], 2, 3, 100, 97, 16)
    part = mask.crop(*lengths)
    assert part.shape == (2, 3, *lengths)
    q, k, v = inputs(B=2, Hq=3, M=lengths[0], N=lengths[1])
    dense = dense_of("document", M=lengths[0], N=lengths[1])
    got = fovea.attention(q, k, v, block_mask=part)
    want = plain(q, k, v, mask=lambda b, h, m, n: dense)
    np.testing.assert_allclose(got, want, atol=2e-6)
    full = part.block_classes() == 2
    assert not (full & (classes_of(dense, (16, 16), None) != 2)).any()


@pytest.mark.parametrize("size", [8, 32, (4, 64), (48, 12), 200, 1])
def test_retile(size):
    """bm.retile((q, kv))"""
    mask = fovea.create_block_mask(MASKS["document"][0], 2, 3, 100, 97, 16)
    part = mask.retile(size)
    pair = (size, size) if isinstance(size, int) else size
    assert part.BLOCK_SIZE == pair
    assert part.shape == mask.shape
    exact = classes_of(dense_of("document"), pair, None)
    got = part.block_classes()
    assert got.shape == exact.shape
    assert ((got == exact) | (got == 1)).all()
    if pair == (32, 32):
        again = fovea.create_block_mask(MASKS["document"][0], 2, 3, 100, 97, 32)
        np.testing.assert_array_equal(got, again.block_classes())
    if size != 1:
        q, k, v = inputs(B=2, Hq=3, M=100, N=97)
        got = fovea.attention(q, k, v, block_mask=part)
        want = plain(q, k, v, mask=lambda b, h, m, n: dense_of("document"))
        np.testing.assert_allclose(got, want, atol=2e-6)


def test_to_device():
    """bm.to(device)"""
    mask = fovea.create_block_mask(causal, None, None, 64, 64, 16)
    assert mask.to("cpu") is mask
    with pytest.raises(ValueError) as caught:
        mask.to("tpu")
    assert str(caught.value).startswith("device: must be one of cpu")
    assert str(caught.value).endswith(", got 'tpu'")
    with pytest.raises(TypeError) as caught:
        mask.to(3)
    assert str(caught.value) == "device: must be a str or None, got int"


def test_print_draws_full_and_partial_differently():
    """print(bm) (full and partial drawn differently)"""
    mask = fovea.create_block_mask(causal, None, None, 64, 64, 16)
    lines = str(mask).splitlines()
    assert lines[0] == (
        "BlockMask(shape=(1, 1, 64, 64), BLOCK_SIZE=(16, 16), sparsity=37.50%)"
    )
    assert lines[1] == "tiles: 6 full ██, 4 partial ░░, 6 empty"
    assert lines[3:] == [
        "┌────────┐",
        "│░░      │",
        "│██░░    │",
        "│████░░  │",
        "│██████░░│",
        "└────────┘",
    ]
    assert repr(mask) == (
        "<fovea.BlockMask shape=(1, 1, 64, 64), BLOCK_SIZE=(16, 16), sparsity=37.50%>"
    )


def test_a_large_picture_is_condensed():
    """print(bm)"""
    mask = fovea.create_block_mask(MASKS["by head"][0], None, 3, 4000, 4000, 16)
    lines = str(mask).splitlines()
    assert "(b=0, h=2), 250 x 250 tiles in 32 x 48 cells" in lines
    assert max(map(len, lines)) <= 100
    assert len(lines) < 120
    many = mask[:, [0, 1, 2] * 3]
    assert str(many).splitlines()[-1] == "... and 5 more heads"


def test_html():
    """_repr_html_"""
    mask = fovea.create_block_mask(causal, None, None, 64, 64, 16)
    text = mask._repr_html_()
    assert text.count("<rect") == 10
    assert text.count("#08519c") == 6
    assert text.startswith("<div>") and text.endswith("</div>")


def test_plot():
    """bm.plot() needs the extra [plot]"""
    mask = fovea.create_block_mask(causal, None, None, 64, 60, 16)
    try:
        import matplotlib
    except ImportError:
        with pytest.raises(ImportError, match=r"^BlockMask.plot needs matplotlib"):
            mask.plot()
        return
    matplotlib.use("Agg")
    axes = mask.plot()
    assert axes.get_xlim() == (0, 60)
    assert axes.get_ylim() == (64, 0)
    # Colours are looked up for what is drawn, not for every tile.
    assert axes.images[0].get_interpolation_stage() == "data"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for none in (fovea.create_block_mask(causal, 1, 1, 0, 0), mask[:, :, :0]):
            assert not none.plot().images


@pytest.mark.parametrize("what", ["batches", "heads"])
def test_a_mask_of_no_batches_or_heads_has_no_picture(what):
    """an empty selection prints as empty; plot() refuses it"""
    B, H = (0, 3) if what == "batches" else (2, 0)
    mask = fovea.create_block_mask(causal, 2, 3, 8, 8)
    none = mask[0:0] if what == "batches" else mask[:, 0:0]
    assert none.counts() == (0, 0, 0)
    assert str(none).splitlines()[2:] == [f"no {what}"]
    assert "<svg" not in none._repr_html_()
    with pytest.raises(ValueError) as caught:
        none.plot()
    assert str(caught.value) == (
        f"BlockMask: must have a batch and a head to plot, got shape ({B}, {H}, 8, 8)"
    )


def test_selections_of_many_batches_are_not_listed():
    """flips and strided slices of a batch that is broadcast take no memory for it"""
    for batch in (1 << 31, 1 << 70):
        mask = fovea.create_block_mask(causal, batch, batch, 300, 300)
        flip = mask[::-1, ::-3]
        assert flip.shape == (batch, -(-batch // 3), 300, 300)
        assert flip.sparsity() == mask.sparsity()
        assert flip[1:3, 5].shape == (2, 1, 300, 300)

    def by_both(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (kv_idx >= 3 * b + h)

    mask = fovea.create_block_mask(by_both, 6, 7, 8, 8, 4)
    dense = mask.block_classes()
    places = ([5, 0, 2], slice(None, None, -2), slice(4, 0, -3), slice(2, 3), [1])
    for b, h in itertools.product(places, places):
        part = mask[b, h]
        np.testing.assert_array_equal(part.block_classes(), dense[b][:, h])
        B, H = part.shape[:2]
        again = fovea.create_block_mask(part.mask_mod, B, H, 8, 8, 4)
        np.testing.assert_array_equal(again.block_classes(), dense[b][:, h])


def test_lists_are_made_in_pieces(monkeypatch):
    """an interrupt is heard between two pieces of a list"""
    sizes = []

    def argsort(values, **how):
        sizes.append(values.size)
        return real(values, **how)

    real = np.argsort

    def slope(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (q_idx - kv_idx <= 9 * h)

    for mod, most in itertools.product((causal, slope), (5, 16, 100, 700, 1 << 24)):
        whole = fovea.create_block_mask(mod, 2, 3, 64, 72, 4)
        dense = whole.block_classes()
        sizes.clear()
        monkeypatch.setattr(_kv_lists, "_PIECE", most)
        monkeypatch.setattr(np, "argsort", argsort)
        counts, indices = whole.kv_num_blocks, whole.kv_indices
        live = whole.to_dense()
        monkeypatch.undo()
        assert max(sizes) <= max(most, 18)
        np.testing.assert_array_equal(counts, (dense == 1).sum(-1))
        np.testing.assert_array_equal(indices, real(dense != 1, -1, "stable"))
        np.testing.assert_array_equal(live, dense != 0)


def test_pickle_and_deepcopy():
    """Kernel, Variant, BlockMask and Normalizer pickle and deepcopy"""
    table = DOC.astype(np.float32).astype(ml_dtypes.bfloat16)
    shift = np.array(3, np.int16)

    def odd(b, h, q_idx, kv_idx):
        same = table[q_idx] == table[kv_idx]
        near = fovea.ops.minimum(abs(q_idx - kv_idx) << 1, 99) % 5 != shift
        return ~(same & near) | (fovea.ops.exp(q_idx / 50 - 1) > 1.25)

    mask = fovea.create_block_mask(odd, 2, 3, 100, 97, 16)
    for other in (pickle.loads(pickle.dumps(mask)), copy.deepcopy(mask)):
        np.testing.assert_array_equal(other.block_classes(), mask.block_classes())
        assert other.shape == mask.shape
        assert other.BLOCK_SIZE == mask.BLOCK_SIZE
        again = fovea.create_block_mask(other.mask_mod, 2, 3, 100, 97, 16)
        np.testing.assert_array_equal(again.block_classes(), mask.block_classes())
        for q, kv in ((5, 60), (99, 3), (20, 21)):
            assert bool(other.mask_mod(0, 0, q, kv)) == bool(odd(0, 0, q, kv))
    bare = BlockMask.from_kv_blocks(
        np.zeros((1, 1, 2), np.int32), np.zeros((1, 1, 2, 3), np.int32)
    )
    assert pickle.loads(pickle.dumps(bare)).mask_mod is None


def test_a_block_mask_is_a_snapshot():
    """A BlockMask is a snapshot of tile classes while its mask_mod stays live"""
    doc = np.repeat(np.arange(4), 8)
    mask = fovea.create_block_mask(
        lambda b, h, q, kv: doc[q] == doc[kv], None, None, 32, 32, 8
    )
    q, k, v = inputs(M=32, N=32)
    want = fovea.attention(q, k, v, block_mask=mask)
    doc[:] = 0
    np.testing.assert_array_equal(fovea.attention(q, k, v, block_mask=mask), want)


def test_and_masks_or_masks():
    """and_masks() is always true, or_masks() never"""
    near = lambda b, h, q, kv: abs(q - kv) < 9
    document = MASKS["document"][0]
    both = fovea.create_mask(fovea.and_masks(near, document), 1, 1, 50, 50)
    either = fovea.create_mask(fovea.or_masks(near, document), 1, 1, 50, 50)
    b, h, m, n = np.ogrid[:1, :1, :50, :50]
    a, c = abs(m - n) < 9, MASKS["document"][1](b, h, m, n)
    np.testing.assert_array_equal(both, a & c)
    np.testing.assert_array_equal(either, a | c)
    assert fovea.create_mask(fovea.and_masks(), 1, 1, 3, 3).all()
    assert not fovea.create_mask(fovea.or_masks(), 1, 1, 3, 3).any()


@pytest.mark.parametrize("combine", [fovea.and_masks, fovea.or_masks])
def test_combined_masks_take_captures(combine):
    """further parameters are keyword-only and come from captures="""
    q, k, v = inputs(M=50, N=50)
    lim = np.array([20, 40])

    def limited(b, h, q_idx, kv_idx, *, lim):
        return kv_idx < lim[h]

    def plainly(b, h, q_idx, kv_idx):
        return kv_idx < lim[h]

    given, want = combine(causal, limited), combine(causal, plainly)
    captures = {"lim": lim}
    dense = fovea.create_mask(given, 1, 2, 50, 50, captures=captures)
    np.testing.assert_array_equal(dense, fovea.create_mask(want, 1, 2, 50, 50))
    block_mask = fovea.create_block_mask(given, 1, 2, 50, 50, 8, captures=captures)
    thawed = pickle.loads(pickle.dumps(block_mask))
    kernel = fovea.compile(mask_mod=given, D=8, captures=captures)
    assert list(kernel.captures) == ["lim"]
    expected = fovea.attention(q, k, v, mask_mod=want)
    for mask in (block_mask, thawed):
        got = fovea.attention(q, k, v, block_mask=mask)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    for _ in range(3):
        expected = fovea.attention(q, k, v, mask_mod=want)
        got = fovea.attention(q, k, v, mask_mod=given, captures=captures)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(kernel(q, k, v), expected)
        lim[:] -= 7


def test_a_million_tokens_take_no_array():
    """bm.counts() without building lists"""
    N = 1 << 20
    doc = np.arange(N, dtype=np.int32) // 65536

    def packed(b, h, q, kv):
        return (q >= kv) & (q - kv < 4096) & (doc[q] == doc[kv])

    mask = fovea.create_block_mask(packed, 2, 4, N, N)
    full, partial, empty = mask.counts()
    rows = np.arange(8192) % 512  # tile rows within a document of 512
    assert full == 8 * int(np.minimum(rows, 31).sum())
    assert partial == 8 * int((1 + (rows >= 32)).sum())
    assert full + partial + empty == 8 * 8192**2
    assert mask._array is None
    assert mask._runs.nbytes < 5_000_000
    assert mask.sparsity() > 99


def test_calls_take_no_array(native_is_real):
    """Kernels take the runs of a block mask, whoever made it"""
    if not native_is_real:
        pytest.skip("the stand-in evaluates every pair")
    N = 1 << 15

    def band(b, h, q, kv):
        return (q >= kv) & (q - kv < 64)

    q, k, v = inputs(Hq=1, M=N, N=N, D=4)
    mask = fovea.create_block_mask(band, 1, 1, N, N, 64)
    out = fovea.attention(q, k, v, block_mask=mask)
    assert mask._array is None
    for row in (0, 63, 64, 12345, N - 1):
        near = slice(max(0, row - 63), row + 1)
        want = plain(q[:, :, row : row + 1], k[:, :, near], v[:, :, near])
        np.testing.assert_allclose(out[:, :, row : row + 1], want, atol=1e-5)
    rebuilt = BlockMask.from_kv_blocks(
        mask.kv_num_blocks, mask.kv_indices, BLOCK_SIZE=64, mask_mod=band
    )
    np.testing.assert_array_equal(fovea.attention(q, k, v, block_mask=rebuilt), out)


def test_inexact_masks_keep_what_the_analysis_says():
    """exact=False keeps the analysis' answer"""
    rng = np.random.default_rng(0)
    ids = np.array([0, 9])[rng.integers(0, 2, 64)]

    def both(b, h, q, kv):  # bounds cannot tell that 0 + 9 is never 5
        return (ids[q] + ids[kv] == 5) | (q < 8) & (kv < 8)

    exact = fovea.create_block_mask(both, 1, 1, 64, 64, 8)
    rough = fovea.create_block_mask(both, 1, 1, 64, 64, 8, exact=False)
    assert exact.counts() == (1, 0, 63)
    assert rough.counts() == (1, 63, 0)
    affine = fovea.create_block_mask(causal, 1, 1, 64, 64, 8, exact=False)
    assert affine.counts() == (28, 8, 28)


@pytest.mark.parametrize("size", [21, 2**31, 2**62])
def test_tiles_beyond_the_lengths(size):
    """BLOCK_SIZE is given as an int or (q, kv), ≥ 1"""
    q, k, v = (np.random.default_rng(0).standard_normal((3, 1, 2, 20, 8))).astype("f4")
    block_mask = fovea.create_block_mask(causal, 1, 1, 20, 20, BLOCK_SIZE=size)
    exact = fovea.create_block_mask(causal, 1, 1, 20, 20, BLOCK_SIZE=20)
    out = fovea.attention(q, k, v, block_mask=block_mask)
    np.testing.assert_array_equal(out, fovea.attention(q, k, v, block_mask=exact))
    plain = fovea.attention(q, k, v, None, causal)
    np.testing.assert_allclose(out, plain, rtol=0, atol=1e-6)
