"""Calls of NumPy's arrays like earlier ones, and all that may tell them apart.

    FOVEA_REPEAT_SEED=17 FOVEA_REPEAT_GAMES=100 pytest test_repeats_numpy.py

A game that fails names its seed.
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
from api_common import Exporter, causal, in_threads, inputs
from repeat_world import CHANGES, World, answers, forget

import fovea
from fovea.errors import TraceError

FIRST = int(os.environ.get("FOVEA_REPEAT_SEED", "1"))
GAMES = int(os.environ.get("FOVEA_REPEAT_GAMES", "4"))
STEPS = int(os.environ.get("FOVEA_REPEAT_STEPS", "60"))


def differences(quick: list[tuple], whole: list[tuple]) -> list[str]:
    assert len(quick) == len(whole)
    return [
        f"call {number}, {a[0]} through {a[1]}: {a[2]}, not {b[2]}"
        for number, (a, b) in enumerate(zip(quick, whole, strict=True))
        if a != b
    ]


@pytest.mark.parametrize("seed", range(FIRST, FIRST + GAMES))
def test_games(seed):
    """Whatever changed, a call answers as if it were the first."""
    quick = answers(seed, STEPS, remembers=True)
    wrong = differences(quick, answers(seed, STEPS, remembers=False))
    assert not wrong, f"seed {seed}: " + "\n".join(wrong[:5])
    assert sum(isinstance(answer[0], tuple) for _, _, answer in quick) > STEPS // 10


def test_a_game_in_a_process_of_its_own(native_is_real):
    if not native_is_real:
        pytest.skip("another process has the compiled module")
    code = "import sys, repeat_world; print(repeat_world.answers(9, 25, remembers=0))"
    whole = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
    ).stdout.strip()  # fmt: skip
    assert str(answers(9, 25, remembers=True)) == whole


@pytest.mark.parametrize("through", ["attention", "kernel"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_one_change(change, through):
    """Each change alone, in all that it may come to, after calls that repeat."""
    found = []
    for remembers in (True, False):
        forget()
        world = World(3, remembers)
        before = [world.call(through) for _ in range(2)]
        assert before[0] == before[1]
        assert isinstance(before[0][0], tuple), before[0]
        seen = []
        for world.round in range(12):
            change(world)
            seen += [world.call(through) for _ in range(2)]
            world.repair()
            seen.append(world.call(through))
        found.append(seen)
    fovea.set_num_threads(0)
    assert found[0] == found[1]


def _set_default(world: World, value) -> None:
    world.space["score"].__defaults__ = (value,)


def _set_keyword(world: World, value) -> None:
    world.space["score"].__kwdefaults__["w"] = value


PLACES = {
    "global": lambda world, value: world.space.__setitem__("gain", value),
    "attribute": lambda w, value: setattr(w.space["cfg"].inner, "number", value),
    "list": lambda world, value: world.space["parts"].__setitem__(1, value),
    "default": _set_default,
    "keyword": _set_keyword,
}


@pytest.mark.parametrize("through", ["attention", "kernel"])
@pytest.mark.parametrize("place", PLACES)
def test_constants_by_type_and_value(place, through):
    """1, 1.0 and True differ, 0.0 and -0.0 too; NaN equals NaN."""
    found = []
    for remembers in (True, False):
        forget()
        world = World(4, remembers)
        seen = []
        for value in (1, 1.0, True, np.float32(1), 0.0, -0.0, 0, float("nan"), 1):
            PLACES[place](world, value)
            seen += [world.call(through) for _ in range(2)]
        found.append(seen)
    assert found[0] == found[1]
    assert len(set(found[0])) >= 5  # what is infinite or NaN may look alike


def test_the_second_call_is_short(launches):
    q, k, v = inputs()
    outs = [fovea.attention(q, k, v, None, causal) for _ in range(4)]
    assert len(launches) == 1
    assert all(np.array_equal(out, outs[0]) for out in outs)
    assert len({out.ctypes.data for out in outs}) == 4
    kernel = fovea.compile(None, causal, D=8)
    more = [kernel(q, k, v) for _ in range(4)]
    assert len(launches) == 2
    assert all(np.array_equal(out, outs[0]) for out in more)


def test_what_is_short_besides(launches):
    """lse, offsets, lengths, scales, captures by name, a result in q's order."""
    q, k, v = inputs(B=2)

    def keyword(s, b, h, m, n, *, w):
        return s + w[h]

    def call(**options):
        before = len(launches)
        for _ in range(3):
            fovea.attention(q, k, v, **options)
        return len(launches) - before

    assert call(return_lse=True) == 1
    assert call() == 1
    assert call(q_offset=3, kv_lengths=np.array([5, 7])) == 0
    assert call(scale=0.5) == 0
    assert call(score_mod=keyword, captures={"w": np.ones(2)}) == 1
    assert call(score_mod=keyword, captures={"w": np.ones(2)[::-1]}) == 1
    q = np.ones((2, 12, 2, 8), np.float32).transpose(0, 2, 1, 3)
    assert call() == 1
    assert fovea.attention(q, k, v).strides == q.strides


def test_captures_are_live(launches):
    q, k, v = inputs()
    bias = np.zeros(12, np.float32)

    def biased(s, b, h, m, n):
        return s + bias[n]

    first = fovea.attention(q, k, v, biased)
    bias[3] = 50
    second = fovea.attention(q, k, v, biased)
    np.testing.assert_allclose(
        second, np.broadcast_to(v[:, :, 3:4], second.shape), atol=1e-6
    )
    assert not np.allclose(first, second)
    assert len(launches) == 1


def test_dtypes_of_unpickled_arrays(launches):
    """Each brings a dtype object of its own."""
    q, k, v = inputs()
    want = fovea.attention(q, k, v)
    for _ in range(300):
        q, k, v = pickle.loads(pickle.dumps((q, k, v)))
        assert np.array_equal(fovea.attention(q, k, v), want)
    assert len(launches) == 1


def test_explain_shows_the_last_call(launches):
    kernel = fovea.compile(None, causal, D=8)
    for length in (12, 20, 12):
        for _ in range(2):
            kernel(*inputs(M=length, N=length))
            assert kernel._calls.geometry.M == length


def test_a_mod_calls_nothing(launches):
    """A call that repeats is refused inside a mod like any other."""
    q, k, v = inputs()
    kernel = fovea.compile(D=8)
    for _ in range(2):
        fovea.attention(q, k, v)
        kernel(q, k, v)

    for inner in (fovea.attention, kernel):

        def score(s, b, h, m, n, inner=inner):
            inner(q, k, v)
            return s

        with pytest.raises(TraceError, match="cannot be called inside a mod"):
            fovea.attention(q, k, v, score)


def test_errors_of_what_is_compared(launches):
    """A length that raises is met by the trace, one that interrupts ends the call."""
    q, k, v = inputs()

    class Config:
        error = None

        def __len__(self):
            if self.error is not None:
                raise self.error
            return 2

    config = Config()

    def score(s, b, h, m, n):
        return s * len(config)

    want = fovea.attention(q, k, v, score)
    for error in (ZeroDivisionError("mine"), KeyboardInterrupt("mine")):
        config.error = error
        with pytest.raises(type(error), match="mine"):
            fovea.attention(q, k, v, score)
        config.error = None
        assert np.array_equal(fovea.attention(q, k, v, score), want)
    assert len(launches) == 1


def test_what_interrupts_a_comparison_has_a_note(launches):
    """An exception that ends a comparison says where it comes from."""
    q, k, v = inputs()

    class Table(Exporter):
        error = None
        ndim = 1

        @property
        def dtype(self):
            if self.error is not None:
                raise self.error
            return self.array.dtype

    table = Table(np.ones(12, np.float32))

    def score(s, b, h, m, n):
        return s * table[n]

    want = fovea.attention(q, k, v, score)
    kernel = fovea.compile(score, D=8)
    for call in (lambda: fovea.attention(q, k, v, score), lambda: kernel(q, k, v)):
        table.error = KeyboardInterrupt("mine")
        with pytest.raises(KeyboardInterrupt, match="mine") as caught:
            call()
        assert caught.value.__notes__ == [
            "raised while comparing what a mod reaches with its last call"
        ]
        table.error = None
        assert np.array_equal(call(), want)


@pytest.mark.filterwarnings("ignore:.*each call traces its mods")
@pytest.mark.parametrize("kind", ["function", "partial", "method"])
def test_signatures_are_compared(launches, kind):
    """A mod that gets another __signature__ is traced again."""
    q, k, v = inputs()

    class Owner:
        def score(self, s, b, h, m, n):
            return s * 2.0

    def score(s, b, h, m, n):
        return s * 2.0

    function = Owner.score if kind == "method" else score
    mod = {
        "function": score,
        "partial": functools.partial(score),
        "method": Owner().score,
    }[kind]
    own = inspect.signature(function)
    want = fovea.attention(q, k, v, mod)
    function.note = "an attribute that says nothing"
    assert np.array_equal(fovea.attention(q, k, v, mod), want)
    assert len(launches) == 1
    function.__signature__ = inspect.signature(lambda self, s: None)
    with pytest.raises(TypeError, match="must take .* by position"):
        fovea.attention(q, k, v, mod)
    function.__signature__ = own
    assert np.array_equal(fovea.attention(q, k, v, mod), want)
    assert len(launches) == 2
    del function.__signature__
    assert np.array_equal(fovea.attention(q, k, v, mod), want)


def test_comparing_may_call_fovea(launches):
    """What is compared may run the user's code, which may come back."""
    q, k, v = inputs()

    class Table(Exporter):
        armed = False
        ndim = 1

        @property
        def dtype(self):
            if self.armed:
                self.armed = False
                fovea.attention(q, k, v, None, causal)
                fovea.clear_cache()
            return self.array.dtype

    table = Table(np.ones(12, np.float32))

    def score(s, b, h, m, n):
        return s * table[n]

    for _ in range(3):
        want = fovea.attention(q, k, v, score)
        table.armed = True
        assert np.array_equal(fovea.attention(q, k, v, score), want)
        assert not table.armed


def test_threads(launches):
    """Several threads call at once, each with arrays and constants of its own."""
    q, k, v = inputs(M=40, N=40)
    wrong = []

    def work(number: int) -> None:
        bias = np.full(40, float(number), np.float32)

        def biased(s, b, h, m, n):
            return s * bias[n]

        first = {}
        for i in range(200):
            bias[:] = number + i % 3
            length = 40 - i % 2
            out = fovea.attention(q[:, :, :length], k, v, biased, causal)
            want = first.setdefault((i % 3, length), out)
            if not np.array_equal(out, want):
                wrong.append((number, i))

    in_threads(work)
    assert not wrong


def test_after_fork(launches):
    q, k, v = inputs(M=300, N=300)
    want = fovea.attention(q, k, v, None, causal)
    child = os.fork()
    if child == 0:
        same = np.array_equal(fovea.attention(q, k, v, None, causal), want)
        os._exit(0 if same and len(launches) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_nothing_is_kept_alive():
    """Arrays go with their owners, kernels with the cycles that they stand in."""
    forget()
    q, k, v = inputs()
    bias = np.zeros(12, np.float32)
    space: dict = {"bias": bias}
    exec("def biased(s, b, h, m, n):\n    return s + bias[n]", space)
    space["kernel"] = kernel = fovea.compile(space["biased"], D=8)
    for _ in range(3):
        kernel(q, k, v)
        fovea.attention(q, k, v, space["biased"])
    dead = [weakref.ref(x) for x in (q, bias, kernel, space["biased"])]
    forget()
    del q, bias, kernel, space
    gc.collect()
    assert all(ref() is None for ref in dead)


def test_many_variants(launches):
    """More variants of one code, and more shapes, than are remembered."""
    q, k, v = inputs()

    def mod(number):
        return lambda s, b, h, m, n: s + number * 0

    for number in range(40):
        fovea.attention(q, k, v, mod(float(number)))
    assert len(launches) == 40
    fovea.attention(q, k, v, mod(39.0))
    assert len(launches) == 40
    kernel = fovea.compile(D=8)
    for length in range(1, 300):
        kernel(*inputs(M=length, N=3))
    assert kernel(*inputs(M=1, N=3)).shape == (1, 2, 1, 8)
