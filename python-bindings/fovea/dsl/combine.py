"""Masks made of masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .mods import check_mask_mod

__all__ = ["and_masks", "or_masks"]


def _check(function: str, mods: tuple) -> None:
    for position, mod in enumerate(mods):
        check_mask_mod(f"{function}: argument {position}", mod)


def and_masks(*mask_mods: Callable) -> Callable:
    """The mask_mod that is visible where all of `mask_mods` are.

    Without arguments it is visible everywhere.

    Raises
    ------
    TypeError
        Where an argument is no mask_mod; names its position.
    """
    _check("and_masks", mask_mods)

    def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result: Any = True
        for mask_mod in mask_mods:
            result = result & mask_mod(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods: Callable) -> Callable:
    """The mask_mod that is visible where one of `mask_mods` is.

    Without arguments it is visible nowhere.

    Raises
    ------
    TypeError
        Where an argument is no mask_mod; names its position.
    """
    _check("or_masks", mask_mods)

    def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result: Any = False
        for mask_mod in mask_mods:
            result = result | mask_mod(b, h, q_idx, kv_idx)
        return result

    return or_mask
