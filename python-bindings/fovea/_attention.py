"""`attention` and `compile`: from arrays and mods to a launched kernel."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import _checks, _compiler, _cuda, _outputs, _repeat, _tensors
from ._block_mask import BlockMask, expect_block_mask, refuse_block_mask
from ._compiler import Compiled, Source
from ._inputs import (
    Inputs,
    capture_error,
    read_captures,
    read_inputs,
    read_positions,
)
from ._tensors import SCORE, TensorTuple
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["Kernel", "attention", "compile"]

_plain_order = (0, 1, 2)


def _allocate(inputs: Inputs, return_lse: bool) -> tuple:
    """The results and how the library sees them; lse and its tuple may be None."""
    g = inputs.geometry
    like = inputs.like
    if like is None:
        q = inputs.keep[0]
        if g.out_plain:
            out = np.empty(g.out_shape, q.dtype)
        else:
            out = _outputs.numpy_empty(g.out_shape, g.out_order, q.dtype)
        out_strides = g.out_strides
        address = _tensors.address(out)
    else:
        address, out_strides, out, _ = _outputs.allocate(
            like, g.out_shape, g.out_order, g.dtype
        )
    lse = lse_tuple = None
    if return_lse:
        score = SCORE[g.dtype]
        if like is None:
            lse = np.empty(g.lse_shape, np.float64 if score == "f64" else np.float32)
            at = _tensors.address(lse)
            strides = g.lse_strides
        else:
            at, strides, lse, _ = _outputs.allocate(
                like, g.lse_shape, _plain_order, score
            )
        lse_tuple = (at, score, g.lse_shape, strides)
    return out, lse, (address, g.dtype, g.out_shape, out_strides), lse_tuple


def _launch(
    compiled: Compiled,
    inputs: Inputs,
    traced: Any,
    captures: list[TensorTuple],
    scale: float | None,
    block_mask: BlockMask | None,
    positions: tuple,
    return_lse: bool,
) -> Any:
    """Allocate the results and run."""
    g = inputs.geometry
    tiles = size = None
    if block_mask is not None:
        size = block_mask.BLOCK_SIZE
        if g.device == "cpu":
            tiles = block_mask.for_launch()
        else:
            tiles = _cuda.block_classes(block_mask, g.device, inputs.like.library)
    try:
        out, lse, out_tuple, lse_tuple = _allocate(inputs, return_lse)
    except MemoryError:
        needed = math.prod(g.out_shape) * (g.misaligned + 1)
        raise MemoryError(f"out: must fit in memory, got {needed:,} bytes") from None
    like = inputs.like
    if inputs.table is not None:
        _compiler.warn_of_copied_pages(compiled, g.M * (g.Hq // g.Hk))
    if not g.empty and (g.E or return_lse):
        try:
            compiled.native.launch(
                [inputs.q],
                [inputs.k],
                inputs.v,
                out_tuple,
                lse_tuple,
                captures,
                [compiled.default_scale(g) if scale is None else scale],
                *positions,
                tiles,
                size,
                *(() if g.device == "cpu" else _cuda.place(g.device, like.library)),
                **({} if inputs.table is None else {"page_table": inputs.table}),
            )
        except (IndexError, MemoryError, ValueError) as error:
            raise capture_error(error, traced) from None
    if like is not None:
        out = _outputs.deliver(out, like, g.dtype)
        if return_lse:
            lse = _outputs.deliver(lse, like, SCORE[g.dtype])
    return (out, lse) if return_lse else out


def _schedule_for(
    schedule: str | None, block_mask: BlockMask, g: _checks.Geometry
) -> str | None:
    """The caller's schedule, or on a GPU one whose tiles divide the mask's."""
    if schedule is not None or g.device == "cpu":
        return schedule
    return _cuda.block_schedule(block_mask.BLOCK_SIZE, (g.M, g.N), g.D)


def _expect_lse(traced: Any, return_lse: bool) -> None:
    if return_lse and not traced.has_denom:
        raise ValueError(
            "normalizer: must have a denom where return_lse=True,"
            f" got {_compiler.normalizer_name(traced)}"
        )


@runs_as_it_is
def attention(
    q: Any,
    k: Any,
    v: Any,
    score_mod: Callable | None = None,
    mask_mod: Callable | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    normalizer: Any = "softmax",
    return_lse: bool = False,
    target: str | None = None,
    *,
    captures: Mapping[str, Any] | None = None,
    q_offset: Any = 0,
    kv_offset: Any = 0,
    q_lengths: Any = None,
    kv_lengths: Any = None,
    schedule: Any = None,
) -> Any:
    """Attention with a score modification and a mask, as one fused kernel.

    The first call of a variant compiles it, later ones look it up. Captured
    arrays are live: their values, shapes and strides are read at each call.
    Whatever else a mod reaches is compared at each call, and a change makes another
    variant: names in builtins and modules, and what classes have, however it comes
    by them (``type(self)``, ``self.__class__``, ``super()``, ``import``). Functions
    of the standard library, NumPy, torch, JAX and Fovea that answer from their
    arguments alone are taken as they are. A mod
    that uses what cannot be compared (``sys.modules``, ``random.random``, a method of
    a dict) is traced anew at each call, which takes a millisecond or more, and arrays
    that it finds there are refused.

    Parameters
    ----------
    q : array, shape [B, Hq, M, D]
        Queries: float16, bfloat16, float32 or float64; numpy.ndarray or any
        object with ``__dlpack__``, any strides.
    k : array, shape [B or 1, Hk, N, D], or Pages
        Keys; Hq is a positive multiple of Hk.
    v : array, shape [B or 1, Hk, N, E], or Pages
        Values.
    score_mod : callable, optional
        ``score_mod(score, b, h, q_idx, kv_idx)``, a number; the identity
        without.
    mask_mod : callable, optional
        ``mask_mod(b, h, q_idx, kv_idx)``, a bool, True = attend; applied after
        score_mod.
    block_mask : BlockMask, optional
        Tiles to skip; where mask_mod is given too, both must hold.
    scale : float, optional
        Factor of q.k; 1/sqrt(D) without.
    normalizer : str or Normalizer
        See `fovea.normalizers`.
    return_lse : bool
        Also return the log-sum-exp.
    target : str, optional
        Where and how to run; None = where q lives.
    captures : mapping of str to array, optional
        Arrays for keyword-only parameters of the mods.
    q_offset, kv_offset : int or integer array [B]
        What the mods' positions start at, within -2**56...2**56; arrays of any
        integer type.
    q_lengths, kv_lengths : int or integer array [B], optional
        Rows and keys that exist, within 0...M and 0...N.
    schedule : str or mapping, optional
        Overrides the cost model, e.g. ``"m=192,n=256"``. Without it what ``fovea tune``
        measured is taken: FOVEA_TUNING names a file of ``fovea tune`` or a folder of
        them (``*.json``).

    Returns
    -------
    out : array, shape [B, Hq, M, E]
        In q's library, dtype, device and memory order; never shares memory.
    lse : array, shape [B, Hq, M]
        With return_lse: t + log l in the score type, -inf for dead rows.

    Raises
    ------
    TypeError
        For a wrong kind of argument, or a mod that cannot be traced.
    ValueError
        For a wrong value, such as head dims that differ.
    IndexError
        For a constant index that a captured array does not have, where it is read:
        not without a pair, and not where the mod does without the array.
    """
    usual = block_mask is None and target is None and schedule is None
    if usual:
        found = _repeat.repeat(
            q, k, v, score_mod, mask_mod, scale, normalizer, return_lse, captures,
            q_offset, kv_offset, q_lengths, kv_lengths,
        )  # fmt: skip
        if found is not None:
            return found
    if running_mods:
        refuse_in_mod("fovea.attention")
    inputs = read_inputs(q, k, v)
    g = inputs.geometry
    if scale is not None:
        scale = _checks.scale(scale, g.dtype)
    if return_lse is not False:
        return_lse = _checks.boolean(return_lse, "return_lse")
    target = _compiler.target_for(target, g.device)
    if schedule is not None:
        schedule = _checks.schedule(schedule)
    if block_mask is not None:
        expect_block_mask(block_mask)
        block_mask.check_call(g.B, g.Hq, g.M, g.N)
        schedule = _schedule_for(schedule, block_mask, g)
    if isinstance(mask_mod, BlockMask):
        refuse_block_mask(mask_mod)
    positions = read_positions(g, q_offset, kv_offset, q_lengths, kv_lengths)
    if block_mask is not None:
        block_mask.check_offsets(*positions[:2])
    source = _compiler.ModSource(score_mod, mask_mod, normalizer, captures)
    traced = source.trace(g.dtype, None, block_mask)
    if return_lse:
        _expect_lse(traced, return_lse)
    keep: list = []
    arrays = read_captures(traced, g, keep)
    compiled = _compiler.lookup(
        traced, g.dtype, g.D, g.E, return_lse, block_mask is not None, target, schedule
    )
    out = _launch(
        compiled, inputs, traced, arrays, scale, block_mask, positions, return_lse
    )
    if usual and _repeat.remember(compiled, traced, inputs, out, return_lse):
        mods = score_mod, mask_mod, source.normalizer
        _repeat.share(compiled, traced, inputs, mods, captures, return_lse)
    return out


@runs_as_it_is
def compile(
    score_mod: Callable | None = None,
    mask_mod: Callable | None = None,
    *,
    D: int,
    E: int | None = None,
    dtype: Any = "float32",
    scale: float | None = None,
    normalizer: Any = "softmax",
    block_mask: bool = False,
    captures: Mapping[str, Any] | None = None,
    return_lse: bool = False,
    target: str | None = None,
    schedule: Any = None,
) -> Kernel:
    """Compile a variant ahead of its first call.

    Parameters
    ----------
    score_mod, mask_mod, scale, normalizer, captures, return_lse, target, schedule
        As for `attention`.
    D, E : int
        Head dims of q, k and of v (D without).
    dtype : str or dtype
        float16, bfloat16, float32 or float64.
    block_mask : bool
        Whether the kernel is called with a BlockMask. A BlockMask given there
        should carry the same mask_mod, otherwise both must hold.

    Returns
    -------
    Kernel
        Called as ``kernel(q, k, v)``.

    Raises
    ------
    TypeError
        For a wrong kind of argument, or a mod that cannot be traced.
    ValueError
        For a wrong value, such as a schedule that the target cannot run.
    CompileError
        For a defect of the compiler or a tool of the target that is missing.
    """
    if running_mods:
        refuse_in_mod("fovea.compile")
    short = _checks.dtype(dtype)
    D = _checks.head_dim(D, "D", 1)
    E = D if E is None else _checks.head_dim(E, "E", 0)
    factor = _checks.scale(scale, short)
    with_mask = _checks.boolean(block_mask, "block_mask")
    return_lse = _checks.boolean(return_lse, "return_lse")
    target = _compiler.target_for(target, "cpu")
    schedule = _checks.schedule(schedule)
    refuse_block_mask(mask_mod)
    source = _compiler.ModSource(score_mod, mask_mod, normalizer, captures)
    return Kernel._make(
        source, short, D, E, factor, with_mask, return_lse, target, schedule
    )


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
            _expect_lse(traced, want_lse)
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
            schedule = _schedule_for(schedule, block_mask, g)
        if g.device != "cpu":
            _compiler.target_for(None, g.device)
        positions = read_positions(g, q_offset, kv_offset, q_lengths, kv_lengths)
        if block_mask is not None:
            block_mask.check_offsets(*positions[:2])
        self._calls.geometry = g
        traced, compiled = self._current(captures, block_mask, schedule)
        keep: list = []
        arrays = read_captures(traced, g, keep)
        out = _launch(
            compiled, inputs, traced, arrays, self._scale, block_mask, positions,
            self._want_lse,
        )  # fmt: skip
        roots = None if block_mask is not None else self._source.roots(captures)
        plan = None if roots is None else traced.plan
        if plan is not None and _repeat.remember(
            compiled, traced, inputs, out, self._want_lse
        ):
            self._calls.follow(
                compiled.native, plan, roots, captures is not None, self._scale
            )
        return out

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
        """The live captured arrays by their names in the variant."""
        return self._source.live(self._dtype)[1]

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
