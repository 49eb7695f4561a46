#!/usr/bin/env python3
"""Fovea itself on CUDA tensors: `fovea.attention` from Python on this machine's GPU.

    python test/gpu/python_calls.py                  all cases
    python test/gpu/python_calls.py --only streams   cases whose name holds a text

Needs an importable Fovea, torch and the NVIDIA driver (CuPy's cases are left out
where it is not installed). Each case runs in a child of its own; JSON lines go to
--out (default: $OUT, else here), a summary to the output.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fovea_gpu.call import Sequences, Shape, make_sequences
from fovea_gpu.children import run_child
from fovea_gpu.reference import attention as exact_attention
from fovea_gpu.reference import judge
from fovea_gpu.variants import VARIANTS, Blocks

Row = dict[str, Any]
Case = Callable[[], Iterator[Row]]
CASES: dict[str, Case] = {}
DTYPES = {"bf16": "bfloat16", "f16": "float16"}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def make(B: int, H: int, Hk: int, M: int, N: int, D: int, dtype: str, bshd=False):
    """q, k, v on the GPU; `bshd`: memory order (b, s, h, d)."""
    import torch

    generator = torch.Generator("cuda").manual_seed(B + 3 * H + 5 * M + 7 * N + D)

    def one(heads: int, length: int, gain: float) -> Any:
        sizes = (B, length, heads, D) if bshd else (B, heads, length, D)
        x = torch.randn(*sizes, generator=generator, device="cuda") * gain
        x = x.to(getattr(torch, DTYPES[dtype]))
        return x.transpose(1, 2) if bshd else x

    return one(H, M, 1.5), one(Hk, N, 1.0), one(Hk, N, 1.0)


def verdict(
    name: str,
    qkv: tuple,
    out: Any,
    lse: Any,
    captures: dict,
    blocks: Blocks | None = None,
    sequences: Sequences | None = None,
    rows: Any = None,
) -> Row:
    """The judge's word on a result of a variant of the GPU tests, or on some
    rows of it."""
    import torch

    q = qkv[0]
    if rows is None:
        rows = torch.arange(q.shape[2], device="cuda")
    given = (torch, VARIANTS[name], qkv, captures, 1 / math.sqrt(q.shape[3]), rows)
    more = {"blocks": blocks, "sequences": sequences}
    exact, exact_lse = exact_attention(*given, **more)
    plain, plain_lse = exact_attention(*given, plain=True, **more)
    dtype = "bf16" if q.dtype == torch.bfloat16 else "f16"
    found = judge(torch, out[:, :, rows], exact, plain, dtype)
    row = {"passed": found.passed, "error": found.error, "allowed": found.allowed}
    if lse is not None:
        columns = (x[..., None] for x in (lse[..., rows], exact_lse, plain_lse))
        second = judge(torch, *columns, dtype)
        row["passed"] &= second.passed
        row |= {"lse_error": second.error, "lse_allowed": second.allowed}
    same = out.dtype == q.dtype and out.device == q.device and out.shape == q.shape
    row["passed"] &= same
    return row


def variants(H: int, N: int) -> dict[str, tuple]:
    """(score_mod, mask_mod, normalizer, captures) by the name of the GPU tests."""
    import torch

    import fovea
    from fovea import ops

    slope = torch.exp2(-8.0 / H * torch.arange(1, H + 1, device="cuda")).float()
    table = torch.randn(H, 2 * N, device="cuda")
    gain, bias, sigma = (torch.randn(H, device="cuda") for _ in range(3))

    def causal(b, h, m, n):
        return n <= m

    def alibi(s, b, h, m, n):
        return s - slope[h] * (m - n)

    def softcap(s, b, h, m, n):
        return 30 * ops.tanh(s / 30)

    def relative(s, b, h, m, n):
        return s + table[h, m - n + N]

    def head_gain(s, b, h, m, n):
        return s * gain[h] + bias[h]

    sink = fovea.normalizers.sink(sigma)
    return {
        "noop": (None, None, "softmax", {}),
        "causal": (None, causal, "softmax", {}),
        "alibi_causal": (alibi, causal, "softmax", {"slope": slope}),
        "softcap_causal": (softcap, causal, "softmax", {}),
        "table_causal": (relative, causal, "softmax", {"table": table}),
        "head_gain_causal": (
            head_gain,
            causal,
            "softmax",
            {"gain": gain, "bias": bias},
        ),
        "sink_causal": (None, causal, sink, {"sigma": sigma}),
        "window200": (None, lambda b, h, m, n: (n <= m) & (m - n < 200), "softmax", {}),
        "prefix200": (None, lambda b, h, m, n: (n <= m) | (n < 200), "softmax", {}),
    }


@case
def results() -> Iterator[Row]:
    """Every variant, against f64."""
    import fovea

    shapes = [(2, 4, 2, 333, 333, False), (1, 2, 2, 640, 640, True)]
    for D, dtype in ((128, "bf16"), (64, "f16"), (256, "bf16")):
        for shape in shapes:
            *sizes, bshd = shape
            qkv = make(*sizes, D, dtype, bshd)
            for name, (score, mask, normalizer, captures) in variants(
                sizes[1], sizes[4]
            ).items():
                out, lse = fovea.attention(
                    *qkv, score, mask, normalizer=normalizer, return_lse=True
                )
                row = verdict(name, qkv, out, lse, captures)
                row["passed"] &= out.stride() == qkv[0].stride()
                yield {"shape": f"{name} D{D} {dtype} {shape}"} | row


@case
def block_masks() -> Iterator[Row]:
    """Masks that create_block_mask made, and a hand-built one."""
    import numpy as np
    import torch

    import fovea

    def causal(b, h, m, n):
        return n <= m

    qkv = make(2, 4, 2, 640, 640, 128, "bf16")
    for size in (128, 64):
        mask = fovea.create_block_mask(causal, 2, 4, 640, 640, size)
        out = fovea.attention(*qkv, block_mask=mask)
        row = verdict("causal", qkv, out, None, {})
        yield {"shape": f"causal by tiles of {size}"} | row
    classes = np.random.default_rng(3).integers(0, 3, (2, 4, 5, 5), dtype=np.int8)
    lists = []
    for kind in (1, 2):
        chosen = classes == kind
        order = np.argsort(~chosen, axis=-1, kind="stable").astype(np.int32)
        lists += [chosen.sum(-1).astype(np.int32), order]
    mask = fovea.BlockMask.from_kv_blocks(*lists, BLOCK_SIZE=128, mask_mod=causal)
    out = fovea.attention(*qkv, block_mask=mask)
    blocks = Blocks(torch.from_numpy(classes).cuda(), (128, 128))
    row = verdict("lists128x128_causal", qkv, out, None, {}, blocks)
    yield {"shape": "tiles of every class anywhere"} | row


def poison(qkv: tuple, sequences: Sequences) -> tuple:
    """The tensors with nothing but NaN beyond the lengths."""
    lengths = (sequences.q_lengths, sequences.kv_lengths, sequences.kv_lengths)
    made = tuple(x.clone() for x in qkv)
    for x, ends in zip(made, lengths, strict=True):
        for b, end in enumerate(ends):
            x[b, :, end:] = float("nan")
    return made


@case
def lengths() -> Iterator[Row]:
    """Offsets and lengths of each batch: arrays of both widths, one number for all."""
    import numpy as np

    import fovea

    B, H, Hk, M, N = 6, 4, 2, 333, 450
    ragged = make_sequences(Shape(B, H, Hk, M, N, ragged=True))
    keys = tuple(N - 61 * b for b in range(B))
    ends = Sequences(tuple(max(0, n - M) for n in keys), (0,) * B, (M,) * B, keys)
    forms = {"ragged": (ragged, np.int64), "ends": (ends, np.int32)}
    few = ("noop", "window200")
    for D, dtype, names in (
        (128, "bf16", (*few, "causal", "alibi_causal", "sink_causal")),
        (64, "f16", few),
        (256, "bf16", few),
    ):
        qkv = make(B, H, Hk, M, N, D, dtype)
        every = variants(H, N)
        for name in names:
            score, mask, normalizer, captures = every[name]
            for form, (sequences, integer) in forms.items():
                given = poison(qkv, sequences)
                batches = {
                    "q_offset": np.array(sequences.q_offset, integer),
                    "kv_offset": np.array(sequences.kv_offset, integer),
                    "q_lengths": np.array(sequences.q_lengths, integer),
                    "kv_lengths": np.array(sequences.kv_lengths, integer),
                }
                out, lse = fovea.attention(
                    *given,
                    *(score, mask),
                    normalizer=normalizer,
                    return_lse=True,
                    **batches,
                )
                row = verdict(name, given, out, lse, captures, sequences=sequences)
                yield {"shape": f"{name} D{D} {dtype} {form}"} | row
    qkv = make(2, 4, 2, 256, 512, 128, "bf16")
    out = fovea.attention(*qkv, q_offset=200, kv_lengths=400)
    one = Sequences((200,) * 2, (0,) * 2, (256,) * 2, (400,) * 2)
    row = verdict("noop", qkv, out, None, {}, sequences=one)
    yield {"shape": "one number for all"} | row
    # The usual form again, and lengths that are whole.
    whole = fovea.attention(*qkv, kv_lengths=np.array([512, 512]))
    same = bool((whole == fovea.attention(*qkv)).all())
    yield {"shape": "whole lengths", "passed": same}


@case
def clusters() -> Iterator[Row]:
    """Tiles long and many enough that two heads of a key head load together;
    with a key head for each they do not."""
    import torch

    import fovea

    N = 8192
    rows = torch.arange(0, N, 127, device="cuda")
    for D, dtype, H, Hk in (
        (128, "bf16", 32, 8),
        (128, "f16", 32, 8),
        (256, "bf16", 16, 4),
    ):
        q, k, v = make(1, H, Hk, N, N, D, dtype)
        alone = tuple(x.repeat_interleave(H // Hk, 1) for x in (k, v))
        for name in ("noop", "causal"):
            score, mask, _, captures = variants(H, N)[name]
            out = fovea.attention(q, k, v, score, mask)
            row = verdict(name, (q, k, v), out, None, captures, rows=rows)
            row["passed"] &= torch.equal(out, fovea.attention(q, *alone, score, mask))
            yield {"shape": f"{name} D{D} {dtype}"} | row


@case
def beside_sdpa() -> Iterator[Row]:
    """The difference from torch's own attention in f32, on the same numbers."""
    import torch

    import fovea

    for D, dtype in ((128, "bf16"), (64, "f16"), (256, "bf16")):
        for causal in (False, True):
            qkv = make(1, 8, 8, 1024, 1024, D, dtype)
            mask = (lambda b, h, m, n: m >= n) if causal else None
            out = fovea.attention(*qkv, None, mask).float()
            attend = torch.nn.functional.scaled_dot_product_attention
            wide = attend(*(x.float() for x in qkv), is_causal=causal)
            own = attend(*qkv, is_causal=causal).float()
            error = float((out - wide).abs().mean())
            allowed = 1.2 * float((own - wide).abs().mean())
            name = f"D{D} {dtype} {'causal' if causal else 'full'}"
            yield {
                "shape": name,
                "passed": error <= allowed,
                "error": error,
                "allowed": allowed,
            }


def refused(name: str, kind: type, text: str, call: Callable[[], Any]) -> Row:
    try:
        call()
    except Exception as error:
        good = type(error) is kind and text in str(error)
        row = {"passed": good, "said": f"{type(error).__name__}: {error}"}
    else:
        row = {"passed": False, "said": "nothing"}
    return {"shape": name, "wanted": f"{kind.__name__}: ...{text}..."} | row


@case
def refusals() -> Iterator[Row]:
    """Each call that a GPU does not take says what is missing."""
    import numpy as np
    import torch

    import fovea

    def causal(b, h, m, n):
        return n <= m

    q, k, v = make(1, 2, 2, 128, 128, 128, "bf16")
    attention = fovea.attention
    bias = torch.randn(128, 128)
    wide = [x.double() for x in (q, k, v)]
    odd = make(1, 2, 2, 128, 128, 96, "bf16")
    unsupported = ValueError
    calls = [
        ("k on the CPU", ValueError, "k: device", lambda: attention(q, k.cpu(), v)),
        (
            "a capture on the CPU",
            ValueError,
            "a capture must be where q is (cuda:0), got cpu",
            lambda: attention(q, k, v, lambda s, b, h, m, n: s + bias[m, n]),
        ),
        ("f32", unsupported, "", lambda: attention(q.float(), k.float(), v.float())),
        ("f64", unsupported, "", lambda: attention(*wide)),
        ("D 96", unsupported, "", lambda: attention(*odd)),
        (
            "an offset beside a block mask",
            unsupported,
            "q_offset: must be that of block_mask (0), got 3",
            lambda: attention(
                *(q, k, v),
                block_mask=fovea.create_block_mask(causal, 1, 2, 128, 128),
                q_offset=3,
            ),
        ),
        (
            "an offset before the first position",
            unsupported,
            "q_offset: must be 0 to ",
            lambda: attention(q, k, v, q_offset=-3),
        ),
        (
            "the CPU's target",
            ValueError,
            "target",
            lambda: attention(q, k, v, target="cpu"),
        ),
        (
            "a mask of other tiles",
            unsupported,
            "retile",
            lambda: attention(
                q, k, v, block_mask=fovea.create_block_mask(causal, 1, 2, 128, 128, 48)
            ),
        ),
        (
            "a last stride",
            ValueError,
            "need a last stride of 1",
            lambda: attention(q.mT.contiguous().mT, k, v),
        ),
        (
            "a cut full tile",
            ValueError,
            "a tile that the keys' end cuts must be partial",
            lambda: attention(
                q,
                k[:, :, :100],
                v[:, :, :100],
                block_mask=fovea.BlockMask.from_kv_blocks(
                    *(np.array(x) for x in ([[[0]]], [[[[0]]]], [[[1]]], [[[[0]]]])),
                    mask_mod=causal,
                    seq_lengths=(128, 100),
                ),
            ),
        ),
        (
            "grad",
            TypeError,
            "forward only",
            lambda: attention(q.clone().requires_grad_(), k, v),
        ),
    ]
    with torch.enable_grad():
        for one in calls:
            yield refused(*one)
    out = attention(q, k, v)
    yield {"shape": "the next call"} | verdict("noop", (q, k, v), out, None, {})


@case
def streams() -> Iterator[Row]:
    """Calls on the current stream, of several streams and threads at once."""
    import threading

    import torch

    import fovea

    qkv = make(2, 8, 4, 1024, 1024, 128, "bf16")
    first = fovea.attention(*qkv)
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(50_000_000)
        late = tuple(x * 1 for x in qkv)
        out = fovea.attention(*late)
    waited = not side.query()
    torch.cuda.synchronize()
    yield {"shape": "behind what made its inputs", "passed": bool((out == first).all())}
    yield {"shape": "without waiting", "passed": waited}
    wrong: list[str] = []

    def work(number: int) -> None:
        mine = torch.cuda.Stream()
        scaled = tuple(x * (1 + number % 3) for x in qkv)
        torch.cuda.synchronize()
        with torch.cuda.stream(mine):
            outs = [fovea.attention(*scaled) for _ in range(40)]
        mine.synchronize()
        if any(not torch.equal(outs[0], out) for out in outs[1:]):
            wrong.append(f"thread {number}")
        if number % 3 == 0 and not torch.equal(outs[0], first):
            wrong.append(f"thread {number}: not the first result")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield {"shape": "8 threads", "passed": not wrong, "reason": "; ".join(wrong)}


@case
def pointers() -> Iterator[Row]:
    """Calls of one shape on other memory, and of other shapes in between."""
    import torch

    import fovea

    wrong = 0
    kept = []
    for i in range(60):
        length = (256, 256, 384)[i % 3]
        q, k, v = (x * (1 + i % 5) for x in make(1, 4, 2, length, length, 64, "f16"))
        kept.append((q, k, v))
        out = fovea.attention(q, k, v, scale=0.05)
        group = (x.repeat_interleave(2, 1) for x in (k, v))
        attend = torch.nn.functional.scaled_dot_product_attention
        wide = attend(*(x.float() for x in (q, *group)), scale=0.05)
        wrong += not torch.allclose(out.float(), wide, atol=2e-2, rtol=2e-2)
    yield {"shape": "60 calls", "passed": not wrong, "wrong": wrong}


@case
def cupy_arrays() -> Iterator[Row]:
    """CuPy's arrays in, CuPy's arrays out."""
    if importlib.util.find_spec("cupy") is None:
        return
    import cupy
    import torch

    import fovea

    q, k, v = make(1, 2, 2, 256, 256, 128, "f16")
    out = fovea.attention(*(cupy.asarray(x) for x in (q, k, v)))
    good = type(out) is cupy.ndarray
    back = torch.as_tensor(out, device="cuda")
    yield {"shape": "f16"} | verdict("noop", (q, k, v), back, None, {})
    yield {"shape": "type", "passed": good}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], help="texts in names")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a case")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")))
    options = parser.parse_args()
    rows: list[Row] = []
    for name, work in CASES.items():
        if not all(text in name for text in options.only):
            continue
        add = lambda row, name=name: rows.append({"case": name} | row)  # noqa: E731
        problem = run_child(work, (), options.timeout, add)
        if problem:
            add({"passed": False, "reason": problem})
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "python_calls.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    failed = [row for row in rows if not row["passed"]]
    for row in failed:
        print(json.dumps(row))
    print(f"{len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
