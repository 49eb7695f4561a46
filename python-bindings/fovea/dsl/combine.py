"""Masks made of masks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .mods import called_as, check_mask_mod

__all__ = ["and_masks", "or_masks"]

_POSITIONAL = tuple(
    inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for name in ("b", "h", "q_idx", "kv_idx")
)


def _keyword_only(function: str, mods: tuple) -> list[dict[str, inspect.Parameter]]:
    """The keyword-only parameters of each mod."""
    for position, mod in enumerate(mods):
        check_mask_mod(f"{function}: argument {position}", mod, keywords=True)
    return [
        {
            p.name: p
            for p in called_as(mod).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        for mod in mods
    ]


def _declare(combined: Any, parts: list[dict[str, inspect.Parameter]]) -> Callable:
    """Say that a mod takes by name what one of its parts takes.

    What one of them requires is required.
    """
    union: dict[str, inspect.Parameter] = {}
    for part in parts:
        for name, parameter in part.items():
            if name not in union or parameter.default is parameter.empty:
                union[name] = parameter.replace(annotation=parameter.empty)
    combined.__signature__ = inspect.Signature([*_POSITIONAL, *union.values()])
    return combined


def _shares(function: str, keywords: tuple, given: dict) -> list[dict[str, Any]]:
    """What each mod takes of the arguments that are given by name."""
    for name in given:
        if not any(name in names for names in keywords):
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    return [
        {name: given[name] for name in names if name in given} for names in keywords
    ]


def and_masks(*mask_mods: Callable) -> Callable:
    """The mask_mod that is visible where all of `mask_mods` are.

    Without arguments it is visible everywhere. Keyword-only parameters of
    `mask_mods` are its own; of the same name, one value goes to all that take it.

    Raises
    ------
    TypeError
        Where an argument is no mask_mod; names its position.
    """
    parts = _keyword_only("and_masks", mask_mods)
    if any(parts):
        keywords = tuple(map(tuple, parts))

        def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any, **given: Any) -> Any:
            result: Any = True
            shares = _shares("and_mask", keywords, given)
            for mask_mod, own in zip(mask_mods, shares, strict=True):
                result = result & mask_mod(b, h, q_idx, kv_idx, **own)
            return result

        return _declare(and_mask, parts)

    def and_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result: Any = True
        for mask_mod in mask_mods:
            result = result & mask_mod(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods: Callable) -> Callable:
    """The mask_mod that is visible where one of `mask_mods` is.

    Without arguments it is visible nowhere. Keyword-only parameters are taken as by
    `and_masks`.

    Raises
    ------
    TypeError
        Where an argument is no mask_mod; names its position.
    """
    parts = _keyword_only("or_masks", mask_mods)
    if any(parts):
        keywords = tuple(map(tuple, parts))

        def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any, **given: Any) -> Any:
            result: Any = False
            shares = _shares("or_mask", keywords, given)
            for mask_mod, own in zip(mask_mods, shares, strict=True):
                result = result | mask_mod(b, h, q_idx, kv_idx, **own)
            return result

        return _declare(or_mask, parts)

    def or_mask(b: Any, h: Any, q_idx: Any, kv_idx: Any) -> Any:
        result: Any = False
        for mask_mod in mask_mods:
            result = result | mask_mod(b, h, q_idx, kv_idx)
        return result

    return or_mask
