"""One kernel on one set of torch tensors."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, field
from typing import Any

from .driver import LoadedKernel, Packed
from .manifest import Kernel, LaunchTensor, LaunchValues
from .variants import VARIANTS, Blocks, Captures

__all__ = ["Inputs", "Outputs", "Shape", "make_inputs", "make_outputs", "prepare"]

CANARY = 64  # elements on each side of an output


@dataclass(frozen=True)
class Shape:
    """Sizes of a launch; layout is "bhsd" or "bshd" (memory order).

    The full tiles of a block mask agree with its mask, but where `loose`.
    """

    B: int
    H: int
    Hk: int
    M: int
    N: int
    layout: str = "bhsd"
    sign: int = 1  # of the scale; 0: no scale
    loose: bool = False
    ragged: bool = False  # offsets, and lengths beyond which nothing is a number
    lengths: tuple[int, ...] = ()  # of queries and keys of each batch

    def __str__(self) -> str:
        heads = str(self.H) if self.Hk == self.H else f"{self.H}/{self.Hk}"
        sign = "" if self.sign == 1 else f" sign {self.sign}"
        kind = (" loose" if self.loose else "") + (" ragged" if self.ragged else "")
        kind += f" lengths {self.lengths}" if self.lengths else ""
        return f"B{self.B} H{heads} M{self.M} N{self.N} {self.layout}{sign}{kind}"


@dataclass(frozen=True)
class Sequences:
    """Offsets and lengths of each batch."""

    q_offset: tuple[int, ...]
    kv_offset: tuple[int, ...]
    q_lengths: tuple[int, ...]
    kv_lengths: tuple[int, ...]


def make_sequences(shape: Shape) -> Sequences:
    """Whole ones; where `ragged`, lengths from none to all, keys that begin
    before, at and behind queries, and queries at the end of their keys."""
    B, M, N = shape.B, shape.M, shape.N
    if shape.lengths:
        return Sequences((0,) * B, (0,) * B, shape.lengths, shape.lengths)
    if not shape.ragged:
        return Sequences((0,) * B, (0,) * B, (M,) * B, (N,) * B)
    queries = tuple((M, 0, M // 2, 1, M - 1)[b % 5] for b in range(B))
    keys = tuple((N - 1, N, N // 3, 0, 1, N // 2)[b % 6] for b in range(B))
    firsts = tuple((0, N // 7, 0, 5)[b % 4] for b in range(B))
    begins = tuple(
        max(0, first + key - query) if b % 3 < 2 else 3 * N // 4
        for b, (first, key, query) in enumerate(zip(firsts, keys, queries, strict=True))
    )
    return Sequences(begins, firsts, queries, keys)


@dataclass
class Inputs:
    """Tensors that a kernel reads."""

    q: Any
    k: Any
    v: Any
    captures: Captures
    scale: float
    blocks: Blocks | None = None
    sequences: Sequences | None = None


@dataclass
class Outputs:
    """Tensors that a kernel writes, inside buffers with guarded ends."""

    out: Any
    lse: Any
    buffers: list[Any] = field(default_factory=list)

    def poison(self) -> None:
        for buffer in self.buffers:
            buffer.fill_(float("nan"))

    def ends_untouched(self, torch: Any) -> bool:
        return all(
            bool(torch.isnan(x[:CANARY]).all() and torch.isnan(x[-CANARY:]).all())
            for x in self.buffers
        )


def torch_dtype(torch: Any, name: str) -> Any:
    return {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[name]


def _arrange(x: Any, layout: str) -> Any:
    """The same values with (b, s, h, d) as their memory order."""
    if layout == "bhsd":
        return x
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def make_inputs(
    torch: Any, kernel: Kernel, shape: Shape, device: str = "cuda", gain: float = 1.5
) -> Inputs:
    """Normal numbers, the same for the same shape; q is `gain` times as wide."""
    generator = torch.Generator(device=device)
    generator.manual_seed(shape.N + 7 * shape.B + 13 * shape.M)
    dtype, D = torch_dtype(torch, kernel.dtype), kernel.head_dim
    E = int(kernel.manifest["E"])

    def make(*sizes: int) -> Any:
        values = torch.randn(*sizes, generator=generator, device=device)
        return values

    q = (make(shape.B, shape.H, shape.M, D) * gain).to(dtype)
    k = make(shape.B, shape.Hk, shape.N, D).to(dtype)
    v = make(shape.B, shape.Hk, shape.N, E).to(dtype)
    sequences = make_sequences(shape)
    for b, (queries, keys) in enumerate(
        zip(sequences.q_lengths, sequences.kv_lengths, strict=True)
    ):
        q[b, :, queries:] = k[b, :, keys:] = v[b, :, keys:] = float("nan")
    q, k, v = (_arrange(x, shape.layout) for x in (q, k, v))
    variant = VARIANTS[kernel.variant]
    captures = variant.make_captures(torch, shape.H, shape.N, generator)
    lengths = (shape.B, shape.H, shape.M, shape.N)
    blocks = variant.make_blocks(torch, *lengths, generator, shape.loose)
    scale = shape.sign / math.sqrt(D)
    return Inputs(q, k, v, captures, scale, blocks, sequences)


def make_outputs(
    torch: Any, kernel: Kernel, shape: Shape, device: str = "cuda"
) -> Outputs:
    """Poisoned outputs in the memory order of the inputs."""
    E = int(kernel.manifest["E"])
    dtype = torch_dtype(torch, kernel.dtype)
    buffers = []

    def make(sizes: tuple[int, ...], kind: Any) -> Any:
        count = math.prod(sizes)
        buffer = torch.full(
            (count + 2 * CANARY,), float("nan"), dtype=kind, device=device
        )
        buffers.append(buffer)
        return buffer[CANARY : CANARY + count].view(sizes)

    B, H, M = shape.B, shape.H, shape.M
    if shape.layout == "bshd":
        out = make((B, M, H, E), dtype).transpose(1, 2)
    else:
        out = make((B, H, M, E), dtype)
    lse = make((B, H, M), torch.float32) if kernel.returns_lse else None
    return Outputs(out, lse, buffers)


def _prototype_table(torch: Any, table: Any) -> Any:
    """table[h, m - n + N] in log2 units, as the prototype's kernels read it:
    T, then T moved by one word, padded at both ends."""
    x = table.flatten() * 1.44269504
    y = torch.cat([x, x.new_zeros(512)])
    parts = [x.new_zeros(512), y[: x.numel()], y[1 : x.numel() + 1]]
    return torch.cat([*parts, x.new_zeros(1024)])[512:]


def _describe(tensor: Any) -> LaunchTensor:
    return LaunchTensor(tensor.data_ptr(), tuple(tensor.shape), tuple(tensor.stride()))


def _kernel_captures(torch: Any, kernel: Kernel, captures: Captures) -> Captures:
    """Captures by the names of the manifest."""
    if not kernel.captures:
        return captures
    handed = {}
    for name, source in kernel.captures.items():
        if source == "prototype_table":
            handed[name] = _prototype_table(torch, captures["table"])
        else:
            handed[name] = captures[source]
    return handed


_ANY_TILE = 3 << 24  # a tile that holds a whole length is a multiple of any


def _describe_blocks(blocks: Blocks, B: int, H: int) -> LaunchTensor:
    """The classes of all heads, by stride 0 where they share them."""
    classes = blocks.classes
    steps = tuple(
        0 if extent == 1 else step
        for extent, step in zip(classes.shape[:2], classes.stride()[:2], strict=True)
    )
    strides = (*steps, *classes.stride()[2:])
    return LaunchTensor(classes.data_ptr(), (B, H, *classes.shape[2:]), strides)


def tile_sizes(tile: tuple[int, int] | None, M: int, N: int) -> dict[str, int]:
    """BQ and BKV of a launch with a block mask of such tiles, or without one."""
    pairs = zip(("BQ", "BKV"), tile or (M, N), (M, N), strict=True)
    return {name: _ANY_TILE if size >= length else size for name, size, length in pairs}


def prepare(
    torch: Any,
    loaded: LoadedKernel,
    inputs: Inputs,
    outputs: Outputs,
    processors: int,
    device: str = "cuda",
) -> Packed:
    """Pack the arguments of a launch, with a workspace of its own."""
    kernel = loaded.kernel
    B, H, M, D = inputs.q.shape
    sizes = {
        "B": B,
        "H": H,
        "Hk": inputs.k.shape[1],
        "M": M,
        "N": inputs.k.shape[2],
        "D": D,
        "E": inputs.v.shape[3],
        "SM": processors,
        "SIGN": (inputs.scale > 0) - (inputs.scale < 0),
    } | tile_sizes(
        None if inputs.blocks is None else inputs.blocks.size, M, inputs.k.shape[2]
    )
    tensors = {"q": inputs.q, "k": inputs.k, "v": inputs.v, "out": outputs.out}
    if outputs.lse is not None:
        tensors["lse"] = outputs.lse
    handed = _kernel_captures(torch, kernel, inputs.captures)
    tensors |= {f"@{name}": tensor for name, tensor in handed.items()}
    described = {name: _describe(tensor) for name, tensor in tensors.items()}
    if inputs.blocks is not None:
        described["block_mask"] = _describe_blocks(inputs.blocks, B, H)
    batches = () if inputs.sequences is None else astuple(inputs.sequences)
    values = LaunchValues(sizes, described, (inputs.scale,), batches)
    size = loaded.workspace_bytes(values)
    workspace = torch.zeros(max(1, -(-size // 4)), dtype=torch.int32, device=device)
    size = loaded.scratch_bytes(values)
    scratch = torch.full((max(16, size),), 0x5A, dtype=torch.int8, device=device)
    packed = loaded.pack(values, workspace.data_ptr(), scratch.data_ptr())
    packed.keep += [workspace, scratch, handed, inputs, outputs]
    packed.workspace = workspace
    return packed
