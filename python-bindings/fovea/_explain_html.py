"""One self-contained page: text, the mask of each head with zoom, IR side by side."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable

from ._block_mask import BlockMask
from ._explain_mask import png

__all__ = ["page"]

_LEVELS = ("attn", "online", "target", "llvm")
_HEADS = 32

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222 }}
pre {{ background: #f6f8fa; padding: .8em; overflow: auto; margin: 0 }}
#frame {{ width: 640px; height: 640px; overflow: hidden; border: 1px solid #888;
  cursor: grab; touch-action: none }}
#mask {{ image-rendering: pixelated; transform-origin: 0 0; width: 640px; height: 640px }}
.key span {{ display: inline-block; width: 1em; height: 1em; border: 1px solid #888;
  vertical-align: -2px; margin: 0 .3em 0 1em }}
.levels {{ display: grid; gap: 1em; grid-template-columns: repeat(auto-fit,
  minmax(420px, 1fr)) }}
.levels pre {{ max-height: 70vh; font-size: 12px }}
</style></head><body>
<h1>{title}</h1><pre>{text}</pre>
{mask}<h2>Levels</h2><div class="levels">{levels}</div>
</body></html>
"""

_MASK = """<h2>Mask</h2>
<p><label>head <select id="head">{options}</select></label>
<span class="key"><span style="background:#fff"></span>empty
<span style="background:#9ecae1"></span>partial
<span style="background:#08519c"></span>full; wheel zooms, dragging moves, double
click resets</span></p>
<div id="frame"><img id="mask" alt="tiles of the mask" src="{first}"></div>
<script>
const image = document.getElementById("mask"), frame = document.getElementById("frame");
let x = 0, y = 0, scale = 1, held = null;
const show = () => image.style.transform = `translate(${{x}}px,${{y}}px) scale(${{scale}})`;
document.getElementById("head").onchange = e => image.src = e.target.value;
frame.onwheel = e => {{
  e.preventDefault();
  const box = frame.getBoundingClientRect(), px = e.clientX - box.left,
    py = e.clientY - box.top, factor = e.deltaY < 0 ? 1.25 : 0.8;
  const next = Math.min(64, Math.max(1, scale * factor));
  x = px - (px - x) * next / scale; y = py - (py - y) * next / scale;
  scale = next; show();
}};
frame.onpointerdown = e => {{ held = [e.clientX - x, e.clientY - y];
  frame.setPointerCapture(e.pointerId); e.preventDefault(); }};
frame.onpointermove = e => {{ if (held) {{ x = e.clientX - held[0];
  y = e.clientY - held[1]; show(); }} }};
frame.onpointerup = () => held = null;
frame.ondblclick = () => {{ x = y = 0; scale = 1; show(); }};
</script>
"""


def _picture(mask: BlockMask, b: int, h: int) -> str:
    return "data:image/png;base64," + base64.b64encode(png(mask, b, h)).decode()


def _mask(mask: BlockMask | None) -> str:
    if mask is None:
        return ""
    from ._picture import distinct_heads

    pictures = [
        (f"b={b}, h={h}", _picture(mask, b, h))
        for b, h in distinct_heads(mask)[:_HEADS]
    ]
    options = "".join(
        f'<option value="{source}">{name}</option>' for name, source in pictures
    )
    return _MASK.format(options=options, first=pictures[0][1])


def page(
    title: str, text: str, mask: BlockMask | None, ir: Callable[[str], str]
) -> str:
    """The page.

    Parameters
    ----------
    title, text : str
        Heading, and what `fovea explain` prints.
    mask : BlockMask or None
        Whose tiles are drawn.
    ir : callable
        Gives the text of a level.
    """
    levels = "".join(
        f"<div><h3>{level}</h3><pre>{html.escape(ir(level))}</pre></div>"
        for level in _LEVELS
    )
    return _PAGE.format(
        title=html.escape(title),
        text=html.escape(text),
        mask=_mask(mask),
        levels=levels,
    )
