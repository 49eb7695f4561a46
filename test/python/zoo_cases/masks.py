"""Cases of the masks."""

from __future__ import annotations

import itertools

import numpy as np

from fovea import zoo

from .core import EVEN, ODD, Example, Sizes, case, same

I32 = np.int32


def _tril(sizes: Sizes) -> np.ndarray:
    return np.tri(sizes.M, sizes.N, dtype=bool)


def _rows(sizes: Sizes, sees) -> np.ndarray:
    """A matrix from a function of (q, kv) on Python ints."""
    return np.array(
        [[sees(q, kv) for kv in range(sizes.N)] for q in range(sizes.M)], dtype=bool
    )


def _offsets(length: int, rng: np.random.Generator) -> np.ndarray:
    """Offsets of about five documents of unequal lengths."""
    inner = rng.choice(np.arange(1, length), size=min(4, length - 1), replace=False)
    return np.concatenate([[0], np.sort(inner), [length]]).astype(I32)


@case("masks")
def causal(sizes, rng):
    return Example(mask_mod=zoo.causal, mask=_tril(sizes))


@case("masks")
def inverse_causal(sizes, rng):
    mask = np.triu(np.ones((sizes.M, sizes.N), bool))
    return Example(mask_mod=zoo.inverse_causal, mask=mask)


@case("masks")
def sliding_window(sizes, rng):
    mask = _tril(sizes) & ~np.tri(sizes.M, sizes.N, -12, dtype=bool)
    return Example(mask_mod=zoo.sliding_window(11), params={"W": 11}, mask=mask)


@case("masks")
def dilated_sliding_window(sizes, rng):
    mask = np.zeros((sizes.M, sizes.N), bool)
    for distance in range(-9, 10, 3):
        mask |= np.eye(sizes.M, sizes.N, -distance, dtype=bool)
    return Example(
        mask_mod=zoo.dilated_sliding_window(10, 3),
        params={"W": 10, "d": 3},
        mask=mask,
    )


@case("masks")
def global_sliding_window(sizes, rng):
    g = np.zeros(sizes.S, bool)
    g[[0, 9, 17]] = True
    mask = _rows(sizes, lambda q, kv: -5 <= q - kv <= 5)
    mask[g[: sizes.M]] = True
    mask[:, g[: sizes.N]] = True
    return Example(
        mask_mod=zoo.global_sliding_window(5, g),
        captures={"g": g},
        params={"W": 5},
        mask=mask,
    )


@case("masks")
def sink_window(sizes, rng):
    mask = ~np.tri(sizes.M, sizes.N, -8, dtype=bool)
    mask[:, :3] = True
    return Example(
        mask_mod=zoo.sink_window(8, 3),
        params={"W": 8, "sinks": 3},
        mask=mask & _tril(sizes),
    )


@case("masks")
def prefix_lm(sizes, rng):
    mask = _tril(sizes)
    mask[:, :13] = True
    return Example(
        mask_mod=zoo.prefix_lm(13), captures={"P": np.array(13, I32)}, mask=mask
    )


@case("masks")
def prefix_lm_batch(sizes, rng):
    prefix = rng.integers(0, sizes.N + 1, sizes.B).astype(I32)
    mask = np.repeat(_tril(sizes)[None, None], sizes.B, axis=0)
    for b, length in enumerate(prefix):
        mask[b, :, :, :length] = True
    return Example(mask_mod=zoo.prefix_lm(prefix), captures={"P": prefix}, mask=mask)


@case("masks")
def same_document(sizes, rng):
    doc = rng.integers(0, 4, sizes.S).astype(I32)
    return Example(
        mask_mod=zoo.same_document(doc),
        captures={"doc": doc},
        mask=same(doc[: sizes.M], doc[: sizes.N]),
    )


def _blocks(sizes: Sizes, offsets: np.ndarray) -> np.ndarray:
    mask = np.zeros((sizes.S, sizes.S), bool)
    for first, last in itertools.pairwise(offsets):
        mask[first:last, first:last] = True
    return mask[: sizes.M, : sizes.N]


@case("masks")
def document_causal(sizes, rng):
    offsets = _offsets(sizes.S, rng)
    doc = np.searchsorted(offsets[1:], np.arange(sizes.S), side="right").astype(I32)
    return Example(
        mask_mod=zoo.document_causal(doc),
        captures={"doc": doc},
        mask=_blocks(sizes, offsets) & _tril(sizes),
    )


@case("masks")
def document(sizes, rng):
    offsets = _offsets(sizes.S, rng)
    doc = zoo.document_ids(offsets)
    mask = _blocks(sizes, offsets) & _tril(sizes)
    return Example(
        mask_mod=zoo.document(zoo.sliding_window(6), offsets),
        captures={"start": offsets, "doc": doc},
        params={"W": 6},
        mask=mask & ~np.tri(sizes.M, sizes.N, -7, dtype=bool),
    )


@case("masks")
def packed_causal_document(sizes, rng):
    offsets = _offsets(sizes.S, rng)
    return Example(
        mask_mod=zoo.packed_causal_document(offsets),
        captures={"start": offsets, "doc": zoo.document_ids(offsets)},
        mask=_blocks(sizes, offsets) & _tril(sizes),
    )


@case("masks")
def anchor_document(sizes, rng):
    offsets = _offsets(sizes.S, rng)
    doc = zoo.document_ids(offsets)
    mask = _blocks(sizes, offsets) & _tril(sizes)
    mask[:, 0] = True
    return Example(mask_mod=zoo.anchor_document(doc), captures={"doc": doc}, mask=mask)


@case("masks")
def chunked_causal(sizes, rng):
    chunks = np.append(np.arange(0, sizes.S, 10), sizes.S)
    return Example(
        mask_mod=zoo.chunked_causal(10),
        params={"C": 10},
        mask=_blocks(sizes, chunks) & _tril(sizes),
    )


@case("masks")
def padding(sizes, rng):
    lengths = rng.integers(1, sizes.N, sizes.B).astype(I32)
    lengths[0] = 0 if sizes.B > 1 else lengths[0]
    mask = np.zeros((sizes.B, 1, 1, sizes.N), bool)
    for b, length in enumerate(lengths):
        mask[b, ..., :length] = True
    return Example(mask_mod=zoo.padding(lengths), captures={"len": lengths}, mask=mask)


@case("masks")
def lifetime(sizes, rng):
    end = rng.integers(0, sizes.M + 5, (sizes.H, sizes.N)).astype(I32)
    mask = np.zeros((sizes.H, sizes.M, sizes.N), bool)
    for h in range(sizes.H):
        for kv in range(sizes.N):
            mask[h, kv : end[h, kv] + 1, kv] = True
    return Example(mask_mod=zoo.lifetime(end), captures={"end": end}, mask=mask[None])


def _window(length: int, kernel: int) -> np.ndarray:
    """Rows of `kernel` keys, those nearest to each query (left first if even)."""
    mask = np.zeros((length, length), bool)
    for q in range(length):
        first = q - kernel // 2
        while first < 0:
            first += 1
        while first + kernel > length:
            first -= 1
        mask[q, first : first + kernel] = True
    return mask


@case("masks", EVEN, ODD.with_length(53))
def neighborhood_1d(sizes, rng):
    kernel = 6 if sizes == EVEN else 7
    return Example(
        mask_mod=zoo.neighborhood_1d(sizes.N, kernel),
        params={"L": sizes.N, "K": kernel},
        mask=_window(sizes.N, kernel),
    )


@case("masks", EVEN, ODD.with_length(63))
def neighborhood_2d(sizes, rng):
    w, h = (8, 8) if sizes.N == 64 else (9, 7)
    kw, kh = (3, 4) if sizes.N == 64 else (5, 3)
    return Example(
        mask_mod=zoo.neighborhood_2d(w, h, kw, kh),
        params={"Lx": w, "Ly": h, "Kx": kw, "Ky": kh},
        mask=np.kron(_window(h, kh), _window(w, kw)),
    )


@case("masks", EVEN.with_length(96), ODD.with_length(75))
def neighborhood_3d(sizes, rng):
    (w, h, d), (kw, kh, kd) = (
        ((6, 4, 4), (3, 3, 2)) if sizes.N == 96 else ((5, 5, 3), (3, 5, 1))
    )
    plane = np.kron(_window(h, kh), _window(w, kw))
    return Example(
        mask_mod=zoo.neighborhood_3d(w, h, d, kw, kh, kd),
        params={"Lx": w, "Ly": h, "Lz": d, "Kx": kw, "Ky": kh, "Kz": kd},
        mask=np.kron(_window(d, kd), plane),
    )


@case("masks", EVEN, ODD)
def circular_2d(sizes, rng):
    text = rng.random(sizes.N) < 0.1
    y, x = np.divmod(np.arange(sizes.S), 8)
    place = x + 1j * y
    near = np.abs(np.subtract.outer(place[: sizes.M], place[: sizes.N])) < 3 - 1e-9
    return Example(
        mask_mod=zoo.circular_2d(8, 3, text),
        captures={"text": text},
        params={"L": 8, "r": 3},
        mask=near | text,
    )


@case("masks", EVEN, ODD.with_length(81))
def shifted_window(sizes, rng):
    side, w, shift = (8, 4, 2) if sizes.N == 64 else (9, 3, 1)
    # As Swin does it: label the regions of the rolled image, cut it into windows,
    # and bring the tokens back.
    label = np.zeros((side, side), int)
    cuts = (slice(0, -w), slice(-w, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate(itertools.product(cuts, cuts)):
        label[rows, columns] = number
    window = np.kron(
        np.arange((side // w) ** 2).reshape(side // w, -1), np.ones((w, w), int)
    )
    token = np.roll(window * 100 + label, (shift, shift), axis=(0, 1)).ravel()
    return Example(
        mask_mod=zoo.shifted_window(side, side, w, shift),
        params={"Lx": side, "Ly": side, "w": w, "shift": shift},
        mask=same(token, token),
    )


@case("masks")
def shared_prefix(sizes, rng):
    offsets = _offsets(sizes.S, rng)
    prefix = np.array([0, 0, 0, 3, 3], I32)
    mask = _blocks(sizes, offsets) & _tril(sizes)
    for d, p in enumerate(prefix):
        rows = slice(offsets[d], min(offsets[d + 1], sizes.M))
        mask[rows, offsets[p] : offsets[p + 1]] = True
    return Example(
        mask_mod=zoo.shared_prefix(offsets, prefix),
        captures={
            "off": offsets,
            "prefix": prefix,
            "doc": zoo.document_ids(offsets),
        },
        mask=mask,
    )


@case("masks")
def head_classes(sizes, rng):
    kind = np.array([0, 1, 2, 1], I32)[: sizes.H]
    window = ~np.tri(sizes.M, sizes.N, -7, dtype=bool)
    sinks = np.arange(sizes.N) < 3
    classes = [np.ones_like(window), window, np.broadcast_to(sinks, window.shape)]
    mask = np.stack([classes[c] for c in kind]) & _tril(sizes)
    return Example(
        mask_mod=zoo.head_classes(kind, 7, 3),
        captures={"kind": kind},
        params={"W": 7, "sinks": 3},
        mask=mask[None],
    )


_STEP = Sizes(3, 4, 2, 1, 64, 32, 32)


@case("masks", _STEP, Sizes(2, 3, 1, 5, 53, 20, 13), file="sliding_window")
def decode(sizes, rng):
    """The last queries of a cache: a window whose queries begin at an offset."""
    offset = rng.integers(0, sizes.N - sizes.M + 1, sizes.B)
    mask = np.zeros((sizes.B, 1, sizes.M, sizes.N), bool)
    for b, m in np.ndindex(sizes.B, sizes.M):
        q = offset[b] + m
        mask[b, 0, m, max(q - 11, 0) : q + 1] = True
    return Example(
        mask_mod=zoo.sliding_window(11),
        params={"W": 11},
        mask=mask,
        q_offset=offset,
    )
