"""Mask mods of the zoo: True where the query sees the key.

Notation: q and kv are global positions, h the query head, b the batch, all from
0; ``//`` and ``%`` floor. Arrays that are handed in stay live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops

__all__ = [
    "anchor_document",
    "causal",
    "chunked_causal",
    "circular_2d",
    "dilated_sliding_window",
    "document",
    "document_causal",
    "document_ids",
    "global_sliding_window",
    "head_classes",
    "inverse_causal",
    "lifetime",
    "natten",
    "neighborhood_1d",
    "neighborhood_2d",
    "neighborhood_3d",
    "packed_causal_document",
    "padding",
    "prefix_lm",
    "same_document",
    "shared_prefix",
    "shifted_window",
    "sink_window",
    "sliding_window",
]

MaskMod = Callable[..., Any]


def causal(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    """See the present and the past: ``q >= kv``.

    Vaswani et al. 2017, arXiv:1706.03762. It is a mask mod itself.

    Parameters
    ----------
    b, h, q_idx, kv_idx
        As for every mask mod.

    Returns
    -------
    bool
    """
    return q_idx >= kv_idx


def inverse_causal(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
    """See the present and the future: ``q <= kv``.

    It is a mask mod itself.

    Parameters
    ----------
    b, h, q_idx, kv_idx
        As for every mask mod.

    Returns
    -------
    bool
    """
    return q_idx <= kv_idx


def sliding_window(window_size: int) -> MaskMod:
    """Causal window of W + 1 keys: ``q >= kv and q - kv <= W``.

    Child et al. 2019, arXiv:1904.10509; Jiang et al. 2023, "Mistral 7B",
    arXiv:2310.06825.

    Parameters
    ----------
    window_size : int
        How far back a query sees, W.

    Returns
    -------
    mask_mod
    """

    def sliding_window_mask(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (q_idx - kv_idx <= window_size)

    return sliding_window_mask


def dilated_sliding_window(window_size: int, dilation: int) -> MaskMod:
    """Every d-th key of a window: ``|q - kv| <= W and (q - kv) % d == 0``.

    Beltagy, Peters, Cohan 2020, "Longformer", arXiv:2004.05150.

    Parameters
    ----------
    window_size : int
        The reach W to either side.
    dilation : int
        The step d.

    Returns
    -------
    mask_mod
    """

    def dilated_mask(b, h, q_idx, kv_idx):
        distance = q_idx - kv_idx
        return (abs(distance) <= window_size) & (distance % dilation == 0)

    return dilated_mask


def global_sliding_window(window_size: int, is_global: Any) -> MaskMod:
    """Window and global tokens: ``|q - kv| <= W or g[q] or g[kv]``.

    Beltagy, Peters, Cohan 2020, "Longformer", arXiv:2004.05150.

    Parameters
    ----------
    window_size : int
        The reach W to either side.
    is_global : array of bool
        g, shape [S]: tokens that see all and are seen by all.

    Returns
    -------
    mask_mod
    """

    def global_window_mask(b, h, q_idx, kv_idx):
        near = abs(q_idx - kv_idx) <= window_size
        return near | is_global[q_idx] | is_global[kv_idx]

    return global_window_mask


def sink_window(window_size: int, sink_size: int = 4) -> MaskMod:
    """Window and first tokens: ``q >= kv and (kv < sinks or q - kv < W)``.

    Xiao et al. 2024, "Efficient Streaming Language Models with Attention Sinks",
    arXiv:2309.17453.

    Parameters
    ----------
    window_size : int
        Number of keys in the window, W.
    sink_size : int
        Number of first tokens that stay visible.

    Returns
    -------
    mask_mod
    """

    def sink_window_mask(b, h, q_idx, kv_idx):
        near = q_idx - kv_idx < window_size
        return (q_idx >= kv_idx) & ((kv_idx < sink_size) | near)

    return sink_window_mask


def prefix_lm(prefix_length: Any) -> MaskMod:
    """Bidirectional prefix, causal rest: ``kv < P or q >= kv``.

    Raffel et al. 2020, arXiv:1910.10683; Dong et al. 2019, arXiv:1905.03197.

    Parameters
    ----------
    prefix_length : int or array of int
        P, one for all or shape [B], one a batch.

    Returns
    -------
    mask_mod
    """
    if len(getattr(prefix_length, "shape", ())) == 1:

        def prefix_lm_batch(b, h, q_idx, kv_idx):
            return (kv_idx < prefix_length[b]) | (q_idx >= kv_idx)

        return prefix_lm_batch

    def prefix_lm_mask(b, h, q_idx, kv_idx):
        return (kv_idx < prefix_length) | (q_idx >= kv_idx)

    return prefix_lm_mask


def document_ids(offsets: Any) -> np.ndarray:
    """Document number of each token of a packed sequence.

    Parameters
    ----------
    offsets : array of int
        Shape [documents + 1], cumulative token counts from 0.

    Returns
    -------
    numpy.ndarray of int32
        Shape [offsets[-1]].
    """
    counts = np.diff(np.asarray(offsets))
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def document(mask_mod: MaskMod | None, offsets: Any) -> MaskMod:
    """A mask inside each document of a packed sequence.

    ``doc[q] == doc[kv] and mask_mod(b, h, q - off[doc[q]], kv - off[doc[kv]])``:
    the inner mask sees positions that begin at 0 in every document. Krell et al.
    2021, "Efficient Sequence Packing", arXiv:2107.02027.

    Parameters
    ----------
    mask_mod : mask_mod or None
        The mask inside a document; None shows it whole.
    offsets : array of int
        Shape [documents + 1], cumulative token counts from 0.

    Returns
    -------
    mask_mod
    """
    offsets = np.asarray(offsets)
    doc = document_ids(offsets)
    if mask_mod is None:
        return same_document(doc)

    def document_mask(b, h, q_idx, kv_idx):
        q_inner = q_idx - offsets[doc[q_idx]]
        kv_inner = kv_idx - offsets[doc[kv_idx]]
        return (doc[q_idx] == doc[kv_idx]) & mask_mod(b, h, q_inner, kv_inner)

    return document_mask


def same_document(doc: Any) -> MaskMod:
    """Tokens of one document see each other: ``doc[q] == doc[kv]``.

    Krell et al. 2021, arXiv:2107.02027.

    Parameters
    ----------
    doc : array of int
        Document number of each token, shape [S].

    Returns
    -------
    mask_mod
    """

    def same_document_mask(b, h, q_idx, kv_idx):
        return doc[q_idx] == doc[kv_idx]

    return same_document_mask


def document_causal(doc: Any) -> MaskMod:
    """Causal inside each document: ``doc[q] == doc[kv] and q >= kv``.

    Krell et al. 2021, arXiv:2107.02027.

    Parameters
    ----------
    doc : array of int
        Document number of each token, shape [S].

    Returns
    -------
    mask_mod
    """

    def document_causal_mask(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (doc[q_idx] == doc[kv_idx])

    return document_causal_mask


def packed_causal_document(offsets: Any) -> MaskMod:
    """Causal documents as one interval a row: ``start[doc[q]] <= kv <= q``.

    Equals `document_causal` for packed sequences and says that each row sees one
    interval of keys. Krell et al. 2021, arXiv:2107.02027.

    Parameters
    ----------
    offsets : array of int
        Shape [documents + 1], cumulative token counts from 0.

    Returns
    -------
    mask_mod
    """
    offsets = np.asarray(offsets)
    doc = document_ids(offsets)

    def packed_document_mask(b, h, q_idx, kv_idx):
        return (kv_idx >= offsets[doc[q_idx]]) & (q_idx >= kv_idx)

    return packed_document_mask


def anchor_document(doc: Any) -> MaskMod:
    """Causal documents that share the first token.

    ``q >= kv and (doc[q] == doc[kv] or kv == 0)``. Wang et al. 2024, "When
    Precision Meets Position: BFloat16 Breaks Down RoPE in Long-Context Training"
    (AnchorAttention), arXiv:2411.13476.

    Parameters
    ----------
    doc : array of int
        Document number of each token, shape [S].

    Returns
    -------
    mask_mod
    """

    def anchor_mask(b, h, q_idx, kv_idx):
        shared = (doc[q_idx] == doc[kv_idx]) | (kv_idx == 0)
        return (q_idx >= kv_idx) & shared

    return anchor_mask


def chunked_causal(chunk_size: int) -> MaskMod:
    """Causal inside chunks of C: ``q >= kv and q // C == kv // C``.

    Meta 2025, Llama 4 (local layers); Child et al. 2019, arXiv:1904.10509.

    Parameters
    ----------
    chunk_size : int
        C, at least 1.

    Returns
    -------
    mask_mod
    """

    def chunked_mask(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (q_idx // chunk_size == kv_idx // chunk_size)

    return chunked_mask


def padding(lengths: Any) -> MaskMod:
    """Hide the padding of each batch: ``kv < lengths[b]``.

    Parameters
    ----------
    lengths : array of int
        Shape [B].

    Returns
    -------
    mask_mod
    """

    def padding_mask(b, h, q_idx, kv_idx):
        return kv_idx < lengths[b]

    return padding_mask


def lifetime(end: Any) -> MaskMod:
    """Keys that expire: ``kv <= q <= end[h, kv]``.

    Deng et al. 2025, "Neural Attention Search" (NAtS), arXiv:2502.13251.

    Parameters
    ----------
    end : array of int
        Last query that sees each key, shape [H, N].

    Returns
    -------
    mask_mod
    """

    def lifetime_mask(b, h, q_idx, kv_idx):
        return (q_idx >= kv_idx) & (q_idx <= end[h, kv_idx])

    return lifetime_mask


def _in_window(q: Any, kv: Any, length: int, kernel: int) -> Any:
    """A window of `kernel` keys round q, moved inside [0, length)."""
    start = ops.clamp(q - kernel // 2, 0, length - kernel)
    return (kv >= start) & (kv < start + kernel)


def neighborhood_1d(length: int, kernel: int) -> MaskMod:
    """One-dimensional neighbourhood attention.

    ``start <= kv < start + K`` with ``start = clamp(q - K // 2, 0, L - K)``: every
    query sees K keys. Hassani et al. 2023, "Neighborhood Attention Transformer",
    arXiv:2204.07143.

    Parameters
    ----------
    length : int
        Tokens L of the sequence.
    kernel : int
        Window K, at most L.

    Returns
    -------
    mask_mod
    """

    def neighborhood_1d_mask(b, h, q_idx, kv_idx):
        return _in_window(q_idx, kv_idx, length, kernel)

    return neighborhood_1d_mask


def neighborhood_2d(
    canvas_w: int, canvas_h: int, kernel_w: int, kernel_h: int
) -> MaskMod:
    """Two-dimensional neighbourhood attention.

    The window of `neighborhood_1d` along x and along y, for tokens in row-major
    order (``x = i % canvas_w``). Hassani et al. 2023, arXiv:2204.07143.

    Parameters
    ----------
    canvas_w, canvas_h : int
        Width and height of the image in tokens.
    kernel_w, kernel_h : int
        Width and height of the window.

    Returns
    -------
    mask_mod
    """

    def neighborhood_2d_mask(b, h, q_idx, kv_idx):
        in_x = _in_window(q_idx % canvas_w, kv_idx % canvas_w, canvas_w, kernel_w)
        in_y = _in_window(q_idx // canvas_w, kv_idx // canvas_w, canvas_h, kernel_h)
        return in_x & in_y

    return neighborhood_2d_mask


natten = neighborhood_2d


def neighborhood_3d(
    canvas_w: int,
    canvas_h: int,
    canvas_d: int,
    kernel_w: int,
    kernel_h: int,
    kernel_d: int,
) -> MaskMod:
    """Three-dimensional neighbourhood attention.

    The window of `neighborhood_1d` along x, y and z, for tokens in the order
    ``i = (z * canvas_h + y) * canvas_w + x``. Hassani et al. 2024, "Faster
    Neighborhood Attention", arXiv:2403.04690.

    Parameters
    ----------
    canvas_w, canvas_h, canvas_d : int
        Size of the volume in tokens.
    kernel_w, kernel_h, kernel_d : int
        Size of the window.

    Returns
    -------
    mask_mod
    """
    plane = canvas_w * canvas_h

    def neighborhood_3d_mask(b, h, q_idx, kv_idx):
        in_x = _in_window(q_idx % canvas_w, kv_idx % canvas_w, canvas_w, kernel_w)
        q_y, kv_y = q_idx // canvas_w % canvas_h, kv_idx // canvas_w % canvas_h
        in_y = _in_window(q_y, kv_y, canvas_h, kernel_h)
        in_z = _in_window(q_idx // plane, kv_idx // plane, canvas_d, kernel_d)
        return in_x & in_y & in_z

    return neighborhood_3d_mask


def circular_2d(canvas_w: int, radius: int, text: Any) -> MaskMod:
    """A disc round the query, and the text: ``dx**2 + dy**2 < r**2 or text[kv]``.

    Liu et al. 2024, "CLEAR: Conv-Like Linearization Revs Pre-Trained Diffusion
    Transformers Up", arXiv:2412.16112.

    Parameters
    ----------
    canvas_w : int
        Width of the image in tokens; tokens are row-major.
    radius : int
        r.
    text : array of bool
        Keys that all queries see, shape [N].

    Returns
    -------
    mask_mod
    """

    def circular_2d_mask(b, h, q_idx, kv_idx):
        dx = q_idx % canvas_w - kv_idx % canvas_w
        dy = q_idx // canvas_w - kv_idx // canvas_w
        return (dx * dx + dy * dy < radius * radius) | text[kv_idx]

    return circular_2d_mask


def _band(rolled: Any, length: int, window: int, shift: int) -> Any:
    """The region of a cyclically shifted coordinate: 0, 1, or 2 if it wrapped."""
    low = ops.where(rolled < length - window, 0, 1)
    return ops.where(rolled < length - shift, low, 2)


def shifted_window(canvas_w: int, canvas_h: int, window: int, shift: int) -> MaskMod:
    """Swin's shifted windows over an image in row-major order.

    With ``x' = (x - shift) % canvas_w`` and y' likewise: the same window
    (``x' // w`` and ``y' // w`` agree) and the same region (tokens that wrapped
    round the border see only their like). Liu et al. 2021, arXiv:2103.14030.

    Parameters
    ----------
    canvas_w, canvas_h : int
        Width and height of the image in tokens, multiples of the window.
    window : int
        The side w of a window.
    shift : int
        The cyclic shift, usually w // 2.

    Returns
    -------
    mask_mod
    """

    def along(q, kv, length):
        q_rolled, kv_rolled = (q - shift) % length, (kv - shift) % length
        same_window = q_rolled // window == kv_rolled // window
        q_band = _band(q_rolled, length, window, shift)
        return same_window & (q_band == _band(kv_rolled, length, window, shift))

    def shifted_window_mask(b, h, q_idx, kv_idx):
        in_x = along(q_idx % canvas_w, kv_idx % canvas_w, canvas_w)
        return in_x & along(q_idx // canvas_w, kv_idx // canvas_w, canvas_h)

    return shifted_window_mask


def shared_prefix(offsets: Any, prefix_document_id: Any) -> MaskMod:
    """Documents that share prefixes without a copy.

    With ``d = doc[q]`` and ``p = prefix[d]``: ``(kv >= off[d] and q >= kv) or
    off[p] <= kv < off[p + 1]``. A document that is its own prefix sees itself
    whole. Juravsky et al. 2024, "Hydragen", arXiv:2402.05099, has the idea.

    Parameters
    ----------
    offsets : array of int
        Shape [documents + 1], cumulative token counts from 0.
    prefix_document_id : array of int
        The prefix of each document, shape [documents].

    Returns
    -------
    mask_mod
    """
    offsets = np.asarray(offsets)
    prefix = np.asarray(prefix_document_id)
    doc = document_ids(offsets)

    def shared_prefix_mask(b, h, q_idx, kv_idx):
        d = doc[q_idx]
        own = (kv_idx >= offsets[d]) & (q_idx >= kv_idx)
        p = prefix[d]
        return own | ((offsets[p] <= kv_idx) & (kv_idx < offsets[p + 1]))

    return shared_prefix_mask


def head_classes(kind: Any, window_size: int, sink_size: int = 4) -> MaskMod:
    """A causal pattern for each head: dense, window or sinks only.

    ``q >= kv and (kind[h] == 0 or (kind[h] == 1 and q - kv < W) or (kind[h] == 2
    and kv < sinks))``. Xiao et al. 2024, "DuoAttention", arXiv:2410.10819.

    Parameters
    ----------
    kind : array of int
        0 dense, 1 window, 2 sinks only; shape [H].
    window_size : int
        Number of keys in the window, W.
    sink_size : int
        Number of first tokens that sink heads see.

    Returns
    -------
    mask_mod
    """

    def head_classes_mask(b, h, q_idx, kv_idx):
        window = (kind[h] == 1) & (q_idx - kv_idx < window_size)
        sinks = (kind[h] == 2) & (kv_idx < sink_size)
        return (q_idx >= kv_idx) & ((kind[h] == 0) | window | sinks)

    return head_classes_mask
