"""Random variants and random calls of them, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dtypes import NUMPY
from regions import RegionMaker, random_mask, random_score

from fovea import normalizers
from fovea.dsl import trace_variant

DIMS = [1, 2, 3, 7, 8, 16, 17, 31, 32, 33, 48, 64, 65, 80, 96, 128, 130, 192, 300]


@dataclass
class Variant:
    """A Program (canonical form, a dict) and what its calls need to know."""

    program: dict[str, Any]
    captures: list[dict]
    fixed: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def dtype(self) -> np.dtype:
        return NUMPY[self.program["dtype"]]


@dataclass
class Call:
    """The arguments of one call, NumPy arrays."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    captures: list[np.ndarray]
    scale: float
    options: dict[str, Any]
    classes: np.ndarray | None = None
    tile: tuple[int, int] = (1, 1)
    #: Rows of a page where the kernel reads k and v in pages; 0: in one piece.
    page: int = 0


def random_normalizer(rng: np.random.Generator) -> tuple[Any, list[dict], list]:
    """The normaliser's part of a Program, its captures and their arrays."""
    heads = 16
    table = rng.uniform(0.1, 1.0, 4096).astype(np.float32)
    choices = [
        lambda: normalizers.sink(rng.standard_normal(heads).astype(np.float32)),
        lambda: normalizers.sink(
            rng.standard_normal(heads).astype(np.float32),
            rng.standard_normal((heads, 160)).astype(np.float32),
        ),
        normalizers.softmax_plus_one,
        normalizers.signed,
        lambda: normalizers.sigmoid(float(rng.uniform(-1, 1))),
        normalizers.relu,
        normalizers.softplus,
        lambda: normalizers.positional_product(table, 2048),
        normalizers.mean,
        lambda: user_normalizer(rng),
    ]
    chosen = choices[int(rng.integers(len(choices)))]()
    traced = trace_variant(None, None, chosen)
    captures = [dict(c) for c in traced.program["captures"]]
    return traced.program["normalizer"], captures, list(traced.arrays)


def user_normalizer(rng: np.random.Generator) -> Any:
    """A normaliser of one's own: every region given, weights of one sign."""
    from fovea import Normalizer, ops

    gain = rng.uniform(0.5, 2.0, 160).astype(np.float32)
    shift = float(rng.uniform(-1, 1))

    def weight(s, t, b, h, q, kv):
        return ops.exp(s - t) * (1 + 0.5 * ops.sin(0.1 * (q - kv)))

    def denom(s, t, b, h, q, kv):
        return ops.exp(s - t) * (1 + 0.25 * ops.cos(0.1 * kv))

    return Normalizer(
        stat=lambda s: s,
        weight=weight,
        denom=denom,
        seed=lambda b, h, q: (shift + 0.1 * h, 0.5),
        finish=lambda o, total, t, b, h, q, e: gain[e] * o / total,
    )


def random_variant(seed: int) -> Variant:
    """A variant; equal seeds give equal ones."""
    rng = np.random.default_rng(seed)
    captures: list[dict] = []
    normalizer: Any = "softmax"
    fixed: dict[int, np.ndarray] = {}
    if rng.random() < 0.5:
        normalizer, captures, arrays = random_normalizer(rng)
        fixed = dict(enumerate(arrays))
    named = {c["name"] for c in captures}
    depth = int(rng.integers(1, 4))
    score = random_score(rng, captures, depth) if rng.random() < 0.7 else None
    mask = random_mask(rng, captures, depth) if rng.random() < 0.75 else None
    for index, capture in enumerate(captures):
        if index not in fixed and capture["name"] in named:
            capture["name"] += "x"
    has_denominator = normalizer == "softmax" or bool(normalizer.get("denom"))
    dim = DIMS[int(rng.integers(len(DIMS)))]
    width = dim if rng.random() < 0.6 else DIMS[int(rng.integers(len(DIMS)))]
    program = {
        "fovea": 1,
        "name": f"fuzz_{seed}",
        "dtype": str(rng.choice(["f32", "f32", "f64", "f16", "bf16"])),
        "D": [dim],
        "E": width,
        "captures": captures,
        "params": [],
        "score": score,
        "mask": mask,
        "scale": None,
        "normalizer": normalizer,
        "return_lse": has_denominator,
        "block_mask": bool(rng.random() < 0.2),
    }
    return Variant(program, captures, fixed)


def random_array(rng: np.random.Generator, dtype: np.dtype, rank: int) -> np.ndarray:
    """A capture's data, sometimes strided."""
    shape = [int(rng.integers(1, 24)) for _ in range(rank)]
    strided = rank > 0 and rng.random() < 0.3
    full = [2 * n for n in shape] if strided else shape
    if dtype == np.bool_:
        data = rng.random(full) < 0.5
    elif dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -20
        data = rng.integers(low, 40, full)
        if dtype == np.int64 and rng.random() < 0.1:
            data = data * (2**58)
    else:
        data = np.round(rng.uniform(-2, 2, full) * 16) / 16
    data = np.asarray(data).astype(dtype)
    if strided:
        data = data[tuple(slice(None, None, -2) for _ in shape)]
    return data


def random_tensor(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """[B,H,S,D] in some memory order."""
    layout = rng.random()
    if layout < 0.4:
        return rng.standard_normal(shape).astype(dtype)
    b, h, s, d = shape
    if layout < 0.6:
        data = rng.standard_normal((b, s, h, d)).astype(dtype)
        return data.transpose(0, 2, 1, 3)
    if layout < 0.7:
        data = rng.standard_normal((b, h, d, s)).astype(dtype)
        return data.transpose(0, 1, 3, 2)
    if layout < 0.8:
        return rng.standard_normal(shape).astype(dtype)[:, :, ::-1, ::-1]
    if layout < 0.9:
        return rng.standard_normal((b, h, s, 2 * d)).astype(dtype)[..., ::2]
    one = rng.standard_normal((b, 1, s, d)).astype(dtype)
    return np.broadcast_to(one, shape)


def with_non_finite(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """A copy in the same memory order with a few NaN or infinite elements."""
    if not array.size:
        return array
    changed = array.copy(order="K")
    for _ in range(int(rng.integers(1, 4))):
        at = tuple(int(rng.integers(n)) for n in array.shape)
        changed[at] = [np.nan, np.inf, -np.inf][int(rng.integers(3))]
    return changed


def random_length(rng: np.random.Generator) -> int:
    roll = rng.random()
    if roll < 0.08:
        return int(rng.integers(0, 2))
    return int(rng.integers(1, 60)) if roll < 0.85 else int(rng.integers(60, 400))


def of_declared_sizes(
    array: np.ndarray, capture: dict, sizes: dict[str, int]
) -> np.ndarray:
    """The array, cut or repeated where the capture declares sizes of the call."""
    declared = capture.get("dims") or [None] * array.ndim
    wanted = [sizes.get(d, n) for d, n in zip(declared, array.shape, strict=True)]
    return array if wanted == list(array.shape) else np.resize(array, wanted)


def random_call(variant: Variant, seed: int) -> Call:
    """A call of the variant: shapes, layouts, captures, offsets, lengths."""
    rng = np.random.default_rng(seed)
    program, dtype = variant.program, variant.dtype
    batch = int(rng.integers(0, 4))
    groups = int(rng.integers(1, 4))
    heads = groups * int(rng.integers(1, 4))
    rows, keys = random_length(rng), random_length(rng)
    if rng.random() < 0.3:  # few queries, many keys
        heads = groups * int(rng.integers(1, 10))
        rows, keys = int(rng.integers(1, 6)), int(rng.integers(1, 1500))
    kv_batch = 1 if rng.random() < 0.2 else batch
    dim, width = program["D"][0], program["E"]
    sizes = {"H": heads, "E": width}
    captures = [
        of_declared_sizes(variant.fixed[index], capture, sizes)
        if index in variant.fixed
        else random_array(rng, NUMPY[capture["dtype"]], capture["rank"])
        for index, capture in enumerate(variant.captures)
    ]
    options: dict[str, Any] = {}
    for name, limit in (("q_offset", 50), ("kv_offset", 50)):
        if rng.random() < 0.25:
            options[name] = rng.integers(0, limit, batch)
    for name, limit in (("q_lengths", rows), ("kv_lengths", keys)):
        if rng.random() < 0.25:
            options[name] = rng.integers(0, limit + 1, batch)
    call = Call(
        q=random_tensor(rng, (batch, heads, rows, dim), dtype),
        k=random_tensor(rng, (kv_batch, groups, keys, dim), dtype),
        v=random_tensor(rng, (kv_batch, groups, keys, width), dtype),
        captures=captures,
        scale=float(rng.choice([dim**-0.5, 0.1, -0.2])),
        options=options,
    )
    for name in "qkv":
        if rng.random() < 0.06:
            setattr(call, name, with_non_finite(rng, getattr(call, name)))
    if rng.random() < 0.25 and batch and keys and kv_batch == batch:
        call.page = int(
            rng.choice([n for n in (1, 2, 3, 8, 16, 32, keys) if keys % n == 0])
        )
    if program["block_mask"]:
        call.tile = (int(rng.integers(1, 70)), int(rng.integers(1, 70)))
        tiles = (-(-rows // call.tile[0]), -(-keys // call.tile[1]))
        outer = (
            1 if rng.random() < 0.5 else batch,
            1 if rng.random() < 0.5 else heads,
        )
        call.classes = rng.integers(0, 3, (*outer, *tiles)).astype(np.int8)
    return call


__all__ = ["Call", "RegionMaker", "Variant", "random_call", "random_variant"]
