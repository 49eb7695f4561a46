#!/usr/bin/env python3
"""How long compiling takes, and what a call costs beside the computation.

Cold compiles of twenty variants (no disk cache), the first of a process, one
that the disk cache has, and the overhead of kernel(q, k, v) and of
fovea.attention on the smallest inputs; torch.compile of FlexAttention beside
them where torch is installed.

    python benchmarks/compile_time.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from typing import Any

import numpy as np
from common import (
    add_common_arguments,
    import_torch,
    machine_for,
    median,
    run_child,
    timed,
    write_json,
)

D = 64


def variants() -> dict[str, dict[str, Any]]:
    """Twenty variants: keyword arguments of fovea.compile."""
    from fovea import normalizers, zoo

    rng = np.random.default_rng(0)
    doc = np.repeat(np.arange(8), 256).astype(np.int32)
    vector = rng.standard_normal(8).astype(np.float32)
    table = rng.standard_normal((8, 4096)).astype(np.float32)
    causal = {"mask_mod": zoo.causal}
    return {
        "noop": {},
        "causal": causal,
        "sliding window": {"mask_mod": zoo.sliding_window(512)},
        "dilated": {"mask_mod": zoo.dilated_sliding_window(512, 2)},
        "sinks + window": {"mask_mod": zoo.sink_window(512)},
        "prefix": {"mask_mod": zoo.prefix_lm(256)},
        "document": {"mask_mod": zoo.document_causal(doc)},
        "chunked": {"mask_mod": zoo.chunked_causal(256)},
        "neighbourhood 2-D": {"mask_mod": zoo.natten(48, 48, 7, 7)},
        "lifetime": {"mask_mod": zoo.lifetime(np.zeros((8, 2048), np.int32))},
        "relative position": {"score_mod": zoo.relative_position},
        "ALiBi causal": {"score_mod": zoo.alibi(8), **causal},
        "soft-cap causal": {"score_mod": zoo.softcap(30.0), **causal},
        "table causal": {"score_mod": zoo.relative_table(table, 2048), **causal},
        "T5 causal": {"score_mod": zoo.t5_bias(table[:, :32].copy()), **causal},
        "temperature": {"score_mod": zoo.temperature(vector)},
        "sandwich causal": {"score_mod": zoo.sandwich(8, 2048), **causal},
        "learned sink": {"normalizer": normalizers.sink(vector), **causal},
        "signed": {"normalizer": "signed", **causal},
        "sigmoid": {"normalizer": normalizers.sigmoid(-7.0), **causal},
    }


def compile_all() -> dict[str, Any]:
    """Seconds of each compilation, in a process that has compiled nothing."""
    import fovea

    seconds = {}
    for name, mods in variants().items():
        start = time.perf_counter()
        fovea.compile(**mods, D=D)
        seconds[name] = time.perf_counter() - start
    info = fovea.cache_info()
    return {"seconds": seconds, "compiles": info.compiles, "disk": info.disk_hits}


def overheads() -> dict[str, float]:
    """Seconds of the smallest calls, and of one with a score mod and a mask."""
    import fovea
    from fovea import zoo

    q = k = v = np.ones((1, 8, 1, D), np.float32)
    score_mod, mask_mod = zoo.alibi(8), zoo.causal
    kernel = fovea.compile(score_mod, mask_mod, D=D)
    return {
        "kernel_s": timed(lambda: kernel(q, k, v), 0.5, 5000),
        "attention_s": timed(
            lambda: fovea.attention(q, k, v, score_mod, mask_mod), 0.5, 5000
        ),
    }


def torch_compiles(threads: int, quick: bool) -> dict[str, float] | None:
    """Seconds of torch.compile for the peers' variants, without its disk caches."""
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    torch = import_torch(threads)
    if torch is None:
        return None
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    from variants import Data, torch_mods

    mods = torch_mods(Data.make(256, np.random.default_rng(0)), torch)
    q = torch.randn(1, 8, 256, D)
    seconds = {}
    for name, (score_mod, mask_mod) in list(mods.items())[: 2 if quick else None]:
        torch._dynamo.reset()
        mask = mask_mod and create_block_mask(mask_mod, 1, None, 256, 256, device="cpu")
        compiled = torch.compile(flex_attention, dynamic=False)
        start = time.perf_counter()
        with torch.no_grad():
            compiled(q, q, q, score_mod=score_mod, block_mask=mask)
        seconds[name] = time.perf_counter() - start
    return seconds


def in_child(threads: int) -> dict[str, Any]:
    """All of Fovea's figures, in fresh processes."""
    width = {"FOVEA_NUM_THREADS": str(threads)}
    script = "compile_time.py"
    cold = run_child(script, "--child", "compile", FOVEA_CACHE="0", **width)
    with tempfile.TemporaryDirectory(prefix="fovea-cache-") as folder:
        cache = {"FOVEA_CACHE_DIR": folder, "FOVEA_CACHE": "1", **width}
        run_child(script, "--child", "compile", **cache)
        cached = run_child(script, "--child", "compile", **cache)
        calls = run_child(script, "--child", "overhead", **cache)
    times = list(cold["seconds"].values())
    kept = list(cached["seconds"].values())
    return {
        "variants": cold["seconds"],
        "first_in_process_s": times[0],
        "cold_median_s": median(times[1:]),
        "cold_worst_s": max(times[1:]),
        "disk_hits": cached["disk"],
        "disk_first_s": kept[0],
        "disk_median_s": median(kept[1:]),
        **calls,
    }


def print_results(results: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    ours, theirs = results["fovea"], results["torch_compile_s"]
    table = Table(title="compiling and calling", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    count = len(ours["variants"]) - 1
    for text, key in (
        ("first compilation in a process", "first_in_process_s"),
        (f"cold compilation, median of {count}", "cold_median_s"),
        (f"cold compilation, worst of {count}", "cold_worst_s"),
        ("from the disk cache, first in a process", "disk_first_s"),
        ("from the disk cache, median", "disk_median_s"),
    ):
        table.add_row(text, f"{ours[key] * 1e3:.1f} ms")
    table.add_row("kernel(q, k, v) on one query", f"{ours['kernel_s'] * 1e6:.1f} µs")
    table.add_row("fovea.attention on one query", f"{ours['attention_s'] * 1e6:.1f} µs")
    if theirs:
        values = list(theirs.values())
        table.add_row(
            f"torch.compile of FlexAttention, median of {len(values)}",
            f"{median(values) * 1e3:.0f} ms",
        )
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser, "compile_time.json")
    parser.add_argument("--child", choices=("compile", "overhead"))
    given = parser.parse_args()
    if given.child:
        print(json.dumps(compile_all() if given.child == "compile" else overheads()))
        return 0
    about = machine_for(given.json, given.threads)
    results = {
        "machine": about,
        "D": D,
        "fovea": in_child(given.threads),
        "torch_compile_s": torch_compiles(given.threads, given.quick),
    }
    print_results(results)
    write_json(given.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
