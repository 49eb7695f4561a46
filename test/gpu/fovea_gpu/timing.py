"""Times contestants fairly on a power-limited card.

Bursts: idle, warm up, a few launches timed by events, in turn over all
contestants, several rounds, the median of all. Short loops without idle time
give ±5 % and wrong conclusions. A sustained figure stands beside where wanted.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["bursts", "sustained"]

IDLE_SECONDS = 0.2
WARM = 2


def _burst(torch: Any, run: Callable[[], Any], repeats: int) -> list[float]:
    torch.cuda.synchronize()
    time.sleep(IDLE_SECONDS)
    for _ in range(WARM):
        run()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    events[0].record()
    for event in events[1:]:
        run()
        event.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) for a, b in itertools.pairwise(events)]


def bursts(
    torch: Any,
    contestants: Mapping[str, Callable[[], Any]],
    repeats: int = 6,
    rounds: int = 4,
) -> dict[str, dict[str, float]]:
    """Milliseconds of each contestant: median, 10th and 90th percentile."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for _ in range(rounds):
        for name, run in contestants.items():
            times[name] += _burst(torch, run, repeats)
    found = {}
    for name, values in times.items():
        values.sort()
        tenth = len(values) // 10
        found[name] = {
            "ms": statistics.median(values),
            "low": values[tenth],
            "high": values[-1 - tenth],
        }
    return found


def sustained(
    torch: Any, run: Callable[[], Any], warm: float = 0.35, timed: float = 0.5
) -> float:
    """Milliseconds a launch, back to back."""

    def loop(seconds: float) -> float:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start, count = time.perf_counter(), 0
        begin.record()
        while time.perf_counter() - start < seconds:
            for _ in range(20):
                run()
            count += 20
            torch.cuda.synchronize()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / count

    loop(warm)
    return loop(timed)
