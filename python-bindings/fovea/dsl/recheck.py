"""Comparing what a trace reached with what is there now.

A plan is a flat list of steps. Each step fetches one object from an object
fetched before and tests it; the result is the list of all objects, from which
the live arrays are taken. The compiled module follows the plans of calls that
repeat (``src/Plans.cpp``): the functions here say what it does.

A plan outlives the call, so it keeps nothing of the user's alive: classes, modules
and the like are expected by weak references (`held`, `sameness`).
"""

from __future__ import annotations

import array
import contextlib
import itertools
import math
import weakref
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
    except BaseException as error:
        note(error)
        raise
    return found


def note(error: BaseException) -> None:
    """Say where an exception comes from that ends a comparison and the call."""
    with contextlib.suppress(Exception):
        error.add_note("raised while comparing what a mod reaches with its last call")


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


def get_at(parent: Any, number: int) -> Any:
    """The item of a dict's key that comes as that one of its keys."""
    return parent[next(itertools.islice(parent, number, None))]


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


def get_signature(parent: Any, key: Any) -> Any:
    """What a function says of how it is called, where it says something."""
    return getattr(parent, "__signature__", _ABSENT)


# -- expectations ------------------------------------------------------------------

_HEAP_TYPE = 1 << 9


def held(kind: type) -> Any:
    """A type as a plan holds it: weakly, where it can go."""
    return weakref.ref(kind) if kind.__flags__ & _HEAP_TYPE else kind


def is_kind(kind: type, expected: Any) -> bool:
    """Whether `expected` is `held(kind)`, or the type itself."""
    return kind is expected or (type(expected) is weakref.ref and expected() is kind)


def sameness(value: Any) -> tuple[Callable, Any]:
    """The test and expectation of one object and no other."""
    try:
        return is_referent, weakref.ref(value)
    except TypeError:
        return is_same, value


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


def is_referent(value: Any, expected: weakref.ref) -> bool:
    # None is what a reference to something gone gives.
    return value is not None and value is expected()


def is_equal(value: Any, expected: tuple[type, Any]) -> bool:
    return is_kind(type(value), expected[0]) and value == expected[1]


def is_zero(value: Any, expected: tuple[type, float]) -> bool:
    return (
        is_kind(type(value), expected[0])
        and value == 0
        and math.copysign(1.0, value) == expected[1]
    )


def is_nan(value: Any, expected: tuple[type, Any]) -> bool:
    return is_kind(type(value), expected[0]) and value != value


def has_type(value: Any, expected: Any) -> bool:
    return is_kind(type(value), expected)


def has_code(value: Any, expected: tuple) -> bool:
    return (
        type(value) is FunctionType
        and value.__code__ is expected[0]
        and (value.__defaults__ is None) is expected[1]
        and (value.__kwdefaults__ is None) is expected[2]
    )


def is_array_like(value: Any, expected: tuple) -> bool:
    return (
        is_kind(type(value), expected[0])
        and value.dtype == expected[1]
        and value.ndim == expected[2]
    )


def has_length(value: Any, expected: tuple[type, int]) -> bool:
    return is_kind(type(value), expected[0]) and len(value) == expected[1]


def has_keys(value: Any, expected: tuple[Any, tuple, tuple]) -> bool:
    if not is_kind(type(value), expected[0]):
        return False
    keys = tuple(value)
    return keys == expected[1] and tuple(map(type, keys)) == expected[2]


def has_held_keys(value: Any, expected: tuple[Any, tuple]) -> bool:
    kind, tests = expected
    return (
        is_kind(type(value), kind)
        and len(value) == len(tests)
        and all(
            test(key, wanted)
            for key, (test, wanted) in zip(tuple(value), tests, strict=True)
        )
    )


def keys_test(value: dict) -> tuple[Callable, Any]:
    """The test and expectation of a dict's keys: 1, 1.0 and True are different."""
    keys = tuple(value)
    if all(type(key) in _PLAIN for key in keys):
        return has_keys, (held(type(value)), keys, tuple(map(type, keys)))
    return has_held_keys, (held(type(value)), tuple(map(_key_test, keys)))


def _key_test(key: Any) -> tuple[Callable, Any]:
    frozen = freeze(key)
    if frozen is not None:
        return is_frozen, frozen
    return constant_test(key) or sameness(key)


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
            return is_nan, (held(kind), None)
        if value == 0:
            return is_zero, (held(kind), math.copysign(1.0, value))
        if not isinstance(value, float) and kind.__flags__ & _HEAP_TYPE:
            return is_frozen, freeze(value)
        return is_equal, (held(kind), _plain_value(value))
    if isinstance(value, (int, complex, str, bytes, range)):
        if _has_members(kind):
            return sameness(value)
        return is_equal, (held(kind), _plain_value(value))
    if isinstance(value, (np.generic, bytearray, array.array)):
        return is_frozen, freeze(value)
    return None


#: What makes the plain value of one that a class of the user's derives from.
_PLAIN_VALUES: tuple[tuple[type, Callable], ...] = (
    (int, int.__pos__),
    (float, float.__pos__),
    (complex, complex.__pos__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
)


def _plain_value(value: Any) -> Any:
    kind = type(value)
    if kind.__flags__ & _HEAP_TYPE:
        for base, convert in _PLAIN_VALUES:
            if isinstance(value, base):
                return convert(value)
    return value


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
        return held(kind), value.tobytes() if value == value else "nan"
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
