"""Machine code of kernels for sm_90a, without a GPU: what decides their speed."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "test" / "sass"), str(ROOT / "test" / "gpu")]

import properties  # noqa: E402
from fovea_gpu.call import Shape  # noqa: E402
from fovea_gpu.dry_run import describe_launch  # noqa: E402
from fovea_gpu.manifest import Kernel  # noqa: E402
from fovea_gpu.variants import CLUSTERS, PER_BATCH, VARIANTS  # noqa: E402

from fovea._lib import config, native  # noqa: E402
from fovea.errors import CompileError  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        "not config().get('ptxas') or properties.find_nvdisasm() is None",
        reason="needs ptxas and nvdisasm (setup/requirements.txt has both)",
    ),
    pytest.mark.usefixtures("native_is_real"),
]

CASES = [
    *((name, 128) for name in ("noop", "causal", "alibi_causal", "softcap_causal")),
    *((name, 128) for name in ("window1024", "prefix1024")),
    *(("table_causal", D) for D in (64, 128, 256)),
    ("window1024", 64),
    *((name, D) for name in ("noop", "causal") for D in (64, 256)),
    *(("lists128x128_causal", D) for D in (64, 128, 256)),
    *(("lists64x64_causal", D) for D in (64, 128, 256)),
    *(("lists192x128_causal", D) for D in (64, 128)),
    *(("lists128x128", D) for D in (128,)),
]


#: All of pack.py's, and where default schedules spill those that they give way to:
#: each costs seconds to find.
EVERY = [(name, D) for name in VARIANTS for D in (64, 128, 256)]
FOUND = {
    ("near_table", 128): "n=112,pin=0",
    ("two_values_causal", 256): "n=64,pin=0",
    ("waves", 64): "groups=2,n=96,pin=0",
    ("waves", 128): "n=112,pin=0",
    ("documents", 128): "n=112,pin=0",
    ("head_documents", 64): "groups=2,n=64,pin=0",
    ("head_documents", 128): "n=48,pin=0",
    ("head_documents", 256): "n=32,pin=0",
    ("lists_rolled_windows", 256): "n=32,branch=1",
}


def compile_attn(source: str, D: int, dtype: str = "bf16", **options: Any) -> Any:
    """A kernel for sm_90a."""
    return native().compile(
        source, kind="attn", dtype=dtype, head_dim=D, target="sm_90a", **options
    )[0]


@functools.cache
def compiled(
    variant: str, D: int, dtype: str = "bf16", schedule: str | None = None
) -> tuple[dict, bytes]:
    """The manifest and the cubin of a variant."""
    kernel = compile_attn(
        VARIANTS[variant].source,
        D,
        dtype,
        want_lse=int(VARIANTS[variant].normalizer != "sigmoid"),
        want_block_mask=int(VARIANTS[variant].blocks is not None),
        schedule=schedule or VARIANTS[variant].schedules.get(D),
    )
    return json.loads(kernel.info())["manifest"], kernel.object()


def disassembled(cubin: bytes, folder: Path) -> str:
    path = folder / "kernel.cubin"
    path.write_bytes(cubin)
    return properties.disassemble(path)


def measured(cubin: bytes, folder: Path) -> dict:
    """What properties.py finds in a kernel."""
    return properties.properties(disassembled(cubin, folder))


def listed(source: str, D: int, schedule: str) -> Any:
    """A kernel that takes a block mask."""
    return compile_attn(source, D, want_block_mask=1, schedule=schedule)


@pytest.fixture
def found(variant: str, D: int, tmp_path: Path) -> dict:
    return measured(compiled(variant, D)[1], tmp_path)


@pytest.mark.parametrize(("variant", "D"), CASES)
def test_machine_code(found: dict, variant: str, D: int) -> None:
    assert found["hazards"] == [] and found["early_accesses"] == []
    assert found["local_accesses"] == 0
    full = found["loops"][0]
    n = compiled(variant, D)[0]["tile"]["n"]
    assert full["products"] == D // 16 + n // 16
    assert full["shared_stores"] == 0 and full["local_accesses"] == 0


@pytest.mark.parametrize("D", [64, 128])
def test_edges_of_a_causal_mask(D: int, tmp_path: Path) -> None:
    """Its edge has steps of fewer products; the loop over whole blocks has not."""
    manifest, cubin = compiled("causal", D)
    assert manifest["schedule"].endswith(",edges=1")
    (tmp_path / "whole").mkdir()
    narrow = measured(cubin, tmp_path)
    whole = measured(compiled("causal", D, "bf16", "edges=0")[1], tmp_path / "whole")
    assert narrow["products"] > whole["products"]
    for key in ("products", "r2ur", "mufu", "branches", "mask_operations"):
        assert narrow["loops"][0][key] == whole["loops"][0][key]


@pytest.mark.parametrize("variant", ["noop", "window1024", "alibi_causal"])
def test_edges_are_narrowed_where_that_is_faster(variant: str) -> None:
    assert "edges" not in compiled(variant, 128)[0]["schedule"]


@pytest.mark.parametrize("D", [64, 128, 256])
@pytest.mark.parametrize("variant", ["noop", "causal", "window200", "table_causal"])
def test_kernels_that_read_offsets_and_lengths(
    variant: str, D: int, tmp_path: Path
) -> None:
    manifest, cubin = compiled(variant, D, "bf16", PER_BATCH[variant][D])
    assert "promises" not in manifest and "forms" not in manifest
    assert manifest["schedule"].endswith(",per_batch=1")
    code = measured(cubin, tmp_path)
    assert code["hazards"] == [] and code["local_accesses"] == 0
    assert code["early_accesses"] == []
    kernel = Kernel("kernel", manifest, tmp_path / "kernel.cubin", variant)
    assert kernel.reads_batches
    launch = describe_launch(kernel, Shape(3, 2, 2, 257, 129, ragged=True))
    # One tile more a head, for the rows behind a length.
    tiles = -(-257 // manifest["tile"]["m"]) + 1
    assert launch["grid"] == min(132, 3 * 2 * tiles)


@pytest.mark.parametrize(
    ("variant", "D"), [(v, D) for v, by_dim in CLUSTERS.items() for D in by_dim]
)
def test_kernels_in_clusters(variant: str, D: int, tmp_path: Path) -> None:
    manifest, cubin = compiled(variant, D, "bf16", CLUSTERS[variant][D])
    assert manifest["schedule"].endswith(",cluster=2")
    code = measured(cubin, tmp_path)
    assert code["hazards"] == [] and code["local_accesses"] == 0
    assert code["early_accesses"] == []
    # A fence of all memory stands where a kernel begins and where it ends.
    assert not any("MEMBAR" in loop["histogram"] for loop in code["loops"])
    if variant in ("noop", "causal"):
        assert code["loops"][0]["r2ur"] == 0
    kernel = Kernel("kernel", manifest, tmp_path / "kernel.cubin", variant)
    assert kernel.cluster == 2
    m = manifest["tile"]["m"]
    for heads, rows in ((2, 1), (8, 5000)):
        launch = describe_launch(kernel, Shape(1, heads, 1, rows, 129))
        most = 264 if manifest["threads"] == 256 else 132
        assert launch["grid"] == min(most, heads * -(-rows // m))
    with pytest.raises(ValueError, match="an even number of heads a key head"):
        describe_launch(kernel, Shape(1, 3, 1, 1, 129))


@pytest.mark.parametrize("form", [None, "per_batch=1"])
@pytest.mark.parametrize("variant", ["noop", "causal"])
def test_exponents_are_computed_while_outputs_are_in_flight(
    variant: str, form: str | None, tmp_path: Path
) -> None:
    """Where the assembler waits ahead of them, plain kernels are 12 % slower."""
    code = measured(compiled(variant, 128, "bf16", form)[1], tmp_path)
    assert code["loops"][0]["work_before_last_wait"] >= 16


@pytest.fixture(scope="session")
def assembled(request: pytest.FixtureRequest) -> Iterator[dict[tuple, Future]]:
    """The f16 kernels that the tests of this run want, two at a time."""
    wanted = [
        (item.callspec.params["variant"], item.callspec.params["D"])
        for item in request.session.items
        if "assembled" in getattr(item, "fixturenames", ())
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {
            key: pool.submit(compiled, *key, "f16", FOUND.get(key)) for key in wanted
        }


@pytest.mark.parametrize(("variant", "D"), EVERY)
def test_every_variant_in_f16(
    assembled: dict[tuple, Future], variant: str, D: int, tmp_path: Path
) -> None:
    """Spills and serialised products are errors."""
    manifest, cubin = assembled[variant, D].result()
    assert manifest["dtype"] == "f16" and manifest["registers"] > 0
    assert manifest["programmatic_launch"] is True
    if D == 128:  # of each kind of kernel, and of all that run before
        assert properties.early_accesses(disassembled(cubin, tmp_path)) == []


@pytest.mark.parametrize(
    ("variant", "D"),
    [
        ("noop", 128),
        ("causal", 128),
        ("lists128x128", 128),
        ("lists128x128_causal", 128),
        ("lists64x64", 128),
        ("lists64x64_causal", 128),
    ],
)
def test_full_tiles(found: dict) -> None:
    full = found["loops"][0]
    assert full["r2ur"] == 0
    assert full["mask_operations"] == 0
    ptxas = config()["ptxas"]
    assert full["instructions"] <= (460 if ptxas.startswith("13.0") else 500)


@pytest.mark.parametrize(
    ("mod", "D", "blocks", "own_rows", "expected"),
    [
        ("", 64, "block_q=64,block_kv=64", 0, "groups=1,n=64,"),
        ("", 128, "block_q=64", 1, "groups=3,n=64,stages=4,q_stages=1,ping_pong=0"),
        ("mask = kv <= q", 128, "block_q=64,block_kv=64", 1, "groups=3,n=64,"),
        ("score = s * 2 + kv", 128, "block_q=64,block_kv=64", 0, "groups=1,n=64,"),
        ("", 128, "block_q=64,own_rows=0", 0, "groups=1,n=128,"),
        ("", 128, "block_q=64,groups=2,n=64", 0, "groups=2,n=64,"),
        ("", 128, "block_q=192", 0, "groups=3,n=64,stages=2,q_stages=2,ping_pong=1"),
        ("", 128, "block_q=384,block_kv=64", 0, "groups=2,n=64,"),
        ("", 64, "block_q=192,block_kv=64", 0, "groups=3,n=64,"),
        ("", 256, "block_q=64", 1, "groups=2,n=64,stages=2,q_stages=1,ping_pong=0"),
        ("mask = kv <= q", 256, "block_q=64", 1, "groups=2,n=64,"),
        ("mask = kv <= q and q != 7", 256, "block_q=64", 0, "groups=1,n=64,"),
        ("mask = kv <= q", 256, "block_q=192", 1, "groups=2,n=64,"),
    ],
)
def test_schedules_for_block_masks(
    mod: str, D: int, blocks: str, own_rows: int, expected: str
) -> None:
    kernel = listed(f"attention listed {{ {mod} }}", D, blocks)
    schedule = json.loads(kernel.info())["manifest"]["schedule"]
    assert schedule.startswith(expected)
    assert ("own_rows=1" in schedule) == own_rows


#: More than three groups hold.
HEAVY_ROWS = """attention heavy(w: f32[S], x: f32[S]) {
  mask = kv <= q and w[kv] < x[q] and w[q] * x[kv] > x[q] - w[kv] and x[kv] < w[q]
}"""


def test_block_schedules_fall_back() -> None:
    """One that is chosen for a mask's tiles may become another one."""
    kernel = listed(HEAVY_ROWS, 128, "block_q=64,block_kv=64")
    info = json.loads(kernel.info())
    chosen = "schedule block_q=64,block_kv=64,groups=1,n=64,own_rows=0: "
    assert chosen + "the default one spills registers" in info["remarks"]
    assert info["schedule"].startswith("groups=1,n=64,")
    with pytest.raises(CompileError, match="registers spill"):
        listed(HEAVY_ROWS, 128, info["schedule"].replace("=1,", "=3,", 1)).object()


@pytest.mark.parametrize("D", [64, 256])
def test_elementary_functions_have_two_loops(D: int) -> None:
    assert "branch=0" in compiled("softcap_causal", D)[0]["schedule"]


@pytest.mark.parametrize(("variant", "D"), [("causal", 256), ("table_causal", 256)])
def test_one_loop_with_a_branch(found: dict) -> None:
    (loop,) = found["loops"]
    assert loop["r2ur"] == 0
    assert loop["mask_operations"] > 0


@pytest.mark.parametrize(("variant", "D"), CASES)
def test_manifests_can_be_launched(variant: str, D: int, tmp_path: Path) -> None:
    manifest, cubin = compiled(variant, D)
    (tmp_path / "kernel.cubin").write_bytes(cubin)
    kernel = Kernel("kernel", manifest, tmp_path / "kernel.cubin", variant)
    for shape in (Shape(2, 3, 3, 257, 129), Shape(1, 4, 2, 640, 333, "bshd")):
        launch = describe_launch(kernel, shape)
        rows = manifest["tile"]["m"]
        if "own_rows=1" in manifest["schedule"]:  # one for each warpgroup
            rows *= int(manifest["schedule"].split(",")[0].removeprefix("groups="))
        assert launch["grid"] == min(132, shape.B * shape.H * -(-shape.M // rows))
    assert manifest["registers"] > 0


#: A vector of keys in a tanh under two conditions: more than three groups hold.
HEAVY = """attention heavy(w: f32[S]) {
  score = 9 * tanh(s * w[kv] + w[kv])
  mask = 0 <= q - kv < 700 or kv < 90
}"""


def test_schedules_that_spill_give_way_to_smaller_ones() -> None:
    kernel = compile_attn(HEAVY, 64)
    info = json.loads(kernel.info())
    assert "the default one spills registers" in info["remarks"]
    assert info["schedule"] == info["manifest"]["schedule"]
    tile = info["manifest"]["tile"]
    assert f"n={tile['n']}," in info["schedule"] and (tile["m"], tile["n"]) != (
        192,
        128,
    )
    assert f"n = {tile['n']}, " in kernel.ir("target")
    # What the caller asks for is not changed.
    with pytest.raises(CompileError, match="registers spill"):
        compile_attn(HEAVY, 64, schedule="groups=3,n=128").object()


#: Answers as ptxas does; the first `$0.bad` kernels have serialised products.
SERIALISING = """#!/bin/sh
if [ "$1" = --version ]; then
  echo 'Cuda compilation tools, release 13.5, V13.5.37'
  exit
fi
for last; do :; done
printf cubin >"$last"
echo "ptxas info    : Compiling entry function 'f' for 'sm_90a'"
echo "ptxas info    : Used 168 registers"
for place in "$0".bad*; do
  if rmdir "$place" 2>/dev/null; then
    echo "ptxas info    : (C7513) Potential Performance Loss: serialized"
    break
  fi
done
"""


#: Compiles argv[1] for the head dim argv[2] by the schedule argv[3].
COMPILING = """
import sys
from fovea._lib import native
from fovea.errors import CompileError
options = {"kind": "attn", "dtype": "bf16", "target": "sm_90a"}
source, D, schedule = sys.argv[1:]
try:
    kernel, _, _ = native().compile(
        source, **options, head_dim=int(D), schedule=schedule or None
    )
    print(kernel.info())
except CompileError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def compile_serialising(tmp_path: Path) -> Callable[..., str | dict]:
    """What a process says whose ptxas serialises the first `bad` kernels."""
    ptxas = tmp_path / "ptxas"
    ptxas.write_text(SERIALISING)
    ptxas.chmod(0o700)
    environment = os.environ | {"FOVEA_PTXAS": str(ptxas), "FOVEA_CACHE": "0"}

    def compile_by(source: str, D: int, bad: int = 0, schedule: str = "") -> str | dict:
        for place in tmp_path.glob("ptxas.bad*"):
            place.rmdir()
        for number in range(bad):
            (tmp_path / f"ptxas.bad{number}").mkdir()
        done = subprocess.run(
            [sys.executable, "-c", COMPILING, source, str(D), schedule],
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.stderr if done.returncode else json.loads(done.stdout)

    return compile_by


def test_serialised_products_give_way_to_other_schedules(
    compile_serialising: Callable[..., str | dict],
) -> None:
    source = VARIANTS["softcap_causal"].source
    default = compile_serialising(source, 128)
    assert "the default one" not in default["remarks"]
    other = compile_serialising(source, 128, bad=1)
    assert "the default one has its products serialised" in other["remarks"]
    assert other["schedule"] != default["schedule"]
    message = "kernel 'f': ptxas: (C7513) Potential Performance Loss"
    assert message in compile_serialising(source, 128, bad=20)
    # What the caller asks for is not changed.
    assert message in compile_serialising(source, 128, bad=1, schedule="n=96")


def test_kernels_that_never_fit_are_not_assembled(
    compile_serialising: Callable[..., str | dict],
) -> None:
    """The stand-in would take the default schedule's kernel."""
    source = (ROOT / "zoo" / "masks" / "shifted_window.attn").read_text()
    info = compile_serialising(source, 64)
    assert "the default one spills registers" in info["remarks"]
    assert info["manifest"]["tile"] == {"m": 128, "n": 64}
    # What the caller asks for is.
    info = compile_serialising(source, 64, schedule="n=128")
    assert info["manifest"]["tile"] == {"m": 128, "n": 128}


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("D", [64, 128, 256])
def test_bounds_that_are_read_leave_the_loader_registers(D: int, dtype: str) -> None:
    source = (ROOT / "zoo" / "masks" / "padding.attn").read_text()
    info = json.loads(compile_attn(source, D, dtype).info())
    assert "the default one" not in info["remarks"]


def test_masks_of_many_values_fall_back_to_a_branch_at_256() -> None:
    """with tiles of a block mask: two loops of 32 keys spill"""
    source = VARIANTS["lists_rolled_windows"].source
    info = json.loads(compile_attn(source, 256, "f16", want_block_mask=1).info())
    assert "the default one spills registers" in info["remarks"]
    assert info["manifest"]["tile"]["n"] < 64


def test_what_the_target_lacks_is_said() -> None:
    with pytest.raises(ValueError, match="sm_90a kernels do not have") as caught:
        compile_attn(
            "attention f(x: f32[S]) {\n  mask = pow(x[q], x[kv]) < 1\n}\n", 128
        )
    assert str(caught.value).startswith("target: ")


def test_a_mask_without_a_closed_form_needs_no_block_mask() -> None:
    """its classes and lists are made by kernels that run before"""
    kernel = compile_attn(VARIANTS["documents"].source, 128)
    manifest = json.loads(kernel.info())["manifest"]
    assert not manifest["block_mask"]
    text = json.dumps({k: v for k, v in manifest.items() if k != "block_mask"})
    assert not any(name in text for name in ("block_mask.", '"BQ"', '"BKV"'))
    symbols = [before["symbol"] for before in manifest["before"]]
    assert symbols == ["documents_sign", "documents_hulls", "documents_lists"]


def test_a_compiled_kernel_is_launched_on_a_device_alone() -> None:
    kernel = compile_attn(VARIANTS["noop"].source, 128)
    rows = ("bf16", (1, 1, 4, 128), (512, 512, 128, 1))
    q, out = (1 << 16, *rows), (2 << 16, *rows)
    arguments = ([q], [q], q, out, None, [], [0.1], None, None, None, None, None, None)
    with pytest.raises(ValueError, match="^q: must be in CUDA memory"):
        kernel.launch(*arguments)
    if not config()["gpus"]:
        with pytest.raises(ValueError, match="no NVIDIA driver on this machine"):
            kernel.launch(*arguments, 0, 0)


@pytest.mark.parametrize(
    ("schedule", "rule"),
    [
        ("n=1", "n must be a multiple of 16 from 16 to 256, got 1"),
        ("groups=9", "groups must be 1 to 3, got 9"),
        ("stages=-3", "stages must be 2 to 8, got -3"),
        ("pin=99", "pin must be 0, 1, 4 or 5, got 99"),
        ("ping_pong=7", "ping_pong must be 0 or 1, got 7"),
        ("branch=2", "branch must be 0 or 1, got 2"),
        ("n=64,n=128", "n must be given once, got 'n=64,n=128'"),
        ("block_q=96", "block_q must be a multiple of 64, got 96"),
        ("block_kv=0", "block_kv must be a multiple of 64, got 0"),
        ("block_q=64", "block_q and block_kv are for kernels with a block mask"),
        ("staged=1,per_batch=1", "per_batch=1 takes staged=0, got staged=1"),
        ("cluster=4", "cluster must be 1 or 2, got 4"),
        (
            "cluster=2,per_batch=1",
            "cluster=2 takes whole sequences without a block mask",
        ),
        (
            "m=64",
            "a schedule of sm_90a has groups, n, stages, q_stages, ping_pong, pin,"
            " staged, branch, own_rows, edges, per_batch, cluster, block_q and"
            " block_kv, numbers, got 'm=64'",
        ),
        (
            "stages=8,n=256",
            "asks for 1147904 of shared_memory, the limit of 'sm_90a' is 232448",
        ),
    ],
)
def test_schedules_that_sm_90a_does_not_take(schedule: str, rule: str) -> None:
    """Bad input: schedule. ValueError: argument, rule, given"""
    with pytest.raises(ValueError) as caught:
        compile_attn(VARIANTS["noop"].source, 128, schedule=schedule)
    assert str(caught.value) == f"schedule: {rule}"
