"""Where and in which order work on a CUDA device runs.

A launch goes onto the stream on which the caller's library works, so that it
comes after what made the inputs and before what reads the results, without
waiting. No array library is imported: the one that made q is loaded already.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import _tensors
from ._tensors import TensorTuple

_FULL = 2

__all__ = ["block_classes", "block_schedule", "place", "stream_of", "upload"]


def stream_of(library: str, index: int) -> int:
    """The current stream of a library on a device, as a number; 0 by default."""
    module = sys.modules.get(library)
    if library == "torch":
        # The number itself: most of a microsecond less than by a Stream.
        own = getattr(module, "_C", None)
        raw = getattr(own, "_cuda_getCurrentRawStream", None)
        if raw is not None:
            return raw(index)
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


def block_schedule(
    size: tuple[int, int], lengths: tuple[int, int], D: int
) -> str | None:
    """What a schedule is to be chosen for, to divide a block mask's tiles.

    Parameters
    ----------
    size : tuple of int
        (query, key) extent of the mask's tiles.
    lengths : tuple of int
        Those of q and k; a tile that holds the whole length may have any extent.

    Returns
    -------
    str or None
        None where the default's tiles divide, and where none would: the launch
        then says so. Masks with the same extents in it share a kernel.
    """
    entries = []
    for name, extent, length, units in (
        ("block_q", size[0], lengths[0], (128, 192, 64)),
        ("block_kv", size[1], lengths[1], (64,) if D == 256 else (128, 64)),
    ):
        if extent >= length:
            continue
        unit = next((unit for unit in units if extent % unit == 0), None)
        if unit is None:
            return None
        if unit != units[0]:
            entries.append(f"{name}={unit}")
    return ",".join(entries) or None


def block_classes(block_mask: Any, device: str, library: str) -> TensorTuple:
    """The classes of a block mask beside q, uploaded once for a stream."""
    index, stream = place(device, library)
    key = (library, index, stream)
    if block_mask._uploaded is None or block_mask._uploaded[0] != key:
        classes = block_mask._classes
        _refuse_cut_full_tiles(block_mask, classes)
        # What all batches or heads share is uploaded once.
        own = tuple(
            slice(0, 1) if step == 0 else slice(None) for step in classes.strides
        )
        tensor = _tensors.read(
            upload(classes[own], library, device), "block_mask", ("i8",)
        )
        steps = tuple(
            0 if step == 0 else there
            for step, there in zip(classes.strides, tensor.strides, strict=True)
        )
        block_mask._uploaded = (
            key,
            (tensor.address, "i8", classes.shape, steps),
            tensor,
        )
    return block_mask._uploaded[1]


def _refuse_cut_full_tiles(block_mask: Any, classes: np.ndarray) -> None:
    """Hand-made masks alone have them: kernels would ask the mask_mod there."""
    cut = block_mask.seq_lengths[1] % block_mask.BLOCK_SIZE[1]
    if cut and block_mask.mask_mod is not None and (classes[..., -1] == _FULL).any():
        raise ValueError(
            "block_mask: a tile that the keys' end cuts must be partial on a GPU where"
            " there is a mask_mod, got a full one"
        )


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
