"""Pictures of block masks: text, HTML, matplotlib."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks
from ._tensors import type_name

if TYPE_CHECKING:
    from ._block_mask import BlockMask

_COLUMNS = 48
_ROWS = 32
_PICTURES = 4
#: Cells a side of a plot: more than a screen shows.
_PLOTTED = 4096
#: What stands for an empty, a partial and a full tile, two characters wide.
GLYPHS = ("  ", "\u2591\u2591", "\u2588\u2588")
#: Corners, left to right and down, a line and a side.
_FRAME = "\u250c\u2510\u2514\u2518\u2500\u2502"
_PLAIN_GLYPHS = ("  ", "..", "##")
_PLAIN_FRAME = "++++-|"
COLOURS = ("#ffffff", "#9ecae1", "#08519c")
_NAMES = ("empty", "partial", "full")


def _drawn_with() -> tuple[tuple[str, str, str], str]:
    """Glyphs and frame that standard output can write."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "".join((*GLYPHS, _FRAME)).encode(encoding)
    except (UnicodeError, LookupError):
        return _PLAIN_GLYPHS, _PLAIN_FRAME
    return GLYPHS, _FRAME


def condensed(mask: BlockMask, b: int, h: int, rows: int, columns: int) -> np.ndarray:
    """At most rows x columns cells: full where all tiles are, empty alike."""
    runs = mask.tile_runs
    own = [
        [i if extent > 1 else 0]
        for i, extent in zip((b, h), runs.shape[:2], strict=True)
    ]
    plane = runs.take(*own, 0, runs.shape[2])
    height, width = plane.shape[2:]
    if height > rows or width > columns:
        q = np.linspace(0, height, min(rows, height) + 1).astype(np.int64)
        n = np.linspace(0, width, min(columns, width) + 1).astype(np.int64)
        plane = plane.coarser((q[:-1], q[1:]), (n[:-1], n[1:]))
    return plane.classes()[0, 0]


def distinct_heads(mask: BlockMask) -> list[tuple[int, int]]:
    """The (b, h) whose pictures differ by construction."""
    if 0 in mask.shape[:2]:
        return []
    batches, heads = mask.tile_runs.shape[:2]
    return [(b, h) for b in range(batches) for h in range(heads)]


def text(mask: BlockMask) -> str:
    """The header and a picture of each head that has one of its own."""
    full, partial, empty = mask.counts()
    glyphs, (nw, ne, sw, se, line, side) = _drawn_with()
    B, H, q_len, kv_len = mask.shape
    lines = [
        f"BlockMask(shape=({B}, {H}, {q_len}, {kv_len}), BLOCK_SIZE={mask.BLOCK_SIZE},"
        f" sparsity={mask.sparsity():.2f}%)",
        f"tiles: {full} full {glyphs[2]}, {partial} partial {glyphs[1]}, {empty} empty",
    ]
    shown = distinct_heads(mask)
    if not shown:
        lines.append("no batches" if not B else "no heads")
    for b, h in shown[:_PICTURES]:
        small = condensed(mask, b, h, _ROWS, _COLUMNS)
        if not small.size:
            lines.append(f"(b={b}, h={h}): no tiles")
            continue
        scale, tiles = "", mask.tile_runs.shape[2:]
        if small.shape != tiles:
            scale = f", {tiles[0]} x {tiles[1]} tiles in"
            scale += f" {small.shape[0]} x {small.shape[1]} cells"
        lines.append(f"(b={b}, h={h}){scale}")
        width = 2 * small.shape[1]
        lines.append(nw + line * width + ne)
        lines += [side + "".join(glyphs[c] for c in row) + side for row in small]
        lines.append(sw + line * width + se)
    if len(shown) > _PICTURES:
        lines.append(f"... and {len(shown) - _PICTURES} more heads")
    return "\n".join(lines)


def html(mask: BlockMask) -> str:
    """The header and one SVG, for notebooks."""
    full, partial, empty = mask.counts()
    head = (
        f"<b>BlockMask</b> shape={mask.shape}, BLOCK_SIZE={mask.BLOCK_SIZE},"
        f" sparsity={mask.sparsity():.2f}%<br>{full} full, {partial} partial,"
        f" {empty} empty tiles"
    )
    if 0 in mask.shape[:2]:
        return f"<div>{head}</div>"
    small = condensed(mask, 0, 0, 64, 64)
    if not small.size:
        return f"<div>{head}</div>"
    size = 6
    rects = [
        f'<rect x="{x * size}" y="{y * size}" width="{size}" height="{size}"'
        f' fill="{COLOURS[small[y, x]]}"/>'
        for y in range(small.shape[0])
        for x in range(small.shape[1])
        if small[y, x]
    ]
    width, height = small.shape[1] * size, small.shape[0] * size
    return (
        f'<div>{head}<br><svg width="{width}" height="{height}"'
        f' style="border:1px solid #888" role="img">{"".join(rects)}</svg></div>'
    )


def plot(mask: BlockMask, ax: Any, b: object, h: object) -> Any:
    """See BlockMask.plot."""
    if 0 in mask.shape[:2]:
        raise ValueError(
            f"BlockMask: must have a batch and a head to plot, got shape {mask.shape}"
        )
    batch = _checks.integer(b, "b", 0, mask.shape[0] - 1)
    head = _checks.integer(h, "h", 0, mask.shape[1] - 1)
    if ax is not None and not hasattr(ax, "imshow"):
        raise TypeError(f"ax: must be a matplotlib Axes or None, got {type_name(ax)}")
    try:
        from matplotlib import pyplot
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ImportError("BlockMask.plot needs matplotlib: fovea[plot]") from error
    if ax is None:
        _, ax = pyplot.subplots()
    q_len, kv_len = mask.seq_lengths
    rows, columns = mask.tile_runs.shape[2:]
    cells = condensed(mask, batch, head, _PLOTTED, _PLOTTED)
    if cells.size:
        # In the stage "rgba" each cell would take 16 or 32 bytes before it is drawn.
        ax.imshow(
            cells,
            cmap=ListedColormap(list(COLOURS)),
            vmin=0,
            vmax=2,
            interpolation="nearest",
            interpolation_stage="data",
            extent=(0, columns * mask.BLOCK_SIZE[1], rows * mask.BLOCK_SIZE[0], 0),
            aspect="auto",
        )
    ax.set_xlim(0, max(kv_len, 1))
    ax.set_ylim(max(q_len, 1), 0)
    ax.set_xlabel("key position")
    ax.set_ylabel("query position")
    ax.set_title(f"b={batch}, h={head}: {mask.sparsity():.1f}% of tiles skipped")
    ax.legend(
        handles=[
            Patch(facecolor=colour, edgecolor="#888888", label=name)
            for colour, name in zip(COLOURS, _NAMES, strict=True)
        ],
        loc="upper right",
    )
    return ax
