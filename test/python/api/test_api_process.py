"""Threads, fork, signals, memory: what only the compiled module can show."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from api_common import causal, inputs, plain
from dtypes import NUMPY
from test_api_package import run

import fovea


@pytest.fixture(autouse=True)
def compiled_only(native_is_real):
    if not native_is_real:
        pytest.skip("the stand-in computes in Python")


def long_inputs(kind="many items"):
    """Work for several seconds on a few cores: many items; few, which visit
    millions of keys each; pages that are copied first"""
    if kind == "many items":
        q = np.ones((1, 16, 16384, 128), np.float32)
        return q, q, q
    q = np.ones((1, 1, 8192, 16), np.float32)
    if kind == "long items":
        k = np.broadcast_to(q[:, :, :1], (1, 1, 1 << 24, 16))
        return q, k, k
    table = np.zeros((1, 1 << 17), np.int64)
    pages = fovea.Pages(np.ones((1, 1, 16, 16), np.float32), table)
    return q, pages, pages


@pytest.fixture
def interruptible():
    """Python's own handler: a shell's background jobs start with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore:.* copies the keys of pages")
@pytest.mark.parametrize("kind", ["many items", "long items", "pages"])
def test_ctrl_c_ends_a_long_call(interruptible, kind):
    """Ctrl-C ends a long call with KeyboardInterrupt within a second."""
    q, k, v = long_inputs(kind)
    kernel = fovea.compile(D=q.shape[3])
    sent = []

    def interrupt():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        kernel(q, k, v)
    took = time.perf_counter() - sent[0]
    timer.join()
    assert took < 1
    small = inputs()
    np.testing.assert_allclose(fovea.attention(*small), plain(*small), atol=2e-6)


def test_ctrl_c_ends_a_long_compilation():
    """Ctrl-C ends a long call ...; After any error the next call works"""
    code = """
import os, signal, threading, time
import numpy as np, fovea
signal.signal(signal.SIGINT, signal.default_int_handler)
def deep(s, b, h, m, n):
    for i in range(2500):
        s = np.tanh(s) + i
    return s
q = np.ones((1, 1, 4, 64), np.float32)
fovea.attention(q, q, q)
sent = []
def interrupt():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.5, interrupt).start()
try:
    fovea.compile(deep, D=64)
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
print(fovea.attention(q, q, q, lambda s, b, h, m, n: s + n).shape)
"""
    took, shape = run(code, FOVEA_CACHE="0").splitlines()
    assert float(took) < 1
    assert shape == "(1, 1, 4, 64)"


@pytest.mark.parametrize("work", ["attention(q, q, q)", "compile(deep, D=64)"])
def test_a_process_may_end_while_daemon_threads_compute(work):
    """Never a crash, abort, hang"""
    code = f"""
import threading, time
import numpy as np, fovea
def deep(s, b, h, m, n):
    for i in range(600):
        s = np.tanh(s) + i + time.time()
    return s
q = np.ones((1, 8, 3000, 64), np.float32)
def loop():
    while True:
        fovea.{work}
for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
time.sleep(0.4)
print("end")
"""
    assert run(code, FOVEA_CACHE="0").strip() == "end"


def test_the_gil_is_released():
    """the GIL is released while compiling and computing"""
    q, k, v = (x[:, :2, :8192] for x in long_inputs())
    kernel = fovea.compile(D=128)
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    kernel(q, k, v)
    end = time.perf_counter()
    stop.set()
    thread.join()
    inside = [t for t in ticks if start < t < end]
    assert end - start > 0.02
    assert len(inside) > 3


def test_after_fork_the_child_works():
    """After fork() the child works"""
    q, k, v = inputs(B=2, M=300, N=300)
    want = fovea.attention(q, k, v, mask_mod=causal)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            same = np.array_equal(fovea.attention(q, k, v, mask_mod=causal), want)
            fresh = fovea.attention(q, k, v, lambda s, b, h, m, n: s + n - m)
            good = same and bool(np.isfinite(fresh).all())
            os.write(writer, b"1" if good else b"0")
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(fovea.attention(q, k, v, mask_mod=causal), want)


def test_a_fork_waits_for_an_import_in_another_thread():
    """After fork() the child works"""
    code = """
import os, signal, sys, threading, time
import numpy as np, fovea
started = threading.Event()
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "fovea._attention":
            started.set()
            time.sleep(0.5)
sys.meta_path.insert(0, Slow())
threading.Thread(target=lambda: fovea.attention).start()
started.wait()
child = os.fork()
q = np.ones((1, 1, 4, 8), np.float32)
if child == 0:
    signal.alarm(20)
    os._exit(0 if np.all(fovea.attention(q, q, q) == 1) else 1)
print(os.waitpid(child, 0)[1])
"""
    assert run(code).strip() == "0"


def window(b, h, q, kv):
    return (q >= kv) & (q - kv < 100)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "f64"])
@pytest.mark.parametrize(
    "mask", [None, causal, window], ids=["noop", "causal", "window"]
)
@pytest.mark.parametrize("special", [False, True])
def test_results_do_not_depend_on_threads(dtype, mask, special):
    """results do not depend on the number of threads (more of them cut the work
    into smaller parts)"""
    q, k, v = inputs(B=2, Hq=2, M=700, N=900, D=32, dtype=NUMPY[dtype])
    if special:
        k[1, 0, 690] = np.inf
        v[0, 1, 250] = np.nan
    q_lengths = np.array([700, 333])
    results = []
    for n in (1, 2, 5, 33):
        fovea.set_num_threads(n)
        results.append(
            fovea.attention(
                q, k, v, mask_mod=mask, q_lengths=q_lengths, return_lse=True
            )
        )
    fovea.set_num_threads(0)
    for got in results[1:]:
        for some, one in zip(got, results[0], strict=True):
            assert np.asarray(some).tobytes() == np.asarray(one).tobytes()


@pytest.mark.parametrize("target", [None, "interpreter"])
@pytest.mark.parametrize("shift", [2**31, 2**40, -(2**33)])
def test_positions_beyond_32_bits(target, shift):
    """index products beyond 2^31 and 2^63"""
    q, k, v = inputs(M=6, N=9)

    def parity(b, h, q_idx, kv_idx):
        return (q_idx * q_idx - kv_idx) % 3 != 0

    got = fovea.attention(
        q, k, v, mask_mod=parity, q_offset=shift, kv_offset=3, target=target
    )

    def mask(b, h, m, n):
        m, n = (m + shift).astype(np.int64), n + 3
        with np.errstate(over="ignore"):
            return (m * m - n) % 3 != 0

    np.testing.assert_allclose(got, plain(q, k, v, mask=mask), atol=2e-6)


def test_a_huge_broadcast_capture_is_not_copied():
    """captures (... 32 GB stride 0 ...)"""
    q, k, v = inputs(M=6, N=9)
    row = np.linspace(-1, 1, 9, dtype=np.float32)
    table = np.broadcast_to(row, (1 << 30, 9))

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[(q_idx + 1) << 25, kv_idx]

    got = fovea.attention(q, k, v, biased)
    want = plain(q, k, v, lambda s, b, h, m, n: s + row[n])
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_the_interpreter_reports_bad_indices():
    """ "interpreter" = f64, reports bad capture indices of visible pairs (S7) as
    IndexError"""
    q, k, v = inputs(M=6, N=9)
    table = np.zeros(8, np.float32)

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[kv_idx]

    with pytest.raises(IndexError, match="table"):
        fovea.attention(q, k, v, biased, target="interpreter")
    shown = fovea.attention(
        q, k, v, biased, lambda b, h, q_idx, kv_idx: kv_idx < 8, target="interpreter"
    )
    want = plain(q, k, v, mask=lambda b, h, m, n: n < 8)
    np.testing.assert_allclose(shown, want, atol=2e-6)
    clamped = fovea.attention(q, k, v, biased)
    np.testing.assert_allclose(clamped, plain(q, k, v), atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_targets_agree(dtype):
    """target: None = where q lives; ... or an architecture"""
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=33, N=47, dtype=dtype)
    slope = np.array([1.0, 0.5, 0.25, 0.125])

    def alibi(score, b, h, q_idx, kv_idx):
        return score + slope[h] * (kv_idx - q_idx)

    want = fovea.attention(q, k, v, alibi, causal, target="interpreter")
    atol = {np.float16: 2e-3, np.float32: 2e-6, np.float64: 1e-12}[dtype]
    for target in (None, "cpu", "x86-64-v3"):
        got = fovea.attention(q, k, v, alibi, causal, target=target)
        np.testing.assert_allclose(got, want, atol=atol, rtol=1e-2 * (atol > 1e-3))


def test_schedules_are_taken_and_verified():
    """schedule=: overrides the cost model, verified with a diagnostic"""
    q, k, v = inputs(M=200, N=300)
    kernel = fovea.compile(D=8, schedule={"m": 64, "n": 64})
    assert kernel.schedule == "m=64,n=64"
    np.testing.assert_allclose(kernel(q, k, v), plain(q, k, v), atol=2e-6)
    for bad in ("m=7", "n=100000000", "nothing=3"):
        with pytest.raises(ValueError, match="schedule"):
            fovea.compile(D=8, schedule=bad)


def test_a_second_process_finds_the_kernel_on_disk(tmp_path):
    """cache_info().compiles is 0 where the disk cache had it"""
    code = (
        "import numpy as np, fovea\n"
        "q = np.ones((1, 1, 4, 8), np.float32)\n"
        "fovea.attention(q, q, q, lambda s, b, h, m, n: s + 0.125 * m)\n"
        "print(*fovea.cache_info())\n"
    )
    environment = {"FOVEA_CACHE": "1", "FOVEA_CACHE_DIR": str(tmp_path / "cache")}
    first = run(code, **environment).split()
    second = run(code, **environment).split()
    assert first[:3] == ["1", "0", "0"]
    assert second[:3] == ["0", "0", "1"]
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_running_out_of_memory_names_the_result():
    """out of memory as MemoryError"""
    code = (
        "import resource, numpy as np, fovea\n"
        "one = np.zeros((1, 1, 1, 64), np.float32)\n"
        "fovea.attention(one, one, one)\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "soft = size + (256 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (soft, soft))\n"
        "q = np.broadcast_to(one, (1, 1, 1 << 22, 64))\n"
        "try: fovea.attention(q, one, one)\n"
        "except MemoryError as error: print(error)\n"
        "print(fovea.attention(one, one, one).shape)\n"
    )
    lines = run(code).splitlines()
    assert lines[0].startswith("out: must fit in memory")
    assert lines[0].endswith(f"got {(1 << 22) * 256:,} bytes")
    assert lines[1] == "(1, 1, 1, 64)"


def test_no_thread_exists_before_the_first_call():
    """no thread exists before the first call"""
    code = (
        "import os, numpy as np\n"
        "def threads(): return len(os.listdir('/proc/self/task'))\n"
        "before = threads()\n"
        "import fovea, fovea._native\n"
        "assert threads() == before\n"
        "q = np.ones((1, 8, 512, 8), np.float32)\n"
        "fovea.set_num_threads(2)\n"
        "fovea.attention(q, q, q)\n"
        "print(threads() - before)\n"
    )
    assert int(run(code)) >= 1


REIMPORTING = """
import sys, warnings
import numpy as np
import fovea
warnings.simplefilter("error")
q = np.ones((1, 2, 3, 8), np.float32)
table = np.array([1.0, 2.0])
def mod(s, b, h, i, j): return s * table[h]
first, calls = fovea, []
for _ in range(3):
    kernel = fovea.compile(mod, D=8)
    calls.append((fovea, kernel))
    for module, kernel in calls:
        for _ in range(3):
            out = module.attention(q, q, q, mod)
            assert (kernel(q, q, q) == out).all()
    try:
        fovea.attention(q, q, q, lambda s, b, h, i, j: s if i else j)
    except fovea.TraceError as error:
        assert "known only in the kernel" in str(error)
    mask = fovea.create_block_mask(lambda b, h, i, j: i >= j, 1, 2, 3, 3)
    assert fovea.attention(q, q, q, block_mask=mask).shape == q.shape
    try:
        fovea.Variant._make(b"attention x {", "x.attn", None)
    except fovea.ParseError as error:
        assert str(error).startswith("x.attn:1:")
    for name in [name for name in sys.modules if name.partition(".")[0] == "fovea"]:
        del sys.modules[name]
    import fovea
    assert fovea is not first
print("done")
"""


def test_the_package_may_be_imported_again():
    """After any error the next call works: also where modules are deleted"""
    assert run(REIMPORTING) == "done\n"


ENDING = """
import threading
import numpy as np, fovea
q = np.ones((1, 1, 2, 8), np.float32)
ready = threading.Event()
def work():
    kernel = fovea.compile(D=8)
    kernel(q, q, q)
    ready.set()
    threading.Event().wait()
threading.Thread(target=work, daemon=True).start()
ready.wait()
"""


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_a_daemon_thread_may_hold_a_kernel_at_the_end(verbose):
    """No MLIR or C++ text appears unless FOVEA_VERBOSE=1."""
    environment = {**os.environ, "FOVEA_VERBOSE": verbose}
    command = [sys.executable, "-c", ENDING]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ("nanobind: leaked" in ran.stderr) == (verbose == "1")
