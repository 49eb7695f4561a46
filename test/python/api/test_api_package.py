"""The package as a whole: what it exports, imports and prints."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fovea


def run(code, **environment):
    """Python code in a fresh process that sees the same package."""
    root = os.path.dirname(os.path.dirname(fovea.__file__))
    env = {**os.environ, "PYTHONPATH": root, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exports():
    """§1 Python: what the package exports"""
    assert set(fovea.__all__) == {
        "attention", "compile", "create_block_mask", "create_mask", "and_masks",
        "or_masks", "merge", "Normalizer", "normalizers", "ops", "zoo", "load",
        "load_kernel", "cache_info", "clear_cache", "show_config", "set_num_threads",
        "__version__", "Kernel", "Variant", "BlockMask", "Error", "TraceError",
        "CompileError", "ParseError", "PerformanceWarning", "Pages",
    }  # fmt: skip
    for name in set(fovea.__all__) - {"zoo"}:
        assert getattr(fovea, name) is not None
    assert dir(fovea) == sorted(fovea.__all__)


def test_unknown_names_are_attribute_errors():
    """a module has no other attributes"""
    with pytest.raises(AttributeError, match="'fovea' has no attribute 'atention'"):
        _ = fovea.atention


def test_public_names_have_docstrings():
    """numpydoc docstrings"""
    for name in fovea.__all__:
        if name in ("zoo", "__version__"):
            continue
        assert getattr(fovea, name).__doc__
    for cls in (fovea.Kernel, fovea.BlockMask, fovea.Variant):
        for name, member in vars(cls).items():
            if not name.startswith("_") and (
                callable(member) or hasattr(member, "fget")
            ):
                assert member.__doc__, f"{cls.__name__}.{name}"


def test_error_kinds():
    """fovea.Error is the base of the package's own kinds"""
    assert issubclass(fovea.TraceError, (fovea.Error,))
    assert issubclass(fovea.TraceError, TypeError)
    assert issubclass(fovea.CompileError, fovea.Error)
    assert issubclass(fovea.CompileError, RuntimeError)
    assert issubclass(fovea.ParseError, fovea.Error)
    assert issubclass(fovea.ParseError, ValueError)
    assert issubclass(fovea.PerformanceWarning, UserWarning)


def test_importing_is_quick_and_small():
    """Import <= 100 ms and <= 60 MB"""
    code = (
        "import time\n"
        "start = time.process_time()\n"
        "import fovea\n"
        "print(time.process_time() - start)\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    results = [run(code).split() for _ in range(3)]
    assert min(float(seconds) for seconds, _ in results) < 0.1
    assert min(int(kilobytes) for _, kilobytes in results) < 60 * 1024


def test_libraries_are_only_recognised():
    """torch, JAX, CuPy, ml_dtypes are never imported, only recognised"""
    code = (
        "import sys, fovea\n"
        "for name in fovea.__all__:\n"
        "    if name != 'zoo': getattr(fovea, name)\n"
        "bad = {'torch', 'jax', 'cupy', 'ml_dtypes', 'matplotlib'} & set(sys.modules)\n"
        "print(sorted(bad))\n"
    )
    assert run(code) == "[]\n"


def test_star_import():
    """from fovea import *"""
    code = (
        "from fovea import *\nprint(attention.__name__, merge.__name__, ops.__name__)"
    )
    if "fovea.zoo" not in sys.modules:
        pytest.importorskip("fovea.zoo")
    assert run(code) == "attention merge fovea.ops\n"


def test_show_config(capsys):
    """show_config(): version, LLVM, CPU features, threads, GPUs, ptxas, cache
    directory"""
    assert fovea.show_config() is None
    titles = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    for title in (
        "fovea", "LLVM", "CPU", "CPU features", "threads", "GPUs", "ptxas",
        "cache directory", "NumPy",
    ):  # fmt: skip
        assert title in titles


def test_set_num_threads(capsys):
    """set_num_threads(n)"""
    q = np.ones((1, 2, 300, 8), np.float32)
    want = fovea.attention(q, q, q)
    for n in (1, 3, 0):
        fovea.set_num_threads(n)
        np.testing.assert_array_equal(fovea.attention(q, q, q), want)
    fovea.set_num_threads(3)
    fovea.show_config()
    fovea.set_num_threads(0)
    assert "threads          3" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("FOVEA_CACHE_DIR", "/proc/no/such", "no disk cache: '/proc/no/such'"),
        ("FOVEA_CACHE_DIR", "/proc", "no disk cache: '/proc' "),
        ("FOVEA_NUM_THREADS", "many", "FOVEA_NUM_THREADS is not a number"),
        ("FOVEA_LOG", "xyz", "FOVEA_LOG: must be compile, got 'xyz'"),
        ("FOVEA_CACHE", "false", "FOVEA_CACHE is neither 0 nor 1; ignored"),
    ],
)
def test_an_unusable_environment_warns_once(variable, value, text, native_is_real):
    """an unusable directory ... means no disk cache and one warning"""
    if not native_is_real:
        pytest.skip("the stand-in reads no environment")
    code = (
        "import warnings, fovea, numpy as np\n"
        "q = np.ones((1, 1, 4, 8), np.float32)\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    for scale in (1, 2): fovea.attention(q, q, q, scale=scale)\n"
        "    fovea.attention(q, q, q, lambda s, b, h, m, n: s + m)\n"
        "for w in seen: print(w.category.__name__, w.message)\n"
    )
    lines = run(code, **{"FOVEA_CACHE": "1", variable: value}).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"PerformanceWarning {text}")


def test_no_ir_in_messages(monkeypatch):
    """No MLIR or C++ text appears unless FOVEA_VERBOSE=1."""
    from fovea import _compiler, _lib

    class Broken:
        @staticmethod
        def compile(*arguments, **options):
            raise fovea.CompileError(
                'it failed\nnote: see current operation: \n"builtin.module"() ({'
            )

    monkeypatch.setattr(_compiler, "native", Broken)
    with pytest.raises(fovea.CompileError) as caught:
        _compiler.compile_text("{}", None, None)
    assert str(caught.value) == "it failed"
    monkeypatch.setenv("FOVEA_VERBOSE", "1")
    with pytest.raises(fovea.CompileError, match="builtin.module"):
        _compiler.compile_text("{}", None, None)
    assert _lib.native() is not Broken


def test_a_path_below_the_fast_one_warns_once(monkeypatch):
    """a path below the fast one warns once with fovea.PerformanceWarning and appears in
    explain()"""
    from fovea import _compiler

    kernel = fovea.compile(D=8)
    compiled = kernel._state[1]
    remarks = "schedule: m=1\nslow: float64 mods call libm\n"
    monkeypatch.setattr(compiled, "_info", {**compiled.info, "remarks": remarks})
    with pytest.warns(fovea.PerformanceWarning) as seen:
        _compiler._warn_below_fast(compiled)
        _compiler._warn_below_fast(compiled)
    assert [str(w.message) for w in seen] == ["attention: float64 mods call libm"]
    assert "  slow: float64 mods call libm" in kernel.explain().splitlines()


def test_the_package_is_typed():
    """py.typed"""
    assert os.path.exists(os.path.join(os.path.dirname(fovea.__file__), "py.typed"))


def test_version():
    """__version__"""
    import tomllib
    from pathlib import Path

    project = Path(__file__).resolve().parents[3] / "pyproject.toml"
    declared = tomllib.loads(project.read_text())["project"]
    assert fovea.__version__ == declared["version"]
    assert declared["dependencies"] == ["numpy>=1.26"]
    assert set(declared["optional-dependencies"]) == {"bf16", "plot", "torch", "jax"}


def test_dev_env_gives_the_console_command(tmp_path):
    """`fovea explain` as after pip install"""
    root = Path(__file__).resolve().parents[3]
    build = Path(fovea.__file__).parents[2]
    source = tmp_path / "causal.attn"
    source.write_text("attention causal { mask = q >= kv }\n")
    done = subprocess.run(
        ["bash", "-c", 'eval "$(./dev env)"; command -v fovea; fovea explain "$0"'
         " --shape N=64,M=64,D=16", str(source)],
        env={"PATH": os.environ["PATH"], "FOVEA_BUILD_DIR": os.path.relpath(build, root)},
        cwd=root, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{build / 'bin' / 'fovea'}\n")
    assert "causal" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_pictures_fit_standard_output(encoding, tmp_path):
    """print(bm): full and partial drawn differently, whatever stdout can write"""
    code = (
        "import fovea\n"
        "print(fovea.create_block_mask(lambda b, h, i, j: i >= j, 1, 1, 384, 384))"
    )
    text = run(code, PYTHONIOENCODING=encoding)
    rows = text.splitlines()[3:]
    if encoding == "utf-8":
        assert rows[1] == "│░░    │"
    else:
        assert rows == ["+------+", "|..    |", "|##..  |", "|####..|", "+------+"]
    place = tmp_path / "x.attn"
    place.write_text("## Schräg.\nattention x { mask = q >= kv }\n")
    ran = subprocess.run(
        [sys.executable, "-m", "fovea", "explain", place, "--shape", "M=384,D=8"],
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert (b"|####..|" in ran.stdout) == (encoding != "utf-8")
