"""torch.compile of what calls Fovea: its calls run as they are, the rest compiles."""

import subprocess
import sys
import warnings

import pytest
from api_common import inputs

import fovea

torch = pytest.importorskip("torch")
strategies = getattr(torch._C._dynamo.eval_frame, "set_code_exec_strategy", None)
if strategies is None:
    pytest.skip("torch before 2.7", allow_module_level=True)

table = torch.arange(64.0)


def tabled(score, b, h, m, n):
    return score + table[n]


def plain(score, b, h, m, n):
    return score * 2.0


def causal(b, h, m, n):
    return n <= m


@pytest.fixture
def compiled():
    """torch.compile whose graphs are kept and run as they are."""
    fovea.clear_cache()
    torch._dynamo.reset()
    graphs = []

    def backend(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    def compile_(function):
        return torch.compile(function, backend=backend), graphs

    yield compile_
    torch._dynamo.reset()


#: Fovea is imported before torch, and its first call is one inside torch.compile.
LATE = """
import sys
from fovea import attention, create_block_mask
assert "torch" not in sys.modules
import torch
graphs = []
x, table = torch.ones(1, 2, 40, 8), torch.arange(40.0)
def backend(graph, example_inputs):
    graphs.append(graph)
    return graph.forward
def tabled(score, b, h, m, n):
    return score + table[n]
def later(b, h, m, n):
    return table[m] >= table[n]
def model(x):
    block_mask = create_block_mask(later, 1, 1, 40, 40)
    return attention(x + 1.0, x, x, tabled, block_mask=block_mask) * 2.0
first = torch.compile(model, backend=backend)(x)
assert torch.equal(first, model(x))
print(len(graphs))
"""

KERNEL = fovea.compile(tabled, D=8)
CALLS = {
    "plain": lambda q, k, v: fovea.attention(q, k, v, plain),
    "table": lambda q, k, v: fovea.attention(q, k, v, tabled),
    "no mod": lambda q, k, v: fovea.attention(q, k, v),
    "kernel": lambda q, k, v: KERNEL(q, k, v),
    "compile": lambda q, k, v: fovea.compile(tabled, D=8)(q, k, v),
    "block mask": lambda q, k, v: fovea.attention(
        q, k, v, tabled, block_mask=fovea.create_block_mask(causal, 1, 1, 12, 12)
    ),
    "merge": lambda q, k, v: fovea.merge(
        [fovea.attention(q, k, v, tabled, return_lse=True)[0]],
        [fovea.attention(q, k, v, tabled, return_lse=True)[1]],
    )[0],
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_inside_torch_compile(compiled, name):
    q, k, v = (torch.from_numpy(x) for x in inputs())

    def model(q, k, v):
        return CALLS[name](q + 1.0, k, v) * 2.0

    run, graphs = compiled(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        results = [run(q, k, v) for _ in range(3)]
    # One before the call, one after it; none of Fovea's own frames.
    assert len(graphs) == 2
    expected = model(q, k, v)
    assert all(torch.equal(result, expected) for result in results)


def test_torch_may_be_imported_after_fovea():
    command = [sys.executable, "-W", "error::UserWarning", "-c", LATE]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, "2"), found.stderr


def test_mods_are_still_followed(compiled):
    global table
    q, k, v = (torch.from_numpy(x) for x in inputs())
    run, _ = compiled(lambda q: fovea.attention(q, k, v, tabled) + 1.0)
    before, kept = run(q), table
    try:
        table = -kept
        after = run(q)
        assert not torch.equal(before, after)
        assert torch.equal(after, fovea.attention(q, k, v, tabled) + 1.0)
    finally:
        table = kept


def test_errors_of_mods_are_those_outside(compiled):
    q, k, v = (torch.from_numpy(x) for x in inputs())

    def wrong(score, b, h, m, n):
        return score if m > n else 0.0

    run, _ = compiled(lambda q: fovea.attention(q, k, v, wrong) * 2.0)
    with pytest.raises(fovea.TraceError, match="`if`"):
        run(q)
    run, _ = compiled(lambda q: fovea.attention(q, k, v, tabled) * 2.0)
    assert torch.isfinite(run(q)).all()
