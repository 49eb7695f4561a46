"""What a kernel is, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _compiler, _tensors
from ._launch_form import form
from ._words import PairCost, clauses

if TYPE_CHECKING:
    from ._kernel import Kernel


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
    measured = f" (measured: {compiled.tuned})" if compiled.tuned else ""
    lines = [
        f"variant {compiled.name}",
        *(f"  {line}" for line in clauses(program, _compiler.normalizer_name(traced))),
        f"  block mask: {mask}",
        f"  result: out{' and lse' if program.get('return_lse') else ''}",
        "captures (read at each call)",
        *_captures(traced, arrays or {}),
        f"types and dims: {_tensors.NAMES[dtype]}, D={D}, E={E}",
        f"target: {compiled.target}",
        f"schedule: {compiled.schedule or 'the default'}{measured}",
        f"cost: {cost.products} floating-point operations a visible (query, key) pair"
        " in the two products",
        f"  beside them {cost.score} of the score and {cost.weight} of the weight;"
        f" {cost.mask} of the mask, on partial tiles alone",
    ]
    remarks = compiled.remarks
    if note := _compiler.tracing_note(traced):
        remarks = [f"{_compiler.SLOW}{note}", *remarks]
    if remarks:
        lines.append("decisions")
        lines += [f"  {remark}" for remark in remarks]
    return "\n".join(lines)


#: What a size is of that an index of a region goes through.
_EXTENTS = {"b": "B", "h": "Hq", "q": "M", "kv": "N"}


def _extents(traced: Any, arrays: Mapping[str, Any]) -> dict[str, int]:
    """Sizes that the captures have: what is read at q has M entries, and so on."""
    names = [capture["name"] for capture in traced.program["captures"]]
    found: dict[str, int] = {}
    for clause in ("score", "mask"):
        region = traced.program.get(clause)
        for node in region["nodes"] if region else ():
            if node[0] != "read" or names[node[1]] not in arrays:
                continue
            array = arrays[names[node[1]]]
            for index, extent in zip(node[2:], array.shape, strict=True):
                kind, *rest = region["nodes"][index]
                size = _EXTENTS.get(rest[0]) if kind == "arg" else None
                if size:
                    found[size] = min(found.get(size, extent), extent)
    return {name: int(size) for name, size in found.items()}


def _shape(
    kernel: Kernel, traced: Any, arrays: Mapping[str, Any], given: dict[str, int]
) -> tuple[dict[str, int], str]:
    """All sizes, and where they are from; no M where they are not known."""
    last = kernel._calls.geometry
    if given:
        sizes, where = dict(given), "as given"
    elif last is not None:
        sizes = {n: getattr(last, n) for n in ("B", "Hq", "Hk", "M", "N")}
        where = "of the last call"
    else:
        sizes, where = _extents(traced, arrays), "as the captures have it"
    for name, other in (("M", "N"), ("N", "M")):
        if other in sizes:
            sizes.setdefault(name, sizes[other])
    if "M" not in sizes:
        return {}, ""
    sizes = {"B": 1, "Hq": 1, "D": kernel.D, "E": kernel.E, **sizes}
    return {"Hk": sizes["Hq"], **sizes}, where


def _mask_lines(
    kernel: Kernel, traced: Any, arrays: Mapping[str, Any], given: dict[str, int]
) -> list[str]:
    """What the mask skips at a shape."""
    from ._explain_mask import ITEMSIZE, MaskReport

    info = kernel._state[1].info
    if kernel._want_mask:
        lines = form(info, {}, kernel._schedule)
        return [*lines, "mask: print the block mask of a call for its tiles"]
    sizes, where = _shape(kernel, traced, arrays, given)
    if not sizes:
        return ["shape: not known before a call; explain(M=..., N=...) gives one"]
    shown = ", ".join(f"{n}={sizes[n]}" for n in ("B", "Hq", "Hk", "M", "N"))
    lines = [f"shape ({where}): {shown}", *form(info, sizes, kernel._schedule)]
    captures = [capture["name"] for capture in traced.program["captures"]]
    if any(name not in arrays for name in captures):
        return [*lines, "mask: not analysed, as captures have no values yet"]
    homes = {
        _tensors.read(arrays[name], name, _tensors.ANY, grad_matters=False).device
        for name in captures
    }
    if homes - {"cpu"}:
        return [*lines, "mask: not analysed, as captures live on a device"]
    report = MaskReport(traced, sizes, (128, 128), ITEMSIZE[kernel._dtype])
    return [*lines, *report.lines(), report.roofline(info)]


def kernel(kernel: Kernel, given: dict[str, int]) -> str:
    """The text of Kernel.explain()."""
    traced, arrays = kernel._source.live(kernel._dtype)
    compiled = kernel._lookup(traced)
    lines = text(compiled, traced, kernel._dtype, kernel.D, kernel.E, arrays)
    return "\n".join([lines, *_mask_lines(kernel, traced, arrays, given)])
