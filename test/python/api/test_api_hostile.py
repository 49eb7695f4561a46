"""Producers that lie, arguments of the wrong size, sums that only a seed gives."""

import ctypes
import pickle

import numpy as np
import pytest
from api_common import close, inputs, plain

import fovea
from fovea import Normalizer, normalizers, ops

B, H, M, N, D = 2, 3, 5, 6, 4
q, k, v = inputs(B=B, Hq=H, M=M, N=N, D=D)


# ---- DLPack ------------------------------------------------------------------


class Descriptor(ctypes.Structure):
    """A DLManagedTensor, to be filled with lies."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Liar:
    """Exports an array as float32 on the CPU, but for what `lies` say."""

    def __init__(self, array, **lies):
        shape = lies.pop("shape", array.shape)
        self.array = array
        self.extents = (ctypes.c_int64 * len(array.shape))(*(shape or ()))
        truth = {
            "data": array.ctypes.data,
            "device_type": 1,
            "ndim": array.ndim,
            "code": 2,
            "bits": 32,
            "lanes": 1,
        }
        self.tensor = Descriptor(**truth | lies)
        if shape is not None:
            self.tensor.shape = self.extents

    def __dlpack__(self, **options):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.tensor), b"dltensor", None)

    def __dlpack_device__(self):
        return 1, 0


LIES = {
    "rank": ({"ndim": 1 << 30}, ValueError, "q: DLPack rank must be in 0...64"),
    "negative rank": ({"ndim": -1}, ValueError, "q: DLPack rank must be in 0...64"),
    "no shape": ({"shape": None}, ValueError, "q: DLPack shape must not be null"),
    "negative shape": (
        {"shape": (2, 3, -5, 4)},
        ValueError,
        r"q: shape must not be negative, got \(2, 3, -5, 4\)",
    ),
    "offset": ({"byte_offset": 1 << 63}, ValueError, "q: DLPack byte_offset must be"),
    "device": ({"device_type": 2}, TypeError, r"__dlpack_device__ says \(cpu\)"),
    "lanes": ({"lanes": 4}, TypeError, "q: dtype must be .*, got float32 x 4 lanes"),
}


@pytest.mark.parametrize("case", LIES)
def test_dlpack_producers_that_lie_are_refused(case):
    lies, kind, text = LIES[case]
    with pytest.raises(kind, match=text):
        fovea.attention(Liar(q, **lies), Liar(k), Liar(v))


def test_dlpack_without_strides_is_dense():
    close(fovea.attention(Liar(q), Liar(k), Liar(v)), plain(q, k, v))


# ---- Normalisers ---------------------------------------------------------------


def exponential(s, t, b, h, q_idx, kv_idx):
    return ops.exp(s - t)


def seeded(seed_value):
    return Normalizer(
        weight=exponential,
        denom=exponential,
        stat=lambda s: s,
        seed=lambda b, h, q_idx: (0.0, 1.0),
        seed_value=seed_value,
    )


def ones(*shape):
    return np.ones(shape, np.float32)


SIZES = {
    "H": (lambda: seeded(ones(H + 1, D)), r"seed_value: dim 0 must be H \(3\), got 4"),
    "E": (lambda: seeded(ones(H, D + 1)), r"seed_value: dim 1 must be E \(4\), got 5"),
    "B": (lambda: seeded(ones(1, H, D)), r"seed_value: dim 0 must be B \(2\), got 1"),
    "E of 4": (
        lambda: seeded(ones(B, H, M, D + 1)),
        r"seed_value: dim 3 must be E \(4\), got 5",
    ),
    "sink": (lambda: normalizers.sink(ones(1)), r"sink: dim 0 must be H \(3\), got 1"),
    "value": (
        lambda: normalizers.sink(ones(H), ones(H, 1)),
        r"^value: dim 1 must be E \(4\), got 1",
    ),
    "heads of value": (
        lambda: normalizers.sink(ones(H), ones(H + 1, D)),
        r"^value: dim 0 must be H \(3\), got 4",
    ),
    "bias": (
        lambda: normalizers.sigmoid(ones(2)),
        r"bias: dim 0 must be H \(3\), got 2",
    ),
}


@pytest.mark.parametrize("case", SIZES)
def test_arrays_of_a_normalizer_have_their_sizes(case):
    make, text = SIZES[case]
    with pytest.raises(ValueError, match=text):
        fovea.attention(q, k, v, normalizer=make())


def test_rows_of_seed_value_count_from_q_offset():
    value = np.arange(9 * H * D, dtype=np.float32).reshape(1, H, 9, D)
    got = fovea.attention(
        q[:1], k[:1], v[:1],
        mask_mod=lambda b, h, q_idx, kv_idx: False,
        normalizer=seeded(value),
        q_offset=4,
    )  # fmt: skip
    close(got, value[:, :, 4:].astype(np.float64))


def test_no_features_want_no_seed_value():
    """E = 0 gives empty results"""
    sink = normalizers.sink(ones(H), ones(H, 0))
    out, lse = fovea.attention(q, k, v[..., :0], normalizer=sink, return_lse=True)
    assert out.shape == (B, H, M, 0)
    assert np.isfinite(lse).all()
    assert fovea.attention(q, k, v[..., :0], normalizer=sink).shape == out.shape
    empty = np.zeros(0)
    with pytest.raises(ValueError, match="'empty': must have at least one"):
        fovea.attention(q, k, v[..., :0], lambda s, b, h, m, n: s + empty[h])


def test_numpy_numbers_are_numbers():
    """a Python or NumPy number is a constant"""
    for numpy, python in (
        (normalizers.sigmoid(np.float32(-1.5)), normalizers.sigmoid(-1.5)),
        (normalizers.mean(np.int32(7)), normalizers.mean(7)),
        (
            normalizers.positional_product(np.arange(12.0), np.int16(6)),
            normalizers.positional_product(np.arange(12.0), 6),
        ),
    ):
        np.testing.assert_array_equal(
            fovea.attention(q, k, v, normalizer=numpy),
            fovea.attention(q, k, v, normalizer=python),
        )
    with pytest.raises(TypeError, match="offset: must be an int, got float32"):
        normalizers.positional_product(np.arange(12.0), np.float32(6))
    with pytest.raises(TypeError, match='finish: must be "o/l", "o" or a function'):
        Normalizer(weight=exponential, finish=3)


@pytest.mark.parametrize("target", ["cpu", "interpreter"])
@pytest.mark.parametrize("t0", [0.5, -np.inf])
@pytest.mark.parametrize("stat", [True, False])
def test_the_seed_counts_without_a_denom(target, t0, stat):
    """denom: None adds nothing; seed(b, h, q_idx) -> (t0, l0)"""
    normalizer = Normalizer(
        weight=(lambda s, t, b, h, q_idx, kv_idx: ops.exp(s - t))
        if stat
        else (lambda s, t, b, h, q_idx, kv_idx: s),
        stat=(lambda s: s) if stat else None,
        seed=lambda b, h, q_idx: (t0, 2.0 + h),
        finish=lambda o, total, t, b, h, q_idx, e_idx: total,
    )
    got = fovea.attention(
        q, k, v,
        mask_mod=lambda b, h, q_idx, kv_idx: q_idx != 1,
        normalizer=normalizer,
        target=target,
    )  # fmt: skip
    s = np.einsum("bhmd,bhnd->bhmn", q.astype(np.float64), k) / np.sqrt(D)
    want = np.broadcast_to(2.0 + np.arange(H)[:, None], (B, H, M)).copy()
    if stat:
        factor = np.exp(t0 - np.maximum(s.max(-1), t0))
        factor[:, :, 1] = 1
        want *= factor
    close(got, np.broadcast_to(want[..., None], got.shape))


def test_normalizers_of_lambdas_pickle():
    """Normalizer pickle and deepcopy (recipe and captures)"""
    gain = np.array([1.0, 2.0, 3.0])
    given = Normalizer(
        weight=lambda s, t, b, h, q_idx, kv_idx: ops.exp(s - t) * gain[h],
        denom=exponential,
        stat=lambda s: s,
        seed=lambda b, h, q_idx: (0.0, gain[h]),
        seed_value=ones(H, D),
        finish=lambda o, total, t, b, h, q_idx, e_idx: o / total + e_idx,
    )
    want = fovea.attention(q, k, v, normalizer=given)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(given))))
    gain[:] = 9
    np.testing.assert_array_equal(fovea.attention(q, k, v, normalizer=again), want)


def test_a_flipped_bit_of_a_kernel_file_is_found_or_harmless(tmp_path):
    """damaged, truncated"""
    path = tmp_path / "kernel"
    kernel = fovea.compile(D=D)
    kernel.save(path)
    raw = path.read_bytes()
    want = kernel(q, k, v)
    for bit in range(8 * (len(raw) - 22), 8 * len(raw)):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            again = fovea.load_kernel(path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: must be a file that Kernel.save")
        else:
            np.testing.assert_array_equal(again(q, k, v), want)


# ---- Mods ------------------------------------------------------------------------


def test_a_number_is_not_indexed():
    """0-d arrays are numbers read at the call"""
    number = np.array(2.0)
    with pytest.raises(TypeError, match="'number': more indices than its 0 dimensions"):
        fovea.attention(q, k, v, lambda s, b, h, m, n: s + number[h])
    got = fovea.attention(q, k, v, lambda s, b, h, m, n: s + number[()] * n)
    close(got, plain(q, k, v, lambda s, b, h, m, n: s + 2 * n))


@pytest.mark.filterwarnings("ignore:.*each call traces its mods")
def test_a_dict_may_grow_while_it_is_read():
    """Every function may be called from several threads"""

    class Growing(dict):
        """Gains an entry whenever one is read, as another thread could add it."""

        def __getitem__(self, key):
            self[len(self)] = 0.5
            return super().__getitem__(key)

    tables = Growing(bias=np.arange(3.0))

    def biased(score, b, h, q_idx, kv_idx):
        return score + tables["bias"][h] * kv_idx

    got = fovea.attention(q, k, v, biased)
    close(got, plain(q, k, v, lambda s, b, h, m, n: s + h * n))


# ---- Block masks -------------------------------------------------------------------


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx + b - h


def test_an_ellipsis_stands_for_whole_slices():
    mask = fovea.create_block_mask(causal, 2, 3, 20, 16, BLOCK_SIZE=4)
    classes = mask.block_classes()
    for index, want in (
        (..., classes),
        ((..., slice(1, 3)), classes[:, :, 1:3]),
        ((1, ...), classes[1:]),
        ((0, 1, 2, ...), classes[:1, 1:2, 2:3]),
    ):
        np.testing.assert_array_equal(mask[index].block_classes(), want)
    with pytest.raises(IndexError, match="at most one ellipsis"):
        mask[..., ...]


def test_sizes_beyond_64_bits_name_their_argument():
    """Too large: MemoryError or ValueError naming the argument and the bytes"""
    create = fovea.create_block_mask
    mask = create(causal, 1, 1, 8, 8)
    for call in (
        lambda: create(causal, 1, 1, 8, 8, BLOCK_SIZE=1 << 63),
        lambda: mask.retile(1 << 63),
    ):
        with pytest.raises(ValueError, match=r"BLOCK_SIZE: must be at most 2\^62"):
            call()
    with pytest.raises(MemoryError, match=r"B \* H \* Q_LEN in tiles: .* got 35,184"):
        create(lambda b, h, m, n: m + b >= n, 1 << 40, 1, 8, 8)
    alike = create(lambda b, h, m, n: m >= n, 1 << 20, 1 << 20, 8, 8)
    with pytest.raises(MemoryError, match="block_classes: must fit in memory"):
        alike.block_classes()
