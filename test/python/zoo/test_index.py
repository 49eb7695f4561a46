"""Files, factories, cases and the table of zoo/README.md belong together."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from zoo_cases import cases

from fovea import zoo

ROOT = Path(__file__).resolve().parents[3] / "zoo"


def test_every_file_has_a_case_and_every_case_a_file():
    files = {str(p.relative_to(ROOT)) for p in ROOT.glob("*/*.attn")}
    assert files == {case.file for case in cases().values()}


def test_table_is_up_to_date():
    command = [sys.executable, str(ROOT / "make_index.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0


def test_table_names_what_exists():
    import fovea

    text = (ROOT / "README.md").read_text()
    names = [row.split("`")[1] for row in text.splitlines() if row.startswith("| [")]
    assert len(names) == len(list(ROOT.glob("*/*.attn")))
    for name in names:
        module, function = name.split(".")
        assert callable(getattr(getattr(fovea, module), function)), name


@pytest.mark.parametrize("name", zoo.__all__)
def test_factories_are_documented(name):
    doc = inspect.getdoc(getattr(zoo, name))
    assert "Parameters\n----------" in doc
    assert "Returns\n-------" in doc


def test_unknown_ranks_are_refused():
    import numpy as np

    with pytest.raises(ValueError, match="table: must have 2 or 3 dimensions, got 1"):
        zoo.bias(np.zeros(3))
    with pytest.raises(ValueError, match="tau: must have 1 or 2 dimensions, got 3"):
        zoo.temperature(np.zeros((1, 2, 3)))


def test_files_are_found_by_name():
    import fovea

    assert zoo.path("sliding_window") == ROOT / "masks" / "sliding_window.attn"
    assert fovea.load(zoo.path("sink")).name == "sink"
    with pytest.raises(ValueError, match=r"got 'alibbi' \(nearest: alibi\)"):
        zoo.path("alibbi")
    with pytest.raises(TypeError, match="name: must be a str, got int"):
        zoo.path(3)
