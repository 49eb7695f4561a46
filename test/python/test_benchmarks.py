"""The benchmarks' bookkeeping; nothing is timed here."""

import itertools
import json
import os
import time

import numpy as np
import pytest
from benchmark_rows import MACHINE, row_of

import fovea


@pytest.mark.parametrize("length", [1, 7, 64, 1500])
def test_kept_counts_the_visible_pairs(module, length):
    variants = module("variants")
    data = variants.Data.make(length, np.random.default_rng(0))
    for name, (_, mask_mod) in variants.fovea_mods(data).items():
        seen = length**2
        if mask_mod is not None:
            seen = fovea.create_mask(mask_mod, 1, 1, length, length).sum()
        assert variants.kept(name, length) == seen, name


def test_arrays_are_aligned(module):
    common = module("common")
    for dtype in ("float32", "bfloat16"):
        array = common.aligned((3, 5), common.numpy_dtype(dtype))
        assert array.ctypes.data % 64 == 0
        assert array.shape == (3, 5)


def test_peak_growth_sees_what_is_used_and_freed(module):
    common = module("common")
    # 64 MiB: above the largest block that malloc keeps for itself once freed.
    grown = common.peak_growth(lambda: np.ones(1 << 23).sum())
    assert 62 << 20 <= grown <= 112 << 20
    assert common.peak_growth(lambda: None) < 4 << 20


def test_a_forked_child_answers_or_gives_none(module):
    in_fork = module("common").in_fork
    assert in_fork(lambda: [1, 2]) == [1, 2]
    assert in_fork(lambda: os._exit(3)) is None
    assert in_fork(lambda: time.sleep(60), 0.01) is None


def test_others_are_seen_and_this_process_is_not(module, monkeypatch):
    common = module("common")
    clock = {"wall": 5.0, "own": 2.0, "ticks": "cpu  10 0 10 700 9 0 0 80 0 0\ncpu0"}
    monkeypatch.setattr(common.time, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(common.time, "process_time", lambda: clock["own"])
    monkeypatch.setattr(common.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(common.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(common.Path, "read_text", lambda path: clock["ticks"])
    others = common.Others()
    assert others.share() == 0
    # Two seconds later: 4 s of work, 1.5 s of it here, and 0.5 s taken by the host.
    clock |= {"wall": 7.0, "own": 3.5, "ticks": "cpu  310 0 110 900 9 0 0 130 0 0"}
    assert others.share() == pytest.approx((4.5 - 1.5) / 8)
    clock |= {"wall": 5.0, "own": 2.0, "ticks": "cpu  10 0 10 700 9 0 0 80 0 0\ncpu0"}
    others = common.Others(steal=False)
    clock |= {"wall": 7.0, "own": 3.5, "ticks": "cpu  310 0 110 900 9 0 0 130 0 0"}
    assert others.share() == pytest.approx((4.0 - 1.5) / 8)


def test_a_row_is_void_where_the_probe_moved(module):
    measure = module("cpu_measure")
    calm = [measure.Sample(0.5, 100.0, 98.0)] * 3
    stirred = [measure.Sample(0.9, 100.0, 90.0), measure.Sample(0.9, 60.0, 60.0)]
    row = measure.summary({"fovea": calm + stirred, "flex": calm}, 33e9)
    assert not row["void"] and row["peak_gflops"] == 100
    assert (row["fovea_samples"], row["fovea_ms"], row["flex_ms"]) == (3, 500, 500)
    assert row["fovea_gflops"] == 66
    assert row["fovea_of_peak"] == pytest.approx(66 / 99)
    assert row["peak_spread"] == pytest.approx(0.4)
    row = measure.summary({"fovea": calm, "flex": calm[:2] + stirred}, 33e9)
    assert row["void"] and row["fovea_samples"] == 3
    assert not measure.summary({"fovea": calm[:2]}, 33e9, 2)["void"]
    # Without a compiler there is no probe.
    row = measure.summary({"fovea": [measure.Sample(0.5, 0.0, 0.0)] * 3}, 33e9)
    assert not row["void"] and "fovea_of_peak" not in row


def test_contestants_take_turns_until_each_has_enough(module):
    measure = module("cpu_measure")
    log, probes = [], iter([9.0, 9.0, 5.0, *[9.0] * 50])
    runs = {
        name: lambda name=name: log.append(name) or time.sleep(0.03) for name in "ab"
    }
    samples = measure.take_rounds(runs, {"a": 3, "b": 1}, lambda: next(probes))
    assert "".join(log[2:]) == "ababaa"[: len(log) - 2]
    assert [len(samples[name]) for name in "ab"] == [3, 2]
    # Where nothing is steady all stop after three times as many rounds.
    rates = itertools.cycle([1.0, 2.0])
    samples = measure.take_rounds(runs, {"a": 2, "b": 2}, lambda: next(rates))
    assert [len(samples[name]) for name in "ab"] == [6, 6]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_formulas_of_the_benchmark_agree_with_fovea(module, dtype):
    """The contestant in NumPy, and the judge that must see what is wrong."""
    measure, variants, common = (
        module(name) for name in ("cpu_measure", "variants", "common")
    )
    rng = np.random.default_rng(0)
    kind = common.numpy_dtype(dtype)
    qkv = [common.random((1, h, 40, 16), kind, rng) for h in (4, 2, 2)]
    data = variants.Data.make(40, rng, 4)
    for name, mods in variants.fovea_mods(data).items():
        ours = np.array(fovea.attention(*qkv, *mods))
        numpy_mods = variants.numpy_mods(data)[name]
        row = {}
        assert measure.compare(ours, qkv, numpy_mods, row) == "", name
        assert 0 < row["error"] < (1e-5 if dtype == "float32" else 2e-2)
        if dtype == "float32":
            theirs = measure.numpy_attention(qkv, numpy_mods)
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
        ours[0, 1, 39] *= 1.5
        assert measure.compare(ours, qkv, numpy_mods, row) != "", name


def test_grids_hold_every_bar_once(module):
    grid = module("cpu_grid")
    for cases in grid.GRIDS.values():
        assert len(set(cases)) == len(cases)
        assert {bar.case for bar in grid.BARS} <= set(cases)
    assert {bar.case for bar in grid.BARS} == set(grid.GRIDS["bars"])
    assert len({(bar.measure, bar.case) for bar in grid.BARS}) == len(grid.BARS)
    full = grid.GRIDS["full"]
    assert {case.D for case in full} == {32, 64, 96, 128, 256}
    assert {case.N for case in full} == {512, 1024, 2048, 4096, 8192, 16384}
    assert any(case.Hk < case.H for case in full)
    variants = module("variants")
    assert {case.variant for case in full} == set(variants.NAMES)


def test_options_choose_cases(module):
    cpu = module("cpu")
    cases = cpu.arguments(
        ["--grid", "bars", "--only", "causal", "--lengths", "512"]
    ).cases
    assert [str(case) for case in cases] == [
        "float32 D64 N512 causal",
        "float32 D128 N512 causal",
    ]
    words = ["--dtypes", "float16", "--head-dims", "32", "80", "--heads", "8/2"]
    given = cpu.arguments([*words, "--only", "noop", "--threads", "2"])
    assert given.threads == [2]
    assert [str(case) for case in given.cases] == [
        "float16 D32 N2048 heads 8/2 noop",
        "float16 D80 N2048 heads 8/2 noop",
    ]
    assert cpu.arguments([]).cases == module("cpu_grid").GRIDS["bars"]
    quick = cpu.arguments(["--quick", "--no-torch"])
    assert len(quick.cases) == 20 and quick.peers == ["numpy"]


@pytest.mark.parametrize(
    "words, message",
    [
        ("--budget nan", "must be a finite number of seconds above 0, got 'nan'"),
        ("--budget 0", "must be a finite number of seconds above 0, got '0'"),
        ("--budget soon", "must be a finite number of seconds above 0, got 'soon'"),
        ("--threads 0", "must be an int of at least 1, got '0'"),
        ("--threads 2 -1", "must be an int of at least 1, got '-1'"),
        ("--rounds 0", "must be an int of at least 1, got '0'"),
        ("--lengths 512 -5", "must be an int of at least 1, got '-5'"),
        ("--lengths 1e3", "must be an int of at least 1, got '1e3'"),
        ("--head-dims 600", "must be an int within 1 to 512, got '600'"),
        ("--dtypes int8", "invalid choice: 'int8' (choose from"),
        ("--samples long", "invalid choice: 'long' (choose from"),
        ("--only zzz", "must be in the name of a variant (noop, causal,"),
    ]
    + [
        (
            f"--heads {text}",
            f"must be H or H/HK, ints of at least 1, H a multiple of HK, got {text!r}",
        )
        for text in ("a/b", "3/2", "0", "8/0", "8/", "-4/-2")
    ],
)
def test_options_that_mean_nothing_are_refused(module, capsys, words, message):
    # As one word: a value may begin with a dash.
    option, first, *more = words.split()
    with pytest.raises(SystemExit) as left:
        module("cpu").arguments([f"{option}={first}"] if not more else words.split())
    assert left.value.code == 2
    assert f"error: argument {option}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        ("--groups 0", "must be an int of at least 1, got '0'"),
        ("--batches -2", "must be an int of at least 1, got '-2'"),
        ("--lengths 0", "must be an int of at least 1, got '0'"),
        ("--threads 0", "must be an int of at least 1, got '0'"),
        ("--most-bytes 0", "must be an int of at least 1, got '0'"),
        ("--seconds nan", "must be a finite number of seconds above 0, got 'nan'"),
        ("--dtypes int8", "invalid choice: 'int8' (choose from"),
        ("--layouts rows", "invalid choice: 'rows' (choose from"),
    ],
)
def test_options_of_decode_that_mean_nothing_are_refused(
    module, capsys, words, message
):
    option, value = words.split()
    with pytest.raises(SystemExit) as left:
        module("decode").arguments([f"{option}={value}"])
    assert left.value.code == 2
    assert f"error: argument {option}: {message}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "scale"),
    [("32768K\n", 1), ("131072K\n", 1), ("307200K\n", 3), ("a cache\n", 1), (None, 1)],
)
def test_decode_reads_more_than_the_last_cache_holds(module, tmp_path, text, scale):
    size = tmp_path / "size"
    if text is not None:
        size.write_text(text)
    assert module("decode").scale_of_cache(size) == scale


def test_quick_leaves_what_is_given(module):
    decode = module("decode")
    quick = decode.arguments(["--quick", "--lengths", "256"])
    assert (quick.lengths, quick.batches, quick.seconds) == ([256], [1], 0.5)
    usual = decode.arguments(["--seconds", "1"])
    assert (usual.lengths, usual.batches) == ([8192, 65536], [1, 16])
    assert usual.seconds == 1


def test_options_that_leave_no_case_are_refused(module, capsys):
    with pytest.raises(SystemExit) as left:
        module("cpu").arguments(["--grid", "bars", "--lengths", "513"])
    assert left.value.code == 2
    assert "error: no case is left: none has all" in capsys.readouterr().err


def test_a_run_goes_on_where_it_was_cut(module):
    """What is missing comes first, then what is void, then other builds' rows."""
    grid = module("cpu_grid")
    a, b, c, d = (grid.Case(name, "float32", 64, 8) for name in "abcd")
    rows = [row_of(a), row_of(b, void=True), row_of(c, build="old")]
    assert grid.pending(rows, [a, b, c, d], [1], "a") == [(d, 1), (b, 1), (c, 1)]
    assert grid.pending(rows, [a], [1, 2], "a") == [(a, 2)]
    # A void row does not take a good one's place.
    rows = grid.merge(
        rows, [row_of(a, void=True, fovea_ms=9.0), row_of(b, fovea_ms=3.0)]
    )
    assert [(row["variant"], row["fovea_ms"], row["void"]) for row in rows] == [
        ("a", 2.0, False),
        ("b", 3.0, False),
        ("c", 2.0, False),
    ]


def test_bars_of_the_cpu(module):
    grid = module("cpu_grid")
    noop = grid.Case("noop", "float32", 64, 2048)
    rows = [row_of(noop, fovea_of_peak=0.88, flex_ms=6.0, sdpa_ms=2.0)]
    rows.append(row_of(noop, 2, fovea_of_peak=0.85, flex_ms=3.0, digest="y"))
    found = {bar["bar"]: bar for bar in grid.find_bars(rows)}
    name = "float32 D64 N2048 noop"
    values = {
        f"{name} of peak, threads 1": (0.88, True),
        f"{name} of peak, threads 2": (0.85, False),
        f"{name} of peak, lost from one core to all": (pytest.approx(0.03), False),
        f"{name} over sdpa, threads 1": (1.0, False),
        f"{name} over sdpa, threads 2": (None, False),
        f"{name} over flex, threads 1": (3.0, True),
        f"{name} over flex, threads 2": (1.5, False),
        "float32 D128 N2048 noop of peak, threads 1": (None, False),
        "compilation, longest s": (0.1, True),
        "results that differ with the number of threads": (1, False),
    }
    for bar, (value, holds) in values.items():
        assert (found[bar]["value"], found[bar]["holds"]) == (value, holds), bar
    assert sum(bar["value"] is not None for bar in found.values()) == 8
    # Results of two builds may differ; a void row has no value.
    slow = {"build": "b", "void": True, "fovea_compile_s": 9.0}
    rows = [rows[0], rows[1] | slow]
    found = {bar["bar"]: bar["value"] for bar in grid.find_bars(rows)}
    assert found["results that differ with the number of threads"] is None
    assert found[f"{name} of peak, threads 2"] is None
    assert found["compilation, longest s"] == 0.1


def test_bars_without_a_value_say_why(module, capsys):
    grid = module("cpu_grid")
    noop = grid.Case("noop", "float32", 64, 2048)
    rows = [row_of(noop, flex_error="too large")]
    rows.append(row_of(noop, 2, void=True, others=0.1))
    found = {bar["bar"]: bar for bar in grid.find_bars(rows)}
    name = "float32 D64 N2048 noop"
    notes = {
        f"{name} over flex, threads 1": "too large",
        f"{name} over sdpa, threads 1": "no sdpa here",
        f"{name} over flex, threads 2": "void: others took 10% of the processors",
        "float32 D128 N2048 noop over flex, threads 1": "not measured",
    }
    assert {bar: found[bar]["note"] for bar in notes} == notes
    module("bars").print_bars(list(found.values()))
    printed = capsys.readouterr().out
    assert "none (too large)" in printed and "none (not measured)" not in printed


def test_what_a_score_costs_beside_its_products(module):
    grid = module("cpu_grid")
    scores = 8 * 2048**2
    rows = [
        row_of(
            grid.Case("noop", "float32", dim, 2048),
            fovea_ms=(0.1 + 0.02 * dim) * scores / 1e6,
        )
        for dim in grid.DIMS
    ]
    assert grid.beside_products(rows) == pytest.approx(0.1)
    assert grid.beside_products(rows[1:]) is None


def test_bars_are_printed_with_their_verdicts(module, capsys):
    bars = module("bars")
    bars.print_bars(
        [
            bars.at_least("speed", 0.9, 0.8),
            bars.at_most("cost", 3.0, 2.0),
            bars.at_least("other", None, 1.0),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "speed 0.900 (>= 0.8) holds",
        "cost  3.000 (<= 2.0) MISSED",
        "bars: 1 of 3 hold, 1 not measured",
    ]


def test_the_share_of_a_read_is_that_within_its_turn(module):
    summary = module("decode").summary
    # The machine slows down for three turns; one kernel is caught by the change.
    reads = [8, 8, 8, 16, 16, 16, 16]
    around = list(itertools.pairwise(reads))
    got = summary(list(zip(around, [10, 10, 90, 20, 20, 20], strict=True)), 10**9)
    assert got["of_read"] == 0.8
    assert got["of_read_quartiles"] == [0.8, 0.8]
    assert (got["samples"], got["steady"]) == (6, 5)
    assert got["kernel_ms"] == 20e3
    assert got["read_gb_s"] == 1 / 16
    few = summary([((8, 8), 10), ((8, 16), 24)], 10**9)
    assert (few["samples"], few["steady"]) == (2, 1)
    assert few["of_read"] == (0.8 + 0.5) / 2


def test_layouts_take_turns_beside_contiguous_keys(module):
    decode = module("decode")
    names = ["heads", "unequal", "tokens", "pages", "token-pages"]
    together = ["heads", "tokens", "pages", "token-pages"]
    assert decode.rounds(names, 1, 4) == [together, ["unequal"]]
    halves = [["heads", "tokens"], ["heads", "pages"], ["heads", "token-pages"]]
    assert decode.rounds(names, 1, 2) == [*halves, ["unequal"]]
    assert decode.rounds(names, 1, 1) == [[x] for x in [*together, "unequal"]]
    assert decode.rounds(names, 2, 1) == []
    assert decode.rounds(["heads"], 1, 3) == [["heads"]]
    assert decode.rounds(["pages"], 1, 3) == [["pages"]]

    log = []

    class Reader:
        def seconds(self, k, v, table=None, *, size=None):
            log.append("read" if table is None else "read pages")
            return 1.0 if table is None else 2.0

    make = decode.Contestant
    heads = make("heads", (1, 1), (1, 1), 8)
    pages = make("pages", (1, 1), (1, 1), 8, table=np.zeros(1, np.int64))
    decode.take_turns([heads, pages], lambda one: log.append(one.name), Reader(), 0)
    turn = ["heads", "read", "pages", "read", "read pages", "read"]
    assert log == ["heads", "pages", "read", *turn * 5]
    assert [around for around, _ in heads.turns] == [(1.0, 1.0)] * 5
    assert pages.of_pages == [0.5] * 5


def test_shares_of_contiguous_keys_are_of_one_turn(module):
    decode = module("decode")
    heads = decode.Contestant("heads", (1, 1), (1, 1), 10**9)
    pages = decode.Contestant("pages", (1, 1), (1, 1), 10**9)
    # Memory is slower by half in the second and third turn.
    heads.turns = [((8, 8), 10), ((16, 16), 20), ((16, 16), 20)]
    pages.turns = [((8, 8), 12.5), ((16, 16), 25), ((8, 8), 12.5)]
    row, of_pages = decode.rows_of([heads, pages])
    assert row["of_read"] == 0.8 and "of_contiguous" not in row
    assert of_pages["of_read"] == 0.64
    assert of_pages["of_contiguous"] == pytest.approx(0.8)
    about = {"dtype": "float32", "group": 8, "B": 1, "N": 65536}
    bars = {
        bar["bar"]: bar for bar in decode.find_bars([about | row, about | of_pages])
    }
    assert len(bars) == 18
    assert bars["float32 8:1 of a read"]["least"] == 0.85
    assert bars["bfloat16 8:1 of a read"]["least"] == 0.75
    assert not bars["float32 8:1 of a read"]["holds"]
    assert not bars["float32 8:1 pages of contiguous"]["holds"]
    assert bars["float32 1:1 of a read"]["value"] is None


def test_lengths_of_a_batch_grow_by_one_factor(module):
    unequal = module("decode").unequal
    assert unequal(4, 8 * 64).tolist() == [64, 128, 256, 512]
    lengths = unequal(16, 65536)
    assert lengths[0] == 64 and lengths[-1] == 65536 and not (lengths % 64).any()


def test_runs_of_decode_are_merged_and_shown_side_by_side(module, tmp_path):
    decode, readme_table = module("decode"), module("readme_table")
    machine = MACHINE
    row = {"dtype": "float32", "group": 4, "layout": "pages", "B": 1, "N": 8192}
    row |= {"kernel_gb_s": 40.2, "read_gb_s": 50.0, "of_read": 0.804}
    runs = [[row | {"of_read": 0.1}, row | {"B": 16, "kernel_gb_s": 44.0}], [row]]
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file, rows in zip(files, runs, strict=True):
        file.write_text(json.dumps({"machine": machine, "rows": rows}))
    results = decode.merge(files)
    assert readme_table.kind_of(results) == "decode"
    table = readme_table.decode_table(results)
    assert "| B 1, N 8192 | B 16, N 8192 |" in table
    assert "| float32 | 4:1 | pages, head-major | 40 (80%) | 44 (80%) |" in table
    assert (
        "2026-01-31, X (x1), 2 threads; the plain read ran at 50 to 50 GB/s." in table
    )
    results["rows"][0]["of_contiguous"] = 0.97
    table = readme_table.decode_table(results)
    assert "| 40 (80%, 97%) | 44 (80%) |" in table
    assert "contiguous keys in the same turns." in table
    results["rows"][0] |= {"N": 65536}
    columns = readme_table.decode_columns([results, results])
    assert "| keys and values | x1, 2 threads | x1, 2 threads |" in columns
    assert "| pages, head-major | 40 (80%, 97%) | 40 (80%, 97%) |" in columns
    other = {"machine": machine | {"threads": 1}, "rows": []}
    files[1].write_text(json.dumps(other))
    with pytest.raises(ValueError, match="results of 2 and 1 threads do not mix"):
        decode.merge(files)


def test_masks_are_the_same_for_both_libraries(module):
    masks = module("masks")
    doc = np.arange(256) // 16
    near = abs(np.subtract.outer(np.arange(256), np.arange(256))) < 1024
    for wrap in (lambda array: array, lambda array: array.tolist()):
        mod = masks.mods("document", 256, wrap, fovea.ops)
        got = [[bool(mod(0, 0, q, kv)) for kv in range(256)] for q in range(256)]
        np.testing.assert_array_equal(
            got, np.tri(256, dtype=bool) & np.equal.outer(doc, doc) & near
        )
