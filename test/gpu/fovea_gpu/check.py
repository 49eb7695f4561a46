"""Correctness of one kernel on one shape."""

from __future__ import annotations

from typing import Any

from .call import Inputs, Outputs, Shape, make_inputs, make_outputs, prepare
from .driver import LoadedKernel
from .reference import Verdict, attention, judge
from .variants import VARIANTS

__all__ = ["check_shape", "compare"]

_REPEATS = 3
_WHOLE = 1600  # rows up to which every row is compared
_SAMPLE = 96


def _rows(torch: Any, M: int, device: str) -> Any:
    """All rows of a short sequence, edges and a sample of a long one."""
    if M <= _WHOLE:
        return torch.arange(M, device=device)
    edges = [0, 1, 63, 64, 127, 128, M - 129, M - 128, M - 65, M - 64, M - 1]
    generator = torch.Generator(device="cpu")
    generator.manual_seed(M)
    sample = torch.randint(0, M, (_SAMPLE,), generator=generator)
    return torch.cat([torch.tensor(edges), sample]).unique().to(device)


def compare(
    torch: Any, loaded: LoadedKernel, inputs: Inputs, outputs: Outputs
) -> dict[str, Any]:
    """Judge the outputs of a launch against f64."""
    kernel = loaded.kernel
    variant = VARIANTS[kernel.variant]
    rows = _rows(torch, inputs.q.shape[2], str(inputs.q.device))
    qkv = (inputs.q, inputs.k, inputs.v)
    arguments = (torch, variant, qkv, inputs.captures, inputs.scale, rows)
    more = {"blocks": inputs.blocks, "sequences": inputs.sequences}
    exact, exact_lse = attention(*arguments, **more)
    plain, plain_lse = attention(*arguments, plain=True, **more)
    verdicts: list[tuple[str, Verdict]] = [
        ("out", judge(torch, outputs.out[:, :, rows], exact, plain, kernel.dtype))
    ]
    if outputs.lse is not None and exact_lse is not None:
        columns = (outputs.lse[:, :, rows], exact_lse, plain_lse)
        verdict = judge(torch, *(x[..., None] for x in columns), kernel.dtype)
        verdicts.append(("lse", verdict))
    found: dict[str, Any] = {"passed": all(v.passed for _, v in verdicts)}
    for name, verdict in verdicts:
        found[f"{name}_error"] = verdict.error
        found[f"{name}_allowed"] = verdict.allowed
        found[f"{name}_row_error"] = verdict.row_error
        if verdict.reason:
            found["reason"] = f"{name}: {verdict.reason}"
    return found


def _same(torch: Any, a: Any, b: Any) -> bool:
    if a is None:
        return b is None
    a, b = (x.contiguous().view(torch.uint8) for x in (a, b))
    return torch.equal(a, b)


def _two_streams(
    torch: Any,
    loaded: LoadedKernel,
    inputs: Inputs,
    shape: Shape,
    processors: int,
    first: tuple[Any, Any],
    device: str,
) -> bool:
    """Launches on two streams at once give what one launch alone gave."""
    streams = [torch.cuda.Stream() for _ in range(2)]
    sets = [make_outputs(torch, loaded.kernel, shape, device) for _ in streams]
    packed = [prepare(torch, loaded, inputs, s, processors, device) for s in sets]
    torch.cuda.synchronize()
    for _ in range(4):
        for stream, one in zip(streams, packed, strict=True):
            loaded.launch(one, stream.cuda_stream)
    torch.cuda.synchronize()
    return all(
        _same(torch, s.out, first[0]) and _same(torch, s.lse, first[1]) for s in sets
    )


def check_shape(
    torch: Any,
    loaded: LoadedKernel,
    shape: Shape,
    processors: int,
    device: str = "cuda",
) -> dict[str, Any]:
    """All checks of one shape; `passed` says whether it holds, `reason` why not."""
    kernel = loaded.kernel
    inputs = make_inputs(torch, kernel, shape, device)
    outputs = make_outputs(torch, kernel, shape, device)
    packed = prepare(torch, loaded, inputs, outputs, processors, device)
    stream = torch.cuda.current_stream().cuda_stream
    loaded.launch(packed, stream)
    torch.cuda.synchronize()
    found = compare(torch, loaded, inputs, outputs)
    first = (outputs.out.clone(), None if outputs.lse is None else outputs.lse.clone())
    changed = 0
    for _ in range(_REPEATS):
        outputs.poison()
        loaded.launch(packed, stream)
        torch.cuda.synchronize()
        same = _same(torch, outputs.out, first[0])
        changed += not (same and _same(torch, outputs.lse, first[1]))
    problems = [found["reason"]] if "reason" in found else []
    if changed:
        problems.append(f"{changed} of {_REPEATS} repetitions differ")
    if not outputs.ends_untouched(torch):
        problems.append("wrote outside of an output")
    if bool(packed.workspace.any()):
        problems.append("left the workspace non-zero")
    if not _two_streams(torch, loaded, inputs, shape, processors, first, device):
        problems.append("two streams at once give another result")
    found["passed"] = not problems
    if problems:
        found["reason"] = "; ".join(problems)
    return found
