#!/usr/bin/env python3
"""Checks and times the kernels of a pack on this machine's GPU.

    python test/gpu/run.py gpu_carry/pack.tar.xz            check, then time
    python test/gpu/run.py gpu_carry/pack.tar.xz --mode check --only causal
    python test/gpu/run.py gpu_carry/pack.tar.xz --mode check --sanitizer
    python test/gpu/run.py gpu_carry/pack.tar.xz --dry-run   no GPU, no torch

Needs Python 3.11, NumPy, torch and the NVIDIA driver; no LLVM, no Fovea. Writes
JSON lines to --out (default: $OUT, else here) and a summary to the output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fovea_gpu.cases import check_shapes
from fovea_gpu.children import run_child
from fovea_gpu.driver import LoadedKernel, load_driver
from fovea_gpu.dry_run import describe_launch
from fovea_gpu.manifest import Kernel, load_pack
from fovea_gpu.measure import Group, make_groups, measure_group
from fovea_gpu.memcheck import memcheck, touch
from fovea_gpu.report import print_checks, print_times


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path, help="a folder or .tar.xz of pack.py")
    modes = ("check", "time", "all", "memcheck", "touch")
    parser.add_argument("--mode", choices=modes, default="all")
    parser.add_argument("--id", action="append", default=[], help="names, exactly")
    parser.add_argument(
        "--sanitizer", action="store_true", help="also under compute-sanitizer"
    )
    parser.add_argument("--only", action="append", default=[], help="texts in names")
    parser.add_argument("--peers", default="cudnn,flex,fa4")
    parser.add_argument("--quick", action="store_true", help="fewer shapes and rounds")
    parser.add_argument("--sustained", action="store_true")
    parser.add_argument("--budget", type=float, default=540.0, help="seconds in all")
    parser.add_argument("--timeout", type=float, default=90.0, help="seconds a case")
    parser.add_argument("--dry-run", action="store_true")
    out = Path(os.environ.get("OUT", "."))
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


class Log:
    """JSON lines to a file as they come."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / "gpu.jsonl").open("w")
        self.rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()


def machine(torch: Any) -> dict[str, Any]:
    """Board and versions; asked in a child, since CUDA does not survive a fork."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": torch.cuda.get_device_name(),
        "processors": properties.multi_processor_count,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def describe_machine() -> Iterator[dict[str, Any]]:
    import torch

    yield machine(torch)


def start() -> tuple[Any, Any, int]:
    """torch and the driver, with a context; for children."""
    import torch

    torch.set_grad_enabled(False)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.zeros(1, device="cuda")
    processors = torch.cuda.get_device_properties(0).multi_processor_count
    return torch, load_driver(), processors


def check_kernel(kernel: Kernel, quick: bool) -> Iterator[dict[str, Any]]:
    from fovea_gpu.check import check_shape

    torch, driver, processors = start()
    loaded = LoadedKernel(driver, kernel)
    for shape in check_shapes(kernel, quick):
        found = check_shape(torch, loaded, shape, processors)
        yield {"shape": str(shape)} | found
        torch.cuda.empty_cache()


def time_group(
    group: Group, peers: tuple[str, ...], rounds: int, with_sustained: bool
) -> Iterator[dict[str, Any]]:
    torch, driver, processors = start()
    yield from measure_group(
        torch,
        driver,
        group,
        peers,
        processors,
        rounds=rounds,
        with_sustained=with_sustained,
    )


class Session:
    """One run: children within a budget, everything logged."""

    def __init__(self, options: argparse.Namespace, kernels: list[Kernel]):
        self.options, self.kernels = options, kernels
        self.log = Log(options.out)
        self.end = time.monotonic() + options.budget

    def child(self, kind: str, name: str, work: Any, arguments: tuple) -> None:
        left = self.end - time.monotonic()
        base = {"kind": kind, "name": name}
        if left <= 0:
            skipped = {"passed": False, "skipped": True, "reason": "no time left"}
            self.log.add(base | skipped)
            return
        timeout = min(self.options.timeout, left + 5)
        start = time.monotonic()
        problem = run_child(
            work, arguments, timeout, lambda row: self.log.add(base | row)
        )
        if problem:
            self.log.add(base | {"passed": False, "reason": problem})
        print(f"{kind:5s} {name}: {time.monotonic() - start:.1f} s", flush=True)

    def check(self) -> None:
        for kernel in self.kernels:
            self.child("check", kernel.id, check_kernel, (kernel, self.options.quick))

    def memcheck(self, pack: Path) -> None:
        """All kernels under compute-sanitizer, in what is left of the budget."""
        start = time.monotonic()
        timeout = max(10.0, self.end - start)
        for row in memcheck(pack, self.kernels, timeout):
            self.log.add({"kind": "memcheck"} | row)
        print(f"memcheck: {time.monotonic() - start:.1f} s", flush=True)

    def passed(self) -> list[Kernel]:
        """Kernels without a failed case; all where nothing was checked."""
        rows = [row for row in self.log.rows if row["kind"] == "check"]
        failed = {row["name"] for row in rows if not row["passed"]}
        return [kernel for kernel in self.kernels if kernel.id not in failed]

    def time(self, only: list[str]) -> None:
        peers = tuple(p for p in self.options.peers.split(",") if p)
        for group in make_groups(self.passed(), only, self.options.quick):
            rounds = 2 if self.options.quick else 4
            arguments = (group, peers, rounds, self.options.sustained)
            self.child("time", str(group), time_group, arguments)


def dry_run(kernels: list[Kernel], quick: bool) -> int:
    """Print what each launch would pass; 1 where one would be refused."""
    status = 0
    for kernel in kernels:
        for shape in check_shapes(kernel, quick):
            try:
                print(json.dumps(describe_launch(kernel, shape)))
            except (KeyError, ValueError, RuntimeError) as error:
                status = 1
                print(f"{kernel.id} {shape}: {type(error).__name__}: {error}")
    return status


def main() -> int:
    options = parse_arguments()
    kernels = load_pack(options.pack)
    checked = [k for k in kernels if all(text in k.id for text in options.only)]
    if options.id:
        checked = [k for k in checked if k.id in options.id]
    if options.dry_run:
        return dry_run(checked, options.quick)
    if options.mode == "touch":
        torch, driver, processors = start()
        touch(torch, driver, checked, processors)
        return 0
    session = Session(options, checked if options.mode != "time" else kernels)
    session.child("machine", "machine", describe_machine, ())
    if options.mode in ("check", "all"):
        session.check()
    if options.sanitizer or options.mode == "memcheck":
        session.memcheck(options.pack)
    if options.mode in ("time", "all"):
        session.time(options.only if options.mode == "time" else [])
    rows = session.log.rows
    print_times(rows)
    failures = print_checks(rows)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
