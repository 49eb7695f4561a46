"""fovea tune: a bounded set of schedules, measured, and the file it writes."""

import json

import numpy as np
import pytest

import fovea
from fovea import _tune
from fovea.__main__ import main

TEXT = """
attention shifted(bias: f32[H]) {
  score = s + bias[h]
  mask = q >= kv
}
"""
SHAPE = "B=1,Hq=2,M=48,N=40,D=16"


@pytest.fixture
def path(tmp_path, reads_attn):
    if not reads_attn:
        pytest.skip("the stand-in reads no .attn files")
    place = tmp_path / "shifted.attn"
    place.write_text(TEXT)
    return place


@pytest.fixture
def short_samples(monkeypatch):
    """So that there is time for every schedule."""
    monkeypatch.setattr(_tune, "_SHORTEST", 1e-6)


def test_the_file_says_what_was_measured(path, tmp_path, capsys, short_samples):
    """Every schedule of the set is measured or refused; the choice is one of them."""
    file = tmp_path / "tuning.json"
    command = ["tune", str(path), "--shape", SHAPE, "--seconds", "0.5"]
    assert main([*command, "--output", str(file)]) == 0
    found = json.loads(file.read_text())
    names = [row["schedule"] for row in found["measured"]]
    assert found["cost_model"] in names and found["schedule"] in names
    every = _tune.schedules(found["sizes"])
    assert len(every) == 20 and every[0] == "m=192,n=256"
    assert {*names, *found["refused"]} == {*every, found["cost_model"]}
    assert found["unmeasured"] == []
    assert found["rounds"] >= 3 and found["sizes"]["Hk"] == 2
    assert list(found["sizes"]) == ["B", "Hq", "Hk", "M", "N", "D", "E"]
    assert set(found["machine"]) == {"cpu", "threads", "build_id"}
    assert found["q_offset"] == 0
    speeds = {row["schedule"]: row["speed"] for row in found["measured"]}
    assert speeds[found["cost_model"]] == 1
    assert found["schedule"] == found["cost_model"] or speeds[found["schedule"]] >= 1.02
    shown = capsys.readouterr().out
    assert f"schedule: {found['schedule']}" in shown and "(cost model)" in shown
    # What the file says is a schedule as users give it.
    kernel = fovea.load(path).compile(
        D=16, captures={"bias": np.zeros(2, "f4")}, schedule=found["schedule"]
    )
    assert kernel.schedule == found["schedule"]


def test_few_queries_are_tuned_by_how_their_keys_are_cut(path, short_samples):
    """What the short form does not look at is not measured."""
    sizes = {"B": 1, "Hq": 8, "Hk": 2, "M": 8, "N": 600, "D": 16, "E": 16}
    variant = fovea.load(path)
    found = _tune.tune(variant, sizes, seconds=0.5)
    every = _tune.schedules(sizes)
    assert len(every) == 18 and all(name.startswith("split=") for name in every)
    names = {row["schedule"] for row in found["measured"]}
    assert names == {*every, found["cost_model"]} and not found["refused"]
    assert found["q_offset"] == 592  # under a causal mask the last queries see most
    assert _tune.schedules(sizes | {"M": 9})[0] == "m=192,n=256"
    bias = {"bias": np.zeros(8, "f4")}
    q, k, v = (np.ones((1, h, m, 16), "f4") for h, m in ((8, 8), (2, 600), (2, 600)))
    for name in (every[0], found["schedule"]):
        out = variant.compile(D=16, captures=bias, schedule=name)(q, k, v)
        np.testing.assert_allclose(out, np.ones_like(q), atol=1e-6)


class Clock:
    """Time that passes only while a schedule runs; first calls compile as well."""

    def __init__(self, monkeypatch, lasts, compiles=0.0):
        self.now, self.count = 0.0, dict.fromkeys(lasts, 0)
        self._compiles = compiles
        self.runs = {name: lambda name=name: self._run(name) for name in lasts}
        self._lasts = lasts
        monkeypatch.setattr(_tune.time, "perf_counter", lambda: self.now)

    def _run(self, name):
        self.count[name] += 1
        self.now += self._lasts[name] + self._compiles * (self.count[name] == 1)


def test_seconds_bound_the_measuring(monkeypatch):
    """Two calls before the rounds, then as many rounds as fit."""
    clock = Clock(monkeypatch, {"a": 0.1, "b": 0.1})
    rounds = _tune._measure(clock.runs, 1.25)
    assert rounds == [{"a": pytest.approx(0.1), "b": pytest.approx(0.1)}] * 4
    assert clock.now == pytest.approx(1.2)


def test_compilations_are_not_counted(monkeypatch):
    clock = Clock(monkeypatch, {"a": 0.1, "b": 0.1}, compiles=50.0)
    assert len(_tune._measure(clock.runs, 1.25)) == 4
    assert clock.now == pytest.approx(101.2)


def test_schedules_without_time_are_not_measured(monkeypatch):
    """A slow one does not keep those after it out; three rounds of all that stay."""
    clock = Clock(monkeypatch, {"a": 0.1, "slow": 0.4, "b": 0.1, "c": 0.1})
    rounds = _tune._measure(clock.runs, 2.25)
    assert [list(found) for found in rounds] == [["a", "b"]] * 5
    assert clock.now == pytest.approx(2.2)
    assert clock.count == {"a": 7, "slow": 2, "b": 7, "c": 0}


def test_a_call_that_outlasts_the_time_is_the_only_round(monkeypatch):
    clock = Clock(monkeypatch, {"a": 5.0, "b": 5.0})
    assert _tune._measure(clock.runs, 1.0) == [{"a": 5.0}]
    assert clock.count == {"a": 3, "b": 0}


def test_too_few_rounds_decide_nothing(path, monkeypatch):
    """What was left out is told."""
    sizes = {"B": 1, "Hq": 2, "Hk": 2, "M": 48, "N": 40, "D": 16, "E": 16}

    def measure(runs, seconds):
        first, second, *_ = runs
        return [{first: 2.0, second: 1.0}] * 2

    monkeypatch.setattr(_tune, "_measure", measure)
    found = _tune.tune(fovea.load(path), sizes)
    assert found["schedule"] == found["cost_model"]
    assert len(found["measured"]) == 2 and len(found["unmeasured"]) > 10
    shown = _tune.lines(found)
    assert shown[-2] == "not measured, the time was too short: " + ", ".join(
        found["unmeasured"]
    )


def test_the_cost_model_stays_where_nothing_is_faster(path, monkeypatch):
    sizes = {"B": 1, "Hq": 2, "Hk": 2, "M": 48, "N": 40, "D": 16, "E": 16}

    def slower(runs, seconds):
        """Every other schedule is 1 % faster: less than what decides."""
        first = next(iter(runs))
        return [{name: 1.0 if name == first else 0.99 for name in runs}] * 3

    monkeypatch.setattr(_tune, "_measure", slower)
    found = _tune.tune(fovea.load(path), sizes)
    assert found["schedule"] == found["cost_model"]
    monkeypatch.setattr(
        _tune, "_measure", lambda runs, seconds: [{n: len(n) for n in runs}] * 3
    )
    found = _tune.tune(fovea.load(path), sizes)
    assert len(found["schedule"]) == min(len(r["schedule"]) for r in found["measured"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shape", "D=16"], "--shape: must name M or N, got 'D=16'"),
        (
            ["--shape", "M=8,D=16,S=3"],
            "--shape: must name B, Hq, Hk, M, N, D, E alone, got S",
        ),
        (
            ["--shape", SHAPE, "--seconds", "0"],
            "--seconds: must be above 0 and at most 3600, got 0",
        ),
        (
            ["--shape", "M=8,D=16,Hq=3,Hk=2"],
            "--shape: Hq must be a multiple of Hk, got Hq=3 and Hk=2",
        ),
        (["--shape", "M=4,N=0,D=16"], "--shape: N must be at least 1, got 0"),
        (["--shape", "M=0,N=4,D=16"], "--shape: M must be at least 1, got 0"),
        (["--shape", "M=4,D=16,E=0"], "--shape: E must be at least 1, got 0"),
        (
            ["--shape", SHAPE, "--target", "interpreter"],
            "--target: must be a CPU, whose schedules are measured, got 'interpreter'",
        ),
    ],
)
def test_wrong_options(path, capsys, options, message):
    assert main(["tune", str(path), *options]) == 2
    assert capsys.readouterr().err == f"fovea: error: {message}\n"


@pytest.mark.parametrize(
    ("command", "option"),
    [("tune", "--output"), ("explain", "--html"), ("explain", "--png")],
)
def test_files_that_cannot_be_written_are_refused_first(
    path, tmp_path, capsys, monkeypatch, command, option
):
    """Before any work; a file that could be written is left as it was."""

    def work(*arguments, **options):
        raise ValueError("some work was done")

    monkeypatch.setattr("fovea.__main__._load", work)
    wrong = str(tmp_path / "none" / "x")
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")
    for file, message in (
        (wrong, f"{wrong}: No such file or directory"),
        (str(tmp_path), f"{tmp_path}: Is a directory"),
        (str(old), "some work was done"),
        (str(new), "some work was done"),
    ):
        assert main([command, str(path), "--shape", SHAPE, option, file]) == 1
        assert capsys.readouterr().err == f"fovea: error: {message}\n"
    assert old.read_text() == "before"
    assert not new.exists()
