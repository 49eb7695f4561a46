"""The variants that the CPU benchmark compares, for Fovea and for torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "HEADS",
    "NAMES",
    "Data",
    "fovea_mods",
    "kept",
    "numpy_mods",
    "torch_mods",
]

HEADS = 8
WINDOW = 1024
NAMES = (
    "noop",
    "causal",
    "alibi_causal",
    "softcap_causal",
    "table_causal",
    "window1024",
    "prefix",
    "document",
    "document_causal",
)
Mods = tuple[Callable[..., Any] | None, Callable[..., Any] | None]


@dataclass
class Data:
    """What the mods of sequences of a length capture."""

    length: int
    slopes: Any
    table: Any
    doc: Any

    @classmethod
    def make(
        cls, length: int, rng: np.random.Generator, heads: int | None = None
    ) -> Data:
        """As NumPy arrays, for so many query heads (default HEADS)."""
        heads = heads or HEADS
        return cls(
            length,
            (2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)).astype(np.float32),
            rng.standard_normal((heads, 2 * length), dtype=np.float32),
            (np.arange(length) // max(length // 8, 1)).astype(np.int32),
        )

    def for_torch(self, torch: Any) -> Data:
        """The same as torch tensors."""
        arrays = (torch.from_numpy(a) for a in (self.slopes, self.table, self.doc))
        return Data(self.length, *arrays)


def _mods(data: Data, tanh: Callable[[Any], Any]) -> dict[str, Mods]:
    n, slopes, table, doc = data.length, data.slopes, data.table, data.doc

    def causal(b, h, q, kv):
        return q >= kv

    return {
        "noop": (None, None),
        "causal": (None, causal),
        "alibi_causal": (lambda s, b, h, q, kv: s + (kv - q) * slopes[h], causal),
        "softcap_causal": (lambda s, b, h, q, kv: 30 * tanh(s / 30), causal),
        "table_causal": (lambda s, b, h, q, kv: s + table[h, q - kv + n], causal),
        "window1024": (None, lambda b, h, q, kv: (q >= kv) & (q - kv < WINDOW)),
        "prefix": (None, lambda b, h, q, kv: (kv < n // 4) | (q >= kv)),
        "document": (None, lambda b, h, q, kv: doc[q] == doc[kv]),
        "document_causal": (
            None,
            lambda b, h, q, kv: (q >= kv) & (doc[q] == doc[kv]),
        ),
    }


def fovea_mods(data: Data) -> dict[str, Mods]:
    """(score_mod, mask_mod) by name, for Fovea."""
    import fovea

    return _mods(data, fovea.ops.tanh)


def numpy_mods(data: Data) -> dict[str, Mods]:
    """(score_mod, mask_mod) by name, over NumPy arrays of scores and indices."""
    return _mods(data, np.tanh)


def torch_mods(data: Data, torch: Any) -> dict[str, Mods]:
    """(score_mod, mask_mod) by name, for FlexAttention."""
    return _mods(data.for_torch(torch), torch.tanh)


def kept(name: str, length: int) -> int:
    """Pairs that the mask of a variant keeps, for one head."""
    rows = np.arange(1, length + 1, dtype=np.int64)
    if name == "noop":
        return length * length
    if name == "window1024":
        return int(np.minimum(rows, WINDOW).sum())
    if name == "prefix":
        return int(np.maximum(rows, length // 4).sum())
    if name.startswith("document"):
        size = max(length // 8, 1)
        sizes = np.bincount(np.arange(length) // size)
        keys = sizes + 1 if name == "document_causal" else 2 * sizes
        return int((sizes * keys // 2).sum())
    return int(rows.sum())
