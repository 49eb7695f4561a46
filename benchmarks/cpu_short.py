"""One row of the CPU benchmark by short samples, on one thread.

On a machine whose processor others use too, the multiply-add rate swings within
milliseconds: hardly a call of ten has the same peak before and after it. So a head's
queries are cut into calls of about a millisecond, each between two probes of a
tenth, all by the processor time of the thread. A sample counts where both probes
are near the best that this process has seen, and so is a product of arrays in the
caches on either side: what shares the core slows loads by half where multiply-adds
in registers keep their rate. Nothing else of this system may run beside it. The
figure is the share of the peak of those calls: what a call costs beside its work is in
it, and what the keys of a head cost is in it once a call.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from bars import Row
from common import Others, Peak, Sample, median, numpy_dtype, random
from cpu_grid import Case
from cpu_measure import (
    QUIET,
    Options,
    begin,
    compare,
    compiled,
    rounded,
    shares_of_dots,
)
from variants import Data, fovea_mods, numpy_mods

__all__ = ["Part", "Probes", "Shorts", "kept_by_row", "measure_short", "parts", "take"]

#: Seconds of a sample, if the machine runs at its best.
WANTED = 1e-3
#: Queries of a call are a multiple of it, but for the last.
STEP = 64
#: Both probes reach this share of the best, both products that share of theirs.
NEAR, NEAR_PRODUCT = 0.96, 0.9
#: Samples that a row needs, in all and of each of its calls.
LEAST, LEAST_OF_PART = 60, 10
#: Seconds that a round takes at least: the system counts processor time in hundredths.
ROUND = 0.2
#: Seconds after which a row that has not enough samples is void.
LONGEST = 40.0


class Part(NamedTuple):
    """Queries of a call, and the operations on the scores that they keep."""

    first: int
    last: int
    operations: float


def kept_by_row(variant: str, length: int) -> np.ndarray:
    """Keys that each query of a head sees."""
    mask = numpy_mods(Data.make(length, np.random.default_rng(0)))[variant][1]
    if mask is None:
        return np.full(length, length)
    keys = np.arange(length)[None, :]
    blocks = np.array_split(np.arange(length)[:, None], math.ceil(length / 256))
    return np.concatenate([mask(0, 0, rows, keys).sum(1) for rows in blocks])


def parts(operations: np.ndarray, most: float) -> list[Part]:
    """Queries of about as many operations together as `most` at most, in order."""
    done = np.concatenate([[0.0], np.cumsum(operations)])
    number = max(1, math.ceil(done[-1] / most - 0.1))
    cuts = np.searchsorted(done, done[-1] * np.arange(1, number) / number)
    cuts = (cuts + STEP // 2) // STEP * STEP
    cuts = np.unique([0, *np.minimum(cuts, len(operations)), len(operations)])
    return [
        Part(int(first), int(last), float(done[last] - done[first]))
        for first, last in pairwise(cuts)
    ]


class Probes:
    """The rates that probes of one kind gave lately, and the best so far."""

    ENOUGH = 500  # samples to tell what few exceed

    def __init__(self, most: int = 10_000) -> None:
        self._samples: deque[Sample] = deque(maxlen=most)
        self.best = 0.0  # GFLOP/s
        self.product = math.inf  # seconds

    def add(self, samples: Sequence[Sample]) -> None:
        """Note the probes of some samples.

        The best is the most that one in twenty exceeded, as some come out too fast;
        of products, which are disturbed more often and judged less strictly, what one
        in a hundred undercut.
        """
        self._samples += samples
        seen = np.array(self._samples)
        rate = float(np.quantile(seen[:, 1:3], 0.95))
        product = float(np.quantile(seen[:, 4], 0.01))
        if len(seen) >= self.ENOUGH:
            rate, product = max(self.best, rate), min(self.product, product)
        self.best, self.product = rate, product

    def bounds(self) -> tuple[float, float]:
        """The least rate of a probe and the most seconds of a product that count."""
        return NEAR * self.best, self.product / NEAR_PRODUCT

    def near(self, sample: Sample) -> bool:
        """Whether the machine ran at its best on either side of a sample, and no
        other thread ran in between and left its own in the caches."""
        least, most = self.bounds()
        calm = min(sample.before, sample.after) >= least and sample.product <= most
        return calm and sample.seconds > 0 and not sample.switches


class Shorts:
    """The peak of one thread, and the probes of each kind so far."""

    PAUSE = 0.05  # seconds: a slow spell may last longer than a burst of probes

    def __init__(self, peak: Peak) -> None:
        self.peak = peak
        self.probes: dict[str, Probes] = {}

    def probes_of(self, kind: str) -> Probes:
        """At first, bursts of probes beside nothing."""
        if kind not in self.probes:
            self.probes[kind] = Probes()
            for _ in range(25):
                self.probes[kind].add([self.peak.sample(kind, int) for _ in range(25)])
                time.sleep(self.PAUSE)
        return self.probes[kind]


def take(
    number: int, sample: Callable[[int], Sample], probes: Probes, seconds: float
) -> list[list[Sample]]:
    """Samples near the best of so many calls in turn, until there are enough.

    After so many seconds, those that there are. Rounds beside other processes do
    not count: what these do to the caches no probe of multiply-adds sees.
    """
    wanted = max(LEAST_OF_PART, math.ceil(LEAST / number))
    taken: list[list[Sample]] = [[] for _ in range(number)]
    until = time.perf_counter() + seconds
    while True:
        near = [[one for one in part if probes.near(one)] for part in taken]
        left = [place for place, found in enumerate(near) if len(found) < wanted]
        if not left or time.perf_counter() > until:
            return near
        others, end = Others(steal=False), time.perf_counter() + ROUND
        fresh = [(place, sample(place)) for place in left for _ in range(5)]
        while time.perf_counter() < end:
            fresh += [(place, sample(place)) for place in left for _ in range(5)]
        alone = others.share() <= QUIET
        probes.add([one for _, one in fresh])
        for place, one in fresh:
            taken[place] += [one] * alone


def of_peak(samples: Sequence[Sequence[Sample]], all_parts: Sequence[Part]) -> float:
    """Share of the peak: operations by what the peak would do meanwhile."""
    possible = sum(
        median(1e9 * one.seconds * (one.before + one.after) / 2 for one in part)
        for part in samples
    )
    return sum(part.operations for part in all_parts) / possible


def measure_short(case: Case, options: Options, shorts: Shorts) -> Row:
    """Compile, check and sample one case; of its heads those that share a key head."""
    row = begin(case, options)
    kind = row["peak_of"] = shorts.peak.kind_of(case.dtype)
    probes = shorts.probes_of(kind)
    heads = case.H // case.Hk
    operations = 4.0 * heads * case.D * kept_by_row(case.variant, case.N)
    most = WANTED * probes.best * 1e9
    whole = max(1, min(case.Hk, int(most / operations.sum())))  # key heads of a call
    work = parts(whole * operations, most)

    rng = np.random.default_rng(0)
    qkv = [
        random((1, whole * number, case.N, case.D), numpy_dtype(case.dtype), rng)
        for number in (heads, 1, 1)
    ]
    data = Data.make(case.N, rng, case.H)
    kernel = compiled(fovea_mods(data)[case.variant], case, row)
    calls = [call_of(kernel, qkv, part) for part in work]
    out = np.concatenate([np.asarray(call()) for call in calls], axis=2)
    row["digest"] = hashlib.sha256(out.tobytes()).hexdigest()[:16]
    row["wrong"] = compare(out, qkv, numpy_mods(data)[case.variant], row)

    others = Others(steal=False)
    samples = take(
        len(calls),
        lambda place: shorts.peak.sample(kind, calls[place], *probes.bounds()),
        probes,
        LONGEST,
    )
    row["others"] = others.share()
    row |= summary(samples, work, whole * heads, probes.best)
    row |= shares_of_dots(row, shorts.peak)
    row["void"] |= bool(row["wrong"])
    return rounded(row)


def call_of(kernel: Any, qkv: Sequence, part: Part) -> Callable[[], Any]:
    """The call on some queries, at their place among all."""
    q, k, v = qkv
    some = q[:, :, part.first : part.last]
    if part.first == 0:
        return lambda: kernel(some, k, v)
    return lambda: kernel(some, k, v, q_offset=part.first)


def summary(
    samples: Sequence[Sequence[Sample]], work: Sequence[Part], heads: int, best: float
) -> Row:
    """The share of the peak, and what it was found from; void where samples lack."""
    wanted = max(LEAST_OF_PART, math.ceil(LEAST / len(work)))
    row: Row = {"void": min(map(len, samples)) < wanted, "peak_gflops": best}
    row["calls"] = {
        "heads": heads,
        "queries": [part.last - part.first for part in work],
    }
    row["fovea_samples"] = sum(map(len, samples))
    if min(map(len, samples)) == 0:
        return row
    row["call_ms"] = 1e3 * median(median(x.seconds for x in part) for part in samples)
    row["fovea_of_peak"] = of_peak(samples, work)
    if min(map(len, samples)) > 1:
        row["fovea_of_peak_halves"] = [
            of_peak([part[first::2] for part in samples], work) for first in (0, 1)
        ]
    return row
