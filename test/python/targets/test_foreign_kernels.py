"""Kernels for AArch64 and the least of x86-64 give what the f64 reference gives.

Those for AArch64 run under qemu-aarch64 where the machine is another one. Calls
have random shapes, layouts, lengths, offsets, pages, NaN and infinities.

    FOVEA_AARCH64_SEED=17 FOVEA_AARCH64_PROGRAMS=100 ./dev test python

runs other random variants for AArch64.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from differ import Pool, compile_variant, reference, run, schedule_of
from foreign_kernels import ForeignKernel, why_not
from programs import Variant, random_call, random_variant

from fovea import ops
from fovea.dsl import trace_variant
from fovea.normalizers import sigmoid, sink

FIRST = int(os.environ.get("FOVEA_AARCH64_SEED", "1"))
COUNT = int(os.environ.get("FOVEA_AARCH64_PROGRAMS", "4"))
CALLS = 8
#: Rows a key head up to which some kernels take their form for few queries; of
#: f64 there is none, as four scores take two registers.
FEW_ROWS = 32
DOCUMENTS = np.arange(2048) // 37
SLOPES = np.float32(2.0) ** -np.arange(1, 33)


def causal(b, h, q, kv):
    return q >= kv


def window(b, h, q, kv):
    return (q >= kv) & (q - kv < 19)


def documents(b, h, q, kv):
    return (DOCUMENTS[q] == DOCUMENTS[kv]) & (q >= kv)


def checkered(b, h, q, kv):
    return (q // 3 + kv // 2 + h) % 2 == 0


def soft_cap(score, b, h, q, kv):
    return 20 * ops.tanh(score / 20)


def alibi(score, b, h, q, kv):
    return score + SLOPES[h] * (kv - q)


def waves(score, b, h, q, kv):
    turn = 0.1 * (q - kv)
    return score * ops.cos(turn) + ops.sin(turn) + ops.log(1 + ops.exp(score))


@dataclass(frozen=True)
class Case:
    """A variant and how it is compiled."""

    dtype: str
    dims: tuple[int, int]
    score: Any = None
    mask: Any = None
    normalizer: Any = "softmax"
    schedule: str = ""
    cpu: str = "generic"
    features: str = ""
    index_bits: int = 32
    few: bool = False

    def variant(self) -> Variant:
        traced = trace_variant(self.score, self.mask, self.normalizer, dtype=self.dtype)
        dim, width = self.dims
        regions = traced.program["normalizer"]
        program = traced.program | {
            "name": "kernel",
            "dtype": self.dtype,
            "D": [dim],
            "E": width,
            "return_lse": regions == "softmax" or bool(regions.get("denom")),
        }
        return Variant(program, program["captures"], dict(enumerate(traced.arrays)))

    def kernel(self, folder: Path) -> ForeignKernel:
        options = {
            "schedule": self.schedule,
            "cpu": self.cpu,
            "features": self.features,
            "index_bits": self.index_bits,
            "few_rows": FEW_ROWS if self.few else 0,
        }
        return make_kernel(self.variant(), folder, **options)


CASES = {
    "f32": Case("f32", (64, 64)),
    "f32 causal soft cap, one register": Case(
        "f32", (65, 33), soft_cap, causal, schedule="m=4,n=16", few=True
    ),
    "f32 documents waves": Case(
        "f32", (33, 65), waves, documents, schedule="m=12,n=48", index_bits=64
    ),
    "f64 window, one register": Case("f64", (64, 7), None, window, schedule="m=2,n=16"),
    "f64 causal waves": Case("f64", (7, 192), waves, causal, schedule="m=6,n=32"),
    "f64 alibi": Case("f64", (33, 33), alibi, index_bits=64),
    "f16 alibi": Case("f16", (130, 130), alibi, causal, few=True),
    "f16 documents, its own instructions": Case(
        "f16", (33, 1), soft_cap, documents, schedule="m=8,n=16", features="+fullfp16"
    ),
    "bf16 window waves": Case(
        "bf16", (64, 65), waves, window, schedule="m=20,n=64", few=True
    ),
    "bf16 scanned, its own instructions": Case(
        "bf16", (192, 64), None, checkered, features="+bf16", few=True
    ),
    "sink": Case(
        "f32", (1, 7), None, checkered, sink(SLOPES), schedule="m=8,n=32", few=True
    ),
    "sigmoid": Case("bf16", (7, 33), None, causal, sigmoid(-1.0), schedule="m=4,n=64"),
    "x86-64": Case("f32", (33, 65), waves, documents, cpu="x86-64", few=True),
    "x86-64 f16": Case("f16", (64, 7), soft_cap, causal, cpu="x86-64"),
    "x86-64-v2 f64": Case("f64", (33, 64), waves, window, cpu="x86-64-v2", few=True),
    "x86-64-v2 bf16": Case("bf16", (64, 33), alibi, checkered, cpu="x86-64-v2"),
}


def make_kernel(variant: Variant, folder: Path, **options) -> ForeignKernel:
    attn = compile_variant(variant, "interpreter").ir("attn")
    kernel = ForeignKernel(attn, folder, **options)
    if reason := why_not(kernel.machine):
        pytest.skip(reason)
    return kernel


def differences(variant: Variant, kernel: ForeignKernel, calls: range) -> list[str]:
    pool = Pool(variant)
    for seed in calls:
        call = random_call(variant, seed)
        with np.errstate(all="ignore"):
            plain = reference(variant, call, variant.dtype)
            pool.add(run(kernel, variant, call), reference(variant, call, None), plain)
    return pool.problems()


@pytest.mark.parametrize("name", CASES)
def test_kernels_agree_with_the_reference(name, tmp_path):
    kernel = CASES[name].kernel(tmp_path)
    first = 1000 * list(CASES).index(name)
    assert not differences(CASES[name].variant(), kernel, range(first, first + CALLS))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_random_variants_agree_with_the_reference(seed, tmp_path):
    variant = random_variant(seed)
    usual = variant.dtype == np.float64 or seed % 4 == 3
    kernel = make_kernel(
        variant,
        tmp_path,
        schedule=schedule_of(seed, variant.dtype, "aarch64"),
        index_bits=64 if seed % 5 == 0 else 32,
        few_rows=0 if usual else FEW_ROWS,
    )
    assert not differences(variant, kernel, range(1000 * seed, 1000 * seed + CALLS))


@pytest.mark.parametrize("cpu", ["generic", "x86-64"])
def test_a_kernel_that_is_wrong_is_noticed(cpu, tmp_path):
    """That of another mask, which compiles and runs as well."""
    made, asked = (replace(CASES["f32"], mask=x, cpu=cpu) for x in (window, causal))
    kernel = made.kernel(tmp_path)
    assert differences(asked.variant(), kernel, range(CALLS))
