"""One self-contained page: text, the mask of each head with zoom, IR side by side."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable

import numpy as np

from . import _picture
from ._block_mask import BlockMask

__all__ = ["page"]

_LEVELS = ("attn", "online", "target", "llvm", "asm")
_SHOWN = ("attn", "online")
_HEADS = 32

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; margin: 1.5em auto; padding: 0 1.5em;
  max-width: 1500px; color: #1f2328; background: #fff }}
h1 {{ font-size: 22px }} h2 {{ font-size: 17px; margin-top: 1.6em }}
h3 {{ font-size: 14px; margin: .2em 0 }}
pre {{ background: #f6f8fa; border: 1px solid #d0d7de; border-radius: 6px; padding: .8em;
  overflow: auto; margin: 0; font: 12px/1.45 ui-monospace, monospace }}
#text {{ white-space: pre-wrap; overflow-wrap: break-word }}
#mask {{ display: flex; gap: 1.5em; flex-wrap: wrap; align-items: flex-start }}
canvas {{ border: 1px solid #8c959f; cursor: crosshair; touch-action: none }}
.key span {{ display: inline-block; width: 1em; height: 1em; border: 1px solid #8c959f;
  vertical-align: -2px; margin-right: .4em }}
.key div {{ margin: .2em 0 }}
#at {{ min-height: 4.5em; white-space: pre-line }}
#choice label {{ margin-right: 1em }}
#levels {{ display: grid; gap: 1em; grid-auto-flow: column; grid-auto-columns: 1fr;
  margin-top: .6em }}
#levels > div {{ min-width: 0 }}
#levels pre {{ height: 70vh }}
</style></head><body>
<h1>{title}</h1><pre id="text">{text}</pre>
{mask}<h2>Levels</h2><div id="choice">{choice}</div><div id="levels">{levels}</div>
<script>
for (const box of document.querySelectorAll("#choice input"))
  box.onchange = () => document.getElementById("level-" + box.value).hidden = !box.checked;
</script>
</body></html>
"""

_MASK = """<h2>Mask</h2><div id="mask"><canvas width="640" height="640"></canvas>
<div class="key"><p><label>head <select id="head"></select></label></p>
<div><span style="background:{empty}"></span>empty: skipped</div>
<div><span style="background:{partial}"></span>partial: the mask is asked</div>
<div><span style="background:{full}"></span>full: every pair is visible</div>
<p>Queries run down, keys to the right; wheel zooms, dragging moves, double click
resets.</p><p id="at"></p></div></div>
<script>
const mask = {data};
// By the classes seen in a pixel, bits 1, 2 and 4: none, empty, full, else partial.
const packed = c => [5, 3, 1].reduce((all, i) =>
  all << 8 | parseInt(c.slice(i, i + 2), 16), 255) >>> 0;
const [empty, partial, full] = {colours}.map(packed);
const paint = [packed("#eaeef2"), empty, partial, partial, full, partial, partial, partial];
const decode = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer;
const heads = mask.heads.map(head => ({{ name: head.name,
  offsets: new Int32Array(decode(head.offsets)), runs: new Int32Array(decode(head.runs)) }}));
const canvas = document.querySelector("canvas"), at = document.getElementById("at");
const context = canvas.getContext("2d"), chosen = document.getElementById("head");
heads.forEach((head, i) => chosen.add(new Option(head.name, i)));
const extent = Math.max(mask.rows, mask.columns, 1), least = Math.min(8, extent);
let x = 0, y = 0, span = extent, held = null;

function classAt(head, row, column) {{
  for (let i = head.offsets[row]; i < head.offsets[row + 1]; ++i)
    if (head.runs[i] >> 2 > column) return head.runs[i] & 3;
  return 0;
}}

function draw() {{
  const head = heads[chosen.value], size = canvas.width, scale = size / span;
  const seen = new Uint8Array(size * size), image = context.createImageData(size, size);
  const lastRow = Math.min(mask.rows, Math.ceil(y + span));
  for (let row = Math.max(0, Math.floor(y)); row < lastRow; ++row) {{
    const top = Math.max(0, Math.floor((row - y) * scale));
    const bottom = Math.min(size, Math.max(top + 1, Math.floor((row + 1 - y) * scale)));
    for (let i = head.offsets[row], begin = 0; i < head.offsets[row + 1]; ++i) {{
      const end = head.runs[i] >> 2, bit = 1 << (head.runs[i] & 3);
      const left = Math.max(0, Math.floor((begin - x) * scale));
      const right = Math.min(size, Math.max(left + 1, Math.floor((end - x) * scale)));
      begin = end;
      if ((end - x) * scale <= 0 || left >= size) continue;
      for (let py = top; py < bottom; ++py)
        for (let px = left; px < right; ++px) seen[py * size + px] |= bit;
    }}
  }}
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < seen.length; ++i) pixels[i] = paint[seen[i]];
  context.putImageData(image, 0, 0);
}}

function move(nx, ny) {{
  const room = Math.max(0, extent - span);
  x = Math.min(room, Math.max(0, nx)); y = Math.min(room, Math.max(0, ny));
  requestAnimationFrame(draw);
}}
const place = e => {{
  const box = canvas.getBoundingClientRect();
  return [(e.clientX - box.left) / box.width * span, (e.clientY - box.top) / box.height * span];
}};
chosen.onchange = draw;
canvas.onwheel = e => {{
  e.preventDefault();
  const [px, py] = place(e), next = Math.min(extent, Math.max(least,
    span * (e.deltaY < 0 ? 0.8 : 1.25))), share = next / span;
  span = next;
  move(x + px * (1 - share), y + py * (1 - share));
}};
canvas.onpointerdown = e => {{
  const [px, py] = place(e);
  held = [x + px, y + py]; canvas.setPointerCapture(e.pointerId); e.preventDefault();
}};
canvas.onpointermove = e => {{
  const [px, py] = place(e);
  if (held) move(held[0] - px, held[1] - py);
  const row = Math.floor(y + py), column = Math.floor(x + px);
  if (row >= mask.rows || column >= mask.columns) {{ at.textContent = ""; return; }}
  const [bq, bkv] = mask.size, kind = classAt(heads[chosen.value], row, column);
  at.textContent = `tile (${{row}}, ${{column}}): ${{["empty", "partial", "full"][kind]}}\\n`
    + `queries ${{row * bq}} to ${{Math.min((row + 1) * bq, mask.lengths[0]) - 1}}\\n`
    + `keys ${{column * bkv}} to ${{Math.min((column + 1) * bkv, mask.lengths[1]) - 1}}`;
}};
canvas.onpointerup = () => held = null;
canvas.ondblclick = () => {{ span = extent; move(0, 0); }};
draw();
</script>
"""


def _encode(values: np.ndarray) -> str:
    return base64.b64encode(values.astype("<i4").tobytes()).decode()


def _mask(mask: BlockMask | None) -> str:
    """The picture, drawn in the page from the runs of each row of tiles."""
    if mask is None or mask.tile_runs.runs.size == 0:
        return ""
    runs = mask.tile_runs
    batches, heads, rows, columns = runs.shape
    pictures = []
    for plane in range(min(batches * heads, _HEADS)):
        offsets = runs.offsets[plane * rows : (plane + 1) * rows + 1]
        name = f"b={plane // heads}, h={plane % heads}"
        if batches * heads == 1:
            name = "all"
        pictures.append(
            {
                "name": name,
                "offsets": _encode(offsets - offsets[0]),
                "runs": _encode(runs.runs[offsets[0] : offsets[-1]]),
            }
        )
    data = {
        "rows": rows,
        "columns": columns,
        "size": mask.BLOCK_SIZE,
        "lengths": mask.seq_lengths,
        "heads": pictures,
    }
    empty, partial, full = _picture.COLOURS
    return _MASK.format(
        data=json.dumps(data),
        colours=json.dumps(_picture.COLOURS),
        empty=empty,
        partial=partial,
        full=full,
    )


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
    levels, choice = [], []
    for level in _LEVELS:
        shown = level in _SHOWN
        levels.append(
            f'<div id="level-{level}"{"" if shown else " hidden"}><h3>{level}</h3>'
            f"<pre>{html.escape(ir(level))}</pre></div>"
        )
        checked = " checked" if shown else ""
        choice.append(
            f'<label><input type="checkbox" value="{level}"{checked}> {level}</label>'
        )
    return _PAGE.format(
        title=html.escape(title),
        text=html.escape(text),
        mask=_mask(mask),
        choice="".join(choice),
        levels="".join(levels),
    )
