"""The attention variants of the GPU tests: source for Fovea, formula for torch.

The `.attn` text is what is compiled; `score`, `mask` and `normalizer` say the
same thing again, for the f64 reference and for the peers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CLUSTERS",
    "PER_BATCH",
    "VARIANTS",
    "Blocks",
    "Variant",
    "count_kept",
    "count_visited",
]

Captures = dict[str, Any]


@dataclass(frozen=True)
class Blocks:
    """A block mask: int8 classes [B or 1, H or 1, tiles of M, tiles of N]."""

    classes: Any
    size: tuple[int, int]

    def keep(self, torch: Any, b: Any, h: Any, m: Any, n: Any, mask: Any) -> Any:
        """What is visible of scores for which a mask function holds (or None)."""
        B, H = self.classes.shape[:2]
        at = (b % B, h % H, m // self.size[0], n // self.size[1])
        kind = self.classes[torch.broadcast_tensors(*at)]
        inside = kind == 1 if mask is None else (kind == 1) & mask
        return inside | (kind == 2)


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
    blocks : (query, key) extent of the tiles of a block mask made by hand, or None
    full : whether the block mask has full tiles
    schedules : what its kernels are compiled with, by head dim
    """

    name: str
    source: str
    score: Callable[..., Any] | None = None
    mask: Callable[..., Any] | None = None
    captures: Callable[..., Captures] | None = None
    normalizer: str = "softmax"
    blocks: tuple[int, int] | None = None
    full: bool = True
    schedules: Mapping[int, str] = field(default_factory=dict)

    def make_captures(self, torch: Any, H: int, N: int, generator: Any) -> Captures:
        return self.captures(torch, H, N, generator) if self.captures else {}

    def make_blocks(
        self,
        torch: Any,
        B: int,
        H: int,
        M: int,
        N: int,
        generator: Any,
        loose: bool = False,
    ) -> Blocks | None:
        """Tiles of every class anywhere, the classes of long ones shared by all
        heads; rows of tiles without any among them. Where `loose`, full tiles
        need not agree with the mask: they are seen whole, the keys' end cuts
        half of the rows' last ones."""
        if self.blocks is None:
            return None
        size, device = self.blocks, generator.device
        tiles = (-(-M // size[0]), -(-N // size[1]))
        own = (B, H) if max(M, N) <= 2048 else (1, 1)

        def draw(*sizes: int) -> Any:
            return torch.rand(*own, *sizes, generator=generator, device=device)

        chance = draw(*tiles)
        present = (chance < 0.4) & (draw(tiles[0], 1) > 0.1)
        inside = torch.ones(*tiles, dtype=torch.bool, device=device)
        if self.mask is not None and not loose:
            first = [
                torch.arange(t, device=device) * s
                for t, s in zip(tiles, size, strict=True)
            ]
            top, left = first[0][:, None], first[1][None, :]
            # Causal masks alone: whole tiles lie left of their first row.
            present &= left <= top + size[0] - 1
            inside = left + size[1] - 1 <= top
        full = present & inside & (chance < (0.25 if self.full or loose else 0))
        if loose:
            full[..., -1] |= draw(tiles[0]) < 0.5
            present |= full
        classes = present.to(torch.int8) + full.to(torch.int8)
        return Blocks(classes, size)


def _slopes(torch: Any, H: int, N: int, generator: Any) -> Captures:
    powers = torch.arange(1, H + 1, device=generator.device)
    return {"slope": torch.exp2(-8.0 / H * powers).float()}


def _normal(**shapes: tuple[str, ...]) -> Callable[..., Captures]:
    """Captures of normal(0, 1), by name; sizes are H, N and 2N."""

    def make(torch: Any, H: int, N: int, generator: Any) -> Captures:
        sizes = {"H": H, "2N": 2 * N, "N": N}
        options = {"generator": generator, "device": generator.device}
        return {
            name: torch.randn(*(sizes[size] for size in shape), **options)
            for name, shape in shapes.items()
        }

    return make


def _documents(torch: Any, H: int, N: int, generator: Any) -> Captures:
    """Ids of documents of some hundred positions, for queries and keys."""
    ids = torch.arange(2 * N + 4096, device=generator.device) // 170
    return {"doc": ids.int()}


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


def _at_distance(row: Any, m: Any, n: Any) -> Any:
    """Of a vector of 2 N values, that of m - n; the ends stand for the rest."""
    width = row.shape[-1]
    return row[(m - n + width // 2).clamp(0, width - 1)]


def _two_values_score(s: Any, b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    gain = _at_distance(c["gain"], m, n)
    return _table_score(s * gain, b, h, m, n, c)


def _near(b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    return (_at_distance(c["near"], m, n) > 0) & (n <= m)


def _rolled_windows(b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    """Swin's shifted windows: 7 by 7 of 56 by 56, shifted by 3."""

    def roll(x: Any) -> Any:
        return (x - 3) % 56

    def region(x: Any) -> Any:
        return (x >= 49).int() + (x >= 53).int()

    same = (roll(m % 56) // 7 == roll(n % 56) // 7) & (
        region(roll(m % 56)) == region(roll(n % 56))
    )
    rows, columns = roll(m // 56), roll(n // 56)
    return same & (rows // 7 == columns // 7) & (region(rows) == region(columns))


def _waves(b: Any, h: Any, m: Any, n: Any, c: Captures) -> Any:
    x, near = c["x"].double(), c["near"]
    last = x.shape[0] - 1
    rows, keys = x[m.clamp(max=last)], x[n.clamp(max=last)]
    phase = rows.sin() + keys.cos() / 3
    place = (m - n + near.shape[0] // 2).clamp(0, near.shape[0] - 1)
    close = (phase < x[m % x.shape[0]].tanh()) | (near[place] != 0)
    return close & (m >> 1 != n << 1)


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
            captures=_normal(table=("H", "2N")),
        ),
        # One of two values of the distance lies beside the keys.
        Variant(
            "two_values_causal",
            "attention two_values_causal(gain: f32[S], table: f32[H, S]) {\n"
            "  score = s * gain[q - kv + N] + table[h, q - kv + N]\n"
            "  mask = kv <= q\n}",
            score=_two_values_score,
            mask=causal,
            captures=_normal(gain=("2N",), table=("H", "2N")),
        ),
        Variant(
            "near_table",
            "attention near_table(near: f32[S], table: f32[H, S]) {\n"
            "  score = s + table[h, q - kv + N]\n"
            "  mask = near[q - kv + N] > 0 and kv <= q\n}",
            score=_table_score,
            mask=_near,
            captures=_normal(near=("2N",), table=("H", "2N")),
        ),
        Variant(
            "head_gain_causal",
            "attention head_gain_causal(gain: f32[H], bias: f32[H]) {\n"
            "  score = s * gain[h] + bias[h]\n  mask = kv <= q\n}",
            score=lambda s, b, h, m, n, c: s * c["gain"][h] + c["bias"][h],
            mask=causal,
            captures=_normal(gain=("H",), bias=("H",)),
        ),
        Variant(
            "sink_causal",
            "attention sink_causal(sigma: f32[H]) {\n  mask = kv <= q\n"
            "  normalizer = sink(sigma)\n}",
            mask=causal,
            captures=_normal(sigma=("H",)),
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
    variants.append(
        Variant(
            "lists_documents",
            "attention lists_documents(doc: i32[S]) {\n"
            "  mask = doc[q] == doc[kv] and kv <= q\n}",
            mask=lambda b, h, m, n, c: (c["doc"][m] == c["doc"][n]) & (n <= m),
            captures=_documents,
            blocks=(128, 128),
            full=False,
        )
    )
    variants.append(
        Variant(
            "lists_rolled_windows",
            "fn rolled(i) = (i - 3) % 56\n"
            "fn region(i) = 2 if i >= 53 else (1 if i >= 49 else 0)\n"
            "attention lists_rolled_windows {\n"
            "  let xq = rolled(q % 56)\n  let xk = rolled(kv % 56)\n"
            "  let yq = rolled(q // 56)\n  let yk = rolled(kv // 56)\n"
            "  mask = (xq // 7 == xk // 7 and yq // 7 == yk // 7"
            " and region(xq) == region(xk) and region(yq) == region(yk))\n}",
            mask=_rolled_windows,
            blocks=(128, 128),
            full=False,
        )
    )
    # Masks without a closed form: classes and lists of tiles are made ahead.
    small = dict.fromkeys((64, 128, 256), "groups=1,n=64")
    for name, chosen in (("documents", {}), ("documents_small", small)):
        variants.append(
            Variant(
                name,
                f"attention {name}(doc: i32[S]) {{\n"
                "  mask = doc[q] == doc[kv] and kv <= q\n}",
                mask=lambda b, h, m, n, c: (c["doc"][m] == c["doc"][n]) & (n <= m),
                captures=_documents,
                schedules=chosen,
            )
        )
    variants.append(
        Variant(
            "head_documents",
            "attention head_documents(slope: f32[H], doc: i32[S]) {\n"
            "  score = s - slope[h] * (q - kv)\n"
            "  mask = doc[q] // (h % 3 + 1) == doc[kv] // (h % 3 + 1) or kv < 40 * b\n"
            "}",
            score=lambda s, b, h, m, n, c: s - c["slope"][h] * (m - n),
            mask=lambda b, h, m, n, c: (
                (c["doc"][m] // (h % 3 + 1) == c["doc"][n] // (h % 3 + 1))
                | (n < 40 * b)
            ),
            captures=lambda torch, H, N, g: {
                **_slopes(torch, H, N, g),
                **_documents(torch, H, N, g),
            },
        )
    )
    variants.append(
        Variant(
            "doc_window",
            "attention doc_window(doc: i32[S], W: int = 700) {\n"
            "  mask = doc[q] == doc[kv] and 0 <= q - kv < W\n}",
            mask=lambda b, h, m, n, c: (
                (c["doc"][m] == c["doc"][n]) & (n <= m) & (m - n < 700)
            ),
            captures=_documents,
        )
    )
    variants.append(
        Variant(
            "table_prefix",
            "attention table_prefix(prefix: i32[S]) {\n"
            "  mask = kv <= q or kv < prefix[q]\n}",
            mask=lambda b, h, m, n, c: (n <= m) | (n < c["prefix"][m]),
            captures=lambda torch, H, N, g: {
                "prefix": _documents(torch, H, N, g)["doc"] * 170 + 60
            },
        )
    )
    variants.append(
        Variant(
            "neighbourhood",
            "attention neighbourhood(W: int = 64) {\n"
            "  mask = abs(q // W - kv // W) <= 6 and abs(q % W - kv % W) <= 6\n}",
            mask=lambda b, h, m, n, c: (
                ((m // 64 - n // 64).abs() <= 6) & ((m % 64 - n % 64).abs() <= 6)
            ),
        )
    )
    # Functions, extents, shifts and a read at a difference.
    variants.append(
        Variant(
            "waves",
            "attention waves(x: f32[S], near: i1[T]) {\n"
            "  let phase = sin(x[q]) + cos(x[kv]) / 3\n"
            "  mask = (phase < tanh(x[q % S]) or near[q - kv + T // 2])"
            " and q >> 1 != kv << 1\n}",
            mask=_waves,
            captures=lambda torch, H, N, g: {
                "x": torch.randn(N, generator=g, device=g.device) * 20,
                "near": torch.rand(257, generator=g, device=g.device) < 0.3,
            },
        )
    )
    # Steps of the tiles that other tiles of a block mask than 128 x 128 take.
    tall = small | {64: "groups=3,n=128", 128: "groups=3,n=64,ping_pong=1"}
    variants.append(Variant("noop_small", "attention noop_small {}", schedules=small))
    variants.append(Variant("noop_tall", "attention noop_tall {}", schedules=tall))
    # What a call with such a mask asks for.
    for q, kv, schedule in (
        (128, 128, None),
        (64, 64, "block_q=64,block_kv=64"),
        (192, 128, "block_q=192"),
    ):
        chosen = dict.fromkeys((64, 128, 256), schedule) if schedule else {}
        for tail, region, mask in (("", "", None), ("_causal", "kv <= q", causal)):
            name = f"lists{q}x{kv}{tail}"
            source = f"attention {name} {{" + f" mask = {region} " * bool(mask) + "}"
            variants.append(
                Variant(name, source, mask=mask, blocks=(q, kv), schedules=chosen)
            )
    return variants


VARIANTS: dict[str, Variant] = {variant.name: variant for variant in _all()}

#: Variants that are also compiled to read offsets and lengths, by what.
PER_BATCH: dict[str, dict[int, str]] = {
    name: dict.fromkeys((64, 128, 256), "per_batch=1")
    for name in (
        *("noop", "causal", "alibi_causal", "softcap_causal", "table_causal"),
        *("sink_causal", "sigmoid", "window200", "prefix200"),
    )
}
PER_BATCH["window200"][64] = "groups=2,pin=0,per_batch=1"

#: Variants that are also compiled for pairs of blocks of threads.
CLUSTERS: dict[str, dict[int, str]] = {
    name: dict.fromkeys((64, 128, 256), "cluster=2")
    for name in ("noop", "causal", "alibi_causal", "window200")
}
CLUSTERS["window200"][64] = "groups=1,pin=0,cluster=2"
CLUSTERS["table_causal"] = {128: "n=112,pin=0,cluster=2", 256: "cluster=2"}


Given = tuple["Blocks | None", Captures]
_NOTHING: Given = (None, {})


def _mask_rows(
    torch: Any, variant: Variant, M: int, N: int, step: int, given: Given
) -> Any:
    """Row blocks of the mask of head 0, as boolean tensors."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    blocks, captures = given
    n = torch.arange(N, device=device)[None, :]
    for start in range(0, M, step):
        m = torch.arange(start, min(M, start + step), device=device)[:, None]
        keep = torch.ones(m.shape[0], N, dtype=torch.bool, device=device)
        if variant.mask is not None:
            keep &= variant.mask(0, 0, m, n, captures)
        if blocks is not None:
            head = torch.zeros_like(m)
            keep = blocks.keep(torch, head, head, m, n, keep)
        yield keep


def count_kept(
    torch: Any, variant: Variant, M: int, N: int, given: Given = _NOTHING
) -> int:
    """Scores that the mask keeps, a head; `given`: block mask and captures."""
    if variant.mask is None and given[0] is None:
        return M * N
    return sum(int(x.sum()) for x in _mask_rows(torch, variant, M, N, 1024, given))


def count_visited(
    torch: Any,
    variant: Variant,
    M: int,
    N: int,
    tile: tuple[int, int],
    given: Given = _NOTHING,
) -> list[int]:
    """Key tiles that hold a kept score, for each query tile of a head."""
    counts, tile_n = [], tile[1]
    for rows in _mask_rows(torch, variant, M, N, tile[0], given):
        columns = rows.any(dim=0)
        padded = torch.nn.functional.pad(columns, (0, -N % tile_n))
        counts.append(int(padded.view(-1, tile_n).any(dim=1).sum()))
    return counts
