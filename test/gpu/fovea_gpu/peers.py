"""What Fovea is measured beside: cuDNN, FlexAttention, FlashAttention-4."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

from .call import Inputs
from .variants import Variant

__all__ = ["make_peers"]

Run = Callable[[], Any]


def _cudnn(torch: Any, variant: Variant, inputs: Inputs) -> Run | None:
    if variant.name not in ("noop", "causal"):
        return None
    from torch.nn.attention import SDPBackend, sdpa_kernel

    attend = torch.nn.functional.scaled_dot_product_attention
    causal = variant.name == "causal"
    grouped = inputs.q.shape[1] != inputs.k.shape[1]

    def run() -> Any:
        with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
            return attend(
                inputs.q, inputs.k, inputs.v, is_causal=causal, enable_gqa=grouped
            )

    return run


def _flex(torch: Any, variant: Variant, inputs: Inputs) -> Run | None:
    if variant.normalizer != "softmax" or variant.blocks is not None:
        return None
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    captures = {name: x.contiguous() for name, x in inputs.captures.items()}
    score = mask = None
    if variant.score is not None:

        def score(s: Any, b: Any, h: Any, m: Any, n: Any) -> Any:
            return variant.score(s, b, h, m, n, captures)

    if variant.mask is not None:

        def mask(b: Any, h: Any, m: Any, n: Any) -> Any:
            return variant.mask(b, h, m, n, captures)

    # This is a child that may have none of its own.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    torch._dynamo.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    M, N = inputs.q.shape[2], inputs.k.shape[2]
    block_mask = None
    if mask is not None:
        # Compiled it would take longer than all that is timed.
        block_mask = create_block_mask(mask, None, None, M, N, device="cuda")
    grouped = inputs.q.shape[1] != inputs.k.shape[1]

    def run() -> Any:
        return compiled(
            inputs.q,
            inputs.k,
            inputs.v,
            score_mod=score,
            block_mask=block_mask,
            enable_gqa=grouped,
        )

    return run


def _fa4(torch: Any, variant: Variant, inputs: Inputs) -> Run | None:
    if importlib.util.find_spec("flash_attn") is None:
        return None
    options: dict[str, Any] = {}
    if variant.name == "causal":
        options = {"causal": True}
    elif variant.name.startswith("window"):
        width = int(variant.name.removeprefix("window"))
        options = {"causal": True, "window_size": (width - 1, 0)}
    elif variant.name != "noop":
        return None
    attend = importlib.import_module("flash_attn.cute").flash_attn_func
    q, k, v = (x.transpose(1, 2).contiguous() for x in (inputs.q, inputs.k, inputs.v))
    return lambda: attend(q, k, v, **options)


_PEERS = {"cudnn": _cudnn, "flex": _flex, "fa4": _fa4}


def make_peers(
    torch: Any, variant: Variant, inputs: Inputs, names: tuple[str, ...]
) -> tuple[dict[str, Run], dict[str, str]]:
    """The peers that run this variant, and why the others do not."""
    runs, errors = {}, {}
    for name in names:
        try:
            run = _PEERS[name](torch, variant, inputs)
            if run is not None:
                run()
                torch.cuda.synchronize()
                runs[name] = run
        except Exception as error:  # a peer that fails is a row, not our failure
            text = str(error).strip().splitlines()
            errors[name] = f"{type(error).__name__}: {text[0][:200] if text else ''}"
    return runs, errors
