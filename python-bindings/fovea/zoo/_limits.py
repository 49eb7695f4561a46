"""What the sizes that zoo factories take have to be."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["check_least", "check_most"]


def _is_known(*sizes: Any) -> bool:
    """Whether they are numbers now; arrays are read at each call."""
    return all(isinstance(size, (int, np.integer)) for size in sizes)


def check_least(least: Any, **sizes: Any) -> None:
    """Refuse sizes, by their names, that are smaller than `least`.

    Raises
    ------
    ValueError
        The first that is.
    """
    for name, size in sizes.items():
        if _is_known(least, size) and size < least:
            raise ValueError(f"{name}: must be at least {least}, got {size}")


def check_most(most: Any, **sizes: Any) -> None:
    """Refuse sizes, by their names, that are larger than `most`.

    Raises
    ------
    ValueError
        The first that is.
    """
    for name, size in sizes.items():
        if _is_known(most, size) and size > most:
            raise ValueError(f"{name}: must be at most {most}, got {size}")
