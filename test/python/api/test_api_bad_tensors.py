"""Negative checks of q, k and v: type and whole text of every error."""

import ml_dtypes
import numpy as np
import pytest
from api_common import Exporter, inputs

import fovea

F4 = np.float32


def zeros(*shape, dtype=F4):
    return np.zeros(shape, dtype)


def misaligned():
    raw = np.zeros(4 * 2 * 3 * 8 + 1, np.uint8)
    return raw[1:].view(F4).reshape(1, 2, 3, 8)


def crooked():
    packed = np.zeros((1, 2, 3, 8), np.dtype([("x", "<f4"), ("y", "u1")]))
    return packed["x"]


class Raises:
    def __dlpack__(self, **_):
        raise RuntimeError("no export today")

    def __dlpack_device__(self):
        return (1, 0)


class NoCapsule:
    def __dlpack__(self, **_):
        return 7

    def __dlpack_device__(self):
        return (1, 0)


class OddDevice:
    def __dlpack__(self, **_):
        raise AssertionError("must not be asked")

    def __dlpack_device__(self):
        return (15, 0)


class NoDevice:
    def __dlpack__(self, **_):
        raise AssertionError("must not be asked")


NEEDS = "must be a numpy.ndarray or have __dlpack__"
FLOATS = "dtype must be float16, bfloat16, float32 or float64"

KINDS = {
    "nested list": ([[[[1.0]]]], f"q: {NEEDS}, got list"),
    "tuple": ((1.0,), f"q: {NEEDS}, got tuple"),
    "int": (3, f"q: {NEEDS}, got int"),
    "float": (3.0, f"q: {NEEDS}, got float"),
    "bool": (True, f"q: {NEEDS}, got bool"),
    "complex": (3j, f"q: {NEEDS}, got complex"),
    "str": ("q", f"q: {NEEDS}, got str"),
    "bytes": (b"q", f"q: {NEEDS}, got bytes"),
    "None": (None, f"q: {NEEDS}, got None"),
    "dict": ({}, f"q: {NEEDS}, got dict"),
    "set": (set(), f"q: {NEEDS}, got set"),
    "range": (range(4), f"q: {NEEDS}, got range"),
    "object": (object(), f"q: {NEEDS}, got object"),
    "class": (np.ndarray, f"q: {NEEDS}, got type"),
    "function": (len, f"q: {NEEDS}, got builtin_function_or_method"),
    "numpy scalar": (F4(1), f"q: {NEEDS}, got numpy.float32"),
    "memoryview": (memoryview(b"1234"), f"q: {NEEDS}, got memoryview"),
    "masked array": (
        np.ma.masked_array(zeros(1, 2, 3, 8)),
        "q: must be a plain array, got a masked array (fill it first)",
    ),
    "structured array": (
        zeros(1, 2, 3, 8, dtype=[("x", "f4")]),
        f"q: {FLOATS}, got a structured array",
    ),
    "int32": (zeros(1, 2, 3, 8, dtype=np.int32), f"q: {FLOATS}, got int32"),
    "int64": (zeros(1, 2, 3, 8, dtype=np.int64), f"q: {FLOATS}, got int64"),
    "uint8": (zeros(1, 2, 3, 8, dtype=np.uint8), f"q: {FLOATS}, got uint8"),
    "bool array": (zeros(1, 2, 3, 8, dtype=np.bool_), f"q: {FLOATS}, got bool"),
    "complex64": (zeros(1, 2, 3, 8, dtype=np.complex64), f"q: {FLOATS}, got complex64"),
    "longdouble": (
        zeros(1, 2, 3, 8, dtype=np.longdouble),
        f"q: {FLOATS}, got {np.dtype(np.longdouble)}",
    ),
    "object array": (zeros(1, 2, 3, 8, dtype=object), f"q: {FLOATS}, got object"),
    "str array": (zeros(1, 2, 3, 8, dtype="U3"), f"q: {FLOATS}, got <U3"),
    "datetime": (
        zeros(1, 2, 3, 8, dtype="datetime64[s]"),
        f"q: {FLOATS}, got datetime64[s]",
    ),
    "float8": (
        zeros(1, 2, 3, 8, dtype=ml_dtypes.float8_e4m3fn),
        f"q: {FLOATS}, got float8_e4m3fn",
    ),
    "foreign byte order": (
        zeros(1, 2, 3, 8, dtype=">f4"),
        "q: byte order must be that of the machine, got >f4"
        " (use .astype(q.dtype.newbyteorder('=')))",
    ),
    "__dlpack__ that raises": (
        Raises(),
        "q: __dlpack__ must give a capsule, got RuntimeError from test_api_bad_tensors"
        ".Raises: no export today",
    ),
    "__dlpack__ without a capsule": (
        NoCapsule(),
        "q: __dlpack__ must give an unused capsule, got int",
    ),
    "unknown DLPack device": (
        OddDevice(),
        "q: device must be cpu, cuda or hip, got DLPack device 15",
    ),
    "DLPack int": (
        Exporter(zeros(1, 2, 3, 8, dtype=np.int16)),
        f"q: {FLOATS}, got int16",
    ),
    "DLPack complex": (
        Exporter(zeros(1, 2, 3, 8, dtype=np.complex64)),
        f"q: {FLOATS}, got complex64",
    ),
}


@pytest.mark.parametrize("case", KINDS)
@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_a_wrong_kind_of_tensor_is_a_type_error(case, name):
    """TypeError: lists, numbers, strings, None, masked or structured arrays, other
    dtypes, foreign byte order."""
    value, text = KINDS[case]
    arguments = dict(zip("qkv", inputs(), strict=True))
    arguments[name] = value
    with pytest.raises(TypeError) as caught:
        fovea.attention(**arguments)
    text = text.replace("q:", f"{name}:", 1).replace("astype(q.", f"astype({name}.")
    assert str(caught.value) == text


def test_misaligned_data_is_a_type_error():
    """TypeError: ... misaligned data"""
    _, k, v = inputs()
    q = misaligned()
    address = q.__array_interface__["data"][0]
    with pytest.raises(TypeError) as caught:
        fovea.attention(q, k, v)
    text = f"q: data must be aligned to 4 bytes, got address {address:#x}"
    assert str(caught.value) == text


def test_misaligned_data_is_found_behind_a_cached_check():
    """checked through a cached (shape, strides, dtype) and the address of each call"""
    q, k, v = inputs(M=3)
    with pytest.raises(TypeError, match=r"^k: data must be aligned to 4 bytes, got"):
        fovea.attention(q, misaligned(), v[:, :, :3])


def test_strides_that_are_no_multiple_of_the_item_are_misaligned():
    """TypeError: ... misaligned data"""
    _, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(crooked(), k, v)
    assert str(caught.value) == (
        "q: data must be aligned (strides that are multiples of 4 bytes), got stride 5"
    ) or str(caught.value).startswith("q: data must be aligned (strides")


def test_a_device_that_cannot_be_asked_is_a_type_error():
    """checks run in Python before nanobind or DLPack can answer"""
    _, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(NoDevice(), k, v)
    assert str(caught.value).startswith(
        "q: __dlpack_device__ must give (type, id), got AttributeError from"
    )


def test_different_libraries_are_a_type_error():
    """TypeError: ... q, k, v of different libraries"""
    q, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(q, k, Exporter(v))
    assert str(caught.value) == ("v: library must be that of q (numpy), got api_common")


class Elsewhere(Exporter):
    """An array that says it is on a GPU; nobody may look at its memory."""

    def __dlpack_device__(self):
        return (2, 1)


def test_a_device_without_a_target_lists_what_is():
    """target: None = where q lives; ... not on this machine: ValueError that lists what
    is."""
    q, k, v = (Elsewhere(x) for x in inputs())
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v)
    text = str(caught.value)
    assert text.startswith("target: must be one of cpu, interpreter, x86-64-v")
    assert text.endswith(", got cuda (where q lives)")
    with pytest.raises(ValueError) as caught:
        fovea.attention(q, k, v, target="cpu")
    assert str(caught.value) == "target: must run where q lives (cuda:1), got 'cpu'"
    with pytest.raises(ValueError, match="^target: must be one of cpu"):
        fovea.compile(D=8)(q, k, v)


def test_devices_that_differ_are_a_value_error():
    """k: device must be that of q"""
    q, k, v = inputs()
    with pytest.raises(TypeError, match="^v: library must be that of q"):
        fovea.attention(Exporter(q), Exporter(k), v)

    class Here(Elsewhere):
        def __dlpack_device__(self):
            return (1, 0)

    with pytest.raises(ValueError) as caught:
        fovea.attention(Here(q), Here(k), Elsewhere(v))
    assert str(caught.value).startswith("v: device must be that of q (cpu), got cuda:1")


def test_a_capture_elsewhere_is_a_value_error():
    """Captures live where q does; ... a ValueError naming it"""
    q, k, v = inputs()
    table = Elsewhere(np.zeros(12, F4))

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[kv_idx]

    with pytest.raises((TypeError, ValueError), match="table"):
        fovea.attention(q, k, v, biased)


def fake_torch(monkeypatch, **attributes):
    """A module that looks like torch to code that only recognises it."""
    import sys
    import types

    module = types.ModuleType("torch")

    class Device:
        def __init__(self, type_):
            self.type = type_

        def __str__(self):
            return self.type

    class Tensor:
        layout = "strided"
        device = Device("cpu")
        dtype = "torch.float32"
        requires_grad = False
        shape = (1, 2, 12, 8)

    Tensor.__module__ = "torch"
    module.Tensor = Tensor
    module.Device = Device
    module.strided = "strided"
    module.is_grad_enabled = lambda: True
    monkeypatch.setitem(sys.modules, "torch", module)
    tensor = Tensor()
    for name, value in attributes.items():
        if name == "device":
            value = Device(value)
        setattr(tensor, name, value)
    return tensor


TORCH = {
    "requires grad": (
        {"requires_grad": True},
        "q: fovea is forward only, use detach() (or torch.no_grad()), got a tensor that"
        " requires grad",
    ),
    "sparse": (
        {"layout": "torch.sparse_coo"},
        "q: must be a dense tensor, got layout torch.sparse_coo (use .to_dense())",
    ),
    "meta": (
        {"device": "meta"},
        "q: must have data, got a tensor on device meta",
    ),
    "int": ({"dtype": "torch.int32"}, f"q: {FLOATS}, got int32"),
    "complex": ({"dtype": "torch.complex64"}, f"q: {FLOATS}, got complex64"),
    "float8": ({"dtype": "torch.float8_e5m2"}, f"q: {FLOATS}, got float8_e5m2"),
    "quantised": ({"dtype": "torch.qint8"}, f"q: {FLOATS}, got qint8"),
}


@pytest.mark.parametrize("case", TORCH)
def test_torch_tensors_are_refused_by_kind(case, monkeypatch):
    """a torch tensor that requires grad while gradients are on (say "forward only, use
    detach()", never a silent detach)"""
    attributes, text = TORCH[case]
    tensor = fake_torch(monkeypatch, **attributes)
    _, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(tensor, k, v)
    assert str(caught.value) == text


def test_a_traced_jax_array_is_a_type_error():
    """a traced jax array"""

    class Tracer:
        pass

    Tracer.__module__ = "jax._src.core"

    class DynamicJaxprTracer(Tracer):
        def __dlpack__(self):
            raise AssertionError("must not be asked")

    DynamicJaxprTracer.__module__ = "jax._src.interpreters.partial_eval"
    _, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(DynamicJaxprTracer(), k, v)
    assert str(caught.value).startswith(
        "q: a traced jax array has no data, call fovea outside jax.jit and jax.grad, got"
        " jax."
    )


def shape_case(q=None, k=None, v=None):
    standard = ((1, 2, 12, 8), (1, 2, 12, 8), (1, 2, 12, 8))
    given = (q, k, v)
    return [zeros(*(g or s)) for g, s in zip(given, standard, strict=True)]


SHAPES = {
    "q of rank 3": (dict(q=(2, 12, 8)), "q: rank must be 4 (B, Hq, M, D), got 3"),
    "q of rank 0": (None, "q: rank must be 4 (B, Hq, M, D), got 0"),
    "k of rank 5": (
        dict(k=(1, 1, 2, 12, 8)),
        "k: rank must be 4 (B, Hk, N, D), got 5",
    ),
    "v of rank 2": (dict(v=(12, 8)), "v: rank must be 4 (B, Hk, N, E), got 2"),
    "head dim of k": (
        dict(k=(1, 2, 12, 4)),
        "k: head dim must be that of q (8), got 4",
    ),
    "head dim 0": (
        dict(q=(1, 2, 12, 0), k=(1, 2, 12, 0)),
        "k: head dim must be in 1...512, got 0",
    ),
    "head dim 513": (
        dict(q=(1, 2, 12, 513), k=(1, 2, 12, 513)),
        "k: head dim must be in 1...512, got 513",
    ),
    "value dim 513": (
        dict(v=(1, 2, 12, 513)),
        "v: head dim must be in 0...512, got 513",
    ),
    "batch of k": (
        dict(q=(4, 2, 12, 8), k=(2, 2, 12, 8), v=(4, 2, 12, 8)),
        "k: batch must be 1 or that of q (4), got 2",
    ),
    "batch of v": (
        dict(q=(4, 2, 12, 8), v=(3, 2, 12, 8)),
        "v: batch must be 1 or that of q (4), got 3",
    ),
    "more batches in k": (dict(k=(2, 2, 12, 8)), "k: batch must be 1, got 2"),
    "no batch in k": (dict(k=(0, 2, 12, 8)), "k: batch must be 1, got 0"),
    "Hk > Hq": (
        dict(k=(1, 4, 12, 8), v=(1, 4, 12, 8)),
        "q: heads must be a positive multiple of those of k (4), got 2",
    ),
    "Hq no multiple": (
        dict(q=(1, 5, 12, 8)),
        "q: heads must be a positive multiple of those of k (2), got 5",
    ),
    "Hq = 0": (
        dict(q=(1, 0, 12, 8)),
        "q: heads must be a positive multiple of those of k (2), got 0",
    ),
    "Hk = 0": (
        dict(k=(1, 0, 12, 8), v=(1, 0, 12, 8)),
        "k: heads must be at least 1, got 0",
    ),
    "heads of v": (dict(v=(1, 1, 12, 8)), "v: heads must be those of k (2), got 1"),
    "length of v": (
        dict(v=(1, 2, 11, 8)),
        "v: length must be that of k (12), got 11",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_a_wrong_shape_is_a_value_error(case):
    """text `k: head dim must be that of q (64), got 32`: argument, rule, given"""
    given, text = SHAPES[case]
    if given is None:
        arguments = [np.array(1.0, F4), *shape_case()[1:]]
    else:
        arguments = shape_case(**given)
    with pytest.raises(ValueError) as caught:
        fovea.attention(*arguments)
    assert str(caught.value) == text


DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


@pytest.mark.parametrize("wrong", ["k", "v"])
@pytest.mark.parametrize("have", DTYPES)
@pytest.mark.parametrize("given", DTYPES)
def test_dtypes_that_differ_are_a_value_error(have, given, wrong):
    """ValueError for a wrong value (also dtypes of q, k, v that differ)"""
    if have is given:
        return
    arguments = dict(zip("qkv", inputs(dtype=have), strict=True))
    arguments[wrong] = arguments[wrong].astype(given)
    with pytest.raises(ValueError) as caught:
        fovea.attention(**arguments)
    assert str(caught.value) == (
        f"{wrong}: dtype must be that of q ({np.dtype(have)}), got {np.dtype(given)}"
    )


def test_a_result_beyond_memory_is_a_memory_error():
    """Too large: MemoryError or ValueError naming the argument and the bytes."""
    one = np.zeros((1, 1, 1, 8), F4)
    q = np.broadcast_to(one, (1, 1, 1 << 45, 8))
    with pytest.raises(MemoryError) as caught:
        fovea.attention(q, one, one)
    assert str(caught.value).startswith("out: must fit in memory (")
    assert str(caught.value).endswith(f"got {(1 << 45) * 32:,} bytes")


def test_a_product_beyond_64_bits_is_a_memory_error():
    """sizes (products that overflow or wrap to zero, out of memory as MemoryError)"""
    one = np.zeros((1, 1, 1, 1), np.float16)
    q = np.broadcast_to(one, (1 << 20, 1 << 20, 1 << 20, 1))
    with pytest.raises(MemoryError, match=r"^out: must fit in memory \("):
        fovea.attention(q, one, one)


def test_after_any_error_the_next_call_works():
    """After any error the next call works."""
    q, k, v = inputs()
    with pytest.raises(TypeError):
        fovea.attention(q, k, None)
    assert fovea.attention(q, k, v).shape == q.shape
