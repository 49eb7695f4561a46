"""Whatever tiles a schedule has, attention is the same, in all types."""

from __future__ import annotations

import os

import numpy as np
import pytest
from api_common import DTYPES, causal, close, inputs, plain

import fovea

#: (D, E); for some the cost model's items are an odd number of registers of f64.
HEAD_DIMS = [(192, 192), (240, 144), (256, 128), (128, 225), (384, 144), (511, 65)]
#: Bytes of a register of the least processor that a target may stand for.
REGISTERS = {"x86-64-v3": 32, "cpu": 64}
MASKS = {"none": None, "causal": causal, "diagonal": lambda b, h, q, kv: q == kv}


def panel(target: str, dtype: type) -> int:
    """Queries of one register of scores."""
    return REGISTERS[target] // max(4, np.dtype(dtype).itemsize)


@pytest.mark.parametrize("given", ["split=64", "short=0", "m=64,split=128,block=32"])
def test_the_schedule_has_what_was_given(given):
    """.schedule: chosen or given"""
    shown = fovea.compile(None, None, D=8, schedule=given).schedule.split(",")
    assert set(given.split(",")) <= set(shown)
    assert sorted(s.partition("=")[0] for s in shown) == sorted(
        {s.partition("=")[0] for s in given.split(",")} | {"m", "n"}
    )
    again = fovea.compile(None, None, D=8, schedule=",".join(shown))
    assert again.schedule.split(",") == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("short=30", "short=32"),
        (" block=32 , short=5,split=64", "short=8,split=64,block=32"),
    ],
)
def test_the_schedule_is_the_one_in_use(given, shown):
    """.schedule"""
    kernel = fovea.compile(None, None, D=8, schedule=given)
    assert kernel.schedule.partition(",n=")[2].partition(",")[2] == shown
    assert f"schedule: {kernel.schedule}\n" in kernel.explain()
    rows = shown.partition(",")[0].removeprefix("short=")
    assert f"few queries: calls of at most {rows} rows a key head" in kernel.explain()
    assert fovea.compile(None, None, D=8, schedule=kernel.schedule).schedule == (
        kernel.schedule
    )


def test_settings_of_a_form_that_a_kernel_does_not_have():
    """.schedule"""
    default = fovea.compile(None, None, D=8).schedule
    kernel = fovea.compile(
        None, None, D=8, block_mask=True, schedule="short=16,split=64,block=32"
    )
    assert kernel.schedule == f"{default},short=0"
    assert "few queries" not in kernel.explain()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            "short=99999",
            r"schedule: short=99999,block=32 asks for \d+ of l2_bytes, the",
        ),
        ("short=8,block=65536,split=65536", r"schedule: short=8,block=65536 asks for"),
    ],
)
def test_a_form_for_few_queries_that_is_too_large(given, text):
    with pytest.raises(ValueError, match=text) as caught:
        fovea.compile(D=8, schedule=given)
    assert "m=" not in str(caught.value)


@pytest.mark.parametrize("dims", HEAD_DIMS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_cost_models_schedules(dtype, dims):
    """D is 1…512, E 0…512"""
    q, k, v = inputs(M=70, N=90, D=dims[0], E=dims[1], dtype=dtype)
    close(fovea.attention(q, k, v), plain(q, k, v), dtype)


@pytest.mark.parametrize("registers", [1, 2, 3])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("target", REGISTERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_items_of_few_registers(dtype, target, mask, registers):
    q, k, v = inputs(M=70, N=90, D=24, E=40, dtype=dtype)
    m = registers * panel(target, dtype)
    got = fovea.attention(
        q, k, v, None, MASKS[mask], target=target, schedule=f"m={m},n=32"
    )
    close(got, plain(q, k, v, mask=MASKS[mask]), dtype)


def test_random_schedules():
    seed = int(os.environ.get("FOVEA_FUZZ_SEED", np.random.SeedSequence().entropy))
    print("FOVEA_FUZZ_SEED", seed)
    rng = np.random.default_rng(seed)
    for _ in range(40):
        dtype, target = DTYPES[rng.integers(4)], list(REGISTERS)[rng.integers(2)]
        mask = list(MASKS.values())[rng.integers(3)]
        M, N, D = (int(rng.integers(low, 200)) for low in (33, 1, 1))
        E = int(rng.integers(0, 200))
        m = panel(target, dtype) * int(rng.integers(1, 12))
        n = 16 * int(rng.integers(1, 16))
        q, k, v = inputs(M=M, N=N, D=D, E=E, dtype=dtype, seed=rng.integers(2**32))
        print(np.dtype(dtype), target, M, N, D, E, m, n)
        schedule = f"m={m},n={n}"
        got = fovea.attention(q, k, v, None, mask, target=target, schedule=schedule)
        close(got, plain(q, k, v, mask=mask), dtype)


@pytest.mark.parametrize("width", [5, 16, 64, 100])
@pytest.mark.parametrize("target", REGISTERS)
def test_full_tiles_that_a_mask_would_hide(target, width):
    """Groups of keys that begin in a full tile and end in a partial one."""
    M, N, full = 70, 4 * width + 3, 3
    tiles = -(-N // width)
    mask = fovea.BlockMask.from_kv_blocks(
        np.full((1, 1, 1), tiles - full, np.int32),
        np.arange(full, full + tiles, dtype=np.int32).reshape(1, 1, 1, tiles) % tiles,
        np.full((1, 1, 1), full, np.int32),
        np.arange(tiles, dtype=np.int32).reshape(1, 1, 1, tiles),
        (M, width), lambda b, h, q, kv: (q + kv) % 3 == 0, (M, N),
    )  # fmt: skip
    q, k, v = inputs(M=M, N=N, D=24, E=40)
    got = fovea.attention(q, k, v, block_mask=mask, target=target)

    def visible(b, h, q, kv):
        return (kv < full * width) | ((q + kv) % 3 == 0)

    close(got, plain(q, k, v, mask=visible))
