"""Calling one mod with traced values: which functions, what they may give."""

from __future__ import annotations

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..errors import TraceError
from . import recheck
from .diagnose import code_place, is_library_file, plain_error, running, shown_name
from .environment import Environment
from .graph import REGION_ARGS, Region
from .kinds import is_partial
from .values import ArrayLike, Traced, operand

__all__ = [
    "called_as",
    "check_mask_mod",
    "check_mod",
    "mod_kind",
    "mod_name",
    "trace_mod",
]

_USER_NAMES = {"q": "q_idx", "kv": "kv_idx", "e": "e_idx"}
#: What users call the arguments of each region.
SIGNATURES = {
    role: tuple(_USER_NAMES.get(name, name) for name in names)
    for role, names in REGION_ARGS.items()
}
SIGNATURES["score"] = ("score", *SIGNATURES["score"][1:])
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _has(mod: Any, name: str) -> bool:
    """Whether a mod has an attribute; a __getattr__ of the user's is not asked."""
    return inspect.getattr_static(mod, name, None) is not None


def _function_of(mod: Any) -> FunctionType | None:
    """The Python function behind a callable, None for compiled ones."""
    for _ in range(32):
        if is_partial(mod):
            mod = mod.func
        elif isinstance(mod, MethodType):
            mod = mod.__func__
        elif type(mod) is FunctionType:
            return mod
        elif type(mod) is staticmethod:
            mod = mod.__func__
        elif _has(mod, "cache_clear") and _has(mod, "__wrapped__"):
            mod = mod.__wrapped__
        elif not isinstance(mod, type) and type(type(mod).__call__) is FunctionType:
            mod = type(mod).__call__
        else:
            return None
    return None


def mod_name(mod: Any) -> str:
    """A short name of a mod for messages and kernels."""
    while is_partial(mod):
        mod = mod.func
    name = getattr(mod, "__name__", None) if _has(mod, "__name__") else None
    return name if isinstance(name, str) else type(mod).__name__


def check_mod(argument: str, mod: Any) -> FunctionType:
    """The Python function behind a mod.

    Raises
    ------
    TypeError
        Where `mod` is of a kind that cannot be traced; names `argument`.
    """
    if all(_has(mod, name) for name in ("kv_num_blocks", "mask_mod")):
        raise TypeError(
            f"{argument}: got a BlockMask; pass it as block_mask= (its mask_mod is "
            "the function)"
        )
    if isinstance(mod, type):
        raise TypeError(f"{argument}: must be a function, got the class {mod.__name__}")
    if not callable(mod):
        raise TypeError(f"{argument}: must be a function, got {type(mod).__name__}")
    function = _function_of(mod)
    if function is None:
        raise TypeError(
            f"{argument}: must be a Python function, got the builtin {mod_name(mod)!r}"
        )
    if function.__code__.co_flags & _GENERATORS:
        kind = "coroutine" if inspect.iscoroutinefunction(function) else "generator"
        raise TypeError(
            f"{argument}: must return a value, but {mod_name(mod)!r} is a {kind} "
            "function"
        )
    return function


def called_as(mod: Any) -> inspect.Signature:
    """How a mod itself is called, whatever it wraps.

    A wrapper of `functools.lru_cache` has no signature but that of its function.
    """
    if isinstance(mod, functools.partial) and not is_partial(mod):
        mod = mod.__call__  # inspect looks at what is wrapped
    if type(mod) is staticmethod:
        return called_as(mod.__func__)
    try:
        return inspect.signature(mod, follow_wrapped=False)
    except Exception as error:
        # Of a __getattr__ or __eq__ of its own, or of what says its signature.
        call = type(mod).__call__
        is_own = isinstance(error, (AttributeError, LookupError)) or not _has(
            mod, "__signature__"
        )
        if is_own and type(call) is FunctionType:
            return inspect.signature(call.__get__(mod))
        return inspect.signature(mod)


def check_mask_mod(argument: str, mod: Any, keywords: bool = False) -> None:
    """Refuse what is no mask_mod; `keywords`: captures= may give some to it."""
    check_mod(argument, mod)
    try:
        signature = called_as(mod)
        given = _required_keywords(signature) if keywords else {}
        signature.bind(0, 0, 0, 0, **given)
    except TypeError as error:
        raise TypeError(
            f"{argument}: {mod_name(mod)!r} must be a mask_mod, taking "
            f"(b, h, q_idx, kv_idx): {error}"
        ) from None


def _required_keywords(signature: inspect.Signature) -> dict[str, None]:
    return {
        p.name: None
        for p in signature.parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty
    }


def _signature(argument: str, role: str, mod: Any) -> inspect.Signature:
    shown = SIGNATURES[role]
    try:
        signature = called_as(mod)
        signature.bind(*shown, **_required_keywords(signature))
    except TypeError as error:
        raise TypeError(
            f"{argument}: {mod_name(mod)!r} must take ({', '.join(shown)}) by "
            f"position: {error}"
        ) from None
    except ValueError:
        raise TypeError(f"{argument}: {mod_name(mod)!r} has no signature") from None
    return signature


def mod_kind(mod: Any) -> str:
    """ "score_mod" or "mask_mod", by the number of required parameters.

    ``*args`` alone counts as a mask_mod.
    """
    check_mod("mod", mod)
    parameters = called_as(mod).parameters.values()
    needed = sum(p.kind in _POSITIONAL and p.default is p.empty for p in parameters)
    if needed in (4, 5):
        return "score_mod" if needed == 5 else "mask_mod"
    most = sum(p.kind in _POSITIONAL for p in parameters)
    if needed < 4 and (
        most >= 4 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
    ):
        return "score_mod" if most == 5 else "mask_mod"
    raise TypeError(
        f"mod: {mod_name(mod)!r} takes {needed} parameters; a mask_mod takes 4 "
        "(b, h, q_idx, kv_idx), a score_mod 5 (score, b, h, q_idx, kv_idx)"
    )


class ModTrace:
    """The traced result of one mod: a region and its result nodes."""

    __slots__ = ("region", "results")

    def __init__(self, region: Region, results: list[int]) -> None:
        self.region = region
        self.results = results


def trace_mod(
    env: Environment,
    argument: str,
    role: str,
    path: tuple[int, Callable, Any],
    captures: tuple[int, Mapping[str, Any]],
    used: set[str],
) -> ModTrace:
    """Call one mod with traced values.

    Parameters
    ----------
    env : Environment
    argument : str
        What messages call it: "score_mod".
    role : str
        A key of `SIGNATURES`.
    path : tuple
        Parent slot, getter and key of the mod.
    captures : tuple
        The slot of the captures mapping, and the mapping.
    used : set of str
        Grows by the names taken from it.
    """
    mod = path[1](env.objects[path[0]], path[2])
    function = check_mod(argument, mod)
    signature = _signature(argument, role, mod)
    where = f"{argument} {mod_name(mod)!r}"
    region = Region(role, where, _shown(signature, role))
    env.where = where
    keywords = _keywords(env, argument, mod, signature, captures, used)
    callee = env.reach(*path, mod_name(mod))
    slot = env.slot_of(function)
    # One that there is is an attribute like others.
    if slot is not None and not hasattr(function, "__signature__"):
        env.record_once((slot, recheck.get_signature, None), recheck.is_absent, None)
    arguments = [Traced(region, number) for number in region.arg_ids]
    env.region = region
    try:
        with running(where):
            result = callee(*arguments, **keywords)
    except BaseException as error:
        _note(error, where, function)
        _refuse_subscript(error, where, keywords)
        raise
    try:
        return ModTrace(
            region, _results(region, role, result, code_place(function.__code__))
        )
    finally:
        region.active = False
        env.region = None


def _shown(signature: inspect.Signature, role: str) -> tuple[str, ...]:
    """The user's own names of the arguments, ours under ``*args``."""
    names = [p.name for p in signature.parameters.values() if p.kind in _POSITIONAL]
    default = SIGNATURES[role]
    return tuple(names[: len(default)]) + default[len(names) :]


def _keywords(env, argument: str, mod, signature, captures, used: set[str]) -> dict:
    slot, mapping = captures
    found: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY:
            continue
        if name in mapping:
            used.add(name)
            found[name] = env.reach(slot, recheck.get_item, name, name)
        elif parameter.default is parameter.empty:
            raise TypeError(
                f"{argument}: the keyword-only parameter {name!r} of {mod_name(mod)!r} "
                f"has no value; pass captures={{{name!r}: array}}"
            )
    return found


def _note(error: BaseException, where: str, function: FunctionType) -> None:
    """Say where in the mod an exception of the mod's own comes from."""
    if isinstance(error, TraceError):
        return
    file, line = function.__code__.co_filename, function.__code__.co_firstlineno
    file = shown_name(file)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if not is_library_file(frame.f_code.co_filename):
            file, line = shown_name(frame.f_code.co_filename), number
    # An exception of the mod's own passes unchanged, even where it takes no note.
    with contextlib.suppress(Exception):
        error.add_note(f"raised while tracing {where} ({file}:{line})")


def _refuse_subscript(
    error: BaseException, where: str, keywords: Mapping[str, Any]
) -> None:
    """Say which value of `captures` is no array where the mod reads entries of it."""
    for name, value in keywords.items():
        kind = type(value).__name__
        if type(error) is TypeError and str(error) == (
            f"{kind!r} object is not subscriptable"
        ):
            raise TypeError(
                f"captures[{name!r}]: must be an array, as {where} reads entries of"
                f" it, got {value!r:.80}"
            ) from error


def _results(region: Region, role: str, result: Any, place: str) -> list[int]:
    if role == "seed":
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise plain_error(
                region.where,
                place,
                f"must return (t0, l0), got {type(result).__name__}",
            )
        return [_number(region, part, place, "a number") for part in result]
    if role != "mask":
        return [_number(region, result, place, "a number")]
    if isinstance(result, Traced):
        number = operand(region, result, "return")
        if region.types[number] == "i1":
            return [number]
        raise plain_error(
            region.where,
            place,
            f"must give a bool, got the number {result!r}; compare it, as in x != 0",
        )
    if isinstance(result, (bool, np.bool_)):
        return [region.const_i1(bool(result))]
    raise plain_error(
        region.where, place, f"must give a bool, got {_shown_kind(result)}"
    )


def _number(region: Region, result: Any, place: str, what: str) -> int:
    if isinstance(result, (bool, np.bool_)):
        raise plain_error(
            region.where, place, f"must give {what}, got a bool; was a mask_mod meant?"
        )
    is_number = isinstance(result, (Traced, int, float, np.integer, np.floating))
    if not is_number:
        raise plain_error(
            region.where, place, f"must give {what}, got {_shown_kind(result)}"
        )
    number = operand(region, result, "return")
    if region.types[number] == "i1":
        raise plain_error(
            region.where,
            place,
            f"must give {what}, got the bool {result!r}; was a mask_mod meant?",
        )
    return region.convert(number, "f")


def _shown_kind(result: Any) -> str:
    if result is None:
        return "None; is a return missing?"
    if isinstance(result, ArrayLike):
        return f"{result!r}; index it down to one number"
    return type(result).__name__
