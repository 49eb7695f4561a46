"""A Program's parts in words, for `explain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from .dsl.graph import format_nodes

__all__ = ["PairCost", "clauses", "expression", "operations"]


def expression(
    region: Mapping[str, Any], captures: Sequence[str], result: int = 0
) -> str:
    """A result of a Program's region, as Python writes it.

    Parameters
    ----------
    region : mapping
        args, nodes and results, as docs/architecture.md says.
    captures : sequence of str
        Names of the Program's captures.
    result : int
        Which result.
    """
    nodes = []
    for node in region["nodes"]:
        if node[0] in ("read", "extent"):
            node = [node[0], SimpleNamespace(label=captures[node[1]]), *node[2:]]
        elif node[0] == "const" and node[1] == "i1":
            node = ["const", "i1", str(node[2]).lower()]
        elif node[0] == "param":
            node = ["size", node[1]]
        nodes.append(node)
    shown = {name: name for name in region["args"]}
    return format_nodes(nodes, shown, region["results"][result])


def operations(region: Mapping[str, Any] | None) -> int:
    """Operations of a region that depend on the pair of positions or the score."""
    if not region:
        return 0
    varies: list[bool] = []
    count = 0
    for node in region["nodes"]:
        if node[0] == "arg":
            varies.append(node[1] in ("s", "t", "q", "kv"))
        elif node[0] in ("const", "size", "extent", "param"):
            varies.append(False)
        else:
            operands = node[2:] if node[0] == "read" else node[1:]
            varies.append(any(varies[i] for i in operands))
            count += varies[-1]
    return count


class PairCost:
    """Floating-point and integer operations of one (query, key) pair.

    Parameters
    ----------
    program : mapping
        The Program.
    D, E : int
        Head dims of q and k together, and of v.
    """

    #: exp2 by a polynomial, the maximum, the difference, the sum of weights.
    WEIGHT = 14

    def __init__(self, program: Mapping[str, Any], D: int, E: int) -> None:
        self.products = 2 * (D + E)
        self.score = operations(program.get("score"))
        self.mask = operations(program.get("mask"))
        parts = program.get("normalizer")
        if isinstance(parts, str):
            self.weight = self.WEIGHT
        else:
            self.weight = sum(
                operations(parts.get(part)) for part in ("stat", "weight", "denom")
            )

    def total(self, partial: float) -> float:
        """Operations a pair where a share `partial` of the tiles asks the mask."""
        return self.products + self.score + self.weight + partial * self.mask


def clauses(program: Mapping[str, Any], normalizer: str) -> list[str]:
    """Score, mask and normaliser, a line each.

    Parameters
    ----------
    program : mapping
        The Program.
    normalizer : str
        What the normaliser is called.
    """
    names = [capture["name"] for capture in program["captures"]]
    lines = []
    score, mask = program.get("score"), program.get("mask")
    lines.append(f"score: {expression(score, names) if score else 's'}")
    lines.append(f"mask: {expression(mask, names) if mask else 'every key is visible'}")
    if program.get("params"):
        given = (f"{p['name']}={p['value']}" for p in program["params"])
        lines.append(f"parameters: {', '.join(given)}")
    lines.append(f"normalizer: {normalizer}")
    parts = program.get("normalizer")
    if not isinstance(parts, str):
        for part in ("stat", "weight", "denom", "seed", "finish"):
            region = parts.get(part)
            if isinstance(region, str):
                lines.append(f"  {part}: {region}")
            elif region:
                texts = [
                    expression(region, names, i) for i in range(len(region["results"]))
                ]
                lines.append(f"  {part}: {', '.join(texts)}")
    return lines
