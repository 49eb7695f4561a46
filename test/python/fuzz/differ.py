"""Runs a random variant on the CPU and in the f64 interpreter, and compares."""

from __future__ import annotations

import json
import traceback
from typing import Any

import numpy as np
from judge import judge
from programs import NUMPY, Call, Variant, random_call, random_variant
from reference import reference_attention

from fovea import _native

NAMES = {dtype: name for name, dtype in NUMPY.items()}


def tensor(array: np.ndarray) -> tuple:
    """The native module's description of an array."""
    size = array.dtype.itemsize
    assert all(stride % size == 0 for stride in array.strides)
    strides = tuple(stride // size for stride in array.strides)
    address = array.__array_interface__["data"][0]
    return address, NAMES[array.dtype], array.shape, strides


def compile_variant(variant: Variant, target: str) -> Any:
    text = json.dumps(variant.program, sort_keys=True, separators=(",", ":"))
    return _native.compile(text, target=target)[0]


def run(kernel: Any, variant: Variant, call: Call) -> tuple[Any, Any]:
    """(out, lse or None); results start as NaN, so that unwritten ones show."""
    batch, heads, rows, _ = call.q.shape
    score = np.float64 if variant.dtype == np.float64 else np.float32
    out = np.full((batch, heads, rows, call.v.shape[3]), np.nan, variant.dtype)
    lse = None
    if variant.program["return_lse"]:
        lse = np.full((batch, heads, rows), np.nan, score)
    positions = [
        None if name not in call.options else [int(x) for x in call.options[name]]
        for name in ("q_offset", "kv_offset", "q_lengths", "kv_lengths")
    ]
    kernel.launch(
        [tensor(call.q)],
        [tensor(call.k)],
        tensor(call.v),
        tensor(out),
        None if lse is None else tensor(lse),
        [tensor(array) for array in call.captures],
        [call.scale],
        *positions,
        None if call.classes is None else tensor(call.classes),
        None if call.classes is None else call.tile,
    )
    return out, lse


def classes_of_pairs(call: Call) -> np.ndarray | None:
    """The block mask's class of every (query, key)."""
    if call.classes is None:
        return None
    rows, keys = call.q.shape[2], call.k.shape[2]
    spread = call.classes.repeat(call.tile[0], 2)[:, :, :rows]
    return spread.repeat(call.tile[1], 3)[..., :keys]


def exact_results(variant: Variant, call: Call, interpreter: Any) -> tuple[Any, Any]:
    """By the interpreter, or where it reports an index that kernels clamp (S7),
    by the NumPy reference, which clamps."""
    try:
        return run(interpreter, variant, call)
    except IndexError:
        return reference(variant, call, None)


def reference(variant: Variant, call: Call, working: Any) -> tuple[Any, Any]:
    """The NumPy reference: exact, or the plain computation in a working type."""
    return reference_attention(
        variant.program,
        call.q,
        call.k,
        call.v,
        call.captures,
        call.scale,
        classes=classes_of_pairs(call),
        working=working,
        **call.options,
    )


def difference(variant: Variant, call: Call, cpu: Any, interpreter: Any) -> str:
    """Empty where the CPU's results pass the judge, else what is wrong."""
    out, lse = run(cpu, variant, call)
    exact, exact_lse = exact_results(variant, call, interpreter)
    plain, plain_lse = reference(variant, call, variant.dtype)
    verdict = judge(out, exact, plain, variant.dtype)
    if not verdict.passed:
        return f"out: {verdict}"
    if lse is not None:
        columns = (x[..., None] for x in (lse, exact_lse, plain_lse))
        verdict = judge(*columns, variant.dtype)
        if not verdict.passed:
            return f"lse: {verdict}"
    return ""


def fuzz_variant(seed: int, calls: int) -> list[str]:
    """The differences of one variant over some calls, each with its seed."""
    variant = random_variant(seed)
    cpu = compile_variant(variant, "cpu")
    interpreter = compile_variant(variant, "interpreter")
    found = []
    for index in range(calls):
        call_seed = seed * 1000 + index
        call = random_call(variant, call_seed)
        try:
            with np.errstate(all="ignore"):
                problem = difference(variant, call, cpu, interpreter)
        except Exception:  # noqa: BLE001 - reported with the seed that shows it
            problem = traceback.format_exc()
        if problem:
            shapes = [x.shape for x in (call.q, call.k, call.v)]
            found.append(f"seed {seed} call {index} {shapes} {call.options}: {problem}")
    return found
