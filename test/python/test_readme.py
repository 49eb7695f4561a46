"""The example of README.md runs as it stands."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_example_runs_and_prints_what_the_readme_shows():
    text = README.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shown = re.search(r"```\n(BlockMask.*?)\n *…\n```", text, re.DOTALL)[1]
    # Shorter sequences for the two calls; the picture is of the real length.
    code = code.replace("N, D = 1, 8, 16384", "N, D = 1, 8, 512")
    code = code.replace("arange(N) // 4096", "arange(N) // 128")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = {}
        exec(compile(code, "README.md", "exec"), names)
        names["doc"] = names["np"].arange(16384) // 4096
        mask = names["fovea"].create_block_mask(
            names["causal_document"], 1, 8, 16384, 16384
        )
    assert shown in str(mask)
    assert "variant alibi_causal_document" in printed.getvalue()
