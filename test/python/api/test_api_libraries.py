"""torch and jax arrays, where those libraries are installed."""

import sys
import warnings

import numpy as np
import pytest
from api_common import causal, inputs, plain

import fovea


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def jax():
    return pytest.importorskip("jax")


DTYPES = ["float16", "bfloat16", "float32", "float64"]
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-6, "float64": 1e-12}


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_tensors(torch, dtype):
    """out is of q's library, dtype, device and memory order"""
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=9, N=11, E=6, dtype=np.float64)
    tensors = [torch.from_numpy(x).to(getattr(torch, dtype)) for x in (q, k, v)]
    out, lse = fovea.attention(*tensors, mask_mod=causal, return_lse=True)
    assert type(out) is torch.Tensor
    assert out.dtype == getattr(torch, dtype)
    assert out.is_contiguous()
    assert lse.dtype == (torch.float64 if dtype == "float64" else torch.float32)
    arrays = [x.double().numpy() for x in tensors]
    want, want_lse = plain(*arrays, mask=lambda b, h, m, n: m >= n, lse=True)
    np.testing.assert_allclose(out.double().numpy(), want, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(lse.double().numpy(), want_lse, atol=3e-6)


def test_torch_memory_order(torch):
    """memory order (a transposed BSHD view gives one back)"""
    q, k, v = (torch.from_numpy(x) for x in inputs(B=2, Hq=3, M=5, E=6))
    bshd = q.transpose(1, 2).contiguous().transpose(1, 2)
    out = fovea.attention(bshd, k, v)
    assert out.transpose(1, 2).is_contiguous()
    np.testing.assert_allclose(out.numpy(), fovea.attention(q, k, v).numpy(), atol=1e-6)


def test_torch_strides(torch):
    """any strides (transposed, broadcast, ...)"""
    q, k, v = (torch.from_numpy(x) for x in inputs(B=3, M=4, N=5))
    wide = k[:1].expand(3, -1, -1, -1)
    want = plain(q.numpy(), wide.numpy(), v.numpy())
    np.testing.assert_allclose(fovea.attention(q, wide, v).numpy(), want, atol=2e-6)


def test_torch_gradients_are_refused(torch):
    """a torch tensor that requires grad while gradients are on"""
    q, k, v = (torch.from_numpy(x) for x in inputs())
    q.requires_grad_()
    with pytest.raises(TypeError) as caught:
        fovea.attention(q, k, v)
    assert str(caught.value) == (
        "q: fovea is forward only, use detach() (or torch.no_grad()), got a tensor that"
        " requires grad"
    )
    want = fovea.attention(q.detach(), k, v)
    with torch.no_grad():
        assert torch.equal(fovea.attention(q, k, v), want)


def test_torch_captures(torch):
    """Arrays are live: torch tensors too"""
    q, k, v = (torch.from_numpy(x) for x in inputs())
    slope = torch.tensor([0.5, -0.25], dtype=torch.bfloat16)

    def biased(score, b, h, q_idx, kv_idx):
        return score + slope[h] * kv_idx

    for scale in (1.0, -2.0):
        slope.mul_(scale)
        a = slope.double().numpy()
        want = plain(
            q.numpy(), k.numpy(), v.numpy(), lambda s, b, h, m, n, a=a: s + a[h] * n
        )
        got = fovea.attention(q, k, v, biased)
        np.testing.assert_allclose(got.numpy(), want, atol=2e-6)


def test_torch_beside_numpy_is_refused(torch):
    """q, k, v of different libraries"""
    q, k, v = inputs()
    with pytest.raises(TypeError) as caught:
        fovea.attention(torch.from_numpy(q), k, v)
    assert str(caught.value) == "k: library must be that of q (torch), got numpy"


def test_torch_kinds_are_refused(torch):
    """captures (... sparse, meta ...): the same for q, k, v"""
    q, k, v = (torch.from_numpy(x) for x in inputs())
    with pytest.raises(TypeError, match="^q: must have data, got a tensor on device"):
        fovea.attention(q.to("meta"), k, v)
    with pytest.raises(TypeError, match="^k: must be a dense tensor, got layout"):
        fovea.attention(q, k.to_sparse(), v)
    with pytest.raises(TypeError, match="^v: dtype must be float16, .*, got complex64"):
        fovea.attention(q, k, v.to(torch.complex64))
    with warnings.catch_warnings():  # of torch: that its nested tensors may change
        warnings.simplefilter("ignore", UserWarning)
        nested = torch.nested.nested_tensor([q[0], q[0]])
    with pytest.raises(TypeError, match="^q: must be a dense tensor, got a nested one"):
        fovea.attention(nested, k, v)


def test_torch_merge_and_lists(torch):
    """merge(outs, lses) -> (out, lse); lists of block masks"""
    q, k, v = (torch.from_numpy(x) for x in inputs())
    parts = [
        fovea.attention(q, k[:, :, a:b], v[:, :, a:b], return_lse=True)
        for a, b in ((0, 5), (5, 12))
    ]
    out, lse = fovea.merge(*zip(*parts, strict=True))
    want, want_lse = fovea.attention(q, k, v, return_lse=True)
    np.testing.assert_allclose(out.numpy(), want.numpy(), atol=1e-6)
    np.testing.assert_allclose(lse.numpy(), want_lse.numpy(), atol=1e-6)
    mask = fovea.create_block_mask(causal, None, None, 12, 12, 4)
    again = fovea.BlockMask.from_kv_blocks(
        torch.tensor(mask.kv_num_blocks), torch.tensor(mask.kv_indices),
        torch.tensor(mask.full_kv_num_blocks),
        torch.tensor(mask.full_kv_indices), 4, causal,
    )  # fmt: skip
    assert (again.block_classes() == mask.block_classes()).all()


# float64 is off in jax unless its whole process asks for it.
@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_jax_arrays(jax, dtype):
    """every object with __dlpack__; out is of q's library"""
    q, k, v = inputs(B=2, Hq=4, Hk=2, M=9, N=11, E=6)
    arrays = [jax.numpy.asarray(x).astype(dtype) for x in (q, k, v)]
    out, lse = fovea.attention(*arrays, mask_mod=causal, return_lse=True)
    assert isinstance(out, jax.Array) and isinstance(lse, jax.Array)
    assert out.dtype == dtype
    assert lse.dtype == "float32"
    wide = [np.asarray(x).astype(np.float64) for x in arrays]
    want, want_lse = plain(*wide, mask=lambda b, h, m, n: m >= n, lse=True)
    np.testing.assert_allclose(np.asarray(out).astype(float), want,
                               atol=TOLERANCE[dtype])  # fmt: skip
    np.testing.assert_allclose(np.asarray(lse), want_lse, atol=3e-6)


def test_traced_jax_arrays_are_refused(jax):
    """a traced jax array"""
    arrays = [jax.numpy.asarray(x) for x in inputs()]
    with pytest.raises(TypeError, match="^q: a traced jax array has no data, call"):
        jax.jit(lambda q, k, v: fovea.attention(q, k, v))(*arrays)
    with pytest.raises(TypeError, match="^q: a traced jax array has no data, call"):
        jax.grad(lambda q: fovea.attention(q, *arrays[1:]).sum())(arrays[0])


def test_jax_captures(jax):
    """Captures ... every array"""
    q, k, v = (jax.numpy.asarray(x) for x in inputs())
    table = jax.numpy.linspace(-1, 1, 12)

    def biased(score, b, h, q_idx, kv_idx):
        return score + table[kv_idx]

    got = fovea.attention(q, k, v, biased)
    t = np.asarray(table)
    want = plain(q, k, v, lambda s, b, h, m, n: s + t[n])
    np.testing.assert_allclose(np.asarray(got), want, atol=2e-6)


def test_no_library_is_imported_by_a_call():
    """torch, JAX, CuPy, ml_dtypes are never imported, only recognised"""
    before = {"torch", "jax", "cupy"} & set(sys.modules)
    fovea.attention(*inputs(), mask_mod=causal)
    assert {"torch", "jax", "cupy"} & set(sys.modules) == before
