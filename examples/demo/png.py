"""Pictures of block masks as PNG files, with the standard library alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

__all__ = ["write_classes"]

#: Empty, partial and full tiles.
COLOURS = np.array([[255, 255, 255], [158, 202, 225], [8, 81, 156]], np.uint8)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def write_classes(path: Path, classes: np.ndarray, pixels: int = 768) -> None:
    """Draw tiles (0 empty, 1 partial, 2 full) as squares.

    Parameters
    ----------
    path : path
        The file to write.
    classes : ndarray of int8 [rows, columns]
    pixels : int
        About the longer side of the picture.
    """
    size = max(1, pixels // max(classes.shape))
    large = np.repeat(np.repeat(classes, size, axis=0), size, axis=1)
    image = COLOURS[large]
    # Every row of a PNG begins with the number of its filter: 0, none.
    rows = np.zeros((image.shape[0], 1 + 3 * image.shape[1]), np.uint8)
    rows[:, 1:] = image.reshape(image.shape[0], -1)
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6))
        + _chunk(b"IEND", b"")
    )
