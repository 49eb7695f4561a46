"""Tables that neighbouring queries read by neighbours, however these lie."""

from __future__ import annotations

import numpy as np
import pytest
from judge import judge_attention

import fovea
from fovea import ops
from fovea.dsl import trace_variant

M, N = 75, 141

MODS = {
    "backwards": lambda t: lambda s, b, h, q, kv: s + t[h, q - kv + N],
    "forwards": lambda t: lambda s, b, h, q, kv: s + t[h, kv - q + M],
    "by key and row": lambda t: lambda s, b, h, q, kv: s * t[1, kv] + t[h, q],
    "twice": lambda t: lambda s, b, h, q, kv: s + t[h, q - kv + N] * t[0, q + kv],
    "compared": lambda t: lambda s, b, h, q, kv: ops.where(s > 0, s, t[h, q - kv + N]),
}


def whole(rng, dtype):
    return rng.standard_normal((2, M + N)).astype(dtype)


TABLES = {
    "whole": whole,
    "every second": lambda rng, dtype: np.repeat(whole(rng, dtype), 2, 1)[:, ::2],
    "from its end": lambda rng, dtype: whole(rng, dtype)[:, ::-1],
}


@pytest.mark.parametrize("mod", MODS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_tables(mod, table, dtype):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 2, n, 24)).astype(dtype) for n in (M, N, N))
    score_mod = MODS[mod](TABLES[table](rng, dtype))

    def mask_mod(b, h, q, kv):
        return q >= kv - 60

    out = fovea.attention(q, k, v, score_mod=score_mod, mask_mod=mask_mod)
    traced = trace_variant(score_mod, mask_mod)
    verdicts = judge_attention(out, None, traced.program, (q, k, v), traced.arrays)
    assert all(verdict.passed for verdict in verdicts), verdicts
