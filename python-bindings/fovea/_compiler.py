"""From mods or a Program to a compiled kernel, with the caches between."""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from . import _checks, _tuning
from ._compose import masked_score
from ._lib import environment_notes, native
from ._tensors import type_name
from .dsl import trace_variant
from .dsl.normalizer import plain_name
from .errors import CompileError, PerformanceWarning

#: Kernels that Python holds; a kernel let go is compiled or loaded again.
_LIMIT = 512
#: How a remark about a path below the fast one begins.
SLOW = "slow: "


class Source(Protocol):
    """What a kernel is made from: mods, or a Program with its captures."""

    def trace(
        self, dtype: str, captures: Mapping[str, Any] | None, block_mask: Any
    ) -> Any: ...

    def roots(self, captures: Mapping[str, Any] | None) -> tuple | None: ...

    def first(self, dtype: str) -> Any: ...

    def live(self, dtype: str) -> tuple[Any, dict[str, Any]]: ...

    def captured(self, dtype: str) -> dict[str, Any]: ...


def check_captures(captures: object) -> Mapping[str, Any] | None:
    """Accept None or a mapping with str keys."""
    if captures is None:
        return None
    if not isinstance(captures, Mapping):
        raise TypeError(
            f"captures: must be a mapping of names to arrays, got {type_name(captures)}"
        )
    for key in captures:
        if not isinstance(key, str):
            raise TypeError(f"captures: names must be str, got {type_name(key)}")
    return captures


def keyword_only(mod: Callable) -> frozenset[str]:
    """The names of a mod's keyword-only parameters."""
    try:
        parameters = inspect.signature(mod).parameters.values()
    except (TypeError, ValueError):
        return frozenset()
    return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def bind(mod: Callable, captures: Mapping[str, Any] | None) -> Callable:
    """Fix the keyword-only parameters of `mod` that `captures` names."""
    if not captures:
        return mod
    wanted = keyword_only(mod) & captures.keys()
    if not wanted:
        return mod
    return functools.partial(mod, **{name: captures[name] for name in sorted(wanted)})


class ModSource:
    """Mods, a normaliser and the arrays of their keyword-only parameters."""

    __slots__ = ("captures", "mask_mod", "normalizer", "score_mod")

    def __init__(self, score_mod, mask_mod, normalizer, captures):
        self.score_mod, self.mask_mod = score_mod, mask_mod
        self.normalizer = plain_name(normalizer)
        self.captures = captures if captures is None else check_captures(captures)

    def trace(
        self, dtype: str, captures: Mapping[str, Any] | None, block_mask: Any
    ) -> Any:
        if captures is not None:
            given = check_captures(captures) or {}
            captures = {**self.captures, **given} if self.captures else given
        else:
            captures = self.captures
        score_mod, mask_mod = self.score_mod, self.mask_mod
        if block_mask is not None and block_mask.mask_mod is not None:
            bound = block_mask.bound_mod
            if mask_mod is None or mask_mod is block_mask.mask_mod:
                mask_mod = bound
            else:
                if captures:
                    score_mod, mask_mod, captures = self._bind_all(captures)
                score_mod = masked_score(score_mod, mask_mod)
                mask_mod = bound
        elif block_mask is not None and mask_mod is not None:
            if captures:
                score_mod, mask_mod, captures = self._bind_all(captures)
            score_mod, mask_mod = masked_score(score_mod, mask_mod), None
        return trace_variant(score_mod, mask_mod, self.normalizer, captures, dtype)

    def roots(self, captures: Mapping[str, Any] | None) -> tuple | None:
        """What a trace with a call's captures starts from; None of two mappings."""
        if self.captures and captures is not None:
            return None
        given = self.captures if captures is None else captures
        return self.score_mod, self.mask_mod, self.normalizer, given or {}

    def first(self, dtype: str) -> Any:
        """What to compile ahead of the first call."""
        return self.trace(dtype, None, None)

    def live(self, dtype: str) -> tuple[Any, dict[str, Any]]:
        """The variant as it is, and the captures by name."""
        traced = self.trace(dtype, None, None)
        return traced, dict(zip(traced.names, traced.arrays, strict=True))

    def captured(self, dtype: str) -> dict[str, Any]:
        """The captures by the names that users know."""
        traced = self.trace(dtype, None, None)
        return dict(zip(user_names(traced), traced.arrays, strict=True))

    def _bind_all(self, captures: Mapping[str, Any]) -> tuple:
        """Bind the captures to the mods that take them, keep the others."""
        score_mod, mask_mod = self.score_mod, self.mask_mod
        taken = keyword_only(mask_mod)
        if score_mod is not None:
            taken |= keyword_only(score_mod)
            score_mod = bind(score_mod, captures)
        mask_mod = bind(mask_mod, captures)
        rest = {name: value for name, value in captures.items() if name not in taken}
        return score_mod, mask_mod, rest or None


def user_names(traced: Any) -> list[str]:
    """What users call the captures: keyword-only parameters by their own names."""
    names = []
    for name, parameter in zip(traced.names, traced.parameters, strict=True):
        unique, number = parameter or name, 0
        while parameter is None and (
            unique in traced.parameters or (number and unique in traced.names)
        ):
            number += 1
            unique = f"{name}_{number}"
        names.append(unique)
    return names


def names_found(traced: Any) -> set[str]:
    """Those of `user_names` that no keyword-only parameter has."""
    pairs = zip(user_names(traced), traced.parameters, strict=True)
    return {name for name, parameter in pairs if parameter is None}


def normalizer_name(traced: Any) -> str:
    """The name of a traced variant's normaliser."""
    normalizer = traced.program.get("normalizer", "softmax")
    return (
        normalizer if isinstance(normalizer, str) else normalizer.get("name", "custom")
    )


class Compiled:
    """One native kernel with what Python needs to know of it."""

    __slots__ = (
        "_info", "name", "native", "program", "scale_region", "tuned",
    )  # fmt: skip

    def __init__(self, kernel: Any, program: dict):
        self.native = kernel
        self.program = program
        self.name: str = program.get("name") or "attention"
        self.scale_region = program.get("scale")
        self._info: dict | None = None
        self.tuned = ""  # the files of fovea tune that its schedule is from

    @property
    def info(self) -> dict:
        """The library's own description of the kernel."""
        if self._info is None:
            self._info = json.loads(self.native.info())
        return self._info

    @property
    def remarks(self) -> list[str]:
        """One line a decision of the compiler."""
        return str(self.info.get("remarks") or "").splitlines()

    @property
    def few_rows(self) -> int:
        """Rows a key head up to which calls take the form for few queries."""
        return int(self.info.get("few_rows") or 0)

    @property
    def schedule(self) -> str:
        return str(self.info.get("schedule") or "")

    @property
    def target(self) -> str:
        return str(self.info.get("target") or "cpu")

    def default_scale(self, geometry: _checks.Geometry) -> float:
        """1/sqrt(D), or what the variant's scale clause says."""
        if self.scale_region is None:
            return geometry.default_scale
        from ._region import evaluate_scale

        return evaluate_scale(self.scale_region, self.program, geometry)


_kernels: dict[tuple, Compiled] = {}
_history: list[dict] = []
_lock = threading.Lock()
_warned: set[str] = set()


def lookup(
    traced: Any,
    dtype: str,
    D: int,
    E: int,
    want_lse: bool,
    want_mask: bool,
    target: str | None,
    schedule: str | None,
) -> Compiled:
    """The compiled kernel of a traced variant; compiles it where need be."""
    tuned = None
    if schedule is None:
        tuned = _tuning.find(traced, dtype, D, E, target)
    key = (traced.core, dtype, D, E, want_lse, want_mask, target, schedule or tuned)
    found = _kernels.get(key)
    if found is None:
        text = traced.program_json(
            D=D, E=E, dtype=dtype, return_lse=want_lse, block_mask=want_mask
        )
        if tuned:
            found = _compile_tuned(text, target, *tuned)
        else:
            found = compile_text(text, target, schedule)
        with _lock:
            if len(_kernels) >= _LIMIT:
                for old in list(_kernels)[: _LIMIT // 4]:
                    del _kernels[old]
            _kernels[key] = found
        _warn_of_tracing(traced)
    return found


def compile_text(text: str, target: str | None, schedule: str | None) -> Compiled:
    """Compile a whole Program (its canonical text)."""
    start = time.perf_counter()
    try:
        kernel, origin, milliseconds = native().compile(
            text, kind="program", target=target, schedule=schedule
        )
    except CompileError as error:
        raise CompileError(_plain(str(error))) from None
    program = json.loads(text)
    found = Compiled(kernel, program)
    if origin != "memory" and "compile" in os.environ.get("FOVEA_LOG", "").split(","):
        elapsed = milliseconds or (time.perf_counter() - start) * 1e3
        _log(program, target, schedule, origin, elapsed)
    _warn_environment()
    _warn_below_fast(found)
    return found


def _compile_tuned(
    text: str, target: str | None, schedule: str, files: str
) -> Compiled:
    """Compile as files say; by the cost model, and say so, where that is refused."""
    try:
        found = compile_text(text, target, schedule)
    except ValueError as error:
        if not str(error).startswith("schedule:"):
            raise
        note = f"FOVEA_TUNING: {files}: {error}"
        if note not in _warned:
            _warned.add(note)
            warnings.warn(note, PerformanceWarning, stacklevel=4)
        return compile_text(text, target, None)
    found.tuned = files
    return found


def _warn_environment() -> None:
    """Say once what of the environment could not be used."""
    known = environment_notes()
    unknown = set(os.environ.get("FOVEA_LOG", "").split(",")) - {"", "compile"}
    logs = f"FOVEA_LOG: must be compile, got {min(unknown)!r}" if unknown else None
    for note in (known.get("cache_note"), known.get("threads_note"), logs):
        if note and note not in _warned:
            _warned.add(note)
            warnings.warn(note, PerformanceWarning, stacklevel=5)


def _plain(text: str) -> str:
    """A compiler's message without IR, unless FOVEA_VERBOSE=1 asks for it."""
    if os.environ.get("FOVEA_VERBOSE") == "1":
        return text
    return text.partition("\nnote: see current operation")[0]


def _warn_below_fast(compiled: Compiled) -> None:
    """Warn once for each reason why a kernel is below the fast path."""
    for remark in compiled.remarks:
        if not remark.startswith(SLOW):
            continue
        note = remark.removeprefix(SLOW)
        text = f"{compiled.name}: {note}"
        if text not in _warned:
            _warned.add(text)
            warnings.warn(text, PerformanceWarning, stacklevel=4)


def tracing_note(traced: Any) -> str:
    """Why each call traces the mods of a variant; empty where none does."""
    if not traced.uncompared:
        return ""
    return f"each call traces its mods: nothing compares {traced.uncompared}"


def _warn_of_tracing(traced: Any) -> None:
    """Warn once of mods that each call has to trace."""
    note = tracing_note(traced)
    text = f"{traced.program['name']}: {note}"
    if note and text not in _warned:
        _warned.add(text)
        warnings.warn(text, PerformanceWarning, stacklevel=4)


def warn_of_copied_pages(compiled: Compiled, rows: int) -> None:
    """Warn once where a call of `rows` rows a key head cannot read pages in place."""
    few = compiled.few_rows
    if rows <= few or compiled.target == "interpreter":
        return
    why = (
        f"calls of at most {few} rows a key head read them where they lie"
        if few
        else "a kernel for few queries, without a block mask, would not need that"
    )
    text = f"{compiled.name}: each call copies the keys of pages into one piece; {why}"
    if text not in _warned:
        _warned.add(text)
        warnings.warn(text, PerformanceWarning, stacklevel=4)


def describe(program: Mapping[str, Any]) -> str:
    """One line about a Program: name, dtype, head dims."""
    dims = ",".join(str(d) for d in program.get("D", ()))
    name = program.get("name", "attention")
    return f"{name} {program['dtype']} D={dims} E={program['E']}"


def _differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Which parts of two Programs differ, constants named by their values."""
    found = []
    for part in sorted(set(new) | set(old)):
        a, b = new.get(part), old.get(part)
        if a == b or part in ("name", "doc", "locations"):
            continue
        if part in ("score", "mask", "scale"):
            found.append(_region_difference(part, a, b))
        elif part == "normalizer":
            found.append("normalizer")
        elif part == "captures":
            found.append("captures (dtype or rank)")
        else:
            found.append(f"{part} {b} -> {a}")
    return found


def _region_difference(part: str, a: dict | None, b: dict | None) -> str:
    if a and b and len(a["nodes"]) == len(b["nodes"]):
        pairs = [(x, y) for x, y in zip(a["nodes"], b["nodes"], strict=True) if x != y]
        if pairs and all(x[0] == y[0] == "const" for x, y in pairs):
            changes = ", ".join(f"{y[2]} -> {x[2]}" for x, y in pairs[:3])
            more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
            return f"{part}: constant {changes}{more}"
    return part


def _log(
    program: dict, target: str | None, schedule: str | None, origin: str, ms: float
) -> None:
    entry = {**program, "target": target or "cpu", "schedule": schedule or "default"}
    with _lock:
        ranked = [(_differences(entry, old), old) for old in _history]
        _history.append(entry)
        del _history[:-256]
    if ranked:
        differences, old = min(ranked, key=lambda pair: len(pair[0]))
        what = "; ".join(differences) or "nothing but its name"
        nearest = f"differs from {describe(old)} in: {what}"
    else:
        nearest = "the first variant"
    verb = "compiled" if origin == "compiled" else "found on disk"
    print(
        f"fovea: {verb} {describe(program)} for {target or 'cpu'} in {ms:.1f} ms,"
        f" {nearest}",
        file=sys.stderr,
        flush=True,
    )


def clear() -> None:
    """Forget the kernels that Python holds."""
    with _lock:
        _kernels.clear()
        _history.clear()


_devices_seen: set[str] = set()


def target_for(target: object, device: str) -> str | None:
    """Check a target against where the tensors live."""
    if target is None and device == "cpu":
        return None
    if target is not None:
        checked = _checks.target(target)
        if device == "cpu" or str(checked).startswith(("sm_", "cuda", "gfx", "hip")):
            return checked
        raise ValueError(f"target: must run where q lives ({device}), got {target!r}")
    kind = device.partition(":")[0]
    if kind in _devices_seen:
        return kind
    known = _checks.targets()
    if kind not in known:
        raise ValueError(
            f"target: must be one of {', '.join(known)}, got {kind} (where q lives)"
        )
    _devices_seen.add(kind)
    return kind
