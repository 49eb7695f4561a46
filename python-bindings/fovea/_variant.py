"""Variants from `.attn` files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from . import _call, _checks, _compiler, _inputs, _kernel, _repeat
from ._lib import native
from ._program import Core, ProgramSource, TracedProgram, functions, params_of
from ._tensors import type_name
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["Variant", "load"]

_MAX_BYTES = 1 << 20


@runs_as_it_is
def load(path: Any, name: str | None = None) -> Variant:
    """Read a variant from a `.attn` file.

    Parameters
    ----------
    path : str or path
        The file; level-1 MLIR, as text or bytecode, counts as the `.attn` file
        that says the same.
    name : str, optional
        Which of its variants; without, it must have exactly one.

    Returns
    -------
    Variant

    Raises
    ------
    ParseError
        For a wrong file; the text starts with file:line:col.
    ValueError
        For a name that the file does not have.
    OSError
        If the file cannot be read.
    """
    place = _checks.path(path)
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name: must be a str or None, got {type_name(name)}")
    with open(place, "rb") as file:
        return read(file, _checks.shown_path(place), name)


def read(file: BinaryIO, filename: str, name: str | None) -> Variant:
    """Read a variant from an open file; `filename` is for messages."""
    text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"{filename}: must have at most {_MAX_BYTES} bytes, got more")
    return Variant._make(text, filename, name)


def _parse(text: bytes, filename: str, defines: Mapping[str, str]) -> list[dict]:
    return json.loads(native().parse_attn(text, filename, dict(defines)))


class UnknownVariant(ValueError):
    """A name, or none, that is no variant of a file with `names`."""

    def __init__(self, names: list[str], given: str | None):
        self.names, self.given = names, given
        listed = ", ".join(names) or "none"
        super().__init__(
            f"name: must be one of the file's variants ({listed}), got {given!r}"
        )

    def __reduce__(self):
        return UnknownVariant, (self.names, self.given)


class Variant:
    """One `attention` of a `.attn` file; `fovea.load` makes them.

    Called as ``variant(q, k, v, slope=slope, W=64)``: the file's parameters are
    keyword arguments.
    """

    __slots__ = (
        "__weakref__",
        "_defaults",
        "_filename",
        "_functions",
        "_name",
        "_sources",
        "_text",
    )  # fmt: skip

    _name: str
    _defaults: dict[str, dict]
    _filename: str
    _functions: dict[str, Any] | None
    _sources: dict[tuple, ProgramSource]
    _text: bytes

    def __init__(self) -> None:
        raise TypeError("Variant: made by fovea.load, got a call")

    @classmethod
    def _make(cls, text: bytes, filename: str, name: str | None) -> Variant:
        programs = _parse(text, filename, {})
        names = [program["name"] for program in programs]
        if name is None and len(names) == 1:
            name = names[0]
        if name not in names:
            raise UnknownVariant(names, name)
        self = object.__new__(cls)
        self._text, self._filename, self._name = text, filename, name
        program = programs[names.index(name)]
        self._defaults = {p["name"]: p for p in program.get("params") or ()}
        self._sources = {(): ProgramSource(program, {})}
        self._functions = None
        return self

    def _source(self, params: Mapping[str, Any]) -> ProgramSource:
        """The Program with these values of its compile-time parameters."""
        defines = {
            name: _define(name, value, self._defaults[name]["dtype"])
            for name, value in params.items()
        }
        key = tuple(sorted(defines.items()))
        found = self._sources.get(key)
        if found is None:
            programs = _parse(self._text, self._filename, defines)
            program = next(p for p in programs if p["name"] == self.name)
            found = self._sources[key] = ProgramSource(program, {})
        return found

    def _split(self, given: Mapping[str, Any]) -> tuple[ProgramSource, dict[str, Any]]:
        """Compile-time parameters to a source, the rest are captures."""
        known = [c["name"] for c in self.program["captures"]]
        for name in given:
            if name not in known and name not in self._defaults:
                listed = ", ".join((*known, *self._defaults)) or "none"
                raise TypeError(
                    f"{self.name}: parameters must be among {listed}, got {name!r}"
                )
        params = {n: given[n] for n in given if n in self._defaults}
        arrays = {n: given[n] for n in given if n in known}
        return self._source(params), arrays

    @property
    def name(self) -> str:
        """The name that the file gives it."""
        return self._name

    @property
    def program(self) -> dict:
        """The Program, with the defaults of its compile-time parameters."""
        return self._sources[()].program

    @property
    def captures(self) -> dict[str, tuple[str, int]]:
        """dtype and rank of each capture by name, in the file's order."""
        from ._tensors import NAMES

        return {
            c["name"]: (NAMES[c["dtype"]], c["rank"]) for c in self.program["captures"]
        }

    @property
    def params(self) -> dict[str, Any]:
        """The compile-time parameters and their defaults."""
        return params_of(self.program)

    def _function(self, part: str) -> Any:
        if self._functions is None:
            self._functions = functions(self.program)
        return self._functions[part]

    @property
    def score_mod(self) -> Callable | None:
        """The score clause as a score_mod; captures are keyword-only parameters."""
        return self._function("score_mod")

    @property
    def mask_mod(self) -> Callable | None:
        """The mask clause as a mask_mod; captures are keyword-only parameters."""
        return self._function("mask_mod")

    @property
    def normalizer(self) -> Any:
        """The normalizer clause: a name or a Normalizer."""
        return self._function("normalizer")

    @runs_as_it_is
    def compile(
        self,
        *,
        D: int,
        E: int | None = None,
        dtype: Any = "float32",
        scale: float | None = None,
        block_mask: bool = False,
        captures: Mapping[str, Any] | None = None,
        return_lse: bool = False,
        target: str | None = None,
        schedule: Any = None,
    ) -> _kernel.Kernel:
        """Compile for given head dims; see `fovea.compile`.

        Captures and compile-time parameters are both given in `captures`.
        Arrays that are left out must be given at each call.
        """
        short = _checks.dtype(dtype)
        D = _checks.head_dim(D, "D", 1)
        E = D if E is None else _checks.head_dim(E, "E", 0)
        factor = _checks.scale(scale, short)
        with_mask = _checks.boolean(block_mask, "block_mask")
        want_lse = _checks.boolean(return_lse, "return_lse")
        checked = _compiler.target_for(target, "cpu")
        setting = _checks.schedule(schedule)
        source, arrays = self._split(_compiler.check_captures(captures) or {})
        own = ProgramSource(source.program, arrays)
        return _kernel.Kernel._make(
            own, short, D, E, factor, with_mask, want_lse, checked, setting
        )

    def explain(
        self,
        *,
        D: int,
        E: int | None = None,
        dtype: Any = "float32",
        target: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> str:
        """What the variant compiles to; needs no captures.

        Parameters
        ----------
        D, E : int
            Head dims of q, k and of v (D without).
        params : mapping, optional
            Values of compile-time parameters.
        """
        from . import _explain

        short = _checks.dtype(dtype)
        D = _checks.head_dim(D, "D", 1)
        E = D if E is None else _checks.head_dim(E, "E", 0)
        checked = _compiler.target_for(target, "cpu")
        source, _ = self._split(_compiler.check_captures(params) or {})
        traced = TracedProgram(source.program, [], Core())
        compiled = _compiler.lookup(traced, short, D, E, False, False, checked, None)
        return _explain.text(compiled, traced, short, D, E)

    def explain_mask(
        self,
        sizes: Mapping[str, int],
        *,
        dtype: Any = "float32",
        block_size: tuple[int, int] = (128, 128),
        captures: Mapping[str, Any] | None = None,
    ) -> tuple[Any, dict[str, str]]:
        """What the mask analysis finds; `fovea explain` prints it.

        Parameters
        ----------
        sizes : mapping of str to int
            B, Hq, Hk, M, N, D, E, and sizes that captures name.
        block_size : (int, int)
            Query and key extent of a tile.
        captures : mapping, optional
            Captures and compile-time parameters; the others get seeded data.

        Returns
        -------
        (MaskReport, dict of str to str)
            The report, and what the captures without values were filled with.
        """
        from ._explain_mask import ITEMSIZE, MaskReport, example_arrays

        short = _checks.dtype(dtype)
        source, arrays = self._split(_compiler.check_captures(captures) or {})
        named = {
            dim
            for capture in source.program["captures"]
            for dim in capture.get("dims") or ()
            if isinstance(dim, str)
        }
        known = ["B", "Hq", "Hk", "M", "N", "D", "E", *sorted(named - set("BHMNDE"))]
        for name in sizes:
            if name not in known:
                raise ValueError(
                    f"sizes: must be among {', '.join(known)}, got {name!r}"
                )
        made, notes = example_arrays(source.program, sizes)
        traced = source.trace(short, {**made, **arrays}, None)
        report = MaskReport(traced, sizes, block_size, ITEMSIZE[short])
        return report, {n: note for n, note in notes.items() if n not in arrays}

    @runs_as_it_is
    def __call__(
        self,
        q: Any,
        k: Any,
        v: Any,
        *,
        target: str | None = None,
        return_lse: bool = False,
        **captures_and_params: Any,
    ) -> Any:
        """Run; see `fovea.attention`."""
        calls = None
        if target is None and type(return_lse) is bool:
            calls = _repeat.followers(self)[return_lse]
            found = calls.repeat(q, k, v, captures_and_params, 0, 0, None, None)
            if found is not None:
                return found
        if running_mods:
            refuse_in_mod("a fovea.Variant")
        inputs = _inputs.read_inputs(q, k, v)
        g = inputs.geometry
        return_lse = _checks.boolean(return_lse, "return_lse")
        target = _compiler.target_for(target, g.device)
        source, arrays = self._split(captures_and_params)
        traced = source.trace(g.dtype, arrays, None)
        if return_lse:
            _call.expect_lse(traced, return_lse)
        keep: list = []
        captures = _inputs.read_captures(traced, g, keep)
        compiled = _compiler.lookup(
            traced, g.dtype, g.D, g.E, return_lse, False, target, None
        )
        out = _call.launch(
            compiled, inputs, traced, captures, None, None, _inputs.NOWHERE, return_lse
        )
        traced.given = captures_and_params
        plan = None if calls is None else traced.plan
        if plan is not None and _repeat.remember(
            compiled, traced, inputs, out, return_lse
        ):
            roots = None, None, "softmax", captures_and_params
            calls.follow(compiled.native, plan, roots, True, None)
        return out

    def __reduce__(self):
        return _rebuild, (self._text, self._filename, self.name)

    def __repr__(self) -> str:
        captures = ", ".join(f"{n}: {d}[{r}]" for n, (d, r) in self.captures.items())
        params = ", ".join(f"{n}={v}" for n, v in self.params.items())
        inside = ", ".join(part for part in (captures, params) if part)
        return f"<fovea.Variant {self.name}({inside})>"


def _rebuild(text: bytes, filename: str, name: str) -> Variant:
    return Variant._make(text, filename, name)


def _define(name: str, value: Any, dtype: str) -> str:
    """A compile-time parameter as -D takes it."""
    if dtype == "i1":
        return "true" if _checks.boolean(value, name) else "false"
    if dtype == "f":
        if isinstance(value, (bool, np.bool_)) or not isinstance(
            value, (int, float, np.number)
        ):
            raise TypeError(f"{name}: must be a number, got {type_name(value)}")
        return repr(float(value))
    return str(_checks.integer(value, name, -(1 << 63), (1 << 63) - 1))
