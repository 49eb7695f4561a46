"""Normalisers: how scores become weights, and what is divided by."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from .captures import CaptureArray, array_dtype, array_rank, is_array
from .environment import Environment
from .graph import Region, format_node
from .mods import ModTrace, check_mod, trace_mod

__all__ = [
    "Normalizer",
    "check_array",
    "named",
    "plain_name",
    "resolve_normalizer",
    "trace_normalizer",
]

_FIELDS = ("weight", "denom", "stat", "seed", "seed_value", "finish")


class Normalizer:
    """A running state (t, l, o) a row, and how keys enter it.

    Parameters
    ----------
    weight : callable
        ``weight(s, t, b, h, q_idx, kv_idx)`` multiplies the value row.
    denom : callable, optional
        ``denom(s, t, b, h, q_idx, kv_idx)`` adds to l; None adds nothing.
    stat : callable, optional
        ``stat(s)``; t is its running maximum. None: t is 0.
    seed : callable, optional
        ``seed(b, h, q_idx) -> (t0, l0)``; None is (-inf, 0).
    seed_value : array or callable, optional
        o before the first key, [H, E], [B, H, E] or [B, H, M, E], or
        ``seed_value(b, h, q_idx, e_idx)``; None is 0.
    finish : {"o/l", "o"} or callable, optional
        ``finish(o, l, t, b, h, q_idx, e_idx)``. By default "o/l" with a
        denom and "o" without.

    Raises
    ------
    TypeError
        For an argument of the wrong kind.
    ValueError
        For "o/l" without a denom, or a seed_value of another rank. When it is
        traced: where t enters weight or denom otherwise than as the factor
        exp(-t).

    Notes
    -----
    With a stat, a row is rescaled by exp(t_old - t_new) whenever t grows. That
    is exact only where weight and denom are exp(-t) times something free of t.
    """

    __slots__ = (
        *(f"_{name}" for name in _FIELDS), "_dims", "_name", "_recipe", "__weakref__"
    )  # fmt: skip

    def __init__(
        self,
        *,
        weight: Callable,
        denom: Callable | None = None,
        stat: Callable | None = None,
        seed: Callable | None = None,
        seed_value: Any = None,
        finish: str | Callable | None = None,
    ) -> None:
        check_mod("weight", weight)
        for name, mod in (("denom", denom), ("stat", stat), ("seed", seed)):
            if mod is not None:
                check_mod(name, mod)
        if seed_value is not None:
            _check_seed_value(seed_value)
        if finish is None:
            finish = "o" if denom is None else "o/l"
        elif isinstance(finish, str):
            if finish not in ("o", "o/l"):
                raise ValueError(
                    f'finish: must be "o/l", "o" or a function, got {finish!r}'
                )
            if finish == "o/l" and denom is None:
                raise ValueError('finish: "o/l" divides by l, but there is no denom')
        elif not callable(finish):
            raise TypeError(
                f'finish: must be "o/l", "o" or a function, got {type(finish).__name__}'
            )
        else:
            check_mod("finish", finish)
        values = (weight, denom, stat, seed, seed_value, finish)
        for name, value in zip(_FIELDS, values, strict=True):
            object.__setattr__(self, f"_{name}", value)
        object.__setattr__(self, "_name", "custom")
        object.__setattr__(self, "_recipe", None)
        object.__setattr__(self, "_dims", {})

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Normalizer does not change; make another")

    weight = property(lambda self: self._weight, doc="The weight function.")
    denom = property(lambda self: self._denom, doc="The denom function or None.")
    stat = property(lambda self: self._stat, doc="The stat function or None.")
    seed = property(lambda self: self._seed, doc="The seed function or None.")
    seed_value = property(lambda self: self._seed_value, doc="The seed array or None.")
    finish = property(lambda self: self._finish, doc='A function, "o/l" or "o".')
    name = property(lambda self: self._name, doc="Its short name.")

    def __repr__(self) -> str:
        if self._recipe is not None:
            return f"<fovea.Normalizer {self._name}>"
        parts = [n for n in _FIELDS if getattr(self, n) is not None]
        return f"<fovea.Normalizer with {', '.join(parts)}>"

    def __reduce__(self) -> tuple:
        if self._recipe is not None:
            return _from_recipe, self._recipe
        fields = self._fields()
        try:
            pickle.dumps(fields)
        except Exception:
            # Functions that no import finds go as what they compute.
            from .. import _recipe

            return _recipe.rebuild_normalizer, _recipe.freeze_normalizer(self)
        return _from_fields, (fields,)

    def __copy__(self) -> Normalizer:
        return self

    def __deepcopy__(self, memo: dict) -> Normalizer:
        if self._recipe is not None:
            return _from_recipe(*copy.deepcopy(self._recipe, memo))
        return _from_fields(copy.deepcopy(self._fields(), memo))

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


def _from_fields(fields: dict) -> Normalizer:
    return Normalizer(**fields)


def check_array(argument: str, value: Any, ranks: tuple[int, ...], shape: str) -> None:
    """Refuse what is no array of one of these ranks; messages call it `shape`."""
    if not is_array(value):
        raise TypeError(f"{argument}: must be {shape}, got {type(value).__name__}")
    try:
        array_dtype(value)
    except TypeError as error:
        raise TypeError(f"{argument}: the array {error}") from None
    if array_rank(value) not in ranks:
        raise ValueError(
            f"{argument}: must be {shape}, got {array_rank(value)} dimension(s)"
        )


def _check_seed_value(value: Any) -> None:
    if callable(value):
        check_mod("seed_value", value)
    else:
        shape = "an array [H,E], [B,H,E] or [B,H,M,E]"
        check_array("seed_value", value, (2, 3, 4), shape)


def _from_recipe(name: str, arguments: dict) -> Normalizer:
    from .. import normalizers

    return getattr(normalizers, name)(**arguments)


def named(
    name: str,
    arguments: dict,
    *,
    dims: Mapping[str, tuple[str, ...]] | None = None,
    **fields: Any,
) -> Normalizer:
    """A Normalizer that pickles as the call ``normalizers.name(**arguments)``.

    `dims` are the sizes that arguments which are arrays must have.
    """
    made = Normalizer(**fields)
    object.__setattr__(made, "_dims", dims or {})
    object.__setattr__(made, "_name", name)
    object.__setattr__(made, "_recipe", (name, arguments))
    return made


def _describe(value: Any) -> str:
    """What was given for a normaliser, and how to make one of it."""
    name = getattr(value, "__name__", "")
    if value is Normalizer:
        return "the class Normalizer; make one: fovea.Normalizer(weight=…)"
    if isinstance(value, type):
        return f"the class {name}"
    if getattr(value, "__module__", None) == "fovea.normalizers":
        return f"the function {name}; call it: fovea.normalizers.{name}(…)"
    if callable(value) and name:
        return f"the function {name}; make one: fovea.Normalizer(weight={name})"
    return "None" if value is None else type(value).__name__


_by_name: dict[str, Normalizer] = {}


def plain_name(normalizer: Any) -> Any:
    """The argument, a name of any subclass of str as a str itself."""
    return str.__str__(normalizer) if isinstance(normalizer, str) else normalizer


def resolve_normalizer(normalizer: Any) -> Normalizer:
    """The Normalizer of a name, or the Normalizer given.

    Raises
    ------
    TypeError, ValueError
        For another kind of object, or a name that there is not.
    """
    if isinstance(normalizer, Normalizer):
        return normalizer
    if not isinstance(normalizer, str):
        raise TypeError(
            "normalizer: must be a name or a fovea.Normalizer, got"
            f" {_describe(normalizer)}"
        )
    if not _by_name:
        from .. import normalizers

        made = {name: getattr(normalizers, name)() for name in normalizers.BY_NAME}
        _by_name.update(made)
    found = _by_name.get(normalizer)
    if found is None:
        from .. import normalizers

        if normalizer in normalizers.__all__:
            raise ValueError(
                f"normalizer: {normalizer!r} needs arguments; pass "
                f"fovea.normalizers.{normalizer}(…)"
            )
        raise ValueError(
            f"normalizer: must be one of {', '.join(sorted(_by_name))} or a "
            f"fovea.Normalizer, got {normalizer!r}"
        )
    return found


def trace_normalizer(
    env: Environment,
    normalizer: Normalizer,
    slot: int,
    captures: tuple[int, Mapping[str, Any]],
    used: set[str],
) -> dict[str, ModTrace | str | None]:
    """The traced regions of a normaliser, by Program's keys."""
    _check_again(normalizer)
    traced: dict[str, ModTrace | str | None] = {}
    for name in ("stat", "weight", "denom", "seed", "seed_value", "finish"):
        value = getattr(normalizer, name)
        if callable(value):
            path = (slot, getattr, name)
            traced[name] = trace_mod(env, name, name, path, captures, used)
        elif name == "seed_value" and value is not None:
            traced[name] = _trace_seed_array(env, slot, normalizer)
        else:
            traced[name] = env.reach(slot, getattr, name, name)
    _declare(env, normalizer)
    if normalizer.stat is not None:
        for name in ("weight", "denom"):
            part = traced[name]
            if isinstance(part, ModTrace):
                check_factor(name, part.region, part.results[0])
    return traced


def _check_again(normalizer: Normalizer) -> None:
    """Refuse arrays that were resized since the normaliser was made of them."""
    if normalizer._recipe is not None:
        _from_recipe(*normalizer._recipe)
    elif normalizer.seed_value is not None:
        _check_seed_value(normalizer.seed_value)


def _declare(env: Environment, normalizer: Normalizer) -> None:
    """Note the sizes that arrays given to a ready-made normaliser must have."""
    for argument, dims in normalizer._dims.items():
        array = normalizer._recipe[1][argument]
        for capture in env.captures:
            if env.objects[capture.slot] is array and capture.rank == len(dims):
                capture.dims = dims


def _seed_argument(normalizer: Normalizer) -> str:
    """What the user gave the seed array as: sink() calls it value."""
    given = normalizer._recipe[1] if normalizer._recipe else {}
    for argument, array in given.items():
        if array is normalizer.seed_value:
            return argument
    return "seed_value"


def _trace_seed_array(env: Environment, slot: int, normalizer: Normalizer) -> ModTrace:
    value = env.reach(slot, getattr, "seed_value", _seed_argument(normalizer))
    assert isinstance(value, CaptureArray)
    region = Region("seed_value", "seed_value")
    b, h, q, e = region.arg_ids
    index = {2: (h, e), 3: (b, h, e), 4: (b, h, q, e)}[value.ndim]
    number = region.read(value._capture, index)
    region.active = False
    # Queries count from q_offset, so that there may be more rows than M.
    value._capture.dims = {
        2: ("H", "E"), 3: ("B", "H", "E"), 4: ("B", "H", None, "E")
    }[value.ndim]  # fmt: skip
    return ModTrace(region, [region.convert(number, "f")])


# -- S9: t only as the factor exp(-t) -------------------------------------------


# How a node depends on t, as the dialect's verifier of C13 sees it: "t" itself;
# "zero": the constant 0, a multiple of everything; "free": not on t; "shift": x - t
# with x free; "factor": exp(-t) times something free; "bad".
def check_factor(name: str, region: Region, result: int) -> None:
    """Raise ValueError unless the result is exp(-t) times something free of t."""
    depends: list[str] = []
    for number in range(len(region.nodes)):
        parts = [depends[i] for i in region.operands(number)]
        depends.append(_dependence(region, number, parts))
    kind = depends[result]
    if kind in ("factor", "zero"):
        return
    if kind == "free":
        problem = f"does not contain it: {format_node(region, result)}"
    else:
        problem = f"got {format_node(region, result)}"
    raise ValueError(
        f"{name}: with a stat, t must enter as the factor exp(-t) and in no other way "
        f"(as in exp(s - t) * table[q_idx]), {problem}"
    )


def _is_free(kind: str) -> bool:
    return kind in ("free", "zero")


def _dependence(region: Region, number: int, parts: list[str]) -> str:
    node = region.nodes[number]
    op = node[0]
    if op == "arg":
        return "t" if node[1] == "t" else "free"
    if op == "const":
        is_zero = region.types[number] == "f" and not region.constant(number)
        return "zero" if is_zero else "free"
    if op == "fneg":
        return {"t": "shift", "factor": "factor"}.get(parts[0], _free_or_bad(parts))
    if "t" in parts:
        is_shift = op == "fsub" and _is_free(parts[0]) and parts[1] == "t"
        return "shift" if is_shift else "bad"
    if all(map(_is_free, parts)):
        return "free"
    if op == "exp":
        return "factor" if parts[0] == "shift" else "bad"
    if op in ("fadd", "fsub"):
        return _sum(parts, op)
    if op == "fmul":
        return "factor" if "factor" in parts and any(map(_is_free, parts)) else "bad"
    if op == "fdiv":
        return "factor" if parts[0] == "factor" and _is_free(parts[1]) else "bad"
    if op == "select" and _is_free(parts[0]):
        return _joint(parts[1:])
    return "bad"


def _free_or_bad(parts: list[str]) -> str:
    return "free" if all(map(_is_free, parts)) else "bad"


def _sum(parts: list[str], op: str) -> str:
    left, right = parts
    if op == "fsub" and _is_free(right):
        return "shift" if left == "shift" else "bad"
    if "shift" in parts:
        return "shift" if op == "fadd" and any(map(_is_free, parts)) else "bad"
    return _joint(parts)


def _joint(parts: list[str]) -> str:
    return "factor" if set(parts) <= {"factor", "zero"} else "bad"
