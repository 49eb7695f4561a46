"""One call's mods as a Program, remembered from call to call."""

from __future__ import annotations

import collections
import functools
import json
import keyword
import re
import threading
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

from .._lib import native
from . import recheck
from .diagnose import code_place
from .environment import Environment
from .mods import ModTrace, check_mod, mod_name, trace_mod
from .normalizer import (
    Normalizer,
    plain_name,
    resolve_normalizer,
    trace_normalizer,
)

__all__ = ["TracedVariant", "VariantCore", "clear_memo", "trace_variant"]

_PER_KEY = 32
_KEYS = 1024
# Names that mean something else in .attn files and in calls.
_RESERVED = {
    "s", "b", "h", "q", "kv", "t", "e", "o", "l", "B", "H", "Hk", "M", "N", "D", "E",
    "k", "v", "target", "return_lse", "inf", "pi", "true", "false", "score", "q_idx",
    "kv_idx", "e_idx", "int", "ops", "abs", "clamp", "cos", "erf", "exp", "exp2",
    "floor", "gelu", "log", "log1p", "log2", "maximum", "minimum", "pow", "rsqrt",
    "sigmoid", "silu", "sin", "softplus", "sqrt", "tanh", "to_int", "where",
}  # fmt: skip

#: The slot of the captures mapping: `_assemble` records it first.
_GIVEN = 1
_REGIONS = ("stat", "weight", "denom", "seed", "seed_value", "finish")


def canonical(program: Mapping[str, Any]) -> str:
    """Program's canonical text, which leaves out locations and doc."""
    kept = {k: v for k, v in program.items() if k not in ("locations", "doc")}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


class VariantCore:
    """What all calls of one variant share. Immutable, compared by identity."""

    __slots__ = (
        "__weakref__",
        "_compiled_plan",
        "_plan",
        "_slots",
        "_texts",
        "dtype",
        "has_denom",
        "has_dims",
        "homes",
        "key",
        "labels",
        "names",
        "parameters",
        "program",
        "uncompared",
    )

    def __init__(self, program, order, has_denom, dtype, env) -> None:
        self.program: dict[str, Any] = program
        self.names = tuple(c["name"] for c in program["captures"])
        self.labels: tuple[str, ...] = tuple(capture.label for capture in order)
        self.homes: tuple[str, ...] = tuple(capture.where for capture in order)
        self.has_denom: bool = has_denom
        self.has_dims = any(capture.dims for capture in order)
        self.dtype: str = dtype
        self.key = canonical(program) + dtype
        #: What the mods use and nothing compares, so that each call traces them.
        self.uncompared: str = env.uncompared
        self._plan: list[recheck.Step] = env.plan
        self._slots: tuple[int, ...] = tuple(capture.slot for capture in order)
        #: Which captures are keyword-only parameters, by their names; None: others.
        self.parameters = tuple(self._parameter(slot) for slot in self._slots)
        self._compiled_plan: Any = None
        self._texts: dict[tuple, str] = {}

    def _parameter(self, slot: int) -> str | None:
        getter, parent, key, *_ = self._plan[slot - 1]
        is_given = parent == _GIVEN and getter is recheck.get_item
        return key if is_given else None

    @property
    def plan(self) -> Any:
        """What calls that repeat compare, in the compiled module's form."""
        if self._compiled_plan is None:
            plan = native().Plan(tuple(self._plan), self._slots)
            self._compiled_plan = plan
        return self._compiled_plan

    def arrays(self, roots: tuple) -> list | None:
        """The captured arrays of today, None where something else has changed."""
        if self._compiled_plan is not None:
            return self._compiled_plan.arrays(roots)
        found = recheck.run_plan(self._plan, roots)
        return None if found is None else [found[slot] for slot in self._slots]

    def program_json(
        self,
        *,
        D: int | list[int],
        E: int | None = None,
        dtype: str | None = None,
        return_lse: bool = False,
        block_mask: bool = False,
    ) -> str:
        """The whole Program for one kernel, as canonical text."""
        dims = tuple(D) if isinstance(D, (list, tuple)) else (D,)
        asked = (dims, E, dtype, return_lse, block_mask)
        text = self._texts.get(asked)
        if text is None:
            whole = self.program | {
                "D": list(dims),
                "E": dims[-1] if E is None else E,
                "dtype": dtype or self.dtype,
                "return_lse": return_lse,
                "block_mask": block_mask,
            }
            text = self._texts[asked] = canonical(whole)
        return text


class TracedVariant:
    """One call's variant: the shared core and this call's arrays."""

    __slots__ = ("arrays", "core")

    def __init__(self, core: VariantCore, arrays: list) -> None:
        self.core = core
        self.arrays = arrays

    def again(self, roots: tuple) -> TracedVariant | None:
        """What `trace_variant` gives for these roots, where nothing has changed."""
        arrays = self.core.arrays(roots)
        return None if arrays is None else TracedVariant(self.core, arrays)

    plan = property(lambda self: self.core.plan)
    program = property(lambda self: self.core.program)
    key = property(lambda self: self.core.key)
    names = property(lambda self: self.core.names)
    parameters = property(lambda self: self.core.parameters)
    labels = property(lambda self: self.core.labels)
    homes = property(lambda self: self.core.homes)
    has_denom = property(lambda self: self.core.has_denom)
    has_dims = property(lambda self: self.core.has_dims)
    uncompared = property(lambda self: self.core.uncompared)
    program_json = property(lambda self: self.core.program_json)


_memo: collections.OrderedDict[tuple, tuple[VariantCore, ...]] = (
    collections.OrderedDict()
)
_lock = threading.Lock()


def clear_memo() -> None:
    """Forget every trace."""
    with _lock:
        _memo.clear()


def _mod_key(mod: Any) -> Any:
    kind = type(mod)
    if kind is FunctionType:
        return id(mod.__code__)
    if kind is MethodType:
        return id(getattr(mod.__func__, "__code__", None))
    if kind is functools.partial:
        return kind, _mod_key(mod.func)
    return None if mod is None else id(kind)


def _normalizer_key(normalizer: Any) -> Any:
    if type(normalizer) is str:
        return normalizer
    return (
        _mod_key(normalizer.weight),
        _mod_key(normalizer.denom),
        _mod_key(normalizer.stat),
        _mod_key(normalizer.seed),
        normalizer.name,
    )


def trace_variant(
    score_mod: Any = None,
    mask_mod: Any = None,
    normalizer: Any = "softmax",
    captures: Mapping[str, Any] | None = None,
    dtype: str = "f32",
) -> TracedVariant:
    """The variant of a call, traced or remembered.

    Parameters
    ----------
    score_mod, mask_mod : callable, optional
    normalizer : str or Normalizer
    captures : mapping of str to array, optional
        Values of keyword-only parameters.
    dtype : str
        Program's name of the tensors' element type.

    Returns
    -------
    TracedVariant

    Raises
    ------
    TypeError, ValueError, OverflowError
        As the mods, the normaliser or the captures are wrong. What a mod
        raises itself passes unchanged, with a note.
    """
    normalizer = plain_name(normalizer)
    if type(normalizer) is not str and not isinstance(normalizer, Normalizer):
        resolve_normalizer(normalizer)
    if captures is None:
        captures = {}
    elif not isinstance(captures, Mapping):
        raise TypeError(
            "captures: must be a mapping of names to arrays, got "
            f"{type(captures).__name__}"
        )
    memo_key = (
        _mod_key(score_mod),
        _mod_key(mask_mod),
        _normalizer_key(normalizer),
        tuple(captures),
        dtype,
    )
    roots = (score_mod, mask_mod, normalizer, captures)
    known = _memo.get(memo_key, ())
    for core in known:
        arrays = core.arrays(roots)
        if arrays is not None:
            return TracedVariant(core, arrays)
    core, arrays = _trace(roots, dtype)
    with _lock:
        others = tuple(other for other in _memo.get(memo_key, ()) if other is not core)
        _memo[memo_key] = (core, *others[: _PER_KEY - 1])
        _memo.move_to_end(memo_key)
        while len(_memo) > _KEYS:
            _memo.popitem(last=False)
    return TracedVariant(core, arrays)


def _trace(roots: tuple, dtype: str) -> tuple[VariantCore, list]:
    score_mod, mask_mod, normalizer, _ = roots
    resolved = resolve_normalizer(normalizer)
    for argument, mod in (("score_mod", score_mod), ("mask_mod", mask_mod)):
        if mod is not None:
            check_mod(argument, mod)
    env = Environment(roots)
    try:
        return _assemble(env, roots, resolved, dtype)
    finally:
        env.close()


def _assemble(env: Environment, roots: tuple, normalizer: Normalizer, dtype: str):
    score_mod, mask_mod, given, captures = roots
    used: set[str] = set()
    slot = env.record((0, recheck.get_item, 3), captures, recheck.is_anything, None)
    mapping = (slot, captures)
    traces: dict[str, Any] = {}
    for position, role in enumerate(("score", "mask")):
        path = (0, recheck.get_item, position)
        if roots[position] is None:
            traces[role] = env.reach(*path, role)
        else:
            traces[role] = trace_mod(env, f"{role}_mod", role, path, mapping, used)
    parts: Any = "softmax"
    if normalizer.name != "softmax":
        traces |= _normalizer_parts(env, given, normalizer, mapping, used)
    else:
        env.record((0, recheck.get_item, 2), given, recheck.is_softmax, None)
    _refuse_unknown(captures, used, roots)
    order: dict = {}
    done = {name: _finish(part, order) for name, part in traces.items()}
    if normalizer.name != "softmax":
        parts = {name: done[name] for name in _REGIONS} | {"name": normalizer.name}
    names = _unique_names(capture.label for capture in order)
    program = {
        "fovea": 1,
        "name": _program_name(score_mod, mask_mod),
        "captures": [
            _declaration(name, capture)
            for name, capture in zip(names, order, strict=True)
        ],
        "params": [],
        "score": done["score"],
        "mask": done["mask"],
        "scale": None,
        "normalizer": parts,
        "return_lse": False,
        "block_mask": False,
        "locations": _locations(score_mod, mask_mod),
    }
    env.note_what_functions_say()
    core = VariantCore(program, order, normalizer.denom is not None, dtype, env)
    return core, [env.objects[slot] for slot in core._slots]


def _declaration(name: str, capture: Any) -> dict[str, Any]:
    declared = {"name": name, "dtype": capture.dtype, "rank": capture.rank}
    return declared | {"dims": list(capture.dims)} if capture.dims else declared


def _normalizer_parts(env, given, normalizer, mapping, used) -> dict:
    path = (0, recheck.get_item, 2)
    if isinstance(given, str):
        env.reach(*path, "normalizer")
        slot = env.record((0, _by_name, given), normalizer, recheck.is_same, normalizer)
    else:
        slot = env.record(path, given, recheck.has_type, Normalizer)
    return trace_normalizer(env, normalizer, slot, mapping, used)


def _by_name(roots: tuple, name: str) -> Normalizer:
    return resolve_normalizer(name)


def _finish(part: Any, order: dict) -> Any:
    return (
        part.region.finish(part.results, order) if isinstance(part, ModTrace) else part
    )


def _refuse_unknown(captures: Mapping, used: set[str], roots: tuple) -> None:
    unknown = [name for name in captures if name not in used]
    if unknown:
        known = ", ".join(sorted(used)) or "none"
        raise TypeError(
            f"captures: no mod has a keyword-only parameter {unknown[0]!r} "
            f"(taken: {known})"
        )


def _identifier(label: str) -> str:
    text = re.sub(r"\W+|__+", "_", label, flags=re.ASCII).strip("_")[:64] or "capture"
    if text[0].isdigit():
        return f"c_{text}"
    return f"{text}_" if text in _RESERVED or keyword.iskeyword(text) else text


def _unique_names(labels) -> list[str]:
    taken: set[str] = set()
    names = []
    for label in labels:
        base = name = _identifier(label.removeprefix("self."))
        number = 1
        while name in taken:
            name = f"{base}_{number}"
            number += 1
        taken.add(name)
        names.append(name)
    return names


def _program_name(*mods: Any) -> str:
    parts = [_identifier(mod_name(mod)) for mod in mods if mod is not None]
    return "_".join(parts)[:64] or "attention"


def _locations(score_mod: Any, mask_mod: Any) -> dict[str, str]:
    places = {}
    for role, mod in (("score", score_mod), ("mask", mask_mod)):
        if mod is not None:
            places[role] = code_place(check_mod(f"{role}_mod", mod).__code__)
    return places
