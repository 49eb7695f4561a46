"""Mask mods of the zoo: documents packed into one sequence.

The notation is that of `fovea.zoo.masks`; ``doc[i]`` is the document of token i and
``off[d]`` where document d begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .masks import MaskMod

__all__ = [
    "anchor_document",
    "document",
    "document_causal",
    "document_ids",
    "packed_causal_document",
    "same_document",
    "shared_prefix",
]


def _checked(offsets: Any) -> np.ndarray:
    """Offsets of documents as an array."""
    array = np.asarray(offsets)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(
            "offsets: must be one row of integers, got"
            f" {array.dtype} of shape {array.shape}"
        )
    if array.size == 0 or array[0] != 0:
        first = array[0] if array.size else "none"
        raise ValueError(f"offsets: must begin with 0, got {first}")
    falls = np.flatnonzero(array[1:] < array[:-1])
    if falls.size:
        at = falls[0]
        raise ValueError(
            f"offsets: must not descend, got {array[at + 1]} after {array[at]}"
        )
    return array


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
    counts = np.diff(_checked(offsets))
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
    offsets = _checked(offsets)
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
    offsets = _checked(offsets)
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
    offsets = _checked(offsets)
    prefix = np.asarray(prefix_document_id)
    doc = document_ids(offsets)

    def shared_prefix_mask(b, h, q_idx, kv_idx):
        d = doc[q_idx]
        own = (kv_idx >= offsets[d]) & (q_idx >= kv_idx)
        p = prefix[d]
        return own | ((offsets[p] <= kv_idx) & (kv_idx < offsets[p + 1]))

    return shared_prefix_mask
