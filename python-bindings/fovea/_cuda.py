"""Where and in which order work on a CUDA device runs.

A launch goes onto the stream on which the caller's library works, so that it
comes after what made the inputs and before what reads the results, without
waiting. No array library is imported: the one that made q is loaded already.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["place", "stream_of", "upload"]


def stream_of(library: str, index: int) -> int:
    """The current stream of a library on a device, as a number; 0 by default."""
    module = sys.modules.get(library)
    if library == "torch":
        return int(module.cuda.current_stream(index).cuda_stream)
    if library == "cupy":
        with module.cuda.Device(index):
            return int(module.cuda.get_current_stream().ptr)
    return 0


def place(device: str, library: str) -> tuple[int, int]:
    """Device number and stream of a launch.

    Parameters
    ----------
    device : str
        As ``"cuda:0"``.
    library : str
        That of q.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        raise ValueError(f"q: must be on the CPU or a CUDA device, got {device}")
    index = int(number or 0)
    return index, stream_of(library, index)


def upload(array: Any, library: str, device: str) -> Any:
    """A NumPy array, or a number of torch's on the CPU, beside q.

    The copy is in the order of the library's current stream and its memory is
    the library's, which keeps it as long as work on that stream may read it.
    Whatever else is given comes back as it is.
    """
    module = sys.modules.get(library)
    if library == "torch":
        if isinstance(array, np.ndarray):
            array = module.from_numpy(np.array(array))
        elif not (isinstance(array, module.Tensor) and array.ndim == 0):
            return array
        return array.to(device)
    if library == "cupy" and isinstance(array, np.ndarray):
        with module.cuda.Device(int(device.partition(":")[2] or 0)):
            return module.asarray(array)
    return array
