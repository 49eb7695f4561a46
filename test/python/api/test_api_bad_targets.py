"""Negative checks of schedules and targets: type and whole text of every error."""

import re

import numpy as np
import pytest
from api_common import causal, inputs

import fovea

SCHEDULES = {
    "n=1": r"n must be a multiple of (8|16) \(the least block of keys on x86-64-v\d\),"
    " got 1",
    "m=7": r"m must be a multiple of (8|16) \(the queries of a vector on x86-64-v\d\),"
    " got 7",
    "m=0": "m must be a number from 1 to 1048576, got 'm=0'",
    "n=99999999999999999999": "n must be a number from 1 to 1048576, got"
    " 'n=99999999999999999999'",
    "m=many": "m must be a number from 1 to 1048576, got 'm=many'",
    "m=-1": "m must be a number from 1 to 1048576, got 'm=-1'",
    "short=-1": "short must be a number from 0 to 1048576, got 'short=-1'",
    "m": "m takes a number, as in m=64, got none",
    "k=3": "a CPU schedule has m, n, short, split and block, got 'k=3'",
    "m=16,m=32": "m must be given once, got 'm=16,m=32'",
    "m=1048576,n=256": r"m=1048576,n=256 asks for \d+ of l2_bytes, the limit of"
    r" 'x86-64-v\d' is \d+",
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_that_no_target_takes(schedule, tmp_path):
    """Bad input: schedule. ValueError: argument, rule, given"""
    q, k, v = inputs()
    path = tmp_path / "x.attn"
    path.write_text("attention x {\n  score = s\n  mask = q >= kv\n}\n")
    variant = fovea.load(path)
    for call in (
        lambda: fovea.attention(q, k, v, schedule=schedule),
        lambda: fovea.compile(None, causal, D=8, schedule=schedule),
        lambda: variant.compile(D=8, schedule=schedule),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert re.fullmatch(f"schedule: {SCHEDULES[schedule]}", str(caught.value))
    fovea.attention(q, k, v, schedule="m=32,n=32")


def test_the_interpreter_has_no_schedule():
    """Bad input: schedule"""
    q, k, v = inputs()
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, target="interpreter", schedule="m=32")
    assert str(caught.value) == "schedule: the interpreter has none, got 'm=32'"


@pytest.mark.parametrize("target", ["sm_90a", "gpu", "CPU", "", "x86-64-v9", "c\0pu"])
def test_an_unknown_target_lists_what_is_here(target):
    """Unknown, or not on this machine: ValueError that lists what is."""
    q, k, v = inputs()
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, target=target)
    text = str(caught.value)
    assert text.startswith("target: must be one of cpu, interpreter, x86-64-v")
    assert text.endswith(f", got {target!r}")


@pytest.mark.parametrize("target", ["x86-64", "x86-64-v2", "x86-64-v2+avx512bf16"])
def test_targets_of_foveac_alone_are_not_listed(target):
    """Not on this machine: a kernel that cannot be loaded here"""
    assert target not in fovea._lib.config()["targets"]
    with pytest.raises(ValueError) as caught:
        fovea.compile(D=8, target=target)
    listed = str(caught.value).removesuffix(f", got {target!r}").split(", ")
    assert target not in listed


def test_every_listed_target_runs():
    """ValueError that lists what is: what it lists, runs"""
    q, k, v = inputs()
    want = fovea.attention(q, k, v)
    for target in fovea._lib.config()["targets"]:
        if target.startswith("x86-64"):
            out = fovea.attention(q, k, v, target=target)
            np.testing.assert_allclose(out, want, rtol=1e-4, atol=1e-5)
