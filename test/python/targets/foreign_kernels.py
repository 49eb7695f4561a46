"""Kernels that the library does not load here, compiled by the tools and run:
under qemu-aarch64 those for other machines, directly the least of x86-64.

A `ForeignKernel` stands in for a kernel of the native module. It does what the
runtime does with one: picks the form by the shape, gathers pages where the form
has none, computes items that are not finite again with the exact form.
"""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from foreign_memory import BASE, Call, Image, Pages, Tensor, extent, gather, view

from fovea import _native

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
#: What a program asks to be loaded by.
LOADERS = {
    "aarch64": "/lib/ld-linux-aarch64.so.1",
    "x86_64": "/lib64/ld-linux-x86-64.so.2",
}
TOOLS = {
    name: Path("/usr/lib/llvm-22/bin") / name
    for name in ("clang", "ld.lld", "mlir-translate", "llvm-nm")
}
#: Beside the package in the build folder.
TOOLS["fovea-opt"] = Path(_native.__file__).resolve().parents[2] / "bin/fovea-opt"
#: What kernels of f64 may call, for functions of the user's regions.
LIBM = {"exp", "exp2", "log", "log2", "log1p", "tanh", "sin", "cos", "erf", "pow"}
#: What all of a machine may: the least of x86-64 has no instructions for these.
MAY_CALL: dict[str, set[str]] = {
    "aarch64": set(),
    "x86_64": {
        f"{name}{x}" for name in ("fma", "floor", "roundeven") for x in ("f", "")
    }
    | {"__extendhfsf2", "__truncsfhf2", "__truncsfbf2"},
}
LIBRARIES = {
    "aarch64": ("libm.so.6", "libc.so.6"),
    "x86_64": ("libm.so.6", "libc.so.6", "libgcc_s.so.1"),
}


def libraries(machine: str) -> Path:
    """The folder of a machine's shared C library: its own, or beside another."""
    if machine == platform.machine():
        return Path(f"/lib/{machine}-linux-gnu")
    return Path(f"/usr/{machine}-linux-gnu/lib")


def why_not(machine: str) -> str:
    """Why a machine's kernels cannot run here; empty where they can."""
    if machine != platform.machine() and not shutil.which(f"qemu-{machine}"):
        return f"no qemu-{machine} (Debian: qemu-user)"
    if not all((libraries(machine) / x).exists() for x in LIBRARIES[machine]):
        return f"no C library of {machine} (Debian: libc6-*-cross)"
    return ""


def run_tool(*command: object, **options) -> bytes:
    done = subprocess.run([str(x) for x in command], capture_output=True, **options)
    assert done.returncode == 0, (command, done.returncode, done.stderr.decode())
    return done.stdout


LOOKUP = b"@llvm.x86.avx.vpermilvar.ps.256"
#: What the library makes of it where there is no AVX (ObjectEmitter).
SELECTS = b"""
define internal <8 x float> @lookup(<8 x float> %t, <8 x i32> %i) alwaysinline {
  %e0 = shufflevector <8 x float> %t, <8 x float> poison, <8 x i32> zeroinitializer
  %e1 = shufflevector <8 x float> %t, <8 x float> poison, <8 x i32> splat (i32 1)
  %e2 = shufflevector <8 x float> %t, <8 x float> poison, <8 x i32> splat (i32 2)
  %e3 = shufflevector <8 x float> %t, <8 x float> poison, <8 x i32> splat (i32 3)
  %odd = trunc <8 x i32> %i to <8 x i1>
  %half = lshr <8 x i32> %i, splat (i32 1)
  %high = trunc <8 x i32> %half to <8 x i1>
  %lower = select <8 x i1> %odd, <8 x float> %e1, <8 x float> %e0
  %upper = select <8 x i1> %odd, <8 x float> %e3, <8 x float> %e2
  %result = select <8 x i1> %high, <8 x float> %upper, <8 x float> %lower
  ret <8 x float> %result
}
"""


def without_avx_lookups(ir: bytes) -> bytes:
    """The same IR for any level of x86-64."""
    if LOOKUP not in ir:
        return ir
    lines = (
        x for x in ir.splitlines() if not (x.startswith(b"declare") and LOOKUP in x)
    )
    return b"\n".join(lines).replace(LOOKUP, b"@lookup") + SELECTS


class ForeignKernel:
    """A variant in the forms that calls ask for.

    Parameters
    ----------
    attn : str
        The module of level 1.
    folder : Path
        Takes what is made.
    schedule : str
    cpu, features : str
        LLVM's spelling.
    index_bits : int
        Width of positions.
    few_rows : int
        Rows a key head up to which a call takes the form for few queries, which
        the runtime does not use here: registers are too narrow.
    """

    def __init__(
        self,
        attn: str,
        folder: Path,
        schedule: str = "",
        cpu: str = "generic",
        features: str = "",
        index_bits: int = 32,
        few_rows: int = 0,
    ) -> None:
        self.folder = folder
        self.cpu, self.features = cpu, features
        self.machine = "x86_64" if cpu.startswith("x86-64") else "aarch64"
        self.few_rows = few_rows
        self.options = f"cpu={cpu} index-bits={index_bits}"
        if features:
            self.options += f" features={features}"
        if schedule:
            self.options += f" schedule={schedule}"
        self.name, dtype = re.search(r"@(\w+)\(%\w+: \S+x(\w+)>", attn).groups()
        self.may_call = MAY_CALL[self.machine] | (LIBM if dtype == "f64" else set())
        self.forms: dict[str, Path] = {}
        (folder / "attn.mlir").write_text(attn)

    def make(self, form: str) -> Path:
        """The executable of a form: "", "exact", "few-queries" …"""
        if form not in self.forms:
            stem = self.folder / (form.replace(" ", "-") or "usual")
            kernel = self._compile(form, stem)
            self.forms[form] = self._link(kernel, stem)
        return self.forms[form]

    def _compile(self, form: str, stem: Path) -> Path:
        wanted = " ".join(f"{name}=true" for name in form.split())
        pipeline = f"-fovea-cpu-pipeline={self.options} {wanted}"
        module = run_tool(TOOLS["fovea-opt"], self.folder / "attn.mlir", pipeline)
        ir, kernel = stem.with_suffix(".ll"), stem.with_suffix(".o")
        translate = (TOOLS["mlir-translate"], "--mlir-to-llvmir")
        ir.write_bytes(without_avx_lookups(run_tool(*translate, input=module)))
        added = self.features.replace(",", "").replace("fullfp16", "fp16")
        name = "armv8-a" if self.cpu == "generic" else self.cpu
        # Near what ObjectEmitter.cpp runs, which emits for this machine alone.
        plain = ("-fno-unroll-loops", "-fno-vectorize", "-fno-slp-vectorize")
        self._clang(f"-march={name}{added}", *plain, "-w", ir, "-o", kernel)
        called = run_tool(TOOLS["llvm-nm"], "-u", "-j", kernel).decode().split()
        assert self.may_call.issuperset(called), called
        return kernel

    def _clang(self, *arguments: object) -> None:
        common = (f"--target={self.machine}-linux-gnu", "-O1", "-fPIC", "-c")
        run_tool(TOOLS["clang"], *common, *arguments)

    def _link(self, kernel: Path, executable: Path) -> Path:
        driver = self.folder / "run_kernel.o"
        if not driver.exists():
            strict = ("-ffreestanding", "-Wall", "-Wextra", "-Werror")
            include = ("-I", ROOT / "include")
            self._clang(*strict, *include, HERE / "run_kernel.c", "-o", driver)
        folder = libraries(self.machine)
        run_tool(
            TOOLS["ld.lld"],
            *("-pie", "-dynamic-linker", LOADERS[self.machine]),
            *(f"--defsym={x}_function={self.name}_{x}" for x in ("plan", "run")),
            *(driver, kernel, *(folder / x for x in LIBRARIES[self.machine])),
            *("-o", executable),
        )
        return executable

    def launch(
        self,
        queries: Sequence[Tensor],
        keys: Sequence[Tensor],
        value: Tensor,
        out: Tensor,
        lse: Tensor | None,
        captures: Sequence[Tensor],
        scales: Sequence[float],
        q_offset: Sequence[int] | None,
        kv_offset: Sequence[int] | None,
        q_lengths: Sequence[int] | None,
        kv_lengths: Sequence[int] | None,
        classes: Tensor | None,
        tile: tuple[int, int] | None,
        page_table: Tensor | None = None,
    ) -> None:
        """As `Kernel.launch` of the native module."""
        batch, heads, rows, _ = queries[0][2]
        if 0 in out[2] and (lse is None or 0 in lse[2]):
            return
        groups, count = value[2][1:3]
        pages = None
        if page_table is not None:
            pages = Pages(view(page_table), count)
            count *= pages.table.shape[1]
        call = Call(
            sizes=(batch, heads, groups, rows, count),
            queries=queries,
            keys=keys,
            value=value,
            out=out,
            lse=lse,
            captures=captures,
            scales=scales,
            q_offset=q_offset or [0] * batch,
            kv_offset=kv_offset or [0] * batch,
            q_lengths=[rows] * batch if q_lengths is None else q_lengths,
            kv_lengths=[count] * batch if kv_lengths is None else kv_lengths,
            classes=None if classes is None else view(classes),
            tile=tile,
            pages=pages,
        )
        few = rows * (heads // max(groups, 1)) <= self.few_rows and classes is None
        if pages and not few:
            gather(call)
        form = "few-queries" if few else ""
        items, reported = self._run(f"{form} paged" if call.pages else form, call)
        if not reported:
            return
        if call.pages:
            gather(call)
        # Items that cut the work otherwise cannot be told apart.
        self._run("exact", call, [] if few else reported, items)

    def _run(
        self, form: str, call: Call, only: Sequence[int] = (), of: int = 0
    ) -> tuple[int, list[int]]:
        """Compute all items, or those; their number, and which reported values
        that are not finite."""
        executable, path = self.make(form), self.folder / "request"
        image = Image()
        arguments, places = call.write(image)
        reported = image.add(bytes(8 << 16))
        listed = image.add_words(only) if only else 0
        image.save(path, [listed, len(only), of, reported, 0, 0, *arguments])
        command: list[object] = [executable]
        if self.machine != platform.machine():
            root = libraries(self.machine).parent
            command = [f"qemu-{self.machine}", "-L", root, executable]
        with path.open("r+b") as file:
            run_tool(*command, stdin=file, timeout=60)
        data = np.memmap(path, np.uint8, "r")
        count, items = data[7 * 8 : 9 * 8].view(np.int64)
        for tensor, name in ((call.out, "out"), (call.lse, "lse")):
            if tensor:
                before, after = extent(tensor)
                at = places[name] - BASE - before
                taken = data[at : at + before + after].tobytes()
                ctypes.memmove(tensor[0] - before, taken, len(taken))
        begin = reported - BASE
        numbers = data[begin : begin + 8 * int(count)].view(np.int64)
        return int(items), numbers.tolist()
