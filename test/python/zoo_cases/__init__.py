"""The zoo's entries with data, and their dense f64 references."""

from . import masks, normalizers, scores  # noqa: F401  (they register the cases)
from .core import (
    EVEN,
    ODD,
    TALL,
    Case,
    Example,
    Sizes,
    cases,
    dense_attention,
    inputs,
)

__all__ = [
    "EVEN",
    "ODD",
    "TALL",
    "Case",
    "Example",
    "Sizes",
    "cases",
    "dense_attention",
    "inputs",
]
