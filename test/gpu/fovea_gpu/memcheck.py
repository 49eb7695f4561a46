"""Kernels under compute-sanitizer, in a process of their own.

The process launches every kernel once on each of a few shapes. torch gives each
tensor an allocation of its own there, so that what lies beyond one is seen.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .call import Shape, make_inputs, make_outputs, prepare
from .cases import fits
from .driver import LoadedKernel
from .manifest import Kernel

__all__ = ["SHAPES", "find_sanitizer", "memcheck", "read_report", "touch"]

#: Tails in both directions, grouped heads, both memory orders, both signs, full
#: tiles anywhere, lengths of their own.
SHAPES = (
    Shape(1, 1, 1, 129, 127),
    Shape(2, 3, 1, 257, 129),
    Shape(2, 4, 2, 130, 200, "bshd", sign=-1),
    Shape(1, 4, 2, 640, 333, "bshd"),
    Shape(2, 3, 1, 257, 129, loose=True),
    Shape(7, 4, 2, 200, 333, "bshd", ragged=True),
)
_SUMMARY = re.compile(r"ERROR SUMMARY: (\d+) errors?")


def find_sanitizer() -> str | None:
    """compute-sanitizer of PATH or of a toolkit under /usr/local."""
    found = shutil.which("compute-sanitizer")
    places = sorted(glob.glob("/usr/local/cuda*/bin/compute-sanitizer"))
    return found or (places[-1] if places else None)


def touch(torch: Any, driver: Any, kernels: Sequence[Kernel], processors: int) -> None:
    """Launch each kernel on each shape and say so; for the process under test."""
    stream = torch.cuda.current_stream().cuda_stream
    for kernel in kernels:
        loaded = LoadedKernel(driver, kernel)
        for shape in SHAPES:
            if not fits(kernel, shape):
                continue
            inputs = make_inputs(torch, kernel, shape)
            outputs = make_outputs(torch, kernel, shape)
            loaded.launch(prepare(torch, loaded, inputs, outputs, processors), stream)
            torch.cuda.synchronize()
            print(f"touched {kernel.id} {shape}", flush=True)


def read_report(text: str, kernels: Sequence[Kernel]) -> Iterator[dict[str, Any]]:
    """A row for each launch that was to be, from what the process printed."""
    done = set(re.findall(r"^touched (.*)$", text, re.MULTILINE))
    summary = _SUMMARY.search(text)
    errors = int(summary.group(1)) if summary else None
    first = next((x.strip("= \n") for x in text.splitlines() if "Invalid" in x), "")
    for kernel in kernels:
        for shape in SHAPES:
            if not fits(kernel, shape):
                continue
            row: dict[str, Any] = {"name": kernel.id, "shape": str(shape)}
            if f"{kernel.id} {shape}" not in done:
                tail = " | ".join(text.strip().splitlines()[-3:])
                yield row | {"passed": False, "reason": f"not launched: {tail[:300]}"}
            elif errors != 0:
                found = "no summary" if errors is None else f"{errors} errors {first}"
                yield row | {"passed": False, "reason": f"compute-sanitizer: {found}"}
            else:
                yield row | {"passed": True}


def memcheck(
    pack: Path, kernels: Sequence[Kernel], timeout: float
) -> Iterator[dict[str, Any]]:
    """Run all kernels under memcheck within `timeout` seconds."""
    sanitizer = find_sanitizer()
    if sanitizer is None:
        reason = "no compute-sanitizer on PATH or under /usr/local/cuda*"
        yield {"name": "memcheck", "passed": False, "reason": reason}
        return
    program = Path(__file__).resolve().parents[1] / "run.py"
    names = [f"--id={kernel.id}" for kernel in kernels]
    command = [sanitizer, "--tool", "memcheck"]
    command += [sys.executable, str(program), str(pack), "--mode", "touch", *names]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            env=os.environ | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"},
        )
        text = done.stdout
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output.decode() if isinstance(output, bytes) else output
        text += f"\nno end within {timeout:g} s"
    yield from read_report(text, kernels)
