"""Which machine results are of, and its multiply-add peak; no speed is tested."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmark_rows import MACHINE

from fovea._lib import config

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def peak(module):
    return module("common").Peak(2)


def test_the_peak_leaves_the_process_where_it_was(module, peak):
    before = os.sched_getaffinity(0)
    for kind in module("common").KINDS:
        assert (peak.rate(kind) > 0) == peak.has(kind)
    assert os.sched_getaffinity(0) == before
    features = config()["cpu_features"]
    assert peak.has("f32")
    assert peak.has("bf16") == ("avx512bf16" in features)
    assert peak.has("amx") == ("amx-bf16" in features)
    assert peak.ratio("f32", "f32", 3) > 0


@pytest.mark.parametrize(
    "has, kind",
    [(("f32",), "f32"), (("f32", "bf16"), "bf16"), (("f32", "bf16", "amx"), "amx")],
)
def test_bf16_is_judged_by_the_fastest_that_there_is(module, monkeypatch, has, kind):
    peak = object.__new__(module("common").Peak)
    monkeypatch.setattr(peak, "_steps", {name: float(name in has) for name in
                                         module("common").KINDS}, raising=False)  # fmt: skip
    assert peak.kind_of("bfloat16") == kind
    assert peak.kind_of("float32") == peak.kind_of("float16") == "f32"


def test_a_sample_is_the_time_of_the_thread(peak):
    taken = peak.sample("f32", lambda: time.sleep(0.05))
    assert 0 < taken.seconds < 0.04
    assert taken.before > 0 and taken.after > 0 and taken.product > 0
    until = time.thread_time

    def work(start=None):
        start = until()
        while until() - start < 5e-3:
            pass

    taken = [peak.sample("f32", work) for _ in range(3)]
    assert all(5e-3 <= one.seconds < 50e-3 and one.switches >= 0 for one in taken)


@pytest.mark.parametrize("bounds", [(1e9, 10.0), (0.0, 1e-9)])
def test_no_call_is_made_where_the_machine_is_slow(peak, bounds):
    calls = []
    taken = peak.sample("f32", lambda: calls.append(1), *bounds)
    assert taken.seconds == 0 and not calls
    assert taken.before == taken.after > 0 and taken.product > 0


def test_what_a_sample_calls_may_fail_and_is_let_go(peak):
    def fail():
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        peak.sample("f32", fail)
    result = object()
    before = sys.getrefcount(result)
    for _ in range(3):
        peak.sample("f32", lambda: result)
    assert sys.getrefcount(result) == before


def test_without_a_compiler_there_is_no_peak(module, monkeypatch, capsys):
    common = module("common")
    monkeypatch.setattr(common.shutil, "which", lambda name: None)
    peak = common.Peak(1)
    assert "shares of the peak are left out" in capsys.readouterr().err
    assert not peak.has("f32") and peak.rate("f32") == 0
    assert peak.kind_of("bfloat16") == "f32"


HEADERS = Path("/usr/include/x86_64-linux-gnu")


@pytest.mark.skipif(
    not (shutil.which("clang-22") and HEADERS.is_dir()), reason="no clang or headers"
)
@pytest.mark.parametrize("machine", ["aarch64", "riscv64"])
def test_the_probe_compiles_for_other_machines(tmp_path, machine):
    """To assembly with this machine's C library: its headers are nearly the same.

    The loop of AArch64 has its twenty chains and spills none.
    """
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu" / "stubs-32.h").touch()
    command = ["clang-22", f"--target={machine}-linux-gnu", "-O3", "-Wall", "-Werror"]
    command += ["-D__regparm__(x)=", "-isystem", tmp_path, "-isystem", HEADERS]
    command += ["-S", "-o", "-", BENCHMARKS / "peak.c"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    probe = done.stdout.partition("probeNEON:")[2].partition(".cfi_endproc")[0]
    assert probe.count("fmla\t") == 20 * (machine == "aarch64")
    loop = probe.partition("fmla\t")[2].rpartition("fmla\t")[0]
    assert "ldr" not in loop and "str" not in loop


def test_a_machine_says_which_it_is(module):
    common = module("common")
    about = common.machine(2)
    known = config()
    assert about["microarchitecture"] == known["cpu"]
    assert about["vector_bits"] == common.vector_bits(known["cpu_features"])
    assert about["processors"] == os.cpu_count() and about["threads"] == 2
    assert common.vector_bits(["avx", "avx2", "avx512f", "fma"]) == 512
    assert common.vector_bits(["avx", "avx2", "fma"]) == 256
    assert common.vector_bits(["neon"]) == 128
    assert common.same_machine(about, about | {"threads": 1, "date": ""})


@pytest.mark.parametrize(
    "other, same",
    [
        ({}, True),
        ({"cpu": "Y"}, False),
        ({"microarchitecture": "y2"}, False),
        ({"vector_bits": 256}, False),
        ({"bf16_dots": False}, False),
        ({"amx": True}, False),
        ({"processors": 16}, False),
        ({"processors": None}, True),
        ({"microarchitecture": None}, False),
    ],
)
def test_results_of_two_machines_do_not_mix(module, tmp_path, monkeypatch, other, same):
    common, decode, cpu = (module(name) for name in ("common", "decode", "cpu"))
    one = MACHINE | {"vector_bits": 512, "bf16_dots": True, "amx": False}
    one["processors"] = 2
    # None: of a file that does not say it.
    other = {name: it for name, it in (one | other).items() if it is not None}
    assert common.same_machine(one, other) == common.same_machine(other, one) == same
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    for file, where in zip(files, (one, other), strict=True):
        file.write_text(json.dumps({"machine": where, "rows": []}))
    monkeypatch.setattr(common, "machine", lambda threads: dict(one))
    given = cpu.arguments(["--json", str(files[1]), "--resume"])
    calls = [
        lambda: decode.merge(files),
        lambda: cpu.about(given),
        lambda: common.machine_for(files[1], 2),
    ]
    for call in calls:
        if same:
            call()
        else:
            with pytest.raises(ValueError, match=r"results of .*\(.* do not mix"):
                call()
    assert common.machine_for(tmp_path / "new.json", 2) == one


def test_published_results_bear_the_name_of_their_machine():
    files = sorted((BENCHMARKS / "results").glob("*.json"))
    machines = {file: json.loads(file.read_text())["machine"] for file in files}
    names = {
        file.stem.rsplit("-", 1)[1]: machine["microarchitecture"]
        for file, machine in machines.items()
        if "gpu" not in machine
    }
    assert names and all(name == machine for name, machine in names.items())
