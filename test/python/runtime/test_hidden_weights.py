"""Weights that vanish at -inf: no selection hides a key, so the numbers must."""

from __future__ import annotations

import numpy as np
import pytest

import fovea
from fovea import Normalizer, ops


def half(s, t, b, h, q, kv):
    return ops.exp(s * 0.5 - t)


def soft(s, t, b, h, q, kv):
    return ops.softplus(s)


NORMALIZERS = {
    "sigmoid": fovea.normalizers.sigmoid(0.5),
    "relu": fovea.normalizers.relu(),
    "softplus": Normalizer(weight=soft, denom=soft),
    "statistic": Normalizer(stat=lambda s: s * 0.5, weight=half, denom=half),
}


@pytest.mark.parametrize("name", NORMALIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hidden_keys_have_no_weight(name, dtype):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 2, n, 32)).astype(dtype) for n in (70, 133, 133))
    v[:, :, 100:] = 1e30  # what any weight but 0 shows

    def mask(b, h, q_idx, kv_idx):
        return (kv_idx < 100) & (q_idx >= kv_idx - 30) & (q_idx > 10)

    got, want = (
        fovea.attention(
            q, k, v, mask_mod=mask, normalizer=NORMALIZERS[name], target=target
        )
        for target in ("cpu", "interpreter")
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert not got[:, :, :11].any()
