"""Groups of contestants: the kernels of one variant and size beside the peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .call import Inputs, Shape, make_inputs, make_outputs, prepare
from .driver import LoadedKernel
from .manifest import Kernel
from .peers import make_peers
from .timing import bursts, sustained
from .variants import VARIANTS, count_kept, count_visited

__all__ = [
    "CEILING",
    "LENGTHS",
    "SIZES",
    "TILE_STEPS",
    "Group",
    "is_memory_bound",
    "make_groups",
    "measure_group",
    "walk_lengths",
]

#: (D, B, H, Hk, N), and the variants; none: all that the pack has.
_CORE = ("noop", "causal", "alibi_causal", "softcap_causal", "table_causal")
_PLAIN = ("noop", "causal")
SIZES: tuple[tuple[int, int, int, int, int, tuple[str, ...]], ...] = (
    (128, 1, 16, 16, 16384, ()),
    (128, 4, 16, 16, 4096, _CORE),
    (64, 1, 32, 32, 16384, ()),
    (64, 4, 32, 32, 4096, _CORE),
    (256, 2, 8, 8, 8192, ()),
    (256, 1, 8, 8, 16384, _PLAIN),
    (128, 2, 32, 8, 4096, _CORE),
    (128, 1, 32, 8, 16384, _PLAIN),
)

#: (D, B, H, Hk, lengths of the batches) of kernels that read lengths; their rows
#: are named by what comes behind the variant.
LENGTHS: dict[str, tuple[int, int, int, int, tuple[int, ...]]] = {
    "_lengths": (128, 4, 16, 16, (4096, 4096, 4096, 4096)),
    "_lengths_unequal": (128, 4, 16, 16, (1024, 2048, 3072, 4096)),
}
#: Steps that a tile takes besides those of its blocks.
TILE_STEPS = 0.7

#: The contestant that only moves what attention has to.
CEILING = "memory ceiling"
#: Operations a byte below which memory decides; an H100 has 250 to offer.
_MEMORY_BOUND = 128


@dataclass(frozen=True)
class Group:
    """What is timed in turn: one variant, dtype and size."""

    variant: str
    dtype: str
    D: int
    shape: Shape
    kernels: tuple[Kernel, ...]
    suffix: str = ""  # one of LENGTHS

    @property
    def name(self) -> str:
        return self.variant + self.suffix

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} D{self.D} {self.shape}"


def _fits(kernel: Kernel, shape: Shape) -> bool:
    multiple = int(kernel.limits.get("multiple", 1))
    if kernel.limits.get("square") and shape.Hk != shape.H:
        return False
    return shape.M % multiple == 0 and shape.N % multiple == 0


def _as_launched(kernels: Sequence[Kernel], shape: Shape) -> list[Kernel]:
    """One of a variant's two forms: the one that a launch takes."""
    sizes = {name: getattr(shape, name) for name in ("B", "H", "Hk", "M", "N")}

    def names(found: Iterable[Kernel]) -> set[tuple[str, str]]:
        return {(k.variant, k.dtype) for k in found}

    preferring = names(k for k in kernels if k.prefers_clusters(sizes))
    forms = names(k for k in kernels if k.is_cluster_form)

    def is_taken(kernel: Kernel) -> bool:
        taken = (kernel.variant, kernel.dtype) in preferring & forms
        if kernel.is_cluster_form:
            return taken
        return not (taken and kernel.prefers_clusters(sizes))

    return [kernel for kernel in kernels if is_taken(kernel)]


def make_groups(
    kernels: Sequence[Kernel], only: Iterable[str] = (), quick: bool = False
) -> list[Group]:
    """All groups that hold a kernel; `only` are texts that names must hold."""
    wanted = tuple(only)
    groups = []
    for D, B, H, Hk, N, names in SIZES[: 2 if quick else None]:
        shape = Shape(B, H, Hk, N, N)
        fitting = [
            k
            for k in kernels
            if k.head_dim == D and _fits(k, shape) and not k.reads_batches
        ]
        fitting = _as_launched(fitting, shape)
        found = dict.fromkeys((k.variant, k.dtype) for k in fitting)
        for variant, dtype in found:
            if names and variant not in names:
                continue
            members = tuple(
                k for k in fitting if (k.variant, k.dtype) == (variant, dtype)
            )
            groups.append(Group(variant, dtype, D, shape, members))
    for suffix, (D, B, H, Hk, lengths) in LENGTHS.items():
        shape = Shape(B, H, Hk, max(lengths), max(lengths), lengths=lengths)
        groups += [
            Group(k.variant, k.dtype, D, shape, (k,), suffix)
            for k in kernels
            if k.head_dim == D and k.reads_batches and k.variant == "noop"
        ]
    return [group for group in groups if all(text in str(group) for text in wanted)]


def walk_lengths(shape: Shape, tile: tuple[int, int]) -> tuple[int, float]:
    """Scores of all heads, and the steps that their tiles take: each its blocks
    and TILE_STEPS; behind the queries there is one tile at least, of one block."""
    scores, steps = 0, 0.0
    for length in shape.lengths:
        live, blocks = -(-length // tile[0]), -(-length // tile[1])
        dead = -(-shape.M // tile[0]) + 1 - live
        scores += length * length
        steps += live * (blocks + TILE_STEPS) + dead * (1 + TILE_STEPS)
    return shape.H * scores, shape.H * steps


def _label(kernel: Kernel, members: Sequence[Kernel]) -> str:
    """ "fovea", or with the kernel's name where there are several."""
    same = [k for k in members if k.kind == kernel.kind]
    return kernel.kind if len(same) == 1 else f"{kernel.kind}:{kernel.id}"


def _moved_bytes(inputs: Inputs) -> int:
    """Bytes of q, k, v and an output like q, each once."""
    tensors = (inputs.q, inputs.q, inputs.k, inputs.v)
    return sum(x.numel() * x.element_size() for x in tensors)


def is_memory_bound(inputs: Inputs, flops: int) -> bool:
    """Whether a stream of the tensors is what to be measured beside."""
    if inputs.q.shape != inputs.k.shape:
        return False
    return flops < _MEMORY_BOUND * _moved_bytes(inputs)


def _stream(torch: Any, inputs: Inputs) -> Callable[[], Any]:
    """One pass that reads q, k and v and writes as much as the output."""
    out = torch.empty_like(inputs.q)
    return lambda: torch.addcmul(inputs.q, inputs.k, inputs.v, out=out)


def measure_group(
    torch: Any,
    driver: Any,
    group: Group,
    peers: tuple[str, ...],
    processors: int,
    *,
    rounds: int = 4,
    with_sustained: bool = False,
) -> list[dict[str, Any]]:
    """One row a contestant: milliseconds and TFLOP/s of the kept scores."""
    variant, shape = VARIANTS[group.variant], group.shape
    stream = torch.cuda.current_stream().cuda_stream
    runs: dict[str, Any] = {}
    tiles: dict[str, tuple[int, int]] = {}
    inputs = make_inputs(torch, group.kernels[0], shape, gain=1.0)
    errors: dict[str, str] = {}
    if not group.suffix:
        runs, errors = make_peers(torch, variant, inputs, peers)
    for kernel in group.kernels:
        loaded = LoadedKernel(driver, kernel)
        outputs = make_outputs(torch, kernel, shape)
        packed = prepare(torch, loaded, inputs, outputs, processors)
        label = _label(kernel, group.kernels)
        runs[label] = loaded.launcher(packed, stream)
        tile = kernel.manifest.get("tile")
        if tile:
            tiles[label] = (int(tile["m"]), int(tile["n"]))
    given = (inputs.blocks, inputs.captures)
    if group.suffix:
        scores = walk_lengths(shape, (shape.M, shape.N))[0]
    else:
        kept = count_kept(torch, variant, shape.M, shape.N, given)
        scores = shape.B * shape.H * kept
    flops = 4 * group.D * scores
    if is_memory_bound(inputs, flops):
        runs[CEILING] = _stream(torch, inputs)
    times = bursts(torch, runs, 6 if shape.N > 5000 else 16, rounds)
    rows = []
    for name, time in times.items():
        row = _row(group, name) | time | {"tflops": flops / time["ms"] / 1e9}
        if name == CEILING:
            row["bytes_per_second"] = _moved_bytes(inputs) / time["ms"] * 1e3
        if with_sustained:
            row["sustained_tflops"] = flops / sustained(torch, runs[name]) / 1e9
        if name in tiles and group.suffix:
            steps = walk_lengths(shape, tiles[name])[1]
            row |= {"tile": list(tiles[name]), "steps": steps}
        elif name in tiles:
            tile = tiles[name]
            counts = count_visited(torch, variant, shape.M, shape.N, tile, given)
            row |= {
                "tile": list(tile),
                "query_tiles": len(counts),
                "visited": sum(counts),
            }
        rows.append(row)
    rows += [_row(group, name) | {"error": text} for name, text in errors.items()]
    return rows


def _row(group: Group, name: str) -> dict[str, Any]:
    shape = group.shape
    return {
        "variant": group.name,
        "dtype": group.dtype,
        "D": group.D,
        "B": shape.B,
        "H": shape.H,
        "Hk": shape.Hk,
        "N": shape.N,
        "impl": name,
    }
