"""What several files of tests of the package use."""

import pytest
from repeat_world import forget

from fovea import _attention


@pytest.fixture
def launches(monkeypatch, native_is_real) -> list:
    """The calls that went the long way."""
    if not native_is_real:
        pytest.skip("the stand-in repeats nothing")
    forget()
    found = []
    whole = _attention._launch

    def counted(compiled, *arguments):
        found.append(arguments)
        return whole(compiled, *arguments)

    monkeypatch.setattr(_attention, "_launch", counted)
    return found
