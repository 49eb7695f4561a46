"""What the sizes that zoo factories take have to be."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_size(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuse a size out of range; what is known only at the call is not judged.

    Raises
    ------
    ValueError
        A number below `least` or above `most`.
    """
    if not isinstance(value, (int, np.integer)):
        return
    if value < least:
        raise ValueError(f"{name}: must be at least {least}, got {value}")
    if isinstance(most, (int, np.integer)) and value > most:
        raise ValueError(f"{name}: must be at most {most}, got {value}")
