"""Arrays for fovea-run, and what it makes of them."""

import sys

import numpy as np


def make(bias_path: str, q_path: str) -> None:
    """Scores are the bias alone: the queries are 0."""
    np.save(bias_path, np.linspace(-1, 1, 6, dtype=np.float32))
    q = np.zeros((8, 3, 2, 1), dtype=np.float32).T  # Fortran order
    np.save(q_path, q)


def check(bias_path: str, out_path: str, lse_path: str) -> None:
    """The lse is that of the bias; outputs are finite and not all 0."""
    bias = np.load(bias_path).astype(np.float64)
    lse = np.load(lse_path)
    rows = [np.log(np.exp(bias[m : m + 4]).sum()) for m in range(3)]
    assert lse.shape == (1, 2, 3) and lse.dtype == np.float32
    np.testing.assert_allclose(lse, np.broadcast_to(rows, (1, 2, 3)), atol=1e-6)
    out = np.load(out_path)
    assert out.shape == (1, 2, 3, 8) and np.isfinite(out).all() and out.any()


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
