"""The demo's variant: its data, and the same in NumPy and torch.

Run as a script it prints, as JSON, the peak memory of one call above the
tensors; that wants a process of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CAP", "HEADS", "HEAD_DIM", "WINDOW", "Problem", "errors", "torch_flex"]

FILE = Path(__file__).resolve().parent / "packed.attn"
HEADS, HEAD_DIM, WINDOW, CAP = 8, 64, 1024, 30.0


def documents(length: int, seed: int = 0) -> np.ndarray:
    """Document number of each token: about a dozen unequal documents."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(1, length), size=11, replace=False))
    return np.searchsorted(cuts, np.arange(length), side="right").astype(np.int32)


@dataclass
class Problem:
    """Inputs of one length."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    slope: np.ndarray
    doc: np.ndarray

    @classmethod
    def make(cls, length: int) -> Problem:
        """Seeded inputs."""
        rng = np.random.default_rng(0)
        shape = (1, HEADS, length, HEAD_DIM)
        q, k, v = (rng.standard_normal(shape, dtype=np.float32) for _ in range(3))
        slope = (2.0 ** -np.arange(1, HEADS + 1)).astype(np.float32)
        return cls(q, k, v, slope, documents(length))

    @property
    def captures(self) -> dict[str, np.ndarray]:
        """What the variant is called with."""
        return {"slope": self.slope, "doc": self.doc}

    def numpy(self, dtype: Any = np.float32) -> np.ndarray:
        """The textbook computation, head by head, with whole score matrices."""
        n = self.q.shape[2]
        distance = np.arange(n)[:, None] - np.arange(n)
        seen = (distance >= 0) & (distance < WINDOW)
        seen &= self.doc[:, None] == self.doc
        distance = distance.astype(dtype)
        out = np.empty(self.q.shape, dtype)
        scale = np.asarray(1 / np.sqrt(HEAD_DIM), dtype)
        for head in range(HEADS):
            q, k, v = (x[0, head].astype(dtype) for x in (self.q, self.k, self.v))
            s = scale * (q @ k.T) - self.slope[head].astype(dtype) * distance
            s = np.where(seen, dtype(CAP) * np.tanh(s / dtype(CAP)), -np.inf)
            p = np.exp(s - s.max(axis=-1, keepdims=True))
            out[0, head] = (p @ v) / p.sum(axis=-1, keepdims=True)
        return out


def errors(got: np.ndarray, problem: Problem, exact: np.ndarray) -> tuple[float, float]:
    """Mean error of a float32 result, and the one that is allowed.

    Allowed is ten times the mean error of the plain float32 computation plus two
    roundings of the mean magnitude: a bound, not a loose tolerance.
    """
    plain = np.abs(problem.numpy(np.float32) - exact).mean()
    rounding = np.finfo(np.float32).eps / 2 * np.abs(exact).mean()
    return float(np.abs(got - exact).mean()), float(10 * plain + 2 * rounding)


def torch_flex(problem: Problem) -> tuple[Callable[[], Any], float] | None:
    """The same by torch's FlexAttention: a call, and seconds to compile it.

    None where torch is not installed.
    """
    try:
        import torch
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    except ImportError:
        return None
    q, k, v, slope, doc = (
        torch.from_numpy(x)
        for x in (problem.q, problem.k, problem.v, problem.slope, problem.doc)
    )
    length = q.shape[2]

    def score(s, b, h, q_idx, kv_idx):
        return CAP * torch.tanh((s - slope[h] * (q_idx - kv_idx)) / CAP)

    def mask(b, h, q_idx, kv_idx):
        near = (q_idx >= kv_idx) & (q_idx - kv_idx < WINDOW)
        return near & (doc[q_idx] == doc[kv_idx])

    blocks = create_block_mask(mask, 1, None, length, length, device="cpu")
    compiled = torch.compile(flex_attention, dynamic=False)

    def call() -> Any:
        with torch.no_grad():
            return compiled(q, k, v, score_mod=score, block_mask=blocks)

    start = time.perf_counter()
    call()
    return call, time.perf_counter() - start


def _memory(length: int) -> dict[str, int]:
    import fovea

    sys.path.insert(0, str(FILE.parents[2] / "benchmarks"))
    from common import peak_growth

    problem = Problem.make(length)
    variant = fovea.load(FILE)
    kernel = variant.compile(D=HEAD_DIM, captures=problem.captures)
    kernel(problem.q[:, :, :1], problem.k[:, :, :1], problem.v[:, :, :1])
    growth = peak_growth(lambda: kernel(problem.q, problem.k, problem.v))
    return {"above": max(0, growth - problem.q.nbytes)}


if __name__ == "__main__":
    print(json.dumps(_memory(int(sys.argv[1]))))
