"""Cases of the score mods."""

from __future__ import annotations

import math

import numpy as np

from fovea import zoo

from .core import EVEN, ODD, Example, Sizes, case, grid

F32 = np.float32


def _tril(sizes: Sizes) -> np.ndarray:
    return np.tri(sizes.M, sizes.N, dtype=bool)


@case("scores")
def relative_position(sizes, rng):
    distance = np.subtract.outer(np.arange(sizes.M), np.arange(sizes.N))
    return Example(score_mod=zoo.relative_position, score=lambda s: s + distance)


@case("scores")
def alibi(sizes, rng):
    distance = np.subtract.outer(np.arange(sizes.M), np.arange(sizes.N))
    slope = [2.0 ** (-8.0 * (h + 1) / sizes.H) for h in range(sizes.H)]
    bias = -np.multiply.outer(slope, distance)
    return Example(score_mod=zoo.alibi(sizes.H), score=lambda s: s + bias)


def _softcap(c: float):
    def build(sizes, rng):
        return Example(
            score_mod=zoo.softcap(c),
            params={"c": c},
            score=lambda s: c - 2 * c / (np.exp(2 * s / c) + 1),
        )

    return build


for _c in (20.0, 30.0, 50.0):
    case("scores", name=f"softcap_{_c:.0f}", file="softcap")(_softcap(_c))


@case("scores")
def bias_matrix(sizes, rng):
    bias = rng.standard_normal((sizes.M, sizes.N)).astype(F32)
    return Example(
        score_mod=zoo.bias(bias), captures={"bias": bias}, score=lambda s: s + bias
    )


@case("scores")
def bias_head_matrix(sizes, rng):
    bias = rng.standard_normal((sizes.H, sizes.M, sizes.N)).astype(F32)
    return Example(
        score_mod=zoo.bias(bias), captures={"bias": bias}, score=lambda s: s + bias
    )


@case("scores")
def relative_table(sizes, rng):
    S = sizes.S
    table = rng.standard_normal((sizes.H, 2 * S)).astype(F32)
    bias = np.zeros((sizes.H, sizes.M, sizes.N))
    for distance in range(1 - sizes.N, sizes.M):
        rows = np.arange(max(distance, 0), min(sizes.M, sizes.N + distance))
        bias[:, rows, rows - distance] = table[:, S + distance, None]
    return Example(
        score_mod=zoo.relative_table(table, S),
        captures={"table": table},
        score=lambda s: s + bias,
    )


@case("scores")
def head_bias(sizes, rng):
    head = rng.standard_normal(sizes.H).astype(F32)
    return Example(
        score_mod=zoo.head_bias(head),
        captures={"head": head},
        score=lambda s: s + head[None, :, None, None],
    )


@case("scores")
def head_gate(sizes, rng):
    gate = rng.uniform(0.5, 2.0, sizes.H).astype(F32)
    return Example(
        score_mod=zoo.head_gate(gate),
        captures={"gate": gate},
        score=lambda s: s * gate[None, :, None, None],
    )


def _t5_bucket(distance: int) -> int:
    if distance < 16:
        return max(distance, 0)
    return min(31, 16 + int(16 * math.log(distance / 16) / math.log(8)))


@case("scores", EVEN, EVEN.with_length(200), ODD)
def t5_bias(sizes, rng):
    table = rng.standard_normal((sizes.H, 32)).astype(F32)
    bucket = [[_t5_bucket(q - kv) for kv in range(sizes.N)] for q in range(sizes.M)]
    bias = table[:, np.array(bucket)]
    return Example(
        score_mod=zoo.t5_bias(table),
        mask_mod=zoo.causal,
        captures={"table": table},
        score=lambda s: s + bias,
        mask=_tril(sizes),
    )


@case("scores", EVEN.with_length(36), ODD.with_length(49))
def swin_bias(sizes, rng):
    w = math.isqrt(sizes.M)
    table = rng.standard_normal((sizes.H, (2 * w - 1) ** 2)).astype(F32)
    offset = np.arange(w)[:, None] - np.arange(w) + w - 1  # of one axis, from 0
    y = np.repeat(np.repeat(offset, w, axis=0), w, axis=1)
    x = np.tile(offset, (w, w))
    bias = table.reshape(sizes.H, 2 * w - 1, 2 * w - 1)[:, y, x]
    return Example(
        score_mod=zoo.swin_bias(table, w),
        captures={"table": table},
        params={"w": w},
        score=lambda s: s + bias,
    )


@case("scores")
def distance_decay(sizes, rng):
    d = np.subtract.outer(np.arange(sizes.M), np.arange(sizes.N)).astype(float)
    return Example(
        score_mod=zoo.distance_decay(),
        score=lambda s: s / (1.0 + d * d / 10000.0),
    )


@case("scores")
def head_temperature(sizes, rng):
    tau = rng.uniform(0.25, 2.0, sizes.H).astype(F32)
    return Example(
        score_mod=zoo.temperature(tau),
        captures={"tau": tau},
        score=lambda s: s * tau.reshape(-1, 1, 1),
    )


@case("scores")
def row_temperature(sizes, rng):
    tau = rng.uniform(0.25, 2.0, (sizes.H, sizes.M)).astype(F32)
    return Example(
        score_mod=zoo.temperature(tau),
        captures={"tau": tau},
        score=lambda s: s * tau[..., None],
    )


@case("scores")
def key_log_weight(sizes, rng):
    gamma = rng.uniform(0.25, 4.0, sizes.H).astype(F32)

    def score(s):
        s = s.copy()
        s[..., 0] += np.log(gamma.astype(float))[:, None]
        return s

    return Example(
        score_mod=zoo.key_log_weight(gamma), captures={"gamma": gamma}, score=score
    )


@case("scores")
def sandwich(sizes, rng):
    S, H = sizes.S, sizes.H

    def rel(d: int) -> float:
        return sum(math.cos(abs(d) / 10000 ** (2 * i / 128)) for i in range(64))

    table = np.array([rel(d) for d in range(1 - S, S)])
    _, h, q, kv = grid(sizes)
    bias = table[q - kv + S - 1] * H / (8.0 * (h + 1))
    return Example(
        score_mod=zoo.sandwich(H, S),
        captures={"rel": table},
        score=lambda s: s + bias,
    )


@case("scores")
def mla_rope(sizes, rng):
    qr = rng.standard_normal((sizes.B, sizes.H, sizes.M, 4)).astype(F32)
    kr = rng.standard_normal((sizes.B, sizes.N, 4)).astype(F32)
    gain = 0.5
    part = gain * np.einsum("bhmr,bnr->bhmn", qr.astype(float), kr.astype(float))
    return Example(
        score_mod=zoo.mla_rope(qr, kr[:, None], sizes.H, gain),
        captures={"qr": qr, "kr": kr, "gain": np.array(gain, F32)},
        score=lambda s: s + part,
    )
