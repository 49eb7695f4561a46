"""Machines that give less: processors, disk."""

import os

import pytest
from test_api_package import run

ATTENTION = """
import numpy as np, fovea
q = np.ones((1, 1, 4, 8), np.float32)
out = fovea.attention(q, q, q, lambda s, b, h, i, j: 1.5 * s - j)
info = fovea.cache_info()
print(round(float(out.sum()), 3), info.compiles, info.disk_hits)
"""


@pytest.fixture(autouse=True)
def compiled_only(native_is_real):
    if not native_is_real:
        pytest.skip("the stand-in has neither threads nor a disk cache")


def test_threads_follow_affinity(monkeypatch):
    """threads: FOVEA_NUM_THREADS, else affinity and cgroup quota; one core"""
    monkeypatch.delenv("FOVEA_NUM_THREADS", raising=False)
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{one}}})\n"
        f"{ATTENTION}\n"
        "fovea.show_config()\n"
    )
    printed = run(code, FOVEA_CACHE="0")
    assert printed.startswith("32.0 1 0\n")
    assert "\nthreads          1\n" in printed


def test_a_full_disk_means_no_entry(tmp_path):
    """disk full: the call succeeds, and nothing half written is left behind"""
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    assert run(full + ATTENTION, FOVEA_CACHE_DIR=str(tmp_path)) == "32.0 1 0\n"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert run(ATTENTION, FOVEA_CACHE_DIR=str(tmp_path)) == "32.0 1 0\n"
    assert run(ATTENTION, FOVEA_CACHE_DIR=str(tmp_path)) == "32.0 0 1\n"
