"""Mask mods of the zoo: True where the query sees the key.

Notation: q and kv are global positions, h the query head, b the batch, all from
0; ``//`` and ``%`` floor. Arrays that are handed in stay live.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._limits import check_least

__all__ = [
    "causal",
    "chunked_causal",
    "dilated_sliding_window",
    "global_sliding_window",
    "head_classes",
    "inverse_causal",
    "lifetime",
    "padding",
    "prefix_lm",
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

    Raises
    ------
    ValueError
        A negative size.
    """
    check_least(0, window_size=window_size)

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

    Raises
    ------
    ValueError
        A negative reach, a step below 1.
    """
    check_least(0, window_size=window_size)
    check_least(1, dilation=dilation)

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

    Raises
    ------
    ValueError
        A negative size.
    """
    check_least(0, window_size=window_size)

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

    Raises
    ------
    ValueError
        A negative size.
    """
    check_least(0, window_size=window_size, sink_size=sink_size)

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

    Raises
    ------
    ValueError
        A chunk size below 1.
    """
    check_least(1, chunk_size=chunk_size)

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

    Raises
    ------
    ValueError
        A negative size.
    """
    check_least(0, window_size=window_size, sink_size=sink_size)

    def head_classes_mask(b, h, q_idx, kv_idx):
        window = (kind[h] == 1) & (q_idx - kv_idx < window_size)
        sinks = (kind[h] == 2) & (kv_idx < sink_size)
        return (q_idx >= kv_idx) & ((kind[h] == 0) | window | sinks)

    return head_classes_mask
