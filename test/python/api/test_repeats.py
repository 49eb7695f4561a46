"""Calls of torch's tensors like earlier ones: read and launched at once."""

from __future__ import annotations

import numpy as np
import pytest
from api_common import in_threads

import fovea
from fovea import _call

torch = pytest.importorskip("torch")
if not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"):
    pytest.skip("torch without DLPack's C exchange API", allow_module_level=True)


def make(*sizes: int, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(sizes))
    return torch.randn(*sizes, generator=generator).to(dtype)


def qkv(M: int = 40, D: int = 16, dtype=torch.float32) -> list[torch.Tensor]:
    return [make(1, heads, M, D, dtype=dtype) for heads in (4, 2, 2)]


@pytest.fixture
def launches(monkeypatch) -> list:
    """The calls that went the long way, but for those of the interpreter."""
    fovea.clear_cache()
    found = []
    whole = _call.launch

    def counted(compiled, *arguments):
        if compiled.target != "interpreter":
            found.append(arguments)
        return whole(compiled, *arguments)

    monkeypatch.setattr(_call, "launch", counted)
    return found


def exact(q, k, v, *mods, **options) -> torch.Tensor:
    arrays = (x.double().numpy() for x in (q, k, v))
    options = {"target": "interpreter"} | options
    return torch.from_numpy(fovea.attention(*arrays, *mods, **options)).to(q.dtype)


def causal(b, h, m, n):
    return n <= m


def test_the_second_call_is_short(launches):
    q, k, v = qkv()
    outs = [fovea.attention(q, k, v, None, causal) for _ in range(4)]
    assert len(launches) == 1
    assert all(torch.equal(out, outs[0]) for out in outs)
    assert len({out.data_ptr() for out in outs}) == 4
    torch.testing.assert_close(outs[0], exact(q, k, v, None, causal))


def test_other_memory_and_other_shapes(launches):
    for _ in range(3):
        for length in (40, 41, 42):
            q, k, v = (x * 0.5 for x in qkv(length))
            out = fovea.attention(q, k, v, None, causal)
            torch.testing.assert_close(out, exact(q, k, v, None, causal))
    assert len(launches) == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtypes(launches, dtype):
    q, k, v = qkv(dtype=dtype)
    first, second = (fovea.attention(q, k, v) for _ in range(2))
    assert len(launches) == 1
    assert second.dtype == dtype
    assert torch.equal(first, second)


def test_memory_order_is_that_of_q(launches):
    q, k, v = (make(1, 40, 4, 16).transpose(1, 2) for _ in range(3))
    outs = [fovea.attention(q, k, v) for _ in range(2)]
    assert outs[1].stride() == outs[0].stride() == q.stride()
    wide = make(1, 4, 40, 8)
    outs = [fovea.attention(q, k, wide) for _ in range(2)]
    assert outs[1].shape == (1, 4, 40, 8)
    assert outs[1].stride() == outs[0].stride()
    sliced = make(1, 4, 40, 32)[..., ::2]
    outs = [fovea.attention(sliced, k, v) for _ in range(2)]
    assert outs[1].stride() == outs[0].stride()
    assert torch.equal(*outs)
    assert len(launches) == 3


def test_mods_and_captures_are_compared(launches):
    q, k, v = qkv()
    slope = make(4)
    factor = 2.0

    def alibi(s, b, h, m, n):
        return s + factor * slope[h] * (n - m)

    first = fovea.attention(q, k, v, alibi)
    slope.mul_(0.5)
    second = fovea.attention(q, k, v, alibi)
    assert len(launches) == 1
    own = 2 * slope.numpy()
    expected = exact(q, k, v, lambda s, b, h, m, n: s + own[h] * (n - m))
    torch.testing.assert_close(second, expected)
    assert not torch.allclose(first, second)
    factor = 1.0
    third = fovea.attention(q, k, v, alibi)
    assert len(launches) == 2
    assert not torch.allclose(third, second)
    slope = torch.cat([slope, slope])  # another shape
    assert torch.equal(fovea.attention(q, k, v, alibi), third)
    assert len(launches) == 3


def test_captures_may_be_arrays_of_numpy(launches):
    q, k, v = qkv()
    slope = np.ones(4, np.float32)

    def scaled(s, b, h, m, n):
        return s * slope[h]

    first = fovea.attention(q, k, v, scaled)
    assert torch.equal(fovea.attention(q, k, v, scaled), first)
    slope[:] = 2
    second = fovea.attention(q, k, v, scaled)
    torch.testing.assert_close(second, exact(q, k, v, scaled))
    assert not torch.allclose(first, second)
    assert len(launches) == 1


def test_tensors_beside_arrays_go_the_long_way(launches):
    q, k, v = (x.numpy() for x in qkv())
    slope = torch.ones(4)
    for _ in range(2):
        fovea.attention(q, k, v, lambda s, b, h, m, n: s * slope[h])
    with pytest.raises(TypeError, match="k: library"):
        fovea.attention(q, torch.from_numpy(k), v)
    assert len(launches) == 2


def test_scales(launches):
    q, k, v = qkv()
    plain = fovea.attention(q, k, v)
    for scale in (0.1, 0.5, 1, -0.25, 0):
        out = fovea.attention(q, k, v, scale=scale)
        torch.testing.assert_close(out, exact(q, k, v, scale=scale))
    assert torch.equal(fovea.attention(q, k, v), plain)
    assert len(launches) == 1
    wide = qkv(dtype=torch.float64)
    for scale in (None, 1e300):
        out = fovea.attention(*wide, scale=scale)
    assert torch.equal(out, fovea.attention(*wide, scale=1e300, target="cpu"))
    for bad, kind in ((float("nan"), ValueError), ("1", TypeError), (True, TypeError)):
        with pytest.raises(kind, match="scale"):
            fovea.attention(q, k, v, scale=bad)


def test_gradients_are_still_refused(launches):
    q, k, v = qkv()
    fovea.attention(q, k, v)
    wanted = v.clone().requires_grad_()
    with pytest.raises(TypeError, match=r"v: fovea is forward only"):
        fovea.attention(q, k, wanted)
    with torch.no_grad():
        out = fovea.attention(q, k, wanted)
    assert not out.requires_grad
    assert len(launches) == 2


def test_what_a_call_does_not_take_is_still_refused(launches):
    q, k, v = qkv()
    fovea.attention(q, k, v)
    with pytest.raises(ValueError, match="v: length"):
        fovea.attention(q, k, v[:, :, :30])
    with pytest.raises(TypeError, match="k: dtype"):
        fovea.attention(q, k.int(), v)
    with pytest.raises(TypeError, match="k: must be a dense tensor"):
        fovea.attention(q, k.to_sparse(), v)
    with pytest.raises((TypeError, ValueError), match="k"):
        fovea.attention(q, k.numpy(), v)
    with pytest.raises(ValueError, match="k: head dim"):
        fovea.attention(q, k[..., :8], v)
    assert torch.equal(fovea.attention(q, k, v), fovea.attention(q, k, v))
    assert len(launches) == 1


def test_options_are_not_forgotten(launches):
    q, k, v = qkv()
    plain = fovea.attention(q, k, v, None, causal)
    lengths = fovea.attention(q, k, v, None, causal, kv_lengths=10)
    _, lse = fovea.attention(q, k, v, None, causal, return_lse=True)
    shifted = fovea.attention(q, k, v, None, causal, q_offset=3)
    assert lse.shape == (1, 4, 40)
    assert not torch.equal(plain, lengths)
    assert not torch.equal(plain, shifted)
    assert torch.equal(fovea.attention(q, k, v, None, causal), plain)
    assert len(launches) == 2  # lse is of another kernel
    again, lse_again = fovea.attention(q, k, v, None, causal, return_lse=True)
    assert torch.equal(again, plain)
    assert torch.equal(lse_again, lse)
    assert torch.equal(
        fovea.attention(q, k, v, None, causal, kv_lengths=torch.tensor([10])),
        lengths,
    )
    assert len(launches) == 2


def test_negated_views(launches):
    part = make(1, 4, 40, 16) + 1j * make(1, 4, 40, 16)
    q = part.conj().imag
    assert q.is_neg()
    k = v = make(1, 4, 40, 16)
    for _ in range(2):
        out = fovea.attention(q, k, v)
        torch.testing.assert_close(out, exact(q.resolve_neg(), k, v))
    assert len(launches) == 2


def test_subclasses_go_the_long_way(launches):
    class Named(torch.Tensor):
        pass

    q, k, v = (x.as_subclass(Named) for x in qkv())
    for _ in range(2):
        fovea.attention(q, k, v)
    assert len(launches) == 2


def test_kernels(launches):
    kernel = fovea.compile(None, causal, D=16, scale=0.3)
    q, k, v = qkv()
    outs = [kernel(q, k, v) for _ in range(3)]
    assert len(launches) == 1
    assert all(torch.equal(out, outs[0]) for out in outs)
    torch.testing.assert_close(outs[0], exact(q, k, v, None, causal, scale=0.3))
    with pytest.raises(ValueError, match="dtype must be that of the kernel"):
        kernel(*qkv(dtype=torch.float16))
    again = fovea.attention(q, k, v, None, causal)
    torch.testing.assert_close(again, exact(q, k, v, None, causal))


def test_a_target_is_the_callers(launches):
    q, k, v = qkv()
    for _ in range(2):
        fovea.attention(q, k, v, target="cpu")
    assert len(launches) == 2


limits = torch.finfo(torch.float32)


def by_type(s, b, h, m, n):
    return fovea.ops.where(n <= m, s, torch.finfo(torch.float32).min)


def by_limits(s, b, h, m, n):
    return fovea.ops.where(n <= m, s, limits.min)


@pytest.mark.parametrize("mod", [by_type, by_limits])
def test_limits_of_types(launches, mod):
    q, k, v = qkv()
    outs = [fovea.attention(q, k, v, mod) for _ in range(3)]
    assert len(launches) == 1
    torch.testing.assert_close(outs[2], exact(q, k, v, None, causal))


def test_other_limits_are_seen(monkeypatch):
    q, k, v = qkv()
    fovea.attention(q, k, v, by_limits)
    monkeypatch.setitem(globals(), "limits", torch.iinfo(torch.int8))
    out = fovea.attention(q, k, v, by_limits)
    torch.testing.assert_close(out, exact(q, k, v, by_limits))
    assert not torch.allclose(out, exact(q, k, v, None, causal))


def test_clear_cache_forgets(launches):
    q, k, v = qkv()
    fovea.attention(q, k, v)
    fovea.clear_cache()
    fovea.attention(q, k, v)
    assert len(launches) == 2


def test_threads():
    q, k, v = qkv(64)
    first = fovea.attention(q, k, v, None, causal)
    wrong = []

    def work(number: int) -> None:
        for i in range(200):
            length = 64 - (i + number) % 3
            out = fovea.attention(*(x[:, :, :length] for x in (q, k, v)), None, causal)
            if not torch.allclose(out, first[:, :, :length], atol=1e-6):
                wrong.append((number, i))

    in_threads(work)
    assert not wrong
