"""The judge: an error bound, not a tolerance.

A result may be at most F times as far from the f64 result as the plain
computation in the working type is, plus a floor of a few roundings; no row may
be much worse than the plain computation's worst; rows that see no key are exact.
The same rule as lib/Interpreter/Judge.cpp, written independently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from reference import reference_attention

__all__ = ["Verdict", "judge", "judge_attention"]

#: By the name of the working type: F, F of a row, floor in unit roundoffs, unit.
BOUNDS = {
    "float16": (1.1, 5.0, 0.05, 2.0**-11),
    "bfloat16": (1.1, 5.0, 0.05, 2.0**-8),
    "float32": (10.0, 60.0, 2.0, 2.0**-24),
    "float64": (10.0, 60.0, 0.0, 2.0**-53),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a result passes, its mean error and the one that is allowed."""

    passed: bool
    error: float
    allowed: float
    reason: str = ""


def judge(
    actual: np.ndarray,
    exact: np.ndarray,
    plain: np.ndarray,
    working: Any,
    dead: float = 0.0,
) -> Verdict:
    """Judge a result against the exact and the plain one.

    Parameters
    ----------
    actual, exact, plain : ndarray [..., columns]
        Rows that are all `dead`, or all -inf, in `exact` must be so in `actual`.
    working : dtype
        The type that was computed in.
    dead : float
        What rows that see no key hold: 0 in out, -inf in lse.
    """
    actual, exact, plain = (np.asarray(x, np.float64) for x in (actual, exact, plain))
    if actual.shape != exact.shape:
        return Verdict(False, np.inf, 0.0, f"shape {actual.shape}, not {exact.shape}")
    factor, row_factor, units, unit = BOUNDS[np.dtype(working).name]
    fixed = (exact == dead).all(axis=-1) | (exact == -np.inf).all(axis=-1)
    fixed = fixed[..., None]
    if not np.array_equal(
        np.where(fixed, actual, 0.0), np.where(fixed, exact, 0.0), equal_nan=True
    ):
        return Verdict(False, np.inf, 0.0, "a row that sees no key is not exact")
    both_nan = np.isnan(exact) & np.isnan(plain)
    if not np.isnan(actual[both_nan]).all():
        return Verdict(False, np.inf, 0.0, "a NaN of the formula is missing")
    counted = np.isfinite(exact) & np.isfinite(plain) & ~fixed
    if not np.isfinite(actual[counted]).all():
        return Verdict(False, np.inf, 0.0, "not finite where the formula is")
    count = int(counted.sum())
    if count == 0:
        return Verdict(True, 0.0, 0.0)
    with np.errstate(invalid="ignore"):
        error = np.where(counted, np.abs(actual - exact), 0.0)
        plain_error = np.where(counted, np.abs(plain - exact), 0.0)
    magnitude = np.abs(exact[counted]).mean()
    floor = units * unit * magnitude
    if np.dtype(working) == np.float64:
        floor = 1e-13 * max(1.0, magnitude)
    if count < 4096:
        factor += 4.0 / np.sqrt(count)
    mean, allowed = error.sum() / count, factor * plain_error.sum() / count + floor
    if mean > allowed:
        return Verdict(False, mean, allowed, "mean error above the allowed one")
    per_row = np.maximum(counted.sum(axis=-1), 1)
    worst = (error.sum(axis=-1) / per_row).max()
    worst_allowed = row_factor * (plain_error.sum(axis=-1) / per_row).max() + floor
    if worst > worst_allowed:
        return Verdict(False, worst, worst_allowed, "a row is above the allowed error")
    return Verdict(True, mean, allowed)


def judge_attention(
    out: np.ndarray,
    lse: np.ndarray | None,
    program: Mapping[str, Any],
    qkv: tuple[Any, Any, np.ndarray],
    captures: Sequence[np.ndarray] = (),
    scale: Any = None,
    *,
    exact: tuple[np.ndarray, np.ndarray | None] | None = None,
    **options: Any,
) -> list[Verdict]:
    """Judge the results of a call of a Program: out, and lse where given.

    Parameters
    ----------
    exact : (out, lse), optional
        The f64 results, where they come from elsewhere.
    **options
        As `reference_attention` takes them: offsets and lengths.
    """
    working = np.asarray(qkv[2]).dtype
    if exact is None:
        exact = reference_attention(program, *qkv, captures, scale, **options)
    plain = reference_attention(
        program, *qkv, captures, scale, working=working, **options
    )
    verdicts = [judge(out, exact[0], plain[0], working)]
    if lse is not None:
        # Each row has one number; its rule is that of the working type.
        columns = (np.asarray(x)[..., None] for x in (lse, exact[1], plain[1]))
        verdicts.append(judge(*columns, working, dead=-np.inf))
    return verdicts
