"""Short samples: which calls, which of them count, what they come to."""

import itertools
import time

import numpy as np
import pytest
from benchmark_rows import row_of, short_row


@pytest.fixture
def short(module, monkeypatch):
    found = module("cpu_short")
    monkeypatch.setattr(found.Shorts, "PAUSE", 0)
    monkeypatch.setattr(found, "Others", Nobody)
    monkeypatch.setattr(found, "ROUND", 0)
    return found


class Nobody:
    """No other process runs."""

    def __init__(self, steal):
        assert not steal

    def share(self):
        return 0.01


@pytest.mark.parametrize("length", [1, 7, 300, 1500])
def test_rows_keep_what_the_variant_keeps(module, short, length):
    variants = module("variants")
    for name in variants.NAMES:
        rows = short.kept_by_row(name, length)
        assert rows.shape == (length,)
        assert rows.sum() == variants.kept(name, length), name


def test_queries_are_cut_into_calls_of_like_work(short):
    even = short.parts(np.full(2048, 10.0), 2048 * 10 / 4)
    assert [part[:2] for part in even] == [
        (0, 512), (512, 1024), (1024, 1536), (1536, 2048),
    ]  # fmt: skip
    assert {part.operations for part in even} == {5120}
    causal = short.parts(np.arange(1.0, 2049), 2049 * 1024 / 4)
    cuts = [0, *(part.last for part in causal)]
    assert cuts == [0, 1024, 1472, 1792, 2048]
    assert sum(part.operations for part in causal) == 2049 * 1024
    # A call that lasts a tenth longer is better than two halves.
    assert len(short.parts(np.full(640, 10.0), 640 * 10 / 1.1)) == 1
    assert len(short.parts(np.full(640, 10.0), 640 * 10 / 1.2)) == 2
    # No call is shorter than a step, nor are there calls of nothing.
    assert [part[:2] for part in short.parts(np.ones(100), 1.0)] == [(0, 64), (64, 100)]
    assert short.parts(np.ones(8), 100.0) == [(0, 8, 8.0)]


def sample(module, share, before=100.0, after=100.0):
    """Of a call of 1e9 operations."""
    rate = (before + after) / 2
    return module("common").Sample(1 / (share * rate), before, after)


def test_the_best_is_no_single_probe(module, short):
    probes = short.Probes()
    probes.add([sample(module, 0.5)] * 300 + [sample(module, 0.5, 50.0, 130.0)] * 2)
    assert probes.best == 100
    assert probes.near(sample(module, 0.5, 96.5, 120.0))
    assert not probes.near(sample(module, 0.5, 100.0, 95.0))
    assert not probes.near(sample(module, 0.5)._replace(switches=1))
    assert not probes.near(sample(module, 0.5)._replace(seconds=0.0))
    # What slows loads does not show in multiply-adds.
    probes.add([sample(module, 0.5)._replace(product=2.0)] * 10_000)
    assert probes.best == 100 and probes.product == 0
    loads = short.Probes()
    loads.add([sample(module, 0.5)._replace(product=2.0)] * 600)
    loads.add([sample(module, 0.5)._replace(product=1.0)] * 20)
    assert loads.product == 1
    assert loads.bounds() == pytest.approx((96, 1 / 0.9))
    assert loads.near(sample(module, 0.5)._replace(product=1.11))
    assert not loads.near(sample(module, 0.5)._replace(product=1.12))
    # A spell of slow probes, however long, does not lower it; one of few is no spell.
    probes.add([sample(module, 0.5, 60.0, 60.0)] * 10_000)
    assert probes.best == 100
    probes.add([sample(module, 0.5, 110.0, 110.0)] * 600)
    assert probes.best == 110
    few = short.Probes()
    few.add([sample(module, 0.5, 130.0, 130.0)])
    few.add([sample(module, 0.5)] * 490)
    assert few.best == 100


def test_samples_are_taken_until_each_call_has_enough(module, short):
    calm, stirred = sample(module, 0.8), sample(module, 0.6, 100.0, 60.0)
    log = []

    def take(place):
        log.append(place)
        return stirred if place and len(log) % 3 else calm

    near = short.take(2, take, short.Probes(), 10.0)
    assert [{*part} for part in near] == [{calm}, {calm}]
    assert [len(part) for part in near] == [30, 30]
    assert log[:10] == [0] * 5 + [1] * 5
    # A call that has enough waits for the others; many calls need ten each.
    assert log.count(0) == 30 and log.count(1) > 60
    near = short.take(12, lambda place: calm, short.Probes(), 10.0)
    assert {len(part) for part in near} == {10}
    # Where nothing is calm, time ends it; what counted by an earlier best does not.
    rates = itertools.count(10)
    near = short.take(
        1, lambda place: sample(module, 0.8, next(rates), 5.0), short.Probes(), 0.05
    )
    assert near == [[]]


def test_rounds_beside_other_processes_do_not_count(module, short, monkeypatch):
    shares = iter([0.5, 0.04, 0.06, *[0.05] * 20])
    monkeypatch.setattr(Nobody, "share", lambda self: next(shares))
    disturbed, calm = sample(module, 0.4), sample(module, 0.8)
    count = itertools.count()

    def take(place):
        return calm if next(count) // 5 not in (0, 2) else disturbed

    (near,) = short.take(1, take, short.Probes(), 10.0)
    assert near == [calm] * 60
    # A round lasts long enough for the system's clock to tell.
    monkeypatch.setattr(short, "ROUND", 0.05)
    shares, start = iter([0.0]), time.perf_counter()
    slow = lambda place: time.sleep(1e-4) or calm
    (near,) = short.take(1, slow, short.Probes(), 10.0)
    assert len(near) >= 60 and time.perf_counter() - start >= 0.05


def test_a_share_is_that_of_all_calls(module, short):
    work = [short.Part(0, 64, 1e9), short.Part(64, 128, 1e9)]
    # Medians: one call at .8 of the peak, one at .4: together 2 in 3.75.
    samples = [
        [sample(module, share) for share in (0.8, 0.8, 0.1)],
        [sample(module, share, 96.0, 98.0) for share in (0.4, 0.4, 0.9)],
    ]
    assert short.of_peak(samples, work) == pytest.approx(2 / (1 / 0.8 + 1 / 0.4))
    row = short.summary(samples, work, 3, 100.0)
    assert row["void"] and row["fovea_samples"] == 6 and row["peak_gflops"] == 100
    assert row["calls"] == {"heads": 3, "queries": [64, 64]}
    assert row["fovea_of_peak"] == pytest.approx(2 / 3.75)
    row = short.summary([part * 10 for part in samples], work, 3, 100.0)
    assert not row["void"]
    assert row["fovea_of_peak_halves"] == pytest.approx([2 / 3.75] * 2)
    row = short.summary([samples[0], []], work, 1, 100.0)
    assert row["void"] and "fovea_of_peak" not in row


class FakePeak:
    """A machine on which every call takes a millisecond."""

    def __init__(self, module, kinds, rate):
        self.module, self.kinds, self.rate = module, kinds, rate

    def has(self, kind):
        return kind in self.kinds

    def kind_of(self, dtype):
        return "amx" if dtype == "bfloat16" and self.has("amx") else "f32"

    def ratio(self, kind, other):
        assert (kind, other) == ("amx", "bf16")
        return 8.0

    def sample(self, kind, call, least=0, most=0):
        assert self.rate >= least and most >= 0
        call()
        return self.module("common").Sample(1e-3, self.rate, self.rate)


@pytest.mark.parametrize("variant", ["noop", "alibi_causal", "document"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_parts_of_a_head_are_judged_and_counted(module, short, variant, dtype):
    measure, grid = module("cpu_measure"), module("cpu_grid")
    case = grid.Case(variant, dtype, 16, 320, 4, 2)
    scores = module("variants").kept(variant, 320)
    rate = 4 * 2 * 16 * scores / 3e-3 / 1e9  # a group of two heads takes 3 ms
    kinds = {"f32", "bf16", "amx"}
    shorts = short.Shorts(FakePeak(module, kinds, rate))
    row = short.measure_short(case, measure.Options(1, 7, (), "short"), shorts)
    assert row["method"] == "short" and row["threads"] == 1
    assert row["wrong"] == "" and not row["void"] and row["error"] > 0
    queries = row["calls"]["queries"]
    assert row["calls"]["heads"] == 2 and len(queries) == 3 and sum(queries) == 320
    assert row["fovea_of_peak"] == pytest.approx(1, rel=1e-3)
    assert row["call_ms"] == 1 and row["fovea_samples"] == 60
    if dtype == "bfloat16":
        assert row["peak_of"] == "amx" and row["fovea_of_dots"] == pytest.approx(8)
    else:
        assert row["peak_of"] == "f32" and "fovea_of_dots" not in row
    # Where a head takes less than a millisecond, a call is of several.
    shorts = short.Shorts(FakePeak(module, kinds, 8 * rate))
    row = short.measure_short(case, measure.Options(1, 7, (), "short"), shorts)
    assert row["calls"] == {"heads": 4, "queries": [320]}


def test_a_wrong_result_is_void(module, short, monkeypatch):
    measure, grid = module("cpu_measure"), module("cpu_grid")
    case = grid.Case("causal", "float32", 16, 64)
    monkeypatch.setattr(short, "compare", lambda *arguments: "row 3 is off")
    shorts = short.Shorts(FakePeak(module, {"f32"}, 100.0))
    row = short.measure_short(case, measure.Options(1, 7, (), "short"), shorts)
    assert row["void"] and row["wrong"] == "row 3 is off"


def test_bars_say_what_their_shares_are_of(module, capsys):
    grid = module("cpu_grid")
    noop = grid.Case("noop", "bfloat16", 64, 2048)
    of = "bfloat16 D64 N2048 noop of"

    def names(row):
        found = grid.find_bars([row])
        return {bar["bar"]: bar for bar in found if bar["bar"].startswith(of)}

    shown = {"fovea_of_peak": 0.9}
    assert [*names(row_of(noop, **shown, peak_of="bf16"))] == [f"{of} peak, threads 1"]
    assert [*names(row_of(noop, **shown, peak_of="f32"))] == [
        f"{of} f32's peak, threads 1"
    ]
    tiles = names(row_of(noop, **shown, peak_of="amx", fovea_of_dots=2.5))
    (bar,) = tiles.values()
    assert bar["bar"] == f"{of} the peak of tiles, threads 1" and bar["of_dots"] == 2.5
    module("bars").print_bars([bar])
    assert "0.900 (>= 0.78; of dot products' 2.500) holds" in capsys.readouterr().out
    assert [*names(short_row(noop))] == [f"{of} f32's peak, short samples, threads 1"]
    # A type that has no vectors of its own is of f32's anyway.
    half = grid.Case("noop", "float16", 64, 2048)
    found = grid.find_bars([row_of(half, peak_of="f32")])
    assert "float16 D64 N2048 noop of peak, threads 1" in {x["bar"] for x in found}


def test_bars_of_short_samples(module):
    grid = module("cpu_grid")
    noop, causal = (grid.Case(name, "float32", 64, 2048) for name in ("noop", "causal"))
    rows = [short_row(noop), short_row(causal, void=True, fovea_samples=7)]
    found = {bar["bar"]: bar for bar in grid.find_bars(rows)}
    shares = [bar for bar in grid.BARS if bar.measure == "of_peak"]
    assert len(found) == len(shares) + 1
    bar = found["float32 D64 N2048 noop of peak, short samples, threads 1"]
    assert bar["value"] == 0.87 and bar["holds"]
    bar = found["float32 D64 N2048 causal of peak, short samples, threads 1"]
    assert bar["value"] is None and bar["note"] == (
        "void: 7 samples at 100 GFLOP/s, others took 0% of the processors"
    )
    assert found["compilation, longest s"]["value"] == 0.1


def test_a_row_of_a_slow_spell_is_void(module):
    grid = module("cpu_grid")
    cases = [grid.Case(name, "float32", 64, 8) for name in "abc"]
    rows = [
        short_row(case, peak_gflops=rate)
        for case, rate in zip(cases, (60.0, 96.0, 100.0), strict=True)
    ]
    rows.append(short_row(cases[0]._replace(dtype="x"), peak_of="amx", peak_gflops=9.0))
    merged = grid.merge(rows, [])
    assert [row["void"] for row in merged] == [True, False, False, False]
    assert grid.pending(merged, cases, [1], "a") == [(cases[0], 1)]
    # The peak of rounds is that of many threads, and of what stands beside it.
    rows = [
        row_of(case, peak_gflops=rate)
        for case, rate in zip(cases, (1, 9, 9), strict=True)
    ]
    assert not any(row["void"] for row in grid.merge(rows, []))


def test_methods_do_not_mix(module, tmp_path):
    grid, cpu, common = (module(name) for name in ("cpu_grid", "cpu", "common"))
    noop = grid.Case("noop", "float32", 64, 2048)
    assert grid.method_of([]) == grid.method_of([row_of(noop)]) == "rounds"
    assert grid.method_of([short_row(noop)]) == "short"
    for mix in (grid.find_bars, lambda rows: grid.merge(rows[:1], rows[1:])):
        with pytest.raises(ValueError, match="rows by rounds and short do not mix"):
            mix([row_of(noop), short_row(noop)])
    file = tmp_path / "cpu.json"
    common.save_json(file, {"rows": [short_row(noop)]})
    words = ["--resume", "--json", str(file)]
    with pytest.raises(ValueError, match="rows by short and rounds do not mix"):
        cpu.load(cpu.arguments(words))
    assert cpu.load(cpu.arguments([*words, "--samples", "short"]))
    assert cpu.load(cpu.arguments(["--show", "--json", str(file)]))


def test_short_samples_are_of_fovea_alone_on_one_thread(module, capsys):
    cpu = module("cpu")
    given = cpu.arguments(["--samples", "short"])
    assert given.threads == [1] and given.peers == []
    assert given.json.name == "cpu-short.json"
    given = cpu.arguments([])
    assert given.json.name == "cpu.json" and given.peers == ["flex", "sdpa", "numpy"]
    assert given.threads[0] == 1
    for words in ("--threads 2", "--rounds 3", "--peers sdpa"):
        with pytest.raises(SystemExit):
            cpu.arguments(["--samples", "short", *words.split()])
        option = words.split()[0]
        message = f"argument {option}: short samples are of Fovea alone on one thread"
        assert message in capsys.readouterr().err


def test_a_table_of_short_samples(module):
    cpu, grid = module("cpu"), module("cpu_grid")
    table = cpu.shown([short_row(grid.Case("noop", "float32", 64, 2048))])
    cells = [next(iter(column.cells)) for column in table.columns]
    assert cells[:9] == ["float32", "64", "2048", "8", "noop", "1", "", "87.0%", ""]
