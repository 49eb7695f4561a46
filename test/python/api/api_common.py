"""Inputs and a plain float64 computation for the tests of the package."""

from __future__ import annotations

import threading

import ml_dtypes
import numpy as np

import fovea


def inputs(B=1, Hq=2, Hk=None, M=12, N=12, D=8, E=None, dtype=np.float32, seed=0):
    """Random q, k, v."""
    rng = np.random.default_rng(seed)
    Hk = Hq if Hk is None else Hk
    E = D if E is None else E
    return (
        rng.standard_normal((B, Hq, M, D)).astype(dtype),
        rng.standard_normal((B, Hk, N, D)).astype(dtype),
        rng.standard_normal((B, Hk, N, E)).astype(dtype),
    )


def plain(q, k, v, score=None, mask=None, scale=None, lse=False):
    """Softmax attention in float64; mods are vectorised functions of indices."""
    q, k, v = (np.asarray(x).astype(np.float64) for x in (q, k, v))
    B, H, M, D = q.shape
    k = np.broadcast_to(np.repeat(k, H // k.shape[1], 1), (B, H, *k.shape[2:]))
    v = np.broadcast_to(np.repeat(v, H // v.shape[1], 1), (B, H, *v.shape[2:]))
    N = k.shape[2]
    s = np.einsum("bhmd,bhnd->bhmn", q, k) * (D**-0.5 if scale is None else scale)
    b, h, m, n = np.ogrid[:B, :H, :M, :N]
    if score is not None:
        s = score(s, b, h, m, n)
    if mask is not None:
        s = np.where(mask(b, h, m, n), s, -np.inf)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isneginf(top), 0, top))
    total = p.sum(-1, keepdims=True)
    out = np.einsum("bhmn,bhne->bhme", p, v) / np.where(total == 0, 1, total)
    if not lse:
        return out
    with np.errstate(divide="ignore"):
        return out, (np.where(np.isneginf(top), 0, top) + np.log(total))[..., 0]


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def in_threads(work, count=4):
    """Call work(0), work(1), ... at once, and wait for all."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Exporter:
    """An array that only exports DLPack, as a library unknown to Fovea would."""

    def __init__(self, array, versioned=True):
        self.array = array
        self.versioned = versioned

    def __dlpack__(self, **options):
        if not self.versioned and options:
            raise TypeError("unexpected keyword argument 'max_version'")
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


TOLERANCE = {
    np.float16: 4e-3,
    ml_dtypes.bfloat16: 3e-2,
    np.float32: 2e-6,
    np.float64: 1e-13,
}
DTYPES = list(TOLERANCE)


def close(got, want, dtype=np.float32):
    np.testing.assert_allclose(
        np.asarray(got).astype(np.float64), want, rtol=0, atol=TOLERANCE[dtype]
    )


def transposed(x):
    """The same array as a [B, H, M, D] view of [B, M, H, D] memory."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)


def paged(k, v, page, lengths=None, tokens=False, seed=0):
    """k and v as Pages; unused rows are NaN and unused entries of the table -1."""
    batch, heads, keys, _ = k.shape
    lengths = np.full(batch, keys) if lengths is None else np.asarray(lengths)
    count = -(-keys // page)
    rng = np.random.default_rng(seed)
    table = rng.permutation(batch * count + 2)[: batch * count].reshape(batch, count)
    pools = []
    for x in (k, v):
        shape = (batch * count + 2, page, heads, x.shape[3])
        pool = np.full(shape, np.nan, x.dtype).transpose(0, 2, 1, 3)
        if not tokens:
            pool = np.ascontiguousarray(pool)
        for b, n in np.ndindex(batch, keys):
            if n < lengths[b]:
                pool[table[b, n // page], :, n % page] = x[b, :, n]
        pools.append(pool)
    table[np.arange(count)[None] * page >= lengths[:, None]] = -1
    return tuple(fovea.Pages(pool, table) for pool in pools)


def shared(k, v, page, **options):
    """Pages with one table for both."""
    a, b = paged(k, v, page, **options)
    return a, fovea.Pages(b.pages, a.table)
