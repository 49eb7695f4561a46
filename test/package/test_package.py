"""The wheel, installed into an environment that holds only it and NumPy.

`./dev package` builds both and runs these tests; FOVEA_PACKAGE_PYTHON is the
environment's interpreter.
"""

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ATTENTION = """
import numpy as np, fovea
rng = np.random.default_rng(0)
q, k, v = (rng.standard_normal((1, 2, 96, 64), dtype=np.float32) for _ in range(3))
slope = np.array([0.5, 0.25])
out = fovea.attention(q, k, v, lambda s, b, h, m, n: s + slope[h] * (n - m),
                      lambda b, h, m, n: m >= n)
m, n = np.ogrid[:96, :96]
s = np.einsum("bhmd,bhnd->bhmn", q, k) / 8 + slope[:, None, None] * (n - m)
p = np.exp(np.where(m >= n, s, -np.inf))
error = np.abs(out - p @ v / p.sum(-1, keepdims=True)).max()
assert error < 1e-5, error
"""


@pytest.fixture(scope="module")
def python() -> str:
    return os.environ["FOVEA_PACKAGE_PYTHON"]


@pytest.fixture(scope="module")
def wheel() -> Path:
    (found,) = (ROOT / "dist").glob("fovea-*.whl")
    return found


@pytest.fixture(scope="module")
def libraries(wheel: Path, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".so" in name]
        archive.extractall(folder, names)
    return {Path(name).name.split(".")[0]: folder / name for name in names}


def run(python: str, text: str, **environment: str) -> str:
    clean = {key: value for key, value in os.environ.items() if "PYTHON" not in key}
    clean |= {"FOVEA_CACHE": "0"} | environment
    # Not in the project's folder: nothing but the wheel is to be found.
    done = subprocess.run(
        [python, "-c", text], env=clean, cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tool(*arguments: object) -> str:
    return subprocess.check_output([str(a) for a in arguments], text=True)


def test_only_the_c_interface_is_visible(libraries):
    header = (ROOT / "include/fovea-c/fovea.h").read_text()
    declared = set(re.findall(r"^FOVEA_API.*?\b(fovea_\w+)\(", header, re.M | re.S))
    for name, expected in {"libfovea": declared, "_native": {"PyInit__native"}}.items():
        symbols = tool("nm", "-D", "--defined-only", libraries[name])
        assert {line.split()[-1] for line in symbols.splitlines()} == expected


def test_libraries_are_found_beside_each_other(libraries):
    assert set(libraries) == {"libfovea", "_native", "libtbb"}
    system = {"libc", "libm", "libstdc++", "libgcc_s", "ld-linux-x86-64"}
    for name in ("libfovea", "_native"):
        dynamic = tool("readelf", "-d", libraries[name])
        needed = set(re.findall(r"NEEDED.*\[(.*?)\.so", dynamic))
        assert needed - system <= {"libfovea", "libtbb"}
        assert re.findall(r"R(?:UN)?PATH.*\[(.*)\]", dynamic) == ["$ORIGIN"]


def test_size(wheel):
    assert wheel.stat().st_size < 40 << 20


def test_computes(python):
    run(python, ATTENTION)


def test_import_is_quick_and_small(python):
    """Import ≤ 100 ms and ≤ 60 MB, the compiled module included."""
    text = """
import time, resource, numpy
begin = time.perf_counter()
import fovea, fovea._native
print(time.perf_counter() - begin)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    runs = [tuple(map(float, run(python, text).split())) for _ in range(5)]
    assert min(seconds for seconds, _ in runs) <= 0.1
    assert min(megabytes for _, megabytes in runs) <= 60


def test_numpy_is_the_only_dependency(python):
    text = "import importlib.metadata as m; print(*m.requires('fovea'), sep='\\n')"
    required = [r for r in run(python, text).splitlines() if "extra ==" not in r]
    assert [re.match(r"\w+", r)[0] for r in required] == ["numpy"]


SECOND_LLVM = """
import ctypes
mlir = ctypes.CDLL(MLIR, mode=ctypes.RTLD_GLOBAL)
llvm = ctypes.CDLL(LLVM, mode=ctypes.RTLD_GLOBAL)
handle, address = ctypes.c_void_p, ctypes.c_uint64

def call(name, *arguments, result=handle):
    function = getattr(llvm, name)
    function.restype = result
    return function(*arguments)

def compute(a, b):
    \"\"\"a * b by a function that this LLVM compiles.\"\"\"
    for part in ("TargetInfo", "Target", "TargetMC", "AsmPrinter"):
        call(f"LLVMInitializeX86{part}", result=None)
    call("LLVMLinkInMCJIT", result=None)
    text = b"define i64 @f(i64 %a, i64 %b) { %c = mul i64 %a, %b ret i64 %c }"
    context = handle(call("LLVMContextCreate"))
    buffer = handle(call("LLVMCreateMemoryBufferWithMemoryRangeCopy",
                         text, ctypes.c_size_t(len(text)), b"f"))
    module, engine, message = handle(), handle(), ctypes.c_char_p()
    failed = call("LLVMParseIRInContext", context, buffer, ctypes.byref(module),
                  ctypes.byref(message), result=ctypes.c_int)
    assert not failed, message.value
    failed = call("LLVMCreateExecutionEngineForModule", ctypes.byref(engine), module,
                  ctypes.byref(message), result=ctypes.c_int)
    assert not failed, message.value
    found = call("LLVMGetFunctionAddress", engine, b"f", result=address)
    return ctypes.CFUNCTYPE(address, address, address)(found)(a, b)

assert compute(6, 7) == 42
"""


@pytest.mark.parametrize("order", ["{llvm}{fovea}", "{fovea}{llvm}"])
def test_a_second_llvm_in_the_same_process(python, order):
    """Debian's shared LLVM and MLIR, of the same version and visible to all."""
    folder = Path(tool("llvm-config-22", "--libdir").strip())
    paths = {
        name: sorted(folder.glob(f"lib{name}.so.*"))[0] for name in ("LLVM", "MLIR")
    }
    llvm = "".join(f"{name} = {str(path)!r}\n" for name, path in paths.items())
    text = order.format(llvm=llvm + SECOND_LLVM, fovea=ATTENTION)
    run(python, f"{text}\n{ATTENTION}\nassert compute(11, 3) == 33\n")


@pytest.mark.parametrize("order", ["{torch}{fovea}", "{fovea}{torch}"])
def test_torch_in_the_same_process(order):
    """A second LLVM beside ours, and threads of its own."""
    python = os.environ.get("FOVEA_TORCH_PYTHON")
    if not python:
        pytest.skip("FOVEA_TORCH_PYTHON names no interpreter with torch and the wheel")
    torch = "import torch\ntorch.ones(300, 300) @ torch.ones(300, 300)\n"
    run(python, order.format(torch=torch, fovea=ATTENTION) + ATTENTION)
