"""Where the zoo's `.attn` files are."""

from __future__ import annotations

import difflib
from pathlib import Path

__all__ = ["path"]

_HERE = Path(__file__).resolve()
#: Beside this module in an installed package, else in the source tree.
_FOLDERS = (_HERE.parent / "attn", _HERE.parents[3] / "zoo")


def path(name: str) -> Path:
    """The file of an entry, for `fovea.load`.

    Parameters
    ----------
    name : str
        The entry: "alibi", "sliding_window", "sink".

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        For a name that the zoo does not have; the text names the nearest.
    """
    if not isinstance(name, str):
        raise TypeError(f"name: must be a str, got {type(name).__name__}")
    folder = next(filter(Path.is_dir, _FOLDERS), None)
    files = {f.stem: f for f in folder.glob("*/*.attn")} if folder else {}
    if name not in files:
        near = difflib.get_close_matches(name, files, 1)
        hint = f" (nearest: {near[0]})" if near else ""
        raise ValueError(f"name: must be an entry of the zoo, got {name!r}{hint}")
    return files[name]
