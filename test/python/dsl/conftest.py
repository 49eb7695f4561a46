"""The DSL needs no compiled module; its tests share the NumPy reference."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@pytest.fixture(autouse=True)
def fresh_memo():
    """Traces of one test do not answer another's."""
    from fovea.dsl import clear_memo

    clear_memo()
