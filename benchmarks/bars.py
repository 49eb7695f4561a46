"""Bars: figures that results must reach, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Row", "at_least", "at_most", "print_bars"]

Row = dict[str, Any]


def at_least(name: str, value: float | None, least: float) -> Row:
    """A bar that a value reaches from below; None was not measured."""
    holds = value is not None and value >= least
    return {"bar": name, "value": value, "least": least, "holds": holds}


def at_most(name: str, value: float | None, most: float) -> Row:
    """A bar where less is better; None was not measured."""
    holds = value is not None and value <= most
    return {"bar": name, "value": value, "most": most, "holds": holds}


def print_bars(bars: Sequence[Row]) -> None:
    """One line a bar that was measured or says why not, and how many hold."""
    width = max((len(bar["bar"]) for bar in bars), default=0)
    measured = [bar for bar in bars if bar["value"] is not None]
    for bar in measured:
        verdict = "holds" if bar["holds"] else "MISSED"
        rule = f"<= {bar['most']}" if "most" in bar else f">= {bar['least']}"
        ceiling = f"; memory's ceiling {bar['ceiling']:.3f}" if "ceiling" in bar else ""
        dots = f"; of dot products' {bar['of_dots']:.3f}" if "of_dots" in bar else ""
        print(
            f"{bar['bar']:{width}s} {bar['value']:.3f} ({rule}{ceiling}{dots}) {verdict}"
        )
    for bar in bars:
        if bar["value"] is None and "note" in bar and bar["note"] != "not measured":
            print(f"{bar['bar']:{width}s} none ({bar['note']})")
    held, left = sum(bar["holds"] for bar in bars), len(bars) - len(measured)
    print(f"bars: {held} of {len(bars)} hold" + f", {left} not measured" * bool(left))
