"""Every entry's `.attn` file says the same as its dense formula."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from reference import reference_attention
from zoo_cases import cases, dense_attention, inputs

import fovea
from fovea import _native

ROOT = Path(__file__).resolve().parents[3] / "zoo"
ALL = [(case, sizes) for case in cases().values() for sizes in case.sizes]
IDS = [f"{case.name}-{sizes}" for case, sizes in ALL]


def program_of(case, params):
    """The file's Program with its compile-time parameters written in."""
    text = (ROOT / case.file).read_bytes()
    defines = {name: repr(value) for name, value in params.items()}
    (program,) = json.loads(_native.parse_attn(text, case.file, defines))
    return fold_params(program)


def fold_params(program):
    """Constants in place of the `param` nodes."""
    values = {p["name"]: p for p in program.get("params", ())}
    program = copy.deepcopy(program)
    parts = [program["score"], program["mask"], program["scale"]]
    if isinstance(program["normalizer"], dict):
        parts.extend(program["normalizer"].values())
    for region in parts:
        if not isinstance(region, dict):
            continue
        for node in region["nodes"]:
            if node[0] == "param":
                param = values[node[1]]
                node[:] = ["const", param["dtype"], param["value"]]
    return program


@pytest.mark.parametrize(("case", "sizes"), ALL, ids=IDS)
def test_program_equals_the_dense_formula(case, sizes):
    example = case.example(sizes)
    program = program_of(case, example.params)
    assert {c["name"] for c in program["captures"]} == set(example.captures)
    captures = [example.captures[c["name"]] for c in program["captures"]]
    for capture, array in zip(program["captures"], captures, strict=True):
        assert capture["rank"] == np.ndim(array)
    q, k, v = inputs(sizes, np.float64)
    offset = 0 if example.q_offset is None else example.q_offset
    out, lse = reference_attention(program, q, k, v, captures, q_offset=offset)
    expected, expected_lse = dense_attention(example, sizes, q, k, v)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)
    if expected_lse is not None:
        np.testing.assert_allclose(lse, expected_lse, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", cases().values(), ids=lambda case: case.name)
def test_file_is_documented_and_named_like_itself(case):
    path = ROOT / case.file
    variant = fovea.load(path)
    assert variant.name == path.stem
    assert variant.program["doc"].strip()
