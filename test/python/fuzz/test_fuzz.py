"""Differential fuzz: random variants, f64 interpreter against CPU kernels.

    FOVEA_FUZZ_SEED=17 FOVEA_FUZZ_PROGRAMS=500 ./dev test fuzz

A failure prints its seed; FOVEA_FUZZ_SEED=<seed> FOVEA_FUZZ_PROGRAMS=1 repeats it.
"""

import os

import pytest
from differ import fuzz_variant

FIRST = int(os.environ.get("FOVEA_FUZZ_SEED", "1"))
COUNT = int(os.environ.get("FOVEA_FUZZ_PROGRAMS", "50"))
CALLS = int(os.environ.get("FOVEA_FUZZ_CALLS", "20"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_cpu_agrees_with_interpreter(seed):
    differences = fuzz_variant(seed, CALLS)
    assert not differences, "\n".join(differences)
