"""How bad block masks are refused: type and whole text of every error."""

import os
import pickle

import numpy as np
import pytest
from api_common import causal, inputs
from test_api_package import run

import fovea
from fovea import BlockMask


@pytest.mark.parametrize("bad", [3, None, "x"])
def test_and_masks_refuses_by_position(bad):
    """a non-callable or a score_mod among them: TypeError with its position"""
    with pytest.raises(TypeError, match="argument 1"):
        fovea.and_masks(causal, bad)
    with pytest.raises(TypeError, match="argument 0"):
        fovea.or_masks(bad)


def test_and_masks_refuses_a_score_mod():
    """a non-callable or a score_mod among them: TypeError with its position"""
    with pytest.raises(TypeError, match="argument 2"):
        fovea.and_masks(causal, causal, lambda s, b, h, q, kv: s)


def mask_of(**changes):
    arguments = {"mask_mod": causal, "B": 1, "H": 1, "Q_LEN": 8, "KV_LEN": 8}
    return fovea.create_block_mask(**{**arguments, **changes})


CREATE = {
    "mask_mod BlockMask": (
        lambda: mask_of(mask_mod=mask_of()), TypeError,
        "mask_mod: must be a function, got a BlockMask (pass it as block_mask=)",
    ),
    "mask_mod None": (
        lambda: mask_of(mask_mod=None), TypeError,
        "mask_mod: must be a function, got None",
    ),
    "device as BLOCK_SIZE": (
        lambda: mask_of(BLOCK_SIZE="cpu"), TypeError,
        "BLOCK_SIZE: must be an int or (q, kv), got 'cpu' (a device goes to device=)",
    ),
    "BLOCK_SIZE 0": (
        lambda: mask_of(BLOCK_SIZE=0), ValueError,
        "BLOCK_SIZE: must be at least 1, got 0",
    ),
    "BLOCK_SIZE negative": (
        lambda: mask_of(BLOCK_SIZE=(16, -1)), ValueError,
        "BLOCK_SIZE[1]: must be at least 1, got -1",
    ),
    "BLOCK_SIZE three": (
        lambda: mask_of(BLOCK_SIZE=(1, 2, 3)), ValueError,
        "BLOCK_SIZE: must be an int or (q, kv), got 3 entries",
    ),
    "BLOCK_SIZE float": (
        lambda: mask_of(BLOCK_SIZE=16.0), TypeError,
        "BLOCK_SIZE: must be an int, got float",
    ),
    "BLOCK_SIZE None": (
        lambda: mask_of(BLOCK_SIZE=None), TypeError,
        "BLOCK_SIZE: must be an int, got None",
    ),
    "B 0": (lambda: mask_of(B=0), ValueError, "B: must be at least 1, got 0"),
    "H 0": (lambda: mask_of(H=0), ValueError, "H: must be at least 1, got 0"),
    "H float": (lambda: mask_of(H=1.0), TypeError, "H: must be an int, got float"),
    "B bool": (lambda: mask_of(B=True), TypeError, "B: must be an int, got bool"),
    "Q_LEN -1": (
        lambda: mask_of(Q_LEN=-1), ValueError, "Q_LEN: must be at least 0, got -1",
    ),
    "KV_LEN None": (
        lambda: mask_of(KV_LEN=None), TypeError, "KV_LEN: must be an int, got None",
    ),
    "KV_LEN str": (
        lambda: mask_of(KV_LEN="8"), TypeError, "KV_LEN: must be an int, got str",
    ),
    "exact": (lambda: mask_of(exact=1), TypeError, "exact: must be a bool, got int"),
    "device int": (
        lambda: mask_of(device=0), TypeError,
        "device: must be a str or None, got int",
    ),
    "q_offset": (
        lambda: mask_of(q_offset="1"), TypeError,
        "q_offset: must be an int or an integer array, got str",
    ),
    "kv_offset": (
        lambda: mask_of(kv_offset=np.zeros(2, int)), ValueError,
        "kv_offset: shape must be (1,), one entry a batch, got (2,)",
    ),
    "captures": (
        lambda: mask_of(captures=3), TypeError,
        "captures: must be a mapping of names to arrays, got int",
    ),
    "attention mask_mod": (
        lambda: fovea.attention(*inputs(), mask_mod=mask_of()), TypeError,
        "mask_mod: must be a function, got a BlockMask (pass it as block_mask=)",
    ),
    "compile mask_mod": (
        lambda: fovea.compile(mask_mod=mask_of(), D=8), TypeError,
        "mask_mod: must be a function, got a BlockMask (pass it as block_mask=)",
    ),
    "create_mask BlockMask": (
        lambda: fovea.create_mask(mask_of(), 1, 1, 8, 8), TypeError,
        "mod: must be a function, got a BlockMask (its tiles are .block_classes())",
    ),
    "create_mask B": (
        lambda: fovea.create_mask(causal, 0, 1, 8, 8), ValueError,
        "B: must be at least 1, got 0",
    ),
    "crop above": (
        lambda: mask_of().crop(9, 8), ValueError, "q_len: must be in 0...8, got 9",
    ),
    "crop below": (
        lambda: mask_of().crop(8, -1), ValueError, "kv_len: must be in 0...8, got -1",
    ),
    "crop kind": (
        lambda: mask_of().crop(8.0, 8), TypeError, "q_len: must be an int, got float",
    ),
    "retile": (
        lambda: mask_of().retile(0), ValueError, "BLOCK_SIZE: must be at least 1, got 0",
    ),
    "index": (
        lambda: mask_of()[1], IndexError,
        "BlockMask: B index must be in -1...0, got 1",
    ),
    "index parts": (
        lambda: mask_of()[0, 0, 0, 0], IndexError,
        "BlockMask: index must have at most 3 parts (B, H, row of tiles), got 4",
    ),
    "index kind": (
        lambda: mask_of()["x"], TypeError,
        "BlockMask: B index must be an int, a slice or ints, got str",
    ),
    "index slice": (
        lambda: mask_of()[:, slice("a")], TypeError,
        "BlockMask: H index must be a slice of ints with a step that is not 0, got"
        " slice(None, 'a', None)",
    ),
    "index step": (
        lambda: mask_of()[::0], ValueError,
        "BlockMask: B index must be a slice of ints with a step that is not 0, got"
        " slice(None, None, 0)",
    ),
    "index bool": (
        lambda: mask_of()[True], TypeError, "BlockMask: B index must be an int, got bool",
    ),
    "index rows": (
        lambda: mask_of(Q_LEN=512)[0, 0, ::2], ValueError,
        "BlockMask: rows of tiles must be a run without gaps, got [0, 2]",
    ),
    "plot b": (
        lambda: mask_of().plot(b=1), ValueError, "b: must be in 0...0, got 1",
    ),
    "plot ax": (
        lambda: mask_of().plot(3), TypeError,
        "ax: must be a matplotlib Axes or None, got int",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CREATE)
def test_block_masks_refuse(case):
    """A BlockMask given as mask_mod, or a device given as BLOCK_SIZE: TypeError that
    names the argument to use."""
    call, kind, text = CREATE[case]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_an_unknown_device_lists_what_is():
    """device: ValueError that lists what is"""
    with pytest.raises(ValueError) as caught:
        mask_of(device="cuda:7")
    assert str(caught.value).endswith(", got 'cuda:7'")


def test_too_many_tiles_are_a_memory_error():
    """Too large: MemoryError or ValueError naming the argument and the bytes."""
    with pytest.raises(MemoryError) as caught:
        mask_of(Q_LEN=1 << 40, KV_LEN=1 << 40)
    assert str(caught.value).startswith("Q_LEN * KV_LEN in tiles: must fit in memory (")
    with pytest.raises(MemoryError) as caught:
        fovea.create_mask(causal, 1, 1, 1 << 33, 1 << 33)
    assert str(caught.value).endswith(f"got {1 << 66:,} bytes")


@pytest.mark.parametrize("batch", [1 << 31, 1 << 70])
def test_arrays_of_too_many_batches_are_refused(batch):
    """Too large: MemoryError or ValueError naming the argument and the bytes."""
    mask = fovea.create_block_mask(causal, batch, batch, 300, 300)
    arrays = {
        "to_dense": (mask.to_dense, 4),
        "block_classes": (mask.block_classes, 1),
        "kv_indices": (lambda: mask.kv_indices, 4),
    }
    for name, (make, size) in arrays.items():
        with pytest.raises(MemoryError) as caught:
            make()
        text = str(caught.value)
        assert text.startswith(f"{name}: must fit in memory (")
        assert text.endswith(f"got {batch * batch * 9 * size:,} bytes")
    mask = fovea.create_block_mask(causal, 1 << 70, 1, 0, 8)
    with pytest.raises(ValueError) as caught:
        mask.to_dense()
    assert str(caught.value) == (
        f"to_dense: must be an array of at most 2^62 bytes, got ({1 << 70}, 1, 0, 1)"
    )


def test_arrays_that_claim_any_size_are_refused():
    """Too large: MemoryError or ValueError naming the argument and the bytes."""
    zero, n = np.int32(0), 1 << 20
    num, indices = (np.broadcast_to(zero, (1, 1, n, n)[:rank]) for rank in (3, 4))
    one = np.zeros((1, 1, n), np.int32), np.broadcast_to(zero, (1, 1, n, 1))
    cases = {
        "kv_indices": (lambda: BlockMask.from_kv_blocks(num, indices), 4 << 40),
        "full_kv_indices": (
            lambda: BlockMask.from_kv_blocks(*one, num, indices), 4 << 40,
        ),
        "kv_num_blocks": (
            lambda: BlockMask.from_kv_blocks(
                np.broadcast_to(zero, (n, n, 1)), np.broadcast_to(zero, (n, n, 1, 1))
            ),
            4 << 40,
        ),
        "BlockMask: B index": (
            lambda: mask_of()[np.broadcast_to(np.int64(0), n * n)], 40 << 40,
        ),
    }  # fmt: skip
    for name, (make, size) in cases.items():
        with pytest.raises(MemoryError) as caught:
            make()
        text = str(caught.value)
        assert text.startswith(f"{name}: must fit in memory (")
        assert text.endswith(f"got {size:,} bytes")


def test_exact_may_be_a_numpy_bool():
    """a bool is True, False or numpy.bool"""
    for exact in (np.True_, np.False_):
        assert mask_of(exact=exact).counts() == mask_of(exact=bool(exact)).counts()


@pytest.mark.parametrize("given", [None, 3, 2.5, True])
def test_captures_that_are_no_arrays_are_named(given):
    """a mod that reads entries of what is no array: the capture and what was given"""

    def packed(b, h, q_idx, kv_idx, *, doc):
        return doc[q_idx] == doc[kv_idx]

    with pytest.raises(TypeError) as caught:
        mask_of(mask_mod=packed, captures={"doc": given})
    assert str(caught.value) == (
        "captures['doc']: must be an array, as mask_mod 'packed' reads entries of it,"
        f" got {given}"
    )
    assert "not subscriptable" in str(caught.value.__cause__)


MEMORY = """
import resource
import fovea
from test_api_bad_block_mask import causal

def limited(make):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    try:
        make()
    except MemoryError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

n = 1 << 14
mask = fovea.create_block_mask(causal, 1, 1, n, n, 1)
limited(lambda: fovea.create_mask(causal, 1, 1, n, n))
limited(lambda: mask.to_dense())
classes = mask.block_classes()
limited(lambda: mask.block_classes())
limited(lambda: mask.to_dense())
limited(lambda: mask.kv_indices)
"""


def test_what_there_is_no_memory_for_is_named(native_is_real):
    """out of memory as MemoryError, naming the argument and the bytes"""
    if not native_is_real:
        pytest.skip("the stand-in has no runs of tiles")
    folder = os.path.dirname(__file__)
    printed = run(f"import sys; sys.path.insert(0, {folder!r})\n{MEMORY}")
    tiles = f"{1 << 28:,}"
    assert printed.splitlines() == [
        f"B * H * Q_LEN * KV_LEN: must fit in memory, got {tiles} bytes",
        f"to_dense: must fit in memory, got {1 << 30:,} bytes",
        f"block_classes: must fit in memory, got {tiles} bytes",
        f"to_dense: must fit in memory, got {1 << 30:,} bytes",
        f"kv_indices: must fit in memory, got {1 << 30:,} bytes",
    ]


NUM = np.array([[[1, 2], [0, 3]]], np.int32)


INDICES = np.zeros((1, 2, 2, 3), np.int32)
INDICES[0, 0] = [[2, 0, 0], [0, 1, 0]]
INDICES[0, 1] = [[0, 0, 0], [2, 1, 0]]


def alibi(score, b, h, q_idx, kv_idx):
    return score + kv_idx - q_idx


def changed(array, where, value):
    array = array.copy()
    array[where] = value
    return array


LISTS = {
    "count above the width": (
        dict(kv_num_blocks=changed(NUM, (0, 1, 1), 4)), ValueError,
        "kv_num_blocks: must be in 0...3 (the width of kv_indices), got 4"
        " at b=0, h=1, row=1",
    ),
    "count below 0": (
        dict(kv_num_blocks=changed(NUM, (0, 0, 1), -1)), ValueError,
        "kv_num_blocks: must be in 0...3 (the width of kv_indices), got -1"
        " at b=0, h=0, row=1",
    ),
    "index above": (
        dict(kv_indices=changed(INDICES, (0, 1, 1, 2), 3)), ValueError,
        "kv_indices: must be in 0...2, got 3 at b=0, h=1, row=1",
    ),
    "index below": (
        dict(kv_indices=changed(INDICES, (0, 0, 0, 0), -1)), ValueError,
        "kv_indices: must be in 0...2, got -1 at b=0, h=0, row=0",
    ),
    "index beyond the length": (
        dict(seq_lengths=(256, 256)), ValueError,
        "kv_indices: must be in 0...1, got 2 at b=0, h=0, row=0",
    ),
    "tile twice": (
        dict(kv_indices=changed(INDICES, (0, 1, 1, 1), 2)), ValueError,
        "kv_indices: must name a tile once a row, got tile 2 twice at b=0, h=1, row=1",
    ),
    "full twice": (
        dict(full_kv_num_blocks=changed(NUM * 0, (0, 0, 1), 2),
             full_kv_indices=changed(INDICES * 0, (0, 0, 1), 2)), ValueError,
        "full_kv_indices: must name a tile once a row, got tile 2 twice"
        " at b=0, h=0, row=1",
    ),
    "partial and full": (
        dict(full_kv_num_blocks=changed(NUM * 0, (0, 0, 0), 1),
             full_kv_indices=changed(INDICES * 0, (0, 0, 0, 0), 2)), ValueError,
        "full_kv_indices: must not name a tile of kv_indices, got tile 2 both partial"
        " and full at b=0, h=0, row=0",
    ),
    "full without indices": (
        dict(full_kv_num_blocks=NUM), ValueError,
        "full_kv_indices: must be given with full_kv_num_blocks, got None",
    ),
    "full without counts": (
        dict(full_kv_indices=INDICES), ValueError,
        "full_kv_num_blocks: must be given with full_kv_indices, got None",
    ),
    "full of another shape": (
        dict(full_kv_num_blocks=NUM[:, :1], full_kv_indices=INDICES[:, :1]), ValueError,
        "full_kv_num_blocks: shape must be that of kv_num_blocks (1, 2, 2),"
        " got (1, 1, 2)",
    ),
    "dtype": (
        dict(kv_num_blocks=NUM.astype(np.int16)), TypeError,
        "kv_num_blocks: dtype must be int32 or int64, got int16",
    ),
    "dtype float": (
        dict(kv_indices=INDICES.astype(float)), TypeError,
        "kv_indices: dtype must be int32 or int64, got float64",
    ),
    "list": (
        dict(kv_num_blocks=[[[1, 2]]]), TypeError,
        "kv_num_blocks: must be a numpy.ndarray or have __dlpack__, got list",
    ),
    "rank of counts": (
        dict(kv_num_blocks=NUM[0]), ValueError,
        "kv_num_blocks: rank must be 3 (B, H, Qb), got 2",
    ),
    "rank of indices": (
        dict(kv_indices=INDICES[0]), ValueError,
        "kv_indices: rank must be 4 (B, H, Qb, width), got 3",
    ),
    "shape of indices": (
        dict(kv_indices=INDICES[:, :, :1]), ValueError,
        "kv_indices: shape must be that of kv_num_blocks (1, 2, 2) and a width,"
        " got (1, 2, 1, 3)",
    ),
    "B = 0": (
        dict(kv_num_blocks=NUM[:0], kv_indices=INDICES[:0]), ValueError,
        "kv_num_blocks: B and H must be at least 1, got shape (0, 2, 2)",
    ),
    "mask_mod": (
        dict(mask_mod=3), TypeError, "mask_mod: must be a function or None, got int",
    ),
    "mask_mod BlockMask": (
        dict(mask_mod=mask_of), TypeError, None,
    ),
    "mask_mod score_mod": (
        dict(mask_mod=alibi), TypeError,
        "mask_mod: 'alibi' must be a mask_mod, taking (b, h, q_idx, kv_idx):"
        " missing a required argument: 'kv_idx'",
    ),
    "mask_mod of two": (
        dict(mask_mod=np.greater), TypeError,
        "mask_mod: must be a Python function, got the builtin 'greater'",
    ),
    "seq_lengths kind": (
        dict(seq_lengths=256), TypeError,
        "seq_lengths: must be (Q_LEN, KV_LEN), got int",
    ),
    "seq_lengths three": (
        dict(seq_lengths=(1, 2, 3)), TypeError,
        "seq_lengths: must be (Q_LEN, KV_LEN), got (1, 2, 3)",
    ),
    "seq_lengths entry": (
        dict(seq_lengths=(256, -1)), ValueError,
        "seq_lengths[1]: must be at least 0, got -1",
    ),
    "seq_lengths rows": (
        dict(seq_lengths=(300, 384)), ValueError,
        "seq_lengths[0]: must give as many tiles as there are rows (2 of 128), got 300",
    ),
    "BLOCK_SIZE": (
        dict(BLOCK_SIZE=0), ValueError, "BLOCK_SIZE: must be at least 1, got 0",
    ),
    "num uint64": (
        dict(kv_num_blocks=NUM.astype(np.uint64)), TypeError,
        "kv_num_blocks: dtype must be int32 or int64, got uint64",
    ),
    "BLOCK_SIZE beyond lengths": (
        dict(BLOCK_SIZE=(1 << 62, 64)), ValueError,
        "BLOCK_SIZE: must leave lengths of at most 2^62 to the lists, got"
        " (4611686018427387904, 64) for 2 x 3 tiles",
    ),
    "BLOCK_SIZE device": (
        dict(BLOCK_SIZE="cuda"), TypeError,
        "BLOCK_SIZE: must be an int or (q, kv), got 'cuda' (a device goes to device=)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LISTS)
def test_from_kv_blocks_refuses(case):
    """checks: int32 or int64, count <= width, indices in range, no tile twice in a row
    nor both partial and full: ValueError naming list, b, h, row"""
    given, kind, text = LISTS[case]
    arguments = {"kv_num_blocks": NUM, "kv_indices": INDICES, **given}
    if text is None:
        arguments["mask_mod"] = mask_of()
        text = "mask_mod: must be a function, got a BlockMask (pass it as block_mask=)"
    with pytest.raises(kind) as caught:
        BlockMask.from_kv_blocks(**arguments)
    assert str(caught.value) == text


def test_mask_mod_is_set_to_mask_mods_only():
    """a non-callable or a score_mod among them: TypeError"""
    mask = mask_of()
    with pytest.raises(TypeError) as caught:
        mask.mask_mod = alibi
    assert str(caught.value) == LISTS["mask_mod score_mod"][2]
    assert mask.mask_mod is causal


def test_from_kv_blocks_takes_the_good_one():
    """BlockMask.from_kv_blocks(...)"""
    mask = BlockMask.from_kv_blocks(NUM, INDICES)
    by_keyword = lambda b, h, q_idx, kv_idx, *, table: table[q_idx] > kv_idx
    for mod in (lambda *indices: True, by_keyword):
        assert BlockMask.from_kv_blocks(NUM, INDICES, mask_mod=mod).mask_mod is mod
    assert mask.seq_lengths == (256, 384)
    assert mask.counts() == (0, 6, 6)


def test_an_empty_capture_is_refused_where_it_would_be_read():
    """lengths may be 0"""
    empty = np.zeros(0, np.int32)

    def document(b, h, q_idx, kv_idx):
        return empty[q_idx] == empty[kv_idx]

    for lengths in ((0, 0), (0, 12), (12, 0)):
        assert fovea.create_block_mask(document, 1, 1, *lengths).counts() == (0, 0, 0)
        dense = fovea.create_mask(document, None, None, *lengths)
        assert dense.shape == (1, 1, *lengths)
    for function in (fovea.create_block_mask, fovea.create_mask):
        with pytest.raises(ValueError) as caught:
            function(document, 1, 1, 12, 12)
        assert str(caught.value) == (
            "mask_mod 'document': captured array 'empty': must have at least one "
            "element, got shape (0,)"
        )


def test_tiles_of_one_plane_that_the_mod_tells_apart_are_warned_of():
    """H counts query heads; full tiles are visible whole"""
    width = np.array([8, 64])
    q, k, v = inputs(B=2, Hq=2, Hk=2, M=64, N=64)

    def window(b, h, q_idx, kv_idx):
        return abs(q_idx - kv_idx) < width[h]

    def first(b, h, q_idx, kv_idx):
        return kv_idx < width[b]

    for mod, made, wanted in (
        (window, (None, None), "one head, its tiles decide for all 2 heads"),
        (window, (2, 1), "one head, its tiles decide for all 2 heads"),
        (first, (None, 2), "one batch, its tiles decide for all 2 batches"),
    ):
        name, size = ("h", "H") if mod is window else ("b", "B")
        mask = fovea.create_block_mask(mod, *made, 64, 64, 16)
        kernel = fovea.compile(mask_mod=mod, D=q.shape[-1], block_mask=True)
        for same in (
            mask,
            mask[:, :],
            mask.retile(32),
            mask.crop(64, 64),
            pickle.loads(pickle.dumps(mask)),
        ):
            for call in (
                lambda same=same: fovea.attention(q, k, v, block_mask=same),
                lambda same=same, kernel=kernel: kernel(q, k, v, block_mask=same),
            ):
                with pytest.warns(UserWarning) as caught:
                    call()
                assert [str(w.message) for w in caught] == [
                    f"block_mask: made for {wanted}, but its mask_mod reads {name}"
                    f" (create_block_mask with {size}=2 asks it for each)"
                ]
                assert caught[0].filename == __file__
        # As many as there are, one for all that the mod tells not apart, the
        # lists of someone who knows: nothing to say.
        whole = fovea.create_block_mask(mod, 2, 2, 64, 64, 16)
        fovea.attention(q, k, v, block_mask=whole)
        lists = mask.as_tuple()
        fovea.attention(q, k, v, block_mask=fovea.BlockMask.from_kv_blocks(*lists))
    fovea.attention(q, k, v, block_mask=fovea.create_block_mask(causal, 1, 1, 64, 64))
