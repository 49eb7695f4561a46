"""Which compiled module the tests use.

The real one, always; FOVEA_FAKE_NATIVE=1 asks for the NumPy stand-in
instead, for work on the Python layer alone.
"""

import os
import sys
from pathlib import Path

import pytest

FAKE = os.environ.get("FOVEA_FAKE_NATIVE") == "1"

if FAKE:
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    sys.path.insert(0, str(here.parents[1] / "python-bindings"))
    import fake_native

    import fovea

    sys.modules["fovea._native"] = fake_native
    fovea._native = fake_native


@pytest.fixture(scope="session")
def native_is_real() -> bool:
    """Whether kernels are compiled (and not evaluated by the stand-in)."""
    return not FAKE


@pytest.fixture(scope="session")
def reads_attn() -> bool:
    """Whether `.attn` files can be read."""
    return not FAKE or fake_native.reads_attn
