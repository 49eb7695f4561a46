"""The whole way from a variant to a launch, with a driver that notes it down."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fovea
from fovea import _lib

DRIVER = Path(fovea.__file__).parents[2] / "lib" / "libfovea-fake-cuda.so"

pytestmark = [
    pytest.mark.skipif(not DRIVER.exists(), reason="the unit tests build it"),
    pytest.mark.skipif("not _has_ptxas()", reason="needs ptxas"),
]


def _has_ptxas() -> bool:
    return bool(_lib.config().get("ptxas"))


PROGRAM = """
import ctypes, json, os
import fovea
from fovea._lib import config, native

source = "attention alibi(slope: f32[H]) { score = s - slope[h] * (q - kv) }"
kernel, origin, _ = native().compile(
    source, kind="attn", dtype="bf16", head_dim=128, want_lse=1, target="cuda"
)
rows = ("bf16", (2, 4, 300, 128), (153600, 38400, 128, 1))
q, out = (1 << 32, *rows), (2 << 32, *rows)
k = (3 << 32, "bf16", (1, 2, 77, 128), (19712, 9856, 128, 1))
lse = (4 << 32, "f32", (2, 4, 300), (1200, 300, 1))
slope = (5 << 32, "f32", (4,), (1,))
none = (None,) * 6
for stream in (7, 7, 8):
    kernel.launch([q], [k], k, out, lse, [slope], [0.1], *none, 0, stream)
# Another form of the kernel, compiled and loaded at the first such call.
for lengths in ([5, 77], [5, 77], [9, 77]):
    kernel.launch([q], [k], k, out, lse, [slope], [0.1], None, None, None, lengths,
                  None, None, 0, 7)
errors = []
for change in (
    {"q_offset": [0, 1 << 24]},
    {"device": 3},
    {"slope": (5 << 32, "f32", (4, 1), (1, 1))},
):
    given = [change.get("q_offset"), None, None, None, None, None]
    try:
        kernel.launch(
            [q], [k], k, out, lse, [change.get("slope", slope)],
            [change.get("scale", 0.1)], *given, change.get("device", 0), 7,
        )
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
driver = ctypes.CDLL(os.environ["FOVEA_LIBCUDA"])
registers = ctypes.c_int.in_dll(driver, "fakeRegisters")
classes = [(6 << 32, "i8", (1, 1, 5, 2), (10, 10, 2, 1)), (64, 64)]
blocks = {}
for schedule in ("block_q=64,block_kv=64,own_rows=0", None):
    listed, _, _ = native().compile(
        "attention listed { mask = kv <= q }", kind="attn", dtype="bf16",
        head_dim=128, want_block_mask=1, target="cuda", schedule=schedule,
    )
    blocks[schedule or "default"] = json.loads(listed.info())["manifest"]
    registers.value = blocks[schedule or "default"]["registers"]
    try:
        listed.launch([q], [k], k, out, None, [], [0.1], *none[:4], *classes, 0, 7)
        listed.launch(
            [q], [k], k, out, None, [], [0.1], *none[:3], [5, 5], *classes, 0, 7
        )
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
log = (ctypes.c_char * 65536).in_dll(driver, "fakeLog").value.decode()
print(json.dumps({
    "origin": origin, "blocks": blocks, "log": log.splitlines(), "errors": errors,
    "gpus": config()["gpus"], "targets": config()["targets"],
    "default": fovea.compile(D=128, dtype="bfloat16", target="cuda").ir("asm")[:200],
}))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What two processes with one disk cache say."""
    cache = str(tmp_path_factory.mktemp("cache"))
    settings = {"FOVEA_LIBCUDA": str(DRIVER), "FOVEA_CACHE": "1"}
    environment = {**os.environ, **settings, "FOVEA_CACHE_DIR": cache}
    Path(cache).chmod(0o700)
    texts = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        texts.append(json.loads(done.stdout))
    return texts


def test_devices_are_targets(said: list[dict]) -> None:
    assert said[0]["gpus"] == ["cuda:0 Fake 0, sm_90, 132 multiprocessors"]
    assert {"cuda", "sm_90a"} <= set(said[0]["targets"])
    assert ".target sm_90a" in said[0]["default"]


def test_cubins_are_kept_on_disk(said: list[dict]) -> None:
    assert [one["origin"] for one in said] == ["compiled", "disk"]


def test_launches(said: list[dict]) -> None:
    log = said[0]["log"]
    launches = [line for line in log if line.startswith("launch")]
    assert launches[:3] == [
        f"launch {2 * 4 * 3}x1x1 of 384x1x1, {launches[0].split()[4]} bytes,"
        f" stream {stream}"
        for stream in ("0x7", "0x7", "0x8")
    ]
    # Keys have one batch for both: their stride over it is 0.
    keys = [line for line in log if line.startswith("map") and " 77/" in line]
    assert keys and all(line.endswith("+256 +128 +19712 +0") for line in keys)
    # With lengths each head has one tile more, for its dead rows.
    others = [f"launch {2 * 4 * 4}x1x1 of 384x1x1, "] * 3
    assert all(map(str.startswith, launches[3:6], others))
    assert launches[3].split()[4] != launches[0].split()[4]
    end = log.index(launches[3])
    assert sum(line.startswith("load") for line in log[:end]) == 2
    log = log[: log.index(launches[2]) + 1]
    assert sum(line.startswith("load") for line in log) == 1
    # One workspace a stream, tensor maps once.
    assert sum(line == "allocate 4096" for line in log) == 2
    assert sum(line.startswith("map") for line in log) == 4


def test_block_masks_are_sorted_before_a_launch(said: list[dict]) -> None:
    launches = [line for line in said[0]["log"] if line.startswith("launch")]
    # One list of each row of tiles for all heads; 5 query tiles of 64 a head.
    assert launches[6] == "launch 5x1x1 of 32x1x1, 0 bytes, stream 0x7"
    assert launches[7].startswith("launch 40x1x1 of 256x1x1, ")
    assert len(launches) == 8
    manifest = said[0]["blocks"]["block_q=64,block_kv=64,own_rows=0"]
    assert manifest["block_mask"] is True
    assert manifest["tile"] == {"m": 64, "n": 64}
    assert said[0]["blocks"]["default"]["tile"] == {"m": 128, "n": 128}


def test_launches_that_the_kernel_does_not_do(said: list[dict]) -> None:
    assert said[0]["errors"] == [
        "ValueError: q_offset: must be 0 to 16776915 on sm_90a, got 16777216",
        "ValueError: q: device must be one of 1, got cuda:3",
        "ValueError: slope: rank must be 1, got 2",
        "ValueError: kv_lengths: must be 77 on sm_90a, got 5",
        "ValueError: block_mask: this sm_90a kernel takes tiles that are multiples"
        " of 128 x 128; retile the mask (retile), or compile for its tiles (schedule"
        " block_q=64,block_kv=64 takes multiples of 64 x 64)",
    ]


@pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="no cc")
def test_launches_from_c_can_be_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    gpu_cost = importlib.import_module("gpu_cost")
    times = gpu_cost.launch_from_c(str(DRIVER))
    assert 0 < times["best_us"] <= times["median_us"]


def test_the_bars_of_costs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "benchmarks"))
    gpu_cost = importlib.import_module("gpu_cost")
    compiling = {"cold": {"a": 0.5, "b": 0.9}, "cached": {"a": 6e-3, "b": 9e-3}}
    gpu_cost.print_bars({"compile": compiling, "launch_c": {"median_us": 6.0}})
    said = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert said == ["holds", "MISSED", "MISSED"]


CLUSTERS = """
import ctypes, json, os
from fovea._lib import native

log = []
def launch(kernel, batch, heads, key_heads, rows, lengths=None):
    def tensor(number, h):
        strides = (h * rows * 128, rows * 128, 128, 1)
        return (number << 32, "bf16", (batch, h, rows, 128), strides)
    q, out = tensor(1, heads), tensor(2, heads)
    k, v = tensor(3, key_heads), tensor(4, key_heads)
    kernel.launch([q], [k], v, out, None, [], [0.1], None, None, None,
                  lengths and [lengths] * batch, None, None, 0, 7)

def compile(schedule):
    return native().compile(
        "attention causal { mask = kv <= q }", kind="attn", dtype="bf16",
        head_dim=128, target="cuda", schedule=schedule,
    )[0]

kernel = compile(None)
launch(kernel, 2, 32, 8, 4096)
launch(kernel, 2, 32, 8, 4096)
launch(kernel, 2, 32, 32, 4096)
launch(kernel, 2, 30, 10, 4096)
launch(kernel, 1, 32, 8, 4096)
launch(kernel, 8, 32, 8, 2048)
launch(kernel, 2, 32, 8, 4096, lengths=4095)
launch(compile("groups=2"), 2, 32, 8, 4096)
pairs = compile("cluster=2")
launch(pairs, 1, 2, 1, 100)
try:
    launch(pairs, 1, 3, 1, 100)
except Exception as error:
    refused = f"{type(error).__name__}: {error}"
driver = ctypes.CDLL(os.environ["FOVEA_LIBCUDA"])
log = (ctypes.c_char * 65536).in_dll(driver, "fakeLog").value.decode()
launches = [line for line in log.splitlines() if line.startswith("launch")]
manifests = [json.loads(one.info())["manifest"] for one in (kernel, pairs)]
print(json.dumps([launches, refused, [m["shared_memory"] for m in manifests]]))
"""


def _launch_clusters(**settings: str) -> list:
    settings |= {"FOVEA_LIBCUDA": str(DRIVER), "FOVEA_CACHE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", CLUSTERS],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_heads_of_a_key_head_in_clusters() -> None:
    launches, refused, memory = _launch_clusters()
    assert memory[0] < memory[1]
    taken = [int(line.split()[4]) for line in launches]
    # Pairs of heads, tiles and keys enough; not what a schedule is given for.
    usual, pairs = memory
    assert taken[:6] == [pairs, pairs, usual, usual, usual, usual]
    assert taken[6] not in memory and taken[7:] == [usual, pairs]
    grids = [int(line.split()[1].split("x")[0]) for line in launches]
    assert grids == [132] * 8 + [2]
    rule = "q: a cluster takes an even number of heads a key head"
    assert refused == f"ValueError: {rule}"


@pytest.mark.parametrize("minor, is_known", [(0, False), (1, True)])
def test_clusters_want_an_assembler_that_knows_them(
    minor: int, is_known: bool, tmp_path: Path
) -> None:
    ptxas = _lib.config()["ptxas"].split("(")[1].rstrip(")")
    older = tmp_path / "ptxas"
    older.write_text(
        f"""#!/bin/sh
if [ "$1" = --version ]; then
  echo "Cuda compilation tools, release 12.{minor}, V12.{minor}.76"
else
  exec {ptxas} "$@"
fi
"""
    )
    older.chmod(0o755)
    launches, _, memory = _launch_clusters(FOVEA_PTXAS=str(older))
    assert int(launches[0].split()[4]) == memory[is_known]


FORMS = """
import json
import numpy as np
import fovea

options = {"D": 128, "dtype": "bfloat16", "target": "cuda"}
causal = lambda b, h, q, kv: kv <= q
kernel = fovea.compile(mask_mod=causal, **options)
document = np.arange(4096, dtype=np.int32) // 700
asked = fovea.compile(mask_mod=lambda b, h, q, kv: document[q] == document[kv], **options)
wide = {"B": 2, "Hq": 32, "Hk": 8, "M": 4096}
texts = [
    kernel.explain(**wide),
    kernel.explain(**wide | {"Hk": 32}),
    kernel.explain(**wide | {"M": 2048}),
    fovea.compile(mask_mod=causal, schedule="groups=2", **options).explain(**wide),
    asked.explain(),
    fovea.compile(mask_mod=causal, block_mask=True, **options).explain(),
    fovea.compile(mask_mod=causal, D=128, target="cpu").explain(**wide),
]
marks = ("form of the launch:", "  with offsets,")
found = [[x for x in text.splitlines() if x.startswith(marks)] for text in texts]
print(json.dumps(found))
"""


def test_explain_names_the_form_of_a_launch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORMS],
        capture_output=True,
        text=True,
        env={**os.environ, "FOVEA_LIBCUDA": str(DRIVER), "FOVEA_CACHE": "0"},
    )
    assert done.returncode == 0, done.stderr
    lengths = "  with offsets, or lengths that are not whole, one that reads them"
    usual = ["form of the launch: the usual one", lengths]
    lists = "form of the launch: lists of tiles, which "
    assert json.loads(done.stdout) == [
        [
            "form of the launch: in clusters, where that fits: two heads of a key head"
            " load its keys and values together",
            lengths,
        ],
        usual,
        usual,
        usual,
        [f"{lists}kernels ahead of it make of the mask"],
        [f"{lists}a kernel ahead of it makes of the block mask"],
        [],
    ]
