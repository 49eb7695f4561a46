"""`attention` and `compile`: from arrays and mods to a launched kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import _call, _checks, _compiler, _repeat
from ._block_mask import BlockMask, expect_block_mask, refuse_block_mask
from ._inputs import read_captures, read_inputs, read_positions
from ._kernel import Kernel
from ._torch import runs_as_it_is
from .dsl.diagnose import refuse_in_mod, running_mods

__all__ = ["attention", "compile"]


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
    a dict) is traced anew at each call, which takes a millisecond or more and which a
    PerformanceWarning tells once; arrays that it finds there are refused.

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
        schedule = _call.schedule_for(schedule, block_mask, g)
    if isinstance(mask_mod, BlockMask):
        refuse_block_mask(mask_mod)
    positions = read_positions(g, q_offset, kv_offset, q_lengths, kv_lengths)
    if block_mask is not None:
        block_mask.check_offsets(*positions[:2])
    source = _compiler.ModSource(score_mod, mask_mod, normalizer, captures)
    traced = source.trace(g.dtype, None, block_mask)
    if return_lse:
        _call.expect_lse(traced, return_lse)
    keep: list = []
    arrays = read_captures(traced, g, keep)
    compiled = _compiler.lookup(
        traced, g.dtype, g.D, g.E, return_lse, block_mask is not None, target, schedule
    )
    out = _call.launch(
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
