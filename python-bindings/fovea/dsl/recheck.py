"""Comparing what a trace reached with what is there now.

A plan is a flat list of steps. Each step fetches one object from an object
fetched before and tests it; the result is the list of all objects, from which
the live arrays are taken. The compiled module follows the plans of calls that
repeat (``src/Plans.cpp``): the functions here say what it does.
"""

from __future__ import annotations

import array
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

__all__ = ["Step", "run_plan"]

#: (getter, parent slot, key, test, expectation); no test: the same object as
#: the one in the slot that the expectation names.
Step = tuple[Callable, int, Any, Callable | None, Any]


def run_plan(plan: list[Step], roots: tuple) -> list | None:
    """All objects of the plan, or None where something differs."""
    found: list[Any] = [roots]
    push = found.append
    try:
        for getter, parent, key, test, expected in plan:
            value = getter(found[parent], key)
            if test is None:
                if value is not found[expected]:
                    return None
            elif not test(value, expected):
                return None
            push(value)
    except Exception:
        # A property of the user's that raises, an attribute that is gone: the
        # trace that follows meets the same and reports it.
        return None
    return found


# -- getters ---------------------------------------------------------------------


def get_item(parent: Any, key: Any) -> Any:
    return parent[key]


def get_cell(parent: Any, key: int) -> Any:
    return parent.__closure__[key]


def get_contents(parent: Any, key: Any) -> Any:
    return parent.cell_contents


def get_class(parent: Any, key: Any) -> Any:
    return type(parent)


def get_keys(parent: Any, key: Any) -> Any:
    return tuple(parent)


def get_length(parent: Any, key: Any) -> Any:
    return len(parent)


_ABSENT = object()


def probe_item(parent: Any, key: Any) -> Any:
    return parent.get(key, _ABSENT)


def probe_subscript(parent: Any, key: Any) -> Any:
    try:
        return parent[key]
    except LookupError:
        return _ABSENT


def contains(parent: Any, key: Any) -> bool:
    return key in parent


def probe_attribute(parent: Any, key: str) -> Any:
    return getattr(parent, key, _ABSENT)


# -- tests -----------------------------------------------------------------------


def is_absent(value: Any, expected: Any) -> bool:
    return value is _ABSENT


def is_anything(value: Any, expected: Any) -> bool:
    return True


def is_never(value: Any, expected: Any) -> bool:
    """Of objects whose changes nobody can see: every call traces again."""
    return False


def is_same(value: Any, expected: Any) -> bool:
    return value is expected


def is_equal(value: Any, expected: tuple[type, Any]) -> bool:
    return type(value) is expected[0] and value == expected[1]


def is_zero(value: Any, expected: tuple[type, float]) -> bool:
    return (
        type(value) is expected[0]
        and value == 0
        and math.copysign(1.0, value) == expected[1]
    )


def is_nan(value: Any, expected: tuple[type, Any]) -> bool:
    return type(value) is expected[0] and value != value


def has_type(value: Any, expected: type) -> bool:
    return type(value) is expected


def has_code(value: Any, expected: tuple) -> bool:
    return (
        type(value) is FunctionType
        and value.__code__ is expected[0]
        and value.__globals__ is expected[1]
        and (value.__defaults__ is None) is expected[2]
        and (value.__kwdefaults__ is None) is expected[3]
    )


def is_array_like(value: Any, expected: tuple) -> bool:
    return (
        type(value) is expected[0]
        and value.dtype == expected[1]
        and value.ndim == expected[2]
    )


def has_length(value: Any, expected: tuple[type, int]) -> bool:
    return type(value) is expected[0] and len(value) == expected[1]


def has_keys(value: Any, expected: tuple[type, tuple, tuple]) -> bool:
    if type(value) is not expected[0]:
        return False
    keys = tuple(value)
    return keys == expected[1] and tuple(map(type, keys)) == expected[2]


def keys_of(value: dict) -> tuple[type, tuple, tuple]:
    """What `has_keys` expects: 1, 1.0 and True are different keys here."""
    keys = tuple(value)
    return type(value), keys, tuple(map(type, keys))


def is_softmax(value: Any, expected: Any) -> bool:
    return value == "softmax" if type(value) is str else value.name == "softmax"


def is_frozen(value: Any, expected: Any) -> bool:
    return freeze(value) == expected


# -- constants -------------------------------------------------------------------

_PLAIN = (type(None), bool, int, str, bytes, type(Ellipsis))


def constant_test(value: Any) -> tuple[Callable, Any] | None:
    """The test and expectation of a constant, None for another object."""
    kind = type(value)
    if kind in _PLAIN:
        return is_equal, (kind, value)
    if isinstance(value, (float, np.floating)):
        if value != value:
            return is_nan, (kind, None)
        if value == 0:
            return is_zero, (kind, math.copysign(1.0, value))
        return is_equal, (kind, value)
    if isinstance(value, (int, complex, str, bytes, range)):
        return (is_same, value) if _has_members(kind) else (is_equal, (kind, value))
    if isinstance(value, (np.generic, bytearray, array.array)):
        return is_frozen, freeze(value)
    return None


def _has_members(kind: type) -> bool:
    return hasattr(kind, "__members__")  # enumerations


_DEEPEST = 64


def freeze(value: Any, depth: int = 0) -> Any:
    """A constant, or container of constants, as something to compare with ==.

    None where an element is not constant, or lies too deep (lists may be
    cyclic).
    """
    kind = type(value)
    depth += 1
    if depth > _DEEPEST:
        return None
    if kind in _PLAIN or isinstance(value, range):
        return kind, value
    if kind is float:
        return kind, value.hex()
    if isinstance(value, np.generic):
        return kind, value.tobytes() if value == value else "nan"
    if kind in (list, tuple):
        return _parts(kind, tuple(freeze(item, depth) for item in value))
    if kind is dict:
        # Copies first: another thread may add to the dict meanwhile.
        keys = _parts(kind, tuple(freeze(key, depth) for key in tuple(value)))
        entries = tuple(value.values())
        items = _parts(kind, tuple(freeze(item, depth) for item in entries))
        return _parts(kind, (keys, items))
    if kind is bytearray:
        return kind, bytes(value)
    if kind is array.array:
        return kind, value.typecode, value.tobytes()
    if kind in (set, frozenset):
        parts = _parts(kind, tuple(freeze(item, depth) for item in tuple(value)))
        return parts and (kind, frozenset(parts[1]))
    return None


def _parts(kind: type, parts: tuple) -> tuple | None:
    return None if None in parts else (kind, parts)
