"""What torch does with a call besides running it: compiling, tracing, deriving it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

__all__ = ["observer", "refuse_observed", "refuse_proxy", "runs_as_it_is"]

_TRACING_MODES = {
    "PROXY": "make_fx",
    "FAKE": "a FakeTensorMode",
    "FUNCTIONAL": "functionalize",
}
#: Of torch._C._dynamo.eval_frame.
_FRAME_NAMES = ("set_code_exec_strategy", "_FrameAction", "_FrameExecStrategy")
_observers: list[Callable[[], bool]] = []
_waiting: list[CodeType] = []
_Function = TypeVar("_Function", bound=Callable)


def runs_as_it_is(function: _Function) -> _Function:
    """Mark what torch.compile is to call and neither to inline nor to compile.

    A wrapper, as of torch.compiler.disable, would cost every call; the marks are
    those that it sets.
    """
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    function._torchdynamo_disable_msg = (  # type: ignore[attr-defined]
        "fovea compiles what it is given itself"
    )
    _waiting.append(function.__code__)
    torch = sys.modules.get("torch")
    if torch is not None:
        _skip_frames(torch)
    return function


def _skip_frames(torch: Any) -> None:
    """Have frames of these functions, and all that they call, run as they are."""
    frames = getattr(
        getattr(getattr(torch, "_C", None), "_dynamo", None), "eval_frame", None
    )
    if not all(hasattr(frames, name) for name in _FRAME_NAMES):
        return  # half imported, before torch 2.7, or one that names them otherwise
    skip = frames._FrameAction.SKIP
    for code in tuple(_waiting):
        frames.set_code_exec_strategy(code, frames._FrameExecStrategy(skip, skip))
    _waiting.clear()


class _Notice:
    """Finds no module: sees dynamo come, of torch that was imported after Fovea.

    It is imported ahead of the first call that it could trace.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "torch._dynamo":
            _skip_frames(sys.modules.get("torch"))


if "torch" not in sys.modules:
    sys.meta_path.insert(0, _Notice)  # type: ignore[arg-type]


def observer(torch: Any) -> Callable[[], bool]:
    """Whether something may look at calls now, in a fraction of a microsecond."""
    if not _observers:
        modes = torch._C._len_torch_dispatch_stack
        tracing = torch._C._get_tracing_state
        forward = torch.autograd.forward_ad
        _observers.append(
            lambda: bool(
                modes() or forward._current_level >= 0 or tracing() is not None
            )
        )
    return _observers[0]


def _ask(torch: Any, name: str, *args: Any) -> Any:
    """What torch itself knows; None where this version does not."""
    function = getattr(getattr(torch, "_C", None), name, None)
    return None if function is None else function(*args)


def _tracer(obj: Any, torch: Any) -> str | None:
    """What traces a call with this tensor, or made it without values."""
    if _ask(torch, "_get_tracing_state") is not None:
        return "torch.jit.trace"
    if _ask(torch, "_len_torch_dispatch_stack"):
        keys = torch._C._TorchDispatchModeKey
        for key, name in _TRACING_MODES.items():
            if _ask(torch, "_get_dispatch_mode", getattr(keys, key, None)):
                return name
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    if fake is not None and isinstance(obj, fake.FakeTensor):
        return _TRACING_MODES["FAKE"]
    return None


def is_batched(obj: Any, torch: Any) -> bool:
    """Whether torch.vmap or torch.func wraps a tensor."""
    functorch = getattr(getattr(torch, "_C", None), "_functorch", None)
    asked = getattr(functorch, "is_batchedtensor", None)
    return asked is not None and asked(obj)


def _traced(obj: object, name: str, tracer: str) -> TypeError:
    kind = type(obj)
    return TypeError(
        f"{name}: a tensor under {tracer} is traced and has no data, call fovea"
        f" outside it, got {kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    )


def refuse_proxy(obj: object, name: str) -> None:
    """Refuse what stands for a tensor in a graph that torch.fx records."""
    fx = sys.modules.get("torch.fx")
    if fx is not None and isinstance(obj, fx.Proxy):
        raise _traced(obj, name, "torch.fx.symbolic_trace")


def refuse_observed(obj: Any, name: str, torch: Any, grad_matters: bool) -> None:
    """Refuse a tensor that is traced, or carries a forward-mode tangent.

    Raises
    ------
    TypeError
        Naming the argument: a trace would keep this call's result as a constant,
        and the tangent would be lost.
    """
    if _waiting:
        _skip_frames(torch)
    tracer = _tracer(obj, torch)
    if tracer is not None:
        raise _traced(obj, name, tracer)
    forward = sys.modules.get("torch.autograd.forward_ad")
    if (
        grad_matters
        and forward is not None
        and forward._current_level >= 0
        and _ask(torch, "_is_fwd_grad_enabled") is not False
        and forward.unpack_dual(obj).tangent is not None
    ):
        raise TypeError(
            f"{name}: fovea is forward only and gives no derivatives, use detach(), got"
            " a tensor with a forward-mode tangent"
        )
