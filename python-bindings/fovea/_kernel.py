"""`Kernel`: a variant that was compiled ahead of its calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import _call, _checks, _compiler, _repeat, _tensors
from ._block_mask import BlockMask, expect_block_mask
from ._compiler import Compiled, Source
from ._inputs import read_captures, read_inputs, read_positions
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["Kernel"]


class Kernel:
    """A compiled variant; `fovea.compile` and `fovea.load_kernel` make them.

    It follows its mods: captured arrays are read at each call, and where a
    captured constant has changed the call compiles the variant that it
    now is, exactly as `attention` does.
    """

    __slots__ = (
        "_D",
        "_E",
        "__weakref__",
        "_calls",
        "_dtype",
        "_scale",
        "_schedule",
        "_source",
        "_state",
        "_target",
        "_want_lse",
        "_want_mask",
    )  # fmt: skip

    _D: int
    _E: int
    _scale: float | None
    _target: str | None
    _dtype: str
    _schedule: str | None
    _source: Source
    # Calls like the last one, and what its sizes were.
    _calls: Any
    _want_lse: bool
    _want_mask: bool
    # The last trace and its kernel, in one object: threads see both or neither.
    _state: tuple[Any, Compiled, str | None]

    def __init__(self) -> None:
        raise TypeError(
            "Kernel: made by fovea.compile or fovea.load_kernel, got a call"
        )

    @classmethod
    def _make(
        cls, source, dtype, D, E, scale, want_mask, want_lse, target, schedule
    ) -> Kernel:
        self = object.__new__(cls)
        self._source, self._dtype, self._D, self._E = source, dtype, D, E
        self._scale, self._want_mask, self._want_lse = scale, want_mask, want_lse
        self._target, self._schedule = target, schedule
        self._calls = _repeat.follower()
        traced = source.first(dtype)
        if want_lse:
            _call.expect_lse(traced, want_lse)
        self._state = (traced, self._lookup(traced, schedule), schedule)
        return self

    def _lookup(self, traced: Any, schedule: str | None = None) -> Compiled:
        return _compiler.lookup(
            traced, self._dtype, self._D, self._E, self._want_lse, self._want_mask,
            self._target, schedule or self._schedule,
        )  # fmt: skip

    def _current(
        self,
        captures: Mapping | None = None,
        block_mask: BlockMask | None = None,
        schedule: str | None = None,
    ) -> tuple[Any, Compiled]:
        """Trace again (a comparison, where nothing changed)."""
        before, compiled, compiled_for = self._state
        roots = None if block_mask is not None else self._source.roots(captures)
        if roots is not None and not roots[3]:
            same = before.again(roots)
            if same is not None:
                return same, compiled
        traced = self._source.trace(self._dtype, captures, block_mask)
        schedule = schedule or self._schedule
        if traced.core is not before.core or schedule != compiled_for:
            compiled = self._lookup(traced, schedule)
        self._state = (traced, compiled, schedule)
        return traced, compiled

    @runs_as_it_is
    def __call__(
        self,
        q: Any,
        k: Any,
        v: Any,
        *,
        block_mask: BlockMask | None = None,
        captures: Mapping[str, Any] | None = None,
        q_offset: Any = 0,
        kv_offset: Any = 0,
        q_lengths: Any = None,
        kv_lengths: Any = None,
    ) -> Any:
        """Run; see `attention` for the parameters and the result."""
        if block_mask is None:
            found = self._calls.repeat(
                q, k, v, captures, q_offset, kv_offset, q_lengths, kv_lengths
            )
            if found is not None:
                return found
        if running_mods:
            refuse_in_mod("a fovea.Kernel")
        inputs = read_inputs(q, k, v)
        g = inputs.geometry
        if g.dtype != self._dtype or g.D != self._D or g.E != self._E:
            self._refuse(g)
        if self._want_mask is not (block_mask is not None):
            raise ValueError(
                "block_mask: must be given exactly where the kernel was compiled with"
                f" block_mask=True, got {_tensors.type_name(block_mask)} for a kernel"
                f" compiled with block_mask={self._want_mask}"
            )
        schedule = self._schedule
        if block_mask is not None:
            expect_block_mask(block_mask)
            block_mask.check_call(g.B, g.Hq, g.M, g.N)
            schedule = _call.schedule_for(schedule, block_mask, g)
        if g.device != "cpu":
            _compiler.target_for(None, g.device)
        positions = read_positions(g, q_offset, kv_offset, q_lengths, kv_lengths)
        if block_mask is not None:
            block_mask.check_offsets(*positions[:2])
        self._calls.geometry = g
        given, captures = captures, self._without_found(captures)
        traced, compiled = self._current(captures, block_mask, schedule)
        keep: list = []
        arrays = read_captures(traced, g, keep)
        out = _call.launch(
            compiled, inputs, traced, arrays, self._scale, block_mask, positions,
            self._want_lse,
        )  # fmt: skip
        is_usual = block_mask is None and captures is given
        roots = self._source.roots(captures) if is_usual else None
        plan = None if roots is None else traced.plan
        if plan is not None and _repeat.remember(
            compiled, traced, inputs, out, self._want_lse
        ):
            self._calls.follow(
                compiled.native, plan, roots, captures is not None, self._scale
            )
        return out

    def _without_found(self, captures: Any) -> Any:
        """A call's captures less those that the mods find without them."""
        if not isinstance(captures, Mapping) or not captures:
            return captures
        found = _compiler.names_found(self._state[0]) & captures.keys()
        if not found:
            return captures
        live = self.captures
        return {
            name: value
            for name, value in captures.items()
            if name not in found or live.get(name) is not value
        }

    def _refuse(self, g: _checks.Geometry) -> None:
        names = _tensors.NAMES
        if g.dtype != self._dtype:
            raise ValueError(
                f"q: dtype must be that of the kernel ({names[self._dtype]}),"
                f" got {names[g.dtype]}"
            )
        if g.D != self._D:
            raise ValueError(
                f"q: head dim must be that of the kernel ({self._D}), got {g.D}"
            )
        raise ValueError(
            f"v: head dim must be that of the kernel ({self._E}), got {g.E}"
        )

    @property
    def D(self) -> int:
        """Head dim of q and k."""
        return self._D

    @property
    def E(self) -> int:
        """Head dim of v."""
        return self._E

    @property
    def scale(self) -> float | None:
        """The factor of q.k; None is 1/sqrt(D)."""
        return self._scale

    @property
    def target(self) -> str | None:
        """The target that was asked for; None is where q lives."""
        return self._target

    @property
    def dtype(self) -> str:
        """The dtype of q, k and v, as ``"float32"``."""
        return _tensors.NAMES[self._dtype]

    @property
    def captures(self) -> dict[str, Any]:
        """The live captured arrays: those of keyword-only parameters by their names,
        others by their names in the variant. A call's `captures` may be these."""
        return self._source.captured(self._dtype)

    @property
    def schedule(self) -> str:
        """The schedule that was chosen or given, as text."""
        return self._state[1].schedule

    def ir(self, level: str) -> str:
        """Text of one level: "attn", "online", "target", "llvm" or "asm"."""
        levels = ("attn", "online", "target", "llvm", "asm")
        if not isinstance(level, str):
            raise TypeError(f"level: must be a str, got {_tensors.type_name(level)}")
        if level not in levels:
            raise ValueError(
                f"level: must be one of {', '.join(levels)}, got {level!r}"
            )
        return self._state[1].native.ir(level)

    def explain(
        self,
        *,
        B: int | None = None,
        Hq: int | None = None,
        Hk: int | None = None,
        M: int | None = None,
        N: int | None = None,
    ) -> str:
        """What was compiled, how it is scheduled, what it costs and what it skips.

        Parameters
        ----------
        B, Hq, Hk, M, N : int, optional
            The shape whose tiles are counted, M or N among them. Without any: that
            of the last call, or what the captures have an entry for.

        Returns
        -------
        str
            Lines of text; the first one names the variant.

        Raises
        ------
        ValueError
            For sizes without M and N, or an Hq that is no multiple of Hk.
        """
        from . import _explain

        sizes = {"B": B, "Hq": Hq, "Hk": Hk, "M": M, "N": N}
        given = {
            name: _checks.integer(size, name, 0 if name in "MN" else 1)
            for name, size in sizes.items()
            if size is not None
        }
        if given and "M" not in given and "N" not in given:
            raise ValueError(
                f"M: must be given beside {', '.join(given)}, or N, got None"
            )
        if given.get("Hq", 1) % given.get("Hk", 1):
            raise ValueError(
                f"Hq: must be a multiple of Hk ({given['Hk']}),"
                f" got {given.get('Hq', 1)}"
            )
        return _explain.kernel(self, given)

    def save(self, path: Any) -> None:
        """Write the recipe and the captures (no machine code); see `load_kernel`."""
        from . import _recipe

        _recipe.save(self, path)

    def _recipe(self) -> tuple[dict, dict[str, Any]]:
        """The recipe as JSON values, and the live captures by name."""
        traced, arrays = self._source.live(self._dtype)
        text = traced.program_json(
            D=self._D, E=self._E, dtype=self._dtype,
            return_lse=self._want_lse, block_mask=self._want_mask,
        )  # fmt: skip
        recipe = {
            "fovea_kernel": 1,
            "program": json.loads(text),
            "labels": list(traced.labels),
            "given": list(arrays),
            "scale": self._scale,
            "target": self._target,
            "schedule": self._schedule,
        }
        return recipe, arrays

    def __copy__(self) -> Kernel:
        """A kernel that follows the same mods and reads the same live arrays."""
        made = object.__new__(type(self))
        for name in Kernel.__slots__:
            if name not in ("__weakref__", "_calls"):
                setattr(made, name, getattr(self, name))
        made._calls = _repeat.follower()
        return made

    def __reduce__(self):
        from . import _recipe

        recipe, arrays = self._recipe()
        copies = [_recipe.freeze(array, name) for name, array in arrays.items()]
        return _recipe.rebuild_kernel, (json.dumps(recipe), copies)

    def __repr__(self) -> str:
        name = self._state[1].name
        mask = ", block_mask" if self._want_mask else ""
        lse = ", lse" if self._want_lse else ""
        return (
            f"<fovea.Kernel {name}: D={self._D}, E={self._E}, {self.dtype}{mask}{lse},"
            f" target={self._state[1].target}, schedule={self._state[1].schedule!r}>"
        )
