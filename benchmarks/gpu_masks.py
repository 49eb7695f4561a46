#!/usr/bin/env python3
"""Masks made on the device, and attention under them, beside FlexAttention.

    python test/gpu/pack.py --only documents --head-dims 128 --dtypes bf16 \\
        --output pack.tar.xz                         on a machine with the compiler
    python benchmarks/gpu_masks.py pack.tar.xz --id documents_d128_bf16
                                                     on the machine with the GPU

Captures are new at each call: Fovea's kernels that find the tiles run before the
one that attends; FlexAttention makes a BlockMask, eagerly and compiled, and attends.
Each contestant is timed in bursts. Rows are printed, and written as JSON, as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test" / "gpu"))

import run as runner
from fovea_gpu.call import Inputs, Shape, make_inputs, make_outputs, prepare
from fovea_gpu.check import compare
from fovea_gpu.children import run_child
from fovea_gpu.driver import LoadedKernel
from fovea_gpu.manifest import Kernel, load_pack
from fovea_gpu.timing import bursts
from fovea_gpu.variants import VARIANTS

Run = Callable[[], Any]


def _flex(torch: Any, variant: Any, inputs: Inputs) -> dict[str, Run]:
    """Parts of FlexAttention: its mask, compiled and eager, and its kernel."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # This is a child that may have none of its own.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    captures = {name: x.contiguous() for name, x in inputs.captures.items()}
    M, N = inputs.q.shape[2], inputs.k.shape[2]
    compiled = torch.compile(create_block_mask, dynamic=False)
    attend = torch.compile(flex_attention, dynamic=False)
    made: list[Any] = []

    def mask(b: Any, h: Any, m: Any, n: Any) -> Any:
        return variant.mask(b, h, m, n, captures)

    def make(maker: Any) -> Any:
        made[:] = [maker(mask, None, None, M, N, device=str(inputs.q.device))]

    def run() -> Any:
        if not made:
            make(compiled)
        return attend(inputs.q, inputs.k, inputs.v, block_mask=made[0])

    return {
        "flex mask, compiled": lambda: make(compiled),
        "flex attention": run,
        "flex mask, eager": lambda: make(create_block_mask),
    }


def _own(torch: Any, loaded: LoadedKernel, packed: Any) -> dict[str, Run]:
    stream = torch.cuda.current_stream().cuda_stream
    return {
        "fovea mask": loaded.launcher(packed, stream, slice(None, -1)),
        "fovea attention": loaded.launcher(packed, stream, slice(-1, None)),
        "fovea both": loaded.launcher(packed, stream),
    }


def measure(kernel: Kernel, lengths: list[int], heads: int) -> Iterator[dict[str, Any]]:
    """A row a contestant and length."""
    torch, driver, processors = runner.start()
    loaded = LoadedKernel(driver, kernel)
    variant = VARIANTS[kernel.variant]
    for N in lengths:
        torch.cuda.empty_cache()
        torch._dynamo.reset()
        base = {"variant": kernel.variant, "N": N, "H": heads}
        shape = Shape(1, heads, heads, N, N)
        inputs = make_inputs(torch, kernel, shape)
        outputs = make_outputs(torch, kernel, shape)
        packed = prepare(torch, loaded, inputs, outputs, processors)
        contestants = _own(torch, loaded, packed)
        contestants["fovea both"]()
        verdict = compare(torch, loaded, inputs, outputs)
        yield base | {"impl": "fovea", "kind": "check"} | verdict
        contestants |= _flex(torch, variant, inputs)
        for name, run in contestants.items():
            try:
                times = bursts(torch, {name: run}, repeats=3, rounds=2)
            except Exception as error:  # a contestant that fails is a row
                text = str(error).strip().splitlines() or [""]
                yield base | {"impl": name, "error": text[0][:200]}
                torch.cuda.empty_cache()
                continue
            yield base | {"impl": name} | times[name]


def show(row: dict[str, Any]) -> None:
    """One line, at once: what follows may take long to compile."""
    value = f"{row['ms']:10.4f} ms" if "ms" in row else row.get("reason", "")
    if row.get("kind") == "check":
        value = "as f64" if row["passed"] else f"WRONG: {row.get('reason')}"
    where = f"{row.get('variant', '')}, N = {row.get('N', '')}"
    print(f"{where:28} {row.get('impl', ''):22} {row.get('error', value)}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path, help="what test/gpu/pack.py wrote")
    parser.add_argument("--id", action="append", default=[], help="names, exactly")
    parser.add_argument("--lengths", type=int, nargs="+", default=[16384, 131072])
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a row")
    out = Path(os.environ.get("OUT", "benchmarks/results/local"))
    parser.add_argument("--out", type=Path, default=out, help="folder of the results")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    rows: list[dict[str, Any]] = []
    problem = run_child(runner.describe_machine, (), 60.0, rows.append)
    if problem or "processors" not in rows[0]:
        print(f"no GPU to measure: {problem or rows[0]['reason']}", file=sys.stderr)
        return 1
    machine = rows.pop()

    def receive(row: dict[str, Any]) -> None:
        rows.append(row)
        show(row)
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine, "rows": rows}, indent=1)
        (options.out / "gpu_masks.json").write_text(text)

    for kernel in load_pack(options.pack):
        before = kernel.manifest.get("before")
        if not before or kernel.manifest["block_mask"]:
            continue
        if options.id and kernel.id not in options.id:
            continue
        work = (kernel, options.lengths, options.heads)
        problem = run_child(measure, work, options.timeout, receive)
        if problem:
            receive({"variant": kernel.variant, "passed": False, "reason": problem})
    return 1 if any(row.get("passed") is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
