"""Manifests: launch expressions, arguments, packs of kernels.

The format is described in docs/architecture.md; this reader and the one of the
library are written independently.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Kernel", "LaunchTensor", "LaunchValues", "evaluate", "load_pack"]


@dataclass(frozen=True)
class LaunchTensor:
    """A tensor of a launch; sizes and strides in elements."""

    address: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass
class LaunchValues:
    """What the expressions of a manifest read."""

    sizes: dict[str, int]
    tensors: dict[str, LaunchTensor]
    scales: tuple[float, ...] = (1.0,)
    #: q_offset, kv_offset, q_lengths and kv_lengths of each batch.
    batches: tuple[tuple[int, ...], ...] = ()

    def batch_order(self) -> list[int]:
        """Batches in the order in which tiles are taken: the most keys first."""
        keys = [n if m > 0 else 0 for m, n in zip(*self.batches[2:], strict=True)]
        return sorted(range(len(keys)), key=lambda b: -keys[b])


_FOLDED = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
}
_BINARY = {
    "sub": lambda a, b: a - b,
    "div": lambda a, b: a // b if b else 0,
    "ceildiv": lambda a, b: -(-a // b) if b else 0,
    "mod": lambda a, b: a % b if b else 0,
    "eq": lambda a, b: int(a == b),
    "ne": lambda a, b: int(a != b),
    "le": lambda a, b: int(a <= b),
    "lt": lambda a, b: int(a < b),
}


def section(total: int, tiles: int, wanted: int) -> int:
    """The smallest divisor g of total with g * tiles >= wanted, else total."""
    for g in range(1, total):
        if total % g == 0 and g * tiles >= wanted:
            return g
    return total


def _name(text: str, values: LaunchValues) -> int:
    if text in values.sizes:
        return values.sizes[text]
    tensor, _, member = text.rpartition(".")
    if tensor not in values.tensors:
        raise ValueError(f"unknown name {text!r}")
    found = values.tensors[tensor]
    if member == "p":
        return found.address
    kind, dim = member[:1], int(member[1:])
    if kind not in ("n", "s"):
        raise ValueError(f"unknown name {text!r}")
    return (found.sizes if kind == "n" else found.strides)[dim]


def evaluate(expr: Any, values: LaunchValues) -> int:
    """The integer that an expression gives at a launch."""
    if isinstance(expr, bool):
        raise ValueError("a truth value is no expression")
    if isinstance(expr, int):
        return expr
    if isinstance(expr, str):
        return _name(expr, values)
    op, *rest = expr
    operands = [evaluate(e, values) for e in rest]
    if op == "section":
        return section(*operands)
    if op in _FOLDED and len(operands) >= 2:
        result = operands[0]
        for operand in operands[1:]:
            result = _FOLDED[op](result, operand)
        return result
    if op in _BINARY and len(operands) == 2:
        return _BINARY[op](*operands)
    raise ValueError(f"unknown operation {op!r} of {len(operands)} operands")


@dataclass
class Kernel:
    """One kernel of a pack.

    Attributes
    ----------
    variant : the attention variant by name (variants.py)
    params : "form", where it is another than the usual one
    kind : "fovea" or "prototype"
    limits : what launches must meet: square, contiguous, multiple (of M and N)
    captures : how captures are handed over, where not as they are
    """

    id: str
    manifest: dict[str, Any]
    cubin: Path
    variant: str
    kind: str = "fovea"
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    captures: dict[str, str] = field(default_factory=dict)

    @property
    def head_dim(self) -> int:
        return int(self.manifest["D"][0])

    @property
    def dtype(self) -> str:
        return str(self.manifest["dtype"])

    @property
    def returns_lse(self) -> bool:
        return bool(self.manifest.get("return_lse"))

    @property
    def reads_batches(self) -> bool:
        """Whether it takes offsets and lengths."""
        return any("per_batch" in x for x in self.manifest["arguments"])

    @property
    def cluster(self) -> int:
        """Blocks of threads that load together, a head each."""
        schedule = str(self.manifest.get("schedule", ""))
        settings = dict(x.split("=") for x in schedule.split(",") if "=" in x)
        return int(settings.get("cluster", 1))

    @property
    def is_cluster_form(self) -> bool:
        """Whether it stands beside a usual form, whose manifest says when."""
        return self.params.get("form") == "cluster"

    def prefers_clusters(self, sizes: dict[str, int]) -> bool:
        """Whether a launch takes the form that runs in clusters instead."""
        expr = self.manifest.get("in_clusters", 0)
        return evaluate(expr, LaunchValues({"D": self.head_dim} | sizes, {})) != 0

    def failed_condition(self, values: LaunchValues) -> str | None:
        """The sentence of the first condition that a launch does not meet."""
        for condition in self.manifest.get("conditions", ()):
            if not evaluate(condition["if"], values):
                return str(condition["else"])
        return None


def _read(folder: Path, entry: Mapping[str, Any]) -> Kernel:
    name = str(entry["id"])
    manifest = json.loads((folder / f"{name}.json").read_text())
    if manifest.get("fovea_kernel") != 1:
        raise ValueError(f"{name}.json: 'fovea_kernel' must be 1")
    return Kernel(
        id=name,
        manifest=manifest,
        cubin=folder / f"{name}.cubin",
        variant=str(entry["variant"]),
        kind=str(entry.get("kind", "fovea")),
        params=dict(entry.get("params", {})),
        limits=dict(entry.get("limits", {})),
        captures=dict(entry.get("captures", {})),
    )


def load_pack(path: Path) -> list[Kernel]:
    """The kernels of a folder or of the .tar.xz made of one.

    A folder holds index.json, a list of entries {id, variant, …}, and for each
    <id>.cubin and <id>.json, the manifest.
    """
    if path.is_file():
        folder = Path(tempfile.mkdtemp(prefix="fovea-gpu-"))
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        path = folder
    entries = json.loads((path / "index.json").read_text())
    return [_read(path, entry) for entry in entries]
