"""The exact and the plain computation, with torch, and the judge.

Exact is f64. Plain is what a user would write: products, weights and output
rounded to the working type, mods and softmax in f32. The judge's rule is that of
lib/Interpreter/Judge.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .call import Sequences
from .variants import Blocks, Captures, Variant

__all__ = ["Verdict", "attention", "judge"]

#: Unit roundoff by dtype.
UNITS = {"f16": 2.0**-11, "bf16": 2.0**-8}


@dataclass(frozen=True)
class Verdict:
    """Whether a result passes, its mean error and the allowed one."""

    passed: bool
    error: float
    allowed: float
    row_error: float = 0.0
    row_allowed: float = 0.0
    reason: str = ""


def _normalize(torch: Any, variant: Variant, s: Any, captures: Captures) -> tuple:
    """Weights without their denominator, the denominator and lse of scores."""
    if variant.normalizer == "sigmoid":
        return torch.sigmoid(s), None, None
    t = s.amax(dim=-1, keepdim=True)
    sink = None
    if variant.normalizer == "sink":
        sink = captures["sigma"].to(s.dtype)[None, :, None, None]
        t = torch.maximum(t, sink)
    safe = torch.where(torch.isinf(t), torch.zeros_like(t), t)
    p = torch.exp(s - safe)
    total = p.sum(dim=-1, keepdim=True)
    if sink is not None:
        total = total + torch.exp(sink - safe)
    return p, total, (safe + torch.log(total))[..., 0]


def attention(
    torch: Any,
    variant: Variant,
    qkv: tuple[Any, Any, Any],
    captures: Captures,
    scale: float,
    rows: Any,
    plain: bool = False,
    blocks: Blocks | None = None,
    sequences: Sequences | None = None,
) -> tuple[Any, Any]:
    """Output and lse (None without one) of some rows, in f64.

    Parameters
    ----------
    qkv : tensors [B, H, M, D], [B, Hk, N, D], [B, Hk, N, E]
    rows : the query positions that are computed
    plain : round as the plain computation does
    sequences : offsets and lengths of each batch; whole ones without
    """
    q, k, v = qkv
    group = q.shape[1] // k.shape[1]
    work = torch.float32 if plain else torch.float64
    k, v = (x.repeat_interleave(group, dim=1).to(work) for x in (k, v))
    s = q[:, :, rows].to(work) @ k.transpose(-1, -2)
    if plain:
        s = s.to(q.dtype).to(work)
    s = s * scale
    B, H, _, N = s.shape
    device = s.device
    b = torch.arange(B, device=device)[:, None, None, None]
    h = torch.arange(H, device=device)[None, :, None, None]
    m = rows[None, None, :, None]
    n = torch.arange(N, device=device)[None, None, None, :]
    converted = {name: x.to(work) for name, x in captures.items()}
    keep = None
    if sequences is not None:

        def of_batch(values: tuple[int, ...]) -> Any:
            return torch.tensor(values, device=device)[:, None, None, None]

        belongs = n < of_batch(sequences.kv_lengths)
        keep = belongs & (m < of_batch(sequences.q_lengths))
        v = v.masked_fill(~belongs.transpose(-1, -2), 0.0)
        m, n = m + of_batch(sequences.q_offset), n + of_batch(sequences.kv_offset)
    if variant.score is not None:
        s = variant.score(s, b, h, m, n, converted)
    if variant.mask is not None:
        seen = variant.mask(b, h, m, n, converted)
        keep = seen if keep is None else keep & seen
    if blocks is not None:
        keep = blocks.keep(torch, b, h, m, n, keep)
    if keep is not None:
        s = s.masked_fill(~keep, float("-inf"))
    p, total, lse = _normalize(torch, variant, s, captures)
    if plain:
        p = p.to(q.dtype).to(work)
    out = p @ v
    if total is not None:
        out = torch.where(total > 0, out / total, torch.zeros_like(out))
    if plain:
        out = out.to(q.dtype)
    return out.double(), None if lse is None else lse.double()


def judge(torch: Any, actual: Any, exact: Any, plain: Any, dtype: str) -> Verdict:
    """Judge a result [..., columns] against the exact and the plain one."""
    actual, exact, plain = (x.double() for x in (actual, exact, plain))
    zero, nothing = exact == 0, exact == float("-inf")
    fixed = (zero.all(dim=-1) | nothing.all(dim=-1))[..., None].expand_as(exact)
    if not torch.equal(actual[fixed], exact[fixed]):
        reason = "a row that sees no key is not exact"
        return Verdict(False, float("inf"), 0.0, reason=reason)
    counted = ~fixed
    if not torch.isfinite(actual[counted]).all():
        wrong = int((~torch.isfinite(actual) & counted).sum())
        reason = f"{wrong} elements not finite"
        return Verdict(False, float("inf"), 0.0, reason=reason)
    count = int(counted.sum())
    if count == 0:
        return Verdict(True, 0.0, 0.0)
    error = torch.where(counted, (actual - exact).abs(), 0.0)
    plain_error = torch.where(counted, (plain - exact).abs(), 0.0)
    floor = 0.05 * UNITS[dtype] * float(exact[counted].abs().mean())
    factor = 1.1 + (4.0 / count**0.5 if count < 4096 else 0.0)
    mean = float(error.sum()) / count
    allowed = factor * float(plain_error.sum()) / count + floor
    columns = counted.sum(dim=-1).clamp(min=1)
    worst = float((error.sum(dim=-1) / columns).max())
    worst_allowed = 5.0 * float((plain_error.sum(dim=-1) / columns).max()) + floor
    reason = ""
    if mean > allowed:
        reason = "mean error above the allowed one"
    elif worst > worst_allowed:
        reason = "a row is above the allowed error"
    return Verdict(not reason, mean, allowed, worst, worst_allowed, reason)
