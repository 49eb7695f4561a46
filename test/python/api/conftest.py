"""What several files of tests of the package use."""

import pytest
from repeat_world import forget

from fovea import _call


@pytest.fixture
def launches(monkeypatch, native_is_real) -> list:
    """The calls that went the long way."""
    if not native_is_real:
        pytest.skip("the stand-in repeats nothing")
    forget()
    found = []
    whole = _call.launch

    def counted(compiled, *arguments):
        found.append(arguments)
        return whole(compiled, *arguments)

    monkeypatch.setattr(_call, "launch", counted)
    return found
