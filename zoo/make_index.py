#!/usr/bin/env python3
"""Write the table of zoo/README.md from the `.attn` files.

python zoo/make_index.py          rewrite the table
python zoo/make_index.py --check  exit 1 where it is out of date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- index -->\n", "<!-- end of index -->\n"
GROUPS = {"scores": "Score mods", "masks": "Masks", "normalizers": "Normalisers"}

#: Entries whose Python factory has another name than the file.
PYTHON = {
    "bias_head_matrix": "zoo.bias",
    "bias_matrix": "zoo.bias",
    "head_temperature": "zoo.temperature",
    "row_temperature": "zoo.temperature",
    "prefix_lm_batch": "zoo.prefix_lm",
    "sink_value": "normalizers.sink",
}


def describe(path: Path) -> tuple[str, str]:
    """The equation and the paper, from the `##` comments of a file."""
    lines = re.findall(r"^## ?(.*)$", path.read_text(), re.MULTILINE)
    # The source is what begins with the first line that names a year.
    dated = (i for i, line in enumerate(lines) if re.search(r"\b20\d\d\b", line))
    cut = next(dated, len(lines))
    what, source = " ".join(lines[:cut]), " ".join(lines[cut:])
    return what.rstrip("."), source.rstrip(".")


def table() -> str:
    """The index as Markdown."""
    parts = []
    for group, title in GROUPS.items():
        parts.append(f"\n### {title}\n\n| file | Python | what | source |\n")
        parts.append("|---|---|---|---|\n")
        for path in sorted((HERE / group).glob("*.attn")):
            package = "normalizers" if group == "normalizers" else "zoo"
            python = PYTHON.get(path.stem, f"{package}.{path.stem}")
            what, source = (cell.replace("|", "\\|") for cell in describe(path))
            link = f"[{path.stem}]({group}/{path.name})"
            parts.append(f"| {link} | `{python}` | {what} | {source} |\n")
    return "".join(parts) + "\n"


def main() -> int:
    readme = HERE / "README.md"
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    wanted = head + BEGIN + table() + END + tail
    if "--check" in sys.argv[1:]:
        if wanted != text:
            print(
                "zoo/README.md is out of date: run zoo/make_index.py", file=sys.stderr
            )
        return int(wanted != text)
    readme.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
