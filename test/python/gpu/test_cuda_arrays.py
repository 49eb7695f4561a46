"""CUDA tensors in the Python layer, with libraries that stand in for torch."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import fovea
from fovea import _compiler, _cuda, _lib, _outputs, _tensors, zoo


class _Stream:
    cuda_stream = 77
    ptr = 99


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A module that has what streams and uploads need of torch."""

    class Tensor:
        def __init__(self, array: np.ndarray, device: str = "cpu"):
            self.array, self.device, self.ndim = array, device, array.ndim

        def to(self, device: str) -> Tensor:
            return Tensor(self.array, device)

    cuda = types.SimpleNamespace(current_stream=lambda index: _Stream())
    fake = types.SimpleNamespace(cuda=cuda, Tensor=Tensor, from_numpy=Tensor)
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def test_a_launch_takes_the_stream_of_the_caller(torch: types.SimpleNamespace) -> None:
    assert _cuda.place("cuda:1", "torch") == (1, 77)
    assert _cuda.place("cuda:0", "jax") == (0, 0)
    with pytest.raises(ValueError, match="^q: must be on the CPU or a CUDA device"):
        _cuda.place("hip:0", "torch")


def test_numpy_captures_are_uploaded(torch: types.SimpleNamespace) -> None:
    read_only = np.arange(3.0)
    read_only.flags.writeable = False
    moved = _cuda.upload(read_only, "torch", "cuda:1")
    assert moved.device == "cuda:1" and moved.array.flags.writeable
    number = torch.Tensor(np.array(2.0))
    assert _cuda.upload(number, "torch", "cuda:0").device == "cuda:0"
    vector = torch.Tensor(np.zeros(3))
    assert _cuda.upload(vector, "torch", "cuda:0") is vector


def test_cupy_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        def __init__(self, index: int):
            self.index = index

        def __enter__(self) -> None:
            pass

        def __exit__(self, *error: object) -> None:
            pass

    cuda = types.SimpleNamespace(Device=Device, get_current_stream=_Stream)
    fake = types.SimpleNamespace(cuda=cuda, asarray=lambda a: ("moved", a))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    assert _cuda.place("cuda:0", "cupy") == (0, 99)
    array = np.zeros(2)
    assert _cuda.upload(array, "cupy", "cuda:0") == ("moved", array)


def test_dlpack_of_cupy_arrays_waits_for_nothing() -> None:
    from fovea import _dlpack

    asked = {}

    class Array:
        def __dlpack__(self, **options: object) -> object:
            asked.update(options)
            return np.zeros(2).__dlpack__()

    _dlpack._export(Array(), "q", "cupy")
    assert asked == {"max_version": (1, 0), "stream": -1}
    asked.clear()
    _dlpack._export(Array(), "q", "jax")
    assert asked == {"max_version": (1, 0)}


def _without_gpu() -> bool:
    return not _lib.config().get("gpus")


@pytest.mark.skipif("not _without_gpu()")
def test_without_a_gpu_the_targets_say_so(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError, match="^target: must be one of cpu, interpreter"):
        fovea.compile(D=64, dtype="bfloat16", target="cuda")
    fovea.show_config()
    printed = capsys.readouterr().out
    assert "GPUs note" in printed and "no NVIDIA driver on this machine" in printed


def test_compiling_for_the_cpu_never_asks_the_driver() -> None:
    code = (
        "import numpy as np, fovea\n"
        "x = np.ones((1, 1, 4, 8), np.float32)\n"
        "fovea.attention(x, x, x)\n"
        "maps = open('/proc/self/maps').read()\n"
        "print('libcuda' in maps)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("size", "lengths", "D", "expected"),
    [
        ((128, 128), (4096, 4096), 128, None),
        ((64, 64), (4096, 4096), 128, "block_q=64,block_kv=64"),
        ((192, 384), (4096, 4096), 64, "block_q=192"),
        ((320, 64), (4096, 4096), 256, "block_q=64"),
        ((128, 64), (4096, 4096), 256, None),
        ((128, 64), (4096, 4096), 64, "block_kv=64"),
        ((100, 128), (4096, 4096), 128, None),  # the launch says what would do
        ((100, 100), (90, 100), 128, None),
    ],
)
def test_schedules_of_block_masks(
    size: tuple[int, int], lengths: tuple[int, int], D: int, expected: str | None
) -> None:
    assert _cuda.block_schedule(size, lengths, D) == expected


def test_block_classes_are_uploaded_once_a_stream(
    torch: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = fovea.create_block_mask(lambda b, h, q, kv: q >= kv, 2, 4, 512, 512)
    read = []

    def record(tensor: object, name: str, dtypes: tuple[str, ...]) -> _tensors.Tensor:
        read.append(tensor.array)
        shape = tensor.array.shape
        steps = tuple(s // tensor.array.itemsize for s in tensor.array.strides)
        return _tensors.Tensor(
            tensor, 4096 * len(read), "i8", shape, steps, "torch", "cuda:0", tensor
        )

    monkeypatch.setattr(_tensors, "read", record)
    first = _cuda.block_classes(mask, "cuda:0", "torch")
    assert first == (4096, "i8", (2, 4, 4, 4), (0, 0, 4, 1))
    assert read[0].shape == (1, 1, 4, 4)
    assert read[0].tolist() == mask._classes[:1, :1].tolist()
    assert _cuda.block_classes(mask, "cuda:0", "torch") == first
    assert len(read) == 1


def test_attention_with_a_block_mask_on_a_device(
    torch: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schedule, classes and place of a call reach the library."""
    sizes = (2, 4, 512, 128)

    def tensor(obj: object, name: str, dtypes: object = None) -> _tensors.Tensor:
        if name == "block_mask":
            array = obj.array
            steps = tuple(s // array.itemsize for s in array.strides)
            return _tensors.Tensor(
                obj, 512, "i8", array.shape, steps, "torch", "cuda:1", obj
            )
        steps = (262144, 65536, 128, 1)
        return _tensors.Tensor(obj, 4096, "bf16", sizes, steps, "torch", "cuda:1", obj)

    launches, schedules = [], []
    native = types.SimpleNamespace(launch=lambda *given: launches.append(given))
    compiled = types.SimpleNamespace(native=native, default_scale=lambda g: 0.5)

    def look_up(*given: object) -> object:
        schedules.append(given[-1])
        return compiled

    result = (64, (1, 1, 1, 1), "out", None)
    monkeypatch.setattr(_tensors, "read", tensor)
    monkeypatch.setattr(_outputs, "allocate", lambda *given: result)
    monkeypatch.setattr(_outputs, "deliver", lambda out, like, dtype: out)
    monkeypatch.setattr(_compiler, "lookup", look_up)
    monkeypatch.setattr(_compiler, "target_for", lambda target, device: "cuda")
    mask = fovea.create_block_mask(zoo.causal, 1, 1, 512, 512, BLOCK_SIZE=64)
    q = object()
    for _ in range(2):
        assert fovea.attention(q, q, q, block_mask=mask) == "out"
    assert schedules == ["block_q=64,block_kv=64"] * 2
    classes, size, device, stream = launches[1][-4:]
    assert classes == (512, "i8", (1, 1, 8, 8), mask._classes.strides)
    assert size == (64, 64) and (device, stream) == (1, 77)
    fovea.attention(q, q, q, block_mask=mask, schedule="groups=2")
    assert schedules[2] == "groups=2"
