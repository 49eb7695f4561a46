"""The offsets that a block mask was made for.

Its full and empty tiles are not asked again at a call, so that a call with others
would mix two masks.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Offset", "Offsets", "check_offset", "pairs", "taken"]

#: One number for all batches, or one a batch.
Offset = int | list[int]
#: q_offset and kv_offset.
Offsets = tuple[Offset, Offset]


def pairs(q: Offset, kv: Offset) -> list[tuple[int, int]]:
    """The pairs of offsets: of all batches, or of each one."""
    if isinstance(q, int):
        return [(q, kv)] if isinstance(kv, int) else [(q, each) for each in kv]
    if isinstance(kv, int):
        return [(each, kv) for each in q]
    return list(zip(q, kv, strict=True))


def taken(own: Offset, batches: Sequence[int]) -> Offset:
    """The offset of some batches."""
    return own if isinstance(own, int) else [own[b] for b in batches]


def check_offset(
    name: str, own: Offset, given: list[int] | None, rows_cut: int = 0
) -> None:
    """Check a call's offset, None for zeros, against a mask's own."""
    if given is None:
        given = [0] * (1 if isinstance(own, int) else len(own))
    for b, have in enumerate(given):
        want = own if isinstance(own, int) else own[min(b, len(own) - 1)]
        if want != have:
            where = f" at b={b}" if len(given) > 1 else ""
            counted = (
                f"; the slice counts the {rows_cut} rows before it itself"
                if rows_cut
                else ""
            )
            raise ValueError(
                f"{name}: must be that of block_mask ({want}), got"
                f" {have}{where}{counted}"
            )
