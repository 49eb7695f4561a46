"""Every entry's Python form, traced and evaluated, equals the dense formula."""

import inspect
import re

import numpy as np
import pytest
from reference import reference_attention
from zoo_cases import cases, dense_attention, inputs

import fovea
from fovea.dsl import trace_variant

ALL = [(case, sizes) for case in cases().values() for sizes in case.sizes]
IDS = [f"{case.name}-{sizes}" for case, sizes in ALL]


@pytest.mark.parametrize(("case", "sizes"), ALL, ids=IDS)
def test_traced_program_equals_the_dense_formula(case, sizes):
    example = case.example(sizes)
    q, k, v = inputs(sizes, np.float64)
    traced = trace_variant(
        example.score_mod, example.mask_mod, example.normalizer, dtype="f64"
    )
    offset = 0 if example.q_offset is None else example.q_offset
    out, lse = reference_attention(
        traced.program, q, k, v, traced.arrays, q_offset=offset
    )
    expected, expected_lse = dense_attention(example, sizes, q, k, v)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)
    assert traced.has_denom == (expected_lse is not None)
    if expected_lse is not None:
        np.testing.assert_allclose(lse, expected_lse, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", cases().values(), ids=lambda case: case.name)
def test_mods_can_be_called_by_hand(case):
    sizes = case.sizes[0]
    example = case.example(sizes)
    dense = np.broadcast_to(
        True if example.mask is None else example.mask,
        (sizes.B, sizes.H, sizes.M, sizes.N),
    )
    rng = np.random.default_rng(2)
    for _ in range(20):
        at = tuple(int(rng.integers(n)) for n in dense.shape)
        b, h, m, n = at
        q = m if example.q_offset is None else m + int(example.q_offset[b])
        if example.mask_mod is not None:
            assert bool(example.mask_mod(b, h, q, n)) == dense[at]
        if example.score_mod is not None:
            scores = np.full(dense.shape, 0.75)
            expected = np.broadcast_to(example.score(scores), dense.shape)[at]
            got = float(example.score_mod(0.75, b, h, q, n))
            np.testing.assert_allclose(
                got, expected, rtol=1e-5, atol=1e-6
            )  # f32 arrays


@pytest.mark.parametrize(
    "factory, parameters",
    [
        ("alibi", ["H"]),
        ("softcap", ["soft_cap"]),
        ("sliding_window", ["window_size"]),
        ("dilated_sliding_window", ["window_size", "dilation"]),
        ("prefix_lm", ["prefix_length"]),
        ("document", ["mask_mod", "offsets"]),
        ("neighborhood_2d", ["canvas_w", "canvas_h", "kernel_w", "kernel_h"]),
    ],
)
def test_factories_have_attention_gyms_argument_order(factory, parameters):
    signature = inspect.signature(getattr(fovea.zoo, factory))
    assert list(signature.parameters) == parameters


OFFSETS = {
    "descends": ([0, 3, 2], ValueError, "must not descend, got 2 after 3"),
    "below zero": ([100, 0], ValueError, "must begin with 0, got 100"),
    "empty": (np.zeros(0, int), ValueError, "must begin with 0, got none"),
    "a number": (5, TypeError, "must be one row of integers, got int64 of shape ()"),
    "text": ("a", TypeError, "must be one row of integers, got <U1 of shape ()"),
    "floats": ([0.0, 2.0], TypeError, "must be one row of integers, got float64"),
}


@pytest.mark.parametrize("case", OFFSETS)
def test_wrong_offsets_of_documents_are_named(case):
    offsets, kind, rule = OFFSETS[case]
    for make in (
        fovea.zoo.document_ids,
        lambda given: fovea.zoo.document(None, given),
        fovea.zoo.packed_causal_document,
        lambda given: fovea.zoo.shared_prefix(given, [0]),
    ):
        with pytest.raises(kind, match="^offsets: " + re.escape(rule)):
            make(offsets)
