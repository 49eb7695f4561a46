"""Keys and values in pages."""

from __future__ import annotations

from typing import Any

from . import _checks, _tensors
from ._tensors import TILES, Tensor, type_name

__all__ = ["Pages", "read"]

_LAYOUT = {"k": "pages, Hk, length, D", "v": "pages, Hk, length, E"}


class Pages:
    """Keys or values that lie in pages, in place of an array for k or v.

    Key n of batch b is row ``n % length`` of page ``table[b, n // length]``, so
    that N = pages a sequence times length of a page. Strides are free: a pool
    whose tokens hold all heads, [pages, length, Hk, D], is given transposed.

    Parameters
    ----------
    pages : array, shape [pages, Hk, length, D or E]
        The pool; any length of a page from 1 on.
    table : integer array, shape [B, pages a sequence]
        int32 or int64; read at each call. Entries beyond ``kv_lengths`` are not
        looked at. k and v share one table.
    """

    __slots__ = ("pages", "table")

    def __init__(self, pages: Any, table: Any):
        for name, value in (("pages", pages), ("table", table)):
            if not _tensors.is_tensor(value):
                raise TypeError(
                    f"{name}: must be a numpy.ndarray or have __dlpack__,"
                    f" got {type_name(value)}"
                )
        self.pages = pages
        self.table = table

    def __repr__(self) -> str:
        shapes = [tuple(x.shape) for x in (self.pages, self.table)]
        return f"<fovea.Pages: pool {shapes[0]}, table {shapes[1]}>"


def _read_pool(given: Any, name: str, other: str) -> Tensor:
    if not isinstance(given, Pages):
        raise TypeError(
            f"{name}: must be a fovea.Pages where {other} is, got {type_name(given)}"
        )
    pool = _tensors.read(given.pages, name)
    if len(pool.shape) != 4:
        raise ValueError(
            f"{name}: rank must be 4 ({_LAYOUT[name]}), got {len(pool.shape)}"
        )
    return pool


def _read_table(k: Pages, v: Pages, batch: int) -> Tensor:
    table = _tensors.read(k.table, "table", TILES, grad_matters=False)
    if k.table is not v.table:
        other = _tensors.read(v.table, "table", TILES, grad_matters=False)
        if other.tuple != table.tuple:
            raise ValueError("table: must be one array for k and v, got another for v")
    if len(table.shape) != 2:
        raise ValueError(
            f"table: rank must be 2 (B, pages a sequence), got {len(table.shape)}"
        )
    if table.shape[0] != batch:
        raise ValueError(
            f"table: batch must be that of q ({batch}), got {table.shape[0]}"
        )
    return table


def read(q: Any, k: Any, v: Any) -> tuple:
    """What `Inputs` holds, with keys and values in pages."""
    tq = _tensors.read(q, "q")
    tk, tv = _read_pool(k, "k", "v"), _read_pool(v, "v", "k")
    if len(tq.shape) != 4:
        raise ValueError(f"q: rank must be 4 (B, Hq, M, D), got {len(tq.shape)}")
    table = _read_table(k, v, tq.shape[0])
    for name, tensor in (("q", tq), ("k", tk), ("v", tv), ("table", table)):
        if tensor.device != "cpu":
            raise ValueError(
                f"{name}: pages are read on the CPU alone, got {tensor.device}"
            )
    length = tk.shape[2]
    if length < 1:
        raise ValueError("k: page length must be at least 1, got 0")
    if tv.shape[2] != length:
        raise ValueError(
            f"v: page length must be that of k ({length}), got {tv.shape[2]}"
        )
    # The sequences as they would look in one piece.
    rows = table.shape[1] * length
    whole = [
        Tensor(
            t.obj, t.address, t.dtype, (tq.shape[0], t.shape[1], rows, t.shape[3]),
            (0, 0, 0, 0), t.library, t.device, t.keep,
        )
        for t in (tk, tv)
    ]  # fmt: skip
    geometry = _checks.geometry(tq, *whole)
    keep = (tq, tk, tv, table)
    return geometry, tq.tuple, tk.tuple, tv.tuple, tq, keep, table.tuple
