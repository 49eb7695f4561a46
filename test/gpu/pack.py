#!/usr/bin/env python3
"""Compiles kernels and packs them for test/gpu/run.py.

    eval "$(./dev env)"
    python test/gpu/pack.py                       the default list into gpu_carry/
    python test/gpu/pack.py --only causal --dtypes bf16,f16
    python test/gpu/pack.py --generator DIR       kernels of a prototype beside ours

Writes gpu_carry/pack.tar.xz: cubins, manifests and index.json. Kernels that do
not compile are named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fovea_gpu import prototype
from fovea_gpu.variants import CLUSTERS, PER_BATCH, VARIANTS

LIMIT = 64 << 20
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Entry:
    """One kernel of a pack."""

    id: str
    variant: str
    cubin: bytes
    manifest: dict[str, Any]
    kind: str = "fovea"
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    captures: dict[str, str] = field(default_factory=dict)

    def index(self) -> dict[str, Any]:
        names = ("id", "variant", "kind", "params", "limits", "captures")
        return {name: getattr(self, name) for name in names}


def compile_fovea(
    variant: str, dtype: str, D: int, schedule: str | None, lse: bool
) -> Entry:
    """Compile one variant for sm_90a with this tree's library."""
    from fovea._lib import native

    kernel, _, _ = native().compile(
        VARIANTS[variant].source,
        kind="attn",
        name=f"{variant}.attn",
        dtype=dtype,
        head_dim=D,
        want_lse=int(lse),
        want_block_mask=int(VARIANTS[variant].blocks is not None),
        target="sm_90a",
        schedule=schedule or VARIANTS[variant].schedules.get(D),
    )
    manifest = json.loads(kernel.info())["manifest"]
    tail = f"_{schedule.replace('=', '').replace(',', '_')}" if schedule else ""
    return Entry(f"{variant}_d{D}_{dtype}{tail}", variant, kernel.object(), manifest)


def fovea_entries(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Name and maker of each of our kernels."""
    schedules: list[str | None] = options.schedule or [None]
    for variant in VARIANTS:
        for D in options.head_dims:
            for dtype in options.dtypes:
                for schedule in schedules:
                    lse = VARIANTS[variant].normalizer != "sigmoid"
                    arguments = (variant, dtype, D, schedule, lse)
                    name = f"{variant} D{D} {dtype} {schedule or ''}".strip()
                    yield name, lambda a=arguments: compile_fovea(*a)


def form_entries(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Name and maker of each kernel of another form than the usual one."""
    for form, variants in (("per_batch", PER_BATCH), ("cluster", CLUSTERS)):
        for variant, schedules in variants.items():
            for D in (D for D in options.head_dims if D in schedules):
                for dtype in options.dtypes:
                    lse = VARIANTS[variant].normalizer != "sigmoid"
                    arguments = (variant, dtype, D, schedules[D], lse)
                    name = f"{variant} D{D} {dtype} {schedules[D]}"
                    yield name, lambda a=arguments, f=form: compile_form(f, *a)


def compile_form(form: str, *arguments: Any) -> Entry:
    return replace(compile_fovea(*arguments), params={"form": form})


def prototype_entries(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Name and maker of each kernel of the prototype."""
    if options.generator is None:
        return
    for recipe in prototype.RECIPES:
        if recipe.head_dim in options.head_dims:
            yield recipe.id, lambda r=recipe: make_prototype(r, options)


def make_prototype(recipe: prototype.Recipe, options: argparse.Namespace) -> Entry:
    cubin, manifest = prototype.build(recipe, options.generator, options.ptxas)
    return Entry(
        recipe.id,
        recipe.variant,
        cubin,
        manifest,
        kind="prototype",
        limits={"square": True, "contiguous": True, "multiple": recipe.multiple},
        captures=recipe.captures,
    )


def add_file(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def write_pack(path: Path, entries: list[Entry]) -> None:
    """Write all entries as one .tar.xz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as archive:
        index = json.dumps([entry.index() for entry in entries], indent=1)
        add_file(archive, "index.json", index.encode())
        for entry in entries:
            add_file(archive, f"{entry.id}.cubin", entry.cubin)
            text = json.dumps(entry.manifest, indent=1)
            add_file(archive, f"{entry.id}.json", text.encode())
    if path.stat().st_size > LIMIT:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, over {LIMIT}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    split = lambda text: text.split(",")  # noqa: E731
    numbers = lambda text: [int(x) for x in text.split(",")]  # noqa: E731
    parser.add_argument("--output", type=Path, default=ROOT / "gpu_carry/pack.tar.xz")
    parser.add_argument("--only", action="append", default=[], help="texts in names")
    parser.add_argument("--dtypes", type=split, default=["bf16"])
    parser.add_argument("--head-dims", type=numbers, default=[128, 64, 256])
    parser.add_argument("--schedule", action="append", help="may be repeated")
    parser.add_argument("--generator", type=Path, help="folder of a prototype's gen.py")
    parser.add_argument("--no-fovea", action="store_true")
    parser.add_argument("--ptxas", help="for the prototype; default: as Fovea's")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    makers = [] if options.no_fovea else list(fovea_entries(options))
    if not options.no_fovea and not options.schedule:
        makers += form_entries(options)
    makers += prototype_entries(options)
    entries, failed = [], 0
    for name, make in makers:
        if not all(text in name for text in options.only):
            continue
        start = time.perf_counter()
        try:
            entry = make()
        except (RuntimeError, ValueError, subprocess.CalledProcessError) as error:
            failed += 1
            print(f"{name}: FAILED: {str(error).strip()[:600]}", flush=True)
            continue
        elapsed = time.perf_counter() - start
        print(f"{name}: {len(entry.cubin)} bytes, {elapsed:.2f} s", flush=True)
        entries.append(entry)
    write_pack(options.output, entries)
    size = options.output.stat().st_size
    print(f"{options.output}: {len(entries)} kernels, {size} bytes; {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
