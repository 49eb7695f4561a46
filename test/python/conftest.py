"""Which compiled module the tests use.

The real one, always; FOVEA_FAKE_NATIVE=1 asks for the NumPy stand-in
instead, for work on the Python layer alone.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

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


@pytest.fixture(scope="module")
def module() -> Iterator[Callable[[str], ModuleType]]:
    """Modules of benchmarks/, by their names."""
    folder = str(Path(__file__).resolve().parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(folder)
