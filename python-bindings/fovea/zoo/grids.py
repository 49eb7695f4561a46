"""Mask mods of the zoo: images and volumes whose tokens are in row-major order.

The notation is that of `fovea.zoo.masks`.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ._limits import check_least, check_most
from .masks import MaskMod

__all__ = [
    "circular_2d",
    "natten",
    "neighborhood_1d",
    "neighborhood_2d",
    "neighborhood_3d",
    "shifted_window",
]


def _in_window(q: Any, kv: Any, length: int, kernel: int) -> Any:
    """A window of `kernel` keys round q, moved inside [0, length)."""
    start = ops.clamp(q - kernel // 2, 0, length - kernel)
    return (kv >= start) & (kv < start + kernel)


def neighborhood_1d(length: int, kernel: int) -> MaskMod:
    """One-dimensional neighbourhood attention.

    ``start <= kv < start + K`` with ``start = clamp(q - K // 2, 0, L - K)``: every
    query sees K keys. Hassani et al. 2023, "Neighborhood Attention Transformer",
    arXiv:2204.07143.

    Parameters
    ----------
    length : int
        Tokens L of the sequence.
    kernel : int
        Window K, at most L.

    Returns
    -------
    mask_mod

    Raises
    ------
    ValueError
        A size below 1, a window larger than the sequence.
    """
    check_least(1, length=length, kernel=kernel)
    check_most(length, kernel=kernel)

    def neighborhood_1d_mask(b, h, q_idx, kv_idx):
        return _in_window(q_idx, kv_idx, length, kernel)

    return neighborhood_1d_mask


def neighborhood_2d(
    canvas_w: int, canvas_h: int, kernel_w: int, kernel_h: int
) -> MaskMod:
    """Two-dimensional neighbourhood attention.

    The window of `neighborhood_1d` along x and along y, for tokens in row-major
    order (``x = i % canvas_w``). Hassani et al. 2023, arXiv:2204.07143.

    Parameters
    ----------
    canvas_w, canvas_h : int
        Width and height of the image in tokens.
    kernel_w, kernel_h : int
        Width and height of the window.

    Returns
    -------
    mask_mod

    Raises
    ------
    ValueError
        A size below 1, a window larger than the image.
    """
    check_least(1, canvas_w=canvas_w, canvas_h=canvas_h)
    check_least(1, kernel_w=kernel_w, kernel_h=kernel_h)
    check_most(canvas_w, kernel_w=kernel_w)
    check_most(canvas_h, kernel_h=kernel_h)

    def neighborhood_2d_mask(b, h, q_idx, kv_idx):
        in_x = _in_window(q_idx % canvas_w, kv_idx % canvas_w, canvas_w, kernel_w)
        in_y = _in_window(q_idx // canvas_w, kv_idx // canvas_w, canvas_h, kernel_h)
        return in_x & in_y

    return neighborhood_2d_mask


natten = neighborhood_2d


def neighborhood_3d(
    canvas_w: int,
    canvas_h: int,
    canvas_d: int,
    kernel_w: int,
    kernel_h: int,
    kernel_d: int,
) -> MaskMod:
    """Three-dimensional neighbourhood attention.

    The window of `neighborhood_1d` along x, y and z, for tokens in the order
    ``i = (z * canvas_h + y) * canvas_w + x``. Hassani et al. 2024, "Faster
    Neighborhood Attention", arXiv:2403.04690.

    Parameters
    ----------
    canvas_w, canvas_h, canvas_d : int
        Size of the volume in tokens.
    kernel_w, kernel_h, kernel_d : int
        Size of the window.

    Returns
    -------
    mask_mod

    Raises
    ------
    ValueError
        A size below 1, a window larger than the volume.
    """
    check_least(1, canvas_w=canvas_w, canvas_h=canvas_h, canvas_d=canvas_d)
    check_least(1, kernel_w=kernel_w, kernel_h=kernel_h, kernel_d=kernel_d)
    check_most(canvas_w, kernel_w=kernel_w)
    check_most(canvas_h, kernel_h=kernel_h)
    check_most(canvas_d, kernel_d=kernel_d)
    plane = canvas_w * canvas_h

    def neighborhood_3d_mask(b, h, q_idx, kv_idx):
        in_x = _in_window(q_idx % canvas_w, kv_idx % canvas_w, canvas_w, kernel_w)
        q_y, kv_y = q_idx // canvas_w % canvas_h, kv_idx // canvas_w % canvas_h
        in_y = _in_window(q_y, kv_y, canvas_h, kernel_h)
        in_z = _in_window(q_idx // plane, kv_idx // plane, canvas_d, kernel_d)
        return in_x & in_y & in_z

    return neighborhood_3d_mask


def circular_2d(canvas_w: int, radius: int, text: Any) -> MaskMod:
    """A disc round the query, and the text: ``dx**2 + dy**2 < r**2 or text[kv]``.

    Liu et al. 2024, "CLEAR: Conv-Like Linearization Revs Pre-Trained Diffusion
    Transformers Up", arXiv:2412.16112.

    Parameters
    ----------
    canvas_w : int
        Width of the image in tokens; tokens are row-major.
    radius : int
        r.
    text : array of bool
        Keys that all queries see, shape [N].

    Returns
    -------
    mask_mod

    Raises
    ------
    ValueError
        A width below 1, a negative radius.
    """
    check_least(1, canvas_w=canvas_w)
    check_least(0, radius=radius)

    def circular_2d_mask(b, h, q_idx, kv_idx):
        dx = q_idx % canvas_w - kv_idx % canvas_w
        dy = q_idx // canvas_w - kv_idx // canvas_w
        return (dx * dx + dy * dy < radius * radius) | text[kv_idx]

    return circular_2d_mask


def _band(rolled: Any, length: int, window: int, shift: int) -> Any:
    """The region of a cyclically shifted coordinate: 0, 1, or 2 if it wrapped."""
    low = ops.where(rolled < length - window, 0, 1)
    return ops.where(rolled < length - shift, low, 2)


def shifted_window(canvas_w: int, canvas_h: int, window: int, shift: int) -> MaskMod:
    """Swin's shifted windows over an image in row-major order.

    With ``x' = (x - shift) % canvas_w`` and y' likewise: the same window
    (``x' // w`` and ``y' // w`` agree) and the same region (tokens that wrapped
    round the border see only their like). Liu et al. 2021, arXiv:2103.14030.

    Parameters
    ----------
    canvas_w, canvas_h : int
        Width and height of the image in tokens, multiples of the window.
    window : int
        The side w of a window.
    shift : int
        The cyclic shift, usually w // 2.

    Returns
    -------
    mask_mod

    Raises
    ------
    ValueError
        A window below 1 or larger than the image, a shift out of it.
    """
    check_least(1, window=window)
    check_least(window, canvas_w=canvas_w, canvas_h=canvas_h)
    check_least(0, shift=shift)
    check_most(window, shift=shift)

    def along(q, kv, length):
        q_rolled, kv_rolled = (q - shift) % length, (kv - shift) % length
        same_window = q_rolled // window == kv_rolled // window
        q_band = _band(q_rolled, length, window, shift)
        return same_window & (q_band == _band(kv_rolled, length, window, shift))

    def shifted_window_mask(b, h, q_idx, kv_idx):
        in_x = along(q_idx % canvas_w, kv_idx % canvas_w, canvas_w)
        return in_x & along(q_idx // canvas_w, kv_idx // canvas_w, canvas_h)

    return shifted_window_mask
