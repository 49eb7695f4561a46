"""The runner of the GPU tests, with a driver that computes on the CPU."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import struct
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "test" / "gpu"))

from fovea_gpu import prototype, report  # noqa: E402
from fovea_gpu.call import Inputs, Shape, make_sequences  # noqa: E402
from fovea_gpu.cases import check_shapes  # noqa: E402
from fovea_gpu.children import run_child  # noqa: E402
from fovea_gpu.driver import DriverError, LoadedKernel  # noqa: E402
from fovea_gpu.dry_run import RecordingDriver, describe_launch, fake_values  # noqa: E402
from fovea_gpu.manifest import Kernel, evaluate, load_pack, section  # noqa: E402
from fovea_gpu.measure import (  # noqa: E402
    is_memory_bound,
    make_groups,
    walk_lengths,
)
from fovea_gpu.variants import VARIANTS  # noqa: E402

MANIFEST = {
    "fovea_kernel": 1,
    "name": "causal",
    "symbol": "causal",
    "arch": "sm_90a",
    "dtype": "f16",
    "D": [64],
    "E": 64,
    "captures": [],
    "return_lse": True,
    "threads": 384,
    "shared_memory": 1024,
    "registers": 168,
    "tile": {"m": 128, "n": 128},
    "grid": ["mul", "B", "H", ["ceildiv", "M", 128]],
    "workspace": 256,
    "conditions": [{"if": ["eq", "q.s3", 1], "else": "q: last stride must be 1"}],
    "arguments": [
        *({"pointer": name} for name in ("q", "k", "v", "out", "lse")),
        *({"i32": name} for name in ("B", "H", "Hk", "M", "N")),
        *({"i64": f"out.s{i}"} for i in range(3)),
        *({"i64": f"{t}.s{i}"} for t in "qkv" for i in range(3)),
        {"scale": 0},
        {"workspace": 0},
        {
            "tensor_map": "q",
            "sizes": [64, "M", 1, "H", "B"],
            "strides": ["q.s2", 64, "q.s1", "q.s0"],
            "box": [64, 128, 1, 1, 1],
        },
    ],
}


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    cubin = tmp_path / "causal.cubin"
    cubin.write_bytes(b"cubin")
    return Kernel("causal", json.loads(json.dumps(MANIFEST)), cubin, "causal")


def test_expressions(kernel: Kernel) -> None:
    values = fake_values(kernel, Shape(2, 4, 2, 300, 77, "bshd"))
    cases = [
        (5, 5),
        ("M", 300),
        ("q.s1", 64),
        ("q.n2", 300),
        (["add", 1, 2, 3], 6),
        (["div", -7, 2], -4),
        (["ceildiv", 300, 128], 3),
        (["div", 1, 0], 0),
        (["min", ["mul", "B", "H"], "SM"], 8),
        (["section", 16, 128, 512], 4),
        (["le", "N", 77], 1),
    ]
    for expr, expected in cases:
        assert evaluate(expr, values) == expected, expr
    for wrong in ("Q", "q.x1", ["root", 1], ["sub", 1], True):
        with pytest.raises(ValueError):
            evaluate(wrong, values)
    assert section(6, 1, 512) == 6


def test_arguments_reach_the_driver(kernel: Kernel) -> None:
    driver = RecordingDriver()
    loaded = LoadedKernel(driver, kernel)
    shape = Shape(2, 4, 2, 300, 77, "bshd")
    packed = loaded.pack(fake_values(kernel, shape), workspace=4096)
    loaded.launch(packed, 7)
    names = [name for name, _ in driver.calls]
    assert names.count("cuTensorMapEncodeTiled") == 1 and names[-1] == "cuLaunchKernel"
    encode = next(a for n, a in driver.calls if n == "cuTensorMapEncodeTiled")
    assert encode[0].value % 64 == 0
    assert (encode[1].value, encode[2].value) == (6, 5)  # FLOAT16, rank
    assert list(encode[4]) == [64, 300, 1, 4, 2]
    assert list(encode[5]) == [512, 128, 128, 153600]
    launch = driver.calls[-1][1]
    assert (launch[1].value, launch[4].value, launch[7].value) == (24, 384, 1024)
    assert launch[8].value == 7
    assert len(launch[9]) == len(MANIFEST["arguments"])


def launched(driver: RecordingDriver, kernel: Kernel, times: int = 1) -> list[str]:
    """The calls that launch, by name."""
    loaded = LoadedKernel(driver, kernel)
    shape = Shape(2, 4, 2, 300, 77)
    packed = loaded.pack(fake_values(kernel, shape), workspace=4096)
    launch = loaded.launcher(packed, 7)
    for _ in range(times):
        launch()
    return [name for name, _ in driver.calls if name.startswith("cuLaunch")]


@pytest.fixture
def waiting(kernel: Kernel) -> Kernel:
    """Two kernels that wait, each for the one ahead."""
    lists = {"symbol": "causal_lists", "threads": 32, "grid": "B", "arguments": []}
    kernel.manifest |= {"programmatic_launch": True, "before": [lists]}
    return kernel


def test_kernels_that_wait_begin_beside_the_one_ahead(waiting: Kernel) -> None:
    driver = RecordingDriver()
    assert launched(driver, waiting) == ["cuLaunchKernel", "cuLaunchKernelEx"]
    config, _, array, extra = driver.calls[-1][1]
    # As the driver's header has it: seven numbers, stream, attributes, their count.
    raw = ctypes.string_at(ctypes.addressof(config._obj), 56)
    assert struct.unpack_from("7I", raw) == (24, 1, 1, 384, 1, 1, 1024)
    stream, attributes, count = struct.unpack_from("QQI", raw, 32)
    assert (stream, count) == (7, 1)
    attribute = ctypes.string_at(attributes, 72)
    assert struct.unpack_from("i4xi", attribute) == (6, 1)
    assert len(array) == len(MANIFEST["arguments"]) and extra is None
    # Beside another launch none begins.
    waiting.manifest["before"] = []
    assert launched(RecordingDriver(), waiting) == ["cuLaunchKernel"]


def test_other_kernels_and_drivers_launch_plainly(waiting: Kernel) -> None:
    plain, beside = "cuLaunchKernel", "cuLaunchKernelEx"
    assert launched(RecordingDriver(version=12020), waiting) == [plain, plain]
    for refusal in (1, 801):
        driver = RecordingDriver()
        driver.refusal = refusal
        expected = [plain, beside, plain, plain, plain]
        assert launched(driver, waiting, times=2) == expected
    driver.refusal = 700
    with pytest.raises(DriverError, match=r"causal: launch: .* \(700\)"):
        launched(driver, waiting)
    waiting.manifest["programmatic_launch"] = False
    assert launched(RecordingDriver(), waiting) == [plain, plain]


def test_loading_checks_registers_and_local_memory(kernel: Kernel) -> None:
    with pytest.raises(DriverError, match="160 registers, the manifest says 168"):
        LoadedKernel(RecordingDriver(registers=160), kernel)
    with pytest.raises(DriverError, match="8 bytes of local memory"):
        LoadedKernel(RecordingDriver(local_bytes=8), kernel)


def test_conditions_refuse_with_their_sentence(kernel: Kernel) -> None:
    kernel.manifest["conditions"][0]["if"] = ["eq", "q.s3", 2]
    with pytest.raises(ValueError, match="^q: last stride must be 1$"):
        describe_launch(kernel, Shape(1, 1, 1, 64, 64))


def test_shapes_stay_within_the_limits(kernel: Kernel) -> None:
    assert {s.layout for s in check_shapes(kernel)} == {"bhsd", "bshd"}
    assert any(s.M % 2 and s.N % 2 and s.M != s.N for s in check_shapes(kernel))
    kernel.limits = {"square": True, "contiguous": True, "multiple": 128}
    shapes = check_shapes(kernel)
    assert shapes
    for s in shapes:
        assert s.M == s.N and s.M % 128 == 0 and s.H == s.Hk and s.layout == "bhsd"


def test_pack_round_trip(tmp_path: Path, kernel: Kernel) -> None:
    import pack

    entry = pack.Entry("causal", "causal", b"cubin", kernel.manifest, limits={"a": 1})
    pack.write_pack(tmp_path / "pack.tar.xz", [entry])
    (found,) = load_pack(tmp_path / "pack.tar.xz")
    assert found.cubin.read_bytes() == b"cubin"
    assert (found.manifest, found.limits) == (kernel.manifest, {"a": 1})


def test_prototype_manifests_can_be_launched(tmp_path: Path) -> None:
    given = {"BM": 128, "BN": 128, "NC": 2, "smem": 229488}
    (tmp_path / "x.cubin").write_bytes(b"")
    for recipe in prototype.RECIPES:
        manifest = prototype.make_manifest(recipe, given, 168)
        made = Kernel(recipe.id, manifest, tmp_path / "x.cubin", recipe.variant)
        launch = describe_launch(made, Shape(1, 16, 16, 4096, 4096))
        assert launch["grid"] == 132 and launch["arguments"] == 16
        assert made.cluster == 1  # its options are not a schedule's settings


# ---- children --------------------------------------------------------------


def _messages(what: str):
    yield {"passed": True}
    if what == "raise":
        raise ValueError("broken")
    if what == "hang":
        time.sleep(60)
    if what == "die":
        os._exit(3)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize(
    ("what", "count", "problem"),
    [
        ("end", 1, None),
        ("raise", 2, None),
        ("hang", 1, "no answer within 0.5 s"),
        ("die", 1, "the process ended with 3"),
    ],
)
def test_children_may_fail(what: str, count: int, problem: str | None) -> None:
    rows: list[dict] = []
    assert run_child(_messages, (what,), 0.5, rows.append) == problem
    assert len(rows) == count
    if what == "raise":
        assert rows[1]["reason"] == "ValueError: broken"


# ---- reports ---------------------------------------------------------------


def test_ratios_and_walk_bound() -> None:
    rows = [
        {"impl": "cudnn", "tflops": 500.0},
        {"impl": "fovea", "tflops": 600.0},
        {"impl": "prototype", "tflops": 625.0},
        {"impl": "flex", "error": "no"},
    ]
    assert report.ratios(rows) == {"fovea": {"cudnn": 1.2, "prototype": 0.96}}
    plain = {"D": 128, "B": 1, "H": 16, "ms": 3.0, "visited": 128 * 128}
    masked = {"D": 128, "B": 1, "H": 16, "query_tiles": 128, "visited": 128 * 9}
    step = 3.0 * 132 / (16 * 128 * 128)
    expected = 16 * 128 * (9 + 1.8) * step / 132 / 0.95
    assert report.walk_bound(masked, plain, 132) == pytest.approx(expected)


def test_failed_checks_are_counted(capsys: pytest.CaptureFixture) -> None:
    rows = [
        {
            "kind": "check",
            "name": "a",
            "passed": True,
            "out_error": 1,
            "out_allowed": 2,
        },
        {"kind": "check", "name": "a", "passed": False, "reason": "out: odd"},
    ]
    assert report.print_checks(rows) == 1
    assert "FAILED : out: odd" in capsys.readouterr().out


def test_groups_take_the_form_that_a_launch_takes(kernel: Kernel) -> None:
    wide = ["mul", ["ne", "H", "Hk"], ["le", 128, "D"]]
    kernel.manifest |= {"D": [128], "in_clusters": wide}
    manifest = kernel.manifest | {"schedule": "n=128,cluster=2", "in_clusters": 0}
    pairs = replace(kernel, id="pairs", manifest=manifest)
    form = replace(pairs, params={"form": "cluster"})
    assert (kernel.cluster, form.cluster) == (1, 2)
    for group in make_groups([kernel, form]):
        grouped = group.shape.H != group.shape.Hk
        assert group.kernels == ((form if grouped else kernel),)
    # Who names schedules compares them.
    assert {len(group.kernels) for group in make_groups([kernel, pairs])} == {2}
    shapes = check_shapes(form)
    assert len(shapes) == 10
    assert all(shape.H % (2 * shape.Hk) == 0 for shape in shapes)


def test_groups_hold_kernels_of_one_variant(kernel: Kernel) -> None:
    groups = make_groups([kernel])
    assert [g.shape.N for g in groups] == [16384, 4096]
    assert all(g.variant == "causal" and g.D == 64 for g in groups)
    assert make_groups([kernel], only=["N4096"])[0].shape.N == 4096


# ---- the checks themselves, on a driver that computes with NumPy -----------


class ComputingDriver(RecordingDriver):
    """Runs causal attention in f32 for the manifest above."""

    def __init__(self, fault: str = ""):
        super().__init__()
        self.fault, self.launches = fault, 0

    def cuLaunchKernel(self, *arguments) -> int:
        pointers = arguments[9]
        address = [ctypes.c_uint64.from_address(pointers[i]).value for i in range(5)]
        B, H, Hk, M, N = (
            ctypes.c_int32.from_address(pointers[i]).value for i in range(5, 10)
        )
        strides = [
            ctypes.c_int64.from_address(pointers[i]).value for i in range(10, 22)
        ]
        scale = ctypes.c_float.from_address(pointers[22]).value
        tensors = []
        for i, (at, sizes) in enumerate(
            [
                (address[3], (B, H, M, 64)),
                (address[0], (B, H, M, 64)),
                (address[1], (B, Hk, N, 64)),
                (address[2], (B, Hk, N, 64)),
            ]
        ):
            steps = [2 * s for s in (*strides[3 * i : 3 * i + 3], 1)]
            span = sum((n - 1) * s for n, s in zip(sizes, steps, strict=True)) + 2
            memory = (ctypes.c_char * span).from_address(at)
            flat = np.frombuffer(memory, np.float16)
            tensors.append(np.lib.stride_tricks.as_strided(flat, sizes, steps))
        out, q, k, v = tensors
        lse = np.frombuffer(
            (ctypes.c_float * (B * H * M)).from_address(address[4]), "f4"
        )
        k, v = (np.repeat(x, H // Hk, axis=1).astype("f4") for x in (k, v))
        s = q.astype("f4") @ k.swapaxes(-1, -2) * np.float32(scale)
        s[..., np.arange(N)[None, :] > np.arange(M)[:, None]] = -np.inf
        t = s.max(-1, keepdims=True)
        p = np.exp(s - t)
        total = p.sum(-1, keepdims=True)
        result = (p.astype(np.float16).astype("f4") @ v) / total
        lse[:] = (t + np.log(total)).ravel()
        self.launches += 1
        self._spoil(out, result, address[3])
        return 0

    def _spoil(self, out: np.ndarray, result: np.ndarray, address: int) -> None:
        if self.fault == "wrong":
            result[..., 3] *= 1.5
        if self.fault == "flaky" and self.launches % 2:
            result[..., 0] += 2.0**-6
        out[:] = result
        if self.fault == "unwritten":
            out[..., -1, :] = np.nan
        if self.fault == "outside":
            ctypes.c_uint16.from_address(address - 2).value = 0


class _Cuda:
    class Stream:
        cuda_stream = 5

    @staticmethod
    def current_stream() -> Stream:
        return _Cuda.Stream()

    @staticmethod
    def synchronize() -> None:
        pass


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("", None),
        ("wrong", "out: mean error above"),
        ("flaky", "of 3 repetitions differ"),
        ("unwritten", "elements not finite"),
        ("outside", "wrote outside of an output"),
    ],
)
@pytest.mark.parametrize("layout", ["bhsd", "bshd"])
def test_checks_find_faults(
    kernel: Kernel, fault: str, reason: str | None, layout: str
) -> None:
    torch = pytest.importorskip("torch")
    from fovea_gpu.check import check_shape

    fake = types.SimpleNamespace(**{**vars(torch), "cuda": _Cuda})
    loaded = LoadedKernel(ComputingDriver(fault), kernel)
    found = check_shape(fake, loaded, Shape(2, 4, 2, 70, 50, layout), 132, "cpu")
    if reason is None:
        assert found["passed"], found
    else:
        assert not found["passed"] and reason in found["reason"]


def test_every_variant_has_a_reference() -> None:
    torch = pytest.importorskip("torch")
    from fovea_gpu.reference import attention, judge

    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 40, 64, generator=generator) for _ in range(3))
    qkv = tuple(x.to(torch.bfloat16) for x in (q, k, v))
    rows = torch.arange(40)
    for variant in VARIANTS.values():
        captures = variant.make_captures(torch, 2, 40, generator)
        blocks = variant.make_blocks(torch, 1, 2, 40, 40, generator)
        arguments = (torch, variant, qkv, captures, 0.125, rows)
        exact, lse = attention(*arguments, blocks=blocks)
        plain, _ = attention(*arguments, plain=True, blocks=blocks)
        assert torch.isfinite(exact).all(), variant.name
        assert (lse is None) == (variant.normalizer == "sigmoid")
        assert judge(torch, plain, exact, plain, "bf16").passed


def test_block_masks_have_tiles_of_every_class() -> None:
    torch = pytest.importorskip("torch")
    from fovea_gpu.variants import count_kept, count_visited

    generator = torch.Generator().manual_seed(3)
    variant = VARIANTS["lists64x64_causal"]
    blocks = variant.make_blocks(torch, 1, 1, 700, 650, generator)
    assert blocks.classes.shape == (1, 1, 11, 11)
    assert set(blocks.classes.unique().tolist()) == {0, 1, 2}
    assert bool((blocks.classes.amax(-1) == 0).any())
    keep = np.zeros((700, 650), bool)
    for m in range(700):
        for n in range(650):
            kind = blocks.classes[0, 0, m // 64, n // 64]
            keep[m, n] = kind == 2 or (kind == 1 and n <= m)
            assert kind != 2 or n <= m  # full is a promise
    assert count_kept(torch, variant, 700, 650, (blocks, {})) == keep.sum()
    visited = count_visited(torch, variant, 700, 650, (128, 64), (blocks, {}))
    assert visited == [
        sum(keep[m : m + 128, n : n + 64].any() for n in range(0, 650, 64))
        for m in range(0, 700, 128)
    ]


def test_loose_block_masks_disagree_with_their_masks() -> None:
    torch = pytest.importorskip("torch")
    from fovea_gpu.reference import attention

    generator = torch.Generator().manual_seed(3)
    variant = VARIANTS["lists192x128_causal"]
    M, N = 700, 650
    blocks = variant.make_blocks(torch, 1, 1, M, N, generator, loose=True)
    full = blocks.classes[0, 0] == 2
    above = torch.arange(6) * 128 >= (torch.arange(4)[:, None] + 1) * 192
    assert bool((full & above).any()) and bool((full & ~above)[:, :-1].any())
    (cut,) = full[:, -1].nonzero()[:1].tolist()
    # One key has a value: rows that see it are not zero.
    q, k = torch.zeros(1, 1, M, 64), torch.zeros(1, 1, N, 64)
    v = torch.zeros(1, 1, N, 64)
    v[..., N - 1, :] = 1
    rows = torch.arange(cut[0] * 192, min(M, cut[0] * 192 + 192))
    qkv = (q, k, v)
    exact, _ = attention(torch, variant, qkv, {}, 1.0, rows, blocks=blocks)
    assert bool((exact > 0).all())
    kernel = types.SimpleNamespace(
        limits={}, variant="lists192x128_causal", reads_batches=False, cluster=1
    )
    assert sum(shape.loose for shape in check_shapes(kernel)) == 6
    kernel.variant = "causal"
    assert not any(shape.loose or shape.ragged for shape in check_shapes(kernel))
    kernel.reads_batches = True
    assert sum(shape.ragged for shape in check_shapes(kernel)) == 6


def test_ragged_sequences_have_an_exact_answer() -> None:
    """Each batch is a sequence of its own, at its positions."""
    torch = pytest.importorskip("torch")
    from fovea_gpu.reference import attention

    shape = Shape(6, 2, 1, 40, 70, ragged=True)
    found = make_sequences(shape)
    assert {0, 1, 40} <= set(found.q_lengths) and {0, 69, 70} <= set(found.kv_lengths)
    generator = torch.Generator().manual_seed(1)
    q, k, v = (
        torch.randn(6, H, S, 64, generator=generator)
        for H, S in ((2, 40), (1, 70), (1, 70))
    )
    for b, (queries, keys) in enumerate(
        zip(found.q_lengths, found.kv_lengths, strict=True)
    ):
        q[b, :, queries:] = k[b, :, keys:] = v[b, :, keys:] = float("nan")
    rows = torch.arange(40)
    variant = VARIANTS["causal"]
    out, lse = attention(torch, variant, (q, k, v), {}, 0.125, rows, sequences=found)
    for b in range(6):
        queries, keys = found.q_lengths[b], found.kv_lengths[b]
        assert (out[b, :, queries:] == 0).all()
        assert (lse[b, :, queries:] == float("-inf")).all()
        for m in range(queries):
            last = m + found.q_offset[b] - found.kv_offset[b]
            seen = slice(0, max(0, min(keys, last + 1)))
            scores = q[b, :, m].double() @ k[b, 0, seen].double().T * 0.125
            expected = torch.softmax(scores, -1) @ v[b, 0, seen].double()
            assert torch.allclose(out[b, :, m], expected)


def test_groups_of_kernels_that_read_lengths(kernel: Kernel) -> None:
    arguments = [{"per_batch": 128, "positions": 1000}]
    manifest = kernel.manifest | {"D": [128], "E": 128, "arguments": arguments}
    reader = dataclasses.replace(kernel, manifest=manifest, variant="noop")
    equal, unequal = make_groups([reader])
    assert (equal.name, unequal.name) == ("noop_lengths", "noop_lengths_unequal")
    assert {g.shape.M for g in (equal, unequal)} == {4096}
    assert make_sequences(unequal.shape).kv_lengths == (1024, 2048, 3072, 4096)
    # Tiles of 512: 2 + 4 + 6 + 8 see 2, 4, 6, 8 blocks; the others one.
    scores, steps = walk_lengths(unequal.shape, (512, 512))
    assert scores == 16 * (1024**2 + 2048**2 + 3072**2 + 4096**2)
    assert steps == pytest.approx(16 * (4 + 16 + 36 + 64 + 16 + 36 * 0.7))
    assert make_groups([reader], only=["unequal"]) == [unequal]


@pytest.mark.parametrize("width, is_bound", [(128, True), (4096, False)])
def test_short_walks_are_timed_beside_a_stream(width: int, is_bound: bool) -> None:
    shape = (1, 2, 8192, 128)
    size = {"numel": lambda: int(np.prod(shape)), "element_size": lambda: 2}
    x = types.SimpleNamespace(shape=shape, **size)
    operations = 4 * 128 * 2 * 8192 * width
    assert is_memory_bound(Inputs(x, x, x, {}, 1.0), operations) == is_bound


def test_reports_of_the_sanitizer(kernel: Kernel) -> None:
    from fovea_gpu.cases import fits
    from fovea_gpu.memcheck import SHAPES, read_report

    shapes = [shape for shape in SHAPES if fits(kernel, shape)]
    assert 1 < len(shapes) < len(SHAPES)
    touched = [f"touched {kernel.id} {shape}" for shape in shapes]
    good = "\n".join([*touched, "========= ERROR SUMMARY: 0 errors"])
    rows = list(read_report(good, [kernel]))
    assert len(rows) == len(shapes) and all(row["passed"] for row in rows)
    bad = good.replace("0 errors", "1 error").replace(
        "========= ERR",
        "========= Invalid __global__ write of size 4 bytes\n====== ERR",
    )
    rows = list(read_report(bad, [kernel]))
    assert rows[0]["reason"] == (
        "compute-sanitizer: 1 errors Invalid __global__ write of size 4 bytes"
    )
    rows = list(read_report("\n".join(touched[:1]) + "\nno end within 5 s", [kernel]))
    assert rows[0]["reason"] == "compute-sanitizer: no summary"
    assert rows[1]["reason"].startswith("not launched: ") and "no end" in str(rows[1])


def test_a_missing_sanitizer_is_a_failure(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fovea_gpu import memcheck

    monkeypatch.setattr(memcheck, "find_sanitizer", lambda: None)
    (row,) = memcheck.memcheck(tmp_path, [kernel], 1.0)
    assert not row["passed"] and row["reason"].startswith("no compute-sanitizer")


def test_memory_is_checked_in_a_process_of_its_own(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fovea_gpu import memcheck

    tool = tmp_path / "compute-sanitizer"
    tool.write_text('#!/bin/sh\necho "$PYTORCH_NO_CUDA_MEMORY_CACHING $@"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(memcheck, "find_sanitizer", lambda: str(tool))
    row = next(iter(memcheck.memcheck(tmp_path, [kernel], 30.0)))
    said = row["reason"].removeprefix("not launched: ")
    assert said.startswith("1 --tool memcheck ") and "--mode touch" in said
