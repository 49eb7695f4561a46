"""Values that count as what they look like, and errors that say what to do."""

from __future__ import annotations

import os

import ml_dtypes
import numpy as np
import pytest
from api_common import Exporter, inputs

import fovea

REAL = {
    "bfloat16": ml_dtypes.bfloat16(0.5),
    "0-d": np.array(0.5),
    "0-d float32": np.array(0.5, np.float32),
    "0-d bfloat16": np.array(0.5, ml_dtypes.bfloat16),
}


class WithFloat(Exporter):
    def __float__(self):
        return float(self.array)


REAL["0-d DLPack"] = WithFloat(np.array(0.5))


@pytest.mark.parametrize("given", REAL)
def test_scale_is_a_finite_real_number(given):
    """scale is a finite real number"""
    q, k, v = inputs()
    want = fovea.attention(q, k, v, scale=0.5)
    for _ in range(2):
        np.testing.assert_array_equal(fovea.attention(q, k, v, scale=REAL[given]), want)
    kernel = fovea.compile(D=8, scale=REAL[given])
    assert type(kernel.scale) is float
    np.testing.assert_array_equal(kernel(q, k, v), want)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (np.array(True), "ndarray"),
        (np.array(1j), "ndarray"),
        (np.array("1"), "ndarray"),
        (np.ones(1), "ndarray"),
        (WithFloat(np.ones(1)), "WithFloat"),
        (np.datetime64(1, "s"), "datetime64"),
    ],
)
def test_scale_is_nothing_else(given, kind):
    with pytest.raises(TypeError) as caught:
        fovea.attention(*inputs(), scale=given)
    assert str(caught.value).startswith("scale: must be a real number, got ")
    assert str(caught.value).endswith(f".{kind}")


def test_a_scale_of_an_array_is_finite():
    with pytest.raises(ValueError, match=r"^scale: must be finite, got nan$"):
        fovea.attention(*inputs(), scale=np.array(np.nan))


def test_an_empty_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for use in (fovea.compile(D=8).save, fovea.load_kernel):
        with pytest.raises(ValueError, match=r"^path: must name a file, got an empty"):
            use("")
    assert os.listdir(tmp_path) == []


class Used(Exporter):
    """Gives a capsule that somebody has taken the memory of."""

    def __dlpack__(self, **options):
        capsule = super().__dlpack__(**options)
        np.from_dlpack(_Wrapped(capsule, self))
        return capsule


class _Wrapped:
    def __init__(self, capsule, owner):
        self.capsule, self.owner = capsule, owner

    def __dlpack__(self, **options):
        return self.capsule

    def __dlpack_device__(self):
        return self.owner.__dlpack_device__()


@pytest.mark.parametrize("versioned", [True, False])
def test_a_capsule_that_was_consumed(versioned):
    q, k, v = inputs()
    with pytest.raises(TypeError, match=r"^q: .*unused capsule, got one that was cons"):
        fovea.attention(Used(q, versioned), Exporter(k), Exporter(v))


class Deleted:
    """A jax array without its memory."""

    def is_deleted(self):
        return True

    def block_until_ready(self):
        raise RuntimeError("INVALID_ARGUMENT: BlockHostUntilReady() on deleted buffer")

    def __dlpack_device__(self):
        return (1, 0)

    def __dlpack__(self, **options):
        raise RuntimeError("Array has been deleted with shape=float32[1,2,12,8].")


def test_an_array_that_was_deleted():
    with pytest.raises(TypeError) as caught:
        fovea.attention(Deleted(), Deleted(), Deleted())
    assert str(caught.value).startswith("q: must have data, got a test_api_clear_words")
    assert str(caught.value).endswith("that was deleted (donated, or by .delete())")


def test_jax_arrays_and_devices():
    jax = pytest.importorskip("jax")
    q, k, v = map(jax.numpy.asarray, inputs())
    device = jax.devices("cpu")[0]
    mask = lambda b, h, q, k: q >= k
    made = fovea.create_block_mask(mask, 1, 1, 12, 12, 4, device=device)
    assert made.to(device) is made
    scale = jax.numpy.asarray(0.5)
    np.testing.assert_array_equal(
        fovea.attention(q, k, v, scale=scale), fovea.attention(q, k, v, scale=0.5)
    )
    q.delete()
    with pytest.raises(TypeError, match=r"^q: must have data, got a .* was deleted"):
        fovea.attention(q, k, v)


def test_torch_under_vmap():
    torch = pytest.importorskip("torch")
    q, k, v = (torch.from_numpy(x)[None] for x in inputs())
    with pytest.raises(TypeError, match=r"^q: .*torch\.vmap \(call fovea outside it"):
        torch.vmap(fovea.attention)(q, k, v)
    half = torch.tensor(0.5)
    assert torch.equal(
        fovea.attention(q[0], k[0], v[0], scale=half),
        fovea.attention(q[0], k[0], v[0], scale=0.5),
    )


class Device:
    """What jax calls a device."""

    def __init__(self, platform):
        self.platform = platform


def test_devices_of_jax():
    mask = lambda b, h, q, k: q >= k
    made = fovea.create_block_mask(mask, 1, 1, 64, 64, device=Device("cpu"))
    assert made.to(Device("cpu")) is made
    with pytest.raises((TypeError, ValueError), match=r"^device: must be "):
        fovea.create_block_mask(mask, 1, 1, 64, 64, device=Device("tpu"))


class Answers:
    """A mod whose other attributes are entries of a dict."""

    def __init__(self):
        self.entries = {"gain": 0.5}

    def __getattr__(self, name):
        return self.__dict__["entries"][name]

    def __call__(self, s, b, h, i, j):
        return s * self.gain


class AnswersMask(Answers):
    def __call__(self, b, h, i, j):
        return i * self.gain <= j


def test_a_mod_that_answers_unknown_names_with_another_error():
    q, k, v = inputs()
    mod, mask = Answers(), AnswersMask()
    for gain in (0.5, 0.25):
        mod.entries["gain"] = mask.entries["gain"] = gain
        want = fovea.attention(
            q, k, v, lambda s, b, h, i, j: s * gain, lambda b, h, i, j: i * gain <= j
        )
        np.testing.assert_array_equal(fovea.attention(q, k, v, mod, mask), want)
        np.testing.assert_array_equal(fovea.compile(mod, mask, D=8)(q, k, v), want)
    rows, keys = np.ogrid[:12, :12]
    dense = fovea.create_mask(mask, 1, 1, 12, 12)
    np.testing.assert_array_equal(dense[0, 0], rows * 0.25 <= keys)
    assert fovea.create_block_mask(mask, 1, 1, 12, 12).counts() == (0, 1, 0)
