"""What the CPU benchmark measures: grids of cases, keys of rows, bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
from bars import Row, at_least, at_most
from variants import HEADS, NAMES

__all__ = [
    "BARS",
    "GRIDS",
    "METHODS",
    "Bar",
    "Case",
    "find_bars",
    "merge",
    "method_of",
    "pending",
    "row_key",
]


#: How a row is measured: rounds of all contestants, or short samples of Fovea alone
#: on one thread. What one gives says nothing of the other.
METHODS = ("rounds", "short")


class Case(NamedTuple):
    """One shape of one variant."""

    variant: str
    dtype: str
    D: int
    N: int
    H: int = HEADS
    Hk: int = HEADS

    def __str__(self) -> str:
        heads = f" heads {self.H}/{self.Hk}" if self.Hk != self.H else ""
        return f"{self.dtype} D{self.D} N{self.N}{heads} {self.variant}"


class Bar(NamedTuple):
    """Least value of a measure of a case, on one core and on all."""

    measure: str  # of_peak, over_sdpa or over_flex
    case: Case
    least: float


def _bars(
    measure: str,
    dtype: str,
    variants: str,
    least: Mapping[int, float],
    length: int = 2048,
) -> Iterator[Bar]:
    for dim, value in least.items():
        for variant in variants.split():
            yield Bar(measure, Case(variant, dtype, dim, length), value)


#: By share of the multiply-add peak (of f16: that of f32), then over torch.
#: Cases are measured in this order.
BARS: tuple[Bar, ...] = tuple(
    chain(
        _bars("of_peak", "float32", "noop", {64: 0.86, 128: 0.88}),
        _bars("of_peak", "float32", "causal", {64: 0.82, 128: 0.84}),
        _bars("of_peak", "bfloat16", "noop", {64: 0.78, 128: 0.82}),
        _bars("of_peak", "bfloat16", "causal", {64: 0.75, 128: 0.78}),
        _bars(
            "of_peak",
            "float32",
            "window1024 prefix document document_causal",
            {64: 0.80, 128: 0.83},
        ),
        _bars("of_peak", "float32", "alibi_causal table_causal", {64: 0.79, 128: 0.82}),
        _bars("of_peak", "float32", "softcap_causal", {64: 0.74, 128: 0.80}),
        _bars("of_peak", "bfloat16", "alibi_causal window1024", {64: 0.73, 128: 0.78}),
        _bars("of_peak", "bfloat16", "softcap_causal", {64: 0.65, 128: 0.72}),
        _bars("of_peak", "float32", "noop", {64: 0.80, 128: 0.80}, 512),
        _bars("of_peak", "float32", "causal", {64: 0.70, 128: 0.70}, 512),
        _bars("of_peak", "float16", "noop", {64: 0.84, 128: 0.88}),
        _bars("of_peak", "float32", "noop", {32: 0.82, 96: 0.86, 256: 0.88}),
        _bars("of_peak", "float32", "causal", {64: 0.85, 128: 0.87}, 4096),
        _bars("over_sdpa", "float32", "noop", {64: 1.2, 128: 1.2}),
        _bars("over_sdpa", "float32", "causal", {64: 1.4, 128: 1.4}),
        _bars("over_sdpa", "bfloat16", "noop", {64: 2.2, 128: 2.2}),
        _bars("over_sdpa", "bfloat16", "causal", {64: 2.6, 128: 2.6}),
        _bars("over_flex", "float32", " ".join(NAMES), {64: 2.0, 128: 1.7}),
        _bars("over_flex", "bfloat16", " ".join(NAMES), {64: 4.8, 128: 4.8}),
    )
)
#: What all cores may lose beside one, as shares of the peak.
SCALING = 0.02
#: Seconds of a compilation that no cache helps.
COMPILE = 0.150
#: Nanoseconds of a score beside its products, and what they are found from: the
#: time of these head dims is a line over them, and this is where it begins.
BESIDE_PRODUCTS = 0.15
DIMS = (32, 64, 96, 128)


def _bars_grid() -> list[Case]:
    return list(dict.fromkeys(bar.case for bar in BARS))


def _full_grid() -> list[Case]:
    """Every variant at N 2048; what length and heads change on fewer."""
    heads = {32: 16, 64: 8, 96: 8, 128: 8, 256: 4}
    wide = ("float32", "bfloat16")
    cases = _bars_grid()
    for dtype, dim, name in product(wide, (64, 128, 32, 256), NAMES):
        cases.append(Case(name, dtype, dim, 2048, heads[dim], heads[dim]))
    for dtype, dim, length, name in product(
        wide, (64, 128), (512, 1024, 4096, 8192), ("noop", "causal", "window1024")
    ):
        cases.append(Case(name, dtype, dim, length))
    for dtype, dim, name in product(
        wide, (64, 128), ("noop", "causal", "alibi_causal")
    ):
        cases.append(Case(name, dtype, dim, 2048, 8, 2))
    cases.append(Case("noop", "bfloat16", 96, 2048))
    cases += [Case("causal", dtype, 64, 16384) for dtype in wide]
    return list(dict.fromkeys(cases))


GRIDS: dict[str, list[Case]] = {"bars": _bars_grid(), "full": _full_grid()}


def row_key(row: Mapping[str, Any]) -> tuple:
    """What tells a row from another: the case and the number of threads."""
    return (*(row[name] for name in Case._fields), row["threads"])


def method_of(rows: Iterable[Row]) -> str:
    """How all of some rows were measured; ValueError where not in one way.

    Rows that do not say it are of rounds.
    """
    found = {row.get("method", METHODS[0]) for row in rows} or {METHODS[0]}
    if len(found) > 1:
        raise ValueError(f"rows by {' and '.join(sorted(found))} do not mix")
    return found.pop()


def merge(old: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """Rows of both; of two with the same key the later, unless it alone is void."""
    both = [*old, *new]
    method_of(both)
    rows: dict[tuple, Row] = {}
    for row in both:
        before = rows.get(row_key(row))
        if before is None or before["void"] or not row["void"]:
            rows[row_key(row)] = row
    return [
        row | {"void": True} if _in_slow_spell(row, both) else row
        for row in rows.values()
    ]


#: Rows of short samples whose best probes are below so much of others' are void.
NEAR_OTHERS = 0.95


def _in_slow_spell(row: Row, rows: Iterable[Row]) -> bool:
    """Whether all that a row saw was slow: short samples are not judged beside
    another contestant, who would have been as slow."""
    if row.get("method") != "short":
        return False
    rates = [one["peak_gflops"] for one in rows if one["peak_of"] == row["peak_of"]]
    return row["peak_gflops"] < NEAR_OTHERS * max(rates)


def pending(
    rows: Iterable[Row], cases: Sequence[Case], threads: Sequence[int], build: str
) -> list[tuple[Case, int]]:
    """What to measure: what is missing, then what is void, then what another
    build gave."""
    have = {row_key(row): row for row in rows}
    found: list[list[tuple[Case, int]]] = [[], [], []]
    for case, count in product(cases, threads):
        row = have.get((*case, count))
        if row is None:
            found[0].append((case, count))
        elif row["void"]:
            found[1].append((case, count))
        elif row["build"] != build:
            found[2].append((case, count))
    return [one for part in found for one in part]


def value_of(measure: str, row: Row) -> float | None:
    """Share of the peak, or how many times faster than a peer."""
    if row["void"]:
        return None
    if measure == "of_peak":
        return row.get("fovea_of_peak")
    peer = row.get(measure.removeprefix("over_") + "_ms")
    return peer and round(peer / row["fovea_ms"], 3)


def why_none(measure: str, row: Row | None) -> str:
    """Why a measure of a row has no value."""
    if row is None:
        return "not measured"
    if row["wrong"]:
        return f"wrong: {row['wrong']}"
    if row["void"] and row.get("method") == "short":
        samples = f"{row['fovea_samples']} samples at {row['peak_gflops']:.0f} GFLOP/s"
        return f"void: {samples}, others took {row['others']:.0%} of the processors"
    if row["void"]:
        return f"void: others took {row['others']:.0%} of the processors"
    peer = measure.removeprefix("over_")
    return row.get(f"{peer}_error") or f"no {peer} here"


def beside_products(rows: Iterable[Row]) -> float | None:
    """Nanoseconds that a score costs whatever the head dim, of plain attention:
    exp2 and maximum, storing and loading scores."""
    have = {row_key(row): row for row in rows}
    points = []
    for dim in DIMS:
        row = have.get((*Case("noop", "float32", dim, 2048), 1))
        if row is None or row["void"]:
            return None
        points.append(row["fovea_ms"] * 1e6 / (row["H"] * row["N"] ** 2))
    return round(float(np.polyfit(DIMS, points, 1)[1]), 4)


#: Whose peak a share is of, where it is not that of a type's own instructions.
PEAKS = {"f32": "of f32's peak", "amx": "of the peak of tiles"}


def _measure_name(measure: str, case: Case, row: Row | None, method: str) -> str:
    """A measure, and what its figure rests on where that differs by machine."""
    name = measure.replace("_", " ")
    if measure == "of_peak":
        if row is not None and case.dtype == "bfloat16":
            name = PEAKS.get(row["peak_of"], name)
        name += ", short samples" * (method == "short")
    return name


def find_bars(rows: Sequence[Row]) -> list[Row]:
    """Every bar, on one core and on as many as the rows have most.

    Short samples are of Fovea alone on one core: the other bars have no value.
    """
    method = method_of(rows)
    have = {row_key(row): row for row in rows}
    counts = sorted({1, *(row["threads"] for row in rows)})
    counts = list(dict.fromkeys((counts[0], counts[-1])))
    found = []
    for measure, case, least in BARS:
        if method == "short" and measure != "of_peak":
            continue
        values = []
        for count in counts:
            row = have.get((*case, count))
            values.append(row and value_of(measure, row))
            what = _measure_name(measure, case, row, method)
            bar = at_least(f"{case} {what}, threads {count}", values[-1], least)
            if values[-1] is None:
                bar["note"] = why_none(measure, row)
            elif measure == "of_peak" and "fovea_of_dots" in row:
                bar["of_dots"] = row["fovea_of_dots"]
            found.append(bar)
        if measure == "of_peak" and len(values) == 2:
            loss = None if None in values else round(values[0] - values[1], 4)
            name = f"{case} of peak, lost from one core to all"
            found.append(at_most(name, loss, SCALING))
    return found + _bars_of_all(rows, method)


def _bars_of_all(rows: Sequence[Row], method: str) -> list[Row]:
    """Compilations, and the same result for any number of threads."""
    compiled = [row["fovea_compile_s"] for row in rows if not row["void"]]
    longest = at_most(
        "compilation, longest s", max(compiled) if compiled else None, COMPILE
    )
    if method == "short":
        return [longest]
    digests: dict[tuple, list[str]] = {}
    for row in rows:
        digests.setdefault((*row_key(row)[:-1], row["build"]), []).append(row["digest"])
    compared = [found for found in digests.values() if len(found) > 1]
    differing = sum(len(set(found)) > 1 for found in compared)
    return [
        at_most(
            f"float32 N2048 noop, exp2 and maximum, ns a score (D {DIMS[0]} to "
            f"{DIMS[-1]} carried on to 0), threads 1",
            beside_products(rows),
            BESIDE_PRODUCTS,
        ),
        longest,
        at_most(
            "results that differ with the number of threads",
            differing if compared else None,
            0,
        ),
    ]
