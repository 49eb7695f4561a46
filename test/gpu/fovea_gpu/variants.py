"""The attention variants of the GPU tests: source for Fovea, formula for torch.

The `.attn` text is what is compiled; `score`, `mask` and `normalizer` say the
same thing again, for the f64 reference and for the peers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["VARIANTS", "Variant", "count_kept", "count_visited"]

Captures = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One variant.

    Attributes
    ----------
    source : the body of an `.attn` attention, with its head
    score : f(s, b, h, m, n, c) or None; `c` holds the captures as tensors
    mask : f(b, h, m, n, c) or None
    captures : f(torch, H, N, generator) -> {name: tensor}, in order
    normalizer : "softmax", "sink" (logit c["sigma"][h]) or "sigmoid"
    """

    name: str
    source: str
    score: Callable[..., Any] | None = None
    mask: Callable[..., Any] | None = None
    captures: Callable[..., Captures] | None = None
    normalizer: str = "softmax"

    def make_captures(self, torch: Any, H: int, N: int, generator: Any) -> Captures:
        return self.captures(torch, H, N, generator) if self.captures else {}


def _slopes(torch: Any, H: int, N: int, generator: Any) -> Captures:
    powers = torch.arange(1, H + 1, device=generator.device)
    return {"slope": torch.exp2(-8.0 / H * powers).float()}


def _normal(name: str, *shape: str) -> Callable[..., Captures]:
    def make(torch: Any, H: int, N: int, generator: Any) -> Captures:
        sizes = [{"H": H, "2N": 2 * N, "N": N}[s] for s in shape]
        device = generator.device
        return {name: torch.randn(*sizes, generator=generator, device=device)}

    return make


def causal(b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    return n <= m


def window(width: int) -> Callable[..., Any]:
    return lambda b, h, m, n, c: (n <= m) & (m - n < width)


def prefix(length: int) -> Callable[..., Any]:
    return lambda b, h, m, n, c: (n <= m) | (n < length)


def _table_score(s: Any, b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    table = c["table"]
    width = table.shape[1]
    return s + table[h, (m - n + width // 2).clamp(0, width - 1)]


def _all() -> list[Variant]:
    alibi = "slope: f32[H]"
    variants = [
        Variant("noop", "attention noop {}"),
        Variant("causal", "attention causal { mask = kv <= q }", mask=causal),
        Variant(
            "alibi_causal",
            f"attention alibi_causal({alibi}) {{\n  score = s - slope[h] * (q - kv)\n"
            "  mask = kv <= q\n}",
            score=lambda s, b, h, m, n, c: s - c["slope"][h] * (m - n),
            mask=causal,
            captures=_slopes,
        ),
        Variant(
            "alibi",
            f"attention alibi({alibi}) {{ score = s - slope[h] * (q - kv) }}",
            score=lambda s, b, h, m, n, c: s - c["slope"][h] * (m - n),
            captures=_slopes,
        ),
        Variant(
            "softcap_causal",
            "attention softcap_causal {\n  score = 30 * tanh(s / 30)\n"
            "  mask = kv <= q\n}",
            score=lambda s, b, h, m, n, c: 30 * (s / 30).tanh(),
            mask=causal,
        ),
        Variant(
            "table_causal",
            "attention table_causal(table: f32[H, S]) {\n"
            "  score = s + table[h, q - kv + N]\n  mask = kv <= q\n}",
            score=_table_score,
            mask=causal,
            captures=_normal("table", "H", "2N"),
        ),
        Variant(
            "head_gain_causal",
            "attention head_gain_causal(gain: f32[H], bias: f32[H]) {\n"
            "  score = s * gain[h] + bias[h]\n  mask = kv <= q\n}",
            score=lambda s, b, h, m, n, c: s * c["gain"][h] + c["bias"][h],
            mask=causal,
            captures=lambda torch, H, N, g: {
                **_normal("gain", "H")(torch, H, N, g),
                **_normal("bias", "H")(torch, H, N, g),
            },
        ),
        Variant(
            "sink_causal",
            "attention sink_causal(sigma: f32[H]) {\n  mask = kv <= q\n"
            "  normalizer = sink(sigma)\n}",
            mask=causal,
            captures=_normal("sigma", "H"),
            normalizer="sink",
        ),
        Variant(
            "sigmoid",
            "attention sigmoid { normalizer = sigmoid() }",
            normalizer="sigmoid",
        ),
    ]
    for width in (128, 200, 512, 1024, 4096):
        variants.append(
            Variant(
                f"window{width}",
                f"attention window{width} {{ mask = 0 <= q - kv < {width} }}",
                mask=window(width),
            )
        )
    for length in (200, 1024):
        variants.append(
            Variant(
                f"prefix{length}",
                f"attention prefix{length} {{ mask = kv <= q or kv < {length} }}",
                mask=prefix(length),
            )
        )
    return variants


VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _all()}


def _mask_rows(torch: Any, variant: Variant, M: int, N: int, step: int) -> Any:
    """Row blocks of the mask of head 0, as boolean tensors."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n = torch.arange(N, device=device)[None, :]
    for start in range(0, M, step):
        m = torch.arange(start, min(M, start + step), device=device)[:, None]
        keep = torch.ones(m.shape[0], N, dtype=torch.bool, device=device)
        yield keep if variant.mask is None else keep & variant.mask(0, 0, m, n, {})


def count_kept(torch: Any, variant: Variant, M: int, N: int) -> int:
    """Scores that the mask keeps, a head."""
    if variant.mask is None:
        return M * N
    return sum(int(x.sum()) for x in _mask_rows(torch, variant, M, N, 1024))


def count_visited(
    torch: Any, variant: Variant, M: int, N: int, tile_m: int, tile_n: int
) -> list[int]:
    """Key tiles that hold a kept score, for each query tile of a head."""
    counts = []
    for rows in _mask_rows(torch, variant, M, N, tile_m):
        columns = rows.any(dim=0)
        padded = torch.nn.functional.pad(columns, (0, -N % tile_n))
        counts.append(int(padded.view(-1, tile_n).any(dim=1).sum()))
    return counts
