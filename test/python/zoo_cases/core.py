"""What a case of the zoo is, and the dense f64 computation it is judged by.

Nothing here uses the compiler: scores are one dense array, masks are built with
NumPy's array functions or loops, normalisers are written out over whole rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

__all__ = [
    "EVEN",
    "ODD",
    "TALL",
    "Case",
    "Example",
    "Sizes",
    "case",
    "cases",
    "dense_attention",
    "grid",
    "inputs",
    "same",
    "softmax_rows",
]


@dataclass(frozen=True)
class Sizes:
    """B, Hq, Hk, M, N, D, E of a call."""

    B: int
    H: int
    Hk: int
    M: int
    N: int
    D: int
    E: int

    @property
    def S(self) -> int:
        """A length that covers queries and keys."""
        return max(self.M, self.N)

    def with_length(self, length: int) -> Sizes:
        """The same with `length` queries and keys."""
        return replace(self, M=length, N=length)

    def __str__(self) -> str:
        return f"b{self.B}h{self.H}k{self.Hk}m{self.M}n{self.N}d{self.D}e{self.E}"


EVEN = Sizes(2, 4, 2, 64, 64, 32, 32)
TALL = Sizes(1, 2, 2, 80, 24, 32, 32)
ODD = Sizes(2, 3, 1, 37, 53, 20, 13)

#: (scores after the mod [B,H,M,N], visible, v repeated [B,H,N,E]) -> (out, lse);
#: lse is None where the normaliser has no denominator.
Normalize = Callable[
    [np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray | None]
]


@dataclass
class Example:
    """One entry of the zoo with data of given sizes.

    Attributes
    ----------
    score_mod, mask_mod, normalizer
        What Python users hand to `fovea.attention`.
    captures, params
        What the `.attn` file's variant is called with.
    score : callable
        s [B,H,M,N] in f64 to the modified scores.
    mask : ndarray of bool or None
        [B,H,M,N], or what broadcasts to it.
    normalize : callable
        The normaliser over dense rows.
    q_offset : ndarray or None
        Offset of each batch's queries.
    """

    score_mod: Any = None
    mask_mod: Any = None
    normalizer: Any = "softmax"
    captures: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    score: Callable[[np.ndarray], np.ndarray] = lambda s: s
    mask: np.ndarray | None = None
    normalize: Normalize | None = None
    q_offset: np.ndarray | None = None


Build = Callable[[Sizes, np.random.Generator], Example]


@dataclass(frozen=True)
class Case:
    """An entry of the zoo: its name, group, sizes and how to make data for it."""

    name: str
    group: str
    sizes: tuple[Sizes, ...]
    build: Build
    file: str

    def example(self, sizes: Sizes, seed: int = 0) -> Example:
        """The entry with seeded data."""
        return self.build(sizes, np.random.default_rng(seed))


_CASES: dict[str, Case] = {}


def case(
    group: str, *sizes: Sizes, name: str | None = None, file: str | None = None
) -> Callable[[Build], Build]:
    """Register the decorated builder under its name."""

    def register(build: Build) -> Build:
        called = name or build.__name__.rstrip("_")
        path = f"{group}/{file or called}.attn"
        if called in _CASES:
            raise ValueError(f"two cases are called {called}")
        _CASES[called] = Case(called, group, sizes or (EVEN, TALL, ODD), build, path)
        return build

    return register


def cases() -> dict[str, Case]:
    """All cases by name."""
    return dict(_CASES)


def grid(sizes: Sizes) -> tuple[np.ndarray, ...]:
    """b, h, q, kv as arrays that broadcast to [B,H,M,N]."""
    extents = (sizes.B, sizes.H, sizes.M, sizes.N)
    return tuple(np.ix_(*(np.arange(n, dtype=np.int64) for n in extents)))


def inputs(
    sizes: Sizes, dtype: Any, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal q, k, v of these sizes, rounded to dtype."""
    rng = np.random.default_rng(seed)
    q = rng.standard_normal((sizes.B, sizes.H, sizes.M, sizes.D))
    k = rng.standard_normal((sizes.B, sizes.Hk, sizes.N, sizes.D))
    v = rng.standard_normal((sizes.B, sizes.Hk, sizes.N, sizes.E))
    return q.astype(dtype), k.astype(dtype), v.astype(dtype)


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which pairs of the two lists agree, as a matrix."""
    return np.equal.outer(np.asarray(a), np.asarray(b))


def softmax_rows(
    s: np.ndarray,
    visible: np.ndarray,
    v: np.ndarray,
    *,
    weight: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    magnitude: Callable[[np.ndarray], np.ndarray] = lambda s: s,
    sink: np.ndarray | None = None,
    sink_value: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Softmax over dense rows and its relatives.

    Parameters
    ----------
    s, visible, v
        Scores [B,H,M,N], which count, values [B,H,N,E].
    weight : callable, optional
        (s, e) to the weights, e the exponentials; None is e itself.
    magnitude : callable
        What is exponentiated, of s.
    sink : ndarray, optional
        One more logit [H], without a value but for `sink_value` [H,E].

    Returns
    -------
    out, lse
    """
    x = np.where(visible, magnitude(np.where(visible, s, 0.0)), -np.inf)
    top = x.max(axis=-1, keepdims=True, initial=-np.inf)
    if sink is not None:
        top = np.maximum(top, sink[None, :, None, None])
    shift = np.where(np.isfinite(top), top, 0.0)
    e = np.exp(x - shift)
    total = e.sum(axis=-1, keepdims=True)
    w = e if weight is None else np.where(visible, weight(s, e), 0.0)
    out = w @ v
    if sink is not None:
        extra = np.exp(sink[None, :, None, None] - shift)
        total = total + extra
        if sink_value is not None:
            out = out + extra * sink_value[None, :, None, :]
    with np.errstate(divide="ignore"):
        lse = (shift + np.log(total))[..., 0]
    return np.divide(out, total, out=np.zeros_like(out), where=total != 0), lse


def dense_attention(
    example: Example,
    sizes: Sizes,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    scale: float | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """out and lse of the entry in f64, by dense arrays."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    group = sizes.H // sizes.Hk
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    factor = 1.0 / np.sqrt(sizes.D) if scale is None else scale
    s = example.score(factor * np.einsum("bhmd,bhnd->bhmn", q, k))
    visible = s != -np.inf
    if example.mask is not None:
        visible = visible & example.mask
    return (example.normalize or softmax_rows)(s, visible, v)
