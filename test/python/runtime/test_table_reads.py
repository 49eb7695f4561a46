"""Tables that neighbouring queries read by neighbours, however these lie."""

from __future__ import annotations

import numpy as np
import pytest

import fovea
from fovea import ops

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
    got, want = (
        fovea.attention(
            q,
            k,
            v,
            score_mod=score_mod,
            mask_mod=lambda b, h, q, kv: q >= kv - 60,
            target=target,
        )
        for target in ("cpu", "interpreter")
    )
    tolerance = 2e-3 if dtype == "float16" else 2e-5
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
