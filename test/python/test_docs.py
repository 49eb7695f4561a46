"""What the pages show is there and runs."""

import re
from pathlib import Path

import numpy as np
import pytest

import fovea

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "README.md",
        "docs/**/*.md",
        "dialects/*/*.md",
        "zoo/*.md",
        "examples/*/*.md",
        "benchmarks/*.md",
    )
    for path in ROOT.glob(pattern)
)


def blocks(page, language=""):
    """The fenced blocks of a page that carry a language, or none."""
    fenced = re.findall(
        r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE
    )
    return [block for word, block in fenced if word == language]


VARIANTS = [
    (page, number, block)
    for page in PAGES
    for number, block in enumerate(blocks(page))
    if re.search(r"^attention \w+", block, re.MULTILINE)
]


def test_the_pages_are_found():
    assert {"README.md", "docs/attn.md", "docs/spec/attn_gpu.md"} <= set(PAGES)
    assert {page for page, _, _ in VARIANTS} >= {"README.md", "docs/attn.md"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    here = (ROOT / page).parent
    assert not [
        link
        for link in links
        if not link.startswith("http") and not (here / link).exists()
    ]


@pytest.mark.parametrize("page, number, block", VARIANTS)
def test_variants_of_the_pages_run(tmp_path, page, number, block):
    file = tmp_path / "page.attn"
    file.write_text(block)
    variant = fovea.load(file)
    q = np.ones((1, 2, 5, 8), np.float32)
    arrays = {
        name: np.ones((5 if name == "doc" else 2,), dtype)
        for name, (dtype, _) in variant.captures.items()
    }
    assert np.allclose(variant(q, q, q, **arrays), 1)


def test_functions_of_attn_files_are_those_of_ops():
    text = (ROOT / "docs/attn.md").read_text()
    names = re.search(r"^- Functions: ([\w ]+)\.", text, re.MULTILINE)[1].split()
    assert set(names) == {*fovea.ops.__all__, "int", "float"}


def test_python_of_the_zoo_page_runs(monkeypatch):
    (code,) = blocks("zoo/README.md", "python")
    monkeypatch.chdir(ROOT)
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((1, 8, 12, 16), np.float32) for _ in "qkv")
    names = {"q": q, "k": k, "v": v}
    exec(compile(code, "zoo/README.md", "exec"), names)
    s = np.einsum("bhmd,bhnd->bhmn", q, k) / 4
    causal = np.tril(np.ones((12, 12), bool))
    p = np.where(causal, np.exp(s), 0)
    expected = p / p.sum(-1, keepdims=True) @ v
    assert np.allclose(names["out"], expected, atol=1e-5)
