"""What a kernel is, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _compiler, _tensors
from ._words import PairCost, clauses

if TYPE_CHECKING:
    from ._attention import Kernel


def _captures(traced: Any, arrays: Mapping[str, Any]) -> list[str]:
    lines = []
    for label, capture in zip(traced.labels, traced.program["captures"], strict=True):
        name = capture["name"]
        shown = name if name == label else f"{name} ({label})"
        if name in arrays:
            tensor = _tensors.read(
                arrays[name], label, _tensors.ANY, grad_matters=False
            )
            what = f"{_tensors.NAMES[tensor.dtype]} {list(tensor.shape)}"
        else:
            what = f"{_tensors.NAMES[capture['dtype']]}, rank {capture['rank']}"
        lines.append(f"  {shown}: {what}")
    return lines or ["  none"]


def text(
    compiled: Any,
    traced: Any,
    dtype: str,
    D: int,
    E: int,
    arrays: Mapping[str, Any] | None = None,
) -> str:
    """What a compiled variant is."""
    program = compiled.program
    mask = "given at each call" if program.get("block_mask") else "none"
    cost = PairCost(program, D, E)
    lines = [
        f"variant {compiled.name}",
        *(f"  {line}" for line in clauses(program, _compiler.normalizer_name(traced))),
        f"  block mask: {mask}",
        f"  result: out{' and lse' if program.get('return_lse') else ''}",
        "captures (read at each call)",
        *_captures(traced, arrays or {}),
        f"types and dims: {_tensors.NAMES[dtype]}, D={D}, E={E}",
        f"target: {compiled.target}",
        f"schedule: {compiled.schedule or 'the default'}",
        f"cost: {cost.products} floating-point operations a visible (query, key) pair"
        " in the two products",
        f"  beside them {cost.score} of the score and {cost.weight} of the weight;"
        f" {cost.mask} of the mask, on partial tiles alone",
    ]
    if compiled.remarks:
        lines.append("decisions")
        lines += [f"  {remark}" for remark in compiled.remarks]
    return "\n".join(lines)


def kernel(kernel: Kernel) -> str:
    """The text of Kernel.explain()."""
    traced, arrays = kernel._source.live(kernel._dtype)
    compiled = kernel._lookup(traced)
    return text(compiled, traced, kernel._dtype, kernel.D, kernel.E, arrays)
