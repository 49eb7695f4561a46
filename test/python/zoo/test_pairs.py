"""Latent attention at level 1: two (query, key) pairs with their own scales."""

import numpy as np
import pytest
from judge import judge_attention
from test_attn_files import ROOT

from fovea import _native

PROGRAM = {
    "score": None,
    "normalizer": "softmax",
    "mask": {
        "args": ["b", "h", "q", "kv"],
        "nodes": [["arg", "q"], ["arg", "kv"], ["ige", 0, 1]],
        "results": [2],
    },
}


def tensor(array):
    strides = tuple(s // array.itemsize for s in array.strides)
    return array.ctypes.data, "f32", array.shape, strides


@pytest.mark.parametrize("target", [None, "interpreter"])
@pytest.mark.parametrize(("B", "H", "Hk", "S"), [(1, 4, 4, 64), (2, 6, 2, 53)])
def test_two_pairs(B, H, Hk, S, target):
    text = (ROOT / "scores" / "mla_rope.mlir").read_text()
    kernel, _, _ = _native.compile(text, kind="mlir", target=target, want_lse=1)
    rng = np.random.default_rng(0)
    shapes = (B, H, S, 32), (B, H, S, 16), (B, Hk, S, 32), (B, 1, S, 16), (B, Hk, S, 32)
    q, qr, k, kr, v = (rng.standard_normal(x, dtype=np.float32) for x in shapes)
    # The rotary key is shared by all heads: one head in memory, stride 0.
    kr = np.broadcast_to(kr, (B, Hk, S, 16))
    out, lse = np.empty((B, H, S, 32), np.float32), np.empty((B, H, S), np.float32)
    scales = [0.125, 0.25]
    given = [[tensor(q), tensor(qr)], [tensor(k), tensor(kr)], tensor(v)]
    nothing = [None] * 6
    kernel.launch(*given, tensor(out), tensor(lse), [], scales, *nothing)
    verdicts = judge_attention(out, lse, PROGRAM, ([q, qr], [k, kr], v), scale=scales)
    assert all(verdict.passed for verdict in verdicts), verdicts
