"""Kernels of a hand-written generator, as a yardstick in the same run.

The generator (gen.py) writes MLIR with a fixed list of kernel arguments; here it
gets a manifest like any other kernel.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["RECIPES", "Recipe", "build", "make_manifest"]


@dataclass(frozen=True)
class Recipe:
    """Options of the generator and what the kernel computes."""

    id: str
    variant: str
    options: str
    head_dim: int = 128
    a1: int = 0
    multiple: int = 128
    captures: dict[str, str] = field(default_factory=dict)


_F0 = "flat=1 QS=2 epi=tmao"
_LOOPS = "causal=1 cls=loops mk=bits"
_BRANCH = "causal=1 cls=br ord=1 mk=bits cold=2"
_D64 = f"{_F0} D=64 NC=3 pp=1 ord=5"
_D256 = "D=256 BN=80 QS=1 flat=1 pp=1 epi=direct16"
_ALIBI = f"{_F0} mod=alibi_opt pp=1 ord=1 scr=2"
_SLOPE = {"aux": "slope"}
_TABLE = {"aux": "prototype_table"}

RECIPES: tuple[Recipe, ...] = (
    Recipe("proto_noop", "noop", f"{_F0} pp=0"),
    Recipe("proto_causal", "causal", f"{_F0} pp=0 causal=1"),
    Recipe("proto_causal_loops", "causal", f"{_F0} pp=0 {_LOOPS}"),
    Recipe("proto_alibi", "alibi", _ALIBI, captures=_SLOPE),
    Recipe(
        "proto_alibi_causal",
        "alibi_causal",
        f"{_F0} mod=alibi_opt pp=1 scr=2 {_BRANCH}",
        captures=_SLOPE,
    ),
    Recipe(
        "proto_softcap_causal",
        "softcap_causal",
        f"{_F0} mod=softcap pp=0 ord=1 causal=1",
    ),
    Recipe(
        "proto_table_causal",
        "table_causal",
        f"{_F0} mod=table tab=1 tabpre=1 pp=1 chains=2 causal=1",
        captures=_TABLE,
    ),
    *(
        Recipe(f"proto_window{w}", f"window{w}", f"{_F0} pp=0 win=1 {_LOOPS}", a1=w)
        for w in (512, 1024, 4096)
    ),
    Recipe("proto_noop_d64", "noop", _D64, head_dim=64),
    Recipe("proto_causal_d64", "causal", f"{_D64} {_LOOPS}", head_dim=64),
    Recipe("proto_noop_d256", "noop", _D256, head_dim=256),
    Recipe("proto_causal_d256", "causal", f"{_D256} {_BRANCH}", head_dim=256),
)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()[:500]}")
    return done.stdout + done.stderr


def make_manifest(recipe: Recipe, given: dict[str, Any], registers: int) -> dict:
    """A manifest of what the generator's JSON says."""
    D, m, n = recipe.head_dim, int(given["BM"]), int(given["BN"])
    boxes = D // 64

    def tensor_map(name: str, length: str, heads: str, rows: int) -> dict[str, Any]:
        return {
            "tensor_map": name,
            "sizes": [64, length, boxes, ["mul", "B", heads]],
            "strides": [f"{name}.s2", 64, f"{name}.s1"],
            "box": [64, rows, boxes, 1],
        }

    tiles = ["ceildiv", "M", m]
    heads = ["mul", "B", "H"]
    total = ["mul", heads, tiles]
    aux = {"pointer": "@aux"} if recipe.captures else {"i64": 0}
    return {
        "fovea_kernel": 1,
        "name": recipe.id,
        "symbol": "fa",
        "arch": "sm_90a",
        "dtype": "bf16",
        "D": [D],
        "E": D,
        "captures": [
            {"name": name, "dtype": "f32", "rank": 1} for name in recipe.captures
        ],
        "return_lse": True,
        "threads": (int(given["NC"]) + 1) * 128,
        "shared_memory": int(given["smem"]),
        "registers": registers,
        "tile": {"m": m, "n": n},
        "grid": ["min", total, "SM"],
        "workspace": 256,
        "conditions": [{"if": ["eq", "M", "N"], "else": "q and k: lengths must agree"}],
        "arguments": [
            tensor_map("q", "M", "H", m),
            tensor_map("k", "N", "Hk", n),
            tensor_map("v", "N", "Hk", n),
            tensor_map("out", "M", "H", 64),
            {"workspace": 0},
            {"pointer": "out"},
            {"pointer": "lse"},
            aux,
            {"i32": "N"},
            {"i32": "H"},
            {"i32": total},
            {"i32": tiles},
            {"i32": ["section", heads, tiles, 512]},
            {"scale": 0},
            {"i32": 0},
            {"i32": recipe.a1},
        ],
        "options": recipe.options,
    }


def _tool(name: str) -> str:
    found = shutil.which(f"{name}-22") or shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name}: not found")
    return found


def find_ptxas() -> str:
    """pip's nvidia-cuda-nvcc of this Python, else the one on PATH."""
    import site
    import sys

    folders = [*site.getsitepackages(), *sys.path]
    for folder in folders:
        for found in sorted(Path(folder).glob("nvidia/cu*/bin/ptxas")):
            return str(found)
    found = shutil.which("ptxas")
    if found is None:
        raise RuntimeError("ptxas: not found (pip install nvidia-cuda-nvcc)")
    return found


def build(
    recipe: Recipe, generator: Path, ptxas: str | None
) -> tuple[bytes, dict[str, Any]]:
    """Cubin and manifest of a recipe."""
    import sys

    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "kernel"
        paths = {
            x: str(base.with_suffix(f".{x}")) for x in ("mlir", "ll", "ptx", "cubin")
        }
        script = str(generator / "gen.py")
        _run([sys.executable, script, paths["mlir"], *recipe.options.split()])
        translate = _tool("mlir-translate")
        _run([translate, "--mlir-to-llvmir", paths["mlir"], "-o", paths["ll"]])
        target = [
            "-O3",
            "-mtriple=nvptx64-nvidia-cuda",
            "-mcpu=sm_90a",
            "-mattr=+ptx80",
        ]
        _run([_tool("llc"), *target, paths["ll"], "-o", paths["ptx"]])
        assemble = [ptxas or find_ptxas(), "-arch=sm_90a", "-v", paths["ptx"]]
        messages = _run([*assemble, "-o", paths["cubin"]])
        bad = re.search(r"\(C75\d\d\)[^\n]*|[1-9]\d* bytes spill[^\n]*", messages)
        if bad:
            raise RuntimeError(f"{recipe.id}: ptxas: {bad.group(0)}")
        registers = int(re.search(r"Used (\d+) registers", messages).group(1))
        given = json.loads(base.with_suffix(".json").read_text())
        manifest = make_manifest(recipe, given, registers)
        return Path(paths["cubin"]).read_bytes(), manifest
