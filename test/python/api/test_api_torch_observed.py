"""torch that traces or derives a call: refused, whether or not it was seen before."""

import functools

import pytest
from api_common import inputs

import fovea

torch = pytest.importorskip("torch")
# torch's own modules warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[False, True], ids=["first", "repeated"])
def qkv(request):
    fovea.clear_cache()
    tensors = [torch.from_numpy(x) for x in inputs()]
    if request.param:
        fovea.attention(*tensors)
        fovea.attention(*tensors)
    yield tensors
    # After any error the next call works.
    assert torch.isfinite(fovea.attention(*tensors)).all()


def refusal(tracer, kind):
    return (
        f"q: a tensor under {tracer} is traced and has no data, call fovea outside it,"
        f" got torch.{kind}"
    )


@pytest.mark.parametrize("place", ["q", "k", "v"])
def test_forward_mode_tangents_are_refused(qkv, place):
    forward = torch.autograd.forward_ad
    arguments = dict(zip("qkv", qkv, strict=True))
    kernel = fovea.compile(D=qkv[0].shape[3], E=qkv[2].shape[3])
    plain = fovea.attention(*qkv)
    with forward.dual_level():
        assert torch.equal(fovea.attention(*qkv), plain)
        given = arguments[place]
        dual = forward.make_dual(given, torch.ones_like(given))
        for call in (fovea.attention, kernel):
            with pytest.raises(TypeError) as caught:
                call(**(arguments | {place: dual}))
            assert str(caught.value) == (
                f"{place}: fovea is forward only and gives no derivatives, use"
                " detach(), got a tensor with a forward-mode tangent"
            )


def test_forward_mode_tangents_of_captures_are_refused(qkv):
    forward = torch.autograd.forward_ad
    table = torch.ones(64)

    def run():
        return fovea.attention(*qkv, lambda s, b, h, m, n: s * table[n])

    run()
    with forward.dual_level():
        table = forward.make_dual(table, torch.ones(64))
        with pytest.raises(TypeError, match="captured array 'table': fovea is forward"):
            run()


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx_is_refused(qkv, mode):
    proxy_tensor = pytest.importorskip("torch.fx.experimental.proxy_tensor")
    q, k, v = qkv
    kernel = fovea.compile(D=q.shape[3], E=v.shape[3])
    for call in (fovea.attention, kernel):
        with pytest.raises(TypeError) as caught:
            run = functools.partial(call, k=k, v=v)
            proxy_tensor.make_fx(run, tracing_mode=mode)(q)
        kind = "Tensor" if mode == "real" else "FakeTensor"
        assert str(caught.value) == refusal("make_fx", kind)


def test_fake_tensors_are_refused(qkv):
    fake = pytest.importorskip("torch._subclasses.fake_tensor")
    with fake.FakeTensorMode() as mode:
        tensors = [mode.from_tensor(x) for x in qkv]
        with pytest.raises(TypeError) as caught:
            fovea.attention(*qkv)
        assert str(caught.value) == refusal("a FakeTensorMode", "Tensor")
    with pytest.raises(TypeError) as caught:
        fovea.attention(*tensors)
    assert str(caught.value) == refusal("a FakeTensorMode", "FakeTensor")


def test_other_tracers_are_refused(qkv):
    q, k, v = qkv
    with pytest.raises(TypeError) as caught:
        torch.jit.trace(lambda a: fovea.attention(a, k, v), (q,))
    assert str(caught.value) == refusal("torch.jit.trace", "Tensor")
    with pytest.raises(TypeError) as caught:
        torch.fx.symbolic_trace(lambda a: fovea.attention(a, k, v))
    assert str(caught.value) == refusal("torch.fx.symbolic_trace", "Proxy")
    for transform in (torch.func.functionalize, torch.func.vmap):
        with pytest.raises(TypeError, match="^q: must have data, got torch.Tensor"):
            given = q[None] if transform is torch.func.vmap else q
            transform(lambda a: fovea.attention(a, k, v))(given)


def test_modes_that_only_watch_are_let_through(qkv):
    counter = pytest.importorskip("torch.utils.flop_counter")
    plain = fovea.attention(*qkv)
    with counter.FlopCounterMode(display=False), torch.inference_mode():
        assert torch.equal(fovea.attention(*qkv), plain)
