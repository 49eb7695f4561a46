"""The mask analysis on the zoo's masks: sound, and exact where they are affine."""

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
AFFINE = {
    "causal": "intervals",
    "inverse_causal": "intervals",
    "sliding_window": "intervals",
    "sink_window": "intervals",
    "prefix_lm": "intervals",
    "prefix_lm_batch": "intervals",
    "padding": "intervals",
    "chunked_causal": "intervals",
    "head_classes": "intervals",
    "neighborhood_1d": "intervals",
    "neighborhood_2d": "polyhedra",
    "neighborhood_3d": "polyhedra",
    "dilated_sliding_window": "polyhedra",
    "shifted_window": "polyhedra",
}
#: Masks that read a capture at a position: intervals do not see that two reads
#: belong together.
LEAST = {"document": 0.9}


@pytest.fixture(scope="module")
def precision():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield importlib.import_module("mask_precision").precision
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "zoo/masks").glob("*.attn")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("length", [1024, 1000])
def test_tiles_have_their_exact_class(precision, path, length):
    row = precision(path, length, 64 if length == 1024 else 48)
    assert row["tiles"] >= 64
    assert row["method"] == AFFINE.get(path.stem, "bounds")
    assert row["decided"] >= LEAST.get(path.stem, 1.0)
