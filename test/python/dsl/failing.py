"""A mod that must be refused."""

from __future__ import annotations

import pytest

from fovea.dsl import trace_variant


def failing(mod, role="score", **kwargs):
    """The error of tracing a mod, and its text."""
    pair = (mod, None) if role == "score" else (None, mod)
    with pytest.raises(Exception) as caught:
        trace_variant(*pair, **kwargs)
    return caught.value, str(caught.value)
