"""A Program with its captures, in the place of mods."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from . import _tensors
from ._lib import native
from ._tensors import type_name
from .dsl import recheck
from .dsl.captures import array_rank, is_array


class Core:
    """What caches key by: one object for one Program."""

    __slots__ = ("__weakref__",)


class TracedProgram:
    """The same interface as `fovea.dsl.TracedVariant`, for a Program as it is.

    Parameters
    ----------
    program : mapping
        A Program; dtype, D and E may be missing.
    arrays : list
        Live captures in the Program's order.
    labels : sequence of str, optional
        How messages name the captures.
    core : Core
        Shared by all calls of one variant.
    """

    __slots__ = ("_texts", "arrays", "core", "given", "labels", "names", "program")
    #: Which mod each capture belongs to: a Program has none.
    homes = ()
    #: Whether sizes of captures are to be checked.
    has_dims = True
    #: What nothing compares: a Program has no Python to trace.
    uncompared = ""

    def __init__(self, program, arrays, core, labels=None):
        self.program = program
        self.arrays = arrays
        self.names = tuple(c["name"] for c in program["captures"])
        self.labels = self.names if labels is None else tuple(labels)
        self.core = core
        #: The mapping that the captures come from, compile-time parameters included.
        self.given: Mapping[str, Any] = {}
        self._texts: dict[tuple, str] = {}

    def again(self, roots: tuple) -> TracedProgram | None:
        """The same for a call without captures, where the Program has none."""
        return None if self.names else self

    #: All captures are given by their names.
    parameters = property(lambda self: self.names)

    @property
    def plan(self) -> Any:
        """What later calls like this one are compared by, in the compiled module's form.

        None where a capture is no array, as Python's numbers.
        """
        steps: list[recheck.Step] = [
            (recheck.get_item, 0, 3, recheck.is_anything, None)
        ]
        slots: dict[str, int] = {}
        for name, value in self.given.items():
            if name not in self.names:
                test = recheck.constant_test(value)
            elif is_array(value) and hasattr(value, "dtype"):
                looks = recheck.held(type(value)), value.dtype, array_rank(value)
                test = recheck.is_array_like, looks
            else:
                test = None
            if test is None:
                return None
            steps.append((recheck.get_item, 1, name, *test))
            slots[name] = len(steps)
        return native().Plan(tuple(steps), tuple(slots[name] for name in self.names))

    @property
    def has_denom(self) -> bool:
        normalizer = self.program.get("normalizer", "softmax")
        return isinstance(normalizer, str) or normalizer.get("denom") is not None

    @property
    def key(self) -> str:
        kept = {
            name: part
            for name, part in self.program.items()
            if name not in ("doc", "locations", "dtype", "D", "E")
        }
        return json.dumps(kept, sort_keys=True, separators=(",", ":"))

    def program_json(
        self, *, D: int, E: int | None = None, dtype: str | None = None,
        return_lse: bool = False, block_mask: bool = False,
    ) -> str:  # fmt: skip
        """Canonical text of the whole Program."""
        key = (D, E, dtype, return_lse, block_mask)
        text = self._texts.get(key)
        if text is None:
            whole = dict(self.program)
            whole.update(
                D=[D] * len(whole.get("D") or [D]),
                E=D if E is None else E,
                return_lse=return_lse,
                block_mask=block_mask,
            )
            if dtype is not None:
                whole["dtype"] = dtype
            text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
            self._texts[key] = text
        return text


_SIZES = {"B": "B", "H": "Hq", "Hk": "Hk", "M": "M", "N": "N", "D": "D", "E": "E"}


def check_dims(
    declared: Sequence[Mapping[str, Any]], tensors: Sequence[tuple], geometry: Any
) -> None:
    """Check captures against the sizes that a file declares for them.

    A size that is not one of the call's is bound by the first capture that has it.
    """
    bound: dict[str, tuple[int, str]] = {}
    for capture, tensor in zip(declared, tensors, strict=True):
        for dim, size in enumerate(capture.get("dims", ())):
            have = tensor[2][dim]
            if size is None:
                continue
            if isinstance(size, int):
                want, rule = size, str(size)
            elif size in _SIZES:
                want = getattr(geometry, _SIZES[size])
                rule = f"{size} ({want})"
            else:
                want, first = bound.setdefault(size, (have, capture["name"]))
                rule = f"{size} ({want}, that of {first})"
            if have != want:
                raise ValueError(
                    f"{capture['name']}: dim {dim} must be {rule}, got {have}"
                )


def params_of(program: Mapping[str, Any]) -> dict[str, Any]:
    """Compile-time parameters and their values."""
    return {
        p["name"]: float.fromhex(p["value"]) if p["dtype"] == "f" else p["value"]
        for p in program.get("params") or ()
    }


def category(dtype: str) -> str:
    """What a capture of this dtype is read as: "bool", "int" or "float"."""
    if dtype == "i1":
        return "bool"
    return "float" if dtype in _tensors.FLOATS else "int"


class ProgramSource:
    """A Program and captures by name; `captures=` of a call replaces them."""

    __slots__ = ("_variants", "arrays", "labels", "program")

    def __init__(self, program: dict, arrays: Mapping[str, Any], labels=None):
        self.program = program
        self.arrays = dict(arrays)
        self.labels = labels
        self._variants: dict[tuple, tuple[dict, Core]] = {}

    def trace(
        self, dtype: str, captures: Mapping[str, Any] | None, block_mask: Any
    ) -> TracedProgram:
        from ._compiler import check_captures

        given = self.arrays
        declared = self.program["captures"]
        if captures:
            check_captures(captures)
            names = [c["name"] for c in declared]
            for name in captures:
                if name not in names:
                    known = ", ".join(names) or "none"
                    raise TypeError(
                        f"captures: must be among those of the variant ({known}),"
                        f" got {name!r}"
                    )
            given = {**given, **captures}
        if block_mask is not None and block_mask.mask_mod is not None:
            return self._with_block_mask(dtype, given, block_mask)
        arrays = []
        kinds = []
        for capture in declared:
            name = capture["name"]
            if name not in given:
                raise TypeError(
                    f"{name}: a capture of the variant must be given, got none"
                )
            array, kind = as_capture(given[name], capture)
            arrays.append(array)
            kinds.append(kind)
        traced = self._variant(kinds, arrays)
        traced.given = given
        return traced

    def roots(self, captures: Mapping[str, Any] | None) -> tuple | None:
        """As of mods, which there are none of; None of two mappings."""
        if self.arrays and captures is not None:
            return None
        given = self.arrays if captures is None else captures
        return None, None, "softmax", given

    def first(self, dtype: str) -> TracedProgram:
        """What to compile ahead of the first call; arrays may still be missing."""
        declared = self.program["captures"]
        kinds = [
            as_capture(self.arrays[c["name"]], c)[1]
            if c["name"] in self.arrays
            else c["dtype"]
            for c in declared
        ]
        return self._variant(kinds, [])

    def live(self, dtype: str) -> tuple[TracedProgram, dict[str, Any]]:
        """The variant as it is, and the captures by name as far as they are given."""
        declared = self.program["captures"]
        given = {
            c["name"]: as_capture(self.arrays[c["name"]], c)[0]
            for c in declared
            if c["name"] in self.arrays
        }
        whole = len(given) == len(declared)
        return (self.trace(dtype, None, None) if whole else self.first(dtype)), given

    def captured(self, dtype: str) -> dict[str, Any]:
        """The captures by name as far as they are given."""
        return self.live(dtype)[1]

    def _variant(self, kinds: Sequence[str], arrays: list) -> TracedProgram:
        """The Program with these dtypes of its captures."""
        declared = self.program["captures"]
        key = tuple(kinds)
        found = self._variants.get(key)
        if found is None:
            program = dict(self.program)
            program["captures"] = [
                {**capture, "dtype": kind}
                for capture, kind in zip(declared, kinds, strict=True)
            ]
            found = self._variants[key] = (program, Core())
        return TracedProgram(found[0], arrays, found[1], self.labels)

    def _with_block_mask(
        self, dtype: str, given: Mapping[str, Any], block_mask: Any
    ) -> Any:
        """Trace the Program's regions as mods, beside the mask of a BlockMask."""
        from ._compiler import ModSource

        mods = functions(self.program)
        return ModSource(
            mods["score_mod"], mods["mask_mod"], mods["normalizer"], given
        ).trace(dtype, None, block_mask)


def as_capture(value: Any, declared: Mapping[str, Any]) -> tuple[Any, str]:
    """A capture in the place of a declared one, and the dtype it has.

    Any dtype that is read as the same type will do; a Python number stands for
    a capture of rank 0.
    """
    import numpy as np

    name, rank, dtype = declared["name"], declared["rank"], declared["dtype"]
    want = category(dtype)
    if isinstance(value, (bool, int, float, np.generic)):
        if rank:
            raise TypeError(
                f"{name}: must be an array of rank {rank}, got {type_name(value)}"
            )
        value = np.asarray(value)
        have = category(_tensors.numpy_dtype(value.dtype) or "f64")
        if have == "int" and want == "float":
            value = value.astype(np.float64)
    tensor = _tensors.read(value, name, _tensors.ANY)
    if len(tensor.shape) != rank:
        raise ValueError(f"{name}: rank must be {rank}, got {len(tensor.shape)}")
    if category(tensor.dtype) != want:
        raise TypeError(
            f"{name}: dtype must be a kind of {want} ({_tensors.NAMES[dtype]}),"
            f" got {_tensors.NAMES[tensor.dtype]}"
        )
    return value, tensor.dtype


def functions(program: Mapping[str, Any]) -> dict[str, Any]:
    """score_mod, mask_mod and normalizer of a Program as Python objects."""
    from . import _region

    captures = program["captures"]
    params = params_of(program)

    def make(part: str, region: Any) -> Any:
        if region is None:
            return None
        return _region.function(region, part, captures, params)

    normalizer = program.get("normalizer", "softmax")
    if not isinstance(normalizer, str):
        from .normalizers import Normalizer

        finish = normalizer.get("finish")
        normalizer = Normalizer(
            weight=make("weight", normalizer["weight"]),
            denom=make("denom", normalizer.get("denom")),
            stat=make("stat", normalizer.get("stat")),
            seed=make("seed", normalizer.get("seed")),
            seed_value=make("seed_value", normalizer.get("seed_value")),
            finish=finish if isinstance(finish, str) else make("finish", finish),
        )
    return {
        "score_mod": make("score_mod", program.get("score")),
        "mask_mod": make("mask_mod", program.get("mask")),
        "normalizer": normalizer,
    }
