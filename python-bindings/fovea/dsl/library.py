"""The few functions of the standard library that cannot be called as they are.

They hand a mod what nobody compares afterwards (an environment variable, a
function registered later), or make objects of the user's classes.
"""

from __future__ import annotations

import functools
import os
import weakref
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from . import recheck
from .diagnose import is_library_file
from .objects import ObjectProxy, stand_in_of

if TYPE_CHECKING:
    from .environment import Environment

__all__ = ["is_rebound", "stand_in_for"]

_ENVIRONMENT = tuple(
    getattr(os, name) for name in ("getenv", "getenvb") if hasattr(os, name)
)
_DECORATING = frozenset(("contextlib", "functools"))


def is_rebound(function: FunctionType) -> bool:
    """Whether a library's function is rebound as the user's own are.

    One with a closure is what a decorator made of the user's function.
    """
    if function in _ENVIRONMENT:
        return True
    module = function.__globals__.get("__name__")
    return function.__closure__ is not None and module in _DECORATING


def stand_in_for(env: Environment, value: Any, path: tuple, label: str) -> Any:
    """What to call instead of a library's function; None for others."""
    if type(value) is not FunctionType:
        return None
    module, name = value.__module__, value.__name__
    if module in ("dataclasses", "copy") and name == "replace":
        env.record(path, value, recheck.is_same, value)
        return functools.partial(_replace, value)
    if hasattr(value, "registry") and is_library_file(value.__code__.co_filename):
        return _dispatching(env, value, path, label)
    return None


def _replace(genuine: Callable, obj: Any, /, **changes: Any) -> Any:
    made = genuine(obj, **changes)
    if not isinstance(obj, ObjectProxy) or type(made) is not obj.__class__:
        return made
    return stand_in_of(obj, made)


def _dispatched(function: Any, kind: weakref.ref) -> Any:
    return function.dispatch(kind())


def _dispatching(env: Environment, value: Any, path: tuple, label: str) -> Any:
    """A function of functools.singledispatch; later registrations are seen."""
    slot = env.record(path, value, recheck.is_same, value)

    def dispatch(kind: type) -> Any:
        return env.reach(slot, _dispatched, weakref.ref(kind), label)

    def call(*args: Any, **kwargs: Any) -> Any:
        if not args:
            return value(*args, **kwargs)
        return dispatch(args[0].__class__)(*args, **kwargs)

    functools.update_wrapper(call, value)
    call.dispatch = dispatch  # type: ignore[attr-defined]
    return call
