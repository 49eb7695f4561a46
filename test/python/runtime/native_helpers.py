"""What the tests of the compiled module share, also in processes of their own."""

from __future__ import annotations

import json

import numpy as np


def program(limit: int | None = None) -> str:
    """Causal attention as Program JSON, of the last `limit` keys if given."""
    nodes = [["arg", "q"], ["arg", "kv"], ["ige", 0, 1]]
    if limit is not None:
        nodes += [
            ["isub", 0, 1],
            ["const", "i64", limit],
            ["ile", 3, 4],
            ["band", 2, 5],
        ]
    mask = {"args": ["b", "h", "q", "kv"], "nodes": nodes, "results": [len(nodes) - 1]}
    return json.dumps(
        {
            "fovea": 1,
            "name": "causal",
            "dtype": "f32",
            "D": [64],
            "E": 64,
            "captures": [],
            "params": [],
            "score": None,
            "mask": mask,
            "scale": None,
            "normalizer": "softmax",
            "return_lse": False,
            "block_mask": False,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


def describe(array: np.ndarray, dtype: str = "f32") -> tuple:
    """A tensor as the module takes it."""
    strides = tuple(step // array.itemsize for step in array.strides)
    return array.ctypes.data, dtype, array.shape, strides


def call(kernel, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Launch with scale 1/8; the result starts as NaN."""
    out = np.full_like(q, np.nan)
    kernel.launch(
        [describe(q)],
        [describe(k)],
        describe(v),
        describe(out),
        None,
        [],
        [0.125],
        None,
        None,
        None,
        None,
        None,
        None,
    )
    return out


def inputs(length: int, heads: int = 2, seed: int = 0) -> list[np.ndarray]:
    """q, k and v of head dim 64."""
    random = np.random.default_rng(seed)
    return [
        random.standard_normal((1, heads, length, 64), dtype=np.float32)
        for _ in range(3)
    ]
