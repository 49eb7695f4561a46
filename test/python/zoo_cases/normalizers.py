"""Cases of the normalisers; all but softmax and mean under a causal mask."""

from __future__ import annotations

import math

import numpy as np

from fovea import normalizers, zoo

from .core import Example, Sizes, case, grid, softmax_rows

F32 = np.float32


def _causal(sizes: Sizes, normalizer, normalize, **captures) -> Example:
    return Example(
        mask_mod=zoo.causal,
        normalizer=normalizer,
        captures=captures,
        mask=np.tri(sizes.M, sizes.N, dtype=bool),
        normalize=normalize,
    )


def _plain(weight):
    """A normaliser without a denominator: sum of weight(s) v over what is seen."""

    def normalize(s, visible, v):
        return np.where(visible, weight(np.where(visible, s, 0.0)), 0.0) @ v, None

    return normalize


@case("normalizers")
def softmax(sizes, rng):
    return Example()


@case("normalizers")
def sink(sizes, rng):
    sigma = rng.standard_normal(sizes.H).astype(F32)

    def normalize(s, visible, v):
        return softmax_rows(s, visible, v, sink=sigma.astype(float))

    return _causal(sizes, normalizers.sink(sigma), normalize, sigma=sigma)


@case("normalizers")
def softmax_plus_one(sizes, rng):
    def normalize(s, visible, v):
        return softmax_rows(s, visible, v, sink=np.zeros(sizes.H))

    return _causal(sizes, "softmax_plus_one", normalize)


@case("normalizers")
def sink_value(sizes, rng):
    sigma = rng.standard_normal(sizes.H).astype(F32)
    value = rng.standard_normal((sizes.H, sizes.E)).astype(F32)

    def normalize(s, visible, v):
        wide = sigma.astype(float), value.astype(float)
        return softmax_rows(s, visible, v, sink=wide[0], sink_value=wide[1])

    normalizer = normalizers.sink(sigma, value)
    return _causal(sizes, normalizer, normalize, sigma=sigma, vsigma=value)


@case("normalizers")
def signed(sizes, rng):
    def normalize(s, visible, v):
        return softmax_rows(
            s, visible, v, weight=lambda s, e: np.sign(s) * e, magnitude=np.abs
        )

    return _causal(sizes, "signed", normalize)


@case("normalizers")
def sigmoid(sizes, rng):
    bias = F32(-math.log(sizes.N))

    def weight(s):
        return 0.5 * (1.0 + np.tanh((s + float(bias)) / 2.0))

    normalizer = normalizers.sigmoid(float(bias))
    return _causal(sizes, normalizer, _plain(weight), bias=np.array(bias))


@case("normalizers")
def relu(sizes, rng):
    return _causal(sizes, "relu", _plain(lambda s: s * (s > 0)))


@case("normalizers")
def softplus(sizes, rng):
    seen = np.minimum(np.arange(sizes.M) + 1, sizes.N)
    coef = (math.log(sizes.D) * np.log(seen)).astype(F32)

    def normalize(s, visible, v):
        w = np.logaddexp(0.0, coef.astype(float)[:, None] * s)
        w = np.where(visible, w, 0.0)
        total = w.sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            out = np.nan_to_num((w @ v) / total[..., None], nan=0.0)
            return out, np.log(total)

    return _causal(sizes, normalizers.softplus(coef), normalize, coef=coef)


@case("normalizers")
def positional_product(sizes, rng):
    S = sizes.S
    table = rng.uniform(-1.0, 2.0, 2 * S).astype(F32)
    _, _, q, kv = grid(sizes)
    factor = table.astype(float)[q - kv + S]

    def normalize(s, visible, v):
        return softmax_rows(s, visible, v, weight=lambda s, e: e * factor)

    normalizer = normalizers.positional_product(table, S)
    return _causal(sizes, normalizer, normalize, C=table)


@case("normalizers")
def mean(sizes, rng):
    return Example(normalizer="mean", normalize=_plain(lambda s: s / sizes.N))
