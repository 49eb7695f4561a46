"""The compiled module by itself: processes, signals, memory, the disk cache."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from native_helpers import call, describe, inputs, program

native = pytest.importorskip("fovea._native")

PRELUDE = """
import json, os, resource, signal, threading, time
import numpy as np
from fovea import _native as native
from native_helpers import call, inputs, program
"""


def run(code: str, **environment: str) -> str:
    """Run code behind the prelude in a process of its own; give its output."""
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "FOVEA_CACHE": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Causal attention in double precision."""
    scores = np.einsum("bhmd,bhnd->bhmn", q.astype(float), k.astype(float)) * 0.125
    scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v.astype(float)


def test_computes_attention():
    kernel, _, _ = native.compile(program())
    q, k, v = inputs(333)
    np.testing.assert_allclose(call(kernel, q, k, v), reference(q, k, v), atol=2e-6)


def test_results_do_not_depend_on_threads():
    kernel, _, _ = native.compile(program())
    q, k, v = inputs(700, heads=3)
    results = []
    try:
        for threads in (1, 2, 3, 8):
            native.set_num_threads(threads)
            results.append(call(kernel, q, k, v).tobytes())
    finally:
        native.set_num_threads(0)
    assert len(set(results)) == 1


def test_non_finite_values_reach_only_rows_that_see_them():  # S11
    kernel, _, _ = native.compile(program())
    q, k, v = inputs(300)
    v[0, 0, 250, 3] = np.nan
    v[0, 1, 120] = np.inf
    finite = np.isfinite(call(kernel, q, k, v))
    expected = np.ones_like(finite)
    expected[0, 0, 250:, 3] = False
    expected[0, 1, 120:] = False
    np.testing.assert_array_equal(finite, expected)


def test_one_compilation_for_many_threads():
    before = native.cache_info()[0]
    text = program(12345)
    threads = [threading.Thread(target=native.compile, args=(text,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert native.cache_info()[0] - before <= 1


def test_no_thread_before_the_first_call():
    assert (
        run("print(len(os.listdir('/proc/self/task')))", OPENBLAS_NUM_THREADS="1")
        == "1"
    )


def test_threads_of_the_environment():
    assert run("print(native.num_threads())", FOVEA_NUM_THREADS="5") == "5"
    note = run(
        "print(json.loads(native.config())['threads_note'])", FOVEA_NUM_THREADS="x"
    )
    assert "FOVEA_NUM_THREADS" in note


def test_interrupt_ends_a_long_call():
    seconds = run(
        """
        def stop(*_):
            raise KeyboardInterrupt
        kernel = native.compile(program())[0]
        arrays = [np.ones((1, 1, 1 << 18, 64), np.float32)] * 3
        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        begin = time.time()
        try:
            call(kernel, *arrays)
        except KeyboardInterrupt:
            print(time.time() - begin)
        assert call(kernel, *inputs(10)).shape == (1, 2, 10, 64)
        """
    )
    assert float(seconds) < 1.5


def test_a_forked_child_computes_and_compiles():
    failures = run(
        """
        kernel = native.compile(program())[0]
        data = inputs(500)
        expected = call(kernel, *data)
        stop = False
        def busy():
            while not stop:
                call(kernel, *data)
        thread = threading.Thread(target=busy)
        thread.start()
        failures = 0
        for i in range(8):
            child = os.fork()
            if child == 0:
                good = (call(kernel, *data) == expected).all()
                other = native.compile(program(100 + i))[0]
                good &= np.isfinite(call(other, *data)).all()
                os._exit(0 if good else 1)
            failures += os.waitpid(child, 0)[1] != 0
        stop = True
        thread.join()
        print(failures)
        """
    )
    assert failures == "0"


@pytest.mark.parametrize("megabytes", [1, 16, 60, 64, 80, 400])
def test_little_memory_is_an_error_not_the_end(megabytes):
    said = run(
        f"""
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ({megabytes} << 20), -1))
        try:
            kernel = native.compile(program())[0]
            call(kernel, *inputs(100))
            print("fine")
        except MemoryError as error:
            print("MemoryError", error)
        """
    )
    assert said == "fine" or said.startswith("MemoryError")
    if megabytes == 1:
        assert "64 MiB" in said


CACHED = "print(native.compile(program())[1], native.cache_info())"


def test_the_disk_cache_serves_other_processes(tmp_path: Path):
    folder = tmp_path / "deep" / "cache"
    settings = {"FOVEA_CACHE": "1", "FOVEA_CACHE_DIR": str(folder)}
    assert run(CACHED, **settings).startswith("compiled (1, 0, 0")
    assert run(CACHED, **settings).startswith("disk (0, 0, 1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    for damaged in (whole[:-1], whole[:20], b"", whole[:-5] + b"12345"):
        entry.write_bytes(damaged)
        assert run(CACHED, **settings).startswith("compiled")
        assert entry.read_bytes() == whole


def test_a_disk_cache_that_others_can_write_is_off(tmp_path: Path):
    tmp_path.chmod(0o777)
    settings = {"FOVEA_CACHE": "1", "FOVEA_CACHE_DIR": str(tmp_path)}
    assert run(CACHED, **settings).startswith("compiled")
    assert list(tmp_path.iterdir()) == []
    config = json.loads(run("print(native.config())", **settings))
    assert config["cache_dir"] is None
    assert "can be written by others" in config["cache_note"]


def test_no_home_is_no_disk_cache_or_that_of_the_user_database():
    environment = {
        "FOVEA_CACHE": "1",
        "HOME": "",
        "XDG_CACHE_HOME": "",
        "FOVEA_CACHE_DIR": "",
    }
    config = json.loads(run("print(native.config())", **environment))
    assert config["cache_dir"] or config["cache_note"]


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"k": "rank"}, ValueError, "k: rank must be 4, got 3"),
        ({"k": "dtype"}, TypeError, "k: dtype must be f32, got f64"),
        ({"k": "dim"}, ValueError, "k: head dim must be 64, got 32"),
        ({"k": "tuple"}, TypeError, "tensor: must be a tuple"),
    ],
)
def test_wrong_tensors_are_refused(change, kind, text):
    kernel, _, _ = native.compile(program())
    q, k, v = inputs(10)
    wrong = {
        "rank": describe(k[0]),
        "dtype": describe(k, "f64"),
        "dim": describe(k[..., :32]),
        "tuple": [1, 2],
    }[change["k"]]
    out = np.zeros_like(q)
    with pytest.raises(kind, match=text.replace("(", r"\(")):
        kernel.launch(
            [describe(q)], [wrong], describe(v), describe(out), None, [], [0.125],
            None, None, None, None, None, None,
        )  # fmt: skip


def test_levels_are_texts():
    kernel, _, _ = native.compile(program())
    for level, word in [
        ("program", '"mask"'),
        ("attn", "attn.attention"),
        ("online", "online.sweep"),
        ("target", "causal_run"),
        ("llvm", "define"),
        ("asm", "causal_run:"),
    ]:
        assert word in kernel.ir(level)
    with pytest.raises(ValueError, match="level: must be program"):
        kernel.ir("ptx")
    assert kernel.object()[:4] == b"\x7fELF"


def test_mlir_text_is_the_same_variant():
    kernel, _, _ = native.compile(program())
    text = kernel.ir("attn")
    _, origin, _ = native.compile(text, kind="mlir", name="x.mlir")
    assert origin == "memory"
    with pytest.raises(ValueError, match=r"x.mlir:\d+:\d+: error: "):
        native.compile(text[: len(text) // 2], kind="mlir", name="x.mlir")


@pytest.mark.parametrize("schedule", ["m=7", "n=-1", "nonsense", "q=3"])
def test_wrong_schedules_are_refused(schedule):
    with pytest.raises(ValueError, match="schedule") as refused:
        native.compile(program(), schedule=schedule)
    assert "attn." not in str(refused.value)
