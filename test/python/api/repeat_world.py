"""Mods that reach everything a mod can reach, calls of them, and what may change.

`answers` plays a game: something changes, then there is a call. Played with nothing
remembered from call to call it says what the quick path has to answer.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import random
import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

import fovea
from fovea import _compiler, _inputs, _repeat
from fovea.dsl import clear_memo

HEADS, LENGTH, D = 2, 12, 8

_SOURCE = """
def kind(x):
    kinds = {"int": 1.1, "float": 1.2, "bool": 1.3, "float32": 1.4, "int64": 1.5}
    return kinds[type(x).__name__] * (1.05 if str(x) == "-0.0" else 1.0)

def helper(x):
    return x * gain * kind(gain)

def other_helper(x):
    return x * gain * kind(gain) * 0.75

def score(s, b, h, q, k, bias=0.5, *, w=0.25, extra=table):
    s = helper(s) * kind(parts[1]) * kind(bias) * kind(w) * kind(cfg.inner.number)
    return s + cfg.slope[h] * (k - q) + (parts[1] + bias * w) * k + extra[k]

def keyword_score(s, b, h, q, k, *, u):
    return s + u[h] * cfg.inner.number * k * kind(cfg.inner.number)

def make(window):
    def mask(b, h, q, k):
        return (q - k < window) & (doc[q] == named["doc"][k])
    def other(b, h, q, k):
        return (k - q < window) & (doc[q] == doc[k])
    return mask, other
"""

CONSTANTS = (1, 1.0, True, np.float32(1), 0.0, -0.0, float("nan"), 2, np.int64(2))


def forget() -> None:
    """Let the next call find nothing of an earlier one, but compiled code."""
    _compiler.clear()
    _repeat.clear()
    clear_memo()
    _inputs._geometries.clear()
    _inputs._captures_seen.clear()


def misaligned(array: np.ndarray) -> np.ndarray:
    """The same values one byte off."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


class World:
    """One set of mods with what they reach."""

    def __init__(self, seed: int, remembers: bool) -> None:
        self.random = random.Random(seed)
        self.rng = np.random.default_rng(seed)
        self.remembers = remembers
        self.round: int | None = None
        space: dict[str, Any] = {"__name__": "world"}
        space["table"] = self.floats(LENGTH)
        exec(compile(_SOURCE, "<world>", "exec"), space)
        space["gain"] = 1.5
        space["doc"] = np.repeat(np.arange(3), LENGTH // 3)
        space["named"] = {"doc": space["doc"]}
        space["parts"] = [0, 1.0]
        space["cfg"] = types.SimpleNamespace(
            slope=self.floats(HEADS), inner=types.SimpleNamespace(number=2)
        )
        self.space = space
        self.mask, self.other_mask = space["make"](4)
        self.score: Any = space["score"]
        self.captures: Any = None
        self.kernels: dict[tuple, fovea.Kernel] = {}
        self.block_mask: Any = None
        self.qkv = self.tensors()
        self.options: dict[str, Any] = {}

    def floats(self, *shape: int, dtype: Any = np.float32) -> np.ndarray:
        return self.rng.standard_normal(shape).astype(dtype)

    def tensors(self, M=LENGTH, N=LENGTH, B=1, dtype: Any = np.float32) -> list:
        shapes = ((B, HEADS, M, D), (B, 1, N, D), (B, 1, N, D))
        return [self.floats(*shape, dtype=dtype) for shape in shapes]

    def choose(self, options: Sequence) -> Any:
        """One of the options: by chance, or the next one each round."""
        if self.round is None:
            return self.random.choice(options)
        return options[self.round % len(options)]

    def repair(self) -> None:
        """Back to a world whose calls are taken."""
        self.space["gain"] = 1.5
        for change in REPAIRS:
            change(self)

    def call(self, through: str) -> tuple:
        """What a call answers: looks and bits of its results, or its error."""
        if not self.remembers:
            forget()
        try:
            result = self._results(through)
        except Exception as error:
            # Functions of one code share a trace, which has the first one's name.
            text = re.sub(r"0x[0-9a-f]+|(?<=mask_mod )'\w+'", "", str(error))
            return type(error).__name__, text
        arrays = result if isinstance(result, tuple) else (result,)
        return tuple(
            (
                type(x).__name__,
                x.dtype.str,
                x.shape,
                x.strides,
                hashlib.sha256(x.tobytes()).hexdigest()[:12],
            )
            for x in arrays
        )

    def _results(self, through: str) -> Any:
        mods = self.score, self.mask
        options = {**self.options, "captures": self.captures}
        if through == "attention":
            return fovea.attention(
                *self.qkv, *mods, block_mask=self.block_mask, **options
            )
        fixed = {k: options.pop(k) for k in ("scale", "return_lse") if k in options}
        dtype = self.qkv[0].dtype
        key = (*mods, dtype.str, repr(fixed), self.block_mask is None)
        if key not in self.kernels:
            self.kernels[key] = fovea.compile(
                *mods, D=D, dtype=dtype, block_mask=self.block_mask is not None,
                captures=options["captures"], **fixed,
            )  # fmt: skip
            options.pop("captures")
        kernel = self.kernels[key]
        if not self.remembers:
            kernel._calls = _repeat.follower()
            traced = types.SimpleNamespace(
                names=(), parameters=(), again=lambda roots: None, core=None
            )
            kernel._state = (traced, *kernel._state[1:])
        return kernel(*self.qkv, block_mask=self.block_mask, **options)


# ---- What may change -----------------------------------------------------------


def _constant(world: World) -> Any:
    return world.choose(CONSTANTS)


def doc_values(w: World) -> None:
    w.space["doc"][w.random.randrange(len(w.space["doc"]))] += 1


def doc_rebound(w: World) -> None:
    w.space["doc"] = w.space["doc"].copy()


def doc_resized(w: World) -> None:
    w.space["doc"] = np.repeat(np.arange(2), w.choose((3, 6, 8)))


def doc_resized_in_place(w: World) -> None:
    doc = np.zeros(LENGTH, np.int64)
    w.space["doc"] = doc
    w.call("attention")
    doc.resize(w.choose((LENGTH // 2, 2 * LENGTH)), refcheck=False)


def doc_strides(w: World) -> None:
    views = (slice(None, None, 2), slice(None, None, -1), slice(1, None))
    w.space["doc"] = np.repeat(np.arange(4), 8)[w.choose(views)]


def doc_of_records(w: World) -> None:
    """Elements that lie nine bytes apart, the first of them aligned."""
    records = np.zeros(LENGTH, [("a", np.int64), ("b", np.int8)])
    records["a"] = np.arange(LENGTH) // 4
    w.space["doc"] = records["a"]


def doc_broadcast(w: World) -> None:
    w.space["doc"] = np.broadcast_to(np.int64(w.choose(range(3))), LENGTH)


def doc_dtype(w: World) -> None:
    kinds = (np.int8, np.uint16, np.int32, np.int64, np.uint64, np.bool_, np.float32)
    w.space["doc"] = np.asarray(w.space["doc"]).astype(w.choose(kinds))


def doc_shape_assigned(w: World) -> None:
    doc = np.arange(LENGTH) // 4
    w.space["doc"] = doc
    w.call("attention")
    doc.shape = (2, LENGTH // 2)


def doc_byte_order(w: World) -> None:
    w.space["doc"] = w.space["doc"].astype(">i4")


def doc_misaligned(w: World) -> None:
    w.space["doc"] = misaligned(np.arange(LENGTH) // 4)


def doc_read_only(w: World) -> None:
    w.space["doc"] = w.space["doc"].copy()
    w.space["doc"].flags.writeable = False


def doc_masked(w: World) -> None:
    w.space["doc"] = np.ma.masked_array(np.arange(LENGTH) // 4)


def doc_empty(w: World) -> None:
    w.space["doc"] = np.zeros(0, np.int64)


def doc_is_no_array(w: World) -> None:
    w.space["doc"] = w.choose(([0] * LENGTH, None, 3))


def doc_again(w: World) -> None:
    w.space["doc"] = np.arange(LENGTH) // w.choose((3, 4))


def doc_in_a_dict(w: World) -> None:
    w.space["named"]["doc"] = np.arange(LENGTH) // w.choose((3, 4))


def dict_has_one_more(w: World) -> None:
    w.space["named"][w.choose("xyz")] = _constant(w)


def same_identity(w: World) -> None:
    """A freed array, whose identity the next one may have."""
    for _ in range(4):
        w.space["doc"] = None
        gc.collect()
        w.space["doc"] = np.full(LENGTH, w.choose(range(3)))


def attribute_array(w: World) -> None:
    w.space["cfg"].slope = w.floats(w.choose((1, HEADS, 5)))


def attribute_is_a_number(w: World) -> None:
    w.space["cfg"].slope = np.float32(2)


def attribute_again(w: World) -> None:
    w.space["cfg"].slope = w.floats(HEADS, dtype=w.choose((np.float32, "f8")))


def attribute_bfloat16(w: World) -> None:
    w.space["cfg"].slope = w.floats(HEADS).astype(ml_dtypes.bfloat16)


def object_replaced(w: World) -> None:
    old = w.space["cfg"]
    w.space["cfg"] = types.SimpleNamespace(slope=old.slope, inner=old.inner)


def list_element(w: World) -> None:
    w.space["parts"][1] = _constant(w)


def list_shrinks(w: World) -> None:
    w.space["parts"] = [0, 1.0, _constant(w)][: w.choose((2, 3))]


def nested_attribute(w: World) -> None:
    w.space["cfg"].inner.number = _constant(w)


def global_constant(w: World) -> None:
    w.space["gain"] = _constant(w)


def global_function(w: World) -> None:
    w.space["helper"] = w.space["other_helper"]


def global_is_gone(w: World) -> None:
    w.space.pop("gain", None)


def builtin_is_hidden(w: World) -> None:
    w.space["abs"] = lambda x: x


def closure(w: World) -> None:
    w.mask.__closure__[
        w.mask.__code__.co_freevars.index("window")
    ].cell_contents = w.choose((2, 4, 4.0, True))


def default(w: World) -> None:
    w.space["score"].__defaults__ = (_constant(w),)


def no_default(w: World) -> None:
    w.space["score"].__defaults__ = None


def keyword_default(w: World) -> None:
    w.space["score"].__kwdefaults__["w"] = _constant(w)


def keyword_defaults_replaced(w: World) -> None:
    kept = w.space["score"].__kwdefaults__ or {}
    w.space["score"].__kwdefaults__ = {**kept, "extra": w.floats(LENGTH)}


def code_swapped(w: World) -> None:
    a, b = w.mask, w.other_mask
    a.__code__, b.__code__ = b.__code__, a.__code__


def mask_replaced(w: World) -> None:
    w.mask, w.other_mask = w.other_mask, w.mask


def mask_remade(w: World) -> None:
    w.mask, w.other_mask = w.space["make"](w.choose((4, 5)))


def score_by_keyword(w: World) -> None:
    w.score = w.space["keyword_score"]
    w.captures = {"u": w.floats(HEADS)}


def captures_changed(w: World) -> None:
    w.captures = w.choose(
        (None, {}, {"u": w.floats(HEADS)}, {"u": np.ones(3)}, {"unknown": np.ones(2)},
         {"u": w.floats(HEADS), "more": np.ones(2)}, {"w": np.float32(2)})
    )  # fmt: skip


def captures_by_keyword(w: World) -> None:
    w.score = w.space["keyword_score"]
    u = w.floats(HEADS)
    w.captures = w.choose(
        ({"u": u}, {"u": u, "more": u}, {"more": u}, {}, None, {"u": u[::-1]},
         types.MappingProxyType({"u": u}), {"u": 2}, {"u": u.astype(np.float64)},
         {1: u}, [("u", u)])
    )  # fmt: skip


def score_again(w: World) -> None:
    w.score, w.captures = w.space["score"], None


def no_score(w: World) -> None:
    w.score, w.captures = None, None


def other_dtype(w: World) -> None:
    kinds = (np.float16, np.float32, np.float64, ml_dtypes.bfloat16)
    w.qkv = w.tensors(dtype=w.choose(kinds))


def other_shapes(w: World) -> None:
    w.qkv = w.tensors(*w.choose(((5, 12), (12, 20), (1, 7), (12, 12, 2))))


def other_strides(w: World) -> None:
    x = w.choose(range(3))
    wide = w.floats(1, 1 if x else HEADS, LENGTH, 2 * D)
    w.qkv = w.tensors()
    w.qkv[x] = wide[..., :: w.choose((2, -2))]


def memory_order(w: World) -> None:
    w.qkv = w.tensors()
    w.qkv[0] = w.floats(1, LENGTH, HEADS, D).transpose(0, 2, 1, 3)


def q_alone(w: World) -> None:
    bad = w.qkv[0]
    w.qkv[0] = w.choose(
        (bad.astype(">f4"), misaligned(bad), bad[..., :4], bad.astype(np.int32),
         bad.tolist(), None, np.ma.masked_array(bad), bad[0], bad.astype(np.float64))
    )  # fmt: skip


def k_alone(w: World) -> None:
    k = w.qkv[1]
    w.qkv[1] = w.choose((k[:, :, :-1], k[..., :4], k.astype(np.float64), "k"))


def tensors_again(w: World) -> None:
    w.qkv = w.tensors()


def read_only(w: World) -> None:
    for x in w.qkv:
        if isinstance(x, np.ndarray):
            x.flags.writeable = False


def scale(w: World) -> None:
    w.options["scale"] = w.choose(
        (None, 0.5, 0, 1, -1.0, 1e300, float("nan"), True, "1", 10**400, np.float32(2))
    )


def lse(w: World) -> None:
    w.options["return_lse"] = w.choose((True, False, np.True_, 1))


def offsets(w: World) -> None:
    name = w.choose(("q_offset", "kv_offset"))
    w.options[name] = w.choose(
        (0, 1, np.int64(0), np.int32(2), np.array([3]), np.array(1), False, 0.0, -2,
         np.array([1, 2]), 1 << 60)
    )  # fmt: skip


def lengths(w: World) -> None:
    name, most = w.choose((("q_lengths", 5), ("kv_lengths", 7)))
    w.options[name] = w.choose(
        (None, 0, most, np.array([most]), np.array([4], np.int8), 99, -1, 4.0, [4])
    )


def no_options(w: World) -> None:
    w.options = {}


def block_mask(w: World) -> None:
    first = w.mask
    sizes = w.choose(((LENGTH, LENGTH), (5, 12), (12, 20)))
    try:
        w.block_mask = fovea.create_block_mask(first, 1, None, *sizes, BLOCK_SIZE=4)
    except Exception:
        w.block_mask = None


def block_mask_mod(w: World) -> None:
    if w.block_mask is not None:
        w.block_mask.mask_mod = w.choose((None, w.mask, w.other_mask))


def no_block_mask(w: World) -> None:
    w.block_mask = None


def threads(w: World) -> None:
    fovea.set_num_threads(w.choose((0, 1, 2, 3)))


CHANGES: list[Callable[[World], None]] = [
    doc_values, doc_rebound, doc_resized, doc_resized_in_place, doc_strides,
    doc_of_records, doc_broadcast, doc_dtype, doc_shape_assigned, doc_byte_order, doc_misaligned,
    doc_read_only, doc_masked, doc_empty, doc_is_no_array, doc_again, doc_in_a_dict,
    dict_has_one_more, same_identity, attribute_array, attribute_is_a_number,
    attribute_again, attribute_bfloat16, object_replaced, list_element, list_shrinks,
    nested_attribute, global_constant, global_function, global_is_gone,
    builtin_is_hidden, closure, default, no_default, keyword_default,
    keyword_defaults_replaced, code_swapped, mask_replaced, mask_remade,
    score_by_keyword, captures_changed, captures_by_keyword, score_again, no_score, other_dtype,
    other_shapes, other_strides, memory_order, q_alone, k_alone, tensors_again,
    read_only, scale, lse, offsets, lengths, no_options, block_mask, block_mask_mod,
    no_block_mask, threads,
]  # fmt: skip
#: What brings a world that refuses calls back to one that takes them.
REPAIRS: list[Callable[[World], None]] = [
    doc_again, doc_in_a_dict, attribute_again, score_again, tensors_again, no_options,
    no_block_mask,
]  # fmt: skip


def answers(seed: int, steps: int, *, remembers: bool) -> list[tuple]:
    """(change, through, answer) of each call of one game."""
    forget()
    world = World(seed, remembers)
    choose = random.Random(-seed)
    found = []
    for _ in range(steps):
        change = choose.choice(CHANGES)
        through = choose.choice(("attention", "kernel"))
        # After another change one may not be possible: of an array that is none.
        with contextlib.suppress(Exception):
            change(world)
        for _ in range(choose.choice((1, 2, 2, 3))):
            answer = world.call(through)
            found.append((change.__name__, through, answer))
        if isinstance(answer[0], str) and choose.random() < 0.7:
            world.repair()
            found.append(("repaired", through, world.call(through)))
    fovea.set_num_threads(0)
    return found
