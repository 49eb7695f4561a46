"""What rarely goes wrong is answered as well: the argument, the rule, the given."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from api_common import Exporter, causal, inputs

import fovea


class OnDevice(Exporter):
    """An array that says that it lies on a GPU."""

    def __dlpack_device__(self):
        return 2, 0


class OnHost(Exporter):
    """One of the same library that does not."""


class Renamed(Exporter):
    """An array of another library."""

    __module__ = "elsewhere"


class Patched(Exporter):
    """An export of which one field of 32 or 64 bits is another."""

    def __init__(self, array, offset, value, kind=ctypes.c_uint64):
        super().__init__(array)
        self.offset, self.value, self.kind = offset, value, kind

    def __dlpack__(self, **options):
        capsule = self.array.__dlpack__(**options)
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        address = get(capsule, b"dltensor_versioned")
        self.kind.from_address(address + self.offset).value = self.value
        return capsule


#: Of DLManagedTensorVersioned: the major version; data of its DLTensor.
VERSION, DATA = 0, 32
out, lse = np.zeros((1, 2, 3, 4), np.float32), np.zeros((1, 2, 3), np.float32)
counts, indices = np.zeros((1, 1, 1), np.int32), np.zeros((1, 1, 1, 1), np.int32)
q, k, v = inputs()


def mask():
    return fovea.create_block_mask(causal, 1, 1, 256, 256)


def paged(q):
    pool = np.zeros((2, 2, 4, 8), np.float32)
    pages = fovea.Pages(pool, np.zeros((1, 2), np.int32))
    return fovea.attention(q, pages, pages)


class Unsigned:
    """No signature can be made of it."""

    __signature__ = property(lambda self: (_ for _ in ()).throw(ValueError("none")))

    def __call__(self, *args):
        return True


CASES = {
    "merge on a device": (
        lambda: fovea.merge([OnDevice(out)], [lse]), ValueError,
        "outs[0]: must be on cpu, got cuda:0",
    ),
    "merge of two libraries": (
        lambda: fovea.merge([out, Renamed(out)], [lse, lse]), TypeError,
        "outs[1]: library must be that of outs[0] (numpy), got elsewhere",
    ),
    "merge with lses on a device": (
        lambda: fovea.merge([OnHost(out)], [OnDevice(lse)]), ValueError,
        "lses[0]: device must be that of outs[0] (cpu), got cuda:0",
    ),
    "offsets on a device": (
        lambda: fovea.attention(q, k, v, q_offset=OnDevice(np.zeros(1, np.int32))),
        ValueError, "q_offset: must be on cpu, got cuda:0",
    ),
    "block lists on a device": (
        lambda: fovea.BlockMask.from_kv_blocks(OnDevice(counts), indices), ValueError,
        "kv_num_blocks: must be on cpu, got cuda:0",
    ),
    "a block mask to None": (
        lambda: mask().to(None), TypeError,
        "device: must be a str or a device, got None",
    ),
    "lengths of a block mask": (
        lambda: fovea.BlockMask.from_kv_blocks(counts, indices, seq_lengths=(1, 2, 3)),
        TypeError, "seq_lengths: must be (Q_LEN, KV_LEN), got (1, 2, 3)",
    ),
    "an index of floats": (
        lambda: mask()[0, 0, [0.5]], TypeError,
        "BlockMask: row of tiles index must be ints, got list of float64",
    ),
    "a version of DLPack": (
        lambda: fovea.attention(*[Patched(x, VERSION, 7, ctypes.c_uint32) for x in (q, k, v)]),
        TypeError, "q: DLPack version must be 0 or 1, got 7",
    ),
    "a crooked address": (
        lambda: fovea.attention(*[Patched(x, DATA, 0x1001) for x in (q, k, v)]),
        TypeError, "q: data must be aligned to 4 bytes, got address 0x1001",
    ),
    "q of pages": (
        lambda: paged(q[0]), ValueError, "q: rank must be 4 (B, Hq, M, D), got 3",
    ),
    "pages on a device": (
        lambda: paged(OnDevice(q)), ValueError,
        "q: pages are read on the CPU alone, got cuda:0",
    ),
    "a mod without a signature": (
        lambda: fovea.attention(q, k, v, None, Unsigned()), TypeError,
        "mask_mod: 'Unsigned' has no signature",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_names_argument_rule_and_given(case):
    """argument, rule, given"""
    call, kind, message = CASES[case]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
