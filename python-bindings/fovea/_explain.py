"""What a kernel is, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _compiler, _tensors

if TYPE_CHECKING:
    from ._attention import Kernel


def _captures(traced: Any) -> list[str]:
    lines = []
    if traced.arrays:
        for name, label, array in zip(
            traced.names, traced.labels, traced.arrays, strict=True
        ):
            tensor = _tensors.read(array, label, _tensors.ANY, grad_matters=False)
            shown = name if name == label else f"{name} ({label})"
            dims = list(tensor.shape)
            lines.append(f"  {shown}: {_tensors.NAMES[tensor.dtype]} {dims}")
    else:
        for capture in traced.program["captures"]:
            dtype = _tensors.NAMES[capture["dtype"]]
            lines.append(f"  {capture['name']}: {dtype}, rank {capture['rank']}")
    return lines or ["  none"]


def _operations(region: dict | None) -> str:
    if not region:
        return "none"
    count = sum(node[0] not in ("arg", "const") for node in region["nodes"])
    return f"{count} operation{'s' if count != 1 else ''} a score"


def text(compiled: Any, traced: Any, dtype: str, D: int, E: int) -> str:
    """What a compiled variant is."""
    program = compiled.program
    mask = "given at each call" if program.get("block_mask") else "none"
    lines = [
        f"variant {compiled.name}",
        f"  score_mod: {_operations(program.get('score'))}",
        f"  mask_mod: {_operations(program.get('mask'))}",
        f"  normalizer: {_compiler.normalizer_name(traced)}",
        f"  block mask: {mask}",
        f"  result: out{' and lse' if program.get('return_lse') else ''}",
        "captures (read at each call)",
        *_captures(traced),
        f"types and dims: {_tensors.NAMES[dtype]}, D={D}, E={E}",
        f"target: {compiled.target}",
        f"schedule: {compiled.schedule or 'the default'}",
        f"cost: {2 * (D + E)} floating-point operations a visible (query, key) pair"
        " in the two products",
    ]
    for note in compiled.info.get("performance_notes") or ():
        lines.append(f"below the fast path: {note}")
    return "\n".join(lines)


def kernel(kernel: Kernel) -> str:
    """The text of Kernel.explain()."""
    traced, compiled = kernel._current()
    return text(compiled, traced, kernel._dtype, kernel.D, kernel.E)
