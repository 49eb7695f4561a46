"""Tables of what was checked and timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["print_checks", "print_times", "ratios", "time_groups", "walk_bound"]

Row = dict[str, Any]


def print_checks(rows: Sequence[Row]) -> int:
    """Print one line a kernel; returns how many cases failed."""
    checks = [row for row in rows if row["kind"] in ("check", "memcheck")]
    names = dict.fromkeys(row["name"] for row in checks)
    failures = 0
    for name in names:
        own = [row for row in checks if row["name"] == name]
        failed = [row for row in own if not row["passed"]]
        failures += len(failed)
        worst = max(
            (
                row["out_error"] / row["out_allowed"]
                for row in own
                if row.get("out_allowed")
            ),
            default=0.0,
        )
        checked = sum(row["kind"] == "memcheck" for row in own)
        print(
            f"check {name}: {len(own) - len(failed)} of {len(own)} cases pass"
            + (f" ({checked} of memory)" if checked else "")
            + f", error at most {worst:.2f} of the allowed"
        )
        for row in failed[:6]:
            where = f" [{row['where']}]" if "where" in row else ""
            print(f"  FAILED {row.get('shape', '')}: {row['reason']}{where}")
    if checks:
        print(f"checks: {len(checks) - failures} passed, {failures} failed")
    return failures


def time_groups(rows: Sequence[Row]) -> dict[tuple, list[Row]]:
    """Timed rows by variant, dtype and size."""
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["kind"] == "time" and "impl" in row:
            key = tuple(row[k] for k in ("variant", "dtype", "D", "B", "H", "Hk", "N"))
            groups.setdefault(key, []).append(row)
    return groups


def ratios(group: Sequence[Row]) -> dict[str, dict[str, float]]:
    """For each of our kernels its speed over that of each other contestant."""
    timed = [row for row in group if "tflops" in row]
    found = {}
    for row in timed:
        if row["impl"].split(":")[0] != "fovea":
            continue
        found[row["impl"]] = {
            other["impl"]: row["tflops"] / other["tflops"]
            for other in timed
            if other["impl"].split(":")[0] != "fovea"
        }
    return found


def walk_bound(row: Row, plain: Row, processors: int) -> float:
    """Milliseconds that a masked kernel may take.

    The sum over query tiles of (visited + a) steps, a = 1.8 (at D 256: 5), over
    0.95; a step as the plain kernel of the same run takes one.
    """
    extra = 5.0 if row["D"] == 256 else 1.8
    heads = row["B"] * row["H"]
    plain_heads = plain["B"] * plain["H"]
    step = plain["ms"] * processors / (plain["visited"] * plain_heads)
    visited = row["visited"] + extra * row["query_tiles"]
    return heads * visited * step / processors / 0.95


def print_times(rows: Sequence[Row]) -> None:
    """Print one line a group: TFLOP/s of each contestant, ratios of ours."""
    groups = time_groups(rows)
    if groups:
        print("TFLOP/s of kept scores, medians of bursts; ours over the others")
    for key, group in groups.items():
        variant, dtype, D, B, H, Hk, N = key
        heads = str(H) if Hk == H else f"{H}/{Hk}"
        title = f"{variant} {dtype} D{D} B{B} H{heads} N{N}"
        parts = []
        for row in group:
            if "error" in row:
                parts.append(f"{row['impl']} failed")
                continue
            text = f"{row['impl']} {row['tflops']:.1f}"
            if "bytes_per_second" in row:
                text += f" ({row['bytes_per_second'] / 1e12:.2f} TB/s)"
            if "sustained_tflops" in row:
                text += f" (sustained {row['sustained_tflops']:.0f})"
            parts.append(text)
        print(f"{title:40s} " + "  ".join(parts))
        for name, others in ratios(group).items():
            text = "  ".join(f"{o} {r:.3f}" for o, r in others.items())
            print(f"{'':40s} {name} over: {text}")
    for row in rows:
        if row["kind"] == "time" and row.get("reason"):
            print(f"time {row['name']}: {row['reason']}")
        elif row["kind"] == "time" and "error" in row:
            print(f"time {row['name']}: {row['impl']}: {row['error']}")
