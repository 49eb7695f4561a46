"""FOVEA_TUNING: files of fovea tune, for calls that ask for no schedule."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from api_common import inputs, plain

import fovea
from fovea import _tune, _tuning
from fovea.__main__ import main

TEXT = """
attention shifted(bias: f32[H]) {
  score = s + bias[h]
  mask = q >= kv
}
"""
BIAS = np.arange(4, dtype="f4")


def score(s, b, h, m, n):
    return s + BIAS[h]


def causal(b, h, m, n):
    return m >= n


@pytest.fixture(autouse=True)
def fresh():
    """Files are read once a process."""

    def forget():
        _tuning._entries.cache_clear()
        _tuning._entry.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def tuned(tmp_path, reads_attn, monkeypatch):
    """A folder with one file, whose fastest schedule is m=64,n=128."""
    if not reads_attn:
        pytest.skip("the stand-in reads no .attn files")
    source = tmp_path / "shifted.attn"
    source.write_text(TEXT)
    sizes = {"B": 1, "Hq": 4, "Hk": 4, "M": 48, "N": 40, "D": 16, "E": 16}

    def measure(runs, seconds):
        return [{name: 1 + (name != "m=64,n=128") for name in runs}] * 3

    monkeypatch.setattr(_tune, "_measure", measure)
    found = _tune.tune(fovea.load(source), sizes)
    folder = tmp_path / "tunings"
    folder.mkdir()
    (folder / "shifted.json").write_text(json.dumps(found))
    monkeypatch.setenv("FOVEA_TUNING", str(folder))
    return folder


def change(folder, to="shifted.json", **changes):
    found = json.loads((folder / "shifted.json").read_text())
    (folder / to).write_text(json.dumps(found | changes))


def test_a_measured_schedule_is_taken(tuned):
    """By the same variant from Python as well, and by no other."""
    kernel = fovea.compile(score, causal, D=16)
    assert kernel.schedule == "m=64,n=128"
    assert "schedule: m=64,n=128 (measured: shifted.json)" in kernel.explain()
    q, k, v = inputs(B=1, Hq=4, Hk=4, M=70, N=70, D=16)
    wanted = plain(q, k, v, mask=causal)  # a bias of a row changes nothing
    np.testing.assert_allclose(kernel(q, k, v), wanted, atol=3e-6)
    default = fovea.compile(D=16).schedule
    assert default != "m=64,n=128"
    for other in (
        fovea.compile(score, D=16),
        fovea.compile(score, causal, D=16, schedule=default),
        fovea.compile(score, causal, D=16, dtype="float64"),
        fovea.compile(score, causal, D=32),
        fovea.compile(score, causal, D=16, target="x86-64-v3"),
    ):
        assert other.schedule != "m=64,n=128"
        assert "measured:" not in other.explain()
    # A schedule that the caller asks for is the caller's, this one too.
    asked = fovea.compile(score, causal, D=16, schedule="m=64,n=128")
    assert "measured:" not in asked.explain()


def test_calls_take_it_and_tuning_does_not(tuned, monkeypatch):
    seen = []
    compiled = fovea._compiler.compile_text
    monkeypatch.setattr(
        fovea._compiler,
        "compile_text",
        lambda text, target, schedule: (
            seen.append(schedule) or compiled(text, target, schedule)
        ),
    )
    fovea.clear_cache()
    q, k, v = inputs(B=1, Hq=4, Hk=4, M=8, N=8, D=16)
    fovea.attention(q, k, v, score, causal)
    assert seen == ["m=64,n=128"]
    variant = fovea.load(tuned.parent / "shifted.attn")
    sizes = {"B": 1, "Hq": 4, "Hk": 4, "M": 48, "N": 40, "D": 16, "E": 16}
    assert _tune.tune(variant, sizes)["cost_model"] != "m=64,n=128"
    assert variant.compile(D=16, captures={"bias": BIAS}).schedule == "m=64,n=128"


def test_few_and_many_queries_have_a_file_each(tuned):
    change(tuned, "shifted-few.json", schedule="split=512,block=32")
    assert (
        fovea.compile(score, causal, D=16)
        .explain()
        .count("(measured: shifted-few.json, shifted.json)")
        == 1
    )


def test_files_of_other_processors_are_passed_over(tuned):
    change(tuned, machine={"cpu": "another", "threads": 2, "build_id": ""})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fovea.compile(score, causal, D=16).schedule != "m=64,n=128"


def test_files_that_differ_are_named(tuned):
    change(tuned, "z.json", schedule="m=96,n=256")
    with pytest.warns(
        fovea.PerformanceWarning,
        match=r"z\.json and shifted\.json differ; the latter is taken",
    ):
        assert fovea.compile(score, causal, D=16).schedule == "m=64,n=128"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no file of fovea tune"),
        ("[" * 100000, "is no file of fovea tune"),
        ("[1]", "is no file of fovea tune"),
        ('{"fovea_tuning": 2}', "is no file of fovea tune"),
        (
            '{"fovea_tuning": 1, "schedule": "m=32"}',
            "does not say of which program it is; tune again",
        ),
        (
            '{"fovea_tuning": 1, "program": "", "machine": {}, "target": "cpu",'
            ' "cost_model": "", "schedule": "; rm"}',
            "schedule: settings must look like m=192,n=256, got '; rm'",
        ),
        ("\0", "is no file of fovea tune"),
        (b"\xff\xfe", "is no file of fovea tune"),
    ],
)
def test_a_damaged_file_is_named_once(tuned, text, message):
    bad = tuned / "bad.json"
    bad.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.warns(fovea.PerformanceWarning) as caught:
        assert fovea.compile(score, causal, D=16).schedule == "m=64,n=128"
        fovea.compile(score, causal, D=32)
    assert [str(w.message) for w in caught] == [f"FOVEA_TUNING: {bad} {message}"]


def test_a_schedule_that_the_compiler_refuses_is_named_once(tuned):
    """It may be of another version: the caller, who asked for none, goes on."""
    change(tuned, schedule="m=64,lanes=8")
    with pytest.warns(fovea.PerformanceWarning) as caught:
        kernel = fovea.compile(score, causal, D=16)
        assert fovea.compile(score, causal, D=16, return_lse=True).schedule
    assert [str(w.message) for w in caught] == [
        "FOVEA_TUNING: shifted.json: schedule: a CPU schedule has m, n, short, split"
        " and block, got 'lanes=8'"
    ]
    assert (
        kernel.schedule
        == json.loads((tuned / "shifted.json").read_text())["cost_model"]
    )
    assert "measured:" not in kernel.explain()


RULE = "FOVEA_TUNING names a file of fovea tune or a folder of them (*.json)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", f"No such file or directory; {RULE}"),
        ("a.json:b.json", f"No such file or directory; {RULE}"),
        ("a" * 300, f"File name too long; {RULE}"),
        ("empty", f"holds no *.json; {RULE}"),
        ("/dev/zero", "is no regular file"),
        ("pipe", "is no regular file"),
        ("large", "has 4194305 bytes, files of fovea tune at most 4194304"),
    ],
)
def test_a_place_without_tunings_is_named_once(tmp_path, monkeypatch, name, message):
    """And not read: of a device or a pipe there need not be an end."""
    for file in ("a.json", "b.json"):
        (tmp_path / file).write_text("{")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((1 << 22) + 1)
    place = tmp_path / name
    monkeypatch.setenv("FOVEA_TUNING", str(place))
    with pytest.warns(fovea.PerformanceWarning) as caught:
        fovea.compile(D=16)
        fovea.compile(D=32)
    assert [str(w.message) for w in caught] == [f"FOVEA_TUNING: {place} {message}"]


def test_one_sentence_says_what_the_variable_names():
    texts = [_tuning.__doc__, fovea.attention.__doc__]
    root = Path(__file__).resolve().parents[3]
    texts += [
        (root / name).read_text()
        for name in (
            "docs/architecture.md",
            "docs/cpu-kernels.md",
            "dialects/Online/Rationale.md",
            "python-bindings/fovea/__main__.py",
        )
    ]
    for text in texts:
        plain = " ".join(text.replace("`", "").replace('"', "").split())
        assert RULE in plain


def test_the_file_of_the_command_is_taken(tuned, capsys, monkeypatch):
    file = tuned / "shifted.json"
    file.unlink()
    command = ["tune", str(tuned.parent / "shifted.attn"), "--output", str(file)]
    assert main([*command, "--shape", "B=1,Hq=4,M=48,N=40,D=16"]) == 0
    assert fovea.compile(score, causal, D=16).schedule == "m=64,n=128"
